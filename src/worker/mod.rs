//! A run: takes the calls of one tenant that are still to resolve, looks their numbers up in
//! Salesforce, brings the names back to the directory, and says what it did.
//!
//! A worker holds no Kubernetes credential. It is told what to do by one document in its environment
//! ([`WorkerSettings`]) and files, and leaves one document behind ([`RunReport`]).
//!
//! Exit codes:
//!
//! | code | means |
//! |---|---|
//! | 0 | all that was to do is done, or nothing was |
//! | 1 | the run failed; the report says why |
//! | 2 | the run was started wrongly: command line, settings document or files |
//! | 3 | the allowance of API calls is used up |
//! | 4 | the run was told to stop and handed back what it had not done |

mod args;
mod failure;
mod run;
mod stop;
#[cfg(test)]
mod tests;
mod todo;

use std::path::Path;
use std::process::ExitCode;

use tracing::field::{Empty, display};
use tracing::{Instrument, Span, error, error_span, info};

pub use self::args::{Args, Options};
use self::failure::Failure;
use self::run::Run;
use crate::directory::Client;
use crate::run::{Outcome, RunKind, RunReport, SettingsError, WorkerSettings, settings};
use crate::salesforce::{Connection, Transport};

/// Does a run and leaves its report.
pub async fn run(args: Args) -> ExitCode {
    // Of the highest level, so that it shows whatever `RUST_LOG` asks for.
    let span = error_span!("run", company = Empty, kind = %args.kind(), run = Empty);
    run_and_report(args).instrument(span).await
}

async fn run_and_report(args: Args) -> ExitCode {
    let options = args.options();
    let stop = stop::on_signal();
    let (report, invalid) = match prepare(args.kind(), options) {
        Ok(run) => (run.execute(&stop).await, false),
        Err(failure) => (run::not_begun(args.kind(), &failure), true),
    };
    leave(&report, &options.termination_log);
    match report.outcome {
        Outcome::Succeeded => ExitCode::SUCCESS,
        Outcome::Failed if invalid => ExitCode::from(2),
        Outcome::Failed => ExitCode::FAILURE,
        Outcome::BudgetExhausted => ExitCode::from(3),
        Outcome::Interrupted => ExitCode::from(4),
    }
}

/// Reads what the run is told, without asking anybody anything yet.
fn prepare(kind: RunKind, options: &Options) -> Result<Run, Failure> {
    let document = options.settings.as_deref().ok_or(SettingsError::Missing)?;
    let settings = WorkerSettings::parse(document)?;
    Span::current().record("company", display(&settings.company_id));
    Span::current().record("run", settings.run.as_deref());
    info!("the run begins");
    let credentials = settings.salesforce.credentials(&options.credentials_dir)?;
    let policy = settings
        .salesforce
        .dial_policy(options.ca_bundle.as_deref())?;
    let transport =
        Transport::new(policy).map_err(|error| SettingsError::Unusable(error.to_string()))?;
    let connection = Connection::new(
        transport,
        settings.salesforce.login_url(),
        settings.salesforce.api_version,
        credentials,
    )
    .environment(settings.salesforce.environment);
    let token = settings::read_secret(&options.directory_token_file)?;
    let directory = Client::new(settings.directory.url.as_str(), token)?;
    let holder = options
        .holder
        .clone()
        .unwrap_or_else(|| kind.to_string().to_ascii_lowercase());
    Ok(Run {
        kind,
        settings,
        holder,
        directory,
        connection,
    })
}

fn leave(report: &RunReport, path: &Path) {
    let json = report.to_json();
    match &report.error {
        None => info!(report = %json, "the run is over"),
        Some(note) => {
            error!(code = %note.code, message = %note.message, report = %json, "the run ended early")
        }
    }
    if let Err(error) = std::fs::write(path, &json) {
        error!(path = %path.display(), %error, "the report could not be left");
    }
}

//! A run: leases the unresolved calls of one tenant, looks their numbers up in Salesforce, writes
//! the names to the directory, and reports its work.
//!
//! A worker holds no Kubernetes credential. Its input is one document in its environment
//! ([`WorkerSettings`]) and files; its output is one document ([`RunReport`]).

mod args;
mod book;
mod failure;
mod fill;
mod follow;
mod found;
mod rings;
mod run;
#[cfg(test)]
mod tests;
mod todo;

use std::path::{Path, PathBuf};

use secrecy::ExposeSecret;
use tracing::field::{Empty, display};
use tracing::{Instrument, Span, error, error_span, info};

pub use self::args::{Args, Options};
use self::failure::Failure;
pub(crate) use self::fill::Reads;
pub(crate) use self::follow::Quiet;
pub(crate) use self::run::{Bounds, Ended, Left, Run};
use crate::directory::{Authorities, Client};
use crate::error::print_error;
use crate::exit::Exit;
use crate::run::{Outcome, RunKind, RunReport, SettingsError, WorkerSettings, settings};
use crate::salesforce::{Connection, Transport};
use crate::shutdown::Shutdown;

/// The report could not be written.
#[derive(Debug, thiserror::Error)]
#[error(
    "the run's report could not be written to {}; check --termination-log, and that its disk has room",
    .0.display()
)]
struct ReportNotWritten(PathBuf, #[source] std::io::Error);

/// Executes a run and writes its report.
pub async fn run(args: Args, shutdown: Shutdown) -> Exit {
    // The span has the highest level, so that every `RUST_LOG` filter shows it.
    let span = error_span!("run", company = Empty, kind = %args.kind(), run = Empty);
    run_and_report(args, shutdown).instrument(span).await
}

async fn run_and_report(args: Args, shutdown: Shutdown) -> Exit {
    let options = args.options();
    let (report, started) = match prepare(args.kind(), options) {
        Ok(run) => (run.execute(&shutdown).await, true),
        Err(failure) => (run::not_begun(args.kind(), &failure), false),
    };
    let written = write_report(&report, &options.termination_log);
    if let Err(error) = &written {
        print_error("worker", error);
    }
    match report.outcome {
        Outcome::Interrupted => Exit::Interrupted,
        // A refused log-in must be in the report. The exit code is the same as for every run that
        // was asked to stop.
        Outcome::Failed if started && shutdown.is_requested() => Exit::Interrupted,
        Outcome::Failed if !started => Exit::Usage,
        Outcome::Failed => Exit::Failed,
        Outcome::BudgetExhausted => Exit::BudgetExhausted,
        // A run without a report cannot be distinguished from one that did nothing.
        Outcome::Succeeded if written.is_err() => Exit::Failed,
        Outcome::Succeeded => Exit::Done,
    }
}

/// Reads the input of the run. It sends no request yet.
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
    let transport = Transport::new(policy).map_err(SettingsError::from)?;
    let connection = Connection::new(
        transport,
        settings.salesforce.login_url(),
        settings.salesforce.api_version,
        credentials,
    )
    .environment(settings.salesforce.environment);
    let token = settings::read_secret(&options.directory_token_file)?;
    let authorities = options.directory_ca_bundle.as_deref();
    let authorities = authorities.map(read_authorities).transpose()?;
    let base = settings.directory.url.as_str();
    let directory = Client::trusting(authorities.as_ref(), base, token)?;
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
        reads: Reads::default(),
        bounds: Bounds::default(),
        quiet: None,
    })
}

fn read_authorities(path: &Path) -> Result<Authorities, SettingsError> {
    let text = settings::read_secret(path)?;
    Authorities::parse(text.expose_secret()).map_err(|error| settings::unusable(path, &error))
}

fn write_report(report: &RunReport, path: &Path) -> Result<(), ReportNotWritten> {
    let json = report.to_json();
    match &report.error {
        None => info!(report = %json, "the run is over"),
        Some(note) => {
            error!(code = %note.code, message = %note.message, report = %json, "the run ended early")
        }
    }
    std::fs::write(path, &json).map_err(|error| ReportNotWritten(path.to_owned(), error))
}

//! `switchboard check`: "Test connection" from a laptop or a pipeline, without a cluster. It
//! applies the rules of the schema and makes the same proof and the same decision as the
//! controller, so that the messages are the same. It cannot report the results of runs (RunFailed,
//! RunOverdue, BudgetExhausted) or of other resources (CompanyIdTaken, users that another one
//! holds): it starts no run and sees no cluster.

mod report;

use std::path::PathBuf;

use kube::ResourceExt;

use crate::api::{SalesforceIntegration, SalesforceIntegrationStatus, Settings, now};
use crate::cli::{BadInput, FlagError, Manifests, SalesforceArgs, in_thread, print};
use crate::decide;
use crate::decide::rules::config::Config;
use crate::decide::{Observed, Proof, decide};
use crate::error::print_error;
use crate::exit::Exit;
use crate::prove::prove_once;
use crate::salesforce::{FingerprintKey, Transport};
use crate::shutdown::Shutdown;

/// Flags of `switchboard check`.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// File with the SalesforceIntegration as one would apply it; `-` reads standard input. The
    /// Secret may stand in it, too.
    #[arg(short, long = "file", value_name = "FILE")]
    pub file: PathBuf,
    /// File with the Secret.
    #[arg(long, value_name = "FILE")]
    pub secret_file: Option<PathBuf>,
    /// Which integration, when the file holds several.
    #[arg(long)]
    pub name: Option<String>,
    /// How to print what was found.
    #[arg(short, long, value_enum, default_value_t = Output::Text)]
    pub output: Output,
    #[command(flatten)]
    #[allow(
        missing_docs,
        reason = "a doc comment here would become a heading of the help"
    )]
    pub salesforce: SalesforceArgs,
}

/// How to print what was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Output {
    /// For people.
    Text,
    /// The status as the controller would write it.
    Json,
}

/// Runs the check and prints the result.
pub async fn run(args: Args, shutdown: Shutdown) -> Exit {
    let end = |error: &(dyn std::error::Error + 'static), exit| {
        print_error("check", error);
        exit
    };
    let (resource, status, hint) = match shutdown.unless_requested(check(&args)).await {
        Err(stopped) => return end(&stopped, Exit::Interrupted),
        Ok(Err(problem)) => return end(&problem, Exit::Usage),
        Ok(Ok(checked)) => checked,
    };
    let text = match args.output {
        Output::Text => report::text(&resource, &status, hint.as_deref()),
        Output::Json => report::json(&status),
    };
    match print(&text) {
        Err(error) => end(&error, Exit::Failed),
        Ok(()) if report::is_ready(&status) => Exit::Done,
        Ok(()) => Exit::Failed,
    }
}

/// What was read and decided, and where the Secret is if it was not found.
type Checked = (
    SalesforceIntegration,
    SalesforceIntegrationStatus,
    Option<String>,
);

async fn check(args: &Args) -> Result<Checked, BadInput> {
    let (file, secret_file) = (args.file.clone(), args.secret_file.clone());
    let manifests = in_thread(move || Manifests::read(&file, secret_file.as_deref())).await?;
    let resource = manifests.integration(args.name.as_deref())?;
    let bundle = args.salesforce.ca_bundle()?;
    let policy = args.salesforce.policy(bundle.as_deref())?;
    let transport = Transport::new(policy).map_err(FlagError::from)?;
    let settings = Settings::of(&resource);
    // The fingerprint is compared with nothing: any key will do.
    let key = FingerprintKey::new(b"switchboard check".to_vec());
    let mut state = decide::Credentials::NotRead;
    let mut proof: Option<Proof> = None;
    let mut hint = None;
    if let Ok(settings) = &settings {
        let name = &settings.auth.secret;
        let found = manifests.secret(name, resource.namespace().as_deref());
        let read = decide::login::credentials::read(found.as_ref().ok(), settings, &key);
        hint = found.err().map(|why| format!("Secret {name:?} {why}."));
        state = read.state;
        if let Some((credentials, fingerprint)) = read.credentials
            && !settings.suspend
        {
            proof = Some(prove_once(transport, settings, credentials, fingerprint).await);
        }
    }
    let config = Config::default();
    let now = now();
    let observed = Observed {
        proof: proof.as_ref(),
        ..Observed::alone(&resource, settings.as_ref(), state, &config, now)
    };
    let status = decide(&observed, now).status;
    Ok((resource, status, hint))
}

//! The command line: parse, dispatch, exit code.

use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};
use switchboard::error::print_error;
use switchboard::exit::Exit;
use switchboard::shutdown::Shutdown;
use switchboard::{
    api, check, cli, controller, directory, exit, lookup, selftest, telemetry, worker,
};
use tokio::runtime::Builder;

/// Links the tenants of a phone platform to Salesforce.
#[derive(Parser)]
#[command(version, about, max_term_width = 100, after_help = exit::help())]
struct Cli {
    #[command(subcommand)]
    role: Role,
}

#[derive(Subcommand)]
enum Role {
    /// Reconciles SalesforceIntegration resources; the only writer of their status.
    Controller(Box<controller::Args>),
    /// Serves call history and contacts: takes the platform's webhook, answers "who is this
    /// number?", serves the workers.
    Directory(Box<directory::Args>),
    /// Runs one look-up of contacts, as a pod of a CronJob does.
    Worker(Box<worker::Args>),
    /// "Test connection" without a cluster: the same rules, the same proof, the same words.
    Check(Box<check::Args>),
    /// Who is behind these phone numbers? The workers' look-up on a laptop: names and cost out,
    /// nothing written.
    Lookup(Box<lookup::Args>),
    /// Whether an installation works from end to end, as `helm test` runs it.
    Selftest(Box<selftest::Args>),
    /// Prints the CustomResourceDefinition.
    Crds,
}

/// The time that a worker has for its report after a second signal. The other roles have nothing to
/// write.
const ABORT_GRACE: Duration = Duration::from_secs(1);

fn main() -> ExitCode {
    let cli = Cli::parse();
    if let Role::Crds = cli.role {
        return print_crds().into();
    }
    // One provider for the whole program; a second installation cannot happen before this one.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    telemetry::start();
    let name = cli.role.name();
    let started = Shutdown::on_signals(cli.role.abort_grace())
        .and_then(|shutdown| Ok((shutdown, cli.role.runtime().enable_all().build()?)));
    let (shutdown, runtime) = match started {
        Ok(started) => started,
        Err(error) => {
            print_error(name, &error);
            return Exit::Failed.into();
        }
    };
    let exit = runtime.block_on(dispatch(cli.role, shutdown));
    // A DNS resolution or a read of standard input may hang in a thread that nothing can end. The
    // program does not wait for it.
    runtime.shutdown_background();
    exit.into()
}

// === impl Role ===

impl Role {
    /// The name of the role on the command line.
    fn name(&self) -> &'static str {
        match self {
            Self::Controller(_) => "controller",
            Self::Directory(_) => "directory",
            Self::Worker(_) => "worker",
            Self::Check(_) => "check",
            Self::Lookup(_) => "lookup",
            Self::Selftest(_) => "selftest",
            Self::Crds => "crds",
        }
    }

    /// Only the directory has work for several processors. The others wait for responses. Threads
    /// that wake each other for each response cost a controller of a thousand integrations a fifth
    /// of its processor time.
    fn runtime(&self) -> Builder {
        match self {
            Self::Directory(_) => Builder::new_multi_thread(),
            _ => Builder::new_current_thread(),
        }
    }

    /// The time that is left after a second signal.
    fn abort_grace(&self) -> Duration {
        match self {
            Self::Worker(_) => ABORT_GRACE,
            _ => Duration::ZERO,
        }
    }
}

async fn dispatch(role: Role, shutdown: Shutdown) -> Exit {
    match role {
        Role::Controller(args) => controller::run(*args, shutdown).await,
        Role::Directory(args) => directory::run(*args, shutdown).await,
        Role::Worker(args) => worker::run(*args, shutdown).await,
        Role::Check(args) => check::run(*args, shutdown).await,
        Role::Lookup(args) => lookup::run(*args, shutdown).await,
        Role::Selftest(args) => selftest::run(*args, shutdown).await,
        Role::Crds => print_crds(),
    }
}

fn print_crds() -> Exit {
    let printed = match api::crd::yaml() {
        Ok(text) => cli::print(&text),
        Err(error) => {
            print_error("crds", &error);
            return Exit::Failed;
        }
    };
    match printed {
        Ok(()) => Exit::Done,
        Err(error) => {
            print_error("crds", &error);
            Exit::Failed
        }
    }
}

//! The command line: parse, dispatch, exit code.

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use switchboard::error::print_error;
use switchboard::exit::Exit;
use switchboard::shutdown::Shutdown;
use switchboard::{
    api, check, cli, controller, directory, exit, explain, lookup, resolve, selftest, status,
    telemetry, why, worker,
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
    /// What a reason, an error or a warning means, and what to do about it.
    Explain(explain::Args),
    /// What the integrations of a namespace say: the first problem and its remedy, runs, requests,
    /// errors.
    Status(Box<status::Args>),
    /// Why a call has its name, or none: what became of its number, step by step.
    Why(Box<why::Args>),
    /// Whether an installation works from end to end, as `helm test` runs it.
    Selftest(Box<selftest::Args>),
    /// Prints the CustomResourceDefinition.
    Crds,
    /// Prints the least permission set for the integration's user in Salesforce, as metadata to
    /// deploy.
    PermissionSet,
}

/// The time that a worker has for its report after a second signal. The other roles have nothing to
/// write.
const ABORT_GRACE: Duration = Duration::from_secs(1);

/// The file name under which kubectl finds this program as its plugin `kubectl switchboard`.
const PLUGIN: &str = "kubectl-switchboard";
/// The roles that are no tools for people; the plugin's help does not show them.
const SERVICES: [&str; 4] = ["controller", "directory", "worker", "selftest"];

fn main() -> ExitCode {
    let cli = parse();
    match &cli.role {
        Role::Crds => return print("crds", api::crd::TEXT).into(),
        Role::PermissionSet => return print_permission_set().into(),
        Role::Explain(args) => return explain::run(args).into(),
        _ => {}
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

/// Parses the command line. As a plugin of kubectl the program calls itself as one types it there.
fn parse() -> Cli {
    let line: Vec<OsString> = std::env::args_os().collect();
    let name = line.first().map(Path::new).and_then(Path::file_stem);
    let mut command = Cli::command();
    if name.is_some_and(|name| name == PLUGIN) {
        command = command.bin_name("kubectl switchboard");
        for service in SERVICES {
            command = command.mut_subcommand(service, |role| role.hide(true));
        }
    }
    let parsed = command.get_matches_from(line);
    Cli::from_arg_matches(&parsed).unwrap_or_else(|error| error.exit())
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
            Self::Explain(_) => "explain",
            Self::Status(_) => "status",
            Self::Why(_) => "why",
            Self::Selftest(_) => "selftest",
            Self::Crds => "crds",
            Self::PermissionSet => "permission-set",
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
        Role::Explain(args) => explain::run(&args),
        Role::Status(args) => status::run(*args, shutdown).await,
        Role::Why(args) => why::run(*args, shutdown).await,
        Role::Selftest(args) => selftest::run(*args, shutdown).await,
        Role::Crds => print("crds", api::crd::TEXT),
        Role::PermissionSet => print_permission_set(),
    }
}

fn print_permission_set() -> Exit {
    print("permission-set", &resolve::permission_set())
}

fn print(role: &str, text: &str) -> Exit {
    match cli::print(text) {
        Ok(()) => Exit::Done,
        Err(error) => {
            print_error(role, &error);
            Exit::Failed
        }
    }
}

//! The command line: parse, dispatch, exit code.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use switchboard::{api, check, controller, directory, lookup, selftest, telemetry, worker};
use tokio::runtime::Builder;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// Links the tenants of a phone platform to Salesforce.
#[derive(Parser)]
#[command(version, about, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    role: Role,
}

#[derive(Subcommand)]
enum Role {
    /// Reconciles SalesforceIntegration resources; the only writer of their status.
    Controller(Box<controller::Args>),
    /// Serves call history and contacts: takes the platform's webhook, answers "who is this number?", serves the workers.
    Directory(Box<directory::Args>),
    /// Runs one look-up of contacts, as a pod of a CronJob does.
    Worker(Box<worker::Args>),
    /// "Test connection" without a cluster: the same rules, the same proof, the same words. Exit code 0 healthy, 1 not healthy, 2 bad input.
    Check(Box<check::Args>),
    /// Who is behind these phone numbers? The workers' look-up on a laptop: names and cost out, nothing written. Exit code 0 found or not, 1 Salesforce failed, 2 bad input.
    Lookup(Box<lookup::Args>),
    /// Whether an installation works from end to end, as `helm test` runs it. Exit code 0 it does, 1 it does not.
    Selftest(Box<selftest::Args>),
    /// Prints the CustomResourceDefinition.
    Crds,
}

/// Bad input: what `check` and a wrong flag end with.
const BAD_INPUT: u8 = 2;

fn main() -> ExitCode {
    let cli = Cli::parse();
    if let Role::Crds = cli.role {
        return print_crds();
    }
    // One provider for the whole program; a second installation cannot happen before this one.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    telemetry::start();
    let runtime = match cli.role.runtime().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&error),
    };
    runtime.block_on(dispatch(cli.role))
}

// === impl Role ===

impl Role {
    /// Only the directory has work for several processors. The others wait for answers, and threads that wake each other for each of
    /// them cost a controller of a thousand integrations a fifth of its processor time.
    fn runtime(&self) -> Builder {
        match self {
            Role::Directory(_) => Builder::new_multi_thread(),
            _ => Builder::new_current_thread(),
        }
    }
}

async fn dispatch(role: Role) -> ExitCode {
    let stop = CancellationToken::new();
    tokio::spawn(watch_signals(stop.clone()));
    match role {
        Role::Controller(args) => ended(controller::run(*args, stop).await),
        Role::Directory(args) => ended(directory::serve(*args, stop).await),
        Role::Worker(args) => worker::run(*args).await,
        Role::Check(args) => check::run(*args).await,
        Role::Lookup(args) => lookup::run(*args, stop).await,
        Role::Selftest(args) => selftest::run(*args).await,
        Role::Crds => print_crds(),
    }
}

/// The first signal asks for an orderly end, the second ends at once.
async fn watch_signals(stop: CancellationToken) {
    let (Ok(mut terminate), Ok(mut interrupt)) = (
        signal(SignalKind::terminate()),
        signal(SignalKind::interrupt()),
    ) else {
        tracing::warn!("signals cannot be watched; only SIGKILL ends this process");
        return;
    };
    let mut asked = false;
    loop {
        tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
        if asked {
            std::process::exit(130);
        }
        asked = true;
        stop.cancel();
    }
}

fn ended<E: std::error::Error>(result: Result<(), E>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error),
    }
}

fn fail(error: &dyn std::error::Error) -> ExitCode {
    eprintln!("switchboard: {error}");
    ExitCode::FAILURE
}

fn print_crds() -> ExitCode {
    match api::crd::yaml() {
        Ok(text) => {
            print!("{text}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("switchboard: {error}");
            ExitCode::from(BAD_INPUT)
        }
    }
}

//! The whole product on one machine, in a few seconds: a real Kubernetes control plane, the
//! Salesforce simulator, directory and controller as released, four tenants from the manifests
//! beside this file, and calls as the phone platform sends them. `make quickstart` builds and runs
//! it. With `--once` it ends without Ctrl-C, and fails unless all results are as expected. With
//! `--kubeconfig` it is a guest of an existing cluster, and leaves it as it was.

mod guest;
mod installation;
mod story;

use std::panic::AssertUnwindSafe;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
use futures::FutureExt;
use tokio::signal::unix::{SignalKind, signal};

/// Starts everything, plays calls, shows what a tenant sees.
#[derive(Parser)]
struct Args {
    /// End after the story instead of going on until Ctrl-C.
    #[arg(long)]
    once: bool,
    /// Use the cluster of this file's current context instead of starting one.
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
}

/// An error with a readable message.
type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Prints each step with the time since the start.
struct Progress(Instant);

impl Progress {
    fn step(&self, what: &str) {
        println!("[{:5.1} s] {what}", self.0.elapsed().as_secs_f64());
    }
}

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match words.first().map(String::as_str) {
        Some("supervise") => exit_code(switchboard_testbed::supervise(&words[1..])),
        Some("kubectl") => exit_code(guest::become_kubectl(&words[1..])),
        _ => quick_start(),
    }
}

#[tokio::main]
async fn quick_start() -> ExitCode {
    let args = Args::parse();
    // The whole program uses one TLS provider; nothing has connected before this.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let mut guest = None;
    let outcome = tokio::select! {
        // A bug must not leave anything in a cluster of somebody else.
        outcome = AssertUnwindSafe(run(&args, &mut guest)).catch_unwind() => {
            outcome.unwrap_or_else(|_| Err("it has a bug, which is told of above".into()))
        }
        stopped = stop_signal() => {
            println!("\nstopping");
            stopped
        }
    };
    // All that worked in the cluster has ended by now.
    let left = match guest {
        Some(guest) => guest.leave().await,
        None => Ok(()),
    };
    match outcome.and(left) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("quick start: {failure}");
            ExitCode::FAILURE
        }
    }
}

async fn run(args: &Args, guest: &mut Option<guest::Guest>) -> Result<(), Failure> {
    let progress = Progress(Instant::now());
    let control_plane = match &args.kubeconfig {
        None => installation::control_plane(&progress).await?,
        Some(kubeconfig) => {
            let control_plane = guest::control_plane(kubeconfig, &progress).await?;
            *guest = Some(guest::arrive(kubeconfig).await?);
            if let Some(guest) = guest {
                guest.make_room().await?;
            }
            control_plane
        }
    };
    let installation = installation::start(control_plane, guest.is_some(), &progress).await?;
    story::tell(&installation, &progress).await?;
    if args.once {
        installation.stop().await?;
        progress.step("all is as it should be");
        return Ok(());
    }
    story::how_to_go_on(&installation);
    story::play_on(&installation).await
}

/// Comes with Ctrl-C, and with what `kill` and a terminal that closes send.
async fn stop_signal() -> Result<(), Failure> {
    let mut terminated = signal(SignalKind::terminate())?;
    let mut hung_up = signal(SignalKind::hangup())?;
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => interrupted?,
        _ = terminated.recv() => {}
        _ = hung_up.recv() => {}
    }
    Ok(())
}

fn exit_code(code: i32) -> ExitCode {
    ExitCode::from(u8::try_from(code).unwrap_or(1))
}

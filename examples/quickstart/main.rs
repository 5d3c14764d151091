//! The whole product on one machine, in a few seconds: a real Kubernetes control plane, the
//! Salesforce simulator, directory and controller as released, four tenants from the manifests
//! beside this file, and calls as the phone platform sends them. `make quickstart` runs it. With
//! `--once` it ends without Ctrl-C, and fails unless all results are as expected.

mod installation;
mod story;

use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;

/// Starts everything, plays calls, shows what a tenant sees.
#[derive(Parser)]
struct Args {
    /// End after the story instead of going on until Ctrl-C.
    #[arg(long)]
    once: bool,
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

#[tokio::main]
async fn main() -> ExitCode {
    let args = Args::parse();
    // The whole program uses one TLS provider; nothing has connected before this.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    tokio::select! {
        outcome = run(&args) => match outcome {
            Ok(()) => ExitCode::SUCCESS,
            Err(failure) => {
                eprintln!("quick start: {failure}");
                ExitCode::FAILURE
            }
        },
        _ = tokio::signal::ctrl_c() => {
            println!("\nstopping");
            ExitCode::SUCCESS
        }
    }
}

async fn run(args: &Args) -> Result<(), Failure> {
    let progress = Progress(Instant::now());
    let installation = installation::start(&progress).await?;
    story::tell(&installation, &progress).await?;
    if args.once {
        installation.stop().await?;
        progress.step("all is as it should be");
        return Ok(());
    }
    story::how_to_go_on(&installation);
    std::future::pending().await
}

//! The whole product on one machine, in a few seconds: a real Kubernetes control plane, Salesforce
//! played by the simulator, the directory and the controller as they are shipped, four tenants from
//! the manifests beside this file, calls as the phone platform sends them. `make quickstart` runs
//! it; with `--once` it ends by itself, and fails unless all is as it should be.

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

/// What went wrong, as a sentence.
type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Tells how far it is.
struct Progress(Instant);

impl Progress {
    fn step(&self, what: &str) {
        println!("[{:5.1} s] {what}", self.0.elapsed().as_secs_f64());
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    let args = Args::parse();
    // One provider for the whole program; nothing has dialled before this.
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

//! End-to-end test of the product as a platform team installs it: the real `helm` installs the
//! chart, a real kubelet runs the pods from the image, and a separate pod simulates Salesforce.
//! `make e2e` runs it; README.md describes the cluster.

mod bed;
mod documents;
mod facts;
mod hostile;
mod installation;
mod limits;
mod node;
mod salesforce;
mod soak;
mod story;
mod tenant;
mod upheaval;
mod versions;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use clap::{Parser, Subcommand};

use crate::bed::Bed;

/// Installs the chart, tells the product's story and says what it saw.
#[derive(Clone, Debug, Parser)]
struct Args {
    /// The image under test, as the nodes know it: REPOSITORY:TAG.
    #[arg(long)]
    image: String,
    /// The image of the Salesforce simulator, as the nodes know it.
    #[arg(long)]
    simulator_image: String,
    /// An image archive for the node that is started here; may be given several times. Without one
    /// a cluster that runs already is used, the one that SWITCHBOARD_TEST_KUBECONFIG names.
    #[arg(long)]
    archive: Vec<PathBuf>,
    /// The chart.
    #[arg(long, default_value = "charts/switchboard")]
    chart: PathBuf,
    /// The image of the version before, for the steps that upgrade from it.
    #[arg(long, requires = "previous_chart")]
    previous_image: Option<String>,
    /// The chart of the version before.
    #[arg(long)]
    previous_chart: Option<PathBuf>,
    /// The `helm` to install it with.
    #[arg(long, default_value = "helm")]
    helm: PathBuf,
    /// Tell only the steps whose name contains this, after the installation and the main story.
    #[arg(long)]
    only: Option<String>,
    /// Where a failure leaves what it saw.
    #[arg(long, default_value = "target/e2e")]
    evidence: PathBuf,
    #[command(subcommand)]
    instead: Option<Instead>,
}

/// What is done instead of the story.
#[derive(Clone, Debug, Subcommand)]
enum Instead {
    /// Lets calls come in while all kinds of things fail, and watches for hours.
    Soak(soak::Options),
}

/// An error with a readable message.
type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Prints each step with its duration, and counts the steps.
struct Progress {
    begun: Instant,
    only: Option<String>,
    told: u32,
}

// === impl Progress ===

impl Progress {
    /// Runs a step that all later steps depend on.
    async fn must(
        &mut self,
        what: &str,
        step: impl Future<Output = Result<String, Failure>>,
    ) -> Result<(), Failure> {
        let started = Instant::now();
        let found = step.await.map_err(|failure| format!("{what}: {failure}"))?;
        self.told += 1;
        println!(
            "[{:6.1} s] ok {what} ({:.1} s){}",
            self.begun.elapsed().as_secs_f64(),
            started.elapsed().as_secs_f64(),
            if found.is_empty() {
                String::new()
            } else {
                format!("\n           {found}")
            }
        );
        Ok(())
    }

    /// Runs a step that the flag `--only` may skip.
    async fn step(
        &mut self,
        what: &str,
        step: impl Future<Output = Result<String, Failure>>,
    ) -> Result<(), Failure> {
        match &self.only {
            Some(only) if !what.contains(only.as_str()) => Ok(()),
            _ => self.must(what, step).await,
        }
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    let args = Args::parse();
    // The whole program uses one TLS provider; nothing has connected before this.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    match run(args).await {
        Ok(told) => {
            println!("e2e: all {told} steps are as they should be");
            ExitCode::SUCCESS
        }
        Err(failure) => {
            eprintln!("e2e: {failure}");
            ExitCode::FAILURE
        }
    }
}

async fn run(args: Args) -> Result<u32, Failure> {
    let mut progress = Progress {
        begun: Instant::now(),
        only: args.only.clone(),
        told: 0,
    };
    let bed = Bed::start(args).await?;
    println!(
        "[{:6.1} s] Kubernetes {} at {}",
        progress.begun.elapsed().as_secs_f64(),
        bed.control_plane.apiserver_version(),
        bed.control_plane.server()
    );
    let outcome = tell(&bed, &mut progress).await;
    if outcome.is_err() {
        bed.leave_evidence().await;
    }
    bed.tidy().await;
    outcome.map(|()| progress.told)
}

async fn tell(bed: &Bed, progress: &mut Progress) -> Result<(), Failure> {
    if let Some(Instead::Soak(options)) = &bed.args.instead {
        return soak::run(bed, progress, options).await;
    }
    installation::prepare(bed, progress, &salesforce::orgs_of_the_story()?).await?;
    if bed.owns_node() {
        versions::upgrade(bed, progress).await?;
    }
    installation::install(bed, progress).await?;
    documents::read(bed, progress).await?;
    story::tell(bed, progress).await?;
    facts::print(bed, progress).await?;
    limits::try_each(bed, progress).await?;
    hostile::try_each(bed, progress).await?;
    upheaval::try_each(bed, progress).await
}

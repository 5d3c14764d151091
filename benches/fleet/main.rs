//! A fleet of integrations on a real control plane: the time until all are Ready, and its cost for
//! the controller.
//!
//! It has two scenarios. `start`: all objects exist, and the controller starts. `applied`: the
//! controller runs, and all objects are applied at once. It prints results without a verdict,
//! because numbers depend on the machine. docs/performance.md describes the measurements and what
//! they are compared with.

mod bed;
mod controller;
mod table;
mod tenants;
mod traffic;

use std::collections::BTreeMap;
use std::error::Error;
use std::future::Future;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::{Parser, ValueEnum};
use switchboard::decide::rules::config::RunsWhere;
use switchboard_testbed::{AuditEvent, Usage};

use crate::bed::Bed;
use crate::controller::Controller;

/// Time limit of each step; beyond it, something is broken.
const DEADLINE: Duration = Duration::from_secs(600);

type Result<T, E = Box<dyn Error + Send + Sync>> = std::result::Result<T, E>;

/// Measures a fleet.
#[derive(Parser)]
struct Args {
    /// Integrations.
    #[arg(long, default_value_t = 500)]
    count: usize,
    /// How long Salesforce takes for an answer.
    #[arg(long, default_value_t = 20)]
    latency_ms: u64,
    /// Secrets in the cluster that no integration names.
    #[arg(long, default_value_t = 0)]
    foreign_secrets: usize,
    /// Size of each of them.
    #[arg(long, default_value_t = 1_000_000)]
    foreign_bytes: usize,
    /// A credential for each integration, or one for all.
    #[arg(long, value_enum, default_value = "own")]
    credentials: Credentials,
    /// Integrations that share an org; each its own when not given, as most tenants have.
    #[arg(long, default_value_t = 1)]
    users_in_an_org: usize,
    /// Users in the call center of each integration; no call center when not given.
    #[arg(long, default_value_t = 0)]
    call_center_users: usize,
    /// Only connections: no runs, so no CronJobs and no tokens.
    #[arg(long)]
    connections_only: bool,
    /// What to measure; both when not given.
    #[arg(long, value_enum)]
    scenario: Option<Scenario>,
    /// How long to count writes when all is Ready.
    #[arg(long, default_value_t = 60)]
    quiet_seconds: u64,
    /// Calls are looked up as they end, by the controller itself.
    #[arg(long)]
    after_call: bool,
    /// Where the runs of --after-call are: in the controller, or pods every five minutes.
    #[arg(long, value_enum, default_value_t = RunsWhere::Resident)]
    runs_where: RunsWhere,
    /// When all is Ready, the controller is ended and another one started.
    #[arg(long)]
    restart: bool,
    /// Calls that end in a second, when all is Ready; needs --after-call.
    #[arg(long, default_value_t = 0, requires = "after_call")]
    calls_a_second: u64,
    /// Callers that ring in a second.
    #[arg(long, default_value_t = 0)]
    rings_a_second: u64,
    /// For how long calls end, and callers ring.
    #[arg(long, default_value_t = 60)]
    traffic_seconds: u64,
    /// The program to measure: the one that the image holds.
    #[arg(long, default_value = "target/dist/switchboard")]
    binary: PathBuf,
    /// Print the controller's output, too.
    #[arg(long)]
    verbose: bool,
    /// Cargo says so to every bench.
    #[arg(long, hide = true)]
    bench: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Credentials {
    Own,
    Shared,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Scenario {
    /// Everything is there; the controller starts.
    Start,
    /// The controller runs; everything is applied at once.
    Applied,
}

/// The results of one scenario.
struct Measured {
    half_ready: Duration,
    all_ready: Duration,
    settled: Duration,
    usage: Usage,
    usage_at_end: Usage,
    logins: usize,
    api_calls: u64,
    connections: u64,
    requests: BTreeMap<String, usize>,
    quiet_writes: Vec<AuditEvent>,
    reconciles: u64,
    quiet_reconciles: u64,
    delays: Vec<(Duration, Duration)>,
}

#[tokio::main]
async fn main() -> Result<()> {
    let args = Args::parse();
    // The whole program uses one TLS provider; this is the first use.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    println!(
        "{} {}, {} credentials, {} in an org, {} users in each call center, Salesforce answers in {} ms, {} foreign Secrets of {} bytes, {}",
        args.count,
        if args.connections_only {
            "connections"
        } else {
            "integrations"
        },
        if args.credentials == Credentials::Own {
            "own"
        } else {
            "shared"
        },
        args.users_in_an_org,
        args.call_center_users,
        args.latency_ms,
        args.foreign_secrets,
        args.foreign_bytes,
        table::machine()
    );
    for scenario in [Scenario::Start, Scenario::Applied] {
        if args.scenario.is_none_or(|wanted| wanted == scenario) {
            let measured = measure(&args, scenario).await?;
            table::print(scenario, &args, &measured);
        }
    }
    Ok(())
}

// === The course of a scenario ===

async fn measure(args: &Args, scenario: Scenario) -> Result<Measured> {
    let bed = Bed::start(args).await?;
    eprintln!(
        "{scenario:?}: the control plane runs, {} Secrets are made",
        args.count + args.foreign_secrets
    );
    let (controller, began) = match scenario {
        Scenario::Start => {
            bed.apply_fleet(args).await?;
            bed.simulator.reset_counters();
            let began = Instant::now();
            (bed.start_controller(args).await?, began)
        }
        Scenario::Applied => {
            let controller = bed.start_controller(args).await?;
            controller.until_serving().await?;
            (controller, Instant::now())
        }
    };
    let mark = bed.control_plane.audit_mark()?;
    let applied = async {
        match scenario {
            Scenario::Start => Ok(()),
            Scenario::Applied => bed.apply_fleet(args).await,
        }
    };
    let ready = bed.until_ready(args.count, began);
    let (_, (half_ready, all_ready)) = in_time("all to be Ready", async {
        tokio::try_join!(applied, ready)
    })
    .await
    .inspect_err(|_| eprintln!("{}", controller.process.text()))?;
    let usage = controller.usage()?;
    let counters = bed.simulator.counters();
    // Events and CronJobs are written after the status.
    controller.until_idle().await?;
    let settled = began.elapsed();
    let requests = by_kind(&ours(bed.control_plane.audit_since(mark)?));
    let reconciles = controller.reconciles().await?;

    if args.calls_a_second > 0 {
        traffic::calls(&bed, args).await?;
    }
    if args.rings_a_second > 0 {
        traffic::rings(&bed, args).await?;
    }
    if args.after_call {
        controller.until_idle().await?;
        traffic::idle(&bed, &controller, args).await?;
    }

    let mark = bed.control_plane.audit_mark()?;
    tokio::time::sleep(Duration::from_secs(args.quiet_seconds)).await;
    let quiet_writes = our_writes(bed.control_plane.audit_since(mark)?);
    let quiet_reconciles = controller.reconciles().await? - reconciles;
    let delays = bed.secret_changes(args).await?;
    let usage_at_end = controller.usage()?;
    end(controller, args).await?;
    if args.restart {
        restart(&bed, args).await?;
    }
    Ok(Measured {
        half_ready,
        all_ready,
        settled,
        usage,
        usage_at_end,
        logins: counters.logins.len(),
        api_calls: counters.api_calls(),
        connections: counters.connections,
        requests,
        quiet_writes,
        reconciles,
        quiet_reconciles,
        delays,
    })
}

async fn end(controller: Controller, args: &Args) -> Result<()> {
    if args.verbose {
        println!("{}", controller.process.text());
    }
    controller
        .process
        .terminate(Duration::from_secs(20))
        .await?;
    Ok(())
}

/// Prints what a controller costs that finds a fleet as another one left it.
async fn restart(bed: &Bed, args: &Args) -> Result<()> {
    bed.simulator.reset_counters();
    let mark = bed.control_plane.audit_mark()?;
    let began = Instant::now();
    let controller = bed.start_controller(args).await?;
    controller.until_serving().await?;
    let serving = began.elapsed();
    controller.until_idle().await?;
    let settled = began.elapsed();
    let writes = our_writes(bed.control_plane.audit_since(mark)?);
    let usage = controller.usage()?;
    println!("\n{} integrations, the controller starts anew", args.count);
    table::row(
        "all watches have read their lists, settled",
        format!(
            "{:.2} s, {:.2} s",
            serving.as_secs_f64(),
            settled.as_secs_f64()
        ),
    );
    let counters = bed.simulator.counters();
    table::row(
        "log-ins, Salesforce API calls, API writes",
        format!(
            "{}, {}, {}",
            counters.logins.len(),
            counters.api_calls(),
            writes.len()
        ),
    );
    for (kind, times) in by_kind(&writes) {
        table::row(&format!("  {kind}"), times.to_string());
    }
    table::row("controller", table::usage(&usage));
    end(controller, args).await
}

/// Fails when an event that normally takes seconds does not happen before the deadline.
async fn in_time<T>(what: &str, done: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::time::timeout(DEADLINE, done)
        .await
        .map_err(|_| format!("waited {DEADLINE:?} for {what}"))?
}

/// Selects the requests of the controller.
fn ours(events: Vec<AuditEvent>) -> Vec<AuditEvent> {
    events
        .into_iter()
        .filter(|event| event.user_agent.contains("switchboard"))
        .collect()
}

/// Selects the writes of the controller.
fn our_writes(events: Vec<AuditEvent>) -> Vec<AuditEvent> {
    let ours = ours(events).into_iter();
    ours.filter(AuditEvent::is_write).collect()
}

fn by_kind(events: &[AuditEvent]) -> BTreeMap<String, usize> {
    let mut kinds = BTreeMap::new();
    for event in events.iter().filter(|event| event.verb != "watch") {
        let what = [event.resource.as_str(), event.subresource.as_str()]
            .into_iter()
            .filter(|part| !part.is_empty())
            .collect::<Vec<_>>()
            .join("/");
        *kinds
            .entry(format!("{} {what} {}", event.verb, event.code))
            .or_default() += 1;
    }
    kinds
}

//! A soak: twenty tenants on a real node for hours. Calls come in all the time, and one fault after
//! the other strikes whatever there is. In the end every call must have its name, and no process
//! may have grown. `make soak` runs it; its report is a page with graphs.

mod calls;
mod faults;
mod flat;
mod graph;
mod logs;
mod plan;
mod report;
mod tenants;
mod verdict;
mod watch;

use std::cell::RefCell;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use kube::Api;
use kube::api::ListParams;
use serde_json::json;
use switchboard::api::{RUN_REQUESTED_AT, SalesforceIntegration};
use tokio_util::sync::CancellationToken;

use self::calls::Platform;
use self::logs::{Logs, Needles};
use self::plan::{Kind, Planned};
use self::tenants::{Mode, NUMBERS, TENANTS, Tenant, Truth};
use self::verdict::Finding;
use self::watch::Watched;
use crate::bed::{Bed, OPERATOR, SOON};
use crate::{Failure, Progress, installation};

/// How long the installation has in the end to put everything in order.
const SETTLED: Duration = Duration::from_secs(600);
/// How long calls have in the end to be taken.
const TAKEN: Duration = Duration::from_secs(180);
/// The pause between two runs that are asked for, each of the next tenant that has none by itself.
const ASKED: Duration = Duration::from_secs(60);
/// The least time between two faults, when one takes longer than it was planned to.
const BREATH: Duration = Duration::from_secs(15);

/// How long, and from which seed.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Options {
    /// Hours that calls and faults go on; fractions are allowed.
    #[arg(long, default_value_t = 24.0)]
    hours: f64,
    /// Minutes instead.
    #[arg(long, conflicts_with = "hours")]
    minutes: Option<f64>,
    /// What numbers, calls and faults are drawn from; a new one when absent.
    #[arg(long)]
    seed: Option<u64>,
    /// Calls a second, of all tenants together.
    #[arg(long, default_value_t = 1.0)]
    calls: f64,
    /// Where the report goes.
    #[arg(long, default_value = "target/soak/report.html")]
    report: PathBuf,
}

/// A fault that was played.
#[derive(Clone, Debug)]
struct Played {
    kind: Kind,
    /// Seconds of the soak.
    began: f64,
    /// Seconds of the soak.
    ended: f64,
    /// What happened, or why it could not be played.
    happened: Result<String, String>,
}

// === impl Options ===

impl Options {
    fn length(&self) -> Result<Duration, Failure> {
        let hours = self.minutes.map_or(self.hours, |minutes| minutes / 60.0);
        let seconds = hours * 3600.0;
        match Duration::try_from_secs_f64(seconds) {
            Ok(length) if seconds >= 120.0 => Ok(length),
            _ => Err(format!(
                "--hours: a soak of {hours} hours is none; it takes two minutes at least"
            )
            .into()),
        }
    }
}

/// Installs everything, lets it run, judges, and writes the report.
pub(crate) async fn run(
    bed: &Bed,
    progress: &mut Progress,
    options: &Options,
) -> Result<(), Failure> {
    if !bed.owns_node() {
        return Err(
            "a soak reads the processes of its node: it needs the one that it starts".into(),
        );
    }
    let length = options.length()?;
    let seed = options
        .seed
        .unwrap_or_else(|| u64::from(rand::random::<u32>()));
    println!("soak: seed {seed}, {} minutes", length.as_secs() / 60);
    // Before anybody goes on to work in this folder.
    let revision = revision();
    let tenants = Tenant::all();
    let truth = RefCell::new(Truth::new());
    let orgs = truth.borrow().orgs(&tenants).to_string();
    installation::prepare(bed, progress, &orgs).await?;
    installation::install(bed, progress).await?;
    let client = bed.control_plane.client();
    progress
        .must("twenty tenants become Ready", async {
            let manifests = Tenant::manifests(&tenants, &truth.borrow()).to_string();
            bed.apply(&manifests).await?;
            bed.until("all to be Ready", 2 * SOON, async || {
                all_ready(&client).await
            })
            .await?;
            Ok(String::new())
        })
        .await?;

    let logs = RefCell::new(logs_of(bed, &truth.borrow()));
    let watched = RefCell::new(Watched::default());
    let platform = Platform::new(bed, &tenants, &truth, Instant::now())?;
    let (no_calls, over) = (CancellationToken::new(), CancellationToken::new());
    let story = async {
        let played = play(bed, &platform, &tenants, &truth, seed, length).await;
        no_calls.cancel();
        println!("[{:6.0} s] calls end", platform.now());
        let findings = settle(bed, &client, &platform, &tenants, &truth).await;
        over.cancel();
        (played, findings)
    };
    let calls = async {
        let all = platform.call(seed, options.calls, &no_calls);
        let end = async {
            no_calls.cancelled().await;
            tokio::time::sleep(TAKEN).await;
        };
        tokio::select! { () = all => {}, () = end => {} }
    };
    let ((played, mut findings), ..) = tokio::join!(
        story,
        calls,
        platform.see_names(&over),
        ask_for_runs(bed, &tenants, &over),
        watch::watch(&platform, &client, &watched, &logs, &over),
    );
    watch::look(&platform, &client, &watched, &logs).await;
    let versions = versions(bed).await;

    let (watched, ledger, logs) = (
        watched.into_inner(),
        platform.ledger.borrow(),
        logs.borrow(),
    );
    findings.push(verdict::restarts(&watched, &played));
    findings.extend(verdict::flat(&watched));
    let wrong: Vec<String> = logs.found.iter().cloned().collect();
    findings.push(Finding::of(
        "No secret and no phone number stands in a log of the installation",
        format!("{} kB of logs were read", logs.bytes / 1000),
        &wrong,
    ));
    let wrong: Vec<String> = played
        .iter()
        .filter_map(|fault| {
            Some(format!(
                "{}: {}",
                fault.kind.words(),
                fault.happened.as_ref().err()?
            ))
        })
        .collect();
    findings.push(Finding::of(
        "Each fault came and went",
        format!("{} faults", played.len()),
        &wrong,
    ));
    let rings = ledger.rings;
    let mut facts = vec![
        ("seed", seed.to_string()),
        ("revision of the soak", revision),
        (
            "length",
            format!(
                "{:.0} minutes of calls and faults, {:.0} with the end",
                length.as_secs_f64() / 60.0,
                platform.now() / 60.0
            ),
        ),
        (
            "calls",
            format!(
                "{} of {TENANTS} tenants, {} a second",
                ledger.calls.len(),
                options.calls
            ),
        ),
        ("time to name", report::time_to_name(&ledger, &tenants)),
        (
            "rings",
            format!(
                "{}: {} with the name, {} with nobody, {} unanswered",
                rings.rang, rings.known, rings.nobody, rings.unanswered
            ),
        ),
    ];
    let stalls: Vec<String> = watch::stalls(&watched.seen)
        .iter()
        .map(|(from, to)| format!("{:.0} s from {from:.0} s on", to - from))
        .collect();
    if !stalls.is_empty() {
        facts.push(("nothing was seen for", stalls.join(", ")));
    }
    facts.extend(versions);
    let page = report::page(&report::Told {
        facts,
        findings: &findings,
        played: &played,
        watched: &watched,
        ledger: &ledger,
        tenants: &tenants,
        length: platform.now(),
    });
    if let Some(folder) = options.report.parent() {
        std::fs::create_dir_all(folder)?;
    }
    std::fs::write(&options.report, page)?;
    for finding in &findings {
        let word = if finding.holds {
            "holds"
        } else {
            "DOES NOT HOLD"
        };
        println!("{word}: {}: {}", finding.rule, finding.seen);
    }
    println!("soak: the report is {}", options.report.display());
    let broken = findings.iter().filter(|finding| !finding.holds).count();
    match broken {
        0 => Ok(()),
        broken => Err(format!("{broken} rules do not hold; again with SEED={seed}").into()),
    }
}

/// Plays the plan, and lets the calm pass that ends it.
async fn play(
    bed: &Bed,
    platform: &Platform<'_>,
    tenants: &[Tenant],
    truth: &RefCell<Truth>,
    seed: u64,
    length: Duration,
) -> Vec<Played> {
    let mut played: Vec<Played> = Vec::new();
    let until = async |at: f64| {
        let left = (at - platform.now()).max(0.0);
        tokio::time::sleep(Duration::from_secs_f64(left)).await;
    };
    let last = (length - plan::calm(length)).as_secs_f64();
    for fault in plan::plan(seed, length) {
        let breath = played
            .last()
            .map_or(0.0, |last| last.ended + BREATH.as_secs_f64());
        until(fault.begins.as_secs_f64().max(breath)).await;
        if platform.now() > last {
            break; // Those before took longer than planned.
        }
        played.push(play_one(bed, platform, tenants, truth, &fault).await);
    }
    until(length.as_secs_f64()).await;
    played
}

async fn play_one(
    bed: &Bed,
    platform: &Platform<'_>,
    tenants: &[Tenant],
    truth: &RefCell<Truth>,
    fault: &Planned,
) -> Played {
    let began = platform.now();
    let happened = faults::play(bed, tenants, truth, fault).await;
    let played = Played {
        kind: fault.kind,
        began,
        ended: platform.now(),
        happened: happened.map_err(|failure| failure.to_string()),
    };
    let words = match &played.happened {
        Ok(words) => words.clone(),
        Err(failure) => format!("FAILED: {failure}"),
    };
    let took = played.ended - began;
    println!(
        "[{began:6.0} s] {} ({took:.0} s) {words}",
        fault.kind.words()
    );
    played
}

/// Asks for runs of the tenants that have one a day, one after the other.
async fn ask_for_runs(bed: &Bed, tenants: &[Tenant], stop: &CancellationToken) {
    let daily = tenants.iter().filter(|tenant| tenant.mode == Mode::Daily);
    for tenant in daily.cycle() {
        if stop
            .run_until_cancelled(tokio::time::sleep(ASKED))
            .await
            .is_none()
        {
            return;
        }
        ask_for_run(bed, tenant).await;
    }
}

/// Asks for a run. While the API server is away nobody does.
async fn ask_for_run(bed: &Bed, tenant: &Tenant) {
    let wish = jiff::Timestamp::now().to_string();
    let wish = json!({"metadata": {"annotations": {RUN_REQUESTED_AT: wish}}});
    let _ = faults::patch(bed, tenant, &wish).await;
}

/// Waits until all holds that must hold of calls and integrations, and says what does.
async fn settle(
    bed: &Bed,
    client: &kube::Client,
    platform: &Platform<'_>,
    tenants: &[Tenant],
    truth: &RefCell<Truth>,
) -> Vec<Finding> {
    let end = Instant::now() + SETTLED;
    let mut asked = Instant::now();
    loop {
        let findings = judge(client, platform, tenants, truth).await;
        let is_over = Instant::now() >= end;
        match findings {
            Ok(findings) if is_over || findings.iter().all(|finding| finding.holds) => {
                return findings;
            }
            Err(failure) if is_over => {
                let rule = "The directory tells its calls";
                return vec![Finding::of(rule, String::new(), &[failure.to_string()])];
            }
            Ok(findings) => {
                let open = findings.iter().filter(|finding| !finding.holds);
                open.for_each(|open| println!("[{:6.0} s] not yet: {}", platform.now(), open.seen));
            }
            Err(failure) => println!("[{:6.0} s] not yet: {failure}", platform.now()),
        }
        if asked.elapsed() >= ASKED {
            asked = Instant::now();
            for tenant in tenants.iter().filter(|tenant| tenant.mode == Mode::Daily) {
                ask_for_run(bed, tenant).await;
            }
        }
        tokio::time::sleep(BREATH).await;
    }
}

async fn judge(
    client: &kube::Client,
    platform: &Platform<'_>,
    tenants: &[Tenant],
    truth: &RefCell<Truth>,
) -> Result<Vec<Finding>, Failure> {
    let mut told = Vec::new();
    for tenant in 0..tenants.len() {
        let history = platform.history(tenant, None).await?;
        told.push(history.iter().map(verdict::Told::of).collect());
    }
    let unready = all_ready(client)
        .await
        .err()
        .map(|failure| failure.to_string());
    let ledger = platform.ledger.borrow();
    let untaken: Vec<String> = (0..ledger.calls.len())
        .filter(|id| ledger.calls[*id].taken.is_none())
        .map(|id| format!("call {id}"))
        .collect();
    Ok(vec![
        Finding::of(
            "Each call was taken in the end",
            format!("{} were sent", ledger.calls.len()),
            &untaken,
        ),
        verdict::calls(tenants, &truth.borrow(), &ledger, &told),
        Finding::of(
            "No name was shown that never was the caller's",
            format!("{} rings", ledger.rings.rang),
            &ledger.wrong,
        ),
        Finding::of(
            "All integrations are Ready",
            format!("{TENANTS} integrations"),
            unready.as_slice(),
        ),
    ])
}

/// Fails with the names of those that are not Ready.
async fn all_ready(client: &kube::Client) -> Result<(), Failure> {
    let all: Api<SalesforceIntegration> = Api::all(client.clone());
    let all = all.list(&ListParams::default()).await?.items;
    let unready: Vec<String> = all
        .iter()
        .filter(|one| !watch::is_ready(one))
        .filter_map(|one| one.metadata.name.clone())
        .collect();
    match unready.as_slice() {
        [] if all.len() == TENANTS => Ok(()),
        [] => Err(format!("there are {} integrations", all.len()).into()),
        names => Err(names.join(", ").into()),
    }
}

/// The logs of the node's pods, and what must not be in them.
fn logs_of(bed: &Bed, truth: &Truth) -> Logs {
    let numbers = (0..TENANTS)
        .flat_map(|org| (0..NUMBERS).map(move |number| tenants::significant(org, number)))
        .collect();
    let secrets = truth.secrets().into_iter().collect();
    let folder = bed.control_plane.dir().join("pods-logs");
    Logs::new(folder, Needles { secrets, numbers })
}

/// The revision of this program, as far as the folder that it runs in says so.
fn revision() -> String {
    let mut git = std::process::Command::new("git");
    let output = git.args(["describe", "--always", "--dirty"]).output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    text.unwrap_or_default()
}

/// What was played, for the report.
async fn versions(bed: &Bed) -> Vec<(&'static str, String)> {
    let image = bed.pods("controller").await.ok().and_then(|pods| {
        let status = &pods.first()?["status"]["containerStatuses"][0];
        Some(format!(
            "{} {}",
            bed.args.image,
            status["imageID"].as_str()?
        ))
    });
    let chart = bed
        .helm(&["list", "--output", "json"])
        .await
        .unwrap_or_default();
    let chart: serde_json::Value = serde_json::from_str(&chart).unwrap_or_default();
    let chart = chart[0]["chart"].as_str().unwrap_or("?").to_owned();
    vec![
        ("played on", jiff::Timestamp::now().to_string()),
        ("image", image.unwrap_or_else(|| bed.args.image.clone())),
        ("chart", format!("{chart} in {OPERATOR}")),
        (
            "Kubernetes",
            bed.control_plane.apiserver_version().to_owned(),
        ),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hours_and_minutes_are_a_length() {
        let options = |hours, minutes| Options {
            hours,
            minutes,
            seed: None,
            calls: 1.0,
            report: PathBuf::new(),
        };
        let length = |hours, minutes| options(hours, minutes).length().ok();
        assert_eq!(length(0.5, None), Some(Duration::from_secs(1800)));
        assert_eq!(length(24.0, Some(30.0)), Some(Duration::from_secs(1800)));
        for none in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert_eq!(length(none, None), None);
        }
    }
}

//! A fleet of integrations on a real control plane: how long until all are Ready, and what that costs the controller.
//!
//! Two scenarios. `start`: everything is there, and the controller starts. `applied`: the controller runs, and everything is applied at
//! once. It prints and judges nothing: numbers depend on the machine. docs/performance.md tells what was measured, and against what.

use std::collections::BTreeMap;
use std::error::Error;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use base64::Engine;
use clap::{Parser, ValueEnum};
use futures::{StreamExt, TryStreamExt, stream};
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::{Namespace, Secret};
use kube::api::{ApiResource, ObjectMeta, Patch, PatchParams, PostParams};
use kube::core::Object;
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Api, Client, ResourceExt};
use rand::RngCore;
use salesforce_simulator::{Org, Simulator, User, World};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use switchboard::api::SalesforceIntegration;
use switchboard_testbed::{AuditEvent, ControlPlane, Process, Usage};
use tempfile::TempDir;

/// Where the fleet is.
const FLEET: &str = "fleet";
/// Where Secrets are that are nobody's business.
const FOREIGN: &str = "foreign";
/// Users in one org: many tenants are departments of one company.
const USERS_IN_AN_ORG: usize = 50;
/// How often the delay of a changed Secret is measured.
const CHANGES: usize = 10;
/// Requests of the bench that go on at once while it prepares and applies.
const AT_ONCE: usize = 32;
/// When it takes longer than that, something is broken.
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
    /// What to measure; both when not given.
    #[arg(long, value_enum)]
    scenario: Option<Scenario>,
    /// How long to count writes when all is Ready.
    #[arg(long, default_value_t = 60)]
    quiet_seconds: u64,
    /// The program to measure.
    #[arg(long, default_value = "target/release/switchboard")]
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

/// An integration, as little of it as tells whether it is Ready.
type Watched = Object<Ignored, Standing>;

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
struct Ignored {}

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
struct Standing {
    conditions: Vec<Condition>,
    connection: Connection,
}

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
struct Condition {
    #[serde(rename = "type")]
    type_: String,
    status: String,
}

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
struct Connection {
    credentials_version: Option<String>,
}

/// What one scenario came to.
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
    // The whole program uses one provider; this is the first use.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    println!(
        "{} integrations, {} credentials, Salesforce answers in {} ms, {} foreign Secrets of {} bytes, {}",
        args.count,
        if args.credentials == Credentials::Own {
            "own"
        } else {
            "shared"
        },
        args.latency_ms,
        args.foreign_secrets,
        args.foreign_bytes,
        machine()
    );
    for scenario in [Scenario::Start, Scenario::Applied] {
        if args.scenario.is_none_or(|wanted| wanted == scenario) {
            let measured = measure(&args, scenario).await?;
            print(scenario, &args, &measured);
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
    // Events and CronJobs follow the status.
    controller.until_idle().await?;
    let settled = began.elapsed();
    let requests = by_kind(&ours(bed.control_plane.audit_since(mark)?));
    let reconciles = controller.reconciles().await?;

    let mark = bed.control_plane.audit_mark()?;
    tokio::time::sleep(Duration::from_secs(args.quiet_seconds)).await;
    let quiet_writes = ours(bed.control_plane.audit_since(mark)?)
        .into_iter()
        .filter(AuditEvent::is_write)
        .collect();
    let quiet_reconciles = controller.reconciles().await? - reconciles;
    let delays = bed.secret_changes(args).await?;
    let usage_at_end = controller.usage()?;
    if args.verbose {
        println!("{}", controller.process.text());
    }
    controller
        .process
        .terminate(Duration::from_secs(20))
        .await?;
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

/// Fails when what should come within seconds does not come at all.
async fn in_time<T>(what: &str, done: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::time::timeout(DEADLINE, done)
        .await
        .map_err(|_| format!("waited {DEADLINE:?} for {what}"))?
}

/// Requests that the controller sent.
fn ours(events: Vec<AuditEvent>) -> Vec<AuditEvent> {
    events
        .into_iter()
        .filter(|event| event.user_agent.contains("switchboard"))
        .collect()
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

// === impl Bed ===

/// Everything but the controller.
struct Bed {
    control_plane: ControlPlane,
    client: Client,
    simulator: Simulator,
    dir: TempDir,
}

impl Bed {
    /// Starts it and makes the Secrets.
    async fn start(args: &Args) -> Result<Bed> {
        let control_plane = ControlPlane::start().await?;
        control_plane
            .kubectl_apply(&switchboard::api::crd::yaml()?)
            .await?
            .expect_success();
        control_plane
            .kubectl([
                "wait",
                "--for=condition=Established",
                "crd/salesforceintegrations.switchboard.dev",
                "--timeout=30s",
            ])
            .await?
            .expect_success();
        let bed = Bed {
            client: control_plane.client(),
            control_plane,
            simulator: Simulator::start(world(args)).await?,
            dir: tempfile::tempdir()?,
        };
        std::fs::write(
            bed.path("token.key"),
            base64::engine::general_purpose::STANDARD.encode([7; 32]),
        )?;
        std::fs::write(bed.path("salesforce-ca.pem"), bed.simulator.ca_pem())?;
        for namespace in [FLEET, FOREIGN] {
            let namespace: Namespace =
                serde_json::from_value(json!({"metadata": {"name": namespace}}))?;
            Api::all(bed.client.clone())
                .create(&PostParams::default(), &namespace)
                .await?;
        }
        let secrets = (0..args.foreign_secrets).map(|number| foreign_secret(args, number));
        bed.create_all(FOREIGN, stream::iter(secrets), 4).await?;
        let names = (0..secrets_of(args)).map(|number| {
            Ok(tenant_secret(
                &name_of(number),
                &password(&user_of(number), 0),
            ))
        });
        bed.create_all(FLEET, stream::iter(names), AT_ONCE).await?;
        Ok(bed)
    }

    fn path(&self, file: &str) -> PathBuf {
        self.dir.path().join(file)
    }

    async fn create_all<K>(
        &self,
        namespace: &str,
        objects: impl StreamExt<Item = Result<K>>,
        at_once: usize,
    ) -> Result<()>
    where
        K: kube::Resource<DynamicType = (), Scope = kube::core::NamespaceResourceScope>
            + Clone
            + std::fmt::Debug
            + Serialize
            + serde::de::DeserializeOwned,
    {
        let api = Api::<K>::namespaced(self.client.clone(), namespace);
        let params = PostParams::default();
        objects
            .try_for_each_concurrent(at_once, |object| {
                let (api, params) = (&api, &params);
                async move { Ok(api.create(params, &object).await.map(drop)?) }
            })
            .await
    }

    /// Applies all integrations.
    async fn apply_fleet(&self, args: &Args) -> Result<()> {
        let login_url = self.simulator.url().trim_end_matches('/').to_owned();
        let fleet = (0..args.count).map(|number| {
            let manifest = integration(number, secret_number(args, number), &login_url);
            Ok(serde_json::from_value::<SalesforceIntegration>(manifest)?)
        });
        self.create_all(FLEET, stream::iter(fleet), AT_ONCE).await
    }

    async fn start_controller(&self, args: &Args) -> Result<Controller> {
        let binary = if args.binary.is_absolute() {
            args.binary.clone()
        } else {
            Path::new(env!("CARGO_MANIFEST_DIR")).join(&args.binary)
        };
        let process = Process::builder("controller", binary)
            .arg("controller")
            .arg("--listen=127.0.0.1:0")
            .arg("--worker-image=switchboard:bench")
            .arg("--directory-url=http://127.0.0.1:9")
            .arg(format!(
                "--token-key-file={}",
                self.path("token.key").display()
            ))
            .arg(format!(
                "--ca-bundle={}",
                self.path("salesforce-ca.pem").display()
            ))
            .arg("--salesforce-hosts=localhost,127.0.0.1")
            .arg("--allow-private-networks")
            .env("KUBECONFIG", self.control_plane.kubeconfig_path().display())
            .start()
            .await?;
        let line = process
            .wait_for_text("health is told here", DEADLINE)
            .await?;
        let line: Value = serde_json::from_str(&line)?;
        let address = line["address"].as_str().ok_or("no address in the log")?;
        Ok(Controller {
            url: format!("http://{address}"),
            process,
        })
    }

    /// How long it took until half and all of the fleet were Ready.
    async fn until_ready(&self, count: usize, began: Instant) -> Result<(Duration, Duration)> {
        let mut ready = std::collections::BTreeSet::new();
        let mut half = None;
        let mut events = std::pin::pin!(watcher(self.watched(), watcher::Config::default()));
        while let Some(event) = events.try_next().await? {
            let (Event::Apply(object) | Event::InitApply(object)) = event else {
                continue;
            };
            if is_ready(&object) {
                ready.insert(object.name_any());
            }
            if half.is_none() && ready.len() * 2 >= count {
                half = Some(began.elapsed());
            }
            if ready.len() == count {
                let all = began.elapsed();
                return Ok((half.unwrap_or(all), all));
            }
        }
        Err("the watch of the bench ended".into())
    }

    fn watched(&self) -> Api<Watched> {
        let resource = ApiResource::erase::<SalesforceIntegration>(&());
        Api::namespaced_with(self.client.clone(), FLEET, &resource)
    }

    /// How long it takes from the change of a Secret to the status that tells of the new credential, and how much of that Salesforce took.
    async fn secret_changes(&self, args: &Args) -> Result<Vec<(Duration, Duration)>> {
        let secrets = Api::<Secret>::namespaced(self.client.clone(), FLEET);
        let (secret, user) = (secret_name(&name_of(0)), user_of(0));
        let mut events = std::pin::pin!(watcher(
            self.watched(),
            watcher::Config::default().fields(&format!("metadata.name={}", name_of(0)))
        ));
        let mut known = None;
        while known.is_none() {
            known = version_of(events.try_next().await?);
        }
        let mut delays = vec![];
        for change in 1..=CHANGES {
            let password = password(&user, change);
            self.simulator
                .edit_user(&user, |user| user.password.clone_from(&password))?;
            self.simulator.reset_counters();
            let patch = Patch::Merge(json!({"stringData": {"password": password}}));
            let began = Instant::now();
            secrets
                .patch(&secret, &PatchParams::default(), &patch)
                .await?;
            in_time("the status to follow the Secret", async {
                loop {
                    let seen = version_of(events.try_next().await?);
                    if seen.is_some() && seen != known {
                        known = seen;
                        return Ok(());
                    }
                }
            })
            .await?;
            let took = began.elapsed();
            // With a shared credential the others follow; what they ask is not part of this one's way.
            let rounds = self.simulator.counters().requests.min(4);
            delays.push((took, Duration::from_millis(args.latency_ms * rounds)));
        }
        Ok(delays)
    }
}

fn is_ready(object: &Watched) -> bool {
    object.status.as_ref().is_some_and(|status| {
        status
            .conditions
            .iter()
            .any(|condition| condition.type_ == "Ready" && condition.status == "True")
    })
}

/// The credential that the status of a Ready integration tells of.
fn version_of(event: Option<Event<Watched>>) -> Option<String> {
    match event {
        Some(Event::Apply(object) | Event::InitApply(object)) if is_ready(&object) => {
            object.status?.connection.credentials_version
        }
        _ => None,
    }
}

// === impl Controller ===

/// The controller's process and where its metrics are.
struct Controller {
    process: Process,
    url: String,
}

impl Controller {
    fn usage(&self) -> Result<Usage> {
        Ok(self.process.usage().ok_or("the controller has ended")?)
    }

    async fn until_serving(&self) -> Result<()> {
        in_time("the controller to be ready", async {
            while !reqwest::get(format!("{}/readyz", self.url))
                .await?
                .status()
                .is_success()
            {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            Ok(())
        })
        .await
    }

    /// Waits until nothing is reconciled for a second.
    async fn until_idle(&self) -> Result<()> {
        in_time("the controller to be idle", async {
            let mut last = (f64::NAN, f64::NAN);
            loop {
                let metrics = self.metrics().await?;
                let now = (
                    sum(&metrics, "switchboard_reconciling"),
                    sum(&metrics, "switchboard_reconciles_total"),
                );
                if now.0 == 0.0 && now == last {
                    return Ok(());
                }
                last = now;
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        })
        .await
    }

    async fn reconciles(&self) -> Result<u64> {
        Ok(sum(&self.metrics().await?, "switchboard_reconciles_total") as u64)
    }

    async fn metrics(&self) -> Result<String> {
        Ok(reqwest::get(format!("{}/metrics", self.url))
            .await?
            .text()
            .await?)
    }
}

/// The sum over all labels of a metric.
fn sum(metrics: &str, name: &str) -> f64 {
    metrics
        .lines()
        .filter(|line| {
            line.strip_prefix(name)
                .is_some_and(|rest| rest.starts_with(['{', ' ']))
        })
        .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
        .sum()
}

// === The fleet ===

fn world(args: &Args) -> World {
    let numbers: Vec<usize> = (0..secrets_of(args)).collect();
    numbers
        .chunks(USERS_IN_AN_ORG)
        .enumerate()
        .fold(World::new(), |world, (org, users)| {
            let org =
                Org::enterprise(&format!("Org {org}")).with(|org| org.latency_ms = args.latency_ms);
            world.org(users.iter().fold(org, |org, number| {
                let user = user_of(*number);
                org.user(User::integration(&user).password(&password(&user, 0)))
            }))
        })
}

/// How many credentials there are.
fn secrets_of(args: &Args) -> usize {
    match args.credentials {
        Credentials::Own => args.count,
        Credentials::Shared => 1,
    }
}

fn secret_number(args: &Args, number: usize) -> usize {
    match args.credentials {
        Credentials::Own => number,
        Credentials::Shared => 0,
    }
}

fn name_of(number: usize) -> String {
    format!("tenant-{number:05}")
}

fn secret_name(name: &str) -> String {
    format!("{name}-salesforce")
}

fn user_of(number: usize) -> String {
    format!("integration@{}.example", name_of(number))
}

fn password(user: &str, change: usize) -> String {
    format!("{user}/{change}")
}

fn tenant_secret(name: &str, password: &str) -> Secret {
    Secret {
        metadata: ObjectMeta {
            name: Some(secret_name(name)),
            ..ObjectMeta::default()
        },
        string_data: Some(BTreeMap::from([("password".into(), password.into())])),
        ..Secret::default()
    }
}

fn foreign_secret(args: &Args, number: usize) -> Result<Secret> {
    let mut bytes = vec![0; args.foreign_bytes];
    rand::rng().fill_bytes(&mut bytes);
    Ok(Secret {
        metadata: ObjectMeta {
            name: Some(format!("foreign-{number:05}")),
            ..ObjectMeta::default()
        },
        data: Some(BTreeMap::from([("blob".into(), ByteString(bytes))])),
        ..Secret::default()
    })
}

/// The daily run is far away, so that no Job of it comes into the measurement.
fn integration(number: usize, secret: usize, login_url: &str) -> Value {
    let name = name_of(number);
    let far = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(12);
    json!({
        "apiVersion": "switchboard.dev/v1alpha1",
        "kind": "SalesforceIntegration",
        "metadata": {"name": name, "namespace": FLEET},
        "spec": {
            "companyId": name,
            "salesforce": {
                "loginUrl": login_url,
                "auth": {"password": {"username": user_of(secret), "secretRef": {"name": secret_name(&name_of(secret))}}}
            },
            "contacts": {"timeZone": "Etc/UTC", "dailyAt": far.strftime("%H:%M").to_string()}
        }
    })
}

// === The table ===

fn machine() -> String {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    format!("{cores} cores for everything, API server and Salesforce included")
}

fn print(scenario: Scenario, args: &Args, measured: &Measured) {
    let title = match scenario {
        Scenario::Start => "from the controller's start",
        Scenario::Applied => "applied at once with the controller running",
    };
    let each = |total: f64| format!("{:.2} each", total / args.count as f64);
    println!("\n{} integrations, {title}", args.count);
    row(
        "half Ready, all Ready, settled",
        format!(
            "{:.2} s, {:.2} s, {:.2} s",
            measured.half_ready.as_secs_f64(),
            measured.all_ready.as_secs_f64(),
            measured.settled.as_secs_f64()
        ),
    );
    row(
        "log-ins",
        format!("{} ({})", measured.logins, each(measured.logins as f64)),
    );
    row(
        "Salesforce API calls",
        format!(
            "{} ({})",
            measured.api_calls,
            each(measured.api_calls as f64)
        ),
    );
    row(
        "connections to Salesforce",
        measured.connections.to_string(),
    );
    row(
        "controller, when all Ready",
        format!(
            "peak {}, {:.2} CPU seconds",
            megabytes(measured.usage.peak_rss),
            measured.usage.cpu_seconds
        ),
    );
    row(
        "controller, at the end",
        format!(
            "peak {}, now {}, {:.2} CPU seconds",
            megabytes(measured.usage_at_end.peak_rss),
            megabytes(measured.usage_at_end.rss),
            measured.usage_at_end.cpu_seconds
        ),
    );
    row(
        "reconciles",
        format!(
            "{} ({}), and {} in the quiet time",
            measured.reconciles,
            each(measured.reconciles as f64),
            measured.quiet_reconciles
        ),
    );
    for (kind, times) in &measured.requests {
        row(
            &format!("  {kind}"),
            format!("{times} ({})", each(*times as f64)),
        );
    }
    row(
        &format!("API writes in the next {} s", args.quiet_seconds),
        measured.quiet_writes.len().to_string(),
    );
    for (kind, times) in by_kind(&measured.quiet_writes) {
        row(&format!("  {kind}"), times.to_string());
    }
    let mut delays = measured.delays.clone();
    delays.sort_unstable();
    if let (Some(median), Some(worst)) = (delays.get(delays.len() / 2), delays.last()) {
        row(
            "changed Secret to status",
            format!(
                "median {:.0} ms, worst {:.0} ms of {}; {:.0} ms of it are Salesforce's own answers",
                median.0.as_secs_f64() * 1e3,
                worst.0.as_secs_f64() * 1e3,
                delays.len(),
                median.1.as_secs_f64() * 1e3
            ),
        );
    }
}

fn row(what: &str, value: String) {
    println!("  {what:<44} {value}");
}

fn megabytes(bytes: u64) -> String {
    format!("{:.1} MB", bytes as f64 / 1e6)
}

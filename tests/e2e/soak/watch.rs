//! What the processes of the installation hold, what the cluster says, and what is logged, every
//! few seconds.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::time::Duration;

use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{ListParams, LogParams};
use kube::{Api, Client};
use switchboard::api::SalesforceIntegration;
use tokio_util::sync::CancellationToken;

use super::calls::Platform;
use super::logs::Logs;
use crate::Failure;
use crate::bed::{OPERATOR, RELEASE};
use crate::node::Inmate;
use crate::upheaval::LEASE;

/// The pause between two looks.
pub(super) const EVERY: Duration = Duration::from_secs(5);
/// The longest that the API server may take to answer a look.
const ANSWER: Duration = Duration::from_secs(3);
/// A pause between two looks in which a Lease ends, in seconds. A look itself takes less.
const STALL: f64 = 15.0;
/// The roles that are watched. Workers come and go.
pub(super) const ROLES: [&str; 2] = ["controller", "directory"];

/// What a process held at a time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Held {
    /// Seconds of the soak.
    pub at: f64,
    /// Resident memory in bytes.
    pub resident: f64,
    /// Of that, what no file stands behind.
    pub own: f64,
    /// Open file descriptors.
    pub files: f64,
    /// Seconds of the processor so far.
    pub processor: f64,
    /// Whether it is the controller that leads: who stands by holds less.
    pub leads: bool,
}

/// The life of a process.
#[derive(Clone, Debug)]
pub(super) struct Life {
    /// `controller` or `directory`.
    pub role: &'static str,
    /// Its pod.
    pub pod: String,
    /// What it held.
    pub held: Vec<Held>,
}

/// What the cluster and the calls looked like at a time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen {
    /// Seconds of the soak.
    pub at: f64,
    /// Calls that were taken and have no name, and that the controller looks up.
    pub waiting: usize,
    /// The same, of tenants whose calls are looked up by runs.
    pub waiting_for_runs: usize,
    /// The API server's revision, and how many integrations are not Ready; `None` when it did not
    /// answer.
    pub cluster: Option<(u64, usize)>,
}

/// A container that was started again in its pod.
#[derive(Clone, Debug)]
pub(super) struct Restart {
    /// When it was noticed, in seconds of the soak.
    pub at: f64,
    /// The pod.
    pub pod: String,
    /// How the one before ended, and its last lines.
    pub end: String,
}

/// All that was seen.
#[derive(Debug, Default)]
pub(super) struct Watched {
    /// The processes, by pod and ID: the node gives IDs again.
    pub lives: BTreeMap<(String, u32), Life>,
    /// Cluster and calls.
    pub seen: Vec<Seen>,
    /// Containers that were started again.
    pub restarts: Vec<Restart>,
    /// How often the container of each pod was started again.
    pub counts: BTreeMap<String, i32>,
    /// The pod of the controller that led last.
    pub leader: String,
}

/// Looks every few seconds, until this is stopped.
pub(super) async fn watch(
    platform: &Platform<'_>,
    client: &Client,
    watched: &RefCell<Watched>,
    logs: &RefCell<Logs>,
    stop: &CancellationToken,
) {
    let mut ticks = tokio::time::interval(EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    while stop.run_until_cancelled(ticks.tick()).await.is_some() {
        look(platform, client, watched, logs).await;
    }
}

/// Looks once.
pub(super) async fn look(
    platform: &Platform<'_>,
    client: &Client,
    watched: &RefCell<Watched>,
    logs: &RefCell<Logs>,
) {
    for token in platform.tokens.borrow().iter() {
        logs.borrow_mut().also(token.clone());
    }
    logs.borrow_mut().read();
    let at = platform.now();
    for role in ROLES {
        // None is there while it is killed.
        for inmate in Inmate::all(role).unwrap_or_default() {
            if let Ok((pid, pod, held)) = measure(&inmate, at) {
                let mut watched = watched.borrow_mut();
                let leads = watched.leader == pod;
                let new = || Life {
                    role,
                    pod: pod.clone(),
                    held: Vec::new(),
                };
                let life = watched.lives.entry((pod.clone(), pid)).or_insert_with(new);
                life.held.push(Held { leads, ..held });
            }
        }
    }
    let cluster = tokio::time::timeout(ANSWER, cluster(client)).await;
    let cluster = cluster.ok().and_then(Result::ok);
    let (waiting, waiting_for_runs) = platform.waiting();
    watched.borrow_mut().seen.push(Seen {
        at,
        waiting,
        waiting_for_runs,
        cluster: cluster.as_ref().map(|seen| (seen.revision, seen.unready)),
    });
    let Some(cluster) = cluster else { return };
    watched.borrow_mut().leader = cluster.leader;
    for (pod, count, end) in cluster.restarts {
        let known = watched.borrow_mut().counts.insert(pod.clone(), count);
        if count > known.unwrap_or(0) {
            let end = format!("{end}: {}", last_words(client, &pod).await);
            watched.borrow_mut().restarts.push(Restart { at, pod, end });
        }
    }
}

/// The last lines of the container before the one that runs in a pod.
async fn last_words(client: &Client, pod: &str) -> String {
    let pods: Api<Pod> = Api::namespaced(client.clone(), OPERATOR);
    let last = LogParams {
        previous: true,
        tail_lines: Some(5),
        ..LogParams::default()
    };
    match tokio::time::timeout(ANSWER, pods.logs(pod, &last)).await {
        Ok(Ok(text)) => text.trim_end().replace('\n', " / "),
        Ok(Err(error)) => format!("its log could not be read: {error}"),
        Err(_) => "its log was not read in time".to_owned(),
    }
}

fn measure(inmate: &Inmate, at: f64) -> Result<(u32, String, Held), Failure> {
    let kilobytes = |field| Ok::<f64, Failure>(inmate.status(field)?.parse::<f64>()? * 1024.0);
    let held = Held {
        at,
        resident: kilobytes("VmRSS")?,
        own: kilobytes("RssAnon")?,
        files: inmate.open_files()? as f64,
        processor: inmate.processor_seconds()?,
        leads: false,
    };
    Ok((inmate.pid()?, inmate.pod()?, held))
}

/// What the API server says.
struct Cluster {
    revision: u64,
    unready: usize,
    leader: String,
    /// Pod, how often its container was started again, and how the one before ended.
    restarts: Vec<(String, i32, String)>,
}

async fn cluster(client: &Client) -> Result<Cluster, Failure> {
    let all: Api<SalesforceIntegration> = Api::all(client.clone());
    let list = all.list(&ListParams::default()).await?;
    let revision = list.metadata.resource_version.unwrap_or_default().parse()?;
    let unready = list.items.iter().filter(|one| !is_ready(one)).count();
    let pods: Api<Pod> = Api::namespaced(client.clone(), OPERATOR);
    let of_release = ListParams::default().labels(&format!("app.kubernetes.io/instance={RELEASE}"));
    let restarts = pods
        .list(&of_release)
        .await?
        .items
        .into_iter()
        .filter_map(|pod| {
            let status = pod.status?.container_statuses?.into_iter().next()?;
            let end = status.last_state.and_then(|state| state.terminated);
            let end = end.map(|end| {
                format!(
                    "exit code {}, {}",
                    end.exit_code,
                    end.reason.unwrap_or_default()
                )
            });
            Some((
                pod.metadata.name?,
                status.restart_count,
                end.unwrap_or_default(),
            ))
        });
    let leases: Api<Lease> = Api::namespaced(client.clone(), OPERATOR);
    let lease = leases.get(LEASE).await?;
    let leader = lease.spec.and_then(|lease| lease.holder_identity);
    Ok(Cluster {
        revision,
        unready,
        leader: leader.unwrap_or_default(),
        restarts: restarts.collect(),
    })
}

/// When nothing was seen for a time, as when the whole machine stood still: from and to, in seconds
/// of the soak.
pub(super) fn stalls(seen: &[Seen]) -> Vec<(f64, f64)> {
    seen.windows(2)
        .map(|pair| (pair[0].at, pair[1].at))
        .filter(|(from, to)| to - from > STALL)
        .collect()
}

/// Whether Ready is True for the spec as it is.
pub(super) fn is_ready(integration: &SalesforceIntegration) -> bool {
    let conditions = integration.status.as_ref().map(|status| &status.conditions);
    conditions.into_iter().flatten().any(|condition| {
        condition.type_ == "Ready"
            && condition.status == "True"
            && condition.observed_generation == integration.metadata.generation
    })
}

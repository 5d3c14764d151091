//! Tests of events in the life of an installation: nodes and leaders fail, upgrades arrive, and
//! somebody uninstalls and reinstalls it.

use std::time::Duration;

use serde_json::{Value, json};

use crate::bed::{Bed, OPERATOR, RELEASE, SOON};
use crate::node::Inmate;
use crate::story::{expect, has_name};
use crate::{Failure, Progress, limits, salesforce, tenant};

/// The Lease of the controller.
pub(crate) const LEASE: &str = "switchboard-controller";
/// A user ID as OpenShift assigns it.
const ARBITRARY_USER: &str = "1000660000";
/// Delay that is long enough for an upgrade during a run.
const SLOW: Duration = Duration::from_secs(25);

pub(crate) async fn try_each(bed: &Bed, progress: &mut Progress) -> Result<(), Failure> {
    progress
        .step(
            "rolling upgrade of the chart while a run is in flight: it finishes",
            upgrade(bed),
        )
        .await?;
    progress
        .step(
            "arbitrary user: pods and their data do with any",
            arbitrary_user(bed),
        )
        .await?;
    progress
        .step(
            "uninstall and reinstall: integrations and data survive",
            reinstall(bed),
        )
        .await?;
    progress
        .step(
            "two replicas: the leader's pod is killed, the other goes on",
            leader_killed(bed),
        )
        .await?;
    if bed.owns_node() {
        progress
            .step(
                "node restart: a run goes on while the kubelet is away",
                kubelet_restarts(bed),
            )
            .await?;
    }
    Ok(())
}

async fn upgrade(bed: &Bed) -> Result<String, Failure> {
    salesforce::slow(bed, SLOW).await?;
    let before = tenant::last_job(bed).await?;
    let pod = tenant::run_in_flight(bed, "60").await?;
    let old = names(&bed.pods("controller").await?);
    bed.release(&[
        "controller.podAnnotations.upgraded=yes",
        "directory.podAnnotations.upgraded=yes",
    ])
    .await?;
    let new = names(&bed.pods("controller").await?);
    if old.iter().any(|name| new.contains(name)) {
        return Err(format!("the upgrade replaced no pods: {old:?}, {new:?}").into());
    }
    salesforce::well(bed).await?;
    let run = tenant::next_run(bed, &before, SOON).await?;
    expect("outcome", &run["outcome"], "Succeeded")?;
    if !pod.starts_with(run["job"].as_str().unwrap_or("?")) {
        return Err(format!("pod {pod} was in flight, but the status tells of {run}").into());
    }
    Ok(String::new())
}

async fn arbitrary_user(bed: &Bed) -> Result<String, Failure> {
    let settings = ["runAsUser", "runAsGroup", "fsGroup"]
        .map(|field| format!("podSecurity.{field}={ARBITRARY_USER}"));
    let settings: Vec<&str> = settings.iter().map(String::as_str).collect();
    bed.release(&settings).await?;
    if bed.owns_node() {
        for role in ["controller", "directory"] {
            // The old processes may still be ending.
            bed.until("no process of another user", SOON, async || {
                for inmate in Inmate::all(role)? {
                    expect(
                        &format!("user of the {role}"),
                        &json!(inmate.status("Uid")?),
                        ARBITRARY_USER,
                    )?;
                }
                Ok(())
            })
            .await?;
        }
    }
    has_name(bed).await?;
    tenant::call(bed, "70", &tenant::stranger("70")).await?;
    let found = limits::recovers(bed).await?;
    bed.release(&[]).await?;
    has_name(bed).await?;
    Ok(found)
}

async fn reinstall(bed: &Bed) -> Result<String, Failure> {
    let before = tenant::integration(bed).await?;
    bed.helm(&["uninstall", RELEASE, "--wait", "--timeout=120s"])
        .await?;
    bed.until("the pods to be gone", SOON, async || {
        let left = bed.pods("controller").await?.len() + bed.pods("directory").await?.len();
        if left == 0 {
            Ok(())
        } else {
            Err(format!("{left} pods").into())
        }
    })
    .await?;
    let alone = tenant::integration(bed).await?;
    for path in [
        "/metadata/uid",
        "/spec",
        "/status/lastRun",
        "/status/organization",
    ] {
        if alone.pointer(path) != before.pointer(path) {
            return Err(format!("the uninstallation changed {path} of the integration").into());
        }
    }
    bed.release(&[]).await?;
    has_name(bed).await?;
    // The tokens from before are still valid, and so is the path of a call.
    tenant::call(bed, "80", &tenant::stranger("80")).await?;
    limits::recovers(bed).await
}

async fn leader_killed(bed: &Bed) -> Result<String, Failure> {
    let leader = leader(bed).await?;
    let killed = std::time::Instant::now();
    kill_pod(bed, &leader).await?;
    let next = next_leader(bed, &leader).await?;
    let found = format!("{next} leads after {:.1} s", killed.elapsed().as_secs_f64());
    tenant::test_now(bed, &jiff::Timestamp::now().to_string()).await?;
    tenant::call(bed, "90", &tenant::stranger("90")).await?;
    limits::recovers(bed).await?;
    Ok(found)
}

/// Kills a pod of the release at once.
pub(crate) async fn kill_pod(bed: &Bed, pod: &str) -> Result<(), Failure> {
    bed.kubectl(&[
        "delete",
        "pod",
        pod,
        "-n",
        OPERATOR,
        "--grace-period=0",
        "--force",
    ])
    .await
    .map(drop)
}

/// Waits for a leader after this one, and returns its pod.
pub(crate) async fn next_leader(bed: &Bed, before: &str) -> Result<String, Failure> {
    bed.until("another leader", SOON, async || {
        let now = leader(bed).await?;
        if now == before || now.is_empty() {
            Err(format!("{now:?} leads").into())
        } else {
            Ok(now)
        }
    })
    .await
}

/// The pod of the controller that leads.
pub(crate) async fn leader(bed: &Bed) -> Result<String, Failure> {
    let lease = bed.json(&["get", "lease", LEASE, "-n", OPERATOR]).await?;
    Ok(lease["spec"]["holderIdentity"]
        .as_str()
        .unwrap_or_default()
        .to_owned())
}

async fn kubelet_restarts(bed: &Bed) -> Result<String, Failure> {
    salesforce::slow(bed, Duration::from_secs(10)).await?;
    let before = tenant::last_job(bed).await?;
    let pod = tenant::run_in_flight(bed, "100").await?;
    bed.control_plane.restart_kubelet().await?;
    let run = tenant::next_run(bed, &before, SOON).await?;
    salesforce::well(bed).await?;
    expect("outcome", &run["outcome"], "Succeeded")?;
    if !pod.starts_with(run["job"].as_str().unwrap_or("?")) {
        return Err(format!("pod {pod} was in flight, but the status tells of {run}").into());
    }
    Ok(String::new())
}

fn names(pods: &[Value]) -> Vec<String> {
    pods.iter()
        .filter_map(|pod| pod["metadata"]["name"].as_str())
        .map(str::to_owned)
        .collect()
}

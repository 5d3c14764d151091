//! Tests of the limits of pods: the security standard, memory, time, images.

use std::time::Duration;

use serde_json::{Value, json};

use crate::bed::{Bed, OPERATOR, RELEASE, SOON};
use crate::node::Inmate;
use crate::story::expect;
use crate::{Failure, Progress, salesforce, tenant};

/// Delay that is long enough to find a run at work.
const SLOW: Duration = Duration::from_secs(15);
const TOKENS: &str = "/var/run/secrets/kubernetes.io/serviceaccount/token";

pub(crate) async fn try_each(bed: &Bed, progress: &mut Progress) -> Result<(), Failure> {
    progress
        .step(
            "restricted pods: a user without rights, a read-only file system, no shell",
            held_in(bed),
        )
        .await?;
    progress.step("a worker's pod has no service-account token, and its termination message is the report", worker(bed)).await?;
    progress
        .step(
            "memory limit: an answer that is larger than a worker may hold is refused, and the next run recovers",
            memory(bed),
        )
        .await?;
    progress
        .step(
            "deadline: a run that goes on for too long is ended and told",
            deadline(bed),
        )
        .await?;
    progress
        .step(
            "eviction: an evicted run is told, and the next one takes up its calls",
            eviction(bed),
        )
        .await?;
    progress.step("image missing: an upgrade to it leaves the old pods at work, and its rollback is clean", image_missing(bed)).await
}

async fn held_in(bed: &Bed) -> Result<String, Failure> {
    let target = format!("deployment/{RELEASE}-controller");
    for shell in ["sh", "/bin/sh", "/bin/bash", "/busybox/sh"] {
        if bed
            .kubectl(&["exec", "-n", OPERATOR, &target, "--", shell, "-c", "true"])
            .await
            .is_ok()
        {
            return Err(format!("the image has a shell: {shell}").into());
        }
    }
    if !bed.owns_node() {
        return Ok("the rest is only seen on the node itself".into());
    }
    for role in ["controller", "directory"] {
        for inmate in Inmate::all(role)? {
            inmate.cannot_write("/")?;
            inmate.cannot_write("/etc")?;
            for (field, wanted) in [
                ("Uid", "65532"),
                ("CapEff", "0000000000000000"),
                ("NoNewPrivs", "1"),
                ("Seccomp", "2"),
            ] {
                expect(
                    &format!("{role}: {field}"),
                    &json!(inmate.status(field)?),
                    wanted,
                )?;
            }
            let has_token = inmate.sees(TOKENS);
            if has_token != (role == "controller") {
                return Err(format!(
                    "{role}: a service-account token is {}",
                    if has_token { "there" } else { "not there" }
                )
                .into());
            }
        }
    }
    Ok(String::new())
}

async fn worker(bed: &Bed) -> Result<String, Failure> {
    salesforce::slow(bed, SLOW).await?;
    let before = tenant::last_job(bed).await?;
    let pod = tenant::run_in_flight(bed, "20").await?;
    if bed.owns_node() {
        for inmate in Inmate::all("worker")? {
            inmate.cannot_write("/")?;
            if inmate.sees("/var/run/secrets/kubernetes.io") {
                return Err("the worker has a service-account token".into());
            }
        }
    }
    let spec = bed
        .json(&["get", "pod", &pod, "-n", tenant::NAMESPACE])
        .await?;
    if spec["spec"]["volumes"]
        .to_string()
        .contains("serviceAccountToken")
    {
        return Err("the worker's pod mounts a service-account token".into());
    }
    salesforce::well(bed).await?;
    let run = tenant::next_run(bed, &before, SOON).await?;
    expect("outcome", &run["outcome"], "Succeeded")?;
    let ended = bed
        .json(&["get", "pod", &pod, "-n", tenant::NAMESPACE])
        .await?;
    let message = ended
        .pointer("/status/containerStatuses/0/state/terminated/message")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let report: Value = serde_json::from_str(message)
        .map_err(|error| format!("{message:?} is no report: {error}"))?;
    expect(
        "outcome in the termination message",
        &report["outcome"],
        "Succeeded",
    )?;
    Ok(format!("{} bytes", message.len()))
}

async fn memory(bed: &Bed) -> Result<String, Failure> {
    bed.release(&["worker.memory=40Mi"]).await?;
    // The pod has less than a third of the default, and is not killed.
    salesforce::fault(bed, json!({"gzipBomb": {"megabytes": 30}})).await?;
    told(bed, "30", "UnexpectedAnswer").await?;
    salesforce::well(bed).await?;
    bed.release(&[]).await?;
    recovers(bed).await
}

async fn deadline(bed: &Bed) -> Result<String, Failure> {
    bed.release(&["controller.runDeadline=5s"]).await?;
    salesforce::slow(bed, Duration::from_secs(60)).await?;
    told(bed, "40", "RunDeadlineExceeded").await?;
    salesforce::well(bed).await?;
    bed.release(&[]).await?;
    recovers(bed).await
}

async fn eviction(bed: &Bed) -> Result<String, Failure> {
    salesforce::slow(bed, Duration::from_secs(60)).await?;
    let before = tenant::last_job(bed).await?;
    let pod = tenant::run_in_flight(bed, "50").await?;
    let eviction = json!({"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": pod, "namespace": tenant::NAMESPACE}});
    let path = format!(
        "/api/v1/namespaces/{}/pods/{pod}/eviction",
        tenant::NAMESPACE
    );
    let kubeconfig = bed.control_plane.kubeconfig_path();
    let evicted = bed
        .control_plane
        .kubectl_with(
            kubeconfig,
            ["create", "--raw", &path, "-f", "-"],
            &eviction.to_string(),
        )
        .await?;
    if !evicted.success() {
        return Err(format!("the eviction was refused: {}", evicted.stderr).into());
    }
    let run = tenant::next_run(bed, &before, SOON).await?;
    salesforce::well(bed).await?;
    if run["outcome"] == "Succeeded" {
        return Err(format!("an evicted run is told as a success: {run}").into());
    }
    let outcome = run["outcome"].as_str().unwrap_or_default().to_owned();
    Ok(format!("told as {outcome}; {}", recovers(bed).await?))
}

async fn image_missing(bed: &Bed) -> Result<String, Failure> {
    bed.release_with(&["image.tag=there-is-none", "directory.replicas=1"], &[])
        .await?;
    bed.until("a new pod that cannot start", SOON, async || {
        let pods = bed.pods("controller").await?;
        let waits = |pod: &Value| {
            pod.pointer("/status/containerStatuses/0/state/waiting/reason")
                .map(Value::to_string)
        };
        let reasons: Vec<String> = pods.iter().filter_map(waits).collect();
        if reasons.iter().any(|reason| reason.contains("Image")) {
            Ok(())
        } else {
            Err(format!("{reasons:?}").into())
        }
    })
    .await?;
    let ready = bed
        .pods("controller")
        .await?
        .iter()
        .filter(|pod| is_ready(pod))
        .count();
    if ready < 2 {
        return Err(
            format!("{ready} controllers are ready beside one whose image is missing").into(),
        );
    }
    let wish = jiff::Timestamp::now().to_string();
    tenant::test_now(bed, &wish).await?;
    bed.release(&[]).await?;
    recovers(bed).await
}

fn is_ready(pod: &Value) -> bool {
    let conditions = pod["status"]["conditions"].as_array();
    conditions
        .into_iter()
        .flatten()
        .any(|condition| condition["type"] == "Ready" && condition["status"] == "True")
}

/// Ingests a call whose run ends with this outcome. The integration's status must show the error
/// and the remedy.
async fn told(bed: &Bed, id: &str, outcome: &str) -> Result<(), Failure> {
    let before = tenant::last_job(bed).await?;
    tenant::call(bed, id, &tenant::stranger(id)).await?;
    tenant::ask_for_run(bed).await?;
    let run = tenant::next_run(bed, &before, SOON).await?;
    expect("outcome", &run["outcome"], outcome)?;
    let errors = tenant::integration(bed).await?["status"]["errors"].take();
    let entry = errors
        .as_array()
        .into_iter()
        .flatten()
        .find(|error| error["code"] == outcome);
    match entry.and_then(|error| error["remedy"].as_str()) {
        Some(remedy) if !remedy.is_empty() => Ok(()),
        _ => Err(format!("no {outcome} with a remedy among the errors: {errors}").into()),
    }
}

/// Waits for the next run, which succeeds and completes the remaining work.
pub(crate) async fn recovers(bed: &Bed) -> Result<String, Failure> {
    let before = tenant::last_job(bed).await?;
    tenant::ask_for_run(bed).await?;
    let run = tenant::next_run(bed, &before, SOON).await?;
    expect("outcome of the next run", &run["outcome"], "Succeeded")?;
    tenant::ready(bed).await?;
    Ok(format!("the next run took up {} calls", run["calls"]))
}

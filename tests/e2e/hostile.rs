//! Hostile inputs, with the limits that the chart has by default: floods at the directory, slow
//! connections, and a Salesforce that answers with more than anybody asked for. No pod is killed
//! for memory, and the story goes on.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::future::join_all;
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use crate::bed::{Bed, OPERATOR, RELEASE, SOON};
use crate::node::Inmate;
use crate::salesforce::Forward;
use crate::story::has_name;
use crate::{Failure, Progress, limits, salesforce, tenant};

/// Bodies at once, each just below the directory's cap.
const BODIES: usize = 40;
const BODY_BYTES: usize = 3_900_000;
/// Connections that begin a request and never end it.
const SLOW: usize = 300;
/// Bytes of an answer of Salesforce. A tree of its values would take half a gigabyte.
const ANSWER_BYTES: usize = 30_000_000;

/// The most that the memory of a role's containers was, in bytes.
type Peaks = BTreeMap<&'static str, u64>;

pub(crate) async fn try_each(bed: &Bed, progress: &mut Progress) -> Result<(), Failure> {
    progress
        .step(
            "hostile inputs: floods, slow connections and huge answers kill no pod for memory",
            hostile(bed),
        )
        .await
}

async fn hostile(bed: &Bed) -> Result<String, Failure> {
    // Fresh pods, so that what was before counts for nothing, with the chart's own limits.
    bed.release(&[]).await?;
    for role in ["controller", "directory"] {
        let target = format!("deployment/{RELEASE}-{role}");
        bed.kubectl(&["rollout", "restart", &target, "-n", OPERATOR])
            .await?;
        let status = [
            "rollout",
            "status",
            &target,
            "-n",
            OPERATOR,
            "--timeout=120s",
        ];
        bed.kubectl(&status).await?;
    }
    let mut peaks = Peaks::new();
    let taken = flood(bed).await?;
    look(bed, &mut peaks);
    slow_ones(bed).await?;
    look(bed, &mut peaks);
    for effect in [
        answer(&repeated("[0", ",0", "]")),
        answer(&repeated(
            "{\"compositeResponse\":[{}",
            ",{\"referenceId\":\"x\",\"httpStatusCode\":200,\"body\":{\"records\":[{}]}}",
            "]}",
        )),
        json!({"gzipBomb": {"megabytes": 1_000}}),
    ] {
        salesforce::fault(bed, effect).await?;
        // The run first: without a connection none is started.
        run(bed, &mut peaks).await?;
        let wish = jiff::Timestamp::now().to_string();
        tenant::test_now(bed, &wish).await?;
        look(bed, &mut peaks);
        salesforce::well(bed).await?;
        let wish = jiff::Timestamp::now().to_string();
        tenant::test_now(bed, &wish).await?;
        // Ready says that the run has failed, until the next.
        let name = format!("sfi/{}", tenant::NAME);
        let wait = [
            "wait",
            "--for=condition=Connected",
            &name,
            "-n",
            tenant::NAMESPACE,
        ];
        bed.kubectl(&[&wait[..], &["--timeout=90s"]].concat())
            .await?;
    }
    nobody_was_killed(bed).await?;
    let wish = jiff::Timestamp::now().to_string();
    tenant::test_now(bed, &wish).await?;
    let after = limits::recovers(bed).await?;
    has_name(bed).await?;
    let mut lines = vec![format!("{taken} of {BODIES} bodies were read; {after}")];
    lines.extend(peaks.iter().map(|(role, bytes)| {
        format!(
            "{role}: memory.peak {:.1} MiB",
            *bytes as f64 / f64::from(1 << 20)
        )
    }));
    if !bed.owns_node() {
        lines.push("peaks are only seen on the node itself".into());
    }
    Ok(lines.join("\n           "))
}

/// A text of that many bytes.
fn repeated(begin: &str, again: &str, end: &str) -> String {
    let times = ANSWER_BYTES / again.len();
    format!("{begin}{}{end}", again.repeat(times))
}

/// The answer to every look-up and every proof.
fn answer(body: &str) -> Value {
    json!({"status": {"status": 200, "body": body, "contentType": "application/json;charset=UTF-8"}})
}

/// Many large bodies at once. Some are told to come again; a good delivery arrives afterwards.
async fn flood(bed: &Bed) -> Result<usize, Failure> {
    let (forward, _client) = tenant::directory(bed, "ingest").await?;
    let token = tenant::token(bed, "ingest").await?;
    let url = format!("http://127.0.0.1:{}/v1/webhooks/calls", forward.port);
    let client = reqwest::Client::builder().no_proxy().build()?;
    // A leg, and a transcript of which nothing is kept.
    let body = json!({"call": {"id": "flood", "tenant_code": tenant::NAME, "details": [], "transcript": "x".repeat(BODY_BYTES)}});
    let body = bytes::Bytes::from(body.to_string());
    let post = || {
        let request = client.post(&url);
        let request = request.bearer_auth(token.expose_secret());
        request
            .header("content-type", "application/json")
            .body(body.clone())
            .timeout(SOON)
            .send()
    };
    let (mut taken, mut answered) = (0, 0);
    for answer in join_all((0..BODIES).map(|_| post())).await {
        // A connection that is closed on a sender is an answer, too.
        answered += usize::from(answer.is_ok());
        match answer.map(|answer| answer.status().as_u16()) {
            Ok(200 | 202 | 204) => taken += 1,
            Ok(400 | 408 | 413 | 429 | 503) | Err(_) => {}
            Ok(other) => return Err(format!("a large body was answered with {other}").into()),
        }
    }
    if answered == 0 {
        return Err("none of the large bodies was answered at all".into());
    }
    drop(forward);
    tenant::call(bed, "60", &tenant::stranger("60")).await?;
    Ok(taken)
}

/// Connections that say a little and then nothing, and a delivery beside them.
async fn slow_ones(bed: &Bed) -> Result<(), Failure> {
    let service = format!("service/{RELEASE}-directory");
    let forward = Forward::to(bed, OPERATOR, &service, 80).await?;
    let port = forward.port;
    let begun = (0..SLOW).map(|_| async move {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
        stream
            .write_all(b"POST /v1/webhooks/calls HTTP/1.1\r\nHost: directory\r\nX-Slow: ")
            .await?;
        Ok::<_, std::io::Error>(stream)
    });
    let slow: Vec<TcpStream> = join_all(begun).await.into_iter().flatten().collect();
    if slow.len() < SLOW / 2 {
        return Err(format!("only {} slow connections could be made", slow.len()).into());
    }
    let number = tenant::stranger("61");
    let delivery = tenant::call(bed, "61", &number);
    match tokio::time::timeout(Duration::from_secs(20), delivery).await {
        Ok(delivered) => delivered,
        Err(_) => Err(format!(
            "a delivery beside {} slow connections is not answered",
            slow.len()
        )
        .into()),
    }
}

/// A run that gets the answer. It may fail; it is not killed.
async fn run(bed: &Bed, peaks: &mut Peaks) -> Result<(), Failure> {
    let before = tenant::last_job(bed).await?;
    tenant::ask_for_run(bed).await?;
    let end = tokio::time::Instant::now() + SOON;
    loop {
        look(bed, peaks);
        let run = tenant::integration(bed).await?["status"]["lastRun"].take();
        if !run["job"].is_null() && run["job"] != before {
            return match run["outcome"].as_str() {
                Some("WorkerOutOfMemory") => Err(format!("a worker was killed: {run}").into()),
                _ => Ok(()),
            };
        }
        if tokio::time::Instant::now() > end {
            return Err(format!("no run ended; the last is {run}").into());
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Notes the peaks of the pods that are there now.
fn look(bed: &Bed, peaks: &mut Peaks) {
    if !bed.owns_node() {
        return;
    }
    for role in ["controller", "directory", "worker"] {
        for inmate in Inmate::all(role).unwrap_or_default() {
            // A pod may end while it is looked at.
            if let Ok(bytes) = inmate.memory_peak() {
                let most = peaks.entry(role).or_default();
                *most = bytes.max(*most);
            }
        }
    }
}

async fn nobody_was_killed(bed: &Bed) -> Result<(), Failure> {
    let mut pods = bed.pods("controller").await?;
    pods.extend(bed.pods("directory").await?);
    pods.extend(bed.items(&["get", "pods", "-n", tenant::NAMESPACE]).await?);
    for pod in pods {
        let statuses = pod["status"]["containerStatuses"].as_array();
        for status in statuses.into_iter().flatten() {
            let ends = [&status["state"], &status["lastState"]];
            let killed = ends.iter().any(|end| is_kill(end));
            // A run of an earlier step was to be killed.
            let is_operator = pod["metadata"]["namespace"] == OPERATOR;
            if killed && (is_operator || began_here(&pod)) {
                let name = &pod["metadata"]["name"];
                return Err(format!("{name} was killed for memory: {status}").into());
            }
            if is_operator && status["restartCount"] != 0 {
                return Err(format!("a container was started again: {status}").into());
            }
        }
    }
    Ok(())
}

fn is_kill(end: &Value) -> bool {
    end["terminated"]["reason"] == "OOMKilled"
}

/// Whether the pod belongs to the runs of this step, which have the limits of the chart. An earlier
/// step has runs killed on purpose, with a limit of its own.
fn began_here(pod: &Value) -> bool {
    pod["spec"]["containers"][0]["resources"]["limits"]["memory"] != "40Mi"
}

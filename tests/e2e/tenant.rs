//! The actions and views of a tenant: the integration of `examples/quickstart/acme-tokyo.yaml`, its
//! calls and its names.

use std::time::Duration;

use secrecy::SecretString;
use serde_json::{Value, json};
use switchboard::api::{RUN_REQUESTED_AT, TEST_REQUESTED_AT};
use switchboard::directory;
use switchboard_testbed::{incoming_call, repository};

use crate::Failure;
use crate::bed::{Bed, OPERATOR, RELEASE, SOON};
use crate::salesforce::{Forward, INSIDE};

/// The tenant's namespace.
pub(crate) const NAMESPACE: &str = "acme";
/// Name of the integration, and its company ID.
pub(crate) const NAME: &str = "acme-tokyo";

/// Time limit for events that need the next minute of a CronJob.
pub(crate) const NEXT_MINUTES: Duration = Duration::from_secs(180);

/// The example without the line for a simulator on a laptop, so that a tenant can apply it.
pub(crate) fn example(bed: &Bed) -> Result<String, Failure> {
    let text = std::fs::read_to_string(repository().join("examples/quickstart/acme-tokyo.yaml"))?;
    let lines = text
        .lines()
        .filter_map(|line| match line.trim_start().starts_with("loginUrl:") {
            false => Some(line.to_owned()),
            true if bed.owns_node() => None,
            true => Some(format!("    loginUrl: https://{INSIDE}")),
        });
    Ok(lines.map(|line| line + "\n").collect())
}

/// The integration as it is now.
pub(crate) async fn integration(bed: &Bed) -> Result<Value, Failure> {
    bed.json(&["get", "sfi", NAME, "-n", NAMESPACE]).await
}

/// Waits with kubectl until the integration is ready.
pub(crate) async fn ready(bed: &Bed) -> Result<(), Failure> {
    let name = format!("sfi/{NAME}");
    bed.kubectl(&[
        "wait",
        "--for=condition=Ready",
        &name,
        "-n",
        NAMESPACE,
        "--timeout=90s",
    ])
    .await
    .map(drop)
}

/// Changes the integration.
pub(crate) async fn patch(bed: &Bed, patch: &Value) -> Result<(), Failure> {
    bed.kubectl(&[
        "patch",
        "sfi",
        NAME,
        "-n",
        NAMESPACE,
        "--type=merge",
        "-p",
        &patch.to_string(),
    ])
    .await
    .map(drop)
}

/// Requests a run and returns immediately.
pub(crate) async fn ask_for_run(bed: &Bed) -> Result<(), Failure> {
    let wish = jiff::Timestamp::now().to_string();
    patch(
        bed,
        &json!({"metadata": {"annotations": {RUN_REQUESTED_AT: wish}}}),
    )
    .await
}

/// The Job of the last run in the status.
pub(crate) async fn last_job(bed: &Bed) -> Result<Value, Failure> {
    Ok(integration(bed).await?["status"]["lastRun"]["job"].take())
}

/// Waits for the run after the one of this Job.
pub(crate) async fn next_run(
    bed: &Bed,
    before: &Value,
    deadline: Duration,
) -> Result<Value, Failure> {
    bed.until("a run that ended", deadline, async || {
        let run = integration(bed).await?["status"]["lastRun"].take();
        if run["job"].is_null() || &run["job"] == before {
            return Err(format!("the last run is {run}").into());
        }
        Ok(run)
    })
    .await
}

/// A separate number for each call: a daily run does not look up a number that already has a name.
pub(crate) fn stranger(id: &str) -> String {
    format!("031234{id:0>4}")
}

/// Ingests a call, requests a run, and waits until its pod is at work. Returns the pod's name.
pub(crate) async fn run_in_flight(bed: &Bed, id: &str) -> Result<String, Failure> {
    // The pod of a run that is over may be told as running for another moment.
    let before = bed.items(&["get", "pods", "-n", NAMESPACE]).await?;
    call(bed, id, &stranger(id)).await?;
    ask_for_run(bed).await?;
    worker(bed, "a worker at work", |pod| {
        let is_old = |old: &Value| old["metadata"]["uid"] == pod["metadata"]["uid"];
        pod["status"]["phase"] == "Running"
            && pod["metadata"]["deletionTimestamp"].is_null()
            && !before.iter().any(is_old)
    })
    .await
}

/// Waits for a worker's pod in the expected state.
pub(crate) async fn worker(
    bed: &Bed,
    what: &str,
    wanted: impl Fn(&Value) -> bool,
) -> Result<String, Failure> {
    bed.until(what, SOON, async || {
        let pods = bed.items(&["get", "pods", "-n", NAMESPACE]).await?;
        let found = pods
            .iter()
            .find(|pod| wanted(pod))
            .and_then(|pod| pod["metadata"]["name"].as_str());
        found.map(str::to_owned).ok_or_else(|| {
            let seen = |pod: &Value| {
                format!(
                    "{} {}",
                    pod["metadata"]["name"], pod["status"]["containerStatuses"]
                )
            };
            pods.iter().map(seen).collect::<Vec<_>>().join("; ").into()
        })
    })
    .await
}

/// The tenant's token for this purpose.
pub(crate) async fn token(bed: &Bed, purpose: &str) -> Result<SecretString, Failure> {
    let path = format!("jsonpath={{.data.{purpose}}}");
    let secret = format!("{NAME}-directory");
    let encoded = bed
        .kubectl(&["get", "secret", &secret, "-n", NAMESPACE, "-o", &path])
        .await?;
    let token = String::from_utf8(base64::Engine::decode(
        &base64::engine::general_purpose::STANDARD,
        encoded,
    )?)?;
    Ok(token.into())
}

/// A directory client with the tenant's token for this purpose.
pub(crate) async fn directory(
    bed: &Bed,
    purpose: &str,
) -> Result<(Forward, directory::Client), Failure> {
    let token = token(bed, purpose).await?;
    let service = format!("service/{RELEASE}-directory");
    let forward = Forward::to(bed, OPERATOR, &service, 80).await?;
    let client = directory::Client::new(&format!("http://127.0.0.1:{}", forward.port), token)?;
    Ok((forward, client))
}

/// Reports an ended call, as the phone platform does.
pub(crate) async fn call(bed: &Bed, id: &str, from: &str) -> Result<(), Failure> {
    let (_forward, directory) = directory(bed, "ingest").await?;
    directory.ingest(&incoming_call(NAME, id, from)).await?;
    Ok(())
}

/// The company and person that the call screen shows for a number.
pub(crate) async fn caller(bed: &Bed, number: &str) -> Result<Option<(String, String)>, Failure> {
    let (_forward, directory) = directory(bed, "lookup").await?;
    let contact = directory.contact(number).await?;
    Ok(contact.map(|contact| {
        (
            contact.company_name.unwrap_or_default(),
            contact.person_name.unwrap_or_default(),
        )
    }))
}

/// Requests a test of the connection and waits until it is done.
pub(crate) async fn test_now(bed: &Bed, wish: &str) -> Result<(), Failure> {
    patch(
        bed,
        &json!({"metadata": {"annotations": {TEST_REQUESTED_AT: wish}}}),
    )
    .await?;
    bed.until("the test that was asked for", SOON, async || {
        let handled = integration(bed).await?["status"]["lastHandledTestAt"].take();
        if handled == wish {
            Ok(())
        } else {
            Err(format!("handled last: {handled}").into())
        }
    })
    .await
}

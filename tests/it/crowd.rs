//! Tests of many integrations at once: work that somebody waits for comes before other work.

use std::collections::BTreeMap;

use k8s_openapi::api::batch::v1::CronJob;
use k8s_openapi::api::events::v1::Event;
use kube::{Api, ResourceExt};
use switchboard_testbed::{AuditEvent, AuditMark, metric_sum, wait_for};

use crate::outage::{tenants, world};
use crate::stage::{SOON, Stage, metrics_of};

const TENANTS: usize = 20;
/// Number of integrations that the controller reconciles at once.
const AT_ONCE: usize = 2;

#[tokio::test(flavor = "multi_thread")]
async fn all_are_told_whether_they_are_connected_before_any_gets_its_runs() {
    let stage = Stage::set("crowd", world(TENANTS)).await;
    stage.apply(&tenants(&stage, TENANTS)).await;
    let mark = stage.control_plane.audit_mark().unwrap();
    let few = format!("--concurrency={AT_ONCE}");
    let controller = stage.another_controller("controller", &[&few]).await;
    stage.all("True", "Ready", SOON).await;
    let cron_jobs = Api::<CronJob>::namespaced(stage.client.clone(), stage.ns());
    let events = Api::<Event>::namespaced(stage.client.clone(), stage.ns());
    wait_for("a CronJob and an Event for each", SOON, async || {
        let cron_jobs = cron_jobs.list(&Default::default()).await.unwrap();
        let owners = cron_jobs
            .items
            .iter()
            .flat_map(|cron_job| cron_job.owner_references())
            .map(|owner| owner.name.clone());
        let events = events.list(&Default::default()).await.unwrap();
        let told = events
            .items
            .iter()
            .filter(|event| event.reason.as_deref() == Some("Ready"))
            .flat_map(|event| event.regarding.clone()?.name);
        let (owners, told) = (sorted(owners), sorted(told));
        if owners.len() == TENANTS && owners == told {
            Ok(())
        } else {
            Err(format!("CronJobs of {owners:?}, Events about {told:?}"))
        }
    })
    .await;

    for children in ["cronjobs", "secrets"] {
        let written = writes(&stage, mark, &[children]).len();
        assert_eq!(written, TENANTS, "{children}, once for each");
    }
    let all = writes(&stage, mark, &["cronjobs", "secrets", "events"]);
    let first = all.iter().map(|event| event.time).min().unwrap();
    let mut told: BTreeMap<String, usize> = BTreeMap::new();
    for status in writes(&stage, mark, &["salesforceintegrations"]) {
        if status.time < first {
            *told.entry(status.name).or_default() += 1;
        }
    }
    // One write records the log-in, the second its result.
    let told = told.values().filter(|writes| **writes == 2).count();
    assert!(
        told >= TENANTS - AT_ONCE,
        "a child was written when {told} had their status"
    );
    assert_eq!(stage.simulator.counters().logins.len(), TENANTS);
    assert_eq!(controller.terminate(SOON).await.unwrap(), 0);
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_controller_that_starts_anew_finds_all_as_it_is_and_writes_nothing() {
    const FEW: usize = 5;
    const OURS: [&str; 4] = ["salesforceintegrations", "cronjobs", "secrets", "events"];
    let stage = Stage::set("anew", world(FEW)).await;
    stage.apply(&tenants(&stage, FEW)).await;
    let mark = stage.control_plane.audit_mark().unwrap();
    let controller = stage.another_controller("first", &[]).await;
    stage.all("True", "Ready", SOON).await;
    wait_for("each to have what it needs", SOON, async || {
        match writes(&stage, mark, &OURS[1..]).len() {
            written if written == 3 * FEW => Ok(()),
            written => Err(format!("{written} writes")),
        }
    })
    .await;
    assert_eq!(controller.terminate(SOON).await.unwrap(), 0);

    // The first of one org did not know yet how many would share it.
    let mut written = started_anew(&stage, "second", FEW, &OURS).await;
    written.retain(|event| event.resource != "salesforceintegrations");
    assert!(written.is_empty(), "{written:?}");
    let written = started_anew(&stage, "third", FEW, &OURS).await;
    assert!(written.is_empty(), "{written:?}");
    assert_eq!(stage.simulator.counters().logins.len(), FEW);
    stage.end().await;
}

/// Starts a controller, ends it when it has looked at each, and returns what it wrote.
async fn started_anew(
    stage: &Stage,
    name: &str,
    integrations: usize,
    resources: &[&str],
) -> Vec<AuditEvent> {
    let mark = stage.control_plane.audit_mark().unwrap();
    let controller = stage.another_controller(name, &[]).await;
    wait_for("each to have been looked at", SOON, async || {
        let text = metrics_of(&controller).await;
        let looked = metric_sum(&text, "switchboard_reconciles_total");
        let reconciling = metric_sum(&text, "switchboard_reconciling");
        match looked >= integrations as f64 && reconciling == 0.0 {
            true => Ok(()),
            false => Err(format!("{looked} reconciles")),
        }
    })
    .await;
    assert_eq!(controller.terminate(SOON).await.unwrap(), 0);
    writes(stage, mark, resources)
}

fn sorted(names: impl Iterator<Item = String>) -> Vec<String> {
    let mut names: Vec<String> = names.collect();
    names.sort();
    names
}

/// The controller's successful writes of these resources.
fn writes(stage: &Stage, mark: AuditMark, resources: &[&str]) -> Vec<AuditEvent> {
    let events = stage.control_plane.audit_since(mark).unwrap();
    events
        .into_iter()
        .filter(|event| {
            event.namespace == stage.ns()
                && event.user_agent.starts_with("switchboard/")
                && event.is_write()
                && event.code < 300
                && resources.contains(&event.resource.as_str())
        })
        .collect()
}

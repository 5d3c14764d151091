//! Tests in which the cluster refuses objects because of a quota in the tenant's namespace: the
//! status shows it, and the problem ends with the quota.

use serde_json::{Value, json};
use switchboard::api::RUN_REQUESTED_AT;
use switchboard_testbed::wait_for;

use crate::stage::{NEXT_MINUTES, SOON, Stage, condition};
use crate::world::{self, PASSWORD, TOKEN};

/// Forbids objects of this kind in the namespace from now on.
async fn forbid(stage: &Stage, what: &str) {
    let quota = json!({
        "apiVersion": "v1", "kind": "ResourceQuota",
        "metadata": {"name": "none", "namespace": stage.ns()},
        "spec": {"hard": {what: "0"}},
    });
    stage.apply(&quota).await;
    let path = format!(
        "--for=jsonpath={{.status.used.{}}}",
        what.replace('.', "\\.")
    );
    let wait = ["wait", "resourcequota/none", &path, "--timeout=60s"];
    stage.kubectl(&wait).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quota_against_cron_jobs_is_told_and_made_up_for_when_it_is_gone() {
    let mut stage = Stage::start("quota", world::acme()).await;
    forbid(&stage, "count/cronjobs.batch").await;
    stage.apply(&stage.secret("acme", PASSWORD, TOKEN)).await;
    stage.apply(&stage.integration("acme")).await;
    let synced = stage
        .condition("acme", "Synced", "False", "RefusedByCluster")
        .await;
    let message = synced["message"].as_str().unwrap();
    assert!(message.contains("exceeded quota: none"), "{message}");
    let object = stage.get("acme").await;
    assert_eq!(
        condition(&object, "Ready").unwrap()["reason"],
        "RefusedByCluster"
    );
    assert_eq!(condition(&object, "Connected").unwrap()["status"], "True");
    let used = stage.simulator.used("Acme").unwrap();

    stage.stop_controller().await;
    stage.start_controller().await;
    stage.kubectl(&["delete", "resourcequota", "none"]).await;
    stage.ready_within(NEXT_MINUTES, "acme").await;
    stage.kubectl(&["get", "cronjob", "acme-sync"]).await;
    let proofs = stage.simulator.used("Acme").unwrap() - used;
    assert_eq!(proofs, 0, "trying again costs no API calls");
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quota_against_jobs_refuses_a_run_that_is_asked_for_and_nothing_else() {
    let stage = Stage::start("no-jobs", world::acme()).await;
    stage.apply(&stage.secret("acme", PASSWORD, TOKEN)).await;
    stage.apply(&stage.integration("acme")).await;
    stage.ready("acme").await;
    forbid(&stage, "count/jobs.batch").await;
    stage.annotate("acme", RUN_REQUESTED_AT, "one").await;
    let handled = |object: &Value| {
        let status = &object["status"];
        let told = status["errors"][0]["code"] == "RefusedByCluster";
        (status["lastHandledRunAt"] == "one" && told).then_some(())
    };
    stage
        .until("acme", "the wish to be refused", SOON, handled)
        .await;
    stage.ready("acme").await;
    let events = stage.kubectl(&["get", "events"]).await;
    assert!(events.contains("RunRefused"), "{events}");
    stage.kubectl(&["delete", "resourcequota", "none"]).await;
    wait_for("Jobs to be taken again", SOON, async || {
        let job = "create job probe --image=none --dry-run=server -n";
        let args = job.split(' ').chain([stage.ns()]);
        let tried = stage.control_plane.kubectl(args).await.unwrap();
        tried.success().then_some(()).ok_or(tried.stderr)
    })
    .await;
    let run = stage.run_now("acme", "two").await;
    assert_eq!(run["outcome"], "Succeeded", "{run}");
    stage.end().await;
}

//! A run that fails is told from one that was killed, one that took too long and one that reported rubbish; the next run finishes
//! the work.

use std::time::Duration;

use serde_json::{Value, json};
use switchboard_testbed::{Select, Signal};

use crate::stage::{SOON, Stage, condition};
use crate::world::{self, PASSWORD, TOKEN};

async fn with_a_call(stage: &Stage) {
    stage.apply(&stage.secret("acme", PASSWORD, TOKEN)).await;
    stage.apply(&stage.integration("acme")).await;
    stage.ready("acme").await;
    let ingest = stage.directory("acme", "ingest").await;
    ingest
        .ingest(&crate::calls::incoming("acme", "1", world::ON_CONTACT))
        .await
        .unwrap();
}

/// The failed run's message in `Synced`; then the run after it, which must have finished the work.
async fn failed_then_finished(stage: &Stage, code: &str) -> String {
    let synced = stage
        .condition("acme", "Synced", "False", "RunFailed")
        .await;
    let object = stage.get("acme").await;
    assert_eq!(
        object["status"]["lastRun"]["outcome"], code,
        "{}",
        object["status"]["lastRun"]
    );
    assert_eq!(condition(&object, "Ready").unwrap()["reason"], "RunFailed");
    assert!(
        condition(&object, "Stalled").is_none(),
        "the next run may succeed"
    );
    assert_eq!(object["status"]["errors"][0]["code"], code);
    world::answer_at_once(&stage.simulator);
    let run = stage.run_now("acme", "again").await;
    assert_eq!(
        (&run["outcome"], &run["calls"], &run["written"]),
        (&json!("Succeeded"), &json!(1), &json!(1)),
        "{run}"
    );
    stage.ready("acme").await;
    let contact = stage
        .directory("acme", "lookup")
        .await
        .contact("03-1234-5678")
        .await
        .unwrap();
    assert_eq!(
        contact.unwrap().company_name.as_deref(),
        Some("Acme Trading")
    );
    synced["message"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_killed_in_the_middle_is_told_and_made_up_for() {
    let stage = Stage::start("killed", world::acme()).await;
    with_a_call(&stage).await;
    world::never_answer_composites(&stage.simulator);
    stage
        .annotate("acme", switchboard::api::RUN_REQUESTED_AT, "to be killed")
        .await;
    world::until_a_composite_waits(&stage.simulator).await;
    assert_eq!(stage.runner.signal(Select::all(), Signal::SIGKILL), 1);
    let message = failed_then_finished(&stage, "WorkerKilled").await;
    assert!(message.contains("Signal 9"), "{message}");
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_past_its_deadline_is_told_and_made_up_for() {
    let mut stage = Stage::set("late", world::acme())
        .await
        .run_deadline(Duration::from_secs(8));
    stage.start_controller().await;
    with_a_call(&stage).await;
    world::never_answer_composites(&stage.simulator);
    stage
        .annotate("acme", switchboard::api::RUN_REQUESTED_AT, "to be late")
        .await;
    let message = failed_then_finished(&stage, "RunDeadlineExceeded").await;
    assert!(message.contains("deadline"), "{message}");
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_that_is_rubbish_is_told_and_made_up_for() {
    let stage = Stage::start("rubbish", world::acme()).await;
    with_a_call(&stage).await;
    let rubbish = stage.runner.replace_message(
        Select::all(),
        "{\"version\": \"v1\", \"outcome\": \"Succeeded\"",
    );
    stage
        .annotate(
            "acme",
            switchboard::api::RUN_REQUESTED_AT,
            "to report rubbish",
        )
        .await;
    let synced = stage
        .condition("acme", "Synced", "False", "RunFailed")
        .await;
    assert!(
        synced["message"]
            .as_str()
            .unwrap()
            .starts_with("ReportInvalid"),
        "{synced}"
    );
    rubbish.release();
    let run = stage.run_now("acme", "again").await;
    assert_eq!(run["outcome"], "Succeeded", "{run}");
    stage.ready("acme").await;
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_without_a_report_is_no_success() {
    let stage = Stage::start("silent", world::acme()).await;
    with_a_call(&stage).await;
    let _silence = stage.runner.replace_message(Select::all(), "");
    stage
        .annotate("acme", switchboard::api::RUN_REQUESTED_AT, "to say nothing")
        .await;
    let run: Value = stage.next_run("acme", None, SOON).await;
    assert_eq!(run["outcome"], "ReportMissing", "{run}");
    stage.condition("acme", "Ready", "False", "RunFailed").await;
    stage.end().await;
}

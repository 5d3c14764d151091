//! Tests of failed runs: a failure, a kill, a timeout and an invalid report are distinguished, and
//! the next run finishes the work.

use std::time::Duration;

use k8s_openapi::api::batch::v1::CronJob;
use kube::Api;
use serde_json::{Value, json};
use switchboard_testbed::{Select, Signal, wait_for, wait_for_object};

use crate::stage::{NEXT_MINUTES, SOON, Stage, condition};
use crate::world::{self, PASSWORD, TOKEN};

async fn with_a_call(stage: &Stage) {
    stage.apply(&stage.secret("acme", PASSWORD, TOKEN)).await;
    stage.apply(&stage.integration("acme")).await;
    stage.ready("acme").await;
    let ingest = stage.directory("acme", "ingest").await;
    ingest
        .ingest(&switchboard_testbed::incoming_call(
            "acme",
            "1",
            world::ON_CONTACT,
        ))
        .await
        .unwrap();
}

/// Waits for the failed run and the run after it, which must have finished the work. Returns the
/// failed run's message in `Synced`.
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
async fn a_worker_out_of_memory_is_told_and_made_up_for() {
    let stage = Stage::start("memory", world::acme()).await;
    with_a_call(&stage).await;
    world::never_answer_composites(&stage.simulator);
    stage
        .annotate("acme", switchboard::api::RUN_REQUESTED_AT, "too large")
        .await;
    world::until_a_composite_waits(&stage.simulator).await;
    assert_eq!(stage.runner.oom_kill(Select::all()), 1);
    let message = failed_then_finished(&stage, "WorkerOutOfMemory").await;
    assert!(message.contains("memory"), "{message}");
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
async fn a_run_that_is_asked_for_while_another_may_use_the_whole_share_starts_when_that_one_is_evicted()
 {
    let stage = Stage::start("evicted", world::acme()).await;
    with_a_call(&stage).await;
    world::never_answer_composites(&stage.simulator);
    let wish = async |wish| {
        let key = switchboard::api::RUN_REQUESTED_AT;
        stage.annotate("acme", key, wish).await;
    };
    wish("to be evicted").await;
    world::until_a_composite_waits(&stage.simulator).await;
    // Until then the run under way answers a further request.
    wait_for("15 seconds to pass", SOON, async || {
        let object = stage.get("acme").await;
        let started = object.pointer("/status/requestedRun/startedAt");
        let started = started.and_then(Value::as_str).ok_or("no run yet")?;
        let started: jiff::Timestamp = started.parse().unwrap();
        let passed = jiff::Timestamp::now().duration_since(started);
        (passed.as_secs() > 15).then_some(()).ok_or("too early")
    })
    .await;
    wish("to wait").await;
    world::answer_at_once(&stage.simulator);
    let pods = stage.kubectl(&["get", "pods", "-o", "name"]).await;
    let pod = pods.trim();
    stage.kubectl(&["delete", pod, "--wait=false"]).await;
    let killed = stage.next_run("acme", None, SOON).await;
    // The result is the same whether or not the controller observed the pod before its deletion.
    assert_eq!(killed["outcome"], "WorkerKilled", "{killed}");
    let run = stage.next_run("acme", Some(&killed["job"]), SOON).await;
    assert_eq!(
        (&run["outcome"], &run["calls"], &run["written"]),
        (&json!("Succeeded"), &json!(1), &json!(1)),
        "{run}"
    );
    stage.ready("acme").await;
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

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_without_a_node_is_told_long_before_its_deadline_and_runs_when_one_comes() {
    let stage = Stage::start("nowhere", world::acme()).await;
    with_a_call(&stage).await;
    stage.runner.lose_node().await.unwrap();
    stage
        .annotate("acme", switchboard::api::RUN_REQUESTED_AT, "without a node")
        .await;
    let waits = |object: &Value| {
        let message = condition(object, "Synced")?["message"].as_str()?;
        message
            .starts_with("WorkerUnschedulable")
            .then(|| object.clone())
    };
    let object = stage
        .until("acme", "the pod to be missed", NEXT_MINUTES, waits)
        .await;
    let error = &object["status"]["errors"][0];
    assert_eq!(
        (&error["code"], &error["count"]),
        (&json!("WorkerUnschedulable"), &json!(1))
    );
    assert!(
        error["remedy"].as_str().unwrap().contains("node"),
        "{error}"
    );
    stage.runner.restore_node().await.unwrap();
    let run = stage.next_run("acme", None, NEXT_MINUTES).await;
    assert_eq!(run["outcome"], "Succeeded", "{run}");
    stage.ready("acme").await;
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cron_job_starts_within_the_window_as_next_run_says_and_edits_by_hand_are_put_right() {
    let stage = Stage::start("edits", world::acme()).await;
    stage.apply(&stage.secret("acme", PASSWORD, TOKEN)).await;
    let mut manifest = stage.integration("acme");
    manifest["spec"]["contacts"] = json!({"dailyAt": "23:00", "timeZone": "Asia/Tokyo"});
    stage.apply(&manifest).await;
    stage.ready("acme").await;
    let cron_jobs = Api::<CronJob>::namespaced(stage.client.clone(), stage.ns());
    let spec = |what: &'static str, is: Box<dyn Fn(&Value) -> bool>| {
        let cron_jobs = &cron_jobs;
        async move {
            wait_for_object(cron_jobs, "acme-sync", what, SOON, |object| {
                object
                    .filter(|object| is(object))
                    .map(|object| object["spec"].clone())
            })
            .await
        }
    };
    let wanted = spec("there", Box::new(|_| true)).await;
    let schedule = wanted["schedule"].as_str().unwrap().to_owned();
    let mut fields = schedule.split(' ').map(|field| field.parse::<u32>().ok());
    let (minute, hour) = (
        fields.next().flatten().unwrap(),
        fields.next().flatten().unwrap(),
    );
    let before = 23 * 60 - (hour * 60 + minute);
    assert!(before < 30, "{schedule}");
    let next: jiff::Timestamp = stage.get("acme").await["status"]["nextRun"]
        .as_str()
        .unwrap()
        .parse()
        .unwrap();
    let next = next.in_tz("Asia/Tokyo").unwrap();
    assert_eq!((next.hour() as u32, next.minute() as u32), (hour, minute));
    for patch in [
        json!({"spec": {"schedule": "0 0 * * *"}}),
        json!({"spec": {"suspend": true}}),
        json!({"spec": {"concurrencyPolicy": "Allow"}}),
        json!({"spec": {"jobTemplate": {"spec": {"backoffLimit": 6}}}}),
    ] {
        let text = patch.to_string();
        stage
            .kubectl(&["patch", "cronjob", "acme-sync", "--type=merge", "-p", &text])
            .await;
        let wanted = wanted.clone();
        spec(
            "as it was",
            Box::new(move |object| object["spec"] == wanted),
        )
        .await;
    }
    stage.end().await;
}

/// What a report may say who may write any.
fn forged(refused: bool) -> String {
    let mut report = json!({
        "version": "v1", "kind": "Lookup", "startedAt": "2038-01-19T03:14:07Z", "finishedAt": "9999-12-30T00:00:00Z",
        "outcome": "Succeeded", "error": null, "loginRefused": false, "calls": 0, "numbers": 0,
        "matched": {"contact": 0, "account": 0, "lead": 0}, "unmatched": 0, "written": 0, "skipped": 0,
        "apiCalls": 1_000_000_000_u64, "usage": {"used": 0, "limit": 1_000_000_000_000_000_000_u64, "observedAt": "9999-12-30T00:00:00Z"},
        "urlLength": {"bytes": 1},
        "warnings": [{"code": "PhotonsFew", "message": format!("\u{1b}[2J{}", "x".repeat(3_000))}],
    });
    if refused {
        report["outcome"] = "Failed".into();
        report["error"] = json!({"code": "InvalidLogin", "message": "made up"});
        report["loginRefused"] = true.into();
    }
    report.to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forged_report_is_believed_within_bounds_and_reaches_nobody_else() {
    let stage = Stage::start("forged", world::acme()).await;
    for name in ["acme", "beta"] {
        stage.apply(&stage.secret(name, PASSWORD, TOKEN)).await;
        let mut manifest = stage.integration(name);
        manifest["spec"]["salesforce"]["auth"]["password"]["username"] = world::USER.into();
        stage.apply(&manifest).await;
        stage.ready(name).await;
    }
    stage.test_now("beta", "who else?").await;
    let before = stage.get("beta").await;
    let logins = stage.simulator.counters().logins_ok();

    let rule = stage.runner.replace_message(Select::all(), forged(false));
    let run = stage.run_now("acme", "to forge").await;
    assert_eq!(run["outcome"], "Succeeded", "the report is kept: {run}");
    let status = stage.get("acme").await["status"].clone();
    assert_eq!(
        run["apiCalls"].as_u64().map(|calls| calls < 10_000),
        Some(true),
        "{run}"
    );
    let warnings = status["warnings"].as_array().unwrap();
    let warning = |code: &str| warnings.iter().find(|warning| warning["code"] == code);
    let doubt = warning("ReportValueRefused").unwrap();
    for value in ["apiCalls", "usage", "urlLength"] {
        assert!(
            doubt["message"].as_str().unwrap().contains(value),
            "{doubt}"
        );
    }
    let other = warning("PhotonsFew").unwrap()["message"].as_str().unwrap();
    assert!(other.len() <= 512 && !other.contains('\u{1b}'), "{other}");
    assert_eq!(status["organization"]["queryUrlLength"], Value::Null);
    assert_eq!(
        status["apiUsage"]["limit"],
        before["status"]["apiUsage"]["limit"]
    );
    assert!(status.to_string().len() < 16 * 1_024, "{status}");
    rule.release();

    let rule = stage.runner.replace_message(Select::all(), forged(true));
    stage
        .annotate("acme", switchboard::api::RUN_REQUESTED_AT, "to be refused")
        .await;
    let connected = stage
        .condition("acme", "Connected", "False", "InvalidLogin")
        .await;
    let message = connected["message"].as_str().unwrap();
    assert!(
        message.contains("A log-in of the controller with the same credential was accepted"),
        "{message}"
    );
    assert_eq!(
        stage.simulator.counters().logins_ok(),
        logins + 1,
        "one look of its own"
    );
    rule.release();

    // Whatever was said, the neighbour's next look finds what it found before.
    stage.test_now("beta", "and now?").await;
    let mut after = stage.get("beta").await;
    let mut before = before;
    for object in [&mut before, &mut after] {
        let status = object["status"].as_object_mut().unwrap();
        for moves in [
            "lastHandledTestAt",
            "apiUsage",
            "apiBudget",
            "nextRun",
            "connection",
        ] {
            status.remove(moves);
        }
    }
    assert_eq!(before["status"], after["status"]);
    stage.test_now("acme", "I have looked").await;
    stage
        .condition("acme", "Connected", "True", "AsExpected")
        .await;
    stage.end().await;
}

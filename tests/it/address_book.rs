//! The address book as a tenant sees it: what is asked for reaches the runs, and what runs and the
//! directory tell of it stands in the status, the metrics and what kubectl prints.

use jiff::Timestamp;
use k8s_openapi::api::batch::v1::CronJob;
use kube::Api;
use serde_json::{Value, json};
use switchboard::directory::model::RecordObject;
use switchboard::directory::model::book::{BeginFill, FillPart, FillStep, WriteRecords};
use switchboard_testbed::Select;

use crate::stage::{NEXT_MINUTES, SOON, Stage, condition};
use crate::world::{self, PASSWORD, TOKEN};

/// The report of a run that asked Salesforce something and says this of the book.
fn report(org_records: u64, book: &Value) -> String {
    json!({
        "version": "v1", "kind": "Sync", "startedAt": Timestamp::now(), "finishedAt": Timestamp::now(),
        "outcome": "Succeeded", "error": null, "loginRefused": false, "calls": 2, "numbers": 2,
        "matched": {"contact": 0, "account": 0, "lead": 0}, "unmatched": 2, "written": 0, "skipped": 0,
        "changesRead": {"rows": 12, "seconds": 3_600}, "orgRecords": org_records, "addressBook": book,
        "apiCalls": 3, "usage": null, "warnings": [],
    })
    .to_string()
}

/// A stage with an integration that wants an address book of so many records.
async fn wants(prefix: &str, max_records: u64) -> Stage {
    let stage = Stage::start(prefix, world::acme()).await;
    stage.apply(&stage.secret("acme", PASSWORD, TOKEN)).await;
    let mut manifest = stage.integration("acme");
    manifest["spec"]["contacts"]["addressBook"] = "Full".into();
    manifest["spec"]["contacts"]["maxRecords"] = max_records.into();
    stage.apply(&manifest).await;
    stage.ready("acme").await;
    stage
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fill_an_org_that_is_too_large_and_a_book_are_told_with_what_each_way_costs() {
    let stage = wants("book", 500).await;
    let cron_jobs: Api<CronJob> = Api::namespaced(stage.client.clone(), stage.ns());
    let cron_job = cron_jobs.get("acme-sync").await.unwrap();
    let pods = serde_json::to_string(&cron_job).unwrap();
    assert!(
        pods.contains(r#"\"addressBook\":{\"maxRecords\":500"#),
        "{pods}"
    );

    let filling = json!({"records": 100, "numbers": 120, "bytes": 30_000, "filling": {"rows": 100, "of": 400}});
    let rule = stage
        .runner
        .replace_message(Select::all(), report(400, &filling));
    stage.run_now("acme", "fill").await;
    stage
        .condition("acme", "Synced", "True", "AddressBookFilling")
        .await;
    let object = stage.get("acme").await;
    let said = condition(&object, "Synced").unwrap()["message"].clone();
    assert!(said.as_str().unwrap().contains("100 of 400"), "{said}");
    assert_eq!(condition(&object, "Ready").unwrap()["status"], "True");
    let book = &object["status"]["addressBook"];
    assert_eq!(
        (&book["mode"], &book["filling"]),
        (&json!("OnDemand"), &json!({"rows": 100, "of": 400}))
    );
    for mode in ["onDemand", "full", "fill"] {
        assert!(book["forecast"][mode].as_u64().unwrap() > 0, "{book}");
    }
    assert!(book["apiCalls"].as_u64().unwrap() >= 3, "{book}");
    rule.release();

    let over = json!({"records": 0, "numbers": 0, "bytes": 0, "overLimit": true});
    let rule = stage
        .runner
        .replace_message(Select::all(), report(700, &over));
    stage.run_now("acme", "too many").await;
    stage
        .condition("acme", "Synced", "False", "AddressBookOverLimit")
        .await;
    let object = stage.get("acme").await;
    let ready = condition(&object, "Ready").unwrap();
    assert_eq!(ready["status"], "True", "names come on demand");
    let said = ready["message"].as_str().unwrap();
    assert!(said.contains("700") && said.contains("500"), "{said}");
    assert_eq!(condition(&object, "Stalled"), None);
    let metrics = stage.metrics().await;
    for series in [
        r#"switchboard_address_books{mode="OnDemand"} 1"#,
        r#"switchboard_conditions{condition="Synced",status="False",reason="AddressBookOverLimit"} 1"#,
    ] {
        assert!(metrics.contains(series), "{series}: {metrics}");
    }
    rule.release();

    let whole = json!({"records": 390, "numbers": 450, "bytes": 90_000, "filledAt": Timestamp::now(), "watermark": Timestamp::now()});
    let rule = stage
        .runner
        .replace_message(Select::all(), report(400, &whole));
    stage.run_now("acme", "whole").await;
    stage
        .condition("acme", "Synced", "True", "RunSucceeded")
        .await;
    let object = stage.get("acme").await;
    let book = &object["status"]["addressBook"];
    assert_eq!(
        (&book["mode"], &book["records"]),
        (&json!("Full"), &json!(390))
    );
    let printed = stage.kubectl(&["get", "sfi", "acme", "-o", "yaml"]).await;
    assert!(printed.contains("mode: Full"), "{printed}");
    rule.release();
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_pod_says_of_a_book_that_cannot_be_is_not_believed() {
    let stage = wants("untruebook", 500).await;
    let forged = json!({"records": 10, "numbers": 1_000_000, "bytes": 1, "watermark": "9999-12-30T00:00:00Z"});
    let rule = stage
        .runner
        .replace_message(Select::all(), report(u64::MAX, &forged));
    stage.run_now("acme", "to forge").await;
    let status = stage.get("acme").await["status"].clone();
    let warnings = status["warnings"].as_array().unwrap();
    let doubt = warnings
        .iter()
        .find(|warning| warning["code"] == "ReportValueRefused")
        .unwrap();
    let said = doubt["message"].as_str().unwrap();
    assert!(
        said.contains("addressBook") && said.contains("orgRecords"),
        "{said}"
    );
    let book = &status["addressBook"];
    assert_eq!(
        (&book["records"], &book["orgRecords"]),
        (&Value::Null, &Value::Null),
        "{book}"
    );
    rule.release();
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_a_run_fills_the_book_the_status_tells_how_far_it_is() {
    let stage = wants("filling", 5_000).await;
    let worker = stage.directory("acme", "worker").await;
    let rule = stage.runner.hold(Select::all());
    stage
        .annotate("acme", switchboard::api::RUN_REQUESTED_AT, "fill")
        .await;
    let generation = worker
        .begin_fill(&BeginFill::default())
        .await
        .unwrap()
        .generation;
    let part = FillPart {
        object: RecordObject::Contact,
        job_id: Some("7505g00000Abcde".to_owned()),
        locator: None,
        within: 0,
        rows: 1_234,
        skipped: 0,
        of: Some(4_000),
        done: false,
    };
    let step = WriteRecords {
        fill: Some(FillStep {
            generation,
            parts: vec![part],
        }),
        ..WriteRecords::default()
    };
    assert!(worker.write_records(&step).await.unwrap().taken);
    let filling = stage
        .until("acme", "the progress of a fill", NEXT_MINUTES, |object| {
            object.pointer("/status/addressBook/filling").cloned()
        })
        .await;
    assert_eq!(filling, json!({"rows": 1_234, "of": 4_000}));
    let before = stage
        .get("acme")
        .await
        .pointer("/status/lastRun/job")
        .cloned();
    rule.release();
    stage.next_run("acme", before.as_ref(), SOON).await;
    stage.end().await;
}

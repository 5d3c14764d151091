//! Tests of what is asked again: a number that Salesforce did not know, and one that it no longer
//! knows.

use salesforce_simulator::Record;
use serde_json::{Value, json};
use switchboard::api::RUN_REQUESTED_AT;
use switchboard::directory::model::{Call, CallsQuery};
use switchboard_testbed::incoming_call;

use crate::stage::{SOON, Stage};
use crate::world::{self, PASSWORD, TOKEN};

/// A stage whose tenant is ready. The window of a re-retrieval reaches back to the tests' calls.
async fn stage(prefix: &str, contacts: Value) -> Stage {
    let stage = Stage::start_with_pods(prefix, world::acme()).await;
    stage.apply(&stage.secret("acme", PASSWORD, TOKEN)).await;
    apply(&stage, contacts).await;
    stage.ready("acme").await;
    stage
}

async fn apply(stage: &Stage, mut contacts: Value) {
    let mut manifest = stage.integration("acme");
    contacts["history"] = "9999d".into();
    manifest["spec"]["contacts"] = contacts;
    stage.apply(&manifest).await;
}

async fn call_from(stage: &Stage, id: &str, number: &str) {
    let ingest = stage.directory("acme", "ingest").await;
    let call = incoming_call("acme", id, number);
    ingest.ingest(&call).await.unwrap();
}

/// The call with this number, as the call history shows it.
async fn call(stage: &Stage, number: &str) -> Call {
    let lookup = stage.directory("acme", "lookup").await;
    let page = lookup.calls(&CallsQuery::default()).await.unwrap();
    let mut calls = page.calls.into_iter();
    calls
        .find(|call| call.number.as_deref() == Some(number))
        .unwrap()
}

fn new_contact(stage: &Stage) {
    let contact = Record::person("Late").first("Goro").phone(world::NOWHERE);
    let added = stage
        .simulator
        .edit_org("Acme", |org| org.insert("Contact", contact));
    added.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_contact_created_after_the_miss_is_found_by_a_run_on_request() {
    let stage = stage("asked-again", json!({})).await;
    call_from(&stage, "1", world::NOWHERE).await;
    let run = stage.run_now("acme", "first").await;
    assert_eq!(
        (&run["calls"], &run["unmatched"]),
        (&json!(1), &json!(1)),
        "{run}"
    );
    let miss = call(&stage, world::NOWHERE).await;
    assert!(miss.not_found && miss.asked_at.is_some(), "{miss:?}");

    new_contact(&stage);
    let run = stage.run_now("acme", "second").await;
    assert_eq!(
        (
            &run["calls"],
            &run["askedAgain"],
            &run["written"],
            &run["remaining"]
        ),
        (&json!(0), &json!(1), &json!(1), &json!(0)),
        "{run}"
    );
    let contact = call(&stage, world::NOWHERE).await.contact.unwrap();
    assert_eq!(contact.person_name.as_deref(), Some("Goro Late"));
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_number_that_salesforce_no_longer_knows_is_a_tombstone_after_an_overwriting_run() {
    let after_call = json!({"retrieval": "AfterCall", "lookupEvery": "1h"});
    let stage = stage("tombstone", after_call).await;
    call_from(&stage, "1", world::ON_CONTACT).await;
    call_from(&stage, "2", world::ON_LEAD).await;
    let run = stage.run_now("acme", "first").await;
    assert_eq!(
        (&run["kind"], &run["written"]),
        (&json!("Lookup"), &json!(2)),
        "{run}"
    );
    let admin = stage.directory("acme", "admin").await;
    let edit = serde_json::from_value(json!({"personName": "By Hand"})).unwrap();
    admin.put_contact(world::ON_LEAD, &edit).await.unwrap();

    let emptied = stage.simulator.edit_org("Acme", |org| {
        for object in ["Contact", "Lead"] {
            for record in org.all(object) {
                assert!(org.delete(record["Id"].as_str().unwrap()));
            }
        }
    });
    emptied.unwrap();
    let run = stage.run_now("acme", "second").await;
    assert_eq!(
        (&run["askedAgain"], &run["unmatched"]),
        (&json!(2), &json!(2)),
        "{run}"
    );
    let gone = call(&stage, world::ON_CONTACT).await;
    assert_eq!(gone.contact, None);
    let was = gone.was.unwrap();
    assert_eq!(was.company_name.as_deref(), Some("Acme Trading"));
    assert_eq!(Some(was.gone_since), gone.asked_at);
    let kept = call(&stage, world::ON_LEAD).await.contact.unwrap();
    assert_eq!(kept.person_name.as_deref(), Some("By Hand"));
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_requests_within_15_seconds_are_one_run() {
    let stage = stage("cool-down", json!({})).await;
    call_from(&stage, "1", world::ON_CONTACT).await;
    world::never_answer_composites(&stage.simulator);
    stage.annotate("acme", RUN_REQUESTED_AT, "one").await;
    let started = |object: &Value| {
        let status = &object["status"];
        let job = status["requestedRun"]["job"].as_str()?.to_owned();
        (status["lastHandledRunAt"] == "one").then_some(job)
    };
    let job = stage.until("acme", "a run", SOON, started).await;
    stage.annotate("acme", RUN_REQUESTED_AT, "two").await;
    let handled = |object: &Value| (object["status"]["lastHandledRunAt"] == "two").then_some(());
    stage.until("acme", "it to be handled", SOON, handled).await;
    let jobs = stage.kubectl(&["get", "jobs", "-o", "name"]).await;
    assert_eq!(jobs.trim(), format!("job.batch/{job}"));
    world::answer_at_once(&stage.simulator);
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn misses_are_asked_again_at_once_when_the_region_changes() {
    let stage = stage("other-region", json!({})).await;
    call_from(&stage, "1", "+81600000000").await;
    let run = stage.run_now("acme", "first").await;
    assert_eq!(run["unmatched"], 1, "{run}");
    new_contact(&stage);
    // An after-call run by the clock asks for nothing but what is due. Its settings are others.
    let after_call = json!({"retrieval": "AfterCall", "lookupEvery": "1m", "region": "US"});
    apply(&stage, after_call.clone()).await;
    let asked = |object: &Value| {
        let run = object.pointer("/status/lastRun")?;
        let scheduled = run["kind"] == "Lookup" && run["askedAgain"] == 1;
        scheduled.then_some(())
    };
    let deadline = crate::stage::NEXT_MINUTES;
    stage
        .until("acme", "the miss to be asked", deadline, asked)
        .await;
    stage.end().await;
}

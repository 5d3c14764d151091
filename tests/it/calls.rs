//! Tests of the main path: the phone platform reports a call, a CronJob's pod looks the number up
//! in Salesforce, and call history and call screen show company and person.

use serde_json::json;
use switchboard::directory::model::CallsQuery;
use switchboard_testbed::incoming_call;

use crate::stage::{NEXT_MINUTES, Stage};
use crate::world::{self, PASSWORD, TOKEN};

/// The calling number, the number as typed, and the names of the caller.
type Played = (
    &'static str,
    &'static str,
    Option<(&'static str, &'static str)>,
);

/// The calling number, the number as somebody types it on the call screen, company and person.
const CALLS: [Played; 4] = [
    (
        world::ON_CONTACT,
        "03-1234-5678",
        Some(("Acme Trading", "Hanako Sato")),
    ),
    (
        world::ON_LEAD,
        "+81 90-1111-2222",
        Some(("Lead Works", "Taro Lead")),
    ),
    (
        world::ON_TWO,
        "0312340000",
        Some(("Both Inc", "Jiro Contact")),
    ),
    (world::NOWHERE, "06-0000-0000", None),
];

async fn play(stage: &Stage, name: &str, twice: bool) {
    let ingest = stage.directory(name, "ingest").await;
    for _ in 0..if twice { 2 } else { 1 } {
        for (number, (from, _, _)) in CALLS.iter().enumerate() {
            ingest
                .ingest(&incoming_call(name, &number.to_string(), from))
                .await
                .unwrap();
        }
    }
}

async fn assert_names(stage: &Stage, name: &str) {
    let lookup = stage.directory(name, "lookup").await;
    for (from, typed, expected) in CALLS {
        let contact = lookup.contact(typed).await.unwrap();
        let found = contact.as_ref().map(|contact| {
            (
                contact.company_name.as_deref().unwrap_or(""),
                contact.person_name.as_deref().unwrap_or(""),
            )
        });
        assert_eq!(found, expected, "{from} typed as {typed}");
    }
    let history = lookup.calls(&CallsQuery::default()).await.unwrap().calls;
    assert_eq!(
        history.len(),
        4,
        "each call once, however often it was told"
    );
    for (from, _, expected) in CALLS {
        let call = history
            .iter()
            .find(|call| call.number.as_deref() == Some(from))
            .unwrap();
        let shown = call
            .contact
            .as_ref()
            .and_then(|contact| contact.company_name.as_deref());
        assert_eq!(shown, expected.map(|(company, _)| company), "{from}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_by_schedule_brings_names_to_call_history_and_call_screen() {
    let stage = Stage::start_with_pods("calls", world::acme()).await;
    stage.apply(&stage.secret("acme", PASSWORD, TOKEN)).await;
    let mut manifest = stage.integration("acme");
    manifest["spec"]["contacts"] = json!({"retrieval": "AfterCall", "lookupEvery": "1m"});
    stage.apply(&manifest).await;
    stage.ready("acme").await;
    play(&stage, "acme", true).await;
    let run = stage
        .until("acme", "a run with calls", NEXT_MINUTES, |object| {
            let run = object.pointer("/status/lastRun")?;
            (run["calls"].as_u64() > Some(0)).then(|| run.clone())
        })
        .await;
    assert_eq!(
        (&run["kind"], &run["outcome"]),
        (&json!("Lookup"), &json!("Succeeded")),
        "{run}"
    );
    assert_eq!(
        (
            &run["calls"],
            &run["numbers"],
            &run["unmatched"],
            &run["written"]
        ),
        (&json!(4), &json!(4), &json!(1), &json!(3)),
        "{run}"
    );
    assert_eq!(
        run["matched"],
        json!({"contact": 2, "account": 0, "lead": 1}),
        "{run}"
    );
    assert_eq!(
        run["apiCalls"], 2,
        "four numbers are one composite request, and the one that nobody has is one search: {run}"
    );
    assert_names(&stage, "acme").await;
    // The next run has no work, because each call was resolved once.
    let next = stage
        .next_run("acme", Some(&run["job"]), NEXT_MINUTES)
        .await;
    assert_eq!(
        (&next["calls"], &next["apiCalls"]),
        (&json!(0), &json!(0)),
        "{next}"
    );
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_by_annotation_does_the_same_for_the_daily_way() {
    let stage = Stage::start("asked-run", world::acme()).await;
    stage.apply(&stage.secret("acme", PASSWORD, TOKEN)).await;
    stage.apply(&stage.integration("acme")).await;
    stage.ready("acme").await;
    play(&stage, "acme", true).await;
    let run = stage.run_now("acme", "one").await;
    assert_eq!(
        (
            &run["kind"],
            &run["outcome"],
            &run["calls"],
            &run["written"]
        ),
        (&json!("Sync"), &json!("Succeeded"), &json!(4), &json!(3)),
        "{run}"
    );
    assert_names(&stage, "acme").await;
    stage
        .condition("acme", "Synced", "True", "RunSucceeded")
        .await;
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_contact_edited_by_hand_survives_the_daily_run_and_not_the_after_call_run() {
    let stage = Stage::start_with_pods("edited", world::acme()).await;
    stage.apply(&stage.secret("acme", PASSWORD, TOKEN)).await;
    stage.apply(&stage.integration("acme")).await;
    stage.ready("acme").await;
    let admin = stage.directory("acme", "admin").await;
    let edit = serde_json::from_value(json!({"companyName": "By Hand", "personName": "Somebody"}))
        .unwrap();
    admin.put_contact("03-1234-5678", &edit).await.unwrap();
    play(&stage, "acme", false).await;
    let run = stage.run_now("acme", "daily").await;
    assert_eq!(
        (&run["kind"], &run["written"]),
        (&json!("Sync"), &json!(2)),
        "{run}"
    );
    let contact = admin.contact("0312345678").await.unwrap().unwrap();
    assert_eq!(contact.company_name.as_deref(), Some("By Hand"));

    let mut manifest = stage.integration("acme");
    manifest["spec"]["contacts"] = json!({"retrieval": "AfterCall", "lookupEvery": "1h"});
    stage.apply(&manifest).await;
    let ingest = stage.directory("acme", "ingest").await;
    ingest
        .ingest(&incoming_call("acme", "77", world::ON_CONTACT))
        .await
        .unwrap();
    let run = stage.run_now("acme", "after the call").await;
    assert_eq!(
        (&run["kind"], &run["calls"]),
        (&json!("Lookup"), &json!(1)),
        "{run}"
    );
    let contact = admin.contact("0312345678").await.unwrap().unwrap();
    assert_eq!(contact.company_name.as_deref(), Some("Acme Trading"));
    stage.end().await;
}

//! Tests of whose data it is: it goes with the integration where that is asked for, a deletion
//! waits for no longer than it says, and nobody inherits a stranger's data without a word.

use k8s_openapi::api::core::v1::{Namespace, Secret};
use kube::Api;
use serde_json::{Value, json};
use switchboard::api::{ADOPT_DATA, ERASE_DATA};
use switchboard::directory::model::CallsQuery;
use switchboard::directory::model::privacy::{AuditQuery, NumberRequest};
use switchboard::directory::{Client, ClientError};
use switchboard_testbed::{incoming_call, wait_for};

use crate::bed;
use crate::rights::Scope;
use crate::stage::{NEXT_MINUTES, SOON, Stage, condition};
use crate::world::{self, ON_CONTACT, PASSWORD, TOKEN};

/// An integration of this name for the company `acme`.
fn of_acme(stage: &Stage, name: &str, policy: &str) -> Value {
    let mut manifest = stage.integration(name);
    manifest["spec"]["companyId"] = "acme".into();
    manifest["spec"]["deletionPolicy"] = policy.into();
    let password = &mut manifest["spec"]["salesforce"]["auth"]["password"];
    password["username"] = world::USER.into();
    password["secretRef"]["name"] = "acme-salesforce".into();
    manifest
}

async fn calls(client: &Client) -> Result<usize, ClientError> {
    let page = client.calls(&CallsQuery::default()).await?;
    Ok(page.calls.len())
}

/// Brings one call in, and has it named.
async fn one_named_call(stage: &Stage, name: &str) {
    let ingest = stage.directory(name, "ingest").await;
    let call = incoming_call("acme", "1", ON_CONTACT);
    ingest.ingest(&call).await.unwrap();
    let run = stage.run_now(name, "name it").await;
    assert_eq!(run["written"], 1, "{run}");
}

fn finalizers(object: &Value) -> Vec<&str> {
    let finalizers = object["metadata"]["finalizers"].as_array();
    finalizers
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect()
}

async fn until_gone(stage: &Stage, name: &str) {
    wait_for(format!("{name} to go"), SOON, async || {
        match stage.integrations().get_opt(name).await.unwrap() {
            None => Ok(()),
            Some(left) => Err(format!("{:?}", left.status.map(|status| status.conditions))),
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn data_goes_with_the_integration_and_the_deletion_says_what_it_waits_for() {
    let mut stage = Stage::start("erased", world::acme()).await;
    stage.apply(&stage.secret("acme", PASSWORD, TOKEN)).await;
    stage.apply(&of_acme(&stage, "acme", "Retain")).await;
    stage.ready("acme").await;
    one_named_call(&stage, "acme").await;
    assert_eq!(finalizers(&stage.get("acme").await), [""; 0]);

    // The finalizer comes and goes with the field, beside others'.
    let others = r#"{"metadata":{"finalizers":["example.com/other"]}}"#;
    stage
        .kubectl(&["patch", "sfi/acme", "--type=merge", "-p", others])
        .await;
    for (policy, expected) in [
        ("Erase", &["example.com/other", ERASE_DATA][..]),
        ("Retain", &["example.com/other"]),
        ("Erase", &["example.com/other", ERASE_DATA]),
    ] {
        stage.apply(&of_acme(&stage, "acme", policy)).await;
        stage
            .until("acme", policy, SOON, |object| {
                (finalizers(object) == expected).then_some(())
            })
            .await;
    }
    let none = r#"{"metadata":{"finalizers":["switchboard.dev/erase-data"]}}"#;
    stage
        .kubectl(&["patch", "sfi/acme", "--type=merge", "-p", none])
        .await;

    // The directory is away: the deletion waits and says why.
    let lookup = stage.directory("acme", "lookup").await;
    assert_eq!(calls(&lookup).await.unwrap(), 1);
    stage.stop_directory().await;
    stage
        .kubectl(&["delete", "sfi", "acme", "--wait=false"])
        .await;
    let waits = stage
        .condition("acme", "DataErased", "False", "ErasureWaits")
        .await;
    let message = waits["message"].as_str().unwrap();
    assert!(
        message.contains("did not answer") && message.contains("tried again until"),
        "{message}"
    );
    wait_for("the Event", SOON, async || {
        let events = stage
            .kubectl(&["get", "events.events.k8s.io", "-o", "json"])
            .await;
        events.contains("ErasureWaits").then_some(()).ok_or("none")
    })
    .await;

    // It is back: everything goes, and the tokens are good for nothing.
    stage.start_directory().await;
    until_gone(&stage, "acme").await;
    let error = calls(&lookup).await.unwrap_err();
    let ClientError::Refused { problem, .. } = &error else {
        panic!("{error:?}")
    };
    assert_eq!((problem.status, &*problem.code), (401, "token-revoked"));
    let events = stage
        .kubectl(&["get", "events.events.k8s.io", "-o", "json"])
        .await;
    assert!(events.contains("CompanyErased"), "{events}");

    // Whoever comes next begins anew, and is told nothing.
    stage.apply(&of_acme(&stage, "other", "Retain")).await;
    stage.ready("other").await;
    let lookup = stage.directory("other", "lookup").await;
    assert_eq!(calls(&lookup).await.unwrap(), 0);
    let privacy = stage.directory("other", "privacy").await;
    let audit = privacy.audit(&AuditQuery::default()).await.unwrap();
    let told: Vec<_> = audit.entries.iter().map(|entry| &*entry.action).collect();
    assert_eq!(told, ["data-claimed", "company-erased"]);
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_is_told_and_the_same_name_goes_on_with_its_data() {
    let stage = Stage::start("inherits", world::acme()).await;
    stage.apply(&stage.secret("acme", PASSWORD, TOKEN)).await;
    stage.apply(&of_acme(&stage, "acme", "Retain")).await;
    let first = stage.ready("acme").await;
    one_named_call(&stage, "acme").await;

    // Applied anew, as GitOps does: the same data, and an Event that says so.
    stage.kubectl(&["delete", "sfi", "acme", "--wait"]).await;
    stage.apply(&of_acme(&stage, "acme", "Retain")).await;
    let second = stage.ready("acme").await;
    assert_ne!(first["metadata"]["uid"], second["metadata"]["uid"]);
    assert_eq!(
        calls(&stage.directory("acme", "lookup").await)
            .await
            .unwrap(),
        1
    );
    wait_for("the Event", SOON, async || {
        let events = stage
            .kubectl(&["get", "events.events.k8s.io", "-o", "json"])
            .await;
        events.contains("DataTakenOver").then_some(()).ok_or("none")
    })
    .await;

    // Another one gets nothing before it names whose data it takes over.
    stage.kubectl(&["delete", "sfi", "acme", "--wait"]).await;
    stage.apply(&of_acme(&stage, "other", "Retain")).await;
    let told = stage
        .condition("other", "Exclusive", "False", "DataOfAnother")
        .await;
    let uid = second["metadata"]["uid"].as_str().unwrap();
    assert!(told["message"].as_str().unwrap().contains(uid), "{told}");
    let stalled = stage.get("other").await;
    assert_eq!(
        condition(&stalled, "Stalled").unwrap()["reason"],
        "DataOfAnother"
    );
    let secrets: Api<Secret> = Api::namespaced(stage.client.clone(), stage.ns());
    assert!(secrets.get_opt("other-directory").await.unwrap().is_none());
    stage.annotate("other", ADOPT_DATA, "true").await;
    stage.annotate("other", ADOPT_DATA, uid).await;
    stage.ready("other").await;
    assert_eq!(
        calls(&stage.directory("other", "lookup").await)
            .await
            .unwrap(),
        1
    );

    // With the token for it, a number is erased and stays away from runs and webhooks.
    let privacy = stage.directory("other", "privacy").await;
    let number = NumberRequest {
        number: ON_CONTACT.into(),
        region: None,
    };
    let erased = privacy.erase_number(&number).await.unwrap();
    assert_eq!((erased.calls, erased.contacts), (1, 1));
    let ingest = stage.directory("other", "ingest").await;
    let again = ingest.ingest(&incoming_call("acme", "1", ON_CONTACT)).await;
    assert_eq!(again.unwrap().erased, 1);
    let run = stage.run_now("other", "after the erasure").await;
    assert_eq!(
        (&run["outcome"], &run["written"]),
        (&json!("Succeeded"), &json!(0)),
        "{run}"
    );
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_namespace_goes_with_its_integrations_and_their_data() {
    let control_plane = bed::own_control_plane().await;
    let mut stage = Stage::set_for(Scope::Cluster, control_plane, "doomed", world::acme()).await;
    stage.start_controller().await;
    stage.apply(&stage.secret("acme", PASSWORD, TOKEN)).await;
    stage.apply(&of_acme(&stage, "acme", "Erase")).await;
    stage.ready("acme").await;
    one_named_call(&stage, "acme").await;
    let lookup = stage.directory("acme", "lookup").await;
    stage
        .kubectl(&["delete", "namespace", stage.ns(), "--wait=false"])
        .await;
    let namespaces: Api<Namespace> = Api::all(stage.client.clone());
    wait_for(
        "the namespace to go",
        NEXT_MINUTES,
        async || match namespaces.get_opt(stage.ns()).await.unwrap() {
            None => Ok(()),
            Some(left) => Err(format!("{:?}", left.status)),
        },
    )
    .await;
    let error = calls(&lookup).await.unwrap_err();
    let ClientError::Refused { problem, .. } = &error else {
        panic!("{error:?}")
    };
    assert_eq!(problem.code, "token-revoked");
    stage.stop_controller().await;
}

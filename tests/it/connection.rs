//! Tests of a tenant's first steps: it applies one resource and its Secret, and reads whether the
//! connection is healthy, the reason if not, and the remedy.

use std::time::Duration;

use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::Api;
use serde_json::json;
use switchboard::controller::LOGINS;
use switchboard_testbed::wait_for;

use crate::stage::{SOON, Stage, condition};
use crate::world::{self, PASSWORD, TOKEN};

#[tokio::test(flavor = "multi_thread")]
async fn apply_then_ready_with_org_edition_user_and_usage_for_at_most_four_calls() {
    let stage = Stage::start("ready", world::acme()).await;
    stage.apply(&stage.secret("acme", PASSWORD, TOKEN)).await;
    stage.apply(&stage.integration("acme")).await;
    let object = stage.ready("acme").await;
    let status = &object["status"];
    assert_eq!(status["organization"]["name"], "Acme");
    assert_eq!(status["organization"]["edition"], "Enterprise Edition");
    assert_eq!(status["connection"]["username"], "integration@acme.example");
    assert_eq!(status["connection"]["failedLogins"], 0);
    assert!(
        status["apiUsage"]["limit"].as_u64() > Some(0) && status["apiUsage"]["used"].is_u64(),
        "{status}"
    );
    assert_eq!(
        status["observedGeneration"],
        object["metadata"]["generation"]
    );
    for type_ in ["CredentialsAvailable", "Connected", "Authorized", "Synced"] {
        assert_eq!(
            condition(&object, type_).unwrap()["status"],
            "True",
            "{type_}"
        );
    }
    assert!(condition(&object, "Stalled").is_none());
    let counters = stage.simulator.counters();
    assert_eq!(counters.logins.len(), 1);
    assert!(
        counters.api_calls() <= 4,
        "{} API calls",
        counters.api_calls()
    );
    let table = stage.kubectl(&["get", "sfi"]).await;
    assert!(
        table.contains("True") && table.contains("Acme") && table.contains("Enterprise Edition"),
        "{table}"
    );
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_costs_one_log_in_until_it_is_corrected() {
    let mut stage = Stage::start("wrong", world::acme()).await;
    stage
        .apply(&stage.secret("acme", "not-the-password", TOKEN))
        .await;
    stage.apply(&stage.integration("acme")).await;
    stage
        .condition("acme", "Ready", "False", "InvalidLogin")
        .await;
    let object = stage.get("acme").await;
    assert_eq!(condition(&object, "Stalled").unwrap()["status"], "True");
    assert_eq!(object["status"]["connection"]["failedLogins"], 1);
    let error = &object["status"]["errors"][0];
    assert!(
        error["code"] == "InvalidLogin"
            && error["remedy"]
                .as_str()
                .is_some_and(|remedy| !remedy.is_empty()),
        "{error}"
    );

    // Ten changes that do not affect the log-in, each followed to its reconcile; then another
    // controller starts.
    for number in 0..10 {
        let wish = number.to_string();
        stage
            .annotate("acme", switchboard::api::RUN_REQUESTED_AT, &wish)
            .await;
        stage
            .until("acme", "the wish to be handled", SOON, |object| {
                (object["status"]["lastHandledRunAt"] == wish).then_some(())
            })
            .await;
    }
    stage.stop_controller().await;
    stage.start_controller().await;
    stage
        .annotate(
            "acme",
            switchboard::api::RUN_REQUESTED_AT,
            "after the restart",
        )
        .await;
    stage
        .until("acme", "the wish to be handled", SOON, |object| {
            (object["status"]["lastHandledRunAt"] == "after the restart").then_some(())
        })
        .await;
    assert_eq!(stage.simulator.counters().logins.len(), 1);

    let described = stage.kubectl(&["describe", "sfi", "acme"]).await;
    assert!(
        described.contains("Warning  InvalidLogin"),
        "no Event in:\n{described}"
    );

    stage.apply(&stage.secret("acme", PASSWORD, TOKEN)).await;
    stage.ready("acme").await;
    assert_eq!(stage.simulator.counters().logins.len(), 2);
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_conditions_follow_the_secret_through_its_life() {
    let stage = Stage::start("secret", world::acme()).await;
    stage.apply(&stage.integration("acme")).await;
    stage
        .condition("acme", "CredentialsAvailable", "False", "SecretNotFound")
        .await;
    stage
        .condition("acme", "Ready", "False", "SecretNotFound")
        .await;

    let mut keyless = stage.secret("acme", PASSWORD, TOKEN);
    keyless["stringData"]
        .as_object_mut()
        .unwrap()
        .remove("password");
    stage.apply(&keyless).await;
    stage
        .condition("acme", "Ready", "False", "SecretKeyMissing")
        .await;
    assert_eq!(stage.simulator.counters().logins.len(), 0);

    stage.apply(&stage.secret("acme", PASSWORD, TOKEN)).await;
    stage.ready("acme").await;
    assert_eq!(stage.simulator.counters().logins.len(), 1);

    let secrets: Api<Secret> = Api::namespaced(stage.client.clone(), stage.ns());
    secrets
        .delete("acme-salesforce", &Default::default())
        .await
        .unwrap();
    stage
        .condition("acme", "Ready", "False", "SecretNotFound")
        .await;

    stage.apply(&stage.secret("acme", PASSWORD, TOKEN)).await;
    stage.ready("acme").await;
    assert_eq!(
        stage.simulator.counters().logins.len(),
        1,
        "the session is still good"
    );
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_test_on_request_is_made_once_for_each_request() {
    let stage = Stage::start("asked", world::acme()).await;
    stage.apply(&stage.secret("acme", PASSWORD, TOKEN)).await;
    stage.apply(&stage.integration("acme")).await;
    stage.ready("acme").await;
    let calls = stage.simulator.counters().api_calls();
    for wish in ["one", "two"] {
        stage
            .annotate("acme", switchboard::api::TEST_REQUESTED_AT, wish)
            .await;
        stage
            .until("acme", "the test to be handled", SOON, |object| {
                (object["status"]["lastHandledTestAt"] == wish).then_some(())
            })
            .await;
    }
    let counters = stage.simulator.counters();
    assert_eq!(counters.logins.len(), 1, "the session is reused");
    assert!(
        counters.api_calls() > calls && counters.api_calls() <= calls + 8,
        "{}",
        counters.api_calls()
    );
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_without_view_all_on_contact_is_told_which_object() {
    let stage = Stage::start("rights", world::acme_without_view_all_on_contact()).await;
    stage.apply(&stage.secret("acme", PASSWORD, TOKEN)).await;
    stage.apply(&stage.integration("acme")).await;
    let ready = stage
        .condition("acme", "Ready", "False", "MissingViewAll")
        .await;
    assert!(
        ready["message"].as_str().unwrap().contains("Contact"),
        "{ready}"
    );
    let object = stage.get("acme").await;
    assert_eq!(condition(&object, "Connected").unwrap()["status"], "True");
    assert_eq!(
        condition(&object, "Authorized").unwrap()["reason"],
        "MissingViewAll"
    );
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_steady_state_makes_no_api_writes() {
    let stage = Stage::start("steady", world::acme()).await;
    stage.apply(&stage.secret("acme", PASSWORD, TOKEN)).await;
    stage.apply(&stage.integration("acme")).await;
    stage.ready("acme").await;
    // A further request without other effect shows that all earlier work is done.
    stage
        .annotate("acme", switchboard::api::TEST_REQUESTED_AT, "settle")
        .await;
    stage
        .until("acme", "the test to be handled", SOON, |object| {
            (object["status"]["lastHandledTestAt"] == "settle").then_some(())
        })
        .await;
    // The answer to the log-in is on record a moment later.
    wait_for("the record of log-ins to be settled", SOON, async || {
        let maps: Api<ConfigMap> = Api::namespaced(stage.client.clone(), stage.ns());
        let map = maps.get(LOGINS).await.map_err(|error| error.to_string())?;
        let text = map.data.and_then(|data| data.get("logins").cloned());
        match text.unwrap_or_default() {
            text if text.trim().is_empty() => Ok(()),
            text => Err(text),
        }
    })
    .await;
    let mark = stage.control_plane.audit_mark().unwrap();
    // The API server sends watch events before it writes the log, so the expected write may come
    // after the mark.
    let settled = jiff::Timestamp::now();
    // Labels do not affect the controller; ten changes of them trigger no work.
    for number in 0..10 {
        let patch = kube::api::Patch::Merge(
            json!({"metadata": {"labels": {"number": number.to_string()}}}),
        );
        stage
            .integrations()
            .patch("acme", &Default::default(), &patch)
            .await
            .unwrap();
    }
    let secrets: Api<Secret> = Api::namespaced(stage.client.clone(), stage.ns());
    let patch = kube::api::Patch::Merge(json!({"metadata": {"labels": {"touched": "yes"}}}));
    secrets
        .patch("acme-salesforce", &Default::default(), &patch)
        .await
        .unwrap();
    let version = stage.get("acme").await["metadata"]["resourceVersion"].clone();
    let written = switchboard_testbed::try_wait_for(
        "a write of the controller",
        Duration::from_secs(5),
        async || {
            let events = stage
                .control_plane
                .audit_since(mark)
                .map_err(|error| error.to_string())?;
            let writes: Vec<_> = events
                .into_iter()
                .filter(|event| {
                    event.namespace == stage.ns()
                        && event.time > settled
                        && event.is_write()
                        && event.user_agent.contains("switchboard")
                })
                .collect();
            if writes.is_empty() {
                Err("none".to_owned())
            } else {
                Ok(writes)
            }
        },
    )
    .await;
    assert!(written.is_err(), "{written:?}");
    assert_eq!(
        stage.get("acme").await["metadata"]["resourceVersion"],
        version
    );
    stage.end().await;
}

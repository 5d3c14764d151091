//! Tests of the number of log-ins that Salesforce receives, for any change of Secrets, resources
//! and controller.

use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use salesforce_simulator::{Org, User, World};
use serde_json::{Value, json};

use crate::stage::{NEXT_MINUTES, SOON, Stage, condition};
use crate::world::{self, PASSWORD, TOKEN, USER};

/// Integrations in this number, which all use the user of `world::acme` and the Secret `shared`.
pub(crate) fn sharing(stage: &Stage, count: usize) -> Value {
    let items: Vec<Value> = (0..count)
        .map(|number| {
            let mut manifest = stage.integration(&format!("tenant-{number}"));
            let auth = &mut manifest["spec"]["salesforce"]["auth"]["password"];
            *auth = json!({"username": USER, "secretRef": {"name": "shared-salesforce"}});
            manifest
        })
        .collect();
    json!({"apiVersion": "v1", "kind": "List", "items": items})
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_resources_with_one_wrong_password_do_not_lock_the_user() {
    let mut stage = Stage::start("fifty", world::acme()).await;
    stage
        .simulator
        .edit_org("Acme", |org| org.max_login_attempts = Some(3))
        .unwrap();
    stage
        .apply(&stage.secret("shared", "not-the-password", TOKEN))
        .await;
    stage.apply(&sharing(&stage, 50)).await;
    stage.all("False", "InvalidLogin", SOON).await;
    let logins = stage.simulator.counters().logins.len();
    assert!(logins <= 2, "{logins} log-ins at the start");
    assert!(!stage.simulator.is_locked(USER));

    stage.stop_controller().await;
    stage.start_controller().await;
    for name in ["tenant-0", "tenant-25", "tenant-49"] {
        stage.look(name, "after the restart").await;
    }
    assert_eq!(
        stage.simulator.counters().logins.len(),
        logins,
        "a restart adds none"
    );
    // All fifty request a test; the hour allows at most one more log-in.
    for number in 0..50 {
        let wish = switchboard::api::TEST_REQUESTED_AT;
        stage
            .annotate(&format!("tenant-{number}"), wish, "now")
            .await;
    }
    for number in 0..50 {
        let name = format!("tenant-{number}");
        stage
            .until(&name, "the test to be handled", SOON, |object| {
                (object["status"]["lastHandledTestAt"] == "now").then_some(())
            })
            .await;
    }
    let logins = stage.simulator.counters().logins.len();
    assert!(logins <= 2, "{logins} log-ins after fifty requests");
    assert!(!stage.simulator.is_locked(USER));

    stage.apply(&stage.secret("shared", PASSWORD, TOKEN)).await;
    stage.all("True", "Ready", SOON).await;
    let counters = stage.simulator.counters();
    assert_eq!(
        (counters.logins.len(), counters.logins_ok()),
        (logins + 1, 1),
        "one for the change, shared by all"
    );
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_is_made_anew_again_and_again_does_not_lock_the_user() {
    let mut stage = Stage::start("flapping", world::acme()).await;
    stage
        .simulator
        .edit_org("Acme", |org| org.max_login_attempts = Some(3))
        .unwrap();
    stage.apply(&stage.integration("acme")).await;
    // Two writers, then one that makes another password each time.
    for round in 0..12 {
        let password = if round < 6 {
            format!("wrong-{}", round % 2)
        } else {
            format!("wrong-{round}")
        };
        stage.apply(&stage.secret("acme", &password, TOKEN)).await;
        stage.look("acme", &format!("round {round}")).await;
    }
    assert_eq!(stage.simulator.counters().logins.len(), 2);
    stage
        .condition("acme", "Ready", "False", "LoginWithheld")
        .await;
    let withheld = stage.get("acme").await;
    let until = withheld["status"]["connection"]["nextAttemptAt"].as_str();
    let connected = condition(&withheld, "Connected").unwrap();
    assert!(
        connected["message"]
            .as_str()
            .unwrap()
            .contains(until.unwrap()),
        "{connected}"
    );

    // Neither a restart nor another integration gives the user a third try.
    stage.stop_controller().await;
    stage.start_controller().await;
    stage
        .apply(&stage.secret("other", "wrong-too", TOKEN))
        .await;
    let mut other = stage.integration("other");
    other["spec"]["salesforce"]["auth"]["password"]["username"] = json!(USER);
    stage.apply(&other).await;
    stage
        .condition("other", "Ready", "False", "LoginWithheld")
        .await;
    // A credential that was refused is still known when it comes back.
    stage.apply(&stage.secret("acme", "wrong-0", TOKEN)).await;
    stage
        .condition("acme", "Ready", "False", "InvalidLogin")
        .await;
    assert_eq!(stage.simulator.counters().logins.len(), 2);
    assert!(!stage.simulator.is_locked(USER));
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_status_follows_the_secret_through_every_change_with_one_log_in_each() {
    let stage = Stage::start("changes", world::acme()).await;
    let secrets: Api<Secret> = Api::namespaced(stage.client.clone(), stage.ns());
    let logins = || stage.simulator.counters().logins.len();
    let not_ready = async |reason: &str| {
        stage.condition("acme", "Ready", "False", reason).await;
    };

    stage.apply(&stage.integration("acme")).await;
    not_ready("SecretNotFound").await;
    // The Secret is created late, with a wrong password.
    stage
        .apply(&stage.secret("acme", "not-the-password", TOKEN))
        .await;
    not_ready("InvalidLogin").await;
    // A refused credential stays refused, also after a change of the Secret that keeps its content.
    stage
        .kubectl(&["label", "secret", "acme-salesforce", "touched=yes"])
        .await;
    stage.look("acme", "after the refusal").await;
    assert_eq!(logins(), 1);
    // The Secret is corrected.
    stage.apply(&stage.secret("acme", PASSWORD, TOKEN)).await;
    let before = stage.ready("acme").await;
    assert_eq!(logins(), 2);
    // The password is rotated, first at Salesforce, then in the Secret.
    stage
        .simulator
        .edit_user(USER, |user| user.password = "the next one".into())
        .unwrap();
    stage
        .apply(&stage.secret("acme", "the next one", TOKEN))
        .await;
    stage
        .until("acme", "the new credential", SOON, |object| {
            let connection = &object["status"]["connection"];
            let version = &connection["credentialsVersion"];
            let ready = condition(object, "Ready")?;
            (*version != before["status"]["connection"]["credentialsVersion"]
                && connection["attemptedAt"].is_null()
                && ready["status"] == "True")
                .then_some(())
        })
        .await;
    assert_eq!(logins(), 3);
    // The Secret is emptied, then gets its former content again.
    stage.apply(&stage.secret("acme", "", TOKEN)).await;
    not_ready("SecretKeyInvalid").await;
    stage
        .apply(&stage.secret("acme", "the next one", TOKEN))
        .await;
    stage.ready("acme").await;
    // The Secret is deleted, replaced by one of a wrong type, then replaced by a correct one.
    let delete = async || {
        secrets
            .delete("acme-salesforce", &Default::default())
            .await
            .unwrap();
    };
    delete().await;
    not_ready("SecretNotFound").await;
    let mut wrong = stage.secret("acme", "", "");
    wrong["type"] = "kubernetes.io/tls".into();
    wrong["stringData"] = json!({"tls.crt": "a certificate", "tls.key": "a key"});
    stage.apply(&wrong).await;
    not_ready("SecretKeyMissing").await;
    delete().await;
    not_ready("SecretNotFound").await;
    stage
        .apply(&stage.secret("acme", "the next one", TOKEN))
        .await;
    stage.ready("acme").await;
    assert_eq!(logins(), 3, "the session of that credential is still good");
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_credential_that_was_replaced_leaves_no_session_behind() {
    let stage = Stage::start("replaced", world::acme()).await;
    stage.apply(&stage.integration("acme")).await;
    let mut versions = vec![];
    for (number, password) in [PASSWORD, "the next one", PASSWORD].into_iter().enumerate() {
        stage
            .simulator
            .edit_user(USER, |user| user.password = password.into())
            .unwrap();
        stage.apply(&stage.secret("acme", password, TOKEN)).await;
        let version = stage
            .until("acme", "the credential to be proved", SOON, |object| {
                let connection = &object["status"]["connection"];
                let version = connection["credentialsVersion"].as_str()?;
                let proved = versions.last().is_none_or(|last| last != version)
                    && connection["attemptedAt"].is_null()
                    && condition(object, "Ready")?["status"] == "True";
                proved.then(|| version.to_owned())
            })
            .await;
        versions.push(version);
        assert_eq!(
            stage.simulator.counters().logins.len(),
            number + 1,
            "a session of before was used again"
        );
    }
    assert_eq!(versions[0], versions[2], "it is the same credential again");
    stage.end().await;
}

/// Tenants with one org each. Something changes in the orgs without any edit in the cluster.
fn world_of(names: &[&str]) -> World {
    names.iter().fold(World::new(), |world, name| {
        let user = User::integration(&format!("integration@{name}.example"))
            .password(PASSWORD)
            .token(TOKEN);
        world.org(Org::enterprise(name).user(user))
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn what_changes_at_salesforce_is_noticed_at_the_next_proof() {
    let names = ["revoked", "deactivated", "blinded", "disabled", "slow"];
    let stage = Stage::start("noticed", world_of(&names)).await;
    for name in names {
        let mut manifest = stage.integration(name);
        if name == "slow" {
            manifest["spec"]["interval"] = "1m".into();
        }
        stage.apply(&stage.secret(name, PASSWORD, TOKEN)).await;
        stage.apply(&manifest).await;
    }
    for name in names {
        stage.ready(name).await;
    }
    let user = |name: &str| format!("integration@{name}.example");
    let logins = |name: &str| stage.simulator.counters().logins_of(&user(name));
    let blind = |name: &str| {
        stage
            .simulator
            .edit_org(name, |org| {
                let profile = org
                    .profiles
                    .iter_mut()
                    .find(|profile| profile.name == "Integration")
                    .unwrap();
                profile.grants = profile.grants.clone().without_view_all("Lead");
            })
            .unwrap();
    };

    blind("slow");
    // The session has ended: one log-in restores it.
    assert_eq!(stage.simulator.revoke_sessions(&user("revoked")), 1);
    stage.test_now("revoked", "revoked").await;
    assert_eq!(
        condition(&stage.get("revoked").await, "Ready").unwrap()["status"],
        "True"
    );
    assert_eq!(logins("revoked"), 2);

    // The user is deactivated: one refused log-in, and no more.
    stage
        .simulator
        .edit_user(&user("deactivated"), |user| user.active = false)
        .unwrap();
    stage.simulator.revoke_sessions(&user("deactivated"));
    stage.test_now("deactivated", "deactivated").await;
    stage
        .condition("deactivated", "Ready", "False", "InvalidLogin")
        .await;
    assert_eq!(logins("deactivated"), 2);

    blind("blinded");
    stage.test_now("blinded", "blinded").await;
    let ready = stage
        .condition("blinded", "Ready", "False", "MissingViewAll")
        .await;
    assert!(
        ready["message"].as_str().unwrap().contains("Lead"),
        "{ready}"
    );

    // The API is disabled while the session is still valid; this is no refused log-in.
    stage
        .simulator
        .edit_org("disabled", |org| org.api = false)
        .unwrap();
    stage.test_now("disabled", "disabled").await;
    stage
        .condition("disabled", "Ready", "False", "ApiDisabledForOrg")
        .await;
    let object = stage.get("disabled").await;
    assert_eq!(object["status"]["connection"]["failedLogins"], 0);
    stage
        .simulator
        .edit_org("disabled", |org| org.api = true)
        .unwrap();
    stage.test_now("disabled", "enabled").await;
    stage.ready("disabled").await;
    assert_eq!(logins("disabled"), 1);

    // Nobody requests a test, so the interval triggers it.
    stage
        .condition_within(NEXT_MINUTES, "slow", ["Ready", "False", "MissingViewAll"])
        .await;
    assert_eq!((logins("slow"), logins("blinded")), (1, 1));
    stage.end().await;
}

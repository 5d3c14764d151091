//! A tenant who guesses the password of a Salesforce user, and deletes and makes anew whatever
//! could remember it.

use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;
use serde_json::json;
use switchboard::controller::LOGINS;
use switchboard_testbed::Process;

use crate::stage::{SOON, Stage, condition};
use crate::world::{self, PASSWORD, TOKEN, USER};

/// Guesses of the tenant.
const GUESSES: usize = 30;

/// Spellings of the user's name, each of which Salesforce takes.
fn spelled(guess: usize) -> String {
    match guess % 3 {
        0 => USER.to_owned(),
        1 => USER.to_uppercase(),
        _ => USER.replace("example", "Example"),
    }
}

/// Makes an integration with a password that is wrong, waits until it is told so, and deletes it.
async fn guess(stage: &Stage, guess: usize) -> String {
    let name = format!("guess-{}", guess % 4);
    let password = format!("wrong-{guess}");
    stage.apply(&stage.secret(&name, &password, TOKEN)).await;
    let mut manifest = stage.integration(&name);
    if guess.is_multiple_of(2) {
        let url = stage.login_url().replace("localhost", "LOCALHOST");
        manifest["spec"]["salesforce"]["loginUrl"] = url.into();
    }
    manifest["spec"]["salesforce"]["auth"]["password"]["username"] = json!(spelled(guess));
    stage.apply(&manifest).await;
    let reason = stage
        .until(&name, "an answer to the guess", SOON, |object| {
            let connected = condition(object, "Connected")?;
            let reason = connected["reason"].as_str()?;
            (connected["status"] == "False").then(|| reason.to_owned())
        })
        .await;
    stage.kubectl(&["delete", "sfi", &name]).await;
    stage
        .kubectl(&["delete", "secret", &format!("{name}-salesforce")])
        .await;
    reason
}

async fn killed(controller: Option<Process>) {
    controller.unwrap().kill().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn thirty_guesses_with_integrations_that_are_deleted_are_two_and_the_user_is_not_locked() {
    let mut stage = Stage::start("guessing", world::acme()).await;
    stage
        .simulator
        .edit_org("Acme", |org| org.max_login_attempts = Some(3))
        .unwrap();
    let mut second = None;
    for number in 0..GUESSES {
        match number {
            // One that is killed has no time to tell the next one.
            1 | 5 | 20 => {
                killed(stage.controller.take()).await;
                stage.start_controller().await;
            }
            // For a moment two believe that they lead.
            10 => second = Some(stage.another_controller("second", &[]).await),
            15 => killed(second.take()).await,
            _ => {}
        }
        let reason = guess(&stage, number).await;
        let expected = if number < 2 {
            "InvalidLogin"
        } else {
            "LoginWithheld"
        };
        assert_eq!(reason, expected, "guess {number}");
    }
    assert_eq!(stage.simulator.counters().logins.len(), 2);
    assert!(!stage.simulator.is_locked(USER));

    // The one to whom the user belongs is told until when, and by whom not.
    stage.apply(&stage.secret("acme", PASSWORD, TOKEN)).await;
    stage.apply(&stage.integration("acme")).await;
    let connected = stage
        .until("acme", "to be withheld", SOON, |object| {
            let connected = condition(object, "Connected")?;
            (connected["reason"] == "LoginWithheld").then(|| connected.clone())
        })
        .await;
    let said = connected["message"].as_str().unwrap();
    assert!(
        said.contains("or for one that was deleted") && !said.contains("guess-"),
        "{said}"
    );

    let kept: Api<ConfigMap> = Api::namespaced(stage.client.clone(), stage.ns());
    let text = kept.get(LOGINS).await.unwrap().data.unwrap()["logins"].clone();
    assert_eq!(text.lines().count(), 2, "{text}");
    assert!(
        !text.to_lowercase().contains(&USER.to_lowercase()),
        "{text}"
    );
    stage.end().await;
}

//! Tests of revoked tokens: a leaked one is refused, the integration's runs go on.

use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use serde_json::{Value, json};
use switchboard::api::TOKENS_NOT_BEFORE;
use switchboard::directory::{Client, ClientError};
use switchboard_testbed::wait_for;

use crate::stage::{SOON, Stage};
use crate::world::{self, PASSWORD, TOKEN};

async fn token(stage: &Stage, name: &str, purpose: &str) -> String {
    let secrets: Api<Secret> = Api::namespaced(stage.client.clone(), stage.ns());
    let secret = secrets.get(&format!("{name}-directory")).await.unwrap();
    String::from_utf8(secret.data.unwrap()[purpose].0.clone()).unwrap()
}

async fn asked(stage: &Stage, token: &str) -> Result<(), ClientError> {
    let client = Client::new(stage.directory_url(), token.to_owned().into()).unwrap();
    client.calls(&Default::default()).await.map(drop)
}

fn warnings(object: &Value) -> Vec<&str> {
    let warnings = object["status"]["warnings"].as_array();
    let warnings = warnings.map(Vec::as_slice).unwrap_or_default();
    warnings
        .iter()
        .filter_map(|one| one["code"].as_str())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leaked_token_is_refused_and_runs_go_on() {
    let mut stage = Stage::start("revoked", world::acme()).await;
    for name in ["acme", "birch"] {
        stage.apply(&stage.secret(name, PASSWORD, TOKEN)).await;
        let mut manifest = stage.integration(name);
        manifest["spec"]["salesforce"]["auth"]["password"]["username"] = world::USER.into();
        stage.apply(&manifest).await;
    }
    for name in ["acme", "birch"] {
        stage.ready(name).await;
        // The tokens follow Ready.
        stage.directory(name, "lookup").await;
    }
    let (leaked, of_another) = (
        token(&stage, "acme", "lookup").await,
        token(&stage, "birch", "lookup").await,
    );
    asked(&stage, &leaked).await.unwrap();

    // What is no time that has passed gets a sentence, and revokes nothing.
    for wrong in ["now", "2999-01-01T00:00:00Z"] {
        stage.annotate("acme", TOKENS_NOT_BEFORE, wrong).await;
        stage
            .until("acme", "the sentence", SOON, |object| {
                warnings(object)
                    .contains(&"TokensNotBeforeInvalid")
                    .then_some(())
            })
            .await;
        asked(&stage, &leaked).await.unwrap();
    }

    // Whole seconds: the leaked token was issued before this one.
    let at = wait_for("the next second", SOON, async || {
        let now = jiff::Timestamp::now().as_second();
        let issued = issued_at(&leaked);
        (now > issued).then_some(now).ok_or(issued)
    })
    .await;
    let at = jiff::Timestamp::from_second(at).unwrap().to_string();
    stage.annotate("acme", TOKENS_NOT_BEFORE, &at).await;
    let object = stage
        .until("acme", "the revocation", SOON, |object| {
            let revoked = &object["status"]["revokedTokens"];
            (revoked["notBefore"] == *at).then(|| object.clone())
        })
        .await;
    assert_eq!(object["status"]["revokedTokens"]["companyId"], "acme");
    let wrong = warnings(&object)
        .into_iter()
        .find(|code| code.starts_with("Tokens"));
    assert_eq!(wrong, None);
    let error = asked(&stage, &leaked).await.unwrap_err();
    let ClientError::Refused { problem, .. } = &error else {
        panic!("{error:?}")
    };
    assert_eq!((problem.status, &*problem.code), (401, "token-revoked"));
    assert!(problem.detail.contains("revoked"), "{problem:?}");
    asked(&stage, &of_another).await.unwrap();
    asked(&stage, &token(&stage, "acme", "lookup").await)
        .await
        .unwrap();

    // The runs have the new token.
    let ingest = stage.directory("acme", "ingest").await;
    let call = switchboard_testbed::incoming_call("acme", "1", world::ON_CONTACT);
    ingest.ingest(&call).await.unwrap();
    let run = stage.run_now("acme", "after the revocation").await;
    assert_eq!(
        (&run["outcome"], &run["written"]),
        (&json!("Succeeded"), &json!(1)),
        "{run}"
    );

    // A controller that starts mints no other tokens, and the integration that is made anew gets
    // good ones: what is revoked stands in the directory.
    let kept = token(&stage, "acme", "lookup").await;
    stage.stop_controller().await;
    stage.start_controller().await;
    stage.run_now("acme", "after a restart").await;
    assert_eq!(token(&stage, "acme", "lookup").await, kept);
    stage.kubectl(&["delete", "sfi", "acme", "--wait"]).await;
    let secrets: Api<Secret> = Api::namespaced(stage.client.clone(), stage.ns());
    wait_for("the tokens to go with it", SOON, async || {
        match secrets.get_opt("acme-directory").await.unwrap() {
            None => Ok(()),
            Some(_) => Err("it is there"),
        }
    })
    .await;
    let mut manifest = stage.integration("acme");
    manifest["spec"]["salesforce"]["auth"]["password"]["username"] = world::USER.into();
    stage.apply(&manifest).await;
    stage.ready("acme").await;
    let again = stage.directory("acme", "lookup").await;
    again.calls(&Default::default()).await.unwrap();
    assert!(asked(&stage, &leaked).await.is_err());
    stage.end().await;
}

/// When a token was issued, in seconds since 1970.
fn issued_at(token: &str) -> i64 {
    use base64::Engine as _;
    let claims = token.split('.').nth(1).unwrap();
    let claims = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(claims);
    let claims: Value = serde_json::from_slice(&claims.unwrap()).unwrap();
    claims["iat"].as_i64().unwrap()
}

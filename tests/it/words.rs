//! Tests of Salesforce's newer answers, of mistakes in a Secret, and of a secret that comes back,
//! as the tenant reads them in the status.

use salesforce_simulator::{ConnectedApp, Effect, Fault, Matcher, Org, User, World};
use serde_json::{Value, json};

use crate::stage::{Stage, condition};
use crate::world::{PASSWORD, TOKEN};

const PRIVATE_KEY: &str = include_str!("../../src/salesforce/tests/data/rsa-pkcs8.pem");
const SHORT_KEY: &str = include_str!("../../src/salesforce/tests/data/pasted/short-rsa.pem");
const PUBLIC_KEY: &str = include_str!("../../src/salesforce/tests/data/rsa-public.pem");

fn user_of(name: &str) -> String {
    format!("integration@{name}.example")
}

fn world_of(names: &[&str]) -> World {
    names.iter().fold(World::new(), |world, name| {
        let user = User::integration(&user_of(name))
            .password(PASSWORD)
            .token(TOKEN);
        let app = ConnectedApp::new(name, "app-secret").certificate(PUBLIC_KEY);
        world.org(Org::enterprise(name).user(user).app(app))
    })
}

/// An integration that logs in with a JWT, and its Secret.
fn jwt(stage: &Stage, name: &str, key: &str) -> [Value; 2] {
    let mut manifest = stage.integration(name);
    let secret_name = format!("{name}-salesforce");
    manifest["spec"]["salesforce"]["auth"] =
        json!({"jwtBearer": {"username": user_of(name), "secretRef": {"name": secret_name}}});
    let mut secret = stage.secret(name, "", "");
    secret["stringData"] = json!({"clientId": name, "privateKey": key});
    [secret, manifest]
}

#[tokio::test(flavor = "multi_thread")]
async fn newer_answers_have_their_reason_and_only_a_refusal_counts() {
    let names = ["moved", "absent", "scope", "stumbles"];
    let stage = Stage::start("words", world_of(&names)).await;
    let edit = |name: &str, change: fn(&mut ConnectedApp)| {
        stage
            .simulator
            .edit_org(name, |org| change(&mut org.apps[0]))
            .unwrap();
    };
    edit("absent", |app| app.installed = false);
    edit("scope", |app| app.scopes = vec!["openid".to_owned()]);
    let moved = "https://acme.my.salesforce.com/services/Soap/u/50.0".to_owned();
    stage
        .simulator
        .fault(Fault::new(Effect::Redirect(moved)).on_user(&user_of("moved")));
    // The assertion holds the user's name in base64, so the fault is bound to the path.
    for name in names {
        if name == "moved" {
            stage.apply(&stage.secret(name, PASSWORD, TOKEN)).await;
            stage.apply(&stage.integration(name)).await;
        } else if name != "stumbles" {
            for object in jwt(&stage, name, PRIVATE_KEY) {
                stage.apply(&object).await;
            }
        }
    }
    let moved = stage
        .condition("moved", "Ready", "False", "LoginUrlMoved")
        .await;
    let message = moved["message"].as_str().unwrap();
    assert!(
        message.contains("write https://acme.my.salesforce.com into loginUrl"),
        "{message}"
    );
    assert_eq!(
        stage.get("moved").await["status"]["connection"]["failedLogins"],
        0
    );

    stage
        .condition("absent", "Ready", "False", "AppNotInstalled")
        .await;
    assert_eq!(
        stage.get("absent").await["status"]["connection"]["failedLogins"],
        1
    );
    stage
        .condition("scope", "Ready", "False", "SessionNotForApi")
        .await;
    assert_eq!(
        stage.get("scope").await["status"]["connection"]["failedLogins"],
        0
    );

    // It passes within seconds, without a trace of a refused log-in.
    let stumble = Fault::error("unknown_error").on_path("/services/oauth2/token");
    stage.simulator.fault(stumble.once());
    for object in jwt(&stage, "stumbles", PRIVATE_KEY) {
        stage.apply(&object).await;
    }
    let status = stage.ready("stumbles").await["status"].clone();
    assert_eq!(status["connection"]["failedLogins"], 0);
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mistake_in_the_secret_is_named_before_a_log_in_is_spent() {
    let names = ["misspelt", "capital", "short", "private"];
    let stage = Stage::start("mistakes", world_of(&names)).await;
    let mut misspelt = stage.secret("misspelt", "", "");
    misspelt["stringData"] = json!({"password": PASSWORD, "security_token": TOKEN});
    let mut capital = stage.secret("capital", "", "");
    capital["stringData"] = json!({"Password": PASSWORD, "securityToken": TOKEN});
    let [mut underscored, private] = jwt(&stage, "private", PRIVATE_KEY);
    underscored["stringData"] = json!({"clientId": "private", "private_key": PRIVATE_KEY});
    let [short_secret, short] = jwt(&stage, "short", SHORT_KEY);
    for object in [
        misspelt,
        stage.integration("misspelt"),
        capital,
        stage.integration("capital"),
        underscored,
        private,
        short_secret,
        short,
    ] {
        stage.apply(&object).await;
    }
    for (name, reason, says) in [
        (
            "misspelt",
            "SecretKeyMissing",
            r#"has a key "security_token"; the key is "securityToken""#,
        ),
        (
            "capital",
            "SecretKeyMissing",
            r#"has a key "Password"; the key is "password""#,
        ),
        (
            "private",
            "SecretKeyMissing",
            r#"has a key "private_key"; the key is "privateKey""#,
        ),
        ("short", "SecretKeyInvalid", "fewer than 2048 bits"),
    ] {
        let told = stage.condition(name, "Ready", "False", reason).await;
        assert!(
            told["message"].as_str().unwrap().contains(says),
            "{name}: {told}"
        );
        let object = stage.get(name).await;
        let failed = &object["status"]["connection"]["failedLogins"];
        assert!(failed.is_null() || *failed == 0, "{name}: {failed}");
    }
    assert_eq!(stage.simulator.counters().logins.len(), 0);
    // Renamed, the key is read at once.
    stage.apply(&stage.secret("capital", PASSWORD, TOKEN)).await;
    stage.ready("capital").await;
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_comes_back_is_seen_nowhere() {
    let secret = "p4s$w\"\u{f6}&<rd-of-acme";
    let forms = [
        secret.to_owned(),
        "p4s$w\\\"\\u00f6&<rd-of-acme".to_owned(),
        "p4s$w&quot;&ouml;&amp;&lt;rd-of-acme".to_owned(),
        "p4s$w&amp;quot;&amp;ouml;&amp;amp;&amp;lt;rd-of-acme".to_owned(),
        "p4s%24w%22%C3%B6%26%3Crd-of-acme".to_owned(),
        "cDRzJHciw7YmPHJkLW9mLWFjbWU=".to_owned(),
        secret.chars().take(12).collect(),
    ];
    let names: Vec<String> = (0..forms.len()).map(|at| format!("form-{at}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let stage = Stage::start("echo", world_of(&names)).await;
    for (name, form) in names.iter().zip(&forms) {
        let matcher = Matcher {
            user: Some(user_of(name)),
            ..Matcher::default()
        };
        let body = json!([{"errorCode": "NEVER_HEARD", "message": format!("You sent {form}.")}]);
        let mut fault = Fault::new(Effect::Json { status: 400, body });
        fault.matcher = matcher;
        stage.simulator.fault(fault);
        stage.apply(&stage.secret(name, secret, TOKEN)).await;
        stage.apply(&stage.integration(name)).await;
    }
    for (name, form) in names.iter().zip(&forms) {
        let told = stage
            .condition(name, "Ready", "False", "InvalidLogin")
            .await;
        let message = told["message"].as_str().unwrap();
        assert!(message.contains("[redacted]"), "{form}: {message}");
        let object = stage.get(name).await;
        assert!(condition(&object, "Ready").is_some());
        let status = object["status"].to_string();
        for part in ["p4s$w", "p4s%24w", "rd-of-acme", "cDRzJHci"] {
            assert!(!status.contains(part), "{form}: {status}");
        }
    }
    stage.end().await;
}

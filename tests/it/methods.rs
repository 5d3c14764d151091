//! Tests of the four log-in methods, each from its Secret to Ready.

use salesforce_simulator::{ConnectedApp, Org, User, World};
use serde_json::{Value, json};

use crate::stage::Stage;
use crate::world::{PASSWORD, TOKEN, USER};

const PRIVATE_KEY: &str = include_str!("../../src/salesforce/tests/data/rsa-pkcs8.pem");
const PRIVATE_KEY_PKCS1: &str = include_str!("../../src/salesforce/tests/data/rsa-pkcs1.pem");
const PUBLIC_KEY: &str = include_str!("../../src/salesforce/tests/data/rsa-public.pem");

fn world() -> World {
    let app = ConnectedApp::new("consumer", "app+secret")
        .certificate(PUBLIC_KEY)
        .run_as(USER);
    let user = User::integration(USER).password(PASSWORD).token(TOKEN);
    World::new().org(Org::enterprise("Acme").user(user).app(app))
}

/// Name, method with the fields beside `secretRef`, keys of the Secret, code of the warning about
/// the end of the method.
fn methods() -> Vec<(
    &'static str,
    &'static str,
    Value,
    Value,
    Option<&'static str>,
)> {
    let user = json!({"username": USER});
    let app = json!({"clientId": "consumer", "clientSecret": "app+secret"});
    let password = json!({"password": PASSWORD, "securityToken": TOKEN});
    let both = json!({"password": PASSWORD, "securityToken": TOKEN, "clientId": "consumer", "clientSecret": "app+secret"});
    let jwt = |key: &str| json!({"clientId": "consumer", "privateKey": key});
    vec![
        (
            "soap",
            "password",
            user.clone(),
            password,
            Some("SoapLoginRetiring"),
        ),
        (
            "oauth",
            "oauthPassword",
            user.clone(),
            both,
            Some("OauthPasswordRetiring"),
        ),
        ("jwt", "jwtBearer", user.clone(), jwt(PRIVATE_KEY), None),
        (
            "jwt-pkcs1",
            "jwtBearer",
            user,
            jwt(&PRIVATE_KEY_PKCS1.replace('\n', "\\r\\n")),
            None,
        ),
        ("client", "clientCredentials", json!({}), app, None),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn each_method_leads_to_ready_with_one_log_in_and_says_when_it_is_about_to_go() {
    let stage = Stage::start("methods", world()).await;
    for (name, method, mut auth, keys, _) in methods() {
        auth["secretRef"] = json!({"name": format!("{name}-salesforce")});
        let mut manifest = stage.integration(name);
        manifest["spec"]["salesforce"]["auth"] = json!({method: auth});
        let mut secret = stage.secret(name, "", "");
        secret["stringData"] = keys;
        stage.apply(&secret).await;
        stage.apply(&manifest).await;
    }
    for (name, method, _, _, retiring) in methods() {
        let status = stage.ready(name).await["status"].clone();
        assert_eq!(status["organization"]["name"], "Acme", "{name}");
        assert_eq!(status["connection"]["username"], USER, "{name}");
        let warnings = status["warnings"].as_array().cloned().unwrap_or_default();
        let told = warnings
            .iter()
            .find(|warning| warning["code"].as_str().unwrap().ends_with("Retiring"));
        assert_eq!(
            told.map(|warning| warning["code"].as_str().unwrap()),
            retiring,
            "{name}"
        );
        if let Some(warning) = told {
            let (message, remedy) = (
                warning["message"].as_str().unwrap(),
                warning["remedy"].as_str().unwrap(),
            );
            // Salesforce has announced a date for only one of the two.
            assert!(
                message.contains("June 2027") || message.contains("no end date has been announced"),
                "{name}: {message}"
            );
            assert!(
                remedy.contains("jwtBearer") && remedy.contains("clientCredentials"),
                "{name}: {remedy}"
            );
        }
        // The message names a missing key that the method requires.
        let required = match method {
            "jwtBearer" => "privateKey",
            "password" => "password",
            _ => "clientSecret",
        };
        let patch = format!(r#"{{"data": {{"{required}": null}}}}"#);
        let secret = format!("{name}-salesforce");
        stage
            .kubectl(&["patch", "secret", &secret, "--type=merge", "-p", &patch])
            .await;
        let missing = stage
            .condition(name, "Ready", "False", "SecretKeyMissing")
            .await;
        assert!(
            missing["message"].as_str().unwrap().contains(required),
            "{name}: {missing}"
        );
    }
    assert_eq!(stage.simulator.counters().logins.len(), methods().len());
    assert_eq!(stage.simulator.counters().logins_failed(), 0);
    stage.end().await;
}

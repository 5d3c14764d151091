//! Tests that each problem at Salesforce or in the tenant's objects has its own reason, and that
//! `switchboard check` reports the same message with the same exit code. Module `runs` covers
//! RunFailed. The unit tests of the rules cover RunOverdue, which takes an hour.

use std::collections::BTreeMap;

use salesforce_simulator::{Org, User, World};
use serde_json::{Value, json};

use crate::check::check;
use crate::stage::{Stage, condition};
use crate::world::{PASSWORD, TOKEN};

/// A tenant with its own org.
struct Case {
    name: &'static str,
    /// Changes the org of this case.
    org: fn(Org) -> Org,
    /// Changes the manifest of this case.
    manifest: fn(&mut Value),
    /// Changes the Secret of this case; null means no Secret.
    secret: fn(&mut Value),
    /// Expected reason of Ready; `Ready` when the case only has a warning.
    reason: &'static str,
    /// The condition that has the reason.
    on: &'static str,
    /// Whether only a human can solve the problem.
    stalled: bool,
    /// Code of the expected warning.
    warning: Option<&'static str>,
}

const ANY: Case = Case {
    name: "",
    org: |org| org,
    manifest: |_| {},
    secret: |_| {},
    reason: "",
    on: "Connected",
    stalled: true,
    warning: None,
};

fn user(org: &mut Org) -> &mut User {
    &mut org.users[0]
}

fn keys(secret: &mut Value) -> &mut serde_json::Map<String, Value> {
    secret["stringData"].as_object_mut().unwrap()
}

fn login_url(manifest: &mut Value, url: &str) {
    manifest["spec"]["salesforce"]["loginUrl"] = url.into();
}

fn api_version(manifest: &mut Value, version: &str) {
    manifest["spec"]["salesforce"]["apiVersion"] = version.into();
}

/// Log-ins that one user may make in an hour: one for the controller, one for `check`, and the
/// controller's retries of temporary failures on a slow machine.
const RATE: u64 = 8;

fn cases() -> Vec<Case> {
    #[rustfmt::skip]
    let cases = vec![
        Case { name: "healthy", reason: "Ready", warning: Some("SoapLoginRetiring"), ..ANY },
        Case { name: "wrong-password", secret: |secret| { keys(secret).insert("password".into(), "wrong".into()); }, reason: "InvalidLogin", ..ANY },
        Case { name: "inactive", org: |org| org.with(|org| user(org).active = false), reason: "InvalidLogin", ..ANY },
        Case { name: "no-token", secret: |secret| { keys(secret).remove("securityToken"); }, reason: "SecurityTokenRequired", ..ANY },
        Case { name: "expired", org: |org| org.with(|org| user(org).password_expired = true), reason: "PasswordExpired", ..ANY },
        Case { name: "soap-off", org: |org| org.with(|org| org.soap_login = false), reason: "LoginMethodDisabled", ..ANY },
        Case { name: "professional", org: |org| org.with(|org| { org.api = false; org.edition = "Professional Edition".into(); }), reason: "ApiDisabledForOrg", ..ANY },
        Case { name: "user-without-api", org: |org| org.grants("Integration", |grants| grants.deny("ApiEnabled")), reason: "ApiDisabledForUser", ..ANY },
        Case { name: "new-version", manifest: |manifest| api_version(manifest, "99.0"), reason: "UnsupportedApiVersion", ..ANY },
        Case { name: "address", org: |org| org.with(|org| user(org).login_ip_ranges = vec!["192.0.2.0/24".into()]), reason: "IpRestricted", ..ANY },
        Case { name: "rate", reason: "LoginRateExceeded", stalled: false, ..ANY },
        Case { name: "quota", org: |org| org.with(|org| org.daily_limit = Some(0)), reason: "RequestLimitExceeded", stalled: false, ..ANY },
        Case { name: "closed-port", manifest: |manifest| login_url(manifest, "https://localhost:1"), reason: "Unreachable", stalled: false, ..ANY },
        Case { name: "maintenance", org: |org| org.with(|org| org.maintenance = true), reason: "Unreachable", stalled: false, ..ANY },
        Case { name: "foreign-host", manifest: |manifest| login_url(manifest, "https://salesforce.example"), reason: "HostNotAllowed", ..ANY },
        Case { name: "points-away", org: |org| org.with(|org| org.instance_url = Some("https://salesforce.example".into())), reason: "HostNotAllowed", ..ANY },
        Case { name: "no-view-all", org: |org| org.grants("Integration", |grants| grants.without_view_all("Account")), reason: "MissingViewAll", on: "Authorized", ..ANY },
        Case { name: "no-contact", org: |org| org.grants("Integration", |grants| grants.without_object("Contact")), reason: "ObjectUnavailable", on: "Authorized", ..ANY },
        Case { name: "no-task", org: |org| org.grants("Integration", |grants| grants.deny("EditTask").without_object("Task")), reason: "Ready", warning: Some("CannotCreateTask"), ..ANY },
        Case { name: "administrator", org: |org| org.with(|org| user(org).profile = "System Administrator".into()), reason: "Ready", warning: Some("ExcessRights"), ..ANY },
        Case { name: "no-secret", secret: |secret| *secret = Value::Null, reason: "SecretNotFound", on: "CredentialsAvailable", ..ANY },
        Case { name: "no-key", secret: |secret| { keys(secret).remove("password"); }, reason: "SecretKeyMissing", on: "CredentialsAvailable", ..ANY },
        Case { name: "empty-key", secret: |secret| { keys(secret).insert("password".into(), "".into()); }, reason: "SecretKeyInvalid", on: "CredentialsAvailable", ..ANY },
        Case { name: "quoted", secret: |secret| { let quoted = format!("\"{PASSWORD}\""); keys(secret).insert("password".into(), quoted.into()); }, reason: "SecretKeyInvalid", on: "CredentialsAvailable", ..ANY },
        Case { name: "token-twice", secret: |secret| { let both = format!("{PASSWORD}{TOKEN}"); keys(secret).insert("password".into(), both.into()); }, reason: "SecretKeyInvalid", on: "CredentialsAvailable", ..ANY },
        Case { name: "no-text", secret: |secret| { keys(secret).remove("password"); secret["data"] = json!({"password": "//79"}); }, reason: "SecretKeyInvalid", on: "CredentialsAvailable", ..ANY },
    ];
    cases
}

fn world(cases: &[Case]) -> World {
    cases.iter().fold(
        World::new().switches(|switches| switches.logins_per_hour = RATE),
        |world, case| {
            let username = format!("integration@{}.example", case.name);
            let user = User::integration(&username).password(PASSWORD).token(TOKEN);
            world.org((case.org)(Org::enterprise(case.name).user(user)))
        },
    )
}

/// docs/reasons.md shows the controller's real messages; `make docs-said` writes them.
fn keep_for_the_documents(said: &BTreeMap<&str, String>) {
    if std::env::var_os("UPDATE_GENERATED").is_some() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/docs/said.json");
        let text = serde_json::to_string_pretty(said).unwrap();
        std::fs::write(path, text + "\n").unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_reason_comes_from_the_real_cause_and_check_says_the_same() {
    let cases = cases();
    let stage = Stage::start("refusals", world(&cases)).await;
    let mut manifests = vec![];
    for case in &cases {
        let mut manifest = stage.integration(case.name);
        (case.manifest)(&mut manifest);
        let mut secret = stage.secret(case.name, PASSWORD, TOKEN);
        (case.secret)(&mut secret);
        // The Secret comes first, because an integration without its Secret shows another error.
        manifests.push([secret, manifest]);
    }
    let documents = |index: usize| -> Vec<&Value> {
        manifests[index]
            .iter()
            .filter(|document| !document.is_null())
            .collect()
    };
    // Another program has used up the user's log-ins.
    let rate = cases.iter().position(|case| case.name == "rate").unwrap();
    for _ in 0..RATE {
        assert_eq!(check(&stage, &documents(rate), &[]).0, Some(0));
    }
    let all: Vec<&Value> = (0..cases.len()).flat_map(documents).collect();
    stage
        .apply(&json!({"apiVersion": "v1", "kind": "List", "items": all}))
        .await;

    let mut said = BTreeMap::new();
    for (index, case) in cases.iter().enumerate() {
        let healthy = case.reason == "Ready";
        let status = if healthy { "True" } else { "False" };
        stage
            .condition(case.name, "Ready", status, case.reason)
            .await;
        let object = stage.get(case.name).await;
        let name = case.name;
        if !healthy {
            assert_eq!(
                condition(&object, case.on).unwrap()["reason"],
                case.reason,
                "{name}"
            );
            let error = &object["status"]["errors"][0];
            assert_eq!(error["code"], case.reason, "{name}");
            assert!(!error["remedy"].as_str().unwrap().is_empty(), "{name}");
        }
        if let Some(message) = condition(&object, case.on).and_then(|on| on["message"].as_str())
            && !healthy
        {
            said.insert(case.reason, message.to_owned());
        }
        let stalled = condition(&object, "Stalled").is_some();
        assert_eq!(stalled, case.stalled && !healthy, "{name}: Stalled");
        let warnings = object["status"]["warnings"].clone();
        if let Some(code) = case.warning {
            let told = warnings
                .as_array()
                .into_iter()
                .flatten()
                .find(|warning| warning["code"] == code);
            let remedy = told.and_then(|warning| warning["remedy"].as_str());
            assert!(
                remedy.is_some_and(|remedy| !remedy.is_empty()),
                "{name}: {warnings}"
            );
        }

        let has_too_many_rights = case.warning == Some("ExcessRights");
        let told = warnings.to_string().contains("ExcessRights");
        assert_eq!(told, has_too_many_rights, "{name}: {warnings}");

        let (exit, out, err) = check(&stage, &documents(index), &["-o", "json"]);
        assert_eq!(exit, Some(i32::from(!healthy)), "{name}: {out}{err}");
        let said = json!({"status": serde_json::from_str::<Value>(&out).unwrap()});
        for type_ in [
            "CredentialsAvailable",
            "Connected",
            "Authorized",
            "Ready",
            "Stalled",
        ] {
            let (ours, theirs) = (condition(&said, type_), condition(&object, type_));
            assert_eq!(ours.is_some(), theirs.is_some(), "{name}: {type_}");
            for key in ["status", "reason", "message"] {
                assert_eq!(
                    ours.map(|ours| &ours[key]),
                    theirs.map(|theirs| &theirs[key]),
                    "{name}: {type_} {key}"
                );
            }
        }
        for key in ["code", "message", "remedy"] {
            assert_eq!(
                said["status"]["errors"][0][key], object["status"]["errors"][0][key],
                "{name}: {key}"
            );
        }
        assert_eq!(said["status"]["warnings"], warnings, "{name}");
    }
    keep_for_the_documents(&said);
    // The client does not even connect to an address that the guard refuses, and sends no request
    // to a redirect's target.
    let requests = stage.simulator.requests();
    let by = |org: &str| {
        requests
            .iter()
            .filter(|request| request.org.as_deref() == Some(org))
            .collect::<Vec<_>>()
    };
    assert_eq!(by("foreign-host"), Vec::<&_>::new());
    assert!(
        by("points-away")
            .iter()
            .all(|request| request.kind == "soapLogin"),
        "{:?}",
        by("points-away")
    );
    stage.end().await;
}

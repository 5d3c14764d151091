//! Tests of the schema: `kubectl apply` refuses an invalid manifest with a message that names the
//! field, and accepts a valid one. Each rule runs on the real API server and in
//! `switchboard check`, which must agree.

use std::io::Write;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::bed::{control_plane, integration};

/// Field, a refused value, part of the message, an accepted value.
const RULES: &[(&str, &str, &str, &str)] = &[
    (
        "/spec/apiBudget",
        r#"{"dailyPercent": 0}"#,
        "must be from 1 to 100",
        r#"{"dailyPercent": 1}"#,
    ),
    (
        "/spec/apiBudget",
        r#"{"dailyPercent": 101}"#,
        "must be from 1 to 100",
        r#"{"dailyPercent": 100}"#,
    ),
    (
        "/spec/notifications",
        r#"{"email": ["it"]}"#,
        "must be e-mail addresses such as it@acme.example",
        r#"{"email": ["it@acme.example"]}"#,
    ),
    (
        "/spec/notifications",
        r#"{"email": ["it@acme.example\r\nBcc: other@acme.example"]}"#,
        "must be e-mail addresses",
        r#"{"email": ["a.b+c@mail.acme.co.jp"], "language": "ja"}"#,
    ),
    (
        "/spec/notifications",
        r#"{"email": ["It <it@acme.example>"]}"#,
        "must be e-mail addresses",
        r#"{"email": ["it@acme.example", "boss@acme.example"], "language": "en"}"#,
    ),
    (
        "/spec/notifications",
        r#"{"email": []}"#,
        "spec.notifications.email",
        "null",
    ),
    (
        "/spec/notifications",
        r#"{"email": ["a@b.example", "c@b.example", "d@b.example", "e@b.example", "f@b.example", "g@b.example", "h@b.example", "i@b.example", "j@b.example", "k@b.example", "l@b.example"]}"#,
        "spec.notifications.email",
        r#"{"email": ["a@b.example", "c@b.example", "d@b.example", "e@b.example", "f@b.example", "g@b.example", "h@b.example", "i@b.example", "j@b.example", "k@b.example"]}"#,
    ),
    (
        "/spec/notifications",
        r#"{"email": ["it@acme.example"], "language": "fr"}"#,
        "spec.notifications.language",
        r#"{"email": ["it@acme.example"]}"#,
    ),
    (
        "/spec/companyId",
        r#""Acme""#,
        "must be 1 to 63 lower-case letters",
        r#""acme-2""#,
    ),
    (
        "/spec/companyId",
        r#""""#,
        "must be 1 to 63 lower-case letters",
        r#""a""#,
    ),
    (
        "/spec/companyId",
        r#""acme-""#,
        "not beginning or ending",
        r#""a-b""#,
    ),
    (
        "/spec/salesforce/environment",
        r#""Developer""#,
        "Production",
        r#""Sandbox""#,
    ),
    (
        "/spec/salesforce/loginUrl",
        r#""http://acme.my.salesforce.com""#,
        "must begin with https://",
        r#""https://acme.my.salesforce.com""#,
    ),
    (
        "/spec/salesforce/loginUrl",
        r#""https://u:p@acme.my.salesforce.com""#,
        "no user, path, query or fragment",
        r#""https://acme.my.salesforce.com/""#,
    ),
    (
        "/spec/salesforce/loginUrl",
        r#""https://acme.my.salesforce.com/x?y""#,
        "no user, path, query or fragment",
        "null",
    ),
    (
        "/spec/salesforce/loginUrl",
        r#""https://""#,
        "must be https:// and a host",
        r#""https://localhost:8443""#,
    ),
    (
        "/spec/salesforce/apiVersion",
        r#""v50.0""#,
        "without a leading v",
        r#""66.0""#,
    ),
    (
        "/spec/salesforce/apiVersion",
        r#""50""#,
        "such as",
        r#""50.0""#,
    ),
    (
        "/spec/salesforce/auth",
        "{}",
        "exactly one log-in method",
        r#"{"password": {"username": "a@b", "secretRef": {"name": "s"}}}"#,
    ),
    (
        "/spec/salesforce/auth",
        r#"{"password": {"username": "a@b", "secretRef": {"name": "s"}}, "jwtBearer": {"username": "a@b", "secretRef": {"name": "s"}}}"#,
        "exactly one log-in method",
        r#"{"jwtBearer": {"username": "a@b", "secretRef": {"name": "s"}}}"#,
    ),
    (
        "/spec/salesforce/auth",
        r#"{"oauthPassword": {"secretRef": {"name": "s"}}}"#,
        "username",
        r#"{"oauthPassword": {"username": "a@b", "secretRef": {"name": "s"}}}"#,
    ),
    (
        "/spec/salesforce",
        r#"{"auth": {"clientCredentials": {"secretRef": {"name": "s"}}}}"#,
        "loginUrl",
        r#"{"loginUrl": "https://acme.my.salesforce.com", "auth": {"clientCredentials": {"secretRef": {"name": "s"}}}}"#,
    ),
    (
        "/spec/salesforce/auth/password/username",
        r#""integration""#,
        "e-mail address",
        r#""i@acme.example.sandbox""#,
    ),
    (
        "/spec/salesforce/auth/password/secretRef/name",
        r#""Not A Name""#,
        "name of a Secret",
        r#""a.b-c""#,
    ),
    (
        "/spec/contacts/retrieval",
        r#""Weekly""#,
        "AfterCall",
        r#""AfterCall""#,
    ),
    (
        "/spec/contacts/dailyAt",
        r#""24:00""#,
        "time of day from 00:00 to 23:59",
        r#""00:00""#,
    ),
    (
        "/spec/contacts/dailyAt",
        r#""7:30""#,
        "time of day",
        r#""07:30""#,
    ),
    (
        "/spec/contacts/lookupEvery",
        r#""7m""#,
        "must divide an hour",
        r#""12m""#,
    ),
    (
        "/spec/contacts/lookupEvery",
        r#""2h""#,
        "must divide an hour",
        r#""1h""#,
    ),
    (
        "/spec/contacts/history",
        r#""0d""#,
        "number of days, at least 1d",
        r#""1d""#,
    ),
    (
        "/spec/contacts/history",
        r#""36h""#,
        "number of days, at least 1d",
        r#""365d""#,
    ),
    (
        "/spec/contacts/follow",
        r#""Everything""#,
        "Unsupported value",
        r#""NewOnly""#,
    ),
    // What kubectl makes of the bare word Off.
    (
        "/spec/contacts/follow",
        "true",
        "Unsupported value",
        "false",
    ),
    (
        "/spec/contacts/follow",
        "7",
        "Unsupported value",
        r#""Off""#,
    ),
    (
        "/spec/contacts/follow",
        r#"{"off": true}"#,
        "Unsupported value",
        "null",
    ),
    (
        "/spec/contacts/addressBook",
        r#""Everything""#,
        "Unsupported value",
        r#""Full""#,
    ),
    (
        "/spec/contacts/maxRecords",
        "0",
        "must be a number of records from 1 to 10000000",
        "1",
    ),
    (
        "/spec/contacts/maxRecords",
        "10000001",
        "must be a number of records from 1 to 10000000",
        "10000000",
    ),
    (
        "/spec/contacts/followEvery",
        r#""4m""#,
        "must be from 5m to 24h",
        r#""5m""#,
    ),
    (
        "/spec/contacts/followEvery",
        r#""25h""#,
        "must be from 5m to 24h",
        r#""24h""#,
    ),
    (
        "/spec/contacts/secondQuestion",
        r#""Sometimes""#,
        "Unsupported value",
        r#""Disabled""#,
    ),
    (
        "/spec/contacts/timeZone",
        r#""Local""#,
        "IANA name",
        r#""America/Argentina/Buenos_Aires""#,
    ),
    (
        "/spec/contacts/timeZone",
        r#""Asia Tokyo""#,
        "IANA name",
        r#""Etc/GMT+9""#,
    ),
    (
        "/spec/contacts/timeZone",
        r#""JST""#,
        "write Asia/Tokyo",
        r#""Japan""#,
    ),
    (
        "/spec/contacts/timeZone",
        r#""XYZ""#,
        "of the form Asia/Tokyo",
        r#""UTC""#,
    ),
    ("/spec/contacts/region", r#""jp""#, "write JP", r#""DE""#),
    (
        "/spec/contacts/region",
        r#""UK""#,
        "the United Kingdom is GB",
        r#""GB""#,
    ),
    (
        "/spec/contacts/region",
        r#""Japan""#,
        "must be an ISO 3166-1 code of two capital letters, such as JP",
        r#""JP""#,
    ),
    (
        "/spec/salesforce/apiVersion",
        r#""30.0""#,
        "must be 31.0 or newer",
        r#""38.0""#,
    ),
    (
        "/spec/salesforce/apiVersion",
        r#""37.0""#,
        "must be 38.0 or newer",
        r#""68.0""#,
    ),
    (
        "/spec/salesforce/auth/password/username",
        r#""a\u001b[2J@b""#,
        "must not have control characters",
        r#""$(HOME)@b""#,
    ),
    (
        "/spec/salesforce/auth/password/username",
        r#""a\u202e@b""#,
        "turn the direction of writing",
        r#""\u5c71\u7530@b""#,
    ),
    (
        "/spec/callCenters",
        r#"[{"name": "a\u202eb", "users": ["a@b"]}]"#,
        "must not have control characters",
        r#"[{"name": "\u53d7\u4ed8", "users": ["a@b"]}]"#,
    ),
    (
        "/spec/callCenters",
        r#"[{"name": "a", "users": ["a@b", "\u2066a@c"]}]"#,
        "must not have control characters",
        r#"[{"name": "a", "users": ["a@b", "a@c"]}]"#,
    ),
    (
        "/spec/salesforce/loginUrl",
        r#""https://acme.lightning.force.com""#,
        "write https://acme.my.salesforce.com",
        r#""https://acme.my.salesforce.mil""#,
    ),
    (
        "/spec/salesforce/loginUrl",
        r#""https://acme-dev-ed.develop.lightning.force.com/""#,
        "write https://acme-dev-ed.develop.my.salesforce.com",
        r#""https://acme.cloudforce.com""#,
    ),
    (
        "/spec/salesforce/loginUrl",
        r#""https://ACME.my.salesforce-setup.com""#,
        "write https://acme.my.salesforce.com",
        r#""https://acme.my.sfcrmproducts.cn""#,
    ),
    (
        "/spec/salesforce/loginUrl",
        r#""https://acme--c.na1.visual.force.com""#,
        "which Setup > My Domain shows",
        "null",
    ),
    (
        "/spec/salesforce",
        r#"{"loginUrl": "https://login.salesforce.com", "auth": {"clientCredentials": {"secretRef": {"name": "s"}}}}"#,
        "must be the org's My Domain",
        r#"{"loginUrl": "https://acme.my.salesforce.com", "auth": {"clientCredentials": {"secretRef": {"name": "s"}}}}"#,
    ),
    (
        "/spec/salesforce",
        r#"{"environment": "Sandbox", "loginUrl": "https://Test.salesforce.com/", "auth": {"clientCredentials": {"secretRef": {"name": "s"}}}}"#,
        "must be the org's My Domain",
        r#"{"environment": "Sandbox", "loginUrl": "https://acme--uat.sandbox.my.salesforce.com", "auth": {"clientCredentials": {"secretRef": {"name": "s"}}}}"#,
    ),
    (
        "/spec/salesforce",
        r#"{"environment": "Sandbox", "loginUrl": "https://login.salesforce.com", "auth": {"password": {"username": "a@b", "secretRef": {"name": "s"}}}}"#,
        "takes no log-in of a sandbox",
        r#"{"environment": "Sandbox", "loginUrl": "https://test.salesforce.com", "auth": {"password": {"username": "a@b", "secretRef": {"name": "s"}}}}"#,
    ),
    (
        "/spec/salesforce",
        r#"{"loginUrl": "https://test.salesforce.com", "auth": {"password": {"username": "a@b", "secretRef": {"name": "s"}}}}"#,
        "environment: must be Sandbox",
        r#"{"loginUrl": "https://login.salesforce.com", "auth": {"password": {"username": "a@b", "secretRef": {"name": "s"}}}}"#,
    ),
    (
        "/spec/salesforce",
        r#"{"loginUrl": "https://acme--uat.my.salesforce.com", "auth": {"password": {"username": "a@b", "secretRef": {"name": "s"}}}}"#,
        "environment: must be Sandbox",
        r#"{"environment": "Sandbox", "loginUrl": "https://acme--uat.cs5.my.salesforce.com", "auth": {"password": {"username": "a@b", "secretRef": {"name": "s"}}}}"#,
    ),
    (
        "/spec/salesforce/loginUrl",
        r#""https://acme.lightning.force.com/lightning/setup/SetupOneHome/home""#,
        "write https://acme.my.salesforce.com",
        "null",
    ),
    (
        "/spec/salesforce/loginUrl",
        r#""https://www.salesforce.com/de/""#,
        "which Setup > My Domain shows",
        "null",
    ),
    ("/spec/interval", r#""59s""#, "from 1m to 24h", r#""1m""#),
    ("/spec/interval", r#""25h""#, "from 1m to 24h", r#""24h""#),
    (
        "/spec/interval",
        r#""soon""#,
        "from 1m to 24h",
        r#""1h30m""#,
    ),
    (
        "/spec/callCenters",
        r#"[{"name": "support", "users": ["sato"]}]"#,
        "must be Salesforce user names",
        r#"[{"name": "サポート 東京", "users": ["sato@acme.example"]}]"#,
    ),
    (
        "/spec/callCenters",
        r#"[{"name": " support", "users": []}]"#,
        "1 to 80 characters on one line",
        r#"[{"name": "a", "users": []}]"#,
    ),
    (
        "/spec/callCenters",
        r#"[{"name": "support", "users": ["a@b", "a@b"]}]"#,
        "users[1]",
        "[]",
    ),
    (
        "/spec/callCenters",
        r#"[{"name": "support", "users": []}, {"name": "support", "users": []}]"#,
        "callCenters[1]",
        r#"[{"name": "support", "users": ["a@b"]}, {"name": "sales", "users": ["A@b"]}]"#,
    ),
    (
        "/spec/callCenters",
        r#"[{"name": "support", "users": [], "agents": []}]"#,
        "agents",
        "null",
    ),
    ("/spec/suspend", r#""yes""#, "boolean", "true"),
    // A null is a field that is not set, as templates write it.
    (
        "/spec/run",
        r#"{"where": "Node"}"#,
        "spec.run.where",
        r#"{"where": null}"#,
    ),
    (
        "/spec/notifications",
        r#"{"email": ["it@acme.example"], "language": "JA"}"#,
        "spec.notifications.language",
        r#"{"email": ["it@acme.example"], "language": null}"#,
    ),
    (
        "/spec/run",
        r#"{"tolerations": [{"key": "a", "effect": "Never"}]}"#,
        "spec.run.tolerations[0].effect",
        r#"{"tolerations": [{"key": "a", "effect": null}]}"#,
    ),
    (
        "/spec/contacts/secondQuestion",
        r#""search""#,
        "Search",
        "null",
    ),
    ("/spec/contacts/follow", r#""all""#, "All", "null"),
];

fn with(pointer: &str, value: &str, namespace: &str, name: &str) -> Value {
    let mut manifest = integration(namespace, name);
    let mut place = &mut manifest;
    for step in pointer.trim_start_matches('/').split('/') {
        place = place
            .as_object_mut()
            .unwrap()
            .entry(step)
            .or_insert_with(|| json!({}));
    }
    *place = serde_json::from_str(value).unwrap();
    manifest
}

fn field(pointer: &str) -> String {
    pointer.trim_start_matches('/').replace('/', ".")
}

/// The result of `switchboard check` for a manifest. No request goes to Salesforce, because there
/// is no Secret.
pub(crate) fn check(manifest: &Value) -> (Option<i32>, String) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_switchboard"))
        .args(["check", "-f", "-"])
        .env_clear()
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(manifest.to_string().as_bytes())
        .unwrap();
    let output = child.wait_with_output().unwrap();
    (
        output.status.code(),
        String::from_utf8_lossy(&output.stderr).into_owned()
            + &String::from_utf8_lossy(&output.stdout),
    )
}

#[tokio::test]
async fn each_rule_refuses_with_a_sentence_and_accepts_the_right_value() {
    let control_plane = control_plane().await;
    let namespace = control_plane.namespace("schema").await.unwrap();
    for (number, (pointer, bad, sentence, good)) in RULES.iter().enumerate() {
        let manifest = with(pointer, bad, namespace.name(), &format!("rule-{number}"));
        let refused = control_plane
            .kubectl_apply(&manifest.to_string())
            .await
            .unwrap();
        assert!(!refused.success(), "{pointer} = {bad} was taken");
        assert!(
            refused.stderr.contains(&field(pointer)),
            "{pointer} = {bad} is refused without naming the field:\n{}",
            refused.stderr
        );
        assert!(
            refused.stderr.contains(sentence),
            "{pointer} = {bad} is refused without {sentence:?}:\n{}",
            refused.stderr
        );
        // Kubernetes adds such a line where a value is not of the schema's shape at all.
        assert!(
            !refused.stderr.contains("<nil>") || !sentence.starts_with("exactly one"),
            "{pointer} = {bad}:\n{}",
            refused.stderr
        );
        let (code, said) = check(&manifest);
        assert_eq!(code, Some(2), "check takes {pointer} = {bad}:\n{said}");
        assert!(
            said.contains(&field(pointer)),
            "check refuses {pointer} = {bad} without naming the field:\n{said}"
        );

        let manifest = with(pointer, good, namespace.name(), &format!("rule-{number}"));
        control_plane
            .kubectl_apply(&manifest.to_string())
            .await
            .unwrap()
            .expect_success();
        let (code, said) = check(&manifest);
        assert_eq!(code, Some(1), "check refuses {pointer} = {good}:\n{said}");
        assert!(
            said.contains("SecretNotFound") || said.contains("Suspended"),
            "{said}"
        );
    }
    namespace.delete().await.unwrap();
}

/// Salesforce takes 80 characters for a user name; these are the most that the schema takes.
#[tokio::test]
async fn ten_call_centers_of_two_hundred_users_are_taken_and_no_more() {
    let control_plane = control_plane().await;
    let namespace = control_plane.namespace("schema").await.unwrap();
    let centers = |count: usize, users: usize| -> Vec<Value> {
        let user =
            |center: usize, user: usize| format!("{:0>67}@acme.example", center * 1_000 + user);
        (0..count)
            .map(|center| {
                let users: Vec<String> = (0..users).map(|at| user(center, at)).collect();
                json!({"name": format!("center {center}"), "users": users})
            })
            .collect()
    };
    for (count, users, problem) in [
        (10, 200, None),
        (11, 1, Some("callCenters")),
        (1, 201, Some("users")),
    ] {
        let mut manifest = integration(namespace.name(), &format!("c{count}-{users}"));
        manifest["spec"]["callCenters"] = centers(count, users).into();
        let output = control_plane
            .kubectl_apply(&manifest.to_string())
            .await
            .unwrap();
        let (code, said) = check(&manifest);
        match problem {
            None => {
                output.expect_success();
                assert_eq!(code, Some(1), "{said}");
            }
            Some(field) => {
                assert!(
                    !output.success() && output.stderr.contains(field),
                    "{}",
                    output.stderr
                );
                assert!(code == Some(2) && said.contains(field), "{said}");
            }
        }
    }
    namespace.delete().await.unwrap();
}

#[tokio::test]
async fn what_the_resource_cannot_be_called_and_what_it_does_not_have_is_refused() {
    let control_plane = control_plane().await;
    let namespace = control_plane.namespace("schema").await.unwrap();
    for (name, sentence) in [
        ("a".repeat(41), "metadata.name: must have at most 40"),
        ("a.b".into(), "metadata.name: must consist of"),
    ] {
        let mut manifest = integration(namespace.name(), "x");
        manifest["metadata"]["name"] = name.clone().into();
        let refused = control_plane
            .kubectl_apply(&manifest.to_string())
            .await
            .unwrap();
        assert!(
            !refused.success() && refused.stderr.contains(sentence),
            "{}",
            refused.stderr
        );
        assert_eq!(check(&manifest).0, Some(2), "{name}");
    }
    let typo = with(
        "/spec/contacts/lookUpEvery",
        r#""5m""#,
        namespace.name(),
        "typo",
    );
    let refused = control_plane
        .kubectl_apply(&typo.to_string())
        .await
        .unwrap();
    assert!(
        !refused.success() && refused.stderr.contains("spec.contacts.lookUpEvery"),
        "{}",
        refused.stderr
    );
    let (code, said) = check(&typo);
    assert!(
        code == Some(2) && said.contains("spec.contacts.lookUpEvery"),
        "{said}"
    );
    for missing in ["/spec/companyId", "/spec/salesforce"] {
        let mut manifest = integration(namespace.name(), "missing");
        let (parent, key) = missing.rsplit_once('/').unwrap();
        manifest
            .pointer_mut(parent)
            .unwrap()
            .as_object_mut()
            .unwrap()
            .remove(key);
        let refused = control_plane
            .kubectl_apply(&manifest.to_string())
            .await
            .unwrap();
        assert!(
            !refused.success() && refused.stderr.contains(&field(missing)),
            "{}",
            refused.stderr
        );
        let (code, said) = check(&manifest);
        assert!(code == Some(2) && said.contains(key), "{said}");
    }
    namespace.delete().await.unwrap();
}

#[tokio::test]
async fn the_company_id_cannot_be_changed() {
    let control_plane = control_plane().await;
    let namespace = control_plane.namespace("schema").await.unwrap();
    control_plane
        .kubectl_apply(&integration(namespace.name(), "acme").to_string())
        .await
        .unwrap()
        .expect_success();
    let changed = with("/spec/companyId", r#""other""#, namespace.name(), "acme");
    let refused = control_plane
        .kubectl_apply(&changed.to_string())
        .await
        .unwrap();
    assert!(
        !refused.success()
            && refused.stderr.contains("spec.companyId")
            && refused.stderr.contains("cannot be changed"),
        "{}",
        refused.stderr
    );
    namespace.delete().await.unwrap();
}

#[tokio::test]
async fn defaults_stand_in_the_resource_and_kubectl_explains_the_fields() {
    let control_plane = control_plane().await;
    let namespace = control_plane.namespace("schema").await.unwrap();
    control_plane
        .kubectl_apply(&integration(namespace.name(), "acme").to_string())
        .await
        .unwrap()
        .expect_success();
    let taken = control_plane
        .kubectl(["get", "sfi", "acme", "-n", namespace.name(), "-o", "json"])
        .await
        .unwrap()
        .expect_success();
    let taken: Value = serde_json::from_str(&taken).unwrap();
    let expected = json!({"retrieval": "Daily", "dailyAt": "23:00", "lookupEvery": "5m", "timeZone": "Asia/Tokyo", "region": "JP", "history": "30d", "addressBook": "OnDemand"});
    assert_eq!(taken["spec"]["contacts"], expected);
    assert_eq!(
        (
            &taken["spec"]["interval"],
            &taken["spec"]["salesforce"]["apiVersion"]
        ),
        (&json!("30m"), &json!("50.0"))
    );
    let explained = control_plane
        .kubectl(["explain", "sfi.spec.contacts.dailyAt"])
        .await
        .unwrap()
        .expect_success();
    assert!(explained.contains("wall clock"), "{explained}");
    namespace.delete().await.unwrap();
}

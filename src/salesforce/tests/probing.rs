//! Tests of the probe: its cost, and its conclusions from responses.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use serde_json::{Value, json};

use super::{Asked, Played, Reply, login_response, password, quick};
use crate::salesforce::answers::meaning::Meaning;
use crate::salesforce::connection::retry::RetryPolicy;
use crate::salesforce::credentials::environment::ApiVersion;
use crate::salesforce::probe::findings::Visibility;
use crate::salesforce::probe::{Proved, probe, probe_again};
use crate::salesforce::transport::Transport;
use crate::salesforce::{Connection, DialPolicy};

fn rows(rows: Value) -> (u16, Value) {
    (200, json!({"totalSize": 1, "done": true, "records": rows}))
}

fn failed(code: &str, message: &str) -> (u16, Value) {
    (400, json!([{"errorCode": code, "message": message}]))
}

/// The response of a healthy organization to one part of a composite request.
fn healthy(reference_id: &str) -> (u16, Value) {
    let object = |name: &str| json!({"SobjectType": name, "PermissionsRead": true, "PermissionsViewAllRecords": true});
    match reference_id {
        "organization" => rows(json!([{
            "attributes": {"type": "Organization"}, "Id": "00DA0000006Vm9rMAC", "Name": "Acme", "OrganizationType": "Enterprise Edition",
            "IsSandbox": false, "InstanceName": "AP25", "TrialExpirationDate": null
        }])),
        "sharing" => rows(json!([{"DefaultContactAccess": "None"}])),
        "objectPermissions" => rows(json!([
            object("Contact"),
            object("Account"),
            object("Lead")
        ])),
        "permissionSets" => rows(json!([{"PermissionsViewAllData": false}])),
        "rights" => {
            rows(json!([{"PermissionsModifyAllData": false, "PermissionsAuthorApex": false}]))
        }
        "user" => (
            200,
            json!({"attributes": {"type": "User"}, "Username": "integration@acme.example"}),
        ),
        _ => rows(json!([])),
    }
}

fn answer(asked: &Asked, part: impl Fn(&str) -> (u16, Value), task: &(u16, Value)) -> Reply {
    let base = format!("http://{}/", asked.header("host")).parse().unwrap();
    match asked.path.as_str() {
        path if path.contains("/Soap/") => Reply::xml(200, login_response(&base, "")),
        path if path.ends_with("/composite") => {
            let body: Value = serde_json::from_str(&asked.body).unwrap();
            let parts: Vec<Value> = body["compositeRequest"]
                .as_array()
                .unwrap()
                .iter()
                .map(|request| {
                    let (status, body) = part(request["referenceId"].as_str().unwrap());
                    json!({"referenceId": request["referenceId"], "httpStatusCode": status, "httpHeaders": {}, "body": body})
                })
                .collect();
            Reply::json(200, json!({"compositeResponse": parts}))
                .with("Sforce-Limit-Info", "api-usage=7/15000")
        }
        path if path.ends_with("/sobjects/Task/describe") => Reply::json(task.0, &task.1),
        _ => Reply::json(
            404,
            json!([{"errorCode": "NOT_FOUND", "message": "The requested resource does not exist"}]),
        ),
    }
}

async fn played(
    part: impl Fn(&str) -> (u16, Value) + Send + Sync + 'static,
    task: (u16, Value),
) -> Played {
    Played::start(move |asked| answer(asked, &part, &task)).await
}

#[tokio::test]
async fn a_healthy_organization_is_proved_with_three_calls() {
    let played = played(healthy, (200, json!({"createable": true}))).await;
    let connection = played.connection(password());
    let findings = probe(&connection, &[]).await.unwrap();
    assert_eq!(
        findings.organization.edition.as_deref(),
        Some("Enterprise Edition")
    );
    assert_eq!(findings.organization.instance.as_deref(), Some("AP25"));
    assert_eq!(
        (findings.organization.sandbox, findings.organization.scratch),
        (false, false)
    );
    assert_eq!(findings.organization.person_accounts, Some(false));
    assert_eq!(
        (
            &findings.access.contact,
            &findings.access.account,
            &findings.access.lead
        ),
        (&Visibility::Yes, &Visibility::Yes, &Visibility::Yes)
    );
    assert_eq!(findings.create_task, Visibility::Yes);
    assert_eq!(findings.usage.unwrap().used, 7);
    let codes: Vec<&str> = findings
        .warnings
        .iter()
        .map(|warning| warning.code.code())
        .collect();
    assert_eq!(codes, ["SoapLoginRetiring"]);
    assert_eq!(
        (connection.spent().logins, connection.spent().calls),
        (1, 3)
    );
    let text = serde_json::to_string(&findings).unwrap();
    assert!(!text.contains("AQ.one"), "{text}");
}

#[tokio::test]
async fn what_is_as_it_was_is_proved_with_one_call_and_what_changed_with_all() {
    let is_admin = Arc::new(AtomicBool::new(false));
    let part = {
        let is_admin = Arc::clone(&is_admin);
        move |id: &str| match id {
            "permissionSets" if is_admin.load(Ordering::SeqCst) => {
                rows(json!([{"PermissionsModifyAllData": true}]))
            }
            other => healthy(other),
        }
    };
    let played = played(part, (200, json!({"createable": true}))).await;
    let connection = played.connection(password());
    let calls = || connection.spent().calls;
    let first = probe_again(&connection, &[], None).await.unwrap();
    assert_eq!((first.looked_at_all, calls()), (true, 3));
    let second = probe_again(&connection, &[], Some(&first)).await.unwrap();
    assert_eq!((second.looked_at_all, calls()), (false, 4));
    assert_eq!(second.findings.access, first.findings.access);
    assert_eq!(second.findings.organization, first.findings.organization);
    assert_eq!(second.findings.warnings, first.findings.warnings);
    assert_eq!(
        second.findings.session.username,
        first.findings.session.username
    );
    is_admin.store(true, Ordering::SeqCst);
    let third = probe_again(&connection, &[], Some(&first)).await.unwrap();
    assert_eq!((third.looked_at_all, calls()), (true, 7));
    assert_ne!(third.findings.warnings, first.findings.warnings);
}

#[tokio::test]
async fn what_is_missing_is_told_apart() {
    let part = |id: &str| match id {
        "organization" => rows(
            json!([{"Id": "00DA0000006Vm9rMAC", "Name": "Scratch", "OrganizationType": "Moon Edition", "IsSandbox": true,
            "TrialExpirationDate": "2026-12-24T00:00:00.000+0000"}]),
        ),
        "objectPermissions" => rows(
            json!([{"SobjectType": "Contact", "PermissionsRead": true, "PermissionsViewAllRecords": true}]),
        ),
        "lead" => failed("INVALID_TYPE", "sObject type 'Lead' is not supported."),
        other => healthy(other),
    };
    let played = played(part, (200, json!({"createable": false}))).await;
    let findings = probe(&played.connection(password()), &[]).await.unwrap();
    assert_eq!(
        findings.organization.edition.as_deref(),
        Some("Moon Edition")
    );
    assert!(findings.organization.sandbox && findings.organization.scratch);
    assert_eq!(
        (
            findings.access.contact,
            findings.access.account,
            findings.access.lead
        ),
        (Visibility::Yes, Visibility::No, Visibility::Absent)
    );
    assert_eq!(findings.create_task, Visibility::No);
}

#[tokio::test]
async fn what_the_user_may_not_read_is_unknown_and_never_no() {
    let part = |id: &str| match id {
        "objectPermissions" | "permissionSets" => failed(
            "INVALID_TYPE",
            "sObject type 'ObjectPermissions' is not supported.",
        ),
        "organization" | "sharing" => failed(
            "INVALID_FIELD",
            "No such column 'InstanceName' on entity 'Organization'.",
        ),
        other => healthy(other),
    };
    let played = played(
        part,
        (
            403,
            json!([{"errorCode": "INSUFFICIENT_ACCESS", "message": "no"}]),
        ),
    )
    .await;
    let findings = probe(&played.connection(password()), &[]).await.unwrap();
    assert!(
        matches!(findings.access.contact, Visibility::Unknown(ref reason) if reason.contains("cannot be read"))
    );
    assert!(matches!(findings.create_task, Visibility::Unknown(_)));
    // The data from the log-in is used instead.
    assert_eq!(
        (
            findings.organization.name.as_str(),
            findings.organization.edition
        ),
        ("Acme & Co", None)
    );
}

#[tokio::test]
async fn failures_of_the_connection_are_failures_of_the_probe() {
    let part = |_: &str| {
        failed(
            "API_DISABLED_FOR_ORG",
            "The REST API is not enabled for this Organization.",
        )
    };
    let played = played(part, (403, json!([]))).await;
    let error = probe(&played.connection(password()), &[])
        .await
        .unwrap_err();
    assert_eq!(error.meaning(), Meaning::ApiDisabledForOrg);
}

#[tokio::test]
async fn a_version_that_is_not_there_is_told_with_those_that_are() {
    let played = Played::start(|asked| {
        let base = format!("http://{}/", asked.header("host")).parse().unwrap();
        match asked.path.as_str() {
            path if path.contains("/Soap/") => Reply::xml(200, login_response(&base, "")),
            "/services/data/" => Reply::json(200, json!([{"label": "x", "url": "/x", "version": "31.0"}, {"version": "66.0"}])),
            _ => Reply::json(404, json!([{"errorCode": "NOT_FOUND", "message": "The requested resource does not exist"}])),
        }
    })
    .await;
    let error = probe(&connection_of_version(&played, "99.0"), &[])
        .await
        .unwrap_err();
    assert_eq!(error.meaning(), Meaning::UnsupportedApiVersion);
    assert!(
        error.message().contains("31.0 to 66.0, not 99.0"),
        "{error}"
    );
    // The log-in itself used a version in which login() exists.
    assert_eq!(played.asked()[0].path, "/services/Soap/u/64.0");
    // This version is too old for composite requests, so nothing is sent at all.
    let old = connection_of_version(&played, "20.0");
    assert_eq!(
        probe(&old, &[]).await.unwrap_err().meaning(),
        Meaning::UnsupportedApiVersion
    );
    assert_eq!(old.spent().logins, 0);
}

fn connection_of_version(played: &Played, version: &str) -> Connection {
    let policy = DialPolicy::new(&["127.0.0.1".to_owned()], true, None).unwrap();
    let transport = Transport::with_limits(policy, quick()).unwrap();
    let version: ApiVersion = version.parse().unwrap();
    Connection::new(transport, played.url.clone(), version, password()).retry(RetryPolicy::NONE)
}

#[tokio::test]
async fn the_oldest_version_with_composite_requests_is_spoken_and_no_older_one() {
    let played = played(healthy, (200, json!({"createable": true}))).await;
    let oldest = connection_of_version(&played, "38.0");
    let findings = probe(&oldest, &[]).await.unwrap();
    assert_eq!(findings.access.contact, Visibility::Yes);
    assert_eq!(played.count("/services/data/v38.0/"), 3);
    let older = connection_of_version(&played, "37.0");
    let error = probe(&older, &[]).await.unwrap_err();
    assert_eq!(error.meaning(), Meaning::UnsupportedApiVersion);
    assert_eq!(older.spent().logins, 0);
}

#[tokio::test]
async fn what_is_no_matter_of_the_version_is_told_without_reading_the_versions() {
    let played = Played::start(|asked| {
        let base = format!("http://{}/", asked.header("host")).parse().unwrap();
        match asked.path.as_str() {
            path if path.contains("/Soap/") => Reply::xml(200, login_response(&base, "")),
            "/services/data/" => Reply::json(200, json!([{"version": "31.0"}])),
            _ => {
                let (_, body) = failed("API_DISABLED_FOR_ORG", "The REST API is not enabled.");
                Reply::json(403, body)
            }
        }
    })
    .await;
    let connection = connection_of_version(&played, "60.0");
    let error = probe(&connection, &[]).await.unwrap_err();
    assert_eq!(error.meaning(), Meaning::ApiDisabledForOrg);
    let paths: Vec<String> = played.asked().into_iter().map(|asked| asked.path).collect();
    assert!(!paths.contains(&"/services/data/".to_owned()), "{paths:?}");
}

#[tokio::test]
async fn no_field_of_the_organization_shows_a_secret_that_salesforce_sends_back() {
    let part = |id: &str| match id {
        "organization" => rows(json!([{
            "Id": "1hunter2&<>", "Name": "2hunter2&<>", "OrganizationType": "3hunter2&<>",
            "InstanceName": "4hunter2&<>"
        }])),
        other => healthy(other),
    };
    let played = played(part, (200, json!({"createable": true}))).await;
    let findings = probe(&played.connection(password()), &[]).await.unwrap();
    let organization = findings.organization;
    assert_eq!(organization.id, "1[redacted]");
    assert_eq!(organization.name, "2[redacted]");
    assert_eq!(organization.edition.as_deref(), Some("3[redacted]"));
    assert_eq!(organization.instance.as_deref(), Some("4[redacted]"));
}

#[tokio::test]
async fn a_proof_with_one_call_tells_what_this_call_saw() {
    let calls = AtomicU64::new(7);
    let played = Played::start(move |asked| {
        match answer(asked, healthy, &(200, json!({"createable": true}))) {
            Reply::Answer {
                status,
                headers,
                body,
            } => {
                let headers = headers
                    .into_iter()
                    .filter(|(name, _)| name != "Sforce-Limit-Info")
                    .collect();
                let used = calls.fetch_add(1, Ordering::SeqCst);
                Reply::Answer {
                    status,
                    headers,
                    body,
                }
                .with("Sforce-Limit-Info", &format!("api-usage={used}/15000"))
            }
            other => other,
        }
    })
    .await;
    let connection = played.connection(password());
    let used = |proved: &Proved| proved.findings.usage.unwrap().used;
    let first = probe_again(&connection, &[], None).await.unwrap();
    let second = probe_again(&connection, &[], Some(&first)).await.unwrap();
    assert!(!second.looked_at_all);
    assert_eq!(used(&second), used(&first) + 1);
}

//! What is printed of a status, at a fixed time. docs/kubectl.md shows the same text.

use jiff::Timestamp;
use kube::api::DynamicObject;
use serde_json::{Value, json};

use super::read::Found;
use super::view::{Look, State};
use super::{json, text};
use crate::reason::Reason;
use crate::salesforce::{Meaning, WarningCode};

fn now() -> Timestamp {
    "2026-11-29T08:00:00Z".parse().unwrap()
}

/// A condition that has been so for an hour.
fn condition(type_: &str, status: &str, reason: &str, message: &str) -> Value {
    json!({
        "type": type_, "status": status, "reason": reason, "message": message,
        "lastTransitionTime": "2026-11-29T07:00:00Z", "observedGeneration": 2,
    })
}

/// An integration whose password was changed in Salesforce an hour ago.
fn failing() -> Value {
    let refused = "The log-in was refused: Salesforce says: Invalid username, password, security token; or user locked out. (INVALID_LOGIN).";
    json!({
        "apiVersion": "switchboard.dev/v1alpha1", "kind": "SalesforceIntegration",
        "metadata": {"name": "acme-tokyo", "namespace": "acme", "generation": 2},
        "spec": {"companyId": "acme-tokyo", "contacts": {"retrieval": "Daily"}},
        "status": {
            "observedGeneration": 2,
            "conditions": [
                condition("CredentialsAvailable", "True", "AsExpected", "The Secret has the keys that the log-in method needs."),
                condition("Exclusive", "True", "AsExpected", "No other resource claims the company ID."),
                condition("Authorized", "Unknown", "Pending", "The connection must work first."),
                condition("Connected", "False", "InvalidLogin", refused),
                condition("Synced", "True", "RunSucceeded", "The sync run took up 12 calls and found 4 of 10 numbers."),
                condition("Stalled", "True", "InvalidLogin", refused),
                condition("Ready", "False", "InvalidLogin", refused),
            ],
            "organization": {
                "id": "00D5g000004AbCdEAK", "name": "Acme", "edition": "Enterprise Edition", "instance": "AP34",
                "sharedWith": {"names": ["acme-osaka"], "integrations": 3},
            },
            "connection": {"username": "integration@acme.example", "failedLogins": 1},
            "apiUsage": {"used": 8_200, "limit": 103_000, "percent": 7, "byThisIntegration": 37, "observedAt": "2026-11-29T06:30:00Z"},
            "apiBudget": {"share": 51_500, "spent": [
                {"at": "2026-11-29T06:30:00Z", "calls": 30, "proofs": 30},
                {"at": "2026-11-28T13:44:12Z", "calls": 7},
                {"at": "2026-11-27T13:44:12Z", "calls": 1_000},
            ]},
            "lastRun": {
                "kind": "Sync", "job": "acme-tokyo-sync-29735864", "outcome": "Succeeded",
                "startedAt": "2026-11-28T13:44:01Z", "finishedAt": "2026-11-28T13:44:12Z",
                "apiCalls": 7, "calls": 12, "matched": {"account": 0, "contact": 3, "lead": 1},
                "numbers": 10, "skipped": 0, "unmatched": 6, "written": 4,
            },
            "nextRun": "2026-11-29T13:44:00Z",
            "warnings": [{
                "code": "SoapLoginRetiring", "message": WarningCode::SoapLoginRetiring.cause(),
                "remedy": WarningCode::SoapLoginRetiring.remedy(),
            }],
            "errors": [{
                "code": "InvalidLogin", "message": refused, "source": "Connection", "count": 2,
                "firstSeen": "2026-11-29T07:00:00Z", "lastSeen": "2026-11-29T07:10:00Z",
                "remedy": Meaning::InvalidLogin.remedy(),
            }],
        },
    })
}

/// The answer about these resources, to somebody who may read all.
fn look(resources: Vec<Value>) -> Look {
    let read = |value: Value| serde_json::from_value(value).unwrap();
    let found = Found {
        integrations: resources
            .into_iter()
            .map(|resource| serde_json::from_value::<DynamicObject>(resource).unwrap())
            .collect(),
        events: Ok(vec![
            read(json!({
                "metadata": {"name": "a", "namespace": "acme"},
                "involvedObject": {"kind": "SalesforceIntegration", "name": "acme-tokyo", "namespace": "acme"},
                "reason": "TestPostponed", "message": "Salesforce refused this credential twice within the hour; to keep the user from being locked the next attempt is at 2026-11-29T08:00:00Z.",
                "eventTime": "2026-11-29T07:10:01.123456Z",
            })),
            read(json!({
                "metadata": {"name": "b", "namespace": "birch"},
                "involvedObject": {"kind": "SalesforceIntegration", "name": "acme-tokyo", "namespace": "birch"},
                "reason": "Ready", "message": "of another tenant", "eventTime": "2026-11-29T07:20:00.000000Z",
            })),
        ]),
        cron_jobs: Ok(vec![serde_json::from_value(json!({
            "metadata": {"name": "acme-tokyo-sync", "namespace": "acme", "labels": {"switchboard.dev/integration": "acme-tokyo"}},
            "spec": {"schedule": "44 22 * * *", "timeZone": "Asia/Tokyo", "suspend": true, "jobTemplate": {}},
            "status": {"lastScheduleTime": "2026-11-28T13:44:00Z"},
        })).unwrap()]),
    };
    Look::of(found, now())
}

fn page() -> String {
    std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/kubectl.md")).unwrap()
}

/// The integration with this change.
fn changed(pointer: &str, value: Value) -> Value {
    let mut resource = failing();
    *resource.pointer_mut(pointer).unwrap() = value;
    resource
}

#[test]
fn the_page_shows_what_is_printed() {
    let printed = text::text(&look(vec![failing()]), false);
    let shown = format!("$ kubectl switchboard status acme-tokyo\n{printed}```\n");
    assert!(page().contains(&shown), "docs/kubectl.md lacks\n{shown}");
}

#[test]
fn the_page_describes_every_key_of_the_json() {
    let answer: Value = serde_json::from_str(&json::text(&look(vec![failing()]))).unwrap();
    let page = page();
    let mut objects = vec![&answer];
    let mut keys = 0;
    // What the status has is described in docs/reference.md.
    let of_the_status = ["organization", "lastRun", "apiUsage", "warnings", "errors"];
    while let Some(value) = objects.pop() {
        match value {
            Value::Object(map) => {
                for (key, value) in map {
                    assert!(
                        page.contains(&format!("`{key}`")),
                        "docs/kubectl.md lacks {key}"
                    );
                    keys += 1;
                    if !of_the_status.contains(&key.as_str()) {
                        objects.push(value);
                    }
                }
            }
            Value::Array(items) => objects.extend(items),
            _ => {}
        }
    }
    assert!(keys > 50, "{keys}");
    assert_eq!(answer["integrations"][0]["budget"]["used"], 37);
    assert_eq!(
        answer["integrations"][0]["events"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
}

#[test]
fn the_state_is_that_of_ready_and_of_the_latest_change() {
    let conditions = "/status/conditions";
    let ready = json!([condition("Ready", "True", "Ready", "The connection works.")]);
    let mut outdated = changed(conditions, ready.clone());
    outdated["metadata"]["generation"] = 3.into();
    let mut deleted = changed(conditions, ready.clone());
    deleted["metadata"]["deletionTimestamp"] = "2026-11-29T07:59:00Z".into();
    let mut bare = failing();
    bare.as_object_mut().unwrap().remove("status");
    for (resource, state, headline) in [
        (
            changed(conditions, ready),
            State::Ready,
            "acme/acme-tokyo: Ready\n",
        ),
        (
            failing(),
            State::NotReady,
            "not Ready (InvalidLogin); nothing changes until",
        ),
        (
            outdated,
            State::Outdated,
            "has not seen the latest change yet; before it, it was Ready",
        ),
        (deleted, State::Deleted, "it is being deleted"),
        (bare, State::NotSeen, "no controller has looked at it yet"),
        (
            changed("/status", json!({"observedGeneration": -1})),
            State::NotSeen,
            "no controller",
        ),
        (
            changed(conditions, json!([])),
            State::NotSeen,
            "no controller",
        ),
    ] {
        let look = look(vec![resource]);
        assert_eq!(look.integrations[0].state, state);
        assert_eq!(look.is_ready(), state == State::Ready);
        let text = text::text(&look, false);
        assert!(text.contains(headline), "{headline:?}:\n{text}");
        let answer: Value = serde_json::from_str(&json::text(&look)).unwrap();
        assert_eq!(answer["integrations"][0]["state"], state.as_str());
        assert_eq!(answer["integrations"][0]["ready"], state == State::Ready);
    }
}

#[test]
fn the_first_that_fails_is_the_one_that_ready_speaks_of() {
    let with = |conditions: Value| look(vec![changed("/status/conditions", conditions)]);
    // The order of the status does not matter, and what is pending behind the first is not it.
    let first = with(json!([
        condition("Ready", "False", "SecretNotFound", "There is no Secret."),
        condition("Synced", "Unknown", "Pending", ""),
        condition("Connected", "Unknown", "Pending", ""),
        condition(
            "CredentialsAvailable",
            "False",
            "SecretNotFound",
            "There is no Secret."
        ),
    ]));
    let failing = first.integrations[0].failing.as_ref().unwrap();
    assert_eq!(failing.condition.type_, "CredentialsAvailable");
    assert_eq!(
        failing.remedy.as_deref(),
        Some(Reason::SecretNotFound.remedy().text())
    );
    assert_eq!(failing.runbook, Some(Reason::SecretNotFound.runbook_url()));
    let order: Vec<&str> = first.integrations[0]
        .conditions
        .iter()
        .map(|condition| condition.type_.as_str())
        .collect();
    assert_eq!(order, ["CredentialsAvailable", "Connected", "Synced"]);

    // That a run failed says little; the code in its message says what to do.
    let run = with(json!([
        condition(
            "Synced",
            "False",
            "RunFailed",
            "WorkerOutOfMemory: the pod was killed."
        ),
        condition(
            "Ready",
            "False",
            "RunFailed",
            "WorkerOutOfMemory: the pod was killed."
        ),
    ]));
    let failing = run.integrations[0].failing.as_ref().unwrap();
    assert_eq!(failing.code, "WorkerOutOfMemory");
    assert_eq!(
        failing.remedy.as_deref(),
        Some(Reason::WorkerOutOfMemory.remedy().text())
    );

    // Where nothing is wrong nothing is to do.
    let suspended = with(json!([
        condition("Connected", "Unknown", "Pending", ""),
        condition(
            "Ready",
            "Unknown",
            "Suspended",
            "The integration is suspended."
        ),
    ]));
    let failing = suspended.integrations[0].failing.as_ref().unwrap();
    assert_eq!(
        (failing.condition.type_.as_str(), &failing.remedy),
        ("Ready", &None)
    );
    assert!(text::text(&suspended, false).contains("What to do: Nothing to do."));
}

#[test]
fn what_only_a_newer_controller_knows_is_shown_as_it_is() {
    let mut resource = changed(
        "/status/conditions",
        json!([
            condition(
                "QuantumLinked",
                "False",
                "QuantumLinkLost",
                "The link is lost."
            ),
            condition("Ready", "False", "QuantumLinkLost", "The link is lost."),
        ]),
    );
    let remedy = "Turn the link on.";
    resource["status"]["errors"][0]["code"] = "QuantumLinkLost".into();
    resource["status"]["errors"][0]["remedy"] = remedy.into();
    resource["status"]["lastRun"]["retriedMisses"] = 17.into();
    resource["status"]["lastRun"]["outcome"] = "QuantumLinkLost".into();
    resource["status"]["organization"]["planet"] = "Mars".into();
    resource["spec"]["contacts"]["retrieval"] = "Telepathic".into();
    let look = look(vec![resource]);
    let text = text::text(&look, false);
    for part in [
        "QuantumLinked  False",
        "First to put right: QuantumLinked is False",
        &format!("What to do: {remedy}"),
        "Telepathic",
        "Sync QuantumLinkLost",
        "api calls 7, retried misses 17",
    ] {
        assert!(text.contains(part), "{part:?}:\n{text}");
    }
    let answer: Value = serde_json::from_str(&json::text(&look)).unwrap();
    let told = &answer["integrations"][0];
    assert_eq!(told["failing"]["remedy"], remedy);
    assert_eq!(told["failing"]["runbook"], Value::Null);
    assert_eq!(told["lastRun"]["retriedMisses"], 17);
    assert_eq!(told["organization"]["planet"], "Mars");
}

#[test]
fn values_of_another_type_are_left_out() {
    let wrong = [
        json!(1),
        json!("text"),
        json!([1, "a", null]),
        json!({"a": {"b": []}}),
        json!(null),
    ];
    for key in [
        "conditions",
        "organization",
        "connection",
        "apiUsage",
        "apiBudget",
        "lastRun",
        "nextRun",
        "warnings",
        "errors",
    ] {
        for value in &wrong {
            let look = look(vec![changed(&format!("/status/{key}"), value.clone())]);
            assert!(
                text::text(&look, false).starts_with("acme/acme-tokyo: "),
                "{key} {value}"
            );
            let answer: Value = serde_json::from_str(&json::text(&look)).unwrap();
            assert_eq!(answer["integrations"][0]["name"], "acme-tokyo");
        }
    }
}

#[test]
fn no_text_of_a_tenant_moves_the_cursor_or_makes_a_line() {
    let hostile = "\u{1b}[2J\r\nacme/other: Ready\u{202e}\u{9b}31m";
    let mut resource = failing();
    for pointer in [
        "/spec/companyId",
        "/status/organization/name",
        "/status/errors/0/message",
        "/status/errors/0/remedy",
        "/status/warnings/0/message",
        "/status/conditions/3/message",
        "/status/connection/username",
        "/status/lastRun/job",
    ] {
        *resource.pointer_mut(pointer).unwrap() = hostile.into();
    }
    resource["status"]["lastRun"][hostile] = 1.into();
    let second = changed("/metadata/name", "b".into());
    for resources in [vec![resource.clone()], vec![resource, second]] {
        let text = text::text(&look(resources), true);
        let bad = |c: char| c != '\n' && (c.is_control() || c == '\u{202e}');
        assert!(!text.contains(bad), "{text:?}");
        assert!(
            !text.lines().any(|line| line.starts_with("acme/other")),
            "{text}"
        );
    }
}

#[test]
fn of_several_there_is_a_table_and_the_first_that_is_not_ready() {
    let mut birch = failing();
    birch["metadata"]["name"] = "acme-osaka".into();
    birch["status"]["conditions"] =
        json!([condition("Ready", "True", "Ready", "The connection works.")]);
    let shown = text::text(&look(vec![failing(), birch.clone()]), true);
    let lines: Vec<&str> = shown.lines().take(6).collect();
    assert_eq!(
        lines,
        [
            "NAME             READY     REASON        ORG   LAST RUN  NEXT RUN",
            "acme/acme-osaka  Ready     Ready         Acme  18h ago   in 5h",
            "acme/acme-tokyo  NotReady  InvalidLogin  Acme  18h ago   in 5h",
            "",
            "1 of 2 are not Ready. The first of them; a name shows another one:",
            "",
        ]
    );
    assert!(
        shown.contains("acme/acme-tokyo: not Ready (InvalidLogin)"),
        "{shown}"
    );
    let mut other = birch.clone();
    other["metadata"]["name"] = "acme-kyoto".into();
    let shown = text::text(&look(vec![birch, other]), false);
    assert!(
        shown.ends_with("All 2 are Ready. A name shows one of them.\n"),
        "{shown}"
    );
    assert!(shown.contains("\nacme-kyoto "), "{shown}");
}

#[test]
fn what_could_not_be_read_is_said_and_is_null_for_programs() {
    let found = Found {
        integrations: vec![serde_json::from_value(failing()).unwrap()],
        events: Err("you may not list events".into()),
        cron_jobs: Err("you may not list cronjobs.batch".into()),
    };
    let look = Look::of(found, now());
    let text = text::text(&look, false);
    assert!(
        text.ends_with(
            "\nLeft out: you may not list events\n\nLeft out: you may not list cronjobs.batch\n"
        ),
        "{text}"
    );
    let answer: Value = serde_json::from_str(&json::text(&look)).unwrap();
    assert_eq!(answer["integrations"][0]["events"], Value::Null);
    assert_eq!(answer["leftOut"].as_array().unwrap().len(), 2);
}

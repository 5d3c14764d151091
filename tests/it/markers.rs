//! Tests that no secret value reaches a log, an Event, a status or an error. The secrets contain
//! markers, every possible failure is triggered, and then all written text is searched.

use serde_json::{Value, json};

use crate::stage::{SOON, Stage};
use crate::world::{self, PASSWORD, TOKEN};

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_value_is_in_any_log_event_status_or_report() {
    let stage = Stage::start_logging("markers", world::acme(), "info,switchboard=trace").await;
    let wrong = "marker-wrong-password";
    stage
        .apply(&stage.secret("acme", wrong, "marker-wrong-token"))
        .await;
    stage.apply(&stage.integration("acme")).await;
    stage
        .condition("acme", "Ready", "False", "InvalidLogin")
        .await;
    stage.apply(&stage.secret("acme", PASSWORD, TOKEN)).await;
    stage.ready("acme").await;
    let ingest = stage.directory("acme", "ingest").await;
    ingest
        .ingest(&switchboard_testbed::incoming_call(
            "acme",
            "1",
            world::ON_CONTACT,
        ))
        .await
        .unwrap();
    stage.run_now("acme", "succeeds").await;
    // The user is deactivated at Salesforce, so the worker's log-in is refused although the
    // password is correct.
    world::deactivate(&stage.simulator);
    ingest
        .ingest(&switchboard_testbed::incoming_call(
            "acme",
            "2",
            world::ON_LEAD,
        ))
        .await
        .unwrap();
    let run = stage.run_now("acme", "fails").await;
    assert_eq!(run["outcome"], "InvalidLogin", "{run}");
    stage
        .condition("acme", "Connected", "False", "InvalidLogin")
        .await;

    let tokens = stage
        .kubectl(&["get", "secret", "acme-directory", "-o", "json"])
        .await;
    let tokens: serde_json::Value = serde_json::from_str(&tokens).unwrap();
    let mut secrets = vec![
        wrong.to_owned(),
        "marker-wrong-token".into(),
        PASSWORD.into(),
        TOKEN.into(),
    ];
    for purpose in ["ingest", "lookup", "worker", "admin"] {
        use base64::Engine;
        let token = base64::engine::general_purpose::STANDARD
            .decode(tokens["data"][purpose].as_str().unwrap())
            .unwrap();
        // The signature is the part that needs the key.
        secrets.push(
            String::from_utf8(token)
                .unwrap()
                .rsplit('.')
                .next()
                .unwrap()
                .to_owned(),
        );
    }
    let mut written = vec![("logs", stage.logs()), ("logs of pods", stage.pod_logs())];
    for kind in ["sfi", "events", "cronjobs", "jobs", "pods"] {
        written.push((kind, stage.kubectl(&["get", kind, "-o", "json"]).await));
    }
    let described = stage.kubectl(&["describe", "sfi", "acme"]).await;
    assert!(described.contains("InvalidLogin"), "{described}");
    written.push(("describe", described));
    for (place, text) in &written {
        assert!(!text.is_empty(), "nothing was written to {place}");
        for secret in &secrets {
            assert!(!text.contains(secret.as_str()), "{place} holds {secret:?}");
        }
    }
    // As loud as our programs can be, their logs tell of each request and hold no number.
    let logs = [stage.logs(), stage.pod_logs()].concat();
    for number in [world::ON_CONTACT, world::ON_LEAD] {
        let digits = number.replace(|other: char| !other.is_ascii_digit(), "");
        let significant = digits.trim_start_matches('0');
        assert!(!logs.contains(significant), "the logs hold {number}");
    }
    let lines: Vec<Value> = logs
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect();
    let told = |fields: &[(&str, &str)]| {
        let says = |line: &&Value| fields.iter().all(|(name, value)| line[name] == *value);
        assert!(
            lines.iter().any(|line| says(&line)),
            "no line says {fields:?}"
        );
    };
    let answered = ("message", "Salesforce answered");
    told(&[
        answered,
        ("span", "reconcile"),
        ("namespace", stage.ns()),
        ("name", "acme"),
    ]);
    told(&[
        answered,
        ("span", "run"),
        ("company", "acme"),
        ("kind", "Sync"),
    ]);
    let route = "/v1/webhooks/calls";
    told(&[("span", "request"), ("company", "acme"), ("route", route)]);
    stage
        .until("acme", "no more log-ins", SOON, |object| {
            (object["status"]["connection"]["failedLogins"] == json!(1)).then_some(())
        })
        .await;
    stage.end().await;
}

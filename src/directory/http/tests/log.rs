//! What the log tells of requests, and that it holds no number and no token.

use secrecy::ExposeSecret as _;

use super::*;
use crate::telemetry::testing::Log;

/// One request of each kind: answered, refused, unknown, broken.
async fn requests(directory: &Directory) {
    let secret = |purpose| token("acme", purpose);
    let (ingest, lookup) = (secret(Purpose::Ingest), secret(Purpose::Lookup));
    let (ingest, lookup) = (ingest.expose_secret(), lookup.expose_secret());
    let calls = payload([call("1", "0312345678", "2026-11-23T01:00:00Z")]).to_string();
    let number = "/v1/contacts/0312345678?region=JP";
    for (method, path, token, body, status) in [
        (
            "POST",
            "/v1/webhooks/calls",
            Some(ingest),
            calls.as_str(),
            200,
        ),
        (
            "POST",
            "/v1/webhooks/calls",
            Some(ingest),
            "{\"call\": \"0312345678\"}",
            400,
        ),
        ("GET", number, Some(lookup), "", 404),
        (
            "GET",
            "/v1/contacts/0312345678?secret=marker",
            Some(lookup),
            "",
            400,
        ),
        ("GET", number, Some(ingest), "", 403),
        ("GET", number, Some("marker.marker"), "", 401),
        ("GET", number, None, "", 401),
        ("GET", "/0312345678", Some(lookup), "", 404),
    ] {
        let reply = directory.raw(method, path, token, body).await;
        assert_eq!(reply.status, status, "{method} {path}: {}", reply.body);
    }
}

#[tokio::test]
async fn each_request_is_told_by_route_company_and_status() {
    let log = Log::start("info,switchboard::directory=trace");
    let directory = Directory::start(Backend::Sqlite).await;
    requests(&directory).await;
    let answered = log.saying("answered");
    let told: Vec<_> = answered
        .iter()
        .map(|line| {
            assert_eq!(
                (&line["span"], line["took_ms"].is_u64()),
                (&json!("request"), true)
            );
            let text = |name: &str| line[name].as_str();
            (
                text("method").unwrap(),
                text("route").unwrap(),
                text("company"),
                line["status"].as_u64().unwrap(),
            )
        })
        .collect();
    let (webhook, contact) = ("/v1/webhooks/calls", "/v1/contacts/{number}");
    let acme = Some("acme");
    assert_eq!(
        told,
        [
            ("POST", webhook, acme, 200),
            ("POST", webhook, acme, 400),
            ("GET", contact, acme, 404),
            ("GET", contact, acme, 400),
            ("GET", contact, acme, 403),
            ("GET", contact, None, 401),
            ("GET", contact, None, 401),
            ("GET", "none", None, 404),
        ]
    );
    let [recorded] = log.saying("recorded calls").try_into().unwrap();
    assert_eq!(
        (&recorded["company"], &recorded["route"]),
        (&json!("acme"), &json!(webhook))
    );
    let refused = log.saying("refused a token");
    assert_eq!(refused.len(), 3);
    assert!(
        refused.iter().all(|line| line["route"] == contact),
        "{refused:?}"
    );
    let text = log.text();
    let signature = token("acme", Purpose::Ingest);
    let signature = signature.expose_secret().rsplit('.').next().unwrap();
    for secret in ["12345678", "marker", signature] {
        assert!(!text.contains(secret), "the log holds {secret:?}: {text}");
    }
}

#[tokio::test]
async fn at_the_default_level_only_what_was_done_or_refused_is_told() {
    let log = Log::start("info");
    let directory = Directory::start(Backend::Sqlite).await;
    requests(&directory).await;
    let messages: Vec<String> = log
        .lines()
        .iter()
        .filter(|line| line["span"] == "request")
        .map(|line| line["message"].as_str().unwrap().to_owned())
        .collect();
    let refused = "refused a token";
    assert_eq!(
        messages,
        [
            "recorded calls",
            "refused a webhook",
            refused,
            refused,
            refused
        ]
    );
}

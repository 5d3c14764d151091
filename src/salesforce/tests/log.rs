//! Tests of the log lines for requests: their content, and that they contain no secret.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tracing::{Instrument, error_span};

use super::http::{page, rest_error, salesforce};
use super::logins::{KEY_PKCS8, jwt};
use super::{Played, Reply, fault, login_response, password, quick};
use crate::salesforce::answers::meaning::Meaning;
use crate::salesforce::connection::Connection;
use crate::salesforce::credentials::Credentials;
use crate::salesforce::credentials::environment::ApiVersion;
use crate::salesforce::transport::Transport;
use crate::salesforce::transport::dial::DialPolicy;
use crate::telemetry::testing::Log;

/// The log filter that docs/operations.md recommends.
const REQUESTS: &str = "info,switchboard::salesforce=debug";
const QUERY: &str = "SELECT Id FROM Contact WHERE Phone IN ('0312345678', '+81312345678')";

/// Method, path, status and attempt of the request in a log line.
fn told(line: &Value) -> (&str, &str, u64, u64) {
    let text = |name: &str| line[name].as_str().unwrap();
    let number = |name: &str| line[name].as_u64().unwrap();
    assert_eq!(text("host"), "127.0.0.1");
    assert!(number("took_ms") < 60_000, "{line}");
    (
        text("method"),
        text("path"),
        number("status"),
        number("attempt"),
    )
}

#[tokio::test]
async fn each_request_and_each_retry_is_a_line_of_its_span() {
    let log = Log::start(REQUESTS);
    let played = salesforce(|_, before| {
        if before < 2 {
            Reply::text(503, "text/html", "")
        } else {
            page()
        }
    })
    .await;
    let connection = played.connection(password());
    let span = error_span!("reconcile", namespace = "tenant", name = "acme");
    connection
        .query::<Value>(QUERY)
        .instrument(span)
        .await
        .unwrap();

    let answered = log.saying("Salesforce answered");
    let query = "/services/data/v50.0/query";
    assert_eq!(
        answered.iter().map(told).collect::<Vec<_>>(),
        [
            ("POST", "/services/Soap/u/50.0", 200, 1),
            ("GET", query, 503, 1),
            ("GET", query, 503, 2),
            ("GET", query, 200, 3),
        ]
    );
    let again = log.saying("the request is sent again");
    let why: Vec<_> = again
        .iter()
        .map(|line| (&line["why"], &line["status"], line["wait_ms"].is_u64()))
        .collect();
    assert_eq!(why, [(&json!("Unreachable"), &json!(503), true); 2]);
    // The lines of the log-in, which runs in a task of its own, also have these fields.
    for line in log.lines() {
        let of = (&line["namespace"], &line["name"], &line["level"]);
        assert_eq!(
            of,
            (&json!("tenant"), &json!("acme"), &json!("DEBUG")),
            "{line}"
        );
    }
}

#[tokio::test]
async fn a_request_that_gets_no_answer_says_what_happened() {
    let log = Log::start(REQUESTS);
    let played = salesforce(|_, _| Reply::Hang).await;
    let connection = played.connection(password());
    connection.query::<Value>(QUERY).await.unwrap_err();
    let [line] = log.saying("no answer of Salesforce").try_into().unwrap();
    assert_eq!(line["path"], "/services/data/v50.0/query");
    assert_eq!(
        (&line["status"], &line["attempt"]),
        (&Value::Null, &json!(1))
    );
    let error = line["error"].as_str().unwrap();
    assert!(error.contains("did not begin to answer within"), "{error}");
}

#[tokio::test]
async fn another_log_in_for_an_expired_session_is_told() {
    let log = Log::start(REQUESTS);
    let expired = Arc::new(AtomicBool::new(false));
    let switch = Arc::clone(&expired);
    let played = salesforce(move |_, _| {
        if switch.swap(false, Ordering::SeqCst) {
            rest_error(401, "INVALID_SESSION_ID", "Session expired or invalid")
        } else {
            page()
        }
    })
    .await;
    let connection = played.connection(password());
    connection.query::<Value>(QUERY).await.unwrap();
    expired.store(true, Ordering::SeqCst);
    connection.query::<Value>(QUERY).await.unwrap();
    let expired = "the session has expired: the request is sent again with another";
    assert_eq!(log.saying(expired).len(), 1, "{}", log.text());
    let answered = log.saying("Salesforce answered");
    let statuses: Vec<_> = answered
        .iter()
        .map(told)
        .map(|(_, _, status, attempt)| (status, attempt))
        .collect();
    assert_eq!(statuses, [(200, 1), (200, 1), (401, 1), (200, 1), (200, 2)]);
}

#[tokio::test]
async fn a_request_that_waits_for_others_to_its_host_is_told() {
    let log = Log::start(REQUESTS);
    let played = salesforce(|_, _| page()).await;
    let connection = played.connection(password());
    let queries = (0..20).map(|_| connection.query::<Value>(QUERY));
    for answer in futures::future::join_all(queries).await {
        answer.unwrap();
    }
    let waited = log.saying("a request waited for others to the same host");
    assert!(!waited.is_empty(), "{}", log.text());
    assert!(
        waited
            .iter()
            .all(|line| line["wait_ms"].is_u64() && line["host"] == "127.0.0.1")
    );
}

#[tokio::test]
async fn a_host_that_answers_nobody_and_is_not_asked_is_told() {
    let log = Log::start(REQUESTS);
    let played = Played::start(|_| Reply::Raw(Vec::new())).await;
    let policy = DialPolicy::new(&["127.0.0.1".to_owned()], true, None).unwrap();
    let transport = Transport::with_limits(policy, quick()).unwrap();
    let version = ApiVersion::DEFAULT;
    let connection = Connection::new(transport.clone(), played.url.clone(), version, password());
    for _ in 0..5 {
        assert!(connection.session().await.is_err());
    }
    assert!(transport.silence(&played.url).is_some());
    let told = log.saying("nothing is sent to a host that answers nobody");
    assert_eq!(told.len(), 1, "{}", log.text());
}

#[tokio::test]
async fn at_the_default_level_no_request_is_told() {
    let log = Log::start("info");
    let played = salesforce(|_, before| {
        if before == 0 {
            Reply::text(503, "text/html", "")
        } else {
            page()
        }
    })
    .await;
    let connection = played.connection(password());
    connection.query::<Value>(QUERY).await.unwrap();
    assert_eq!(log.text(), "");
}

/// A credential for each method; all secrets in it are markers.
fn marked() -> Vec<Credentials> {
    vec![
        Credentials::Password {
            username: "u@acme.example".to_owned(),
            password: "marker-password".into(),
            security_token: Some("marker-token".into()),
        },
        Credentials::OauthPassword {
            username: "u@acme.example".to_owned(),
            password: "marker-password".into(),
            security_token: Some("marker-token".into()),
            client_id: "id".to_owned(),
            client_secret: "marker-client-secret".into(),
        },
        jwt(KEY_PKCS8),
        Credentials::ClientCredentials {
            client_id: "id".to_owned(),
            client_secret: "marker-client-secret".into(),
        },
    ]
}

/// Repeats the request in the response, as a hostile server or a verbose gateway would.
fn echo(asked: &super::Asked) -> String {
    format!(
        "{} {} {}",
        asked.path,
        asked.header("authorization"),
        asked.body
    )
}

#[tokio::test]
async fn no_secret_and_no_number_is_in_the_log_whatever_fails() {
    let log = Log::start("off,switchboard=trace");
    let assertions: Arc<Mutex<Vec<String>>> = Arc::default();
    // The loops combine the responses to log-ins with the responses to queries.
    let mut meanings = Vec::new();
    for login in ["granted", "refused", "echoed", "away", "broken"] {
        for data in [
            "page", "quoted", "expired", "busy", "echoed", "redirect", "broken",
        ] {
            if login != "granted" && data != "page" {
                continue;
            }
            for credentials in marked() {
                let assertions = Arc::clone(&assertions);
                let played = Played::start(move |asked| {
                    let base = format!("http://{}/", asked.header("host"));
                    let soap = asked.path.contains("/Soap/");
                    if let Some((_, assertion)) = asked.body.split_once("assertion=") {
                        assertions.lock().unwrap().push(assertion.to_owned());
                    }
                    match (soap || asked.path.contains("/oauth2/"), login, data) {
                        (true, "granted", _) if soap => {
                            let granted = login_response(&base.parse().unwrap(), "");
                            Reply::xml(200, granted.replace("AQ.one", "marker-session"))
                        }
                        (true, "granted", _) => Reply::json(
                            200,
                            json!({"access_token": "00DA0000006Vm9r!marker-session", "instance_url": base}),
                        ),
                        (true, "refused", _) if soap => {
                            Reply::xml(500, fault("INVALID_LOGIN", &echo(asked).replace(['<', '&'], "")))
                        }
                        (true, "refused", _) => Reply::json(
                            400,
                            json!({"error": "invalid_grant", "error_description": echo(asked)}),
                        ),
                        (true, "echoed", _) => Reply::text(200, "text/html", echo(asked)),
                        (true, "away", _) => {
                            Reply::text(302, "text/html", "").with("Location", "https://login.example/marker-password")
                        }
                        (_, _, "page") => page(),
                        (_, _, "quoted") => rest_error(400, "MALFORMED_QUERY", &echo(asked)),
                        (_, _, "expired") => rest_error(401, "INVALID_SESSION_ID", &echo(asked)),
                        (_, _, "busy") => rest_error(403, "REQUEST_LIMIT_EXCEEDED", &format!("concurrent {}", echo(asked))),
                        (_, _, "echoed") => Reply::text(503, "text/html", echo(asked)),
                        (_, _, "redirect") => Reply::text(302, "text/html", "").with("Location", &asked.path),
                        _ => Reply::Raw(Vec::new()),
                    }
                })
                .await;
                let connection: Connection = played.connection(credentials);
                let outcome = connection.query::<Value>(QUERY).await;
                meanings.push(outcome.map_or_else(|error| error.meaning().code(), |_| "page"));
            }
        }
    }
    for meaning in [
        "page",
        Meaning::InvalidLogin.code(),
        Meaning::RequestRejected.code(),
        Meaning::SessionExpired.code(),
        Meaning::ConcurrentLimit.code(),
        Meaning::Unreachable.code(),
        Meaning::UnexpectedAnswer.code(),
    ] {
        assert!(meanings.contains(&meaning), "{meaning}: {meanings:?}");
    }
    let text = log.text();
    for path in [
        "/services/Soap/u/50.0",
        "/services/oauth2/token",
        "/services/data/v50.0/query",
    ] {
        assert!(text.contains(path), "no line tells of {path}");
    }
    let key: Vec<String> = KEY_PKCS8
        .lines()
        .map(str::to_owned)
        .filter(|line| !line.contains("KEY"))
        .collect();
    let assertions = assertions.lock().unwrap().clone();
    assert!(!assertions.is_empty() && !key.is_empty());
    let marks = ["marker", "12345678", "SELECT", "grant_type", "Bearer"].map(str::to_owned);
    for secret in marks.iter().chain(&key).chain(&assertions) {
        assert!(!text.contains(secret.as_str()), "the log holds {secret:?}");
    }
}

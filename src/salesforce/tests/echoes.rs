//! Tests that a secret which comes back in an answer is seen nowhere: every field of every kind of
//! answer holds it once, in every form in which servers write a text.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use unicode_normalization::UnicodeNormalization;

use super::logins::jwt;
use super::{Asked, Played, Reply, fault, login_response};
use crate::salesforce::credentials::Credentials;
use crate::salesforce::probe::probe;
use crate::salesforce::rest::Subrequest;
use crate::salesforce::text::encode::percent_encode;
use crate::salesforce::text::xml::escape;
use crate::telemetry::testing::Log;

const SECRET: &str = "p4s$w\"\u{f6}&<rd";

fn soap() -> Credentials {
    Credentials::Password {
        username: "u@acme.example".to_owned(),
        password: SECRET.into(),
        security_token: None,
    }
}

fn oauth() -> Credentials {
    Credentials::ClientCredentials {
        client_id: "id".to_owned(),
        client_secret: SECRET.into(),
    }
}

fn forms() -> Vec<String> {
    let json = serde_json::to_string(SECRET).unwrap();
    let json = json.trim_matches('"').to_owned();
    let twice = escape(&escape(SECRET));
    vec![
        SECRET.to_owned(),
        json.replace('\u{f6}', "\\u00f6"),
        json,
        escape(SECRET),
        escape(SECRET).replace('\u{f6}', "&ouml;"),
        twice.chars().take(20).collect(),
        twice,
        percent_encode(SECRET),
        SECRET.nfd().collect(),
        STANDARD.encode(SECRET),
        STANDARD.encode(format!("id:{SECRET}")),
        STANDARD.encode(format!("user:{SECRET}")),
        SECRET.chars().take(8).collect(),
    ]
}

/// Whether an output holds the form, or a part of the secret itself.
fn seen(output: &str, form: &str) -> bool {
    let chars: Vec<char> = SECRET.chars().collect();
    let part = |window: &[char]| output.contains(&window.iter().collect::<String>());
    output.contains(form) || chars.windows(8).any(part)
}

/// The answers to a log-in by SOAP, with the form in one field of each.
fn soap_answers(form: &str, asked: &Asked) -> Vec<Reply> {
    let base = format!("http://{}/", asked.header("host")).parse().unwrap();
    let granted = login_response(&base, "");
    let form = escape(form);
    let mut answers = vec![
        Reply::xml(500, fault("INVALID_LOGIN", &form)),
        Reply::xml(500, fault(&form, "Invalid username")),
        Reply::xml(500, fault("NEVER_HEARD", &format!("said {form}."))),
        Reply::xml(200, format!("<a><{0}>{form}</{0}></a>", "b")),
        Reply::text(
            200,
            "text/html",
            format!("<html><title>{form}</title></html>"),
        ),
        Reply::text(
            200,
            "text/html",
            format!("<html><body>{form}</body></html>"),
        ),
        Reply::text(403, "text/plain", &form),
        Reply::json(500, json!([{"errorCode": form, "message": form}])),
    ];
    for field in [
        "Acme &amp; Co",
        "integration@acme.example",
        "00DA0000006Vm9rMAC",
        "0050000000000001AA",
    ] {
        answers.push(Reply::xml(200, granted.replace(field, &form)));
    }
    answers
}

fn oauth_answers(form: &str, asked: &Asked) -> Vec<Reply> {
    let base = format!("http://{}/", asked.header("host"));
    let token = "00DA0000006Vm9r!AQ.one";
    vec![
        Reply::json(
            400,
            json!({"error": "invalid_grant", "error_description": form}),
        ),
        Reply::json(400, json!({"error": form, "error_description": "x"})),
        Reply::json(400, json!({"error": form})),
        Reply::json(400, json!({form: form})),
        Reply::json(400, json!([form])),
        Reply::text(400, "text/html", format!("<h1>{form}</h1>")),
        Reply::json(
            200,
            json!({"access_token": token, "instance_url": format!("https://{form}.example")}),
        ),
        Reply::json(
            200,
            json!({"access_token": token, "instance_url": base, "id": format!("{base}id/00D{form}/005{form}")}),
        ),
    ]
}

fn rest_answers(form: &str) -> Vec<Reply> {
    let part = |status: u16, body: Value| {
        let parts = json!([{"referenceId": "a", "httpStatusCode": status, "body": body}]);
        Reply::json(200, json!({"compositeResponse": parts}))
    };
    vec![
        Reply::json(
            400,
            json!([{"errorCode": "MALFORMED_QUERY", "message": form, "fields": [form]}]),
        ),
        Reply::json(400, json!([{"errorCode": form, "message": "x"}])),
        Reply::json(400, json!({"errorCode": "NEVER_HEARD", "message": form})),
        Reply::json(400, json!({form: 1})),
        Reply::json(200, json!({form: 1})),
        Reply::text(502, "text/html", format!("<title>{form}</title>")),
        Reply::text(200, "text/plain", form),
        part(
            400,
            json!([{"errorCode": "MALFORMED_QUERY", "message": form}]),
        ),
        part(400, json!([{"errorCode": form, "message": form}])),
        part(400, json!({form: form})),
        part(400, json!(form)),
        part(
            500,
            json!([{"errorCode": "UNKNOWN_EXCEPTION", "message": form}]),
        ),
    ]
}

/// Everything that is told of a connection: the error or the results, and the log.
async fn told(played: &Played, credentials: Credentials) -> String {
    let connection = played.connection(credentials);
    let session = match connection.session().await {
        Ok(info) => format!("{info:?}"),
        Err(error) => return format!("{error} {error:?} {:?}", error.salesforce_code()),
    };
    let parts = [Subrequest::query("a", "SELECT Id FROM Contact")];
    let part = match connection.composite(&parts).await {
        Ok(parts) => parts[0]
            .page::<Value>()
            .err()
            .map(|error| format!("{error} {error:?}")),
        Err(error) => Some(format!("{error} {error:?}")),
    };
    let findings = probe(&connection, &[]).await;
    format!("{session} {part:?} {findings:?}")
}

/// How many answers hold a form once.
fn count(form: &str, by_soap: bool) -> usize {
    let asked = Asked {
        method: String::new(),
        path: String::new(),
        headers: vec![("host".to_owned(), "127.0.0.1:1".to_owned())],
        body: String::new(),
    };
    let logins = if by_soap {
        soap_answers(form, &asked)
    } else {
        oauth_answers(form, &asked)
    };
    logins.len() + rest_answers(form).len()
}

/// Plays a Salesforce that gives the answer `at` with this form, and checks what is told of it.
async fn check(form: String, by_soap: bool, at: usize) {
    let sent = form.clone();
    let played = Played::start(move |asked| {
        let base = format!("http://{}/", asked.header("host"));
        let logins = if by_soap {
            soap_answers(&sent, asked)
        } else {
            oauth_answers(&sent, asked)
        };
        let login = asked.path.contains("/Soap/") || asked.path.contains("/oauth2/");
        match (login, at.checked_sub(logins.len())) {
            (true, None) => logins[at].clone(),
            (true, Some(_)) if by_soap => {
                Reply::xml(200, login_response(&base.parse().unwrap(), ""))
            }
            (true, Some(_)) => Reply::json(
                200,
                json!({"access_token": "00DA0000006Vm9r!AQ.one", "instance_url": base}),
            ),
            (false, Some(at)) => rest_answers(&sent)[at].clone(),
            (false, None) => Reply::json(404, json!([{"errorCode": "NOT_FOUND", "message": ""}])),
        }
    })
    .await;
    let credentials = if by_soap { soap() } else { oauth() };
    let told = told(&played, credentials).await;
    assert!(!seen(&told, &form), "answer {at} for {form}: {told}");
}

#[tokio::test]
async fn a_secret_that_comes_back_is_seen_nowhere() {
    let log = Log::start("off,switchboard=trace");
    let cases = forms().into_iter().flat_map(|form| {
        let both = [true, false].into_iter();
        both.flat_map(move |by_soap| {
            let form = form.clone();
            (0..count(&form, by_soap)).map(move |at| check(form.clone(), by_soap, at))
        })
    });
    let cases: Vec<_> = cases.collect();
    assert!(cases.len() > 400, "{}", cases.len());
    // At once, because many of them are repeated after a pause.
    futures::future::join_all(cases).await;
    let text = log.text();
    for form in forms() {
        assert!(!seen(&text, &form), "the log holds {form}");
    }
}

#[tokio::test]
async fn the_host_of_a_redirect_is_told_without_the_secret() {
    let secret = "marker-of-the-client";
    let credentials = Credentials::ClientCredentials {
        client_id: "id".to_owned(),
        client_secret: secret.into(),
    };
    let log = Log::start("off,switchboard=trace");
    for host in [
        "marker-of-the-client.example",
        "x.marker-of-the.my.salesforce.com",
        "MARKER-OF-THE-CLIENT.example",
    ] {
        let location = format!("https://{host}/?echo=marker-of-the-client");
        let played =
            Played::start(move |_| Reply::text(302, "text/html", "").with("Location", &location))
                .await;
        let error = played
            .connection(credentials.clone())
            .session()
            .await
            .unwrap_err();
        assert!(error.message().contains("redirect to"), "{error}");
        assert!(!error.message().contains("marker"), "{error}");
    }
    assert!(!log.text().contains("marker"), "{}", log.text());
}

#[tokio::test]
async fn a_line_of_the_private_key_that_comes_back_is_seen_nowhere() {
    let key = super::logins::KEY_PKCS8;
    let line = key.lines().nth(5).unwrap().to_owned();
    let sent = line.clone();
    let played = Played::start(move |_| {
        Reply::json(400, json!({"error": "invalid_grant", "error_description": format!("got {}", &sent[10..30])}))
    })
    .await;
    let error = played.connection(jwt(key)).session().await.unwrap_err();
    assert!(!error.message().contains(&line[12..20]), "{error}");
    assert!(error.message().contains("[redacted]"), "{error}");
}

//! Tests of size limits, time limits, repetitions, and the renewal of the session.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};

use super::{Asked, Played, Reply, login_response, password};
use crate::salesforce::answers::meaning::Meaning;
use crate::salesforce::rest::Subrequest;

const QUERY: &str = "/services/data/v50.0/query";

/// Accepts log-ins by SOAP and passes all other requests to `data`, with the number of such
/// requests before.
pub(super) async fn salesforce(
    data: impl Fn(&Asked, usize) -> Reply + Send + Sync + 'static,
) -> Played {
    let count = Arc::new(AtomicUsize::new(0));
    let logins = AtomicUsize::new(0);
    Played::start(move |asked| {
        if asked.path.contains("/Soap/") {
            let base = format!("http://{}/", asked.header("host")).parse().unwrap();
            let number = logins.fetch_add(1, Ordering::SeqCst);
            Reply::xml(
                200,
                login_response(&base, "").replace("AQ.one", &format!("AQ.{number}")),
            )
        } else {
            data(asked, count.fetch_add(1, Ordering::SeqCst))
        }
    })
    .await
}

pub(super) fn page() -> Reply {
    Reply::json(
        200,
        json!({"totalSize": 1, "done": true, "records": [{"Id": "1"}]}),
    )
    .with("SFORCE-Limit-Info", "api-usage=17/15000; api-bursts=1/750")
}

pub(super) fn rest_error(status: u16, code: &str, message: &str) -> Reply {
    Reply::json(status, json!([{"errorCode": code, "message": message}]))
}

#[tokio::test]
async fn a_query_carries_the_session_and_brings_the_usage() {
    let played = salesforce(|_, _| page()).await;
    let connection = played.connection(password());
    let found = connection
        .query::<Value>("SELECT Id FROM Contact WHERE Phone = '+81'")
        .await
        .unwrap();
    assert_eq!((found.records.len(), found.total_size), (1, 1));
    let asked = played.asked();
    assert_eq!(
        asked[1].header("authorization"),
        "Bearer 00DA0000006Vm9r!AQ.0"
    );
    assert!(asked[1].path.ends_with("%27%2B81%27"), "{}", asked[1].path);
    assert!(asked[1].header("accept-encoding").contains("gzip"));
    let usage = connection.usage().unwrap();
    assert_eq!((usage.used, usage.limit), (17, 15000));
    assert_eq!(
        (connection.spent().logins, connection.spent().calls),
        (1, 1)
    );
}

#[tokio::test]
async fn what_is_transient_is_repeated_and_what_is_not_is_not() {
    let transient = [
        rest_error(
            400,
            "UNABLE_TO_LOCK_ROW",
            "unable to obtain exclusive access",
        ),
        rest_error(
            403,
            "REQUEST_LIMIT_EXCEEDED",
            "ConcurrentPerOrgLongTxn Limit exceeded.",
        ),
        rest_error(500, "UNKNOWN_EXCEPTION", ""),
        rest_error(503, "SERVER_UNAVAILABLE", ""),
        Reply::text(420, "text/html", ""),
        Reply::text(502, "text/html", "<html>bad gateway</html>"),
        Reply::text(504, "text/html", ""),
        Reply::Raw(Vec::new()),
        Reply::Raw(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{".to_vec()),
    ];
    for reply in transient {
        let played =
            salesforce(move |_, before| if before < 2 { reply.clone() } else { page() }).await;
        let connection = played.connection(password());
        connection
            .query::<Value>("SELECT Id FROM Contact")
            .await
            .unwrap();
        assert_eq!((played.count(QUERY), connection.spent().calls), (3, 3));
    }
    let lasting = [
        (
            rest_error(
                403,
                "REQUEST_LIMIT_EXCEEDED",
                "TotalRequests Limit exceeded.",
            ),
            Meaning::RequestLimitExceeded,
        ),
        (
            rest_error(400, "MALFORMED_QUERY", "unexpected token"),
            Meaning::RequestRejected,
        ),
        (
            rest_error(403, "API_DISABLED_FOR_ORG", "The REST API is not enabled"),
            Meaning::ApiDisabledForOrg,
        ),
        (
            Reply::text(414, "text/html", "<h1>Bad Message 414</h1>"),
            Meaning::RequestTooLong,
        ),
        (
            Reply::text(200, "text/html", "<html>portal</html>"),
            Meaning::UnexpectedAnswer,
        ),
        (
            Reply::json(200, json!({"records": 1})),
            Meaning::UnexpectedAnswer,
        ),
        (Reply::Hang, Meaning::Unreachable),
        (Reply::Drip, Meaning::Unreachable),
    ];
    for (reply, meaning) in lasting {
        let played = salesforce(move |_, _| reply.clone()).await;
        let error = played
            .connection(password())
            .query::<Value>("SELECT Id FROM Contact")
            .await
            .unwrap_err();
        assert_eq!(
            (error.meaning(), played.count(QUERY)),
            (meaning, 1),
            "{error}"
        );
    }
    let down = salesforce(|_, _| Reply::text(503, "text/html", "")).await;
    assert!(
        down.connection(password())
            .query::<Value>("SELECT Id FROM Contact")
            .await
            .is_err()
    );
    assert_eq!(down.count(QUERY), 4);
}

#[tokio::test]
async fn an_expired_session_is_replaced_once_for_all_who_use_it() {
    let expired = || {
        rest_error(401, "INVALID_SESSION_ID", "Session expired or invalid")
            .with("WWW-Authenticate", "Token")
    };
    let revoked = Arc::new(AtomicUsize::new(0));
    let switch = Arc::clone(&revoked);
    let played = salesforce(move |asked, _| {
        let stale =
            asked.header("authorization").ends_with("AQ.0") && switch.load(Ordering::SeqCst) == 1;
        if stale { expired() } else { page() }
    })
    .await;
    let connection = played.connection(password());
    connection
        .query::<Value>("SELECT Id FROM Contact")
        .await
        .unwrap();
    revoked.store(1, Ordering::SeqCst);
    let many = (0..10).map(|_| connection.query::<Value>("SELECT Id FROM Contact"));
    assert!(
        futures::future::join_all(many)
            .await
            .iter()
            .all(Result::is_ok)
    );
    assert_eq!(connection.spent().logins, 2);
}

#[tokio::test]
async fn a_session_that_never_works_is_not_replaced_for_ever() {
    let played =
        salesforce(|_, _| rest_error(401, "INVALID_SESSION_ID", "Session expired or invalid"))
            .await;
    let connection = played.connection(password());
    for _ in 0..5 {
        let error = connection
            .query::<Value>("SELECT Id FROM Contact")
            .await
            .unwrap_err();
        assert_eq!(error.meaning(), Meaning::SessionExpired);
    }
    assert_eq!(connection.spent().logins, 1);
}

#[tokio::test]
async fn no_login_is_made_where_it_cannot_help() {
    let words = "This session is not valid for use with the REST API";
    let played = salesforce(move |_, before| {
        if before == 0 {
            page()
        } else {
            rest_error(401, "INVALID_SESSION_ID", words)
        }
    })
    .await;
    let connection = played.connection(password());
    connection
        .query::<Value>("SELECT Id FROM Contact")
        .await
        .unwrap();
    let error = connection
        .query::<Value>("SELECT Id FROM Contact")
        .await
        .unwrap_err();
    assert_eq!(error.meaning(), Meaning::SessionNotForApi);
    assert_eq!(connection.spent().logins, 1);
    assert!(connection.has_session());
}

#[tokio::test]
async fn bodies_end_at_the_cap_before_and_after_decompression() {
    let bomb = include_bytes!("data/bomb.gz");
    let headers = vec![("Content-Encoding".to_owned(), "gzip".to_owned())];
    let gzip = Reply::Answer {
        status: 200,
        headers,
        body: bomb.to_vec(),
    };
    let plain = Reply::Answer {
        status: 200,
        headers: Vec::new(),
        body: vec![b' '; 2 << 20],
    };
    for reply in [gzip, plain] {
        let played = salesforce(move |_, _| reply.clone()).await;
        let error = played
            .connection(password())
            .query::<Value>("SELECT Id FROM Contact")
            .await
            .unwrap_err();
        assert_eq!(error.meaning(), Meaning::UnexpectedAnswer);
        assert!(
            error.message().contains("more than 1048576 bytes"),
            "{error}"
        );
    }
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let target = Played::start(|_| page()).await;
    let location = target.url.to_string();
    let played =
        salesforce(move |_, _| Reply::text(302, "text/html", "").with("Location", &location)).await;
    let error = played
        .connection(password())
        .query::<Value>("SELECT Id FROM Contact")
        .await
        .unwrap_err();
    assert_eq!(error.meaning(), Meaning::UnexpectedAnswer);
    assert!(error.message().contains("redirect to 127.0.0.1"), "{error}");
    assert!(target.asked().is_empty());
}

#[tokio::test]
async fn pages_are_followed_and_composites_are_one_call() {
    let played = salesforce(|asked, _| match asked.path.as_str() {
        "/services/data/v50.0/query/01g-1" => page(),
        "/services/data/v50.0/composite" => {
            let part = |id: &str| json!({"referenceId": id, "httpStatusCode": 200, "httpHeaders": {}, "body": {"totalSize": 0, "done": true, "records": []}});
            Reply::json(200, json!({"compositeResponse": [part("b"), part("a")]}))
        }
        _ => Reply::json(200, json!({"totalSize": 2, "done": false, "nextRecordsUrl": "/services/data/v50.0/query/01g-1", "records": [{}]})),
    })
    .await;
    let connection = played.connection(password());
    let first = connection
        .query::<Value>("SELECT Id FROM Contact")
        .await
        .unwrap();
    let second = connection
        .query_next::<Value>(&first.next.unwrap())
        .await
        .unwrap();
    assert_eq!((second.records.len(), second.next), (1, None));
    let requests = [
        Subrequest::query("a", "SELECT Id FROM Contact"),
        Subrequest::query("b", "SELECT Id FROM Lead"),
    ];
    let answers = connection.composite(&requests).await.unwrap();
    assert_eq!(
        answers
            .iter()
            .map(|answer| answer.reference_id.as_str())
            .collect::<Vec<_>>(),
        ["a", "b"]
    );
    assert_eq!(connection.spent().calls, 3);
    let body: Value = serde_json::from_str(&played.asked()[3].body).unwrap();
    assert_eq!(body["allOrNone"], json!(false));
    assert_eq!(
        body["compositeRequest"][0]["url"],
        "/services/data/v50.0/query?q=SELECT+Id+FROM+Contact"
    );
}

//! Tests of composite requests of which a part fails: each inner status does what the same status
//! of the whole does, and only the failed part is asked again.

use serde_json::{Value, json};

use super::http::salesforce;
use super::{Asked, Played, Reply, password};
use crate::salesforce::answers::meaning::Meaning;
use crate::salesforce::rest::Subrequest;

const COMPOSITE: &str = "/services/data/v50.0/composite";

fn requests() -> Vec<Subrequest> {
    ["Contact", "Account", "Lead"]
        .map(|object| Subrequest::query(object, &format!("SELECT Id FROM {object}")))
        .into()
}

/// The names of the parts that a request asks for.
fn parts(asked: &Asked) -> Vec<String> {
    let body: Value = serde_json::from_str(&asked.body).unwrap();
    let parts = body["compositeRequest"].as_array().unwrap().iter();
    parts
        .map(|part| part["referenceId"].as_str().unwrap().to_owned())
        .collect()
}

fn good(name: &str) -> Value {
    json!({"referenceId": name, "httpStatusCode": 200, "httpHeaders": {}, "body": {"totalSize": 1, "done": true, "records": [{"Id": name}]}})
}

fn bad(name: &str, status: u16, code: &str, message: &str) -> Value {
    json!({"referenceId": name, "httpStatusCode": status, "httpHeaders": {}, "body": [{"errorCode": code, "message": message}]})
}

/// Plays a Salesforce in whose first `times` answers the part Account fails.
async fn failing(times: usize, part: impl Fn() -> Value + Send + Sync + 'static) -> Played {
    salesforce(move |asked, before| {
        let answers: Vec<Value> = parts(asked)
            .iter()
            .map(|name| match name.as_str() {
                "Account" if before < times => part(),
                name => good(name),
            })
            .collect();
        Reply::json(200, json!({"compositeResponse": answers}))
    })
    .await
}

fn asked_for(played: &Played) -> Vec<Vec<String>> {
    let asked = played.asked();
    let composites = asked.iter().filter(|asked| asked.path == COMPOSITE);
    composites.map(parts).collect()
}

#[tokio::test]
async fn a_part_that_fails_in_passing_is_asked_again_alone() {
    for (status, code, message) in [
        (500, "UNKNOWN_EXCEPTION", "An unexpected error occurred"),
        (503, "SERVER_UNAVAILABLE", "Server is unavailable"),
        (502, "SOMETHING_NEW", ""),
        (
            403,
            "REQUEST_LIMIT_EXCEEDED",
            "ConcurrentPerOrgLongTxn Limit exceeded",
        ),
        (
            400,
            "UNABLE_TO_LOCK_ROW",
            "unable to obtain exclusive access to this record",
        ),
    ] {
        let played = failing(2, move || bad("Account", status, code, message)).await;
        let connection = played.connection(password());
        let answers = connection.composite(&requests()).await.unwrap();
        let ids: Vec<Value> = answers
            .iter()
            .map(|answer| answer.page::<Value>().unwrap().records[0]["Id"].clone())
            .collect();
        assert_eq!(ids, ["Contact", "Account", "Lead"], "{code}");
        let all = vec!["Contact", "Account", "Lead"];
        assert_eq!(
            asked_for(&played),
            [all, vec!["Account"], vec!["Account"]],
            "{code}"
        );
        assert_eq!(
            (connection.spent().logins, connection.spent().calls),
            (1, 3)
        );
    }
}

#[tokio::test]
async fn a_part_that_keeps_failing_ends_the_whole_as_the_same_answer_to_all_would() {
    for (status, code, message, meaning, asked) in [
        (500, "UNKNOWN_EXCEPTION", "", Meaning::SalesforceError, 4),
        (503, "SERVER_UNAVAILABLE", "", Meaning::Unreachable, 4),
        (
            403,
            "REQUEST_LIMIT_EXCEEDED",
            "TotalRequests Limit exceeded.",
            Meaning::RequestLimitExceeded,
            1,
        ),
        (
            403,
            "API_DISABLED_FOR_ORG",
            "The REST API is not enabled",
            Meaning::ApiDisabledForOrg,
            1,
        ),
        (
            401,
            "INVALID_SESSION_ID",
            "This session is not valid for use with the REST API",
            Meaning::SessionNotForApi,
            1,
        ),
        (
            401,
            "INVALID_SESSION_ID",
            "Session expired or invalid",
            Meaning::SessionExpired,
            2,
        ),
    ] {
        let played = failing(99, move || bad("Account", status, code, message)).await;
        let connection = played.connection(password());
        let error = connection.composite(&requests()).await.unwrap_err();
        assert_eq!(error.meaning(), meaning, "{error}");
        assert_eq!(asked_for(&played).len(), asked, "{code}");
        assert!(connection.spent().logins <= 2, "{code}");
    }
}

#[tokio::test]
async fn a_part_for_which_the_session_has_ended_is_asked_again_with_another() {
    let expired = || {
        bad(
            "Account",
            401,
            "INVALID_SESSION_ID",
            "Session expired or invalid",
        )
    };
    let played = failing(1, expired).await;
    let connection = played.connection(password());
    let answers = connection.composite(&requests()).await.unwrap();
    assert!(answers.iter().all(|answer| answer.page::<Value>().is_ok()));
    assert_eq!(connection.spent().logins, 2);
    let all = vec!["Contact", "Account", "Lead"];
    assert_eq!(asked_for(&played), [all, vec!["Account"]]);
    let asked = played.asked();
    let sessions: Vec<&str> = asked
        .iter()
        .filter(|asked| asked.path == COMPOSITE)
        .map(|asked| asked.header("authorization"))
        .collect();
    assert_ne!(sessions[0], sessions[1]);
}

#[tokio::test]
async fn a_session_that_no_part_takes_brings_one_log_in_and_no_storm() {
    let played = salesforce(|asked, _| {
        let expired = |name: &String| {
            bad(
                name,
                401,
                "INVALID_SESSION_ID",
                "Session expired or invalid",
            )
        };
        let answers: Vec<Value> = parts(asked).iter().map(expired).collect();
        Reply::json(200, json!({"compositeResponse": answers}))
    })
    .await;
    let connection = played.connection(password());
    for _ in 0..5 {
        let error = connection.composite(&requests()).await.unwrap_err();
        assert_eq!(error.meaning(), Meaning::SessionExpired);
    }
    assert_eq!(connection.spent().logins, 1);
}

#[tokio::test]
async fn a_failure_of_the_question_is_left_to_the_caller_and_an_answer_without_its_rows_is_none() {
    let hidden = || {
        bad(
            "Account",
            400,
            "INVALID_FIELD",
            "No such column 'Phone' on entity 'Account'.",
        )
    };
    let played = failing(99, hidden).await;
    let answers = played
        .connection(password())
        .composite(&requests())
        .await
        .unwrap();
    assert_eq!(asked_for(&played).len(), 1);
    assert_eq!(
        answers[1].page::<Value>().unwrap_err().meaning(),
        Meaning::FieldUnavailable
    );
    assert!(answers[2].page::<Value>().is_ok());

    let cut = || json!({"referenceId": "Account", "httpStatusCode": 200, "body": {"totalSize": 3, "done": false, "records": []}});
    let played = failing(99, cut).await;
    let answers = played
        .connection(password())
        .composite(&requests())
        .await
        .unwrap();
    assert_eq!(
        answers[1].page::<Value>().unwrap_err().meaning(),
        Meaning::UnexpectedAnswer
    );
}

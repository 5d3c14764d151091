//! What is known about a number without a name, and which numbers are asked again.

use secrecy::ExposeSecret as _;

use super::*;
use crate::directory::model::follow::Holder;
use crate::directory::model::{AgainRequest, BeginRetrieval, CallsQuery, ContactEdit};

on_each_database! {
    a_number_without_a_name_says_whether_salesforce_was_asked,
    the_call_history_says_the_same,
}

const NUMBER: &str = "+81312345678";

fn not_found() -> WriteContactsRequest {
    WriteContactsRequest {
        not_found: vec![NUMBER.parse().unwrap()],
        searched: vec![RecordObject::Contact],
        settings: "s".to_owned(),
        ..WriteContactsRequest::new(WritePolicy::Overwrite, vec![])
    }
}

async fn answer(directory: &Directory) -> (u16, Value) {
    let token = token("acme", Purpose::Lookup);
    let path = "/v1/contacts/03-1234-5678";
    let reply = directory
        .raw("GET", path, Some(token.expose_secret()), "")
        .await;
    (reply.status, reply.json())
}

async fn a_number_without_a_name_says_whether_salesforce_was_asked(on: Backend) {
    let directory = Directory::start(on).await;
    let worker = directory.worker();
    let (status, body) = answer(&directory).await;
    assert_eq!((status, &body["code"]), (404, &json!("not-asked-yet")));
    assert_eq!(
        (&body["notFound"], body.get("askedAt")),
        (&json!(false), None)
    );

    worker.write_contacts(&not_found()).await.unwrap();
    let (status, body) = answer(&directory).await;
    assert_eq!(
        (status, &body["code"]),
        (404, &json!("not-found-in-salesforce"))
    );
    assert_eq!(body["notFound"], true);
    assert!(
        body["askedAt"].is_string() && body.get("was").is_none(),
        "{body}"
    );

    let known = write(WritePolicy::Overwrite, found(NUMBER, "Sato"));
    worker.write_contacts(&known).await.unwrap();
    let (status, body) = answer(&directory).await;
    assert_eq!((status, &body["notFound"]), (200, &json!(false)));
    assert!(body["askedAt"].is_string(), "{body}");

    worker.write_contacts(&not_found()).await.unwrap();
    let (status, body) = answer(&directory).await;
    assert_eq!(
        (status, &body["code"]),
        (404, &json!("gone-from-salesforce"))
    );
    assert_eq!(body["was"]["personName"], "Sato");
    assert_eq!(body["was"]["goneSince"], body["askedAt"]);

    let edit = ContactEdit {
        company_name: None,
        person_name: Some("By Hand".to_owned()),
    };
    let edited = directory.admin().put_contact(NUMBER, &edit).await.unwrap();
    assert!(edited.not_found && edited.asked_at.is_some(), "{edited:?}");
    worker.write_contacts(&not_found()).await.unwrap();
    assert_eq!(answer(&directory).await.1["personName"], "By Hand");
}

async fn the_call_history_says_the_same(on: Backend) {
    let directory = Directory::start(on).await;
    let worker = directory.worker();
    let leg = call("d1", "0312345678", "2026-11-23T01:00:00Z");
    directory.ingest().ingest(&payload([leg])).await.unwrap();
    let history = async || {
        let page = directory.lookup().calls(&CallsQuery::default()).await;
        page.unwrap().calls.remove(0)
    };
    let call = history().await;
    assert_eq!(
        (call.asked_at, call.not_found, call.was),
        (None, false, None)
    );
    worker.write_contacts(&not_found()).await.unwrap();
    let call = history().await;
    assert!(call.asked_at.is_some() && call.not_found);
    let known = write(WritePolicy::Overwrite, found(NUMBER, "Sato"));
    worker.write_contacts(&known).await.unwrap();
    worker.write_contacts(&not_found()).await.unwrap();
    let call = history().await;
    assert_eq!(call.contact, None);
    assert_eq!(call.was.unwrap().person_name.as_deref(), Some("Sato"));
}

#[tokio::test]
async fn a_malformed_question_is_refused_with_the_field() {
    let directory = Directory::start(Backend::Sqlite).await;
    let fine = AgainRequest {
        settings: "s".to_owned(),
        limit: 1,
        round_every: 0,
        begin: None,
    };
    let begin = |request: &str, history_days| BeginRetrieval {
        request: request.to_owned(),
        history_days,
        named: false,
    };
    for (request, named) in [
        (
            AgainRequest {
                settings: "a b".to_owned(),
                ..fine.clone()
            },
            "settings",
        ),
        (
            AgainRequest {
                limit: 10_001,
                ..fine.clone()
            },
            "limit",
        ),
        (
            AgainRequest {
                round_every: 86_401,
                ..fine.clone()
            },
            "roundEvery",
        ),
        (
            AgainRequest {
                begin: Some(begin("", 1)),
                ..fine.clone()
            },
            "begin.request",
        ),
        (
            AgainRequest {
                begin: Some(begin("r", 0)),
                ..fine.clone()
            },
            "begin.historyDays",
        ),
    ] {
        let error = directory.worker().numbers_to_ask(&request).await;
        let error = error.unwrap_err().to_string();
        assert!(error.contains(named), "{named}: {error}");
    }
    let twice = WriteContactsRequest {
        not_found: vec![NUMBER.parse().unwrap()],
        ..write(WritePolicy::Overwrite, found(NUMBER, "Sato"))
    };
    let error = directory.worker().write_contacts(&twice).await.unwrap_err();
    assert!(error.to_string().contains("notFound[0]"), "{error}");
}

#[tokio::test]
async fn a_malformed_question_about_records_is_refused_with_the_field() {
    let directory = Directory::start(Backend::Sqlite).await;
    let token = token("acme", Purpose::Worker);
    let long = "0".repeat(33);
    for (method, path, body, named) in [
        ("POST", "numbers", json!({"limit": 0}), "limit"),
        ("POST", "numbers", json!({"limit": 1_001}), "limit"),
        (
            "POST",
            "numbers",
            json!({"limit": 1, "recordIds": vec!["003A"; 1_001]}),
            "recordIds",
        ),
        (
            "POST",
            "numbers",
            json!({"limit": 1, "recordIds": ["003A", ""]}),
            "recordIds[1]",
        ),
        (
            "POST",
            "numbers",
            json!({"limit": 1, "recordIds": [long]}),
            "recordIds[0]",
        ),
        (
            "POST",
            "records",
            json!({"limit": 1, "after": "x' OR 1"}),
            "after",
        ),
        (
            "PUT",
            "",
            json!({"state": {"revision": 0, "reconciledUpTo": "+8131234567890123"}}),
            "reconciledUpTo",
        ),
        ("PUT", "", json!({"state": {"revision": -1}}), "body"),
    ] {
        let path = format!("/v1/worker/follow/{path}");
        let path = path.trim_end_matches('/');
        let token = Some(token.expose_secret());
        let reply = directory.raw(method, path, token, &body.to_string()).await;
        assert_eq!(reply.status, 400, "{body}");
        let detail = reply.json()["detail"].to_string();
        assert!(detail.contains(named), "{body}: {detail}");
    }
    let mut contact = found(NUMBER, "Sato");
    let holder = json!({"object": "Contact", "recordId": "003A"});
    let holder: Holder = serde_json::from_value(holder).unwrap();
    contact.holders = Some(vec![holder; 21]);
    let request = write(WritePolicy::Refresh, contact);
    let refused = directory.worker().write_contacts(&request).await;
    let refused = refused.unwrap_err().to_string();
    assert!(refused.contains("holders"), "{refused}");
}

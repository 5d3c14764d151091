//! Input from a malicious client, or from a broken program.

use secrecy::ExposeSecret as _;

use super::*;
use crate::directory::model::{CallsQuery, ContactEdit, MAX_BULK};

on_each_database! {
    a_webhook_of_any_shape_is_answered_and_leaves_a_history_that_can_be_read,
    a_webhook_with_too_many_legs_is_refused_and_one_at_the_limit_is_taken,
    a_leg_that_stands_twice_in_one_webhook_is_one_call,
    a_number_of_any_shape_is_looked_up_and_filtered_by,
    wildcards_of_sql_stand_for_themselves,
    one_company_sees_and_touches_nothing_of_another,
    times_at_the_end_of_time_are_kept_and_paged_through,
}

async fn post(directory: &Directory, body: impl Into<reqwest::Body>) -> (u16, Value) {
    let response = directory
        .http
        .post(format!("{}/v1/webhooks/calls", directory.base))
        .bearer_auth(token("acme", Purpose::Ingest).expose_secret())
        .body(body)
        .send()
        .await
        .unwrap();
    let status = response.status().as_u16();
    (status, response.json().await.unwrap())
}

async fn ids(directory: &Directory, query: CallsQuery) -> Vec<String> {
    let page = directory.lookup().calls(&query).await.unwrap();
    page.calls.into_iter().map(|call| call.id).collect()
}

async fn a_webhook_of_any_shape_is_answered_and_leaves_a_history_that_can_be_read(on: Backend) {
    let directory = Directory::start(on).await;
    let deep = |open: &str, close: &str| format!("{}{}", open.repeat(5_000), close.repeat(5_000));
    let call = |member: &str| format!(r#"{{"call":{{"details":[{{{member}}}]}}}}"#);
    let table: [(Vec<u8>, u16); 16] = [
        (vec![], 400),
        (vec![0xff, 0xfe, b'{'], 400),
        (
            [br#"{"call":""#.as_slice(), &[0xc3, 0x28], br#""}"#].concat(),
            400,
        ),
        (deep("[", "]").into(), 400),
        (deep(r#"{"call":"#, "}").into(), 400),
        (br#"{"call":null}"#.to_vec(), 400),
        (br#"{"call":{"details":null}}"#.to_vec(), 400),
        (call(r#""id":null,"call_type":"X""#).into(), 400),
        (call(r#""id":"\u0000","call_type":"X""#).into(), 400),
        (call(r#""id":"\ud800","call_type":"X""#).into(), 400),
        (
            call(&format!(r#""id":"{}","call_type":"X""#, "i".repeat(101))).into(),
            400,
        ),
        (
            call(r#""id":"a","call_type":"X","from_number":1e999"#).into(),
            400,
        ),
        (
            call(r#""id":"a","call_type":"X","dial_starts_at":"99999-01-01T00:00:00Z""#).into(),
            400,
        ),
        (
            call(r#""id":"nul","call_type":"X","from_number":"03\u00001234\u00005678""#).into(),
            200,
        ),
        (
            call(r#""id":"first","id":"last","call_type":"X""#).into(),
            200,
        ),
        (
            call(&format!(
                r#""id":"long","call_type":"X","from_number":"{}""#,
                "9".repeat(300)
            ))
            .into(),
            200,
        ),
    ];
    for (body, status) in table {
        let shown = String::from_utf8_lossy(&body)
            .chars()
            .take(80)
            .collect::<String>();
        let (seen, reply) = post(&directory, body).await;
        assert_eq!(seen, status, "{shown}: {reply}");
        if status == 400 {
            assert_eq!(reply["code"], "malformed", "{shown}");
        }
    }
    let mut kept = ids(&directory, CallsQuery::default()).await;
    kept.sort();
    assert_eq!(kept, ["last", "long", "nul"]);
}

async fn a_webhook_with_too_many_legs_is_refused_and_one_at_the_limit_is_taken(on: Backend) {
    let directory = Directory::start(on).await;
    let legs = |count: usize| {
        payload((0..count).map(|n| json!({"id": n.to_string(), "call_type": "X"}))).to_string()
    };
    let (status, reply) = post(&directory, legs(MAX_BULK + 1)).await;
    assert_eq!(status, 400);
    let detail = reply["detail"].as_str().unwrap();
    assert!(
        detail.starts_with("call.details has 1001 entries; send at most 1000"),
        "{detail}"
    );
    assert_eq!(
        ids(&directory, CallsQuery::default()).await,
        [] as [&str; 0]
    );
    let (status, reply) = post(&directory, legs(MAX_BULK)).await;
    assert_eq!((status, &reply["added"]), (200, &json!(MAX_BULK)));
}

async fn a_leg_that_stands_twice_in_one_webhook_is_one_call(on: Backend) {
    let directory = Directory::start(on).await;
    let mut rings = call("d1", "0312345678", "2026-11-23T01:00:00Z");
    let ends = rings.clone();
    rings["dial_ends_at"] = Value::Null;
    let receipt = directory
        .ingest()
        .ingest(&payload([rings, ends.clone(), ends]))
        .await
        .unwrap();
    assert_eq!(
        (receipt.received, receipt.added, receipt.changed),
        (3, 1, 1)
    );
    let page = directory
        .lookup()
        .calls(&CallsQuery::default())
        .await
        .unwrap();
    assert_eq!(page.calls.len(), 1);
    assert!(page.calls[0].ended_at.is_some());
}

async fn a_number_of_any_shape_is_looked_up_and_filtered_by(on: Backend) {
    let directory = Directory::start(on).await;
    let (lookup, admin) = (
        token("acme", Purpose::Lookup),
        token("acme", Purpose::Admin),
    );
    let digits = "9".repeat(300);
    let get = |path: String| {
        let (directory, token) = (&directory, lookup.expose_secret());
        async move { directory.raw("GET", &path, Some(token), "").await }
    };
    for number in [
        digits.as_str(),
        "%00",
        "%F0%9F%93%9E",
        "'%20OR%201=1--",
        "%2e%2e%2fcalls",
        "*",
        "%25",
    ] {
        let reply = get(format!("/v1/contacts/{number}")).await;
        assert_eq!(reply.status, 404, "{number}: {}", reply.body);
        assert_eq!(reply.json()["code"], "not-a-phone-number", "{number}");
        let reply = get(format!("/v1/calls?number={number}")).await;
        assert_eq!(
            (reply.status, &reply.json()["calls"]),
            (200, &json!([])),
            "{number}"
        );
    }
    for method in ["GET", "PUT", "DELETE"] {
        let reply = directory
            .raw(
                method,
                "/v1/contacts/%ff%fe",
                Some(admin.expose_secret()),
                "{}",
            )
            .await;
        assert_eq!(reply.status, 400, "{method} {}", reply.body);
        assert!(
            reply.json()["detail"]
                .as_str()
                .unwrap()
                .contains("not text")
        );
    }
    for query in [
        "limit=0",
        "limit=-1",
        "limit=1e9",
        "from=x",
        "matched=2",
        "cursor=%ff",
        "nothing=1",
    ] {
        let reply = get(format!("/v1/calls?{query}")).await;
        assert_eq!(
            (reply.status, reply.json()["code"].as_str()),
            (400, Some("malformed")),
            "{query}"
        );
    }
}

async fn wildcards_of_sql_stand_for_themselves(on: Backend) {
    let directory = Directory::start(on).await;
    let legs = ["%", "_", "'; DROP TABLE calls; --", "Anonymous"]
        .into_iter()
        .enumerate()
        .map(|(n, number)| call(&format!("d{n}"), number, "2026-11-23T01:00:00Z"));
    directory.ingest().ingest(&payload(legs)).await.unwrap();
    for (number, found) in [("%", "d0"), ("_", "d1"), ("'; DROP TABLE calls; --", "d2")] {
        let query = CallsQuery {
            number: Some(number.to_owned()),
            ..CallsQuery::default()
        };
        assert_eq!(ids(&directory, query).await, [found]);
    }
}

async fn one_company_sees_and_touches_nothing_of_another(on: Backend) {
    let directory = Directory::start(on).await;
    let leg = call("d1", "0312345678", "2026-11-23T01:00:00Z");
    directory.ingest().ingest(&payload([leg])).await.unwrap();
    let edit = ContactEdit {
        company_name: None,
        person_name: Some("Sato".to_owned()),
    };
    directory
        .admin()
        .put_contact("0312345678", &edit)
        .await
        .unwrap();
    let mine = directory
        .worker()
        .claim(&claim("same-holder"))
        .await
        .unwrap();
    assert_eq!(mine.calls.len(), 1);

    let other = |purpose| directory.client("globex", purpose);
    let worker = other(Purpose::Worker);
    assert_eq!(worker.claim(&claim("same-holder")).await.unwrap().calls, []);
    let release = crate::directory::model::ReleaseRequest {
        holder: "same-holder".to_owned(),
    };
    assert_eq!(worker.release(&release).await.unwrap().released, 0);
    let receipt = worker.done(&done("d1", "+81312345678")).await.unwrap();
    assert_eq!((receipt.done, receipt.unknown), (0, 1));
    let policy = WritePolicy::Overwrite;
    worker
        .write_contacts(&write(policy, found("+81312345678", "Mallory")))
        .await
        .unwrap();
    let reads = other(Purpose::Lookup);
    assert_eq!(reads.calls(&CallsQuery::default()).await.unwrap().calls, []);
    let theirs = reads.contact("0312345678").await.unwrap().unwrap();
    assert_eq!(theirs.person_name.as_deref(), Some("Mallory"));
    let csv = directory
        .raw(
            "GET",
            "/v1/contacts.csv",
            Some(token("globex", Purpose::Lookup).expose_secret()),
            "",
        )
        .await;
    assert!(!csv.body.contains("Sato"), "{}", csv.body);

    let contact = directory
        .lookup()
        .contact("0312345678")
        .await
        .unwrap()
        .unwrap();
    assert_eq!(contact.person_name.as_deref(), Some("Sato"));
    let again = directory
        .worker()
        .claim(&claim("same-holder"))
        .await
        .unwrap();
    assert_eq!(again.calls.len(), 1, "neither done nor released");
}

async fn times_at_the_end_of_time_are_kept_and_paged_through(on: Backend) {
    let directory = Directory::start(on).await;
    let legs = [
        "-009999-01-02T01:59:59Z",
        "1970-01-01T00:00:00Z",
        "9999-12-30T22:00:00Z",
    ]
    .into_iter()
    .enumerate()
    .map(|(n, start)| {
        let mut leg = call(&format!("d{n}"), "0312345678", "2026-11-23T01:00:00Z");
        leg["dial_starts_at"] = json!(start);
        leg["dial_ends_at"] = json!("9999-12-30T22:00:00Z");
        leg
    });
    directory.ingest().ingest(&payload(legs)).await.unwrap();
    let mut query = CallsQuery {
        limit: Some(1),
        ..CallsQuery::default()
    };
    let mut seen = Vec::new();
    loop {
        let page = directory.lookup().calls(&query).await.unwrap();
        seen.extend(page.calls.into_iter().map(|call| call.id));
        match page.next_cursor {
            Some(cursor) => query.cursor = Some(cursor),
            None => break,
        }
    }
    assert_eq!(seen, ["d2", "d1", "d0"], "the future counts as now");
}

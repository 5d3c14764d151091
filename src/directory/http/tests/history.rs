//! The call history: filters and paging.

use std::collections::BTreeSet;

use super::*;
use crate::directory::model::{CallsQuery, Direction};

async fn ids(directory: &Directory, query: CallsQuery) -> Vec<String> {
    directory
        .lookup()
        .calls(&query)
        .await
        .unwrap()
        .calls
        .into_iter()
        .map(|call| call.id)
        .collect()
}

on_each_database! {
    pages_neither_repeat_nor_skip_while_calls_come_in,
    the_last_page_says_that_it_is_the_last,
    filters_narrow_the_history,
    companies_do_not_see_each_other,
    a_misspelled_query_is_refused_and_not_ignored,
}

async fn pages_neither_repeat_nor_skip_while_calls_come_in(on: Backend) {
    let directory = Directory::start(on).await;
    // Groups of three start in the same second, so that the ID decides their order.
    let leg = |n: usize| {
        call(
            &format!("d{n:03}"),
            "0312345678",
            &format!("2026-11-23T01:{:02}:{:02}Z", n / 180, n / 3 % 60),
        )
    };
    directory
        .ingest()
        .ingest(&payload((0..60).map(leg)))
        .await
        .unwrap();
    let (mut seen, mut cursor) = (vec![], None);
    for round in 0.. {
        let query = CallsQuery {
            cursor,
            limit: Some(7),
            ..CallsQuery::default()
        };
        let page = directory.lookup().calls(&query).await.unwrap();
        seen.extend(page.calls.into_iter().map(|call| call.id));
        let newer = (0..5).map(|n| leg(100 + round * 5 + n));
        directory.ingest().ingest(&payload(newer)).await.unwrap();
        cursor = page.next_cursor;
        if cursor.is_none() {
            break;
        }
    }
    let expected: Vec<_> = (0..60).rev().map(|n| format!("d{n:03}")).collect();
    assert_eq!(seen, expected);
}

async fn the_last_page_says_that_it_is_the_last(on: Backend) {
    let directory = Directory::start(on).await;
    directory
        .ingest()
        .ingest(&payload(
            (0..4).map(|n| call(&format!("d{n}"), "1", "2026-11-23T01:00:00Z")),
        ))
        .await
        .unwrap();
    let page = |limit| CallsQuery {
        limit: Some(limit),
        ..CallsQuery::default()
    };
    assert_eq!(
        directory
            .lookup()
            .calls(&page(4))
            .await
            .unwrap()
            .next_cursor,
        None
    );
    assert!(
        directory
            .lookup()
            .calls(&page(3))
            .await
            .unwrap()
            .next_cursor
            .is_some()
    );
}

async fn filters_narrow_the_history(on: Backend) {
    let directory = Directory::start(on).await;
    let mut out = call("out", "x", "2026-11-23T04:00:00Z");
    out["call_type"] = json!("OUTGOING_CALL");
    out["to_number"] = json!("0398765432");
    directory
        .ingest()
        .ingest(&payload([
            call("one", "03-1234-5678", "2026-11-23T01:00:00Z"),
            call("two", "+81312345678", "2026-11-23T02:00:00Z"),
            call("hid", "Anonymous", "2026-11-23T03:00:00Z"),
            out,
        ]))
        .await
        .unwrap();
    directory
        .worker()
        .write_contacts(&write(
            WritePolicy::Overwrite,
            found("+81312345678", "Sato"),
        ))
        .await
        .unwrap();
    let all = CallsQuery::default;
    let at = |text: &str| Some(text.parse().unwrap());
    let number = |text: &str| CallsQuery {
        number: Some(text.to_owned()),
        ..all()
    };
    let table = [
        (all(), vec!["out", "hid", "two", "one"]),
        (number("0312345678"), vec!["two", "one"]),
        (number("Anonymous"), vec!["hid"]),
        (
            CallsQuery {
                region: Some("US".parse().unwrap()),
                ..number("+81 3-1234-5678")
            },
            vec!["two", "one"],
        ),
        (
            CallsQuery {
                region: Some("US".parse().unwrap()),
                ..number("0312345678")
            },
            vec![],
        ),
        (
            CallsQuery {
                matched: Some(true),
                ..all()
            },
            vec!["two", "one"],
        ),
        (
            CallsQuery {
                matched: Some(false),
                ..all()
            },
            vec!["out", "hid"],
        ),
        (
            CallsQuery {
                direction: Some(Direction::Outgoing),
                ..all()
            },
            vec!["out"],
        ),
        (
            CallsQuery {
                from: at("2026-11-23T02:00:00Z"),
                to: at("2026-11-23T04:00:00Z"),
                ..all()
            },
            vec!["hid", "two"],
        ),
        (
            CallsQuery {
                matched: Some(true),
                from: at("2026-11-23T02:00:00Z"),
                ..all()
            },
            vec!["two"],
        ),
    ];
    for (query, expected) in table {
        assert_eq!(ids(&directory, query.clone()).await, expected, "{query:?}");
    }
}

async fn companies_do_not_see_each_other(on: Backend) {
    let directory = Directory::start(on).await;
    directory
        .ingest()
        .ingest(&payload([call("d1", "0312345678", "2026-11-23T01:00:00Z")]))
        .await
        .unwrap();
    directory
        .worker()
        .write_contacts(&write(
            WritePolicy::Overwrite,
            found("+81312345678", "Sato"),
        ))
        .await
        .unwrap();

    let other = |purpose| directory.client("globex", purpose);
    assert_eq!(
        other(Purpose::Lookup)
            .calls(&CallsQuery::default())
            .await
            .unwrap()
            .calls,
        []
    );
    assert_eq!(
        other(Purpose::Lookup).contact("0312345678").await.unwrap(),
        None
    );
    assert_eq!(
        other(Purpose::Worker)
            .claim(&claim("w"))
            .await
            .unwrap()
            .calls,
        []
    );
    assert_eq!(
        other(Purpose::Worker)
            .done(&done("d1", "+81312345678"))
            .await
            .unwrap()
            .unknown,
        1
    );

    // Two companies can hold the same IDs and numbers.
    let mut theirs = payload([call("d1", "0398765432", "2026-11-24T01:00:00Z")]);
    theirs["call"]["tenant_code"] = json!("globex");
    other(Purpose::Ingest).ingest(&theirs).await.unwrap();
    other(Purpose::Worker)
        .write_contacts(&write(
            WritePolicy::Overwrite,
            found("+81312345678", "Smith"),
        ))
        .await
        .unwrap();
    let ours = directory
        .lookup()
        .calls(&CallsQuery::default())
        .await
        .unwrap()
        .calls;
    assert_eq!(
        (ours.len(), ours[0].number.as_deref()),
        (1, Some("0312345678"))
    );
    assert_eq!(
        directory
            .lookup()
            .contact("0312345678")
            .await
            .unwrap()
            .unwrap()
            .person_name
            .as_deref(),
        Some("Sato")
    );
}

async fn a_misspelled_query_is_refused_and_not_ignored(on: Backend) {
    use secrecy::ExposeSecret as _;
    let directory = Directory::start(on).await;
    let table = [
        (
            "/v1/calls?limit=0",
            "limit is 0; write a number from 1 to 200",
        ),
        ("/v1/calls?limit=201", "limit is 201"),
        ("/v1/calls?form=2026-11-23T00:00:00Z", "form"),
        ("/v1/calls?from=yesterday", "from"),
        ("/v1/calls?matched=maybe", "matched"),
        ("/v1/calls?direction=up", "direction"),
        (
            "/v1/calls?cursor=abc",
            "cursor is not one of this directory",
        ),
        ("/v1/calls?region=XX", "XX"),
        ("/v1/contacts/0312345678?region=Japan", "Japan"),
    ];
    let token = token("acme", Purpose::Lookup);
    let mut details = BTreeSet::new();
    for (path, says) in table {
        let reply = directory
            .raw("GET", path, Some(token.expose_secret()), "")
            .await;
        let detail = reply.json()["detail"].as_str().unwrap().to_owned();
        assert!(
            reply.status == 400 && detail.contains(says),
            "{path}: {} {detail}",
            reply.status
        );
        details.insert(detail);
    }
    assert_eq!(details.len(), 9, "{details:#?}");
}

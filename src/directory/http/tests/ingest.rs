//! The platform's webhook.

use secrecy::ExposeSecret as _;
use serde_json::json;

use super::*;
use crate::directory::model::{CallsQuery, Direction, LookupState, Receipt};

async fn post(directory: &Directory, body: &str) -> Reply {
    let token = token("acme", Purpose::Ingest);
    directory
        .raw(
            "POST",
            "/v1/webhooks/calls",
            Some(token.expose_secret()),
            body,
        )
        .await
}

async fn history(directory: &Directory) -> Vec<crate::directory::model::Call> {
    directory
        .lookup()
        .calls(&CallsQuery::default())
        .await
        .unwrap()
        .calls
}

on_each_database! {
    the_challenge_is_answered_with_the_token_only,
    a_call_that_is_delivered_again_stays_one_call,
    later_events_complete_a_call_and_never_empty_it,
    every_call_type_is_kept_and_internal_ones_are_not_looked_up,
    a_malformed_leg_leaves_nothing_behind,
    another_companys_calls_are_refused,
    a_body_over_the_limit_is_refused,
    deliveries_at_the_same_moment_are_all_kept_once,
}

async fn the_challenge_is_answered_with_the_token_only(on: Backend) {
    let directory = Directory::start(on).await;
    let reply = post(&directory, r#"{"challenge":"9f86d081","note":"sales"}"#).await;
    assert_eq!((reply.status, reply.body.as_str()), (200, "9f86d081"));
    assert_eq!(reply.content_type.as_deref(), Some("text/plain"));
}

async fn a_call_that_is_delivered_again_stays_one_call(on: Backend) {
    let directory = Directory::start(on).await;
    let body = payload([
        call("d1", "0312345678", "2026-11-23T01:00:00Z"),
        call("d2", "0398765432", "2026-11-23T01:01:00Z"),
    ]);
    let receipt = |added, changed| Receipt {
        received: 2,
        added,
        changed,
    };
    assert_eq!(
        directory.ingest().ingest(&body).await.unwrap(),
        receipt(2, 0)
    );
    assert_eq!(
        directory.ingest().ingest(&body).await.unwrap(),
        receipt(0, 0)
    );
    assert_eq!(history(&directory).await.len(), 2);
}

async fn later_events_complete_a_call_and_never_empty_it(on: Backend) {
    let directory = Directory::start(on).await;
    let mut rings = call("d1", "0312345678", "2026-11-23T01:00:00Z");
    rings["dial_ends_at"] = json!(null);
    let mut answered = rings.clone();
    answered["dial_answered_at"] = json!("2026-11-23T01:00:05Z");
    answered["dial_ends_at"] = json!("2026-11-23T01:02:00Z");
    for event in [&rings, &answered, &rings] {
        directory
            .ingest()
            .ingest(&payload([event.clone()]))
            .await
            .unwrap();
    }
    let call = history(&directory).await.remove(0);
    assert_eq!(
        call.answered_at,
        Some("2026-11-23T01:00:05Z".parse().unwrap())
    );
    assert_eq!(call.ended_at, Some("2026-11-23T01:02:00Z".parse().unwrap()));
}

async fn every_call_type_is_kept_and_internal_ones_are_not_looked_up(on: Backend) {
    let directory = Directory::start(on).await;
    let mut legs = vec![];
    for (index, kind) in [
        "INCOMING_CALL",
        "OUTGOING_CALL",
        "EXTENSION",
        "QUEUEING_CALL",
    ]
    .into_iter()
    .enumerate()
    {
        let mut leg = call(
            &format!("d{index}"),
            "0312345678",
            &format!("2026-11-23T01:00:0{index}Z"),
        );
        leg["call_type"] = json!(kind);
        leg["to_number"] = json!("0398765432");
        legs.push(leg);
    }
    legs[3]["from_number"] = json!(null);
    directory.ingest().ingest(&payload(legs)).await.unwrap();
    let seen: Vec<_> = history(&directory)
        .await
        .into_iter()
        .map(|c| (c.direction, c.e164.map(|n| n.to_string()), c.lookup))
        .collect();
    let number = |text: &str| Some(text.to_owned());
    assert_eq!(
        seen,
        [
            (Direction::Incoming, None, LookupState::None),
            (Direction::Internal, None, LookupState::None),
            (
                Direction::Outgoing,
                number("+81398765432"),
                LookupState::Pending
            ),
            (
                Direction::Incoming,
                number("+81312345678"),
                LookupState::Pending
            ),
        ]
    );
    let claimed = directory.worker().claim(&claim("w")).await.unwrap();
    assert_eq!(
        claimed
            .calls
            .iter()
            .map(|c| c.id.as_str())
            .collect::<Vec<_>>(),
        ["d0", "d1"]
    );
}

async fn a_malformed_leg_leaves_nothing_behind(on: Backend) {
    let directory = Directory::start(on).await;
    let mut wrong = call("d2", "0312345678", "2026-11-23T01:00:00Z");
    wrong["dial_ends_at"] = json!("yesterday");
    let body = payload([call("d1", "0312345678", "2026-11-23T01:00:00Z"), wrong]);
    let reply = post(&directory, &body.to_string()).await;
    assert_eq!(
        (reply.status, reply.json()["code"].as_str()),
        (400, Some("malformed"))
    );
    assert_eq!(
        reply.content_type.as_deref(),
        Some("application/problem+json")
    );
    assert!(
        reply.json()["detail"]
            .as_str()
            .unwrap()
            .starts_with("call.details[1].dial_ends_at is not a time")
    );
    assert_eq!(history(&directory).await, []);
}

async fn another_companys_calls_are_refused(on: Backend) {
    let directory = Directory::start(on).await;
    let mut body = payload([call("d1", "0312345678", "2026-11-23T01:00:00Z")]);
    body["call"]["tenant_code"] = json!("globex");
    let reply = post(&directory, &body.to_string()).await;
    assert_eq!(
        (reply.status, reply.json()["code"].as_str()),
        (403, Some("wrong-company"))
    );
    body["call"]["tenant_code"] = json!(null);
    assert_eq!(
        post(&directory, &body.to_string()).await.status,
        200,
        "the token says whose they are"
    );
}

async fn a_body_over_the_limit_is_refused(on: Backend) {
    let directory = Directory::start(on).await;
    let reply = post(
        &directory,
        &format!(r#"{{"call":"{}"}}"#, "x".repeat(64 * 1024)),
    )
    .await;
    assert_eq!(
        (reply.status, reply.json()["code"].as_str()),
        (413, Some("body-too-large"))
    );
}

async fn deliveries_at_the_same_moment_are_all_kept_once(on: Backend) {
    let folder = TempDir::new().unwrap();
    let database = on.fresh(&folder);
    // Admits all requests at once, because this test is not about the share of a tenant.
    let args = Args {
        database: database.clone().into(),
        tenant_concurrency: 40,
        ..args(&folder)
    };
    let directory = Directory::start_with(args, folder, database).await;
    let deliveries = (0..40).map(|index| {
        let client = directory.ingest();
        // Every leg arrives twice, in two deliveries that overlap.
        let leg = |n: usize| {
            call(
                &format!("d{}", n % 40),
                "0312345678",
                "2026-11-23T01:00:00Z",
            )
        };
        async move {
            client
                .ingest(&payload([leg(index), leg(index + 1)]))
                .await
                .unwrap()
        }
    });
    let receipts = futures::future::join_all(deliveries).await;
    assert_eq!(
        receipts.iter().map(|receipt| receipt.added).sum::<u32>(),
        40
    );
    let query = CallsQuery {
        limit: Some(200),
        ..CallsQuery::default()
    };
    assert_eq!(
        directory.lookup().calls(&query).await.unwrap().calls.len(),
        40
    );
}

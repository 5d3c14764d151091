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
    a_leg_that_cannot_be_read_is_named_and_counted_and_the_others_are_kept,
    a_malformed_delivery_leaves_nothing_behind,
    a_call_whose_start_is_unknown_lies_where_its_end_says,
    a_packed_body_is_unpacked_within_the_cap,
    a_byte_order_mark_and_a_slash_behind_do_no_harm,
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
        erased: 0,
        received: 2,
        added,
        changed,
        refused: 0,
        problems: Vec::new(),
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

async fn a_malformed_delivery_leaves_nothing_behind(on: Backend) {
    let directory = Directory::start(on).await;
    let mut wrong = call("d1", "0312345678", "2026-11-23T01:00:00Z");
    wrong["dial_ends_at"] = json!("yesterday");
    let reply = post(&directory, &payload([wrong]).to_string()).await;
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
            .starts_with("call.details[0].dial_ends_at is not a time")
    );
    assert_eq!(history(&directory).await, []);
}

async fn a_leg_that_cannot_be_read_is_named_and_counted_and_the_others_are_kept(on: Backend) {
    let directory = Directory::start(on).await;
    let leg = |id: &str| call(id, "0312345678", "2026-11-23T01:00:00Z");
    let mut wrong = leg("d2");
    wrong["dial_starts_at"] = json!("half past seven");
    wrong["dial_ends_at"] = json!(null);
    let body = payload([leg("d1"), wrong, leg("d3")]).to_string();
    let reply = post(&directory, &body).await;
    let receipt = reply.json();
    assert_eq!(reply.status, 200, "{receipt}");
    assert_eq!(
        (&receipt["received"], &receipt["added"], &receipt["refused"]),
        (&json!(3), &json!(2), &json!(1))
    );
    let problem = receipt["problems"][0].as_str().unwrap();
    assert!(
        problem.starts_with("call.details[1].dial_starts_at is not a time; send ISO 8601"),
        "{problem}"
    );
    let kept: Vec<_> = history(&directory)
        .await
        .into_iter()
        .map(|c| c.id)
        .collect();
    assert_eq!(kept, ["d3", "d1"]);
    let metrics = directory.raw("GET", "/metrics", None, "").await.body;
    let counted = "switchboard_directory_refused_legs_total 1\n";
    assert!(metrics.contains(counted), "{metrics}");
}

async fn a_call_whose_start_is_unknown_lies_where_its_end_says(on: Backend) {
    let directory = Directory::start(on).await;
    let ended = Timestamp::now() - jiff::SignedDuration::from_hours(5 * 24);
    let ended = Timestamp::from_second(ended.as_second()).unwrap();
    for (n, start) in [
        json!(null),
        json!("0000-00-00"),
        json!("2999-01-01T00:00:00Z"),
    ]
    .into_iter()
    .enumerate()
    {
        let mut leg = call(&format!("d{n}"), "0312345678", "2026-11-23T01:00:00Z");
        leg["dial_starts_at"] = start.clone();
        leg["dial_ends_at"] = json!(ended.to_string());
        let reply = post(&directory, &payload([leg]).to_string()).await;
        assert_eq!(reply.status, 200, "{start}: {}", reply.body);
    }
    let calls = history(&directory).await;
    assert_eq!(calls.len(), 3);
    for call in calls {
        assert_eq!((call.started_at, call.ended_at), (ended, Some(ended)));
    }
}

/// Sends a delivery that is packed as `encoding` says.
async fn packed(directory: &Directory, encoding: &str, body: Vec<u8>) -> (u16, Value) {
    let response = directory
        .http
        .post(format!("{}/v1/webhooks/calls", directory.base))
        .bearer_auth(token("acme", Purpose::Ingest).expose_secret())
        .header("content-encoding", encoding)
        .body(body)
        .send()
        .await
        .unwrap();
    let status = response.status().as_u16();
    (status, response.json().await.unwrap())
}

async fn a_packed_body_is_unpacked_within_the_cap(on: Backend) {
    use std::io::Write as _;

    use flate2::Compression;
    use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};

    let gzip = |body: &[u8]| {
        let mut packer = GzEncoder::new(Vec::new(), Compression::best());
        packer.write_all(body).unwrap();
        packer.finish().unwrap()
    };
    let zlib = |body: &[u8]| {
        let mut packer = ZlibEncoder::new(Vec::new(), Compression::best());
        packer.write_all(body).unwrap();
        packer.finish().unwrap()
    };
    let raw = |body: &[u8]| {
        let mut packer = DeflateEncoder::new(Vec::new(), Compression::best());
        packer.write_all(body).unwrap();
        packer.finish().unwrap()
    };
    let directory = Directory::start(on).await;
    let delivery = |id: &str| {
        payload([call(id, "0312345678", "2026-11-23T01:00:00Z")])
            .to_string()
            .into_bytes()
    };
    for (encoding, body) in [
        ("gzip", gzip(&delivery("gzip"))),
        ("X-GZIP", gzip(&delivery("x-gzip"))),
        ("deflate", zlib(&delivery("zlib"))),
        ("deflate", raw(&delivery("raw"))),
        ("identity", delivery("identity")),
    ] {
        let (status, reply) = packed(&directory, encoding, body).await;
        assert_eq!((status, &reply["added"]), (200, &json!(1)), "{encoding}");
    }
    assert_eq!(history(&directory).await.len(), 5);

    // 64 KiB are taken; the bomb is smaller than that until it is unpacked.
    let bomb = vec![b' '; 32 * 1024 * 1024];
    for (encoding, body) in [("gzip", gzip(&bomb)), ("deflate", zlib(&bomb))] {
        assert!(body.len() < 64 * 1024, "{}", body.len());
        let (status, reply) = packed(&directory, encoding, body).await;
        assert_eq!((status, &reply["code"]), (413, &json!("body-too-large")));
    }
    let cut = gzip(&delivery("cut"));
    for (encoding, body, status) in [
        ("gzip", delivery("plain"), 400),
        ("gzip", cut[..cut.len() / 2].to_vec(), 400),
        ("br", delivery("br"), 415),
        ("gzip, gzip", gzip(&gzip(&delivery("twice"))), 415),
    ] {
        let (seen, reply) = packed(&directory, encoding, body).await;
        assert_eq!(seen, status, "{encoding}: {reply}");
        let detail = reply["detail"].as_str().unwrap();
        assert!(detail.contains("Content-Encoding"), "{detail}");
    }
    assert_eq!(history(&directory).await.len(), 5);
}

async fn a_byte_order_mark_and_a_slash_behind_do_no_harm(on: Backend) {
    let directory = Directory::start(on).await;
    let token = token("acme", Purpose::Ingest);
    let body = payload([call("d1", "0312345678", "2026-11-23T01:00:00Z")]);
    let reply = directory
        .raw(
            "POST",
            "/v1/webhooks/calls/",
            Some(token.expose_secret()),
            &format!("\u{feff}{body}"),
        )
        .await;
    assert_eq!(reply.status, 200, "{}", reply.body);
    assert_eq!(history(&directory).await.len(), 1);
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

#[tokio::test]
async fn a_probe_of_the_webhook_is_told_what_is_taken_there_and_is_not_logged() {
    let log = crate::telemetry::testing::Log::start("info");
    let directory = Directory::start(Backend::Sqlite).await;
    for path in ["/v1/webhooks/calls", "/v1/webhooks/calls/"] {
        for method in ["HEAD", "GET"] {
            let url = format!("{}{path}", directory.base);
            let request = directory.http.request(method.parse().unwrap(), url);
            let response = request.send().await.unwrap();
            assert_eq!(response.status(), 405, "{method} {path}");
            assert_eq!(response.headers()["allow"], "POST", "{method} {path}");
            let body = response.text().await.unwrap();
            let told = body.contains("send them by POST");
            assert_eq!(told, method == "GET", "{body}");
        }
    }
    let lines = log.lines();
    let requests: Vec<_> = lines
        .iter()
        .filter(|line| line["span"] == "request")
        .collect();
    assert!(requests.is_empty(), "{requests:?}");
}

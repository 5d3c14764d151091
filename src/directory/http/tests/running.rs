//! Start, shutdown and the OpenAPI document.

use std::sync::Arc;

use secrecy::ExposeSecret as _;
use tower::ServiceExt as _;

use super::*;
use crate::directory::http::{App, Limits, Metrics, Readiness, Room, Share, Shares, router};
use crate::directory::model::revoked::Revoked;
use crate::directory::model::{CallsQuery, LookupState};
use crate::directory::store::{RingLimits, Store};

on_each_database! {
    a_restart_keeps_everything,
    going_down_loses_nothing_that_was_answered,
    a_directory_that_cannot_serve_says_when_to_come_again,
}

async fn a_restart_keeps_everything(on: Backend) {
    let directory = Directory::start(on).await;
    let legs = [
        call("d1", "0312345678", "2026-11-23T01:00:00Z"),
        call("d2", "0398765432", "2026-11-23T02:00:00Z"),
        call("d3", "0311112222", "2026-11-23T03:00:00Z"),
    ];
    directory.ingest().ingest(&payload(legs)).await.unwrap();
    directory
        .worker()
        .write_contacts(&write(
            WritePolicy::Overwrite,
            found("+81312345678", "Sato"),
        ))
        .await
        .unwrap();
    directory
        .worker()
        .done(&done("d1", "+81312345678"))
        .await
        .unwrap();
    directory
        .worker()
        .claim(&ClaimRequest {
            limit: 1,
            ..claim("first")
        })
        .await
        .unwrap();
    let before = directory
        .lookup()
        .calls(&CallsQuery::default())
        .await
        .unwrap();

    let directory = directory.restart().await;
    let after = directory
        .lookup()
        .calls(&CallsQuery::default())
        .await
        .unwrap();
    assert_eq!(after, before);
    assert_eq!(after.calls[2].lookup, LookupState::Done);
    let second = directory.worker().claim(&claim("second")).await.unwrap();
    assert_eq!(
        second
            .calls
            .iter()
            .map(|c| c.id.as_str())
            .collect::<Vec<_>>(),
        ["d3"],
        "d2 is the first one's still"
    );
}

async fn going_down_loses_nothing_that_was_answered(on: Backend) {
    let directory = Directory::start(on).await;
    let clients: Vec<_> = (0..20).map(|_| directory.ingest()).collect();
    let deliveries = clients.iter().enumerate().map(|(n, client)| {
        let shutdown = directory.shutdown.clone();
        async move {
            let leg = call(&format!("d{n}"), "0312345678", "2026-11-23T01:00:00Z");
            let answered = client.ingest(&payload([leg])).await.is_ok();
            // The first response triggers the shutdown while the other requests are in flight.
            shutdown.cancel();
            answered
        }
    });
    let answered = futures::future::join_all(deliveries)
        .await
        .into_iter()
        .filter(|ok| *ok)
        .count();
    assert!(answered > 0);
    let directory = directory.restart().await;
    let kept = directory
        .lookup()
        .calls(&CallsQuery::default())
        .await
        .unwrap()
        .calls
        .len();
    assert!(
        kept >= answered,
        "{answered} were answered 2xx, {kept} are kept"
    );
}

pub(crate) async fn app(database: &str, time: Duration) -> App {
    App {
        store: Store::open(database).await.unwrap(),
        keys: tokio::sync::watch::channel(Arc::new(TokenKeys::parse(KEY).unwrap())).1,
        revoked: Revoked::default(),
        limits: Limits {
            body_bytes: 1024,
            time,
        },
        shares: Shares::new(Share {
            per_second: 100,
            at_once: 4,
        }),
        room: Room::for_bodies_of(1024),
        metrics: Metrics::default(),
        readiness: Readiness::default(),
        rings: RingLimits {
            per_minute: 60,
            asked_within: Duration::from_secs(600),
        },
        retain_days: None,
        shows_rings: false,
        shutdown: CancellationToken::new(),
    }
}

/// Sends one request to an app that does not listen. Returns status, code and `Retry-After`.
async fn ask(app: App, path: &str) -> (u16, String, Option<String>) {
    answer(
        app,
        axum::http::Request::get(path),
        Purpose::Lookup,
        axum::body::Body::empty(),
    )
    .await
}

async fn answer(
    app: App,
    request: axum::http::request::Builder,
    purpose: Purpose,
    body: axum::body::Body,
) -> (u16, String, Option<String>) {
    let token = token("acme", purpose);
    let request = request.header("authorization", format!("Bearer {}", token.expose_secret()));
    let response = router(app, None)
        .oneshot(request.body(body).unwrap())
        .await
        .unwrap();
    let retry = response
        .headers()
        .get("retry-after")
        .map(|value| value.to_str().unwrap().to_owned());
    let status = response.status().as_u16();
    let body = axum::body::to_bytes(response.into_body(), 4096)
        .await
        .unwrap();
    let problem: crate::directory::model::Problem = serde_json::from_slice(&body).unwrap();
    (status, problem.code, retry)
}

async fn a_directory_that_cannot_serve_says_when_to_come_again(on: Backend) {
    let folder = TempDir::new().unwrap();
    let at = on.fresh(&folder);
    let later = |code: &str| (503, code.to_owned(), Some("2".to_owned()));

    let closed = app(&at, Duration::from_secs(20)).await;
    closed.store.close().await;
    assert_eq!(
        ask(closed.clone(), "/v1/calls").await,
        later("storage-unavailable")
    );
    assert_eq!(ask(closed, "/readyz").await, later("storage-unavailable"));

    let impatient = app(&at, Duration::from_millis(1)).await;
    let never = futures::stream::pending::<std::io::Result<axum::body::Bytes>>();
    let request = axum::http::Request::post("/v1/webhooks/calls");
    let body = axum::body::Body::from_stream(never);
    assert_eq!(
        answer(impatient, request, Purpose::Ingest, body).await,
        later("too-slow")
    );

    let leaving = app(&at, Duration::from_secs(20)).await;
    leaving.shutdown.cancel();
    assert_eq!(ask(leaving, "/readyz").await, later("going-down"));
}

#[tokio::test]
async fn the_client_tries_again_until_the_directory_is_back() {
    // The port is taken and refuses clients, so that no other test gets it meanwhile.
    let placeholder = tokio::net::TcpSocket::new_v4().unwrap();
    placeholder.set_reuseaddr(true).unwrap();
    placeholder.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = placeholder.local_addr().unwrap();
    let folder = TempDir::new().unwrap();
    let patient = Client::new(&format!("http://{address}"), token("acme", Purpose::Lookup))
        .unwrap()
        .with_retry(Retry {
            attempts: 1_000,
            first_pause: Duration::from_millis(1),
            longest_pause: Duration::from_millis(20),
        });
    let asks = tokio::spawn(async move { patient.calls(&CallsQuery::default()).await });
    let args = Args {
        listen: address,
        ..args(&folder)
    };
    let shutdown = CancellationToken::new();
    let server = Server::bind(args, shutdown.clone()).await.unwrap();
    let running = tokio::spawn(server.run());
    assert_eq!(asks.await.unwrap().unwrap().calls, []);
    shutdown.cancel();
    running.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_directory_that_cannot_start_says_why() {
    let folder = TempDir::new().unwrap();
    let good = args(&folder);
    let text = |error: Error| {
        let cause = std::error::Error::source(&error)
            .map(ToString::to_string)
            .unwrap_or_default();
        format!("{error}: {cause}")
    };
    let start = |args| async {
        text(
            Server::bind(args, CancellationToken::new())
                .await
                .unwrap_err(),
        )
    };
    let missing = Args {
        token_keys: Some(folder.path().join("none")),
        ..good.clone()
    };
    assert!(start(missing).await.contains("none cannot be read"));
    std::fs::write(folder.path().join("short"), "c2hvcnQ=").unwrap();
    let short = Args {
        token_keys: Some(folder.path().join("short")),
        ..good.clone()
    };
    assert!(start(short).await.contains("shorter than 32 bytes"));
    let elsewhere = Args {
        database: "mysql://db".into(),
        ..good.clone()
    };
    assert!(start(elsewhere).await.contains("must be sqlite:PATH"));
    let nowhere = Args {
        database: format!("sqlite:{}/no/such/folder.db", folder.path().display()).into(),
        ..good
    };
    assert!(start(nowhere).await.contains("cannot be opened"));
}

#[test]
fn the_document_in_the_repository_is_the_one_of_the_code() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/directory-openapi.json");
    let generated = crate::directory::openapi_json().unwrap();
    if std::env::var_os("UPDATE_GENERATED").is_some() {
        std::fs::write(&path, &generated).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        kept == generated,
        "docs/directory-openapi.json has drifted: run the tests with UPDATE_GENERATED=1 set"
    );
}

#[tokio::test]
async fn one_tenants_flood_leaves_the_others_alone() {
    let folder = TempDir::new().unwrap();
    let database = Backend::Sqlite.fresh(&folder);
    let args = Args {
        tenant_rate: 5,
        ..args(&folder)
    };
    let directory = Directory::start_with(args, folder, database).await;
    let (flood, calm) = (
        token("acme", Purpose::Lookup),
        token("globex", Purpose::Lookup),
    );
    let ask = |token: &SecretString| {
        let token = token.expose_secret().to_owned();
        let directory = &directory;
        async move {
            directory
                .raw("GET", "/v1/calls", Some(&token), "")
                .await
                .status
        }
    };
    let answers = futures::future::join_all((0..60).map(|_| ask(&flood))).await;
    assert!(
        answers.contains(&200) && answers.contains(&429),
        "{answers:?}"
    );
    assert_eq!(ask(&calm).await, 200);
    let metrics = directory.raw("GET", "/metrics", None, "").await.body;
    let counted =
        r#"switchboard_directory_requests_total{method="GET",route="/v1/calls",status="429"}"#;
    assert!(metrics.contains(counted), "{metrics}");
    assert!(!metrics.contains("acme"), "no metric names a tenant");
}

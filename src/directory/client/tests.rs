//! The client against a server with scripted responses.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::http::HeaderMap;
use axum::response::IntoResponse as _;

use super::*;
use crate::directory::model::{CallsPage, CallsQuery};

/// Starts a server that returns these statuses, one per request, and then 200. Also returns its
/// request counter.
async fn server(statuses: &'static [u16]) -> (Client, Arc<AtomicUsize>) {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = asked.clone();
    let router = Router::new().fallback(move |headers: HeaderMap| {
        let index = count.fetch_add(1, Ordering::SeqCst);
        async move {
            assert_eq!(headers["authorization"], "Bearer secret");
            match statuses.get(index) {
                Some(status) => {
                    (StatusCode::from_u16(*status).unwrap(), "a proxy's page").into_response()
                }
                None => axum::Json(CallsPage {
                    calls: vec![],
                    next_cursor: None,
                })
                .into_response(),
            }
        }
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    let retry = Retry {
        attempts: 4,
        first_pause: Duration::from_millis(1),
        longest_pause: Duration::from_millis(2),
    };
    (
        Client::new(&base, "secret".into())
            .unwrap()
            .with_retry(retry),
        asked,
    )
}

#[tokio::test]
async fn what_may_pass_is_tried_again() {
    let (client, asked) = server(&[503, 429, 502]).await;
    assert_eq!(
        client.calls(&CallsQuery::default()).await.unwrap().calls,
        []
    );
    assert_eq!(asked.load(Ordering::SeqCst), 4);
}

#[tokio::test]
async fn patience_ends() {
    let (client, asked) = server(&[504; 9]).await;
    let error = client.calls(&CallsQuery::default()).await.unwrap_err();
    assert!(
        matches!(&error, ClientError::Refused { problem, .. } if problem.status == 504),
        "{error}"
    );
    assert_eq!(asked.load(Ordering::SeqCst), 4);
}

#[tokio::test]
async fn a_refusal_is_not_tried_again() {
    for status in [400, 401, 403, 404, 413, 500] {
        let statuses: &'static [u16] = Box::leak(vec![status; 9].into_boxed_slice());
        let (client, asked) = server(statuses).await;
        let error = client.calls(&CallsQuery::default()).await.unwrap_err();
        assert!(
            matches!(&error, ClientError::Refused { problem, .. } if problem.status == status),
            "{error}"
        );
        assert_eq!(asked.load(Ordering::SeqCst), 1, "{status}");
    }
}

#[tokio::test]
async fn nobody_there_is_said_without_the_number() {
    // The socket is bound but does not listen: it refuses clients, and no other process gets the
    // port.
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let base = format!("http://{}", socket.local_addr().unwrap());
    let client = Client::new(&base, "secret".into())
        .unwrap()
        .with_retry(Retry {
            attempts: 2,
            first_pause: Duration::ZERO,
            longest_pause: Duration::ZERO,
        });
    let error = client.contact("0312345678").await.unwrap_err();
    assert!(matches!(
        error,
        ClientError::Unreachable { attempts: 2, .. }
    ));
    let text = format!("{error} {error:?}");
    assert!(
        !text.contains("0312345678") && !text.contains("secret"),
        "{text}"
    );
}

#[test]
fn pauses_grow_are_jittered_and_respect_the_server() {
    let retry = Retry::default();
    let millis = |attempt, asked| retry.pause(attempt, asked).as_millis();
    for _ in 0..50 {
        assert!((125..=250).contains(&millis(1, None)));
        assert!((500..=1_000).contains(&millis(3, None)));
        assert!((7_500..=15_000).contains(&millis(60, None)));
        assert_eq!(millis(1, Some(Duration::from_secs(3))), 3_000);
        assert_eq!(millis(1, Some(Duration::from_secs(3_600))), 15_000);
    }
}

#[test]
fn an_address_may_have_a_path_and_must_be_http() {
    let url = |base: &str| {
        Client::new(base, "secret".into()).map(|client| client.contact_url("+81/3 1").unwrap())
    };
    assert_eq!(
        url("http://a:1").unwrap().as_str(),
        "http://a:1/v1/contacts/+81%2F3%201"
    );
    assert_eq!(
        url("https://a/b?c#d").unwrap().as_str(),
        "https://a/b/v1/contacts/+81%2F3%201"
    );
    assert!(matches!(url("ftp://a"), Err(ClientError::Address(..))));
    assert!(matches!(url("a b"), Err(ClientError::Address(..))));
}

#[test]
fn an_address_is_shown_without_its_user_and_password() {
    for address in [
        "ftp://user:marker@host",
        "http://user:marker@",
        "user:marker@host:x",
    ] {
        let error = Client::new(address, "secret".into()).unwrap_err();
        let told = Chain(&error).to_string();
        assert!(
            told.contains("cannot be used; write it as http://HOST:PORT or https://HOST:PORT: "),
            "{told}"
        );
        assert!(!told.contains("marker"), "{told}");
    }
}

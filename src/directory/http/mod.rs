//! The HTTP interface: one file per resource, and the middleware that they share.
//!
//! The token is checked before anything else in a request, so that the sender of a wrong token
//! learns only that it is wrong. Every error is a problem document with a sentence.

mod calls;
mod company;
mod contacts;
mod contacts_csv;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
pub(super) mod middleware;
pub(crate) mod openapi;
mod privacy;
mod rings;
mod tokens;
mod waiting;
mod webhook;
mod worker;

#[cfg(test)]
mod tests;

use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::HeaderValue;
use axum::http::header::X_CONTENT_TYPE_OPTIONS;
use axum::middleware::{Next, from_fn, from_fn_with_state, map_response};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::normalize_path::NormalizePath;

use self::middleware::app::now;
pub(crate) use self::middleware::app::{App, Limits};
pub(crate) use self::middleware::body::Room;
use self::middleware::error::ApiError;
pub(crate) use self::middleware::fairness::{Share, Shares};
pub(crate) use self::middleware::health::Readiness;
pub(crate) use self::middleware::metrics::Metrics;
use self::worker::{book, follow, work};
use super::pages;

/// All endpoints. A slash behind a path is no part of it; it must be gone before the routing, which
/// no layer of a router comes before.
pub(crate) fn router(app: App, pages: Option<pages::Settings>) -> Router {
    Router::new().fallback_service(NormalizePath::trim_trailing_slash(endpoints(app, pages)))
}

/// All endpoints, wrapped in the limits of a request.
fn endpoints(app: App, pages: Option<pages::Settings>) -> Router {
    let pages = pages.map(|settings| pages::router(app.clone(), settings));
    let (pages, guard) = pages.unzip();
    Router::new()
        .merge(pages.unwrap_or_default())
        .route(
            "/v1/webhooks/calls",
            post(webhook::receive).fallback(|| async { ApiError::NotADelivery }),
        )
        .route("/v1/calls", get(calls::list))
        .route("/v1/calls/{id}/why", get(calls::why))
        .route("/v1/contacts.csv", get(contacts_csv::export))
        .route(
            "/v1/contacts/{number}",
            get(contacts::find)
                .put(contacts::put)
                .delete(contacts::remove),
        )
        .route("/v1/contacts/{number}/why", get(calls::why_of_number))
        .route("/v1/rings", post(rings::push))
        .route("/v1/waiting", get(waiting::follow))
        .route("/v1/worker/rings/claim", post(worker::rings::claim))
        .route("/v1/worker/rings/settle", post(worker::rings::settle))
        .route("/v1/worker/calls/claim", post(work::claim))
        .route("/v1/worker/calls/done", post(work::done))
        .route("/v1/worker/calls/release", post(work::release))
        .route("/v1/worker/contacts", post(work::write_contacts))
        .route("/v1/worker/numbers/again", post(work::numbers_to_ask))
        .route("/v1/numbers/erase", post(privacy::erase))
        .route("/v1/numbers/export", post(privacy::export))
        .route("/v1/numbers/restore", post(privacy::restore))
        .route("/v1/audit", get(privacy::audit))
        .route("/v1/company", put(company::claim))
        .route("/v1/company/book", get(company::book))
        .route("/v1/company/health", put(company::health))
        .route("/v1/company/erase", post(company::erase))
        .route(
            "/v1/worker/follow",
            get(follow::state).put(follow::put_state),
        )
        .route("/v1/worker/follow/numbers", post(follow::known_numbers))
        .route("/v1/worker/follow/records", post(follow::records))
        .route("/v1/worker/book", get(book::state).delete(book::remove))
        .route("/v1/worker/book/fill", post(book::begin))
        .route("/v1/worker/book/records", post(book::write))
        .route("/v1/worker/book/finish", post(book::finish))
        .route("/v1/worker/book/holders", post(book::holders))
        .route("/v1/tokens/not-before", put(tokens::revoke))
        .route("/v1/openapi.json", get(openapi::serve))
        .route("/healthz", get(middleware::health::healthz))
        .route("/readyz", get(middleware::health::readyz))
        .route("/metrics", get(middleware::metrics::serve))
        .fallback(|| async { ApiError::NoSuchEndpoint })
        .method_not_allowed_fallback(|| async { ApiError::WrongMethod })
        .layer(from_fn_with_state(app.limits.time, limit_time))
        .layer(CatchPanicLayer::custom(
            |_: Box<dyn std::any::Any + Send>| {
                tracing::error!("a request handler panicked; this is a bug");
                ApiError::Internal.into_response()
            },
        ))
        .layer(from_fn_with_state(
            app.metrics.clone(),
            middleware::metrics::count,
        ))
        .layer(from_fn_with_state(guard, pages::protect))
        .layer(map_response(no_sniffing))
        .layer(from_fn(middleware::span::open))
        .with_state(app)
}

/// Aborts a request that takes too long; its transaction, if any, is rolled back.
async fn limit_time(State(limit): State<Duration>, request: Request, next: Next) -> Response {
    match tokio::time::timeout(limit, next.run(request)).await {
        Ok(response) => response,
        Err(_) => ApiError::TooSlow.into_response(),
    }
}

async fn no_sniffing(mut response: Response) -> Response {
    response
        .headers_mut()
        .insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

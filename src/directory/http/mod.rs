//! The HTTP interface: one file for each resource, and what all of them share.
//!
//! A request is let in by its token before anything else about it is looked at, so that a wrong token learns nothing
//! but that it is wrong. Every error is a problem document with a sentence.

mod auth;
mod calls;
mod contacts;
mod contacts_csv;
mod cursor;
mod error;
mod fairness;
mod health;
mod input;
mod metrics;
pub(super) mod openapi;
mod responses;
mod webhook;
mod worker;

#[cfg(test)]
mod tests;

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    extract::{DefaultBodyLimit, Request, State},
    http::{HeaderValue, header::X_CONTENT_TYPE_OPTIONS},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use jiff::Timestamp;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tower_http::catch_panic::CatchPanicLayer;

use self::error::ApiError;
pub(super) use self::{
    fairness::{Share, Shares},
    health::Readiness,
    metrics::Metrics,
};
use super::{TokenKeys, store::Store};

/// What every handler may use.
#[derive(Debug, Clone)]
pub(super) struct App {
    pub(super) store: Store,
    pub(super) keys: watch::Receiver<Arc<TokenKeys>>,
    pub(super) limits: Limits,
    pub(super) shares: Shares,
    pub(super) metrics: Metrics,
    pub(super) readiness: Readiness,
    /// Cancelled when the server goes down: `/readyz` says so, and no new traffic comes.
    pub(super) shutdown: CancellationToken,
}

/// What one request may take.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub(super) body_bytes: usize,
    pub(super) time: Duration,
}

/// Every endpoint, with the limits around it.
pub(super) fn router(app: App) -> Router {
    Router::new()
        .route("/v1/webhooks/calls", post(webhook::receive))
        .route("/v1/calls", get(calls::list))
        .route("/v1/contacts.csv", get(contacts_csv::export))
        .route(
            "/v1/contacts/{number}",
            get(contacts::find)
                .put(contacts::put)
                .delete(contacts::remove),
        )
        .route("/v1/worker/calls/claim", post(worker::claim))
        .route("/v1/worker/calls/done", post(worker::done))
        .route("/v1/worker/calls/release", post(worker::release))
        .route("/v1/worker/contacts", post(worker::write_contacts))
        .route("/v1/openapi.json", get(openapi::serve))
        .route("/healthz", get(health::healthz))
        .route("/readyz", get(health::readyz))
        .route("/metrics", get(metrics::serve))
        .fallback(|| async { ApiError::NoSuchEndpoint })
        .method_not_allowed_fallback(|| async { ApiError::WrongMethod })
        .layer(DefaultBodyLimit::max(app.limits.body_bytes))
        .layer(middleware::from_fn_with_state(app.limits.time, limit_time))
        .layer(CatchPanicLayer::custom(
            |_: Box<dyn std::any::Any + Send>| {
                tracing::error!("a request handler panicked; this is a bug");
                ApiError::Internal.into_response()
            },
        ))
        .layer(middleware::from_fn_with_state(
            app.metrics.clone(),
            metrics::count,
        ))
        .layer(middleware::map_response(no_sniffing))
        .with_state(app)
}

/// The time, as fine as the store keeps it, so that an answer says what a later read will say.
fn now() -> Timestamp {
    Timestamp::from_microsecond(Timestamp::now().as_microsecond()).unwrap_or_default()
}

/// A request that takes too long is given up; its transaction, if any, is rolled back.
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

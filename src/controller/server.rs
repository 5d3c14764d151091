//! Health and metrics over HTTP: `/healthz` while the program runs; `/readyz` while it stands by for the Lease, and once the
//! watches have told everything that exists, or that they may not; `/metrics` for Prometheus.

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::{Router, routing::get};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::Error;
use super::context::Stores;
use super::metrics::Metrics;

/// What is told.
pub(super) struct Health {
    metrics: Arc<Metrics>,
    stores: OnceLock<Vec<Stores>>,
}

// === impl Health ===

impl Health {
    /// Standing by.
    pub(super) fn new(metrics: Arc<Metrics>) -> Self {
        Health {
            metrics,
            stores: OnceLock::new(),
        }
    }

    /// From now on these must be known.
    pub(super) fn working(&self, stores: Vec<Stores>) {
        // Set once: a replica begins to work once in its life.
        let _ = self.stores.set(stores);
    }

    fn metrics(&self) -> String {
        let stores = self.stores.get().into_iter().flatten();
        self.metrics
            .integrations_stand(stores.flat_map(|stores| stores.integrations.state()));
        self.metrics.text()
    }

    /// What `/readyz` says, and whether traffic of a kind may come: none does, but a rollout waits for it.
    fn ready(&self) -> Result<String, &'static str> {
        let Some(stores) = self.stores.get() else {
            return Ok("ok".into());
        };
        if !stores.iter().all(Stores::are_told) {
            return Err("the watches have not told everything yet");
        }
        let refused: Vec<&str> = stores
            .iter()
            .filter(|stores| stores.reach.is_refused())
            .filter_map(|stores| stores.reach.namespace())
            .collect();
        match refused.len() {
            0 => Ok("ok".into()),
            all if all == stores.len() => Err("no namespace can be watched"),
            _ => Ok(format!("ok, but not watched: {}", refused.join(", "))),
        }
    }
}

pub(super) async fn listen(address: SocketAddr) -> Result<TcpListener, Error> {
    let listener = TcpListener::bind(address)
        .await
        .map_err(|source| Error::Listen { address, source })?;
    if let Ok(address) = listener.local_addr() {
        tracing::info!(%address, "health is told here");
    }
    Ok(listener)
}

pub(super) async fn serve(
    listener: TcpListener,
    health: Arc<Health>,
    stop: CancellationToken,
) -> std::io::Result<()> {
    let router = Router::new()
        .route("/healthz", get(async || "ok"))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .with_state(health);
    axum::serve(listener, router)
        .with_graceful_shutdown(stop.cancelled_owned())
        .await
}

async fn ready(State(health): State<Arc<Health>>) -> (StatusCode, String) {
    match health.ready() {
        Ok(text) => (StatusCode::OK, text),
        Err(text) => (StatusCode::SERVICE_UNAVAILABLE, text.into()),
    }
}

async fn metrics(State(health): State<Arc<Health>>) -> impl IntoResponse {
    (
        [(
            header::CONTENT_TYPE,
            "application/openmetrics-text; version=1.0.0; charset=utf-8",
        )],
        health.metrics(),
    )
}

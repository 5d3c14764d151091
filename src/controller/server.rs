//! Health and metrics over HTTP. `/healthz` answers while the program runs. `/readyz` answers while
//! the replica waits for the Lease, and once all lists are read or known to be forbidden.
//! `/metrics` is for Prometheus.

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::Error;
use super::context::Context;
use super::context::fleet::{self, Scrape};
use super::context::metrics::Metrics;
use super::context::stores::Stores;
use crate::http_server;
use crate::http_server::{ConnectionLimits, Proxies};

/// The kubelet and Prometheus need a handful of connections. The limit leaves file descriptors for
/// the API server and Salesforce, and idle connections close soon enough for the next probe.
pub(crate) fn limits() -> ConnectionLimits {
    ConnectionLimits {
        most: 128,
        per_address: 96,
        proxies: Proxies::default(),
        idle: Duration::from_secs(5),
        grace: Duration::from_secs(5),
    }
}

/// The state behind the endpoints.
pub(crate) struct Health {
    metrics: Arc<Metrics>,
    /// The most integrations that have series of their own.
    per_integration: usize,
    work: OnceLock<Arc<Context>>,
}

// === impl Health ===

impl Health {
    /// While the replica waits for the Lease.
    pub(crate) fn new(metrics: Arc<Metrics>, per_integration: usize) -> Self {
        Self {
            metrics,
            per_integration,
            work: OnceLock::new(),
        }
    }

    /// From now on this replica leads, and `/readyz` waits for its stores.
    pub(crate) fn working(&self, context: Arc<Context>) {
        self.metrics.leads();
        // A replica begins to work once in its life.
        let _ = self.work.set(context);
    }

    /// What this replica counts, and on the leader what the statuses say.
    fn metrics(&self) -> String {
        let fleet = self.work.get().map(|context| {
            let scrape = Scrape {
                per_integration: self.per_integration,
                now: jiff::Timestamp::now(),
                waiting_followed: *context.waiting_followed.lock(),
                shard: context.shard,
                oldest_wait: context.memory.oldest_wait(Instant::now()),
            };
            fleet::registry(context.ours(), scrape)
        });
        self.metrics.text(fleet.as_ref())
    }

    /// The text of `/readyz`. No traffic depends on it, but a rollout waits for it.
    fn ready(&self) -> Result<String, &'static str> {
        let Some(context) = self.work.get() else {
            return Ok("ok".into());
        };
        let stores = &context.stores;
        if !stores.iter().all(Stores::is_settled) {
            return Err("the watches have not told everything yet");
        }
        let refused: Vec<&str> = stores
            .iter()
            .filter(|stores| stores.access.is_denied())
            .filter_map(|stores| stores.access.namespace())
            .collect();
        match refused.len() {
            0 => Ok("ok".into()),
            all if all == stores.len() => Err("no namespace can be watched"),
            _ => Ok(format!("ok, but not watched: {}", refused.join(", "))),
        }
    }
}

pub(crate) fn listen(address: SocketAddr) -> Result<TcpListener, Error> {
    let listener =
        http_server::listen(address).map_err(|source| Error::Listen { address, source })?;
    if let Ok(address) = listener.local_addr() {
        tracing::info!(%address, "health is told here");
    }
    Ok(listener)
}

/// Serves until `stop` is cancelled, however many clients hold idle connections.
pub(crate) async fn serve(
    listener: TcpListener,
    health: Arc<Health>,
    limits: ConnectionLimits,
    stop: CancellationToken,
) {
    let router = Router::new()
        .route("/healthz", get(async || "ok"))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .with_state(health);
    http_server::serve(listener, router, None, limits, stop).await;
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

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;

    use super::*;

    #[tokio::test]
    async fn clients_that_say_nothing_do_not_keep_the_kubelet_out() {
        let listener = listen(([127, 0, 0, 1], 0).into()).unwrap();
        let address = listener.local_addr().unwrap();
        let health = Arc::new(Health::new(Arc::new(Metrics::default()), 0));
        let limits = ConnectionLimits {
            most: 3,
            idle: Duration::from_millis(200),
            ..limits()
        };
        let stop = CancellationToken::new();
        let server = tokio::spawn(serve(listener, health, limits, stop.clone()));
        let mut silent = Vec::new();
        for _ in 0..10 {
            silent.push(TcpStream::connect(address).await.unwrap());
        }
        let mut kubelet = TcpStream::connect(address).await.unwrap();
        let request = b"GET /healthz HTTP/1.1\r\nhost: controller\r\nconnection: close\r\n\r\n";
        kubelet.write_all(request).await.unwrap();
        let mut said = String::new();
        let asks = kubelet.read_to_string(&mut said);
        let waited = tokio::time::timeout(Duration::from_secs(30), asks).await;
        waited.expect("it is answered").unwrap();
        assert!(said.starts_with("HTTP/1.1 200 OK"), "{said}");
        stop.cancel();
        server.await.unwrap();
    }
}

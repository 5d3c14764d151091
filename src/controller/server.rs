//! Health over HTTP: `/healthz` while the program runs, `/readyz` once the watches have told everything that exists.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::{Router, routing::get};
use futures::FutureExt;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::Error;
use super::context::Context;

pub(super) async fn listen(address: SocketAddr) -> Result<TcpListener, Error> {
    TcpListener::bind(address)
        .await
        .map_err(|source| Error::Listen { address, source })
}

pub(super) async fn serve(
    listener: TcpListener,
    context: Arc<Context>,
    stop: CancellationToken,
) -> std::io::Result<()> {
    let router = Router::new()
        .route("/healthz", get(async || "ok"))
        .route("/readyz", get(ready))
        .with_state(context);
    axum::serve(listener, router)
        .with_graceful_shutdown(stop.cancelled_owned())
        .await
}

async fn ready(State(context): State<Arc<Context>>) -> (StatusCode, &'static str) {
    let synced = context.stores.iter().all(|stores| {
        let known = [
            stores
                .integrations
                .wait_until_ready()
                .now_or_never()
                .is_some(),
            stores.cron_jobs.wait_until_ready().now_or_never().is_some(),
            stores.jobs.wait_until_ready().now_or_never().is_some(),
            stores.pods.wait_until_ready().now_or_never().is_some(),
        ];
        known.iter().all(|known| *known)
    });
    if synced {
        (StatusCode::OK, "ok")
    } else {
        (
            StatusCode::SERVICE_UNAVAILABLE,
            "the watches have not told everything yet",
        )
    }
}

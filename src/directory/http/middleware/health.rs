//! `/healthz` and `/readyz`, for the kubelet. They need no token and state nothing about a tenant.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::State;
use tokio::sync::Mutex;
use tracing::warn;

use super::app::App;
use super::error::ApiError;
use crate::directory::store::Store;
use crate::error::Chain;

/// Shortest time between two database checks. It limits their load, because these endpoints need no
/// token.
const EVERY: Duration = Duration::from_millis(500);

/// Result and time of the last database check. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct Readiness(Arc<Mutex<Option<(Instant, bool)>>>);

/// Liveness: the process is running and answers.
pub(crate) async fn healthz() -> &'static str {
    "ok"
}

/// Readiness: the database answers, and the server is not shutting down.
pub(crate) async fn readyz(State(app): State<App>) -> Result<&'static str, ApiError> {
    if app.shutdown.is_cancelled() {
        return Err(ApiError::GoingDown);
    }
    if app.readiness.ask(&app.store).await {
        Ok("ok")
    } else {
        Err(ApiError::NotReady)
    }
}

// === impl Readiness ===

impl Readiness {
    /// Checks the database, or returns the last result if it is recent. Callers during a check wait
    /// for its result.
    async fn ask(&self, store: &Store) -> bool {
        let mut last = self.0.lock().await;
        if let Some((asked, answered)) = *last
            && asked.elapsed() < EVERY
        {
            return answered;
        }
        let asked = store.ready().await;
        if let Err(reason) = &asked {
            warn!(error = %Chain(reason), "not ready");
        }
        *last = Some((Instant::now(), asked.is_ok()));
        asked.is_ok()
    }
}

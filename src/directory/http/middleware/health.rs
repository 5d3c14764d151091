//! `/healthz` and `/readyz`, for the kubelet. Neither takes a token, and neither says anything about a tenant.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::State;
use tokio::sync::Mutex;
use tracing::warn;

use super::app::App;
use super::error::ApiError;
use crate::directory::store::Store;
use crate::error::Chain;

/// The database is asked no more often: nobody needs a token to ask here.
const EVERY: Duration = Duration::from_millis(500);

/// Whether the database answered last, and when that was. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct Readiness(Arc<Mutex<Option<(Instant, bool)>>>);

/// The process runs and answers.
pub(crate) async fn healthz() -> &'static str {
    "ok"
}

/// Traffic may come: the database answers, and the server is not going down.
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
    /// Asks the database, or repeats what it said a moment ago. Who comes while it is asked waits for that answer.
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

//! `/healthz` and `/readyz`, for the kubelet. Neither takes a token, and neither says anything about a tenant.

use axum::extract::State;

use super::{App, error::ApiError};

/// The process runs and answers.
pub(super) async fn healthz() -> &'static str {
    "ok"
}

/// Traffic may come: the database answers, and the server is not going down.
pub(super) async fn readyz(State(app): State<App>) -> Result<&'static str, ApiError> {
    if app.shutdown.is_cancelled() {
        return Err(ApiError::GoingDown);
    }
    app.store.ready().await?;
    Ok("ok")
}

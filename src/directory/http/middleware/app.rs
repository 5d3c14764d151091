//! What every handler may use, and what one request may take.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::fairness::Shares;
use super::health::Readiness;
use super::metrics::Metrics;
use crate::directory::model::tokens::TokenKeys;
use crate::directory::store::Store;

/// What every handler may use.
#[derive(Debug, Clone)]
pub(crate) struct App {
    pub(crate) store: Store,
    pub(crate) keys: watch::Receiver<Arc<TokenKeys>>,
    pub(crate) limits: Limits,
    pub(crate) shares: Shares,
    pub(crate) metrics: Metrics,
    pub(crate) readiness: Readiness,
    /// Cancelled when the server goes down: `/readyz` says so, and no new traffic comes.
    pub(crate) shutdown: CancellationToken,
}

/// What one request may take.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) body_bytes: usize,
    pub(crate) time: Duration,
}

/// The time, as fine as the store keeps it, so that an answer says what a later read will say.
pub(crate) fn now() -> Timestamp {
    Timestamp::from_microsecond(Timestamp::now().as_microsecond()).unwrap_or_default()
}

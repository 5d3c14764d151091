//! The shared state of all handlers, and the limits of one request.

#[cfg(test)]
use std::cell::RefCell;
use std::sync::Arc;
#[cfg(test)]
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::body::Room;
use super::fairness::Shares;
use super::health::Readiness;
use super::metrics::Metrics;
use crate::directory::model::revoked::Revoked;
use crate::directory::model::tokens::TokenKeys;
use crate::directory::store::{RingLimits, Store, StoreError};

/// The shared state of all handlers.
#[derive(Debug, Clone)]
pub(crate) struct App {
    pub(crate) store: Store,
    pub(crate) keys: watch::Receiver<Arc<TokenKeys>>,
    pub(crate) revoked: Revoked,
    pub(crate) limits: Limits,
    pub(crate) shares: Shares,
    pub(crate) room: Room,
    pub(crate) metrics: Metrics,
    pub(crate) readiness: Readiness,
    /// How much Salesforce is asked for rings.
    pub(crate) rings: RingLimits,
    /// The operator's maximum of days for which calls are kept.
    pub(crate) retain_days: Option<u32>,
    /// Whether rings of known numbers are put on record, for the call screens of the pages.
    pub(crate) shows_rings: bool,
    /// Cancelled at shutdown. `/readyz` then fails, so that no new traffic arrives.
    pub(crate) shutdown: CancellationToken,
}

/// The limits of one request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) body_bytes: usize,
    pub(crate) time: Duration,
}

// === impl App ===

impl App {
    /// The current time by the clock that all replicas share.
    pub(crate) async fn shared_time(&self) -> Result<Timestamp, StoreError> {
        self.store.shared_time(now()).await
    }
}

#[cfg(test)]
thread_local! {
    /// How far the clock of the replica that runs in this thread is ahead, in seconds.
    pub(crate) static AHEAD: RefCell<Arc<AtomicI64>> = RefCell::default();
}

/// The current time in the precision of the store, so that a response equals a later read.
pub(crate) fn now() -> Timestamp {
    let now = Timestamp::now();
    #[cfg(test)]
    let now = now
        + AHEAD.with_borrow(|ahead| jiff::SignedDuration::from_secs(ahead.load(Ordering::Relaxed)));
    Timestamp::from_microsecond(now.as_microsecond()).unwrap_or_default()
}

//! What happens beside the requests while the directory serves: old rows are deleted once an hour,
//! and the database is measured once a minute.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::TokenKeys;
use super::http::Metrics;
use super::model::number_hash::NumberKeys;
use super::model::revoked::Revoked;
use super::store::{Store, StoreError, days_before};
use crate::error::Chain;

const FIRST_PURGE_AFTER: Duration = Duration::from_secs(60);
const EVERY: Duration = Duration::from_secs(3_600);
/// For how long it is on record that a number rang.
const RINGS_KEPT: SignedDuration = SignedDuration::from_hours(1);
const CLEANED_EVERY: Duration = Duration::from_secs(30);
const MEASURED_EVERY: Duration = Duration::from_secs(60);
/// The longest time for which a replica takes a token or a session that another one was told has
/// ended.
const LEARNED_EVERY: Duration = Duration::from_secs(2);

/// For how long data is kept, as the operator says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Retention {
    /// The most days for calls; `None` for no end.
    pub(crate) calls: Option<u32>,
    /// Days for the audit.
    pub(crate) audit: u32,
}

/// Deletes what is older than it may be: than the operator says, or the integration of its company.
/// Several replicas may do this at the same time, because a second deletion finds nothing.
pub(crate) async fn retain(store: Store, retention: Retention, shutdown: CancellationToken) {
    let mut pause = FIRST_PURGE_AFTER;
    while shutdown
        .run_until_cancelled(tokio::time::sleep(pause))
        .await
        .is_some()
    {
        pause = EVERY;
        let now = Timestamp::now();
        match store.retain(retention.calls, now).await {
            Ok(purged) => info!(
                calls = purged.calls,
                contacts = purged.contacts,
                days = retention.calls,
                "took away what is older than it may be"
            ),
            Err(error) => warn!(error = %Chain(&error), "old calls stay for another hour"),
        }
        let before = now.checked_sub(RINGS_KEPT).unwrap_or(Timestamp::MIN);
        if let Err(error) = store.purge_rings(before).await {
            warn!(error = %Chain(&error), "old rings stay for another hour");
        }
        if let Err(error) = store.purge_sessions(now).await {
            warn!(error = %Chain(&error), "sessions that have ended stay for another hour");
        }
        let before = days_before(now, retention.audit);
        if let Err(error) = store.purge_audit(before).await {
            warn!(error = %Chain(&error), "old entries of the audit stay for another hour");
        }
    }
}

/// Measures the database. `limit` is how large it may become, in bytes; where it is absent, the
/// database itself may know.
pub(crate) async fn measure(
    store: Store,
    metrics: Metrics,
    limit: Option<u64>,
    shutdown: CancellationToken,
) {
    loop {
        match store.size().await {
            Ok(mut size) => {
                size.limit = limit.or(size.limit);
                metrics.database_measured(size);
            }
            Err(error) => warn!(error = %Chain(&error), "the database was not measured"),
        }
        let pause = tokio::time::sleep(MEASURED_EVERY);
        if shutdown.run_until_cancelled(pause).await.is_none() {
            return;
        }
    }
}

/// Reads which tokens and sessions have ended, as another replica may have been told. While the
/// database does not answer, what is known holds.
pub(crate) async fn learn_revocations(store: Store, revoked: Revoked, shutdown: CancellationToken) {
    let mut failed = false;
    while shutdown
        .run_until_cancelled(tokio::time::sleep(LEARNED_EVERY))
        .await
        .is_some()
    {
        match learn(&store, &revoked).await {
            Ok(()) => failed = false,
            Err(error) => {
                if !failed {
                    warn!(error = %Chain(&error), "which tokens and sessions have ended was not read");
                }
                failed = true;
            }
        }
    }
}

/// Reads once which tokens and sessions have ended.
pub(crate) async fn learn(store: &Store, revoked: &Revoked) -> Result<(), StoreError> {
    let now = Timestamp::now();
    revoked.learn(store.revocations().await?);
    revoked.learn_ended(store.ended_sessions(now).await?, now);
    Ok(())
}

/// Takes what was erased out of the files, within a minute after it was.
pub(crate) async fn clean_up(store: Store, shutdown: CancellationToken) {
    while shutdown
        .run_until_cancelled(tokio::time::sleep(CLEANED_EVERY))
        .await
        .is_some()
    {
        if let Err(error) = store.clean_up().await {
            warn!(error = %Chain(&error), "what was erased may be in the files for another minute");
        }
    }
}

/// Hashes numbers by the keys that the files have, whenever those of the tokens change.
pub(crate) async fn follow_keys(
    store: Store,
    own: Option<TokenKeys>,
    mut tokens: watch::Receiver<Arc<TokenKeys>>,
    shutdown: CancellationToken,
) {
    while let Some(Ok(())) = shutdown.run_until_cancelled(tokens.changed()).await {
        let keys = NumberKeys::new(own.as_ref(), &tokens.borrow_and_update().clone());
        store.use_number_keys(keys);
    }
}

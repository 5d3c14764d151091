//! What happens beside the requests while the directory serves: old rows are deleted once an hour,
//! and the database is measured once a minute.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::http::Metrics;
use super::model::revoked::Revoked;
use super::store::Store;
use crate::error::Chain;

const FIRST_PURGE_AFTER: Duration = Duration::from_secs(60);
const EVERY: Duration = Duration::from_secs(3_600);
const MEASURED_EVERY: Duration = Duration::from_secs(60);
/// The longest time for which a replica takes a token that another one was told is revoked.
const LEARNED_EVERY: Duration = Duration::from_secs(2);

/// Deletes what is older than this many days. Several replicas may do this at the same time,
/// because a second deletion finds nothing.
pub(crate) async fn retain(store: Store, days: u32, shutdown: CancellationToken) {
    let mut pause = FIRST_PURGE_AFTER;
    while shutdown
        .run_until_cancelled(tokio::time::sleep(pause))
        .await
        .is_some()
    {
        pause = EVERY;
        match store.purge(None, days_before(Timestamp::now(), days)).await {
            Ok(purged) => info!(
                calls = purged.calls,
                contacts = purged.contacts,
                days,
                "took away what is older than it may be"
            ),
            Err(error) => warn!(error = %Chain(&error), "old calls stay for another hour"),
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

/// Reads which tokens are revoked, as another replica may have been told. While the database does
/// not answer, what is known holds.
pub(crate) async fn learn_revocations(store: Store, revoked: Revoked, shutdown: CancellationToken) {
    let mut failed = false;
    while shutdown
        .run_until_cancelled(tokio::time::sleep(LEARNED_EVERY))
        .await
        .is_some()
    {
        match store.revocations().await {
            Ok(all) => {
                failed = false;
                revoked.learn(all);
            }
            Err(error) => {
                if !failed {
                    warn!(error = %Chain(&error), "which tokens are revoked was not read");
                }
                failed = true;
            }
        }
    }
}

/// The time this many days before `now`, or the earliest possible time if it is out of range.
pub(crate) fn days_before(now: Timestamp, days: u32) -> Timestamp {
    now.checked_sub(SignedDuration::from_hours(24 * i64::from(days)))
        .unwrap_or(Timestamp::MIN)
}

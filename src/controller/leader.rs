//! One replica works, the others stand by: a Lease, taken over when its holder goes or falls silent.

use std::time::Duration;

use kube::Client;
use kube_lease_manager::{LeaseManager, LeaseManagerBuilder, LeaseManagerError};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::Error;

/// Name of the Lease.
pub const LEASE: &str = "switchboard-controller";
/// A holder that has not renewed for so long has lost the Lease, in seconds.
const DURATION: u64 = 15;
/// The holder renews that long before, in seconds: early enough for a second attempt.
const GRACE: u64 = 8;

/// A renewal that is not answered within this time is made again on another connection, before the Lease runs out: otherwise this
/// replica would go on leading beside the next one.
pub(super) const ANSWER_WITHIN: Duration = Duration::from_secs(3);

/// The Lease is held.
pub(super) struct Leadership {
    state: watch::Receiver<bool>,
    keeper: JoinHandle<Result<LeaseManager, LeaseManagerError>>,
}

// === impl Leadership ===

impl Leadership {
    /// Waits until the Lease is held; none when `stop` comes first.
    pub(super) async fn acquire(
        client: Client,
        namespace: &str,
        identity: &str,
        stop: &CancellationToken,
    ) -> Result<Option<Leadership>, Error> {
        let manager = LeaseManagerBuilder::new(client, LEASE)
            .with_namespace(namespace)
            .with_identity(identity)
            .with_field_manager(format!("{}-leader", crate::api::MANAGER))
            .with_duration(DURATION)
            .with_grace(GRACE)
            .build()
            .await
            .map_err(Error::Lease)?;
        tracing::info!(
            namespace,
            identity,
            lease = LEASE,
            "standing by for the Lease"
        );
        let (state, keeper) = manager.watch().await;
        let mut leadership = Leadership { state, keeper };
        let held = tokio::select! {
            held = leadership.state.wait_for(|held| *held) => held.is_ok(),
            () = stop.cancelled() => false,
        };
        if held {
            tracing::info!(identity, "this replica leads");
            return Ok(Some(leadership));
        }
        leadership.release().await;
        Ok(None)
    }

    /// Waits until another may lead.
    pub(super) async fn lost(&mut self) {
        // An error says that the keeper has gone: then nobody renews.
        let _ = self.state.wait_for(|held| !*held).await;
    }

    /// Lets another replica lead at once.
    pub(super) async fn release(self) {
        drop(self.state);
        match self.keeper.await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => {
                tracing::warn!(%error, "the Lease could not be given back; it runs out")
            }
            Err(error) => tracing::warn!(%error, "the keeper of the Lease broke off"),
        }
    }
}

//! Leader election: one replica works while it holds the Lease. Another takes it over when the
//! holder ends or falls silent.

use std::time::Duration;

use kube::Client;
use kube_lease_manager::{LeaseManager, LeaseManagerBuilder, LeaseManagerError};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::error::Chain;

/// Name of the Lease.
pub const LEASE: &str = "switchboard-controller";
/// Seconds without a renewal after which the holder has lost the Lease.
const DURATION: u64 = 15;
/// Seconds before that at which the holder renews: early enough for a second attempt.
const GRACE: u64 = 8;

/// The time-out of one renewal. The next attempt uses another connection before the Lease expires:
/// otherwise this replica would continue beside the next leader.
pub(crate) const ANSWER_WITHIN: Duration = Duration::from_secs(3);

/// The pause after a failed attempt. It is constant: the growing pauses of the library would make a
/// renewal late because of failures from days ago.
const PAUSE: Duration = Duration::from_millis(700);
/// Attempts to read the Lease at the start before the replica gives up.
const MAX_FIRST_ATTEMPTS: u32 = 10;
/// The time-out for giving the Lease back. It expires by itself.
const RELEASE_WITHIN: Duration = Duration::from_secs(5);

/// The Lease is held.
pub(crate) struct Leadership {
    state: watch::Receiver<bool>,
    keeper: JoinHandle<()>,
    over: DropGuard,
}

// === impl Leadership ===

impl Leadership {
    /// Waits until the Lease is held. `None` when `stop` comes first.
    pub(crate) async fn acquire(
        client: Client,
        namespace: &str,
        identity: &str,
        stop: &CancellationToken,
    ) -> Result<Option<Self>, LeaseManagerError> {
        let find = async || {
            LeaseManagerBuilder::new(client.clone(), LEASE)
                .with_namespace(namespace)
                .with_identity(identity)
                .with_field_manager(format!("{}-leader", crate::api::MANAGER))
                .with_duration(DURATION)
                .with_grace(GRACE)
                .build()
                .await
        };
        let mut failures = 0;
        let manager = loop {
            match stop.run_until_cancelled(find()).await {
                None => return Ok(None),
                Some(Ok(manager)) => break manager,
                Some(Err(error)) if failures == MAX_FIRST_ATTEMPTS => return Err(error),
                Some(Err(error)) => {
                    failures += 1;
                    tracing::warn!(error = %Chain(&error), "the Lease could not be read or made; it is tried again");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        };
        tracing::info!(
            namespace,
            identity,
            lease = LEASE,
            "standing by for the Lease"
        );
        let (sender, state) = watch::channel(false);
        let over = CancellationToken::new();
        let keeper = tokio::spawn(keep(manager, sender, over.clone()));
        let mut leadership = Self {
            state,
            keeper,
            over: over.drop_guard(),
        };
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

    /// Waits until the Lease is lost.
    pub(crate) async fn lost(&mut self) {
        // An error means that the task has ended: nobody renews any more.
        let _ = self.state.wait_for(|held| !*held).await;
    }

    /// Lets another replica lead at once.
    pub(crate) async fn release(self) {
        drop(self.over);
        if let Err(error) = self.keeper.await {
            tracing::warn!(error = %Chain(&error), "the keeper of the Lease broke off");
        }
    }
}

/// Takes the Lease, renews it and reports who holds it until `over` is cancelled. Then gives it
/// back.
async fn keep(manager: LeaseManager, held: watch::Sender<bool>, over: CancellationToken) {
    while let Some(changed) = over.run_until_cancelled(manager.changed()).await {
        match changed {
            // The receiver may be gone.
            Ok(now) => drop(held.send(now)),
            Err(error) => {
                tracing::warn!(error = %Chain(&error), "the Lease could not be renewed or taken; it is tried again");
                over.run_until_cancelled(tokio::time::sleep(PAUSE)).await;
            }
        }
    }
    match tokio::time::timeout(RELEASE_WITHIN, manager.release()).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => {
            tracing::warn!(error = %Chain(&error), "the Lease could not be given back; it runs out")
        }
        Err(_) => tracing::warn!("the Lease was not given back in time; it runs out"),
    }
}

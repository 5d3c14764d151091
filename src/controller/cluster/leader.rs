//! Leader election: one replica works while it holds the Lease. Another takes it over when the
//! holder ends or falls silent.

use std::time::Duration;

use futures::StreamExt;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::api::{Patch, PatchParams, PostParams, WatchEvent, WatchParams};
use kube::{Api, Client, ResourceExt};
use kube_lease_manager::{LeaseManager, LeaseManagerBuilder, LeaseManagerError};
use serde_json::json;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::sight::{Sight, holder};
use crate::api::now;
use crate::error::Chain;
use crate::shard::Shard;

/// Name of the Lease of the first shard, and the beginning of the names of the others.
pub const LEASE: &str = "switchboard-controller";
/// Name of the Lease of the shard with this index.
pub fn lease_of(index: u32) -> String {
    match index {
        0 => LEASE.to_owned(),
        index => format!("{LEASE}-{index}"),
    }
}

/// The name under which the Lease is written.
const FIELD_MANAGER: &str = "switchboard-leader";

/// The longest time-out of one renewal. The next attempt uses another connection before the Lease
/// expires: otherwise this replica would continue beside the next leader.
pub(crate) const ANSWER_WITHIN: Duration = Duration::from_secs(3);

/// The pause after a failed attempt. It is constant: the growing pauses of the library would make a
/// renewal late because of failures from days ago.
const PAUSE: Duration = Duration::from_millis(700);
/// Attempts to read the Lease at the start before the replica gives up.
const MAX_FIRST_ATTEMPTS: u32 = 10;
/// The time-out for giving the Lease back. It expires by itself.
const RELEASE_WITHIN: Duration = Duration::from_secs(5);

/// How long one watch for a Lease that is given back lasts.
const WATCH_SECONDS: u32 = 60;

/// How long the Lease lasts, and how often it is renewed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Times {
    /// Seconds without a renewal after which the holder has lost the Lease.
    pub duration: u64,
    /// Seconds after which the holder renews: early enough for a second attempt.
    pub renew: u64,
}

/// Which Lease is wanted, and by whom.
#[derive(Clone, Debug)]
pub(crate) struct Seat {
    /// Namespace of the Lease.
    pub namespace: String,
    /// Name of the replica.
    pub identity: String,
    /// The part of the namespaces that the Lease stands for.
    pub shard: Shard,
    /// How long the Lease lasts.
    pub times: Times,
}

/// The Lease is held.
pub(crate) struct Leadership {
    state: watch::Receiver<bool>,
    keeper: JoinHandle<()>,
    over: DropGuard,
}

// === impl Times ===

impl Times {
    /// The times, if they leave room for two attempts to renew.
    pub(crate) fn new(duration: Duration, renew: Duration) -> Option<Self> {
        let (duration, renew) = (duration.as_secs(), renew.as_secs());
        let is_usable = renew >= 1 && duration <= 3_600 && duration >= renew.saturating_mul(2);
        (is_usable && duration >= renew + 3).then_some(Self { duration, renew })
    }

    /// The time-out of one renewal: two of them fit before the Lease expires.
    pub(crate) fn answer_within(self) -> Duration {
        let room = Duration::from_secs(self.duration - self.renew);
        (room / 2).saturating_sub(PAUSE).min(ANSWER_WITHIN)
    }
}

// === impl Seat ===

impl Seat {
    /// Name of the Lease of a shard. It does not depend on how many there are, so that a shard of
    /// another count waits for the one before.
    pub(crate) fn lease(&self) -> String {
        lease_of(self.shard.index())
    }

    /// The name of the holder in the Lease. It tells how many shards there are.
    pub(crate) fn holder(&self) -> String {
        match self.shard.is_whole() {
            true => self.identity.clone(),
            false => format!("{}@{}", self.identity, self.shard),
        }
    }
}

// === impl Leadership ===

impl Leadership {
    /// Waits until the Lease is held. `None` when `stop` comes first.
    pub(crate) async fn acquire(
        client: Client,
        seat: &Seat,
        stop: &CancellationToken,
    ) -> Result<Option<Self>, LeaseManagerError> {
        let candidate = Candidate {
            client,
            seat: seat.clone(),
        };
        let mut failures = 0;
        let manager = loop {
            match stop.run_until_cancelled(candidate.manager()).await {
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
        let Seat {
            namespace,
            identity,
            ..
        } = seat;
        tracing::info!(
            namespace,
            identity,
            lease = seat.lease(),
            "standing by for the Lease"
        );
        let (sender, state) = watch::channel(false);
        let over = CancellationToken::new();
        let keeper = tokio::spawn(keep(candidate, manager, sender, over.clone()));
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

/// Who wants the Lease.
struct Candidate {
    client: Client,
    seat: Seat,
}

// === impl Candidate ===

impl Candidate {
    async fn manager(&self) -> Result<LeaseManager, LeaseManagerError> {
        let Times { duration, renew } = self.seat.times;
        LeaseManagerBuilder::new(self.client.clone(), self.seat.lease())
            .with_namespace(&self.seat.namespace)
            .with_identity(self.seat.holder())
            .with_field_manager(FIELD_MANAGER)
            .with_duration(duration)
            .with_grace(duration - renew)
            .build()
            .await
    }

    fn leases(&self) -> Api<Lease> {
        Api::namespaced(self.client.clone(), &self.seat.namespace)
    }

    fn holds(&self, lease: &Lease) -> bool {
        holder(lease) == Some(self.seat.holder().as_str())
    }

    /// Waits until this replica holds the Lease: it takes one that was given back or has run out.
    async fn until_held(&self) {
        let mut sight = Sight::default();
        loop {
            match self.watch_until_held(&mut sight).await {
                Ok(true) => return,
                Ok(false) => {}
                Err(error) => {
                    tracing::debug!(error = %Chain(&error), "the Lease cannot be watched or taken; it is tried again");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }

    /// Whether this replica holds the Lease; `false` if that is to be looked at anew.
    async fn watch_until_held(&self, sight: &mut Sight) -> Result<bool, kube::Error> {
        let leases = self.leases();
        let name = self.seat.lease();
        let Some(mut lease) = leases.get_opt(&name).await? else {
            let mut anew = Lease::default();
            anew.metadata.name = Some(name);
            leases.create(&PostParams::default(), &anew).await?;
            return Ok(false);
        };
        let of_ours = WatchParams::default()
            .fields(&format!("metadata.name={name}"))
            .timeout(WATCH_SECONDS);
        let version = lease.resource_version().unwrap_or_default();
        let mut events = std::pin::pin!(leases.watch(&of_ours, &version).await?);
        loop {
            if self.holds(&lease) {
                return Ok(true);
            }
            let left = holder(&lease).and_then(|_| sight.left(&lease, Instant::now(), now()));
            let Some(left) = left else {
                return self.take(&leases, &lease).await;
            };
            match tokio::time::timeout(left, events.next()).await {
                Err(_) => {}
                Ok(Some(event)) => match event? {
                    WatchEvent::Added(newer) | WatchEvent::Modified(newer) => lease = newer,
                    WatchEvent::Error(status) => return Err(kube::Error::Api(status)),
                    WatchEvent::Deleted(_) => return Ok(false),
                    WatchEvent::Bookmark(_) => {}
                },
                Ok(None) => return Ok(false),
            }
        }
    }

    /// Takes the Lease if it still is as it was seen. The library would not look: of several who
    /// see a free Lease each would hold it until its next renewal.
    async fn take(&self, leases: &Api<Lease>, lease: &Lease) -> Result<bool, kube::Error> {
        let spec = lease.spec.as_ref();
        let transitions = spec.and_then(|spec| spec.lease_transitions).unwrap_or(0);
        let taken_at = MicroTime(now());
        let taken = json!({
            "metadata": {"resourceVersion": lease.resource_version()},
            "spec": {
                "holderIdentity": self.seat.holder(),
                "acquireTime": taken_at,
                "renewTime": taken_at,
                "leaseDurationSeconds": self.seat.times.duration,
                "leaseTransitions": transitions.saturating_add(1)
            }
        });
        let by_us = PatchParams {
            field_manager: Some(FIELD_MANAGER.into()),
            ..PatchParams::default()
        };
        let taken = Patch::Merge(taken);
        match leases.patch(&self.seat.lease(), &by_us, &taken).await {
            Ok(_) => Ok(true),
            Err(kube::Error::Api(status)) if status.code == 409 => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Gives back the Lease if this replica holds it. The library would also give back that of
    /// another one which has run out by the clock of this node.
    async fn give_back(&self, manager: &LeaseManager) -> Result<(), LeaseManagerError> {
        match self.leases().get(&self.seat.lease()).await {
            Ok(lease) if !self.holds(&lease) => Ok(()),
            _ => manager.release().await,
        }
    }
}

/// Takes the Lease, renews it and reports who holds it until `over` is cancelled. Then gives it
/// back.
async fn keep(
    candidate: Candidate,
    mut manager: LeaseManager,
    held: watch::Sender<bool>,
    over: CancellationToken,
) {
    loop {
        let is_held = *held.borrow();
        let changed = async {
            if !is_held {
                candidate.until_held().await;
                // A new manager looks at the Lease at once.
                manager = candidate.manager().await?;
            }
            manager.changed().await
        };
        match over.run_until_cancelled(changed).await {
            None => break,
            // The receiver may be gone.
            Some(Ok(now)) => drop(held.send(now)),
            Some(Err(error)) => {
                tracing::warn!(error = %Chain(&error), "the Lease could not be renewed or taken; it is tried again");
                over.run_until_cancelled(tokio::time::sleep(PAUSE)).await;
            }
        }
    }
    match tokio::time::timeout(RELEASE_WITHIN, candidate.give_back(&manager)).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => {
            tracing::warn!(error = %Chain(&error), "the Lease could not be given back; it runs out")
        }
        Err(_) => tracing::warn!("the Lease was not given back in time; it runs out"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_attempts_to_renew_fit_before_the_lease_expires() {
        let times =
            |duration, renew| Times::new(Duration::from_secs(duration), Duration::from_secs(renew));
        for (duration, renew) in [(15, 7), (6, 2), (5, 2), (60, 20)] {
            let usable = times(duration, renew).unwrap();
            let two = usable.answer_within() * 2 + PAUSE;
            assert!(two <= Duration::from_secs(duration - renew), "{usable:?}");
            assert!(usable.answer_within() >= Duration::from_millis(500));
        }
        for (duration, renew) in [(15, 8), (4, 2), (0, 0), (2, 1), (90_000, 1)] {
            assert_eq!(times(duration, renew), None, "{duration} {renew}");
        }
    }
}

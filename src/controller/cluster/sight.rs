//! Who holds a Lease, and whether it has run out, as seen from here. The clocks of two nodes
//! differ, so it has when nobody changes it for as long as it lasts.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::coordination::v1::Lease;
use kube::ResourceExt;
use tokio::time::Instant;

/// By how much the clocks of two nodes may differ. A Lease that ran out longer ago is over at once.
const SKEW: SignedDuration = SignedDuration::from_secs(60);

/// Since when a Lease is as it is.
#[derive(Debug, Default)]
pub(super) struct Sight {
    /// Its version, and when it was seen first.
    seen: Option<(Option<String>, Instant)>,
}

// === impl Sight ===

impl Sight {
    /// For how long the Lease, which is so at the monotonic time `now`, lasts if nobody changes it;
    /// `None` if it has run out. `clock` is that of this node.
    pub(super) fn left(
        &mut self,
        lease: &Lease,
        now: Instant,
        clock: Timestamp,
    ) -> Option<Duration> {
        let version = lease.resource_version();
        let since = match &self.seen {
            Some((seen, since)) if *seen == version => *since,
            _ => now,
        };
        self.seen = Some((version, since));
        let spec = lease.spec.as_ref();
        let lasts = spec
            .and_then(|spec| spec.lease_duration_seconds)
            .and_then(|seconds| u64::try_from(seconds).ok())
            .map_or(Duration::ZERO, Duration::from_secs);
        let renewed = spec.and_then(|spec| spec.renew_time.as_ref());
        let is_long_over = renewed.is_some_and(|renewed| {
            let age = clock.duration_since(renewed.0).saturating_sub(SKEW);
            Duration::try_from(age).is_ok_and(|age| age > lasts)
        });
        let left = lasts.checked_sub(now.saturating_duration_since(since))?;
        (!is_long_over && !left.is_zero()).then_some(left)
    }
}

/// Who holds a Lease; `None` if it is free.
pub(super) fn holder(lease: &Lease) -> Option<&str> {
    let holder = lease.spec.as_ref()?.holder_identity.as_deref()?;
    (!holder.is_empty()).then_some(holder)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn lease(version: &str, renewed: &str) -> Lease {
        serde_json::from_value(json!({
            "metadata": {"name": "switchboard-controller", "resourceVersion": version},
            "spec": {"holderIdentity": "a", "leaseDurationSeconds": 15, "renewTime": renewed}
        }))
        .unwrap()
    }

    fn left(sight: &mut Sight, lease: &Lease, now: Instant) -> Option<Duration> {
        sight.left(lease, now, "2026-11-30T08:00:00Z".parse().unwrap())
    }

    #[test]
    fn a_lease_is_over_when_nobody_renews_it_for_as_long_as_it_lasts_whatever_the_clocks_say() {
        let start = Instant::now();
        // The clock of its holder is an hour ahead, or half a minute behind.
        for renewed in ["2026-11-30T09:00:00.000000Z", "2026-11-30T07:59:30.000000Z"] {
            let lease = |version| lease(version, renewed);
            let mut sight = Sight::default();
            for (version, second, lasts) in [
                ("1", 0, Some(15)),
                ("1", 14, Some(1)),
                ("2", 14, Some(15)),
                ("2", 28, Some(1)),
                ("2", 29, None),
            ] {
                let left = left(&mut sight, &lease(version), start + second * SECOND);
                assert_eq!(
                    left,
                    lasts.map(|lasts| lasts * SECOND),
                    "{version} {second}"
                );
            }
        }
    }

    #[test]
    fn a_lease_that_ran_out_long_ago_costs_no_time() {
        let start = Instant::now();
        let old = lease("1", "2026-11-30T07:00:00.000000Z");
        assert_eq!(left(&mut Sight::default(), &old, start), None);
        let lately = lease("1", "2026-11-30T07:59:00.000000Z");
        assert!(left(&mut Sight::default(), &lately, start).is_some());
    }
}

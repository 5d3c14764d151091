//! Whether a Lease has run out, as seen from here. The clocks of two nodes differ, so it has when
//! nobody changes it for as long as it lasts.

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
    /// Sees the Lease as it is now.
    pub(super) fn look(&mut self, lease: &Lease, now: Instant) {
        let version = lease.resource_version();
        if self.seen.as_ref().is_none_or(|(seen, _)| *seen != version) {
            self.seen = Some((version, now));
        }
    }

    /// For how long the Lease lasts if nobody changes it, by the monotonic time `now` and the clock
    /// of this node; `None` if it has run out.
    pub(super) fn left(&self, lease: &Lease, now: Instant, clock: Timestamp) -> Option<Duration> {
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
        let since = self.seen.as_ref().map_or(now, |(_, since)| *since);
        let left = lasts.checked_sub(now.saturating_duration_since(since))?;
        (!is_long_over && !left.is_zero()).then_some(left)
    }
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
        sight.look(lease, now);
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

//! How many shards there are: no controller begins to work while one may still work that divides
//! the namespaces into another number of shards (docs/adr/0050).
//!
//! Each controller first takes the Lease of its shard, and then reads all Leases. Of two with
//! another count at least one reads last, sees the Lease of the other one, and waits.

use std::collections::HashMap;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::Lease;
use kube::api::ListParams;
use kube::{Api, Client, ResourceExt};
use tokio::time::Instant;
use tracing::{info, warn};

use super::leader::{LEASE, Seat};
use super::sight::{Sight, holder};
use crate::api::now;
use crate::error::Chain;
use crate::shard::Shard;

/// The pause between two looks at the Leases.
const PAUSE: Duration = Duration::from_millis(700);

/// The Leases of other counts that have been seen.
#[derive(Debug, Default)]
struct Layout(HashMap<String, Sight>);

/// A Lease of a controller with another number of shards.
#[derive(Debug, PartialEq, Eq)]
struct Rival {
    lease: String,
    holder: String,
}

/// Waits until no controller with another number of shards may work. The own Lease is held
/// meanwhile.
pub(crate) async fn alone(client: Client, seat: &Seat) {
    let leases = Api::<Lease>::namespaced(client, &seat.namespace);
    let mut layout = Layout::default();
    let mut told = false;
    loop {
        // Without a version in the request the API server answers with what is true now.
        let rival = match leases.list(&ListParams::default()).await {
            Ok(list) => layout.rival(&list.items, seat.shard, Instant::now(), now()),
            Err(kube::Error::Api(status)) if status.code == 403 && seat.shard.is_whole() => {
                // Roles of before there were shards. There are none then, most probably.
                warn!(
                    namespace = seat.namespace,
                    "the role does not allow to list leases, so it is not known whether shards of this controller still work; add the verb list"
                );
                return;
            }
            Err(error) => {
                if !told {
                    warn!(error = %Chain(&error), namespace = seat.namespace, "the Leases of other shards could not be read; it is tried again");
                }
                told = true;
                tokio::time::sleep(PAUSE).await;
                continue;
            }
        };
        let Some(Rival { lease, holder }) = rival else {
            return;
        };
        if !told {
            info!(
                lease,
                holder,
                shard = %seat.shard,
                "a controller with another number of shards may still work; this one waits for its Lease"
            );
        }
        told = true;
        tokio::time::sleep(PAUSE).await;
    }
}

// === impl Layout ===

impl Layout {
    /// A Lease of another count that may be held, if there is one.
    fn rival(
        &mut self,
        leases: &[Lease],
        shard: Shard,
        now: Instant,
        clock: Timestamp,
    ) -> Option<Rival> {
        let mut rival = None;
        for lease in leases {
            let name = lease.name_any();
            let Some(holder) = holder(lease).filter(|_| is_ours(&name)) else {
                continue;
            };
            if count(holder) == shard.count() || self.is_over(lease, &name, now, clock) {
                continue;
            }
            rival.get_or_insert(Rival {
                holder: holder.to_owned(),
                lease: name,
            });
        }
        rival
    }

    /// Whether the Lease has run out, as seen from here.
    fn is_over(&mut self, lease: &Lease, name: &str, now: Instant, clock: Timestamp) -> bool {
        let sight = self.0.entry(name.to_owned()).or_default();
        sight.left(lease, now, clock).is_none()
    }
}

/// Whether a Lease of this name is one of a controller.
fn is_ours(name: &str) -> bool {
    name.strip_prefix(LEASE).is_some_and(|rest| {
        let index = rest.strip_prefix('-').unwrap_or(rest);
        rest.is_empty() || index.bytes().all(|byte| byte.is_ascii_digit())
    })
}

/// How many shards there are for this holder. One that tells none has all namespaces.
fn count(holder: &str) -> u32 {
    let shard = holder.rsplit_once('@').map(|(_, shard)| shard);
    let shard = shard.and_then(|shard| shard.parse::<Shard>().ok());
    shard.unwrap_or_default().count()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const CLOCK: &str = "2026-11-30T08:00:00Z";

    fn lease(name: &str, holder: &str, version: &str, renewed: &str) -> Lease {
        serde_json::from_value(json!({
            "metadata": {"name": name, "resourceVersion": version},
            "spec": {"holderIdentity": holder, "leaseDurationSeconds": 15, "renewTime": renewed}
        }))
        .unwrap()
    }

    fn rival(layout: &mut Layout, leases: &[Lease], shard: &str, now: Instant) -> Option<String> {
        let clock = CLOCK.parse().unwrap();
        let rival = layout.rival(leases, shard.parse().unwrap(), now, clock);
        rival.map(|rival| rival.lease)
    }

    #[test]
    fn a_shard_waits_for_those_of_another_count_and_for_no_other_lease() {
        let renewed = "2026-11-30T07:59:59.000000Z";
        let of = |name: &str, holder: &str| [lease(name, holder, "1", renewed)];
        let start = Instant::now();
        for (name, holder, shard, waits) in [
            ("switchboard-controller", "a", "0/1", false),
            ("switchboard-controller", "a", "0/2", true),
            ("switchboard-controller", "a", "1/2", true),
            ("switchboard-controller", "a@0/2", "1/2", false),
            ("switchboard-controller-1", "b@1/2", "0/1", true),
            ("switchboard-controller-1", "b@1/2", "0/3", true),
            ("switchboard-controller-1", "b@1/3", "0/3", false),
            ("switchboard-controller-1", "", "0/3", false),
            ("switchboard-controller-other", "x", "0/3", false),
            ("another", "x", "0/3", false),
        ] {
            let found = rival(&mut Layout::default(), &of(name, holder), shard, start);
            assert_eq!(found.is_some(), waits, "{name} {holder} {shard}");
        }
    }
}

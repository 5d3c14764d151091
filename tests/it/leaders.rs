//! Tests with several controllers and one Lease: the leader may change, but Salesforce receives the
//! same requests.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use switchboard_testbed::{Process, wait_for};

use crate::credentials::sharing;
use crate::stage::{SOON, Stage};
use crate::throttled;
use crate::world::{self, PASSWORD, TOKEN, USER};

/// What a controller says when it begins to lead.
const LEADS: &str = "this replica leads";

/// Starts a controller that takes part in the election.
pub(crate) async fn candidate(stage: &Stage, name: &str) -> Process {
    candidate_with(stage, name, &[]).await
}

async fn candidate_with(stage: &Stage, name: &str, flags: &[&str]) -> Process {
    let lease = format!("--lease-namespace={}", stage.ns());
    let identity = format!("--identity={name}");
    let of_all = ["--leader-elect", &lease, &identity];
    stage
        .another_controller(name, &[&of_all, flags].concat())
        .await
}

/// Waits until this controller leads.
pub(crate) async fn leads(controller: &Process) {
    controller.wait_for_text(LEADS, SOON).await.unwrap();
}

/// A field of the Lease, as a path of kubectl's.
async fn in_lease(stage: &Stage, path: &str) -> String {
    let path = format!("jsonpath={{{path}}}");
    let get = ["get", "lease", "switchboard-controller", "-o", &path];
    stage.kubectl(&get).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_leader_in_order_or_by_force_adds_no_log_in() {
    let stage = Stage::set("leaders", world::acme()).await;
    let first = candidate(&stage, "first").await;
    leads(&first).await;
    let second = candidate(&stage, "second").await;
    stage
        .apply(&stage.secret("shared", "not-the-password", TOKEN))
        .await;
    stage.apply(&sharing(&stage, 20)).await;
    stage.all("False", "InvalidLogin", SOON).await;
    stage.apply(&stage.secret("acme", PASSWORD, TOKEN)).await;
    stage.apply(&stage.integration("acme")).await;
    stage.ready("acme").await;
    let logins = stage.simulator.counters().logins.len();
    assert!(logins <= 3, "{logins}");

    // Orderly end: the Lease is released, and the other controller takes over at once.
    assert_eq!(first.terminate(SOON).await.unwrap(), 0, "{}", first.text());
    leads(&second).await;
    let third = candidate(&stage, "third").await;
    for name in ["tenant-0", "tenant-19"] {
        stage.look(name, "second").await;
    }
    // Kill: the Lease expires.
    second.kill().await.unwrap();
    leads(&third).await;
    for name in ["tenant-0", "tenant-19"] {
        stage.look(name, "third").await;
    }
    assert_eq!(stage.simulator.counters().logins.len(), logins);
    assert!(!stage.simulator.is_locked(USER));

    // The new leader continues the work of the old one.
    stage.apply(&stage.secret("shared", PASSWORD, TOKEN)).await;
    stage.all("True", "Ready", SOON).await;
    // "acme" has the same credential. Its session belonged to the old leader, so it is tested after
    // its interval.
    assert_eq!(stage.simulator.counters().logins.len(), logins + 1);
    assert_eq!(third.terminate(SOON).await.unwrap(), 0, "{}", third.text());
    wait_for("the Lease to be given back", SOON, async || {
        let lease = in_lease(&stage, ".spec.holderIdentity").await;
        if lease.is_empty() { Ok(()) } else { Err(lease) }
    })
    .await;
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_who_stand_by_one_takes_over_and_the_others_go_on_to_wait() {
    let (stage, gateway) = throttled::stage("standing-by", 1).await;
    // Who stands by sees a free Lease before anybody has taken it, and the writes of all of them
    // come in some order.
    let writes = AtomicU64::new(0);
    gateway.rule(move |asked| {
        let writes = writes.fetch_add(1, Ordering::Relaxed);
        async move {
            if asked.path.contains("/leases/") && asked.method == "PATCH" {
                tokio::time::sleep(Duration::from_millis(100 + writes * 370 % 800)).await;
            }
            None
        }
    });
    let mut replicas = vec![];
    for at in 0..6 {
        let times = ["--lease-duration=8s", "--lease-renew=2s"];
        replicas.push(candidate_with(&stage, &format!("replica-{at}"), &times).await);
    }
    for is_killed in [false, true, false, false] {
        let leader = wait_for("a replica to lead", SOON, async || {
            let leader = replicas.iter().position(is_leader);
            leader.ok_or("none")
        })
        .await;
        // Whoever wrongly believes that it leads hears of it with its next renewal, and ends.
        let renewed = async || in_lease(&stage, ".spec.renewTime").await;
        for _ in 0..3 {
            let before = renewed().await;
            wait_for("the Lease to be renewed", SOON, async || {
                let now = renewed().await;
                if now == before { Err(now) } else { Ok(()) }
            })
            .await;
        }
        let leading = replicas.iter().filter(|replica| is_leader(replica)).count();
        let ended: Vec<_> = replicas.iter().filter_map(Process::exit_code).collect();
        assert_eq!((leading, ended), (1, vec![]));
        let leader = replicas.remove(leader);
        match is_killed {
            true => leader.kill().await.unwrap(),
            false => assert_eq!(leader.terminate(SOON).await.unwrap(), 0),
        }
    }
    stage.end().await;
}

fn is_leader(replica: &Process) -> bool {
    replica.text().contains(LEADS)
}

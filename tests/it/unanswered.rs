//! Tests of an API server that disappears silently, as behind a load balancer whose node was lost:
//! requests get no answer, and client connections stay open.

use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::gateway::{begun, gone};
use crate::leaders::{candidate, leads};
use crate::outage::tenants;
use crate::stage::SOON;
use crate::throttled;

/// Time limit for the controller, which gives up on an unanswered request after 75 seconds.
const IN_TIME: Duration = Duration::from_secs(180);

#[tokio::test(flavor = "multi_thread")]
async fn what_is_never_answered_is_given_up_and_asked_again() {
    let (mut stage, gateway) = throttled::stage("unanswered", 2).await;
    stage.start_controller().await;
    let lost: Arc<Mutex<HashSet<&str>>> = Arc::default();
    let losing = lost.clone();
    gateway.rule(move |asked| {
        let paths = ["/secrets/tenant-0-salesforce", "/tenant-1/status"];
        let path = paths.into_iter().find(|path| asked.path.ends_with(path));
        let loses = path.is_some_and(|path| losing.lock().unwrap().insert(path));
        async move {
            if loses {
                std::future::pending::<()>().await;
            }
            None
        }
    });
    stage.apply(&tenants(&stage, 2)).await;
    for name in ["tenant-0", "tenant-1"] {
        stage.ready_within(IN_TIME, name).await;
    }
    assert_eq!(lost.lock().unwrap().len(), 2);
    assert_eq!(stage.simulator.counters().logins.len(), 2);
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_that_never_comes_to_its_end_is_read_again() {
    let (mut stage, gateway) = throttled::stage("unfinished", 1).await;
    stage.start_controller().await;
    let lists = Arc::new(AtomicUsize::new(0));
    let counted = lists.clone();
    gateway.rule(move |asked| {
        let concerned = asked.path.ends_with("/salesforceintegrations");
        // The watch history is gone, so the list is read again. The first list stops after its
        // beginning.
        let expired = concerned && asked.resumes_watch && counted.load(Ordering::Relaxed) == 0;
        let listed = concerned && !asked.resumes_watch;
        let first = listed && counted.fetch_add(1, Ordering::Relaxed) == 0;
        async move { expired.then(gone).or_else(|| first.then(begun)) }
    });
    gateway.cut();
    stage.apply(&tenants(&stage, 1)).await;
    stage.ready_within(IN_TIME, "tenant-0").await;
    assert_eq!(lists.load(Ordering::Relaxed), 2);
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_whose_lease_is_never_answered_ends_when_another_leads() {
    let (mut stage, gateway) = throttled::stage("partitioned", 1).await;
    let first = candidate(&stage, "first").await;
    leads(&first).await;
    gateway.rule(|asked| async move {
        if asked.path.contains("/leases/") && asked.method != "GET" {
            std::future::pending::<()>().await;
        }
        None
    });
    stage.kubeconfig = stage.rights().kubeconfig().to_owned();
    let second = candidate(&stage, "second").await;
    leads(&second).await;
    let ended = first.wait(SOON).await.unwrap();
    assert_ne!(ended, 0, "it starts afresh: {}", first.text());
    assert!(first.text().contains("another replica leads"));
    assert_eq!(second.terminate(SOON).await.unwrap(), 0);
    stage.end().await;
}

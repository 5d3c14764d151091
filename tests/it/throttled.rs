//! Tests with an API server under flow control, conflicting edits, and a watch that resumes too
//! late: nothing is done twice, and nothing is lost.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use kube::Api;
use kube::api::{Patch, PatchParams};
use serde_json::json;
use switchboard::api::SalesforceIntegration;
use switchboard_testbed::wait_for;

use crate::gateway::{Gateway, gone, too_many_requests};
use crate::outage::{tenants, world};
use crate::stage::{SOON, Stage};

const TENANTS: usize = 10;

/// A stage whose controllers connect through a gateway, which starts before them.
pub(crate) async fn stage(prefix: &str, tenants: usize) -> (Stage, Gateway) {
    let mut stage = Stage::set(prefix, world(tenants)).await;
    let controller = stage
        .control_plane
        .client_for_service_account(stage.ns(), "switchboard-controller")
        .await
        .unwrap();
    let gateway = Gateway::start(controller, stage.ns(), &stage.path("")).await;
    stage.kubeconfig = gateway.kubeconfig().to_owned();
    (stage, gateway)
}

#[tokio::test(flavor = "multi_thread")]
async fn flow_control_and_edits_in_between_cost_time_and_no_request_to_salesforce() {
    let (mut stage, gateway) = stage("throttled", TENANTS).await;
    stage.start_controller().await;
    let refused = Arc::new(AtomicUsize::new(0));
    let edited: Arc<Mutex<HashMap<String, usize>>> = Arc::default();
    let (client, refusals, edits) = (stage.client.clone(), refused.clone(), edited.clone());
    let namespace = stage.ns().to_owned();
    gateway.rule(move |asked| {
        let (refusals, edits) = (refusals.clone(), edits.clone());
        let api = Api::<SalesforceIntegration>::namespaced(client.clone(), &namespace);
        async move {
            if asked.method == "GET" {
                return None;
            }
            // At the start, every second write gets a 429.
            let count = refusals.fetch_add(1, Ordering::Relaxed);
            if count < 4 * TENANTS && count % 2 == 1 {
                return Some(too_many_requests());
            }
            // Somebody else edits each integration just before its first status writes, so the real
            // server returns a conflict.
            let name = asked
                .path
                .strip_suffix("/status")
                .and_then(|path| path.rsplit('/').next())?
                .to_owned();
            let edit = {
                let mut edits = edits.lock().unwrap();
                let count = edits.entry(name.clone()).or_default();
                *count += 1;
                *count
            };
            if edit <= 2 {
                let patch =
                    json!({"metadata": {"annotations": {"example.com/edit": edit.to_string()}}});
                api.patch(&name, &PatchParams::default(), &Patch::Merge(patch))
                    .await
                    .unwrap();
            }
            None
        }
    });
    stage.apply(&tenants(&stage, TENANTS)).await;
    stage.all("True", "Ready", SOON).await;
    assert!(refused.load(Ordering::Relaxed) >= 4 * TENANTS);
    assert!(edited.lock().unwrap().values().all(|edits| *edits >= 2));
    let counters = stage.simulator.counters();
    assert_eq!(counters.logins.len(), TENANTS);
    let calls: Vec<u64> = counters.api_calls_by_user.values().copied().collect();
    assert_eq!(calls, [3; TENANTS], "no proof was lost and made again");
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_deleted_while_no_watch_came_through_is_gone_for_those_it_stood_in_the_way_of() {
    let (mut stage, gateway) = stage("relisted", 2).await;
    stage.start_controller().await;
    let manifest = |name: &str| {
        let mut manifest = stage.integration(name);
        manifest["spec"]["companyId"] = "claimed".into();
        manifest
    };
    let secret = |name: &str| stage.secret(name, crate::world::PASSWORD, crate::world::TOKEN);
    stage.apply(&secret("tenant-0")).await;
    stage.apply(&manifest("tenant-0")).await;
    let older = stage.ready("tenant-0").await;
    // Two integrations that are created within one second have a random order.
    let created: jiff::Timestamp =
        serde_json::from_value(older["metadata"]["creationTimestamp"].clone()).unwrap();
    wait_for("the second to be over", SOON, async || {
        (jiff::Timestamp::now().as_second() > created.as_second()).then_some(())
    })
    .await;
    // The Secret is created last, so that its position in a repeated list is no change.
    stage.apply(&manifest("tenant-1")).await;
    stage
        .condition("tenant-1", "Ready", "False", "SecretNotFound")
        .await;
    stage.apply(&secret("tenant-1")).await;
    stage
        .condition("tenant-1", "Ready", "False", "CompanyIdTaken")
        .await;

    gateway.rule(|_| async { Some(too_many_requests()) });
    gateway.cut();
    stage
        .integrations()
        .delete("tenant-0", &Default::default())
        .await
        .unwrap();
    // The history that the watches need is gone, so each list is read again.
    let expired: Arc<Mutex<HashSet<String>>> = Arc::default();
    let lists = expired.clone();
    gateway.rule(move |asked| {
        let expire = asked.resumes_watch && lists.lock().unwrap().insert(asked.path);
        async move { expire.then(gone) }
    });
    stage.ready("tenant-1").await;
    let expired = expired.lock().unwrap().clone();
    assert!(
        expired
            .iter()
            .any(|path| path.ends_with("/salesforceintegrations")),
        "{expired:?}"
    );
    stage.end().await;
}

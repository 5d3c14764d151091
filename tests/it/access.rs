//! Tests that the chart's roles are sufficient and minimal: the controller uses each right in the
//! life of an integration, and none of its requests is refused.

use k8s_openapi::api::batch::v1::{CronJob, Job};
use k8s_openapi::api::core::v1::{Pod, Secret};
use kube::Api;
use kube::api::ListParams;
use salesforce_simulator::Fault;
use serde_json::json;
use switchboard::api::RUN_REQUESTED_AT;
use switchboard_testbed::{wait_for, wait_for_object};

use crate::bed;
use crate::injector::Injector;
use crate::leaders::{candidate, leads};
use crate::rights::{Scope, cluster_wide};
use crate::stage::{NEXT_MINUTES, SOON, Stage, condition, names};
use crate::world::{self, PASSWORD, TOKEN};

/// Runs through the life of an integration, from creation to deletion.
async fn whole_life(stage: &Stage) {
    let controller = candidate(stage, "only").await;
    leads(&controller).await;
    // The change comes during the test of the connection, so the status is written over a newer
    // version.
    stage.simulator.fault(Fault::delay(3_000).once());
    stage.apply(&stage.secret("acme", PASSWORD, TOKEN)).await;
    let mut manifest = stage.integration("acme");
    manifest["spec"]["deletionPolicy"] = "Erase".into();
    stage.apply(&manifest).await;
    wait_for("the proof to hang", SOON, async || {
        match stage.simulator.counters().faults {
            0 => Err("no fault struck"),
            _ => Ok(()),
        }
    })
    .await;
    stage.annotate("acme", "example.com/note", "touched").await;
    stage.ready("acme").await;
    stage.run_now("acme", "now").await;

    let edit = r#"[{"op":"remove","path":"/data/worker"}]"#;
    let patch = ["patch", "secret/acme-directory", "--type=json", "-p", edit];
    stage.kubectl(&patch).await;
    let secrets: Api<Secret> = Api::namespaced(stage.client.clone(), stage.ns());
    wait_for_object(&secrets, "acme-directory", "to be mended", SOON, |object| {
        object?.pointer("/data/worker").map(drop)
    })
    .await;
    // Another container goes on after the worker.
    let injector = Injector::start(stage).await;
    let outlived = stage.run_now("acme", "with a sidecar").await;
    injector.end(stage).await;

    let cron_jobs: Api<CronJob> = Api::namespaced(stage.client.clone(), stage.ns());
    stage
        .kubectl(&[
            "patch",
            "cronjob/acme-sync",
            "--type=merge",
            "-p",
            r#"{"spec":{"suspend":true}}"#,
        ])
        .await;
    wait_for_object(&cron_jobs, "acme-sync", "to be put right", SOON, |object| {
        (object?.pointer("/spec/suspend")? == false).then_some(())
    })
    .await;
    let none = ["create", "quota", "none", "--hard=pods=0"];
    stage.kubectl(&none).await;
    stage.annotate("acme", RUN_REQUESTED_AT, "no pod").await;
    stage
        .until("acme", "the quota to be told", SOON, |object| {
            let synced = condition(object, "Synced")?["message"].as_str()?;
            synced.contains("exceeded quota: none").then_some(())
        })
        .await;
    stage
        .kubectl(&[
            "patch",
            "sfi/acme",
            "--type=merge",
            "-p",
            r#"{"spec":{"contacts":{"retrieval":"Disabled"}}}"#,
        ])
        .await;
    wait_for_object(&cron_jobs, "acme-sync", "to be gone", SOON, |object| {
        object.is_none().then_some(())
    })
    .await;
    wait_for("the Job with the sidecar to go", NEXT_MINUTES, async || {
        let jobs = names::<Job>(&stage.client, stage.ns()).await;
        let gone = !jobs.iter().any(|job| outlived["job"] == job.as_str());
        gone.then_some(()).ok_or(format!("{jobs:?}"))
    })
    .await;
    // Its data goes with it.
    stage.kubectl(&["delete", "sfi", "acme", "--wait"]).await;
    assert_eq!(
        controller.terminate(SOON).await.unwrap(),
        0,
        "{}",
        controller.text()
    );
}

async fn every_right_is_used(stage: &Stage) {
    wait_for("every right to be used", SOON, async || {
        let unused = stage.rights().unused(stage.control_plane).await;
        if unused.is_empty() {
            Ok(())
        } else {
            Err(unused.join("\n"))
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn within_a_namespace_each_right_is_needed_and_none_is_missing() {
    let stage = Stage::set("rights", world::acme()).await;
    whole_life(&stage).await;
    every_right_is_used(&stage).await;
    let wide = cluster_wide(stage.control_plane, stage.ns()).await;
    assert!(wide.is_empty(), "{wide:?}");
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn for_the_cluster_each_right_is_needed_and_none_is_missing() {
    let control_plane = bed::own_control_plane().await;
    let stage = Stage::set_for(Scope::Cluster, control_plane, "rights", world::acme()).await;
    whole_life(&stage).await;
    every_right_is_used(&stage).await;
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_has_no_token_and_asks_the_api_server_for_nothing() {
    let stage = Stage::start("no-token", world::acme()).await;
    let mark = stage.control_plane.audit_mark().unwrap();
    stage.apply(&stage.secret("acme", PASSWORD, TOKEN)).await;
    stage.apply(&stage.integration("acme")).await;
    stage.ready("acme").await;
    stage.run_now("acme", "now").await;
    let pods: Api<Pod> = Api::namespaced(stage.client.clone(), stage.ns());
    let pods = pods.list(&ListParams::default()).await.unwrap();
    assert_eq!(pods.items.len(), 1);
    let spec = serde_json::to_value(&pods.items[0].spec).unwrap();
    assert_eq!(spec["automountServiceAccountToken"], false);
    let volumes = spec["volumes"].as_array().unwrap();
    let names: Vec<&str> = volumes
        .iter()
        .filter_map(|volume| volume["name"].as_str())
        .collect();
    assert_eq!(names, ["credentials", "directory"]);
    let account = format!("system:serviceaccount:{}:default", stage.ns());
    let asked = stage.control_plane.audit_of(&account, mark).unwrap();
    assert!(asked.is_empty(), "{asked:?}");
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_namespace_is_told_of_and_stops_no_other() {
    let stage = Stage::set("here", world::acme()).await;
    let absent = format!("{}-absent", stage.ns());
    let flag = format!("--watch-namespaces={absent}");
    let controller = stage.another_controller("controller", &[&flag]).await;
    let told = controller
        .wait_for_text("cannot be watched", SOON)
        .await
        .unwrap();
    let told: serde_json::Value = serde_json::from_str(&told).unwrap();
    assert_eq!(told["namespace"], absent.as_str(), "{told}");
    assert_eq!(told["level"], "ERROR", "{told}");
    stage.apply(&stage.secret("acme", PASSWORD, TOKEN)).await;
    stage.apply(&stage.integration("acme")).await;
    stage.ready("acme").await;

    // The namespace is created now, with the chart's Role in it.
    stage
        .apply(&json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": absent}}))
        .await;
    stage
        .rights()
        .reach_into(stage.control_plane, &absent)
        .await;
    controller
        .wait_for_text("is watched again", SOON)
        .await
        .unwrap();
    let mut birch = bed::integration(&absent, "birch");
    birch["spec"]["salesforce"]["loginUrl"] = stage.login_url().into();
    stage.apply(&birch).await;
    let wait = [
        "wait",
        "sfi/birch",
        "-n",
        &absent,
        "--timeout=60s",
        "--for=jsonpath={.status.conditions[?(@.type==\"Ready\")].reason}=SecretNotFound",
    ];
    stage
        .control_plane
        .kubectl(wait)
        .await
        .unwrap()
        .expect_success();
    let errors = controller.text().matches("cannot be watched").count();
    assert_eq!(errors, 1, "told once:\n{}", controller.text());

    assert_eq!(controller.terminate(SOON).await.unwrap(), 0);
    stage.rights().refused_only_in(&absent, stage.control_plane);
    stage
        .kubectl(&["delete", "namespace", &absent, "--wait=false"])
        .await;
    stage.clear().await;
}

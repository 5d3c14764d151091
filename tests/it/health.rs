//! Tests that Argo CD's script and Flux's expressions read a live integration right, in each state
//! that it can have. `UPDATE_GENERATED=1` keeps the resources for the tests without a cluster
//! (`tests/chart/health`).

use kube::api::{DeleteParams, Patch, PatchParams};
use serde_json::{Value, json};
use switchboard_testbed::{Select, argo_health, repository};

use crate::kstatus::{Kstatus, kstatus};
use crate::stage::{SOON, Stage};
use crate::world::{self, PASSWORD, TOKEN};

/// Reads the resource as Argo CD and kstatus do, and keeps it.
async fn reads(state: &str, object: &Value, wanted: &str, by_kstatus: Kstatus) {
    let script = repository().join("charts/switchboard/files/argocd-health.lua");
    let (status, message) = argo_health(&script, object).await.unwrap();
    assert_eq!(status, wanted, "{state}: {message}: {object}");
    assert!(!message.is_empty(), "{state}");
    assert_eq!(kstatus(object), by_kstatus, "{state}: {object}");
    if std::env::var_os("UPDATE_GENERATED").is_some() {
        let file = format!("tests/chart/health/{wanted}-{state}.json");
        let mut kept = object.clone();
        if let Some(metadata) = kept["metadata"].as_object_mut() {
            metadata.remove("managedFields");
        }
        let text = serde_json::to_string_pretty(&kept).unwrap() + "\n";
        std::fs::write(repository().join(file), text).unwrap();
    }
}

async fn spec(stage: &Stage, spec: Value) {
    let patch = Patch::Merge(json!({"spec": spec}));
    let integrations = stage.integrations();
    integrations
        .patch("acme", &PatchParams::default(), &patch)
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn argo_cd_and_kstatus_read_every_state_of_an_integration() {
    let mut stage = Stage::set("health", world::acme()).await;
    stage.apply(&stage.secret("acme", "wrong", TOKEN)).await;
    stage.apply(&stage.integration("acme")).await;
    let object = stage.get("acme").await;
    reads("new", &object, "Progressing", Kstatus::InProgress).await;

    stage.start_controller().await;
    stage
        .condition("acme", "Ready", "False", "InvalidLogin")
        .await;
    let object = stage.get("acme").await;
    reads("stalled", &object, "Degraded", Kstatus::Failed).await;

    stage.apply(&stage.secret("acme", PASSWORD, TOKEN)).await;
    let object = stage.ready("acme").await;
    reads("ready", &object, "Healthy", Kstatus::Current).await;

    let silence = stage.runner.replace_message(Select::all(), "");
    let run = stage.run_now("acme", "to say nothing").await;
    assert_eq!(run["outcome"], "ReportMissing", "{run}");
    stage.condition("acme", "Ready", "False", "RunFailed").await;
    let object = stage.get("acme").await;
    reads("failed-run", &object, "Degraded", Kstatus::InProgress).await;
    silence.release();

    spec(&stage, json!({"suspend": true})).await;
    let suspended = |object: &Value| {
        let observed = &object["status"]["observedGeneration"];
        (observed == &object["metadata"]["generation"]).then(|| object.clone())
    };
    let object = stage
        .until("acme", "the spec to be seen", SOON, suspended)
        .await;
    let failed = stage.get("acme").await;
    reads(
        "suspended-after-a-failed-run",
        &failed,
        "Suspended",
        kstatus(&object),
    )
    .await;

    spec(&stage, json!({"suspend": false})).await;
    stage
        .until("acme", "the spec to be seen", SOON, suspended)
        .await;
    stage.run_now("acme", "again").await;
    stage.ready("acme").await;
    spec(&stage, json!({"suspend": true})).await;
    stage
        .condition("acme", "Ready", "Unknown", "Suspended")
        .await;
    let object = stage.get("acme").await;
    reads("suspended", &object, "Suspended", Kstatus::InProgress).await;

    stage.stop_controller().await;
    spec(&stage, json!({"suspend": false})).await;
    let object = stage.get("acme").await;
    reads("not-observed", &object, "Progressing", Kstatus::InProgress).await;

    let finalizer = |list: Value| Patch::Merge(json!({"metadata": {"finalizers": list}}));
    let integrations = stage.integrations();
    let params = PatchParams::default();
    let held = finalizer(json!(["example.com/held"]));
    integrations.patch("acme", &params, &held).await.unwrap();
    integrations
        .delete("acme", &DeleteParams::default())
        .await
        .unwrap();
    let object = stage.get("acme").await;
    reads("deleting", &object, "Progressing", Kstatus::Terminating).await;
    let free = finalizer(json!([]));
    integrations.patch("acme", &params, &free).await.unwrap();
    stage.end().await;
}

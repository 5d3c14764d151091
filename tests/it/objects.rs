//! Tests of objects that are not ours: what stands under a name that the controller uses is left
//! alone and named, and what others do to ours is kept or put back, as docs/operations.md says.

use k8s_openapi::api::batch::v1::{CronJob, Job};
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::Api;
use serde_json::{Value, json};
use switchboard::api::{ADOPT, RUN_REQUESTED_AT};
use switchboard_testbed::{wait_for, wait_for_object};

use crate::stage::{NEXT_MINUTES, SOON, Stage, condition};
use crate::world::{self, PASSWORD, TOKEN};

/// A Secret of the tenant's own under the name of ours.
fn foreign_secret(stage: &Stage) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Secret",
        "metadata": {"name": "acme-directory", "namespace": stage.ns(), "labels": {"of": "the-tenant"}},
        "stringData": {"mine": "precious"},
    })
}

/// A CronJob of the tenant's own under the name of ours, with our label.
fn foreign_cron_job(stage: &Stage) -> Value {
    let container = json!({
        "name": "mine", "image": "none",
        "securityContext": {"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}},
    });
    json!({
        "apiVersion": "batch/v1", "kind": "CronJob",
        "metadata": {"name": "acme-sync", "namespace": stage.ns(), "labels": {
            "app.kubernetes.io/managed-by": "switchboard", "switchboard.dev/integration": "acme",
        }},
        "spec": {"schedule": "0 0 1 1 *", "suspend": true, "jobTemplate": {"spec": {"template": {"spec": {
            "restartPolicy": "Never", "containers": [container],
            "securityContext": {"runAsNonRoot": true, "seccompProfile": {"type": "RuntimeDefault"}},
        }}}}},
    })
}

async fn object(stage: &Stage, name: &str) -> Value {
    let text = stage.kubectl(&["get", name, "-o", "json"]).await;
    serde_json::from_str(&text).unwrap()
}

/// Waits until Synced names this object as one that is not ours.
async fn names(stage: &Stage, object: &str) -> Value {
    let named = |found: &Value| {
        let synced = condition(found, "Synced")?;
        let message = synced["message"].as_str()?;
        (synced["reason"] == "ObjectNotOurs" && message.contains(object)).then(|| found.clone())
    };
    let what = format!("{object} to be named");
    stage.until("acme", &what, NEXT_MINUTES, named).await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_tenant_has_already_is_left_alone_and_named_until_it_is_given_or_gone() {
    let stage = Stage::start("foreign", world::acme()).await;
    stage.apply(&foreign_secret(&stage)).await;
    stage.apply(&foreign_cron_job(&stage)).await;
    let secret = object(&stage, "secret/acme-directory").await;
    let cron_job = object(&stage, "cronjob/acme-sync").await;
    stage.apply(&stage.secret("acme", PASSWORD, TOKEN)).await;
    stage.apply(&stage.integration("acme")).await;

    let found = names(&stage, "Secret \"acme-directory\"").await;
    let ready = condition(&found, "Ready").unwrap();
    assert_eq!(
        (&ready["status"], &ready["reason"]),
        (&json!("False"), &json!("ObjectNotOurs"))
    );
    assert_eq!(condition(&found, "Connected").unwrap()["status"], "True");
    let error = &found["status"]["errors"][0];
    assert_eq!(error["code"], "ObjectNotOurs");
    assert!(error["remedy"].as_str().unwrap().contains(ADOPT), "{error}");
    assert_eq!(object(&stage, "secret/acme-directory").await, secret);

    let adopt = format!("{ADOPT}=acme");
    stage
        .kubectl(&["annotate", "secret/acme-directory", &adopt])
        .await;
    names(&stage, "CronJob \"acme-sync\"").await;
    assert_eq!(object(&stage, "cronjob/acme-sync").await, cron_job);
    let taken = object(&stage, "secret/acme-directory").await;
    assert_eq!(taken["metadata"]["ownerReferences"][0]["name"], "acme");
    assert_eq!(taken["metadata"]["labels"]["of"], "the-tenant");
    assert_eq!(taken["data"]["mine"], secret["data"]["mine"]);
    assert!(taken["data"]["worker"].is_string(), "{taken}");

    stage.kubectl(&["delete", "cronjob/acme-sync"]).await;
    stage.ready_within(NEXT_MINUTES, "acme").await;
    let ours = object(&stage, "cronjob/acme-sync").await;
    let containers = &ours["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"];
    assert_eq!(containers.as_array().unwrap().len(), 1);
    assert_eq!(containers[0]["name"], "worker");
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_deletion_of_an_integration_leaves_what_was_not_made_here() {
    let stage = Stage::start("survives", world::acme()).await;
    stage.apply(&foreign_secret(&stage)).await;
    stage.apply(&foreign_cron_job(&stage)).await;
    stage.apply(&stage.secret("acme", PASSWORD, TOKEN)).await;
    stage.apply(&stage.integration("acme")).await;
    let found = names(&stage, "Secret \"acme-directory\"").await;
    // It goes with the integration, and shows that the garbage collector has been there.
    let canary = json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": "canary", "namespace": stage.ns(), "ownerReferences": [{
            "apiVersion": "switchboard.dev/v1alpha1", "kind": "SalesforceIntegration",
            "name": "acme", "uid": found["metadata"]["uid"],
        }]},
    });
    stage.apply(&canary).await;
    stage.kubectl(&["delete", "sfi/acme"]).await;
    let maps = Api::<ConfigMap>::namespaced(stage.client.clone(), stage.ns());
    let gone = |object: Option<&Value>| object.is_none().then_some(());
    wait_for_object(&maps, "canary", "to go", SOON, gone).await;
    let left = object(&stage, "secret/acme-directory").await;
    assert_eq!(left["metadata"]["deletionTimestamp"], Value::Null);
    assert_eq!(left["data"]["mine"], "cHJlY2lvdXM=");
    object(&stage, "cronjob/acme-sync").await;
    object(&stage, "secret/acme-salesforce").await;
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_deleted_namesake_left_is_waited_for_until_the_cluster_has_cleared_it_away() {
    let stage = Stage::start("namesake", world::acme()).await;
    let mut left = foreign_secret(&stage);
    left["metadata"]["ownerReferences"] = json!([{
        "apiVersion": "switchboard.dev/v1alpha1", "kind": "SalesforceIntegration", "name": "acme",
        "uid": "00000000-0000-0000-0000-000000000001", "controller": true,
    }]);
    left["metadata"]["finalizers"] = json!(["example.com/slow"]);
    stage.apply(&left).await;
    stage.apply(&stage.secret("acme", PASSWORD, TOKEN)).await;
    stage.apply(&stage.integration("acme")).await;
    let waits = |found: &Value| {
        let ready = condition(found, "Ready")?;
        let message = ready["message"].as_str()?;
        let waits = ready["reason"] == "Pending" && message.contains("still belongs to a deleted");
        waits.then(|| ready.clone())
    };
    let ready = stage.until("acme", "it to wait", SOON, waits).await;
    assert_eq!(ready["status"], "Unknown");
    let release = r#"{"metadata":{"finalizers":null}}"#;
    let patch = [
        "patch",
        "secret/acme-directory",
        "--type=merge",
        "-p",
        release,
    ];
    stage.kubectl(&patch).await;
    stage.ready_within(NEXT_MINUTES, "acme").await;
    stage.directory("acme", "lookup").await;
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn labels_and_annotations_of_others_stay_and_everything_else_is_put_back() {
    let stage = Stage::start("put-back", world::acme()).await;
    stage.apply(&stage.secret("acme", PASSWORD, TOKEN)).await;
    stage.apply(&stage.integration("acme")).await;
    stage.ready("acme").await;
    let cron_jobs = Api::<CronJob>::namespaced(stage.client.clone(), stage.ns());
    let there = |object: Option<&Value>| object.map(|object| object["spec"].clone());
    let wanted = wait_for_object(&cron_jobs, "acme-sync", "there", SOON, there).await;
    for name in ["cronjob/acme-sync", "secret/acme-directory"] {
        stage.kubectl(&["label", name, "team=theirs"]).await;
        stage
            .kubectl(&["annotate", name, "example.com/note=theirs"])
            .await;
    }
    let pod = "/spec/jobTemplate/spec/template/spec";
    let spy = json!({"name": "spy", "image": "none"});
    for change in [
        json!([{"op": "add", "path": format!("{pod}/containers/-"), "value": spy}]),
        json!([{"op": "add", "path": format!("{pod}/hostNetwork"), "value": true}]),
        json!([{"op": "add", "path": format!("{pod}/nodeSelector"), "value": {"a": "b"}}]),
        json!([{"op": "add", "path": format!("{pod}/volumes/-"), "value": {"name": "v", "emptyDir": {}}}]),
        json!([{"op": "replace", "path": "/spec/schedule", "value": "0 0 1 1 *"}]),
    ] {
        let text = change.to_string();
        let patch = ["patch", "cronjob/acme-sync", "--type=json", "-p", &text];
        stage.kubectl(&patch).await;
        let as_it_was =
            |object: Option<&Value>| object.filter(|object| object["spec"] == wanted).cloned();
        let what = format!("put back after {change}");
        let object = wait_for_object(&cron_jobs, "acme-sync", &what, SOON, as_it_was).await;
        assert_eq!(object["metadata"]["labels"]["team"], "theirs");
        assert_eq!(
            object["metadata"]["annotations"]["example.com/note"],
            "theirs"
        );
    }

    let before = object(&stage, "secret/acme-directory").await["data"].clone();
    let edit = json!([
        {"op": "remove", "path": "/data/worker"},
        {"op": "replace", "path": "/data/lookup", "value": "b3RoZXI="},
        {"op": "add", "path": "/data/theirs", "value": "dGhlaXJz"},
    ]);
    let text = edit.to_string();
    let patch = ["patch", "secret/acme-directory", "--type=json", "-p", &text];
    stage.kubectl(&patch).await;
    let secrets = Api::<Secret>::namespaced(stage.client.clone(), stage.ns());
    let mended = |object: Option<&Value>| {
        let object = object?;
        let data = &object["data"];
        let good = data["worker"].is_string() && data["lookup"] != "b3RoZXI=";
        good.then(|| object.clone())
    };
    let secret = wait_for_object(&secrets, "acme-directory", "mended", SOON, mended).await;
    assert_eq!(
        secret["data"]["ingest"], before["ingest"],
        "not given out again"
    );
    assert_eq!(secret["data"]["theirs"], "dGhlaXJz");
    assert_eq!(secret["metadata"]["labels"]["team"], "theirs");
    stage.directory("acme", "lookup").await;
    let run = stage.run_now("acme", "with the new token").await;
    assert_eq!(run["outcome"], "Succeeded", "{run}");

    // Somebody who takes the label off does not hide the CronJob.
    let label = "app.kubernetes.io/managed-by";
    let off = format!("{label}-");
    stage.kubectl(&["label", "cronjob/acme-sync", &off]).await;
    let labelled = |object: Option<&Value>| {
        (object?["metadata"]["labels"][label] == "switchboard").then_some(())
    };
    wait_for_object(&cron_jobs, "acme-sync", "labelled again", SOON, labelled).await;
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_of_somebody_else_is_no_run_that_was_asked_for() {
    let stage = Stage::start("own-job", world::acme()).await;
    stage.apply(&stage.secret("acme", PASSWORD, TOKEN)).await;
    stage.apply(&stage.integration("acme")).await;
    stage.ready("acme").await;
    let run = stage.run_now("acme", "one").await;
    let name = run["job"].as_str().unwrap().to_owned();
    stage.kubectl(&["delete", "job", &name]).await;
    let job = json!({
        "apiVersion": "batch/v1", "kind": "Job",
        "metadata": {"name": name, "namespace": stage.ns()},
        "spec": {"suspend": true, "template": foreign_cron_job(&stage)["spec"]["jobTemplate"]["spec"]["template"]},
    });
    stage.apply(&job).await;
    stage.run_now("acme", "two").await;
    // The same wish has the same name.
    stage.annotate("acme", RUN_REQUESTED_AT, "one").await;
    let refused = |object: &Value| {
        let status = &object["status"];
        let told = status["errors"][0]["code"] == "ObjectNotOurs";
        (status["lastHandledRunAt"] == "one" && told).then(|| status["errors"][0].clone())
    };
    let error = stage
        .until("acme", "the wish to be refused", SOON, refused)
        .await;
    assert!(
        error["message"].as_str().unwrap().contains(&name),
        "{error}"
    );
    stage.ready("acme").await;
    let jobs = Api::<Job>::namespaced(stage.client.clone(), stage.ns());
    let left = jobs.get(&name).await.unwrap();
    assert_eq!(left.spec.unwrap().suspend, Some(true));
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_cannot_stand_under_the_name_of_the_tokens() {
    let stage = Stage::start("own-name", world::acme()).await;
    let mut manifest = stage.integration("acme");
    let auth = &mut manifest["spec"]["salesforce"]["auth"];
    auth["password"]["secretRef"]["name"] = "acme-directory".into();
    let text = manifest.to_string();
    let tried = stage.control_plane.kubectl_apply(&text).await.unwrap();
    assert!(!tried.success());
    let said = "must not be metadata.name with -directory";
    assert!(tried.stderr.contains(said), "{}", tried.stderr);

    // Neither by a change, and the tokens of another one may be there.
    stage.apply(&stage.secret("acme", PASSWORD, TOKEN)).await;
    stage.apply(&stage.integration("acme")).await;
    stage.ready("acme").await;
    let text = manifest.to_string();
    let tried = stage.control_plane.kubectl_apply(&text).await.unwrap();
    assert!(
        !tried.success() && tried.stderr.contains(said),
        "{}",
        tried.stderr
    );

    // A Secret with credentials may carry our label: its changes are noticed all the same.
    let label = "app.kubernetes.io/managed-by=switchboard";
    stage
        .kubectl(&["label", "secret/acme-salesforce", label])
        .await;
    let mut secret = stage.secret("acme", "wrong", TOKEN);
    secret["metadata"]["labels"] = json!({"app.kubernetes.io/managed-by": "switchboard"});
    stage.apply(&secret).await;
    stage
        .condition("acme", "Ready", "False", "InvalidLogin")
        .await;
    wait_for("the Secret to stay the tenant's", SOON, async || {
        let secret = object(&stage, "secret/acme-salesforce").await;
        let owners = &secret["metadata"]["ownerReferences"];
        owners.is_null().then_some(()).ok_or(owners.to_string())
    })
    .await;
    stage.end().await;
}

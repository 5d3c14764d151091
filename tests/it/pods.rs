//! Tests of where and how the pods of runs go, and of what a cluster does to them: sidecars that do
//! not end, quotas that refuse.

use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use serde_json::{Value, json};
use switchboard::api::RUN_REQUESTED_AT;

use crate::injector::{Injector, OPT_OUT, SIDECAR};
use crate::stage::{NEXT_MINUTES, SOON, Stage, condition};
use crate::world::{self, PASSWORD, TOKEN};

/// Starts the controller with this file for pods.
async fn start_with(stage: &mut Stage, pods: &str) {
    stage.stop_controller().await;
    let path = stage.path("pods.yaml");
    std::fs::write(&path, pods).unwrap();
    let flag = format!("--worker-pods={}", path.display());
    stage.controller = Some(stage.another_controller("controller", &[&flag]).await);
}

/// Applies the integration with the after-call run of every minute.
async fn every_minute(stage: &Stage, run: Value) {
    stage.apply(&stage.secret("acme", PASSWORD, TOKEN)).await;
    let mut manifest = stage.integration("acme");
    manifest["spec"]["contacts"] = json!({"retrieval": "AfterCall", "lookupEvery": "1m"});
    manifest["spec"]["run"] = run;
    stage.apply(&manifest).await;
}

fn warning(object: &Value) -> Option<&Value> {
    let all = object.pointer("/status/warnings")?.as_array()?;
    all.iter()
        .find(|warning| warning["code"] == "ContainerStillRuns")
}

/// Forbids something by a quota.
async fn quota(stage: &Stage, hard: Value) {
    let quota = json!({
        "apiVersion": "v1", "kind": "ResourceQuota",
        "metadata": {"name": "bound", "namespace": stage.ns()},
        "spec": {"hard": hard},
    });
    stage.apply(&quota).await;
    let counted = "--for=jsonpath={.status.used}";
    stage
        .kubectl(&["wait", "resourcequota/bound", counted, "--timeout=60s"])
        .await;
}

/// Waits until Synced says this, with these words in the message.
async fn synced(stage: &Stage, code: &str, words: &str, deadline: std::time::Duration) -> Value {
    let what = format!("{code} with {words:?}");
    let says = |object: &Value| {
        let message = condition(object, "Synced")?["message"].as_str()?;
        (message.starts_with(code) && message.contains(words)).then(|| object.clone())
    };
    stage.until("acme", &what, deadline, says).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sidecar_that_does_not_end_is_named_and_holds_up_no_run() {
    let mut stage = Stage::set("sidecar", world::acme())
        .await
        .flag("--runs-where=Pods");
    let injector = Injector::start(&stage).await;
    let may = format!("tenantsMay: {{annotations: [{OPT_OUT}]}}\n");
    start_with(&mut stage, &may).await;
    every_minute(&stage, json!({})).await;
    stage.ready("acme").await;
    let first = stage.next_run("acme", None, NEXT_MINUTES).await;
    assert_eq!(first["outcome"], "Succeeded", "{first}");
    let warned = |object: &Value| warning(object).cloned();
    let told = stage
        .until("acme", "the sidecar to be named", NEXT_MINUTES, warned)
        .await;
    assert!(
        told["message"].as_str().unwrap().contains(SIDECAR),
        "{told}"
    );
    assert!(
        told["remedy"]
            .as_str()
            .unwrap()
            .contains("worker.podTemplate"),
        "{told}"
    );
    let second = stage
        .next_run("acme", Some(&first["job"]), NEXT_MINUTES)
        .await;
    assert_eq!(second["outcome"], "Succeeded", "{second}");
    let object = stage.ready("acme").await;
    assert!(warning(&object).is_some());

    every_minute(&stage, json!({"annotations": {OPT_OUT: "false"}})).await;
    let without = |object: &Value| warning(object).is_none().then_some(());
    stage
        .until("acme", "the warning to go", NEXT_MINUTES, without)
        .await;
    injector.end(&stage).await;
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quota_that_wants_a_limit_is_told_in_its_own_words_and_a_value_sets_it() {
    let mut stage = Stage::start_with_pods("wants-cpu", world::acme()).await;
    stage.apply(&stage.secret("acme", PASSWORD, TOKEN)).await;
    stage.apply(&stage.integration("acme")).await;
    stage.ready("acme").await;
    quota(&stage, json!({"limits.cpu": "1"})).await;
    stage.annotate("acme", RUN_REQUESTED_AT, "one").await;
    // A minute is the patience of this test; without Kubernetes' words it took three.
    let object = synced(&stage, "PodNotCreated", "must specify limits.cpu", SOON).await;
    assert_eq!(condition(&object, "Ready").unwrap()["reason"], "RunFailed");
    let error = &object["status"]["errors"][0];
    assert!(
        error["message"].as_str().unwrap().contains("limits.cpu"),
        "{error}"
    );
    assert!(
        error["remedy"]
            .as_str()
            .unwrap()
            .contains("worker.podTemplate.resources"),
        "{error}"
    );

    start_with(
        &mut stage,
        "podTemplate: {resources: {limits: {cpu: 100m}}}\n",
    )
    .await;
    // What was refused gives way, and what was asked for comes all the same.
    let run = stage.next_run("acme", None, NEXT_MINUTES).await;
    assert_eq!(run["outcome"], "Succeeded", "{run}");
    stage.ready("acme").await;
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quota_against_the_jobs_of_a_cron_job_is_told_in_its_own_words() {
    let stage = Stage::start_with_pods("no-cron-jobs", world::acme()).await;
    every_minute(&stage, json!(null)).await;
    stage.ready("acme").await;
    quota(&stage, json!({"count/jobs.batch": "0"})).await;
    synced(
        &stage,
        "JobNotCreated",
        "exceeded quota: bound",
        NEXT_MINUTES,
    )
    .await;
    stage.kubectl(&["delete", "resourcequota/bound"]).await;
    stage.ready_within(NEXT_MINUTES, "acme").await;
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pods_go_where_the_platform_team_says_and_tenants_change_what_they_may() {
    let mut stage = Stage::set("placed", world::acme())
        .await
        .flag("--runs-where=Pods");
    stage
        .kubectl(&["create", "serviceaccount", "workers"])
        .await;
    let rules = "podTemplate:
  labels: {example.com/team: telephony}
  annotations: {mesh.example/inject: 'false'}
  imagePullSecrets: [registry]
  serviceAccountName: workers
  nodeSelector: {kubernetes.io/os: linux}
  tolerations: [{key: dedicated, operator: Exists, effect: NoSchedule}]
  affinity: {nodeAffinity: {preferredDuringSchedulingIgnoredDuringExecution: [{weight: 1, preference: {matchExpressions: [{key: pool, operator: Exists}]}}]}}
  topologySpreadConstraints: [{maxSkew: 1, topologyKey: kubernetes.io/hostname, whenUnsatisfiable: ScheduleAnyway}]
  resources: {limits: {cpu: 0.5}}
tenantsMay:
  labels: [cost-center]
  resources: {memory: 512Mi}
";
    start_with(&mut stage, rules).await;
    let run =
        json!({"labels": {"cost-center": "4711"}, "resources": {"limits": {"memory": "256Mi"}}});
    stage.apply(&stage.secret("acme", PASSWORD, TOKEN)).await;
    let mut manifest = stage.integration("acme");
    manifest["spec"]["run"] = run;
    stage.apply(&manifest).await;
    stage.ready("acme").await;
    let run = stage.run_now("acme", "now").await;
    assert_eq!(run["outcome"], "Succeeded", "{run}");
    let pods = Api::<Pod>::namespaced(stage.client.clone(), stage.ns());
    let pod = pods
        .list(&Default::default())
        .await
        .unwrap()
        .items
        .remove(0);
    let pod = serde_json::to_value(pod).unwrap();
    for (path, wanted) in [
        ("/metadata/labels/example.com~1team", json!("telephony")),
        ("/metadata/labels/cost-center", json!("4711")),
        ("/metadata/annotations/mesh.example~1inject", json!("false")),
        ("/spec/imagePullSecrets/0/name", json!("registry")),
        ("/spec/serviceAccountName", json!("workers")),
        ("/spec/automountServiceAccountToken", json!(false)),
        ("/spec/nodeSelector/kubernetes.io~1os", json!("linux")),
        ("/spec/containers/0/resources/limits/cpu", json!("500m")),
        ("/spec/containers/0/resources/limits/memory", json!("256Mi")),
        (
            "/spec/containers/0/resources/requests/memory",
            json!("32Mi"),
        ),
        ("/spec/securityContext/runAsNonRoot", json!(true)),
    ] {
        assert_eq!(pod.pointer(path), Some(&wanted), "{path}: {pod}");
    }
    let tolerations = pod["spec"]["tolerations"].to_string();
    assert!(tolerations.contains("dedicated"), "{tolerations}");
    assert!(pod.pointer("/spec/affinity/nodeAffinity").is_some());
    assert!(
        pod.pointer("/spec/topologySpreadConstraints/0/labelSelector")
            .is_some()
    );

    for (run, said) in [
        (
            json!({"nodeSelector": {"pool": "gpu"}}),
            "spec.run.nodeSelector: the platform team lets no tenant set it",
        ),
        (
            json!({"resources": {"limits": {"memory": "1Gi"}}}),
            "above the 512Mi",
        ),
        (json!({"labels": {"other": "x"}}), "only cost-center"),
        (
            json!({"tolerations": [{"key": "control-plane", "operator": "Exists"}]}),
            "spec.run.tolerations",
        ),
    ] {
        manifest["spec"]["run"] = run;
        stage.apply(&manifest).await;
        let refused = |object: &Value| {
            let ready = condition(object, "Ready")?;
            let message = ready["message"].as_str()?;
            (ready["reason"] == "InvalidSpec" && message.contains(said)).then_some(())
        };
        stage.until("acme", said, SOON, refused).await;
    }
    for wider in [
        "image",
        "serviceAccountName",
        "hostNetwork",
        "priorityClassName",
        "runtimeClassName",
        "volumes",
    ] {
        manifest["spec"]["run"] = json!({wider: "x"});
        let text = manifest.to_string();
        let tried = stage.control_plane.kubectl_apply(&text).await.unwrap();
        assert!(
            !tried.success() && tried.stderr.contains(wider),
            "{}",
            tried.stderr
        );
    }
    stage.end().await;
}

//! A namespace with a runner, and Jobs for it.

use std::time::Duration;

use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{ListParams, PostParams};
use kube::{Api, Client};
use serde_json::{Value, json};
use switchboard_testbed::{ControlPlane, Namespace, PodRunner, wait_for};

pub(super) const SOON: Duration = Duration::from_secs(30);

/// A namespace, its runner, and clients for its objects.
pub(super) struct Bed {
    pub(super) control_plane: &'static ControlPlane,
    pub(super) runner: PodRunner,
    pub(super) pods: Api<Pod>,
    pub(super) jobs: Api<Job>,
    pub(super) client: Client,
    pub(super) namespace: Namespace, // last, because the runner must remove its pods first
}

impl Bed {
    pub(super) async fn new(prefix: &str) -> Self {
        let control_plane = ControlPlane::shared().await;
        let client = control_plane.client();
        let namespace = control_plane.namespace(prefix).await.unwrap();
        let runner = PodRunner::builder(control_plane)
            .namespace(namespace.name())
            .program("/bin/sh", "/bin/sh")
            .program("switchboard:test", "/bin/sh")
            .start()
            .await
            .unwrap();
        Self {
            control_plane,
            runner,
            pods: Api::namespaced(client.clone(), namespace.name()),
            jobs: Api::namespaced(client.clone(), namespace.name()),
            client,
            namespace,
        }
    }

    pub(super) async fn apply(&self, mut object: Value) {
        object["metadata"]["namespace"] = self.namespace.name().into();
        self.control_plane
            .kubectl_apply(&object.to_string())
            .await
            .unwrap()
            .expect_success();
    }

    pub(super) async fn secret(&self, name: &str, data: Value) {
        self.apply(json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": data})).await;
    }

    /// Creates a Job that runs the script; `change` may change the spec of its pod.
    pub(super) async fn job(&self, name: &str, script: &str, change: impl FnOnce(&mut Value)) {
        let job: Job = serde_json::from_value(job(name, script, change)).unwrap();
        self.jobs
            .create(&PostParams::default(), &job)
            .await
            .unwrap();
    }

    /// Waits until the check returns a value for the Job's only pod.
    pub(super) async fn pod<T>(
        &self,
        job: &str,
        what: &str,
        check: impl Fn(&Value) -> Option<T>,
    ) -> T {
        let selector = ListParams::default().labels(&format!("batch.kubernetes.io/job-name={job}"));
        wait_for(format!("the pod of job {job} {what}"), SOON, || async {
            let pods = self
                .pods
                .list(&selector)
                .await
                .map_err(|error| error.to_string())?;
            let pod = serde_json::to_value(pods.items.first().ok_or("no pod yet")?).unwrap();
            check(&pod).ok_or_else(|| {
                format!(
                    "{:#}, refusals: {:?}",
                    pod["status"],
                    self.runner.refusals()
                )
            })
        })
        .await
    }

    pub(super) async fn terminated(&self, job: &str) -> Value {
        self.pod(job, "to end", |pod| {
            pod.pointer("/status/containerStatuses/0/state/terminated")
                .cloned()
        })
        .await
    }

    pub(super) async fn waiting(&self, job: &str, reason: &str) -> Value {
        self.pod(job, &format!("to wait with {reason}"), |pod| {
            let waiting = pod.pointer("/status/containerStatuses/0/state/waiting")?;
            (waiting["reason"] == reason).then(|| waiting.clone())
        })
        .await
    }
}

pub(super) fn job(name: &str, script: &str, change: impl FnOnce(&mut Value)) -> Value {
    let mut job = json!({
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name},
        "spec": {"backoffLimit": 0, "template": {"spec": {
            "restartPolicy": "Never",
            "automountServiceAccountToken": false,
            "securityContext": {"runAsNonRoot": true, "seccompProfile": {"type": "RuntimeDefault"}},
            "containers": [{
                "name": "main",
                "image": "switchboard:test",
                "command": ["/bin/sh", "-c", script],
                "securityContext": {"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}},
            }],
        }}},
    });
    change(&mut job["spec"]["template"]["spec"]);
    job
}

pub(super) fn as_is(_: &mut Value) {}

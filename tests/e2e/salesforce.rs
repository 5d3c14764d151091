//! The simulator of Salesforce in a pod, and its switches.

use std::time::Duration;

use reqwest::{Certificate, Method};
use serde_json::{Value, json};
use switchboard_testbed::{Process, repository};

use crate::Failure;
use crate::bed::{Bed, OPERATOR, SOON};

/// Namespace of the simulator.
pub(crate) const NAMESPACE: &str = "salesforce";
/// ConfigMap with the simulator's authority, in the release's namespace.
pub(crate) const AUTHORITY: &str = "salesforce-authority";
/// The simulator's name in the cluster, for nodes that do not allow it to use the real names.
pub(crate) const INSIDE: &str = "salesforce.salesforce.svc.cluster.local";
/// Names of the real Salesforce that the simulator uses.
const PLAYED: [&str; 2] = ["login.salesforce.com", "test.salesforce.com"];
const PORT: u16 = 8443;

/// The orgs of the quick start, which the story is about.
pub(crate) fn orgs_of_the_story() -> Result<String, Failure> {
    let file = repository().join("examples/quickstart-salesforce.yaml");
    Ok(std::fs::read_to_string(file)?)
}

/// Deploys the simulator with these orgs and copies its authority to the release's namespace.
pub(crate) async fn deploy(bed: &Bed, orgs: &str) -> Result<(), Failure> {
    let mut args = vec![
        format!("--listen=0.0.0.0:{PORT}"),
        "--orgs=/etc/salesforce/orgs.yaml".to_owned(),
    ];
    args.extend(
        PLAYED
            .iter()
            .chain([&INSIDE])
            .map(|name| format!("--name={name}")),
    );
    let labels = json!({"app": "salesforce"});
    let metadata = |name: &str| json!({"name": name, "namespace": NAMESPACE});
    for manifest in [
        restricted(NAMESPACE),
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata("orgs"), "data": {"orgs.yaml": orgs}}),
        json!({
            "apiVersion": "v1", "kind": "Service",
            "metadata": {"name": "salesforce", "namespace": NAMESPACE, "annotations": {"switchboard.dev/test-plays": PLAYED.join(",")}},
            "spec": {"selector": labels, "ports": [{"port": 443, "targetPort": PORT}]}
        }),
        json!({
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata("salesforce"),
            "spec": {"selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}, "spec": {
                "automountServiceAccountToken": false,
                "terminationGracePeriodSeconds": 1,
                "securityContext": {"runAsNonRoot": true, "runAsUser": 65532, "seccompProfile": {"type": "RuntimeDefault"}},
                "containers": [{
                    "name": "salesforce", "image": bed.args.simulator_image, "imagePullPolicy": "IfNotPresent", "args": args,
                    "securityContext": {"allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true, "capabilities": {"drop": ["ALL"]}},
                    "readinessProbe": {"tcpSocket": {"port": PORT}, "periodSeconds": 1},
                    "volumeMounts": [{"name": "orgs", "mountPath": "/etc/salesforce"}]
                }],
                "volumes": [{"name": "orgs", "configMap": {"name": "orgs"}}]
            }}}
        }),
    ] {
        bed.apply(&manifest.to_string()).await?;
    }
    bed.kubectl(&[
        "rollout",
        "status",
        "deployment/salesforce",
        "-n",
        NAMESPACE,
        "--timeout=90s",
    ])
    .await?;
    let authority = authority(bed).await?;
    bed.apply(
        &json!({
            "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": AUTHORITY, "namespace": OPERATOR},
            "data": {"ca.crt": authority}
        })
        .to_string(),
    )
    .await
}

/// A namespace that enforces the restricted pod-security standard.
pub(crate) fn restricted(name: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Namespace",
        "metadata": {"name": name, "labels": {"pod-security.kubernetes.io/enforce": "restricted"}}
    })
}

/// The certificate of the simulator's authority, from its log, which begins with it.
async fn authority(bed: &Bed) -> Result<String, Failure> {
    let log = bed
        .kubectl(&["logs", "deployment/salesforce", "-n", NAMESPACE])
        .await?;
    let begin = log
        .find("-----BEGIN")
        .ok_or("the simulator printed no certificate")?;
    Ok(log[begin..].to_owned())
}

/// Delays the answer to each look-up by this time, until [`well`].
pub(crate) async fn slow(bed: &Bed, delay: Duration) -> Result<(), Failure> {
    fault(bed, json!({"delay": {"ms": delay.as_millis() as u64}})).await
}

/// Applies this effect to each look-up, until [`well`].
pub(crate) async fn fault(bed: &Bed, effect: Value) -> Result<(), Failure> {
    let fault = json!({"match": {"path": "*/composite*"}, "effect": effect});
    admin(bed, Method::POST, "faults", Some(fault))
        .await
        .map(drop)
}

/// Removes all faults.
pub(crate) async fn well(bed: &Bed) -> Result<(), Failure> {
    admin(bed, Method::DELETE, "faults", None).await.map(drop)
}

/// Asks the simulator's admin endpoint, and returns its answer.
pub(crate) async fn admin(
    bed: &Bed,
    method: Method,
    path: &str,
    body: Option<Value>,
) -> Result<Value, Failure> {
    // Not from the log, the beginning of which goes in time.
    let trusted = bed
        .json(&["get", "configmap", AUTHORITY, "-n", OPERATOR])
        .await?;
    let authority = trusted["data"]["ca.crt"].as_str().unwrap_or_default();
    let forward = Forward::to(bed, NAMESPACE, "service/salesforce", 443).await?;
    let client = reqwest::Client::builder()
        .add_root_certificate(Certificate::from_pem(authority.as_bytes())?)
        .no_proxy()
        .build()?;
    let mut request = client.request(
        method,
        format!("https://localhost:{}/__admin/{path}", forward.port),
    );
    if let Some(body) = body {
        request = request
            .header("content-type", "application/json")
            .body(body.to_string());
    }
    let answer = request.send().await?;
    let status = answer.status();
    if status.is_success() {
        return Ok(answer.json().await?);
    }
    Err(format!(
        "the simulator's /{path} answered {status}: {}",
        answer.text().await?
    )
    .into())
}

/// A port to a service from outside, made by `kubectl port-forward`. It ends when this value is
/// dropped.
pub(crate) struct Forward {
    _process: Process,
    /// Port on the loopback address.
    pub port: u16,
}

impl Forward {
    /// Opens the port and waits until it works.
    pub(crate) async fn to(
        bed: &Bed,
        namespace: &str,
        target: &str,
        port: u16,
    ) -> Result<Self, Failure> {
        let process = bed
            .control_plane
            .kubectl_process(&["port-forward", "-n", namespace, target, &format!(":{port}")])
            .start()
            .await?;
        let port = process
            .wait_for_line("the port that is forwarded", SOON, |line| {
                let (_, rest) = line.split_once("Forwarding from 127.0.0.1:")?;
                rest.split_whitespace().next()?.parse().ok()
            })
            .await?;
        Ok(Self {
            _process: process,
            port,
        })
    }
}

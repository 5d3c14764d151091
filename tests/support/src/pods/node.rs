//! The node that a runner registers, and the lease that shows that the node is alive.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{Namespace, Node};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, Time};
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use kube::{Api, Client};
use serde_json::{Value, json};

use crate::error::{Context, Error, Result};

/// Label and taint of the nodes of pod runners; the value is the node's name.
const KEY: &str = "switchboard.dev/pod-runner";
const LEASES: &str = "kube-node-lease";
const RENEWAL: Duration = Duration::from_secs(10);

/// Registers the node as ready. A node that serves only some namespaces gets a taint against other
/// pods.
pub(super) async fn register(
    client: &Client,
    name: &str,
    exclusive: bool,
    version: &str,
    pods: u32,
) -> Result<()> {
    let now = json!(Time(Timestamp::now()));
    let condition = |kind: &str, status: &str, reason: &str| json!({"type": kind, "status": status, "reason": reason, "lastHeartbeatTime": now, "lastTransitionTime": now});
    let resources = json!({"cpu": "64", "memory": "256Gi", "ephemeral-storage": "256Gi", "pods": pods.to_string()});
    let taints = if exclusive {
        json!([{"key": KEY, "value": name, "effect": "NoSchedule"}])
    } else {
        json!([])
    };
    let node: Node = parse(json!({
        "metadata": {"name": name, "labels": {
            KEY: name, "kubernetes.io/hostname": name, "kubernetes.io/os": "linux", "kubernetes.io/arch": std::env::consts::ARCH,
        }},
        "spec": {"taints": taints},
        "status": {
            "capacity": resources,
            "allocatable": resources,
            "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}, {"type": "Hostname", "address": name}],
            "conditions": [
                condition("Ready", "True", "KubeletReady"),
                condition("MemoryPressure", "False", "KubeletHasSufficientMemory"),
                condition("DiskPressure", "False", "KubeletHasNoDiskPressure"),
                condition("PIDPressure", "False", "KubeletHasSufficientPID"),
            ],
            "nodeInfo": {
                "architecture": std::env::consts::ARCH, "operatingSystem": "linux", "osImage": "local processes",
                "containerRuntimeVersion": "process://1", "kubeletVersion": version, "kubeProxyVersion": "",
                "kernelVersion": "", "bootID": "", "machineID": "", "systemUUID": "",
            },
        },
    }))?;
    renew(client, name).await?;
    Api::<Node>::all(client.clone())
        .create(&PostParams::default(), &node)
        .await
        .context(|| format!("register node {name}"))?;
    Ok(())
}

/// Whether the node accepts pods. A new one has taints until the node controller has observed that
/// it is ready.
pub(super) fn is_open(node: Option<&Value>) -> Option<()> {
    let taints = node?.pointer("/spec/taints").and_then(Value::as_array);
    let closed = taints
        .into_iter()
        .flatten()
        .any(|taint| taint["key"] != KEY);
    (!closed).then_some(())
}

/// Renews the lease without an end.
pub(super) async fn keep_alive(client: &Client, name: &str) {
    loop {
        tokio::time::sleep(RENEWAL).await;
        let _ = renew(client, name).await; // a failure is harmless, because the next renewal comes soon
    }
}

async fn renew(client: &Client, name: &str) -> Result<()> {
    let leases: Api<Lease> = Api::namespaced(client.clone(), LEASES);
    let lease: Lease = parse(json!({
        "metadata": {"name": name},
        "spec": {"holderIdentity": name, "leaseDurationSeconds": 40, "renewTime": MicroTime(Timestamp::now())},
    }))?;
    let patched = leases
        .patch(name, &PatchParams::default(), &Patch::Merge(&lease))
        .await;
    match patched {
        Err(kube::Error::Api(status)) if status.is_not_found() => {
            leases.create(&PostParams::default(), &lease).await
        }
        other => other,
    }
    .context(|| format!("renew the lease of node {name}"))?;
    Ok(())
}

/// Removes the node. This needs the administrator's client, because a node may not remove itself.
pub(super) async fn remove(admin: &Client, name: &str) -> Result<()> {
    let gone = |result: kube::Result<_>| match result {
        Err(kube::Error::Api(status)) if status.is_not_found() => Ok(()),
        other => other.context(|| format!("remove node {name}")),
    };
    gone(
        Api::<Node>::all(admin.clone())
            .delete(name, &DeleteParams::default())
            .await
            .map(drop),
    )?;
    gone(
        Api::<Lease>::namespaced(admin.clone(), LEASES)
            .delete(name, &DeleteParams::default())
            .await
            .map(drop),
    )
}

/// Directs the pods of a namespace to the node, and lets them tolerate its taint.
pub(super) async fn direct(admin: &Client, namespace: &str, node: &str) -> Result<()> {
    let patch = json!({"metadata": {"annotations": {
        "scheduler.alpha.kubernetes.io/node-selector": format!("{KEY}={node}"),
        "scheduler.alpha.kubernetes.io/defaultTolerations": json!([{"key": KEY, "operator": "Exists"}]).to_string(),
    }}});
    let namespaces: Api<Namespace> = Api::all(admin.clone());
    namespaces
        .patch(namespace, &PatchParams::default(), &Patch::Merge(&patch))
        .await
        .context(|| format!("send the pods of namespace {namespace} to node {node}"))?;
    Ok(())
}

fn parse<T: serde::de::DeserializeOwned>(value: Value) -> Result<T> {
    serde_json::from_value(value).map_err(|error| Error::Unsupported(error.to_string()))
}

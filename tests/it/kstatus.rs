//! How kstatus reads a resource: the library by which Flux, Argo CD and `kubectl`'s friends know
//! whether an apply has arrived. Its rules for custom resources (sigs.k8s.io/cli-utils,
//! pkg/kstatus/status: `checkGenericProperties`, then `checkReadyCondition`).

use serde_json::Value;

/// What it says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kstatus {
    /// Reality is on its way to what the resource asks for.
    InProgress,
    /// It cannot get there by itself.
    Failed,
    /// It is there.
    Current,
    /// It is being deleted.
    Terminating,
}

/// Reads a resource as kstatus does.
pub fn kstatus(object: &Value) -> Kstatus {
    if !object["metadata"]["deletionTimestamp"].is_null() {
        return Kstatus::Terminating;
    }
    let observed = &object["status"]["observedGeneration"];
    if !observed.is_null() && observed != &object["metadata"]["generation"] {
        return Kstatus::InProgress;
    }
    let says = |type_: &str| {
        object
            .pointer("/status/conditions")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .find(|condition| condition["type"] == type_)
            .and_then(|condition| condition["status"].as_str())
    };
    match (says("Reconciling"), says("Stalled"), says("Ready")) {
        (Some("True"), _, _) => Kstatus::InProgress,
        (_, Some("True"), _) => Kstatus::Failed,
        // No Ready at all says nothing: such a resource is taken for one that has arrived.
        (_, _, Some("True") | None) => Kstatus::Current,
        (_, _, Some(_)) => Kstatus::InProgress,
    }
}

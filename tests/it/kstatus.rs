//! A status reader with the rules of kstatus, the library with which Flux, Argo CD and other tools
//! decide whether an apply is complete. These are its rules for custom resources
//! (sigs.k8s.io/cli-utils, pkg/kstatus/status: `checkGenericProperties`, then
//! `checkReadyCondition`).

use serde_json::Value;

/// The result of kstatus.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kstatus {
    /// The actual state does not match the spec yet.
    InProgress,
    /// The actual state cannot match the spec without an intervention.
    Failed,
    /// The actual state matches the spec.
    Current,
    /// The resource is being deleted.
    Terminating,
}

/// Reads a resource with the rules of kstatus.
pub(crate) fn kstatus(object: &Value) -> Kstatus {
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
        // kstatus treats a resource without a Ready condition as current.
        (_, _, Some("True") | None) => Kstatus::Current,
        (_, _, Some(_)) => Kstatus::InProgress,
    }
}

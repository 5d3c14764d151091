//! Labels that identify the pods and Jobs of runs.

use std::collections::BTreeMap;

use crate::api::RUN_LABEL;
use crate::run::RunKind;

/// Name of the container in the pods of runs.
pub(crate) const CONTAINER: &str = "worker";
/// Label of a pod that names its Job (Kubernetes).
pub(crate) const JOB_NAME: &str = "batch.kubernetes.io/job-name";

/// Returns the spelling of the kind in the label and in the worker's subcommand.
pub(crate) fn label(kind: RunKind) -> &'static str {
    match kind {
        RunKind::Sync => "sync",
        RunKind::Lookup => "lookup",
    }
}

/// Returns the kind of run that an object with these labels belongs to; `None` if it belongs to
/// none.
pub(crate) fn kind_of(labels: &BTreeMap<String, String>) -> Option<RunKind> {
    [RunKind::Sync, RunKind::Lookup].into_iter().find(|kind| {
        labels
            .get(RUN_LABEL)
            .is_some_and(|text| text == label(*kind))
    })
}

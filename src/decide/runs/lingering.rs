//! Pods whose worker has ended while another of their containers goes on, such as a sidecar that
//! the cluster put into them. Their Job does not end by itself before its deadline, and no run of
//! the CronJob follows meanwhile.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;

use super::labels::{CONTAINER, JOB_NAME, kind_of, label};
use crate::run::RunKind;

/// The time that other containers have to end after the worker.
pub(crate) const GRACE: Duration = Duration::from_secs(30);

/// A run that is over and whose pod goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Lingering {
    /// Name of its Job.
    pub job: String,
    /// UID of its Job.
    pub job_uid: Option<String>,
    /// Kind of the run.
    pub kind: RunKind,
    /// When its worker ended.
    pub since: Timestamp,
    /// Names of the containers that go on.
    pub containers: Vec<String>,
}

// === impl Lingering ===

impl Lingering {
    /// The time from which the Job is ended; `None` beyond the times that can be told.
    pub(crate) fn due(&self) -> Option<Timestamp> {
        self.since.checked_add(GRACE).ok()
    }

    /// What it does, as a sentence.
    pub(crate) fn message(&self) -> String {
        format!(
            "In the pod of the {} run {} went on after the worker had ended. The report was taken, and the Job {} was deleted, so that the next run can start.",
            label(self.kind),
            match self.containers.as_slice() {
                [one] => format!("the container {one:?}"),
                many => format!("the containers {many:?}"),
            },
            self.job
        )
    }
}

/// Judges a pod of a run. `None` unless its worker has ended and another container goes on. Native
/// sidecars and containers for debugging are no part of it: a pod ends without them.
pub(crate) fn judge(pod: &Pod) -> Option<Lingering> {
    let kind = kind_of(pod.labels())?;
    let status = pod.status.as_ref()?;
    let over = matches!(status.phase.as_deref(), Some("Succeeded" | "Failed"));
    if over || pod.metadata.deletion_timestamp.is_some() {
        return None;
    }
    let containers = || status.container_statuses.iter().flatten();
    let ended = |state: &k8s_openapi::api::core::v1::ContainerStatus| {
        state.state.as_ref()?.terminated.as_ref().cloned()
    };
    let worker = containers().find(|container| container.name == CONTAINER)?;
    let since = ended(worker)?.finished_at?.0;
    let going_on: Vec<String> = containers()
        .filter(|container| container.name != CONTAINER && ended(container).is_none())
        .map(|container| container.name.clone())
        .collect();
    let owner = pod
        .owner_references()
        .iter()
        .find(|owner| owner.kind == "Job");
    (!going_on.is_empty()).then(|| Lingering {
        job: pod.labels().get(JOB_NAME).cloned().unwrap_or_default(),
        job_uid: owner.map(|owner| owner.uid.clone()),
        kind,
        since,
        containers: going_on,
    })
}

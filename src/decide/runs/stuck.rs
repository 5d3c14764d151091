//! Pods of runs that hang before their container starts. Their Job does not fail by itself until
//! its deadline; the problem is reported to the tenant long before.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{ContainerStateWaiting, Pod, PodStatus};
use kube::ResourceExt;

use super::labels::{CONTAINER, JOB_NAME, kind_of, label};
use crate::reason::Reason;
use crate::run::RunKind;

/// Time that a pod hangs before it counts as stuck. An autoscaler may be adding a node, or a
/// registry may answer the next attempt.
const GRACE: Duration = Duration::from_secs(60);
/// The same for a container that is being created and gives no reason. The node may be pulling a
/// large image.
const GRACE_WITHOUT_REASON: Duration = Duration::from_secs(180);
/// Time after the start of a Job from which the cluster is asked why it has no pod. Every Job is
/// without one for a moment.
const ASK_AFTER: Duration = Duration::from_secs(3);
/// Times after the start of a Job at which the cluster is asked again.
const ASK_AGAIN: [Duration; 3] = [ASK_AFTER, Duration::from_secs(15), Duration::from_secs(60)];
/// Time after the start of a run at which it is noticed that there is no Job. CronJobs start their
/// Jobs a second or two late (facts: Kubernetes 2.1).
pub(crate) const LOOK_AFTER_START: Duration = Duration::from_secs(15);
/// Time after the start of a run for which the lack of a Job is looked at.
const LOOK_UNTIL: Duration = Duration::from_secs(3600);
/// Maximum length of a quoted message, in characters.
const MAX_QUOTE_CHARS: usize = 300;

/// A run whose pod does not start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StuckRun {
    /// Name of its Job.
    pub job: String,
    /// Kind of the run.
    pub kind: RunKind,
    /// Time from which the run counts as stuck.
    pub due: Timestamp,
    /// Reason why the pod does not start.
    pub code: Reason,
    /// The reason as a sentence.
    pub message: String,
}

// === impl StuckRun ===

impl StuckRun {
    /// Whether the cluster gives a reason. Every container is being created for a moment, so this
    /// state alone is no reason.
    pub(crate) fn has_reason(&self) -> bool {
        self.code != Reason::WorkerNotStarted
    }

    /// Whether the cluster is asked why the Job has no pod.
    pub(crate) fn is_in_question(&self, now: Timestamp) -> bool {
        self.code == Reason::PodNotCreated && self.since(ASK_AFTER).is_some_and(|at| at <= now)
    }

    /// When the cluster is asked next.
    pub(crate) fn next_question(&self, now: Timestamp) -> Option<Timestamp> {
        let times = ASK_AGAIN.into_iter().filter_map(|after| self.since(after));
        times
            .filter(|at| *at > now)
            .min()
            .filter(|_| self.code == Reason::PodNotCreated)
    }

    /// A time after the start of the Job that has no pod.
    fn since(&self, after: Duration) -> Option<Timestamp> {
        let started = self.due.checked_sub(GRACE_WITHOUT_REASON).ok()?;
        started.checked_add(after).ok()
    }

    /// The same with the cluster's words, which need no patience.
    pub(crate) fn explained(self, words: &str) -> Self {
        let due = self.since(Duration::ZERO).unwrap_or(self.due);
        let message = format!(
            "The cluster makes no pod for the {} run{}",
            label(self.kind),
            quote(Some(words))
        );
        Self {
            due,
            message,
            ..self
        }
    }
}

/// Whether the cluster is asked why there is no Job for the run that was due at `next_run`.
pub(crate) fn is_missed(next_run: Timestamp, now: Timestamp) -> bool {
    let after = |after: Duration| next_run.checked_add(after).ok();
    after(LOOK_AFTER_START).is_some_and(|from| from <= now)
        && after(LOOK_UNTIL).is_some_and(|until| now < until)
}

/// A run for which the cluster made no Job, in its words.
pub(crate) fn without_job(cron_job: &str, kind: RunKind, due: Timestamp, words: &str) -> StuckRun {
    StuckRun {
        job: cron_job.to_owned(),
        kind,
        due,
        code: Reason::JobNotCreated,
        message: format!(
            "The cluster makes no Job for the {} run{}",
            label(kind),
            quote(Some(words))
        ),
    }
}

/// Returns the time at which a running Job is checked for a pod that does not start and gives no
/// reason.
pub(crate) fn look_at(job: &Job) -> Option<Timestamp> {
    let created = job.metadata.creation_timestamp.as_ref()?.0;
    created.checked_add(GRACE_WITHOUT_REASON).ok()
}

/// Judges a pod of a run that has not started. Returns `None` if it has started, or if nothing
/// blocks it.
pub(crate) fn judge_pending(pod: &Pod) -> Option<StuckRun> {
    let kind = kind_of(pod.labels())?;
    let status = pod.status.as_ref()?;
    if pod.metadata.deletion_timestamp.is_some() || status.phase.as_deref() != Some("Pending") {
        return None;
    }
    let created = pod.metadata.creation_timestamp.as_ref()?.0;
    let began = status.start_time.as_ref().map_or(created, |time| time.0);
    let (code, since, grace, message) = match waiting(status) {
        Some(waiting) if waiting.reason.as_deref() == Some("PodInitializing") => {
            let before = initializing(status)?;
            let message = format!(
                "The container {before:?}, which the cluster put before the worker, does not let the {} run begin.",
                label(kind)
            );
            (
                Reason::WorkerNotStarted,
                began,
                GRACE_WITHOUT_REASON,
                message,
            )
        }
        Some(waiting) => {
            let (code, grace) = waiting_code(waiting)?;
            (code, began, grace, waiting_message(code, waiting, kind))
        }
        None => {
            let unscheduled = status.conditions.iter().flatten().find(|condition| {
                condition.type_ == "PodScheduled" && condition.status == "False"
            })?;
            let said = quote(unscheduled.message.as_deref());
            let message = format!("No node takes the pod of the {} run{said}", label(kind));
            let since = unscheduled.last_transition_time.as_ref();
            let since = since.map_or(created, |time| time.0);
            (Reason::WorkerUnschedulable, since, GRACE, message)
        }
    };
    Some(StuckRun {
        job: pod.labels().get(JOB_NAME)?.clone(),
        kind,
        due: since.checked_add(grace).ok()?,
        code,
        message,
    })
}

/// Judges a running Job that never had a pod. Every Job is without a pod for a moment after its
/// start.
pub(crate) fn judge_without_pod(job: &Job) -> Option<StuckRun> {
    let kind = kind_of(job.labels())?;
    let had_one = job.status.as_ref().is_some_and(|status| {
        let counts = [
            status.active,
            status.failed,
            status.succeeded,
            status.terminating,
        ];
        let uncounted = status.uncounted_terminated_pods.as_ref();
        counts.into_iter().flatten().any(|count| count > 0)
            || uncounted.is_some_and(|pods| pods.failed.is_some() || pods.succeeded.is_some())
    });
    if had_one {
        return None;
    }
    Some(StuckRun {
        job: job.name_any(),
        kind,
        due: look_at(job)?,
        code: Reason::PodNotCreated,
        message: format!(
            "The cluster has not made a pod for the {} run.",
            label(kind)
        ),
    })
}

/// Returns the reason why the container of an ended pod never ran, as far as the pod still states
/// it.
pub(crate) fn never_started(status: &PodStatus, kind: RunKind) -> (Reason, String) {
    let known = waiting(status).and_then(|waiting| {
        let (code, _) = waiting_code(waiting)?;
        Some((code, waiting_message(code, waiting, kind)))
    });
    known.unwrap_or_else(|| {
        let message = format!(
            "The container of the {} run had not started when its deadline was over.",
            label(kind)
        );
        (Reason::WorkerNotStarted, message)
    })
}

fn waiting(status: &PodStatus) -> Option<&ContainerStateWaiting> {
    status
        .container_statuses
        .iter()
        .flatten()
        .find(|container| container.name == CONTAINER)?
        .state
        .as_ref()?
        .waiting
        .as_ref()
}

/// The container that must end, or start, before the worker's does. There is none in our pods: the
/// cluster put it there.
fn initializing(status: &PodStatus) -> Option<&str> {
    let all = status.init_container_statuses.iter().flatten();
    let mut open = all.filter(|container| {
        let state = container.state.as_ref();
        let ended = state.and_then(|state| state.terminated.as_ref());
        ended.is_none_or(|ended| ended.exit_code != 0) && container.started != Some(true)
    });
    Some(&open.next()?.name)
}

/// Maps the kubelet's reasons (kubernetes/pkg/kubelet/images/types.go,
/// kubelet/container/sync_result.go and kuberuntime).
fn waiting_code(waiting: &ContainerStateWaiting) -> Option<(Reason, Duration)> {
    match waiting.reason.as_deref()? {
        "ErrImagePull"
        | "ImagePullBackOff"
        | "InvalidImageName"
        | "ErrImageNeverPull"
        | "ImageInspectError"
        | "RegistryUnavailable"
        | "SignatureValidationFailed" => Some((Reason::WorkerImageNotPulled, GRACE)),
        "CreateContainerConfigError"
        | "CreateContainerError"
        | "PreCreateHookError"
        | "RunContainerError"
        | "StartError" => Some((Reason::WorkerNotCreated, GRACE)),
        "ContainerCreating" => Some((Reason::WorkerNotStarted, GRACE_WITHOUT_REASON)),
        _ => None,
    }
}

fn waiting_message(code: Reason, waiting: &ContainerStateWaiting, kind: RunKind) -> String {
    let kind = label(kind);
    let said = quote(waiting.message.as_deref());
    match code {
        Reason::WorkerImageNotPulled => {
            format!("The node cannot pull the image of the {kind} run{said}")
        }
        Reason::WorkerNotCreated => {
            format!("The node cannot make the container of the {kind} run{said}")
        }
        _ => format!(
            "The container of the {kind} run is being created and does not start; a Secret that it mounts may be missing{said}"
        ),
    }
}

/// Formats the cluster's message as the end of a sentence.
pub(crate) fn quote(message: Option<&str>) -> String {
    let message = message.unwrap_or_default().trim();
    if message.is_empty() {
        return ".".into();
    }
    let printable = message.chars().filter(|c| !c.is_control());
    let short: String = printable.take(MAX_QUOTE_CHARS).collect();
    let end = if short.ends_with('.') { "" } else { "." };
    format!(": {short}{end}")
}

//! Judges the results of runs, from a finished pod or from a Job that failed without one. A missing
//! or broken report is a failure of its own kind, never a success.

pub(crate) mod admission;
mod belief;
pub(crate) mod labels;
pub(crate) mod lingering;
pub(crate) mod resident;
pub(crate) mod stuck;

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{ContainerStateTerminated, Pod, PodStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt;

use self::belief::Lifetime;
use self::labels::{CONTAINER, JOB_NAME, kind_of, label};
use self::lingering::Lingering;
use self::stuck::{StuckRun, judge_pending, judge_without_pod};
use super::rules::budget;
use super::rules::error_log::Source;
use crate::api::status::{Followed, LastRun, Matched};
use crate::api::{API_CALLS, CREDENTIALS_VERSION, RunWhere};
use crate::error::Chain;
use crate::reason::{Code, Reason};
use crate::run::{Outcome, RunKind, RunReport};

/// The reason of a pod that the kubelet ended at its `activeDeadlineSeconds`.
const DEADLINE_EXCEEDED: &str = "DeadlineExceeded";
/// The reason of a container that needed more memory than its limit.
const OOM_KILLED: &str = "OOMKilled";

/// A run that ended.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct EndedRun {
    /// Name of its Job. A run of the controller has a name that only it has.
    pub job: String,
    /// Where it ran.
    pub where_: RunWhere,
    /// UID of its Job, as the pod has it.
    pub job_uid: Option<String>,
    /// Kind of the run.
    pub kind: RunKind,
    /// Start time of its container.
    pub started_at: Option<Timestamp>,
    /// End time of the run.
    pub finished_at: Timestamp,
    /// Fingerprint of its credential, as recorded in the CronJob.
    pub credentials_version: Option<String>,
    /// Maximum number of its API requests; `None` if it had no limit.
    pub allowance: Option<u64>,
    /// Result of the run: [`Reason::Succeeded`], or the code of the failure.
    pub outcome: Code,
    /// Result of the run, as a sentence.
    pub message: String,
    /// Report of the run, if it can be read.
    pub report: Option<RunReport>,
}

/// Returns the source under which failures of a run are logged.
pub(crate) fn source(kind: RunKind) -> Source {
    match kind {
        RunKind::Sync => Source::Sync,
        RunKind::Lookup => Source::Lookup,
    }
}

// === impl EndedRun ===

impl EndedRun {
    /// Whether the run did all its work.
    pub(crate) fn succeeded(&self) -> bool {
        self.outcome == Reason::Succeeded
    }

    /// Returns the number of API requests to count for the run. Without a report, it is the number
    /// that the run may have made.
    pub(crate) fn api_calls(&self) -> u64 {
        match (&self.report, self.started_at) {
            (Some(report), _) => report.api_calls,
            (None, Some(started_at)) => {
                let lasted = self.finished_at.duration_since(started_at);
                budget::unreported(lasted.try_into().unwrap_or_default(), self.allowance)
            }
            (None, None) => 0,
        }
    }

    /// Converts the run to the form in the status.
    pub(crate) fn as_last_run(&self) -> LastRun {
        let mut run = LastRun {
            kind: format!("{:?}", self.kind),
            where_: self.where_,
            job: self.job.clone(),
            started_at: self.started_at.map(Time),
            finished_at: Some(Time(self.finished_at)),
            outcome: self.outcome.to_string(),
            ..LastRun::default()
        };
        if let Some(report) = &self.report {
            run.calls = report.calls;
            run.numbers = report.numbers;
            run.matched = Matched {
                contact: report.matched.contact,
                account: report.matched.account,
                lead: report.matched.lead,
            };
            run.unmatched = report.unmatched;
            run.written = report.written;
            run.skipped = report.skipped;
            run.asked_again = report.asked_again;
            run.ambiguous = report.ambiguous;
            run.remaining = report.remaining;
            run.followed = report.followed.map(|followed| Followed {
                changed: followed.changed,
                renamed: followed.renamed,
                removed: followed.removed,
                newly_named: followed.newly_named,
            });
        }
        run.api_calls = self.api_calls();
        run
    }
}

/// Judges a pod of a run at `now`. Returns `None` while the pod is running, or if it does not
/// belong to a run.
pub(crate) fn judge_pod(pod: &Pod, now: Timestamp) -> Option<EndedRun> {
    let kind = kind_of(pod.labels())?;
    let job = pod.labels().get(JOB_NAME)?.clone();
    let status = pod.status.as_ref()?;
    let terminated = status
        .container_statuses
        .iter()
        .flatten()
        .find(|container| container.name == CONTAINER)
        .and_then(|container| container.state.as_ref()?.terminated.as_ref());
    let over = matches!(status.phase.as_deref(), Some("Succeeded" | "Failed"));
    if !over && terminated.is_none() {
        return None;
    }
    let finished_at = terminated
        .and_then(|terminated| terminated.finished_at.as_ref())
        .or_else(|| {
            status
                .conditions
                .iter()
                .flatten()
                .filter_map(|condition| condition.last_transition_time.as_ref())
                .max()
        })
        .or(pod.metadata.creation_timestamp.as_ref())?
        .0;
    let created = pod.metadata.creation_timestamp.as_ref().map(|time| time.0);
    let started = terminated.and_then(|terminated| terminated.started_at.as_ref());
    let lifetime = Lifetime::new(created, started.map(|time| time.0), finished_at, now);
    let deadline = deadline(pod).is_some_and(|deadline| deadline <= finished_at);
    let (outcome, message, report) = judge(status, terminated, deadline, kind, lifetime);
    Some(EndedRun {
        job,
        where_: RunWhere::Pod,
        job_uid: job_uid(pod),
        kind,
        started_at: started.map(|_| lifetime.started_at),
        finished_at: lifetime.finished_at,
        credentials_version: pod.annotations().get(CREDENTIALS_VERSION).cloned(),
        allowance: allowance(pod),
        outcome,
        message,
        report,
    })
}

/// Returns when the kubelet ends a pod.
fn deadline(pod: &Pod) -> Option<Timestamp> {
    let started = pod.status.as_ref()?.start_time.as_ref()?.0;
    let seconds = pod.spec.as_ref()?.active_deadline_seconds?;
    started.checked_add(SignedDuration::from_secs(seconds)).ok()
}

/// Returns the UID of the Job that owns a pod.
fn job_uid(pod: &Pod) -> Option<String> {
    let mut owners = pod.owner_references().iter();
    let job = owners.find(|owner| owner.kind == "Job")?;
    Some(job.uid.clone())
}

/// Returns the maximum number of API requests of a run, from the annotation of its Job or pod.
fn allowance(of: &impl ResourceExt) -> Option<u64> {
    of.annotations().get(API_CALLS)?.parse().ok()
}

fn judge(
    status: &PodStatus,
    terminated: Option<&ContainerStateTerminated>,
    past_deadline: bool,
    kind: RunKind,
    lifetime: Lifetime,
) -> (Code, String, Option<RunReport>) {
    let text = terminated
        .and_then(|terminated| terminated.message.as_deref())
        .unwrap_or("")
        .trim();
    let report = RunReport::parse(text).map(|report| belief::bounded(report, lifetime));
    let known = |code: Reason, message: String| (Code::from(code), message);
    let disrupted = status
        .conditions
        .iter()
        .flatten()
        .find(|condition| condition.type_ == "DisruptionTarget" && condition.status == "True");
    // The kubelet tells that the container has ended before it tells that it ended the pod, and
    // why.
    let was_ended = |terminated: &ContainerStateTerminated| match &report {
        Ok(report) => report.outcome == Outcome::Interrupted,
        Err(_) => {
            let ran_out_of_memory = terminated.reason.as_deref() == Some(OOM_KILLED);
            text.is_empty() && terminated.exit_code > 128 && !ran_out_of_memory
        }
    };
    let reason = match (status.reason.as_deref(), terminated) {
        (None, Some(terminated)) if past_deadline && was_ended(terminated) => {
            Some(DEADLINE_EXCEEDED)
        }
        (reason, _) => reason,
    };
    let (code, message) = match (reason, terminated) {
        (Some(DEADLINE_EXCEEDED), None) => {
            let (code, message) = stuck::never_started(status, kind);
            known(code, message)
        }
        (Some(DEADLINE_EXCEEDED), _) => known(
            Reason::RunDeadlineExceeded,
            format!(
                "The {} run went on past its deadline and was ended.",
                label(kind)
            ),
        ),
        (_, Some(terminated)) if terminated.reason.as_deref() == Some(OOM_KILLED) => known(
            Reason::WorkerOutOfMemory,
            format!(
                "The {} run needed more memory than its limit and was ended.",
                label(kind)
            ),
        ),
        (Some("Evicted"), _) => known(
            Reason::WorkerEvicted,
            format!(
                "The node evicted the pod of the {} run: {}",
                label(kind),
                status.message.as_deref().unwrap_or("no reason given")
            ),
        ),
        (_, terminated) if disrupted.is_some() && (terminated.is_none() || report.is_err()) => {
            let reason = disrupted.and_then(|disrupted| disrupted.message.as_deref());
            known(
                Reason::WorkerEvicted,
                format!(
                    "The cluster ended the pod of the {} run: {}",
                    label(kind),
                    reason.unwrap_or("no reason given")
                ),
            )
        }
        (_, None) => known(
            Reason::PodLost,
            format!(
                "The pod of the {} run ended before its container ran.",
                label(kind)
            ),
        ),
        (_, Some(terminated)) => match &report {
            Ok(report) => return judge_report(report.clone(), terminated.exit_code, kind),
            Err(_) if text.is_empty() && terminated.exit_code > 128 => known(
                Reason::WorkerKilled,
                format!(
                    "Signal {} ended the worker of the {} run before it could report.",
                    terminated.exit_code - 128,
                    label(kind)
                ),
            ),
            Err(_) if text.is_empty() => known(
                Reason::ReportMissing,
                format!(
                    "The worker of the {} run ended with exit code {} and left no report.",
                    label(kind),
                    terminated.exit_code
                ),
            ),
            Err(error) => known(
                Reason::ReportInvalid,
                format!(
                    "What the worker of the {} run left is no report: {}.",
                    label(kind),
                    Chain(error)
                ),
            ),
        },
    };
    (code, message, report.ok())
}

fn judge_report(
    report: RunReport,
    exit_code: i32,
    kind: RunKind,
) -> (Code, String, Option<RunReport>) {
    let error_message = report.error.as_ref().map(|error| error.message.clone());
    let (code, message) = match report.outcome {
        Outcome::Succeeded if exit_code == 0 => (
            Reason::Succeeded.into(),
            format!(
                "The {} run took up {} calls and found {} of {} numbers.",
                label(kind),
                report.calls,
                report.matched.contact + report.matched.account + report.matched.lead,
                report.numbers
            ),
        ),
        Outcome::Succeeded => (
            Reason::ReportInvalid.into(),
            format!(
                "The worker of the {} run reported success but ended with exit code {exit_code}.",
                label(kind),
            ),
        ),
        Outcome::BudgetExhausted => (
            Reason::BudgetExhausted.into(),
            error_message.unwrap_or_else(|| {
                format!(
                    "The {} run stopped at its share of the org's API requests.",
                    label(kind)
                )
            }),
        ),
        Outcome::Interrupted => (
            Reason::WorkerKilled.into(),
            format!(
                "The {} run was told to stop before it was done.",
                label(kind)
            ),
        ),
        Outcome::Failed => (
            report
                .error
                .as_ref()
                .map_or(Reason::RunFailed.into(), |error| error.code.clone()),
            error_message.unwrap_or_else(|| format!("The {} run failed.", label(kind))),
        ),
    };
    (code, message, Some(report))
}

/// Judges a Job that failed and whose pod is gone. Returns `None` while the Job is running, or if
/// it succeeded.
pub(crate) fn judge_job_without_pod(job: &Job) -> Option<EndedRun> {
    let kind = kind_of(job.labels())?;
    let failed = job
        .status
        .as_ref()?
        .conditions
        .iter()
        .flatten()
        .find(|condition| condition.type_ == "Failed" && condition.status == "True")?;
    // The pod has its own, earlier deadline, which counts from the time at which a node accepts it.
    let never_started = failed.reason.as_deref() == Some("DeadlineExceeded");
    let (outcome, message) = match never_started {
        true => (
            Reason::WorkerNotStarted,
            format!(
                "The pod of the {} run had not started when its Job's deadline was over.",
                label(kind)
            ),
        ),
        false => (
            Reason::PodLost,
            format!(
                "The pod of the {} run disappeared before it could report.",
                label(kind)
            ),
        ),
    };
    Some(EndedRun {
        job: job.name_any(),
        where_: RunWhere::Pod,
        job_uid: job.uid(),
        kind,
        started_at: job
            .status
            .as_ref()
            .and_then(|status| status.start_time.as_ref())
            .filter(|_| !never_started)
            .map(|time| time.0),
        finished_at: failed
            .last_transition_time
            .as_ref()
            .or(job.metadata.creation_timestamp.as_ref())?
            .0,
        credentials_version: None,
        allowance: allowance(job),
        outcome: outcome.into(),
        message,
        report: None,
    })
}

/// An integration's runs, sorted by state.
#[derive(Debug, Default)]
pub(crate) struct Runs {
    /// Ended runs that were not recorded before.
    pub ended: Vec<EndedRun>,
    /// Jobs that are running.
    pub active: Vec<Arc<Job>>,
    /// Active runs whose pod does not exist or does not start.
    pub stuck: Vec<StuckRun>,
    /// Names of all Jobs whose run has a known result, including runs that were recorded before.
    pub over: BTreeSet<String>,
    /// Runs that are over and whose pods go on.
    pub lingering: Vec<Lingering>,
    /// Names of the Jobs whose pods have ended as a whole.
    pub settled: BTreeSet<String>,
}

// === impl Runs ===

impl Runs {
    /// Sorts an integration's Jobs and their pods. `lost_pod_results` holds the results of runs
    /// whose pods are gone, `last` is the run in the status, and `is_recorded` knows earlier runs.
    ///
    /// For a moment after its pod is gone, a Job does not state yet that it failed. A recorded run
    /// does not become active again because of that, and it does not end twice.
    pub(crate) fn sort(
        jobs: Vec<Arc<Job>>,
        pods: &[Arc<Pod>],
        lost_pod_results: &[EndedRun],
        last: Option<&LastRun>,
        is_recorded: impl Fn(&str) -> bool,
        now: Timestamp,
    ) -> Self {
        let mut runs = Self::default();
        for job in jobs {
            let name = job.name_any();
            // A pod that others labelled reports nothing.
            let of_job = |pod: &&Arc<Pod>| {
                pod.labels().get(JOB_NAME) == Some(&name) && job_uid(pod) == job.uid()
            };
            let pods: Vec<&Arc<Pod>> = pods.iter().filter(of_job).collect();
            let mut ended: Vec<EndedRun> =
                pods.iter().filter_map(|pod| judge_pod(pod, now)).collect();
            if ended.is_empty() {
                let its = |run: &&EndedRun| {
                    let same = run.job == name && run.job_uid == job.uid();
                    same && ended_after(&job, run.finished_at)
                };
                ended.extend(lost_pod_results.iter().filter(its).cloned());
            }
            // An existing pod has yet to report its result, even if its Job already states one.
            if pods.is_empty() && ended.is_empty() {
                ended.extend(judge_job_without_pod(&job));
            }
            let recorded = is_recorded(&name);
            let is_last = last.is_some_and(|last| last.job == name && is_of(last, &job));
            if recorded || is_last || !ended.is_empty() {
                let lingering = pods.iter().filter_map(|pod| lingering::judge(pod));
                let before = runs.lingering.len();
                runs.lingering.extend(lingering);
                if runs.lingering.len() == before && !pods.is_empty() {
                    runs.settled.insert(name.clone());
                }
                runs.over.insert(name);
                runs.ended.extend(ended.into_iter().filter(|_| !recorded));
            } else if !has_finished(&job) {
                runs.stuck.extend(match pods.as_slice() {
                    [] => Vec::from_iter(judge_without_pod(&job)),
                    pods => pods.iter().filter_map(|pod| judge_pending(pod)).collect(),
                });
                runs.active.push(job);
            }
        }
        runs
    }
}

/// Whether a run belongs to this Job, and not to an earlier Job of the same name.
fn is_of(run: &LastRun, job: &Job) -> bool {
    let finished = run.finished_at.as_ref();
    finished.is_none_or(|finished| ended_after(job, finished.0))
}

/// Whether a run that ended at `finished_at` can belong to this Job.
fn ended_after(job: &Job, finished_at: Timestamp) -> bool {
    let created = job.metadata.creation_timestamp.as_ref();
    created.is_none_or(|created| created.0 <= finished_at)
}

fn has_finished(job: &Job) -> bool {
    let conditions = job.status.iter().flat_map(|status| &status.conditions);
    conditions.flatten().any(|condition| {
        matches!(condition.type_.as_str(), "Complete" | "Failed") && condition.status == "True"
    })
}

/// Runs that are not in the status yet, in the order in which they ended.
#[derive(Debug, Default)]
pub(crate) struct Unseen<'a> {
    /// Runs that ended after the one in status.
    pub later: Vec<&'a EndedRun>,
    /// Runs that ended before it but were observed only now, because their node reported late.
    pub late: Vec<&'a EndedRun>,
}

/// Returns the runs that are not recorded in the status.
///
/// Kubernetes times have a resolution of one second, and two runs may end within one second. The
/// run that started later then counts as later. If both also started within one second, both are
/// recorded. A caller that keeps the recorded runs leaves those out of `ended`. If a run ended
/// before `leader_since` and before the run in the status, it is unknown whether another controller
/// recorded it. Such a run counts as recorded.
pub(crate) fn unseen<'a>(
    ended: impl IntoIterator<Item = &'a EndedRun>,
    last: Option<&LastRun>,
    leader_since: Timestamp,
) -> Unseen<'a> {
    let is_later = |run: &EndedRun, last: &LastRun| {
        let times = |finished: Option<Timestamp>, started: Option<Timestamp>| (finished, started);
        let seen = times(
            last.finished_at.as_ref().map(|time| time.0),
            last.started_at.as_ref().map(|time| time.0),
        );
        times(Some(run.finished_at), run.started_at) >= seen
    };
    let mut unseen = Unseen::default();
    let others = ended
        .into_iter()
        .filter(|run| last.is_none_or(|last| last.job != run.job));
    for run in others {
        if last.is_none_or(|last| is_later(run, last)) {
            unseen.later.push(run);
        } else if run.finished_at > leader_since {
            unseen.late.push(run);
        }
    }
    for runs in [&mut unseen.later, &mut unseen.late] {
        runs.sort_by_key(|run| (run.finished_at, run.started_at, run.job.clone()));
    }
    unseen
}

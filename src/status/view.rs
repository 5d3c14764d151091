//! What matters of an integration, picked out of the resource as the API server has it. The
//! controller may be older or newer than this program: what is missing is left out, and a code or
//! a count that is not known here is shown as it is.

use jiff::Timestamp;
use k8s_openapi::api::batch::v1::CronJob;
use k8s_openapi::api::core::v1::Event;
use kube::ResourceExt;
use kube::api::DynamicObject;
use serde_json::{Map, Value};

use super::read::Found;
use crate::api::INTEGRATION_LABEL;
use crate::api::conditions::{ORDER, READY, STALLED};
use crate::api::status::Spending;
use crate::decide::rules::budget;
use crate::reason::{Code, Reason, Remedy};

/// The most Events of one integration that are shown.
const MAX_EVENTS: usize = 5;
/// The most errors that are shown; a status has no more.
const MAX_ERRORS: usize = 10;

/// Everything that was seen.
#[derive(Debug)]
pub(crate) struct Look {
    /// When.
    pub now: Timestamp,
    /// The integrations by namespace and name.
    pub integrations: Vec<Integration>,
    /// What could not be read, as sentences.
    pub left_out: Vec<String>,
}

/// The state of an integration as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// Everything works.
    Ready,
    /// Something does not hold, or is not known yet.
    NotReady,
    /// The controller has not seen the latest change of the resource.
    Outdated,
    /// No controller has looked at the resource yet.
    NotSeen,
    /// The resource is being deleted.
    Deleted,
}

/// One integration.
#[derive(Debug)]
pub(crate) struct Integration {
    pub namespace: String,
    pub name: String,
    pub state: State,
    /// Whether nothing changes until a person acts.
    pub stalled: bool,
    /// The conditions that Ready summarises in their order, then all others but Ready and Stalled.
    pub conditions: Vec<Condition>,
    /// The reason of Ready.
    pub reason: Option<String>,
    /// What to put right first.
    pub failing: Option<Failing>,
    pub budget: Option<Budget>,
    /// The Events, newest first; `None` when they could not be read.
    pub events: Option<Vec<Note>>,
    /// The CronJobs; `None` when they could not be read.
    pub cron_jobs: Option<Vec<Schedule>>,
    spec: Value,
    status: Value,
}

/// One condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Condition {
    pub type_: String,
    pub status: String,
    pub reason: String,
    pub message: String,
    pub since: Option<Timestamp>,
}

/// The first condition that does not hold, and what to do about it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Failing {
    pub condition: Condition,
    /// The code that says most: that of the message where the reason only says that a run failed.
    pub code: String,
    pub cause: Option<String>,
    /// `None` when nothing is to do.
    pub remedy: Option<String>,
    pub runbook: Option<String>,
}

/// The integration's share of the org's API requests of 24 hours.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Budget {
    pub share: Option<u64>,
    pub used: u64,
    pub resumes_at: Option<Timestamp>,
}

/// One Event.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Note {
    pub at: Option<Timestamp>,
    pub reason: String,
    pub message: String,
    pub count: i32,
}

/// One CronJob.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Schedule {
    pub name: String,
    pub schedule: String,
    pub time_zone: Option<String>,
    pub suspended: bool,
    pub active: usize,
    pub last_start: Option<Timestamp>,
}

// === impl Look ===

impl Look {
    /// Sorts what was read.
    pub(crate) fn of(found: Found, now: Timestamp) -> Self {
        let Found {
            integrations,
            events,
            cron_jobs,
        } = found;
        let mut integrations: Vec<Integration> = integrations
            .into_iter()
            .map(|object| {
                let mut integration = Integration::of(object, now);
                integration.events = events
                    .as_ref()
                    .ok()
                    .map(|events| integration.notes_of(events));
                integration.cron_jobs = cron_jobs
                    .as_ref()
                    .ok()
                    .map(|cron_jobs| integration.schedules_of(cron_jobs));
                integration
            })
            .collect();
        integrations.sort_by(|a, b| (&a.namespace, &a.name).cmp(&(&b.namespace, &b.name)));
        Self {
            now,
            integrations,
            left_out: [events.err(), cron_jobs.err()]
                .into_iter()
                .flatten()
                .collect(),
        }
    }

    /// Whether all of them are Ready.
    pub(crate) fn is_ready(&self) -> bool {
        self.integrations
            .iter()
            .all(|integration| integration.state == State::Ready)
    }
}

// === impl State ===

impl State {
    /// The name for programs.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "Ready",
            Self::NotReady => "NotReady",
            Self::Outdated => "Outdated",
            Self::NotSeen => "NotSeen",
            Self::Deleted => "Deleted",
        }
    }
}

// === impl Integration ===

impl Integration {
    fn of(object: DynamicObject, now: Timestamp) -> Self {
        let spec = object.data.get("spec").cloned().unwrap_or_default();
        let status = object.data.get("status").cloned().unwrap_or_default();
        let all: Vec<Condition> = entries(&status, "/conditions")
            .iter()
            .map(Condition::of)
            .collect();
        let find = |type_: &str| all.iter().find(|condition| condition.type_ == type_);
        let ready = find(READY);
        let observed = status.get("observedGeneration").and_then(Value::as_i64);
        let state = if object.metadata.deletion_timestamp.is_some() {
            State::Deleted
        } else if ready.is_none() {
            State::NotSeen
        } else if observed < object.metadata.generation {
            State::Outdated
        } else if ready.is_some_and(Condition::is_true) {
            State::Ready
        } else {
            State::NotReady
        };
        let in_order = ORDER.iter().filter_map(|type_| find(type_));
        let others = all.iter().filter(|condition| {
            let type_ = condition.type_.as_str();
            !ORDER.contains(&type_) && type_ != READY && type_ != STALLED
        });
        let conditions: Vec<Condition> = in_order.chain(others).cloned().collect();
        let failing = ready
            .filter(|ready| !ready.is_true())
            .map(|ready| first_failing(&conditions, ready))
            .map(|condition| Failing::of(condition, &status));
        Self {
            namespace: object.namespace().unwrap_or_default(),
            name: object.name_any(),
            state,
            stalled: find(STALLED).is_some_and(Condition::is_true),
            reason: ready.map(|ready| ready.reason.clone()),
            failing,
            budget: Budget::of(&status, now),
            events: None,
            cron_jobs: None,
            conditions,
            spec,
            status,
        }
    }

    /// A text of the spec.
    pub(crate) fn spec_text(&self, pointer: &str) -> Option<&str> {
        self.spec.pointer(pointer).and_then(Value::as_str)
    }

    /// A value of the status; `None` when it is absent or null.
    pub(crate) fn status(&self, pointer: &str) -> Option<&Value> {
        self.status
            .pointer(pointer)
            .filter(|value| !value.is_null())
    }

    /// A text of the status.
    pub(crate) fn status_text(&self, pointer: &str) -> Option<&str> {
        self.status(pointer).and_then(Value::as_str)
    }

    /// A time of the status.
    pub(crate) fn status_time(&self, pointer: &str) -> Option<Timestamp> {
        time(self.status(pointer))
    }

    /// The warnings, as the status has them.
    pub(crate) fn warnings(&self) -> &[Value] {
        entries(&self.status, "/warnings")
    }

    /// The last errors, newest first, as the status has them.
    pub(crate) fn errors(&self) -> &[Value] {
        let errors = entries(&self.status, "/errors");
        &errors[..errors.len().min(MAX_ERRORS)]
    }

    /// The last run, as the status has it.
    pub(crate) fn last_run(&self) -> Option<&Map<String, Value>> {
        self.status("/lastRun").and_then(Value::as_object)
    }

    fn notes_of(&self, events: &[Event]) -> Vec<Note> {
        let mut notes: Vec<Note> = events
            .iter()
            .filter(|event| {
                event.metadata.namespace.as_deref() == Some(self.namespace.as_str())
                    && event.involved_object.name.as_deref() == Some(self.name.as_str())
            })
            .map(Note::of)
            .collect();
        notes.sort_by_key(|note| std::cmp::Reverse(note.at));
        notes.truncate(MAX_EVENTS);
        notes
    }

    fn schedules_of(&self, cron_jobs: &[CronJob]) -> Vec<Schedule> {
        cron_jobs
            .iter()
            .filter(|cron_job| {
                cron_job.metadata.namespace.as_deref() == Some(self.namespace.as_str())
                    && cron_job.labels().get(INTEGRATION_LABEL) == Some(&self.name)
            })
            .map(Schedule::of)
            .collect()
    }
}

/// The condition that Ready speaks of: the first of its reason that is not true. Ready itself
/// where no condition has that reason, as while the integration is suspended.
fn first_failing<'a>(conditions: &'a [Condition], ready: &'a Condition) -> &'a Condition {
    conditions
        .iter()
        .find(|condition| !condition.is_true() && condition.reason == ready.reason)
        .unwrap_or(ready)
}

// === impl Condition ===

impl Condition {
    fn of(value: &Value) -> Self {
        let text = |key| text(value, key).to_owned();
        Self {
            type_: text("type"),
            status: text("status"),
            reason: text("reason"),
            message: text("message"),
            since: time(value.get("lastTransitionTime")),
        }
    }

    pub(crate) fn is_true(&self) -> bool {
        self.status == "True"
    }
}

// === impl Failing ===

impl Failing {
    fn of(condition: &Condition, status: &Value) -> Self {
        let code = code_of(condition);
        let known = Code::from(code.as_str());
        // The controller's own words come first: it may be newer than this program.
        let told = ["/errors", "/warnings"]
            .into_iter()
            .flat_map(|list| entries(status, list))
            .find(|entry| text(entry, "code") == code)
            .map(|entry| text(entry, "remedy").to_owned())
            .filter(|remedy| !remedy.is_empty());
        let remedy = match known.reason().map(Reason::remedy) {
            Some(Remedy::Nothing) => None,
            _ => Some(told.unwrap_or_else(|| known.remedy().to_owned())),
        };
        Self {
            condition: condition.clone(),
            cause: known.reason().map(Reason::in_words),
            runbook: known.reason().map(Reason::runbook_url),
            code,
            remedy,
        }
    }
}

/// The code at the beginning of the message where the reason says no more than that a run failed,
/// otherwise the reason.
fn code_of(condition: &Condition) -> String {
    let code = condition
        .message
        .split_once(": ")
        .map(|(code, _)| code)
        .filter(|code| {
            condition.reason == Reason::RunFailed.code()
                && !code.is_empty()
                && code.bytes().all(|byte| byte.is_ascii_alphanumeric())
        });
    code.unwrap_or(&condition.reason).to_owned()
}

// === impl Budget ===

impl Budget {
    fn of(status: &Value, now: Timestamp) -> Option<Self> {
        let budget = status.get("apiBudget").filter(|value| value.is_object())?;
        let spent: Vec<Spending> = entries(budget, "/spent")
            .iter()
            .filter_map(|entry| serde_json::from_value(entry.clone()).ok())
            .collect();
        Some(Self {
            share: budget.get("share").and_then(Value::as_u64),
            used: budget::total(&spent, now),
            resumes_at: time(budget.get("resumesAt")),
        })
    }
}

// === impl Note ===

impl Note {
    fn of(event: &Event) -> Self {
        let series = event.series.as_ref();
        let at = series
            .and_then(|series| series.last_observed_time.as_ref())
            .map(|time| time.0)
            .or(event.last_timestamp.as_ref().map(|time| time.0))
            .or(event.event_time.as_ref().map(|time| time.0))
            .or(event
                .metadata
                .creation_timestamp
                .as_ref()
                .map(|time| time.0));
        Self {
            // In whole seconds, as all other times of a status.
            at: at.and_then(|at| Timestamp::from_second(at.as_second()).ok()),
            reason: event.reason.clone().unwrap_or_default(),
            message: event.message.clone().unwrap_or_default(),
            count: series
                .and_then(|series| series.count)
                .or(event.count)
                .unwrap_or(1),
        }
    }
}

// === impl Schedule ===

impl Schedule {
    fn of(cron_job: &CronJob) -> Self {
        let spec = cron_job.spec.as_ref();
        let status = cron_job.status.as_ref();
        Self {
            name: cron_job.name_any(),
            schedule: spec.map(|spec| spec.schedule.clone()).unwrap_or_default(),
            time_zone: spec.and_then(|spec| spec.time_zone.clone()),
            suspended: spec.and_then(|spec| spec.suspend).unwrap_or(false),
            active: status
                .and_then(|status| status.active.as_ref())
                .map_or(0, Vec::len),
            last_start: status
                .and_then(|status| status.last_schedule_time.as_ref())
                .map(|time| time.0),
        }
    }
}

/// The entries of a list; none when it is absent.
fn entries<'a>(value: &'a Value, pointer: &str) -> &'a [Value] {
    value
        .pointer(pointer)
        .and_then(Value::as_array)
        .map(Vec::as_slice)
        .unwrap_or_default()
}

/// A text of an object; empty when it is absent.
pub(crate) fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value.get(key).and_then(Value::as_str).unwrap_or_default()
}

/// A time as Kubernetes writes it; `None` when it is absent or none.
pub(crate) fn time(value: Option<&Value>) -> Option<Timestamp> {
    value?.as_str()?.parse().ok()
}

//! What the controller may do itself, between the runs of the schedule: look up calls as they end,
//! follow changes, and answer calls that ring. It may when a CronJob of the integration would not
//! be suspended. What is big is handed over to a pod.

use std::time::Duration;

use jiff::Timestamp;
use kube::ResourceExt;

use super::children;
use super::rules::budget::{self, Budget};
use super::rules::config::{CallCenterConflicts, Config};
use super::rules::schedule;
use crate::api::conditions::{AUTHORIZED, EXCLUSIVE, Truth};
use crate::api::{Retrieval, SalesforceIntegration, Settings, conditions};
use crate::reason::{Code, Reason};
use crate::run::WorkerSettings;

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Work {
    /// Calls that ended are looked up, and changes are followed.
    Calls,
    /// Calls that ring are looked up.
    Rings,
}

/// The facts from which [`permit`] decides.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked<'a> {
    /// The integration, with its status.
    pub resource: &'a SalesforceIntegration,
    /// Its parsed spec.
    pub settings: &'a Settings,
    /// The operator's configuration.
    pub config: &'a Config,
    /// What is to be done.
    pub work: Work,
    /// API requests of earlier runs that the status does not count yet.
    pub uncounted: u64,
    /// API requests that active pods may use.
    pub reserved: u64,
}

/// What a run of the controller works with.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Permit {
    /// The settings of the run, as a pod would get them.
    pub settings: WorkerSettings,
    /// Fingerprint of the credential that was proved.
    pub credentials_version: String,
}

/// Why the controller does not do it now.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Not {
    /// Pods do it.
    #[error("the runs of this integration are pods")]
    Elsewhere,
    /// Nothing is to be done between the runs of the schedule.
    #[error("calls are not looked up as they end")]
    OnSchedule,
    /// The spec has changed, or was not looked at yet.
    #[error("the spec has changed and is looked at first")]
    Pending,
    /// The integration is suspended, or a condition that runs need is not true.
    #[error("the integration is not ready: {0}")]
    Unready(Code),
    /// No request is free. The value is when to ask again, if that can be said.
    #[error("no API request is free")]
    BudgetExhausted(Option<Timestamp>),
}

/// A run that the controller could do itself, and that is to be a pod's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HandOver {
    /// Tells this one from an earlier one: it becomes a part of the Job's name.
    pub id: String,
    /// Why.
    pub why: TooBig,
}

/// Why a run is too big for the controller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TooBig {
    /// Too many numbers wait.
    Numbers,
    /// The address book is to be filled.
    AddressBook,
}

// === impl TooBig ===

impl TooBig {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Numbers => "more numbers wait than the controller looks up itself",
            Self::AddressBook => "the address book is to be filled",
        }
    }
}

/// Whether the controller may do this now, and with which settings.
///
/// # Errors
/// Why it may not.
pub(crate) fn permit(asked: &Asked<'_>, now: Timestamp) -> Result<Permit, Not> {
    let (resource, settings, config) = (asked.resource, asked.settings, asked.config);
    if !config.is_resident(settings) {
        return Err(Not::Elsewhere);
    }
    if asked.work == Work::Calls && settings.retrieval != Retrieval::AfterCall {
        return Err(Not::OnSchedule);
    }
    if settings.suspend {
        return Err(Not::Unready(Reason::Suspended.into()));
    }
    let status = resource.status.as_ref().ok_or(Not::Pending)?;
    if status.observed_generation != resource.metadata.generation {
        return Err(Not::Pending);
    }
    for type_ in conditions::before(AUTHORIZED).chain([AUTHORIZED]) {
        let verdict = conditions::verdict(&status.conditions, type_).ok_or(Not::Pending)?;
        let holds = match type_ {
            AUTHORIZED => verdict.truth != Truth::False && verdict.reason != Reason::Pending,
            EXCLUSIVE if config.call_center_conflicts == CallCenterConflicts::Warn => {
                verdict.truth == Truth::True || verdict.reason == Reason::UserInOtherCallCenter
            }
            _ => verdict.truth == Truth::True,
        };
        if !holds {
            return Err(Not::Unready(verdict.reason));
        }
    }
    let connection = status.connection.as_ref().ok_or(Not::Pending)?;
    let credentials_version = connection.credentials_version.clone();
    let credentials_version = credentials_version.ok_or(Not::Pending)?;
    let allowance = allowance(asked, now)?;
    Ok(Permit {
        settings: children::worker_settings(resource, settings, status, allowance, None, config),
        credentials_version,
    })
}

/// The API requests that may be made now; `None` if the org's limit is not known.
fn allowance(asked: &Asked<'_>, now: Timestamp) -> Result<Option<u64>, Not> {
    let status = asked.resource.status.as_ref().ok_or(Not::Pending)?;
    let Some(kept) = &status.api_budget else {
        return Ok(None);
    };
    let Some(share) = kept.share else {
        return Ok(None);
    };
    let budget = Budget {
        share,
        proofs_a_day: budget::proofs_a_day(asked.settings.interval),
        for_rings: asked.config.for_rings(asked.settings, share),
        spent: kept.spent.clone(),
        runs_at_once: 1,
    };
    let taken = asked.uncounted.saturating_add(asked.reserved);
    let free = match asked.work {
        Work::Rings => budget.free_for_rings(now).saturating_sub(taken),
        Work::Calls => {
            let resumes = kept.resumes_at.as_ref().map(|at| at.0);
            if let Some(resumes) = resumes.filter(|resumes| *resumes > now) {
                return Err(Not::BudgetExhausted(Some(resumes)));
            }
            budget.free(now).saturating_sub(taken)
        }
    };
    match free {
        0 => Err(Not::BudgetExhausted(budget.room_from(now))),
        free => Ok(Some(free)),
    }
}

/// Returns when changes are asked for again after they were at `at`. `None` where nothing is
/// followed between the runs of the schedule.
pub(crate) fn next_follow(
    resource: &SalesforceIntegration,
    settings: &Settings,
    config: &Config,
    at: Timestamp,
) -> Option<Timestamp> {
    let follows = settings.retrieval == Retrieval::AfterCall && config.is_resident(settings);
    let (_, every) = settings.follow.filter(|_| follows)?;
    let uid = resource.uid().unwrap_or_default();
    let wait = schedule::until_next_proof(every, &uid, &at.as_second().to_string());
    at.checked_add(wait).ok()
}

/// Returns how long it takes at most from one time that changes are asked for to the next.
pub(crate) fn followed_within(every: Duration) -> Duration {
    every.mul_f64(1.25)
}

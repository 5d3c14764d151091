//! The output of `decide`: everything to do for one integration, as values that `act` carries out.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::batch::v1::{CronJob, Job};

use super::login::next_attempt::Cause;
use super::rules::warnings;
use super::rules::warnings::Origin;
use crate::api::SalesforceIntegrationStatus;
use crate::api::status::LastRun;
use crate::mail::Letter;
use crate::reason::{Code, Reason};
use crate::run::shorten;

/// Maximum length of what is said about a revocation that failed, in bytes.
const MAX_PROBLEM_BYTES: usize = 512;

/// The work to do for one integration.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// Cause of a proof. If it is set, the connection is proved first and the decision is
    /// repeated; nothing else of the plan is carried out.
    pub prove: Option<Cause>,
    /// The desired CronJob.
    pub cron_job: Option<CronJob>,
    /// CronJobs to delete, or to suspend until their runs have ended.
    pub retire: Vec<Retire>,
    /// Job of a run that the tenant requested.
    pub run: Option<Job>,
    /// Jobs to delete, because their runs are over and their pods go on.
    pub end_jobs: Vec<EndJob>,
    /// Whether to mint new tokens for the directory.
    pub mint_tokens: bool,
    /// Time before which the company's tokens are revoked now: the directory is told, once the new
    /// ones are there.
    pub revoke: Option<Timestamp>,
    /// Whether the integration gets the finalizer by which its data goes with it, or loses it.
    pub finalizer: Option<bool>,
    /// The desired status. It is written only if it differs.
    pub status: SalesforceIntegrationStatus,
    /// Runs that ended and that the desired status records for the first time.
    pub ended_runs: Vec<LastRun>,
    /// Whether these include the controller's own.
    pub takes_resident: bool,
    /// Whether reports of pods wait for a later write, because only counts changed.
    pub leaves_reports: bool,
    /// Whether the run is one that the controller hands over.
    pub takes_over: bool,
    /// Whether the controller's own run is to come at once, because Salesforce answers again.
    pub run_again: bool,
    /// Events to publish.
    pub notices: Vec<Notice>,
    /// Mails to send once the status is written.
    pub letters: Vec<Letter>,
    /// Time until the next reconcile if nothing happens before.
    pub requeue_after: Duration,
}

// === impl Plan ===

impl Plan {
    /// Whether the plan only creates the first objects that an integration has in the cluster. No
    /// run waits for those.
    pub(crate) fn is_first<L>(&self, live: &[L]) -> bool {
        let brings = self.mint_tokens || self.cron_job.is_some();
        brings && live.is_empty() && self.retire.is_empty() && self.run.is_none()
    }

    /// Repeats the decision at `wake`, or before.
    pub(crate) fn wake_at(&mut self, wake: Timestamp, now: Timestamp) {
        let wait = Duration::try_from(wake.duration_since(now)).unwrap_or_default();
        // One second more, so that a timer that fires early does not cause a useless reconcile.
        let wait = wait.saturating_add(Duration::from_secs(1));
        self.requeue_after = self.requeue_after.min(wait);
    }

    /// Returns the plan without the requested run, whose Job could not be created. The request
    /// stays open, and everything else is unchanged.
    pub(crate) fn without_run(mut self, before: Option<&SalesforceIntegrationStatus>) -> Self {
        self.run = None;
        self.takes_over = false;
        self.status.last_handled_run_at =
            before.and_then(|before| before.last_handled_run_at.clone());
        self.status.requested_run = before.and_then(|before| before.requested_run.clone());
        self.notices
            .retain(|notice| notice.reason != Reason::RunStarted);
        self
    }
}

impl Plan {
    /// Returns the plan without the revocation, of which the directory could not be told. The
    /// request stays open, and everything else is unchanged.
    pub(crate) fn without_revocation(
        mut self,
        before: Option<&SalesforceIntegrationStatus>,
        problem: &str,
    ) -> Self {
        let Some(at) = self.revoke.take() else {
            return self;
        };
        self.status.revoked_tokens = before.and_then(|before| before.revoked_tokens.clone());
        self.notices
            .retain(|notice| notice.reason != Reason::TokensRevoked);
        let mut message =
            format!("The tokens that were issued before {at} are still taken: {problem}");
        shorten(&mut message, MAX_PROBLEM_BYTES);
        let warning = warnings::of(Reason::TokensNotRevoked, message);
        warnings::replace(&mut self.status.warnings, Origin::Tokens, vec![warning]);
        self
    }
}

/// A CronJob that no longer fits the spec.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Retire {
    /// Its runs have ended: delete it.
    Delete(String),
    /// A run is active and is not interrupted: suspend the CronJob for now.
    Suspend(String),
}

/// A Job to delete.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct EndJob {
    /// Name of the Job.
    pub name: String,
    /// UID of the Job; another one of the same name is not deleted.
    pub uid: Option<String>,
}

/// An Event to publish.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Notice {
    /// Whether the Event is a warning, which somebody should check.
    pub warning: bool,
    /// Reason of the Event.
    pub reason: Code,
    /// Note of the Event: a sentence.
    pub note: String,
    /// Action of the controller, in CamelCase.
    pub action: &'static str,
}

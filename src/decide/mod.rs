//! Decides what to do for one integration: a pure function from the observed state to a plan. Every
//! rule of the controller is in this module or in a module below it. Nothing here does I/O or reads
//! the clock.

pub(crate) mod address_book;
pub mod book;
mod call_centers;
pub(crate) mod children;
pub(crate) mod data;
pub(crate) mod login;
pub(crate) mod notify;
mod observed;
mod plan;
mod proving;
pub(crate) mod resident;
pub(crate) mod revocation;
pub mod rules;
mod running;
pub(crate) mod runs;
mod spending;
#[cfg(test)]
pub(crate) mod tests;
mod verdicts;
mod whose;

use std::time::Duration;

use jiff::Timestamp;
use kube::ResourceExt;

pub(crate) use self::children::LiveCronJob;
pub(crate) use self::login::credentials::Credentials;
use self::login::ledger::note_refusal;
pub(crate) use self::login::ledger::with_attempt;
pub(crate) use self::login::next_attempt::Cause;
pub(crate) use self::login::proof::{Failure, Proof, Refusal, SiblingLogins, shared_since};
pub(crate) use self::observed::{Neighbours, Observed};
pub(crate) use self::plan::{EndJob, Notice, Plan, Retire};
use self::rules::budget::Budget;
use self::rules::error_log::{self, Source};
use self::runs::EndedRun;
use crate::api::conditions::{
    CALL_CENTERS_VERIFIED, CREDENTIALS_AVAILABLE, EXCLUSIVE, READY, STALLED, Truth, Verdict,
};
use crate::api::status::SalesforceIntegrationStatus;
use crate::api::{InvalidField, Settings, conditions};
use crate::reason::{Code, Reason};
use crate::run::shorten;

/// A run is overdue if none has ended this long after its deadline.
const OVERDUE_GRACE: Duration = Duration::from_secs(600);
/// Maximum time between two reconciles of an integration.
const MAX_REQUEUE: Duration = Duration::from_secs(6 * 3600);

/// Maximum length of a condition's message, in bytes. Some quote what the cluster or Salesforce
/// says.
const MAX_CONDITION_BYTES: usize = 1_024;
/// Maximum length of all errors and warnings in a status together, in bytes.
const MAX_TEXT_BYTES: usize = 10_240;

/// Decides what to do for one integration at `now`.
pub(crate) fn decide(observed: &Observed<'_>, now: Timestamp) -> Plan {
    let mut decision = Decision::new(observed, now);
    let settings = match observed.settings {
        Ok(settings) => settings,
        Err(invalid) => return decision.refuse_spec(&invalid.to_string()),
    };
    if let Err(invalid) = decision.may_run_so(settings) {
        return decision.refuse_spec(&invalid.to_string());
    }
    decision.credentials();
    decision.data(settings);
    decision.exclusive();
    decision.runs();
    decision.lingering();
    if settings.suspend {
        decision.handle_test_request("the integration is suspended");
    } else if let Some(cause) = decision.connection(settings) {
        return decision.prove(cause);
    }
    decision.warn_of_shared_user();
    decision.call_centers(settings);
    decision.update_share(settings);
    decision.children(settings);
    decision.address_book(settings);
    decision.revocation();
    decision.synced(settings);
    decision.summary(settings);
    decision.run_again(settings);
    decision.finish()
}

/// A decision in progress: the future status and the rest of the plan.
struct Decision<'a> {
    observed: &'a Observed<'a>,
    now: Timestamp,
    uid: String,
    status: SalesforceIntegrationStatus,
    plan: Plan,
    /// Ended runs that count but do not become the last run in the status.
    late_runs: Vec<&'a EndedRun>,
    new_runs: Vec<&'a EndedRun>,
    /// Known once Salesforce has reported the org's limit.
    budget: Option<Budget>,
    /// End of the wait for free API requests; `None` if runs do not wait.
    held: Option<Timestamp>,
    wake: Vec<Timestamp>,
}

// === impl Decision ===

impl<'a> Decision<'a> {
    fn new(observed: &'a Observed<'a>, now: Timestamp) -> Self {
        let status = observed.resource.status.clone().unwrap_or_default();
        // Runs of the controller wait until they are due, or until the status is written anyway.
        let is_due = |due: Timestamp| due <= now || observed.proof.is_some();
        let resident_due = observed.resident.due(Some(&status));
        let takes_resident = resident_due.is_some_and(is_due);
        let resident: &[EndedRun] = match takes_resident {
            true => observed.resident.runs(),
            false => &[],
        };
        let mut unseen = runs::unseen(
            observed.ended_runs.iter().chain(resident),
            status.last_run.as_ref(),
            observed.leader_since,
        );
        // So do the reports of pods, which stay there meanwhile.
        let reported = [unseen.late.as_slice(), unseen.later.as_slice()].concat();
        let pods_due = observed.resident.due_of_pods(&reported, &status);
        let leaves_reports = !takes_resident && pods_due.is_some_and(|due| !is_due(due));
        if leaves_reports {
            unseen = runs::Unseen::default();
        }
        let resident_waits = resident_due.filter(|_| !takes_resident);
        let pods_wait = pods_due.filter(|_| leaves_reports);
        Decision {
            observed,
            now,
            uid: observed.resource.uid().unwrap_or_default(),
            plan: Plan {
                prove: None,
                cron_job: None,
                retire: vec![],
                run: None,
                end_jobs: vec![],
                mint_tokens: false,
                revoke: None,
                finalizer: data::erasure::wanted(observed.resource),
                status: SalesforceIntegrationStatus::default(),
                ended_runs: vec![],
                takes_resident,
                leaves_reports,
                takes_over: false,
                run_again: false,
                notices: vec![],
                letters: vec![],
                requeue_after: MAX_REQUEUE,
            },
            status,
            late_runs: unseen.late,
            new_runs: unseen.later,
            budget: None,
            held: None,
            wake: resident_waits.into_iter().chain(pods_wait).collect(),
        }
    }

    fn set(&mut self, type_: &str, mut verdict: Verdict) {
        shorten(&mut verdict.message, MAX_CONDITION_BYTES);
        let generation = self.observed.resource.metadata.generation;
        conditions::set(
            &mut self.status.conditions,
            type_,
            verdict,
            generation,
            self.now,
        );
    }

    fn verdict(&self, type_: &str) -> Option<Verdict> {
        conditions::verdict(&self.status.conditions, type_)
    }

    fn is_false(&self, type_: &str) -> bool {
        self.verdict(type_)
            .is_some_and(|verdict| verdict.truth == Truth::False)
    }

    /// Sets a condition, and logs a configuration failure once for each change, not at every
    /// reconcile.
    fn set_and_file(&mut self, type_: &str, verdict: Verdict) {
        let changed = self
            .verdict(type_)
            .is_none_or(|old| (old.truth, &old.reason) != (verdict.truth, &verdict.reason));
        if changed && verdict.truth == Truth::False {
            error_log::record(
                &mut self.status.errors,
                Source::Credentials,
                &verdict.reason,
                &verdict.message,
                self.now,
            );
        }
        self.set(type_, verdict);
    }

    fn notice(
        &mut self,
        warning: bool,
        reason: impl Into<Code>,
        note: String,
        action: &'static str,
    ) {
        self.plan.notices.push(Notice {
            warning,
            reason: reason.into(),
            note,
            action,
        });
    }

    /// Checks `spec.run` against what the platform team allows, where that is known.
    fn may_run_so(&self, settings: &Settings) -> Result<(), InvalidField> {
        let config = self.observed.config;
        let Some(may) = &config.tenants_may else {
            return Ok(());
        };
        let (template, memory) = (&config.pod_template, &config.worker_memory);
        rules::pods::check(&settings.run, template, may, memory)
    }

    /// Returns the plan for a spec that passed the schema but refers to something that does not
    /// exist.
    fn refuse_spec(mut self, message: &str) -> Plan {
        let verdict = Verdict::fails(Reason::InvalidSpec, message);
        if self.verdict(READY).is_none_or(|old| old != verdict) {
            error_log::record(
                &mut self.status.errors,
                Source::Credentials,
                &verdict.reason,
                message,
                self.now,
            );
        }
        self.exclusive_of_refused();
        for type_ in conditions::ORDER
            .into_iter()
            .filter(|type_| *type_ != EXCLUSIVE)
        {
            self.set(
                type_,
                Verdict::unknown(Reason::Pending, "The spec must be corrected first."),
            );
        }
        conditions::remove(&mut self.status.conditions, CALL_CENTERS_VERIFIED);
        self.plan.retire = self
            .observed
            .cron_jobs
            .iter()
            .map(|cron_job| Retire::Suspend(cron_job.name.clone()))
            .collect();
        self.status.next_run = None;
        self.handle_test_request("the spec must be corrected first");
        self.ready(verdict, true);
        self.finish()
    }

    fn credentials(&mut self) {
        let verdict = verdicts::credentials(&self.observed.credentials);
        self.set_and_file(CREDENTIALS_AVAILABLE, verdict);
    }

    /// Sets Ready to the first condition that is not true. Stalled states whether waiting could
    /// help.
    fn summary(&mut self, settings: &Settings) {
        let verdicts: Vec<(&str, Verdict)> = conditions::ORDER
            .into_iter()
            .filter_map(|type_| Some((type_, self.verdict(type_)?)))
            .collect();
        let first_false = verdicts
            .iter()
            .filter(|(type_, _)| !self.is_tolerated(type_))
            .find(|(_, verdict)| verdict.truth == Truth::False);
        let first_pending = verdicts.iter().find(|(_, verdict)| {
            verdict.truth == Truth::Unknown && verdict.reason != Reason::RightsUnknown
        });
        let (verdict, stalled) = match (first_false, first_pending) {
            (Some((type_, verdict)), _) => (
                verdict.clone(),
                verdicts::needs_a_person(type_, &verdict.reason),
            ),
            (None, _) if settings.suspend => (
                Verdict::unknown(Reason::Suspended, "The integration is suspended."),
                false,
            ),
            (None, Some((_, verdict))) => (verdict.clone(), false),
            (None, None) => {
                let noted = verdicts.iter().filter(|(_, verdict)| {
                    verdict.truth == Truth::False || verdict.reason == Reason::RightsUnknown
                });
                let note = noted.fold("The connection works.".to_owned(), |note, (_, verdict)| {
                    format!("{note} {}", verdict.message)
                });
                (Verdict::holds(Reason::Ready, note), false)
            }
        };
        self.ready(verdict, stalled);
    }

    fn ready(&mut self, verdict: Verdict, stalled: bool) {
        let before = self.verdict(READY);
        if before
            .is_none_or(|before| (before.truth, &before.reason) != (verdict.truth, &verdict.reason))
        {
            let warning = verdict.truth == Truth::False;
            let note = if warning {
                format!("{} {}", verdict.message, verdict.reason.remedy())
            } else {
                verdict.message.clone()
            };
            self.notice(warning, verdict.reason.clone(), note, "Reconcile");
        }
        if stalled {
            self.set(
                STALLED,
                Verdict {
                    truth: Truth::True,
                    ..verdict.clone()
                },
            );
        } else {
            conditions::remove(&mut self.status.conditions, STALLED);
        }
        self.set(READY, verdict);
    }

    fn prove(mut self, cause: Cause) -> Plan {
        self.plan.prove = Some(cause);
        self.plan.notices.clear();
        self.plan.status = self.status;
        self.plan
    }

    fn finish(mut self) -> Plan {
        self.status.observed_generation = self.observed.resource.metadata.generation;
        if self.observed.proof.is_some() {
            self.wake.extend(self.next_proof());
        }
        if let Some(wake) = self.wake.iter().min() {
            self.plan.wake_at(*wake, self.now);
        }
        fit_texts(&mut self.status);
        self.plan.status = self.status;
        self.plan
    }
}

/// Shortens the messages of errors and warnings, the longest first, until all texts together have
/// at most [`MAX_TEXT_BYTES`].
fn fit_texts(status: &mut SalesforceIntegrationStatus) {
    let mut longest = MAX_TEXT_BYTES;
    loop {
        let errors = status.errors.iter();
        let errors =
            errors.map(|error| error.code.len() + error.message.len() + error.remedy.len());
        let warnings = status.warnings.iter();
        let warnings = warnings
            .map(|warning| warning.code.len() + warning.message.len() + warning.remedy.len());
        if errors.chain(warnings).sum::<usize>() <= MAX_TEXT_BYTES || longest == 0 {
            return;
        }
        longest = longest * 3 / 4;
        for error in &mut status.errors {
            shorten(&mut error.message, longest);
        }
        for warning in &mut status.warnings {
            shorten(&mut warning.message, longest);
        }
    }
}

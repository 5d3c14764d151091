//! The runs: what became of them, what is to run, and whether names arrive as they should.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt;

use super::errors::{self, remedy};
use super::runs::{self, EndedRun};
use super::schedule::Cadence;
use super::{Credentials, Decision, OVERDUE_GRACE, Retire, note_refusal, verdicts};
use crate::api::conditions::{
    self, AUTHORIZED, CONNECTED, CREDENTIALS_AVAILABLE, EXCLUSIVE, READY, SYNCED, Truth, Verdict,
    reason,
};
use crate::api::{RUN_REQUESTED_AT, Settings};
use crate::controller::children;
use crate::salesforce::Usage;

impl Decision<'_> {
    /// Takes in the runs that ended: their counts, their failures, and a log-in that Salesforce refused them.
    pub(super) fn runs(&mut self) {
        for run in self.new_runs.clone() {
            self.status.last_run = Some(run.as_last_run());
            if let Some(usage) = run.report.as_ref().and_then(|report| report.usage.as_ref()) {
                self.usage(&Usage {
                    used: usage.used,
                    limit: usage.limit,
                    observed_at: usage.observed_at,
                });
            }
            if !run.succeeded() {
                errors::record(
                    &mut self.status.errors,
                    runs::source(run.kind),
                    &run.outcome,
                    &run.message,
                    run.finished_at,
                );
                self.notice(
                    true,
                    &run.outcome,
                    format!("{} {}", run.message, remedy(&run.outcome)),
                    "Run",
                );
            }
            self.refused_in_run(run);
        }
    }

    /// A worker that was refused is a failed log-in of the credential like any other, unless the credential is another by now.
    pub(super) fn refused_in_run(&mut self, run: &EndedRun) {
        let Some(error) = run
            .report
            .as_ref()
            .filter(|report| report.login_refused)
            .and_then(|report| report.error.as_ref())
        else {
            return;
        };
        let Credentials::Available { fingerprint, .. } = &self.observed.credentials else {
            return;
        };
        if run
            .credentials_version
            .as_deref()
            .is_some_and(|version| version != fingerprint)
        {
            return;
        }
        let connection = self.status.connection.get_or_insert_default();
        if connection
            .verified_at
            .as_ref()
            .is_some_and(|verified| verified.0 > run.finished_at)
        {
            return;
        }
        note_refusal(connection, fingerprint, run.finished_at);
        self.set(
            CONNECTED,
            Verdict::fails(&error.code, error.message.clone()),
        );
    }

    /// Whether runs may start: nothing that they need is known to be missing.
    pub(super) fn may_run(&self, settings: &Settings) -> bool {
        !settings.suspend
            && [CREDENTIALS_AVAILABLE, EXCLUSIVE, CONNECTED]
                .iter()
                .all(|type_| conditions::is_true(&self.status.conditions, type_))
            && self.verdict(AUTHORIZED).is_some_and(|verdict| {
                verdict.truth != Truth::False && verdict.reason != reason::PENDING
            })
    }

    pub(super) fn children(&mut self, settings: &Settings) {
        let resource = self.observed.resource;
        let may_run = self.may_run(settings);
        let cadence = Cadence::of(settings, &self.uid);
        let exclusive = !self.is_false(EXCLUSIVE);
        if let (Some(cadence), true) = (cadence, exclusive) {
            let run = children::run_template(
                resource,
                settings,
                &self.status,
                &self.observed.credentials,
                self.observed.config,
            );
            self.plan.cron_job = Some(children::cron_job(
                resource, settings, cadence, !may_run, &run,
            ));
            self.run_request(may_run, Some(&run));
        } else {
            self.run_request(may_run, None);
        }
        let wanted = self.plan.cron_job.as_ref().map(ResourceExt::name_any);
        self.plan.retire = self
            .observed
            .cron_jobs
            .iter()
            .filter(|cron_job| Some(cron_job.name_any()) != wanted)
            .map(|cron_job| {
                let busy = cron_job
                    .status
                    .as_ref()
                    .and_then(|status| status.active.as_ref())
                    .is_some_and(|active| !active.is_empty());
                if busy {
                    Retire::Suspend(cron_job.name_any())
                } else {
                    Retire::Delete(cron_job.name_any())
                }
            })
            .collect();
        self.plan.mint_tokens =
            exclusive && self.observed.tokens.as_ref() != Some(&self.observed.tokens_wanted);
        self.status.next_run = cadence
            .filter(|_| may_run)
            .and_then(|cadence| cadence.next(self.now, &settings.time_zone))
            .map(Time);
    }

    /// Carries out, or refuses in words, a run that the tenant asks for.
    pub(super) fn run_request(&mut self, may_run: bool, run: Option<&children::RunTemplate>) {
        let Some(asked) = self.observed.resource.annotations().get(RUN_REQUESTED_AT) else {
            return;
        };
        if self.status.last_handled_run_at.as_ref() == Some(asked) {
            return;
        }
        match run {
            Some(run) if may_run => {
                let job = children::job_on_request(self.observed.resource, run, asked);
                self.notice(false, "RunStarted", format!("Job {} runs as asked for.", job.name_any()), "Run");
                self.plan.run = Some(job);
            }
            Some(_) => self.notice(true, "RunRefused", "The run that was asked for cannot start before the integration is ready.".into(), "Run"),
            None => self.notice(true, "RunRefused", "The run that was asked for has nothing to do: retrieval is Disabled, or the company ID belongs to another resource.".into(), "Run"),
        }
        self.status.last_handled_run_at = Some(asked.clone());
    }

    pub(super) fn synced(&mut self, settings: &Settings) {
        let verdict = if settings.suspend {
            Verdict::unknown(reason::SUSPENDED, "The integration is suspended.")
        } else if let Some(run) = self.new_runs.last() {
            verdicts::synced(&run.outcome, &run.message)
        } else {
            self.synced_without_news(settings)
        };
        self.set(SYNCED, verdict);
    }

    pub(super) fn synced_without_news(&mut self, settings: &Settings) -> Verdict {
        let Some(cadence) = Cadence::of(settings, &self.uid) else {
            return Verdict::holds(
                reason::RETRIEVAL_DISABLED,
                "Retrieval is Disabled: there is nothing to run.",
            );
        };
        if let Some(expected_by) = self.expected_by(cadence, settings) {
            if self.now >= expected_by {
                return Verdict::fails(
                    reason::RUN_OVERDUE,
                    format!("A run was due and none had ended by {expected_by}."),
                );
            }
            self.wake.push(expected_by);
        }
        match self.verdict(SYNCED) {
            Some(old)
                if ![
                    reason::SUSPENDED,
                    reason::PENDING,
                    reason::RETRIEVAL_DISABLED,
                ]
                .contains(&old.reason.as_str()) =>
            {
                old
            }
            _ => match &self.status.last_run {
                Some(last) if last.outcome == runs::SUCCEEDED => {
                    Verdict::holds(reason::RUN_SUCCEEDED, "The last run succeeded.")
                }
                Some(last) => verdicts::synced(
                    &last.outcome,
                    &format!("The last run ended with {}.", last.outcome),
                ),
                None => Verdict::holds(reason::NO_RUN_YET, "No run was due yet."),
            },
        }
    }

    /// By when a run should have ended; none while runs may not start, or one goes on.
    pub(super) fn expected_by(&self, cadence: Cadence, settings: &Settings) -> Option<Timestamp> {
        if !self.may_run(settings) || !self.observed.active_jobs.is_empty() {
            return None;
        }
        let created = self
            .observed
            .cron_jobs
            .iter()
            .filter_map(|cron_job| cron_job.metadata.creation_timestamp.as_ref())
            .map(|time| time.0)
            .max()?;
        let since = self
            .status
            .conditions
            .iter()
            .filter(|condition| condition.type_ != READY && condition.reason != reason::RUN_OVERDUE)
            .map(|condition| condition.last_transition_time.0)
            .chain(
                self.status
                    .last_run
                    .as_ref()
                    .and_then(|run| run.finished_at.as_ref())
                    .map(|time| time.0),
            )
            .fold(created, Timestamp::max);
        let start = cadence.next(since, &settings.time_zone)?;
        start
            .checked_add(self.observed.config.run_deadline + OVERDUE_GRACE)
            .ok()
    }
}

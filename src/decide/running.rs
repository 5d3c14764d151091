//! The runs: their results, the runs to start, and whether names arrive as they should.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt;

use super::data::claim::Holding;
use super::login::user_limit::Refused;
use super::login::{recovery, user_limit};
use super::rules::schedule::Cadence;
use super::rules::warnings::Origin;
use super::rules::{error_log, requests, warnings};
use super::runs::admission::Admission;
use super::runs::stuck::StuckRun;
use super::runs::{EndedRun, labels, stuck};
use super::{
    Credentials, Decision, EndJob, OVERDUE_GRACE, Retire, children, note_refusal, runs, verdicts,
};
use crate::api::conditions::{
    AUTHORIZED, CALL_CENTERS_VERIFIED, CONNECTED, READY, SYNCED, Truth, Verdict,
};
use crate::api::status::RequestedRun;
use crate::api::{POD_SETTINGS, RUN_REQUESTED_AT, Retrieval, RunWhere, Settings, conditions};
use crate::reason::{Code, Reason};

/// A request this soon after a requested run was started is answered by that run, if it is still
/// under way.
const COOL_DOWN: SignedDuration = SignedDuration::from_secs(15);

/// How long before its start the container of a run may have been given the Secret. The kubelet
/// reads it when it makes the container; clocks differ, and Kubernetes writes whole seconds.
const READS_SECRET_WITHIN: SignedDuration = SignedDuration::from_mins(1);

impl Decision<'_> {
    /// Records the runs that ended: their counts, their failures, and a log-in that Salesforce
    /// refused.
    pub(crate) fn runs(&mut self) {
        if let Some(last) = self.new_runs.last() {
            self.status.last_run = Some(last.as_last_run());
        }
        let runs = [self.late_runs.as_slice(), self.new_runs.as_slice()].concat();
        for run in runs {
            self.record_run_usage(run);
            self.plan.ended_runs.push(run.as_last_run());
            if run.succeeded() {
                let last = &mut self.status.last_successful_time;
                *last = last.take().max(Some(Time(run.finished_at)));
            } else {
                error_log::record(
                    &mut self.status.errors,
                    runs::source(run.kind),
                    &run.outcome,
                    &run.message,
                    run.finished_at,
                );
                self.notice(
                    true,
                    run.outcome.clone(),
                    format!("{} {}", run.message, run.outcome.remedy()),
                    "Run",
                );
            }
            self.refused_in_run(run);
            self.worked_in_run(run);
        }
    }

    /// Lets a run that worked with the credential of the last proof stand for the next proof. It
    /// is a report of a pod, so it counts for this integration alone.
    fn worked_in_run(&mut self, run: &EndedRun) {
        let is_connected = conditions::is_true(&self.status.conditions, CONNECTED);
        let has_asked = run
            .report
            .as_ref()
            .is_some_and(|report| report.api_calls > 0);
        let Some(connection) = self.status.connection.as_mut() else {
            return;
        };
        let is_same = run.credentials_version.is_some()
            && run.credentials_version == connection.credentials_version;
        let began_after = connection
            .verified_at
            .as_ref()
            .is_some_and(|verified| run.started_at.is_some_and(|began| began > verified.0));
        if run.succeeded() && is_connected && has_asked && is_same && began_after {
            let ended = Some(Time(run.finished_at.min(self.now)));
            connection.run_succeeded_at = connection.run_succeeded_at.take().max(ended);
        }
    }

    /// Ends the Jobs whose report is taken and whose pods go on, and names the containers that do.
    pub(crate) fn lingering(&mut self) {
        let mut warning = None;
        for run in self.observed.lingering {
            match run.due() {
                Some(due) if self.now < due => self.wake.push(due),
                _ => {
                    self.plan.end_jobs.push(EndJob {
                        name: run.job.clone(),
                        uid: run.job_uid.clone(),
                    });
                    warning = Some(warnings::of(Reason::ContainerStillRuns, run.message()));
                }
            }
        }
        let last = self.status.last_run.as_ref();
        let is_over = last.is_some_and(|last| self.observed.settled_jobs.contains(&last.job));
        if warning.is_some() || is_over {
            let found = warning.into_iter().collect();
            warnings::replace(&mut self.status.warnings, Origin::Pods, found);
        }
    }

    /// Counts the refused log-in of a worker like any other failed log-in of the credential, unless
    /// the credential has changed since, or was another one for a moment when the worker read it.
    pub(crate) fn refused_in_run(&mut self, run: &EndedRun) {
        let Some(error) = run
            .report
            .as_ref()
            .filter(|report| report.login_refused)
            .and_then(|report| report.error.as_ref())
        else {
            return;
        };
        let Credentials::Available {
            fingerprint, user, ..
        } = &self.observed.credentials
        else {
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
        let at = run.finished_at.min(self.now);
        let another = run.started_at.and_then(|began| {
            // What was proved before the run began was in the Secret then.
            let proved = connection.verified_at.as_ref().map(|time| time.0);
            let since = proved
                .filter(|proved| *proved <= began)
                .or(began.checked_sub(READS_SECRET_WITHIN).ok())?;
            user_limit::another_after(connection, user, fingerprint, since)
        });
        if let Some(another) = another {
            let refused = Refused {
                at,
                credential: Some(another),
                unanswered: false,
                reported: true,
            };
            user_limit::record(connection, user, refused);
            return;
        }
        note_refusal(connection, fingerprint, user, at, true);
        self.set(
            CONNECTED,
            Verdict::fails(error.code.clone(), error.message.clone()),
        );
    }

    /// Whether runs may start: nothing that they need is known to be missing.
    pub(crate) fn may_run(&self, settings: &Settings) -> bool {
        !settings.suspend
            && conditions::before(AUTHORIZED).all(|type_| {
                conditions::is_true(&self.status.conditions, type_) || self.is_tolerated(type_)
            })
            && self.verdict(AUTHORIZED).is_some_and(|verdict| {
                verdict.truth != Truth::False && verdict.reason != Reason::Pending
            })
    }

    /// Returns the cadence of the runs; `None` if retrieval is disabled.
    pub(crate) fn cadence(&self, settings: &Settings) -> Option<Cadence> {
        self.observed.config.cadence(settings, &self.uid)
    }

    /// Whether the controller looks up calls as they end.
    pub(crate) fn is_resident_after_calls(&self, settings: &Settings) -> bool {
        settings.retrieval == Retrieval::AfterCall && self.observed.config.is_resident(settings)
    }

    pub(crate) fn children(&mut self, settings: &Settings) {
        let resource = self.observed.resource;
        let may_run = self.may_run(settings);
        let cadence = self.cadence(settings);
        let holds_company = self.holds_company();
        if may_run {
            self.hold_runs(cadence, settings);
        }
        let refused = self.observed.admission.verdict().is_some();
        let nothing_starts = !may_run
            || refused && self.observed.cron_jobs.is_empty()
            || self.observed.admission.lacks_tokens();
        self.status.next_run = cadence
            .filter(|_| !nothing_starts)
            .and_then(|cadence| self.next_start(cadence, settings))
            .map(Time);
        // A run that does not begin shows only by the clock.
        let look = self.status.next_run.as_ref();
        let look = look.and_then(|next| next.0.checked_add(stuck::LOOK_AFTER_START).ok());
        self.wake.extend(look.filter(|look| *look > self.now));
        if let (Some(cadence), true) = (cadence, holds_company) {
            let allowance = self.allowance_by_clock(cadence, settings);
            let run = self.run_template(settings, allowance, None);
            let suspend = !may_run
                || self.held.is_some()
                || allowance == Some(0)
                || self.observed.admission.lacks_tokens();
            let cron_job = children::cron_job(resource, settings, cadence, suspend, &run);
            self.plan.cron_job = Some(cron_job);
        }
        if may_run && holds_company && !refused {
            self.hand_over(settings);
        }
        if let Some(request_id) = self.run_requested() {
            let possible = cadence.is_some() && holds_company;
            self.run_on_request(&request_id, may_run, possible.then_some(settings));
        }
        let wanted = self.plan.cron_job.as_ref().map(ResourceExt::name_any);
        self.plan.retire = self
            .observed
            .cron_jobs
            .iter()
            .filter(|cron_job| Some(&cron_job.name) != wanted.as_ref())
            .map(|cron_job| {
                let name = cron_job.name.clone();
                if cron_job.busy {
                    Retire::Suspend(name)
                } else {
                    Retire::Delete(name)
                }
            })
            .collect();
        // Before it is known whose the data is, nobody gets a token for it.
        let may_have = holds_company && self.holding() == Holding::Ours;
        self.plan.mint_tokens =
            may_have && self.observed.tokens.as_ref() != Some(&self.observed.tokens_wanted);
    }

    /// Starts the pod that does what is too big for the controller, unless a run is active that
    /// does it, or no request is free.
    fn hand_over(&mut self, settings: &Settings) {
        let Some(hand_over) = &self.observed.hand_over else {
            return;
        };
        if !self.observed.active_jobs.is_empty() {
            self.plan.takes_over = true;
            return;
        }
        let allowance = self.allowance_now();
        if allowance == Some(0) || self.held.is_some() {
            return;
        }
        let run = self.run_template(settings, allowance, None);
        let job = children::job_on_request(self.observed.resource, &run, &hand_over.id);
        let why = hand_over.why.as_str();
        let note = format!("Job {} runs, because {why}.", job.name_any());
        self.notice(false, Reason::RunStarted, note, "Run");
        self.plan.run = Some(job);
        self.plan.takes_over = true;
    }

    fn run_template(
        &self,
        settings: &Settings,
        allowance: Option<u64>,
        request_id: Option<&str>,
    ) -> children::RunTemplate {
        children::run_template(
            self.observed.resource,
            settings,
            &self.status,
            &self.observed.credentials,
            allowance,
            request_id,
            self.observed.config,
        )
    }

    /// Returns the request for a run that is not handled yet.
    fn run_requested(&self) -> Option<String> {
        requests::value(self.observed.resource, RUN_REQUESTED_AT)
            .filter(|value| self.status.last_handled_run_at.as_ref() != Some(value))
    }

    /// Starts the run that the tenant requests, or refuses it with a message. `settings` is `None`
    /// if the run has nothing to do. If other active runs may use all that is left, it starts after
    /// one of them has ended.
    fn run_on_request(&mut self, request_id: &str, may_run: bool, settings: Option<&Settings>) {
        if let Some(job) = self.run_that_answers() {
            let note = format!(
                "Job {job} answers this request, too: it was asked for less than {} seconds ago.",
                COOL_DOWN.as_secs()
            );
            self.notice(false, Reason::RunStarted, note, "Run");
            self.status.last_handled_run_at = Some(request_id.to_owned());
            return;
        }
        let allowance = self.allowance_now();
        if settings.is_some() && may_run && allowance == Some(0) && self.waits_for_others() {
            return;
        }
        match self.job_on_request(request_id, allowance, may_run, settings) {
            Ok(job) => {
                let note = format!("Job {} runs as asked for.", job.name_any());
                self.notice(false, Reason::RunStarted, note, "Run");
                self.status.requested_run = Some(RequestedRun {
                    job: job.name_any(),
                    started_at: Time(self.now),
                });
                self.plan.run = Some(job);
            }
            Err(refusal) => self.notice(true, Reason::RunRefused, refusal, "Run"),
        }
        self.status.last_handled_run_at = Some(request_id.to_owned());
    }

    /// Returns the Job of the requested run that is under way and was started a moment ago. A
    /// further request gets nothing from another run that this one does not bring, and the phone
    /// platform itself rests as long (facts: phone platform 1.4).
    fn run_that_answers(&self) -> Option<String> {
        let requested = self.status.requested_run.as_ref()?;
        let since = self.now.duration_since(requested.started_at.0);
        // The status has one last run: another one may have ended since this one did.
        let last = self.status.last_run.as_ref();
        let is_over = last.is_some_and(|last| last.job == requested.job)
            || self.observed.over_jobs.contains(&requested.job);
        (since < COOL_DOWN && !is_over).then(|| requested.job.clone())
    }

    /// Returns the Job that the tenant requests, or the reason why there is none.
    fn job_on_request(
        &mut self,
        request_id: &str,
        allowance: Option<u64>,
        may_run: bool,
        settings: Option<&Settings>,
    ) -> Result<Job, String> {
        let Some(settings) = settings else {
            return Err("The run that was asked for has nothing to do: retrieval is Disabled, or the company ID belongs to another resource.".into());
        };
        if !may_run {
            return Err(
                "The run that was asked for cannot start before the integration is ready.".into(),
            );
        }
        if allowance == Some(0) {
            return Err("The run that was asked for cannot start: what the integration may use of the org's API requests within 24 hours is used.".into());
        }
        let run = self.run_template(settings, allowance, Some(request_id));
        let job = children::job_on_request(self.observed.resource, &run, request_id);
        match self.observed.admission.refuses_job(&job.name_any()) {
            None => Ok(job),
            Some((reason, refusal)) => {
                let (source, code) = (runs::source(run.kind), reason.into());
                error_log::record(&mut self.status.errors, source, &code, &refusal, self.now);
                Err(refusal)
            }
        }
    }

    /// Has the controller's own run come at once where the connection, or the last run, waited for
    /// an answer and there is one by now.
    pub(crate) fn run_again(&mut self, settings: &Settings) {
        let before = self.observed.resource.status.as_ref();
        let is_proved = self
            .observed
            .proof
            .is_some_and(|proof| proof.outcome.is_ok());
        let is_back = is_proved && before.is_some_and(recovery::proof_waits);
        let answers = is_proved || self.observed.answers_again;
        self.plan.run_again = self.is_resident_after_calls(settings)
            && self.may_run(settings)
            && (is_back || answers && recovery::run_waits(&self.status));
    }

    pub(crate) fn synced(&mut self, settings: &Settings) {
        let verdict = if settings.suspend {
            Verdict::unknown(Reason::Suspended, "The integration is suspended.")
        } else if let Some(refused) = self.refused_by_cluster(settings) {
            refused
        } else if let Some(stuck) = self.stuck() {
            stuck
        } else if let Some(until) = self.held {
            self.budget_verdict(until, settings)
        } else if let Some(run) = self.new_runs.last() {
            self.ended(run)
        } else {
            self.synced_without_news(settings)
        };
        let verdict = self.with_address_book(settings, verdict);
        self.set(SYNCED, verdict);
    }

    /// Returns the verdict while the cluster refuses an object that runs need. The refusal is
    /// logged once, and shown until the cluster accepts the object.
    fn refused_by_cluster(&mut self, settings: &Settings) -> Option<Verdict> {
        let verdict = self.observed.admission.verdict()?;
        let old = self.verdict(SYNCED);
        let fails = verdict.truth == Truth::False;
        if fails && old.is_none_or(|old| old.reason != verdict.reason) {
            let source = runs::source(children::kind_of_run(settings));
            let (code, message) = (&verdict.reason, &verdict.message);
            error_log::record(&mut self.status.errors, source, code, message, self.now);
        }
        Some(verdict)
    }

    fn ended(&self, run: &EndedRun) -> Verdict {
        match &self.status.next_run {
            _ if run.outcome == Reason::BudgetExhausted && run.where_ == RunWhere::Resident => {
                verdicts::synced(
                    &run.outcome,
                    "The controller's look-up of calls stopped at its allowance of the org's API requests. What it found is kept; it goes on when requests are free.",
                )
            }
            Some(next) if run.outcome == Reason::BudgetExhausted => verdicts::synced(
                &run.outcome,
                &format!(
                    "The {} run stopped at its allowance of the org's API requests. What it found is kept; the next run goes on at {}.",
                    labels::label(run.kind),
                    next.0
                ),
            ),
            _ => verdicts::synced(&run.outcome, &run.message),
        }
    }

    /// Returns the verdict while the pod of a run does not start. It is reported once for each run,
    /// and shown as long as it lasts.
    fn stuck(&mut self) -> Option<Verdict> {
        let mut verdict = None;
        let check_times = self.observed.active_jobs.iter();
        let check_times = check_times.filter_map(|job| stuck::look_at(job));
        self.wake.extend(check_times.filter(|at| *at > self.now));
        for stuck in self.observed.stuck_runs {
            if self.now < stuck.due {
                self.wake.push(stuck.due);
                self.wake.extend(stuck.next_question(self.now));
                continue;
            }
            if let Some(job) = self.outdated(stuck) {
                self.plan.end_jobs.push(job);
                self.ask_again_for(&stuck.job);
            }
            let source = runs::source(stuck.kind);
            let code = Code::from(stuck.code);
            let known = error_log::last_seen(&self.status.errors, source, &code);
            if known.is_none_or(|seen| seen < stuck.due) {
                let message = &stuck.message;
                error_log::record(&mut self.status.errors, source, &code, message, stuck.due);
                let note = format!("{message} {}", code.remedy());
                self.notice(true, stuck.code, note, "Run");
            }
            verdict = Some(verdicts::synced(&code, &stuck.message));
        }
        verdict
    }

    /// Returns the Job of a run that gets no pod, if other things are set for its pods by now. It
    /// would keep what the cluster refused, and no run would follow before its deadline.
    fn outdated(&self, stuck: &StuckRun) -> Option<EndJob> {
        let settings = self.observed.settings.ok()?;
        let wanted = children::pod_settings(settings, self.observed.config);
        let mut jobs = self.observed.active_jobs.iter();
        let job = jobs.find(|job| job.name_any() == stuck.job)?;
        let given = job.annotations().get(POD_SETTINGS)?;
        (stuck.code == Reason::PodNotCreated && *given != wanted).then(|| EndJob {
            name: stuck.job.clone(),
            uid: job.uid(),
        })
    }

    /// Reopens the request for a run whose Job is deleted before it ran.
    fn ask_again_for(&mut self, job: &str) {
        let requested = self.status.requested_run.as_ref();
        if requested.is_some_and(|requested| requested.job == job) {
            self.status.requested_run = None;
            self.status.last_handled_run_at = None;
        }
    }

    pub(crate) fn synced_without_news(&mut self, settings: &Settings) -> Verdict {
        let Some(cadence) = self.cadence(settings) else {
            return Verdict::holds(
                Reason::RetrievalDisabled,
                "Retrieval is Disabled: there is nothing to run.",
            );
        };
        if let Some(expected_by) = self.expected_by(cadence, settings) {
            if self.now >= expected_by {
                return Verdict::fails(
                    Reason::RunOverdue,
                    format!("A run was due and none had ended by {expected_by}."),
                );
            }
            self.wake.push(expected_by);
        }
        match self.verdict(SYNCED) {
            Some(old)
                if !matches!(
                    old.reason.reason(),
                    Some(Reason::Suspended | Reason::Pending | Reason::RetrievalDisabled)
                ) && !conditions::is_of_address_book(&old.reason)
                    && !self.was_only_held(&old)
                    && !self.is_accepted_now(&old) =>
            {
                old
            }
            _ => match &self.status.last_run {
                Some(last) if last.code() == Reason::Succeeded => {
                    Verdict::holds(Reason::RunSucceeded, "The last run succeeded.")
                }
                Some(last) => verdicts::synced(
                    &last.code(),
                    &format!("The last run ended with {}.", last.outcome),
                ),
                None => Verdict::holds(Reason::NoRunYet, "No run was due yet."),
            },
        }
    }

    /// Whether a verdict states a refusal by the cluster that is over.
    fn is_accepted_now(&self, verdict: &Verdict) -> bool {
        conditions::is_of_admission(&verdict.reason)
            && self.observed.admission == Admission::Accepted
    }

    /// Returns the time by which a run should have ended; `None` while runs may not start or one is
    /// active.
    pub(crate) fn expected_by(&self, cadence: Cadence, settings: &Settings) -> Option<Timestamp> {
        let waits = !self.may_run(settings) || self.held.is_some();
        if waits || !self.observed.active_jobs.is_empty() {
            return None;
        }
        let created = self
            .observed
            .cron_jobs
            .iter()
            .filter_map(|cron_job| cron_job.created_at)
            .max()?;
        let since = self
            .status
            .conditions
            .iter()
            .filter(|condition| {
                ![READY, CALL_CENTERS_VERIFIED].contains(&condition.type_.as_str())
                    && conditions::reason_of(condition) != Reason::RunOverdue
            })
            .map(|condition| condition.last_transition_time.0)
            .chain(
                self.observed
                    .cron_jobs
                    .iter()
                    .filter_map(|cron_job| cron_job.started_at)
                    .filter(|_| self.is_resident_after_calls(settings)),
            )
            .chain(
                self.status
                    .last_run
                    .as_ref()
                    // Runs of the controller do not show that the sweep comes.
                    .filter(|run| run.where_ == RunWhere::Pod)
                    .and_then(|run| run.finished_at.as_ref())
                    .map(|time| time.0),
            )
            .chain(self.held_until())
            .fold(created, Timestamp::max);
        let start = cadence.next(since, &settings.time_zone)?;
        start
            .checked_add(self.observed.config.run_deadline + OVERDUE_GRACE)
            .ok()
    }
}

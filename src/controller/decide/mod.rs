//! What to do about one integration: a pure function from what was observed to a plan. Every rule of the controller is here or
//! in a module below; nothing here does I/O or asks for the time.

pub mod errors;
mod observed;
mod plan;
pub mod proof;
pub mod runs;
pub mod schedule;
mod verdicts;

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt;

pub use observed::{Credentials, Elsewhere, Failure, Observed, Proof, Refusal};
pub use plan::{Notice, Plan, Retire};

use self::errors::{Source, remedy};
use self::proof::{Cause, Next};
use self::runs::EndedRun;
use self::schedule::Cadence;
use crate::api::conditions::{
    self, AUTHORIZED, CONNECTED, CREDENTIALS_AVAILABLE, EXCLUSIVE, READY, STALLED, SYNCED, Truth,
    Verdict, reason,
};
use crate::api::status::{ApiUsage, Connection, SalesforceIntegrationStatus};
use crate::api::{RUN_REQUESTED_AT, Settings, TEST_REQUESTED_AT};
use crate::controller::children;
use crate::salesforce::{Meaning, Usage};

/// A run is overdue when none has ended that long after its deadline.
const OVERDUE_GRACE: Duration = Duration::from_secs(600);
/// Something is looked at at least that often, whatever happens.
const LONGEST_WAIT: Duration = Duration::from_secs(6 * 3600);

/// Decides what to do about one integration at `now`.
pub fn decide(observed: &Observed<'_>, now: Timestamp) -> Plan {
    let mut decision = Decision::new(observed, now);
    let settings = match observed.settings {
        Ok(settings) => settings,
        Err(invalid) => return decision.refuse_spec(&invalid.to_string()),
    };
    decision.credentials();
    decision.exclusive();
    decision.runs();
    if settings.suspend {
        decision.handle_test_request("the integration is suspended");
    } else if let Some(cause) = decision.connection(settings) {
        return decision.prove(cause);
    }
    decision.children(settings);
    decision.synced(settings);
    decision.summary(settings);
    decision.finish()
}

/// A decision in the making: the status as it will be, and what goes with it.
struct Decision<'a> {
    observed: &'a Observed<'a>,
    now: Timestamp,
    uid: String,
    status: SalesforceIntegrationStatus,
    plan: Plan,
    new_runs: Vec<&'a EndedRun>,
    wake: Vec<Timestamp>,
}

// === impl Decision ===

impl<'a> Decision<'a> {
    fn new(observed: &'a Observed<'a>, now: Timestamp) -> Self {
        let status = observed.resource.status.clone().unwrap_or_default();
        let new_runs = runs::unseen(observed.ended_runs, status.last_run.as_ref());
        Decision {
            observed,
            now,
            uid: observed.resource.uid().unwrap_or_default(),
            plan: Plan {
                prove: None,
                cron_job: None,
                retire: vec![],
                run: None,
                mint_tokens: false,
                status: SalesforceIntegrationStatus::default(),
                notices: vec![],
                look_again: LONGEST_WAIT,
            },
            status,
            new_runs,
            wake: vec![],
        }
    }

    fn set(&mut self, type_: &str, verdict: Verdict) {
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

    /// Files a failure of the configuration once for each change, not at every look.
    fn set_and_file(&mut self, type_: &str, verdict: Verdict) {
        let news = self
            .verdict(type_)
            .is_none_or(|old| (old.truth, &old.reason) != (verdict.truth, &verdict.reason));
        if news && verdict.truth == Truth::False {
            errors::record(
                &mut self.status.errors,
                Source::Credentials,
                &verdict.reason,
                &verdict.message,
                self.now,
            );
        }
        self.set(type_, verdict);
    }

    fn notice(&mut self, warning: bool, reason: &str, note: String, action: &'static str) {
        self.plan.notices.push(Notice {
            warning,
            reason: reason.into(),
            note,
            action,
        });
    }

    /// The spec passed the schema and still names something that does not exist.
    fn refuse_spec(mut self, message: &str) -> Plan {
        let verdict = Verdict::fails(reason::INVALID_SPEC, message);
        if self.verdict(READY).is_none_or(|old| old != verdict) {
            errors::record(
                &mut self.status.errors,
                Source::Credentials,
                &verdict.reason,
                message,
                self.now,
            );
        }
        for type_ in [CREDENTIALS_AVAILABLE, CONNECTED, AUTHORIZED, SYNCED] {
            self.set(
                type_,
                Verdict::unknown(reason::PENDING, "The spec must be corrected first."),
            );
        }
        self.plan.retire = self
            .observed
            .cron_jobs
            .iter()
            .map(|cron_job| Retire::Suspend(cron_job.name_any()))
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

    fn exclusive(&mut self) {
        let verdict = verdicts::exclusive(
            &self.observed.claim,
            &self.observed.resource.spec.company_id,
        );
        self.set_and_file(EXCLUSIVE, verdict);
    }

    /// Takes in the runs that ended: their counts, their failures, and a log-in that Salesforce refused them.
    fn runs(&mut self) {
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
    fn refused_in_run(&mut self, run: &EndedRun) {
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

    fn usage(&mut self, usage: &Usage) {
        if self
            .status
            .api_usage
            .as_ref()
            .is_none_or(|old| old.observed_at.0 <= usage.observed_at)
        {
            self.status.api_usage = Some(ApiUsage {
                used: usage.used,
                limit: usage.limit,
                percent: (usage.used * 100).checked_div(usage.limit).unwrap_or(0),
                observed_at: Time(usage.observed_at),
            });
        }
    }

    /// Takes in the proof that was made, or decides when the next one is. Returns why to prove now.
    fn connection(&mut self, settings: &Settings) -> Option<Cause> {
        let Credentials::Available { fingerprint, .. } = self.observed.credentials.clone() else {
            let why = "The credentials must be available first.";
            self.set(CONNECTED, Verdict::unknown(reason::PENDING, why));
            self.set(AUTHORIZED, Verdict::unknown(reason::PENDING, why));
            self.handle_test_request("the credentials are not available");
            return None;
        };
        if self.is_false(EXCLUSIVE) {
            let why = "The company ID belongs to another resource.";
            self.set(CONNECTED, Verdict::unknown(reason::PENDING, why));
            self.set(AUTHORIZED, Verdict::unknown(reason::PENDING, why));
            self.handle_test_request("the company ID belongs to another resource");
            return None;
        }
        if let Some(proof) = self.observed.proof {
            self.take_in(proof, settings);
            self.mark_test_handled();
            return None;
        }
        let connection = self
            .status
            .connection
            .as_ref()
            .filter(|connection| connection.credentials_version.is_some());
        let known = proof::Known {
            fingerprint: &fingerprint,
            last: connection,
            refused: connection.is_some_and(|connection| connection.failed_logins > 0),
            pending: self
                .verdict(CONNECTED)
                .is_none_or(|verdict| verdict.truth == Truth::Unknown),
            spec_changed: self.status.observed_generation
                != self.observed.resource.metadata.generation,
            requested: self.test_requested(),
            refused_elsewhere: &self.observed.elsewhere.refused_at,
            refusal_elsewhere: self
                .observed
                .elsewhere
                .refusal
                .as_ref()
                .map(|refusal| refusal.at),
            proved_elsewhere: self.observed.elsewhere.proved_at,
            interval: settings.interval,
            uid: &self.uid,
        };
        let next = proof::next(&known, self.now);
        let (requested, refused, pending) = (known.requested, known.refused, known.pending);
        if refused && pending && !matches!(next, Next::Now(_)) {
            self.recall_refusal();
        }
        match next {
            Next::Now(cause) => return Some(cause),
            Next::At(due) => {
                if requested || refused {
                    let asked = requested;
                    self.status
                        .connection
                        .get_or_insert_default()
                        .next_attempt_at = Some(Time(due));
                    if asked {
                        self.notice(
                            true,
                            "TestPostponed",
                            format!("Salesforce refused this credential twice within the hour; to keep the user from being locked the next attempt is at {due}."),
                            "Prove",
                        );
                        self.mark_test_handled();
                    }
                }
                self.wake.push(due);
            }
            Next::Adopt => self.adopt(&fingerprint, settings),
            Next::OnChange => {}
        }
        None
    }

    /// The credential that Salesforce refused is back as it was: so is the refusal.
    fn recall_refusal(&mut self) {
        let refusal = self
            .status
            .errors
            .iter()
            .find(|error| Meaning::from_code(&error.code).is_some_and(Meaning::refuses_login))
            .cloned();
        let (code, message) = refusal.map_or_else(
            || {
                (
                    Meaning::InvalidLogin.code().to_owned(),
                    Meaning::InvalidLogin.cause().to_owned(),
                )
            },
            |error| (error.code, error.message),
        );
        self.set(CONNECTED, Verdict::fails(&code, message));
        self.set(
            AUTHORIZED,
            Verdict::unknown(reason::PENDING, "The connection must work first."),
        );
    }

    /// Another resource was refused with the same credential: the same holds here, without another attempt.
    fn adopt(&mut self, fingerprint: &str, settings: &Settings) {
        let Some(refusal) = self.observed.elsewhere.refusal.clone() else {
            return;
        };
        let proof = Proof {
            at: refusal.at,
            fingerprint: fingerprint.into(),
            outcome: Err(refusal.failure),
        };
        self.take_in(&proof, settings);
        self.wake.extend(self.next_proof());
    }

    fn take_in(&mut self, proof: &Proof, settings: &Settings) {
        let connection = self.status.connection.get_or_insert_default();
        if connection.credentials_version.as_deref() != Some(&proof.fingerprint) {
            *connection = Connection {
                credentials_version: Some(proof.fingerprint.clone()),
                ..Connection::default()
            };
        }
        connection.username = settings
            .auth
            .username
            .clone()
            .or(connection.username.take());
        connection.api_version = Some(settings.api_version.to_string());
        connection.next_attempt_at = None;
        match &proof.outcome {
            Ok(findings) => {
                connection.verified_at = Some(Time(proof.at));
                connection.failed_logins = 0;
                connection.refused_at.clear();
                connection.transient_failures = 0;
                connection.username = findings
                    .session
                    .username
                    .clone()
                    .or(connection.username.take());
                let who = connection
                    .username
                    .clone()
                    .unwrap_or_else(|| "The user".into());
                self.status.organization = Some(verdicts::organization(&findings.organization));
                self.status.warnings = findings.warnings.iter().map(verdicts::warning).collect();
                if let Some(usage) = &findings.usage {
                    self.usage(usage);
                }
                self.set(
                    CONNECTED,
                    Verdict::holds(
                        reason::AS_EXPECTED,
                        format!("{who} is logged in to {}.", findings.organization.name),
                    ),
                );
                let authorized = verdicts::authorized(&findings.access);
                if authorized.truth == Truth::False {
                    errors::record(
                        &mut self.status.errors,
                        Source::Permissions,
                        &authorized.reason,
                        &authorized.message,
                        proof.at,
                    );
                }
                self.set(AUTHORIZED, authorized);
            }
            Err(failure) => self.take_in_failure(failure, proof, settings),
        }
    }

    fn take_in_failure(&mut self, failure: &Failure, proof: &Proof, settings: &Settings) {
        let meaning = failure.meaning;
        let connection = self.status.connection.get_or_insert_default();
        if failure.refused_login() {
            note_refusal(connection, &proof.fingerprint, proof.at);
        } else {
            if failure.postponed_login() {
                note_refused_at(connection, proof.at);
            }
            connection.transient_failures = connection.transient_failures.saturating_add(1);
            let wait = proof::wait(
                failure,
                connection.transient_failures,
                settings.interval,
                &self.uid,
                proof.at,
            );
            connection.next_attempt_at = proof.at.checked_add(wait).ok().map(Time);
        }
        errors::record(
            &mut self.status.errors,
            Source::Connection,
            meaning.code(),
            &failure.message,
            proof.at,
        );
        self.set(
            CONNECTED,
            Verdict::fails(meaning.code(), failure.message.clone()),
        );
        self.set(
            AUTHORIZED,
            Verdict::unknown(reason::PENDING, "The connection must work first."),
        );
    }

    fn test_requested(&self) -> bool {
        let asked = self.observed.resource.annotations().get(TEST_REQUESTED_AT);
        asked.is_some() && asked != self.status.last_handled_test_at.as_ref()
    }

    fn mark_test_handled(&mut self) {
        if let Some(asked) = self.observed.resource.annotations().get(TEST_REQUESTED_AT) {
            self.status.last_handled_test_at = Some(asked.clone());
        }
    }

    fn handle_test_request(&mut self, why_not: &str) {
        if self.test_requested() {
            self.notice(
                true,
                "TestRefused",
                format!("The connection cannot be tested: {why_not}."),
                "Prove",
            );
            self.mark_test_handled();
        }
    }

    /// Whether runs may start: nothing that they need is known to be missing.
    fn may_run(&self, settings: &Settings) -> bool {
        !settings.suspend
            && [CREDENTIALS_AVAILABLE, EXCLUSIVE, CONNECTED]
                .iter()
                .all(|type_| conditions::is_true(&self.status.conditions, type_))
            && self.verdict(AUTHORIZED).is_some_and(|verdict| {
                verdict.truth != Truth::False && verdict.reason != reason::PENDING
            })
    }

    fn children(&mut self, settings: &Settings) {
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
    fn run_request(&mut self, may_run: bool, run: Option<&children::RunTemplate>) {
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

    fn synced(&mut self, settings: &Settings) {
        let verdict = if settings.suspend {
            Verdict::unknown(reason::SUSPENDED, "The integration is suspended.")
        } else if let Some(run) = self.new_runs.last() {
            verdicts::synced(&run.outcome, &run.message)
        } else {
            self.synced_without_news(settings)
        };
        self.set(SYNCED, verdict);
    }

    fn synced_without_news(&mut self, settings: &Settings) -> Verdict {
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
    fn expected_by(&self, cadence: Cadence, settings: &Settings) -> Option<Timestamp> {
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

    /// Ready is the first condition that does not hold; Stalled says whether waiting could help.
    fn summary(&mut self, settings: &Settings) {
        let order = [
            CREDENTIALS_AVAILABLE,
            EXCLUSIVE,
            CONNECTED,
            AUTHORIZED,
            SYNCED,
        ];
        let verdicts: Vec<(&str, Verdict)> = order
            .iter()
            .filter_map(|type_| Some((*type_, self.verdict(type_)?)))
            .collect();
        let first_false = verdicts
            .iter()
            .find(|(_, verdict)| verdict.truth == Truth::False);
        let first_pending = verdicts.iter().find(|(_, verdict)| {
            verdict.truth == Truth::Unknown && verdict.reason != reason::RIGHTS_UNKNOWN
        });
        let (verdict, stalled) = match (first_false, first_pending) {
            (Some((type_, verdict)), _) => (
                verdict.clone(),
                verdicts::needs_a_person(type_, &verdict.reason),
            ),
            (None, _) if settings.suspend => (
                Verdict::unknown(reason::SUSPENDED, "The integration is suspended."),
                false,
            ),
            (None, Some((_, verdict))) => (verdict.clone(), false),
            (None, None) => {
                let note = verdicts
                    .iter()
                    .find(|(_, verdict)| verdict.reason == reason::RIGHTS_UNKNOWN)
                    .map_or_else(
                        || "The connection works.".to_owned(),
                        |(_, unknown)| format!("The connection works. {}", unknown.message),
                    );
                (Verdict::holds(reason::READY, note), false)
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
                format!("{} {}", verdict.message, remedy(&verdict.reason))
            } else {
                verdict.message.clone()
            };
            self.notice(warning, &verdict.reason, note, "Reconcile");
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
            let wait = wake.duration_since(self.now);
            // A second more, so that a timer that fires early does not come in vain.
            self.plan.look_again = Duration::try_from(wait)
                .unwrap_or_default()
                .saturating_add(Duration::from_secs(1))
                .min(LONGEST_WAIT);
        }
        self.plan.status = self.status;
        self.plan
    }

    /// When the proof after the one just made is due.
    fn next_proof(&self) -> Option<Timestamp> {
        let connection = self.status.connection.as_ref()?;
        if let Some(next) = &connection.next_attempt_at {
            return Some(next.0);
        }
        let settings = self.observed.settings.ok()?;
        let verified = connection
            .verified_at
            .as_ref()
            .filter(|_| connection.failed_logins == 0)?
            .0;
        verified
            .checked_add(schedule::jittered(
                settings.interval,
                &self.uid,
                &verified.as_second().to_string(),
            ))
            .ok()
    }
}

fn note_refusal(connection: &mut Connection, fingerprint: &str, at: Timestamp) {
    if connection.credentials_version.as_deref() != Some(fingerprint) {
        connection.refused_at.clear();
        connection.failed_logins = 0;
        connection.credentials_version = Some(fingerprint.into());
    }
    connection.failed_logins = connection.failed_logins.saturating_add(1);
    connection.transient_failures = 0;
    connection.next_attempt_at = None;
    note_refused_at(connection, at);
}

fn note_refused_at(connection: &mut Connection, at: Timestamp) {
    connection.refused_at.insert(0, Time(at));
    connection.refused_at.truncate(proof::MOST_REFUSALS);
}

#[cfg(test)]
mod tests;

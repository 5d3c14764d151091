//! The connection: when it is proved, what a proof changes, and what the tenant requests.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::login::ledger::{note_refusal, note_refused_at, of_credential, settle_attempt};
use super::login::next_attempt::{Cause, Next, REFUSAL_WINDOW};
use super::login::proof::{Refusal, remembered_refusal};
use super::login::user_limit::Refused;
use super::login::{next_attempt, recovery, user_limit};
use super::rules::budget::Spender;
use super::rules::error_log::Source;
use super::rules::warnings::Origin;
use super::rules::{error_log, requests, warnings};
use super::runs::resident::BETWEEN_IDLE_WRITES;
use super::{Credentials, Decision, Failure, Proof, resident, verdicts};
use crate::api::conditions::{AUTHORIZED, CONNECTED, Truth, Verdict};
use crate::api::status::UNOBSERVED;
use crate::api::{Retrieval, Settings, TEST_REQUESTED_AT};
use crate::reason::{Code, Reason};
use crate::salesforce::{Findings, Meaning};

impl Decision<'_> {
    /// Records the finished proof, or decides when the next one is due. Returns the cause if the
    /// connection is to be proved now.
    pub(crate) fn connection(&mut self, settings: &Settings) -> Option<Cause> {
        let Credentials::Available {
            fingerprint, user, ..
        } = self.observed.credentials.clone()
        else {
            let why = "The credentials must be available first.";
            self.set(CONNECTED, Verdict::unknown(Reason::Pending, why));
            self.set(AUTHORIZED, Verdict::unknown(Reason::Pending, why));
            self.handle_test_request("the credentials are not available");
            return None;
        };
        // A clash of users does not stop the proof: it shows which org the users are in.
        if !self.holds_company() {
            let why = "The company ID, or the data under it, belongs to another resource.";
            self.set(CONNECTED, Verdict::unknown(Reason::Pending, why));
            self.set(AUTHORIZED, Verdict::unknown(Reason::Pending, why));
            self.handle_test_request("the company ID belongs to another resource");
            return None;
        }
        if let Some(proof) = self.observed.proof {
            self.record_proof(proof, &user, settings);
            self.mark_test_handled();
            return None;
        }
        let connection = self
            .status
            .connection
            .as_ref()
            .filter(|connection| connection.credentials_version.is_some());
        let unanswered = self.unanswered(&fingerprint);
        let refusal = self.known_refusal(&fingerprint, &user);
        let known = next_attempt::Known {
            fingerprint: &fingerprint,
            last: connection,
            only_reported: connection
                .is_some_and(|connection| user_limit::is_only_reported(connection, &fingerprint)),
            pending: self
                .verdict(CONNECTED)
                .is_none_or(|verdict| verdict.truth == Truth::Unknown),
            spec_changed: self.spec_changed(),
            requested: self.test_requested(),
            refused_elsewhere: &self.observed.siblings.refused_at,
            refusal_elsewhere: refusal.as_ref().map(|refusal| refusal.at),
            proved_elsewhere: self.observed.siblings.proved_at,
            unanswered: &unanswered,
            user_opens: self.user_opens(&fingerprint, &user),
            has_session: self.observed.siblings.has_outcome,
            interval: settings.interval,
            worked_elsewhere: self.worked_elsewhere(),
            session_wanted: self.observed.session_wanted,
            answers_again: self.observed.answers_again && recovery::proof_waits(&self.status),
            runs_within: self.runs_within(settings),
            uid: &self.uid,
        };
        let next = next_attempt::next(&known, self.now);
        let without_answer =
            matches!(next, Next::At(due) if known.waits_without_answer(due, self.now));
        let (requested, refused, pending) = (known.requested, known.refused(), known.pending);
        if refused && pending && !matches!(next, Next::Now(_)) {
            self.recall_refusal();
        }
        match next {
            Next::Now(cause) => return Some(cause),
            Next::At(due) => {
                if without_answer && !self.is_known_to_work(&fingerprint) {
                    self.wait_without_answer(due);
                }
                if requested || refused || !unanswered.is_empty() {
                    let asked = requested;
                    self.status
                        .connection
                        .get_or_insert_default()
                        .next_attempt_at = Some(Time(due));
                    if asked {
                        self.notice(
                            true,
                            Reason::TestPostponed,
                            format!("Salesforce refused this credential twice within the hour, or was not heard to answer; to keep the user from being locked the next attempt is at {due}."),
                            "Prove",
                        );
                        self.mark_test_handled();
                    }
                }
                self.wake.push(due);
            }
            Next::Withheld(due) => {
                self.withhold(&fingerprint, &user, due);
                self.mark_test_handled();
                self.wake.push(due);
            }
            Next::Adopt => {
                if let Some(refusal) = refusal {
                    self.adopt(refusal, &fingerprint, &user, settings);
                }
            }
            Next::OnChange => {}
        }
        None
    }

    /// Whether the spec has changed since the status was written. A log-in is recorded before
    /// anything else in the status. Then no generation is observed yet, because no spec was fully
    /// processed.
    fn spec_changed(&self) -> bool {
        let observed = self.status.observed_generation;
        observed.is_some_and(|observed| observed != UNOBSERVED)
            && observed != self.observed.resource.metadata.generation
    }

    /// Returns the refusals of this user that the own status has.
    fn own_refusals<'b>(&'b self, user: &'b str) -> impl Iterator<Item = Refused> + 'b {
        let connection = self.status.connection.iter();
        connection.flat_map(|connection| user_limit::refusals(connection, user))
    }

    /// Returns the newest refusal of this credential: by a sibling, or by this integration before
    /// it had another credential.
    fn known_refusal(&self, fingerprint: &str, user: &str) -> Option<Refusal> {
        let own = self
            .own_refusals(user)
            .find(|refused| refused.refuses(fingerprint))
            .map(|refused| remembered_refusal(refused.at));
        let elsewhere = self.observed.siblings.refusal.clone();
        own.into_iter()
            .chain(elsewhere)
            .max_by_key(|refusal| refusal.at)
    }

    /// Returns the time from which the refusals of this user, whoever sent them, and those of this
    /// integration allow a log-in with this credential; `None` if they do now.
    fn user_opens(&self, fingerprint: &str, user: &str) -> Option<Timestamp> {
        let own = self.status.connection.as_ref();
        let unanswered = own
            .filter(|_| !self.observed.siblings.has_outcome)
            .and_then(|own| user_limit::unanswered(own, user));
        let refused = self
            .own_refusals(user)
            .chain(self.observed.siblings.user_refusals.iter().cloned())
            .chain(unanswered)
            .collect();
        let by_integration =
            own.and_then(|connection| user_limit::integration_gate(connection, self.now));
        user_limit::gate(refused, fingerprint, self.now).max(by_integration)
    }

    /// Warns while refused log-ins of this integration hold up others that log in as the same user.
    /// The others are not named: they may belong to another tenant.
    pub(crate) fn warn_of_shared_user(&mut self) {
        let refused = self
            .status
            .connection
            .as_ref()
            .is_some_and(|connection| connection.failed_logins > 0);
        let found = if refused && self.observed.siblings.user_is_shared {
            let reason = Reason::UserIsShared;
            vec![warnings::of(reason, reason.cause().into())]
        } else {
            vec![]
        };
        warnings::replace(&mut self.status.warnings, Origin::Login, found);
    }

    /// Defers the log-in until the limit for the user opens, and says so. A connection that is
    /// known to work stays as it is.
    fn withhold(&mut self, fingerprint: &str, user: &str, due: Timestamp) {
        let works = self.is_known_to_work(fingerprint);
        let own: Vec<Refused> = self.own_refusals(user).collect();
        let elsewhere = self.observed.siblings.user_refusals.iter();
        let within_the_hour: Vec<&Refused> = own
            .iter()
            .chain(elsewhere)
            .filter(|login| self.now.duration_since(login.at) < REFUSAL_WINDOW)
            .collect();
        let others = within_the_hour.iter().any(|login| !own.contains(login));
        let unanswered = |login: &&Refused| login.unanswered;
        let what = if !within_the_hour.is_empty() && within_the_hour.iter().all(unanswered) {
            "It is not known whether Salesforce refused log-ins as this user within the hour, because the controller was ended in the middle of them"
        } else {
            "Salesforce refused log-ins as this user within the hour"
        };
        let whose = if others {
            ", at least one of them for another integration of this cluster, or for one that was deleted"
        } else {
            ""
        };
        let message = format!(
            "{what}{whose}; to keep the user from being locked the next attempt is at {due}."
        );
        let connection = of_credential(&mut self.status, fingerprint, user);
        let already = connection.next_attempt_at.replace(Time(due)) == Some(Time(due));
        if !works {
            self.set(
                CONNECTED,
                Verdict::fails(Meaning::LoginWithheld, message.clone()),
            );
            self.set(
                AUTHORIZED,
                Verdict::unknown(Reason::Pending, "The connection must work first."),
            );
        }
        if already {
            return;
        }
        error_log::record(
            &mut self.status.errors,
            Source::Connection,
            &Meaning::LoginWithheld.into(),
            &message,
            self.now,
        );
        self.notice(true, Meaning::LoginWithheld, message, "Prove");
    }

    /// Returns the times of log-ins with this credential whose answers were never received.
    fn unanswered(&self, fingerprint: &str) -> Vec<Timestamp> {
        let siblings = &self.observed.siblings;
        if siblings.has_outcome {
            return vec![];
        }
        let connection = self.status.connection.as_ref();
        let own = connection
            .filter(|own| own.credentials_version.as_deref() == Some(fingerprint))
            .and_then(|own| own.attempted_at.as_ref())
            .map(|time| time.0);
        siblings.unanswered.iter().copied().chain(own).collect()
    }

    /// Whether the last proof that was answered used this credential, and worked. A status in which
    /// a log-in with another one was only begun still has the conditions of the one before.
    fn is_known_to_work(&self, fingerprint: &str) -> bool {
        let connection = self.status.connection.as_ref();
        let verified = connection
            .filter(|last| last.credentials_version.as_deref() == Some(fingerprint))
            .is_some_and(|last| last.verified_at.is_some());
        let verdict = self.verdict(CONNECTED);
        verified && verdict.is_some_and(|verdict| verdict.truth == Truth::True)
    }

    /// Sets the connection to unknown until the next attempt, because answers to log-ins were lost.
    fn wait_without_answer(&mut self, due: Timestamp) {
        let why = format!(
            "The controller was ended in the middle of log-ins, so that it is not known whether Salesforce refused them; to keep the user from being locked the next attempt is at {due}."
        );
        self.set(CONNECTED, Verdict::unknown(Reason::Pending, why));
        let why = "The connection must be proved first.";
        self.set(AUTHORIZED, Verdict::unknown(Reason::Pending, why));
    }

    /// Restores the refusal, because the credential that Salesforce refused is in use again.
    pub(crate) fn recall_refusal(&mut self) {
        let refusal = self
            .status
            .errors
            .iter()
            .find(|error| error.code().meaning().is_some_and(Meaning::refuses_login))
            .cloned();
        let (code, message) = refusal.map_or_else(
            || {
                (
                    Code::from(Meaning::InvalidLogin),
                    Meaning::InvalidLogin.cause().to_owned(),
                )
            },
            |error| (error.code(), error.message),
        );
        self.set(CONNECTED, Verdict::fails(code, message));
        self.set(
            AUTHORIZED,
            Verdict::unknown(Reason::Pending, "The connection must work first."),
        );
    }

    /// Adopts the refusal of another resource with the same credential, without another attempt.
    fn adopt(&mut self, refusal: Refusal, fingerprint: &str, user: &str, settings: &Settings) {
        let proof = Proof {
            at: refusal.at,
            fingerprint: fingerprint.into(),
            calls: 0,
            outcome: Err(refusal.failure),
        };
        self.record_proof(&proof, user, settings);
        self.wake.extend(self.next_proof());
    }

    fn record_proof(&mut self, proof: &Proof, user: &str, settings: &Settings) {
        self.record_organization(proof);
        self.spend(proof.at, proof.calls, Spender::Proof);
        let nobody_asked = !self.test_requested() && !self.spec_changed();
        let connection = of_credential(&mut self.status, &proof.fingerprint, user);
        connection.username = settings
            .auth
            .username
            .clone()
            .or(connection.username.take());
        connection.api_version = Some(settings.api_version.to_string());
        settle_attempt(connection, proof);
        connection.next_attempt_at = None;
        let only_in_runs =
            nobody_asked && user_limit::is_only_reported(connection, &proof.fingerprint);
        match &proof.outcome {
            Ok(findings) if only_in_runs => {
                self.record_refused_in_runs_only(findings, proof.at);
            }
            Ok(findings) => {
                connection.verified_at = Some(Time(proof.at));
                connection.run_succeeded_at = None;
                connection.failed_logins = 0;
                connection.refused_at.clear();
                user_limit::record_success(connection, &proof.fingerprint, proof.at);
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
                let found = findings.warnings.iter().map(verdicts::warning).collect();
                warnings::replace(&mut self.status.warnings, Origin::Proof, found);
                if let Some(usage) = &findings.usage {
                    self.usage(usage);
                }
                self.set(
                    CONNECTED,
                    Verdict::holds(
                        Reason::AsExpected,
                        format!("{who} is logged in to {}.", findings.organization.name),
                    ),
                );
                let authorized = verdicts::authorized(&findings.access);
                if authorized.truth == Truth::False {
                    error_log::record(
                        &mut self.status.errors,
                        Source::Permissions,
                        &authorized.reason,
                        &authorized.message,
                        proof.at,
                    );
                }
                self.set(AUTHORIZED, authorized);
            }
            Err(failure) => self.record_failure(failure, proof, user, settings),
        }
    }

    /// Records that Salesforce accepts the log-in that a run reports as refused. The runs are still
    /// held back: a log-in of theirs is refused again, and locks the user sooner or later.
    fn record_refused_in_runs_only(&mut self, findings: &Findings, at: Timestamp) {
        let connection = self.status.connection.get_or_insert_default();
        connection.verified_at = Some(Time(at));
        connection.transient_failures = 0;
        if let Some(usage) = &findings.usage {
            self.usage(usage);
        }
        let Some(refused) = self.verdict(CONNECTED) else {
            return;
        };
        let hint = format!(
            " A log-in of the controller with the same credential was accepted at {at}: look at what is different for the pods of runs, such as the address from which they reach Salesforce."
        );
        let mut message = refused.message;
        if !message.ends_with(&hint) {
            message.push_str(&hint);
        }
        self.set(CONNECTED, Verdict::fails(refused.reason, message));
    }

    /// Records the org of the proof. If the org has changed, counts and findings of the previous
    /// org are dropped.
    fn record_organization(&mut self, proof: &Proof) {
        let Ok(findings) = &proof.outcome else {
            return;
        };
        let mut found = verdicts::organization(&findings.organization);
        match self.status.organization.take() {
            Some(known) if known.id == found.id => {
                found.query_url_length = known.query_url_length;
            }
            Some(_) => self.forget_org(),
            None => {}
        }
        self.status.organization = Some(found);
    }

    fn record_failure(
        &mut self,
        failure: &Failure,
        proof: &Proof,
        user: &str,
        settings: &Settings,
    ) {
        let meaning = failure.meaning;
        // Salesforce counts from the log-in. After any other failure, the wait starts now.
        let ended = if failure.is_shared() {
            proof.at
        } else {
            proof.at.max(self.now)
        };
        let connection = self.status.connection.get_or_insert_default();
        if failure.refused_login() {
            note_refusal(connection, &proof.fingerprint, user, proof.at, false);
        } else {
            if failure.postponed_login() {
                note_refused_at(connection, proof.at);
            }
            connection.transient_failures = connection.transient_failures.saturating_add(1);
            let wait = next_attempt::wait(
                failure,
                connection.transient_failures,
                settings.interval,
                &self.uid,
                ended,
            );
            connection.next_attempt_at = ended.checked_add(wait).ok().map(Time);
        }
        error_log::record(
            &mut self.status.errors,
            Source::Connection,
            &meaning.into(),
            &failure.message,
            proof.at,
        );
        self.set(CONNECTED, Verdict::fails(meaning, failure.message.clone()));
        self.set(
            AUTHORIZED,
            Verdict::unknown(Reason::Pending, "The connection must work first."),
        );
    }

    pub(crate) fn test_requested(&self) -> bool {
        let requested = requests::value(self.observed.resource, TEST_REQUESTED_AT);
        requested.is_some() && requested != self.status.last_handled_test_at
    }

    pub(crate) fn mark_test_handled(&mut self) {
        if let Some(requested) = requests::value(self.observed.resource, TEST_REQUESTED_AT) {
            self.status.last_handled_test_at = Some(requested);
        }
    }

    pub(crate) fn handle_test_request(&mut self, why_not: &str) {
        if self.test_requested() {
            self.notice(
                true,
                Reason::TestRefused,
                format!("The connection cannot be tested: {why_not}."),
                "Prove",
            );
            self.mark_test_handled();
        }
    }

    /// Returns the time at which the next proof is due.
    pub(crate) fn next_proof(&self) -> Option<Timestamp> {
        let connection = self.status.connection.as_ref()?;
        if connection.next_attempt_at.is_none() && connection.failed_logins > 0 {
            return None;
        }
        let settings = self.observed.settings.ok()?;
        let runs_within = self.runs_within(settings);
        next_attempt::due(
            connection,
            settings.interval,
            runs_within,
            self.worked_elsewhere(),
            &self.uid,
        )
    }

    /// Returns when the controller last worked with the credential, for this integration or for
    /// another one. A report of a pod is nothing to others.
    fn worked_elsewhere(&self) -> Option<Timestamp> {
        let proved = self.observed.siblings.proved_at;
        let worked = self
            .observed
            .worked_at
            .max(proved)
            .max(self.worked_untold());
        worked.map(|at| at.min(self.now))
    }

    /// Returns when an earlier controller may have worked last for this integration: what its runs
    /// did while nobody called is in the status an hour later at most. Otherwise a fleet would be
    /// proved at once by the next controller.
    fn worked_untold(&self) -> Option<Timestamp> {
        let connection = self.status.connection.as_ref()?;
        let told = connection.run_succeeded_at.as_ref()?.0;
        let settings = self.observed.settings.ok()?;
        let latest = told.checked_add(BETWEEN_IDLE_WRITES).ok()?;
        self.is_resident_after_calls(settings)
            .then(|| latest.min(self.observed.leader_since).max(told))
    }

    /// Returns how long it takes at most from one run that asks what changed to the next. Where
    /// that is much longer than the interval of proofs, proofs do not wait for runs.
    fn runs_within(&self, settings: &Settings) -> Duration {
        let is_resident = self.observed.config.is_resident(settings);
        let followed = settings.follow.zip(self.cadence(settings));
        let within = followed.map(|((_, every), cadence)| match settings.retrieval {
            Retrieval::AfterCall if is_resident => resident::followed_within(every),
            _ => every + cadence.period(),
        });
        let within = within.filter(|within| *within <= settings.interval * 2);
        within.unwrap_or(settings.interval)
    }
}

//! Decides when the connection is proved, and when a log-in is not repeated.
//!
//! Salesforce locks a user after as few as 3 failed log-ins
//! (facts: Salesforce 1.3, `maxLoginAttempts`). So a refused credential is tried again only after a
//! change or a request of the tenant, and at most twice an hour over all resources that log in as
//! the same user ([`super::user_limit`]).

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::proof::Failure;
use crate::api::status::Connection;
use crate::decide::rules::schedule;
use crate::salesforce::{Meaning, Phase, Retry};

/// Maximum number of log-ins with one refused credential within [`REFUSAL_WINDOW`].
pub(crate) const MAX_REFUSALS: usize = 2;
/// Time window to which [`MAX_REFUSALS`] applies.
pub(crate) const REFUSAL_WINDOW: SignedDuration = SignedDuration::from_hours(1);

/// Time for which Salesforce blocks a user who logged in too often (facts: Salesforce 1.3).
const BLOCKED: Duration = Duration::from_secs(3600);
/// Minimum wait for an org that has used up its API requests of the rolling 24 hours.
const QUOTA_STEP: Duration = Duration::from_secs(1800);
/// For how long after a proof runs that work stand for the next ones.
const RUNS_PROVE_FOR: Duration = Duration::from_secs(6 * 3600);
/// Minimum time between two automatic log-ins after one that failed for a reason that is not
/// transient.
const BETWEEN_LOGINS: Duration = Duration::from_secs(1800);

/// The reason why the connection is proved now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    /// The connection was never proved, or the status was lost.
    First,
    /// The content of the Secret, or the log-in part of the spec, has changed.
    CredentialsChanged,
    /// The spec has changed.
    SpecChanged,
    /// The tenant requested a proof by annotation.
    Requested,
    /// The interval or a back-off has elapsed.
    Due,
    /// Salesforce, which did not answer, answers others again.
    AnswersAgain,
    /// Another resource proved the same credential after Salesforce refused it for this resource.
    ProvedElsewhere,
    /// A run reports a refused log-in, which the controller looks at itself before anybody else
    /// who has the credential relies on it.
    RefusedInRun,
}

/// Whether and when to prove the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// Prove it now, for this cause.
    Now(Cause),
    /// Prove it at this time.
    At(Timestamp),
    /// Prove it at this time: until then the user's refused log-ins forbid another one.
    Withheld(Timestamp),
    /// Salesforce refused another resource with the same credential: adopt its refusal instead of
    /// an attempt.
    Adopt,
    /// Prove it only after a change or a request.
    OnChange,
}

/// The facts from which [`next`] decides.
#[derive(Clone, Debug)]
pub(crate) struct Known<'a> {
    /// Fingerprint of the current credential.
    pub fingerprint: &'a str,
    /// The connection in the status after the last proof; `None` if there is none.
    pub last: Option<&'a Connection>,
    /// Whether only the report of a run says that the log-in was refused.
    pub only_reported: bool,
    /// Whether the status does not state whether the connection works, because an earlier
    /// condition is not true.
    pub pending: bool,
    /// Whether the spec has changed since the status was written.
    pub spec_changed: bool,
    /// Whether the tenant requests a proof by an annotation that is not handled yet.
    pub requested: bool,
    /// Times at which Salesforce refused other resources with the same credential.
    pub refused_elsewhere: &'a [Timestamp],
    /// Time of the newest of these refusals that is still valid.
    pub refusal_elsewhere: Option<Timestamp>,
    /// Time of the last successful proof of the same credential by another resource.
    pub proved_elsewhere: Option<Timestamp>,
    /// Times of log-ins with the same credential, by this resource or by others, whose answer was
    /// never received. Salesforce may have refused them.
    pub unanswered: &'a [Timestamp],
    /// Time from which the refusals of the user, or of this resource as any user, allow a log-in
    /// with this credential; `None` if they do now.
    pub user_opens: Option<Timestamp>,
    /// Whether the proof needs no log-in, because there is a session.
    pub has_session: bool,
    /// Interval at which a healthy connection is proved.
    pub interval: Duration,
    /// When the controller itself last worked with the credential, for whomever.
    pub worked_elsewhere: Option<Timestamp>,
    /// Whether a run of the controller waits for a session.
    pub session_wanted: bool,
    /// Whether the last proof failed only because Salesforce did not answer, and others are
    /// answered again by now.
    pub answers_again: bool,
    /// How long it may take until the next run that works stands for a proof again.
    pub runs_within: Duration,
    /// UID of the resource, from which the jitter is derived.
    pub uid: &'a str,
}

/// Decides whether and when to prove the connection.
pub(crate) fn next(known: &Known<'_>, now: Timestamp) -> Next {
    let refused_by_sibling = known.refusal_elsewhere.filter(|refused| {
        known
            .proved_elsewhere
            .is_none_or(|proved| proved < *refused)
    });
    let Some(last) = known.with_this_credential() else {
        return match refused_by_sibling {
            Some(_) if known.requested => gated(Cause::Requested, &[], known, now),
            Some(_) => Next::Adopt,
            None if known.last.is_none() => free(Cause::First, &[], known, now),
            None => free(Cause::CredentialsChanged, &[], known, now),
        };
    };
    let own: Vec<Timestamp> = last.refused_at.iter().map(|time| time.0).collect();
    if known.refused() {
        let refused = newest(&own);
        if !known.only_reported
            && known
                .proved_elsewhere
                .is_some_and(|proved| refused.is_none_or(|refused| proved > refused))
        {
            return free(Cause::ProvedElsewhere, &own, known, now);
        }
        // A request that was deferred by the hourly limit is in the status as the next attempt.
        let postponed = last.next_attempt_at.as_ref().map(|time| time.0);
        let verified = last.verified_at.as_ref().map(|time| time.0);
        let unverified = known.only_reported && verified < refused;
        return match postponed {
            _ if known.requested => gated(Cause::Requested, &own, known, now),
            _ if known.spec_changed => gated(Cause::SpecChanged, &own, known, now),
            Some(opens) if opens > now => Next::At(opens),
            _ if unverified => gated(Cause::RefusedInRun, &own, known, now),
            Some(_) => gated(Cause::Requested, &own, known, now),
            None => Next::OnChange,
        };
    }
    // Log-ins that Salesforce deferred count like refusals. A connection that only failed has none.
    if known.requested {
        return gated(Cause::Requested, &own, known, now);
    }
    if known.spec_changed {
        return gated(Cause::SpecChanged, &own, known, now);
    }
    let last_answer = last
        .verified_at
        .as_ref()
        .map(|time| time.0)
        .max(newest(&own));
    let adopt_or_prove = |cause| {
        if refused_by_sibling
            .is_some_and(|refused| last_answer.is_none_or(|answer| answer < refused))
        {
            Next::Adopt
        } else {
            free(cause, &own, known, now)
        }
    };
    if known.pending && last.next_attempt_at.is_none() {
        return adopt_or_prove(Cause::Due);
    }
    let due = due(
        last,
        known.interval,
        known.runs_within,
        known.worked_elsewhere,
        known.uid,
    );
    let wanted = known.session_wanted && !known.has_session && last.next_attempt_at.is_none();
    match due {
        // The wait after the failure is over. What the limits of log-ins say holds as ever.
        Some(due) if due > now && known.answers_again => adopt_or_prove(Cause::AnswersAgain),
        Some(due) if due > now && !wanted => Next::At(due),
        _ => adopt_or_prove(Cause::Due),
    }
}

/// Returns when the connection is proved next. A run that worked stands for a proof, but it does
/// not look at rights, the edition and call centers: so for some hours only. So does what the
/// controller did with the same credential for another integration (`worked_elsewhere`). The next
/// run that follows comes within `runs_within`, and a proof just before it would be asked for
/// nothing.
pub(crate) fn due(
    last: &Connection,
    interval: Duration,
    runs_within: Duration,
    worked_elsewhere: Option<Timestamp>,
    uid: &str,
) -> Option<Timestamp> {
    if let Some(next) = &last.next_attempt_at {
        return Some(next.0);
    }
    let verified = last.verified_at.as_ref()?.0;
    let after = |at: Timestamp, wait: Duration| {
        let salt = at.as_second().to_string();
        let wait = schedule::until_next_proof(wait, uid, &salt);
        at.checked_add(wait).ok()
    };
    let due = after(verified, interval)?;
    let worked = last.run_succeeded_at.as_ref().map(|time| time.0);
    let worked = worked.max(worked_elsewhere);
    let Some(worked) = worked.filter(|worked| *worked > verified) else {
        return Some(due);
    };
    let salt = verified.as_second().to_string();
    let latest = schedule::jittered_later(interval.max(RUNS_PROVE_FOR), uid, &salt);
    let latest = verified.checked_add(latest).ok()?;
    let next_run = after(worked, interval.max(runs_within))?;
    Some(next_run.clamp(due, latest.max(due)))
}

/// Returns the wait after a failure at `at` that was not a refusal. `failures` is the number of
/// failures in a row, including this one.
pub(crate) fn wait(
    failure: &Failure,
    failures: u32,
    interval: Duration,
    uid: &str,
    at: Timestamp,
) -> Duration {
    let salt = at.as_second().to_string();
    let no_shorter_than = |least: Duration| schedule::jittered_later(least, uid, &salt);
    match failure.meaning.retry() {
        Retry::Later => schedule::back_off(failures, interval, uid),
        // Another log-in as the same user was under way, or refused a moment ago: the next decision
        // knows when the limit opens.
        _ if failure.meaning == Meaning::LoginWithheld => schedule::back_off(1, interval, uid),
        Retry::AfterAnHour => no_shorter_than(BLOCKED),
        Retry::AfterQuota => no_shorter_than(interval.max(QUOTA_STEP)),
        Retry::AtInterval | Retry::Never => match failure.phase {
            // Each attempt is a new log-in: two an hour.
            Phase::Login => no_shorter_than(interval.max(BETWEEN_LOGINS)),
            Phase::Request => schedule::jittered(interval.max(Duration::from_secs(60)), uid, &salt),
        },
    }
}

// === impl Known ===

impl<'a> Known<'a> {
    /// The connection after the last proof, if it was one of this credential.
    fn with_this_credential(&self) -> Option<&'a Connection> {
        self.last
            .filter(|last| last.credentials_version.as_deref() == Some(self.fingerprint))
    }

    /// Whether the last proof with this credential ended in a refused log-in.
    pub(crate) fn refused(&self) -> bool {
        self.with_this_credential()
            .is_some_and(|last| last.failed_logins > 0)
    }

    /// Returns the time from which the refused and unanswered log-ins allow another one; `None` if
    /// they do now. `own` has the refusals of this integration with the current credential.
    fn opens(&self, own: &[Timestamp], now: Timestamp) -> Option<Timestamp> {
        let refused = own.iter().chain(self.refused_elsewhere);
        gate(refused, self.unanswered, now).max(self.user_opens)
    }

    /// Whether the attempt waits until `due` because answers to log-ins were lost, and for nothing
    /// else.
    pub(crate) fn waits_without_answer(&self, due: Timestamp, now: Timestamp) -> bool {
        let own: Vec<Timestamp> = self
            .with_this_credential()
            .iter()
            .flat_map(|last| last.refused_at.iter().map(|time| time.0))
            .collect();
        !self.refused() && !self.unanswered.is_empty() && self.opens(&own, now) == Some(due)
    }
}

/// Decides on a log-in that somebody wants although the credential was refused: now, or when the
/// limit of two an hour allows it again.
fn gated(cause: Cause, own: &[Timestamp], known: &Known<'_>, now: Timestamp) -> Next {
    match known.opens(own, now) {
        None => Next::Now(cause),
        Some(opens) => Next::At(opens),
    }
}

/// Allows a log-in that nothing but the limit for the user speaks against. If answers to earlier
/// log-ins were lost, the limit for the credential applies too, because those may have been
/// refusals.
fn free(cause: Cause, own: &[Timestamp], known: &Known<'_>, now: Timestamp) -> Next {
    if known.has_session {
        return Next::Now(cause);
    }
    if !known.unanswered.is_empty() {
        return gated(cause, own, known, now);
    }
    match known.user_opens {
        None => Next::Now(cause),
        Some(opens) => Next::Withheld(opens),
    }
}

/// Returns the time from which the next log-in with a credential is allowed; `None` if it is
/// allowed now. `refusals` holds the times of its refusals, and `unanswered` the times of its
/// log-ins whose answers were lost.
pub(crate) fn gate<'a>(
    refusals: impl IntoIterator<Item = &'a Timestamp>,
    unanswered: &[Timestamp],
    now: Timestamp,
) -> Option<Timestamp> {
    let mut recent: Vec<Timestamp> = refusals.into_iter().copied().collect();
    // One refusal may be in the status of several resources, so it is counted once. A lost answer
    // is missing in one resource only.
    recent.sort_unstable();
    recent.dedup();
    recent.extend(unanswered);
    recent.retain(|at| now.duration_since(*at) < REFUSAL_WINDOW);
    recent.sort_unstable();
    let oldest_that_counts = recent.len().checked_sub(MAX_REFUSALS)?;
    recent
        .get(oldest_that_counts)?
        .checked_add(REFUSAL_WINDOW)
        .ok()
}

fn newest(times: &[Timestamp]) -> Option<Timestamp> {
    times.iter().max().copied()
}

#[cfg(test)]
mod tests {
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

    use super::*;

    const NOW: i64 = 1_800_000_000;

    fn at(offset: i64) -> Timestamp {
        Timestamp::from_second(NOW + offset).unwrap()
    }

    fn known<'a>(last: Option<&'a Connection>) -> Known<'a> {
        Known {
            fingerprint: "f1",
            last,
            only_reported: false,
            pending: false,
            spec_changed: false,
            requested: false,
            refused_elsewhere: &[],
            refusal_elsewhere: None,
            proved_elsewhere: None,
            unanswered: &[],
            user_opens: None,
            has_session: false,
            interval: Duration::from_secs(1800),
            worked_elsewhere: None,
            session_wanted: false,
            answers_again: false,
            runs_within: Duration::from_secs(1800),
            uid: "uid",
        }
    }

    fn healthy() -> Connection {
        Connection {
            credentials_version: Some("f1".into()),
            verified_at: Some(Time(at(-60))),
            ..Connection::default()
        }
    }

    fn refused(at_offsets: &[i64]) -> Connection {
        Connection {
            credentials_version: Some("f1".into()),
            failed_logins: at_offsets.len() as u32,
            refused_at: at_offsets.iter().map(|offset| Time(at(*offset))).collect(),
            ..Connection::default()
        }
    }

    #[test]
    fn a_connection_that_was_never_proved_is_proved_now() {
        assert_eq!(next(&known(None), at(0)), Next::Now(Cause::First));
    }

    #[test]
    fn a_healthy_connection_waits_for_about_its_interval() {
        let last = healthy();
        let Next::At(due) = next(&known(Some(&last)), at(0)) else {
            panic!("should wait")
        };
        assert!(
            (1800 - 60..=2160 - 60).contains(&due.duration_since(at(0)).as_secs()),
            "{due}"
        );
        assert_eq!(next(&known(Some(&last)), at(3600)), Next::Now(Cause::Due));
    }

    #[test]
    fn what_the_controller_did_for_another_with_the_credential_puts_a_proof_off_for_hours() {
        let last = healthy();
        let worked = Known {
            worked_elsewhere: Some(at(1700)),
            ..known(Some(&last))
        };
        let Next::At(due) = next(&worked, at(1800)) else {
            panic!("should wait")
        };
        assert!(due >= at(3500), "{due}");
        let worked = Known {
            worked_elsewhere: Some(at(8 * 3600)),
            ..worked
        };
        assert_eq!(
            next(&worked, at(8 * 3600)),
            Next::Now(Cause::Due),
            "rights are looked at all the same"
        );
    }

    #[test]
    fn a_run_that_waits_for_a_session_brings_a_proof_at_once_and_no_log_in_that_is_not_due() {
        let last = healthy();
        let wanted = |last| Known {
            session_wanted: true,
            ..known(Some(last))
        };
        assert_eq!(next(&wanted(&last), at(0)), Next::Now(Cause::Due));
        let has_session = Known {
            has_session: true,
            ..wanted(&last)
        };
        assert!(matches!(next(&has_session, at(0)), Next::At(_)));
        let refused = refused(&[-10]);
        assert_eq!(next(&wanted(&refused), at(0)), Next::OnChange);
        let failed = Connection {
            next_attempt_at: Some(Time(at(15))),
            transient_failures: 1,
            ..healthy()
        };
        assert_eq!(next(&wanted(&failed), at(0)), Next::At(at(15)));
    }

    #[test]
    fn a_refused_log_in_is_never_repeated_by_itself() {
        let last = refused(&[-10]);
        for later in [0, 3600, 7 * 86_400] {
            assert_eq!(next(&known(Some(&last)), at(later)), Next::OnChange);
        }
    }

    #[test]
    fn a_changed_secret_is_tried_at_once_even_after_refusals() {
        let last = refused(&[-10, -20]);
        let known = Known {
            fingerprint: "f2",
            ..known(Some(&last))
        };
        assert_eq!(next(&known, at(0)), Next::Now(Cause::CredentialsChanged));
    }

    #[test]
    fn a_changed_secret_waits_when_the_user_was_refused_twice_within_the_hour() {
        let last = refused(&[-10]);
        let known = Known {
            fingerprint: "f3",
            user_opens: Some(at(3000)),
            ..known(Some(&last))
        };
        assert_eq!(next(&known, at(0)), Next::Withheld(at(3000)));
        let with_session = Known {
            has_session: true,
            ..known
        };
        assert_eq!(
            next(&with_session, at(0)),
            Next::Now(Cause::CredentialsChanged)
        );
    }

    #[test]
    fn a_request_is_granted_once_and_then_waits_for_the_hour() {
        let once = refused(&[-10]);
        let asked = |last| Known {
            requested: true,
            ..known(Some(last))
        };
        assert_eq!(next(&asked(&once), at(0)), Next::Now(Cause::Requested));
        let twice = refused(&[-10, -600]);
        assert_eq!(next(&asked(&twice), at(0)), Next::At(at(3000)));
        assert_eq!(next(&asked(&twice), at(3001)), Next::Now(Cause::Requested));
    }

    #[test]
    fn a_postponed_wish_is_granted_when_its_time_comes() {
        let postponed = Connection {
            next_attempt_at: Some(Time(at(3000))),
            ..refused(&[-10, -600])
        };
        assert_eq!(next(&known(Some(&postponed)), at(0)), Next::At(at(3000)));
        assert_eq!(
            next(&known(Some(&postponed)), at(3000)),
            Next::Now(Cause::Requested)
        );
    }

    #[test]
    fn refusals_of_other_resources_with_the_same_credential_count() {
        let elsewhere = [at(-10)];
        let fresh = Known {
            refused_elsewhere: &elsewhere,
            refusal_elsewhere: Some(at(-10)),
            ..known(None)
        };
        assert_eq!(next(&fresh, at(0)), Next::Adopt);
        let elsewhere = [at(-10), at(-20)];
        let asked = Known {
            refused_elsewhere: &elsewhere,
            refusal_elsewhere: Some(at(-10)),
            requested: true,
            ..known(None)
        };
        assert_eq!(next(&asked, at(0)), Next::At(at(3580)));
    }

    #[test]
    fn what_another_proved_after_the_refusal_is_worth_a_try() {
        let last = refused(&[-10]);
        let known = Known {
            proved_elsewhere: Some(at(-5)),
            ..known(Some(&last))
        };
        assert_eq!(next(&known, at(0)), Next::Now(Cause::ProvedElsewhere));
    }

    #[test]
    fn who_was_not_answered_asks_when_others_are_and_logs_in_no_more_than_the_limits_allow() {
        let last = Connection {
            next_attempt_at: Some(Time(at(1_200))),
            transient_failures: 7,
            ..healthy()
        };
        let known = Known {
            answers_again: true,
            ..known(Some(&last))
        };
        assert_eq!(next(&known, at(0)), Next::Now(Cause::AnswersAgain));
        let user_refused = Known {
            user_opens: Some(at(3_000)),
            ..known.clone()
        };
        assert_eq!(next(&user_refused, at(0)), Next::Withheld(at(3_000)));
        let lost = [at(-10), at(-20)];
        let unanswered = Known {
            unanswered: &lost,
            ..known.clone()
        };
        assert_eq!(next(&unanswered, at(0)), Next::At(at(3_580)));
        let refused = refused(&[-10]);
        let refused = Known {
            last: Some(&refused),
            ..known
        };
        assert_eq!(next(&refused, at(0)), Next::OnChange);
    }

    #[test]
    fn a_passing_failure_waits_for_its_back_off() {
        let last = Connection {
            next_attempt_at: Some(Time(at(15))),
            transient_failures: 1,
            ..healthy()
        };
        assert_eq!(next(&known(Some(&last)), at(0)), Next::At(at(15)));
        assert_eq!(next(&known(Some(&last)), at(15)), Next::Now(Cause::Due));
    }
}

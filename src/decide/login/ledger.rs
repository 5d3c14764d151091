//! The record of log-ins in the status. A log-in is recorded before it is sent. If the controller
//! ends before it writes the answer, the next controller knows that there was an attempt and counts
//! it as a refusal.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::proof::Proof;
use super::user_limit::Refused;
use super::{next_attempt, user_limit};
use crate::api::status::{Connection, SalesforceIntegrationStatus};
use crate::salesforce::{Meaning, Phase};

/// Returns the status to write before a log-in with this credential, as this user, is sent at
/// `now`.
pub(crate) fn with_attempt(
    status: Option<&SalesforceIntegrationStatus>,
    fingerprint: &str,
    user: &str,
    now: Timestamp,
) -> SalesforceIntegrationStatus {
    let mut status = status.cloned().unwrap_or_default();
    let connection = of_credential(&mut status, fingerprint, user);
    if let Some(unanswered) = connection.attempted_at.replace(Time(now)) {
        note_refused_at(connection, unanswered.0);
        note_unanswered(connection, user, unanswered.0);
    }
    status
}

/// Returns the record of this credential. The record of another credential is replaced by an empty
/// one, which keeps the refusals of the user.
pub(crate) fn of_credential<'a>(
    status: &'a mut SalesforceIntegrationStatus,
    fingerprint: &str,
    user: &str,
) -> &'a mut Connection {
    let connection = status.connection.get_or_insert_default();
    if connection.credentials_version.as_deref() != Some(fingerprint) {
        if let (Some(unanswered), Some(user)) = (
            connection.attempted_at.take(),
            connection.user_version.clone(),
        ) {
            note_unanswered(connection, &user, unanswered.0);
        }
        *connection = Connection {
            credentials_version: Some(fingerprint.into()),
            refusals: std::mem::take(&mut connection.refusals),
            ..Connection::default()
        };
    }
    connection.user_version = Some(user.into());
    connection
}

/// Settles the recorded attempt with the result of the proof, if the proof made that attempt. The
/// result of an older attempt is unknown, so it counts as a refusal. A proof whose log-in was
/// withheld settles nothing.
pub(crate) fn settle_attempt(connection: &mut Connection, proof: &Proof) {
    if matches!(&proof.outcome, Err(failure) if failure.meaning == Meaning::LoginWithheld) {
        return;
    }
    let Some(attempted) = connection.attempted_at.take() else {
        return;
    };
    let answered = match &proof.outcome {
        Ok(_) => true,
        Err(failure) => failure.phase == Phase::Request || proof.at == attempted.0,
    };
    if !answered {
        note_refused_at(connection, attempted.0);
        if let Some(user) = connection.user_version.clone() {
            note_unanswered(connection, &user, attempted.0);
        }
    }
}

/// Records that Salesforce refused the log-in that was sent at `at`. `reported` states that a run
/// says so, and not an answer to the controller.
pub(crate) fn note_refusal(
    connection: &mut Connection,
    fingerprint: &str,
    user: &str,
    at: Timestamp,
    reported: bool,
) {
    if connection.credentials_version.as_deref() != Some(fingerprint) {
        connection.refused_at.clear();
        connection.failed_logins = 0;
        connection.credentials_version = Some(fingerprint.into());
    }
    connection.failed_logins = connection.failed_logins.saturating_add(1);
    connection.transient_failures = 0;
    connection.next_attempt_at = None;
    note_refused_at(connection, at);
    let refused = Refused {
        at,
        credential: Some(fingerprint.into()),
        unanswered: false,
        reported,
    };
    user_limit::record(connection, user, refused);
}

/// Counts a log-in with the credential on record, as this user, whose answer was never seen.
fn note_unanswered(connection: &mut Connection, user: &str, at: Timestamp) {
    let login = user_limit::unanswered_at(connection, at);
    user_limit::record(connection, user, login);
}

/// Counts a log-in that was sent at `at` towards the limit of two an hour.
pub(crate) fn note_refused_at(connection: &mut Connection, at: Timestamp) {
    let times = &mut connection.refused_at;
    let place = times.partition_point(|time| time.0 > at);
    times.insert(place, Time(at));
    times.truncate(next_attempt::MAX_REFUSALS);
}

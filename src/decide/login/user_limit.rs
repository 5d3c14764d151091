//! The limit of refused log-ins for one user.
//!
//! Salesforce counts refused log-ins for each user, whatever password was sent, and locks the user
//! after as few as 3 (facts: Salesforce 1.3, `maxLoginAttempts`). The rule: as one user, over all
//! Secrets, integrations, replicas and restarts, at most two credentials are refused within an
//! hour, each once, and the first of them once more when a person asks for it or changes the spec;
//! a credential that was refused is not tried again by itself.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::next_attempt::{MAX_REFUSALS, REFUSAL_WINDOW};
use crate::api::status::{Connection, LoginRefusal};

/// Maximum number of refusals that a status keeps, and maximum number of log-ins of one integration
/// that may be refused within the hour, whichever users they are for. The same number, so that no
/// refusal of the last hour is ever dropped.
pub(crate) const MAX_KEPT: usize = 8;

/// A log-in of one user that Salesforce refused or did not answer.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Refused {
    /// Time at which the log-in was sent.
    pub at: Timestamp,
    /// Fingerprint of the credential; `None` if the credential has worked since.
    pub credential: Option<String>,
    /// Whether the answer is unknown. The log-in counts, but the credential may be tried again.
    pub unanswered: bool,
    /// Whether only the report of a run says so, which a tenant's pod may have made up. It counts
    /// for that integration alone.
    pub reported: bool,
}

// === impl Refused ===

impl Refused {
    /// Whether Salesforce refused this credential.
    pub(crate) fn refuses(&self, fingerprint: &str) -> bool {
        !self.unanswered && self.credential.as_deref() == Some(fingerprint)
    }
}

/// Returns the refusals of this user that a status has.
pub(crate) fn refusals<'a>(
    connection: &'a Connection,
    user: &'a str,
) -> impl Iterator<Item = Refused> + 'a {
    connection
        .refusals
        .iter()
        .filter(move |refusal| refusal.user_version == user)
        .map(|refusal| Refused {
            at: refusal.at.0,
            credential: refusal.credentials_version.clone(),
            unanswered: refusal.unanswered,
            reported: refusal.reported,
        })
}

/// Whether only the report of a run says that this credential was refused the last time.
pub(crate) fn is_only_reported(connection: &Connection, fingerprint: &str) -> bool {
    let mut refusals = connection.refusals.iter();
    refusals
        .find(|refusal| refusal.credentials_version.as_deref() == Some(fingerprint))
        .is_some_and(|refusal| refusal.reported)
}

/// Returns another credential than this one, if the controller was refused, or not answered, as
/// this user with it after this time: the Secret had it then.
pub(crate) fn another_after(
    connection: &Connection,
    user: &str,
    credential: &str,
    since: Timestamp,
) -> Option<String> {
    let of_user = connection.refusals.iter().filter(|refusal| {
        refusal.at.0 > since && refusal.user_version == user && !refusal.reported
    });
    let mut credentials = of_user.filter_map(|refusal| refusal.credentials_version.as_deref());
    let another = credentials.find(|known| *known != credential)?;
    Some(another.to_owned())
}

/// Returns the times of refused log-ins in a status that the controller itself has seen, newest
/// first. Others may rely on them.
pub(crate) fn seen_here(connection: &Connection) -> impl Iterator<Item = Timestamp> + '_ {
    let reported = |at: &Time| {
        let mut refusals = connection.refusals.iter();
        refusals.any(|refusal| refusal.reported && refusal.at == *at)
    };
    connection
        .refused_at
        .iter()
        .filter(move |at| !reported(at))
        .map(|at| at.0)
}

/// Returns the log-in of this status whose answer is not known, if it was sent as this user.
pub(crate) fn unanswered(connection: &Connection, user: &str) -> Option<Refused> {
    if connection.user_version.as_deref() != Some(user) {
        return None;
    }
    Some(unanswered_at(
        connection,
        connection.attempted_at.as_ref()?.0,
    ))
}

/// Returns a log-in with the credential on record whose answer was never seen.
pub(crate) fn unanswered_at(connection: &Connection, at: Timestamp) -> Refused {
    Refused {
        at,
        credential: connection.credentials_version.clone(),
        unanswered: true,
        reported: false,
    }
}

/// Returns the time from which a log-in with this credential is allowed to its user; `None` if it
/// is allowed now.
pub(crate) fn gate(
    mut refused: Vec<Refused>,
    credential: &str,
    now: Timestamp,
) -> Option<Timestamp> {
    // Several statuses may have one refusal: of one credential in one second there is one log-in.
    refused.sort_unstable();
    refused.dedup_by(|one, other| {
        (one.at, &one.credential) == (other.at, &other.credential) && one.credential.is_some()
    });
    refused.retain(|refused| now.duration_since(refused.at) < REFUSAL_WINDOW);
    refused.sort_unstable_by_key(|refused| Reverse(refused.at));
    let again = refused
        .iter()
        .any(|refused| refused.credential.as_deref() == Some(credential));
    let most = if again {
        MAX_REFUSALS
    } else {
        MAX_REFUSALS + 1
    };
    let by_number = refused.get(most - 1).map(|refused| refused.at);
    let mut seen = BTreeSet::new();
    let by_credential = refused
        .iter()
        .filter(|refused| {
            let credential = refused.credential.as_deref();
            credential.is_none_or(|credential| seen.insert(credential))
        })
        .nth(MAX_REFUSALS - 1)
        .map(|refused| refused.at)
        .filter(|_| !again);
    by_number
        .max(by_credential)?
        .checked_add(REFUSAL_WINDOW)
        .ok()
}

/// Records a refused or unanswered log-in as this user.
pub(crate) fn record(connection: &mut Connection, user: &str, login: Refused) {
    let at = login.at;
    let refusal = LoginRefusal {
        at: Time(at),
        user_version: user.into(),
        credentials_version: login.credential,
        unanswered: login.unanswered,
        reported: login.reported,
    };
    let refusals = &mut connection.refusals;
    if refusals.contains(&refusal) {
        return;
    }
    let place = refusals.partition_point(|known| known.at.0 > at);
    refusals.insert(place, refusal);
    refusals.truncate(MAX_KEPT);
}

/// Records that a credential works. Its refusals still count within the hour, because Salesforce
/// may not have forgotten them, but no longer keep it from being tried.
pub(crate) fn record_success(connection: &mut Connection, credential: &str, now: Timestamp) {
    for refusal in &mut connection.refusals {
        if refusal.credentials_version.as_deref() == Some(credential) {
            refusal.credentials_version = None;
        }
    }
    connection.refusals.retain(|refusal| {
        refusal.credentials_version.is_some() || now.duration_since(refusal.at.0) < REFUSAL_WINDOW
    });
}

/// Returns the time from which an integration may be refused again, whichever users it names;
/// `None` if it may now.
pub(crate) fn integration_gate(connection: &Connection, now: Timestamp) -> Option<Timestamp> {
    let nth = connection.refusals.get(MAX_KEPT - 1)?.at.0;
    (now.duration_since(nth) < REFUSAL_WINDOW)
        .then(|| nth.checked_add(REFUSAL_WINDOW).ok())
        .flatten()
}

//! Results of proofs of the connection, for this integration and for others with the same
//! credential.

use std::sync::Arc;

use jiff::Timestamp;

use super::next_attempt::Cause;
use super::user_limit;
use super::user_limit::Refused;
use crate::api::conditions::CONNECTED;
use crate::api::status::{Connection, SalesforceIntegrationStatus};
use crate::api::{Settings, conditions};
use crate::salesforce;
use crate::salesforce::{Findings, Meaning, Phase};

/// The login results of other integrations that use the same credential.
#[derive(Clone, Debug, Default)]
pub(crate) struct SiblingLogins {
    /// Times at which Salesforce refused them. They count towards the limit of two an hour.
    pub refused_at: Vec<Timestamp>,
    /// The newest refusal that is still valid. It applies to every integration that uses this
    /// credential.
    pub refusal: Option<Refusal>,
    /// Time of the last successful proof by one of them.
    pub proved_at: Option<Timestamp>,
    /// Log-ins of other integrations as the same user that Salesforce refused, whatever the
    /// credential.
    pub user_refusals: Vec<Refused>,
    /// Whether other integrations log in as the same user with other credentials.
    pub user_is_shared: bool,
    /// Times of their log-ins whose answer is not in the status.
    pub unanswered: Vec<Timestamp>,
    /// Whether this controller knows the result of the last log-in better than any status: it has
    /// the session, or waits for the answer.
    pub has_outcome: bool,
}

/// A log-in that Salesforce refused, permanently or for a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// Time of the refusal.
    pub at: Timestamp,
    /// The failure that describes the refusal.
    pub failure: Failure,
}

/// A finished proof of the connection.
#[derive(Clone, Debug)]
pub(crate) struct Proof {
    /// End time of the proof. If the log-in failed, it is the time at which the log-in was sent.
    pub at: Timestamp,
    /// Fingerprint of the credential that was used.
    pub fingerprint: String,
    /// Number of API requests that the proof used.
    pub calls: u64,
    /// The findings, which the next proofs with the credential build on, or the failure.
    pub outcome: Result<Arc<Findings>, Failure>,
}

/// The failure of a proof.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    /// Meaning of the failure.
    pub meaning: Meaning,
    /// Description in plain words, without secrets.
    pub message: String,
    /// The step that failed. The same answer to a request does not count against the credential.
    pub phase: Phase,
}

/// Returns since when a proof for another integration with the same credential stands for one that
/// is due. A change, a request and a failure want a proof of their own.
pub(crate) fn shared_since(
    cause: Cause,
    last: Option<&Connection>,
    settings: &Settings,
    now: Timestamp,
) -> Option<Timestamp> {
    // What succeeded before the failure would hide it.
    let is_well = last.is_some_and(|last| {
        last.transient_failures == 0 && last.failed_logins == 0 && last.next_attempt_at.is_none()
    });
    let may_share = cause == Cause::Due && is_well;
    now.checked_sub(settings.interval)
        .ok()
        .filter(|_| may_share)
}

// === impl SiblingLogins ===

impl SiblingLogins {
    /// Returns what is known after the last log-in with the credential, whichever integration made
    /// it. `refusal` is `None` if Salesforce did not refuse it.
    pub(crate) fn after(refusal: Option<Refusal>) -> Self {
        Self {
            refused_at: refusal.iter().map(|refusal| refusal.at).collect(),
            refusal,
            ..Self::default()
        }
    }

    /// Adds the login results from the status of another resource, if it last used this credential.
    pub(crate) fn add(&mut self, fingerprint: &str, status: &SalesforceIntegrationStatus) {
        let Some(connection) = status
            .connection
            .as_ref()
            .filter(|connection| connection.credentials_version.as_deref() == Some(fingerprint))
        else {
            return;
        };
        let verified = connection.verified_at.as_ref().map(|time| time.0);
        let refused = connection.refused_at.first().map(|time| time.0);
        // What a report says is nothing to others, nor what the controller finds when it looks.
        if connection.failed_logins == 0
            || user_limit::is_only_reported(connection, fingerprint) && verified < refused
        {
            self.proved_at = self.proved_at.max(verified);
        }
        self.refused_at.extend(user_limit::seen_here(connection));
        let attempted = connection.attempted_at.as_ref().map(|time| time.0);
        self.unanswered.extend(attempted);
        let known = self.refusal.as_ref().map(|refusal| refusal.at);
        if let Some(refusal) =
            valid_refusal(status, connection).filter(|refusal| known < Some(refusal.at))
        {
            self.refusal = Some(refusal);
        }
    }

    /// Adds the refusals of this user from the status of another resource. A log-in before `since`
    /// whose answer is not in the status was sent by a controller that has ended, and counts as
    /// refused.
    pub(crate) fn add_user(
        &mut self,
        user: &str,
        fingerprint: &str,
        status: &SalesforceIntegrationStatus,
        since: Timestamp,
    ) {
        let Some(connection) = &status.connection else {
            return;
        };
        let refusals = user_limit::refusals(connection, user);
        self.add_logged(fingerprint, refusals.filter(|refused| !refused.reported));
        let unanswered = user_limit::unanswered(connection, user);
        self.user_refusals
            .extend(unanswered.filter(|login| login.at < since));
    }

    /// Adds refused log-ins as this user, whatever became of the integrations that made them.
    pub(crate) fn add_logged(
        &mut self,
        fingerprint: &str,
        refusals: impl IntoIterator<Item = Refused>,
    ) {
        for refused in refusals {
            let known = self.refusal.as_ref().map(|refusal| refusal.at);
            if refused.refuses(fingerprint) && known < Some(refused.at) {
                self.refusal = Some(remembered_refusal(refused.at));
            }
            self.user_refusals.push(refused);
        }
    }
}

/// Returns the refusal of a credential that is remembered by its fingerprint only.
pub(crate) fn remembered_refusal(at: Timestamp) -> Refusal {
    Refusal {
        at,
        failure: Failure {
            meaning: Meaning::InvalidLogin,
            message: format!(
                "Salesforce refused this very credential at {at}; it is not tried again by itself."
            ),
            phase: Phase::Login,
        },
    }
}

/// Returns the refusal in a status, if it is still valid.
fn valid_refusal(status: &SalesforceIntegrationStatus, connection: &Connection) -> Option<Refusal> {
    let at = user_limit::seen_here(connection).next()?;
    let reported = conditions::verdict(&status.conditions, CONNECTED).and_then(|connected| {
        let failure = Failure {
            meaning: connected.reason.meaning()?,
            message: connected.message,
            phase: Phase::Login,
        };
        failure.is_shared().then_some(failure)
    });
    let failure = match reported {
        Some(failure) => failure,
        // An earlier condition is not true, so `Connected` does not show the refusal. It is still
        // valid.
        None if connection.failed_logins > 0 => Failure {
            meaning: Meaning::InvalidLogin,
            message: Meaning::InvalidLogin.cause().into(),
            phase: Phase::Login,
        },
        None => return None,
    };
    Some(Refusal { at, failure })
}

// === impl Failure ===

impl Failure {
    /// Whether Salesforce refused the credential. It is then not retried automatically.
    pub(crate) fn refused_login(&self) -> bool {
        self.phase == Phase::Login && self.meaning.refuses_login()
    }

    /// Whether Salesforce accepted the credential but does not allow the log-in now. Another
    /// attempt soon would be useless, whoever makes it.
    pub(crate) fn postponed_login(&self) -> bool {
        self.phase == Phase::Login
            && matches!(
                self.meaning,
                Meaning::LoginRateExceeded | Meaning::LoginHoursRestricted | Meaning::ClockSkew
            )
    }

    /// Whether the failure applies to every integration with the same credential and counts towards
    /// the limit of two an hour.
    pub(crate) fn is_shared(&self) -> bool {
        self.refused_login() || self.postponed_login()
    }
}

impl From<salesforce::Error> for Failure {
    fn from(error: salesforce::Error) -> Self {
        Self {
            meaning: error.meaning(),
            message: error.message(),
            phase: error.phase(),
        }
    }
}

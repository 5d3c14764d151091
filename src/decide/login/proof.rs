//! How proofs of the connection end, here and for others with the same credential.

use jiff::Timestamp;

use crate::api::conditions;
use crate::api::conditions::CONNECTED;
use crate::api::status::{Connection, SalesforceIntegrationStatus};
use crate::salesforce;
use crate::salesforce::{Findings, Meaning, Phase};

/// What siblings with the same credential went through.
#[derive(Clone, Debug, Default)]
pub struct SiblingLogins {
    /// When Salesforce refused them: counts towards the hour's two.
    pub refused_at: Vec<Timestamp>,
    /// The newest refusal that still stands: the same holds for whoever uses this credential.
    pub refusal: Option<Refusal>,
    /// When one of them last proved it.
    pub proved_at: Option<Timestamp>,
    /// When one of them sent a log-in whose answer it has not written down.
    pub unanswered: Vec<Timestamp>,
    /// Whether this controller knows better than any status what came of the last log-in: it has the session, or waits for the answer.
    pub has_outcome: bool,
}

/// A log-in that Salesforce answered with a refusal, for good or for a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// When.
    pub at: Timestamp,
    /// How.
    pub failure: Failure,
}

/// A proof of the connection, made.
#[derive(Clone, Debug)]
pub struct Proof {
    /// When it ended; when the log-in was sent, if that is where it failed.
    pub at: Timestamp,
    /// Fingerprint of the credential that was used.
    pub fingerprint: String,
    /// API requests that it cost.
    pub calls: u64,
    /// What was found, or how it failed.
    pub outcome: Result<Findings, Failure>,
}

/// How a proof failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What it means.
    pub meaning: Meaning,
    /// In plain words, nothing secret in it.
    pub message: String,
    /// What was being done. The same answer to a request says nothing against the credential.
    pub phase: Phase,
}

// === impl SiblingLogins ===

impl SiblingLogins {
    /// What is known when the last log-in with the credential, by whoever made it, ended so.
    pub fn after(refusal: Option<Refusal>) -> SiblingLogins {
        SiblingLogins {
            refused_at: refusal.iter().map(|refusal| refusal.at).collect(),
            refusal,
            ..SiblingLogins::default()
        }
    }

    /// Takes in what the status of another resource says, if it last used this credential.
    pub fn add(&mut self, fingerprint: &str, status: &SalesforceIntegrationStatus) {
        let Some(connection) = status
            .connection
            .as_ref()
            .filter(|connection| connection.credentials_version.as_deref() == Some(fingerprint))
        else {
            return;
        };
        if connection.failed_logins == 0 {
            let verified = connection.verified_at.as_ref().map(|time| time.0);
            self.proved_at = self.proved_at.max(verified);
        }
        let refused = connection.refused_at.iter().map(|time| time.0);
        self.refused_at.extend(refused);
        let attempted = connection.attempted_at.as_ref().map(|time| time.0);
        self.unanswered.extend(attempted);
        let known = self.refusal.as_ref().map(|refusal| refusal.at);
        if let Some(refusal) =
            standing(status, connection).filter(|refusal| known < Some(refusal.at))
        {
            self.refusal = Some(refusal);
        }
    }
}

/// The refusal that a status tells of, if it still stands.
fn standing(status: &SalesforceIntegrationStatus, connection: &Connection) -> Option<Refusal> {
    let at = connection.refused_at.first()?.0;
    let told = conditions::verdict(&status.conditions, CONNECTED).and_then(|connected| {
        let failure = Failure {
            meaning: connected.reason.meaning()?,
            message: connected.message,
            phase: Phase::Login,
        };
        failure.is_shared().then_some(failure)
    });
    let failure = match told {
        Some(failure) => failure,
        // Something that comes before the connection does not hold: what was refused stays refused.
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
    /// Whether Salesforce refused the credential: it is not tried again by itself.
    pub fn refused_login(&self) -> bool {
        self.phase == Phase::Login && self.meaning.refuses_login()
    }

    /// Whether Salesforce took the credential and does not let it in now: another attempt soon is in vain, whoever makes it.
    pub fn postponed_login(&self) -> bool {
        self.phase == Phase::Login
            && matches!(
                self.meaning,
                Meaning::LoginRateExceeded | Meaning::LoginHoursRestricted | Meaning::ClockSkew
            )
    }

    /// Whether it holds for everyone who uses the same credential, and counts towards the hour's two.
    pub fn is_shared(&self) -> bool {
        self.refused_login() || self.postponed_login()
    }
}

impl From<salesforce::Error> for Failure {
    fn from(error: salesforce::Error) -> Failure {
        Failure {
            meaning: error.meaning(),
            message: error.message(),
            phase: error.phase(),
        }
    }
}

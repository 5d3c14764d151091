//! What `decide` looks at: values only, gathered by `observe`.

use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::api::batch::v1::Job;

use super::acceptance::Acceptance;
use super::runs::EndedRun;
use super::stuck::StuckRun;
use crate::api::conditions::{self, CONNECTED};
use crate::api::status::{Connection, QueryUrlLength, SalesforceIntegrationStatus};
use crate::api::{InvalidField, SalesforceIntegration, Settings};
use crate::controller::claims::Claim;
use crate::controller::config::Config;
use crate::salesforce::{self, Findings, Meaning, Phase};

/// Everything that a decision about one integration rests on.
#[derive(Clone, Debug)]
pub struct Observed<'a> {
    /// The resource with its last status.
    pub resource: &'a SalesforceIntegration,
    /// Its spec, read.
    pub settings: Result<&'a Settings, &'a InvalidField>,
    /// The Secret that it names.
    pub credentials: Credentials,
    /// Whether it holds its company ID.
    pub claim: Claim,
    /// What siblings with the same credential went through.
    pub elsewhere: Elsewhere,
    /// The proof that was just made, if one was.
    pub proof: Option<&'a Proof>,
    /// Its runs that ended and still have a pod or a Job, without those that this controller has taken in before.
    pub ended_runs: &'a [EndedRun],
    /// Since when this controller leads. What ended before may have been taken in by another.
    pub leads_since: Timestamp,
    /// Its Jobs that go on.
    pub active_jobs: &'a [Arc<Job>],
    /// Its runs whose pod does not start.
    pub stuck_runs: &'a [StuckRun],
    /// Who else uses its org.
    pub neighbours: Neighbours,
    /// What the cluster made of what was last written for it.
    pub acceptance: Acceptance,
    /// Its CronJobs as they are.
    pub cron_jobs: &'a [Arc<LiveCronJob>],
    /// From what the Secret with its directory tokens was minted; none when there is none.
    pub tokens: Option<String>,
    /// From what it would be minted now.
    pub tokens_wanted: String,
    /// The operator's configuration.
    pub config: &'a Config,
}

/// The Secret that an integration names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Credentials {
    /// The spec names none that could be read.
    NotRead,
    /// There is none of that name.
    NotFound {
        /// Its name.
        secret: String,
    },
    /// It lacks a key that the method needs.
    KeyMissing {
        /// Its name.
        secret: String,
        /// The key.
        key: String,
    },
    /// A key's value cannot be used.
    KeyInvalid {
        /// Its name.
        secret: String,
        /// The key.
        key: String,
        /// What is wrong with the value, without showing it.
        problem: String,
    },
    /// It has what the method needs.
    Available {
        /// Recognises the credential.
        fingerprint: String,
        /// The keys of the Secret that it was made from.
        keys: Vec<String>,
    },
}

/// What siblings with the same credential went through.
#[derive(Clone, Debug, Default)]
pub struct Elsewhere {
    /// When Salesforce refused them: counts towards the hour's two.
    pub refused_at: Vec<Timestamp>,
    /// The newest refusal that still stands: the same holds for whoever uses this credential.
    pub refusal: Option<Refusal>,
    /// When one of them last proved it.
    pub proved_at: Option<Timestamp>,
    /// When one of them sent a log-in whose answer it has not written down.
    pub unanswered: Vec<Timestamp>,
    /// Whether this controller knows better than any status what came of the last log-in: it has the session, or waits for the answer.
    pub at_hand: bool,
}

/// The other integrations of an org.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Neighbours {
    /// How many there are.
    pub count: u32,
    /// Names of those in the same namespace, sorted, at most [`Self::MOST_NAMES`].
    pub names: Vec<String>,
    /// What those that are not suspended ask for of the org's API requests together, in per cent.
    pub percent: u64,
    /// What their runs have found out about the org.
    pub url_lengths: Vec<QueryUrlLength>,
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

/// A CronJob as it is on the server, as far as anybody here reads it. A pod template is by far the largest thing that a fleet would keep
/// in memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LiveCronJob {
    /// Its name.
    pub name: String,
    /// When it was made.
    pub created_at: Option<Timestamp>,
    /// Counts the changes of its spec.
    pub generation: Option<i64>,
    /// Whether it starts no Jobs.
    pub suspended: bool,
    /// Whether a Job of it goes on.
    pub busy: bool,
    /// Over all of it that the controller has a say in.
    pub digest: u64,
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

// === impl Neighbours ===

impl Neighbours {
    /// So many are named.
    pub const MOST_NAMES: usize = 10;
}

// === impl Elsewhere ===

impl Elsewhere {
    /// What is known when the last log-in with the credential, by whoever made it, ended so.
    pub fn after(refusal: Option<Refusal>) -> Elsewhere {
        Elsewhere {
            refused_at: refusal.iter().map(|refusal| refusal.at).collect(),
            refusal,
            ..Elsewhere::default()
        }
    }

    /// Takes in what the status of another resource says, if it last used this credential.
    pub fn hear(&mut self, fingerprint: &str, status: &SalesforceIntegrationStatus) {
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
    let told = conditions::find(&status.conditions, CONNECTED).and_then(|connected| {
        let failure = Failure {
            meaning: Meaning::from_code(&connected.reason)?,
            message: connected.message.clone(),
            phase: Phase::Login,
        };
        failure.binds_all().then_some(failure)
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
    pub fn binds_all(&self) -> bool {
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

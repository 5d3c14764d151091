//! The input of `decide`: plain values that `observe` collects.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::api::batch::v1::Job;

use super::children::LiveCronJob;
use super::data::claim::Answer;
use super::login::credentials::Credentials;
use super::login::proof::{Proof, SiblingLogins};
use super::resident::HandOver;
use super::rules::company_claim::Claim;
use super::rules::config::Config;
use super::rules::user_claim::Users;
use super::runs::EndedRun;
use super::runs::admission::Admission;
use super::runs::lingering::Lingering;
use super::runs::resident::Unwritten;
use super::runs::stuck::StuckRun;
use crate::api::{InvalidField, SalesforceIntegration, Settings};
use crate::run::BookReport;

/// Everything that a decision about one integration depends on.
#[derive(Clone, Debug)]
pub(crate) struct Observed<'a> {
    /// The resource with its last status.
    pub resource: &'a SalesforceIntegration,
    /// The parsed spec, or its invalid field.
    pub settings: Result<&'a Settings, &'a InvalidField>,
    /// State of the Secret that the spec refers to.
    pub credentials: Credentials,
    /// Whether the integration holds its company ID.
    pub claim: Claim,
    /// What the directory said whose the company's data is.
    pub data: Answer,
    /// How far its address book is, where the directory was asked while a run is active.
    pub book: Option<BookReport>,
    /// The users of its call centers that older integrations of its org hold.
    pub taken_users: Users,
    /// The login results of other integrations that use the same credential.
    pub siblings: SiblingLogins,
    /// The proof that was just finished, if there is one.
    pub proof: Option<&'a Proof>,
    /// Its ended runs that still have a pod or a Job, except those that this controller has
    /// already recorded.
    pub ended_runs: &'a [EndedRun],
    /// Runs of the controller itself that the status does not hold yet.
    pub resident: &'a Unwritten,
    /// Why a run that the controller could do itself is to be a pod's; `None` if none is.
    pub hand_over: Option<HandOver>,
    /// When the controller itself last worked with the credential, whoever it was for.
    pub worked_at: Option<Timestamp>,
    /// Whether a run of the controller waits for a session.
    pub session_wanted: bool,
    /// Whether Salesforce, which did not answer it, answers others again.
    pub answers_again: bool,
    /// Time since which this controller leads. Another controller may have recorded runs that
    /// ended before.
    pub leader_since: Timestamp,
    /// Its Jobs that are running.
    pub active_jobs: &'a [Arc<Job>],
    /// Names of its Jobs whose run has ended, also of those that are on record.
    pub over_jobs: &'a BTreeSet<String>,
    /// Its runs whose pod does not start.
    pub stuck_runs: &'a [StuckRun],
    /// Its runs that are over and whose pods go on.
    pub lingering: &'a [Lingering],
    /// Names of its Jobs whose pods have ended as a whole.
    pub settled_jobs: &'a BTreeSet<String>,
    /// The other integrations of its org.
    pub neighbours: Neighbours,
    /// The cluster's response to the last writes for the integration.
    pub admission: Admission,
    /// Its current CronJobs.
    pub cron_jobs: &'a [Arc<LiveCronJob>],
    /// Version of the inputs from which its directory tokens were minted; `None` if there is no
    /// Secret with tokens.
    pub tokens: Option<String>,
    /// Version of the inputs from which the tokens would be minted now.
    pub tokens_wanted: String,
    /// The operator's configuration.
    pub config: &'a Config,
}

// === impl Observed ===

impl<'a> Observed<'a> {
    /// Returns the input for a resource that is observed alone: without runs, siblings and
    /// neighbours, and with its own company ID and users.
    pub(crate) fn alone(
        resource: &'a SalesforceIntegration,
        settings: Result<&'a Settings, &'a InvalidField>,
        credentials: Credentials,
        config: &'a Config,
        now: Timestamp,
    ) -> Self {
        Observed {
            resource,
            settings,
            credentials,
            claim: Claim::Held,
            data: Answer::NotAsked,
            book: None,
            taken_users: Users::default(),
            siblings: SiblingLogins::default(),
            proof: None,
            ended_runs: &[],
            resident: const { &Unwritten::NONE },
            hand_over: None,
            worked_at: None,
            session_wanted: false,
            answers_again: false,
            leader_since: now,
            active_jobs: &[],
            over_jobs: const { &BTreeSet::new() },
            stuck_runs: &[],
            lingering: &[],
            settled_jobs: const { &BTreeSet::new() },
            neighbours: Neighbours::default(),
            admission: Admission::Unknown,
            cron_jobs: &[],
            tokens: None,
            tokens_wanted: String::new(),
            config,
        }
    }
}

/// The other integrations of an org.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Neighbours {
    /// Number of the other integrations.
    pub count: u32,
    /// Names of those in the same namespace, sorted, at most [`Self::MAX_NAMES`].
    pub names: Vec<String>,
    /// Part of the org's API requests that they ask for together, without the suspended ones, in
    /// per cent.
    pub percent: u64,
}

// === impl Neighbours ===

impl Neighbours {
    /// Maximum number of names in `names`.
    pub(crate) const MAX_NAMES: usize = 10;
}

//! What `decide` looks at: values only, gathered by `observe`.

use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::api::batch::v1::Job;

use super::children::LiveCronJob;
use super::login::credentials::Credentials;
use super::login::proof::{Proof, SiblingLogins};
use super::rules::company_claim::Claim;
use super::rules::config::Config;
use super::runs::EndedRun;
use super::runs::admission::Admission;
use super::runs::stuck::StuckRun;
use crate::api::status::QueryUrlLength;
use crate::api::{InvalidField, SalesforceIntegration, Settings};

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
    pub siblings: SiblingLogins,
    /// The proof that was just made, if one was.
    pub proof: Option<&'a Proof>,
    /// Its runs that ended and still have a pod or a Job, without those that this controller has taken in before.
    pub ended_runs: &'a [EndedRun],
    /// Since when this controller leads. What ended before may have been taken in by another.
    pub leader_since: Timestamp,
    /// Its Jobs that go on.
    pub active_jobs: &'a [Arc<Job>],
    /// Its runs whose pod does not start.
    pub stuck_runs: &'a [StuckRun],
    /// Who else uses its org.
    pub neighbours: Neighbours,
    /// What the cluster made of what was last written for it.
    pub admission: Admission,
    /// Its CronJobs as they are.
    pub cron_jobs: &'a [Arc<LiveCronJob>],
    /// From what the Secret with its directory tokens was minted; none when there is none.
    pub tokens: Option<String>,
    /// From what it would be minted now.
    pub tokens_wanted: String,
    /// The operator's configuration.
    pub config: &'a Config,
}

// === impl Observed ===

impl<'a> Observed<'a> {
    /// A resource that was looked at alone: no run, no sibling and no neighbour was seen, and the company ID is its own.
    pub fn alone(
        resource: &'a SalesforceIntegration,
        settings: Result<&'a Settings, &'a InvalidField>,
        credentials: Credentials,
        config: &'a Config,
        now: Timestamp,
    ) -> Observed<'a> {
        Observed {
            resource,
            settings,
            credentials,
            claim: Claim::Held,
            siblings: SiblingLogins::default(),
            proof: None,
            ended_runs: &[],
            leader_since: now,
            active_jobs: &[],
            stuck_runs: &[],
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
pub struct Neighbours {
    /// How many there are.
    pub count: u32,
    /// Names of those in the same namespace, sorted, at most [`Self::MAX_NAMES`].
    pub names: Vec<String>,
    /// What those that are not suspended ask for of the org's API requests together, in per cent.
    pub percent: u64,
    /// What their runs have found out about the org.
    pub url_lengths: Vec<QueryUrlLength>,
}

// === impl Neighbours ===

impl Neighbours {
    /// So many are named.
    pub const MAX_NAMES: usize = 10;
}

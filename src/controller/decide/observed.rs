//! What `decide` looks at: values only, gathered by `observe`.

use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::api::batch::v1::{CronJob, Job};

use super::runs::EndedRun;
use crate::api::{InvalidField, SalesforceIntegration, Settings};
use crate::controller::claims::Claim;
use crate::controller::config::Config;
use crate::salesforce::{Findings, Meaning};

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
    /// Its runs that ended and still have a pod or a Job.
    pub ended_runs: &'a [EndedRun],
    /// Its Jobs that go on.
    pub active_jobs: &'a [Arc<Job>],
    /// Its CronJobs as they are.
    pub cron_jobs: &'a [Arc<CronJob>],
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
    /// When Salesforce refused them.
    pub refused_at: Vec<Timestamp>,
    /// The newest refusal in words.
    pub refusal: Option<(Meaning, String)>,
    /// When one of them last proved it.
    pub proved_at: Option<Timestamp>,
}

/// A proof of the connection, made.
#[derive(Clone, Debug)]
pub struct Proof {
    /// When it ended.
    pub at: Timestamp,
    /// Fingerprint of the credential that was used.
    pub fingerprint: String,
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
}

//! Bulk API 2.0 query jobs: what is kept of them, and what they brought (facts: Salesforce changes
//! E1, E2).

pub(crate) mod csv;
pub(crate) mod results;

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use results::Results;
use serde::{Deserialize, Serialize};

use crate::org::quota::Quota;

/// How a job ends, for tests that want another end than the usual one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum BulkOutcome {
    /// With its results.
    #[default]
    Complete,
    /// Failed, with this text.
    Failed(String),
    /// Failed, without a text.
    FailedSilently,
    /// Aborted by somebody else.
    Aborted,
    /// Never: it stays in progress.
    Endless,
}

/// What is not certain of the Bulk API, and its limits.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct BulkSwitches {
    /// How jobs end.
    pub outcome: BulkOutcome,
    /// Questions for its state after which a job has ended (U). The query runs at the first.
    pub polls: u32,
    /// Rows of a page of results where the client does not ask for fewer (D: the server's choice).
    pub page_rows: usize,
    /// Whether stamps in results end with `Z`; else with `+0000` (U).
    pub zulu: bool,
    /// Whether results without rows have a header; else there is no body (U).
    pub empty_header: bool,
    /// Whether an ended job says how many records it has (D: may be absent).
    pub counts_records: bool,
    /// Whether `Sforce-NumberOfRecords` is sent with results (D).
    pub counts_rows: bool,
    /// HTTP status of results that are not there yet: 400 with a code, or 204 (U).
    pub not_ready_status: u16,
    /// Code of a locator that is not known (U).
    pub locator_code: String,
    /// How long a locator is known; `null` for as long as the job is (D).
    pub locator_life: Option<SignedDuration>,
    /// How long a job and its results are kept (D: 7 days).
    pub kept: SignedDuration,
    /// Objects that the Bulk API does not serve: `INVALIDENTITY` (W).
    pub unsupported: Vec<String>,
    /// Query jobs of an org in 24 hours (D: 10,000).
    pub jobs_a_day: u64,
    /// Kilobytes of results of an org in 24 hours (D: 1 TB).
    pub kilobytes_a_day: u64,
}

impl Default for BulkSwitches {
    fn default() -> Self {
        Self {
            outcome: BulkOutcome::Complete,
            polls: 2,
            page_rows: 100_000,
            zulu: true,
            empty_header: true,
            counts_records: true,
            counts_rows: true,
            not_ready_status: 400,
            locator_code: "INVALID_QUERY_LOCATOR".into(),
            locator_life: None,
            kept: SignedDuration::from_hours(7 * 24),
            unsupported: Vec::new(),
            jobs_a_day: 10_000,
            kilobytes_a_day: 1_000_000_000,
        }
    }
}

/// The state of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    UploadComplete,
    InProgress,
    JobComplete,
    Failed,
    Aborted,
}

impl State {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::UploadComplete => "UploadComplete",
            Self::InProgress => "InProgress",
            Self::JobComplete => "JobComplete",
            Self::Failed => "Failed",
            Self::Aborted => "Aborted",
        }
    }

    pub(crate) fn is_open(self) -> bool {
        matches!(self, Self::UploadComplete | Self::InProgress)
    }
}

/// A query job.
#[derive(Clone, Debug)]
pub(crate) struct Job {
    pub(crate) id: String,
    pub(crate) username: String,
    /// The id of the user who made it.
    pub(crate) user_id: String,
    /// Whether deleted rows are included.
    pub(crate) all: bool,
    pub(crate) object: String,
    pub(crate) query: String,
    /// The API version of its creation, such as `50.0`.
    pub(crate) version: String,
    pub(crate) form: csv::Form,
    pub(crate) created: Timestamp,
    pub(crate) changed: Timestamp,
    pub(crate) state: State,
    /// How often its state was asked for.
    pub(crate) polls: u32,
    pub(crate) results: Option<Arc<Results>>,
    pub(crate) error: Option<String>,
}

/// The jobs of all orgs, and what their orgs have used of their limits.
#[derive(Debug, Default)]
pub(crate) struct Jobs {
    jobs: BTreeMap<String, Job>,
    /// Key: the org id.
    pub(crate) made: BTreeMap<String, Quota>,
    /// Key: the org id.
    pub(crate) kilobytes: BTreeMap<String, Quota>,
}

impl Jobs {
    /// The job with this id, if the user made it and it is still kept.
    pub(crate) fn of(&mut self, username: &str, id: &str) -> Option<&mut Job> {
        self.jobs.get_mut(id).filter(|job| job.username == username)
    }

    /// The user's jobs.
    pub(crate) fn all_of(&self, username: &str) -> impl Iterator<Item = &Job> {
        self.jobs
            .values()
            .filter(move |job| job.username == username)
    }

    pub(crate) fn add(&mut self, job: Job) {
        self.jobs.insert(job.id.clone(), job);
    }

    pub(crate) fn remove(&mut self, id: &str) {
        self.jobs.remove(id);
    }

    /// Removes jobs that are kept no longer, with their results.
    pub(crate) fn expire(&mut self, now: Timestamp, kept: SignedDuration) {
        self.jobs
            .retain(|_, job| now.duration_since(job.created) < kept);
    }
}

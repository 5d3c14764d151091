//! A CronJob as it is on the server, as far as anybody reads it.

use std::hash::{DefaultHasher, Hash, Hasher};

use jiff::Timestamp;
use k8s_openapi::api::batch::v1::CronJob;
use kube::ResourceExt;
use serde::Serialize;

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

/// What is kept of a CronJob.
pub fn summarize(cron_job: &CronJob) -> LiveCronJob {
    LiveCronJob {
        name: cron_job.name_any(),
        created_at: cron_job
            .metadata
            .creation_timestamp
            .as_ref()
            .map(|time| time.0),
        generation: cron_job.metadata.generation,
        suspended: cron_job.spec.as_ref().and_then(|spec| spec.suspend) == Some(true),
        busy: is_busy(cron_job),
        digest: digest(cron_job),
    }
}

/// Whether a Job of it goes on.
pub fn is_busy(cron_job: &CronJob) -> bool {
    cron_job
        .status
        .as_ref()
        .and_then(|status| status.active.as_ref())
        .is_some_and(|active| !active.is_empty())
}

/// Over all of it that the controller ever wants to say something about.
pub fn digest(cron_job: &CronJob) -> u64 {
    #[derive(Serialize)]
    struct Matters<'a>(
        &'a Option<std::collections::BTreeMap<String, String>>,
        &'a Option<Vec<k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference>>,
        &'a Option<k8s_openapi::api::batch::v1::CronJobSpec>,
    );
    let metadata = &cron_job.metadata;
    let matters = Matters(&metadata.labels, &metadata.owner_references, &cron_job.spec);
    let mut hasher = DefaultHasher::new();
    // Kubernetes objects always become JSON.
    serde_json::to_vec(&matters)
        .unwrap_or_default()
        .hash(&mut hasher);
    hasher.finish()
}

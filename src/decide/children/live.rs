//! A summary of a CronJob on the API server: only the parts that the controller reads.

use std::hash::{DefaultHasher, Hash, Hasher};

use jiff::Timestamp;
use k8s_openapi::api::batch::v1::CronJob;
use kube::ResourceExt;
use serde::Serialize;

use super::ownership::integration_uid;

/// The parts of a CronJob on the API server that the controller reads. The pod template is left
/// out: for a fleet, it would be by far the largest part in memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LiveCronJob {
    /// Name of the CronJob.
    pub name: String,
    /// UID of the CronJob.
    pub uid: Option<String>,
    /// UID of the integration that owns it; `None` if none does.
    pub owner_uid: Option<String>,
    /// Creation time from the metadata.
    pub created_at: Option<Timestamp>,
    /// When it last started a Job.
    pub started_at: Option<Timestamp>,
    /// `metadata.generation`, which counts the changes of the spec.
    pub generation: Option<i64>,
    /// Whether the CronJob is suspended and so starts no Jobs.
    pub suspended: bool,
    /// Whether one of its Jobs is active.
    pub busy: bool,
    /// Digest of everything that the controller sets: labels, owner references and spec.
    pub digest: u64,
}

/// Extracts the parts of a CronJob that the controller keeps.
pub(crate) fn summarize(cron_job: &CronJob) -> LiveCronJob {
    LiveCronJob {
        name: cron_job.name_any(),
        uid: cron_job.uid(),
        owner_uid: integration_uid(&cron_job.metadata).map(str::to_owned),
        created_at: cron_job
            .metadata
            .creation_timestamp
            .as_ref()
            .map(|time| time.0),
        started_at: cron_job
            .status
            .as_ref()
            .and_then(|status| status.last_schedule_time.as_ref())
            .map(|time| time.0),
        generation: cron_job.metadata.generation,
        suspended: cron_job.spec.as_ref().and_then(|spec| spec.suspend) == Some(true),
        busy: is_busy(cron_job),
        digest: digest(cron_job),
    }
}

/// Whether one of the CronJob's Jobs is active.
pub(crate) fn is_busy(cron_job: &CronJob) -> bool {
    cron_job
        .status
        .as_ref()
        .and_then(|status| status.active.as_ref())
        .is_some_and(|active| !active.is_empty())
}

/// Returns a digest of everything that the controller ever sets: labels, owner references and spec.
pub(crate) fn digest(cron_job: &CronJob) -> u64 {
    #[derive(Serialize)]
    struct Matters<'a>(
        &'a Option<std::collections::BTreeMap<String, String>>,
        &'a Option<Vec<k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference>>,
        &'a Option<k8s_openapi::api::batch::v1::CronJobSpec>,
    );
    let metadata = &cron_job.metadata;
    let matters = Matters(&metadata.labels, &metadata.owner_references, &cron_job.spec);
    let mut hasher = DefaultHasher::new();
    // Serializing a Kubernetes object to JSON cannot fail.
    serde_json::to_vec(&matters)
        .unwrap_or_default()
        .hash(&mut hasher);
    hasher.finish()
}

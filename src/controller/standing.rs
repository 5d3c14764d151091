//! What is remembered of a CronJob instead of all of it: a pod template is by far the largest thing that a fleet would keep in memory. A
//! digest of what stands on the server, beside a digest of the wish that it is known to fulfil, tells edits by others as surely.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Mutex, MutexGuard, PoisonError};

use k8s_openapi::api::batch::v1::CronJob;
use kube::ResourceExt;
use serde::Serialize;

use super::decide::LiveCronJob;
use super::index::Key;

/// For each integration: the digest of the CronJob that is wanted, and of the one on the server that was seen to say all that.
#[derive(Default)]
pub struct Standing(Mutex<HashMap<Key, (u64, u64)>>);

// === impl Standing ===

impl Standing {
    /// Notes that what stands on the server, whole, says all that is wanted.
    pub fn note(&self, integration: Key, wanted: &CronJob, stands: &CronJob) {
        self.known()
            .insert(integration, (digest(wanted), digest(stands)));
    }

    /// Whether a CronJob as it is kept is known to say all that is wanted.
    pub fn says(&self, integration: &Key, wanted: &CronJob, live: &LiveCronJob) -> bool {
        let Some((wanted_then, stood_then)) = self.known().get(integration).copied() else {
            return false;
        };
        wanted_then == digest(wanted) && live.digest == stood_then
    }

    /// An integration is gone.
    pub fn forget(&self, integration: &Key) {
        self.known().remove(integration);
    }

    fn known(&self) -> MutexGuard<'_, HashMap<Key, (u64, u64)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is kept of a CronJob.
pub fn keep_little(cron_job: &CronJob) -> LiveCronJob {
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
fn digest(cron_job: &CronJob) -> u64 {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controller::fixtures::key;
    use k8s_openapi::api::batch::v1::CronJobSpec;

    fn cron_job(schedule: &str, time_zone: Option<&str>) -> CronJob {
        CronJob {
            spec: Some(CronJobSpec {
                schedule: schedule.into(),
                time_zone: time_zone.map(Into::into),
                ..CronJobSpec::default()
            }),
            ..CronJob::default()
        }
    }

    #[test]
    fn an_edit_on_the_server_and_another_wish_are_both_seen() {
        let key = key("acme");
        let standing = Standing::default();
        let wanted = cron_job("0 1 * * *", None);
        // The server adds defaults.
        let on_server = cron_job("0 1 * * *", Some("Etc/UTC"));
        let kept = |whole: CronJob| keep_little(&whole);
        assert!(!standing.says(&key, &wanted, &kept(on_server.clone())));
        standing.note(key.clone(), &wanted, &on_server);
        assert!(standing.says(&key, &wanted, &kept(on_server.clone())));
        let edited = cron_job("0 2 * * *", Some("Etc/UTC"));
        assert!(!standing.says(&key, &wanted, &kept(edited)));
        let other_wish = cron_job("0 3 * * *", None);
        assert!(!standing.says(&key, &other_wish, &kept(on_server.clone())));
        standing.forget(&key);
        assert!(!standing.says(&key, &wanted, &kept(on_server)));
    }
}

//! What is remembered of a CronJob instead of all of it: a pod template is by far the largest thing that a fleet would keep in memory. A
//! digest of what stands on the server, beside a digest of the wish that it is known to fulfil, tells edits by others as surely.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, MutexGuard, PoisonError};

use k8s_openapi::api::batch::v1::CronJob;
use kube::ResourceExt;

use super::child_store::owner;
use super::index::{Index, Key, Kind};
use crate::decide::children::{LiveCronJob, digest, is_busy};

/// For each integration: the digest of the CronJob that is wanted, and of the one on the server that was seen to say all that.
#[derive(Default)]
pub struct AppliedCronJobs(Mutex<HashMap<Key, (u64, u64)>>);

// === impl AppliedCronJobs ===

impl AppliedCronJobs {
    /// Notes that what stands on the server, whole, says all that is wanted.
    pub fn note(&self, integration: Key, wanted: &CronJob, live: &CronJob) {
        self.known()
            .insert(integration, (digest(wanted), digest(live)));
    }

    /// Whether a CronJob as it is kept is known to say all that is wanted.
    pub fn is_applied(&self, integration: &Key, wanted: &CronJob, live: &LiveCronJob) -> bool {
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

/// Whom a changed CronJob must wake: an edit by others, and the end of a run.
pub fn fingerprint_of(cron_job: &CronJob) -> impl Hash + use<> {
    fingerprint(cron_job.metadata.generation, cron_job, is_busy(cron_job))
}

fn fingerprint(generation: Option<i64>, cron_job: &CronJob, busy: bool) -> impl Hash + use<> {
    (generation, cron_job.labels().clone(), busy)
}

/// What the controller is about to write is no news when the watch brings it, which may be before the answer to the write.
pub fn expect_write(index: &mut Index, wanted: &CronJob, live: Option<&LiveCronJob>) {
    let before = live.and_then(|live| live.generation).unwrap_or(0);
    let busy = live.is_some_and(|live| live.busy);
    index.changed(
        Kind::CronJob,
        Key::of(wanted),
        owner(wanted),
        &fingerprint(Some(before + 1), wanted, busy),
    );
}

/// What the controller itself has just written is no news when the watch brings it.
pub fn observed_write(index: &mut Index, written: &CronJob) {
    index.changed(
        Kind::CronJob,
        Key::of(written),
        owner(written),
        &fingerprint_of(written),
    );
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::batch::v1::CronJobSpec;

    use super::*;
    use crate::controller::memory::index::key;
    use crate::decide::children::summarize;

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
        let applied = AppliedCronJobs::default();
        let wanted = cron_job("0 1 * * *", None);
        // The server adds defaults.
        let on_server = cron_job("0 1 * * *", Some("Etc/UTC"));
        let kept = |whole: CronJob| summarize(&whole);
        assert!(!applied.is_applied(&key, &wanted, &kept(on_server.clone())));
        applied.note(key.clone(), &wanted, &on_server);
        assert!(applied.is_applied(&key, &wanted, &kept(on_server.clone())));
        let edited = cron_job("0 2 * * *", Some("Etc/UTC"));
        assert!(!applied.is_applied(&key, &wanted, &kept(edited)));
        let other_wish = cron_job("0 3 * * *", None);
        assert!(!applied.is_applied(&key, &other_wish, &kept(on_server.clone())));
        applied.forget(&key);
        assert!(!applied.is_applied(&key, &wanted, &kept(on_server)));
    }
}

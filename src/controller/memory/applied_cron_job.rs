//! Digests that are kept of an applied CronJob instead of the object: its pod template is by far
//! the largest thing that a fleet would keep in memory. A digest of the desired object and one of
//! the object on the server find an edit as surely.

use std::hash::Hash;

use k8s_openapi::api::batch::v1::CronJob;
use kube::ResourceExt;

use super::child_store::owner;
use super::index::{Index, WatchedKind};
use super::key::Key;
use crate::decide::children::{LiveCronJob, digest, integration_uid, is_busy};

/// Digests of a CronJob as it was desired and as it was on the server when both agreed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct AppliedCronJob {
    desired: u64,
    live: u64,
}

// === impl AppliedCronJob ===

impl AppliedCronJob {
    /// `live` is the whole object on the server and contains all of `desired`.
    pub(crate) fn new(desired: &CronJob, live: &CronJob) -> Self {
        Self {
            desired: digest(desired),
            live: digest(live),
        }
    }

    /// Whether both are still the same.
    pub(crate) fn matches(self, desired: &CronJob, live: &LiveCronJob) -> bool {
        self.desired == digest(desired) && self.live == live.digest
    }
}

/// The parts of a CronJob whose change requires a reconcile: an edit by others, and the end of a
/// run.
pub(crate) fn fingerprint_of(cron_job: &CronJob) -> impl Hash + use<> {
    fingerprint(cron_job.metadata.generation, cron_job, is_busy(cron_job))
}

fn fingerprint(generation: Option<i64>, cron_job: &CronJob, busy: bool) -> impl Hash + use<> {
    let owner = integration_uid(&cron_job.metadata).map(str::to_owned);
    (generation, cron_job.labels().clone(), owner, busy)
}

/// Keeps the watch event of our own write from causing a reconcile. The event may arrive before the
/// response to the write.
pub(crate) fn expect_write(index: &mut Index, wanted: &CronJob, live: Option<&LiveCronJob>) {
    let before = live.and_then(|live| live.generation).unwrap_or(0);
    let busy = live.is_some_and(|live| live.busy);
    index.changed(
        WatchedKind::CronJob,
        Key::of(wanted),
        owner(wanted),
        &fingerprint(Some(before + 1), wanted, busy),
    );
}

/// The same after the write, with the object that the server returned.
pub(crate) fn observed_write(index: &mut Index, written: &CronJob) {
    index.changed(
        WatchedKind::CronJob,
        Key::of(written),
        owner(written),
        &fingerprint_of(written),
    );
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::batch::v1::CronJobSpec;

    use super::*;
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
    fn an_edit_on_the_server_and_a_new_spec_are_both_seen() {
        let desired = cron_job("0 1 * * *", None);
        // The server fills in defaults.
        let on_server = cron_job("0 1 * * *", Some("Etc/UTC"));
        let applied = AppliedCronJob::new(&desired, &on_server);
        assert!(applied.matches(&desired, &summarize(&on_server)));
        let edited = cron_job("0 2 * * *", Some("Etc/UTC"));
        assert!(!applied.matches(&desired, &summarize(&edited)));
        let new_spec = cron_job("0 3 * * *", None);
        assert!(!applied.matches(&new_spec, &summarize(&on_server)));
    }
}

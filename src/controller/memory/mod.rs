//! The controller's state in memory between two reconciles, without I/O. Each integration has one
//! value, which is dropped in one place.

mod applied_cron_job;
mod backoff;
pub(crate) mod child_store;
mod first_pass;
pub(crate) mod index;
pub(crate) mod key;
mod lost_pod_results;
mod user_index;

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use k8s_openapi::api::batch::v1::CronJob;
use kube::ResourceExt;
use parking_lot::Mutex;

use self::applied_cron_job::AppliedCronJob;
pub(crate) use self::applied_cron_job::{expect_write, fingerprint_of, observed_write};
use self::backoff::Backoff;
use self::first_pass::FirstPass;
use self::key::Key;
use self::lost_pod_results::LostPodResults;
use crate::api::SalesforceIntegration;
use crate::decide::Notice;
use crate::decide::children::LiveCronJob;
use crate::decide::resident::HandOver;
use crate::decide::runs::EndedRun;
use crate::decide::runs::admission::Admission;
use crate::decide::runs::resident::Unwritten;
use crate::directory::model::company::LinkHealth;

/// The state of every integration.
#[derive(Default)]
pub(crate) struct Memory(Mutex<Table>);

#[derive(Default)]
struct Table {
    /// Boxed, since a map has up to twice the room that it needs.
    states: HashMap<Key, Box<State>>,
    /// The number of integrations that wait for a reconcile.
    waiting: usize,
}

/// The state of one integration. A value that equals the default is not kept at all.
#[derive(Default, PartialEq)]
struct State {
    /// The object that the server returned for the last status write, while the watch lags behind
    /// it.
    written: Option<Arc<SalesforceIntegration>>,
    /// Jobs whose ended runs the status has recorded.
    recorded_runs: BTreeSet<String>,
    admission: Admission,
    applied_cron_job: Option<AppliedCronJob>,
    lost_pod_results: LostPodResults,
    backoff: Backoff,
    first_pass: FirstPass,
    /// When the directory was last asked how far the address book is.
    book_asked_at: Option<Timestamp>,
    /// Runs of the controller that the status does not hold yet.
    unwritten: Unwritten,
    /// The run that is to be a pod's.
    hand_over: Option<HandOver>,
    /// Whether a run of the controller waits for a session.
    session_wanted: bool,
    /// Whether it is asked again because Salesforce answers others again.
    answers_again: bool,
    /// What the directory was last told of the link.
    link_told: Option<LinkHealth>,
}

// === impl Memory ===

impl Memory {
    /// Marks an integration as waiting for a reconcile.
    pub(crate) fn enqueued(&self, key: &Key, now: Instant) {
        self.update(key, |state, _| state.first_pass.wait(now));
    }

    /// How long the first of the waiting integrations has waited.
    pub(crate) fn oldest_wait(&self, now: Instant) -> Duration {
        let table = self.0.lock();
        let states = table.states.values();
        let first = states
            .filter_map(|state| state.first_pass.waiting_since())
            .min();
        first.map_or(Duration::ZERO, |first| now.saturating_duration_since(first))
    }

    /// Whether a reconcile may begin. Otherwise it lets others go first.
    pub(crate) fn begin(&self, key: &Key, now: Instant) -> bool {
        self.update(key, |state, waiting| state.first_pass.begin(waiting, now))
    }

    /// Defers the rest of the work for an integration while others wait. Returns whether it
    /// deferred it.
    pub(crate) fn defer(&self, key: &Key, notices: &[Notice], now: Instant) -> bool {
        self.update(key, |state, waiting| {
            state.first_pass.defer(notices, waiting, now)
        })
    }

    /// Ends the deferral, because the rest is applied now. Returns the Events that were deferred
    /// with it.
    pub(crate) fn take_deferred(&self, key: &Key) -> Vec<Notice> {
        self.update(key, |state, _| state.first_pass.take_deferred())
    }

    /// The pause before a deferred integration is tried again.
    pub(crate) fn pause(&self) -> Duration {
        first_pass::pause(self.0.lock().waiting)
    }

    /// Records a successful reconcile: the next failure counts as the first again.
    pub(crate) fn succeeded(&self, key: &Key) {
        self.update(key, |state, _| state.backoff = Backoff::default());
    }

    /// Records a failed reconcile. Returns how long to wait.
    pub(crate) fn failed(&self, key: &Key, cause: Option<&kube::Error>) -> Duration {
        self.update(key, |state, _| state.backoff.next_wait(cause))
    }

    /// Keeps the object that the server returned for a status write. The watch may lag behind it,
    /// and a decision on the older status would repeat what was just done, a log-in above all.
    /// `cached` is the watch's version.
    pub(crate) fn keep_written(
        &self,
        written: Arc<SalesforceIntegration>,
        cached: impl FnOnce() -> Option<Arc<SalesforceIntegration>>,
    ) {
        self.update(&Key::of(written.as_ref()), |state, _| {
            // The watch is often quicker than the response, and then nothing would drop the kept
            // object.
            let is_newer = cached().is_none_or(|cached| is_ahead(&written, &cached));
            state.written = is_newer.then_some(written);
        });
    }

    /// The newer one of the watch's version and the last written version.
    pub(crate) fn freshest(
        &self,
        cached: Arc<SalesforceIntegration>,
    ) -> Arc<SalesforceIntegration> {
        let kept = self.read(&Key::of(cached.as_ref()), |state| state.written.clone());
        match kept.flatten() {
            Some(written) if is_ahead(&written, &cached) => written,
            Some(_) => {
                self.caught_up(&cached);
                cached
            }
            None => cached,
        }
    }

    /// Drops the written object after the watch has returned a version, unless the watch still lags
    /// behind it.
    pub(crate) fn caught_up(&self, observed: &SalesforceIntegration) {
        self.update(&Key::of(observed), |state, _| {
            state
                .written
                .take_if(|written| !is_ahead(written, observed));
        });
    }

    /// Records that the status holds the ended runs of these Jobs.
    pub(crate) fn record_runs(&self, key: &Key, jobs: BTreeSet<String>) {
        self.update(key, |state, _| state.recorded_runs = jobs);
    }

    /// Whether the status holds the run of this Job.
    pub(crate) fn is_recorded(&self, key: &Key, job: &str) -> bool {
        self.read(key, |state| state.recorded_runs.contains(job))
            .unwrap_or(false)
    }

    /// Whether the cluster accepts what is written for an integration.
    pub(crate) fn admission(&self, key: &Key) -> Admission {
        self.read(key, |state| state.admission.clone())
            .unwrap_or_default()
    }

    /// Records whether the cluster accepts what is written for an integration.
    pub(crate) fn record_admission(&self, key: &Key, admission: Admission) {
        self.update(key, |state, _| state.admission = admission);
    }

    /// Records that the CronJob on the server holds all that is desired.
    pub(crate) fn record_applied(&self, key: &Key, desired: &CronJob, live: &CronJob) {
        let applied = AppliedCronJob::new(desired, live);
        self.update(key, |state, _| state.applied_cron_job = Some(applied));
    }

    /// Whether the CronJob on the server is known to hold all that is desired.
    pub(crate) fn is_applied(&self, key: &Key, desired: &CronJob, live: &LiveCronJob) -> bool {
        self.read(key, |state| state.applied_cron_job)
            .flatten()
            .is_some_and(|applied| applied.matches(desired, live))
    }

    /// When the directory was last asked how far the address book is.
    pub(crate) fn book_asked_at(&self, key: &Key) -> Option<Timestamp> {
        self.read(key, |state| state.book_asked_at).flatten()
    }

    /// Records that the directory is asked how far the address book is.
    pub(crate) fn book_asked(&self, key: &Key, now: Timestamp) {
        self.update(key, |state, _| state.book_asked_at = Some(now));
    }

    /// What the directory was last told of the link.
    pub(crate) fn link_told(&self, key: &Key) -> Option<LinkHealth> {
        self.update(key, |state, _| state.link_told.clone())
    }

    /// Records what the directory was told of the link.
    pub(crate) fn tell_link(&self, key: &Key, health: LinkHealth) {
        self.update(key, |state, _| state.link_told = Some(health));
    }

    /// Adds the result of an ended run whose pod is gone.
    pub(crate) fn add_lost_pod_result(&self, key: &Key, run: EndedRun) {
        self.update(key, |state, _| state.lost_pod_results.add(run));
    }

    /// The results of runs whose pods are gone and whose Jobs still exist.
    pub(crate) fn lost_pod_results(&self, key: &Key, jobs: &BTreeSet<String>) -> Vec<EndedRun> {
        self.update(key, |state, _| state.lost_pod_results.of(jobs))
    }

    /// Adds the result of a run of the controller. Returns what the status does not hold yet.
    pub(crate) fn add_resident_run(&self, key: &Key, run: EndedRun) -> Unwritten {
        self.update(key, |state, _| {
            state.unwritten.add(run);
            state.unwritten.clone()
        })
    }

    /// Runs of the controller that the status does not hold yet.
    pub(crate) fn unwritten(&self, key: &Key) -> Unwritten {
        self.read(key, |state| state.unwritten.clone())
            .unwrap_or_default()
    }

    /// Records that the status holds these runs of the controller, and those of pods.
    pub(crate) fn runs_written(&self, key: &Key, held: &Unwritten, now: Timestamp) {
        self.update(key, |state, _| state.unwritten.written(held, now));
    }

    /// Has a pod do what is too big for the controller.
    pub(crate) fn hand_over(&self, key: &Key, hand_over: HandOver) {
        self.update(key, |state, _| {
            state.hand_over.get_or_insert(hand_over);
        });
    }

    /// The run that is to be a pod's.
    pub(crate) fn handed_over(&self, key: &Key) -> Option<HandOver> {
        self.read(key, |state| state.hand_over.clone()).flatten()
    }

    /// Records that a pod does it.
    pub(crate) fn taken_over(&self, key: &Key) {
        self.update(key, |state, _| state.hand_over = None);
    }

    /// Has the next reconcile prove the connection, if a log-in is allowed.
    pub(crate) fn want_session(&self, key: &Key) {
        self.update(key, |state, _| state.session_wanted = true);
    }

    /// Whether a run of the controller waits for a session. It is asked once.
    pub(crate) fn take_session_wanted(&self, key: &Key) -> bool {
        self.update(key, |state, _| std::mem::take(&mut state.session_wanted))
    }

    /// Has the next reconcile ask Salesforce again, which answers others again.
    pub(crate) fn answers_again(&self, key: &Key) {
        self.update(key, |state, _| state.answers_again = true);
    }

    /// Whether it is asked again because Salesforce answers others again.
    pub(crate) fn is_asked_again(&self, key: &Key) -> bool {
        self.read(key, |state| state.answers_again).unwrap_or(false)
    }

    /// Records that it was asked.
    pub(crate) fn asked_again(&self, key: &Key) {
        self.update(key, |state, _| state.answers_again = false);
    }

    /// Drops the state of an integration that is gone.
    pub(crate) fn forget(&self, key: &Key) {
        self.update(key, |state, _| *state = State::default());
    }

    /// Whether nothing at all is kept.
    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        self.0.lock().states.is_empty()
    }

    fn read<T>(&self, key: &Key, read: impl FnOnce(&State) -> T) -> Option<T> {
        self.0.lock().states.get(key).map(|state| read(state))
    }

    /// Changes the state of an integration. `change` also gets the number of integrations that
    /// wait, including this one.
    fn update<T>(&self, key: &Key, change: impl FnOnce(&mut State, usize) -> T) -> T {
        let mut table = self.0.lock();
        let Table { states, waiting } = &mut *table;
        let mut new = Box::<State>::default();
        let kept = states.get_mut(key);
        let is_kept = kept.is_some();
        let state = kept.unwrap_or(&mut new);
        let was_waiting = state.first_pass.waiting_since().is_some();
        let outcome = change(state, *waiting);
        *waiting = *waiting + usize::from(state.first_pass.waiting_since().is_some())
            - usize::from(was_waiting);
        match (is_kept, **state == State::default()) {
            (true, true) => drop(states.remove(key)),
            (false, false) => drop(states.insert(key.clone(), new)),
            _ => {}
        }
        outcome
    }
}

/// Whether the written version is newer than the watch's version of the same object.
fn is_ahead(written: &SalesforceIntegration, observed: &SalesforceIntegration) -> bool {
    written.uid() == observed.uid() && version(written) > version(observed)
}

/// Resource versions of one kind grow. Kubernetes has promised since 1.35 (KEP-5504) that they can
/// be compared, and those of etcd always could.
fn version(resource: &SalesforceIntegration) -> u128 {
    resource
        .resource_version()
        .and_then(|version| version.parse().ok())
        .unwrap_or(0)
}

#[cfg(test)]
mod tests;

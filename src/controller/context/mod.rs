//! What every reconcile shares.

pub(crate) mod access;
pub(crate) mod metrics;
pub(crate) mod prover;
pub(crate) mod stores;

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use futures::FutureExt;
use jiff::Timestamp;
use kube::runtime::reflector::ObjectRef;
use kube::{Client, ResourceExt};

use self::metrics::Metrics;
use self::prover::Prover;
use self::stores::Stores;
use super::cluster::events::Recorder;
use super::memory::applied_cron_jobs::AppliedCronJobs;
use super::memory::first_pass::FirstPass;
use super::memory::index::{Index, Key};
use super::memory::lost_pod_results::LostPodResults;
use crate::api::{SalesforceIntegration, now};
use crate::decide::children::TokenSources;
use crate::decide::rules::config::Config;
use crate::decide::runs::admission::Admission;
use crate::directory::TokenKeys;
use crate::salesforce::FingerprintKey;

/// What every reconcile shares.
pub struct Context {
    /// The API server.
    pub client: Client,
    /// Writes Events.
    pub recorder: Recorder,
    /// The operator's configuration.
    pub config: Config,
    /// Proves connections.
    pub prover: Prover,
    /// Makes fingerprints of credentials.
    pub fingerprint_key: FingerprintKey,
    /// Signs the tokens for the directory.
    pub token_keys: TokenKeys,
    token_key_id: String,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// Who concerns whom.
    pub index: Mutex<Index>,
    /// Everything watched, one set for each namespace or one for the cluster.
    pub stores: Vec<Stores>,
    /// Which CronJobs are known to be as wanted.
    pub applied_cron_jobs: AppliedCronJobs,
    /// Whose turn it is.
    pub first_pass: FirstPass,
    /// How runs ended whose pods are gone.
    pub lost_pod_results: LostPodResults,
    /// Since when this controller leads.
    pub leader_since: Timestamp,
    latest: Mutex<HashMap<Key, Arc<SalesforceIntegration>>>,
    recorded_runs: Mutex<HashMap<Key, BTreeSet<String>>>,
    admission: Mutex<HashMap<Key, Admission>>,
}

// === impl Context ===

impl Context {
    #[allow(
        clippy::too_many_arguments,
        reason = "called once, by name of what it is given"
    )]
    pub(crate) fn new(
        client: Client,
        recorder: Recorder,
        config: Config,
        prover: Prover,
        fingerprint_key: FingerprintKey,
        token_keys: TokenKeys,
        stores: Vec<Stores>,
        metrics: Arc<Metrics>,
    ) -> Self {
        // Says which key signs without saying anything about it.
        let token_key_id = token_keys
            .derive("key id")
            .iter()
            .take(4)
            .map(|byte| format!("{byte:02x}"))
            .collect();
        Context {
            token_key_id,
            client,
            recorder,
            config,
            prover,
            fingerprint_key,
            token_keys,
            index: Mutex::default(),
            stores,
            metrics,
            applied_cron_jobs: AppliedCronJobs::default(),
            first_pass: FirstPass::default(),
            lost_pod_results: LostPodResults::default(),
            leader_since: now(),
            latest: Mutex::default(),
            recorded_runs: Mutex::default(),
            admission: Mutex::default(),
        }
    }

    /// Whether the watches have told everything that exists in this namespace.
    pub fn is_synced(&self, namespace: &str) -> bool {
        self.stores
            .iter()
            .filter(|stores| stores.holds(namespace))
            .all(|stores| stores.synced().now_or_never().is_some())
    }

    /// The index, for a moment.
    pub fn index(&self) -> std::sync::MutexGuard<'_, Index> {
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From what tokens are minted now.
    pub fn token_sources(&self) -> TokenSources<'_> {
        TokenSources {
            key_id: &self.token_key_id,
            ca_bundle: self.config.ca_bundle.as_deref(),
        }
    }

    /// An integration by its key.
    pub fn integration(&self, key: &Key) -> Option<Arc<SalesforceIntegration>> {
        self.cached(key).map(|cached| self.freshest(cached))
    }

    /// As the watch knows it.
    fn cached(&self, key: &Key) -> Option<Arc<SalesforceIntegration>> {
        let reference = ObjectRef::new(&key.name).within(&key.namespace);
        self.stores
            .iter()
            .find_map(|stores| stores.integrations.get(&reference))
    }

    /// Keeps what the server answered to a write of the status. A watch may lag behind it, and a decision on the older status would
    /// repeat what was just done, a log-in above all.
    pub fn remember(&self, written: Arc<SalesforceIntegration>) {
        let key = Key::of(written.as_ref());
        let mut latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        // The watch is often quicker than the answer; nothing would let go of it then.
        let cached = self.cached(&key);
        if cached.is_none_or(|cached| is_ahead(&written, &cached)) {
            latest.insert(key, written);
        } else {
            latest.remove(&key);
        }
    }

    /// The newer of what the watch knows and what was last written.
    fn freshest(&self, cached: Arc<SalesforceIntegration>) -> Arc<SalesforceIntegration> {
        let mut latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        let key = Key::of(cached.as_ref());
        match latest.get(&key) {
            Some(written) if is_ahead(written, &cached) => Arc::clone(written),
            Some(_) => {
                latest.remove(&key);
                cached
            }
            None => cached,
        }
    }

    /// The watch has told of a version: what was remembered is let go, unless the watch lags behind it.
    pub fn caught_up(&self, told: &SalesforceIntegration) {
        let mut latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        let key = Key::of(told);
        if latest
            .get(&key)
            .is_some_and(|written| !is_ahead(written, told))
        {
            latest.remove(&key);
        }
    }

    /// Lets go of the session of a credential that this integration does not use any more, unless another does.
    pub fn leave_session(&self, integration: &Key, fingerprint: &str) {
        let sharing = self.index().sharing(fingerprint);
        if sharing.iter().all(|key| key == integration) {
            self.prover.forget(fingerprint);
        }
    }

    /// Lets go of sessions whose credentials no status names any more.
    pub fn drop_unused_sessions(&self) {
        self.prover
            .keep_only(|fingerprint| !self.index().sharing(fingerprint).is_empty());
    }

    /// Remembers which ended runs the status has taken in.
    pub fn record_runs(&self, key: &Key, jobs: BTreeSet<String>) {
        let mut recorded_runs = self
            .recorded_runs
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if jobs.is_empty() {
            recorded_runs.remove(key);
        } else {
            recorded_runs.insert(key.clone(), jobs);
        }
    }

    /// Whether the status has taken this run in.
    pub fn is_recorded(&self, key: &Key, job: &str) -> bool {
        let recorded_runs = self
            .recorded_runs
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        recorded_runs
            .get(key)
            .is_some_and(|jobs| jobs.contains(job))
    }

    /// What the cluster made of what was last written for an integration.
    pub fn admission(&self, key: &Key) -> Admission {
        let known = self
            .admission
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        known.get(key).cloned().unwrap_or_default()
    }

    /// Remembers what the cluster made of it.
    pub fn record_admission(&self, key: &Key, admission: Admission) {
        let mut known = self
            .admission
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        match admission {
            Admission::Unknown => known.remove(key),
            admission => known.insert(key.clone(), admission),
        };
    }

    /// An integration is gone.
    pub fn forget(&self, key: &Key) {
        self.applied_cron_jobs.forget(key);
        self.first_pass.forget(key);
        self.lost_pod_results.forget(key);
        self.record_runs(key, BTreeSet::new());
        self.record_admission(key, Admission::Unknown);
        self.latest
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(key);
    }
}

/// Whether what was written is newer than what the watch has told of the same object.
fn is_ahead(written: &SalesforceIntegration, told: &SalesforceIntegration) -> bool {
    written.uid() == told.uid() && version(written) > version(told)
}

/// Resource versions of one kind grow: Kubernetes has promised that they can be compared since 1.35 (KEP-5504), and etcd's always could.
fn version(resource: &SalesforceIntegration) -> u128 {
    resource
        .resource_version()
        .and_then(|version| version.parse().ok())
        .unwrap_or(0)
}

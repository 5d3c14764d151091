//! What every reconcile shares.

pub(crate) mod metrics;
pub(crate) mod proofs;
pub(crate) mod reach;
pub(crate) mod stores;

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use futures::FutureExt;
use jiff::Timestamp;
use kube::runtime::reflector::ObjectRef;
use kube::{Client, ResourceExt};

use self::metrics::Metrics;
use self::proofs::Proofs;
use self::stores::Stores;
use super::cluster::events::Recorder;
use super::memory::index::{Index, Key};
use super::memory::last_words::LastWords;
use super::memory::standing::Standing;
use super::memory::turns::Turns;
use crate::api::{SalesforceIntegration, now};
use crate::decide::children::TokenSources;
use crate::decide::rules::config::Config;
use crate::decide::runs::acceptance::Acceptance;
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
    pub proofs: Proofs,
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
    pub standing: Standing,
    /// Whose turn it is.
    pub turns: Turns,
    /// How runs ended whose pods are gone.
    pub last_words: LastWords,
    /// Since when this controller leads.
    pub leads_since: Timestamp,
    latest: Mutex<HashMap<Key, Arc<SalesforceIntegration>>>,
    taken_in: Mutex<HashMap<Key, BTreeSet<String>>>,
    acceptance: Mutex<HashMap<Key, Acceptance>>,
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
        proofs: Proofs,
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
            proofs,
            fingerprint_key,
            token_keys,
            index: Mutex::default(),
            stores,
            metrics,
            standing: Standing::default(),
            turns: Turns::default(),
            last_words: LastWords::default(),
            leads_since: now(),
            latest: Mutex::default(),
            taken_in: Mutex::default(),
            acceptance: Mutex::default(),
        }
    }

    /// Whether the watches have told everything that exists in this namespace.
    pub fn is_listed(&self, namespace: &str) -> bool {
        self.stores
            .iter()
            .filter(|stores| stores.holds(namespace))
            .all(|stores| stores.listed().now_or_never().is_some())
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
            self.proofs.forget(fingerprint);
        }
    }

    /// Lets go of sessions whose credentials no status names any more.
    pub fn drop_unused_sessions(&self) {
        self.proofs
            .keep_only(|fingerprint| !self.index().sharing(fingerprint).is_empty());
    }

    /// Remembers which ended runs the status has taken in.
    pub fn note_runs(&self, key: &Key, jobs: BTreeSet<String>) {
        let mut taken_in = self.taken_in.lock().unwrap_or_else(PoisonError::into_inner);
        if jobs.is_empty() {
            taken_in.remove(key);
        } else {
            taken_in.insert(key.clone(), jobs);
        }
    }

    /// Whether the status has taken this run in.
    pub fn has_taken_in(&self, key: &Key, job: &str) -> bool {
        let taken_in = self.taken_in.lock().unwrap_or_else(PoisonError::into_inner);
        taken_in.get(key).is_some_and(|jobs| jobs.contains(job))
    }

    /// What the cluster made of what was last written for an integration.
    pub fn acceptance(&self, key: &Key) -> Acceptance {
        let known = self
            .acceptance
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        known.get(key).cloned().unwrap_or_default()
    }

    /// Remembers what the cluster made of it.
    pub fn note_acceptance(&self, key: &Key, acceptance: Acceptance) {
        let mut known = self
            .acceptance
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        match acceptance {
            Acceptance::Unheard => known.remove(key),
            acceptance => known.insert(key.clone(), acceptance),
        };
    }

    /// An integration is gone.
    pub fn forget(&self, key: &Key) {
        self.standing.forget(key);
        self.turns.forget(key);
        self.last_words.forget(key);
        self.note_runs(key, BTreeSet::new());
        self.note_acceptance(key, Acceptance::Unheard);
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

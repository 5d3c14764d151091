//! The shared state of all reconciles.

pub(crate) mod access;
mod books;
pub(crate) mod directory;
pub(crate) mod fleet;
mod labels;
pub(crate) mod mail;
pub(crate) mod metrics;
pub(crate) mod prover;
mod series;
pub(crate) mod stores;
pub(crate) mod user_logins;

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::FutureExt;
use futures::channel::mpsc::{UnboundedReceiver, UnboundedSender, unbounded};
use jiff::Timestamp;
use kube::Client;
use kube::runtime::reflector::ObjectRef;
use parking_lot::{Mutex, MutexGuard};
use tokio::sync::Notify;

use self::directory::DirectoryTrust;
use self::mail::Mail;
use self::metrics::Metrics;
use self::prover::Prover;
use self::stores::Stores;
use self::user_logins::UserLogins;
use super::cluster::events::Recorder;
use super::memory::Memory;
use super::memory::index::Index;
use super::memory::key::Key;
use crate::api::{SalesforceIntegration, now};
use crate::company_id::CompanyId;
use crate::decide::children::TokenSources;
use crate::decide::login::recovery::{self, Heard, Recovery};
use crate::decide::login::user_limit;
use crate::decide::login::user_limit::Refused;
use crate::decide::revocation;
use crate::decide::rules::config::Config;
use crate::directory::TokenKeys;
use crate::salesforce::FingerprintKey;
use crate::shard::Shard;

/// The shared state of all reconciles.
pub(crate) struct Context {
    /// The API server.
    pub client: Client,
    /// Writes Events.
    pub recorder: Recorder,
    /// The operator's configuration.
    pub config: Config,
    /// The namespaces that this controller works on. Of the others it only knows the integrations.
    pub shard: Shard,
    /// Proves connections.
    pub prover: Prover,
    /// Counts log-ins by user.
    pub user_logins: UserLogins,
    /// Makes fingerprints of credentials.
    pub fingerprint_key: FingerprintKey,
    /// Signs the tokens for the directory.
    pub token_keys: TokenKeys,
    token_key_id: String,
    /// Whom worker pods trust to be the directory.
    pub directory_trust: DirectoryTrust,
    /// The metrics of the controller.
    pub metrics: Arc<Metrics>,
    /// Finds the integrations that an event affects.
    pub index: Mutex<Index>,
    /// The watched objects: one set for each namespace, or one for the cluster.
    pub stores: Vec<Stores>,
    /// State of each integration between two reconciles.
    pub memory: Memory,
    /// What is told by e-mail.
    pub mail: Mail,
    /// When this replica became the leader.
    pub leader_since: Timestamp,
    /// Whether the directory says who waits; `None` where the controller looks up nothing itself.
    pub waiting_followed: Mutex<Option<bool>>,
    /// The integrations that are to be looked at without an event of the cluster.
    looks: UnboundedSender<Key>,
    looked_at: Mutex<Option<UnboundedReceiver<Key>>>,
    /// Who is asked again after an outage of Salesforce.
    recovery: Mutex<Recovery<Key>>,
    recovery_changed: Notify,
    /// The companies whose runs come at once, because Salesforce answers again.
    runs_again: UnboundedSender<CompanyId>,
    run_again: Mutex<Option<UnboundedReceiver<CompanyId>>>,
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
        shard: Shard,
        prover: Prover,
        fingerprint_key: FingerprintKey,
        token_keys: TokenKeys,
        directory_trust: DirectoryTrust,
        stores: Vec<Stores>,
        mail: Mail,
        user_logins: UserLogins,
        metrics: Arc<Metrics>,
    ) -> Self {
        // Identifies the signing key without revealing anything of it.
        let token_key_id = token_keys
            .derive("key id")
            .iter()
            .take(4)
            .map(|byte| format!("{byte:02x}"))
            .collect();
        let (looks, looked_at) = unbounded();
        let (runs_again, run_again) = unbounded();
        Self {
            looks,
            looked_at: Mutex::new(Some(looked_at)),
            recovery: Mutex::default(),
            recovery_changed: Notify::new(),
            runs_again,
            run_again: Mutex::new(Some(run_again)),
            token_key_id,
            client,
            recorder,
            config,
            shard,
            prover,
            user_logins,
            fingerprint_key,
            token_keys,
            directory_trust,
            index: Mutex::default(),
            stores,
            metrics,
            memory: Memory::default(),
            mail,
            leader_since: now(),
            waiting_followed: Mutex::default(),
        }
    }

    /// Whether all lists of this namespace have been read.
    pub(crate) fn is_synced(&self, namespace: &str) -> bool {
        self.stores
            .iter()
            .filter(|stores| stores.holds(namespace))
            .all(|stores| stores.synced().now_or_never().is_some())
    }

    /// Whether this controller works on an integration.
    pub(crate) fn is_ours(&self, key: &Key) -> bool {
        self.shard.holds(&key.namespace)
    }

    /// The integrations that this controller works on.
    pub(crate) fn ours(&self) -> Vec<Arc<SalesforceIntegration>> {
        let stores = self.stores.iter();
        let all = stores.flat_map(|stores| stores.integrations.state());
        all.filter(|one| {
            let namespace = one.metadata.namespace.as_deref();
            self.shard.holds(namespace.unwrap_or_default())
        })
        .collect()
    }

    /// Has an integration reconciled although no event asks for it.
    pub(crate) fn look(&self, key: &Key) {
        if self.is_ours(key) && self.index().holds(key) {
            self.memory.enqueued(key, Instant::now());
            // It fails only after the queues have ended.
            let _ = self.looks.unbounded_send(key.clone());
        }
    }

    /// The integrations for which [`look`](Self::look) is called; `None` when taken before.
    pub(crate) fn take_looks(&self) -> Option<UnboundedReceiver<Key>> {
        self.looked_at.lock().take()
    }

    /// Has the controller's own run for an integration come at once.
    pub(crate) fn run_again(&self, resource: &SalesforceIntegration) {
        if let Ok(company) = resource.spec.company_id.parse() {
            // It fails only after the runs have ended.
            let _ = self.runs_again.unbounded_send(company);
        }
    }

    /// The companies for which [`run_again`](Self::run_again) is called; `None` when taken before.
    pub(crate) fn take_runs_again(&self) -> Option<UnboundedReceiver<CompanyId>> {
        self.run_again.lock().take()
    }

    /// Notes what an integration has heard of Salesforce, which may be news for others.
    pub(crate) fn heard(&self, key: &Key, heard: Heard) {
        let waiting = || {
            let all = self.ours().into_iter().map(|one| self.memory.freshest(one));
            let waiting = all.filter_map(|one| {
                let since = recovery::silent_since(one.status.as_ref()?)?;
                Some((since, Key::of(one.as_ref())))
            });
            waiting.collect()
        };
        self.recovery.lock().hear(key, heard, now(), waiting);
        self.recovery_changed.notify_one();
    }

    /// Has those asked again who wait for an answer, as others are answered again, until it is
    /// dropped.
    pub(crate) async fn ask_again(&self) {
        loop {
            let due = self.recovery.lock().next_due();
            let due = async {
                match due.map(|due| Duration::try_from(due.duration_since(now()))) {
                    // What is past is due.
                    Some(wait) => tokio::time::sleep(wait.unwrap_or_default()).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = due => {}
                () = self.recovery_changed.notified() => continue,
            }
            let due = self.recovery.lock().take_due(now());
            for key in due {
                let resource = self.integration(&key);
                let status = resource.as_ref().and_then(|one| one.status.as_ref());
                // Others have asked by themselves meanwhile.
                if status.and_then(recovery::silent_since).is_some() {
                    tracing::debug!(%key, "Salesforce answers others again, so it is asked again");
                    self.memory.answers_again(&key);
                    self.look(&key);
                }
            }
        }
    }

    /// Locks the index. Hold the guard only briefly.
    pub(crate) fn index(&self) -> MutexGuard<'_, Index> {
        self.index.lock()
    }

    /// The sources of the integration's tokens that would be minted now.
    pub(crate) fn token_sources(&self, resource: &SalesforceIntegration) -> TokenSources<'_> {
        TokenSources {
            key_id: &self.token_key_id,
            ca_bundle: self.config.ca_bundle.as_deref(),
            directory_ca: self.directory_trust.pem(),
            not_before: revocation::not_before(resource, now()),
        }
    }

    /// The newest known version of an integration: that of the watch or that of our last status
    /// write.
    pub(crate) fn integration(&self, key: &Key) -> Option<Arc<SalesforceIntegration>> {
        self.cached(key).map(|cached| self.memory.freshest(cached))
    }

    /// The version that the watch has.
    pub(crate) fn cached(&self, key: &Key) -> Option<Arc<SalesforceIntegration>> {
        let reference = ObjectRef::new(&key.name).within(&key.namespace);
        self.stores
            .iter()
            .find_map(|stores| stores.integrations.get(&reference))
    }

    /// The log-ins as this user that Salesforce refused to the controller, as statuses show them.
    pub(crate) fn user_refusals(&self, user: &str) -> Vec<Refused> {
        let keys = self.index().refused_as(user);
        keys.iter()
            .filter_map(|key| self.integration(key))
            .filter_map(|integration| {
                let connection = integration.status.as_ref()?.connection.as_ref()?;
                Some(user_limit::refusals(connection, user).collect::<Vec<_>>())
            })
            .flatten()
            .filter(|refused| !refused.reported)
            .collect()
    }

    /// The log-ins as this user that count within the hour, whether or not their integrations still
    /// exist.
    pub(crate) fn logged_refusals(&self, user: &str) -> Vec<Refused> {
        self.user_logins
            .forget_answered(user, |credential, sent| self.has_worked(credential, sent));
        self.user_logins.refusals(user, now())
    }

    /// Whether a status tells that this credential has worked at this time or later.
    fn has_worked(&self, credential: &str, since: Timestamp) -> bool {
        let keys = self.index().sharing(credential);
        keys.iter()
            .filter_map(|key| self.integration(key))
            .filter_map(|integration| integration.status.as_ref()?.connection.clone())
            .any(|connection| {
                connection.credentials_version.as_deref() == Some(credential)
                    && connection.failed_logins == 0
                    && connection.attempted_at.is_none()
                    && connection.verified_at.is_some_and(|at| at.0 >= since)
            })
    }

    /// Drops the session of a credential that this integration no longer uses, unless another
    /// integration does.
    pub(crate) fn leave_session(&self, integration: &Key, fingerprint: &str) {
        let sharing = self.index().sharing(fingerprint);
        let mut ours = sharing.iter().filter(|key| self.is_ours(key));
        if ours.all(|key| key == integration) {
            self.prover.forget(fingerprint);
        }
    }

    /// Drops the sessions of credentials that no status names any more.
    pub(crate) fn drop_unused_sessions(&self) {
        self.prover.keep_only(|fingerprint| {
            let sharing = self.index().sharing(fingerprint);
            sharing.iter().any(|key| self.is_ours(key))
        });
    }
}

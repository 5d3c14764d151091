//! The objects that are watched in one scope.

use std::sync::Arc;

use futures::FutureExt;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;
use kube::runtime::reflector::Store;
use tokio::sync::SetOnce;

use super::access::ScopeAccess;
use crate::api::SalesforceIntegration;
use crate::controller::memory::child_store::ChildStore;
use crate::decide::LiveCronJob;

/// The objects that are watched in one scope: a namespace or the cluster.
#[derive(Clone)]
pub(crate) struct Stores {
    /// The integrations.
    pub integrations: Store<SalesforceIntegration>,
    /// Set once they have been listed. The store's own wait wakes only the last of several that
    /// wait.
    pub listed: Arc<SetOnce<()>>,
    /// Their CronJobs.
    pub cron_jobs: Arc<ChildStore<LiveCronJob>>,
    /// Their Jobs.
    pub jobs: Arc<ChildStore<Job>>,
    /// The pods of their Jobs.
    pub pods: Arc<ChildStore<Pod>>,
    /// Set once the metadata of all Secrets has been listed. Nothing of Secrets is kept.
    pub secrets: Arc<SetOnce<()>>,
    /// Whether the operator may watch this scope.
    pub access: Arc<ScopeAccess>,
}

// === impl Stores ===

impl Stores {
    /// Whether every list has been read or is known to be forbidden.
    pub(crate) fn is_settled(&self) -> bool {
        self.synced_or_denied().now_or_never().is_some()
    }

    /// Waits until every list has been read or is known to be forbidden.
    pub(crate) async fn synced_or_denied(&self) {
        tokio::select! { () = self.synced() => {}, () = self.access.denied() => {} }
    }

    /// Whether this scope contains the namespace.
    pub(crate) fn holds(&self, namespace: &str) -> bool {
        self.access.namespace().is_none_or(|own| own == namespace)
    }

    /// Waits until every list has been read. A decision before that would create again what exists.
    pub(crate) async fn synced(&self) {
        self.listed.wait().await;
        self.cron_jobs.synced().await;
        self.jobs.synced().await;
        self.pods.synced().await;
        self.secrets.wait().await;
    }
}

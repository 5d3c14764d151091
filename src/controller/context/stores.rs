//! What is watched within one scope.

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

/// What is watched within one scope.
#[derive(Clone)]
pub struct Stores {
    /// The integrations.
    pub integrations: Store<SalesforceIntegration>,
    /// Their CronJobs.
    pub cron_jobs: Arc<ChildStore<LiveCronJob>>,
    /// Their Jobs.
    pub jobs: Arc<ChildStore<Job>>,
    /// The pods of their Jobs.
    pub pods: Arc<ChildStore<Pod>>,
    /// Set when the Secrets' metadata has been told; nothing of them is kept.
    pub secrets: Arc<SetOnce<()>>,
    /// Whether it can be watched at all.
    pub access: Arc<ScopeAccess>,
}

// === impl Stores ===

impl Stores {
    /// Whether the watches have told everything that can be known.
    pub fn is_settled(&self) -> bool {
        self.synced_or_denied().now_or_never().is_some()
    }

    /// Waits until the watches have told everything, or it is known that they cannot.
    pub async fn synced_or_denied(&self) {
        tokio::select! { () = self.synced() => {}, () = self.access.denied() => {} }
    }

    /// Whether objects of this namespace are among what is watched.
    pub fn holds(&self, namespace: &str) -> bool {
        self.access.namespace().is_none_or(|own| own == namespace)
    }

    /// Waits until the watches have told everything that exists. A decision before that would make again what is there already.
    pub async fn synced(&self) {
        // It fails when the watch has ended, and with it the work.
        let _ = self.integrations.wait_until_ready().await;
        self.cron_jobs.synced().await;
        self.jobs.synced().await;
        self.pods.synced().await;
        self.secrets.wait().await;
    }
}

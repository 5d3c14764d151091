//! E-mail within the controller: decides what is told when a status is about to be written, and
//! keeps what is to be sent. Neither waits for the mail server.

use std::sync::Arc;
use std::time::Instant;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::ObjectReference;
use kube::{Resource, ResourceExt};
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::Context;
use super::metrics::Metrics;
use crate::api::{SalesforceIntegration, Settings};
use crate::controller::memory::key::Key;
use crate::decide::notify::{self, Ledger, Rules, Tenant};
use crate::decide::{Notice, Plan};
use crate::error::Chain;
use crate::mail::{Address, Backlog, Letter, News, Next, Waiting};
use crate::reason::Reason;

/// Why a mail is given up at once.
pub(crate) const QUEUE_FULL: &str = "too many mails wait already";

/// E-mail within the controller.
pub(crate) struct Mail {
    rules: Option<Rules>,
    ledger: Mutex<Ledger<Key>>,
    backlog: Mutex<Backlog<Parcel>>,
    arrived: Notify,
    metrics: Arc<Metrics>,
}

/// A letter on its way.
#[derive(Clone, Debug)]
pub(crate) struct Parcel {
    /// The letter.
    pub letter: Arc<Letter>,
    /// Those of its recipients to whom it still goes.
    pub to: Vec<Address>,
    /// The integration that it is about; `None` for letters to the platform team.
    pub regarding: Option<Box<ObjectReference>>,
}

// === impl Mail ===

impl Mail {
    /// Mail under these rules; `None` when none is sent.
    pub(crate) fn new(rules: Option<Rules>, metrics: Arc<Metrics>) -> Self {
        Self {
            rules,
            ledger: Mutex::default(),
            backlog: Mutex::default(),
            arrived: Notify::new(),
            metrics,
        }
    }

    /// Adds to the plan what is told now.
    pub(crate) fn settle(
        &self,
        resource: &SalesforceIntegration,
        settings: Option<&Settings>,
        plan: &mut Plan,
        now: Timestamp,
    ) {
        let notifications = resource.spec.notifications.as_ref();
        let Some(rules) = &self.rules else {
            notify::switched_off(&mut plan.status, notifications);
            return;
        };
        let key = Key::of(resource);
        let uid = resource.uid().unwrap_or_default();
        let tenant = Tenant {
            uid: &uid,
            namespace: &key.namespace,
            name: &key.name,
            company: &resource.spec.company_id,
            notifications,
            time_zone: settings.map(|settings| &settings.time_zone),
            suspended: resource.spec.suspend,
        };
        let mut ledger = self.ledger.lock();
        let outcome = ledger.settle(&key, &tenant, &mut plan.status, rules, now);
        drop(ledger);
        if outcome.held {
            self.metrics.mail_held();
        }
        if let Some(wake) = outcome.wake {
            plan.wake_at(wake, now);
        }
        plan.letters = outcome.letters;
    }

    /// The status with the decision was written, or could not be. This is the integration as it is
    /// now.
    pub(crate) fn written(&self, key: &Key, resource: Option<&SalesforceIntegration>) {
        if self.rules.is_some() {
            let mut ledger = self.ledger.lock();
            match resource {
                Some(resource) => {
                    ledger.written(key, resource.spec.suspend, resource.status.as_ref());
                }
                None => ledger.forget(key),
            }
        }
    }

    /// A watch told of this integration.
    pub(crate) fn observe(&self, key: &Key, resource: &SalesforceIntegration) {
        if self.rules.is_some() {
            let mut ledger = self.ledger.lock();
            ledger.observe(key, resource.spec.suspend, resource.status.as_ref());
        }
    }

    /// The integration is gone.
    pub(crate) fn forget(&self, key: &Key) {
        self.ledger.lock().forget(key);
    }

    /// Queues letters about an integration. Returns those that the full queue does not take.
    pub(crate) fn send(&self, resource: &SalesforceIntegration, letters: &[Letter]) -> Vec<Parcel> {
        let parcels = letters.iter().map(|letter| Parcel {
            to: letter.to.clone(),
            regarding: match letter.news {
                News::Failing { .. } | News::Recovered { .. } => {
                    Some(Box::new(resource.object_ref(&())))
                }
                News::Storm { .. } | News::StormOver { .. } => None,
            },
            letter: Arc::new(letter.clone()),
        });
        parcels
            .filter_map(|parcel| self.queue(parcel).err())
            .collect()
    }

    /// Queues a parcel, and returns it when the queue is full.
    pub(crate) fn queue(&self, parcel: Parcel) -> Result<(), Parcel> {
        self.change(|backlog| backlog.push(parcel, Instant::now()))?;
        self.arrived.notify_one();
        Ok(())
    }

    /// What the queue has to do next.
    pub(crate) fn next(&self) -> Next<Parcel> {
        self.change(|backlog| backlog.next(Instant::now()))
    }

    /// Waits until something was queued since the last wait.
    pub(crate) async fn arrived(&self) {
        self.arrived.notified().await;
    }

    /// The server took a mail, or refused it for good.
    pub(crate) fn sent(&self) {
        self.change(Backlog::sent);
    }

    /// A mail is tried again later. `all` when the server takes none.
    pub(crate) fn put_back(&self, waiting: Waiting<Parcel>, all: bool) {
        self.change(|backlog| match all {
            true => backlog.server_failed(waiting, Instant::now()),
            false => backlog.put_off(waiting, Instant::now()),
        });
    }

    fn change<T>(&self, change: impl FnOnce(&mut Backlog<Parcel>) -> T) -> T {
        let mut backlog = self.backlog.lock();
        let outcome = change(&mut backlog);
        self.metrics.mails_queued(backlog.len());
        outcome
    }
}

impl Context {
    /// Counts a mail that nobody will get, and says so where the tenant looks.
    pub(crate) async fn give_up(&self, parcel: &Parcel, why: &str) {
        self.metrics.mail_ended("dropped");
        tracing::warn!(id = parcel.letter.id, why, "a mail was given up");
        let Some(regarding) = &parcel.regarding else {
            return;
        };
        let notice = Notice {
            warning: true,
            reason: Reason::MailNotDelivered.into(),
            note: format!(
                "A mail to {} of the addresses in spec.notifications.email was given up: {why}. {}",
                parcel.to.len(),
                Reason::MailNotDelivered.remedy()
            ),
            action: "Notify",
        };
        if let Err(error) = self
            .recorder
            .publish(&notice, regarding.as_ref().clone())
            .await
        {
            tracing::warn!(error = %Chain(&error), "the Event about a mail could not be written");
        }
    }
}

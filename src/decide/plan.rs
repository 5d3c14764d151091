//! What `decide` returns: everything that is to be done about one integration, as values that `act` carries out.

use std::time::Duration;

use k8s_openapi::api::batch::v1::{CronJob, Job};

use super::login::next_attempt::Cause;
use crate::api::SalesforceIntegrationStatus;
use crate::reason::{Code, Reason};

/// What is to be done about one integration.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Prove the connection first, then decide again: nothing else of the plan is carried out.
    pub prove: Option<Cause>,
    /// The CronJob as it is to be.
    pub cron_job: Option<CronJob>,
    /// CronJobs that are to go, or to be suspended until their runs have ended.
    pub retire: Vec<Retire>,
    /// A run that the tenant asked for.
    pub run: Option<Job>,
    /// Whether to mint the tokens for the directory anew.
    pub mint_tokens: bool,
    /// The status as it is to be; written only when it differs.
    pub status: SalesforceIntegrationStatus,
    /// What to tell in Events.
    pub notices: Vec<Notice>,
    /// When to look again if nothing happens before.
    pub requeue_after: Duration,
}

// === impl Plan ===

impl Plan {
    /// Whether it brings the first that an integration has in the cluster, and nothing else: no run waits for that.
    pub fn is_first<L>(&self, live: &[L]) -> bool {
        let brings = self.mint_tokens || self.cron_job.is_some();
        brings && live.is_empty() && self.retire.is_empty() && self.run.is_none()
    }

    /// The same where the Job of the run that was asked for could not be made: the wish stays, and everything else is as it was.
    pub fn without_run(mut self, before: Option<&SalesforceIntegrationStatus>) -> Plan {
        self.run = None;
        self.status.last_handled_run_at =
            before.and_then(|before| before.last_handled_run_at.clone());
        self.notices
            .retain(|notice| notice.reason != Reason::RunStarted);
        self
    }
}

/// A CronJob that no longer fits the spec.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Retire {
    /// Its runs have ended: delete it.
    Delete(String),
    /// A run goes on, which is not cut: suspend it for now.
    Suspend(String),
}

/// An Event to publish.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// Whether a person should look.
    pub warning: bool,
    /// What it is about.
    pub reason: Code,
    /// A sentence.
    pub note: String,
    /// What the controller was doing, CamelCase.
    pub action: &'static str,
}

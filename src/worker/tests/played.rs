//! Salesforce, played: one org, and what it counted.

use salesforce_simulator::{Org, Simulator, World};
use std::time::Duration;

/// How long a test waits for what should come within a second, on a busy machine.
const SOON: Duration = Duration::from_secs(60);

pub(super) struct Played(Simulator);

impl Played {
    pub(super) async fn start(org: Org) -> Self {
        Self(Simulator::start(World::new().org(org)).await.unwrap())
    }

    pub(super) fn url(&self) -> String {
        self.0.url().to_string()
    }

    pub(super) fn ca_pem(&self) -> String {
        self.0.ca_pem().to_owned()
    }

    /// Log-ins, good and bad.
    pub(super) fn logins(&self) -> usize {
        self.0.counters().logins.len()
    }

    /// Calls that counted against the org's allocation.
    pub(super) fn api_calls(&self) -> u64 {
        self.0.counters().api_calls()
    }

    /// Waits until the org has counted so many calls. It looks often: the tests stop runs within a request.
    pub(super) async fn after_calls(&self, calls: u64) {
        let made = async {
            while self.api_calls() < calls {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        let waited = tokio::time::timeout(SOON, made).await;
        waited.unwrap_or_else(|_| panic!("the org counts no {calls} calls"));
    }

    /// Ends all sessions, as an administrator may.
    pub(super) fn revoke_sessions(&self) {
        self.0.revoke_all_sessions();
    }
}

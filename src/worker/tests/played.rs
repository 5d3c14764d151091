//! Salesforce, played: one org, and what it counted.

use salesforce_simulator::{Org, Simulator, World};

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

    /// Ends all sessions, as an administrator may.
    pub(super) fn revoke_sessions(&self) {
        self.0.revoke_all_sessions();
    }
}

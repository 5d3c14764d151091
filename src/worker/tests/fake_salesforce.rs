//! A simulated Salesforce with one org, and its counters.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use salesforce_simulator::{Fault, Org, Record, Simulator, World};

/// Maximum wait of a test, on a busy machine, for something that should come within a second.
const SOON: Duration = Duration::from_secs(60);

/// The name of the org.
const ORG: &str = "acme";

pub(crate) struct Played(Simulator);

impl Played {
    pub(crate) async fn start(org: Org) -> Self {
        Self(Simulator::start(World::new().org(org)).await.unwrap())
    }

    pub(crate) fn url(&self) -> String {
        self.0.url().to_string()
    }

    pub(crate) fn ca_pem(&self) -> String {
        self.0.ca_pem().to_owned()
    }

    /// Number of log-ins, successful or not.
    pub(crate) fn logins(&self) -> usize {
        self.0.counters().logins.len()
    }

    /// Number of calls that counted against the org's allocation.
    pub(crate) fn api_calls(&self) -> u64 {
        self.0.counters().api_calls()
    }

    /// Waits until the org has counted so many calls. It polls often, because the tests stop runs
    /// within a request.
    pub(crate) async fn after_calls(&self, calls: u64) {
        let made = async {
            while self.api_calls() < calls {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        let waited = tokio::time::timeout(SOON, made).await;
        waited.unwrap_or_else(|_| panic!("the org counts no {calls} calls"));
    }

    /// Lets requests fail.
    pub(crate) fn fault(&self, fault: Fault) {
        self.0.fault(fault);
    }

    /// The org's time.
    pub(crate) fn now(&self) -> Timestamp {
        self.0.now()
    }

    /// Lets time pass in the org.
    pub(crate) fn advance(&self, by: SignedDuration) {
        self.0.advance(by);
    }

    /// Changes the org, at its own time.
    pub(crate) fn edit<R>(&self, change: impl FnOnce(&mut Org, Timestamp) -> R) -> R {
        let now = self.now();
        let edited = self.0.edit_org(ORG, |org| change(org, now));
        edited.unwrap()
    }

    /// Changes what is played.
    pub(crate) fn world(&self, change: impl FnOnce(&mut World)) {
        self.0.edit(change).unwrap();
    }

    /// Creates a contact.
    pub(crate) fn add_contact(&self, contact: Record) {
        let added = self.0.edit_org(ORG, |org| org.insert("Contact", contact));
        added.unwrap().unwrap();
    }

    /// Deletes every contact.
    pub(crate) fn remove_contacts(&self) {
        let removed = self.0.edit_org(ORG, |org| {
            for contact in org.all("Contact") {
                assert!(org.delete(contact["Id"].as_str().unwrap()));
            }
        });
        removed.unwrap();
    }

    /// Hides a field from the integration user.
    pub(crate) fn hide(&self, field: &str) {
        self.0
            .edit_org(ORG, |org| {
                *org = org
                    .clone()
                    .grants("Integration", |grants| grants.hide(field));
            })
            .unwrap();
    }

    /// Ends all sessions, as an administrator may.
    pub(crate) fn revoke_sessions(&self) {
        self.0.revoke_all_sessions();
    }
}

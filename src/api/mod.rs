//! The resource that a tenant applies and reads: `SalesforceIntegration`.
//!
//! `spec` is what the tenant asks for, `status` what the controller found, `conditions` the words that both
//! share, `settings` the spec once it has been read and can no longer be wrong, `crd` what `switchboard crds` prints.

pub mod conditions;
pub mod crd;
#[cfg(test)]
pub(crate) mod fixtures;
pub mod settings;
mod spec;
pub mod status;

use jiff::Timestamp;

pub use self::settings::{InvalidField, Settings};
pub use self::spec::{
    ApiBudget, AppAuth, Auth, Chosen, Contacts, Environment, Retrieval, SalesforceIntegration,
    SalesforceIntegrationSpec, SalesforceSpec, SecretRef, UserAuth,
};
pub use self::status::SalesforceIntegrationStatus;

/// Set to a new value (a time, say) to ask for one proof of the connection now.
pub const TEST_REQUESTED_AT: &str = "switchboard.dev/test-requested-at";
/// Set to a new value (a time, say) to ask for one run of the worker now.
pub const RUN_REQUESTED_AT: &str = "switchboard.dev/run-requested-at";
/// Label on everything that belongs to an integration: its name.
pub const INTEGRATION_LABEL: &str = "switchboard.dev/integration";
/// Label on CronJobs, Jobs and pods: which run they are, `sync` or `lookup`.
pub const RUN_LABEL: &str = "switchboard.dev/run";
/// The well-known label that says who manages an object, and its value here.
pub const MANAGED_BY_LABEL: &str = "app.kubernetes.io/managed-by";
/// Value of [`MANAGED_BY_LABEL`], and the name under which fields are owned in server-side apply.
pub const MANAGER: &str = "switchboard";
/// On the pods of runs: fingerprint of the credential that they were given.
pub const CREDENTIALS_VERSION: &str = "switchboard.dev/credentials-version";
/// On the Jobs of runs and their pods: API requests that the run may make; absent where nobody knows the org's limit yet.
pub const API_CALLS: &str = "switchboard.dev/api-calls";
/// On the Secret with the directory's tokens: what they were minted from.
pub const TOKENS_VERSION: &str = "switchboard.dev/tokens-version";

/// Now, to the second: as Kubernetes writes times.
pub(crate) fn now() -> Timestamp {
    let now = Timestamp::now();
    Timestamp::from_second(now.as_second()).unwrap_or(now)
}

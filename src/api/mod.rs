//! The resource that a tenant applies and reads: `SalesforceIntegration`.
//!
//! `spec` is the request of the tenant, and `status` holds the findings of the controller.
//! `conditions` holds the terms that both share, `settings` the validated spec, and `crd` the
//! output of `switchboard crds`.

pub mod conditions;
pub mod crd;
#[cfg(test)]
pub(crate) mod fixtures;
mod run_spec;
pub mod settings;
mod spec;
pub mod status;
mod suggest;

use jiff::Timestamp;

pub use self::run_spec::{
    RunAmounts, RunResources, RunSpec, RunToleration, RunWhere, TaintEffect, TolerationOperator,
};
pub(crate) use self::settings::canonical_user;
pub use self::settings::{InvalidField, Settings};
pub use self::spec::{
    AddressBook, ApiBudget, AppAuth, Auth, CallCenter, Chosen, Contacts, DeletionPolicy,
    Environment, Language, Notifications, Retrieval, SalesforceIntegration,
    SalesforceIntegrationSpec, SalesforceSpec, SecretRef, UserAuth,
};
pub use self::status::SalesforceIntegrationStatus;

/// Annotation that requests one proof of the connection now. The request is a new value, such as a
/// time.
pub const TEST_REQUESTED_AT: &str = "switchboard.dev/test-requested-at";
/// Annotation that requests one run of the worker now. The request is a new value, such as a time.
pub const RUN_REQUESTED_AT: &str = "switchboard.dev/run-requested-at";
/// Annotation that revokes the company's tokens for the directory that were issued before. The
/// value is a time (RFC 3339).
pub const TOKENS_NOT_BEFORE: &str = "switchboard.dev/tokens-not-before";
/// Annotation on an object of somebody else that gives it to an integration. The value is the name
/// of the integration.
pub const ADOPT: &str = "switchboard.dev/adopt";
/// Annotation that takes over the data that another integration has left under the company ID. The
/// value is the UID of that integration.
pub const ADOPT_DATA: &str = "switchboard.dev/adopt-data";
/// Finalizer of integrations whose data goes with them.
pub const ERASE_DATA: &str = "switchboard.dev/erase-data";
/// Label on every object that belongs to an integration. The value is the name of the integration.
pub const INTEGRATION_LABEL: &str = "switchboard.dev/integration";
/// Label on CronJobs, Jobs and pods: the kind of run, `sync` or `lookup`.
pub const RUN_LABEL: &str = "switchboard.dev/run";
/// The well-known label for the manager of an object. The value here is [`MANAGER`].
pub const MANAGED_BY_LABEL: &str = "app.kubernetes.io/managed-by";
/// Value of [`MANAGED_BY_LABEL`], and the field manager in server-side apply.
pub const MANAGER: &str = "switchboard";
/// Annotation on the pods of runs: fingerprint of the credential that they were given.
pub const CREDENTIALS_VERSION: &str = "switchboard.dev/credentials-version";
/// Annotation on the Jobs of runs and on their pods: API requests that the run may make. Absent
/// while the org's limit is not known.
pub const API_CALLS: &str = "switchboard.dev/api-calls";
/// Annotation on the Jobs of runs: digest of what is set for their pods.
pub const POD_SETTINGS: &str = "switchboard.dev/pod-settings";
/// Annotation on the Secret with the directory's tokens: the version of the sources that they were
/// minted from.
pub const TOKENS_VERSION: &str = "switchboard.dev/tokens-version";

/// The name of the Secret with an integration's tokens for the directory.
pub(crate) fn token_secret_name(integration: &str) -> String {
    format!("{integration}-directory")
}

/// The current time in whole seconds, as Kubernetes writes times.
pub(crate) fn now() -> Timestamp {
    let now = clock();
    Timestamp::from_second(now.as_second()).unwrap_or(now)
}

#[cfg(not(test))]
fn clock() -> Timestamp {
    Timestamp::now()
}

#[cfg(test)]
fn clock() -> Timestamp {
    fixtures::clock::now().unwrap_or_else(Timestamp::now)
}

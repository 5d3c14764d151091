//! A run: takes the calls of one tenant that are still to resolve, looks their numbers up in
//! Salesforce, brings the names back to the directory, and says what it did.
//!
//! A worker holds no Kubernetes credential. It is told what to do by one document in its environment
//! ([`WorkerSettings`]) and files, and leaves one document behind ([`RunReport`]).

mod report;
mod settings;
mod url_text;

pub use report::{
    MAX_REPORT_BYTES, Matched, Note, Outcome, REPORT_VERSION, ReportError, RunKind, RunReport,
};
pub use settings::{
    AuthSettings, DirectorySettings, SETTINGS_ENV, SETTINGS_VERSION, SalesforceSettings,
    SettingsError, UserSettings, WorkerSettings,
};

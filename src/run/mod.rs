//! The contract of a run: its settings go in as one document, its report comes out as another. The controller writes the first and judges
//! the second; the worker reads the first and leaves the second.

mod report;
pub(crate) mod settings;
mod url_text;

pub use self::report::{
    MAX_REPORT_BYTES, Matched, Note, Outcome, REPORT_VERSION, ReportError, RunKind, RunReport,
};
pub use self::settings::{
    AuthSettings, DirectorySettings, SETTINGS_ENV, SETTINGS_VERSION, SalesforceSettings,
    SettingsError, UserSettings, WorkerSettings,
};

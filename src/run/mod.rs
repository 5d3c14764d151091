//! The contract of a run: its settings are the input document, its report is the output document.
//! The controller writes the settings and judges the report. The worker reads the settings and
//! writes the report.

mod report;
pub(crate) mod settings;

pub(crate) use self::report::shorten;
pub use self::report::{
    BookReport, ChangesRead, Filling, Followed, MAX_REPORT_BYTES, Matched, Note, Outcome,
    REPORT_VERSION, ReportError, RunKind, RunReport,
};
pub use self::settings::{
    AuthSettings, BookSettings, DirectorySettings, FollowSettings, ReRetrieve, SETTINGS_ENV,
    SETTINGS_VERSION, SalesforceSettings, SettingsError, UserSettings, WorkerSettings,
};

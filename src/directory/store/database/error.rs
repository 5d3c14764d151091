//! Errors of the store.

use std::path::PathBuf;

use sqlx::migrate::MigrateError;

use crate::directory::store::database;

/// Why an operation of the store failed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The address does not name a supported database.
    #[error(
        "the database address must be sqlite:PATH or postgres://USER@HOST/DATABASE, for example sqlite:/data/directory.db"
    )]
    Address,
    /// The database file cannot be opened.
    #[error(
        "the database {0} cannot be opened; check that its folder is there, can be written and has room"
    )]
    Open(PathBuf, #[source] sqlx::Error),
    /// The database server cannot be used. Named without user and password.
    #[error(
        "the database {0} cannot be used; check that it runs there, and its address, its user and its password"
    )]
    Connect(String, #[source] sqlx::Error),
    /// The address leads to a standby. Named without user and password.
    #[error(
        "the database server of {0} is a standby, which takes no writes; name an address that always leads to the primary, or wait until it is promoted"
    )]
    Standby(String),
    /// The schema cannot be brought up to date.
    #[error(
        "the schema of the database {0} cannot be brought up to date; {advice}",
        advice = migrate_remedy(.1)
    )]
    Migrate(String, #[source] MigrateError),
    /// The database cannot serve now: busy, disk full, not reachable. Trying again later makes
    /// sense.
    #[error("could not {0}: the database is not available")]
    Unavailable(&'static str, #[source] sqlx::Error),
    /// Others wrote the same rows between reading and writing, each time that it was tried.
    #[error("could not {0}: others wrote the same all the while")]
    Overtaken(&'static str),
    /// A statement failed.
    #[error("could not {0}: the database refused")]
    Failed(&'static str, #[source] sqlx::Error),
    /// A row holds a value that this version cannot have written.
    #[error("the database holds {0} that this version does not understand")]
    Corrupt(&'static str),
}

/// The advice for a migration that fails.
fn migrate_remedy(error: &MigrateError) -> &'static str {
    match error {
        MigrateError::VersionMissing(_) | MigrateError::VersionTooNew(..) => {
            "a newer version of the program was here: start that one, or restore the backup from before"
        }
        MigrateError::VersionMismatch(_) => {
            "another program than this one made it: restore the backup, or name another database"
        }
        _ => "check that the disk has room, and that the user may create and change tables",
    }
}

// === impl StoreError ===

impl StoreError {
    /// Classifies a database failure by whether a later retry makes sense.
    pub(crate) fn sort(action: &'static str, error: sqlx::Error) -> Self {
        if database::passes(&error) {
            Self::Unavailable(action, error)
        } else {
            Self::Failed(action, error)
        }
    }
}

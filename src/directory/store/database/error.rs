//! Errors of the store.

use std::path::PathBuf;

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
    /// The schema cannot be brought up to date.
    #[error(
        "the schema of the database {0} cannot be brought up to date; the disk may be full, or a newer version of the program may have been here"
    )]
    Migrate(String, #[source] sqlx::migrate::MigrateError),
    /// The database cannot serve now: busy, disk full, not reachable. Trying again later makes
    /// sense.
    #[error("could not {0}: the database is not available")]
    Unavailable(&'static str, #[source] sqlx::Error),
    /// A statement failed.
    #[error("could not {0}: the database refused")]
    Failed(&'static str, #[source] sqlx::Error),
    /// A row holds a value that this version cannot have written.
    #[error("the database holds {0} that this version does not understand")]
    Corrupt(&'static str),
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

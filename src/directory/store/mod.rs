//! Where calls and contacts are kept: one door, whatever database stands behind it.
//!
//! Every method takes the company first, and every row is keyed by it, so that no query can forget whose data it
//! reads. Time is an argument. A method that returns `Ok` has committed. The methods stand with their subject: `calls`,
//! `contacts`, `work`.

mod calls;
mod contacts;
mod database;
mod merge;
mod purge;
mod row;
mod work;

#[cfg(test)]
mod tests;

use std::path::PathBuf;

use jiff::Timestamp;

use self::database::Database;
use super::model::Direction;
use crate::phone::E164;

/// The store. Cheap to clone; all clones share the connections.
#[derive(Debug, Clone)]
pub(super) struct Store {
    database: Database,
}

/// Why the store did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The address names no database that is supported.
    #[error(
        "the database address must be sqlite:PATH or postgres://USER@HOST/DATABASE, for example sqlite:/data/directory.db"
    )]
    Address,
    /// The database file cannot be opened.
    #[error("the database {0} cannot be opened; check that its folder exists and can be written")]
    Open(PathBuf, #[source] sqlx::Error),
    /// The database server cannot be used. Named without user and password.
    #[error("the database {0} cannot be used; check its address, its user and its password")]
    Connect(String, #[source] sqlx::Error),
    /// The schema cannot be brought up to date.
    #[error("the database schema cannot be brought up to date")]
    Migrate(#[source] sqlx::migrate::MigrateError),
    /// The database cannot serve now: busy, disk full, not reachable. Trying again later makes sense.
    #[error("could not {0}: the database is not available")]
    Unavailable(&'static str, #[source] sqlx::Error),
    /// A statement failed.
    #[error("could not {0}: the database refused")]
    Failed(&'static str, #[source] sqlx::Error),
    /// A row holds what this version cannot have written.
    #[error("the database holds {0} that this version does not understand")]
    Corrupt(&'static str),
}

/// Which calls a page holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct CallFilter {
    /// Only with this number.
    pub(super) number: Option<NumberFilter>,
    /// Only started at or after.
    pub(super) from: Option<Timestamp>,
    /// Only started before.
    pub(super) to: Option<Timestamp>,
    /// Only with, or without, a contact.
    pub(super) matched: Option<bool>,
    /// Only of this direction.
    pub(super) direction: Option<Direction>,
    /// Only older than this one: where the page before ended.
    pub(super) after: Option<Position>,
    /// How many at most.
    pub(super) limit: u32,
}

/// A number to filter by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum NumberFilter {
    /// A phone number, whatever its spelling in the call.
    E164(E164),
    /// Something that is not one, as the platform spelled it.
    Spelled(String),
}

/// A call's place in the history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Position {
    /// When the call started.
    pub(super) started_at: Timestamp,
    /// Its ID, which orders calls of the same microsecond.
    pub(super) id: String,
}

// === impl Store ===

impl Store {
    /// Opens the database, creates SQLite's file if it is not there, and brings the schema up to date.
    pub(super) async fn open(address: &str) -> Result<Self, StoreError> {
        let database = Database::open(address).await?;
        Ok(Self { database })
    }

    /// Whether it answers.
    pub(super) async fn ready(&self) -> Result<(), StoreError> {
        let row: Result<Option<(String,)>, _> = self
            .database
            .optional("SELECT company FROM calls LIMIT 1", Vec::new())
            .await;
        row.map(drop)
            .map_err(|error| StoreError::sort("ask the database whether it is there", error))
    }

    /// Whether every connection to a server has come back.
    #[cfg(test)]
    pub(super) fn is_at_rest(&self) -> bool {
        self.database.is_at_rest()
    }

    /// Waits for what is being written and closes every connection.
    pub(super) async fn close(&self) {
        self.database.close().await;
    }
}

// === impl StoreError ===

impl StoreError {
    /// Sorts a failure of the database: does trying again later make sense?
    fn sort(action: &'static str, error: sqlx::Error) -> Self {
        if database::passes(&error) {
            Self::Unavailable(action, error)
        } else {
            Self::Failed(action, error)
        }
    }
}

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

use jiff::Timestamp;

use self::database::Database;
pub use self::database::error::StoreError;
use super::model::Direction;
use crate::phone::E164;

/// The store. Cheap to clone; all clones share the connections.
#[derive(Debug, Clone)]
pub(crate) struct Store {
    database: Database,
}

/// Which calls a page holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct CallFilter {
    /// Only with this number.
    pub(crate) number: Option<NumberFilter>,
    /// Only started at or after.
    pub(crate) from: Option<Timestamp>,
    /// Only started before.
    pub(crate) to: Option<Timestamp>,
    /// Only with, or without, a contact.
    pub(crate) matched: Option<bool>,
    /// Only of this direction.
    pub(crate) direction: Option<Direction>,
    /// Only older than this one: where the page before ended.
    pub(crate) after: Option<Position>,
    /// How many at most.
    pub(crate) limit: u32,
}

/// A number to filter by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum NumberFilter {
    /// A phone number, whatever its spelling in the call.
    E164(E164),
    /// Something that is not one, as the platform spelled it.
    Spelled(String),
}

/// A call's place in the history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Position {
    /// When the call started.
    pub(crate) started_at: Timestamp,
    /// Its ID, which orders calls of the same microsecond.
    pub(crate) id: String,
}

// === impl Store ===

impl Store {
    /// Opens the database, creates SQLite's file if it is not there, and brings the schema up to date.
    pub(crate) async fn open(address: &str) -> Result<Self, StoreError> {
        let database = Database::open(address).await?;
        Ok(Self { database })
    }

    /// Whether it answers.
    pub(crate) async fn ready(&self) -> Result<(), StoreError> {
        let row: Result<Option<(String,)>, _> = self
            .database
            .optional("SELECT company FROM calls LIMIT 1", Vec::new())
            .await;
        row.map(drop)
            .map_err(|error| StoreError::sort("ask the database whether it is there", error))
    }

    /// Whether every connection to a server has come back.
    #[cfg(test)]
    pub(crate) fn is_at_rest(&self) -> bool {
        self.database.is_at_rest()
    }

    /// Waits for what is being written and closes every connection.
    pub(crate) async fn close(&self) {
        self.database.close().await;
    }
}

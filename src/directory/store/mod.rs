//! The store of calls and contacts: one entry point for every database.
//!
//! Every method takes the company first, and every row is keyed by it, so that no query can omit
//! the company. Time is an argument. A method that returns `Ok` has committed. The methods are in
//! the modules of their subjects: `calls`, `contacts`, `work`, `again`, `follow`, `companies`,
//! `numbers`, `audit`, `book`, `rings`. What they change, they tell (`changes`).

mod again;
pub(crate) mod audit;
mod book;
mod calls;
pub(crate) mod changes;
mod companies;
mod contacts;
mod database;
mod follow;
mod numbers;
mod purge;
pub(crate) mod rings;
pub(crate) mod rules;
mod work;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use jiff::Timestamp;
use parking_lot::RwLock;
use tokio_util::sync::CancellationToken;

pub(crate) use self::calls::SearchedPage;
pub(crate) use self::changes::{Change, Changes, Kind, News};
pub(crate) use self::database::DatabaseSize;
pub use self::database::error::StoreError;
use self::database::{Database, rows};
pub(crate) use self::purge::days_before;
use self::rings::List;
pub(crate) use self::rings::Ringing;
pub(crate) use self::rules::history::{CallFilter, NumberFilter, Position};
pub(crate) use self::rules::ownership::shorter;
pub(crate) use self::rules::rings::{Ring, RingLimits};
use super::model::number_hash::NumberKeys;
use crate::company_id::CompanyId;

/// The store. Cheap to clone; all clones share the database connections.
#[derive(Debug, Clone)]
pub(crate) struct Store {
    database: Database,
    number_keys: Arc<RwLock<Arc<NumberKeys>>>,
    /// Whether something was erased that may still be in the files.
    deleted: Arc<AtomicBool>,
    changes: Changes,
    last_list: Arc<tokio::sync::Mutex<Option<List>>>,
}

// === impl Store ===

impl Store {
    /// Opens the database, creates SQLite's file if it is missing, and brings the schema up to
    /// date.
    pub(crate) async fn open(address: &str) -> Result<Self, StoreError> {
        let database = Database::open(address).await?;
        Ok(Self {
            database,
            number_keys: Arc::default(),
            deleted: Arc::default(),
            changes: Changes::default(),
            last_list: Arc::default(),
        })
    }

    /// Where changes are told.
    pub(crate) fn changes(&self) -> &Changes {
        &self.changes
    }

    /// Tells other replicas what changes, and hears them, until the shutdown.
    pub(crate) async fn keep_in_touch(self, shutdown: CancellationToken) {
        let Self {
            changes, database, ..
        } = self;
        changes::keep_in_touch(changes, database, shutdown).await;
    }

    /// The change by which the call history of the company reads otherwise.
    fn history_changed(company: &CompanyId) -> Change {
        Change {
            company: company.clone(),
            kind: Kind::History,
        }
    }

    /// The keys by which numbers are hashed from now on.
    pub(crate) fn use_number_keys(&self, keys: NumberKeys) {
        *self.number_keys.write() = Arc::new(keys);
    }

    fn number_keys(&self) -> Arc<NumberKeys> {
        Arc::clone(&self.number_keys.read())
    }

    fn has_deleted(&self) {
        self.deleted.store(true, Ordering::Relaxed);
    }

    /// Takes what was erased out of the files, as far as that holds up nobody. Does nothing unless
    /// something was erased.
    pub(crate) async fn clean_up(&self) -> Result<(), StoreError> {
        if !self.deleted.swap(false, Ordering::Relaxed) {
            return Ok(());
        }
        let cleaned = self.database.clean_up().await;
        cleaned.map_err(|error| {
            self.has_deleted();
            StoreError::sort("take what was erased out of the files", error)
        })
    }

    /// Writes all files anew, so that nothing that was deleted is in them.
    pub(crate) async fn compact(&self) -> Result<(), StoreError> {
        let compacted = self.database.compact().await;
        compacted.map_err(|error| StoreError::sort("write the database anew", error))
    }

    /// The time by which claims and what runs wrote are compared: the database server's, since
    /// replicas may have different clocks. SQLite has one directory, whose own time is `now`.
    pub(crate) async fn shared_time(&self, now: Timestamp) -> Result<Timestamp, StoreError> {
        let time = self.database.shared_time().await;
        let time =
            time.map_err(|error| StoreError::sort("ask the database for its time", error))?;
        time.map_or(Ok(now), rows::time)
    }

    /// Checks that the database answers.
    pub(crate) async fn ready(&self) -> Result<(), StoreError> {
        let row: Result<Option<(String,)>, _> = self
            .database
            .optional("SELECT company FROM calls LIMIT 1", Vec::new())
            .await;
        row.map(drop)
            .map_err(|error| StoreError::sort("ask the database whether it is there", error))
    }

    /// How large the database is and may become.
    pub(crate) async fn size(&self) -> Result<DatabaseSize, StoreError> {
        let size = self.database.size().await;
        size.map_err(|error| StoreError::sort("measure the database", error))
    }

    /// Whether every connection to a database server is back in the pool.
    #[cfg(test)]
    pub(crate) fn is_at_rest(&self) -> bool {
        self.database.is_at_rest()
    }

    /// Waits for running writes and closes every database connection.
    pub(crate) async fn close(&self) {
        self.database.close().await;
    }
}

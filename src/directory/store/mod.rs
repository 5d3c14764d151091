//! Where calls and contacts are kept: one door, whatever database stands behind it.
//!
//! Every method takes the company first, and every row is keyed by it, so that no query can forget whose data it
//! reads. Time is an argument. A method that returns `Ok` has committed.

mod merge;
mod row;
mod sqlite;

#[cfg(test)]
mod tests;

use std::path::PathBuf;

use jiff::Timestamp;

use super::{
    CompanyId,
    model::{
        Call, ClaimRequest, ClaimedCalls, Contact, Direction, DoneCall, DoneReceipt, FoundContact,
        Receipt, WriteContactsReceipt, WritePolicy,
    },
    webhook::Leg,
};
use crate::phone::{E164, Region};

/// The store. Cheap to clone; all clones share the connections.
#[derive(Debug, Clone)]
pub(super) struct Store(Backend);

/// The databases there are. PostgreSQL will stand beside SQLite, behind the same methods.
#[derive(Debug, Clone)]
enum Backend {
    Sqlite(sqlite::Sqlite),
}

/// Why the store did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The address names no database that is supported.
    #[error("the database address must be sqlite:PATH, for example sqlite:/data/directory.db")]
    Address,
    /// The database file cannot be opened.
    #[error("the database {0} cannot be opened; check that its folder exists and can be written")]
    Open(PathBuf, #[source] sqlx::Error),
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
    /// Opens the database, creates it if it is not there, and brings its schema up to date.
    pub(super) async fn open(address: &str) -> Result<Self, StoreError> {
        let path = address.strip_prefix("sqlite:").ok_or(StoreError::Address)?;
        let path = path.strip_prefix("//").unwrap_or(path);
        if path.is_empty() || path.starts_with(":memory:") {
            return Err(StoreError::Address);
        }
        sqlite::Sqlite::open(path.into())
            .await
            .map(|sqlite| Self(Backend::Sqlite(sqlite)))
    }

    /// Whether it answers.
    pub(super) async fn ready(&self) -> Result<(), StoreError> {
        match &self.0 {
            Backend::Sqlite(store) => store.ready().await,
        }
    }

    /// Waits for what is being written and closes every connection.
    pub(super) async fn close(&self) {
        match &self.0 {
            Backend::Sqlite(store) => store.close().await,
        }
    }

    /// Keeps what a webhook told, all of it or nothing. A leg seen before is completed, never emptied.
    pub(super) async fn record_calls(
        &self,
        company: &CompanyId,
        region: Region,
        legs: &[Leg],
        now: Timestamp,
    ) -> Result<Receipt, StoreError> {
        match &self.0 {
            Backend::Sqlite(store) => store.record_calls(company, region, legs, now).await,
        }
    }

    /// A page of the history, newest first; the second value is where the next page starts.
    pub(super) async fn calls(
        &self,
        company: &CompanyId,
        filter: &CallFilter,
    ) -> Result<(Vec<Call>, Option<Position>), StoreError> {
        match &self.0 {
            Backend::Sqlite(store) => store.calls(company, filter).await,
        }
    }

    /// Who stands behind a number: one read of one index.
    pub(super) async fn contact(
        &self,
        company: &CompanyId,
        number: &E164,
    ) -> Result<Option<Contact>, StoreError> {
        match &self.0 {
            Backend::Sqlite(store) => store.contact(company, number).await,
        }
    }

    /// Puts a contact in the place of what is there.
    pub(super) async fn put_contact(
        &self,
        company: &CompanyId,
        contact: &Contact,
    ) -> Result<(), StoreError> {
        match &self.0 {
            Backend::Sqlite(store) => store.put_contact(company, contact).await,
        }
    }

    /// Writes what a worker found.
    pub(super) async fn write_contacts(
        &self,
        company: &CompanyId,
        policy: WritePolicy,
        contacts: &[FoundContact],
        now: Timestamp,
    ) -> Result<WriteContactsReceipt, StoreError> {
        match &self.0 {
            Backend::Sqlite(store) => store.write_contacts(company, policy, contacts, now).await,
        }
    }

    /// Hands out calls to resolve, see [`ClaimRequest`].
    pub(super) async fn claim(
        &self,
        company: &CompanyId,
        request: &ClaimRequest,
        now: Timestamp,
    ) -> Result<ClaimedCalls, StoreError> {
        match &self.0 {
            Backend::Sqlite(store) => store.claim(company, request, now).await,
        }
    }

    /// Marks calls done.
    pub(super) async fn done(
        &self,
        company: &CompanyId,
        calls: &[DoneCall],
        now: Timestamp,
    ) -> Result<DoneReceipt, StoreError> {
        match &self.0 {
            Backend::Sqlite(store) => store.done(company, calls, now).await,
        }
    }

    /// Takes back what a holder has not finished; says how many calls.
    pub(super) async fn release(
        &self,
        company: &CompanyId,
        holder: &str,
    ) -> Result<u32, StoreError> {
        match &self.0 {
            Backend::Sqlite(store) => store.release(company, holder).await,
        }
    }
}

// === impl StoreError ===

impl StoreError {
    /// Sorts a failure of the database: does trying again later make sense?
    fn sort(action: &'static str, error: sqlx::Error) -> Self {
        /// Primary result codes of SQLite: busy, locked, read-only, I/O error, full, cannot open.
        const LATER: [i64; 6] = [5, 6, 8, 10, 13, 14];
        let later = match &error {
            sqlx::Error::PoolTimedOut
            | sqlx::Error::PoolClosed
            | sqlx::Error::Io(_)
            | sqlx::Error::WorkerCrashed => true,
            sqlx::Error::Database(database) => database
                .code()
                .and_then(|code| code.parse::<i64>().ok())
                .is_some_and(|code| LATER.contains(&(code & 0xff))),
            _ => false,
        };
        if later {
            Self::Unavailable(action, error)
        } else {
            Self::Failed(action, error)
        }
    }
}

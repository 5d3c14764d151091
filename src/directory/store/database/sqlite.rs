//! SQLite: one file, one writer, readers apart.
//!
//! Writes go through one connection, in `BEGIN IMMEDIATE` transactions, so that they queue here and not in SQLite's
//! busy handler; reads have connections of their own, which WAL lets work beside the writer. `synchronous = FULL`:
//! what was answered with 2xx survives a loss of power.

use std::path::PathBuf;

use sqlx::{
    Connection as _, SqliteConnection, SqlitePool, Transaction,
    migrate::Migrator,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};

use super::PATIENCE;
use crate::directory::store::StoreError;

static MIGRATIONS: Migrator = sqlx::migrate!("src/directory/migrations/sqlite");

/// More than one company may use at once, so that its slow reads do not keep a ringing phone of another waiting.
const READERS: u32 = 12;

/// A SQLite database.
#[derive(Debug, Clone)]
pub(in crate::directory::store) struct Sqlite {
    writer: SqlitePool,
    pub(super) readers: SqlitePool,
}

// === impl Sqlite ===

impl Sqlite {
    pub(super) async fn open(path: PathBuf) -> Result<Self, StoreError> {
        let options = SqliteConnectOptions::new()
            .filename(&path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(PATIENCE)
            .foreign_keys(true);
        let cannot = |error| StoreError::Open(path.clone(), error);
        let writer = SqlitePoolOptions::new()
            .max_connections(1)
            .acquire_timeout(PATIENCE)
            .idle_timeout(None)
            .max_lifetime(None)
            .after_release(|connection, _| Box::pin(out_of_transaction(connection)))
            .connect_with(options.clone())
            .await
            .map_err(cannot)?;
        // Under the writer's lock: `sqlx` takes none on SQLite, and a purge may start beside the server.
        let mut schema = writer.begin_with("BEGIN IMMEDIATE").await.map_err(cannot)?;
        MIGRATIONS
            .run(&mut *schema)
            .await
            .map_err(StoreError::Migrate)?;
        schema.commit().await.map_err(cannot)?;
        let readers = SqlitePoolOptions::new()
            .min_connections(1)
            .max_connections(READERS)
            .acquire_timeout(PATIENCE)
            .connect_with(options.pragma("query_only", "on"))
            .await
            .map_err(cannot)?;
        Ok(Self { writer, readers })
    }

    pub(super) async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }

    /// A transaction that has the writer's lock from the start.
    pub(super) async fn begin(&self) -> Result<Transaction<'static, sqlx::Sqlite>, sqlx::Error> {
        self.writer.begin_with("BEGIN IMMEDIATE").await
    }
}

/// Whether a connection may write again.
///
/// On a full disk SQLite ends a transaction by itself; the `ROLLBACK` that `sqlx` sends then fails, and it takes the
/// connection to be in that transaction for good. Such a connection is closed.
async fn out_of_transaction(connection: &mut SqliteConnection) -> Result<bool, sqlx::Error> {
    // The rollback is on its way; what is asked after it is answered after it.
    connection.ping().await?;
    Ok(!connection.is_in_transaction())
}

/// By primary result code: busy, locked, out of memory, read-only, I/O error, full, cannot open.
pub(super) fn passes(code: &str) -> bool {
    const LATER: [i64; 7] = [5, 6, 7, 8, 10, 13, 14];
    code.parse::<i64>()
        .is_ok_and(|code| LATER.contains(&(code & 0xff)))
}

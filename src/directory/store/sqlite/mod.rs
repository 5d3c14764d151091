//! SQLite: one file, one writer, readers apart.
//!
//! Writes go through one connection, in `BEGIN IMMEDIATE` transactions, so that they queue here and not in SQLite's
//! busy handler; reads have connections of their own, which WAL lets work beside the writer. `synchronous = FULL`:
//! what was answered with 2xx survives a loss of power.

mod calls;
mod contacts;
mod work;

#[cfg(test)]
mod tests;

use std::{path::PathBuf, time::Duration};

use sqlx::{
    SqlitePool, Transaction,
    migrate::Migrator,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};

use super::StoreError;

static MIGRATIONS: Migrator = sqlx::migrate!("src/directory/migrations/sqlite");

/// How long a request waits for a connection, or for another process's lock.
const PATIENCE: Duration = Duration::from_secs(5);

const READERS: u32 = 4;

/// A SQLite database.
#[derive(Debug, Clone)]
pub(super) struct Sqlite {
    writer: SqlitePool,
    readers: SqlitePool,
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
            .connect_with(options.clone())
            .await
            .map_err(cannot)?;
        MIGRATIONS.run(&writer).await.map_err(StoreError::Migrate)?;
        let readers = SqlitePoolOptions::new()
            .min_connections(1)
            .max_connections(READERS)
            .acquire_timeout(PATIENCE)
            .connect_with(options.pragma("query_only", "on"))
            .await
            .map_err(cannot)?;
        Ok(Self { writer, readers })
    }

    pub(super) async fn ready(&self) -> Result<(), StoreError> {
        const ACTION: &str = "ask the database whether it is there";
        sqlx::query("SELECT 1 FROM calls LIMIT 1")
            .fetch_optional(&self.readers)
            .await
            .map(drop)
            .map_err(|error| StoreError::sort(ACTION, error))
    }

    pub(super) async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }

    /// A transaction that has the writer's lock from the start. Rolled back when it is dropped, as it is when a
    /// request is given up.
    async fn write(&self) -> Result<Transaction<'static, sqlx::Sqlite>, sqlx::Error> {
        self.writer.begin_with("BEGIN IMMEDIATE").await
    }
}

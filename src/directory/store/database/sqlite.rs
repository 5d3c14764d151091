//! SQLite: one file, one writer, readers apart.
//!
//! Writes go through one connection, in `BEGIN IMMEDIATE` transactions, so that they queue here and not in SQLite's
//! busy handler; reads have connections of their own, which WAL lets work beside the writer. `synchronous = FULL`:
//! what was answered with 2xx survives a loss of power.

use std::{
    path::PathBuf,
    sync::LazyLock,
    time::{Duration, Instant},
};

use sqlx::{
    ConnectOptions as _, Connection as _, SqliteConnection, SqlitePool, Transaction,
    migrate::Migrator,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};

use super::PATIENCE;
use crate::directory::store::StoreError;

pub(super) static MIGRATIONS: LazyLock<Migrator> = migrations!("sqlite");

/// More than one company may use at once, so that its slow reads do not keep a ringing phone of another waiting.
const READERS: u32 = 12;

/// How long a process waits for others that open the same file: one may be bringing a large file's schema up to date.
const OPENING: Duration = Duration::from_secs(60);

/// How long it waits before it opens the file again.
const PAUSE: Duration = Duration::from_millis(20);

/// Another connection holds the lock.
const BUSY: i64 = 5;

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
        // Under the writer's lock: `sqlx` takes none on SQLite, and a purge may start beside the server.
        let mut first = first(&options.clone().busy_timeout(OPENING))
            .await
            .map_err(cannot)?;
        let mut schema = first.begin_with("BEGIN IMMEDIATE").await.map_err(cannot)?;
        MIGRATIONS
            .run(&mut *schema)
            .await
            .map_err(StoreError::Migrate)?;
        schema.commit().await.map_err(cannot)?;
        let writer = SqlitePoolOptions::new()
            .max_connections(1)
            .acquire_timeout(PATIENCE)
            .idle_timeout(None)
            .max_lifetime(None)
            .after_release(|connection, _| Box::pin(out_of_transaction(connection)))
            .connect_with(options.clone())
            .await
            .map_err(cannot)?;
        let readers = SqlitePoolOptions::new()
            .min_connections(1)
            .max_connections(READERS)
            .acquire_timeout(PATIENCE)
            .connect_with(options.pragma("query_only", "on"))
            .await
            .map_err(cannot)?;
        // Last: a connection that closes alone takes the WAL with it, and whoever opens then waits for that.
        first.close().await.map_err(cannot)?;
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

/// Opens the file, whoever else does.
///
/// Where two turn a new file's journal into a WAL, SQLite refuses one of them at once: each holds what the other waits
/// for, so the busy time-out is not waited out. It has nothing to do but to begin again.
async fn first(options: &SqliteConnectOptions) -> Result<SqliteConnection, sqlx::Error> {
    let began = Instant::now();
    loop {
        match options.connect().await {
            Err(sqlx::Error::Database(error))
                if error
                    .code()
                    .is_some_and(|code| primary(&code) == Some(BUSY))
                    && began.elapsed() < OPENING =>
            {
                tokio::time::sleep(PAUSE).await;
            }
            other => return other,
        }
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
    const LATER: [i64; 7] = [BUSY, 6, 7, 8, 10, 13, 14];
    primary(code).is_some_and(|code| LATER.contains(&code))
}

/// The primary result code of an extended one.
fn primary(code: &str) -> Option<i64> {
    code.parse::<i64>().ok().map(|code| code & 0xff)
}

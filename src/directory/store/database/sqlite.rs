//! SQLite: one file, one writer, separate readers.
//!
//! Writes use one database connection and `BEGIN IMMEDIATE` transactions, so that they queue here
//! and not in SQLite's busy handler. Reads use connections of their own, which WAL lets run beside
//! the writer. With `synchronous = FULL`, everything that was answered with 2xx survives a loss of
//! power, but rings: they are over before the power is back.

use std::path::PathBuf;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use sqlx::migrate::Migrator;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions as _, Connection as _, SqliteConnection, SqlitePool, Transaction};

use super::{ACQUIRE_TIMEOUT, DatabaseSize};
use crate::directory::store::database::error::StoreError;

pub(crate) static MIGRATIONS: LazyLock<Migrator> = migrations!("sqlite");

/// More connections than one company may use at once, so that its slow reads do not delay a ringing
/// phone of another company.
const READERS: u32 = 12;

/// The writer's cache, as SQLite wants it: a negative number of KiB. The numbers of a bulk request
/// are spread over the whole tree; what is read again for each of them costs more than the rows.
const WRITERS_CACHE: &str = "-32768";

/// How many pages the journal has when it is written back: 16 MiB. A page that several requests
/// change is written back once.
const JOURNAL_PAGES: &str = "4000";

/// How long a process waits for others that open the same file: one of them may be bringing the
/// schema of a large file up to date.
const OPENING: Duration = Duration::from_secs(60);

/// How long the journal's emptying waits for those who read from it.
const READERS_LEAVE: Duration = Duration::from_millis(500);

/// The pause before the next attempt to open the file.
const PAUSE: Duration = Duration::from_millis(20);

/// SQLite's result code when another connection holds the lock.
const BUSY: i64 = 5;

/// Pages in use. Those that a purge has freed are used again before the file grows.
pub(crate) const BYTES: &str = "SELECT (page_count - freelist_count) * page_size AS bytes \
     FROM pragma_page_count, pragma_freelist_count, pragma_page_size";

#[derive(Debug, Clone)]
pub(crate) struct Sqlite {
    path: PathBuf,
    writer: SqlitePool,
    pub(crate) readers: SqlitePool,
}

// === impl Sqlite ===

impl Sqlite {
    pub(crate) async fn open(path: PathBuf) -> Result<Self, StoreError> {
        let options = SqliteConnectOptions::new()
            .filename(&path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(ACQUIRE_TIMEOUT)
            .foreign_keys(true)
            // What is deleted is overwritten: nothing of an erased number stays in the file.
            .pragma("secure_delete", "on");
        let cannot = |error| StoreError::Open(path.clone(), error);
        // The writer's lock protects the migration: `sqlx` takes no lock on SQLite, and a purge may
        // start beside the server.
        let mut first = first(&options.clone().busy_timeout(OPENING))
            .await
            .map_err(cannot)?;
        let mut schema = first.begin_with("BEGIN IMMEDIATE").await.map_err(cannot)?;
        MIGRATIONS
            .run(&mut *schema)
            .await
            .map_err(|error| StoreError::Migrate(path.display().to_string(), error))?;
        schema.commit().await.map_err(cannot)?;
        let writer = SqlitePoolOptions::new()
            .max_connections(1)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .idle_timeout(None)
            .max_lifetime(None)
            .after_release(|connection, _| Box::pin(out_of_transaction(connection)))
            .connect_with(
                options
                    .clone()
                    .pragma("cache_size", WRITERS_CACHE)
                    .pragma("wal_autocheckpoint", JOURNAL_PAGES),
            )
            .await
            .map_err(cannot)?;
        let readers = SqlitePoolOptions::new()
            .min_connections(1)
            .max_connections(READERS)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .connect_with(options.pragma("query_only", "on"))
            .await
            .map_err(cannot)?;
        // Closed last: the only open connection removes the WAL when it closes, and a process that
        // opens the file then has to wait.
        first.close().await.map_err(cannot)?;
        Ok(Self {
            path,
            writer,
            readers,
        })
    }

    /// The size, of which `bytes` are pages in use: with the journal, and with what the volume has
    /// left for both.
    pub(crate) async fn size(&self, bytes: u64) -> Result<DatabaseSize, sqlx::Error> {
        let path = self.path.clone();
        let measured = tokio::task::spawn_blocking(move || -> std::io::Result<DatabaseSize> {
            let file = std::fs::metadata(&path)?.len();
            let mut journal = path.clone().into_os_string();
            journal.push("-wal");
            let journal = std::fs::metadata(journal).map_or(0, |journal| journal.len());
            let volume = rustix::fs::statvfs(&path)?;
            let left = volume.f_bavail.saturating_mul(volume.f_frsize);
            Ok(DatabaseSize {
                bytes: bytes.saturating_add(journal),
                limit: Some(file.saturating_add(journal).saturating_add(left)),
            })
        });
        let measured = measured.await.map_err(std::io::Error::other)?;
        Ok(measured?)
    }

    /// Writes the journal back into the file, and empties it. Writers wait meanwhile, so that it
    /// waits for readers only a moment.
    ///
    /// # Errors
    /// `Busy` while somebody still reads from the journal.
    pub(crate) async fn empty_journal(&self) -> Result<(), sqlx::Error> {
        let options = SqliteConnectOptions::new()
            .filename(&self.path)
            .busy_timeout(READERS_LEAVE);
        let mut connection = options.connect().await?;
        let emptied = sqlx::query_as("PRAGMA wal_checkpoint(TRUNCATE)");
        let (busy, _, _): (i64, i64, i64) = emptied.fetch_one(&mut connection).await?;
        connection.close().await?;
        if busy == 0 {
            Ok(())
        } else {
            Err(std::io::Error::from(std::io::ErrorKind::ResourceBusy).into())
        }
    }

    /// Writes the file anew. Copies of rows that SQLite left behind when it split a page go with
    /// it, which `secure_delete` does not reach.
    pub(crate) async fn compact(&self) -> Result<(), sqlx::Error> {
        sqlx::query("VACUUM").execute(&self.writer).await?;
        self.empty_journal().await
    }

    pub(crate) async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }

    /// Begins a transaction that holds the writer's lock from the start.
    pub(crate) async fn begin(&self) -> Result<Transaction<'static, sqlx::Sqlite>, sqlx::Error> {
        self.writer
            .begin_with("PRAGMA synchronous = FULL; BEGIN IMMEDIATE")
            .await
    }

    /// The same, and its commit does not wait for the disk.
    pub(crate) async fn begin_fleeting(
        &self,
    ) -> Result<Transaction<'static, sqlx::Sqlite>, sqlx::Error> {
        self.writer
            .begin_with("PRAGMA synchronous = NORMAL; BEGIN IMMEDIATE")
            .await
    }
}

/// Opens the file, even while other processes open it.
///
/// When two connections switch a new file's journal to WAL, SQLite refuses one of them at once.
/// Each holds what the other waits for, so the busy timeout does not apply. The refused connection
/// can only start again.
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

/// Whether a connection can start a new transaction.
///
/// On a full disk SQLite ends a transaction by itself. The `ROLLBACK` that `sqlx` sends then fails,
/// and `sqlx` treats the connection as inside that transaction for ever. Such a connection is
/// closed.
async fn out_of_transaction(connection: &mut SqliteConnection) -> Result<bool, sqlx::Error> {
    // The rollback may still be queued. The ping is answered after it.
    connection.ping().await?;
    Ok(!connection.is_in_transaction())
}

/// Whether a failure is temporary, by primary result code: busy, locked, out of memory, read-only,
/// I/O error, full, cannot open.
pub(crate) fn passes(code: &str) -> bool {
    const LATER: [i64; 7] = [BUSY, 6, 7, 8, 10, 13, 14];
    primary(code).is_some_and(|code| LATER.contains(&code))
}

/// The primary result code of an extended one.
fn primary(code: &str) -> Option<i64> {
    code.parse::<i64>().ok().map(|code| code & 0xff)
}

#[cfg(test)]
mod tests {
    use sqlx::Executor as _;

    use super::*;

    #[test]
    fn a_code_is_temporary_by_its_primary_code_whatever_is_added_to_it() {
        for later in [5, 6, 7, 8, 10, 13, 14] {
            for added in [0, 1, 2, 255] {
                let code = (later + (added << 8)).to_string();
                assert_eq!(primary(&code), Some(later), "{code}");
                assert!(passes(&code), "{code}");
            }
        }
        for never in [
            "0", "1", "4", "9", "11", "12", "15", "19", "2067", "", "x", "5x",
        ] {
            assert!(!passes(never), "{never}");
        }
        assert_eq!(primary("2067"), Some(19), "a key that is there already");
        assert_eq!(primary("busy"), None);
    }

    #[tokio::test]
    async fn a_file_that_another_one_opens_is_waited_for_and_one_that_is_nowhere_is_not() {
        let folder = tempfile::TempDir::new().unwrap();
        let options = |name: &str| {
            SqliteConnectOptions::new()
                .filename(folder.path().join(name))
                .create_if_missing(true)
                .busy_timeout(Duration::ZERO)
        };
        let mut other = options("new.db").connect().await.unwrap();
        other.execute("BEGIN EXCLUSIVE").await.unwrap();
        let opens = options("new.db").journal_mode(SqliteJournalMode::Wal);
        let refused = opens.connect().await.unwrap_err();
        let code = refused.as_database_error().and_then(|error| error.code());
        assert_eq!(code.as_deref().and_then(primary), Some(BUSY), "{refused:?}");

        let mut opened = std::pin::pin!(first(&opens));
        let soon = tokio::time::timeout(PAUSE * 5, &mut opened).await;
        assert!(soon.is_err(), "it goes on trying: {soon:?}");
        other.execute("ROLLBACK").await.unwrap();
        let connection = tokio::time::timeout(OPENING, opened).await;
        connection.unwrap().unwrap().close().await.unwrap();

        let nowhere = options("missing/new.db");
        let nowhere = tokio::time::timeout(OPENING / 2, first(&nowhere)).await;
        assert!(nowhere.unwrap().is_err());
    }
}

//! PostgreSQL: many writers, several replicas.
//!
//! Advisory locks separate the writers of the same call, and the lease requests of the same
//! company. They end with their transaction. Row locks do not suffice, because a row that does not
//! exist yet cannot be locked. Migrations run on a separate database connection under the advisory
//! lock of `sqlx`, so that replicas that start together wait for each other.
//!
//! A server may fail over to a standby behind an address that stays the same. Then connections may
//! reach a server that is still a standby, or stay on one that takes no writes any more. Neither
//! may be kept: the first is not used at all, since its answers are old, and the second is replaced
//! with all others as soon as it refuses a write.

use std::ops::{Deref, DerefMut};
use std::str::FromStr;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use sqlx::migrate::Migrator;
use sqlx::postgres::{PgConnectOptions, PgConnection, PgListener, PgPoolOptions};
use sqlx::{AssertSqlSafe, Connection as _, PgPool, Row as _};
use tracing::warn;

use super::{ACQUIRE_TIMEOUT, Arg, WITH_NUMBERS};
use crate::directory::store::database::error::StoreError;

pub(crate) static MIGRATIONS: LazyLock<Migrator> = migrations!("postgres");

/// Size of the connection pool. One company can use only part of it, because its concurrent
/// requests are limited for each purpose.
const CONNECTIONS: u32 = 24;

/// The longest time that a statement may hold a database connection. A request is aborted at about
/// the same time.
const STATEMENT_TIMEOUT: &str = "20s";

/// Whether the server compiles a statement before it runs it. It does where it expects much work,
/// and expects far more of a search than there is between two positions: 600 ms for one of 3 ms.
const JIT: &str = "off";

/// A database connection is closed after this time, so that the replicas of a failed-over server
/// are found again.
const MAX_LIFETIME: Duration = Duration::from_secs(30 * 60);

/// A server that does not answer a ping within this time is gone, even if the network reports
/// nothing. When a database fails over, the old node takes its end of each connection with it.
/// `sqlx` itself would wait as long as the kernel retransmits.
const ALIVE: Duration = Duration::from_secs(2);

/// The same limit for a connection on which a statement may still be running. It is longer than a
/// statement may take: a slow server must not get a new statement for each aborted one.
const ENDED: Duration = Duration::from_secs(22);

/// Parameters: $1 kind, $2 names. Each kind has 32 locks, and each name maps to one of them. The
/// server's lock table is small, and one bulk request of a thousand names must not exhaust it. The
/// locks are sorted so that two transactions take them in the same order.
const LOCK: &str = "SELECT pg_advisory_xact_lock(thing) FROM (\
     SELECT DISTINCT hashtextextended($1, 0) # (hashtextextended(name, 0) & 31) AS thing \
     FROM unnest($2::text[]) AS name ORDER BY thing) AS things";

/// Parameters: $1 kind, $2 name: the lock that [`LOCK`] takes, shared.
const SHARE: &str = "SELECT pg_advisory_xact_lock_shared(\
     hashtextextended($1, 0) # (hashtextextended($2, 0) & 31))";

pub(crate) const BYTES: &str = "SELECT pg_database_size(current_database()) AS bytes";

/// The server's time, in microseconds.
pub(crate) const TIME: &str =
    "SELECT (EXTRACT(EPOCH FROM clock_timestamp()) * 1000000)::bigint AS time";

/// Sends notifications. They need not be on disk: nobody reads them after a crash.
const NOTIFY: &str = "SELECT pg_notify($1, payload) FROM unnest($2::text[]) AS payload";

/// The SQLSTATE of a write that a server refuses because it takes none: it is a standby, or
/// somebody has set it so.
const READ_ONLY: &str = "25006";

/// Whether the server is a standby.
const STANDBY: &str = "SELECT pg_is_in_recovery()";

/// Of a server that refuses writes, connections are replaced this often at most. Where another one
/// takes its place, this is how long it can take until it is found; where none does, those who read
/// go on.
const REPLACED_EVERY: Duration = Duration::from_secs(1);

#[derive(Debug, Clone)]
pub(crate) struct Postgres {
    pub(crate) pool: PgPool,
    options: Arc<PgConnectOptions>,
    refusals: Refusals,
}

/// When a server last refused a write because it takes none. Connections from before are not used
/// any more.
#[derive(Debug, Clone, Default)]
pub(crate) struct Refusals(Arc<Mutex<Option<Instant>>>);

/// A transaction that may write.
pub(crate) struct Writing {
    transaction: sqlx::Transaction<'static, sqlx::Postgres>,
    refusals: Refusals,
}

/// Tells other processes on the same database, over a connection of its own.
pub(crate) struct Voice {
    options: PgConnectOptions,
    refusals: Refusals,
    connection: Option<(PgConnection, Instant)>,
}

/// Hears what is told on the same database.
pub(crate) struct Ears(Arc<PgConnectOptions>);

/// A connection on which something is heard.
pub(crate) struct OpenEars(PgListener);

// === impl Postgres ===

impl Postgres {
    pub(crate) async fn open(address: &str) -> Result<Self, StoreError> {
        // The address may hold a password, so it never appears in an error.
        let options = PgConnectOptions::from_str(address).map_err(|_| StoreError::Address)?;
        let options = without_brackets(options).application_name("switchboard-directory");
        let server = format!(
            "{} on {}:{}",
            options.get_database().unwrap_or(options.get_username()),
            options.get_host(),
            options.get_port()
        );
        let cannot = |error| StoreError::Connect(server.clone(), error);
        let connecting = PgConnection::connect_with(&options);
        let mut connection = match tokio::time::timeout(ACQUIRE_TIMEOUT, connecting).await {
            Ok(connected) => connected.map_err(cannot)?,
            Err(_) => {
                return Err(cannot(
                    std::io::Error::from(std::io::ErrorKind::TimedOut).into(),
                ));
            }
        };
        if is_standby(&mut connection).await.map_err(cannot)? {
            return Err(StoreError::Standby(server));
        }
        MIGRATIONS
            .run(&mut connection)
            .await
            .map_err(|error| StoreError::Migrate(server.clone(), error))?;
        connection.close().await.map_err(cannot)?;
        let options = options.options([
            ("statement_timeout", STATEMENT_TIMEOUT),
            ("idle_in_transaction_session_timeout", "30s"),
            ("jit", JIT),
        ]);
        let refusals = Refusals::default();
        let refused = refusals.clone();
        let pool = PgPoolOptions::new()
            .max_connections(CONNECTIONS)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .max_lifetime(MAX_LIFETIME)
            // Who waits for a connection gets one once the address leads to a primary.
            .after_connect(|connection, _| Box::pin(is_primary(connection)))
            .test_before_acquire(false)
            .before_acquire(move |connection, metadata| {
                let is_of_use = !refused.came_within(metadata.age);
                Box::pin(async move { Ok(is_of_use && is_alive(connection, ALIVE).await?) })
            })
            // After an aborted request it is unknown whether the connection still works.
            .after_release(|connection, _| Box::pin(is_alive(connection, ENDED)))
            .connect_lazy_with(options.clone());
        let options = Arc::new(options);
        Ok(Self {
            pool,
            options,
            refusals,
        })
    }

    pub(crate) async fn begin(&self) -> Result<Writing, sqlx::Error> {
        let begun = self.pool.begin().await;
        begun.map(|transaction| self.writing(transaction))
    }

    /// Begins a transaction whose commit waits neither for the disk nor for a standby.
    pub(crate) async fn begin_fleeting(&self) -> Result<Writing, sqlx::Error> {
        let begin = "BEGIN; SET LOCAL synchronous_commit TO off";
        let begun = self.pool.begin_with(begin).await;
        begun.map(|transaction| self.writing(transaction))
    }

    fn writing(&self, transaction: sqlx::Transaction<'static, sqlx::Postgres>) -> Writing {
        Writing {
            transaction,
            refusals: self.refusals.clone(),
        }
    }

    pub(crate) fn voice(&self) -> Voice {
        Voice {
            options: PgConnectOptions::clone(&self.options)
                .options([("synchronous_commit", "off")]),
            refusals: self.refusals.clone(),
            connection: None,
        }
    }

    pub(crate) fn ears(&self) -> Ears {
        Ears(Arc::clone(&self.options))
    }

    /// Frees the dead rows.
    pub(crate) async fn vacuum(&self) -> Result<(), sqlx::Error> {
        for table in WITH_NUMBERS {
            self.unlimited(&format!("VACUUM (ANALYZE) {table}")).await?;
        }
        // The statistics of before quote common values.
        self.unlimited("VACUUM pg_catalog.pg_statistic").await
    }

    /// Writes the tables anew, and those of the statistics, which quote common values.
    pub(crate) async fn compact(&self) -> Result<(), sqlx::Error> {
        for table in WITH_NUMBERS {
            self.unlimited(&format!("VACUUM (FULL, ANALYZE) {table}"))
                .await?;
        }
        self.unlimited("VACUUM FULL pg_catalog.pg_statistic").await
    }

    /// Runs a statement of ours, without values, on a connection of its own and for as long as it
    /// takes.
    async fn unlimited(&self, statement: &str) -> Result<(), sqlx::Error> {
        let mut connection = self.pool.acquire().await?.detach();
        sqlx::raw_sql("SET statement_timeout = 0")
            .execute(&mut connection)
            .await?;
        sqlx::raw_sql(AssertSqlSafe(statement.to_owned()))
            .execute(&mut connection)
            .await?;
        connection.close().await
    }
}

// === impl Refusals ===

impl Refusals {
    fn note(&self, error: &sqlx::Error) {
        let code = error.as_database_error().and_then(|error| error.code());
        if code.as_deref() != Some(READ_ONLY) {
            return;
        }
        let mut last = self.0.lock();
        if last.is_none_or(|last| last.elapsed() >= REPLACED_EVERY) {
            warn!("the database server takes no writes; its connections are replaced");
            *last = Some(Instant::now());
        }
    }

    /// Whether there was one since a connection of this age was made.
    fn came_within(&self, age: Duration) -> bool {
        self.0.lock().is_some_and(|last| last.elapsed() <= age)
    }
}

// === impl Writing ===

impl Writing {
    /// Passes on what became of a statement.
    pub(crate) fn noted<T>(&self, result: Result<T, sqlx::Error>) -> Result<T, sqlx::Error> {
        result.inspect_err(|error| self.refusals.note(error))
    }

    pub(crate) async fn commit(self) -> Result<(), sqlx::Error> {
        self.transaction.commit().await
    }
}

impl Deref for Writing {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        &self.transaction
    }
}

impl DerefMut for Writing {
    fn deref_mut(&mut self) -> &mut PgConnection {
        &mut self.transaction
    }
}

// === impl Voice ===

impl Voice {
    /// Sends payloads. The connection is made where there is none, and given up after a failure.
    pub(crate) async fn say(
        &mut self,
        channel: &str,
        payloads: &[String],
    ) -> Result<(), sqlx::Error> {
        let connection = self.connection.take();
        let connection = connection.filter(|(_, made)| !self.refusals.came_within(made.elapsed()));
        let said = tokio::time::timeout(ACQUIRE_TIMEOUT, async {
            let (mut connection, made) = match connection {
                Some(connection) => connection,
                None => {
                    let made = Instant::now();
                    (PgConnection::connect_with(&self.options).await?, made)
                }
            };
            sqlx::query(NOTIFY)
                .bind(channel)
                .bind(payloads)
                .execute(&mut connection)
                .await?;
            Ok((connection, made))
        });
        match said.await {
            Ok(said) => said.map(|connection| self.connection = Some(connection)),
            Err(_) => Err(std::io::Error::from(std::io::ErrorKind::TimedOut).into()),
        }
    }
}

// === impl Ears ===

impl Ears {
    pub(crate) async fn open(&self, channel: &str) -> Result<OpenEars, sqlx::Error> {
        // A pool of its own, so that it takes no connection of the requests.
        let pool = PgPoolOptions::new()
            .max_connections(1)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .max_lifetime(None)
            .idle_timeout(None)
            .connect_lazy_with(PgConnectOptions::clone(&self.0));
        let mut listener = PgListener::connect_with(&pool).await?;
        // A lost connection is a gap; it is not mended in silence.
        listener.eager_reconnect(false);
        let listening = tokio::time::timeout(ACQUIRE_TIMEOUT, listener.listen(channel));
        match listening.await {
            Ok(listens) => listens.map(|()| OpenEars(listener)),
            Err(_) => Err(std::io::Error::from(std::io::ErrorKind::TimedOut).into()),
        }
    }
}

impl OpenEars {
    /// The next payload.
    ///
    /// # Errors
    /// When the connection is lost. It is of no use then.
    pub(crate) async fn next(&mut self) -> Result<String, sqlx::Error> {
        match self.0.try_recv().await? {
            Some(notification) => Ok(notification.payload().to_owned()),
            None => Err(std::io::Error::from(std::io::ErrorKind::ConnectionAborted).into()),
        }
    }
}

/// An IPv6 address stands in brackets in the database's address, and without them where it is
/// resolved.
fn without_brackets(options: PgConnectOptions) -> PgConnectOptions {
    let host = options.get_host();
    match host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
    {
        Some(bare) => {
            let bare = bare.to_owned();
            options.host(&bare)
        }
        None => options,
    }
}

async fn is_standby(connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
    let row = sqlx::raw_sql(STANDBY).fetch_one(connection).await?;
    row.try_get(0)
}

async fn is_primary(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    if is_standby(connection).await? {
        let told = "the server is a standby, which takes no writes";
        return Err(std::io::Error::other(told).into());
    }
    Ok(())
}

async fn is_alive(connection: &mut PgConnection, within: Duration) -> Result<bool, sqlx::Error> {
    match tokio::time::timeout(within, connection.ping()).await {
        Ok(answered) => answered.map(|()| true),
        Err(_) => Err(std::io::Error::from(std::io::ErrorKind::TimedOut).into()),
    }
}

pub(crate) async fn lock(
    connection: &mut PgConnection,
    kind: &str,
    names: Vec<&str>,
) -> Result<(), sqlx::Error> {
    sqlx::query(LOCK)
        .bind(kind)
        .bind(names)
        .execute(connection)
        .await
        .map(drop)
}

pub(crate) async fn share(
    connection: &mut PgConnection,
    kind: &str,
    name: &str,
) -> Result<(), sqlx::Error> {
    sqlx::query(SHARE)
        .bind(kind)
        .bind(name)
        .execute(connection)
        .await
        .map(drop)
}

/// Replaces U+0000, which PostgreSQL's text cannot hold. Stored texts never contain it, and a
/// search for it then finds nothing.
pub(crate) fn storable(args: Vec<Arg>) -> Vec<Arg> {
    args.into_iter()
        .map(|arg| match arg {
            Arg::Text(Some(text)) if text.contains('\0') => {
                Arg::Text(Some(text.replace('\0', "\u{fffd}")))
            }
            other => other,
        })
        .collect()
}

/// Whether a failure is temporary, by SQLSTATE: connection lost (08), log-in refused or database
/// missing while a server is replaced (28, 3D), transaction conflict (40), out of disk, memory or
/// connections (53), locked (55P03), idle for too long in a transaction (25P03), stopped or
/// starting (57), the server's I/O (58), and a server that takes no writes (25006).
pub(crate) fn passes(code: &str) -> bool {
    ["08", "28", "3D", "40", "53", "57", "58"]
        .iter()
        .any(|class| code.starts_with(class))
        || ["55P03", "25P03", READ_ONLY].contains(&code)
}

/// Whether the SQLSTATE is a serialization failure or a deadlock.
pub(crate) fn crossed(code: &str) -> bool {
    ["40001", "40P01"].contains(&code)
}

#[cfg(test)]
mod tests {
    use super::super::tests::refused;
    use super::*;

    #[test]
    fn a_state_is_temporary_by_its_class_and_a_conflict_by_itself() {
        for later in [
            "08006", "28000", "28P01", "3D000", "40001", "40P01", "53100", "53300", "57P01",
            "57014", "58030", "55P03", "25P03", "25006",
        ] {
            assert!(passes(later), "{later}");
        }
        for never in [
            "", "0", "22001", "23505", "25001", "25P02", "42P01", "55000", "55P04", "XX000",
            "10800",
        ] {
            assert!(!passes(never), "{never}");
        }
        for (code, is_conflict) in [
            ("40001", true),
            ("40P01", true),
            ("40000", false),
            ("40003", false),
            ("23505", false),
            ("", false),
        ] {
            assert_eq!(crossed(code), is_conflict, "{code}");
        }
    }

    #[test]
    fn only_a_write_that_is_refused_replaces_connections_and_not_again_at_once() {
        let hour = Duration::from_secs(3_600);
        let refusals = Refusals::default();
        let last = || *refusals.0.lock();
        for other in [
            refused("23505"),
            refused(None),
            sqlx::Error::PoolTimedOut,
            sqlx::Error::RowNotFound,
        ] {
            refusals.note(&other);
            assert_eq!(last(), None, "{other:?}");
            assert!(!refusals.came_within(hour));
        }
        let before = Instant::now();
        refusals.note(&refused(READ_ONLY));
        assert!(last().is_some_and(|last| last >= before));
        assert!(refusals.came_within(hour), "connections are older");

        // One that was just made is kept while the server goes on refusing.
        let recent = Instant::now() + hour;
        *refusals.0.lock() = Some(recent);
        refusals.note(&refused(READ_ONLY));
        assert_eq!(last(), Some(recent));

        let Some(past) = Instant::now().checked_sub(REPLACED_EVERY * 2) else {
            return;
        };
        *refusals.0.lock() = Some(past);
        assert!(!refusals.came_within(REPLACED_EVERY), "it is younger");
        refusals.note(&refused(READ_ONLY));
        assert!(last() > Some(past));
    }

    #[test]
    fn what_no_text_of_the_server_can_hold_is_replaced() {
        let args = vec![
            Arg::Text(Some("a\0b\0".to_owned())),
            Arg::Text(Some("ab".to_owned())),
            Arg::Text(None),
            Arg::Number(Some(0)),
        ];
        let stored = storable(args);
        let expected =
            "[Text(Some(\"a\u{fffd}b\u{fffd}\")), Text(Some(\"ab\")), Text(None), Number(Some(0))]";
        assert_eq!(format!("{stored:?}"), expected);
    }
}

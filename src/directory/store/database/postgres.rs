//! PostgreSQL: many writers, several replicas.
//!
//! Writers of the same call, and claims of the same company, are kept apart by advisory locks that end with their
//! transaction: a row that is not there yet cannot be locked. Migrations run under the advisory lock that `sqlx` takes,
//! on a connection of their own, so that replicas which start together wait for each other.

use std::{str::FromStr, sync::LazyLock, time::Duration};

use sqlx::{
    Connection as _, PgPool,
    migrate::Migrator,
    postgres::{PgConnectOptions, PgConnection, PgPoolOptions},
};

use super::{Arg, PATIENCE};
use crate::directory::store::StoreError;

pub(super) static MIGRATIONS: LazyLock<Migrator> = migrations!("postgres");

/// A company takes part of them at most: its requests at once are limited for each purpose.
const CONNECTIONS: u32 = 24;

/// No statement of a request may hold a connection longer; a request is given up at about the same time.
const STATEMENT_TIMEOUT: &str = "20s";

/// A connection is closed after this long, so that a failed-over server's replicas are found again.
const MAX_LIFETIME: Duration = Duration::from_secs(30 * 60);

/// A server that does not answer so small a question within this time is gone, even if the network says nothing of it: the node of a
/// database that fails over takes its end of each connection with it. `sqlx` itself would wait for as long as the kernel sends again.
const ALIVE: Duration = Duration::from_secs(2);

/// The same for a connection on which a statement may still go on. Longer than a statement may take: a server that is slow must not get
/// another statement in the place of each that was given up.
const ENDED: Duration = Duration::from_secs(22);

/// $1 kind, $2 names. Each kind has 32 locks, and each name one of them: the server's table of locks is small, and one
/// bulk request of a thousand names must not use it up. The locks are sorted so that two transactions take them in the
/// same order.
const LOCK: &str = "SELECT pg_advisory_xact_lock(thing) FROM (\
     SELECT DISTINCT hashtextextended($1, 0) # (hashtextextended(name, 0) & 31) AS thing \
     FROM unnest($2::text[]) AS name ORDER BY thing) AS things";

/// A PostgreSQL database.
#[derive(Debug, Clone)]
pub(in crate::directory::store) struct Postgres {
    pub(super) pool: PgPool,
}

// === impl Postgres ===

impl Postgres {
    pub(super) async fn open(address: &str) -> Result<Self, StoreError> {
        // The address may hold a password: it never gets into an error.
        let options = PgConnectOptions::from_str(address).map_err(|_| StoreError::Address)?;
        let options = options.application_name("switchboard-directory");
        let server = format!(
            "{} on {}:{}",
            options.get_database().unwrap_or(options.get_username()),
            options.get_host(),
            options.get_port()
        );
        let cannot = |error| StoreError::Connect(server.clone(), error);
        let connecting = PgConnection::connect_with(&options);
        let mut connection = match tokio::time::timeout(PATIENCE, connecting).await {
            Ok(connected) => connected.map_err(cannot)?,
            Err(_) => return Err(cannot(sqlx::Error::PoolTimedOut)),
        };
        MIGRATIONS
            .run(&mut connection)
            .await
            .map_err(StoreError::Migrate)?;
        connection.close().await.map_err(cannot)?;
        let options = options.options([
            ("statement_timeout", STATEMENT_TIMEOUT),
            ("idle_in_transaction_session_timeout", "30s"),
        ]);
        let pool = PgPoolOptions::new()
            .max_connections(CONNECTIONS)
            .acquire_timeout(PATIENCE)
            .max_lifetime(MAX_LIFETIME)
            .test_before_acquire(false)
            .before_acquire(|connection, _| Box::pin(is_alive(connection, ALIVE)))
            // A request that was given up leaves a connection of which nobody knows whether it still works.
            .after_release(|connection, _| Box::pin(is_alive(connection, ENDED)))
            .connect_lazy_with(options);
        Ok(Self { pool })
    }
}

async fn is_alive(connection: &mut PgConnection, within: Duration) -> Result<bool, sqlx::Error> {
    match tokio::time::timeout(within, connection.ping()).await {
        Ok(answered) => answered.map(|()| true),
        Err(_) => Err(std::io::Error::from(std::io::ErrorKind::TimedOut).into()),
    }
}

pub(super) async fn lock(
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

/// PostgreSQL's text cannot hold U+0000. What is kept never does; what is searched for then finds nothing.
pub(super) fn storable(args: Vec<Arg>) -> Vec<Arg> {
    args.into_iter()
        .map(|arg| match arg {
            Arg::Text(Some(text)) if text.contains('\0') => {
                Arg::Text(Some(text.replace('\0', "\u{fffd}")))
            }
            other => other,
        })
        .collect()
}

/// By SQLSTATE: connection lost (08), log-in refused or database missing while a server is replaced (28, 3D), crossed
/// (40), out of disk, memory or connections (53), locked (55P03), stopped or starting (57), the server's I/O (58), and a
/// server that became a read-only replica (25006).
pub(super) fn passes(code: &str) -> bool {
    ["08", "28", "3D", "40", "53", "57", "58"]
        .iter()
        .any(|class| code.starts_with(class))
        || ["55P03", "25006"].contains(&code)
}

/// Serialization failure, deadlock.
pub(super) fn crossed(code: &str) -> bool {
    ["40001", "40P01"].contains(&code)
}

//! The supported databases, behind one interface for statements.
//!
//! The statements are the same for both (`$1` and so on, standard SQL, upserts and `RETURNING`).
//! The databases differ in how they are opened, how writers are kept apart, and which failures are
//! temporary. Only this folder contains these differences.

// The macros of `sqlx` are not used: they compile both databases, SQLite's C code included, a
// second time for the compiler.

/// The versions of a database's schema. A released one never changes: every database contains its
/// checksum.
macro_rules! migrations {
    ($kind:literal) => {
        migrations!($kind, "0001_calls_and_contacts", "0002_purge", "0003_purge_by_company", "0004_questions", "0005_revocations", "0006_whose_data", "0007_follow", "0008_records", "0009_rings", "0010_pages", "0012_search_and_sessions", "0013_claimed_at")
    };
    ($kind:literal, $($file:literal),+) => {
        LazyLock::new(|| $crate::directory::store::database::migrator(&[
            $(($file, include_str!(concat!("../../migrations/", $kind, "/", $file, ".sql")))),+
        ]))
    };
}

/// A struct for a row. Either database fills each field from the column of that name.
macro_rules! row {
    ($(#[$meta:meta])* $vis:vis struct $name:ident { $($field_vis:vis $field:ident: $type:ty),* $(,)? }) => {
        $(#[$meta])*
        $vis struct $name {
            $($field_vis $field: $type),*
        }

        impl<'r, R> sqlx::FromRow<'r, R> for $name
        where
            R: sqlx::Row,
            &'static str: sqlx::ColumnIndex<R>,
            String: sqlx::Decode<'r, R::Database> + sqlx::Type<R::Database>,
            i64: sqlx::Decode<'r, R::Database> + sqlx::Type<R::Database>,
        {
            fn from_row(row: &'r R) -> Result<Self, sqlx::Error> {
                Ok(Self { $($field: row.try_get(stringify!($field))?),* })
            }
        }
    };
}
pub(crate) use row;

pub(crate) mod error;
mod postgres;
pub(crate) mod rows;
pub(crate) mod sets;
mod sqlite;

use std::time::Duration;

use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::postgres::PgRow;
use sqlx::sqlite::SqliteRow;
use sqlx::{FromRow, SqlSafeStr, SqlStr};

use self::error::StoreError;
use self::postgres::Postgres;
pub(crate) use self::postgres::{Ears, Voice};
use self::sqlite::Sqlite;

/// How long a request waits for a database connection, or for another writer's lock.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);

/// An open database. Cheap to clone; all clones share its connections.
#[derive(Debug, Clone)]
pub(crate) enum Database {
    Sqlite(Sqlite),
    Postgres(Postgres),
}

/// A transaction that may write. It is rolled back on drop, for example when a request is aborted.
pub(crate) enum Transaction {
    Sqlite(sqlx::Transaction<'static, sqlx::Sqlite>),
    Postgres(postgres::Writing),
}

/// The tables in which numbers and names are.
pub(crate) const WITH_NUMBERS: [&str; 7] = [
    "calls",
    "contacts",
    "contact_records",
    "questions",
    "records",
    "record_numbers",
    "rings",
];

/// A parameter of a statement. The tables hold only texts and integers.
#[derive(Debug, Clone)]
pub(crate) enum Arg {
    Text(Option<String>),
    Number(Option<i64>),
}

/// The size of a database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct DatabaseSize {
    /// What calls and contacts take up, in bytes.
    pub(crate) bytes: u64,
    /// The most that they may; `None` where the database cannot tell.
    pub(crate) limit: Option<u64>,
}

row! {
    struct BytesRow {
        bytes: i64,
    }
}

/// A row that either database can fill.
pub(crate) trait Row:
    for<'r> FromRow<'r, SqliteRow> + for<'r> FromRow<'r, PgRow> + Send + Unpin
{
}

impl<T> Row for T where T: for<'r> FromRow<'r, SqliteRow> + for<'r> FromRow<'r, PgRow> + Send + Unpin
{}

/// The parameters `$1`, `$2` and so on, in their order.
macro_rules! args {
    ($($arg:expr),* $(,)?) => { vec![$($crate::directory::store::database::Arg::from($arg)),*] };
}
pub(crate) use args;

/// Binds the parameters of a statement.
macro_rules! bound {
    ($query:expr, $args:expr) => {{
        let mut query = $query;
        for arg in $args {
            query = match arg {
                Arg::Text(text) => query.bind(text),
                Arg::Number(number) => query.bind(number),
            };
        }
        query
    }};
}
use bound;

/// Makes the migrations from the names of their files, such as `0002_purge`, and their statements.
fn migrator(files: &[(&'static str, &'static str)]) -> Migrator {
    let migration = |(file, sql): &(&'static str, &'static str)| {
        let (version, what) = file.split_once('_').unwrap_or(("", file));
        Migration::new(
            // A test holds that each begins with its version.
            version.parse().unwrap_or_default(),
            what.replace('_', " ").into(),
            MigrationType::Simple,
            SqlStr::from_static(sql),
            false,
        )
    };
    Migrator::with_migrations(files.iter().map(migration).collect())
}

// === impl Database ===

impl Database {
    /// Opens the database at the address, creates SQLite's file if it is missing, and brings the
    /// schema up to date.
    pub(crate) async fn open(address: &str) -> Result<Self, StoreError> {
        if address.starts_with("postgres://") || address.starts_with("postgresql://") {
            return Postgres::open(address).await.map(Self::Postgres);
        }
        let path = address.strip_prefix("sqlite:").ok_or(StoreError::Address)?;
        let path = path.strip_prefix("//").unwrap_or(path);
        if path.is_empty() || path.starts_with(":memory:") {
            return Err(StoreError::Address);
        }
        Sqlite::open(path.into()).await.map(Self::Sqlite)
    }

    /// Whether every connection to a database server is back in the pool.
    #[cfg(test)]
    pub(crate) fn is_at_rest(&self) -> bool {
        match self {
            Self::Sqlite(_) => true,
            Self::Postgres(postgres) => postgres.pool.num_idle() == postgres.pool.size() as usize,
        }
    }

    /// What tells other processes on the same database; `None` on SQLite, where there are none.
    pub(crate) fn voice(&self) -> Option<Voice> {
        match self {
            Self::Sqlite(_) => None,
            Self::Postgres(postgres) => Some(postgres.voice()),
        }
    }

    /// What hears other processes on the same database.
    pub(crate) fn ears(&self) -> Option<Ears> {
        match self {
            Self::Sqlite(_) => None,
            Self::Postgres(postgres) => Some(postgres.ears()),
        }
    }

    pub(crate) async fn close(&self) {
        match self {
            Self::Sqlite(sqlite) => sqlite.close().await,
            Self::Postgres(postgres) => postgres.pool.close().await,
        }
    }

    /// The size of the database. A database server does not tell how large it may become.
    pub(crate) async fn size(&self) -> Result<DatabaseSize, sqlx::Error> {
        let sql = match self {
            Self::Sqlite(_) => sqlite::BYTES,
            Self::Postgres(_) => postgres::BYTES,
        };
        let row: Option<BytesRow> = self.optional(sql, vec![]).await?;
        let bytes = row.map_or(0, |row| u64::try_from(row.bytes).unwrap_or(0));
        match self {
            Self::Sqlite(sqlite) => sqlite.size(bytes).await,
            Self::Postgres(_) => Ok(DatabaseSize { bytes, limit: None }),
        }
    }

    /// Every row that a query finds.
    pub(crate) async fn all<R: Row>(
        &self,
        sql: impl SqlSafeStr,
        args: Vec<Arg>,
    ) -> Result<Vec<R>, sqlx::Error> {
        match self {
            Self::Sqlite(sqlite) => {
                bound!(sqlx::query_as::<_, R>(sql), args)
                    .fetch_all(&sqlite.readers)
                    .await
            }
            Self::Postgres(postgres) => {
                bound!(sqlx::query_as::<_, R>(sql), postgres::storable(args))
                    .fetch_all(&postgres.pool)
                    .await
            }
        }
    }

    /// The row that a query finds, if any.
    pub(crate) async fn optional<R: Row>(
        &self,
        sql: impl SqlSafeStr,
        args: Vec<Arg>,
    ) -> Result<Option<R>, sqlx::Error> {
        match self {
            Self::Sqlite(sqlite) => {
                bound!(sqlx::query_as::<_, R>(sql), args)
                    .fetch_optional(&sqlite.readers)
                    .await
            }
            Self::Postgres(postgres) => {
                bound!(sqlx::query_as::<_, R>(sql), postgres::storable(args))
                    .fetch_optional(&postgres.pool)
                    .await
            }
        }
    }

    /// The time of the database server, in microseconds; `None` where there is no server.
    pub(crate) async fn shared_time(&self) -> Result<Option<i64>, sqlx::Error> {
        if matches!(self, Self::Sqlite(_)) {
            return Ok(None);
        }
        let row: Option<(i64,)> = self.optional(postgres::TIME, Vec::new()).await?;
        Ok(row.map(|(time,)| time))
    }

    /// Takes what was deleted out of the files, as far as that holds up nobody: SQLite's journal is
    /// written back and emptied, PostgreSQL's dead rows are freed.
    pub(crate) async fn clean_up(&self) -> Result<(), sqlx::Error> {
        match self {
            Self::Sqlite(sqlite) => sqlite.empty_journal().await,
            Self::Postgres(postgres) => postgres.vacuum().await,
        }
    }

    /// Writes all files anew, so that nothing that was deleted is in them. Writers wait meanwhile,
    /// on PostgreSQL readers as well.
    pub(crate) async fn compact(&self) -> Result<(), sqlx::Error> {
        match self {
            Self::Sqlite(sqlite) => sqlite.compact().await,
            Self::Postgres(postgres) => postgres.compact().await,
        }
    }

    /// Begins a transaction that may write.
    pub(crate) async fn begin(&self) -> Result<Transaction, sqlx::Error> {
        match self {
            Self::Sqlite(sqlite) => sqlite.begin().await.map(Transaction::Sqlite),
            Self::Postgres(postgres) => postgres.begin().await.map(Transaction::Postgres),
        }
    }

    /// Begins a transaction for what is over in minutes. Its commit does not wait for the disk: a
    /// loss of power, or of PostgreSQL's server, may take it back.
    pub(crate) async fn begin_fleeting(&self) -> Result<Transaction, sqlx::Error> {
        match self {
            Self::Sqlite(sqlite) => sqlite.begin_fleeting().await.map(Transaction::Sqlite),
            Self::Postgres(postgres) => {
                let begun = postgres.begin_fleeting().await;
                begun.map(Transaction::Postgres)
            }
        }
    }
}

// === impl Transaction ===

impl Transaction {
    /// Locks these things of a kind against other writers until the transaction ends. It does
    /// nothing on SQLite, which has only one writer.
    pub(crate) async fn lock(
        &mut self,
        kind: &str,
        things: impl IntoIterator<Item = &str>,
    ) -> Result<(), sqlx::Error> {
        match self {
            Self::Sqlite(_) => Ok(()),
            Self::Postgres(transaction) => {
                postgres::lock(transaction, kind, things.into_iter().collect()).await
            }
        }
    }

    /// Locks these things of a kind against who locks them alone, and not against others who share
    /// them. It does nothing on SQLite, which has only one writer.
    pub(crate) async fn share(&mut self, kind: &str, thing: &str) -> Result<(), sqlx::Error> {
        match self {
            Self::Sqlite(_) => Ok(()),
            Self::Postgres(transaction) => postgres::share(transaction, kind, thing).await,
        }
    }

    /// Turns nested-loop joins off in PostgreSQL for the rest of the transaction. The statistics of
    /// a table that fills and empties do not show the waiting rows. The planner expects one row,
    /// meets thousands, and reads all of them once for each (50,000 open calls: 31 s instead of
    /// 0.1).
    pub(crate) async fn expect_many_rows(&mut self) -> Result<(), sqlx::Error> {
        match self {
            Self::Sqlite(_) => Ok(()),
            Self::Postgres(transaction) => sqlx::query("SET LOCAL enable_nestloop = off")
                .execute(&mut **transaction)
                .await
                .map(drop),
        }
    }

    /// Runs a statement and returns the number of affected rows.
    pub(crate) async fn execute(
        &mut self,
        sql: impl SqlSafeStr,
        args: Vec<Arg>,
    ) -> Result<u64, sqlx::Error> {
        match self {
            Self::Sqlite(transaction) => bound!(sqlx::query(sql), args)
                .execute(&mut **transaction)
                .await
                .map(|done| done.rows_affected()),
            Self::Postgres(transaction) => {
                let done = bound!(sqlx::query(sql), postgres::storable(args))
                    .execute(&mut **transaction)
                    .await;
                transaction.noted(done).map(|done| done.rows_affected())
            }
        }
    }

    pub(crate) async fn all<R: Row>(
        &mut self,
        sql: impl SqlSafeStr,
        args: Vec<Arg>,
    ) -> Result<Vec<R>, sqlx::Error> {
        match self {
            Self::Sqlite(transaction) => {
                bound!(sqlx::query_as::<_, R>(sql), args)
                    .fetch_all(&mut **transaction)
                    .await
            }
            Self::Postgres(transaction) => {
                let found = bound!(sqlx::query_as::<_, R>(sql), postgres::storable(args))
                    .fetch_all(&mut **transaction)
                    .await;
                transaction.noted(found)
            }
        }
    }

    pub(crate) async fn optional<R: Row>(
        &mut self,
        sql: impl SqlSafeStr,
        args: Vec<Arg>,
    ) -> Result<Option<R>, sqlx::Error> {
        match self {
            Self::Sqlite(transaction) => {
                bound!(sqlx::query_as::<_, R>(sql), args)
                    .fetch_optional(&mut **transaction)
                    .await
            }
            Self::Postgres(transaction) => {
                let found = bound!(sqlx::query_as::<_, R>(sql), postgres::storable(args))
                    .fetch_optional(&mut **transaction)
                    .await;
                transaction.noted(found)
            }
        }
    }

    /// Commits. The data is on disk when this returns.
    pub(crate) async fn commit(self) -> Result<(), sqlx::Error> {
        match self {
            Self::Sqlite(transaction) => transaction.commit().await,
            Self::Postgres(transaction) => transaction.commit().await,
        }
    }
}

// === impl Arg ===

impl From<&str> for Arg {
    fn from(text: &str) -> Self {
        Self::Text(Some(text.to_owned()))
    }
}

impl From<Option<&str>> for Arg {
    fn from(text: Option<&str>) -> Self {
        Self::Text(text.map(str::to_owned))
    }
}

impl From<String> for Arg {
    fn from(text: String) -> Self {
        Self::Text(Some(text))
    }
}

impl From<Option<String>> for Arg {
    fn from(text: Option<String>) -> Self {
        Self::Text(text)
    }
}

impl From<i64> for Arg {
    fn from(number: i64) -> Self {
        Self::Number(Some(number))
    }
}

impl From<Option<i64>> for Arg {
    fn from(number: Option<i64>) -> Self {
        Self::Number(number)
    }
}

/// The versions of the schema.
#[cfg(test)]
pub(crate) fn migrations(postgres: bool) -> &'static Migrator {
    if postgres {
        &postgres::MIGRATIONS
    } else {
        &sqlite::MIGRATIONS
    }
}

/// Whether a failure is temporary: busy, disk full or unreachable. A proxy in front of a server
/// that is away takes connections and ends them, which is not what the protocol has.
pub(crate) fn passes(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::Protocol(_)
        | sqlx::Error::BeginFailed
        | sqlx::Error::WorkerCrashed => true,
        sqlx::Error::Database(database) => {
            let code = database.code().unwrap_or_default();
            if database
                .try_downcast_ref::<sqlx::postgres::PgDatabaseError>()
                .is_some()
            {
                postgres::passes(&code)
            } else {
                sqlite::passes(&code)
            }
        }
        _ => false,
    }
}

/// Runs a transaction, and repeats it if it conflicts with another writer. The database has rolled
/// it back then, so nothing is written twice.
pub(crate) async fn uncrossed<T, F: Future<Output = Result<T, sqlx::Error>>>(
    mut run: impl FnMut() -> F,
) -> Result<T, sqlx::Error> {
    const TRIES: u32 = 5;
    let mut tries = 1;
    loop {
        match run().await {
            Err(sqlx::Error::Database(error))
                if tries < TRIES && error.code().is_some_and(|code| postgres::crossed(&code)) =>
            {
                tries += 1;
            }
            other => return other,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::{Migrator, passes, postgres, sqlite, uncrossed};

    /// An answer of a database that has this code and no more.
    #[derive(Debug)]
    struct Refused(Option<&'static str>);

    impl std::fmt::Display for Refused {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            write!(f, "refused with {:?}", self.0)
        }
    }

    impl std::error::Error for Refused {}

    impl sqlx::error::DatabaseError for Refused {
        fn message(&self) -> &str {
            "refused"
        }

        fn code(&self) -> Option<std::borrow::Cow<'_, str>> {
            self.0.map(Into::into)
        }

        fn as_error(&self) -> &(dyn std::error::Error + Send + Sync + 'static) {
            self
        }

        fn as_error_mut(&mut self) -> &mut (dyn std::error::Error + Send + Sync + 'static) {
            self
        }

        fn into_error(self: Box<Self>) -> Box<dyn std::error::Error + Send + Sync + 'static> {
            self
        }

        fn kind(&self) -> sqlx::error::ErrorKind {
            sqlx::error::ErrorKind::Other
        }
    }

    pub(super) fn refused(code: impl Into<Option<&'static str>>) -> sqlx::Error {
        sqlx::Error::Database(Box::new(Refused(code.into())))
    }

    /// How often a transaction is run that is refused with this code so many times, and whether it
    /// ends well.
    async fn runs(code: impl Into<Option<&'static str>>, times: u32) -> (u32, bool) {
        let (runs, code) = (Cell::new(0), code.into());
        let ended = uncrossed(|| async {
            runs.set(runs.get() + 1);
            match runs.get() > times {
                true => Ok(runs.get()),
                false => Err(refused(code)),
            }
        });
        let ended = ended.await;
        assert!(ended.as_ref().map_or(true, |run| *run == runs.get()));
        (runs.get(), ended.is_ok())
    }

    #[tokio::test]
    async fn a_transaction_that_conflicts_is_repeated_four_times_and_no_other_is() {
        for code in ["40001", "40P01"] {
            assert_eq!(runs(code, 0).await, (1, true));
            assert_eq!(runs(code, 1).await, (2, true));
            assert_eq!(runs(code, 4).await, (5, true));
            assert_eq!(runs(code, 5).await, (5, false), "the conflict is told");
        }
        for code in [Some("40002"), Some("23505"), Some("5"), None] {
            assert_eq!(runs(code, 1).await, (1, false), "{code:?}");
        }
        let lost = uncrossed(|| async { Err::<(), _>(sqlx::Error::PoolTimedOut) });
        assert!(matches!(lost.await, Err(sqlx::Error::PoolTimedOut)));
    }

    #[test]
    fn what_passes_is_that_the_database_is_busy_or_away() {
        use sqlx::Error;
        let io = || std::io::Error::from(std::io::ErrorKind::ConnectionReset);
        for later in [
            Error::PoolTimedOut,
            Error::PoolClosed,
            Error::Io(io()),
            Error::Tls(Box::new(io())),
            Error::Protocol("an end".to_owned()),
            Error::BeginFailed,
            Error::WorkerCrashed,
            refused("5"),
        ] {
            assert!(passes(&later), "{later:?}");
        }
        for never in [
            Error::RowNotFound,
            Error::ColumnNotFound("number".to_owned()),
            Error::Configuration(Box::new(io())),
            refused("19"),
            refused(None),
        ] {
            assert!(!passes(&never), "{never:?}");
        }
    }

    #[test]
    fn every_file_of_migrations_is_a_version_of_the_schema() {
        for (kind, migrator) in [
            ("sqlite", &*sqlite::MIGRATIONS),
            ("postgres", &*postgres::MIGRATIONS),
        ] {
            let folder = format!(
                "{}/src/directory/migrations/{kind}",
                env!("CARGO_MANIFEST_DIR")
            );
            let mut files: Vec<_> = std::fs::read_dir(folder)
                .unwrap()
                .map(|file| file.unwrap().file_name().into_string().unwrap())
                .collect();
            files.sort();
            assert_eq!(names(migrator), files, "{kind}");
        }
    }

    #[test]
    fn a_released_migration_never_changes() {
        let checksums = |migrator: &Migrator| -> Vec<String> {
            let start = |migration: &super::Migration| {
                let bytes = migration.checksum.iter().take(12);
                bytes.map(|byte| format!("{byte:02x}")).collect()
            };
            migrator.iter().map(start).collect()
        };
        // The first bytes of the SHA-384 of each file: every database compares them.
        let later = ["84a78daeb6164e2897397988", "6273482b0fb2dd3689832dc6"];
        let (first, questions) = ("232e57f49900efff4f22bb34", "3f0f495f279441ac6b0f2baa");
        let of_sqlite = [
            first,
            later[0],
            later[1],
            questions,
            "6c93f3024717d7082f17a0f9",
            "c4d1bc8b3738fc30e9213cfb",
            "4036d27c8e300b9d9e88348f",
            "845c75000dd69c6150d92e25",
            "6adf692f29cade9d4738d936",
            "8bc25b33da417b5803d23c9f",
            "aecdf9d6bfd8dab121f57cdd",
            "347cfd9c9806139261b975dc",
        ];
        assert_eq!(checksums(&sqlite::MIGRATIONS), of_sqlite);
        let (first, questions) = ("504dd75451bad4dc91c9a6d0", "84892f887ef1af48cbc9f59e");
        let of_postgres = [
            first,
            later[0],
            later[1],
            questions,
            "07087859527e2287c0bc1358",
            "2d4fa64d22a94555e3d2ed6e",
            "2ca27684960972b48b61093a",
            "ba090a4bda8da8bca1885f5b",
            "351ca294563bdfdfd3f749da",
            "057610f1a3cd55564cd081c8",
            "dc3e42a702af09b04f992e72",
            "70f2c41a4734afc773c9832a",
        ];
        assert_eq!(checksums(&postgres::MIGRATIONS), of_postgres);
    }

    fn names(migrator: &Migrator) -> Vec<String> {
        let name = |migration: &super::Migration| {
            let what = migration.description.replace(' ', "_");
            format!("{:04}_{what}.sql", migration.version)
        };
        migrator.iter().map(name).collect()
    }
}

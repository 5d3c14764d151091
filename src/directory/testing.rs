//! Shared support for the directory's tests: it runs the same test on each database.

use tempfile::TempDir;

/// The database that a test runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Backend {
    Sqlite,
    Postgres,
}

// === impl Backend ===

impl Backend {
    /// The address of a new database.
    pub(crate) fn fresh(self, folder: &TempDir) -> String {
        match self {
            Self::Sqlite => format!("sqlite:{}", folder.path().join("directory.db").display()),
            Self::Postgres => switchboard_testbed::Postgres::shared()
                .and_then(|server| server.new_database())
                .unwrap(),
        }
    }
}

/// Generates a SQLite test and a PostgreSQL test from each function that takes a [`Backend`].
macro_rules! on_each_database {
    ($($promise:ident),* $(,)?) => {
        mod on_sqlite {
            $(#[tokio::test]
            async fn $promise() {
                super::$promise($crate::directory::testing::Backend::Sqlite).await;
            })*
        }
        mod on_postgres {
            $(#[tokio::test]
            async fn $promise() {
                super::$promise($crate::directory::testing::Backend::Postgres).await;
            })*
        }
    };
}
pub(crate) use on_each_database;

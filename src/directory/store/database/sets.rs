//! Statements over many rows at once.
//!
//! A statement sees its rows as the table `n`. PostgreSQL gets them as one array for each column.
//! SQLite gets them as values, some at a time: a statement of a fixed size is prepared once, and a
//! parameter without a name is bound without a search.

use sqlx::AssertSqlSafe;

use super::{Arg, Database, Row, Transaction, bound, postgres};

/// How many rows one statement on SQLite has. The last rows of a set need the smaller ones.
const SIZES: [usize; 4] = [250, 25, 5, 1];

/// The type of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Text,
    Number,
}

/// A statement over rows.
#[derive(Debug)]
pub(crate) struct Rowwise {
    /// The columns of `n`, by name.
    pub(crate) columns: &'static [(&'static str, Kind)],
    /// What follows `WITH n AS (…)`.
    pub(crate) sql: &'static str,
}

/// The rows for a statement, in the order of its columns.
#[derive(Debug, Clone, Default)]
pub(crate) struct Rows(Vec<Vec<Arg>>);

// === impl Rows ===

impl Rows {
    pub(crate) fn push(&mut self, row: Vec<Arg>) {
        self.0.push(row);
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The parameters of statements on SQLite, with how many rows each has.
    fn into_pieces(self) -> impl Iterator<Item = (usize, Vec<Arg>)> {
        let mut rows = self.0.into_iter();
        std::iter::from_fn(move || {
            let size = SIZES.into_iter().find(|size| *size <= rows.len())?;
            Some((size, rows.by_ref().take(size).flatten().collect()))
        })
    }

    /// The rows as arrays, one for each column.
    fn into_arrays(self, columns: &[(&str, Kind)]) -> Vec<Array> {
        let mut arrays: Vec<Array> = columns
            .iter()
            .map(|(_, kind)| match kind {
                Kind::Text => Array::Text(Vec::with_capacity(self.0.len())),
                Kind::Number => Array::Number(Vec::with_capacity(self.0.len())),
            })
            .collect();
        for row in self.0 {
            for (array, arg) in arrays.iter_mut().zip(postgres::storable(row)) {
                match (array, arg) {
                    (Array::Text(texts), Arg::Text(text)) => texts.push(text),
                    (Array::Number(numbers), Arg::Number(number)) => numbers.push(number),
                    // A row that is not of these columns is a bug; the database refuses the null.
                    (Array::Text(texts), Arg::Number(_)) => texts.push(None),
                    (Array::Number(numbers), Arg::Text(_)) => numbers.push(None),
                }
            }
        }
        arrays
    }
}

impl FromIterator<Vec<Arg>> for Rows {
    fn from_iter<T: IntoIterator<Item = Vec<Arg>>>(rows: T) -> Self {
        Self(rows.into_iter().collect())
    }
}

/// A column of many rows.
enum Array {
    Text(Vec<Option<String>>),
    Number(Vec<Option<i64>>),
}

// === impl Rowwise ===

impl Rowwise {
    fn names(&self) -> String {
        let names: Vec<&str> = self.columns.iter().map(|(name, _)| *name).collect();
        names.join(", ")
    }

    fn on_postgres(&self) -> String {
        let arrays: Vec<String> = (1..)
            .zip(self.columns)
            .map(|(place, (_, kind))| match kind {
                Kind::Text => format!("${place}::text[]"),
                Kind::Number => format!("${place}::bigint[]"),
            })
            .collect();
        let (names, arrays) = (self.names(), arrays.join(", "));
        format!(
            "WITH n ({names}) AS (SELECT * FROM unnest({arrays})) {}",
            self.sql
        )
    }

    /// The statement for so many rows on SQLite.
    pub(crate) fn on_sqlite(&self, rows: usize) -> String {
        let row = format!("({})", vec!["?"; self.columns.len()].join(","));
        let rows = vec![row.as_str(); rows].join(",");
        format!("WITH n ({}) AS (VALUES {rows}) {}", self.names(), self.sql)
    }
}

/// Binds the arrays of a statement.
macro_rules! bound_arrays {
    ($query:expr, $arrays:expr) => {{
        let mut query = $query;
        for array in $arrays {
            query = match array {
                Array::Text(texts) => query.bind(texts),
                Array::Number(numbers) => query.bind(numbers),
            };
        }
        query
    }};
}

// === impl Transaction ===

impl Transaction {
    /// Runs a statement over rows and returns the number of affected rows.
    pub(crate) async fn execute_rows(
        &mut self,
        statement: &Rowwise,
        rows: Rows,
    ) -> Result<u64, sqlx::Error> {
        let mut affected = 0;
        if rows.is_empty() {
            return Ok(affected);
        }
        match self {
            Self::Sqlite(transaction) => {
                for (size, args) in rows.into_pieces() {
                    let sql = AssertSqlSafe(statement.on_sqlite(size));
                    let done = bound!(sqlx::query(sql), args)
                        .execute(&mut **transaction)
                        .await?;
                    affected += done.rows_affected();
                }
            }
            Self::Postgres(transaction) => {
                let sql = AssertSqlSafe(statement.on_postgres());
                let arrays = rows.into_arrays(statement.columns);
                let done = bound_arrays!(sqlx::query(sql), arrays)
                    .execute(&mut **transaction)
                    .await;
                affected = transaction.noted(done)?.rows_affected();
            }
        }
        Ok(affected)
    }

    /// Every row that a query over rows finds.
    pub(crate) async fn all_rows<R: Row>(
        &mut self,
        statement: &Rowwise,
        rows: Rows,
    ) -> Result<Vec<R>, sqlx::Error> {
        let mut found = Vec::new();
        if rows.is_empty() {
            return Ok(found);
        }
        match self {
            Self::Sqlite(transaction) => {
                for (size, args) in rows.into_pieces() {
                    let sql = AssertSqlSafe(statement.on_sqlite(size));
                    let rows = bound!(sqlx::query_as::<_, R>(sql), args)
                        .fetch_all(&mut **transaction)
                        .await?;
                    found.extend(rows);
                }
            }
            Self::Postgres(transaction) => {
                let sql = AssertSqlSafe(statement.on_postgres());
                let arrays = rows.into_arrays(statement.columns);
                let rows = bound_arrays!(sqlx::query_as::<_, R>(sql), arrays)
                    .fetch_all(&mut **transaction)
                    .await;
                found = transaction.noted(rows)?;
            }
        }
        Ok(found)
    }
}

// === impl Database ===

impl Database {
    /// Every row that a query over rows finds.
    pub(crate) async fn all_rows<R: Row>(
        &self,
        statement: &Rowwise,
        rows: Rows,
    ) -> Result<Vec<R>, sqlx::Error> {
        let mut found = Vec::new();
        if rows.is_empty() {
            return Ok(found);
        }
        match self {
            Self::Sqlite(sqlite) => {
                for (size, args) in rows.into_pieces() {
                    let sql = AssertSqlSafe(statement.on_sqlite(size));
                    let rows = bound!(sqlx::query_as::<_, R>(sql), args)
                        .fetch_all(&sqlite.readers)
                        .await?;
                    found.extend(rows);
                }
            }
            Self::Postgres(postgres) => {
                let sql = AssertSqlSafe(statement.on_postgres());
                let arrays = rows.into_arrays(statement.columns);
                found = bound_arrays!(sqlx::query_as::<_, R>(sql), arrays)
                    .fetch_all(&postgres.pool)
                    .await?;
            }
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::directory::store::database::args;

    #[test]
    fn rows_are_split_into_few_sizes_and_none_is_lost() {
        for count in [0, 1, 4, 5, 24, 25, 249, 250, 999, 1_000] {
            let rows: Rows = (0..count).map(|at| args![at, "text"]).collect();
            let pieces: Vec<_> = rows.into_pieces().collect();
            let sizes: Vec<usize> = pieces.iter().map(|(size, _)| *size).collect();
            assert_eq!(sizes.iter().sum::<usize>(), count as usize);
            assert!(sizes.iter().all(|size| SIZES.contains(size)), "{sizes:?}");
            assert!(pieces.iter().all(|(size, args)| args.len() == size * 2));
        }
    }
}

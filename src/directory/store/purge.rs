//! Retention: what is older than an age goes, a little at a time, company by company.
//!
//! Every transaction looks at a thousand rows at most, however many there are and however few of them go: on SQLite the
//! webhooks of all tenants wait for it.

use jiff::Timestamp;

use super::{
    Store, StoreError,
    database::{Arg, args, row, uncrossed},
    row::micros,
};
use crate::directory::CompanyId;

/// How many rows one transaction looks at.
const BATCH: i64 = 1_000;

/// Behind every number: they are digits after a plus sign.
const LAST: &str = "~";

const NEXT_WITH_CALLS: &str =
    "SELECT company AS key FROM calls WHERE company > $1 ORDER BY company LIMIT 1";
const NEXT_WITH_CONTACTS: &str =
    "SELECT company AS key FROM contacts WHERE company > $1 ORDER BY company LIMIT 1";

/// $1 company, $2 before, $3 rows at most: from the old end of the history. A call counts by its start: that is what a
/// history shows.
pub(super) const CALLS: &str = "DELETE FROM calls WHERE company = $1 AND id IN (SELECT id FROM calls \
     WHERE company = $1 AND started_at < $2 ORDER BY started_at, id LIMIT $3)";

/// $1 company, $2 after this number, $3 rows: where a piece of the contacts ends.
pub(super) const PIECE: &str = "SELECT number AS key FROM contacts WHERE company = $1 AND number > $2 \
     ORDER BY number LIMIT 1 OFFSET $3";

/// $1 company, $2 after this number, $3 up to this one, $4 before. Contacts that nobody wrote or confirmed since, and
/// that no call of the history shows any more.
pub(super) const CONTACTS: &str = "DELETE FROM contacts WHERE company = $1 AND number > $2 AND number <= $3 \
     AND updated_at < $4 AND source = 'Salesforce' \
     AND NOT EXISTS (SELECT 1 FROM calls c WHERE c.company = contacts.company AND c.e164 = contacts.number)";

/// What was taken away.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::directory) struct Purged {
    pub(in crate::directory) calls: u64,
    pub(in crate::directory) contacts: u64,
}

row! {
    struct KeyRow {
        key: String,
    }
}

// === impl Store ===

impl Store {
    /// Takes away calls that started before this time, and what Salesforce said before it about numbers that no call
    /// shows any more. A contact written by hand stays: a person removes it.
    pub(in crate::directory) async fn purge(
        &self,
        company: Option<&CompanyId>,
        before: Timestamp,
    ) -> Result<Purged, StoreError> {
        self.purge_each(company.map(CompanyId::as_str), micros(before))
            .await
            .map_err(|error| StoreError::sort("take old calls and contacts away", error))
    }

    async fn purge_each(&self, only: Option<&str>, before: i64) -> Result<Purged, sqlx::Error> {
        let mut purged = Purged::default();
        if let Some(company) = only {
            purged.calls = self.purge_calls(company, before).await?;
            purged.contacts = self.purge_contacts(company, before).await?;
            return Ok(purged);
        }
        let mut company = String::new();
        while let Some(next) = self.key(NEXT_WITH_CALLS, args![company.as_str()]).await? {
            purged.calls += self.purge_calls(&next, before).await?;
            company = next;
        }
        let mut company = String::new();
        while let Some(next) = self
            .key(NEXT_WITH_CONTACTS, args![company.as_str()])
            .await?
        {
            purged.contacts += self.purge_contacts(&next, before).await?;
            company = next;
        }
        Ok(purged)
    }

    async fn purge_calls(&self, company: &str, before: i64) -> Result<u64, sqlx::Error> {
        let mut gone = 0;
        loop {
            let rows = self.take_away(CALLS, args![company, before, BATCH]).await?;
            gone += rows;
            if rows < BATCH as u64 {
                return Ok(gone);
            }
        }
    }

    async fn purge_contacts(&self, company: &str, before: i64) -> Result<u64, sqlx::Error> {
        let mut gone = 0;
        let mut after = String::new();
        loop {
            let piece = self
                .key(PIECE, args![company, after.as_str(), BATCH - 1])
                .await?;
            let upto = piece.as_deref().unwrap_or(LAST);
            gone += self
                .take_away(CONTACTS, args![company, after.as_str(), upto, before])
                .await?;
            match piece {
                Some(upto) => after = upto,
                None => return Ok(gone),
            }
        }
    }

    async fn key(&self, sql: &'static str, args: Vec<Arg>) -> Result<Option<String>, sqlx::Error> {
        let row: Option<KeyRow> = self.database.optional(sql, args).await?;
        Ok(row.map(|row| row.key))
    }

    async fn take_away(&self, sql: &'static str, args: Vec<Arg>) -> Result<u64, sqlx::Error> {
        uncrossed(|| async {
            let mut transaction = self.database.begin().await?;
            let rows = transaction.execute(sql, args.clone()).await?;
            transaction.commit().await?;
            Ok(rows)
        })
        .await
    }
}

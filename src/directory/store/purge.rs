//! Retention: it deletes rows beyond an age, in small batches, company by company.
//!
//! Every transaction reads at most a thousand rows, however many there are and however few of them
//! it deletes. On SQLite the webhooks of all tenants wait for it.

use jiff::{SignedDuration, Timestamp};

use super::database::rows::micros;
use super::database::{Arg, args, row, uncrossed};
use super::{Store, StoreError, book, shorter};
use crate::company_id::CompanyId;

/// The most rows that one transaction reads.
const BATCH: i64 = 1_000;

/// Sorts after every number, because a number is a plus sign and digits.
const LAST: &str = "~";

const NEXT_WITH_CALLS: &str =
    "SELECT company AS key FROM calls WHERE company > $1 ORDER BY company LIMIT 1";
const NEXT_WITH_CONTACTS: &str =
    "SELECT company AS key FROM contacts WHERE company > $1 ORDER BY company LIMIT 1";

const NEXT_WITH_QUESTIONS: &str =
    "SELECT company AS key FROM questions WHERE company > $1 ORDER BY company LIMIT 1";

/// Parameters: $1 company, $2 before, $3 most rows. It deletes from the old end of the history. The
/// start of a call counts, because a history shows the start.
pub(crate) const CALLS: &str = "DELETE FROM calls WHERE company = $1 AND id IN (SELECT id FROM calls \
     WHERE company = $1 AND started_at < $2 ORDER BY started_at, id LIMIT $3)";

/// Parameters: $1 company, $2 after this number, $3 rows. It finds the end of a batch of contacts.
pub(crate) const PIECE: &str = "SELECT number AS key FROM contacts WHERE company = $1 AND number > $2 \
     ORDER BY number LIMIT 1 OFFSET $3";

/// Parameters: $1 company, $2 after this number, $3 up to this number, $4 before. It deletes
/// contacts that nobody wrote or confirmed since then, and that no call in the history shows any
/// more.
pub(crate) const CONTACTS: &str = "DELETE FROM contacts WHERE company = $1 AND number > $2 AND number <= $3 \
     AND updated_at < $4 AND source = 'Salesforce' \
     AND NOT EXISTS (SELECT 1 FROM calls c WHERE c.company = contacts.company AND c.e164 = contacts.number)";

/// Parameters: those of [`PIECE`], for the questions that were asked about numbers.
pub(crate) const PIECE_OF_QUESTIONS: &str = "SELECT number AS key FROM questions WHERE company = $1 AND number > $2 \
     ORDER BY number LIMIT 1 OFFSET $3";

/// Parameters: those of [`CONTACTS`]. A question goes with the last call of its number, so that
/// nobody asks for ever about a caller of whom nothing is kept.
pub(crate) const QUESTIONS: &str = "DELETE FROM questions WHERE company = $1 AND number > $2 AND number <= $3 \
     AND asked_at < $4 \
     AND NOT EXISTS (SELECT 1 FROM calls c WHERE c.company = questions.company AND c.e164 = questions.number)";

/// Number of deleted rows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Purged {
    pub(crate) calls: u64,
    pub(crate) contacts: u64,
}

row! {
    pub(crate) struct KeyRow {
        pub(crate) key: String,
    }
}

// === impl Store ===

impl Store {
    /// Deletes what is older than it may be: than its company asks for, and than `most` days.
    pub(crate) async fn retain(
        &self,
        most: Option<u32>,
        now: Timestamp,
    ) -> Result<Purged, StoreError> {
        let sort = |error| StoreError::sort("take old calls and contacts away", error);
        let own = self.retentions().await.map_err(sort)?;
        let before = |company: &str| {
            let days = shorter(own.get(company).copied(), most)?;
            Some(micros(days_before(now, days)))
        };
        self.purge_each(before).await.map_err(sort)
    }

    /// Deletes calls that started before this time, and older Salesforce contacts whose numbers no
    /// call shows any more, with what Salesforce was asked about such numbers, and address books
    /// that no worker confirmed since. A contact written by hand stays until somebody removes it.
    pub(crate) async fn purge(
        &self,
        company: Option<&CompanyId>,
        before: Timestamp,
    ) -> Result<Purged, StoreError> {
        let before = micros(before);
        let purged = match company {
            Some(company) => self.purge_one(company.as_str(), before).await,
            None => self.purge_each(|_| Some(before)).await,
        };
        purged.map_err(|error| StoreError::sort("take old calls and contacts away", error))
    }

    async fn purge_one(&self, company: &str, before: i64) -> Result<Purged, sqlx::Error> {
        let calls = self.purge_calls(company, before).await?;
        let contacts = self.purge_contacts(company, before).await?;
        self.purge_questions(company, before).await?;
        self.purge_book(company, before).await?;
        Ok(Purged { calls, contacts })
    }

    /// Goes through all companies; `before` tells of each what is too old, if anything is.
    async fn purge_each(
        &self,
        before: impl Fn(&str) -> Option<i64>,
    ) -> Result<Purged, sqlx::Error> {
        let mut purged = Purged::default();
        let mut company = String::new();
        while let Some(next) = self.key(NEXT_WITH_CALLS, args![company.as_str()]).await? {
            if let Some(before) = before(&next) {
                purged.calls += self.purge_calls(&next, before).await?;
            }
            company = next;
        }
        let mut company = String::new();
        while let Some(next) = self
            .key(NEXT_WITH_CONTACTS, args![company.as_str()])
            .await?
        {
            if let Some(before) = before(&next) {
                purged.contacts += self.purge_contacts(&next, before).await?;
            }
            company = next;
        }
        let mut company = String::new();
        while let Some(next) = self
            .key(NEXT_WITH_QUESTIONS, args![company.as_str()])
            .await?
        {
            if let Some(before) = before(&next) {
                self.purge_questions(&next, before).await?;
            }
            company = next;
        }
        let mut company = String::new();
        while let Some(next) = self.key(book::NEXT, args![company.as_str()]).await? {
            if let Some(before) = before(&next) {
                self.purge_book(&next, before).await?;
            }
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
        self.purge_numbers(PIECE, CONTACTS, company, before).await
    }

    async fn purge_questions(&self, company: &str, before: i64) -> Result<u64, sqlx::Error> {
        self.purge_numbers(PIECE_OF_QUESTIONS, QUESTIONS, company, before)
            .await
    }

    /// Goes through a table of numbers in pieces: `piece` finds the end of one, `delete` deletes
    /// from it.
    async fn purge_numbers(
        &self,
        piece: &'static str,
        delete: &'static str,
        company: &str,
        before: i64,
    ) -> Result<u64, sqlx::Error> {
        let mut gone = 0;
        let mut after = String::new();
        loop {
            let end = self
                .key(piece, args![company, after.as_str(), BATCH - 1])
                .await?;
            let upto = end.as_deref().unwrap_or(LAST);
            gone += self
                .take_away(delete, args![company, after.as_str(), upto, before])
                .await?;
            match end {
                Some(upto) => after = upto,
                None => return Ok(gone),
            }
        }
    }

    pub(crate) async fn key(
        &self,
        sql: &'static str,
        args: Vec<Arg>,
    ) -> Result<Option<String>, sqlx::Error> {
        let row: Option<KeyRow> = self.database.optional(sql, args).await?;
        Ok(row.map(|row| row.key))
    }

    pub(crate) async fn take_away(
        &self,
        sql: &'static str,
        args: Vec<Arg>,
    ) -> Result<u64, sqlx::Error> {
        uncrossed(|| async {
            let mut transaction = self.database.begin().await?;
            let rows = transaction.execute(sql, args.clone()).await?;
            transaction.commit().await?;
            Ok(rows)
        })
        .await
    }
}

/// The time this many days before `now`, or the earliest possible time if it is out of range.
pub(crate) fn days_before(now: Timestamp, days: u32) -> Timestamp {
    now.checked_sub(SignedDuration::from_hours(24 * i64::from(days)))
        .unwrap_or(Timestamp::MIN)
}

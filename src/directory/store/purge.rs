//! Retention: what is older than an age goes, a little at a time.

use jiff::Timestamp;

use super::{
    Store, StoreError,
    database::{args, uncrossed},
    row::micros,
};
use crate::directory::CompanyId;

/// How many rows one transaction takes, so that nobody waits long for its end.
const BATCH: i64 = 1_000;

/// $1 before, $2 rows at most, $3 company. A call counts by its start: that is what a history shows.
const OF_ONE: &str = "DELETE FROM calls WHERE (company, id) IN (SELECT company, id FROM calls \
     WHERE started_at < $1 AND company = $3 LIMIT $2)";
const OF_ALL: &str = "DELETE FROM calls WHERE (company, id) IN (SELECT company, id FROM calls \
     WHERE started_at < $1 LIMIT $2)";

/// Contacts that nobody wrote or confirmed since, and that no call of the history shows any more.
const CONTACTS_OF_ONE: &str = "DELETE FROM contacts WHERE (company, number) IN (SELECT company, number FROM contacts k \
     WHERE updated_at < $1 AND source = 'Salesforce' AND company = $3 \
     AND NOT EXISTS (SELECT 1 FROM calls c WHERE c.company = k.company AND c.e164 = k.number) LIMIT $2)";
const CONTACTS_OF_ALL: &str = "DELETE FROM contacts WHERE (company, number) IN (SELECT company, number FROM contacts k \
     WHERE updated_at < $1 AND source = 'Salesforce' \
     AND NOT EXISTS (SELECT 1 FROM calls c WHERE c.company = k.company AND c.e164 = k.number) LIMIT $2)";

/// What was taken away.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::directory) struct Purged {
    pub(in crate::directory) calls: u64,
    pub(in crate::directory) contacts: u64,
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
        let (calls, contacts) = match company {
            Some(_) => (OF_ONE, CONTACTS_OF_ONE),
            None => (OF_ALL, CONTACTS_OF_ALL),
        };
        Ok(Purged {
            calls: self.purge_in_batches(calls, company, before).await?,
            contacts: self.purge_in_batches(contacts, company, before).await?,
        })
    }

    async fn purge_in_batches(
        &self,
        sql: &'static str,
        company: Option<&CompanyId>,
        before: Timestamp,
    ) -> Result<u64, StoreError> {
        let mut gone = 0;
        loop {
            let rows = uncrossed(|| self.purge_batch(sql, company, before))
                .await
                .map_err(|error| StoreError::sort("take old calls and contacts away", error))?;
            gone += rows;
            if rows < BATCH as u64 {
                return Ok(gone);
            }
        }
    }

    async fn purge_batch(
        &self,
        sql: &'static str,
        company: Option<&CompanyId>,
        before: Timestamp,
    ) -> Result<u64, sqlx::Error> {
        let mut args = args![micros(before), BATCH];
        args.extend(company.map(|company| company.as_str().into()));
        let mut transaction = self.database.begin().await?;
        let rows = transaction.execute(sql, args).await?;
        transaction.commit().await?;
        Ok(rows)
    }
}

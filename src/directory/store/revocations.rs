//! Revoked tokens: since when those of a company have to be issued.

use jiff::Timestamp;

use super::database::rows::{micros, time};
use super::database::{args, row, uncrossed};
use super::{Store, StoreError};
use crate::company_id::CompanyId;

/// Parameters: $1 company, $2 time. A time only goes forward.
pub(crate) const RAISE: &str = "INSERT INTO revocations (company, not_before) VALUES ($1, $2) \
     ON CONFLICT (company) DO UPDATE SET not_before = \
     CASE WHEN excluded.not_before > revocations.not_before THEN excluded.not_before ELSE revocations.not_before END \
     RETURNING company, not_before";

const ALL: &str = "SELECT company, not_before FROM revocations";

row! {
    struct RevocationRow {
        company: String,
        not_before: i64,
    }
}

// === impl Store ===

impl Store {
    /// From now on refuses tokens of the company that were issued before this time. Returns the
    /// time that holds, which may be a later one of before.
    pub(crate) async fn refuse_tokens_before(
        &self,
        company: &CompanyId,
        at: Timestamp,
    ) -> Result<Timestamp, StoreError> {
        let row = uncrossed(|| self.try_raise(company, at)).await;
        let row = row.map_err(|error| StoreError::sort("revoke tokens", error))?;
        row.map_or(Ok(at), |row| time(row.not_before))
    }

    async fn try_raise(
        &self,
        company: &CompanyId,
        at: Timestamp,
    ) -> Result<Option<RevocationRow>, sqlx::Error> {
        let mut transaction = self.database.begin().await?;
        let key = args![company.as_str(), micros(at)];
        let row = transaction.optional(RAISE, key).await?;
        transaction.commit().await?;
        Ok(row)
    }

    /// All companies with revoked tokens, and since when theirs have to be issued.
    pub(crate) async fn revocations(&self) -> Result<Vec<(CompanyId, Timestamp)>, StoreError> {
        let rows: Vec<RevocationRow> = self
            .database
            .all(ALL, vec![])
            .await
            .map_err(|error| StoreError::sort("read which tokens are revoked", error))?;
        rows.into_iter()
            .map(|row| {
                let company = row.company.parse();
                let company = company.map_err(|_| StoreError::Corrupt("a company ID"))?;
                Ok((company, time(row.not_before)?))
            })
            .collect()
    }
}

//! The audit: who read, changed, erased or exported what. A number is named by its keyed hash.

use jiff::Timestamp;

use super::database::rows::{micros, time};
use super::database::{Arg, Transaction, args, row};
use super::{Store, StoreError};
use crate::company_id::CompanyId;
use crate::directory::model::privacy::AuditEntry;

/// All contacts were read as CSV.
pub(crate) const CONTACTS_EXPORTED: &str = "contacts-exported";
/// Calls were read as CSV.
pub(crate) const CALLS_EXPORTED: &str = "calls-exported";
/// A contact was edited by hand.
pub(crate) const CONTACT_EDITED: &str = "contact-edited";
/// A contact was removed by hand.
pub(crate) const CONTACT_REMOVED: &str = "contact-removed";
/// What is held about a number was erased.
pub(crate) const NUMBER_ERASED: &str = "number-erased";
/// A number that was erased may be kept again.
pub(crate) const NUMBER_RESTORED: &str = "number-restored";
/// What is held about a number was read as one document.
pub(crate) const NUMBER_EXPORTED: &str = "number-exported";
/// An integration claimed the company, of which nothing was held.
pub(crate) const DATA_CLAIMED: &str = "data-claimed";
/// An integration took over what another one had left.
pub(crate) const DATA_TAKEN_OVER: &str = "data-taken-over";
/// Everything that was held about the company was erased.
pub(crate) const COMPANY_ERASED: &str = "company-erased";

const WRITE: &str = "INSERT INTO audit (company, at, id, purpose, key_id, action, number_hash, detail) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";

/// The start of every page statement. It contains the condition on the company.
const PAGE: &str =
    "SELECT at, id, purpose, key_id, action, number_hash, detail FROM audit WHERE company = $1";

const NEXT_WITH_AUDIT: &str =
    "SELECT company AS key FROM audit WHERE company > $1 ORDER BY company LIMIT 1";

/// Parameters: $1 company, $2 before, $3 most rows.
const OLD: &str = "DELETE FROM audit WHERE company = $1 AND (at, id) IN (SELECT at, id FROM audit \
     WHERE company = $1 AND at < $2 ORDER BY at, id LIMIT $3)";

const BATCH: i64 = 1_000;

/// Who acts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Actor {
    /// The purpose of the token.
    pub(crate) purpose: String,
    /// The key that signed it.
    pub(crate) key_id: String,
}

/// What was done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) action: &'static str,
    pub(crate) number_hash: Option<String>,
    pub(crate) detail: Option<String>,
}

/// Selects the entries of a page.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct AuditFilter {
    /// Only entries about the number with one of these hashes, if there are any.
    pub(crate) number_hashes: Vec<String>,
    /// Only entries older than this position.
    pub(crate) after: Option<(Timestamp, String)>,
    /// The most entries.
    pub(crate) limit: u32,
}

row! {
    struct AuditRow {
        at: i64,
        id: String,
        purpose: String,
        key_id: String,
        action: String,
        number_hash: Option<String>,
        detail: Option<String>,
    }
}

// === impl Actor ===

impl Actor {
    /// Who runs the directory, at its command line.
    pub(crate) fn operator() -> Self {
        Self {
            purpose: "operator".to_owned(),
            key_id: String::new(),
        }
    }
}

// === impl Record ===

impl Record {
    /// A record without a number.
    pub(crate) fn new(action: &'static str) -> Self {
        Self {
            action,
            number_hash: None,
            detail: None,
        }
    }

    /// A record about a number.
    pub(crate) fn about(action: &'static str, number_hash: String) -> Self {
        Self {
            number_hash: Some(number_hash),
            ..Self::new(action)
        }
    }
}

/// Writes an entry, in the transaction of what it is about.
pub(crate) async fn write(
    transaction: &mut Transaction,
    company: &CompanyId,
    actor: &Actor,
    record: &Record,
    now: Timestamp,
) -> Result<(), sqlx::Error> {
    let id = format!("{:016x}", rand::random::<u64>());
    let columns = args![
        company.as_str(),
        micros(now),
        id,
        actor.purpose.as_str(),
        actor.key_id.as_str(),
        record.action,
        record.number_hash.as_deref(),
        record.detail.as_deref(),
    ];
    transaction.execute(WRITE, columns).await.map(drop)
}

// === impl Store ===

impl Store {
    /// Writes an entry about something that changes nothing else.
    pub(crate) async fn record(
        &self,
        company: &CompanyId,
        actor: &Actor,
        record: &Record,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let sort = |error| StoreError::sort("write the audit", error);
        let mut transaction = self.database.begin().await.map_err(sort)?;
        write(&mut transaction, company, actor, record, now)
            .await
            .map_err(sort)?;
        transaction.commit().await.map_err(sort)
    }

    /// A page of the audit, newest first. The second value is the start of the next page, if there
    /// is one.
    #[allow(clippy::type_complexity, reason = "a position is a time and an id")]
    pub(crate) async fn audit(
        &self,
        company: &CompanyId,
        filter: &AuditFilter,
    ) -> Result<(Vec<AuditEntry>, Option<(Timestamp, String)>), StoreError> {
        let (sql, args) = page(company, filter);
        let rows: Vec<AuditRow> = self
            .database
            .all(sqlx::AssertSqlSafe(sql), args)
            .await
            .map_err(|error| StoreError::sort("read the audit", error))?;
        let limit = filter.limit as usize;
        let more = rows.len() > limit;
        let last = rows.get(limit.saturating_sub(1)).filter(|_| more);
        let next = last
            .map(|row| Ok::<_, StoreError>((time(row.at)?, row.id.clone())))
            .transpose()?;
        let entries = rows
            .into_iter()
            .take(limit)
            .map(|row| {
                Ok(AuditEntry {
                    at: time(row.at)?,
                    action: row.action,
                    purpose: row.purpose,
                    key_id: row.key_id,
                    number_hash: row.number_hash,
                    detail: row.detail,
                })
            })
            .collect::<Result<_, StoreError>>()?;
        Ok((entries, next))
    }

    /// Deletes entries of before this time.
    pub(crate) async fn purge_audit(&self, before: Timestamp) -> Result<u64, StoreError> {
        let sort = |error| StoreError::sort("take old entries of the audit away", error);
        let (mut gone, mut company) = (0, String::new());
        while let Some(next) = self
            .key(NEXT_WITH_AUDIT, args![company.as_str()])
            .await
            .map_err(sort)?
        {
            loop {
                let rows = self.take_away(OLD, args![next.as_str(), micros(before), BATCH]);
                let rows = rows.await.map_err(sort)?;
                gone += rows;
                if rows < BATCH as u64 {
                    break;
                }
            }
            company = next;
        }
        Ok(gone)
    }
}

/// Builds the statement of a page. The SQL consists of literals only; every value is a parameter.
fn page(company: &CompanyId, filter: &AuditFilter) -> (String, Vec<Arg>) {
    let (mut sql, mut args) = (PAGE.to_owned(), args![company.as_str()]);
    if !filter.number_hashes.is_empty() {
        let places = filter.number_hashes.iter().map(|hash| {
            args.push(hash.as_str().into());
            format!("${}", args.len())
        });
        let places: Vec<String> = places.collect();
        sql.push_str(&format!(" AND number_hash IN ({})", places.join(", ")));
    }
    if let Some((at, id)) = &filter.after {
        args.push(micros(*at).into());
        args.push(id.as_str().into());
        let (first, second) = (args.len() - 1, args.len());
        sql.push_str(&format!(" AND (at, id) < (${first}, ${second})"));
    }
    args.push((i64::from(filter.limit) + 1).into());
    sql.push_str(&format!(" ORDER BY at DESC, id DESC LIMIT ${}", args.len()));
    (sql, args)
}

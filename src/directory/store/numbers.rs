//! A single number: its erasure, which leaves a keyed hash that every writer obeys, and its export.

use std::collections::{BTreeSet, HashSet};

use jiff::Timestamp;
use sqlx::AssertSqlSafe;

use super::audit::{Actor, AuditFilter, Record};
use super::companies::{self, Admission};
use super::database::rows::{CallRow, micros, time};
use super::database::{Arg, Transaction, args, row, uncrossed};
use super::{CallFilter, NumberFilter, Store, StoreError, audit};
use crate::company_id::CompanyId;
use crate::directory::model::book::BookRecord;
use crate::directory::model::number_hash::NumberKeys;
use crate::directory::model::privacy::{AuditEntry, ErasedNumber, HeldRing};
use crate::directory::model::{Asked, Call, Contact};
use crate::phone::{E164, Region, numbers_in};

/// The most rows that one transaction deletes, and that are read at once.
const BATCH: i64 = 1_000;
/// The most hashes that one statement compares.
const MOST_HASHES: usize = 200;
/// The most calls that one statement names.
const MOST_IDS: usize = 500;
/// The most calls of an export.
const MAX_CALLS: u32 = 5_000;
/// The most entries of the audit in an export.
const MAX_ENTRIES: u32 = 1_000;

const CLOSE: &str = "INSERT INTO erased_numbers (company, number_hash, erased_at) VALUES ($1, $2, $3) \
     ON CONFLICT (company, number_hash) DO NOTHING";

const RESTORE: &str = "DELETE FROM erased_numbers WHERE company = $1 AND number_hash = $2";

/// Parameters: $1 company, $2 number, $3 most rows.
pub(crate) const CALLS: &str = "DELETE FROM calls WHERE company = $1 AND id IN \
     (SELECT id FROM calls WHERE company = $1 AND e164 = $2 LIMIT $3)";

/// Parameters: $1 company, $2 after this key, $3 and this ID, $4 most rows. Calls whose number is
/// not only that of `e164`. Ordered by the key, so that its own index is read and no other call.
pub(crate) const OTHERWISE: &str = "SELECT id, number, e164, lookup_key FROM calls \
     WHERE company = $1 AND (lookup_key, id) > ($2, $3) AND (e164 IS NULL OR lookup_key <> e164) \
     ORDER BY lookup_key, id LIMIT $4";

const CONTACT: &str = "DELETE FROM contacts WHERE company = $1 AND number = $2";
const QUESTION: &str = "DELETE FROM questions WHERE company = $1 AND number = $2";
const RING: &str = "DELETE FROM rings WHERE company = $1 AND number = $2";

row! {
    struct OtherwiseRow {
        id: String,
        number: Option<String>,
        e164: Option<String>,
        lookup_key: Option<String>,
    }
}

row! {
    struct HashRow {
        number_hash: String,
        erased_at: i64,
    }
}

/// What an export finds.
#[derive(Debug)]
pub(crate) struct Held {
    pub(crate) erased_at: Option<Timestamp>,
    pub(crate) contact: Option<Contact>,
    pub(crate) asked: Asked,
    pub(crate) records: Vec<BookRecord>,
    pub(crate) ring: Option<HeldRing>,
    pub(crate) calls: Vec<Call>,
    pub(crate) more_calls: bool,
    pub(crate) audit: Vec<AuditEntry>,
}

// === impl NumberFilter ===

impl NumberFilter {
    /// The text that is hashed.
    pub(crate) fn text(&self) -> &str {
        match self {
            Self::E164(e164) => e164.as_str(),
            Self::Spelled(text) => text,
        }
    }
}

// === impl Store ===

impl Store {
    /// The keyed hash of a number.
    pub(crate) fn number_hash(&self, company: &CompanyId, number: &str) -> String {
        self.number_keys().hash(company, number)
    }

    /// Erases what is held about a number. From the first step on nothing is taken in about it; a
    /// repetition goes on where this one was stopped.
    pub(crate) async fn erase_number(
        &self,
        company: &CompanyId,
        number: &NumberFilter,
        region: Region,
        actor: &Actor,
        now: Timestamp,
    ) -> Result<ErasedNumber, StoreError> {
        let sort = |error| StoreError::sort("erase a number", error);
        let keys = self.number_keys();
        let hash = keys.hash(company, number.text());
        let record = Record::about(audit::NUMBER_ERASED, hash.clone());
        let first = [hash.clone()];
        uncrossed(|| self.close_numbers(company, &first, actor, Some(&record), now))
            .await
            .map_err(sort)?;
        let mut erased = ErasedNumber {
            number_hash: hash,
            calls: 0,
            contacts: 0,
            records: 0,
            others: 0,
        };
        if let NumberFilter::E164(e164) = number {
            let key = args![company.as_str(), e164.as_str()];
            loop {
                let args = args![company.as_str(), e164.as_str(), BATCH];
                let rows = self.take_away(CALLS, args).await.map_err(sort)?;
                erased.calls += rows;
                if rows < BATCH as u64 {
                    break;
                }
            }
            erased.contacts = self.take_away(CONTACT, key.clone()).await.map_err(sort)?;
            erased.others = self.take_away(QUESTION, key.clone()).await.map_err(sort)?;
            erased.others += self.take_away(RING, key).await.map_err(sort)?;
            let records = self.erase_from_book(company, e164).await;
            erased.records = records.map_err(sort)?;
        }
        let found = self
            .otherwise(company, number, region)
            .await
            .map_err(sort)?;
        // Such a text comes again with the call, and is no other number.
        let texts: BTreeSet<&str> = found
            .iter()
            .flat_map(|row| [row.number.as_deref(), row.lookup_key.as_deref()])
            .flatten()
            .collect();
        let hashes: Vec<String> = texts.iter().map(|text| keys.hash(company, text)).collect();
        for hashes in hashes.chunks(BATCH as usize) {
            uncrossed(|| self.close_numbers(company, hashes, actor, None, now))
                .await
                .map_err(sort)?;
        }
        for some in found.chunks(MOST_IDS) {
            let (sql, args) = among_ids(company, some);
            let rows = uncrossed(|| self.take_away_built(&sql, &args)).await;
            erased.calls += rows.map_err(sort)?;
        }
        self.has_deleted();
        Ok(erased)
    }

    async fn take_away_built(&self, sql: &str, args: &[Arg]) -> Result<u64, sqlx::Error> {
        let mut transaction = self.database.begin().await?;
        let rows = transaction
            .execute(AssertSqlSafe(sql.to_owned()), args.to_vec())
            .await?;
        transaction.commit().await?;
        Ok(rows)
    }

    async fn close_numbers(
        &self,
        company: &CompanyId,
        hashes: &[String],
        actor: &Actor,
        record: Option<&Record>,
        now: Timestamp,
    ) -> Result<(), sqlx::Error> {
        let mut transaction = self.database.begin().await?;
        // Whoever writes now has looked before, and ends first.
        transaction.lock("company", [company.as_str()]).await?;
        for hash in hashes {
            let args = args![company.as_str(), hash.as_str(), micros(now)];
            transaction.execute(CLOSE, args).await?;
        }
        if let Some(record) = record {
            audit::write(&mut transaction, company, actor, record, now).await?;
        }
        transaction.commit().await
    }

    /// The calls that name a number otherwise than by `e164`: a spelling that a worker read as
    /// another number, a text that is none, or a field with more than one.
    async fn otherwise(
        &self,
        company: &CompanyId,
        number: &NumberFilter,
        region: Region,
    ) -> Result<Vec<OtherwiseRow>, sqlx::Error> {
        let (mut found, mut after) = (vec![], (String::new(), String::new()));
        loop {
            let (key, id) = (after.0.as_str(), after.1.as_str());
            let args = args![company.as_str(), key, id, BATCH];
            let rows: Vec<OtherwiseRow> = self.database.all(OTHERWISE, args).await?;
            let Some(last) = rows.last() else {
                return Ok(found);
            };
            after = (last.lookup_key.clone().unwrap_or_default(), last.id.clone());
            let is_last = rows.len() < BATCH as usize;
            found.extend(rows.into_iter().filter(|row| row.names(number, &region)));
            if is_last {
                return Ok(found);
            }
        }
    }

    /// Lets a number be kept again that was erased. Returns whether it was.
    pub(crate) async fn restore_number(
        &self,
        company: &CompanyId,
        number: &NumberFilter,
        actor: &Actor,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        uncrossed(|| self.try_restore_number(company, number, actor, now))
            .await
            .map_err(|error| StoreError::sort("let a number be kept again", error))
    }

    async fn try_restore_number(
        &self,
        company: &CompanyId,
        number: &NumberFilter,
        actor: &Actor,
        now: Timestamp,
    ) -> Result<bool, sqlx::Error> {
        let hashes = self.number_keys().hashes(company, number.text());
        let mut transaction = self.database.begin().await?;
        let mut rows = 0;
        for hash in &hashes {
            let args = args![company.as_str(), hash.as_str()];
            rows += transaction.execute(RESTORE, args).await?;
        }
        let hash = hashes.into_iter().next().unwrap_or_default();
        let record = Record::about(audit::NUMBER_RESTORED, hash);
        audit::write(&mut transaction, company, actor, &record, now).await?;
        transaction.commit().await?;
        Ok(rows > 0)
    }

    /// Everything that is held about a number. That it was read is on record before it is.
    pub(crate) async fn export_number(
        &self,
        company: &CompanyId,
        number: &NumberFilter,
        region: Region,
        actor: &Actor,
        now: Timestamp,
    ) -> Result<Held, StoreError> {
        let sort = |error| StoreError::sort("export a number", error);
        let hashes = self.number_keys().hashes(company, number.text());
        let hash = hashes.first().cloned().unwrap_or_default();
        let record = Record::about(audit::NUMBER_EXPORTED, hash);
        self.record(company, actor, &record, now).await?;
        let filter = CallFilter {
            number: Some(number.clone()),
            limit: MAX_CALLS,
            ..CallFilter::default()
        };
        let (mut calls, more) = self.calls(company, &filter).await?;
        let known: HashSet<String> = calls.iter().map(|call| call.id.clone()).collect();
        for row in self
            .otherwise(company, number, region)
            .await
            .map_err(sort)?
        {
            if !known.contains(&row.id) {
                calls.extend(self.call(company, &row.id).await?);
            }
        }
        calls.sort_by(|a, b| (b.started_at, &b.id).cmp(&(a.started_at, &a.id)));
        let more_calls = more.is_some() || calls.len() > MAX_CALLS as usize;
        calls.truncate(MAX_CALLS as usize);
        let (contact, asked, records, ring) = match number {
            NumberFilter::E164(e164) => (
                self.contact(company, e164).await?,
                self.asked(company, e164).await?,
                self.holders(company, std::slice::from_ref(e164))
                    .await?
                    .records,
                self.held_ring(company, e164).await?,
            ),
            NumberFilter::Spelled(_) => (None, Asked::default(), Vec::new(), None),
        };
        let erased = self.erased_at(company, &hashes).await?;
        let filter = AuditFilter {
            number_hashes: hashes,
            after: None,
            limit: MAX_ENTRIES,
        };
        let (audit, _) = self.audit(company, &filter).await?;
        Ok(Held {
            erased_at: erased,
            contact,
            asked,
            records,
            ring,
            calls,
            more_calls,
            audit,
        })
    }

    /// Since when a number is erased.
    pub(crate) async fn number_erased_at(
        &self,
        company: &CompanyId,
        number: &E164,
    ) -> Result<Option<Timestamp>, StoreError> {
        let hashes = self.number_keys().hashes(company, number.as_str());
        self.erased_at(company, &hashes).await
    }

    async fn erased_at(
        &self,
        company: &CompanyId,
        hashes: &[String],
    ) -> Result<Option<Timestamp>, StoreError> {
        let (sql, args) = among(company, hashes);
        let rows: Vec<HashRow> = self
            .database
            .all(AssertSqlSafe(sql), args)
            .await
            .map_err(|error| StoreError::sort("look a number up", error))?;
        let first = rows.iter().map(|row| row.erased_at).min();
        first.map(time).transpose()
    }
}

/// What stands between a writer and what was erased. It locks a company against erasures for the
/// rest of the transaction, so that no writer brings back what is being erased. Every writer of
/// numbers opens it first.
#[derive(Debug)]
pub(crate) struct Gate<'a> {
    company: &'a CompanyId,
    admission: Admission,
}

// === impl Gate ===

impl<'a> Gate<'a> {
    pub(crate) async fn open(
        transaction: &mut Transaction,
        company: &'a CompanyId,
    ) -> Result<Self, sqlx::Error> {
        Ok(Self {
            company,
            admission: companies::admission(transaction, company).await?,
        })
    }

    /// Whether nothing at all is taken in about the company.
    pub(crate) fn is_closed(&self) -> bool {
        self.admission == Admission::Nothing
    }

    /// Whether nothing may be kept about a number.
    pub(crate) async fn refuses(
        &self,
        transaction: &mut Transaction,
        keys: &NumberKeys,
        number: &E164,
    ) -> Result<bool, sqlx::Error> {
        let gone = self.erased(transaction, keys, [number.as_str()]).await?;
        Ok(!gone.is_empty())
    }

    /// Those of the numbers about which nothing may be kept; also texts of callers that are no
    /// numbers.
    pub(crate) async fn erased<'n>(
        &self,
        transaction: &mut Transaction,
        keys: &NumberKeys,
        numbers: impl IntoIterator<Item = &'n str>,
    ) -> Result<HashSet<String>, sqlx::Error> {
        let numbers: BTreeSet<&str> = match self.admission {
            Admission::All => return Ok(HashSet::new()),
            Admission::Nothing => return Ok(numbers.into_iter().map(str::to_owned).collect()),
            Admission::NotErased => numbers.into_iter().collect(),
        };
        let hashed: Vec<(String, &str)> = numbers
            .into_iter()
            .flat_map(|number| {
                let hashes = keys.hashes(self.company, number).into_iter();
                hashes.map(move |hash| (hash, number))
            })
            .collect();
        let mut erased = HashSet::new();
        for some in hashed.chunks(MOST_HASHES) {
            let hashes: Vec<String> = some.iter().map(|(hash, _)| hash.clone()).collect();
            let (sql, args) = among(self.company, &hashes);
            let rows: Vec<HashRow> = transaction.all(AssertSqlSafe(sql), args).await?;
            let found: HashSet<&str> = rows.iter().map(|row| row.number_hash.as_str()).collect();
            let named = some
                .iter()
                .filter(|(hash, _)| found.contains(hash.as_str()));
            erased.extend(named.map(|(_, number)| (*number).to_owned()));
        }
        Ok(erased)
    }
}

/// The texts of a call by which its number may have been erased.
pub(crate) fn texts(call: &CallRow) -> impl Iterator<Item = &str> {
    let texts = [&call.e164, &call.number, &call.lookup_key];
    texts.into_iter().filter_map(Option::as_deref)
}

/// Builds the statement that deletes these calls.
fn among_ids(company: &CompanyId, calls: &[OtherwiseRow]) -> (String, Vec<Arg>) {
    let mut args = args![company.as_str()];
    let places = placed(&mut args, calls.iter().map(|call| call.id.as_str()));
    let sql = format!("DELETE FROM calls WHERE company = $1 AND id IN ({places})");
    (sql, args)
}

/// Adds values to the parameters, and returns their places in a list of SQL.
fn placed<'a>(args: &mut Vec<Arg>, values: impl Iterator<Item = &'a str>) -> String {
    let places = values.map(|value| {
        args.push(value.into());
        format!("${}", args.len())
    });
    let places: Vec<String> = places.collect();
    if places.is_empty() {
        "NULL".to_owned()
    } else {
        places.join(", ")
    }
}

/// Builds the statement that finds which of the hashes are there.
fn among(company: &CompanyId, hashes: &[String]) -> (String, Vec<Arg>) {
    let mut args = args![company.as_str()];
    let places = placed(&mut args, hashes.iter().map(String::as_str));
    let sql = format!(
        "SELECT number_hash, erased_at FROM erased_numbers WHERE company = $1 AND number_hash IN ({places})"
    );
    (sql, args)
}

// === impl OtherwiseRow ===

impl OtherwiseRow {
    fn names(&self, number: &NumberFilter, region: &Region) -> bool {
        let texts = [&self.number, &self.lookup_key, &self.e164];
        let mut texts = texts.into_iter().filter_map(Option::as_deref);
        match number {
            NumberFilter::Spelled(text) => texts.any(|known| known.trim() == text),
            NumberFilter::E164(e164) => texts.any(|text| {
                text == e164.as_str() || numbers_in(text, region).iter().any(|found| found == e164)
            }),
        }
    }
}

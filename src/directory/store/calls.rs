//! The call history: recording legs and reading pages.

use std::collections::BTreeSet;

use jiff::Timestamp;
use sqlx::AssertSqlSafe;

use super::database::rows::{CallRow, NamedCallRow, direction_text, micros};
use super::database::{Arg, args, uncrossed};
use super::numbers::{Gate, texts};
use super::rules::merge::merge;
use super::{CallFilter, Change, Kind, NumberFilter, Position, Store, StoreError};
use crate::company_id::CompanyId;
use crate::directory::model::webhook::Leg;
use crate::directory::model::{Call, Contact, Receipt};
use crate::phone::{E164, Region};

const FIND: &str = "SELECT id, call_id, call_type, direction, started_at, answered_at, ended_at, number, e164, \
     not_looked_up, lookup_key, circuit_number, circuit_name, lookup FROM calls WHERE company = $1 AND id = $2";

/// Inserts or updates a call. A call whose number changed loses its lease; any other keeps its
/// holder.
const KEEP: &str = "INSERT INTO calls (company, id, call_id, call_type, direction, started_at, answered_at, ended_at, \
     number, e164, not_looked_up, lookup_key, circuit_number, circuit_name, lookup, received_at) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16) \
     ON CONFLICT (company, id) DO UPDATE SET call_id = excluded.call_id, call_type = excluded.call_type, \
     direction = excluded.direction, started_at = excluded.started_at, answered_at = excluded.answered_at, \
     ended_at = excluded.ended_at, number = excluded.number, e164 = excluded.e164, \
     not_looked_up = excluded.not_looked_up, circuit_number = excluded.circuit_number, \
     circuit_name = excluded.circuit_name, lookup = excluded.lookup, \
     holder = CASE WHEN calls.lookup_key IS NOT DISTINCT FROM excluded.lookup_key THEN calls.holder END, \
     claimed_until = CASE WHEN calls.lookup_key IS NOT DISTINCT FROM excluded.lookup_key THEN calls.claimed_until END, \
     lookup_key = excluded.lookup_key";

/// A call about which nothing is kept any more.
pub(crate) const REMOVE: &str = "DELETE FROM calls WHERE company = $1 AND id = $2";

/// The start of every page statement. It contains the condition on the company.
macro_rules! named {
    () => {
        "SELECT c.id, c.call_id, c.call_type, c.direction, c.started_at, c.answered_at, c.ended_at, \
     c.number, c.e164, c.not_looked_up, c.lookup_key, c.circuit_number, c.circuit_name, c.lookup, \
     p.number AS contact_number, p.company_name, p.person_name, p.object, p.record_id, p.link, p.title, p.owner_name, \
     p.alternatives, p.source, p.updated_at, q.asked_at, q.misses, q.settings, q.was_company, q.was_person, q.gone_at \
         FROM calls c LEFT JOIN contacts p ON p.company = c.company AND p.number = c.e164 \
         LEFT JOIN questions q ON q.company = c.company AND q.number = c.e164 WHERE c.company = $1"
    };
}

const PAGE: &str = named!();

const ONE: &str = concat!(named!(), " AND c.id = $2");

// === impl Store ===

impl Store {
    /// Stores the legs of a webhook, all of them or none. A known leg is completed, never emptied.
    pub(crate) async fn record_calls(
        &self,
        company: &CompanyId,
        region: Region,
        legs: &[Leg],
        now: Timestamp,
    ) -> Result<Receipt, StoreError> {
        let (receipt, waits) = uncrossed(|| self.try_record_calls(company, region, legs, now))
            .await
            .map_err(|error| StoreError::sort("record calls", error))?;
        if receipt.added > 0 || receipt.changed > 0 {
            let waits = waits.then(|| Change {
                company: company.clone(),
                kind: Kind::CallsWait,
            });
            let changes = [Self::history_changed(company)];
            self.changes.tell(changes.into_iter().chain(waits));
        }
        Ok(receipt)
    }

    /// Returns also whether one of them can be looked up now.
    async fn try_record_calls(
        &self,
        company: &CompanyId,
        region: Region,
        legs: &[Leg],
        now: Timestamp,
    ) -> Result<(Receipt, bool), sqlx::Error> {
        let mut waits = false;
        let mut receipt = Receipt {
            received: legs.len() as u32,
            added: 0,
            changed: 0,
            refused: 0,
            erased: 0,
            problems: Vec::new(),
        };
        let keys = self.number_keys();
        let mut transaction = self.database.begin().await?;
        let ids = legs.iter().map(|leg| leg.id.as_str());
        transaction.lock(&calls_of(company), ids).await?;
        let gate = Gate::open(&mut transaction, company).await?;
        for leg in legs {
            let known: Option<CallRow> = transaction
                .optional(FIND, args![company.as_str(), leg.id.as_str()])
                .await?;
            let call = merge(known.as_ref(), leg, region, now);
            let gone = gate.erased(&mut transaction, &keys, texts(&call)).await?;
            if gate.is_closed() || !gone.is_empty() {
                transaction
                    .execute(REMOVE, args![company.as_str(), call.id.as_str()])
                    .await?;
                receipt.erased += 1;
                continue;
            }
            match &known {
                Some(known) if *known == call => continue,
                Some(_) => receipt.changed += 1,
                None => receipt.added += 1,
            }
            let can_wait = call.lookup == "Pending" && call.ended_at.is_some();
            let args = args![
                company.as_str(),
                call.id,
                call.call_id,
                call.call_type,
                call.direction,
                call.started_at,
                call.answered_at,
                call.ended_at,
                call.number,
                call.e164,
                call.not_looked_up,
                call.lookup_key,
                call.circuit_number,
                call.circuit_name,
                call.lookup,
                micros(now),
            ];
            waits |= can_wait;
            transaction.execute(KEEP, args).await?;
        }
        transaction.commit().await?;
        Ok((receipt, waits))
    }

    /// One call.
    pub(crate) async fn call(
        &self,
        company: &CompanyId,
        id: &str,
    ) -> Result<Option<Call>, StoreError> {
        let row: Option<NamedCallRow> = self
            .database
            .optional(ONE, args![company.as_str(), id])
            .await
            .map_err(|error| StoreError::sort("read a call", error))?;
        let mut call = row.map(Call::try_from).transpose()?;
        if let Some(call) = &mut call {
            self.name_from_book(company, std::slice::from_mut(call))
                .await?;
        }
        Ok(call)
    }

    /// Names the calls whose numbers have no contact, as far as the address book knows them.
    async fn name_from_book(
        &self,
        company: &CompanyId,
        calls: &mut [Call],
    ) -> Result<(), StoreError> {
        let unnamed = calls.iter().filter(|call| call.contact.is_none());
        let numbers: BTreeSet<E164> = unnamed.filter_map(|call| call.e164.clone()).collect();
        if numbers.is_empty() {
            return Ok(());
        }
        let numbers: Vec<E164> = numbers.into_iter().collect();
        let book = self.in_book(company, &numbers).await?;
        for call in calls.iter_mut().filter(|call| call.contact.is_none()) {
            let found = call.e164.as_ref().and_then(|number| book.get(number));
            if let Some(contact) = found {
                call.contact = Some(Contact {
                    asked_at: call.asked_at,
                    ..contact.clone()
                });
                call.was = None;
            }
        }
        Ok(())
    }

    /// A page of the history, newest first. The second value is the start of the next page, if
    /// there is one.
    pub(crate) async fn calls(
        &self,
        company: &CompanyId,
        filter: &CallFilter,
    ) -> Result<(Vec<Call>, Option<Position>), StoreError> {
        let (sql, args) = page(company, filter);
        let rows: Vec<NamedCallRow> = self
            .database
            .all(AssertSqlSafe(sql), args)
            .await
            .map_err(|error| StoreError::sort("read the call history", error))?;
        let more = rows.len() > filter.limit as usize;
        let mut calls = rows
            .into_iter()
            .take(filter.limit as usize)
            .map(Call::try_from)
            .collect::<Result<Vec<_>, _>>()?;
        self.name_from_book(company, &mut calls).await?;
        let next = calls.last().filter(|_| more).map(|call| Position {
            started_at: call.started_at,
            id: call.id.clone(),
        });
        Ok((calls, next))
    }
}

/// The lock kind of the writers of a company's calls.
pub(crate) fn calls_of(company: &CompanyId) -> String {
    format!("call/{company}")
}

/// Builds the statement of a page. The SQL consists of literals only; every value is a parameter.
pub(crate) fn page(company: &CompanyId, filter: &CallFilter) -> (String, Vec<Arg>) {
    let mut sql = PAGE.to_owned();
    let mut args = args![company.as_str()];
    let mut and = |condition: &str, arg: Arg, end: &str| {
        args.push(arg);
        sql.push_str(&format!(" AND {condition} ${}{end}", args.len()));
    };
    match &filter.number {
        Some(NumberFilter::E164(e164)) => and("c.e164 =", e164.as_str().into(), ""),
        Some(NumberFilter::Spelled(text)) => and("c.number =", text.as_str().into(), ""),
        None => {}
    }
    if let Some(from) = filter.from {
        and("c.started_at >=", micros(from).into(), "");
    }
    if let Some(to) = filter.to {
        and("c.started_at <", micros(to).into(), "");
    }
    if let Some(direction) = filter.direction {
        and("c.direction =", direction_text(direction).into(), "");
    }
    if let Some(matched) = filter.matched {
        // A subquery, because a condition on the join would let the planner begin with the
        // contacts, and sort.
        sql.push_str(if matched { " AND (" } else { " AND NOT (" });
        sql.push_str(
            "EXISTS (SELECT 1 FROM contacts k WHERE k.company = c.company AND k.number = c.e164) \
             OR EXISTS (SELECT 1 FROM record_numbers m WHERE m.company = c.company AND m.number = c.e164))",
        );
    }
    if let Some(after) = &filter.after {
        args.push(micros(after.started_at).into());
        args.push(after.id.as_str().into());
        sql.push_str(&format!(
            " AND (c.started_at, c.id) < (${}, ${})",
            args.len() - 1,
            args.len()
        ));
    }
    // One call more than requested shows whether there is a next page.
    args.push((i64::from(filter.limit) + 1).into());
    sql.push_str(&format!(
        " ORDER BY c.started_at DESC, c.id DESC LIMIT ${}",
        args.len()
    ));
    (sql, args)
}

//! The call history: recording legs and reading pages.

use jiff::Timestamp;
use sqlx::QueryBuilder;

use super::Sqlite;
use crate::directory::{
    CompanyId,
    model::{Call, Receipt},
    store::{
        CallFilter, NumberFilter, Position, StoreError,
        merge::merge,
        row::{CallRow, NamedCallRow, direction_text, micros},
    },
    webhook::Leg,
};
use crate::phone::Region;

const FIND: &str = "SELECT id, call_id, call_type, direction, started_at, answered_at, ended_at, number, e164, \
     not_looked_up, lookup_key, circuit_number, circuit_name, lookup FROM calls WHERE company = $1 AND id = $2";

/// A call whose number changed is free for everyone again; any other keeps its holder.
const KEEP: &str = "INSERT INTO calls (company, id, call_id, call_type, direction, started_at, answered_at, ended_at, \
     number, e164, not_looked_up, lookup_key, circuit_number, circuit_name, lookup, received_at) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16) \
     ON CONFLICT (company, id) DO UPDATE SET call_id = excluded.call_id, call_type = excluded.call_type, \
     direction = excluded.direction, started_at = excluded.started_at, answered_at = excluded.answered_at, \
     ended_at = excluded.ended_at, number = excluded.number, e164 = excluded.e164, \
     not_looked_up = excluded.not_looked_up, circuit_number = excluded.circuit_number, \
     circuit_name = excluded.circuit_name, lookup = excluded.lookup, \
     holder = CASE WHEN calls.lookup_key IS excluded.lookup_key THEN calls.holder END, \
     claimed_until = CASE WHEN calls.lookup_key IS excluded.lookup_key THEN calls.claimed_until END, \
     lookup_key = excluded.lookup_key";

/// The beginning of every page: the company stands in it.
const PAGE: &str = "SELECT c.id, c.call_id, c.call_type, c.direction, c.started_at, c.answered_at, c.ended_at, \
     c.number, c.e164, c.not_looked_up, c.lookup_key, c.circuit_number, c.circuit_name, c.lookup, \
     p.number AS contact_number, p.company_name, p.person_name, p.object, p.record_id, p.link, p.source, \
     p.updated_at FROM calls c LEFT JOIN contacts p ON p.company = c.company AND p.number = c.e164 \
     WHERE c.company = ";

// === impl Sqlite ===

impl Sqlite {
    pub(in crate::directory::store) async fn record_calls(
        &self,
        company: &CompanyId,
        region: Region,
        legs: &[Leg],
        now: Timestamp,
    ) -> Result<Receipt, StoreError> {
        self.try_record_calls(company, region, legs, now)
            .await
            .map_err(|error| StoreError::sort("record calls", error))
    }

    async fn try_record_calls(
        &self,
        company: &CompanyId,
        region: Region,
        legs: &[Leg],
        now: Timestamp,
    ) -> Result<Receipt, sqlx::Error> {
        let mut receipt = Receipt {
            received: legs.len() as u32,
            added: 0,
            changed: 0,
        };
        let mut transaction = self.write().await?;
        for leg in legs {
            let known: Option<CallRow> = sqlx::query_as(FIND)
                .bind(company.as_str())
                .bind(&leg.id)
                .fetch_optional(&mut *transaction)
                .await?;
            let call = merge(known.as_ref(), leg, region, now);
            match &known {
                Some(known) if *known == call => continue,
                Some(_) => receipt.changed += 1,
                None => receipt.added += 1,
            }
            sqlx::query(KEEP)
                .bind(company.as_str())
                .bind(call.id)
                .bind(call.call_id)
                .bind(call.call_type)
                .bind(call.direction)
                .bind(call.started_at)
                .bind(call.answered_at)
                .bind(call.ended_at)
                .bind(call.number)
                .bind(call.e164)
                .bind(call.not_looked_up)
                .bind(call.lookup_key)
                .bind(call.circuit_number)
                .bind(call.circuit_name)
                .bind(call.lookup)
                .bind(micros(now))
                .execute(&mut *transaction)
                .await?;
        }
        transaction.commit().await?;
        Ok(receipt)
    }

    pub(in crate::directory::store) async fn calls(
        &self,
        company: &CompanyId,
        filter: &CallFilter,
    ) -> Result<(Vec<Call>, Option<Position>), StoreError> {
        let mut query = page(company, filter);
        let rows: Vec<NamedCallRow> = query
            .build_query_as()
            .fetch_all(&self.readers)
            .await
            .map_err(|error| StoreError::sort("read the call history", error))?;
        let more = rows.len() > filter.limit as usize;
        let calls = rows
            .into_iter()
            .take(filter.limit as usize)
            .map(Call::try_from)
            .collect::<Result<Vec<_>, _>>()?;
        let next = calls.last().filter(|_| more).map(|call| Position {
            started_at: call.started_at,
            id: call.id.clone(),
        });
        Ok((calls, next))
    }
}

/// The statement of a page.
pub(super) fn page(company: &CompanyId, filter: &CallFilter) -> QueryBuilder<sqlx::Sqlite> {
    let mut query = QueryBuilder::<sqlx::Sqlite>::new(PAGE);
    query.push_bind(company.as_str());
    match &filter.number {
        Some(NumberFilter::E164(e164)) => query
            .push(" AND c.e164 = ")
            .push_bind(e164.as_str().to_owned()),
        Some(NumberFilter::Spelled(text)) => query.push(" AND c.number = ").push_bind(text),
        None => &mut query,
    };
    if let Some(from) = filter.from {
        query.push(" AND c.started_at >= ").push_bind(micros(from));
    }
    if let Some(to) = filter.to {
        query.push(" AND c.started_at < ").push_bind(micros(to));
    }
    if let Some(direction) = filter.direction {
        query
            .push(" AND c.direction = ")
            .push_bind(direction_text(direction));
    }
    if let Some(matched) = filter.matched {
        // Not a condition on the join: that would let the planner begin with the contacts, and sort.
        query.push(if matched {
            " AND EXISTS"
        } else {
            " AND NOT EXISTS"
        });
        query.push(" (SELECT 1 FROM contacts k WHERE k.company = c.company AND k.number = c.e164)");
    }
    if let Some(after) = &filter.after {
        query
            .push(" AND (c.started_at, c.id) < (")
            .push_bind(micros(after.started_at));
        query.push(", ").push_bind(&after.id).push(")");
    }
    // One more than asked for tells whether there is a next page.
    query
        .push(" ORDER BY c.started_at DESC, c.id DESC LIMIT ")
        .push_bind(i64::from(filter.limit) + 1);
    query
}

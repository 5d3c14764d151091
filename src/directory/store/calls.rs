//! The call history: recording legs and reading pages.

use std::collections::BTreeSet;

use jiff::Timestamp;
use sqlx::AssertSqlSafe;

use super::database::rows::{CallRow, NamedCallRow, direction_text, micros, time};
use super::database::{Arg, args, row, uncrossed};
use super::numbers::{Gate, texts};
use super::rules::merge::merge;
use super::{CallFilter, Change, Kind, NumberFilter, Position, Store, StoreError};
use crate::company_id::CompanyId;
use crate::directory::model::misses::due_at;
use crate::directory::model::webhook::Leg;
use crate::directory::model::{Call, Contact, Receipt};
use crate::directory::why::{CallFacts, Facts, Question};
use crate::phone::{self, E164, Region};

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

const WALK: &str = "SELECT c.started_at, c.id FROM calls c WHERE c.company = $1";

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

/// A page of a search.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SearchedPage {
    /// The calls, newest first.
    pub(crate) calls: Vec<Call>,
    /// Where the next page begins, if there is one.
    pub(crate) next: Option<Position>,
    /// Down to which call was searched, where older ones were not and the page is not full.
    pub(crate) searched_to: Option<Timestamp>,
}

// === impl Store ===

impl Store {
    /// A page of a search that no index answers alone, by name or by whether there is a contact.
    /// At most `walk` calls are looked through, so that a page of a history of any length takes a
    /// bounded time; the next page goes on with older ones.
    pub(crate) async fn search_calls(
        &self,
        company: &CompanyId,
        filter: &CallFilter,
        walk: u32,
    ) -> Result<SearchedPage, StoreError> {
        let end = if filter.name.is_some() || filter.matched.is_some() {
            let (sql, args) = end_of_walk(company, filter, walk);
            let row: Option<PositionRow> =
                self.database
                    .optional(AssertSqlSafe(sql), args)
                    .await
                    .map_err(|error| StoreError::sort("search the call history", error))?;
            row.map(Position::try_from).transpose()?
        } else {
            None
        };
        let filter = CallFilter {
            down_to: end.clone(),
            ..filter.clone()
        };
        let (calls, next) = self.calls(company, &filter).await?;
        Ok(match (next, end) {
            (Some(next), _) => SearchedPage {
                calls,
                next: Some(next),
                searched_to: None,
            },
            (None, end) => SearchedPage {
                calls,
                searched_to: end.as_ref().map(|end| end.started_at),
                next: end,
            },
        })
    }
}

/// What is known around a call: $1 company, $2 the call's ID.
const AROUND: &str = "SELECT (SELECT received_at FROM calls WHERE company = $1 AND id = $2) AS received_at, \
     (SELECT claimed_until FROM calls WHERE company = $1 AND id = $2 AND lookup = 'Pending') AS claimed_until, \
     (SELECT settings FROM retrievals WHERE company = $1) AS settings, \
     (SELECT generation FROM books WHERE company = $1 AND began_at IS NOT NULL AND filled_at IS NULL) AS filling";

/// The last question about a number.
const ASKED: &str = "SELECT asked_at, misses, settings, run, api_calls FROM questions \
     WHERE company = $1 AND number = $2";

/// The newest call of a number.
const NEWEST: &str = "SELECT started_at, id FROM calls WHERE company = $1 AND e164 = $2 \
     ORDER BY started_at DESC, id DESC LIMIT 1";

/// The likeliest spellings that are told.
const LIKELIEST: usize = 5;

row! {
    struct AroundRow {
        received_at: Option<i64>,
        claimed_until: Option<i64>,
        settings: Option<String>,
        filling: Option<i64>,
    }
}

row! {
    struct AskedRow {
        asked_at: i64,
        misses: i64,
        settings: String,
        run: Option<String>,
        api_calls: Option<i64>,
    }
}

// === impl Store ===

impl Store {
    /// What is known of a call, from which follows why it has its name or none; `None` if there is
    /// no such call. National spellings are those of the region.
    pub(crate) async fn facts_of_call(
        &self,
        company: &CompanyId,
        id: &str,
        region: Region,
    ) -> Result<Option<(Call, Facts)>, StoreError> {
        let Some(call) = self.call(company, id).await? else {
            return Ok(None);
        };
        let facts = self.facts(company, Some(&call), call.e164.as_ref(), region);
        let facts = Facts {
            number: call.number.clone(),
            not_looked_up: call.not_looked_up.clone(),
            contact: call.contact.clone(),
            ask_again_at: call.ask_again_at,
            was: call.was.clone(),
            ..facts.await?
        };
        Ok(Some((call, facts)))
    }

    /// What is known of a number: of its newest call, or of the number alone where no call has it.
    pub(crate) async fn facts_of_number(
        &self,
        company: &CompanyId,
        number: &E164,
        region: Region,
    ) -> Result<Facts, StoreError> {
        let sort = |error| StoreError::sort("look a number up", error);
        let key = args![company.as_str(), number.as_str()];
        let newest: Option<PositionRow> =
            self.database.optional(NEWEST, key).await.map_err(sort)?;
        if let Some(newest) = newest
            && let Some((_, facts)) = self.facts_of_call(company, &newest.id, region).await?
        {
            return Ok(facts);
        }
        let erased = self.number_erased_at(company, number).await?.is_some();
        let contact = match self.contact(company, number).await? {
            Some(contact) => Some(contact),
            None => self
                .in_book(company, std::slice::from_ref(number))
                .await?
                .remove(number),
        };
        let asked = self.asked(company, number).await?;
        Ok(Facts {
            number: Some(number.to_string()),
            erased,
            was: asked.was.filter(|_| contact.is_none()),
            contact,
            ..self.facts(company, None, Some(number), region).await?
        })
    }

    async fn facts(
        &self,
        company: &CompanyId,
        call: Option<&Call>,
        number: Option<&E164>,
        region: Region,
    ) -> Result<Facts, StoreError> {
        let sort = |error| StoreError::sort("read what is known of a call", error);
        let id = call.map(|call| call.id.as_str()).unwrap_or_default();
        let around: Option<AroundRow> = self
            .database
            .optional(AROUND, args![company.as_str(), id])
            .await
            .map_err(sort)?;
        let around = around.ok_or(StoreError::Corrupt("what is known of a call"))?;
        let asked: Option<AskedRow> = match number {
            Some(number) => self
                .database
                .optional(ASKED, args![company.as_str(), number.as_str()])
                .await
                .map_err(sort)?,
            None => None,
        };
        let settings_changed = match (&around.settings, &asked) {
            (Some(now), Some(asked)) => *now != asked.settings && !asked.settings.is_empty(),
            _ => false,
        };
        let mut facts = Facts {
            e164: number.cloned(),
            settings_changed,
            link: self.link(company).await?,
            filling: around.filling.is_some(),
            ..Facts::default()
        };
        if let (Some(asked), Some(number)) = (asked, number) {
            let misses = u32::try_from(asked.misses).unwrap_or(u32::MAX);
            let at = time(asked.asked_at)?;
            let spellings = phone::spellings(number, &region);
            facts.ask_again_at = (misses > 0).then(|| due_at(at, misses));
            facts.asked = Some(Question {
                at,
                run: asked.run,
                api_calls: asked
                    .api_calls
                    .map(|calls| u32::try_from(calls).unwrap_or(0)),
                spellings: u32::try_from(spellings.len()).unwrap_or(u32::MAX),
                likeliest: spellings.into_iter().take(LIKELIEST).collect(),
                misses,
            });
        }
        if let Some(call) = call {
            let received_at = around.received_at.map(time).transpose()?;
            facts.call = Some(CallFacts {
                id: call.id.clone(),
                direction: call.direction,
                lookup: call.lookup,
                started_at: call.started_at,
                ended_at: call.ended_at,
                received_at: received_at.unwrap_or(call.started_at),
                claimed_until: around.claimed_until.map(time).transpose()?,
            });
        }
        Ok(facts)
    }
}

row! {
    struct PositionRow {
        started_at: i64,
        id: String,
    }
}

impl TryFrom<PositionRow> for Position {
    type Error = StoreError;

    fn try_from(row: PositionRow) -> Result<Self, StoreError> {
        Ok(Self {
            started_at: time(row.started_at)?,
            id: row.id,
        })
    }
}

/// The lock kind of the writers of a company's calls.
pub(crate) fn calls_of(company: &CompanyId) -> String {
    format!("call/{company}")
}

/// Builds the statement that finds the last call of a walk: as many calls on as `walk`, among
/// those that the indices find.
pub(crate) fn end_of_walk(
    company: &CompanyId,
    filter: &CallFilter,
    walk: u32,
) -> (String, Vec<Arg>) {
    let mut sql = WALK.to_owned();
    let mut args = args![company.as_str()];
    narrow(&mut sql, &mut args, filter);
    args.push(i64::from(walk).saturating_sub(1).max(0).into());
    sql.push_str(&format!(
        " ORDER BY c.started_at DESC, c.id DESC LIMIT 1 OFFSET ${}",
        args.len()
    ));
    (sql, args)
}

/// Builds the statement of a page. The SQL consists of literals only; every value is a parameter.
pub(crate) fn page(company: &CompanyId, filter: &CallFilter) -> (String, Vec<Arg>) {
    let mut sql = PAGE.to_owned();
    let mut args = args![company.as_str()];
    narrow(&mut sql, &mut args, filter);
    if let Some(matched) = filter.matched {
        // A subquery, because a condition on the join would let the planner begin with the
        // contacts, and sort.
        sql.push_str(if matched { " AND (" } else { " AND NOT (" });
        sql.push_str(
            "EXISTS (SELECT 1 FROM contacts k WHERE k.company = c.company AND k.number = c.e164) \
             OR EXISTS (SELECT 1 FROM record_numbers m WHERE m.company = c.company AND m.number = c.e164))",
        );
    }
    if let Some(name) = &filter.name {
        args.push(containing(name).into());
        let name = args.len();
        // A name of the address book counts where the number has no contact, as it is shown.
        sql.push_str(&format!(
            " AND (EXISTS (SELECT 1 FROM contacts k WHERE k.company = c.company AND k.number = c.e164 \
             AND (lower(k.company_name) LIKE ${name} ESCAPE '!' OR lower(k.person_name) LIKE ${name} ESCAPE '!')) \
             OR EXISTS (SELECT 1 FROM record_numbers m JOIN records r ON r.company = m.company AND r.record_id = m.record_id \
             WHERE m.company = c.company AND m.number = c.e164 \
             AND (lower(r.company_name) LIKE ${name} ESCAPE '!' OR lower(r.person_name) LIKE ${name} ESCAPE '!') \
             AND NOT EXISTS (SELECT 1 FROM contacts k WHERE k.company = c.company AND k.number = c.e164)))"
        ));
    }
    if let Some(down_to) = &filter.down_to {
        args.push(micros(down_to.started_at).into());
        args.push(down_to.id.as_str().into());
        sql.push_str(&format!(
            " AND (c.started_at, c.id) >= (${}, ${})",
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

/// The pattern of LIKE for a text that contains this one.
fn containing(text: &str) -> String {
    let mut pattern = String::from("%");
    for c in text.chars() {
        if matches!(c, '%' | '_' | '!') {
            pattern.push('!');
        }
        pattern.push(c);
    }
    pattern.push('%');
    pattern
}

/// Adds the conditions that an index of calls answers.
fn narrow(sql: &mut String, args: &mut Vec<Arg>, filter: &CallFilter) {
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
    if let Some(after) = &filter.after {
        args.push(micros(after.started_at).into());
        args.push(after.id.as_str().into());
        sql.push_str(&format!(
            " AND (c.started_at, c.id) < (${}, ${})",
            args.len() - 1,
            args.len()
        ));
    }
}

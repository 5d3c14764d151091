//! The call history: recording legs and reading pages.

use std::collections::BTreeSet;

use jiff::Timestamp;
use sqlx::{AssertSqlSafe, SqlSafeStr};

use super::database::rows::{CallRow, NamedCallRow, micros, time};
use super::database::{Arg, args, row, uncrossed};
use super::numbers::{Gate, texts};
use super::purge::KeyRow;
use super::rules::history;
use super::rules::merge::merge;
use super::{CallFilter, Change, Kind, Position, Store, StoreError};
use crate::company_id::CompanyId;
use crate::directory::model::misses::due_at;
use crate::directory::model::webhook::Leg;
use crate::directory::model::{Call, Contact, Receipt};
use crate::directory::why::{CallFacts, Facts, Question};
use crate::phone::{self, E164, Region};

/// The most names of a company that are looked through for one: contacts, and records of its
/// address book.
const MOST_NAMES: u32 = 20_000;
/// The most numbers whose calls are read for one name.
const MOST_NAMED: usize = 100;

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
            .optional(history::ONE, args![company.as_str(), id])
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
        let (sql, args) = history::page(company, filter);
        self.read_page(company, sql, args, filter.limit).await
    }

    /// Reads a statement of a page. The second value is where the next one begins.
    async fn read_page(
        &self,
        company: &CompanyId,
        sql: String,
        args: Vec<Arg>,
        limit: u32,
    ) -> Result<(Vec<Call>, Option<Position>), StoreError> {
        let rows: Vec<NamedCallRow> = self
            .database
            .all(AssertSqlSafe(sql), args)
            .await
            .map_err(|error| StoreError::sort("read the call history", error))?;
        let more = rows.len() > limit as usize;
        let mut calls = rows
            .into_iter()
            .take(limit as usize)
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
#[derive(Debug, Clone, Default, PartialEq, Eq)]
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
    /// A page of a search that may ask for more than an index answers: for a name, a direction, or
    /// whether there is a contact.
    ///
    /// A page of a history of any length takes a bounded time. Who is called so is found first,
    /// where the company knows few enough names to look through all of them: their calls are read
    /// by their numbers, however old they are. Otherwise at most `walk` calls are looked through,
    /// and the next page goes on with older ones.
    pub(crate) async fn search_calls(
        &self,
        company: &CompanyId,
        filter: &CallFilter,
        walk: u32,
    ) -> Result<SearchedPage, StoreError> {
        match (&filter.name, filter.matched) {
            (Some(_), Some(false)) => return Ok(SearchedPage::default()),
            (Some(name), _) if filter.direction.is_none() => {
                if let Some(numbers) = self.numbers_named(company, name).await? {
                    return self.calls_of_numbers(company, filter, &numbers).await;
                }
            }
            _ => {}
        }
        let end = if filter.asks_beyond_an_index() {
            let (sql, args) = history::end_of_walk(company, filter, walk);
            self.position(AssertSqlSafe(sql), args).await?
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

    /// The numbers of everybody whose name, or company's name, contains this; `None` if that is too
    /// much to look through, or too many are called so.
    async fn numbers_named(
        &self,
        company: &CompanyId,
        name: &str,
    ) -> Result<Option<BTreeSet<String>>, StoreError> {
        let sort = |error| StoreError::sort("search the names", error);
        let most = i64::from(MOST_NAMES);
        let key = args![company.as_str(), most];
        let beyond: Option<KeyRow> = self
            .database
            .optional(history::BEYOND, key)
            .await
            .map_err(sort)?;
        let book = self.book_size(company).await?;
        if beyond.is_some() || book > u64::from(MOST_NAMES) {
            return Ok(None);
        }
        let pattern = history::containing(name);
        let key = args![company.as_str(), pattern, most, MOST_NAMED as i64 + 1];
        let contacts = self.database.all(history::CONTACTS_NAMED, key.clone());
        let contacts: Vec<KeyRow> = contacts.await.map_err(sort)?;
        let records: Vec<KeyRow> = match book {
            0 => Vec::new(),
            _ => self
                .database
                .all(history::RECORDS_NAMED, key)
                .await
                .map_err(sort)?,
        };
        let numbers: BTreeSet<String> = contacts
            .iter()
            .chain(&records)
            .flat_map(|row| row.key.split_ascii_whitespace())
            .map(str::to_owned)
            .collect();
        let are_few = contacts.len().max(records.len()).max(numbers.len()) <= MOST_NAMED;
        Ok(are_few.then_some(numbers))
    }

    /// A page of the calls of some numbers, whose names are known to be asked for.
    async fn calls_of_numbers(
        &self,
        company: &CompanyId,
        filter: &CallFilter,
        numbers: &BTreeSet<String>,
    ) -> Result<SearchedPage, StoreError> {
        if numbers.is_empty() {
            return Ok(SearchedPage::default());
        }
        let sort = |error| StoreError::sort("search the call history", error);
        let (sql, args) = history::of_numbers(company, filter, numbers);
        let found = self.database.all(AssertSqlSafe(sql), args);
        let found: Vec<PositionRow> = found.await.map_err(sort)?;
        let ids: Vec<&str> = found.iter().map(|row| row.id.as_str()).collect();
        if ids.is_empty() {
            return Ok(SearchedPage::default());
        }
        // Read with the name once more: a number of the address book may have a contact of another
        // name, which is the one that is shown.
        let (sql, args) = history::by_ids(company, filter, &ids);
        let (mut calls, _) = self.read_page(company, sql, args, u32::MAX).await?;
        calls.sort_by(|one, other| (other.started_at, &other.id).cmp(&(one.started_at, &one.id)));
        let limit = filter.limit as usize;
        let last = found.get(limit.saturating_sub(1));
        let more = found.len() > limit;
        calls.retain(|call| {
            last.is_none_or(|last| {
                (micros(call.started_at), call.id.as_str()) >= (last.started_at, last.id.as_str())
            })
        });
        let next = match last {
            Some(last) if more => Some(Position {
                started_at: time(last.started_at)?,
                id: last.id.clone(),
            }),
            _ => None,
        };
        Ok(SearchedPage {
            calls,
            next,
            searched_to: None,
        })
    }

    async fn position(
        &self,
        sql: impl SqlSafeStr,
        args: Vec<Arg>,
    ) -> Result<Option<Position>, StoreError> {
        let row: Option<PositionRow> = self
            .database
            .optional(sql, args)
            .await
            .map_err(|error| StoreError::sort("search the call history", error))?;
        row.map(Position::try_from).transpose()
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

//! What runs ask again: the numbers of a re-retrieval that was requested, and misses that are due.
//!
//! Nothing is handed out for a time: a number is asked again until its question is on record. A run
//! that is killed loses nothing, and at most the numbers of one request to Salesforce are asked
//! twice.

use std::collections::HashSet;

use jiff::{SignedDuration, Timestamp};

use super::database::rows::{e164, micros, time};
use super::database::{Arg, args, row, uncrossed};
use super::numbers::Gate;
use super::{Store, StoreError};
use crate::company_id::CompanyId;
use crate::directory::model::misses::due;
use crate::directory::model::{AgainRequest, NumbersToAsk};
use crate::phone::E164;

const STATE: &str = "SELECT settings, round_at, request, requested_at, since, upto, named, open FROM retrievals \
     WHERE company = $1";

const KEEP: &str = "INSERT INTO retrievals (company, settings, round_at, request, requested_at, since, upto, named, \
     open) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (company) DO UPDATE SET \
     settings = excluded.settings, round_at = excluded.round_at, request = excluded.request, \
     requested_at = excluded.requested_at, since = excluded.since, upto = excluded.upto, named = excluded.named, \
     open = excluded.open";

/// Parameters: $1 company, $2 request, $3 up to, $4 open. Another request that began meanwhile
/// stays.
const GO_ON: &str =
    "UPDATE retrievals SET upto = $3, open = $4 WHERE company = $1 AND request = $2";

/// Parameters: $1 company, $2 now, $3 settings. Misses that were compared with other settings are
/// due at once.
const DUE_AT_ONCE: &str =
    "UPDATE questions SET due_at = $2 WHERE company = $1 AND due_at > $2 AND settings <> $3";

/// The condition on a call `c` whose number a re-retrieval has still to ask. Of the calls of a
/// number only the newest counts; while that one is pending, it has the number asked.
///
/// Parameters: $1 company, $2 since, $3 up to, $4 requested at, $5 whether numbers with a contact
/// are asked, too.
macro_rules! to_retrieve {
    () => {
        "FROM calls c WHERE c.company = $1 AND c.started_at >= $2 AND c.started_at <= $3 AND c.lookup = 'Done' \
         AND c.e164 IS NOT NULL AND NOT EXISTS (SELECT 1 FROM calls d WHERE d.company = c.company \
         AND d.e164 = c.e164 AND (d.started_at, d.id) > (c.started_at, c.id) AND d.lookup <> 'None') \
         AND NOT EXISTS (SELECT 1 FROM questions q WHERE q.company = c.company AND q.number = c.e164 \
         AND q.asked_at >= $4) AND ($5 = 1 OR NOT EXISTS (SELECT 1 FROM contacts p \
         WHERE p.company = c.company AND p.number = c.e164))"
    };
}

/// Parameters: those of [`to_retrieve`], $6 most numbers.
pub(crate) const RETRIEVE: &str = concat!(
    "SELECT c.e164 AS number, c.started_at ",
    to_retrieve!(),
    " ORDER BY c.started_at DESC, c.id DESC LIMIT $6"
);

const LEFT: &str = concat!("SELECT COUNT(*) AS count ", to_retrieve!());

/// Parameters: $1 company, $2 due by, $3 most numbers. A number that somebody has named meanwhile
/// is left alone.
pub(crate) const DUE: &str = "SELECT number, asked_at, misses, settings FROM questions WHERE company = $1 \
     AND due_at IS NOT NULL AND due_at <= $2 AND NOT EXISTS (SELECT 1 FROM contacts p \
     WHERE p.company = questions.company AND p.number = questions.number) ORDER BY due_at, number LIMIT $3";

row! {
    /// A row of `retrievals`.
    #[derive(Debug, Clone, PartialEq, Eq)]
    struct StateRow {
        settings: String,
        round_at: i64,
        request: Option<String>,
        requested_at: i64,
        since: i64,
        upto: i64,
        named: i64,
        open: i64,
    }
}

row! {
    struct CalledRow {
        number: String,
        started_at: i64,
    }
}

row! {
    struct DueRow {
        number: String,
        asked_at: i64,
        misses: i64,
        settings: String,
    }
}

row! {
    struct CountRow {
        count: i64,
    }
}

// === impl Store ===

impl Store {
    /// The numbers to ask again, see [`AgainRequest`].
    pub(crate) async fn numbers_to_ask(
        &self,
        company: &CompanyId,
        request: &AgainRequest,
        now: Timestamp,
    ) -> Result<NumbersToAsk, StoreError> {
        let sort = |error| StoreError::sort("find the numbers to ask again", error);
        let state = uncrossed(|| self.begin_asking(company, request, now))
            .await
            .map_err(sort)?;
        let limit = request.limit;
        let mut answer = NumbersToAsk::default();
        if limit == 0 {
            let left = self.left_to_retrieve(company, &state).await;
            answer.remaining = left.map_err(sort)?;
        } else if state.open == 1 {
            let mut args = window(company, &state);
            args.push(i64::from(limit).into());
            let rows: Vec<CalledRow> = self.database.all(RETRIEVE, args).await.map_err(sort)?;
            let numbers = rows.iter().filter_map(|row| e164(&row.number));
            answer.retrieval = numbers.collect();
            let newest = rows.first().map(|row| row.started_at);
            uncrossed(|| self.go_on_from(company, &state, newest))
                .await
                .map_err(sort)?;
        }
        let room = limit.saturating_sub(answer.retrieval.len() as u32);
        let of_retrieval: HashSet<&E164> = answer.retrieval.iter().collect();
        // With no room, one row shows whether a miss is due.
        let args = args![
            company.as_str(),
            state.round_at.min(micros(now)),
            i64::from(room.max(1))
        ];
        let rows: Vec<DueRow> = self.database.all(DUE, args).await.map_err(sort)?;
        let page_is_full = limit > 0 && answer.retrieval.len() >= limit as usize;
        answer.more = answer.remaining > 0 || page_is_full || rows.len() >= room.max(1) as usize;
        let mut alike = true;
        for row in rows.into_iter().take(room as usize) {
            let asked_at = time(row.asked_at)?;
            let times = u32::try_from(row.misses).unwrap_or(u32::MAX);
            if let Some(number) = e164(&row.number)
                && due(asked_at, times, &row.settings, &state.settings, now)
                && !of_retrieval.contains(&number)
            {
                answer.misses.push(number);
                alike &= row.settings == state.settings;
                let first = answer.missed_since.get_or_insert(asked_at);
                *first = asked_at.min(*first);
            }
        }
        answer.missed_since.take_if(|_| !alike);
        Ok(answer)
    }

    /// Records what a request begins. It writes only if something changes.
    async fn begin_asking(
        &self,
        company: &CompanyId,
        request: &AgainRequest,
        now: Timestamp,
    ) -> Result<StateRow, sqlx::Error> {
        let key = || args![company.as_str()];
        let known: Option<StateRow> = self.database.optional(STATE, key()).await?;
        let state = next_state(known.as_ref(), request, now);
        if known.as_ref() == Some(&state) {
            return Ok(state);
        }
        let mut transaction = self.database.begin().await?;
        transaction.lock("again", [company.as_str()]).await?;
        if Gate::open(&mut transaction, company).await?.is_closed() {
            return Ok(state);
        }
        let known: Option<StateRow> = transaction.optional(STATE, key()).await?;
        let state = next_state(known.as_ref(), request, now);
        let settings = state.settings.as_str();
        if known.is_none_or(|known| known.settings != settings) {
            let args = args![company.as_str(), micros(now), settings];
            transaction.execute(DUE_AT_ONCE, args).await?;
        }
        transaction.execute(KEEP, columns(company, &state)).await?;
        transaction.commit().await?;
        Ok(state)
    }

    /// Records how far a re-retrieval has come: `newest` is the start of the newest call whose
    /// number it has still to ask; `None` if it is over.
    async fn go_on_from(
        &self,
        company: &CompanyId,
        state: &StateRow,
        newest: Option<i64>,
    ) -> Result<(), sqlx::Error> {
        if newest == Some(state.upto) {
            return Ok(());
        }
        let args = args![
            company.as_str(),
            state.request.as_deref(),
            newest.unwrap_or(state.upto),
            i64::from(newest.is_some()),
        ];
        let mut transaction = self.database.begin().await?;
        transaction.execute(GO_ON, args).await?;
        transaction.commit().await
    }

    async fn left_to_retrieve(
        &self,
        company: &CompanyId,
        state: &StateRow,
    ) -> Result<u64, sqlx::Error> {
        if state.open == 0 {
            return Ok(0);
        }
        let row: Option<CountRow> = self.database.optional(LEFT, window(company, state)).await?;
        Ok(row.map_or(0, |row| row.count.unsigned_abs()))
    }
}

/// Returns the state after a request. Pure.
///
/// A re-retrieval that is known already goes on, and another one takes its place. Misses are
/// collected anew when the time for a round has come, or when other settings decide a match.
fn next_state(known: Option<&StateRow>, request: &AgainRequest, now: Timestamp) -> StateRow {
    let round_every = SignedDuration::from_secs(i64::from(request.round_every));
    let next_round = |round_at: i64| round_at.saturating_add(round_every.as_micros() as i64);
    let mut state = known.cloned().unwrap_or(StateRow {
        settings: request.settings.clone(),
        round_at: micros(now),
        request: None,
        requested_at: 0,
        since: 0,
        upto: 0,
        named: 0,
        open: 0,
    });
    if state.settings != request.settings || next_round(state.round_at) <= micros(now) {
        state.round_at = micros(now);
    }
    state.settings.clone_from(&request.settings);
    if let Some(begin) = &request.begin
        && state.request.as_ref() != Some(&begin.request)
    {
        let span = SignedDuration::from_hours(24 * i64::from(begin.history_days));
        state.request = Some(begin.request.clone());
        state.requested_at = micros(now);
        state.since = micros(now).saturating_sub(span.as_micros() as i64);
        state.upto = i64::MAX;
        state.named = i64::from(begin.named);
        state.open = 1;
    }
    state
}

fn window(company: &CompanyId, state: &StateRow) -> Vec<Arg> {
    args![
        company.as_str(),
        state.since,
        state.upto,
        state.requested_at,
        state.named
    ]
}

fn columns(company: &CompanyId, state: &StateRow) -> Vec<Arg> {
    args![
        company.as_str(),
        state.settings.as_str(),
        state.round_at,
        state.request.as_deref(),
        state.requested_at,
        state.since,
        state.upto,
        state.named,
        state.open,
    ]
}

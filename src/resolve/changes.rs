//! The records that changed: the other way to ask for numbers that no record held.
//!
//! Such a number can only be found on a record that was changed since. One query for each object
//! returns these records, however many numbers there are. Where many numbers were not known and few
//! records change, it costs fewer API calls than asking for the numbers.

use std::collections::{HashMap, HashSet};

use jiff::{SignedDuration, Timestamp};
use tracing::debug;

use super::query::Slot;
use super::record::Row;
use super::resolver::{Finding, Resolver};
use super::search::shrink;
use super::url_limit::is_too_much;
use super::{LookedUp, MAX_ROWS_PER_PAGE, Object, ResolveError, choose};
use crate::phone::E164;
use crate::salesforce::{NextPage, Page, Subrequest, Subresponse};

/// The clocks of the directory and of Salesforce differ, and a record may be saved while its number
/// is asked for.
const OVERLAP: SignedDuration = SignedDuration::from_hours(1);

/// Up to so many calls, numbers are asked for as any others.
const FEW_CALLS: usize = 2;

/// The most bytes of records that are kept. More records of a few thousand numbers are an org in
/// which everything changed.
const MAX_KEPT_BYTES: usize = 8 << 20;

/// The query of an object, before its first page or at a later one.
struct Reading {
    object: Object,
    next: Option<NextPage>,
    rows: u64,
}

impl Resolver {
    /// Looks up numbers that no record held at `since`, by the records that changed since then.
    /// Returns `None` if asking for the numbers costs fewer calls; then one call is spent at most.
    pub async fn resolve_missed(
        &mut self,
        numbers: &[E164],
        since: Timestamp,
    ) -> Result<Option<LookedUp>, ResolveError> {
        let each = self.batch(numbers).numbers().len().max(1);
        let otherwise = numbers.len().div_ceil(each);
        if otherwise <= FEW_CALLS {
            return Ok(None);
        }
        let since = since.checked_sub(OVERLAP).unwrap_or(since);
        let asked: HashSet<&E164> = numbers.iter().collect();
        let mut records = Vec::new();
        let mut kept_bytes = 0;
        let mut readings: Vec<Reading> = self.shape.objects().map(Reading::of).collect();
        let mut calls = 0;
        while !readings.is_empty() {
            let requests: Vec<Subrequest> = readings
                .iter()
                .map(|reading| match &reading.next {
                    Some(next) => Subrequest::query_next(reading.object.as_str(), next),
                    None => {
                        let soql = self.shape.soql_changed(reading.object, since);
                        Subrequest::query(reading.object.as_str(), soql.as_str())
                    }
                })
                .collect();
            self.allowance.check(self.connection.spent())?;
            let mut answers = match self.connection.composite(&requests).await {
                Ok(answers) => answers,
                Err(error) if is_too_much(&error) => return Ok(None),
                Err(error) => return Err(error.into()),
            };
            calls += 1;
            let mut calls_left = 0;
            let mut further = Vec::new();
            // Contacts and accounts both name what an org without person accounts lacks.
            let mut persons_dropped = false;
            for mut reading in readings {
                let named = |answer: &_| is_of(answer, reading.object);
                let Some(at) = answers.iter().position(named) else {
                    return Err(ResolveError::AnswerMissing(reading.object));
                };
                let page = answers.swap_remove(at).page();
                let page: Page<Row> = match page {
                    Ok(page) => page,
                    Err(error) if is_too_much(&error) => return Ok(None),
                    Err(error) => {
                        let slot = Slot::of_all(reading.object);
                        let finding = shrink(&mut self.shape, &slot, &error);
                        if finding.is_none() && !(persons_dropped && reading.object != Object::Lead)
                        {
                            return Err(error.into());
                        }
                        persons_dropped |= finding == Some(Finding::NoPersonAccounts);
                        self.findings.extend(finding);
                        if self.shape.objects().any(|object| object == reading.object) {
                            further.push(Reading::of(reading.object));
                        }
                        continue;
                    }
                };
                reading.rows += page.records.len() as u64;
                let left = page.total_size.saturating_sub(reading.rows);
                calls_left = left.div_ceil(MAX_ROWS_PER_PAGE as u64).max(calls_left);
                let found = page.records.into_iter();
                let found = found.filter_map(|row| row.into_record(reading.object, &self.home));
                for record in found {
                    if record.numbers.iter().any(|number| asked.contains(number)) {
                        kept_bytes += record.bytes();
                        records.push(record);
                    }
                }
                if kept_bytes > MAX_KEPT_BYTES {
                    debug!("too much changed: the numbers are asked for");
                    return Ok(None);
                }
                reading.next = page.next;
                further.extend(Some(reading).filter(|reading| reading.next.is_some()));
            }
            if calls + calls_left > otherwise as u64 {
                debug!(
                    calls_left,
                    otherwise, "too much changed: the numbers are asked for"
                );
                return Ok(None);
            }
            readings = further;
        }
        // No record was left out, so that the records themselves tell how many there are.
        let counts = HashMap::new();
        let found = choose(numbers, &records, &counts, self.instance.as_ref());
        Ok(Some(LookedUp { found, records }))
    }
}

impl Reading {
    fn of(object: Object) -> Self {
        Self {
            object,
            next: None,
            rows: 0,
        }
    }
}

fn is_of(answer: &Subresponse, object: Object) -> bool {
    answer.reference_id == object.as_str()
}

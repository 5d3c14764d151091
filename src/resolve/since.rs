//! Reads what changed in the org since a time, and records by their Ids.
//!
//! One composite request asks for the changes of all objects. What does not fit into its pages is
//! read by further requests, one page of each object at a time.

use std::collections::{BTreeSet, HashSet};

use jiff::Timestamp;

use super::query::Slot;
use super::record::{Change, Row};
use super::resolver::{Finding, Resolver};
use super::search::shrink;
use super::{MAX_QUERIES_PER_COMPOSITE, MAX_ROWS_PER_PAGE, Object, ResolveError};
use crate::phone::Region;
use crate::salesforce::{NextPage, Page, Subrequest};

/// The records that one query reads: their Ids fit into the shortest URL that every org accepts,
/// and the rows into a page.
const MAX_IDS: usize = 600;
const _: () = assert!(MAX_IDS <= MAX_ROWS_PER_PAGE);

/// The changes since a time, read page by page.
#[derive(Debug)]
pub struct ChangesSince {
    since: Timestamp,
    open: Vec<Reading>,
    half_told: BTreeSet<String>,
}

/// The query of an object, before its first page or at a later one.
#[derive(Debug)]
struct Reading {
    object: Object,
    next: Option<NextPage>,
    rows: u64,
    rows_left: u64,
}

/// The Ids of one query, and the rows that it returned.
pub(crate) struct ById {
    pub object: Object,
    pub ids: Vec<String>,
    pub rows: Vec<Row>,
}

// === impl ChangesSince ===

impl ChangesSince {
    /// The person accounts of which the last page had the row of the person contact and not that of
    /// the account, which is on another page or in none.
    pub fn half_told(&self) -> &BTreeSet<String> {
        &self.half_told
    }

    /// How many calls the rest costs, as far as it is known: at least one while there is a rest.
    pub fn calls_left(&self) -> u64 {
        let pages = |reading: &Reading| reading.rows_left.div_ceil(MAX_ROWS_PER_PAGE as u64).max(1);
        self.open.iter().map(pages).max().unwrap_or(0)
    }
}

// === impl Reading ===

impl Reading {
    fn of(object: Object) -> Self {
        Self {
            object,
            next: None,
            rows: 0,
            rows_left: 0,
        }
    }
}

// === impl Resolver ===

impl Resolver {
    /// Begins to read what changed since a time. Nothing is sent yet.
    pub fn changes_since(&self, since: Timestamp) -> ChangesSince {
        ChangesSince {
            since,
            open: self.shape.objects().map(Reading::of).collect(),
            half_told: BTreeSet::new(),
        }
    }

    /// Reads the next pages of the changes by one call: a page of each object that has one. `None`
    /// when all is read.
    pub async fn next_changes(
        &mut self,
        changes: &mut ChangesSince,
    ) -> Result<Option<Vec<Change>>, ResolveError> {
        if changes.open.is_empty() {
            return Ok(None);
        }
        let requests: Vec<Subrequest> = changes
            .open
            .iter()
            .map(|reading| match &reading.next {
                Some(next) => Subrequest::query_next(reading.object.as_str(), next),
                None => {
                    let soql = self.shape.soql_since(reading.object, changes.since);
                    Subrequest::query_all(reading.object.as_str(), soql.as_str())
                }
            })
            .collect();
        self.allowance.check(self.connection.spent())?;
        let mut answers = self.connection.composite(&requests).await?;
        let mut found = Vec::new();
        let mut persons_dropped = false;
        let (mut persons, mut accounts) = (BTreeSet::new(), BTreeSet::new());
        for mut reading in std::mem::take(&mut changes.open) {
            let object = reading.object;
            let at = answers
                .iter()
                .position(|answer| answer.reference_id == object.as_str())
                .ok_or(ResolveError::AnswerMissing(object))?;
            let page: Page<Row> = match answers.swap_remove(at).page() {
                Ok(page) => page,
                Err(error) => {
                    // What the user does not see is left out, as in a look-up. Contacts and
                    // accounts both name what an org without person accounts lacks.
                    let finding = shrink(&mut self.shape, &Slot::of_all(object), &error);
                    if finding.is_none() && !(persons_dropped && object != Object::Lead) {
                        return Err(error.into());
                    }
                    persons_dropped |= finding == Some(Finding::NoPersonAccounts);
                    self.findings.extend(finding);
                    if self.shape.objects().any(|searched| searched == object) {
                        changes.open.push(Reading::of(object));
                    }
                    continue;
                }
            };
            reading.rows += page.records.len() as u64;
            reading.rows_left = page.total_size.saturating_sub(reading.rows);
            for row in page.records {
                if object == Object::Contact {
                    persons.extend(row.person_of().map(str::to_owned));
                }
                let Some(change) = row.into_change(object, &self.home) else {
                    continue;
                };
                if object == Object::Account {
                    accounts.insert(change.id().to_owned());
                }
                found.push(change);
            }
            reading.next = page.next;
            changes
                .open
                .extend(Some(reading).filter(|reading| reading.next.is_some()));
        }
        changes.half_told = persons.difference(&accounts).cloned().collect();
        Ok(Some(found))
    }

    /// Reads records by their Ids, as changes: an Id of which nothing comes back is gone. Ids of an
    /// object that the user does not see are left out. One call reads up to 3,000 of them.
    pub async fn changes_of(
        &mut self,
        ids: &[(Object, String)],
    ) -> Result<Vec<Change>, ResolveError> {
        let seen = self.shape.objects().map(|object| {
            let of_object = ids.iter().filter(|(of, _)| *of == object);
            (object, of_object.map(|(_, id)| id.clone()).collect())
        });
        let seen: Vec<(Object, Vec<String>)> = seen.collect();
        let mut found = Vec::new();
        self.read_by_id(seen, |home, read| {
            let rows = read.rows.into_iter();
            let there: Vec<Change> = rows
                .filter_map(|row| row.into_change(read.object, home))
                .collect();
            let ids_there: HashSet<&str> = there.iter().map(Change::id).collect();
            let mut gone = read.ids;
            gone.retain(|id| !ids_there.contains(id.as_str()));
            found.extend(gone.into_iter().map(|id| Change::Gone {
                id,
                merged_into: None,
            }));
            found.extend(there);
        })
        .await?;
        Ok(found)
    }

    /// Reads the records of these Ids, and hands the rows of each query to `take` as they come,
    /// with the region by which their numbers are read. What the user does not see is left out,
    /// as in a look-up: a field, or a whole object with all its Ids.
    pub(crate) async fn read_by_id(
        &mut self,
        ids: impl IntoIterator<Item = (Object, Vec<String>)>,
        mut take: impl FnMut(&Region, ById),
    ) -> Result<(), ResolveError> {
        let mut pending: Vec<(Object, Vec<String>)> = Vec::new();
        for (object, ids) in ids {
            pending.extend(ids.chunks(MAX_IDS).map(|ids| (object, ids.to_vec())));
        }
        while !pending.is_empty() {
            self.allowance.check(self.connection.spent())?;
            let more = pending.split_off(pending.len().min(MAX_QUERIES_PER_COMPOSITE));
            let queries = std::mem::replace(&mut pending, more);
            let requests: Vec<Subrequest> = queries
                .iter()
                .enumerate()
                .map(|(at, (object, ids))| {
                    let soql = self.shape.soql_by_id(*object, ids);
                    Subrequest::query(format!("r{at}"), soql.as_str())
                })
                .collect();
            let answers = self.connection.composite(&requests).await?;
            let mut changed: BTreeSet<Object> = BTreeSet::new();
            for ((object, ids), answer) in queries.into_iter().zip(answers) {
                let page: Page<Row> = match answer.page() {
                    Ok(page) => page,
                    Err(error) => {
                        match shrink(&mut self.shape, &Slot::of_all(object), &error) {
                            Some(finding) => self.findings.push(finding),
                            None if changed.contains(&object) => {}
                            None => return Err(error.into()),
                        }
                        changed.insert(object);
                        if self.shape.objects().any(|searched| searched == object) {
                            pending.push((object, ids));
                        }
                        continue;
                    }
                };
                let rows = page.records;
                take(&self.home, ById { object, ids, rows });
            }
        }
        Ok(())
    }
    /// The objects that are searched, as far as queries found out.
    pub fn searched_objects(&self) -> impl Iterator<Item = Object> + '_ {
        self.shape.objects()
    }
}

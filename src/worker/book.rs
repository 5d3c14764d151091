//! The address book in the directory: what changes do to it, and who it says is behind a number.
//!
//! Every record with a phone number is in it. A run writes to it what it reads of the changes in
//! Salesforce, before the watermark moves. Where it is whole and up to date, numbers are asked
//! there and not in Salesforce.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use jiff::{SignedDuration, Timestamp};
use tracing::{info, warn};
use url::Url;

use super::failure::Failure;
use super::found::{held, object, record_object};
use super::run::{Progress, Run};
use super::todo::Todo;
use crate::book::{At, Part, Shelf};
use crate::directory::model::MAX_BULK;
use crate::directory::model::book::{
    AccountName, BeginFill, Book, BookRecord, FillPart, HoldersRequest, MAX_NUMBERS_OF_A_RECORD,
    WriteRecords,
};
use crate::directory::model::follow::FollowState;
use crate::error::Chain;
use crate::follow::{Changes, OVERLAP};
use crate::phone::E164;
use crate::resolve::{LookedUp, Object, Record, Resolver, choose};
use crate::run::{BookReport, Filling};
use crate::salesforce::Place;

/// How old the watermark may be where names come from the address book, beside the time between
/// two windows: the clocks of the cluster and of Salesforce may differ.
const SLACK: SignedDuration = SignedDuration::from_hours(1);

/// How often changes are followed for the address book alone, where names of contacts do not
/// follow: as often as the connection is proved by default.
pub(super) const FOLLOWED_EVERY: SignedDuration = SignedDuration::from_mins(30);

/// An address book that has all records.
#[derive(Debug, Clone)]
pub(super) struct Whole {
    /// For links that open a record.
    instance: Option<Url>,
}

/// What a window says beyond its pages.
#[derive(Debug, Default)]
pub(super) struct Window {
    /// Accounts that were merged, and into which.
    merged: BTreeMap<String, String>,
    /// The names of the accounts that changed.
    names: HashMap<String, Option<String>>,
    /// The accounts whose own row came.
    seen: HashSet<String>,
    /// Person accounts of which only the person contact's row came.
    half_told: BTreeSet<String>,
}

// === impl Window ===

impl Window {
    /// The account that stayed of those that this one was merged into.
    fn winner<'a>(&'a self, loser: &'a str) -> &'a str {
        let mut winner = loser;
        // Merges may form no circle; a made-up answer might.
        for _ in 0..self.merged.len() {
            match self.merged.get(winner) {
                Some(next) => winner = next,
                None => break,
            }
        }
        winner
    }
}

// === impl Run ===

impl Run {
    /// The most records that the address book may have; `None` where the company wants none.
    pub(super) fn most_records(&self) -> Option<u64> {
        self.settings.address_book.map(|book| book.max_records)
    }

    /// Whether there is an address book that changes are to be written to.
    pub(super) async fn has_book(&self) -> Result<bool, Failure> {
        let Some(most) = self.most_records() else {
            return Ok(false);
        };
        let book = self.directory.book().await?;
        Ok(book.generation > 0 && !shelf(&book).is_over(most))
    }

    /// The address book, if it has all records up to the time that was followed.
    pub(super) async fn whole_book(
        &self,
        followed: Option<&FollowState>,
        progress: &mut Progress<'_>,
    ) -> Result<Option<Whole>, Failure> {
        let Some(most) = self.most_records() else {
            return Ok(None);
        };
        let book = self.directory.book().await?;
        let watermark = followed.and_then(|state| state.watermark);
        progress.report.address_book = Some(told(&book, watermark, most));
        let every = self.settings.follow.map_or(FOLLOWED_EVERY, |follow| {
            let seconds = i64::try_from(follow.every_seconds).unwrap_or(i64::MAX / 4);
            SignedDuration::from_secs(seconds.min(i64::MAX / 4))
        });
        let fresh = OVERLAP + SLACK + every;
        let now = Timestamp::now();
        let is_fresh = watermark.is_some_and(|watermark| now.duration_since(watermark) <= fresh);
        Ok(whole(&book).filter(|_| is_fresh))
    }

    /// Writes the changes of a page into the address book. It is asked for after the page was read:
    /// what was there before a fill began, the fill reads itself.
    pub(super) async fn shelve(
        &self,
        changes: &Changes,
        half_told: &BTreeSet<String>,
        resolver: &Resolver,
        window: &mut Window,
    ) -> Result<(), Failure> {
        let Some(most) = self.most_records() else {
            return Ok(());
        };
        let accounts_tell = resolver.accounts_tell_persons();
        let half = |record: &Record| accounts_tell && half_told.contains(&record.id);
        let mut records = Vec::new();
        let mut gone: Vec<String> = Vec::new();
        let mut accounts = Vec::new();
        for record in changes.there() {
            if half(record) {
                window.half_told.insert(record.id.clone());
                continue;
            }
            if record.object == Object::Account {
                window.seen.insert(record.id.clone());
            }
            if record.object == Object::Account && record.person.is_none() {
                let name = record.company.clone();
                window.names.insert(record.id.clone(), name.clone());
                accounts.push(AccountName {
                    record_id: record.id.clone(),
                    name,
                    merged_into: None,
                });
            }
            if record.numbers.is_empty() {
                gone.push(record.id.clone());
            } else {
                records.push(book_record(record));
            }
        }
        for (id, winner) in changes.gone() {
            gone.push(id.to_owned());
            window.seen.insert(id.to_owned());
            if let Some(winner) = winner {
                window.merged.insert(id.to_owned(), winner.to_owned());
            }
        }
        if shelf(&self.directory.book().await?).is_over(most) {
            return Ok(());
        }
        records.sort_by(|a, b| a.record_id.cmp(&b.record_id));
        let requests = [records.len(), gone.len(), accounts.len()];
        let requests = requests.into_iter().max().unwrap_or(0).div_ceil(MAX_BULK);
        for at in 0..requests {
            let request = WriteRecords {
                records: chunk(&records, at),
                gone: chunk(&gone, at),
                accounts: chunk(&accounts, at),
                ..WriteRecords::default()
            };
            self.directory.write_records(&request).await?;
        }
        Ok(())
    }

    /// Writes what the pages of a window did not say by themselves, and that all is written.
    pub(super) async fn shelve_rest(
        &self,
        mut window: Window,
        resolver: &mut Resolver,
    ) -> Result<(), Failure> {
        if self.most_records().is_none() {
            return Ok(());
        }
        let half_told: Vec<&String> = window
            .half_told
            .iter()
            .filter(|id| !window.seen.contains(*id))
            .collect();
        let winners = window.merged.keys().map(|loser| window.winner(loser));
        let unread = winners
            // Of a merge of leads or contacts nothing is left to be told.
            .filter(|winner| winner.starts_with("001") && !window.names.contains_key(*winner))
            .chain(half_told.into_iter().map(String::as_str));
        let unread: BTreeSet<String> = unread.map(str::to_owned).collect();
        if !unread.is_empty() {
            let ids: Vec<(Object, String)> =
                unread.into_iter().map(|id| (Object::Account, id)).collect();
            let changes = Changes::new(resolver.changes_of(&ids).await?);
            self.shelve(&changes, &BTreeSet::new(), resolver, &mut window)
                .await?;
        }
        let moved = window.merged.keys().filter_map(|loser| {
            let winner = window.winner(loser);
            let name = window.names.get(winner)?;
            Some(AccountName {
                record_id: loser.clone(),
                name: name.clone(),
                merged_into: Some(winner.to_owned()),
            })
        });
        let moved: Vec<AccountName> = moved.collect();
        // An empty request confirms the book.
        for at in 0..moved.len().div_ceil(MAX_BULK).max(1) {
            let request = WriteRecords {
                accounts: chunk(&moved, at),
                ..WriteRecords::default()
            };
            self.directory.write_records(&request).await?;
        }
        Ok(())
    }

    /// Has the book filled anew, because changes do not tell all of it any more.
    pub(super) async fn fill_anew(&self) -> Result<(), Failure> {
        if self.has_book().await? {
            warn!("the address book is filled anew: changes do not tell all of it any more");
            let request = BeginFill {
                anew: true,
                instance: None,
            };
            self.directory.begin_fill(&request).await?;
        }
        Ok(())
    }

    /// Answers numbers from the address book: no call. What it does not hold, Salesforce does not.
    pub(super) async fn ask_book(
        &self,
        numbers: &[E164],
        todo: &Todo,
        book: &Whole,
        resolver: Option<&Resolver>,
        progress: &mut Progress<'_>,
    ) -> Result<(), Failure> {
        // Which objects the user does not see, only a run says that has asked.
        let searched = resolver.map(|resolver| resolver.fully_searched().map(record_object));
        let searched: Vec<_> = searched.into_iter().flatten().collect();
        let mut parts: Vec<&[E164]> = numbers.chunks(MAX_BULK).collect();
        parts.reverse();
        while let Some(asked) = parts.pop() {
            let request = HoldersRequest {
                numbers: asked.to_vec(),
            };
            let found = self.directory.holders(&request).await?;
            if found.more && asked.len() > 1 {
                let (first, second) = asked.split_at(asked.len() / 2);
                parts.extend([second, first]);
                continue;
            }
            let records: Vec<Record> = found.records.into_iter().map(held).collect();
            let found = choose(asked, &records, &HashMap::new(), book.instance.as_ref());
            info!(
                numbers = asked.len(),
                found = found.len(),
                "the address book answers"
            );
            let answer = LookedUp { found, records };
            self.finish(asked, todo, answer, searched.clone(), progress)
                .await?;
            progress.resolved.extend(asked.iter().cloned());
        }
        Ok(())
    }

    /// Reports the address book as it is at the end of a run.
    pub(super) async fn report_book(
        &self,
        watermark: Option<Timestamp>,
        progress: &mut Progress<'_>,
    ) -> Result<(), Failure> {
        if let Some(most) = self.most_records() {
            let book = self.directory.book().await?;
            progress.report.address_book = Some(told(&book, watermark, most));
        }
        Ok(())
    }

    /// Takes a book away that the company does not want any more. It is no reason to fail: nobody
    /// confirms it, so it goes by itself after a time.
    pub(super) async fn drop_unwanted_book(&self) {
        let dropped = async {
            if self.directory.book().await?.generation > 0 {
                self.drop_book().await?;
            }
            Ok::<(), Failure>(())
        };
        if let Err(error) = dropped.await {
            warn!(error = %Chain(&error), "an address book that nobody wants is still there");
        }
    }

    pub(super) async fn drop_book(&self) -> Result<(), Failure> {
        while !self.directory.drop_book().await?.done {}
        info!("the address book is gone");
        Ok(())
    }
}

/// The book, if it has all records.
pub(super) fn whole(book: &Book) -> Option<Whole> {
    shelf(book).is_whole().then(|| Whole {
        instance: book
            .instance
            .as_deref()
            .and_then(|url| Url::parse(url).ok()),
    })
}

/// What is reported of a book that may have so many records.
pub(super) fn told(book: &Book, watermark: Option<Timestamp>, most: u64) -> BookReport {
    let over_limit = shelf(book).is_over(most);
    let fill = book.fill.as_ref().filter(|_| !over_limit);
    BookReport {
        records: book.records,
        numbers: book.numbers,
        bytes: book.bytes,
        filled_at: book.filled_at,
        watermark: watermark.filter(|_| book.filled_at.is_some()),
        filling: fill.map(|fill| {
            let (rows, of) = fill.progress();
            Filling {
                rows,
                of: of.filter(|_| !fill.parts.is_empty()),
            }
        }),
        over_limit,
    }
}

/// The book as the rules see it.
pub(super) fn shelf(book: &Book) -> Shelf {
    let parts = match &book.fill {
        Some(fill) => &fill.parts,
        None => &book.filled,
    };
    Shelf {
        began_at: book.fill.as_ref().map(|fill| fill.began_at),
        parts: parts.iter().map(part).collect(),
        filled_at: book.filled_at,
        counted_at: book.counted_at,
        records: book.records,
    }
}

fn part(kept: &FillPart) -> Part {
    let job = kept.job_id.as_deref().and_then(|id| id.parse().ok());
    let at = match (job, &kept.locator) {
        (Some(id), locator) => At::Job {
            id,
            place: Place {
                locator: locator.clone(),
                before: kept.rows.saturating_sub(kept.within),
                within: kept.within,
            },
        },
        (None, Some(after)) => At::Page {
            after: after.clone(),
            rows: kept.rows,
        },
        (None, None) => At::Beginning,
    };
    Part {
        object: object(kept.object),
        at,
        skipped: kept.skipped,
        of: kept.of,
        done: kept.done,
    }
}

/// A part in the form in which the directory keeps it.
pub(super) fn kept(part: &Part) -> FillPart {
    let (job_id, locator, within) = match &part.at {
        At::Beginning => (None, None, 0),
        At::Job { id, place } => (Some(id.to_string()), place.locator.clone(), place.within),
        At::Page { after, .. } => (None, Some(after.clone()).filter(|a| !a.is_empty()), 0),
    };
    FillPart {
        object: record_object(part.object),
        job_id,
        locator,
        rows: part.rows(),
        within,
        skipped: part.skipped,
        of: part.of,
        done: part.done,
    }
}

/// A record in the form in which the address book keeps it.
pub(super) fn book_record(record: &Record) -> BookRecord {
    let mut numbers = record.numbers.clone();
    numbers.truncate(MAX_NUMBERS_OF_A_RECORD);
    BookRecord {
        object: record_object(record.object),
        record_id: record.id.clone(),
        account_id: record.account.clone(),
        company_name: record.company.clone(),
        person_name: record.person.clone(),
        title: record.title.clone(),
        owner_name: record.owner.clone(),
        modified_at: record.modified,
        numbers,
    }
}

fn chunk<T: Clone>(all: &[T], at: usize) -> Vec<T> {
    all.chunks(MAX_BULK).nth(at).unwrap_or_default().to_vec()
}

//! A run fills the address book: it counts the records of the org, reads them by bulk queries or
//! page by page, and writes them by the thousand, each time with the place behind them. So a run
//! that is killed loses no more than a thousand rows, and a fill may take several runs.
//!
//! The directory is told that a fill begins before Salesforce is asked for a record, and the
//! watermark of the changes is older than both. So what changes meanwhile is written by a window as
//! a change, over which no page of the fill writes.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;
use tracing::{info, warn};

use super::book::{Window, book_record, kept, shelf, told};
use super::failure::Failure;
use super::follow::is_about_the_question;
use super::run::{Progress, Run, not_stopped};
use crate::book::{At, Counts, Next, PAGES_UP_TO, Part, Reading, count, differ, next};
use crate::directory::model::MAX_BULK;
use crate::directory::model::book::{
    BeginFill, BookRecord, FillStep, FinishFill, RecordsByObject, WriteRecords,
};
use crate::directory::model::follow::FollowState;
use crate::error::Chain;
use crate::follow::{Changes, tells_all};
use crate::reason::Reason;
use crate::resolve::{Object, ResolveError, Resolver};
use crate::run::{Filling, Note, RunKind};
use crate::salesforce::{Meaning, Patience, Place};
use crate::shutdown::Shutdown;

/// How long a daily run reads and writes: a run has half an hour.
const DAILY: Duration = Duration::from_secs(20 * 60);
/// How long a run after calls does: the next one, with the names of new calls, waits for its end.
const AFTER_CALLS: Duration = Duration::from_secs(4 * 60);
/// How long before the fill began the changes are read that its rows may lack. A transaction may
/// commit ten minutes after its stamp, and the clocks of the directory and of Salesforce may
/// differ.
const BEFORE: SignedDuration = SignedDuration::from_hours(1);

/// How records are read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reads {
    /// Rows that are read before they are written. The directory takes so many records at once,
    /// and a worker holds no more.
    pub(crate) portion: usize,
    /// Up to so many records of a kind are read page by page.
    pub(crate) pages_up_to: u64,
    /// How a bulk query is waited for.
    pub(crate) patience: Patience,
}

/// A fill that is under way.
struct Fill {
    generation: u64,
    parts: Vec<Part>,
    began_at: Timestamp,
    /// When this run leaves the rest to the next one.
    until: Instant,
    /// The calls of this run after which it does; `None` means no limit.
    calls: Option<u64>,
}

/// How a step of a fill ended.
#[derive(Debug, PartialEq, Eq)]
enum Step {
    Done,
    /// The rest is for the next run.
    Later,
}

// === impl Reads ===

impl Default for Reads {
    fn default() -> Self {
        Self {
            portion: MAX_BULK,
            pages_up_to: PAGES_UP_TO,
            patience: Patience::default(),
        }
    }
}

// === impl Fill ===

impl Fill {
    fn is_over(&self, resolver: &Resolver) -> bool {
        let spent = resolver.connection().spent().calls;
        Instant::now() >= self.until || self.calls.is_some_and(|most| spent >= most)
    }

    fn step(&self) -> FillStep {
        FillStep {
            generation: self.generation,
            parts: self.parts.iter().map(kept).collect(),
        }
    }
}

// === impl Run ===

impl Run {
    /// Does what is due for the address book: fills it, goes on with a fill, or counts whether it
    /// has what the org has.
    pub(super) async fn keep_book(
        &self,
        followed: Option<&FollowState>,
        resolver: &mut Option<Resolver>,
        progress: &mut Progress<'_>,
        shutdown: &Shutdown,
    ) -> Result<(), Failure> {
        let Some(most) = self.most_records() else {
            self.drop_unwanted_book().await;
            return Ok(());
        };
        let watermark = followed.and_then(|state| state.watermark);
        let kept = self.fill_if_due(most, watermark, resolver, progress, shutdown);
        match kept.await {
            Err(Failure::Resolve(error)) if is_about_the_question(&error) => {
                let message = Failure::from(error).note().message;
                let message = format!("The address book is not filled now. {message}");
                let warning = Note::new(Reason::AddressBookNotFilled, message);
                progress.report.warn(warning);
            }
            // The calls are named. What is left of the fill is for the next run.
            Err(Failure::Resolve(ResolveError::BudgetExhausted(_))) => {
                info!("no call is left for the address book");
            }
            kept => kept?,
        }
        self.report_book(watermark, progress).await
    }

    /// Whether there is something to do for the address book that takes long. Reports it as it is.
    pub(super) async fn is_fill_due(
        &self,
        followed: Option<&FollowState>,
        progress: &mut Progress<'_>,
    ) -> Result<bool, Failure> {
        let Some(most) = self.most_records() else {
            return Ok(false);
        };
        let watermark = followed.and_then(|state| state.watermark);
        let book = self.directory.book().await?;
        progress.report.address_book = Some(told(&book, watermark, most));
        let now = Timestamp::now();
        let what = next(&shelf(&book), &self.settings.company_id, most, now);
        Ok(!matches!(what, Next::Rest | Next::OverLimit))
    }

    async fn fill_if_due(
        &self,
        most: u64,
        watermark: Option<Timestamp>,
        resolver: &mut Option<Resolver>,
        progress: &mut Progress<'_>,
        shutdown: &Shutdown,
    ) -> Result<(), Failure> {
        not_stopped(shutdown)?;
        let book = self.directory.book().await?;
        progress.report.address_book = Some(told(&book, watermark, most));
        let now = Timestamp::now();
        let shelf = shelf(&book);
        let what = next(&shelf, &self.settings.company_id, most, now);
        match what {
            Next::Rest => return Ok(()),
            Next::OverLimit => {
                let counted = shelf.parts.iter().filter_map(|part| part.of).sum();
                warn_of_limit(counted, most, progress);
                return Ok(());
            }
            Next::CountAndFill | Next::CountAndCompare | Next::GoOn => {}
        }
        // Changes that nobody follows would be missing in it from the first hour on.
        if !watermark.is_some_and(|watermark| tells_all(watermark, now)) {
            return Ok(());
        }
        let resolver = match resolver {
            Some(resolver) => resolver,
            none => none.insert(self.log_in().await?),
        };
        let mut fill = Fill {
            generation: book.generation,
            parts: shelf.parts.clone(),
            began_at: shelf.began_at.unwrap_or(now),
            until: Instant::now() + self.fills_for(),
            calls: None,
        };
        if what != Next::GoOn {
            let counts = count(resolver).await;
            progress.report_findings(resolver);
            let counts = counts?;
            let all: u64 = counts.values().sum();
            progress.report.org_records = Some(all);
            if all > most {
                warn_of_limit(all, most, progress);
                return self.keep_out(&counts, book.records > 0, resolver).await;
            }
            if what == Next::CountAndCompare {
                let held = self.directory.counted_book().await?.by_object;
                if !differ(&shelf, &by_object(held.unwrap_or_default()), &counts) {
                    info!(records = all, "the address book has what the org has");
                    let request = WriteRecords {
                        counted: true,
                        ..WriteRecords::default()
                    };
                    self.directory.write_records(&request).await?;
                    return Ok(());
                }
                info!(
                    records = all,
                    "the org has other records than the address book"
                );
            }
            (fill.generation, fill.began_at) = self.begin(&counts, resolver).await?;
            fill.parts = parts(&counts);
        }
        fill.calls = resolver.calls_left().map(|left| {
            // Half of what is left is for what comes after it.
            let spent = resolver.connection().spent().calls;
            spent.saturating_add((left / 2).max(1))
        });
        let filled = self.fill(&mut fill, resolver, progress, shutdown).await;
        progress.report_findings(resolver);
        if filled? == Step::Later {
            info!("the next run goes on with the address book");
        }
        Ok(())
    }

    fn fills_for(&self) -> Duration {
        match self.kind {
            RunKind::Sync => DAILY,
            RunKind::Lookup => AFTER_CALLS,
        }
    }

    /// Begins a fill in the directory, with the number of records of each part.
    async fn begin(
        &self,
        counts: &Counts,
        resolver: &Resolver,
    ) -> Result<(u64, Timestamp), Failure> {
        let request = BeginFill {
            anew: true,
            instance: resolver.instance_url().map(ToString::to_string),
        };
        let book = self.directory.begin_fill(&request).await?;
        let step = FillStep {
            generation: book.generation,
            parts: parts(counts).iter().map(kept).collect(),
        };
        self.write_step(step, Vec::new()).await?;
        let began_at = book.fill.map(|fill| fill.began_at);
        Ok((book.generation, began_at.unwrap_or_else(Timestamp::now)))
    }

    /// Has no records kept of an org with too many, and remembers how many they are.
    async fn keep_out(
        &self,
        counts: &Counts,
        has_records: bool,
        resolver: &Resolver,
    ) -> Result<(), Failure> {
        if has_records {
            self.drop_book().await?;
        }
        self.begin(counts, resolver).await.map(drop)
    }

    async fn write_step(
        &self,
        step: FillStep,
        records: Vec<BookRecord>,
    ) -> Result<Option<u32>, Failure> {
        let request = WriteRecords {
            records,
            fill: Some(step),
            ..WriteRecords::default()
        };
        let receipt = self.directory.write_records(&request).await?;
        Ok(receipt.taken.then_some(receipt.refused))
    }

    async fn fill(
        &self,
        fill: &mut Fill,
        resolver: &mut Resolver,
        progress: &mut Progress<'_>,
        shutdown: &Shutdown,
    ) -> Result<Step, Failure> {
        // All jobs are made first: Salesforce works on them while the first is read.
        for at in 0..fill.parts.len() {
            let is_large = fill.parts[at]
                .of
                .is_none_or(|of| of > self.reads.pages_up_to);
            if !fill.parts[at].done && !fill.parts[at].is_begun() && is_large {
                not_stopped(shutdown)?;
                if fill.is_over(resolver) || !self.make_job(fill, at, resolver).await? {
                    return Ok(Step::Later);
                }
            }
        }
        for at in 0..fill.parts.len() {
            // A job that is gone is made again, once; then there is always the next run.
            let mut again = 0;
            while !fill.parts[at].done {
                let read = self.read_part(fill, at, resolver, progress, shutdown).await;
                let error = match read {
                    Ok(Step::Done) => break,
                    Ok(Step::Later) => return Ok(Step::Later),
                    Err(Failure::Resolve(ResolveError::Salesforce(error))) => error,
                    Err(failure) => return Err(failure),
                };
                let by_pages = match error.meaning() {
                    Meaning::CursorExpired if again == 0 => false,
                    meaning if has_no_bulk(meaning) => true,
                    _ => return Err(ResolveError::from(error).into()),
                };
                again += 1;
                warn!(
                    why = error.meaning().code(),
                    object = %fill.parts[at].object,
                    by_pages,
                    "a part of the address book begins anew"
                );
                fill.parts[at].begin_anew(by_pages);
                if !by_pages && !self.make_job(fill, at, resolver).await? {
                    return Ok(Step::Later);
                }
            }
        }
        if fill.is_over(resolver) {
            return Ok(Step::Later);
        }
        self.catch_up(fill, resolver).await?;
        if self.write_step(fill.step(), Vec::new()).await?.is_none() {
            return Ok(Step::Later);
        }
        let request = FinishFill {
            generation: fill.generation,
        };
        while !self.directory.finish_fill(&request).await?.done {
            not_stopped(shutdown)?;
            if Instant::now() >= fill.until {
                return Ok(Step::Later);
            }
        }
        let rows: u64 = fill.parts.iter().map(Part::rows).sum();
        info!(rows, "the address book is filled");
        Ok(Step::Done)
    }

    /// Makes the job of a part, or has it read page by page. Returns whether the fill is still
    /// under way.
    async fn make_job(
        &self,
        fill: &mut Fill,
        at: usize,
        resolver: &mut Resolver,
    ) -> Result<bool, Failure> {
        let made = Reading::make_job(resolver, fill.parts[at].object).await;
        match made {
            Ok(Some(job)) => {
                fill.parts[at].at = At::Job {
                    id: job.id,
                    place: Place::default(),
                };
            }
            Ok(None) => fill.parts[at].done = true,
            Err(ResolveError::Salesforce(error)) if has_no_bulk(error.meaning()) => {
                info!(
                    why = error.meaning().code(),
                    object = %fill.parts[at].object,
                    "records are read page by page"
                );
                fill.parts[at].begin_anew(true);
            }
            Err(error) => return Err(error.into()),
        }
        Ok(self.write_step(fill.step(), Vec::new()).await?.is_some())
    }

    /// Reads and writes the records of a part.
    async fn read_part(
        &self,
        fill: &mut Fill,
        at: usize,
        resolver: &mut Resolver,
        progress: &mut Progress<'_>,
        shutdown: &Shutdown,
    ) -> Result<Step, Failure> {
        not_stopped(shutdown)?;
        if fill.is_over(resolver) {
            return Ok(Step::Later);
        }
        let object = fill.parts[at].object;
        let mut reading = match &fill.parts[at].at {
            At::Beginning => Reading::of_pages(object, "", 0),
            At::Page { after, rows } => Reading::of_pages(object, after, *rows),
            At::Job { id, place } => {
                let patience = Patience {
                    in_all: fill.until.saturating_duration_since(Instant::now()),
                    ..self.reads.patience
                };
                let waited = Reading::of_job(resolver, object, id, place, patience);
                let waited = tokio::select! {
                    waited = waited => waited?,
                    () = shutdown.requested() => return Err(Failure::Interrupted),
                };
                match waited {
                    Some(reading) => reading,
                    None => return Ok(Step::Later),
                }
            }
        };
        loop {
            not_stopped(shutdown)?;
            if fill.is_over(resolver) {
                return Ok(Step::Later);
            }
            let portion = reading.next(resolver, self.reads.portion).await?;
            let part = &mut fill.parts[at];
            part.at = reading.at();
            part.of = reading.of().or(part.of);
            part.skipped += portion.skipped;
            part.done = portion.is_last;
            let records = portion.records.iter().map(book_record).collect();
            let Some(refused) = self.write_step(fill.step(), records).await? else {
                info!("another run has ended the fill, or has begun another one");
                return Ok(Step::Later);
            };
            fill.parts[at].skipped += u64::from(refused);
            if let Some(book) = &mut progress.report.address_book {
                let rows = fill.parts.iter().map(Part::rows).sum();
                let of = fill.parts.iter().map(|part| part.of).sum();
                book.filling = Some(Filling { rows, of });
            }
            if portion.is_last {
                break;
            }
        }
        if let Err(error) = reading.end(resolver).await {
            warn!(error = %Chain(&error), "a job is left behind in Salesforce");
        }
        Ok(Step::Done)
    }

    /// Writes what changed since the fill began once more. A contact whose row was read before its
    /// account was renamed, or merged, has the name of before: its own stamp does not move
    /// (facts: Salesforce changes B2, D1), and the window that told it came before the row.
    async fn catch_up(&self, fill: &Fill, resolver: &mut Resolver) -> Result<(), Failure> {
        let since = fill.began_at.checked_sub(BEFORE).unwrap_or(fill.began_at);
        let mut changes = resolver.changes_since(since);
        let mut window = Window::default();
        while let Some(page) = resolver.next_changes(&mut changes).await? {
            let page = Changes::new(page);
            self.shelve(&page, changes.half_told(), resolver, &mut window)
                .await?;
        }
        self.shelve_rest(window, resolver).await
    }
}

/// Whether records can be read in another way than by a bulk query.
fn has_no_bulk(meaning: Meaning) -> bool {
    matches!(
        meaning,
        Meaning::BulkUnavailable | Meaning::BulkJobFailed | Meaning::BulkLimitExceeded
    )
}

fn warn_of_limit(records: u64, most: u64, progress: &mut Progress<'_>) {
    let message = format!(
        "The org has {records} records with a phone number, and the address book may have {most} \
         (spec.contacts.maxRecords). Names are looked up on demand."
    );
    let warning = Note::new(Reason::AddressBookOverLimit, message);
    progress.report.warn(warning);
}

fn parts(counts: &Counts) -> Vec<Part> {
    let parts = counts.iter();
    parts
        .map(|(object, count)| Part::new(*object, Some(*count)))
        .collect()
}

fn by_object(counts: RecordsByObject) -> BTreeMap<Object, u64> {
    BTreeMap::from([
        (Object::Contact, counts.contact),
        (Object::Account, counts.account),
        (Object::Lead, counts.lead),
    ])
}

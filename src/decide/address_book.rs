//! The address book as the tenant sees it: what runs and the directory tell of it, what it means
//! for `Synced`, and what each mode would cost.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::book::forecast::Rhythm;
use super::book::{days, forecast};
use super::rules::{budget, error_log};
use super::{Decision, children, runs};
use crate::api::Settings;
use crate::api::conditions::{SYNCED, Truth, Verdict};
use crate::api::status::{AddressBook, BookMode, Filling, Forecast};
use crate::follow::OVERLAP;
use crate::reason::Reason;
use crate::run::{self, BookReport, RunReport};

/// While a run is active, the directory is asked so often how far the address book is.
const ASKED_EVERY: SignedDuration = SignedDuration::from_secs(60);
/// A reconcile may come a little earlier than it was wanted.
const SLACK: SignedDuration = SignedDuration::from_secs(5);
/// An address book is behind when so many questions what changed brought nothing.
const MISSED: u32 = 3;
/// Whatever the interval: an import may take a run this long.
const LEAST_BEHIND: Duration = Duration::from_secs(3_600);

/// Whether the directory is to be asked now how far the address book is: a run that fills it may
/// take an hour, and tells nothing before it ends.
pub(crate) fn is_in_question<'a>(
    settings: &Settings,
    active: impl IntoIterator<Item = &'a Job>,
    asked_at: Option<Timestamp>,
    now: Timestamp,
) -> bool {
    let least = ASKED_EVERY - SLACK;
    let has_passed = |since: Timestamp| now.duration_since(since) >= least;
    let lasts = |job: &Job| {
        let created = job.metadata.creation_timestamp.as_ref();
        created.is_some_and(|created| has_passed(created.0))
    };
    settings.address_book.is_some()
        && asked_at.is_none_or(has_passed)
        && active.into_iter().any(lasts)
}

impl Decision<'_> {
    /// Records what runs and the directory have told of the address book, and what each mode costs.
    pub(crate) fn address_book(&mut self, settings: &Settings) {
        let mut book = self.status.address_book.take().unwrap_or_default();
        let runs = self.late_runs.iter().map(|run| (false, *run));
        for (is_new, run) in runs.chain(self.new_runs.iter().map(|run| (true, *run))) {
            let Some(report) = &run.report else { continue };
            days::add(&mut book.days, report, run.finished_at);
            if is_new {
                book.hear(report, run.finished_at);
            }
        }
        days::forget(&mut book.days, self.now);
        match self.max_records(settings) {
            None => book.close(),
            Some(max) => {
                if let Some(told) = &self.observed.book {
                    book.tell(told, self.now);
                    book.over_limit = is_over(told, max);
                }
                if !self.observed.active_jobs.is_empty() {
                    self.wake.extend(self.now.checked_add(ASKED_EVERY).ok());
                }
            }
        }
        let is_whole = book.filled_at.is_some() && !book.over_limit;
        book.mode = match is_whole && settings.address_book.is_some() {
            true => BookMode::Full,
            false => BookMode::OnDemand,
        };
        book.forecast = self.forecast(settings, &book);
        let spent = self.status.api_budget.as_ref();
        book.api_calls = spent.map(|kept| budget::total(&kept.spent, self.now));
        let says_nothing = settings.address_book.is_none() && book.forecast.is_none();
        self.status.address_book = (!says_nothing).then_some(book);
    }

    /// Forgets what was told of the records of the org before.
    pub(crate) fn forget_address_book(&mut self) {
        self.status.address_book = None;
    }

    fn forecast(&self, settings: &Settings, book: &AddressBook) -> Option<Forecast> {
        let cadence = self.cadence(settings)?;
        let records = book.org_records.or(book.records);
        let lately = days::lately(&book.days, records, self.now)?;
        let rhythm = Rhythm {
            // The controller asks what changed when it is time to, whether anybody called or not.
            runs: match self.is_resident_after_calls(settings) {
                true => Duration::from_secs(60),
                false => cadence.period(),
            },
            follow: settings.follow.map(|(_, every)| every),
            interval: settings.interval,
            second_question: settings.second_question,
        };
        let costs = forecast::forecast(&rhythm, &lately);
        Some(Forecast {
            on_demand: costs.on_demand,
            full: costs.full,
            fill: costs.fill,
        })
    }

    /// Lets the address book speak where the last run succeeded. What becomes false is filed once.
    pub(crate) fn with_address_book(&mut self, settings: &Settings, verdict: Verdict) -> Verdict {
        if verdict.truth != Truth::True || verdict.reason != Reason::RunSucceeded {
            return verdict;
        }
        let Some(found) = self.verdict_on_address_book(settings) else {
            return verdict;
        };
        let old = self.verdict(SYNCED);
        if found.truth == Truth::False && old.is_none_or(|old| old.reason != found.reason) {
            let source = runs::source(children::kind_of_run(settings));
            let (code, message) = (&found.reason, &found.message);
            error_log::record(&mut self.status.errors, source, code, message, self.now);
            if found.reason == Reason::AddressBookOverLimit {
                // Ready stays as it is, and says nothing.
                let note = format!("{message} {}", code.remedy());
                self.notice(true, code.clone(), note, "Run");
            }
        }
        found
    }

    fn verdict_on_address_book(&mut self, settings: &Settings) -> Option<Verdict> {
        let max = self.max_records(settings)?;
        let book = self.status.address_book.as_ref()?;
        if book.over_limit {
            let records = book.org_records.map_or_else(
                || "more records with a phone number than".to_owned(),
                |records| format!("{records} records with a phone number, more than"),
            );
            let is_allowed = book.org_records.is_some_and(|records| records <= max);
            return Some(match is_allowed {
                true => Verdict::holds(
                    Reason::AddressBookFilling,
                    "The address book is filled by one of the next runs. Names are looked up on demand until then.",
                ),
                false => Verdict::fails(
                    Reason::AddressBookOverLimit,
                    format!(
                        "The org has {records} the {max} that the address book may have. Names are looked up on demand."
                    ),
                ),
            });
        }
        let Some(filled_at) = &book.filled_at else {
            return Some(Verdict::holds(
                Reason::AddressBookFilling,
                format!(
                    "The address book is being filled{}. Names are looked up on demand until then.",
                    progress(book.filling)
                ),
            ));
        };
        if let Some(watermark) = &book.watermark {
            let watermark = watermark.0.max(filled_at.0);
            let limit = self.behind_after(settings);
            let behind_at = watermark.checked_add(limit).ok();
            match behind_at {
                Some(at) if at <= self.now => {
                    let lag = in_words(self.now.duration_since(watermark));
                    return Some(Verdict::fails(
                        Reason::AddressBookBehind,
                        format!(
                            "The address book has changes in Salesforce until {watermark} only, {lag} ago. A first ring may show an old name; the numbers of calls are looked up on demand."
                        ),
                    ));
                }
                at => self.wake.extend(at),
            }
        }
        let filling = self.status.address_book.as_ref()?.filling;
        filling.map(|filling| {
            Verdict::holds(
                Reason::AddressBookFilling,
                format!(
                    "The address book is being filled anew{}. First rings have names from what it has; the numbers of calls are looked up on demand until then.",
                    progress(Some(filling))
                ),
            )
        })
    }

    /// The most records of the book: what the tenant asks for, and no more than the operator
    /// allows.
    fn max_records(&self, settings: &Settings) -> Option<u64> {
        let most = self.observed.config.max_book_records;
        settings.address_book.map(|max| max.min(most))
    }

    /// How far the watermark may be behind.
    fn behind_after(&self, settings: &Settings) -> Duration {
        let every = settings
            .follow
            .map_or(settings.interval, |(_, every)| every);
        let runs = match self.cadence(settings) {
            Some(cadence) if !self.is_resident_after_calls(settings) => cadence.period(),
            _ => every,
        };
        let overlap = Duration::try_from(OVERLAP).unwrap_or_default();
        (every.max(runs).saturating_mul(MISSED) + overlap).max(LEAST_BEHIND)
    }
}

// === impl AddressBook ===

impl AddressBook {
    /// Takes what the report of a run says.
    fn hear(&mut self, report: &RunReport, at: Timestamp) {
        if let Some(records) = report.org_records {
            self.org_records = Some(records);
        }
        if let Some(told) = &report.address_book {
            self.tell(told, at);
            self.over_limit = told.over_limit;
        }
    }

    /// Takes what was said of the book at that time.
    fn tell(&mut self, told: &BookReport, at: Timestamp) {
        self.records = Some(told.records);
        self.numbers = Some(told.numbers);
        self.bytes = Some(told.bytes);
        self.filled_at = told.filled_at.map(whole).map(Time);
        self.filling = told
            .filling
            .map(|run::Filling { rows, of }| Filling { rows, of });
        self.lag = told
            .watermark
            .map(|watermark| in_words(at.duration_since(watermark)));
        self.watermark = told.watermark.map(whole).map(Time);
    }

    /// Leaves only what also counts on demand.
    fn close(&mut self) {
        *self = Self {
            org_records: self.org_records,
            days: std::mem::take(&mut self.days),
            ..Self::default()
        };
    }
}

/// Whether a fill was begun that is not gone on with, because the org has too many records.
fn is_over(told: &BookReport, max: u64) -> bool {
    let waits = |filling: run::Filling| filling.rows == 0 && filling.of.is_some_and(|of| of > max);
    told.over_limit || told.filling.is_some_and(waits)
}

fn progress(filling: Option<Filling>) -> String {
    match filling {
        Some(Filling { rows, of: Some(of) }) => format!(": {rows} of {of} records"),
        Some(Filling { rows, of: None }) => format!(": {rows} records so far"),
        None => String::new(),
    }
}

/// Kubernetes writes times in whole seconds.
fn whole(at: Timestamp) -> Timestamp {
    Timestamp::from_second(at.as_second()).unwrap_or(at)
}

/// A length of time in one unit.
fn in_words(time: SignedDuration) -> String {
    let minutes = time.as_mins().max(0);
    match minutes {
        0..180 => format!("{minutes}m"),
        180..2_880 => format!("{}h", minutes / 60),
        _ => format!("{}d", minutes / 1_440),
    }
}

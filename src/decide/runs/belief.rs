//! What is believed of a report. A pod in the tenant's namespace wrote it, so it may say anything:
//! each value is taken only as far as it can be true of a run that this pod had time for.

use jiff::Timestamp;

use crate::plain_text::plain;
use crate::reason::Reason;
use crate::resolve::MAX_URL_BYTES;
use crate::run::{BookReport, Followed, Note, RunReport, shorten};
use crate::salesforce::Usage;

/// API requests that a run can make in a second. It makes one at a time, and none takes less than
/// a hundredth of a second, even through a gateway close by.
const API_CALLS_A_SECOND: u64 = 100;
/// Calls of the directory that a run can take up in a second: several times what a run on one
/// processor was seen to do.
const CALLS_A_SECOND: u64 = 20_000;
/// The highest allocation of API requests for a day that is taken as one. An Unlimited Edition has
/// 100,000 and 5,000 for each licence (facts: Salesforce 2.3); this is one of 200,000 licences.
const MAX_API_LIMIT: u64 = 1_000_000_000;
/// An org may go over its allocation; Salesforce refuses long before it has done so ten times
/// (facts: Salesforce 2.2).
const MAX_TIMES_OVER: u64 = 10;
/// The most records with a phone number that an org is taken to have: the largest have hundreds of
/// millions.
const MAX_RECORDS: u64 = 1_000_000_000;
/// The most numbers of a record.
const MAX_NUMBERS_OF_A_RECORD: u64 = 50;
/// The most bytes of a record with its numbers: its texts have a thousand characters each.
const MAX_BYTES_OF_A_RECORD: u64 = 20_000;
/// Changes are asked for since two weeks ago at most (facts: Salesforce changes B1).
const MAX_SECONDS_OF_CHANGES: u64 = 16 * 24 * 3_600;
/// The shortest URL that Salesforce can have refused or have been content with, in bytes: some
/// gateways in between stop there.
const MIN_URL_BYTES: u64 = 2_000;
/// Maximum length of a message, in bytes. A sentence has less; the status has space for ten.
const MAX_MESSAGE_BYTES: usize = 512;

/// What the cluster itself knows of a run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lifetime {
    /// Start time of the container; the creation of its pod if it is unknown.
    pub started_at: Timestamp,
    /// End time of the container.
    pub finished_at: Timestamp,
}

// === impl Lifetime ===

impl Lifetime {
    /// Puts the times of a container, which the status of its pod states, between the pod's
    /// creation, which the API server has written, and now.
    pub(crate) fn new(
        created: Option<Timestamp>,
        started: Option<Timestamp>,
        finished: Timestamp,
        now: Timestamp,
    ) -> Self {
        let created = created.map_or(Timestamp::MIN, |created| created.min(now));
        let finished_at = finished.clamp(created, now);
        let started_at = started.unwrap_or(created).clamp(created, finished_at);
        Self {
            started_at,
            finished_at,
        }
    }
}

/// Returns the report without what cannot be true, and with a warning that names it.
pub(crate) fn bounded(mut report: RunReport, lifetime: Lifetime) -> RunReport {
    let mut doubts = vec![];
    let lasted = lifetime.finished_at.duration_since(lifetime.started_at);
    let seconds = u64::try_from(lasted.as_secs())
        .unwrap_or(0)
        .saturating_add(1);
    let most_requests = seconds.saturating_mul(API_CALLS_A_SECOND);
    if report.api_calls > most_requests {
        doubts.push(format!(
            "apiCalls {} (at most {most_requests})",
            report.api_calls
        ));
        report.api_calls = most_requests;
    }
    let most_calls = seconds.saturating_mul(CALLS_A_SECOND);
    let changed = report.followed.map_or(0, |followed| followed.changed);
    let counts = [report.calls, report.numbers, report.remaining, changed];
    if counts.iter().any(|count| *count > most_calls) {
        doubts.push(format!(
            "calls, numbers, remaining, followed {counts:?} (at most {most_calls})"
        ));
        for count in [
            &mut report.calls,
            &mut report.numbers,
            &mut report.matched.contact,
            &mut report.matched.account,
            &mut report.matched.lead,
            &mut report.unmatched,
            &mut report.written,
            &mut report.skipped,
            &mut report.asked_again,
            &mut report.ambiguous,
            &mut report.remaining,
        ] {
            *count = (*count).min(most_calls);
        }
        // What it says of changes adds up to less than it says is changed.
        report
            .followed
            .take_if(|followed| followed.changed > most_calls);
    }
    if report.api_calls == 0 && report.followed.is_some_and(|f| f != Followed::default()) {
        doubts.push("followed (without an API request)".to_owned());
        report.followed = None;
    }
    if report
        .org_records
        .take_if(|count| *count > MAX_RECORDS)
        .is_some()
    {
        doubts.push(format!("orgRecords (at most {MAX_RECORDS})"));
    }
    if let Some(changes) = report
        .changes_read
        .take_if(|changes| changes.rows > most_calls || changes.seconds > MAX_SECONDS_OF_CHANGES)
    {
        doubts.push(format!(
            "changesRead {} in {} s (at most {most_calls} in {MAX_SECONDS_OF_CHANGES} s)",
            changes.rows, changes.seconds
        ));
    }
    if let Some(book) = report.address_book.take_if(|book| !may_be(book, lifetime)) {
        doubts.push(format!(
            "addressBook {} records, {} numbers, {} bytes, filled at {:?}, watermark {:?} (at most {MAX_RECORDS} records, and no time after the run)",
            book.records, book.numbers, book.bytes, book.filled_at, book.watermark
        ));
    }
    if let Some(usage) = report.usage.take_if(|usage| !is_possible(usage, lifetime)) {
        doubts.push(format!(
            "usage {} of {} at {} (at most {MAX_API_LIMIT}, while the run lasted)",
            usage.used, usage.limit, usage.observed_at
        ));
    }
    let lengths = MIN_URL_BYTES..=MAX_URL_BYTES as u64;
    let is_length = |bytes: &u64| lengths.contains(bytes);
    if let Some(length) = report.url_length.take_if(|length| {
        !is_length(&length.bytes) || length.refused.is_some_and(|bytes| !is_length(&bytes))
    }) {
        doubts.push(format!(
            "urlLength {} (from {MIN_URL_BYTES} to {MAX_URL_BYTES})",
            length.refused.unwrap_or(length.bytes).min(length.bytes)
        ));
    }
    for note in report.error.iter_mut().chain(&mut report.warnings) {
        note.message = plain(&note.message);
        shorten(&mut note.message, MAX_MESSAGE_BYTES);
    }
    if !doubts.is_empty() {
        let message = format!("Not taken from the run's report: {}.", doubts.join("; "));
        report.warn_first(Note::new(Reason::ReportValueRefused, message));
    }
    report
}

fn may_be(book: &BookReport, lifetime: Lifetime) -> bool {
    let filling = book.filling.unwrap_or_default();
    let counts = [book.records, filling.rows, filling.of.unwrap_or(0)];
    let times = [book.filled_at, book.watermark];
    let most_numbers = book.records.saturating_mul(MAX_NUMBERS_OF_A_RECORD);
    let most_bytes = book.records.saturating_mul(MAX_BYTES_OF_A_RECORD);
    counts.into_iter().all(|count| count <= MAX_RECORDS)
        && book.numbers <= most_numbers
        && book.bytes <= most_bytes
        && times
            .into_iter()
            .flatten()
            .all(|at| at.as_second() <= lifetime.finished_at.as_second())
}

fn is_possible(usage: &Usage, lifetime: Lifetime) -> bool {
    // The report has fractions of a second, the container has not.
    let before_the_end = usage.observed_at.as_second() <= lifetime.finished_at.as_second();
    let after_the_start = usage.observed_at.as_second() >= lifetime.started_at.as_second();
    (1..=MAX_API_LIMIT).contains(&usage.limit)
        && usage.used <= usage.limit.saturating_mul(MAX_TIMES_OVER)
        && before_the_end
        && after_the_start
}

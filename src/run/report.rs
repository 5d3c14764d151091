//! The report of a run: one JSON document in the container's termination message.
//!
//! A kubelet keeps at most 4,096 bytes of it
//! (<https://kubernetes.io/docs/tasks/debug/debug-application/determine-reason-pod-failure/>), so
//! [`RunReport::to_json`] shortens texts until it fits, and never changes the structure. The
//! controller reads it with [`RunReport::parse`], which accepts nothing that this program would not
//! have written.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::reason::{Code, Reason};
use crate::resolve::UrlLength;
use crate::salesforce::Usage;

/// Size of a termination message that a kubelet keeps, in bytes.
pub const MAX_REPORT_BYTES: usize = 4_096;
/// Version of the format that this program writes and reads.
pub const REPORT_VERSION: &str = "v1";
/// Maximum number of different warnings. So many show what is wrong with an org; more would leave
/// no space for the rest.
const MAX_WARNINGS: usize = 10;
/// Maximum length of the code of an error or a warning, in bytes.
const MAX_CODE_BYTES: usize = 64;

/// The work of a run and its result.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RunReport {
    /// Version of the format, [`REPORT_VERSION`].
    pub version: String,
    /// Kind of the run.
    pub kind: RunKind,
    /// Start time of the run.
    pub started_at: Timestamp,
    /// End time of the run.
    pub finished_at: Timestamp,
    /// Result of the run.
    pub outcome: Outcome,
    /// Reason for the result. It is always set if the run failed, and never if it succeeded.
    pub error: Option<Note>,
    /// Whether Salesforce refused the log-in. The credential must then not be retried
    /// automatically.
    pub login_refused: bool,
    /// Calls of the directory that are resolved now, including those whose number had a contact.
    pub calls: u64,
    /// Different phone numbers that were looked up in Salesforce: those of the calls, and those
    /// that were asked again.
    pub numbers: u64,
    /// Numbers for which a record was found.
    pub matched: Matched,
    /// Numbers for which no record was found.
    pub unmatched: u64,
    /// Contacts written to the directory.
    pub written: u64,
    /// Contacts that were found but left unchanged in the directory.
    pub skipped: u64,
    /// Numbers of [`Self::numbers`] whose calls were resolved before and that were asked again.
    #[serde(default)]
    pub asked_again: u64,
    /// Numbers found for which more than one record of the winning object matched.
    #[serde(default)]
    pub ambiguous: u64,
    /// Numbers that a requested re-retrieval has still to ask. The next run goes on with them.
    #[serde(default)]
    pub remaining: u64,
    /// Contacts that followed a change in Salesforce; `None` where the run did not ask for
    /// changes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub followed: Option<Followed>,
    /// What the run read of the changes in Salesforce; `None` where it did not ask for any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changes_read: Option<ChangesRead>,
    /// Records with a phone number in the org, if this run counted them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub org_records: Option<u64>,
    /// The address book after the run; `None` where the company has none and wants none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address_book: Option<BookReport>,
    /// Requests to Salesforce that count against its allocation.
    pub api_calls: u64,
    /// The org's API usage, as the last answer reported it.
    pub usage: Option<Usage>,
    /// Maximum length of a query URL in this org, if the run found it. It goes into the settings
    /// of the next run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url_length: Option<UrlLength>,
    /// Problems that did not stop the run but should be fixed.
    pub warnings: Vec<Note>,
}

/// Kind of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum RunKind {
    /// The daily run: looks up numbers without a contact and never overwrites one.
    Sync,
    /// The after-call run: looks up the numbers of ended calls and overwrites their contacts.
    Lookup,
}

/// Result of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Outcome {
    /// All work is done.
    Succeeded,
    /// The run could not continue. Work done before is kept.
    Failed,
    /// The integration's share of the API allocation is used up. Work done before is kept.
    BudgetExhausted,
    /// The run was asked to stop. Work done before is kept.
    Interrupted,
}

/// Numbers found, by the kind of record.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Matched {
    /// Numbers found on a contact.
    pub contact: u64,
    /// Numbers found on an account, including person accounts.
    pub account: u64,
    /// Numbers found on a lead.
    pub lead: u64,
}

/// Contacts that followed a change in Salesforce.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Followed {
    /// Contacts that changed in any way, those below included.
    pub changed: u64,
    /// Contacts with another company or person than before.
    pub renamed: u64,
    /// Contacts that went because no record holds their number any more.
    pub removed: u64,
    /// Numbers without a name that got one.
    pub newly_named: u64,
}

/// What was read of the changes in Salesforce.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ChangesRead {
    /// Records that changed, deleted ones included.
    pub rows: u64,
    /// In how many seconds they did: from the beginning of the window until it was read.
    pub seconds: u64,
}

/// The address book of the company in the directory.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BookReport {
    /// Records that it holds.
    pub records: u64,
    /// Numbers that these hold; one that is on two records counts twice.
    pub numbers: u64,
    /// About how many bytes they take up in the directory's database.
    pub bytes: u64,
    /// When the last fill that ended had begun; `None` while none has ended: names are looked up
    /// on demand until then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filled_at: Option<Timestamp>,
    /// Until when changes in Salesforce are in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub watermark: Option<Timestamp>,
    /// The fill that is under way and goes on with the next run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filling: Option<Filling>,
    /// Whether the org has more records than the address book may have. Names are looked up on
    /// demand then.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub over_limit: bool,
}

/// How far a fill of the address book is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Filling {
    /// Records that were read.
    pub rows: u64,
    /// Records that there are, where Salesforce has told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub of: Option<u64>,
}

/// A code for programs and a sentence for humans.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    /// One word in CamelCase, such as `InvalidLogin`. It may be a code that only a newer worker
    /// knows.
    pub code: Code,
    /// Description of the event, as a sentence.
    pub message: String,
}

/// The reason why a text is not a report.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// The text is empty: the pod ended before it could write a report.
    #[error("the run left no report")]
    Empty,
    /// The text is longer than a termination message. The value is its length in bytes.
    #[error("the report has {0} bytes, more than {MAX_REPORT_BYTES}")]
    TooLong(usize),
    /// The version of the format is not the one of this program.
    #[error("the report's version is not {REPORT_VERSION}")]
    Version,
    /// The text is not the JSON of a report.
    #[error("the report is not a run report")]
    NotAReport(#[source] serde_json::Error),
    /// The values of the report contradict each other.
    #[error("the report contradicts itself: {0}")]
    Impossible(&'static str),
}

// === impl RunReport ===

impl RunReport {
    /// Creates the report of a run that has done nothing yet.
    pub fn begin(kind: RunKind, now: Timestamp) -> Self {
        Self {
            version: REPORT_VERSION.to_owned(),
            kind,
            started_at: now,
            finished_at: now,
            outcome: Outcome::Succeeded,
            error: None,
            login_refused: false,
            calls: 0,
            numbers: 0,
            matched: Matched::default(),
            unmatched: 0,
            written: 0,
            skipped: 0,
            asked_again: 0,
            ambiguous: 0,
            remaining: 0,
            followed: None,
            changes_read: None,
            org_records: None,
            address_book: None,
            api_calls: 0,
            usage: None,
            url_length: None,
            warnings: Vec::new(),
        }
    }

    /// Adds a warning, unless the report already contains it or has no space for more.
    pub fn warn(&mut self, warning: Note) {
        if self.warnings.len() < MAX_WARNINGS && !self.warnings.contains(&warning) {
            self.warnings.push(warning);
        }
    }

    /// Adds a warning before all others, in the place of the last one if there is no space.
    pub fn warn_first(&mut self, warning: Note) {
        self.warnings.truncate(MAX_WARNINGS.saturating_sub(1));
        self.warnings.insert(0, warning);
    }

    /// Adds what a later run did. Where a report says how things are, and not what was done, the
    /// later one holds.
    pub(crate) fn absorb(&mut self, later: Self) {
        self.count_with(&later, u64::saturating_add);
        if let Some(more) = later.followed {
            let sum = self.followed.get_or_insert_default();
            sum.count(&more, u64::saturating_add);
        }
        if let Some(more) = later.changes_read {
            let sum = self.changes_read.get_or_insert_default();
            sum.rows = sum.rows.saturating_add(more.rows);
            sum.seconds = sum.seconds.saturating_add(more.seconds);
        }
        for warning in later.warnings {
            self.warn(warning);
        }
        self.kind = later.kind;
        self.finished_at = self.finished_at.max(later.finished_at);
        self.outcome = later.outcome;
        self.error = later.error;
        self.login_refused = later.login_refused;
        self.remaining = later.remaining;
        self.org_records = later.org_records.or(self.org_records);
        self.address_book = later.address_book.or(self.address_book);
        self.usage = later.usage.or(self.usage);
        self.url_length = later.url_length.or(self.url_length);
    }

    /// Takes away what an earlier version of this sum had counted.
    pub(crate) fn take_away(&mut self, counted: &Self) {
        self.count_with(counted, u64::saturating_sub);
        if let (Some(sum), Some(less)) = (&mut self.followed, &counted.followed) {
            sum.count(less, u64::saturating_sub);
        }
        if let (Some(sum), Some(less)) = (&mut self.changes_read, &counted.changes_read) {
            sum.rows = sum.rows.saturating_sub(less.rows);
            sum.seconds = sum.seconds.saturating_sub(less.seconds);
        }
        self.started_at = counted.finished_at.min(self.finished_at);
    }

    fn count_with(&mut self, other: &Self, change: impl Fn(u64, u64) -> u64) {
        for (sum, more) in [
            (&mut self.calls, other.calls),
            (&mut self.numbers, other.numbers),
            (&mut self.matched.contact, other.matched.contact),
            (&mut self.matched.account, other.matched.account),
            (&mut self.matched.lead, other.matched.lead),
            (&mut self.unmatched, other.unmatched),
            (&mut self.written, other.written),
            (&mut self.skipped, other.skipped),
            (&mut self.asked_again, other.asked_again),
            (&mut self.ambiguous, other.ambiguous),
            (&mut self.api_calls, other.api_calls),
        ] {
            *sum = change(*sum, more);
        }
    }

    /// Returns the JSON document, with at most [`MAX_REPORT_BYTES`] whatever the texts are.
    pub fn to_json(&self) -> String {
        let mut report = self.clone();
        report.warnings.truncate(MAX_WARNINGS);
        let mut longest = MAX_REPORT_BYTES;
        loop {
            for note in report.error.iter_mut().chain(&mut report.warnings) {
                shorten(&mut note.message, longest);
            }
            // Serializing a struct of strings and numbers cannot fail.
            let json = serde_json::to_string(&report).unwrap_or_default();
            if json.len() <= MAX_REPORT_BYTES || longest == 0 {
                return json;
            }
            longest = longest * 3 / 4;
        }
    }

    /// Parses a termination message.
    pub fn parse(text: &str) -> Result<Self, ReportError> {
        #[derive(Deserialize)]
        struct Versioned {
            version: String,
        }
        if text.len() > MAX_REPORT_BYTES {
            return Err(ReportError::TooLong(text.len()));
        }
        if text.trim().is_empty() {
            return Err(ReportError::Empty);
        }
        let format: Versioned = serde_json::from_str(text).map_err(ReportError::NotAReport)?;
        if format.version != REPORT_VERSION {
            return Err(ReportError::Version);
        }
        let report: Self = serde_json::from_str(text).map_err(ReportError::NotAReport)?;
        report
            .contradiction()
            .map_or(Ok(report), |what| Err(ReportError::Impossible(what)))
    }

    fn contradiction(&self) -> Option<&'static str> {
        let found = self.matched.total();
        let failed = self.outcome == Outcome::Failed;
        let notes = || self.error.iter().chain(&self.warnings);
        let contradictions = [
            (
                self.finished_at < self.started_at,
                "it ends before it begins",
            ),
            (failed && self.error.is_none(), "it failed without an error"),
            (
                self.outcome == Outcome::Succeeded && self.error.is_some(),
                "it succeeded with an error",
            ),
            (
                self.login_refused && !failed,
                "its log-in was refused and it did not fail",
            ),
            (
                self.asked_again > self.numbers,
                "it asked more numbers again than it asked",
            ),
            (
                self.numbers > self.calls.saturating_add(self.asked_again),
                "it has more numbers than calls and numbers asked again",
            ),
            (
                found.is_some_and(|found| self.ambiguous > found),
                "it has more ambiguous numbers than numbers found",
            ),
            (
                found.and_then(|found| found.checked_add(self.unmatched)) != Some(self.numbers),
                "numbers found and not found do not add up",
            ),
            (
                self.written
                    .checked_add(self.skipped)
                    .is_none_or(|sum| found.is_some_and(|found| sum > found)),
                "it has more contacts than numbers found",
            ),
            (
                self.followed.is_some_and(|followed| !followed.adds_up()),
                "it renamed, removed and named more contacts than it changed",
            ),
            (
                self.warnings.len() > MAX_WARNINGS,
                "it has too many warnings",
            ),
            (!notes().all(Note::is_sound), "a code is not one word"),
        ];
        contradictions
            .into_iter()
            .find_map(|(is_so, what)| is_so.then_some(what))
    }
}

/// Cuts a text at a character boundary to at most `longest` bytes, and marks that it was cut.
pub(crate) fn shorten(text: &mut String, longest: usize) {
    const MARK: char = '…';
    if text.len() <= longest {
        return;
    }
    let mut end = longest.saturating_sub(MARK.len_utf8());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.truncate(end);
    if longest >= MARK.len_utf8() {
        text.push(MARK);
    }
}

// === impl Followed ===

impl Followed {
    fn count(&mut self, other: &Self, change: impl Fn(u64, u64) -> u64) {
        for (sum, more) in [
            (&mut self.changed, other.changed),
            (&mut self.renamed, other.renamed),
            (&mut self.removed, other.removed),
            (&mut self.newly_named, other.newly_named),
        ] {
            *sum = change(*sum, more);
        }
    }

    fn adds_up(&self) -> bool {
        let parts = self.renamed.checked_add(self.removed);
        let parts = parts.and_then(|parts| parts.checked_add(self.newly_named));
        parts.is_some_and(|parts| parts <= self.changed)
    }
}

// === impl Matched ===

impl Matched {
    /// Returns the sum of all numbers found; `None` on overflow.
    pub fn total(&self) -> Option<u64> {
        self.contact
            .checked_add(self.account)?
            .checked_add(self.lead)
    }
}

// === impl Note ===

impl Note {
    /// Creates a note. A run uses only codes that this version knows.
    pub fn new(reason: impl Into<Reason>, message: impl Into<String>) -> Self {
        Self {
            code: reason.into().into(),
            message: message.into(),
        }
    }

    fn is_sound(&self) -> bool {
        let code = self.code.as_str();
        code.len() <= MAX_CODE_BYTES
            && code.starts_with(|first: char| first.is_ascii_uppercase())
            && code.bytes().all(|byte| byte.is_ascii_alphanumeric())
    }
}

// === impl Outcome ===

impl Outcome {
    /// Returns the word that the report uses.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Succeeded => "Succeeded",
            Self::Failed => "Failed",
            Self::BudgetExhausted => "BudgetExhausted",
            Self::Interrupted => "Interrupted",
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

// === impl RunKind ===

impl RunKind {
    /// Returns the word that the report uses.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sync => "Sync",
            Self::Lookup => "Lookup",
        }
    }
}

impl fmt::Display for RunKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn note(code: &str, message: &str) -> Note {
        Note {
            code: code.into(),
            message: message.into(),
        }
    }

    fn report() -> RunReport {
        let mut report = RunReport::begin(RunKind::Sync, Timestamp::UNIX_EPOCH);
        report.calls = 4;
        report.numbers = 3;
        report.matched = Matched {
            contact: 1,
            account: 0,
            lead: 1,
        };
        report.unmatched = 1;
        report.written = 1;
        report.skipped = 1;
        report
    }

    #[track_caller]
    fn refused(change: impl FnOnce(&mut RunReport)) {
        let mut report = report();
        change(&mut report);
        let json = serde_json::to_string(&report).unwrap();
        assert!(
            matches!(RunReport::parse(&json), Err(ReportError::Impossible(_))),
            "{json}"
        );
    }

    #[test]
    fn a_report_comes_back_as_it_was_written() {
        let mut report = report();
        report.usage = Some(Usage {
            used: 16_000,
            limit: 15_000,
            observed_at: Timestamp::UNIX_EPOCH,
        });
        report.warn(note("FieldNotVisible", "Contact.MobilePhone is hidden"));
        report.warn(note("FieldNotVisible", "Contact.MobilePhone is hidden"));
        assert_eq!(report.warnings.len(), 1);
        let json = report.to_json();
        assert!(
            json.contains("\"startedAt\":\"1970-01-01T00:00:00Z\""),
            "{json}"
        );
        assert!(json.contains("\"error\":null"), "{json}");
        assert_eq!(RunReport::parse(&json).unwrap(), report);
    }

    #[test]
    fn rubbish_is_no_report() {
        assert!(matches!(RunReport::parse(""), Err(ReportError::Empty)));
        assert!(matches!(RunReport::parse(" \n"), Err(ReportError::Empty)));
        for text in [
            "{}",
            "null",
            "[]",
            "done",
            "{\"version\":\"v1\"}",
            "{\"version\":1}",
        ] {
            assert!(
                matches!(RunReport::parse(text), Err(ReportError::NotAReport(_))),
                "{text}"
            );
        }
        let json = report().to_json();
        assert!(RunReport::parse(&json[..json.len() - 1]).is_err());
        assert!(RunReport::parse(&format!("{json}{json}")).is_err());
        assert!(RunReport::parse(&json.replace("\"calls\":4", "\"calls\":-4")).is_err());
        assert!(RunReport::parse(&json.replace("\"calls\":4", "\"calls\":4.5")).is_err());
        let next = json.replace("\"v1\"", "\"v2\"");
        assert!(matches!(RunReport::parse(&next), Err(ReportError::Version)));
        let long = format!("{json}{}", " ".repeat(MAX_REPORT_BYTES));
        assert!(matches!(
            RunReport::parse(&long),
            Err(ReportError::TooLong(_))
        ));
    }

    #[test]
    fn counts_that_cannot_be_are_no_report() {
        refused(|report| report.numbers = 5);
        refused(|report| report.asked_again = 4);
        refused(|report| report.ambiguous = 3);
        refused(|report| report.unmatched = 0);
        refused(|report| {
            report.followed = Some(Followed {
                changed: 1,
                renamed: 1,
                removed: 1,
                newly_named: 0,
            });
        });
        refused(|report| report.written = 2);
        refused(|report| report.matched.contact = u64::MAX);
        refused(|report| report.written = u64::MAX);
        refused(|report| report.finished_at = Timestamp::MIN);
        refused(|report| report.outcome = Outcome::Failed);
        refused(|report| report.error = Some(note("InvalidLogin", "")));
        refused(|report| report.login_refused = true);
        refused(|report| report.warnings = vec![note("two words", "")]);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn a_report_always_fits_and_keeps_its_structure(
            texts in prop::collection::vec(("[A-Z][a-z]{0,80}", "\\PC{0,900}|[\"\\\\\u{1}あ😀]{0,900}"), 0..20),
        ) {
            let mut report = report();
            report.outcome = Outcome::Failed;
            report.error = Some(note("Failed", &"\u{1}".repeat(5000)));
            report.calls = u64::MAX;
            report.api_calls = u64::MAX;
            report.usage = Some(Usage { used: u64::MAX, limit: u64::MAX, observed_at: Timestamp::MAX });
            for (code, message) in texts {
                report.warn(note(&code.chars().take(64).collect::<String>(), &message));
            }
            let json = report.to_json();
            prop_assert!(json.len() <= MAX_REPORT_BYTES);
            let read = RunReport::parse(&json).unwrap();
            prop_assert_eq!(read.warnings.len(), report.warnings.len());
            prop_assert_eq!(read.calls, u64::MAX);
        }
    }
}

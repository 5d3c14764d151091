//! The runs of the controller itself, until the status holds them. Many may end within a minute,
//! and each status is an object that the cluster stores and tells everybody about. So what they did
//! is added up, and written at most once a minute while nothing but counts changed.

use jiff::{SignedDuration, Timestamp};

use super::{EndedRun, judge_report};
use crate::api::RunWhere;
use crate::api::status::LastRun;
use crate::reason::Reason;
use crate::run::RunReport;

/// The least time between two writes of counts alone.
const BETWEEN_WRITES: SignedDuration = SignedDuration::from_secs(60);
/// The most results that are kept apart. Each differs from the one before, and is written at once.
const MAX_KEPT: usize = 8;

/// Results that the status does not hold yet.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Unwritten {
    runs: Vec<EndedRun>,
    /// When results were last written.
    written_at: Option<Timestamp>,
}

/// The result of a run of the controller. `name` tells it from every other one.
pub(crate) fn ended(name: String, report: RunReport, credentials_version: String) -> EndedRun {
    let kind = report.kind;
    let (started_at, finished_at) = (report.started_at, report.finished_at);
    let (outcome, message, report) = judge_report(report, 0, kind);
    EndedRun {
        job: name,
        where_: RunWhere::Resident,
        job_uid: None,
        kind,
        started_at: Some(started_at),
        finished_at,
        credentials_version: Some(credentials_version),
        allowance: None,
        outcome,
        message,
        report,
    }
}

// === impl Unwritten ===

impl Unwritten {
    /// No results.
    pub(crate) const NONE: Self = Self {
        runs: Vec::new(),
        written_at: None,
    };

    /// Adds the result of a run.
    pub(crate) fn add(&mut self, run: EndedRun) {
        let is_full = self.runs.len() >= MAX_KEPT;
        match self.runs.last_mut() {
            Some(last) if is_full || (last.kind, &last.outcome) == (run.kind, &run.outcome) => {
                last.absorb(run);
            }
            _ => self.runs.push(run),
        }
    }

    /// The results, in the order in which the runs ended.
    pub(crate) fn runs(&self) -> &[EndedRun] {
        &self.runs
    }

    /// API requests that the status does not count yet.
    pub(crate) fn api_calls(&self) -> u64 {
        self.runs.iter().map(EndedRun::api_calls).sum()
    }

    /// When the results have to be written: at once if the last of them ended otherwise than the
    /// run in the status. `None` if nothing was done.
    pub(crate) fn due(&self, last: Option<&LastRun>) -> Option<Timestamp> {
        let newest = self.runs.last()?;
        let is_other = self.runs.len() > 1
            || last.is_some_and(|last| newest.outcome.as_str() != last.outcome)
            || last.is_none() && newest.outcome != Reason::Succeeded;
        if is_other {
            return Some(Timestamp::MIN);
        }
        if newest.did_nothing() {
            return None;
        }
        let after = |at: Timestamp| at.checked_add(BETWEEN_WRITES).unwrap_or(Timestamp::MAX);
        Some(self.written_at.map_or(Timestamp::MIN, after))
    }

    /// The status holds these results.
    pub(crate) fn written(&mut self, held: &Self, at: Timestamp) {
        self.written_at = Some(at);
        if self.runs == held.runs {
            self.runs.clear();
            return;
        }
        // Others were added meanwhile, to the last of them as well.
        let added = self
            .runs
            .split_off(held.runs.len().saturating_sub(1).min(self.runs.len()));
        self.runs = added;
        if let (Some(run), Some(held)) = (self.runs.first_mut(), held.runs.last()) {
            if run == held {
                self.runs.remove(0);
            } else {
                run.without(held);
            }
        }
    }
}

// === impl EndedRun ===

impl EndedRun {
    /// Whether the run found nothing to do, and cost nothing.
    pub(crate) fn did_nothing(&self) -> bool {
        self.succeeded()
            && self.report.as_ref().is_some_and(|report| {
                report.calls == 0
                    && report.numbers == 0
                    && report.api_calls == 0
                    && report.warnings.is_empty()
            })
    }

    /// Adds a later run of the same kind.
    fn absorb(&mut self, later: Self) {
        let (Some(report), Some(added)) = (self.report.as_mut(), later.report) else {
            return;
        };
        report.absorb(added);
        let (outcome, message, report) = judge_report(report.clone(), 0, self.kind);
        (self.outcome, self.message, self.report) = (outcome, message, report);
        self.job = later.job;
        self.finished_at = self.finished_at.max(later.finished_at);
        self.credentials_version = later.credentials_version;
    }

    /// Takes away what an earlier version of this sum had counted.
    fn without(&mut self, counted: &Self) {
        if let (Some(report), Some(counted)) = (self.report.as_mut(), counted.report.as_ref()) {
            report.take_away(counted);
            self.started_at = Some(report.started_at);
            let (outcome, message, report) = judge_report(report.clone(), 0, self.kind);
            (self.outcome, self.message, self.report) = (outcome, message, report);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::{Note, Outcome, RunKind};

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).unwrap()
    }

    fn run(name: &str, second: i64, calls: u64) -> EndedRun {
        let mut report = RunReport::begin(RunKind::Lookup, at(second));
        report.finished_at = at(second + 1);
        (report.calls, report.numbers, report.unmatched) = (calls, calls, calls);
        report.api_calls = u64::from(calls > 0);
        ended(name.into(), report, "f1".into())
    }

    fn failed(name: &str, second: i64) -> EndedRun {
        let mut report = RunReport::begin(RunKind::Lookup, at(second));
        report.outcome = Outcome::Failed;
        report.error = Some(Note {
            code: "Unreachable".into(),
            message: "no answer".into(),
        });
        ended(name.into(), report, "f1".into())
    }

    fn last(of: &EndedRun) -> Option<LastRun> {
        Some(of.as_last_run())
    }

    #[test]
    fn counts_of_a_minute_are_written_once_and_none_is_lost() {
        let mut unwritten = Unwritten::default();
        unwritten.add(run("a", 0, 2));
        assert_eq!(
            unwritten.due(None),
            Some(Timestamp::MIN),
            "the first at once"
        );
        let held = unwritten.clone();
        let status = last(&held.runs()[0]);
        // Another run ends while the status is written.
        unwritten.add(run("b", 1, 3));
        unwritten.written(&held, at(2));
        assert_eq!(unwritten.due(status.as_ref()), Some(at(62)));
        unwritten.add(run("c", 30, 4));
        let sum = unwritten.runs()[0].report.as_ref().unwrap();
        assert_eq!((sum.calls, sum.api_calls, unwritten.api_calls()), (7, 2, 2));
        assert_eq!(unwritten.runs()[0].job, "c");
        let held = unwritten.clone();
        unwritten.written(&held, at(62));
        assert_eq!(unwritten.runs(), []);
    }

    #[test]
    fn another_outcome_is_written_at_once_and_nothing_is_not_written() {
        let mut unwritten = Unwritten::default();
        let before = last(&run("a", 0, 2));
        unwritten.written(&Unwritten::default(), at(2));
        unwritten.add(run("b", 10, 0));
        assert_eq!(unwritten.due(before.as_ref()), None);
        unwritten.add(failed("c", 20));
        assert_eq!(unwritten.due(before.as_ref()), Some(Timestamp::MIN));
        let failed_before = last(&failed("c", 20));
        let mut recovered = Unwritten::default();
        recovered.written(&Unwritten::default(), at(21));
        recovered.add(run("d", 30, 0));
        assert_eq!(
            recovered.due(failed_before.as_ref()),
            Some(Timestamp::MIN),
            "it works again, although nobody called"
        );
    }

    #[test]
    fn results_that_differ_stay_in_order_and_are_bounded() {
        let mut unwritten = Unwritten::default();
        for second in 0..50 {
            unwritten.add(run("r", second, 1));
            unwritten.add(failed("f", second));
        }
        assert_eq!(unwritten.runs().len(), MAX_KEPT);
        assert!(unwritten.api_calls() >= 7);
    }
}

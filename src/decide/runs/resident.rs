//! The runs of the controller itself, until the status holds them. Many may end within a minute,
//! and each status is an object that the cluster stores and tells everybody about. So what they did
//! is added up, and written at most once a minute while nothing but counts changed, and at most
//! once an hour while nothing was found.

use jiff::{SignedDuration, Timestamp};

use super::{EndedRun, judge_report};
use crate::api::RunWhere;
use crate::api::status::SalesforceIntegrationStatus;
use crate::decide::rules::warnings::{self, Origin};
use crate::reason::Reason;
use crate::run::{Followed, RunReport};

/// The least time between two writes of counts alone.
const BETWEEN_WRITES: SignedDuration = SignedDuration::from_secs(60);
/// The least time between two writes of API requests alone: changes were asked for, and there were
/// none. A controller that is killed forgets what it has not written.
pub(crate) const BETWEEN_IDLE_WRITES: SignedDuration = SignedDuration::from_hours(1);
/// So many requests are written sooner, so that no more than that are ever forgotten.
const MOST_FORGOTTEN: u64 = 10;
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

fn after(at: Timestamp, wait: SignedDuration) -> Timestamp {
    at.checked_add(wait).unwrap_or(Timestamp::MAX)
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
    pub(crate) fn due(&self, status: Option<&SalesforceIntegrationStatus>) -> Option<Timestamp> {
        let last = status.and_then(|status| status.last_run.as_ref());
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
        // A warning of the run before goes with the next one that is written.
        let warned = status.is_some_and(|status| warnings::has(&status.warnings, Origin::Run));
        let told = last.and_then(|last| last.finished_at.as_ref());
        match told {
            Some(told)
                if newest.found_nothing() && !warned && self.api_calls() < MOST_FORGOTTEN =>
            {
                let written = self.written_at.map_or(told.0, |at| at.max(told.0));
                Some(after(written, BETWEEN_IDLE_WRITES))
            }
            _ => Some(self.counts_due()),
        }
    }

    /// When what pods reported has to be written: by the same rule, at once if anything but counts
    /// changed. `None` if they reported nothing.
    pub(crate) fn due_of_pods(
        &self,
        reported: &[&EndedRun],
        status: &SalesforceIntegrationStatus,
    ) -> Option<Timestamp> {
        let warned = warnings::has(&status.warnings, Origin::Run);
        let requested = status.requested_run.as_ref();
        let only_counts = |run: &&EndedRun| {
            run.brings_counts_only()
                && !warned
                && requested.is_none_or(|requested| requested.job != run.job)
                && status
                    .last_run
                    .as_ref()
                    .is_some_and(|last| last.outcome == run.outcome.as_str())
        };
        let is_quiet = reported.iter().all(only_counts);
        (!reported.is_empty()).then(|| match is_quiet {
            true => self.counts_due(),
            false => Timestamp::MIN,
        })
    }

    fn counts_due(&self) -> Timestamp {
        let written = self.written_at;
        written.map_or(Timestamp::MIN, |at| after(at, BETWEEN_WRITES))
    }

    /// The status holds these results, and those of pods.
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

    /// Whether the run did its work and found nothing: it only cost API requests.
    fn found_nothing(&self) -> bool {
        self.brings_counts_only()
            && self.report.as_ref().is_some_and(|report| {
                report.calls == 0
                    && report.numbers == 0
                    && report.remaining == 0
                    && report.followed.unwrap_or_default() == Followed::default()
            })
    }

    /// Whether the run did its work, and has nothing to tell but counts.
    fn brings_counts_only(&self) -> bool {
        self.succeeded()
            && self.report.as_ref().is_some_and(|report| {
                report.warnings.is_empty()
                    && report.address_book.is_none()
                    && report.org_records.is_none()
                    && report.url_length.is_none()
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

    /// The status that holds this run.
    fn last(of: &EndedRun) -> Option<SalesforceIntegrationStatus> {
        Some(SalesforceIntegrationStatus {
            last_run: Some(of.as_last_run()),
            ..SalesforceIntegrationStatus::default()
        })
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
    fn requests_that_found_nothing_are_written_once_an_hour_and_sooner_if_they_are_many() {
        let followed = |name: &str, second, changed| {
            let mut run = run(name, second, 0);
            let report = run.report.as_mut().unwrap();
            report.api_calls = 1;
            let changed = Followed {
                changed,
                ..Followed::default()
            };
            report.followed = Some(changed);
            run
        };
        let mut unwritten = Unwritten::default();
        unwritten.add(followed("a", 0, 0));
        assert_eq!(unwritten.due(None), Some(Timestamp::MIN), "the first run");
        // The run before was written by an earlier controller, and then by this one.
        let before = last(&run("z", -600, 2));
        assert_eq!(unwritten.due(before.as_ref()), Some(at(-599 + 3_600)));
        unwritten.written(&Unwritten::default(), at(-300));
        assert_eq!(unwritten.due(before.as_ref()), Some(at(-300 + 3_600)));
        for second in 1..9 {
            unwritten.add(followed("b", 60 * second, 0));
        }
        assert_eq!(unwritten.api_calls(), 9);
        assert_eq!(unwritten.due(before.as_ref()), Some(at(-300 + 3_600)));
        let mut many = unwritten.clone();
        many.add(followed("c", 600, 0));
        assert_eq!(many.due(before.as_ref()), Some(at(-240)), "ten at most");
        let mut found = unwritten.clone();
        found.add(followed("c", 600, 1));
        assert_eq!(
            found.due(before.as_ref()),
            Some(at(-240)),
            "one was renamed"
        );
        let mut called = unwritten.clone();
        called.add(run("c", 600, 1));
        assert_eq!(called.due(before.as_ref()), Some(at(-240)), "one called");
        // A warning goes with the run that does not have it any more.
        let mut warned = before.unwrap();
        let reason = Reason::ChangesNotFollowed;
        warned.warnings = vec![warnings::of(reason, "refused".into())];
        assert_eq!(unwritten.due(Some(&warned)), Some(at(-240)));
    }

    #[test]
    fn what_pods_report_is_written_once_a_minute_while_only_counts_change() {
        let pod = |name: &str, second, calls| EndedRun {
            where_: RunWhere::Pod,
            ..run(name, second, calls)
        };
        let mut unwritten = Unwritten::default();
        let mut status = last(&pod("a", 0, 2)).unwrap();
        let (next, failed) = (pod("b", 10, 3), failed("c", 11));
        assert_eq!(unwritten.due_of_pods(&[], &status), None);
        assert_eq!(
            unwritten.due_of_pods(&[&next], &status),
            Some(Timestamp::MIN)
        );
        unwritten.written(&Unwritten::NONE, at(2));
        assert_eq!(unwritten.due_of_pods(&[&next], &status), Some(at(62)));
        let both = [&next, &failed];
        assert_eq!(unwritten.due_of_pods(&both, &status), Some(Timestamp::MIN));
        // Somebody waits for the one that he asked for.
        status.requested_run = Some(crate::api::status::RequestedRun {
            job: "b".into(),
            started_at: k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(at(5)),
        });
        assert_eq!(
            unwritten.due_of_pods(&[&next], &status),
            Some(Timestamp::MIN)
        );
        status.requested_run = None;
        status.last_run = Some(failed.as_last_run());
        assert_eq!(
            unwritten.due_of_pods(&[&next], &status),
            Some(Timestamp::MIN)
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

    #[test]
    fn a_run_did_nothing_when_it_neither_found_nor_asked_nor_warned() {
        assert!(run("a", 0, 0).did_nothing());
        assert!(!failed("a", 0).did_nothing());
        let changes: [fn(&mut RunReport); 4] = [
            |report| report.calls = 1,
            |report| report.numbers = 1,
            |report| report.api_calls = 1,
            |report| report.warnings = vec![Note::new(Reason::ReportValueRefused, "so")],
        ];
        for (index, change) in changes.into_iter().enumerate() {
            let mut run = run("a", 0, 0);
            change(run.report.as_mut().unwrap());
            assert!(!run.did_nothing(), "{index}");
        }
        let mut silent = run("a", 0, 0);
        silent.report = None;
        assert!(!silent.did_nothing());
    }
}

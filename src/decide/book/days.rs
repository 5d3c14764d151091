//! What the last days had, from the reports of their runs. Pure.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::forecast::Activity;
use crate::api::status::DayOfRuns;
use crate::run::RunReport;

/// Seconds of a day.
const DAY: i64 = 24 * 3_600;
/// How many days are kept, with the one that is not over.
const KEPT: usize = 8;

/// Adds what a run had to do, which ended at `at`.
pub(crate) fn add(days: &mut Vec<DayOfRuns>, report: &RunReport, at: Timestamp) {
    let since = Timestamp::from_second(at.as_second().div_euclid(DAY) * DAY).unwrap_or(at);
    let place = days.partition_point(|day| day.since.0 > since);
    if days.get(place).is_none_or(|day| day.since.0 != since) {
        let day = DayOfRuns {
            since: Time(since),
            runs: 0,
            numbers: 0,
            unmatched: 0,
            changes: 0,
            seconds: 0,
        };
        days.insert(place, day);
        days.truncate(KEPT);
    }
    let Some(day) = days.get_mut(place) else {
        return;
    };
    let changes = report.changes_read.unwrap_or_default();
    for (sum, count) in [
        (&mut day.runs, u64::from(report.numbers > 0)),
        (&mut day.numbers, report.numbers),
        (&mut day.unmatched, report.unmatched),
        (&mut day.changes, changes.rows),
        (&mut day.seconds, changes.seconds),
    ] {
        *sum = sum.saturating_add(count);
    }
}

/// Forgets days that are older than those that are kept, also where no run follows them.
pub(crate) fn forget(days: &mut Vec<DayOfRuns>, now: Timestamp) {
    let oldest = now.as_second() - DAY * (KEPT as i64);
    days.retain(|day| day.since.0.as_second() > oldest);
}

/// What these days had together at `now`; `None` where nothing is known.
pub(crate) fn lately(days: &[DayOfRuns], records: Option<u64>, now: Timestamp) -> Option<Activity> {
    let first = days.last()?;
    let sum = |of: fn(&DayOfRuns) -> u64| days.iter().map(of).fold(0, u64::saturating_add);
    let seconds = now.duration_since(first.since.0).as_secs();
    Some(Activity {
        seconds: u64::try_from(seconds).unwrap_or(0),
        runs: sum(|day| day.runs),
        numbers: sum(|day| day.numbers),
        unknown: sum(|day| day.unmatched),
        changes: sum(|day| day.changes),
        changes_seconds: sum(|day| day.seconds),
        records,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::{ChangesRead, RunKind};

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).unwrap()
    }

    fn report(numbers: u64) -> RunReport {
        let mut report = RunReport::begin(RunKind::Lookup, at(0));
        (report.calls, report.numbers, report.unmatched) = (numbers, numbers, numbers);
        report.changes_read = Some(ChangesRead {
            rows: 3,
            seconds: 2_100,
        });
        report
    }

    #[test]
    fn runs_of_a_day_add_up_and_eight_days_are_kept() {
        let mut days = vec![];
        for day in 0..10 {
            add(&mut days, &report(2), at(day * DAY));
            add(&mut days, &report(0), at(day * DAY + 60));
        }
        assert_eq!(days.len(), 8);
        assert!(days.is_sorted_by(|newer, older| newer.since.0 > older.since.0));
        let day = &days[0];
        assert_eq!((day.runs, day.numbers, day.unmatched), (1, 2, 2));
        assert_eq!((day.changes, day.seconds), (6, 4_200));
        let lately = lately(&days, Some(7), at(9 * DAY + 3_600)).unwrap();
        assert_eq!((lately.runs, lately.numbers), (8, 16));
        assert!(lately.seconds >= 7 * 24 * 3_600, "{lately:?}");
        // A run that was heard of late adds to its own day, and to none that is forgotten.
        add(&mut days, &report(5), at(8 * DAY));
        add(&mut days, &report(5), at(0));
        assert_eq!((days[1].numbers, days.len()), (7, 8));
        forget(&mut days, at(30 * DAY));
        assert_eq!(days, []);
    }
}

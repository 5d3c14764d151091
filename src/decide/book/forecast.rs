//! What names cost in API requests of a day, on demand and from an address book. Pure.
//!
//! docs/numbers.md ("What a mode would cost") has each number with its source.

use std::time::Duration;

/// Seconds of a day.
const DAY: u64 = 24 * 3_600;
/// Numbers that one request of the first question asks for.
const NUMBERS_OF_A_REQUEST: u64 = 60;
/// Numbers that one request of the second question asks for.
const NUMBERS_OF_A_SEARCH: u64 = 80;
/// Changed records of an object that the first request of a window brings.
const CHANGES_OF_A_REQUEST: u64 = 2_000;
/// Requests of a proof that looks at all, once a day. Any other proof is one request.
const REQUESTS_OF_A_WHOLE_PROOF: u64 = 3;
/// Proofs of a day where runs stand for the others.
const PROOFS_BESIDE_RUNS: u64 = 4;
/// Up to so many records are read page by page.
const RECORDS_IN_PAGES: u64 = 8_000;
/// Records of such a page.
const RECORDS_OF_A_PAGE: u64 = 2_000;
/// Records of a page of a bulk query.
const RECORDS_OF_A_BULK_PAGE: u64 = 20_000;
/// Requests of the bulk query of an object beside its pages: to make the job, to ask for its state
/// some times, to delete it.
const REQUESTS_OF_A_JOB: u64 = 5;
/// For so many records more, a job is asked once more for its state.
const RECORDS_OF_A_QUESTION: u64 = 250_000;
/// Contact, Account and Lead.
const OBJECTS: u64 = 3;

/// How an integration is set up, as far as requests depend on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rhythm {
    /// The time between two runs.
    pub runs: Duration,
    /// The time between two questions what changed, if names follow on demand.
    pub follow: Option<Duration>,
    /// The time between two proofs of a healthy connection.
    pub interval: Duration,
    /// Whether the search index is asked for numbers that no query finds.
    pub second_question: bool,
}

/// What happened lately.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Activity {
    /// In how many seconds.
    pub seconds: u64,
    /// Runs that looked numbers up.
    pub runs: u64,
    /// Different numbers of each run, added up.
    pub numbers: u64,
    /// Those of them that Salesforce does not know.
    pub unknown: u64,
    /// Records that changed.
    pub changes: u64,
    /// In how many seconds they did.
    pub changes_seconds: u64,
    /// Records with a phone number in the org, if they were counted.
    pub records: Option<u64>,
}

/// API requests of a day, and of a fill.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Forecast {
    /// A day with names on demand.
    pub on_demand: u64,
    /// A day with an address book.
    pub full: u64,
    /// One fill of it, where the records were counted.
    pub fill: Option<u64>,
}

/// Tells what a day like those lately costs in each mode.
pub fn forecast(rhythm: &Rhythm, lately: &Activity) -> Forecast {
    let changes = per_day(lately.changes, lately.changes_seconds);
    let of_a_day = |count: u64| per_day(count, lately.seconds.max(DAY));
    let asking = of_a_day(lately.runs).ceil();
    let second = |unknown: f64| {
        let asked = rhythm.second_question && unknown > 0.0;
        let searches = unknown / NUMBERS_OF_A_SEARCH as f64;
        if asked {
            asking.min(unknown) + searches
        } else {
            0.0
        }
    };
    let looked_up = asking
        + of_a_day(lately.numbers) / NUMBERS_OF_A_REQUEST as f64
        + second(of_a_day(lately.unknown));
    let on_demand = following(rhythm, rhythm.follow, changes) + looked_up;
    // The book follows whatever is said of names.
    let every = rhythm.follow.unwrap_or(rhythm.interval);
    let fill = lately.records.map(fill_requests);
    // Once a week the records are counted, and read again if they differ.
    let reconciled = (1 + fill.unwrap_or(0)) as f64 / 7.0;
    let full = following(rhythm, Some(every), changes) + reconciled;
    Forecast {
        on_demand: whole(on_demand),
        full: whole(full),
        fill,
    }
}

/// The requests of one fill with so many records.
pub fn fill_requests(records: u64) -> u64 {
    let counted = 1;
    if records <= RECORDS_IN_PAGES {
        return counted + OBJECTS + records / RECORDS_OF_A_PAGE;
    }
    counted
        + OBJECTS * (REQUESTS_OF_A_JOB + 1)
        + records / RECORDS_OF_A_BULK_PAGE
        + records / RECORDS_OF_A_QUESTION
}

/// The requests of a day for windows of changes and for proofs, of which there are fewer where runs
/// ask often enough.
fn following(rhythm: &Rhythm, every: Option<Duration>, changes: f64) -> f64 {
    let seconds = |time: Duration| time.as_secs().max(1);
    let (runs, interval) = (seconds(rhythm.runs), seconds(rhythm.interval));
    let gap = every.map(|every| {
        // A window may be a minute early, and waits for a run.
        let least = seconds(every).saturating_sub(60);
        least.div_ceil(runs).max(1).saturating_mul(runs)
    });
    let windows = gap.map_or(0.0, |gap| DAY as f64 / gap as f64);
    let pages = match gap {
        Some(_) => (changes / windows / CHANGES_OF_A_REQUEST as f64).floor() * windows,
        None => 0.0,
    };
    // A proof is due a tenth to a fifth after the interval.
    let stands_for_proofs = gap.is_some_and(|gap| gap <= interval.saturating_mul(6) / 5);
    let by_clock = DAY as f64 / (interval as f64 * 1.1);
    let proofs = match stands_for_proofs {
        true => by_clock.min(PROOFS_BESIDE_RUNS as f64),
        false => by_clock,
    };
    windows + pages + proofs + (REQUESTS_OF_A_WHOLE_PROOF - 1) as f64
}

fn per_day(count: u64, seconds: u64) -> f64 {
    match seconds {
        0 => 0.0,
        seconds => count as f64 * DAY as f64 / seconds as f64,
    }
}

fn whole(requests: f64) -> u64 {
    // A cast of a float saturates.
    requests.ceil() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn minutes(minutes: u64) -> Duration {
        Duration::from_secs(60 * minutes)
    }

    fn after_calls() -> Rhythm {
        Rhythm {
            runs: minutes(5),
            follow: Some(minutes(33)),
            interval: minutes(30),
            second_question: true,
        }
    }

    #[test]
    fn a_day_without_calls_and_changes_costs_the_windows_and_some_proofs() {
        let quiet = forecast(&after_calls(), &Activity::default());
        // A window each 35 minutes are 41.1, beside four proofs of which one looks at all.
        assert_eq!(quiet.on_demand, 48);
        assert_eq!(quiet.full, 48, "a count a week more");
        assert_eq!(quiet.fill, None);
    }

    #[test]
    fn calls_cost_requests_on_demand_and_none_from_an_address_book() {
        let busy = Activity {
            seconds: 2 * DAY,
            runs: 2 * 288,
            numbers: 2 * 1_000,
            unknown: 2 * 700,
            changes: 200,
            changes_seconds: DAY,
            records: Some(400_000),
        };
        let costs = forecast(&after_calls(), &busy);
        // 288 first questions and their further requests, 288 second ones and theirs.
        let expected: f64 = 47.14 + 288.0 + 1_000.0 / 60.0 + 288.0 + 700.0 / 80.0;
        assert_eq!(costs.on_demand, expected.ceil() as u64);
        assert_eq!(costs.fill, Some(1 + 18 + 20 + 1));
        assert!((53..=54).contains(&costs.full), "{costs:?}");
        let one_question = Rhythm {
            second_question: false,
            ..after_calls()
        };
        assert_eq!(
            forecast(&one_question, &busy).on_demand,
            (47.14 + 288.0 + 1_000.0 / 60.0_f64).ceil() as u64
        );
    }

    #[test]
    fn a_day_that_is_not_over_counts_as_a_day() {
        let hour = Activity {
            seconds: 3_600,
            runs: 12,
            numbers: 600,
            ..Activity::default()
        };
        let day = Activity {
            seconds: DAY,
            ..hour
        };
        let rhythm = after_calls();
        assert_eq!(forecast(&rhythm, &hour), forecast(&rhythm, &day));
    }

    #[test]
    fn many_changes_cost_pages_in_both_modes() {
        let import = Activity {
            changes: 41_143 * 5,
            changes_seconds: DAY,
            ..Activity::default()
        };
        let costs = forecast(&after_calls(), &import);
        // 5,000 records a window are two further pages.
        assert!((129..=131).contains(&costs.on_demand), "{costs:?}");
        assert!(costs.full >= costs.on_demand);
    }

    #[test]
    fn names_that_do_not_follow_cost_proofs_only_and_a_book_follows_all_the_same() {
        let still = Rhythm {
            follow: None,
            ..after_calls()
        };
        let costs = forecast(&still, &Activity::default());
        assert_eq!(
            costs.on_demand, 46,
            "43.6 proofs, of which one looks at all"
        );
        assert!(costs.full > 40, "{costs:?}");
        let daily = Rhythm {
            runs: minutes(24 * 60),
            ..after_calls()
        };
        let costs = forecast(&daily, &Activity::default());
        assert_eq!(costs.on_demand, 47, "one window more");
    }

    #[test]
    fn few_records_are_read_in_pages_and_many_by_jobs() {
        assert_eq!(fill_requests(0), 4);
        assert_eq!(fill_requests(8_000), 8);
        assert_eq!(fill_requests(8_001), 19);
        assert_eq!(fill_requests(1_000_000), 73);
        assert!(fill_requests(u64::MAX) > 0, "no overflow");
    }

    #[test]
    fn nothing_that_a_pod_claims_breaks_it() {
        let most = Activity {
            seconds: u64::MAX,
            runs: u64::MAX,
            numbers: u64::MAX,
            unknown: u64::MAX,
            changes: u64::MAX,
            changes_seconds: 1,
            records: Some(u64::MAX),
        };
        let rhythm = Rhythm {
            runs: Duration::ZERO,
            follow: Some(Duration::ZERO),
            interval: Duration::ZERO,
            second_question: true,
        };
        assert!(forecast(&rhythm, &most).full > 0);
    }
}

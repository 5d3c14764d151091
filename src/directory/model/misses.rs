//! When a number that Salesforce does not know is asked again. Pure.

use jiff::{SignedDuration, Timestamp};

/// The days between one question in vain and the next: after the first, the second, and so on. The
/// last one repeats.
const DAYS: [i64; 6] = [1, 2, 4, 8, 16, 30];

/// A question is due this much earlier than whole days. A daily run begins at the same wall clock
/// each day, but asks later than it begins, and clocks are changed in spring.
const SLACK: SignedDuration = SignedDuration::from_hours(2);

/// Questions within this time count as one: a caller who calls ten times a day is not a caller whom
/// Salesforce did not know on ten days.
const ONE_STEP: SignedDuration = SignedDuration::from_hours(20);

/// A number that Salesforce did not know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Miss {
    /// When it was last asked.
    pub(crate) asked_at: Timestamp,
    /// How often in a row it was not known.
    pub(crate) times_missed: u32,
    /// Fingerprint of the settings that decided whether a record matches.
    pub(crate) settings: String,
}

/// Whether a miss is to be asked again: its time has come, or other settings decide a match now.
pub(crate) fn due(
    asked_at: Timestamp,
    times_missed: u32,
    settings_then: &str,
    settings_now: &str,
    now: Timestamp,
) -> bool {
    settings_then != settings_now || due_at(asked_at, times_missed) <= now
}

/// Returns the time at which a miss is asked again while the settings stay the same.
pub(crate) fn due_at(asked_at: Timestamp, times_missed: u32) -> Timestamp {
    let step = (times_missed.max(1) as usize).min(DAYS.len()) - 1;
    let days = SignedDuration::from_hours(24 * DAYS.get(step).copied().unwrap_or(30));
    asked_at.checked_add(days - SLACK).unwrap_or(Timestamp::MAX)
}

/// Returns the miss after one more question in vain. Other settings begin a new row of misses, and
/// the same question within hours, which may be the repetition of a request, is no further one.
pub(crate) fn missed(before: Option<&Miss>, settings: &str, now: Timestamp) -> Miss {
    let times_missed = match before {
        Some(before) if before.settings == settings && before.times_missed > 0 => {
            let is_new = now.duration_since(before.asked_at) >= ONE_STEP;
            before.times_missed.saturating_add(u32::from(is_new))
        }
        _ => 1,
    };
    Miss {
        asked_at: now,
        times_missed,
        settings: settings.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(day: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + day * 86_400).unwrap()
    }

    /// Returns the days on which a daily run asks, when the first question was asked on day 0.
    fn asked_on(until: i64) -> Vec<i64> {
        let mut miss = missed(None, "a", day(0));
        let mut days = vec![];
        for today in 1..=until {
            // The run of each day asks some minutes after it began.
            let asks = day(today) + SignedDuration::from_mins(today % 40);
            if due(miss.asked_at, miss.times_missed, "a", "a", day(today)) {
                miss = missed(Some(&miss), "a", asks);
                days.push(today);
            }
        }
        days
    }

    #[test]
    fn a_daily_run_asks_after_1_2_4_8_16_and_30_days_and_then_every_30() {
        assert_eq!(asked_on(125), [1, 3, 7, 15, 31, 61, 91, 121]);
    }

    #[test]
    fn other_settings_make_a_miss_due_at_once_and_begin_a_new_row() {
        let miss = Miss {
            times_missed: 5,
            ..missed(None, "a", day(0))
        };
        let soon = day(0) + SignedDuration::from_secs(1);
        assert!(!due(miss.asked_at, 5, "a", "a", soon));
        assert!(due(miss.asked_at, 5, "a", "b", soon));
        assert_eq!(missed(Some(&miss), "b", soon).times_missed, 1);
    }

    #[test]
    fn ten_questions_in_a_day_are_one_step() {
        let mut miss = missed(None, "a", day(0));
        for hour in 1..10 {
            let now = day(0) + SignedDuration::from_hours(hour);
            miss = missed(Some(&miss), "a", now);
        }
        assert_eq!(miss.times_missed, 1);
        assert_eq!(missed(Some(&miss), "a", day(2)).times_missed, 2);
        let known = Miss {
            times_missed: 0,
            ..miss
        };
        assert_eq!(missed(Some(&known), "a", day(9)).times_missed, 1);
    }

    #[test]
    fn no_number_of_misses_and_no_time_is_too_large() {
        let late = Timestamp::MAX;
        assert_eq!(due_at(late, u32::MAX), late);
        assert_eq!(due_at(day(0), 0), due_at(day(0), 1));
    }
}

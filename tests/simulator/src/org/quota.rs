//! The daily allocation of API calls: a rolling window of 24 hours, counted by the minute.

use std::collections::VecDeque;

use jiff::Timestamp;

const WINDOW_MINUTES: i64 = 24 * 60;

/// The calls of one org in the last 24 hours.
#[derive(Clone, Debug, Default)]
pub(crate) struct Quota {
    minutes: VecDeque<(i64, u64)>,
    used: u64,
}

impl Quota {
    /// Counts calls.
    pub(crate) fn add(&mut self, now: Timestamp, calls: u64) {
        let minute = now.as_second().div_euclid(60);
        self.forget(minute);
        self.used += calls;
        match self.minutes.back_mut() {
            Some((last, count)) if *last >= minute => *count += calls,
            _ => self.minutes.push_back((minute, calls)),
        }
    }

    /// The calls of the last 24 hours.
    pub(crate) fn used(&mut self, now: Timestamp) -> u64 {
        self.forget(now.as_second().div_euclid(60));
        self.used
    }

    /// Sets the number of used calls; all of them count as made now.
    pub(crate) fn set(&mut self, now: Timestamp, calls: u64) {
        *self = Self::default();
        self.add(now, calls);
    }

    fn forget(&mut self, minute: i64) {
        while let Some((first, count)) = self.minutes.front().copied() {
            if first > minute - WINDOW_MINUTES {
                break;
            }
            self.used -= count;
            self.minutes.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;

    #[test]
    fn the_window_rolls() {
        // The documentation's example: 14,500 at 05:00 and 499 at 23:00 leave one call until 05:00.
        let five: Timestamp = "2026-01-01T05:00:00Z".parse().unwrap();
        let mut quota = Quota::default();
        quota.add(five, 14_500);
        quota.add(five + SignedDuration::from_hours(18), 499);
        assert_eq!(
            quota.used(five + SignedDuration::from_mins(24 * 60 - 1)),
            14_999
        );
        assert_eq!(quota.used(five + SignedDuration::from_hours(24)), 499);
        assert_eq!(quota.used(five + SignedDuration::from_hours(48)), 0);
    }
}

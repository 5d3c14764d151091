//! The minutes of a day that cannot be relied on, because the wall clock skips or repeats them when
//! daylight saving begins or ends. A CronJob does not run at a minute that is skipped, and runs
//! twice at one that is repeated (docs/adr/0027).

use std::collections::BTreeSet;

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// Minutes of a day.
const DAY: i64 = 1440;

/// Changes of the clock are looked for in this time. It is fixed, so that the minute of an
/// integration does not move while years go by.
const FROM: Timestamp = Timestamp::constant(1_767_225_600, 0);
const UNTIL: Timestamp = Timestamp::constant(2_524_608_000, 0);

/// One kind of change: at which wall clock, and by how much.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Change {
    /// The first minute of the day that is skipped or repeated, at the beginning of an hour.
    start: i64,
    /// The first minute after it that is neither, at the beginning of an hour. It may be one of
    /// the next day.
    end: i64,
    /// How far the clock moves, in minutes.
    by: i64,
}

/// All kinds of changes of a zone.
#[derive(Debug)]
pub(crate) struct ClockChanges(BTreeSet<Change>);

// === impl Change ===

impl Change {
    fn touches(self, minute: i64) -> bool {
        // Kubernetes' cron library goes on from hour to hour until the next start. After a change
        // by half an hour it arrives in the middle of each hour, and misses what is before.
        let arrives = self.by.rem_euclid(60);
        let missed = minute % 60 < arrives;
        let within = |minute: i64| (self.start..self.end).contains(&minute);
        missed || within(minute) || within(minute + DAY)
    }
}

// === impl ClockChanges ===

impl ClockChanges {
    /// The changes of a zone's clock.
    pub(crate) fn of(zone: &TimeZone) -> Self {
        let changes = zone
            .following(FROM)
            .take_while(|change| change.timestamp() < UNTIL);
        let kinds = changes.filter_map(|change| {
            let at = change.timestamp().as_second();
            let before = Timestamp::from_second(at - 1).ok()?;
            let before = i64::from(zone.to_offset(before).seconds());
            let after = i64::from(change.offset().seconds());
            let wall = |offset: i64| (at + offset).div_euclid(60);
            let (first, last) = (wall(before.min(after)), wall(before.max(after)));
            // Within an hour that is touched, the cron library takes one minute for another.
            let first = first.div_euclid(60) * 60;
            let last = (last + 59).div_euclid(60) * 60;
            let start = first.rem_euclid(DAY);
            (before != after).then_some(Change {
                start,
                end: start + (last - first).min(DAY),
                by: (after - before) / 60,
            })
        });
        Self(kinds.collect())
    }

    /// Whether a run at this minute of the day would be lost or doubled on some day.
    pub(crate) fn touch(&self, minute_of_day: u32) -> bool {
        let minute = i64::from(minute_of_day);
        self.0.iter().any(|change| change.touches(minute))
    }

    /// The last minute up to `wanted` that every day has once. Where `wanted` itself is none, as
    /// many further minutes before it are left out as `spread` says, so that those who come here
    /// from the same hour do not all meet at one minute.
    pub(crate) fn last_before(&self, wanted: u32, spread: u32) -> u32 {
        if !self.touch(wanted) {
            return wanted;
        }
        (1..2 * DAY as u32)
            .map(|back| (wanted + 2 * DAY as u32 - back) % DAY as u32)
            .filter(|minute| !self.touch(*minute))
            .nth(spread as usize)
            .unwrap_or(wanted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(zone: &str) -> ClockChanges {
        ClockChanges::of(&TimeZone::get(zone).unwrap())
    }

    fn minute(hour: u32, minute: u32) -> u32 {
        hour * 60 + minute
    }

    #[test]
    fn a_minute_that_is_skipped_or_repeated_is_left_for_the_one_before() {
        let new_york = of("America/New_York");
        for touched in [minute(1, 0), minute(2, 0), minute(2, 30), minute(2, 59)] {
            assert!(new_york.touch(touched), "{touched}");
            assert_eq!(new_york.last_before(touched, 0), minute(0, 59));
            assert_eq!(new_york.last_before(touched, 20), minute(0, 39));
        }
        for free in [minute(0, 59), minute(3, 0), minute(23, 0)] {
            assert_eq!(new_york.last_before(free, 20), free);
        }
    }

    #[test]
    fn a_change_at_midnight_touches_both_days() {
        // 00:00 becomes 01:00 in spring, and 24:00 becomes 23:00 in autumn.
        let cairo = of("Africa/Cairo");
        for touched in [minute(0, 0), minute(0, 30), minute(23, 30)] {
            assert_eq!(cairo.last_before(touched, 0), minute(22, 59), "{touched}");
        }
    }

    #[test]
    fn a_zone_without_changes_has_every_minute() {
        let tokyo = of("Asia/Tokyo");
        assert!((0..1440).all(|minute| !tokyo.touch(minute)));
    }

    #[test]
    fn every_zone_has_minutes_left() {
        for zone in jiff::tz::db().available() {
            let Ok(zone) = TimeZone::get(zone.as_str()) else {
                continue;
            };
            let changes = ClockChanges::of(&zone);
            let left = (0..1440).filter(|minute| !changes.touch(*minute)).count();
            assert!(left >= 600, "{:?}: {left}", zone.iana_name());
        }
    }
}

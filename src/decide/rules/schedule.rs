//! Schedules: the minute of a CronJob, the next run, the jitter of a proof. The times of each
//! tenant are derived from its UID, so that a thousand tenants do not start at once and a restart
//! changes nothing.

use std::time::Duration;

use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use sha2::{Digest, Sha256};

use super::clock_changes::ClockChanges;
use crate::api::{Retrieval, Settings};

/// Maximum window before `dailyAt`.
const MAX_WINDOW_MINUTES: u64 = 720;

/// Maximum time within which a missed start is made up for.
const MAX_STARTING_DEADLINE: Duration = Duration::from_secs(3600);

/// The times at which a CronJob starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cadence {
    /// Once a day.
    Daily {
        /// Minutes after midnight, 0 to 1439.
        minute_of_day: u32,
    },
    /// Every `period` minutes, with the first start `offset` minutes after the full hour.
    Every {
        /// Minutes between two starts; a divisor of 60.
        period: u32,
        /// Minutes after the full hour; less than `period`.
        offset: u32,
    },
}

// === impl Cadence ===

impl Cadence {
    /// Returns the cadence of an integration; `None` if retrieval is disabled. Daily runs are
    /// spread over `window` before `dailyAt`, or before the hour that the clock skips or repeats.
    /// Where calls are looked up as they end (`resident`), the run after calls is a sweep once a
    /// day, at any minute of it.
    pub fn of(settings: &Settings, uid: &str, window: Duration, resident: bool) -> Option<Self> {
        match settings.retrieval {
            Retrieval::Disabled => None,
            Retrieval::Daily => {
                let at = settings.daily_at.hour() as u32 * 60 + settings.daily_at.minute() as u32;
                let minutes = (window.as_secs() / 60).clamp(1, MAX_WINDOW_MINUTES);
                let early = (stable_hash(uid, "daily") % minutes) as u32;
                let wanted = (at + 1440 - early) % 1440;
                let changes = ClockChanges::of(&settings.time_zone);
                Some(Self::Daily {
                    minute_of_day: changes.last_before(wanted, early),
                })
            }
            Retrieval::AfterCall if resident => {
                let wanted = (stable_hash(uid, "sweep") % 1440) as u32;
                let spread = (stable_hash(uid, "sweep of a changed hour") % 60) as u32;
                let changes = ClockChanges::of(&settings.time_zone);
                Some(Self::Daily {
                    minute_of_day: changes.last_before(wanted, spread),
                })
            }
            Retrieval::AfterCall => {
                let period = settings.lookup_every_minutes;
                Some(Self::Every {
                    period,
                    offset: (stable_hash(uid, "lookup") % u64::from(period)) as u32,
                })
            }
        }
    }

    /// Returns the cadence in the format of a CronJob's `schedule`.
    pub fn cron(self) -> String {
        match self {
            Self::Daily { minute_of_day } => {
                format!("{} {} * * *", minute_of_day % 60, minute_of_day / 60)
            }
            Self::Every { period: 60, offset } => format!("{offset} * * * *"),
            Self::Every { period: 1, .. } => "* * * * *".into(),
            Self::Every { period, offset } => format!("{offset}-59/{period} * * * *"),
        }
    }

    /// Returns the first start after `now`.
    pub fn next(self, now: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        match self {
            Self::Daily { minute_of_day } => {
                let today = now.to_zoned(zone.clone()).date();
                // No day skips or repeats the minute: `of` has seen to that.
                (0..=2)
                    .filter_map(|days| {
                        let day = today.checked_add(days.days()).ok()?;
                        let clock = jiff::civil::time(
                            (minute_of_day / 60) as i8,
                            (minute_of_day % 60) as i8,
                            0,
                            0,
                        );
                        Some(
                            day.to_datetime(clock)
                                .to_zoned(zone.clone())
                                .ok()?
                                .timestamp(),
                        )
                    })
                    .find(|start| *start > now)
            }
            Self::Every { period, offset } => {
                // Cron counts the minutes of the wall clock, which a change may move by half an
                // hour.
                let full_minute = now.as_second().div_euclid(60) * 60;
                (1..=120).find_map(|ahead| {
                    let start = Timestamp::from_second(full_minute + 60 * ahead).ok()?;
                    let minute = zone.to_datetime(start).minute() as u32;
                    (minute % period == offset).then_some(start)
                })
            }
        }
    }

    /// Returns the time within which a missed start is made up for. A start is missed if, for
    /// example, the controller-manager was down or the CronJob suspended.
    pub fn starting_deadline(self) -> Duration {
        self.period().min(MAX_STARTING_DEADLINE)
    }

    /// Returns the number of runs that may use API requests before the usage of the first of them
    /// is known.
    pub fn runs_at_once(self) -> u64 {
        match self {
            Self::Daily { .. } => 1,
            Self::Every { .. } => 2,
        }
    }

    /// Returns the time between two starts.
    pub fn period(self) -> Duration {
        match self {
            Self::Daily { .. } => Duration::from_secs(24 * 3600),
            Self::Every { period, .. } => Duration::from_secs(60 * u64::from(period)),
        }
    }
}

/// Returns a number that is the same at every start of every replica, and different for each
/// resource and purpose.
pub fn stable_hash(uid: &str, purpose: &str) -> u64 {
    let digest = Sha256::new()
        .chain_update(purpose)
        .chain_update([0])
        .chain_update(uid)
        .finalize();
    digest
        .iter()
        .take(8)
        .fold(0, |number, byte| number << 8 | u64::from(*byte))
}

/// Returns a number from 0 to 1, without 1, that `uid` and `salt` choose.
fn share(uid: &str, salt: &str) -> f64 {
    (stable_hash(uid, salt) % 10_000) as f64 / 10_000.0
}

/// Returns `base`, made shorter or longer by up to a tenth. The amount is derived from `uid` and
/// `salt`.
pub fn jittered(base: Duration, uid: &str, salt: &str) -> Duration {
    base.mul_f64(0.9 + 0.2 * share(uid, salt))
}

/// Returns `least`, made longer by up to a tenth. The amount is derived from `uid` and `salt`.
pub fn jittered_later(least: Duration, uid: &str, salt: &str) -> Duration {
    least.mul_f64(1.0 + 0.1 * share(uid, salt))
}

/// Returns `least`, made longer by a tenth to a fifth: when a healthy connection is proved again.
/// The first of many that share a credential proves for all of them, and still not more often than
/// a day has intervals. The amount is derived from `uid` and `salt`.
pub fn until_next_proof(least: Duration, uid: &str, salt: &str) -> Duration {
    least.mul_f64(1.1 + 0.1 * share(uid, salt))
}

/// Returns the wait after `failures` transient failures in a row: 15 s, doubled each time, up to
/// `most`, minus up to a third.
pub fn back_off(failures: u32, most: Duration, uid: &str) -> Duration {
    let doubled = Duration::from_secs(15).saturating_mul(1 << failures.saturating_sub(1).min(20));
    let share = share(uid, &format!("back-off {failures}"));
    doubled
        .min(most.max(Duration::from_secs(15)))
        .mul_f64(1.0 - share / 3.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn tokyo() -> TimeZone {
        TimeZone::get("Asia/Tokyo").unwrap()
    }

    #[test]
    fn a_cron_schedule_says_what_next_computes() {
        let every = Cadence::Every {
            period: 5,
            offset: 2,
        };
        assert_eq!(every.cron(), "2-59/5 * * * *");
        assert_eq!(
            every.next(at("2026-11-23T10:02:00Z"), &tokyo()),
            Some(at("2026-11-23T10:07:00Z"))
        );
        assert_eq!(
            every.next(at("2026-11-23T10:58:30Z"), &tokyo()),
            Some(at("2026-11-23T11:02:00Z"))
        );
        assert_eq!(
            Cadence::Every {
                period: 1,
                offset: 0
            }
            .cron(),
            "* * * * *"
        );
        assert_eq!(
            Cadence::Every {
                period: 60,
                offset: 17
            }
            .cron(),
            "17 * * * *"
        );
        let daily = Cadence::Daily {
            minute_of_day: 22 * 60 + 41,
        };
        assert_eq!(daily.cron(), "41 22 * * *");
        assert_eq!(
            daily.next(at("2026-11-23T13:41:00Z"), &tokyo()),
            Some(at("2026-11-24T13:41:00Z"))
        );
        assert_eq!(
            daily.next(at("2026-11-23T13:40:59Z"), &tokyo()),
            Some(at("2026-11-23T13:41:00Z"))
        );
    }

    #[test]
    fn a_thousand_tenants_spread_over_the_half_hour_before_and_over_the_period() {
        use std::collections::BTreeMap;
        let mut spec = crate::api::fixtures::integration("acme").spec;
        spec.contacts.daily_at = "00:10".into();
        spec.contacts.lookup_every = "5m".into();
        let window = Duration::from_secs(30 * 60);
        let mut starts = |retrieval| {
            spec.contacts.retrieval = retrieval;
            let settings = Settings::read(&spec).unwrap();
            let mut starts: BTreeMap<u32, u32> = BTreeMap::new();
            for tenant in 0..1_000 {
                let start = match Cadence::of(&settings, &format!("uid-{tenant}"), window, false)
                    .unwrap()
                {
                    // Minutes before 00:10, over midnight.
                    Cadence::Daily { minute_of_day } => (1_450 - minute_of_day) % 1_440,
                    Cadence::Every { offset, .. } => offset,
                };
                *starts.entry(start).or_default() += 1;
            }
            starts
        };
        let daily = starts(Retrieval::Daily);
        assert!(daily.keys().eq(&(0..30).collect::<Vec<_>>()), "{daily:?}");
        assert!(daily.values().all(|tenants| *tenants < 80), "{daily:?}");
        let lookups = starts(Retrieval::AfterCall);
        assert!(lookups.keys().eq(&[0, 1, 2, 3, 4]), "{lookups:?}");
        assert!(
            lookups.values().all(|tenants| *tenants < 300),
            "{lookups:?}"
        );
    }

    #[test]
    fn a_zone_that_is_half_an_hour_off_still_counts_wall_clock_minutes() {
        let kolkata = TimeZone::get("Asia/Kolkata").unwrap();
        let hourly = Cadence::Every {
            period: 60,
            offset: 10,
        };
        // 10:00 UTC is 15:30 there; the next minute 10 is 16:10, which is 10:40 UTC.
        assert_eq!(
            hourly.next(at("2026-11-23T10:00:00Z"), &kolkata),
            Some(at("2026-11-23T10:40:00Z"))
        );
    }

    #[test]
    fn back_off_grows_from_ten_to_fifteen_seconds_up_to_the_most() {
        let most = Duration::from_secs(1800);
        for (failures, longest) in [(1, 15), (2, 30), (3, 60), (30, 1800)] {
            let wait = back_off(failures, most, "uid");
            assert!(
                wait <= Duration::from_secs(longest)
                    && wait >= Duration::from_secs(longest * 2 / 3),
                "{failures}: {wait:?}"
            );
        }
    }
}

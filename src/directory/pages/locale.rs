//! Dates, times and lengths as each language writes them, in the tenant's time zone.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan as _, Zoned};

use super::words::Language;

/// How times are written: the language, and the tenant's zone.
#[derive(Debug, Clone)]
pub(super) struct Locale {
    pub(super) language: Language,
    zone: TimeZone,
    zone_name: String,
}

// === impl Locale ===

impl Locale {
    /// Without a name of a zone, or with one that is not known here, times are told in UTC.
    pub(super) fn new(language: Language, zone: Option<&str>) -> Self {
        let known = zone.and_then(|name| TimeZone::get(name).ok().map(|zone| (zone, name)));
        let (zone, name) = known.unwrap_or((TimeZone::UTC, "UTC"));
        Self {
            language,
            zone,
            zone_name: name.to_owned(),
        }
    }

    pub(super) fn zone_name(&self) -> &str {
        &self.zone_name
    }

    /// Day and time: `30 Nov 2026 23:04`.
    pub(super) fn time(&self, at: Timestamp) -> String {
        let at = self.zoned(at);
        match self.language {
            Language::English => at.strftime("%-d %b %Y %H:%M").to_string(),
            Language::Japanese => at.strftime("%Y年%-m月%-d日 %H:%M").to_string(),
        }
    }

    /// A time near now: `at 23:04`, `yesterday at 23:04`, `tomorrow`; day and time if it is not.
    pub(super) fn moment(&self, at: Timestamp, now: Timestamp) -> String {
        let words = self.language.words();
        let (then, today) = (self.zoned(at), self.zoned(now));
        let clock = then.strftime("%H:%M").to_string();
        let day = then.date();
        if day == today.date() {
            words.today.replace("{}", &clock)
        } else if today.date().tomorrow().is_ok_and(|next| next == day) {
            words.tomorrow.to_owned()
        } else if today.date().yesterday().is_ok_and(|last| last == day) {
            words.yesterday.replace("{}", &clock)
        } else {
            self.time(at)
        }
    }

    /// How long something lasted: `1 min 05 s`.
    pub(super) fn length(&self, length: SignedDuration) -> String {
        let seconds = length.as_secs().max(0);
        let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
        match (self.language, hours, minutes) {
            (Language::English, 0, 0) => format!("{seconds} s"),
            (Language::English, 0, _) => format!("{minutes} min {seconds:02} s"),
            (Language::English, ..) => format!("{hours} h {minutes:02} min"),
            (Language::Japanese, 0, 0) => format!("{seconds}秒"),
            (Language::Japanese, 0, _) => format!("{minutes}分{seconds:02}秒"),
            (Language::Japanese, ..) => format!("{hours}時間{minutes:02}分"),
        }
    }

    /// The time for machines, RFC 3339.
    pub(super) fn machine(&self, at: Timestamp) -> String {
        self.zoned(at).strftime("%Y-%m-%dT%H:%M:%S%:z").to_string()
    }

    /// The start of a day in the zone, and that of the day after.
    pub(super) fn day(&self, day: Date) -> Option<(Timestamp, Timestamp)> {
        let start = |day: Date| {
            day.to_zoned(self.zone.clone())
                .ok()
                .map(|at| at.timestamp())
        };
        Some((start(day)?, start(day.checked_add(1.day()).ok()?)?))
    }

    fn zoned(&self, at: Timestamp) -> Zoned {
        at.to_zoned(self.zone.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn times_are_told_in_the_tenants_zone_as_its_language_writes_them() {
        let english = Locale::new(Language::English, Some("Asia/Tokyo"));
        let japanese = Locale::new(Language::Japanese, Some("Asia/Tokyo"));
        let time = at("2026-11-30T14:04:00Z");
        assert_eq!(english.time(time), "30 Nov 2026 23:04");
        assert_eq!(japanese.time(time), "2026年11月30日 23:04");
        assert_eq!(english.machine(time), "2026-11-30T23:04:00+09:00");
        // Half past nine in the evening in Tokyo.
        let now = at("2026-11-30T12:30:00Z");
        assert_eq!(english.moment(time, now), "at 23:04");
        assert_eq!(
            english.moment(at("2026-11-29T14:04:00Z"), now),
            "yesterday at 23:04"
        );
        assert_eq!(english.moment(at("2026-12-01T14:04:00Z"), now), "tomorrow");
        assert_eq!(japanese.moment(at("2026-12-01T14:04:00Z"), now), "明日");
        assert_eq!(
            japanese.moment(at("2026-12-09T14:04:00Z"), now),
            "2026年12月9日 23:04"
        );
    }

    #[test]
    fn a_zone_that_nobody_knows_is_utc() {
        let locale = Locale::new(Language::English, Some("Mars/Olympus"));
        assert_eq!(
            (locale.zone_name(), locale.time(at("2026-11-30T14:04:00Z"))),
            ("UTC", "30 Nov 2026 14:04".to_owned())
        );
    }

    #[test]
    fn a_day_has_the_hours_that_its_zone_gives_it() {
        let berlin = Locale::new(Language::English, Some("Europe/Berlin"));
        let (from, to) = berlin.day("2026-10-25".parse().unwrap()).unwrap();
        assert_eq!(to.duration_since(from), SignedDuration::from_hours(25));
        assert_eq!(from, at("2026-10-24T22:00:00Z"));
    }

    #[test]
    fn lengths_are_told() {
        let english = Locale::new(Language::English, None);
        let japanese = Locale::new(Language::Japanese, None);
        let told = |seconds| {
            (
                english.length(SignedDuration::from_secs(seconds)),
                japanese.length(SignedDuration::from_secs(seconds)),
            )
        };
        assert_eq!(told(9), ("9 s".to_owned(), "9秒".to_owned()));
        assert_eq!(told(65), ("1 min 05 s".to_owned(), "1分05秒".to_owned()));
        assert_eq!(
            told(3_725),
            ("1 h 02 min".to_owned(), "1時間02分".to_owned())
        );
    }
}

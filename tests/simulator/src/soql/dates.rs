//! Date literals, which name ranges of days, in UTC.

use jiff::civil::{Date, Weekday};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

/// The first day of the range, and the first day after it.
pub(super) fn span(name: &str, n: Option<i64>, now: Timestamp) -> Option<(Date, Date)> {
    let today = now.to_zoned(TimeZone::UTC).date();
    let day = |offset: i64| today.checked_add(offset.days()).ok();
    let month = today.first_of_month();
    let year = today.first_of_year();
    let quarter = month
        .checked_sub(i64::from((month.month() - 1) % 3).months())
        .ok()?;
    let week = today
        .checked_sub(i64::from(today.weekday().since(Weekday::Sunday)).days())
        .ok()?;
    let plus = |from: Date, span: jiff::Span| from.checked_add(span).ok();
    let range = match (name.to_ascii_uppercase().as_str(), n) {
        ("YESTERDAY", None) => (day(-1)?, today),
        ("TODAY", None) => (today, day(1)?),
        ("TOMORROW", None) => (day(1)?, day(2)?),
        ("LAST_WEEK", None) => (plus(week, -1.week())?, week),
        ("THIS_WEEK", None) => (week, plus(week, 1.week())?),
        ("NEXT_WEEK", None) => (plus(week, 1.week())?, plus(week, 2.weeks())?),
        ("LAST_MONTH", None) => (plus(month, -1.month())?, month),
        ("THIS_MONTH", None) => (month, plus(month, 1.month())?),
        ("NEXT_MONTH", None) => (plus(month, 1.month())?, plus(month, 2.months())?),
        ("LAST_QUARTER", None) => (plus(quarter, -3.months())?, quarter),
        ("THIS_QUARTER", None) => (quarter, plus(quarter, 3.months())?),
        ("NEXT_QUARTER", None) => (plus(quarter, 3.months())?, plus(quarter, 6.months())?),
        ("LAST_90_DAYS", None) => (day(-90)?, day(1)?),
        ("NEXT_90_DAYS", None) => (day(1)?, day(91)?),
        ("LAST_YEAR", None) => (plus(year, -1.year())?, year),
        ("THIS_YEAR", None) => (year, plus(year, 1.year())?),
        ("NEXT_YEAR", None) => (plus(year, 1.year())?, plus(year, 2.years())?),
        ("LAST_N_DAYS", Some(n)) => (day(n.checked_neg()?)?, day(1)?),
        ("NEXT_N_DAYS", Some(n)) => (day(1)?, day(n.checked_add(1)?)?),
        ("N_DAYS_AGO", Some(n)) => (day(n.checked_neg()?)?, day(1 - n)?),
        (name, Some(n)) => periods(name, n, [week, month, quarter, year])?,
        _ => return None,
    };
    Some(range)
}

/// The ranges of whole weeks, months, quarters and years, which leave the present one out. Of the
/// four the present one's first day is given.
fn periods(name: &str, n: i64, [week, month, quarter, year]: [Date; 4]) -> Option<(Date, Date)> {
    let (start, shape) = match name.split('_').collect::<Vec<_>>()[..] {
        ["LAST", "N", unit] | ["NEXT", "N", unit] => (unit, name.split('_').next()?),
        ["N", unit, "AGO"] => (unit, "AGO"),
        _ => return None,
    };
    let (start, length) = match start {
        "WEEKS" => (week, 1.week()),
        "MONTHS" => (month, 1.month()),
        "QUARTERS" => (quarter, 3.months()),
        "YEARS" => (year, 1.year()),
        _ => return None,
    };
    let after = |count: i64| {
        let span = length.checked_mul(count).ok()?;
        start.checked_add(span).ok()
    };
    match shape {
        "LAST" => Some((after(n.checked_neg()?)?, start)),
        "NEXT" => Some((after(1)?, after(n.checked_add(1)?)?)),
        _ => Some((after(n.checked_neg()?)?, after(1_i64.checked_sub(n)?)?)),
    }
}

/// Midnight in UTC at the start of this day.
pub(super) fn midnight(date: Date) -> Timestamp {
    date.to_zoned(TimeZone::UTC)
        .map_or(Timestamp::MIN, |zoned| zoned.timestamp())
}

/// Whether the word names a range of days.
pub(super) fn is_span(name: &str) -> bool {
    span(name, None, Timestamp::UNIX_EPOCH).is_some()
        || span(name, Some(1), Timestamp::UNIX_EPOCH).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans() {
        // This day is a Wednesday.
        let now: Timestamp = "2026-03-04T05:06:07Z".parse().unwrap();
        let of = |name: &str, n| {
            span(name, n, now)
                .map(|(a, b)| format!("{a} {b}"))
                .unwrap_or_default()
        };
        assert_eq!(of("today", None), "2026-03-04 2026-03-05");
        assert_eq!(of("THIS_WEEK", None), "2026-03-01 2026-03-08");
        assert_eq!(of("LAST_MONTH", None), "2026-02-01 2026-03-01");
        assert_eq!(of("LAST_N_DAYS", Some(3)), "2026-03-01 2026-03-05");
        assert_eq!(of("N_DAYS_AGO", Some(3)), "2026-03-01 2026-03-02");
        assert_eq!(of("LAST_N_DAYS", None), "");
        assert_eq!(of("LAST_N_MONTHS", Some(2)), "2026-01-01 2026-03-01");
        assert_eq!(of("NEXT_N_WEEKS", Some(2)), "2026-03-08 2026-03-22");
        assert_eq!(of("N_YEARS_AGO", Some(2)), "2024-01-01 2025-01-01");
        assert_eq!(of("LAST_QUARTER", None), "2025-10-01 2026-01-01");
        assert_eq!(of("LAST_N_MONTHS", Some(i64::MIN)), "");
        assert_eq!(of("SOMEDAY", None), "");
    }
}

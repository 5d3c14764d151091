//! Times as people read them: when, and how long ago or how far ahead.

use jiff::Timestamp;

/// The time, with its distance from now.
pub(crate) fn when(at: Timestamp, now: Timestamp) -> String {
    format!("{at} ({})", distance(at, now))
}

/// The distance from now, in one unit, as kubectl prints ages.
pub(crate) fn distance(at: Timestamp, now: Timestamp) -> String {
    let seconds = at.as_second().saturating_sub(now.as_second());
    match seconds {
        0 => "now".to_owned(),
        1.. => format!("in {}", span(seconds.unsigned_abs())),
        _ => format!("{} ago", span(seconds.unsigned_abs())),
    }
}

/// A length of time, in one unit.
pub(crate) fn span(seconds: u64) -> String {
    match seconds {
        0..120 => format!("{seconds}s"),
        120..10_800 => format!("{}m", seconds / 60),
        10_800..172_800 => format!("{}h", seconds / 3_600),
        _ => format!("{}d", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_distance_has_one_unit_and_a_direction() {
        let now: Timestamp = "2026-11-29T08:00:00Z".parse().unwrap();
        for (at, told) in [
            ("2026-11-29T08:00:00Z", "now"),
            ("2026-11-29T07:58:01Z", "119s ago"),
            ("2026-11-29T07:58:00Z", "2m ago"),
            ("2026-11-29T05:00:01Z", "179m ago"),
            ("2026-11-29T11:00:00Z", "in 3h"),
            ("2026-12-01T08:00:00Z", "in 2d"),
        ] {
            let at: Timestamp = at.parse().unwrap();
            assert_eq!(distance(at, now), told);
            assert_eq!(when(at, now), format!("{at} ({told})"));
        }
    }
}

//! The simulator's own time.
//!
//! It follows the machine's clock. A test can advance it to see a lockout end, a session expire or
//! a quota window move on without sleeping.

use std::sync::atomic::{AtomicI64, Ordering};

use jiff::{SignedDuration, Timestamp};

/// Real time plus the offset that tests have added.
#[derive(Debug, Default)]
pub(crate) struct Clock {
    ahead_ms: AtomicI64,
}

impl Clock {
    /// The simulator's current time.
    pub(crate) fn now(&self) -> Timestamp {
        let ahead = SignedDuration::from_millis(self.ahead_ms.load(Ordering::SeqCst));
        Timestamp::now()
            .checked_add(ahead)
            .unwrap_or(Timestamp::MAX)
    }

    /// Advances the clock; a negative duration sets it back.
    pub(crate) fn advance(&self, by: SignedDuration) {
        let ms = i64::try_from(by.as_millis()).unwrap_or(i64::MAX);
        self.ahead_ms.fetch_add(ms, Ordering::SeqCst);
    }
}

/// Formats a datetime as Salesforce does in JSON: `2026-11-23T10:35:14.000+0000`. The milliseconds
/// are always zero (facts: Salesforce changes A2).
pub(crate) fn json_datetime(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%S.000+0000").to_string()
}

/// Formats a datetime as Salesforce does in XML and CSV: `2026-11-23T10:35:14.000Z`.
pub(crate) fn xml_datetime(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%S.000Z").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn datetimes_are_written_as_salesforce_writes_them() {
        let at: Timestamp = "2026-11-23T10:35:14.007Z".parse().unwrap();
        assert_eq!(json_datetime(at), "2026-11-23T10:35:14.000+0000");
        assert_eq!(xml_datetime(at), "2026-11-23T10:35:14.000Z");
    }

    #[test]
    fn advancing_moves_now() {
        let clock = Clock::default();
        let before = clock.now();
        clock.advance(SignedDuration::from_hours(3));
        assert!(clock.now().duration_since(before) >= SignedDuration::from_hours(3));
    }
}

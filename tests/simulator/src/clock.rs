//! The simulator's own time.
//!
//! It runs with the machine's clock and can be put forward, so that a test sees a lockout end, a session expire or a
//! quota window roll on without ever sleeping.

use std::sync::atomic::{AtomicI64, Ordering};

use jiff::{SignedDuration, Timestamp};

/// Real time plus what tests have added to it.
#[derive(Debug, Default)]
pub(crate) struct Clock {
    ahead_ms: AtomicI64,
}

impl Clock {
    /// The time that Salesforce believes it is.
    pub(crate) fn now(&self) -> Timestamp {
        let ahead = SignedDuration::from_millis(self.ahead_ms.load(Ordering::SeqCst));
        Timestamp::now()
            .checked_add(ahead)
            .unwrap_or(Timestamp::MAX)
    }

    /// Puts the clock forward (or back, with a negative duration).
    pub(crate) fn advance(&self, by: SignedDuration) {
        let ms = i64::try_from(by.as_millis()).unwrap_or(i64::MAX);
        self.ahead_ms.fetch_add(ms, Ordering::SeqCst);
    }
}

/// `2026-11-23T10:35:14.000+0000`, as Salesforce writes a datetime in JSON.
pub(crate) fn json_datetime(at: Timestamp) -> String {
    let ms = at.as_millisecond().rem_euclid(1000);
    format!("{}.{ms:03}+0000", at.strftime("%Y-%m-%dT%H:%M:%S"))
}

/// `2026-11-23T10:35:14.000Z`, as Salesforce writes a datetime in XML.
pub(crate) fn xml_datetime(at: Timestamp) -> String {
    let ms = at.as_millisecond().rem_euclid(1000);
    format!("{}.{ms:03}Z", at.strftime("%Y-%m-%dT%H:%M:%S"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn datetimes_are_written_as_salesforce_writes_them() {
        let at: Timestamp = "2026-11-23T10:35:14.007Z".parse().unwrap();
        assert_eq!(json_datetime(at), "2026-11-23T10:35:14.007+0000");
        assert_eq!(xml_datetime(at), "2026-11-23T10:35:14.007Z");
    }

    #[test]
    fn advancing_moves_now() {
        let clock = Clock::default();
        let before = clock.now();
        clock.advance(SignedDuration::from_hours(3));
        assert!(clock.now().duration_since(before) >= SignedDuration::from_hours(3));
    }
}

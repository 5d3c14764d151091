//! The wait before a failed reconcile is repeated. It grows with each failure in a row, and is
//! never shorter than the API server asks for.

use std::time::Duration;

/// The first wait; it doubles with each failure in a row.
const MIN_WAIT: Duration = Duration::from_millis(500);
/// The longest wait.
const MAX_WAIT: Duration = Duration::from_secs(60);

/// An integration's failures in a row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Backoff {
    failures: u32,
}

// === impl Backoff ===

impl Backoff {
    /// A reconcile failed. Returns how long to wait.
    pub(crate) fn next_wait(&mut self, cause: Option<&kube::Error>) -> Duration {
        let before = self.failures;
        self.failures = self.failures.saturating_add(1);
        wait(before, retry_after(cause), rand::random())
    }
}

/// The wait after a failure, with `before` failures in a row before this one; `random` is in 0..1.
fn wait(before: u32, retry_after: Duration, random: f64) -> Duration {
    let full = MIN_WAIT.saturating_mul(1 << before.min(16)).min(MAX_WAIT);
    retry_after.max(full.mul_f64(0.5 + random / 2.0))
}

/// The wait that the API server asks for with `Retry-After`, after the retries of the client
/// library.
fn retry_after(cause: Option<&kube::Error>) -> Duration {
    let seconds = match cause {
        Some(kube::Error::Api(status)) => status
            .details
            .as_ref()
            .map_or(0, |details| details.retry_after_seconds),
        _ => 0,
    };
    Duration::from_secs(seconds.into())
}

#[cfg(test)]
mod tests {
    use kube::core::Status;
    use kube::core::response::StatusDetails;

    use super::*;

    fn refused(code: u16, retry_after_seconds: u32) -> kube::Error {
        kube::Error::Api(Box::new(Status {
            code,
            details: Some(StatusDetails {
                name: String::new(),
                group: String::new(),
                kind: String::new(),
                uid: String::new(),
                causes: vec![],
                retry_after_seconds,
            }),
            ..Status::default()
        }))
    }

    #[test]
    fn waits_double_with_each_failure_in_a_row() {
        let mut backoff = Backoff::default();
        let conflict = refused(409, 0);
        for full in [500, 1_000, 2_000, 4_000] {
            let wait = backoff.next_wait(Some(&conflict)).as_millis();
            assert!(wait >= full / 2 && wait <= full, "{wait}");
        }
        assert!(Backoff::default().next_wait(Some(&conflict)) <= MIN_WAIT);
        assert_eq!(wait(40, Duration::ZERO, 1.0), MAX_WAIT);
    }

    #[test]
    fn the_api_server_is_not_asked_before_it_wants() {
        let wait = Backoff::default().next_wait(Some(&refused(429, 30)));
        assert_eq!(wait, Duration::from_secs(30));
    }
}

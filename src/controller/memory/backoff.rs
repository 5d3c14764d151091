//! When a reconcile that failed is tried again: soon at first, then at growing distances for each integration, and not before
//! the API server wants it.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::index::Key;

/// The first wait; it doubles with each failure in a row.
const MIN_WAIT: Duration = Duration::from_millis(500);
/// The longest wait.
const MAX_WAIT: Duration = Duration::from_secs(60);

/// Failures in a row, by integration.
#[derive(Default)]
pub(crate) struct Backoff(Mutex<HashMap<Key, u32>>);

// === impl Backoff ===

impl Backoff {
    /// A reconcile succeeded: the next failure is the first again.
    pub(crate) fn succeeded(&self, key: &Key) {
        self.lock().remove(key);
    }

    /// A reconcile failed. Returns how long to wait.
    pub(crate) fn failed(&self, key: &Key, cause: Option<&kube::Error>) -> Duration {
        let before = {
            let mut failures = self.lock();
            let count = failures.entry(key.clone()).or_default();
            *count += 1;
            *count - 1
        };
        wait(before, retry_after(cause), rand::random())
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, u32>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How long to wait after as many failures `before` this one; `random` is in 0..1.
fn wait(before: u32, retry_after: Duration, random: f64) -> Duration {
    let full = MIN_WAIT.saturating_mul(1 << before.min(16)).min(MAX_WAIT);
    retry_after.max(full.mul_f64(0.5 + random / 2.0))
}

/// What the API server asks for: `Retry-After`, beyond the repetitions that the client made itself.
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
    use crate::controller::memory::index::key;

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
    fn waits_double_for_each_integration_and_begin_anew_after_a_success() {
        let retries = Backoff::default();
        let conflict = refused(409, 0);
        for full in [500, 1_000, 2_000, 4_000] {
            let wait = retries.failed(&key("acme"), Some(&conflict)).as_millis();
            assert!(wait >= full / 2 && wait <= full, "{wait}");
        }
        assert!(retries.failed(&key("other"), Some(&conflict)) <= MIN_WAIT);
        retries.succeeded(&key("acme"));
        assert!(retries.failed(&key("acme"), Some(&conflict)) <= MIN_WAIT);
        assert_eq!(wait(40, Duration::ZERO, 1.0), MAX_WAIT);
    }

    #[test]
    fn the_api_server_is_not_asked_before_it_wants() {
        let wait = Backoff::default().failed(&key("acme"), Some(&refused(429, 30)));
        assert_eq!(wait, Duration::from_secs(30));
    }
}

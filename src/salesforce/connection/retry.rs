//! The rule for repeating a request that is safe to repeat. It is a pure function.

use std::time::Duration;

use crate::salesforce::answers::error::Error;
use crate::salesforce::answers::error_codes;

/// The number of repetitions and the pauses between them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    /// The maximum number of attempts after the first.
    pub retries: u32,
    /// The maximum length of the first pause; it doubles with every attempt.
    pub base: Duration,
    /// The maximum length of every pause.
    pub cap: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            retries: 3,
            base: Duration::from_millis(500),
            cap: Duration::from_secs(10),
        }
    }
}

impl RetryPolicy {
    /// No repetition: for callers that have a back-off of their own.
    pub const NONE: Self = Self {
        retries: 0,
        base: Duration::ZERO,
        cap: Duration::ZERO,
    };

    /// The pause before attempt `failed + 1`; `None` if the last attempt was the final one.
    /// `random` is in 0..1 and sets the jitter: the pause is between half and the whole of its
    /// length, to keep many clients apart.
    pub(crate) fn pause(&self, error: &Error, failed: u32, random: f64) -> Option<Duration> {
        // An error that is repeatable for another reason than its status is repeated as often as
        // the policy allows.
        let by_status = error
            .status()
            .and_then(|code| error_codes::status(code).retries);
        let most = self.retries.min(by_status.unwrap_or(u32::MAX));
        if !error.is_repeatable() || failed > most || failed == 0 {
            return None;
        }
        let full = self
            .base
            .saturating_mul(1 << (failed - 1).min(16))
            .min(self.cap);
        Some(full.mul_f64(0.5 + random.clamp(0.0, 1.0) / 2.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::salesforce::answers::error::Phase;
    use crate::salesforce::answers::meaning::Meaning;

    fn error(status: u16) -> Error {
        Error::new(Meaning::Unreachable, Phase::Request, "")
            .with_status(status)
            .repeatable()
    }

    #[test]
    fn pauses_double_up_to_the_cap_and_end() {
        let policy = RetryPolicy {
            retries: 4,
            base: Duration::from_secs(1),
            cap: Duration::from_secs(3),
        };
        let pauses: Vec<_> = (1..=5)
            .map(|failed| policy.pause(&error(503), failed, 1.0))
            .collect();
        let seconds = |seconds| Some(Duration::from_secs(seconds));
        assert_eq!(
            pauses,
            [seconds(1), seconds(2), seconds(3), seconds(3), None]
        );
        assert_eq!(policy.pause(&error(503), 2, 0.0), seconds(1));
        assert_eq!(policy.pause(&error(420), 3, 0.0), None);
    }

    #[test]
    fn what_may_not_be_repeated_is_not() {
        let policy = RetryPolicy::default();
        assert_eq!(
            policy.pause(
                &Error::new(Meaning::Unreachable, Phase::Request, ""),
                1,
                0.5
            ),
            None
        );
        assert_eq!(RetryPolicy::NONE.pause(&error(503), 1, 0.5), None);
    }
}

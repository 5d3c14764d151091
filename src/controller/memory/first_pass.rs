//! The first pass over many integrations that arrive at once. Each is reconciled and its status
//! written before any new one gets its tokens and its CronJob: somebody waits for the status, but
//! nothing needs the CronJob before its schedule is due.

use std::time::{Duration, Instant};

use crate::decide::Notice;

/// The longest time for which a deferred integration lets others go first, however many they are.
pub(crate) const MAX_DEFERRAL: Duration = Duration::from_secs(60);
/// The pause before a deferred integration is tried again, and its increase for each integration
/// that waits. One try costs little, but thousands try.
const PAUSE: Duration = Duration::from_secs(1);
const PAUSE_PER_WAITING: Duration = Duration::from_millis(5);
const MAX_PAUSE: Duration = Duration::from_secs(10);

/// The state of one integration in the first pass.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct FirstPass {
    /// When the first event arrived since the last reconcile began.
    waiting_since: Option<Instant>,
    deferred: Option<Deferred>,
}

#[derive(Clone, Debug, PartialEq)]
struct Deferred {
    since: Instant,
    /// The Events to publish once the rest is applied.
    notices: Vec<Notice>,
}

// === impl FirstPass ===

impl FirstPass {
    /// An event has arrived.
    pub(crate) fn wait(&mut self, now: Instant) {
        self.waiting_since.get_or_insert(now);
    }

    /// When the first event arrived since the last reconcile began.
    pub(crate) fn waiting_since(&self) -> Option<Instant> {
        self.waiting_since
    }

    /// Whether a reconcile may begin now, which ends the wait. A deferred integration without an
    /// event since then continues to let the `waiting` others go first.
    pub(crate) fn begin(&mut self, waiting: usize, now: Instant) -> bool {
        self.waiting_since.take().is_some() || !self.is_deferred(waiting, now)
    }

    /// Defers the rest of the plan while `waiting` others wait. Returns whether it deferred it.
    pub(crate) fn defer(&mut self, notices: &[Notice], waiting: usize, now: Instant) -> bool {
        if waiting == 0 {
            return false;
        }
        let deferred = self.deferred.get_or_insert(Deferred {
            since: now,
            notices: vec![],
        });
        deferred.notices.extend_from_slice(notices);
        self.is_deferred(waiting, now)
    }

    /// Ends the deferral, because the rest is applied now. Returns the Events that were deferred
    /// with it.
    pub(crate) fn take_deferred(&mut self) -> Vec<Notice> {
        self.deferred
            .take()
            .map_or(vec![], |deferred| deferred.notices)
    }

    fn is_deferred(&self, waiting: usize, now: Instant) -> bool {
        waiting > 0
            && self.deferred.as_ref().is_some_and(|deferred| {
                now.saturating_duration_since(deferred.since) < MAX_DEFERRAL
            })
    }
}

/// The pause before a deferred integration is tried again while so many others wait.
pub(crate) fn pause(waiting: usize) -> Duration {
    let waiting = u32::try_from(waiting).unwrap_or(u32::MAX);
    PAUSE
        .saturating_add(PAUSE_PER_WAITING.saturating_mul(waiting))
        .min(MAX_PAUSE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_more_wait_the_later_it_is_asked_again() {
        assert_eq!(pause(0), PAUSE);
        assert_eq!(pause(200), PAUSE * 2);
        assert_eq!(pause(5000), MAX_PAUSE);
    }
}

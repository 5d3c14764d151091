//! Whose turn it is when many come at once. Each integration is looked at, and its status says what came of that, before any new one gets
//! its tokens and its CronJob: a person waits for the first, and nothing waits for the second before its schedule says so.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::index::Key;
use crate::decide::Notice;

/// How long one that was put off lets others go first, however many they are.
const MAX_DEFERRAL: Duration = Duration::from_secs(60);
/// How soon one that was put off asks again, and what each that waits adds to that: asking costs little, but thousands ask.
const PAUSE: Duration = Duration::from_secs(1);
const PAUSE_FOR_EACH: Duration = Duration::from_millis(5);
const MAX_PAUSE: Duration = Duration::from_secs(10);

/// Who waits for being looked at, and who was put off because of them.
#[derive(Default)]
pub struct FirstPass(Mutex<State>);

#[derive(Default)]
struct State {
    waiting: HashSet<Key>,
    deferred: HashMap<Key, Deferred>,
}

struct Deferred {
    since: Instant,
    /// What is to be told once the rest is done.
    notices: Vec<Notice>,
}

// === impl FirstPass ===

impl FirstPass {
    /// Something has happened that an integration must be looked at for.
    pub fn enqueued(&self, key: &Key) {
        self.state().waiting.insert(key.clone());
    }

    /// An integration is about to be looked at. Whether it is its turn: one that was put off, and of which nothing was heard since, goes
    /// on letting the others go first.
    pub fn may_run(&self, key: &Key, now: Instant) -> bool {
        let mut state = self.state();
        state.waiting.remove(key) || !state.is_deferred(key, now)
    }

    /// Puts the rest of what is to be done about an integration off while others wait for being looked at. Returns whether it did.
    pub fn defer(&self, key: &Key, notices: &[Notice], now: Instant) -> bool {
        let mut state = self.state();
        if state.waiting.is_empty() {
            return false;
        }
        let deferred = state.deferred.entry(key.clone()).or_insert(Deferred {
            since: now,
            notices: vec![],
        });
        deferred.notices.extend_from_slice(notices);
        state.is_deferred(key, now)
    }

    /// How soon one that was put off should ask again.
    pub fn pause(&self) -> Duration {
        let waiting = u32::try_from(self.state().waiting.len()).unwrap_or(u32::MAX);
        PAUSE
            .saturating_add(PAUSE_FOR_EACH.saturating_mul(waiting))
            .min(MAX_PAUSE)
    }

    /// The rest is done now. Returns what was to be told with it.
    pub fn take_deferred(&self, key: &Key) -> Vec<Notice> {
        let deferred = self.state().deferred.remove(key);
        deferred.map_or(vec![], |deferred| deferred.notices)
    }

    /// An integration is gone.
    pub fn forget(&self, key: &Key) {
        let mut state = self.state();
        state.waiting.remove(key);
        state.deferred.remove(key);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl State ===

impl State {
    fn is_deferred(&self, key: &Key, now: Instant) -> bool {
        !self.waiting.is_empty()
            && self.deferred.get(key).is_some_and(|deferred| {
                now.saturating_duration_since(deferred.since) < MAX_DEFERRAL
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controller::memory::index::key;

    fn notice(reason: &str) -> Notice {
        Notice {
            warning: false,
            reason: reason.into(),
            note: String::new(),
            action: "Reconcile",
        }
    }

    /// One that has been looked at while another waits.
    fn crowded(now: Instant) -> FirstPass {
        let first_pass = FirstPass::default();
        for name in ["first", "second"] {
            first_pass.enqueued(&key(name));
        }
        assert!(first_pass.may_run(&key("first"), now));
        first_pass
    }

    #[test]
    fn who_was_looked_at_lets_the_others_go_first_and_then_tells_everything_once() {
        let now = Instant::now();
        let first_pass = crowded(now);
        assert!(first_pass.defer(&key("first"), &[notice("Connected")], now));
        assert!(!first_pass.may_run(&key("first"), now + PAUSE));
        assert!(first_pass.may_run(&key("second"), now + PAUSE));
        assert!(first_pass.may_run(&key("first"), now + PAUSE * 2));
        assert!(!first_pass.defer(&key("first"), &[], now + PAUSE * 2));
        assert_eq!(
            first_pass.take_deferred(&key("first")),
            [notice("Connected")]
        );
        assert_eq!(first_pass.take_deferred(&key("first")), []);
    }

    #[test]
    fn the_more_wait_the_later_it_is_asked_again() {
        let first_pass = FirstPass::default();
        assert_eq!(first_pass.pause(), PAUSE);
        for number in 0..200 {
            first_pass.enqueued(&key(&number.to_string()));
        }
        assert_eq!(first_pass.pause(), PAUSE * 2);
        for number in 0..5000 {
            first_pass.enqueued(&key(&number.to_string()));
        }
        assert_eq!(first_pass.pause(), MAX_PAUSE);
    }

    #[test]
    fn alone_nothing_is_put_off() {
        let first_pass = FirstPass::default();
        first_pass.enqueued(&key("first"));
        assert!(first_pass.may_run(&key("first"), Instant::now()));
        assert!(!first_pass.defer(&key("first"), &[], Instant::now()));
    }

    #[test]
    fn news_of_one_that_was_put_off_are_looked_at_in_turn() {
        let now = Instant::now();
        let first_pass = crowded(now);
        assert!(first_pass.defer(&key("first"), &[notice("Connected")], now));
        first_pass.enqueued(&key("first"));
        assert!(first_pass.may_run(&key("first"), now));
        assert!(first_pass.defer(&key("first"), &[notice("Failed")], now));
        let told = first_pass.take_deferred(&key("first"));
        assert_eq!(told, [notice("Connected"), notice("Failed")]);
    }

    #[test]
    fn a_crowd_without_end_holds_nobody_up_for_ever() {
        let now = Instant::now();
        let first_pass = crowded(now);
        assert!(first_pass.defer(&key("first"), &[notice("Connected")], now));
        let late = now + MAX_DEFERRAL;
        assert!(first_pass.may_run(&key("first"), late));
        assert!(!first_pass.defer(&key("first"), &[], late));
        assert_eq!(
            first_pass.take_deferred(&key("first")),
            [notice("Connected")]
        );
    }

    #[test]
    fn who_is_gone_holds_up_nobody() {
        let now = Instant::now();
        let first_pass = crowded(now);
        first_pass.forget(&key("second"));
        assert!(!first_pass.defer(&key("first"), &[], now));
    }
}

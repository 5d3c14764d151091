//! Whose turn it is when many come at once. Each integration is looked at, and its status says what came of that, before any new one gets
//! its tokens and its CronJob: a person waits for the first, and nothing waits for the second before its schedule says so.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::index::Key;
use crate::decide::Notice;

/// How long one that was put off lets others go first, however many they are.
const LONGEST: Duration = Duration::from_secs(60);
/// How soon one that was put off asks again, and what each that waits adds to that: asking costs little, but thousands ask.
const PAUSE: Duration = Duration::from_secs(1);
const PAUSE_FOR_EACH: Duration = Duration::from_millis(5);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// Who waits for being looked at, and who was put off because of them.
#[derive(Default)]
pub struct Turns(Mutex<State>);

#[derive(Default)]
struct State {
    waiting: HashSet<Key>,
    put_off: HashMap<Key, PutOff>,
}

struct PutOff {
    since: Instant,
    /// What is to be told once the rest is done.
    notices: Vec<Notice>,
}

// === impl Turns ===

impl Turns {
    /// Something has happened that an integration must be looked at for.
    pub fn told(&self, key: &Key) {
        self.state().waiting.insert(key.clone());
    }

    /// An integration is about to be looked at. Whether it is its turn: one that was put off, and of which nothing was heard since, goes
    /// on letting the others go first.
    pub fn begins(&self, key: &Key, now: Instant) -> bool {
        let mut state = self.state();
        state.waiting.remove(key) || !state.lets_others_go(key, now)
    }

    /// Puts the rest of what is to be done about an integration off while others wait for being looked at. Returns whether it did.
    pub fn put_off(&self, key: &Key, notices: &[Notice], now: Instant) -> bool {
        let mut state = self.state();
        if state.waiting.is_empty() {
            return false;
        }
        let put_off = state.put_off.entry(key.clone()).or_insert(PutOff {
            since: now,
            notices: vec![],
        });
        put_off.notices.extend_from_slice(notices);
        state.lets_others_go(key, now)
    }

    /// How soon one that was put off should ask again.
    pub fn pause(&self) -> Duration {
        let waiting = u32::try_from(self.state().waiting.len()).unwrap_or(u32::MAX);
        PAUSE
            .saturating_add(PAUSE_FOR_EACH.saturating_mul(waiting))
            .min(LONGEST_PAUSE)
    }

    /// The rest is done now. Returns what was to be told with it.
    pub fn done(&self, key: &Key) -> Vec<Notice> {
        let put_off = self.state().put_off.remove(key);
        put_off.map_or(vec![], |put_off| put_off.notices)
    }

    /// An integration is gone.
    pub fn forget(&self, key: &Key) {
        let mut state = self.state();
        state.waiting.remove(key);
        state.put_off.remove(key);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl State ===

impl State {
    fn lets_others_go(&self, key: &Key, now: Instant) -> bool {
        !self.waiting.is_empty()
            && self
                .put_off
                .get(key)
                .is_some_and(|put_off| now.saturating_duration_since(put_off.since) < LONGEST)
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
    fn crowded(now: Instant) -> Turns {
        let turns = Turns::default();
        for name in ["first", "second"] {
            turns.told(&key(name));
        }
        assert!(turns.begins(&key("first"), now));
        turns
    }

    #[test]
    fn who_was_looked_at_lets_the_others_go_first_and_then_tells_everything_once() {
        let now = Instant::now();
        let turns = crowded(now);
        assert!(turns.put_off(&key("first"), &[notice("Connected")], now));
        assert!(!turns.begins(&key("first"), now + PAUSE));
        assert!(turns.begins(&key("second"), now + PAUSE));
        assert!(turns.begins(&key("first"), now + PAUSE * 2));
        assert!(!turns.put_off(&key("first"), &[], now + PAUSE * 2));
        assert_eq!(turns.done(&key("first")), [notice("Connected")]);
        assert_eq!(turns.done(&key("first")), []);
    }

    #[test]
    fn the_more_wait_the_later_it_is_asked_again() {
        let turns = Turns::default();
        assert_eq!(turns.pause(), PAUSE);
        for number in 0..200 {
            turns.told(&key(&number.to_string()));
        }
        assert_eq!(turns.pause(), PAUSE * 2);
        for number in 0..5000 {
            turns.told(&key(&number.to_string()));
        }
        assert_eq!(turns.pause(), LONGEST_PAUSE);
    }

    #[test]
    fn alone_nothing_is_put_off() {
        let turns = Turns::default();
        turns.told(&key("first"));
        assert!(turns.begins(&key("first"), Instant::now()));
        assert!(!turns.put_off(&key("first"), &[], Instant::now()));
    }

    #[test]
    fn news_of_one_that_was_put_off_are_looked_at_in_turn() {
        let now = Instant::now();
        let turns = crowded(now);
        assert!(turns.put_off(&key("first"), &[notice("Connected")], now));
        turns.told(&key("first"));
        assert!(turns.begins(&key("first"), now));
        assert!(turns.put_off(&key("first"), &[notice("Failed")], now));
        let told = turns.done(&key("first"));
        assert_eq!(told, [notice("Connected"), notice("Failed")]);
    }

    #[test]
    fn a_crowd_without_end_holds_nobody_up_for_ever() {
        let now = Instant::now();
        let turns = crowded(now);
        assert!(turns.put_off(&key("first"), &[notice("Connected")], now));
        let late = now + LONGEST;
        assert!(turns.begins(&key("first"), late));
        assert!(!turns.put_off(&key("first"), &[], late));
        assert_eq!(turns.done(&key("first")), [notice("Connected")]);
    }

    #[test]
    fn who_is_gone_holds_up_nobody() {
        let now = Instant::now();
        let turns = crowded(now);
        turns.forget(&key("second"));
        assert!(!turns.put_off(&key("first"), &[], now));
    }
}

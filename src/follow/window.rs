//! Since when changes are asked for, and up to when they are settled. Pure.
//!
//! A record carries the stamp of its statement and is seen when its transaction commits, so that a
//! row may appear minutes later with an older stamp (facts: Salesforce changes A3). Therefore the
//! watermark stays [`OVERLAP`] behind the server's clock, and each window reads again what the one
//! before read last. Reading it twice changes nothing.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

/// How far the watermark stays behind the server's clock. A transaction lasts ten minutes at most
/// (facts: Salesforce changes A3); others who read changes re-read 5 to 15 minutes.
pub const OVERLAP: SignedDuration = SignedDuration::from_mins(15);

/// A window that begins longer ago does not show every deletion: deleted records leave the recycle
/// bin after 15 days (facts: Salesforce changes B1), and one day is left for clocks and slow runs.
pub const RECYCLE_BIN: SignedDuration = SignedDuration::from_hours(14 * 24);

/// A server's clock counts at most so far ahead of our own. A wrong one would put the watermark
/// into a future in which nothing changes.
const MAX_AHEAD: SignedDuration = SignedDuration::from_hours(24);

/// How far back the first window begins: enough for the clocks of the cluster and of Salesforce to
/// differ.
const FIRST_WINDOW: SignedDuration = SignedDuration::from_hours(1);

/// A run may begin this much earlier than the time between two windows says: runs begin at fixed
/// minutes and do not ask at the same second of each.
const SLACK: SignedDuration = SignedDuration::from_mins(1);

/// Which names follow Salesforce.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Mode {
    /// All that came from Salesforce, and numbers without a name.
    All,
    /// Only numbers without a name get one; names stay as they are.
    NewOnly,
}

/// How far a company has followed its org.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct State {
    /// Changes with an older stamp are settled; `None` before the first window.
    pub watermark: Option<Timestamp>,
    /// When changes were last asked for, by our own clock.
    pub followed_at: Option<Timestamp>,
    /// What has been followed so far.
    pub mode: Option<Mode>,
    /// Whether the directory knows a number, named or not.
    pub knows_numbers: bool,
}

/// What a run asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Plan {
    /// Nothing: changes were asked for not long ago.
    NotDue,
    /// Nothing, because no number is known that could change: what is looked up from now on is
    /// newer.
    NothingKnown {
        /// Up to when everything is settled.
        settled: Timestamp,
    },
    /// The changes since a time.
    Window {
        /// The lower bound of the stamps.
        since: Timestamp,
        /// Whether every record that is known is to be asked for by its Id, because the changes
        /// do not tell all.
        reconcile: bool,
    },
}

/// Decides what a run asks for at `now`, by our own clock. Changes are asked for `every` so often.
pub fn plan(state: &State, mode: Mode, every: SignedDuration, now: Timestamp) -> Plan {
    let is_due = state.followed_at.is_none_or(|at| {
        let passed = now.duration_since(at);
        // A clock that was set back must not stop it.
        passed >= every - SLACK.min(every / 2) || passed < SignedDuration::ZERO
    });
    // What was not followed so far may be stale, however old it is.
    let is_wider = mode == Mode::All && state.mode != Some(Mode::All);
    if !is_due && !is_wider {
        return Plan::NotDue;
    }
    let first = now.checked_sub(FIRST_WINDOW).unwrap_or(now);
    match state.watermark {
        _ if !state.knows_numbers => Plan::NothingKnown { settled: first },
        Some(since) if tells_all(since, now) => Plan::Window {
            since,
            reconcile: is_wider,
        },
        _ => Plan::Window {
            since: first,
            reconcile: true,
        },
    }
}

/// Whether the changes since a time tell all, when they were read at `read_at` by the server's
/// clock.
pub fn tells_all(since: Timestamp, read_at: Timestamp) -> bool {
    read_at.duration_since(since) <= RECYCLE_BIN
}

/// Up to when everything is settled after a window that was read from `read_at` on, by the
/// server's clock, and written; `now` is our own. A watermark never goes back.
pub fn settled_until(before: Option<Timestamp>, read_at: Timestamp, now: Timestamp) -> Timestamp {
    let latest = now.checked_add(MAX_AHEAD).unwrap_or(Timestamp::MAX);
    let read_at = read_at.min(latest);
    let settled = read_at.checked_sub(OVERLAP).unwrap_or(Timestamp::MIN);
    before.map_or(settled, |before| before.max(settled))
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVERY: SignedDuration = SignedDuration::from_mins(30);

    fn at(minute: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + minute * 60).unwrap()
    }

    fn followed(minute: i64, mode: Mode) -> State {
        State {
            watermark: Some(settled_until(None, at(minute), at(minute))),
            followed_at: Some(at(minute)),
            mode: Some(mode),
            knows_numbers: true,
        }
    }

    fn since(minute: i64, reconcile: bool) -> Plan {
        let since = at(minute);
        Plan::Window { since, reconcile }
    }

    #[test]
    fn windows_overlap_by_what_a_transaction_may_last() {
        let state = followed(0, Mode::All);
        assert_eq!(plan(&state, Mode::All, EVERY, at(30)), since(-15, false));
        assert_eq!(plan(&state, Mode::All, EVERY, at(28)), Plan::NotDue);
        // A run of every five minutes that is some seconds early does not wait for the next one.
        let early = at(30) - SignedDuration::from_secs(40);
        assert_ne!(plan(&state, Mode::All, EVERY, early), Plan::NotDue);
        assert_ne!(plan(&state, Mode::All, EVERY, at(-60)), Plan::NotDue);
    }

    #[test]
    fn a_watermark_never_goes_back() {
        assert_eq!(settled_until(Some(at(0)), at(10), at(10)), at(0));
        assert_eq!(settled_until(Some(at(0)), at(20), at(20)), at(5));
        // A clock that runs wild stops nothing for longer than a day.
        let wild = Timestamp::MAX;
        assert_eq!(settled_until(None, wild, at(0)), at(24 * 60 - 15));
    }

    #[test]
    fn the_first_window_and_one_older_than_the_recycle_bin_reconcile() {
        let first = State {
            knows_numbers: true,
            ..State::default()
        };
        assert_eq!(plan(&first, Mode::NewOnly, EVERY, at(0)), since(-60, true));
        let days = |days: i64| days * 24 * 60;
        let state = followed(0, Mode::All);
        let late = plan(&state, Mode::All, EVERY, at(days(13)));
        assert_eq!(late, since(-15, false));
        let too_late = plan(&state, Mode::All, EVERY, at(days(14)));
        assert_eq!(too_late, since(days(14) - 60, true));
    }

    #[test]
    fn nobody_is_asked_while_no_number_is_known() {
        let settled = at(-60);
        let nothing = plan(&State::default(), Mode::All, EVERY, at(0));
        assert_eq!(nothing, Plan::NothingKnown { settled });
    }

    #[test]
    fn a_tenant_that_sets_all_gets_what_stayed_as_it_was_at_once() {
        let state = followed(0, Mode::NewOnly);
        assert_eq!(plan(&state, Mode::All, EVERY, at(1)), since(-15, true));
        assert_eq!(plan(&state, Mode::NewOnly, EVERY, at(1)), Plan::NotDue);
        let state = followed(0, Mode::All);
        assert_eq!(
            plan(&state, Mode::NewOnly, EVERY, at(30)),
            since(-15, false)
        );
    }
}

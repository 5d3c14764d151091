//! What becomes of a ring. Pure: what is on record in, what is done out, time is an argument.

use std::time::Duration;

use jiff::Timestamp;

use crate::directory::model::rings::{LASTS, NotAsked};
use crate::directory::store::database::row;
use crate::directory::store::database::rows::micros;

/// A ring that is repeated within this time changes nothing.
const REPEATED: Duration = Duration::from_secs(30);

/// The rings of a company are counted over this time.
pub(crate) const COUNTED_OVER: Duration = Duration::from_secs(60);

/// How much Salesforce is asked for rings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RingLimits {
    /// How many numbers of a company may be put on record in a minute.
    pub(crate) per_minute: u32,
    /// For how long an answer of Salesforce is good enough.
    pub(crate) asked_within: Duration,
}

row! {
    /// What is on record about a number; `in_a_minute` is how many numbers of the company were put
    /// on record within [`COUNTED_OVER`].
    #[derive(Debug, Clone, Default, PartialEq, Eq)]
    pub(crate) struct OnRecord {
        pub(crate) contact: Option<String>,
        pub(crate) asked_at: Option<i64>,
        pub(crate) rang_at: Option<i64>,
        pub(crate) next_at: Option<i64>,
        pub(crate) claimed_until: Option<i64>,
        pub(crate) not_asked: Option<String>,
        pub(crate) answered_at: Option<i64>,
        pub(crate) in_a_minute: i64,
    }
}

/// What becomes of a ring.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ring {
    /// There is a contact.
    Known,
    /// Salesforce was asked a short while ago, and there is no contact.
    Asked,
    /// It is on record, and Salesforce is going to be asked.
    Waits {
        /// Whether that is to be written.
        write: bool,
        /// Whether somebody has to be woken.
        wake: bool,
    },
    /// It is on record, and could not be asked a moment ago. It is tried again.
    NotAsked(NotAsked),
    /// Too many numbers of the company rang.
    OverRate,
    /// Nothing may be kept about the number.
    Erased,
}

impl OnRecord {
    /// What becomes of a ring of this number at `now`.
    pub(crate) fn rings(&self, limits: &RingLimits, now: Timestamp) -> Ring {
        let ago = |span: Duration| {
            micros(now).saturating_sub(i64::try_from(span.as_micros()).unwrap_or(i64::MAX))
        };
        if self.contact.is_some() {
            return Ring::Known;
        }
        let after = |time: Option<i64>, span| time.is_some_and(|time| time > ago(span));
        if after(self.asked_at, limits.asked_within) {
            return Ring::Asked;
        }
        if self.answered_at.is_none() && after(self.rang_at, LASTS) {
            let later = self.next_at.is_some_and(|next| next > micros(now));
            if let Some(why) = self.not_asked.as_deref().filter(|_| later) {
                return Ring::NotAsked(NotAsked::read(why));
            }
            let write = !after(self.rang_at, REPEATED);
            // Whoever had taken it is gone.
            let left = self.claimed_until.is_some_and(|until| until <= micros(now));
            let wake = write || left || self.not_asked.is_some();
            return Ring::Waits { write, wake };
        }
        if self.in_a_minute >= i64::from(limits.per_minute) {
            return Ring::OverRate;
        }
        Ring::Waits {
            write: true,
            wake: true,
        }
    }

    /// Whether the ring is on record and not answered.
    pub(crate) fn is_open(&self, now: Timestamp) -> bool {
        let oldest = now.checked_sub(LASTS).unwrap_or(Timestamp::MIN);
        self.answered_at.is_none() && self.rang_at.is_some_and(|at| at > micros(oldest))
    }
}

// === impl NotAsked ===

impl NotAsked {
    /// The word in the database and on the wire.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::BudgetExhausted => "budget-exhausted",
            Self::Unreachable => "unreachable",
            Self::Withheld => "withheld",
            Self::Failed => "failed",
        }
    }

    /// Reads the word.
    pub(crate) fn read(word: &str) -> Self {
        let all = [Self::BudgetExhausted, Self::Unreachable, Self::Withheld];
        let known = all.into_iter().find(|why| why.word() == word);
        known.unwrap_or(Self::Failed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: RingLimits = RingLimits {
        per_minute: 3,
        asked_within: Duration::from_secs(600),
    };

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_700_000_000 + second).unwrap()
    }

    fn ago(seconds: i64) -> Option<i64> {
        Some(micros(at(0)) - seconds * 1_000_000)
    }

    fn of(record: OnRecord) -> Ring {
        record.rings(&LIMITS, at(0))
    }

    const NEW: Ring = Ring::Waits {
        write: true,
        wake: true,
    };

    #[test]
    fn a_number_that_was_never_asked_is_put_on_record() {
        assert_eq!(of(OnRecord::default()), NEW);
        let in_a_minute = 3;
        let over = OnRecord {
            in_a_minute,
            ..OnRecord::default()
        };
        assert_eq!(of(over), Ring::OverRate);
    }

    #[test]
    fn salesforce_is_not_asked_again_within_a_while() {
        let asked = |seconds| OnRecord {
            asked_at: ago(seconds),
            ..OnRecord::default()
        };
        assert_eq!(of(asked(599)), Ring::Asked);
        assert_eq!(of(asked(600)), NEW);
        let known = OnRecord {
            contact: Some("+81".to_owned()),
            ..asked(9_999)
        };
        assert_eq!(of(known), Ring::Known);
    }

    #[test]
    fn a_ring_that_is_on_record_costs_nothing_more() {
        let rang = |seconds| OnRecord {
            rang_at: ago(seconds),
            next_at: ago(seconds),
            in_a_minute: 3,
            ..OnRecord::default()
        };
        let waits = |write, wake| Ring::Waits { write, wake };
        assert_eq!(of(rang(5)), waits(false, false));
        assert_eq!(of(rang(30)), waits(true, true));
        assert_eq!(of(rang(600)), Ring::OverRate, "it is a new one");
        let left = OnRecord {
            claimed_until: ago(0),
            ..rang(5)
        };
        assert_eq!(of(left), waits(false, true));
        let answered = OnRecord {
            answered_at: ago(1),
            in_a_minute: 0,
            ..rang(5)
        };
        assert_eq!(of(answered), NEW);
    }

    #[test]
    fn a_ring_is_open_for_as_long_as_it_lasts_and_until_it_is_answered() {
        let lasts = i64::try_from(LASTS.as_secs()).unwrap();
        for (rang_at, answered_at, is_open) in [
            (None, None, false),
            (ago(0), None, true),
            (ago(lasts - 1), None, true),
            (ago(lasts), None, false),
            (ago(lasts + 1), None, false),
            (ago(5), ago(1), false),
        ] {
            let record = OnRecord {
                rang_at,
                answered_at,
                in_a_minute: 3,
                ..OnRecord::default()
            };
            assert_eq!(record.is_open(at(0)), is_open, "{record:?}");
            // What is open is no new ring, which would be one too many.
            assert_eq!(of(record) != Ring::OverRate, is_open);
        }
    }

    #[test]
    fn why_it_was_not_asked_is_told_until_it_is_tried_again() {
        let settled = |next_at| OnRecord {
            rang_at: ago(20),
            next_at,
            not_asked: Some("budget-exhausted".to_owned()),
            ..OnRecord::default()
        };
        let told = of(settled(ago(-1)));
        assert_eq!(told, Ring::NotAsked(NotAsked::BudgetExhausted));
        let (write, wake) = (false, true);
        assert_eq!(of(settled(ago(0))), Ring::Waits { write, wake });
    }

    #[test]
    fn the_words_of_the_database_are_those_of_the_wire() {
        use NotAsked::*;
        for why in [BudgetExhausted, Unreachable, Withheld, Failed] {
            assert_eq!(serde_json::json!(why), why.word());
            assert_eq!(NotAsked::read(why.word()), why);
        }
        let newer: NotAsked = serde_json::from_str("\"something-new\"").unwrap();
        assert_eq!(newer, Failed);
    }
}

//! After an outage: who is asked again, and when.
//!
//! Who is not answered waits twice as long each time, up to its interval, and asks by itself. So
//! when Salesforce is back one is answered within seconds, and another one in half an hour. What
//! the one was told is worth something to those who have not been answered since about the same
//! time: they are asked again within [`SLOPE`], evenly, the longest without an answer first. It is
//! a guess, so it ends when they are not answered either.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;

use jiff::{SignedDuration, Timestamp};

use super::proof::Proof;
use crate::api::conditions::{CONNECTED, SYNCED, Truth};
use crate::api::status::SalesforceIntegrationStatus;
use crate::api::{RunWhere, conditions};
use crate::reason::{Code, Reason};
use crate::run::{Outcome, RunReport};
use crate::salesforce::Meaning;

/// Within this time all are asked again, however many they are.
const SLOPE: SignedDuration = SignedDuration::from_secs(270);
/// The most time between two of them: few are back sooner.
const STEP: SignedDuration = SignedDuration::from_secs(15);
/// Who was asked again waits by itself for this time, whatever others are told.
const RESTS: SignedDuration = SignedDuration::from_mins(10);
/// Those have a cause in common whose silence began no longer than this before. Proofs come about
/// every half an hour, so it is noticed by and by.
const REACH: SignedDuration = SignedDuration::from_hours(1);
/// After so many in a row who are not answered either, the others are left alone.
const ENOUGH: u32 = 3;

/// What an integration has heard of Salesforce.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Heard {
    /// An answer, for which it had waited since then.
    Answer(Timestamp),
    /// Nothing, though it was asked at this time.
    Silence(Timestamp),
}

/// Whether the connection failed, and only because Salesforce did not answer.
pub(crate) fn proof_waits(status: &SalesforceIntegrationStatus) -> bool {
    let connected = conditions::verdict(&status.conditions, CONNECTED);
    let is_refused = status
        .connection
        .as_ref()
        .is_some_and(|connection| connection.failed_logins > 0);
    let is_silent = |reason: &Code| reason.meaning() == Some(Meaning::Unreachable);
    !is_refused
        && connected.is_some_and(|connected| {
            connected.truth == Truth::False && is_silent(&connected.reason)
        })
}

/// Whether the connection works, as far as is known, and the controller's last run failed because
/// Salesforce did not answer.
pub(crate) fn run_waits(status: &SalesforceIntegrationStatus) -> bool {
    let synced = conditions::verdict(&status.conditions, SYNCED);
    let last = status.last_run.as_ref();
    conditions::is_true(&status.conditions, CONNECTED)
        && synced.is_some_and(|synced| synced.reason == Reason::RunFailed)
        && last.is_some_and(|last| {
            last.where_ == RunWhere::Resident && last.code().meaning() == Some(Meaning::Unreachable)
        })
}

/// Since when an integration waits for an answer; `None` if it does not.
pub(crate) fn silent_since(status: &SalesforceIntegrationStatus) -> Option<Timestamp> {
    let type_ = match (proof_waits(status), run_waits(status)) {
        (true, _) => CONNECTED,
        (false, true) => SYNCED,
        (false, false) => return None,
    };
    let condition = conditions::find(&status.conditions, type_)?;
    Some(condition.last_transition_time.0)
}

/// What a proof says of Salesforce; `None` for an answer that nobody had waited for, and for what
/// was not sent. `before` is the status that the proof was asked for, at `asked_at`.
pub(crate) fn heard_in_proof(
    before: Option<&SalesforceIntegrationStatus>,
    proof: &Proof,
    asked_at: Timestamp,
) -> Option<Heard> {
    match &proof.outcome {
        Ok(_) => Some(Heard::Answer(before.and_then(silent_since)?)),
        Err(failure) => {
            (failure.meaning == Meaning::Unreachable).then_some(Heard::Silence(asked_at))
        }
    }
}

/// What a run of the controller says of Salesforce, as [`heard_in_proof`].
pub(crate) fn heard_in_run(
    before: Option<&SalesforceIntegrationStatus>,
    report: &RunReport,
) -> Option<Heard> {
    if report.outcome == Outcome::Succeeded && report.api_calls > 0 {
        return Some(Heard::Answer(before.and_then(silent_since)?));
    }
    let error = report.error.as_ref()?;
    let is_silent = error.code.meaning() == Some(Meaning::Unreachable);
    is_silent.then_some(Heard::Silence(report.started_at))
}

/// Those who are asked again, and when.
#[derive(Debug)]
pub(crate) struct Recovery<K> {
    /// In the order of their times.
    slope: VecDeque<(Timestamp, K)>,
    /// When the slope began, and the time between two of it.
    began: Option<(Timestamp, SignedDuration)>,
    /// Who was asked again, and when.
    asked: HashMap<K, Timestamp>,
    /// How many of those in a row were not answered.
    silences: u32,
}

// === impl Recovery ===

impl<K> Default for Recovery<K> {
    fn default() -> Self {
        Self {
            slope: VecDeque::new(),
            began: None,
            asked: HashMap::new(),
            silences: 0,
        }
    }
}

impl<K: Clone + Eq + Hash + Ord> Recovery<K> {
    /// Somebody has heard something. `waiting` returns all who wait for an answer, each with the
    /// time since when.
    pub(crate) fn hear(
        &mut self,
        who: &K,
        heard: Heard,
        now: Timestamp,
        waiting: impl FnOnce() -> Vec<(Timestamp, K)>,
    ) {
        match heard {
            Heard::Answer(silent_since) => {
                self.silences = 0;
                if self.slope.is_empty() {
                    self.begin(who, silent_since, now, waiting());
                }
            }
            // Who asks by himself says nothing that is not known, nor what was under way before.
            Heard::Silence(since) if self.was_asked_by(who, since, now) => {
                self.silences += 1;
                if self.silences >= ENOUGH {
                    self.slope.clear();
                }
            }
            Heard::Silence(_) => {}
        }
    }

    /// When the next one is to be asked again.
    pub(crate) fn next_due(&self) -> Option<Timestamp> {
        self.slope.front().map(|(due, _)| *due)
    }

    /// Those who are to be asked again now.
    pub(crate) fn take_due(&mut self, now: Timestamp) -> Vec<K> {
        let due = self.slope.partition_point(|(due, _)| *due <= now);
        let due: Vec<K> = self.slope.drain(..due).map(|(_, who)| who).collect();
        self.asked.extend(due.iter().map(|who| (who.clone(), now)));
        due
    }

    fn was_asked(&self, who: &K, now: Timestamp) -> bool {
        self.was_asked_by(who, now, now)
    }

    /// Whether somebody was asked lately, as of `now`, and no later than `by`.
    fn was_asked_by(&self, who: &K, by: Timestamp, now: Timestamp) -> bool {
        let asked = self.asked.get(who);
        asked.is_some_and(|at| *at <= by && now.duration_since(*at) < RESTS)
    }

    fn begin(
        &mut self,
        who: &K,
        silent_since: Timestamp,
        now: Timestamp,
        mut waiting: Vec<(Timestamp, K)>,
    ) {
        self.asked.retain(|_, at| now.duration_since(*at) < RESTS);
        waiting.retain(|(since, other)| {
            other != who
                && silent_since.duration_since(*since) <= REACH
                && !self.was_asked(other, now)
        });
        let Ok(many @ 1..) = i32::try_from(waiting.len()) else {
            return;
        };
        waiting.sort();
        // One that was broken off goes on as fast as it began.
        let (began, step) = self
            .began
            .filter(|(began, _)| now.duration_since(*began) < SLOPE)
            .unwrap_or((now, (SLOPE / many).min(STEP)));
        self.began = Some((began, step));
        let times = (0..many).map(|at| now.saturating_add(step * at));
        let times = times.map(|at| at.unwrap_or(Timestamp::MAX));
        self.slope = times.zip(waiting.into_iter().map(|(_, who)| who)).collect();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).unwrap()
    }

    /// So many who are not answered since then, one each second.
    fn silent(many: usize, since: i64) -> Vec<(Timestamp, usize)> {
        (0..many).map(|who| (at(since + who as i64), who)).collect()
    }

    /// A fleet that is told at second 0 that one is answered, after silence from then on.
    fn told(waiting: Vec<(Timestamp, usize)>, silent_since: i64) -> Recovery<usize> {
        let mut recovery = Recovery::default();
        recovery.hear(&usize::MAX, Heard::Answer(at(silent_since)), at(0), || {
            waiting
        });
        recovery
    }

    /// Who is asked in each minute, while all are answered.
    fn asked(recovery: &mut Recovery<usize>) -> Vec<Vec<usize>> {
        let mut minutes = vec![];
        while let Some(due) = recovery.next_due() {
            let minute = usize::try_from(due.duration_since(at(0)).as_mins()).unwrap();
            minutes.resize(minutes.len().max(minute + 1), vec![]);
            for who in recovery.take_due(due) {
                recovery.hear(&who, Heard::Answer(at(-1_800)), due, Vec::new);
                minutes[minute].push(who);
            }
        }
        minutes
    }

    #[test]
    fn all_are_asked_within_five_minutes_evenly_and_the_longest_without_an_answer_first() {
        for many in [20, 2_000, 10_000] {
            let waiting: Vec<_> = silent(many, -1_800).into_iter().rev().collect();
            let minutes = asked(&mut told(waiting, -1_800));
            let sizes: Vec<usize> = minutes.iter().map(Vec::len).collect();
            assert_eq!(minutes.len(), 5, "{sizes:?}");
            assert!(sizes.iter().all(|size| size * 4 <= many), "{sizes:?}");
            assert_eq!(minutes.concat(), Vec::from_iter(0..many));
        }
        // Few are back sooner.
        assert_eq!(asked(&mut told(silent(4, -1_800), -1_800)), [[0, 1, 2, 3]]);
    }

    #[test]
    fn who_has_no_answer_since_long_before_has_another_cause() {
        let old = (at(-90_000), 7);
        let waiting = [silent(2, -1_800), vec![old]].concat();
        assert_eq!(asked(&mut told(waiting, -1_200)), [[0, 1]]);
        assert!(asked(&mut told(vec![old], -1_200)).is_empty());
    }

    #[test]
    fn where_the_first_are_not_answered_the_others_are_left_alone_until_one_is() {
        let waiting = || silent(100, -1_800);
        let mut recovery = told(waiting(), -1_800);
        let mut asked = vec![];
        while let Some(due) = recovery.next_due() {
            for who in recovery.take_due(due) {
                recovery.hear(&who, Heard::Silence(due), due, || unreachable!());
                asked.push(who);
            }
        }
        assert_eq!(asked, [0, 1, 2]);
        // Who asks by himself and hears nothing says nothing new; who is answered does.
        let again = Heard::Answer(at(-1_800));
        recovery.hear(&50, Heard::Silence(at(29)), at(30), || unreachable!());
        recovery.hear(&99, again, at(30), waiting);
        let first = recovery.take_due(at(30));
        assert_eq!(first, [3], "who was asked waits by himself for a while");
        // They go on as fast as before.
        let last = at(30).checked_add(SLOPE / 100 * 95).unwrap();
        assert_eq!(recovery.slope.back(), Some(&(last, 98)));
        // What one who is answered later says is nothing new while they are asked.
        recovery.hear(&3, again, at(31), || unreachable!());
    }

    #[test]
    fn what_was_sent_before_one_was_asked_again_says_nothing_of_the_others() {
        let mut recovery = told(silent(100, -1_800), -1_800);
        let mut asked = 0;
        while let Some(due) = recovery.next_due() {
            for who in recovery.take_due(due) {
                let sent_before = Heard::Silence(at(-1));
                recovery.hear(&who, sent_before, due, || unreachable!());
                asked += 1;
            }
        }
        assert_eq!(asked, 100);
    }

    #[test]
    fn nobody_is_asked_twice_within_ten_minutes_however_often_others_come_and_go() {
        let mut recovery = Recovery::default();
        let mut times = vec![];
        for second in (0..3_600).step_by(5) {
            let now = at(second);
            let again = Heard::Answer(at(second - 60));
            recovery.hear(&9, again, now, || vec![(at(-600), 0)]);
            times.extend(recovery.take_due(now).iter().map(|_| second));
        }
        assert!(
            times.windows(2).all(|two| two[1] - two[0] >= 600),
            "{times:?}"
        );
        // An hour later it is no longer thought to have the same cause.
        assert!((5..=6).contains(&times.len()), "{times:?}");
    }

    /// A status in which this condition has been so for that reason since second -60.
    fn since_a_minute(type_: &str, truth: Truth, reason: Reason) -> SalesforceIntegrationStatus {
        let mut status = SalesforceIntegrationStatus::default();
        let verdict = conditions::Verdict {
            truth,
            ..conditions::Verdict::fails(reason, "so")
        };
        conditions::set(&mut status.conditions, type_, verdict, Some(1), at(-60));
        status
    }

    #[test]
    fn who_waits_for_an_answer_is_who_was_not_answered_and_nothing_else() {
        let silence = Reason::from(Meaning::Unreachable);
        let silent = since_a_minute(CONNECTED, Truth::False, silence);
        assert_eq!(silent_since(&silent), Some(at(-60)));
        let mut refused = silent.clone();
        refused.connection.get_or_insert_default().failed_logins = 1;
        for other in [
            refused,
            since_a_minute(CONNECTED, Truth::True, silence),
            since_a_minute(CONNECTED, Truth::False, Meaning::InvalidLogin.into()),
            SalesforceIntegrationStatus::default(),
        ] {
            assert_eq!(silent_since(&other), None, "{:?}", other.conditions);
        }
    }

    #[test]
    fn a_run_that_asked_is_an_answer_for_who_waited_and_one_that_was_not_answered_is_silence() {
        let silent = since_a_minute(CONNECTED, Truth::False, Meaning::Unreachable.into());
        let heard = |outcome, calls, code: Option<Reason>| {
            let mut report = RunReport::begin(crate::run::RunKind::Lookup, at(5));
            (report.outcome, report.api_calls) = (outcome, calls);
            report.error = code.map(|code| crate::run::Note::new(code, "so"));
            heard_in_run(Some(&silent), &report)
        };
        let answer = Some(Heard::Answer(at(-60)));
        assert_eq!(heard(Outcome::Succeeded, 1, None), answer);
        assert_eq!(
            heard(Outcome::Succeeded, 0, None),
            None,
            "nothing was asked"
        );
        let unreachable = Reason::from(Meaning::Unreachable);
        let silence = Some(Heard::Silence(at(5)));
        assert_eq!(heard(Outcome::Failed, 1, Some(unreachable)), silence);
        let other = Reason::from(Meaning::QueryTimeout);
        assert_eq!(heard(Outcome::Failed, 1, Some(other)), None);
        let report = RunReport::begin(crate::run::RunKind::Lookup, at(5));
        assert_eq!(heard_in_run(None, &report), None, "nobody had waited");
    }

    #[test]
    fn who_was_asked_rests_for_ten_minutes_and_a_slope_that_is_over_begins_anew() {
        let waiting = || vec![(at(-600), 0)];
        let mut recovery = told(waiting(), -600);
        assert_eq!(recovery.take_due(at(0)), [0]);
        recovery.hear(&9, Heard::Answer(at(-600)), at(599), waiting);
        assert_eq!(recovery.next_due(), None);
        recovery.hear(&9, Heard::Answer(at(-600)), at(600), waiting);
        assert_eq!(recovery.next_due(), Some(at(600)));

        for (second, gap) in [(269, SLOPE / 100), (270, STEP)] {
            let mut recovery = told(silent(100, -1_800), -1_800);
            recovery.slope.clear();
            let two = || vec![(at(-1_000), 500), (at(-999), 501)];
            recovery.hear(&9, Heard::Answer(at(-1_000)), at(second), two);
            let times: Vec<_> = recovery.slope.iter().map(|(due, _)| *due).collect();
            assert_eq!(times[1].duration_since(times[0]), gap, "{second}");
        }
    }
}

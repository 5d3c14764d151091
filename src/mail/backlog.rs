//! The queue of what is to be sent: bounded, with back-off, without I/O.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Mails that may wait. A burst of a thousand fits; more is a fault that a longer queue only hides.
const MAX_WAITING: usize = 1000;
/// After this time a mail is given up: what it says would be old.
pub(crate) const MAX_AGE: Duration = Duration::from_secs(3600);
/// The pause after the first failure of the server, and the longest.
const SERVER_PAUSE: Duration = Duration::from_secs(1);
const MAX_SERVER_PAUSE: Duration = Duration::from_secs(60);
/// The pause for one mail that the server put off, as for greylisting, and the longest.
const MAIL_PAUSE: Duration = Duration::from_secs(60);
const MAX_MAIL_PAUSE: Duration = Duration::from_secs(900);

/// What is to be sent, oldest first.
#[derive(Debug)]
pub(crate) struct Backlog<T> {
    waiting: VecDeque<Waiting<T>>,
    /// Failures of the server in a row.
    failures: u32,
    paused_until: Option<Instant>,
}

/// One mail of the queue.
#[derive(Debug)]
pub(crate) struct Waiting<T> {
    /// The mail.
    pub(crate) mail: T,
    queued_at: Instant,
    due: Instant,
    failures: u32,
}

/// What the queue has to do next.
#[derive(Debug)]
pub(crate) enum Next<T> {
    /// Send this, then call [`Backlog::sent`], [`Backlog::put_off`] or [`Backlog::server_failed`].
    Send(Waiting<T>),
    /// Give this up: it waited for [`MAX_AGE`].
    GiveUp(T),
    /// Nothing before this time.
    Wait(Instant),
    /// Nothing at all.
    Idle,
}

// === impl Backlog ===

impl<T> Default for Backlog<T> {
    fn default() -> Self {
        Self {
            waiting: VecDeque::new(),
            failures: 0,
            paused_until: None,
        }
    }
}

impl<T> Backlog<T> {
    /// Adds a mail. Returns it when the queue is full.
    pub(crate) fn push(&mut self, mail: T, now: Instant) -> Result<(), T> {
        if self.waiting.len() >= MAX_WAITING {
            return Err(mail);
        }
        self.waiting.push_back(Waiting {
            mail,
            queued_at: now,
            due: now,
            failures: 0,
        });
        Ok(())
    }

    /// The number of mails that wait.
    pub(crate) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// What is to be done at `now`.
    pub(crate) fn next(&mut self, now: Instant) -> Next<T> {
        let old =
            |waiting: &Waiting<T>| now.saturating_duration_since(waiting.queued_at) >= MAX_AGE;
        if let Some(place) = self.waiting.iter().position(old) {
            return match self.waiting.remove(place) {
                Some(waiting) => Next::GiveUp(waiting.mail),
                None => Next::Idle,
            };
        }
        let ready = |waiting: &Waiting<T>| waiting.due.max(self.paused_until.unwrap_or(now)) <= now;
        if let Some(place) = self.waiting.iter().position(ready)
            && let Some(waiting) = self.waiting.remove(place)
        {
            return Next::Send(waiting);
        }
        let wakes = self.waiting.iter().map(|waiting| {
            let due = waiting.due.max(self.paused_until.unwrap_or(waiting.due));
            due.min(waiting.queued_at + MAX_AGE)
        });
        wakes.min().map_or(Next::Idle, Next::Wait)
    }

    /// The server took a mail, or refused it for good: it works.
    pub(crate) fn sent(&mut self) {
        self.failures = 0;
        self.paused_until = None;
    }

    /// The server put this mail off. Others go on.
    pub(crate) fn put_off(&mut self, mut waiting: Waiting<T>, now: Instant) {
        self.sent();
        waiting.due = now + pause(MAIL_PAUSE, waiting.failures, MAX_MAIL_PAUSE);
        waiting.failures = waiting.failures.saturating_add(1);
        self.waiting.push_front(waiting);
    }

    /// The server does not work. Everything waits.
    pub(crate) fn server_failed(&mut self, waiting: Waiting<T>, now: Instant) {
        self.paused_until = Some(now + pause(SERVER_PAUSE, self.failures, MAX_SERVER_PAUSE));
        self.failures = self.failures.saturating_add(1);
        self.waiting.push_front(waiting);
    }
}

fn pause(first: Duration, failures: u32, longest: Duration) -> Duration {
    first
        .saturating_mul(2_u32.saturating_pow(failures))
        .min(longest)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_dead_server_is_asked_ever_more_rarely_and_by_one_mail() {
        let mut backlog = Backlog::default();
        let mut now = Instant::now();
        for mail in ["first", "second"] {
            backlog.push(mail, now).unwrap();
        }
        let mut pauses = vec![];
        for _ in 0..8 {
            let Next::Send(waiting) = backlog.next(now) else {
                panic!("something is due");
            };
            assert_eq!(waiting.mail, "first");
            backlog.server_failed(waiting, now);
            let Next::Wait(until) = backlog.next(now) else {
                panic!("everything waits");
            };
            pauses.push((until - now).as_secs());
            now = until;
        }
        assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 60, 60]);
        let Next::Send(_) = backlog.next(now) else {
            panic!("the first is tried again");
        };
        backlog.sent();
        assert!(matches!(backlog.next(now), Next::Send(second) if second.mail == "second"));
    }

    #[test]
    fn a_mail_that_is_put_off_lets_others_pass_and_is_given_up_after_an_hour() {
        let mut backlog = Backlog::default();
        let start = Instant::now();
        backlog.push("greylisted", start).unwrap();
        backlog.push("other", start).unwrap();
        let Next::Send(greylisted) = backlog.next(start) else {
            panic!("something is due");
        };
        backlog.put_off(greylisted, start);
        assert!(matches!(backlog.next(start), Next::Send(other) if other.mail == "other"));
        let Next::Wait(until) = backlog.next(start) else {
            panic!("it waits");
        };
        assert_eq!(until - start, MAIL_PAUSE);
        assert!(matches!(
            backlog.next(start + MAX_AGE),
            Next::GiveUp("greylisted")
        ));
        assert!(matches!(backlog.next(start + MAX_AGE), Next::Idle));
    }

    #[test]
    fn a_full_queue_takes_no_more() {
        let mut backlog = Backlog::default();
        let now = Instant::now();
        for mail in 0..MAX_WAITING {
            backlog.push(mail, now).unwrap();
        }
        assert_eq!(backlog.push(MAX_WAITING, now), Err(MAX_WAITING));
        assert_eq!(backlog.len(), MAX_WAITING);
    }

    proptest! {
        #[test]
        fn every_mail_leaves_the_queue_once_whatever_the_server_does(answers in prop::collection::vec(0_u8..3, 0..200)) {
            let mut backlog = Backlog::default();
            let mut now = Instant::now();
            for mail in 0..20 {
                backlog.push(mail, now).unwrap();
            }
            let mut left = vec![];
            let mut answers = answers.into_iter();
            loop {
                match backlog.next(now) {
                    Next::Send(waiting) => match answers.next() {
                        Some(0) => backlog.put_off(waiting, now),
                        Some(1) => backlog.server_failed(waiting, now),
                        _ => {
                            left.push(waiting.mail);
                            backlog.sent();
                        }
                    },
                    Next::GiveUp(mail) => left.push(mail),
                    Next::Wait(until) => {
                        prop_assert!(until > now);
                        now = until;
                    }
                    Next::Idle => break,
                }
            }
            left.sort_unstable();
            prop_assert_eq!(left, (0..20).collect::<Vec<_>>());
        }
    }
}

//! The log-ins of the last hour, by user, as one record of the installation.
//!
//! A status goes with its integration, so what only statuses remember is forgotten by whoever
//! deletes the integration and makes it anew. The logbook outlives integrations, namespaces,
//! restarts and controllers: a log-in is in the stored text before it is sent (docs/adr/0034). It
//! holds those that are under way, unanswered, or refused; one that succeeded is no longer in it.

use std::collections::{HashMap, HashSet};

use jiff::{SignedDuration, Timestamp};

use super::next_attempt::REFUSAL_WINDOW;
use super::user_limit;
use super::user_limit::Refused;

/// Wait for the answer to a log-in that is under way.
const ANSWER: SignedDuration = SignedDuration::from_secs(15);
/// The time within which a controller has the answer to a log-in, or has given it up. The log-in of
/// another controller that works beside this one may be under way so long.
pub(crate) const ANSWERED_WITHIN: SignedDuration = SignedDuration::from_secs(90);
/// Log-ins of one namespace in the book at most. The rest waits for the hour, so that nobody fills
/// the book for the others.
const MOST_OF_A_NAMESPACE: usize = 512;
/// Number of log-ins from which a namespace gets [`FAIR_SHARE`] only.
const NEARLY_FULL: usize = 4_096;
/// Log-ins of one namespace when the book is nearly full.
const FAIR_SHARE: usize = 8;
/// Log-ins in the book at most: with 130 bytes each, well below the mebibyte of a ConfigMap.
const MOST: usize = 6_144;

/// Whoever is about to log in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Attempt<'a> {
    /// Fingerprint of the user.
    pub user: &'a str,
    /// Fingerprint of the credential.
    pub credential: &'a str,
    /// Namespace of the integration.
    pub namespace: &'a str,
    /// Time at which the log-in is sent, in whole seconds.
    pub at: Timestamp,
}

/// The log-ins of the last hour.
#[derive(Clone, Debug, Default)]
pub(crate) struct Logbook {
    /// Whether controllers of other shards write the record at the same time. Then a log-in that
    /// nobody has answered yet may be under way.
    shared: bool,
    users: HashMap<String, Vec<Login>>,
    /// Log-ins that left the book after the stored text was written.
    answered: HashSet<(String, Timestamp, String)>,
    /// The number of changes so far.
    changes: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Login {
    at: Timestamp,
    credential: String,
    namespace: String,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Sent by this controller, which waits for the answer. The value is the number of the change
    /// that brought it into the book.
    UnderWay(u64),
    /// Sent by a controller that has ended, or is another one; nobody knows the answer.
    Unanswered,
    /// Salesforce refused it.
    Refused,
}

// === impl Logbook ===

impl Logbook {
    /// A record that controllers of other shards write, too.
    pub(crate) fn shared() -> Self {
        Self {
            shared: true,
            ..Self::default()
        }
    }

    /// Admits one log-in, and counts it until [`Self::settle`]. `refused` has the refusals that
    /// statuses show.
    ///
    /// # Errors
    /// The time at which the next log-in may be asked for.
    pub(crate) fn admit(
        &mut self,
        attempt: Attempt<'_>,
        mut refused: Vec<Refused>,
    ) -> Result<(), Timestamp> {
        let now = attempt.at;
        self.forget_old(now);
        let known = self.users.get(attempt.user);
        let logins = known.map(Vec::as_slice).unwrap_or_default();
        let counts = |login: &&Login| self.counts(login, now);
        refused.extend(logins.iter().filter(counts).map(Login::refusal));
        if let Some(opens) = user_limit::gate(refused.clone(), attempt.credential, now) {
            return Err(opens);
        }
        let pending = logins.iter().filter(|login| !self.counts(login, now));
        refused.extend(pending.map(Login::refusal));
        // Statuses have seconds: two log-ins of one second would look like one there. And one
        // credential is not refused in two shards at once: the second waits for the answer.
        let twin = |login: &Login| {
            login.credential == attempt.credential
                && (login.at == now || self.is_elsewhere(login, now))
        };
        if user_limit::gate(refused, attempt.credential, now).is_some() || logins.iter().any(twin) {
            return Err(now.checked_add(ANSWER).unwrap_or(now));
        }
        if let Some(opens) = self.room(attempt.namespace) {
            return Err(opens);
        }
        self.changes += 1;
        let login = Login {
            at: now,
            credential: attempt.credential.into(),
            namespace: attempt.namespace.into(),
            state: State::UnderWay(self.changes),
        };
        self.users
            .entry(attempt.user.to_owned())
            .or_default()
            .push(login);
        Ok(())
    }

    /// Whether the log-in is still in the book. [`Self::merge`] takes one out that another
    /// controller's entries came before.
    pub(crate) fn holds(&self, attempt: Attempt<'_>) -> bool {
        self.logins(attempt.user).any(|login| {
            login.at == attempt.at
                && login.credential == attempt.credential
                && matches!(login.state, State::UnderWay(_))
        })
    }

    /// Records the answer to a log-in that this controller sent, or that it was not sent.
    pub(crate) fn settle(&mut self, attempt: Attempt<'_>, refused: bool) {
        let Some(logins) = self.users.get_mut(attempt.user) else {
            return;
        };
        let place = logins.iter().position(|login| {
            login.at == attempt.at
                && login.credential == attempt.credential
                && matches!(login.state, State::UnderWay(_))
        });
        let Some(login) = place.and_then(|place| logins.get_mut(place)) else {
            return;
        };
        self.changes += 1;
        if refused {
            login.state = State::Refused;
        } else {
            self.take_out(attempt.user, attempt.credential, attempt.at);
        }
    }

    /// Takes out the log-ins as this user that nobody saw the answer to, if a status tells that
    /// they succeeded.
    pub(crate) fn forget_answered(
        &mut self,
        user: &str,
        succeeded: impl Fn(&str, Timestamp) -> bool,
    ) {
        let known: Vec<(String, Timestamp)> = self
            .logins(user)
            .filter(|login| login.state == State::Unanswered)
            .filter(|login| succeeded(&login.credential, login.at))
            .map(|login| (login.credential.clone(), login.at))
            .collect();
        for (credential, at) in known {
            self.changes += 1;
            self.take_out(user, &credential, at);
        }
    }

    /// Returns the log-ins as this user within the hour that Salesforce refused, or that nobody saw
    /// the answer to.
    pub(crate) fn refusals(&self, user: &str, now: Timestamp) -> Vec<Refused> {
        self.logins(user)
            .filter(|login| self.counts(login, now) && is_recent(login.at, now))
            .map(Login::refusal)
            .collect()
    }

    /// Whether a log-in may be under way at a controller of another shard. Its answer is in the
    /// stored text only.
    pub(crate) fn waits_for_others(&self, now: Timestamp) -> bool {
        let mut all = self.users.values().flatten();
        all.any(|login| self.is_elsewhere(login, now))
    }

    /// Whether a log-in counts as refused; one that is under way may still succeed.
    fn counts(&self, login: &Login, now: Timestamp) -> bool {
        !matches!(login.state, State::UnderWay(_)) && !self.is_elsewhere(login, now)
    }

    fn is_elsewhere(&self, login: &Login, now: Timestamp) -> bool {
        let may_be = self.shared && login.state == State::Unanswered;
        may_be && now.duration_since(login.at) < ANSWERED_WITHIN
    }

    /// The number of the last change, which [`Self::text`] includes.
    pub(crate) fn changes(&self) -> u64 {
        self.changes
    }

    /// The text to be stored: one line for each log-in.
    pub(crate) fn text(&mut self, now: Timestamp) -> String {
        self.forget_old(now);
        let mut lines: Vec<String> = self
            .users
            .iter()
            .flat_map(|(user, logins)| logins.iter().map(move |login| login.line(user)))
            .collect();
        lines.sort_unstable();
        lines.concat()
    }

    /// Records that a text with all changes up to this one is stored.
    pub(crate) fn stored(&mut self, changes: u64) {
        if changes == self.changes {
            self.answered.clear();
        }
    }

    /// Takes over what another controller has stored. `stored` is the last change of this one that
    /// was. Log-ins that are not stored are taken out where the other one has some of their user:
    /// they must ask once more. Lines that cannot be read are left out and counted.
    pub(crate) fn merge(&mut self, text: &str, stored: u64, now: Timestamp) -> usize {
        let read: Vec<(String, Login)> = text.lines().filter_map(Login::read).collect();
        let unread = text.lines().count() - read.len();
        for logins in self.users.values_mut() {
            logins.retain(|login| login.state != State::Unanswered);
        }
        for (user, login) in read {
            let key = (user.clone(), login.at, login.credential.clone());
            if !is_recent(login.at, now) || self.answered.contains(&key) {
                continue;
            }
            let logins = self.users.entry(user).or_default();
            logins.retain(|own| !matches!(own.state, State::UnderWay(change) if change > stored));
            let known = |own: &Login| own.at == login.at && own.credential == login.credential;
            if logins.iter().any(known) {
                continue;
            }
            logins.push(login);
        }
        self.changes += 1;
        unread
    }

    fn logins(&self, user: &str) -> impl Iterator<Item = &Login> {
        self.users.get(user).into_iter().flatten()
    }

    fn take_out(&mut self, user: &str, credential: &str, at: Timestamp) {
        if let Some(logins) = self.users.get_mut(user) {
            logins.retain(|login| login.at != at || login.credential != credential);
            if logins.is_empty() {
                self.users.remove(user);
            }
        }
        self.answered
            .insert((user.to_owned(), at, credential.to_owned()));
    }

    fn forget_old(&mut self, now: Timestamp) {
        self.users.retain(|_, logins| {
            logins.retain(|login| is_recent(login.at, now));
            !logins.is_empty()
        });
    }

    /// Returns the time from which the namespace may have one more log-in in the book; `None` if it
    /// may now.
    fn room(&self, namespace: &str) -> Option<Timestamp> {
        let all = || self.users.values().flatten();
        let own = || all().filter(|login| login.namespace == namespace);
        let most = match all().count() {
            MOST.. => 0,
            NEARLY_FULL.. => FAIR_SHARE,
            _ => MOST_OF_A_NAMESPACE,
        };
        if own().count() < most {
            return None;
        }
        let oldest = own().map(|login| login.at).min();
        oldest
            .or_else(|| all().map(|login| login.at).min())?
            .checked_add(REFUSAL_WINDOW)
            .ok()
    }
}

// === impl Login ===

impl Login {
    fn refusal(&self) -> Refused {
        Refused {
            at: self.at,
            credential: Some(self.credential.clone()),
            unanswered: self.state != State::Refused,
            reported: false,
        }
    }

    fn line(&self, user: &str) -> String {
        let state = match self.state {
            State::Refused => "refused",
            State::UnderWay(_) | State::Unanswered => "sent",
        };
        let (at, credential, namespace) = (self.at.as_second(), &self.credential, &self.namespace);
        format!("{at} {user} {credential} {namespace} {state}\n")
    }

    fn read(line: &str) -> Option<(String, Self)> {
        let mut words = line.split_ascii_whitespace();
        let at = Timestamp::from_second(words.next()?.parse().ok()?).ok()?;
        let (user, credential, namespace) = (words.next()?, words.next()?, words.next()?);
        let state = match words.next()? {
            "refused" => State::Refused,
            "sent" => State::Unanswered,
            _ => return None,
        };
        let login = Self {
            at,
            credential: credential.into(),
            namespace: namespace.into(),
            state,
        };
        words.next().is_none().then(|| (user.to_owned(), login))
    }
}

fn is_recent(at: Timestamp, now: Timestamp) -> bool {
    now.duration_since(at) < REFUSAL_WINDOW
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).unwrap()
    }

    fn attempt<'a>(user: &'a str, credential: &'a str, second: i64) -> Attempt<'a> {
        Attempt {
            user,
            credential,
            namespace: "acme",
            at: at(second),
        }
    }

    fn refused(second: i64, credential: &str) -> Refused {
        Refused {
            at: at(second),
            credential: Some(credential.into()),
            unanswered: false,
            reported: false,
        }
    }

    #[test]
    fn three_at_once_are_two_and_one_that_waits_for_the_answers() {
        let mut book = Logbook::default();
        assert_eq!(book.admit(attempt("u", "a", 0), vec![]), Ok(()));
        assert_eq!(book.admit(attempt("u", "b", 0), vec![]), Ok(()));
        assert_eq!(book.admit(attempt("u", "c", 2), vec![]), Err(at(17)));
        assert_eq!(book.admit(attempt("another", "c", 2), vec![]), Ok(()));
        book.settle(attempt("u", "a", 0), false);
        assert_eq!(book.admit(attempt("u", "c", 3), vec![]), Ok(()));
        book.settle(attempt("u", "b", 0), true);
        book.settle(attempt("u", "c", 3), true);
        assert_eq!(book.admit(attempt("u", "d", 4), vec![]), Err(at(3600)));
        assert_eq!(
            book.refusals("u", at(4)),
            [refused(0, "b"), refused(3, "c")]
        );
        assert_eq!(book.admit(attempt("u", "d", 3600), vec![]), Ok(()));
    }

    #[test]
    fn a_refusal_that_a_status_shows_too_counts_once() {
        let mut book = Logbook::default();
        assert_eq!(book.admit(attempt("u", "a", 0), vec![]), Ok(()));
        book.settle(attempt("u", "a", 0), true);
        let on_record = vec![refused(0, "a")];
        assert_eq!(book.admit(attempt("u", "b", 1), on_record), Ok(()));
        book.settle(attempt("u", "b", 1), false);
        let on_record = vec![refused(0, "a"), refused(0, "z")];
        assert_eq!(book.admit(attempt("u", "b", 2), on_record), Err(at(3600)));
        assert_eq!(book.admit(attempt("u", "a", 0), vec![]), Err(at(15)));
    }

    #[test]
    fn the_next_controller_reads_what_the_last_one_wrote() {
        let mut first = Logbook::default();
        for (credential, is_refused) in [("a", Some(true)), ("b", None), ("c", Some(false))] {
            let attempt = Attempt {
                user: credential,
                ..attempt("", credential, 0)
            };
            assert_eq!(first.admit(attempt, vec![]), Ok(()));
            if let Some(is_refused) = is_refused {
                first.settle(attempt, is_refused);
            }
        }
        let mut next = Logbook::default();
        let text = format!("{}nonsense\n", first.text(at(1)));
        assert_eq!(next.merge(&text, 0, at(1)), 1);
        assert_eq!(next.refusals("a", at(1)), [refused(0, "a")]);
        let lost = Refused {
            unanswered: true,
            ..refused(0, "b")
        };
        assert_eq!(next.refusals("b", at(1)), [lost]);
        assert_eq!(next.refusals("c", at(1)), []);
        next.forget_answered("b", |credential, sent| credential == "b" && sent == at(0));
        assert_eq!(next.refusals("b", at(1)), []);
        assert_eq!(next.text(at(3600)), "");
    }

    #[test]
    fn of_two_controllers_the_one_that_stores_later_asks_again() {
        let (mut first, mut second) = (Logbook::default(), Logbook::default());
        let [one, two] = [attempt("u", "a", 0), attempt("u", "b", 1)];
        assert_eq!(first.admit(one, vec![]), Ok(()));
        assert_eq!(second.admit(two, vec![]), Ok(()));
        second.merge(&first.text(at(1)), 0, at(1));
        assert!(!second.holds(two));
        assert_eq!(second.admit(two, vec![]), Ok(()));
        assert!(second.holds(two));
    }

    #[test]
    fn two_shards_do_not_send_one_credential_at_once_and_wait_for_the_answer() {
        let (mut first, mut second) = (Logbook::shared(), Logbook::shared());
        let mut third = Logbook::default();
        assert_eq!(first.admit(attempt("u", "a", 0), vec![]), Ok(()));
        second.merge(&first.text(at(1)), 0, at(1));
        third.merge(&first.text(at(1)), 0, at(1));
        // Who works alone knows that its sender has ended, and a shard does not.
        assert_eq!(third.admit(attempt("u", "a", 1), vec![]), Ok(()));
        assert_eq!(second.admit(attempt("u", "a", 1), vec![]), Err(at(16)));
        assert_eq!(second.refusals("u", at(1)), []);
        assert!(second.waits_for_others(at(1)));
        // Another credential goes as in one controller: two may be refused.
        assert_eq!(second.admit(attempt("u", "b", 1), vec![]), Ok(()));
        second.settle(attempt("u", "b", 1), false);

        first.settle(attempt("u", "a", 0), true);
        second.merge(&first.text(at(2)), second.changes(), at(2));
        assert!(!second.waits_for_others(at(2)));
        assert_eq!(second.refusals("u", at(2)), [refused(0, "a")]);

        // Nobody answers: its sender has ended, and the log-in counts as refused.
        let mut late = Logbook::shared();
        assert_eq!(first.admit(attempt("v", "a", 10), vec![]), Ok(()));
        late.merge(&first.text(at(10)), 0, at(10));
        assert_eq!(late.admit(attempt("v", "a", 99), vec![]), Err(at(114)));
        assert_eq!(late.refusals("v", at(100)).len(), 1);
        assert_eq!(late.admit(attempt("v", "a", 100), vec![]), Ok(()));
    }

    #[test]
    fn what_was_answered_after_the_last_write_does_not_come_back() {
        let mut book = Logbook::default();
        assert_eq!(book.admit(attempt("u", "a", 0), vec![]), Ok(()));
        let (stored, changes) = (book.text(at(0)), book.changes());
        book.stored(changes);
        book.settle(attempt("u", "a", 0), false);
        book.merge(&stored, changes, at(1));
        assert_eq!(book.refusals("u", at(1)), []);
    }

    #[test]
    fn a_namespace_that_fills_the_book_waits_and_the_others_do_not() {
        let mut book = Logbook::default();
        for number in 0..MOST_OF_A_NAMESPACE {
            let user = number.to_string();
            let attempt = attempt(&user, "a", 0);
            assert_eq!(book.admit(attempt, vec![]), Ok(()));
            book.settle(attempt, true);
        }
        assert_eq!(book.admit(attempt("more", "a", 1), vec![]), Err(at(3600)));
        let elsewhere = Attempt {
            namespace: "birch",
            ..attempt("more", "a", 1)
        };
        assert_eq!(book.admit(elsewhere, vec![]), Ok(()));
        for number in 0..MOST {
            let (user, namespace) = (format!("u{number}"), format!("n{}", number / 100));
            let attempt = Attempt {
                namespace: &namespace,
                ..attempt(&user, "a", 2)
            };
            if book.admit(attempt, vec![]).is_ok() {
                book.settle(attempt, true);
            }
        }
        let long = "n".repeat(63);
        let longest = Attempt {
            user: &"f".repeat(20),
            credential: &"f".repeat(20),
            namespace: &long,
            at: at(3),
        };
        assert_eq!(book.admit(longest, vec![]), Ok(()), "who had none has room");
        let line = book.logins(longest.user).next().unwrap().line(longest.user);
        assert!(line.len() * MOST < 1_000_000, "{}", line.len());
    }
}

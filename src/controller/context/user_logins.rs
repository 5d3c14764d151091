//! The log-ins of the last hour by user, of this controller. The statuses have the refusals too,
//! but later, and without the log-ins that are under way: three integrations that try three
//! passwords of one user at once must not send three.

use std::collections::HashMap;

use jiff::{SignedDuration, Timestamp};
use parking_lot::Mutex;

use crate::decide::login::next_attempt::REFUSAL_WINDOW;
use crate::decide::login::user_limit::{self, Refused};

/// Wait for the answer to a log-in that is under way.
const ANSWER: SignedDuration = SignedDuration::from_secs(15);
/// Number of users above which those without a recent log-in are dropped at the next one.
const TIDY_ABOVE: usize = 1024;

/// The log-ins of each user.
#[derive(Default)]
pub(crate) struct UserLogins(Mutex<HashMap<String, Vec<Login>>>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Login {
    at: Timestamp,
    credential: String,
    refused: bool,
}

// === impl UserLogins ===

impl UserLogins {
    /// Admits one log-in as this user with this credential at `now`, and counts it until
    /// [`Self::settle`]. `refused` has the refusals that statuses show.
    ///
    /// # Errors
    /// The time at which the next log-in may be asked for.
    pub(crate) fn admit(
        &self,
        user: &str,
        credential: &str,
        mut refused: Vec<Refused>,
        now: Timestamp,
    ) -> Result<(), Timestamp> {
        let mut users = self.0.lock();
        if users.len() > TIDY_ABOVE {
            users.retain(|_, logins| logins.iter().any(|login| is_recent(login.at, now)));
        }
        let logins = users.entry(user.to_owned()).or_default();
        logins.retain(|login| is_recent(login.at, now));
        refused.extend(logins.iter().filter_map(Login::refusal));
        if let Some(opens) = user_limit::gate(refused.clone(), credential, now) {
            return Err(opens);
        }
        let pending = logins.iter().filter(|login| !login.refused);
        refused.extend(pending.map(Login::counted));
        // Statuses have seconds: two log-ins of one second would look like one there.
        let twin = |login: &Login| login.at == now && login.credential == credential;
        if user_limit::gate(refused, credential, now).is_some() || logins.iter().any(twin) {
            return Err(now.checked_add(ANSWER).unwrap_or(now));
        }
        logins.push(Login {
            at: now,
            credential: credential.into(),
            refused: false,
        });
        Ok(())
    }

    /// Records the answer to the log-in with this credential that was sent at `at`.
    pub(crate) fn settle(&self, user: &str, credential: &str, at: Timestamp, refused: bool) {
        let mut users = self.0.lock();
        let Some(logins) = users.get_mut(user) else {
            return;
        };
        if let Some(place) = logins
            .iter()
            .position(|login| login.at == at && login.credential == credential && !login.refused)
        {
            if refused {
                logins[place].refused = true;
            } else {
                logins.remove(place);
            }
        }
        if logins.is_empty() {
            users.remove(user);
        }
    }

    /// Returns the log-ins as this user that Salesforce refused within the hour.
    pub(crate) fn refusals(&self, user: &str, now: Timestamp) -> Vec<Refused> {
        let users = self.0.lock();
        let logins = users.get(user).into_iter().flatten();
        logins
            .filter(|login| is_recent(login.at, now))
            .filter_map(Login::refusal)
            .collect()
    }
}

// === impl Login ===

impl Login {
    fn refusal(&self) -> Option<Refused> {
        self.refused.then(|| self.counted())
    }

    fn counted(&self) -> Refused {
        Refused {
            at: self.at,
            credential: Some(self.credential.clone()),
            unanswered: !self.refused,
            reported: false,
        }
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
        let logins = UserLogins::default();
        assert_eq!(logins.admit("u", "a", vec![], at(0)), Ok(()));
        assert_eq!(logins.admit("u", "b", vec![], at(0)), Ok(()));
        assert_eq!(logins.admit("u", "c", vec![], at(2)), Err(at(17)));
        assert_eq!(logins.admit("another", "c", vec![], at(2)), Ok(()));
        logins.settle("u", "a", at(0), false);
        assert_eq!(logins.admit("u", "c", vec![], at(3)), Ok(()));
        logins.settle("u", "b", at(0), true);
        logins.settle("u", "c", at(3), true);
        assert_eq!(logins.admit("u", "d", vec![], at(4)), Err(at(3600)));
        assert_eq!(
            logins.refusals("u", at(4)),
            [refused(0, "b"), refused(3, "c")]
        );
        assert_eq!(logins.admit("u", "d", vec![], at(3600)), Ok(()));
    }

    #[test]
    fn a_refusal_that_a_status_shows_too_counts_once() {
        let logins = UserLogins::default();
        assert_eq!(logins.admit("u", "a", vec![], at(0)), Ok(()));
        logins.settle("u", "a", at(0), true);
        assert_eq!(logins.admit("u", "b", vec![refused(0, "a")], at(1)), Ok(()));
        logins.settle("u", "b", at(1), false);
        let on_record = vec![refused(0, "a"), refused(0, "z")];
        assert_eq!(logins.admit("u", "b", on_record, at(2)), Err(at(3600)));
        assert_eq!(logins.admit("u", "a", vec![], at(0)), Err(at(15)));
    }
}

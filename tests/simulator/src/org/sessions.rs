//! Sessions, and the failed log-ins that lead to a lockout.

use std::collections::{HashMap, VecDeque};

use jiff::{SignedDuration, Timestamp};
use rand::Rng;
use rand::distr::Alphanumeric;
use serde::Serialize;

use super::ids;

/// The protocol or OAuth flow of a log-in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum LoginMethod {
    /// SOAP `login()`.
    Soap,
    /// OAuth username-password.
    OauthPassword,
    /// OAuth JWT bearer.
    JwtBearer,
    /// OAuth client credentials.
    ClientCredentials,
}

/// A session of a user.
#[derive(Clone, Debug)]
pub(crate) struct Session {
    pub(crate) org_id: String,
    pub(crate) username: String,
    pub(crate) method: LoginMethod,
    pub(crate) last_used: Timestamp,
    /// Whether the session may only change the password.
    pub(crate) password_expired: bool,
    /// Whether REST takes the session: the app has the scope `api`.
    pub(crate) for_rest: bool,
}

/// The sessions of all orgs.
#[derive(Debug, Default)]
pub(crate) struct Sessions {
    by_token: HashMap<String, Session>,
}

impl Sessions {
    /// Opens a session and returns its token, `{orgId15}!...`.
    pub(crate) fn open(&mut self, session: Session) -> String {
        let secret: String = rand::rng()
            .sample_iter(Alphanumeric)
            .take(96)
            .map(char::from)
            .collect();
        let token = format!("{}!AQ{secret}", ids::shorten(&session.org_id));
        self.by_token.insert(token.clone(), session);
        token
    }

    /// Returns the session of this token and keeps it alive; `None` when it is unknown or expired.
    pub(crate) fn touch(
        &mut self,
        token: &str,
        now: Timestamp,
        ttl: SignedDuration,
    ) -> Option<Session> {
        let session = self.by_token.get_mut(token)?;
        if now.duration_since(session.last_used) >= ttl {
            self.by_token.remove(token);
            return None;
        }
        session.last_used = now;
        Some(session.clone())
    }

    /// Returns the session of this token without keeping it alive.
    pub(crate) fn peek(
        &self,
        token: &str,
        now: Timestamp,
        ttl: SignedDuration,
    ) -> Option<&Session> {
        self.by_token
            .get(token)
            .filter(|session| now.duration_since(session.last_used) < ttl)
    }

    /// Ends one session. Returns whether it existed.
    pub(crate) fn close(&mut self, token: &str) -> bool {
        self.by_token.remove(token).is_some()
    }

    /// Ends the sessions that match, and returns their number.
    pub(crate) fn revoke(&mut self, mut fits: impl FnMut(&Session) -> bool) -> usize {
        let before = self.by_token.len();
        self.by_token.retain(|_, session| !fits(session));
        before - self.by_token.len()
    }

    /// Number of sessions.
    pub(crate) fn len(&self) -> usize {
        self.by_token.len()
    }
}

/// The failed log-ins and the log-in rate of one user.
#[derive(Clone, Debug, Default)]
pub(crate) struct Attempts {
    failed: u32,
    locked_at: Option<Timestamp>,
    recent: VecDeque<Timestamp>,
    blocked_until: Option<Timestamp>,
}

impl Attempts {
    /// Whether the user is locked. Removes a lock that has expired.
    pub(crate) fn locked(&mut self, now: Timestamp, interval: Option<SignedDuration>) -> bool {
        let Some(since) = self.locked_at else {
            return false;
        };
        if interval.is_some_and(|interval| now.duration_since(since) >= interval) {
            self.locked_at = None;
            self.failed = 0;
        }
        self.locked_at.is_some()
    }

    /// Counts a failed log-in, and locks the user at the limit.
    pub(crate) fn fail(&mut self, now: Timestamp, limit: Option<u32>) {
        self.failed += 1;
        if self.locked_at.is_none() && limit.is_some_and(|limit| self.failed >= limit) {
            self.locked_at = Some(now);
        }
    }

    /// Records a successful log-in: failures and lock are cleared.
    pub(crate) fn succeed(&mut self) {
        self.failed = 0;
        self.locked_at = None;
    }

    /// Number of failed log-ins that count against the user.
    pub(crate) fn failures(&self) -> u32 {
        self.failed
    }

    /// Counts an attempt against the hourly rate. Returns `false` when the rate is exceeded.
    pub(crate) fn within_rate(&mut self, now: Timestamp, per_hour: u64) -> bool {
        let hour = SignedDuration::from_hours(1);
        if self.blocked_until.is_some_and(|until| now < until) {
            return false;
        }
        self.blocked_until = None;
        while self
            .recent
            .front()
            .is_some_and(|first| now.duration_since(*first) >= hour)
        {
            self.recent.pop_front();
        }
        if self.recent.len() as u64 >= per_hour {
            self.blocked_until = now.checked_add(hour).ok();
            return false;
        }
        self.recent.push_back(now);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: SignedDuration = SignedDuration::from_secs(60);

    #[test]
    fn the_tenth_failure_locks_for_a_quarter_of_an_hour() {
        let now = Timestamp::UNIX_EPOCH;
        let interval = Some(MINUTE * 15);
        let mut attempts = Attempts::default();
        for _ in 0..9 {
            attempts.fail(now, Some(10));
        }
        assert!(!attempts.locked(now, interval));
        attempts.fail(now, Some(10));
        assert!(attempts.locked(now + MINUTE * 14, interval));
        assert!(!attempts.locked(now + MINUTE * 15, interval));
        assert_eq!(attempts.failures(), 0);
    }

    #[test]
    fn for_ever_is_for_ever() {
        let mut attempts = Attempts::default();
        attempts.fail(Timestamp::UNIX_EPOCH, Some(1));
        assert!(attempts.locked(Timestamp::UNIX_EPOCH + MINUTE * 100_000, None));
    }

    #[test]
    fn the_login_rate_blocks_for_an_hour() {
        let mut attempts = Attempts::default();
        let start = Timestamp::UNIX_EPOCH;
        assert!(attempts.within_rate(start, 2));
        assert!(attempts.within_rate(start, 2));
        assert!(!attempts.within_rate(start + MINUTE, 2));
        assert!(!attempts.within_rate(start + MINUTE * 60, 2));
        assert!(attempts.within_rate(start + MINUTE * 61, 2));
    }

    #[test]
    fn a_session_lives_by_being_used() {
        let ttl = SignedDuration::from_hours(2);
        let start = Timestamp::UNIX_EPOCH;
        let mut sessions = Sessions::default();
        let token = sessions.open(Session {
            org_id: "00D300000000001EAA".into(),
            username: "u".into(),
            method: LoginMethod::Soap,
            last_used: start,
            password_expired: false,
            for_rest: true,
        });
        assert!(token.starts_with("00D300000000001!"));
        assert!(sessions.touch(&token, start + MINUTE * 119, ttl).is_some());
        assert!(sessions.touch(&token, start + MINUTE * 238, ttl).is_some());
        assert!(sessions.touch(&token, start + MINUTE * 358, ttl).is_none());
        assert_eq!(sessions.len(), 0);
    }
}

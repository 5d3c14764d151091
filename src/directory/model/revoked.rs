//! Since when the tokens of each company have to be issued, and which sessions of the pages
//! somebody has signed out of. Every request asks, so that both are kept in memory; the database is
//! read now and then (docs/adr/0033, docs/adr/0052).

use std::collections::HashMap;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use parking_lot::RwLock;

use super::tokens::{Claims, TokenError};
use crate::company_id::CompanyId;

/// How long a session of the pages is good at most: a working day.
pub(crate) const SESSIONS_LAST: SignedDuration = SignedDuration::from_hours(12);

/// What is not taken any more. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct Revoked(Arc<RwLock<Known>>);

#[derive(Debug, Default)]
struct Known {
    /// Since when the tokens of a company have to be issued.
    tokens: HashMap<CompanyId, Timestamp>,
    /// The ends of sessions, by their IDs.
    sessions: HashMap<CompanyId, HashMap<String, EndedSession>>,
}

/// The end of a session before its time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct EndedSession {
    pub(crate) company: CompanyId,
    /// Its ID; empty for all sessions of the company that began until `ended_at`.
    pub(crate) session: String,
    pub(crate) ended_at: Timestamp,
    /// When it would have ended by itself, and need not be remembered any more.
    pub(crate) until: Timestamp,
}

// === impl Revoked ===

impl Revoked {
    /// Takes in since when tokens have to be issued. A time only goes forward.
    pub(crate) fn learn(&self, all: impl IntoIterator<Item = (CompanyId, Timestamp)>) {
        let known = &mut self.0.write().tokens;
        for (company, at) in all {
            let not_before = known.entry(company).or_insert(at);
            *not_before = at.max(*not_before);
        }
    }

    /// Takes in which sessions have ended, and forgets those that would have by now.
    pub(crate) fn learn_ended(
        &self,
        ended: impl IntoIterator<Item = EndedSession>,
        now: Timestamp,
    ) {
        let known = &mut self.0.write().sessions;
        for ended in ended {
            let of_company = known.entry(ended.company.clone()).or_default();
            let before = of_company.get(&ended.session);
            if before.is_none_or(|before| before.ended_at < ended.ended_at) {
                of_company.insert(ended.session.clone(), ended);
            }
        }
        known.retain(|_, of_company| {
            of_company.retain(|_, ended| now < ended.until);
            !of_company.is_empty()
        });
    }

    /// Whether a token is good that is of this company and was issued at this time.
    pub(crate) fn check(&self, claims: &Claims) -> Result<(), TokenError> {
        match self.0.read().tokens.get(&claims.company) {
            Some(not_before) if claims.issued_at < *not_before => Err(TokenError::Revoked),
            _ => Ok(()),
        }
    }

    /// Whether somebody has signed out of a session that began then.
    pub(crate) fn has_ended(&self, company: &CompanyId, session: &str, began: Timestamp) -> bool {
        let known = self.0.read();
        let Some(of_company) = known.sessions.get(company) else {
            return false;
        };
        of_company.contains_key(session)
            || of_company.get("").is_some_and(|all| began <= all.ended_at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn ended(session: &str, ended_at: i64, until: i64) -> EndedSession {
        EndedSession {
            company: "acme".parse().unwrap(),
            session: session.to_owned(),
            ended_at: at(ended_at),
            until: at(until),
        }
    }

    #[test]
    fn a_session_that_ended_is_remembered_until_it_would_have_by_itself() {
        let (acme, birch): (CompanyId, CompanyId) =
            ("acme".parse().unwrap(), "birch".parse().unwrap());
        let revoked = Revoked::default();
        revoked.learn_ended([ended("one", 10, 100)], at(10));
        assert!(revoked.has_ended(&acme, "one", at(1)));
        assert!(!revoked.has_ended(&acme, "two", at(1)));
        assert!(
            !revoked.has_ended(&birch, "one", at(1)),
            "another company's"
        );
        revoked.learn_ended([], at(99));
        assert!(revoked.has_ended(&acme, "one", at(1)));
        revoked.learn_ended([], at(100));
        assert!(
            !revoked.has_ended(&acme, "one", at(1)),
            "it has ended by itself"
        );
    }

    #[test]
    fn all_sessions_of_a_company_end_that_began_before() {
        let acme: CompanyId = "acme".parse().unwrap();
        let revoked = Revoked::default();
        revoked.learn_ended([ended("", 10, 100), ended("", 5, 95)], at(10));
        assert!(revoked.has_ended(&acme, "any", at(10)));
        assert!(!revoked.has_ended(&acme, "any", at(11)));
    }
}

//! Sessions: what a token was exchanged for. A session is a text that the directory signs and does
//! not keep, so that each replica takes it. It holds no secret, ends by itself, and falls with the
//! token's key and with the tokens that are revoked (docs/adr/0047). What is kept is that somebody
//! signed out of it (docs/adr/0052).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::company_id::CompanyId;
use crate::directory::model::revoked::{EndedSession, Revoked, SESSIONS_LAST};
use crate::directory::model::tokens::{
    Claims, Purpose, TokenKeys, Verified, hmac_sha256, is_hmac_sha256,
};
use crate::phone::Region;

/// What the key that signs sessions is derived by.
const LABEL: &str = "session of the pages";

/// What the key of forms is derived by.
const FORMS: &str = "forms of the pages";

/// The longest session text that is read.
const MAX_TEXT: usize = 1_024;

/// What a session says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Session {
    pub(super) company: CompanyId,
    pub(super) region: Region,
    /// Tells it from all others.
    id: String,
    /// When it began, in microseconds.
    began: i64,
    /// When the token was issued that it was made of, in seconds.
    issued: i64,
    /// The key that signed the token.
    pub(super) key: String,
    /// When it ends, in seconds.
    until: i64,
}

// === impl Session ===

impl Session {
    /// The session for a token, which ends with the token at the latest.
    pub(super) fn of(token: &Verified, now: Timestamp) -> Self {
        let until = now.checked_add(SESSIONS_LAST).unwrap_or(now);
        let until = token.claims.expires_at.map_or(until, |end| end.min(until));
        Self {
            company: token.claims.company.clone(),
            region: token.claims.region,
            id: URL_SAFE_NO_PAD.encode(rand::random::<[u8; 16]>()),
            began: now.as_microsecond(),
            issued: token.claims.issued_at.as_second(),
            key: token.key_id.clone(),
            until: until.as_second(),
        }
    }

    /// The claims of the token that it was made of, for the question whether that was revoked.
    fn claims(&self) -> Claims {
        Claims {
            company: self.company.clone(),
            purpose: Purpose::Lookup,
            region: self.region,
            issued_at: Timestamp::from_second(self.issued).unwrap_or(Timestamp::MIN),
            expires_at: Timestamp::from_second(self.until).ok(),
        }
    }

    /// Its end, if somebody signs out of it now.
    pub(super) fn ended(&self, now: Timestamp) -> EndedSession {
        EndedSession {
            company: self.company.clone(),
            session: self.id.clone(),
            ended_at: now,
            until: Timestamp::from_second(self.until).unwrap_or(Timestamp::MAX),
        }
    }

    /// Whether it is good: neither its token is revoked, nor has somebody signed out of it.
    pub(super) fn holds(&self, revoked: &Revoked) -> bool {
        let began = Timestamp::from_microsecond(self.began).unwrap_or(Timestamp::MIN);
        revoked.check(&self.claims()).is_ok() && !revoked.has_ended(&self.company, &self.id, began)
    }

    /// The text of the session.
    pub(super) fn sealed(&self, keys: &TokenKeys) -> String {
        // Serializing texts and numbers cannot fail.
        let body = URL_SAFE_NO_PAD.encode(serde_json::to_vec(self).unwrap_or_default());
        let seal = hmac_sha256(keys.derive(LABEL).as_slice(), body.as_bytes());
        format!("{body}.{}", URL_SAFE_NO_PAD.encode(seal))
    }

    /// Reads the text of a session that is good now.
    pub(super) fn open(text: &str, keys: &TokenKeys, now: Timestamp) -> Option<Self> {
        if text.len() > MAX_TEXT {
            return None;
        }
        let (body, seal) = text.split_once('.')?;
        let seal = URL_SAFE_NO_PAD.decode(seal).ok()?;
        let sealed = keys.derive_each(LABEL);
        let is_ours = sealed
            .iter()
            .any(|key| is_hmac_sha256(key.as_slice(), body.as_bytes(), &seal));
        if !is_ours {
            return None;
        }
        let session: Self = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(body).ok()?).ok()?;
        let is_good = now.as_second() < session.until && keys.holds(&session.key);
        is_good.then_some(session)
    }
}

/// The text that a form of this session carries, so that no other site can make one up.
pub(super) fn form_key(session: &str, keys: &TokenKeys) -> String {
    let key = keys.derive(FORMS);
    URL_SAFE_NO_PAD.encode(hmac_sha256(key.as_slice(), session.as_bytes()))
}

/// Whether a form carries the text of this session's.
pub(super) fn is_form_key(sent: &str, session: &str, keys: &TokenKeys) -> bool {
    let key = keys.derive(FORMS);
    let seal = URL_SAFE_NO_PAD.decode(sent);
    seal.is_ok_and(|seal| is_hmac_sha256(key.as_slice(), session.as_bytes(), &seal))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const OLD: &str = "YWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWE=";
    const NEW: &str = "YmJiYmJiYmJiYmJiYmJiYmJiYmJiYmJiYmJiYmJiYmI=";

    fn keys(text: &str) -> TokenKeys {
        TokenKeys::parse(text).unwrap()
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn session(keys: &TokenKeys, expires_at: Option<Timestamp>) -> Session {
        let claims = Claims {
            company: "acme".parse().unwrap(),
            purpose: Purpose::Lookup,
            region: Region::JAPAN,
            issued_at: at(1_000),
            expires_at,
        };
        let token = keys.mint(&claims).unwrap();
        use secrecy::ExposeSecret as _;
        let token = keys.verified(token.expose_secret(), at(1_000)).unwrap();
        Session::of(&token, at(2_000))
    }

    #[test]
    fn a_session_ends_by_itself_and_with_its_token() {
        let keys = keys(OLD);
        let long = session(&keys, None);
        let text = long.sealed(&keys);
        let end = 2_000 + 12 * 3_600;
        assert_eq!(Session::open(&text, &keys, at(end - 1)), Some(long));
        assert_eq!(Session::open(&text, &keys, at(end)), None);
        let short = session(&keys, Some(at(3_000))).sealed(&keys);
        assert!(Session::open(&short, &keys, at(2_999)).is_some());
        assert_eq!(Session::open(&short, &keys, at(3_000)), None);
    }

    #[test]
    fn a_session_outlives_a_new_key_and_falls_with_that_of_its_token() {
        let (before, during, after) = (keys(OLD), keys(&format!("{NEW}\n{OLD}")), keys(NEW));
        let text = session(&before, None).sealed(&before);
        assert!(Session::open(&text, &during, at(2_001)).is_some());
        assert_eq!(Session::open(&text, &after, at(2_001)), None);
        // Signed by the new key, of a token that the old one had signed.
        let text = session(&before, None).sealed(&during);
        assert!(Session::open(&text, &during, at(2_001)).is_some());
        assert_eq!(Session::open(&text, &after, at(2_001)), None);
    }

    proptest! {
        #[test]
        fn nothing_that_was_changed_is_a_session(at_byte in 0_usize..400, byte in any::<u8>()) {
            let keys = keys(OLD);
            let sealed = session(&keys, None).sealed(&keys);
            let mut text = sealed.clone().into_bytes();
            let place = at_byte % text.len();
            text[place] = byte;
            if let Ok(text) = String::from_utf8(text) {
                // The last character of base64 has bits that mean nothing.
                let last = place + 1 == sealed.len();
                let open = Session::open(&text, &keys, at(2_001));
                prop_assert!(text == sealed || last || open.is_none());
            }
        }
    }
}

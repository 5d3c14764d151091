//! Tokens: each one gives access to one company for one purpose.
//!
//! The controller mints tokens and the directory verifies them; both hold the same key file. A
//! token is a JWT (HS256) for one company ID and one purpose. To rotate keys without a gap, put a
//! new key at the top of the file; it signs from then on. Remove the old key when no token signed
//! by it is in use.
//!
//! The one token that names no company is the operator's: it opens the stream of the companies that
//! wait, and nothing else.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use jiff::Timestamp;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use crate::company_id::CompanyId;
use crate::phone::Region;

/// The shortest accepted key: as long as the digest that it signs with.
const MIN_KEY_BYTES: usize = 32;

/// The audience of every token. A token made for another audience with the same key is refused.
const AUDIENCE: &str = "switchboard-directory";

/// What stands for the company in the operator's token. No company ID has this character.
const NO_COMPANY: &str = "*";

/// The allowed difference between two clocks.
const LEEWAY_SECONDS: i64 = 60;

/// The purpose of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Purpose {
    /// Posting calls: the platform's webhook.
    Ingest,
    /// Reading calls and contacts: a softphone, a call-history page.
    Lookup,
    /// Leasing calls and writing contacts: a worker's pod.
    Worker,
    /// Editing contacts by hand, and reading what `lookup` reads: an administration page. It needs
    /// a separate token, because the lookup token is in every softphone and must not allow writes.
    Admin,
    /// Saying which tokens are revoked, whose the company's data is and how long it is kept: the
    /// controller itself, for minutes.
    Controller,
    /// Erasing everything that is held about a company: the controller itself, for minutes, when
    /// an integration goes whose data is to go with it.
    Erase,
    /// Erasing and exporting what is held about a number, and reading the audit: who answers for
    /// the protection of data. No other token may.
    Privacy,
    /// Following which companies wait, of all of them: the controller itself, for minutes. It names
    /// no company ([`OperatorClaims`]) and gives access to nothing of any.
    Operator,
}

/// The JWT claims of a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claims {
    /// The company whose data the token gives access to.
    pub company: CompanyId,
    /// The purpose that the token is valid for.
    pub purpose: Purpose,
    /// The region by whose rules national numbers are read.
    pub region: Region,
    /// Time of minting, in whole seconds.
    pub issued_at: Timestamp,
    /// Expiry time. `None`: the token is valid until its key is removed.
    pub expires_at: Option<Timestamp>,
}

/// The JWT claims of the operator's token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OperatorClaims {
    /// Time of minting, in whole seconds.
    pub issued_at: Timestamp,
    /// Expiry time. There is always one, since no company's revocation reaches this token.
    pub expires_at: Timestamp,
}

/// A token that was verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// What it says.
    pub claims: Claims,
    /// Recognises the key that signed it, and tells nothing of it.
    pub key_id: String,
}

/// The keys that sign and verify tokens. They are not printed, and they are wiped on drop.
#[derive(Clone)]
pub struct TokenKeys {
    /// The first key signs, all keys verify. Never empty.
    keys: Vec<Key>,
}

/// Why a key file or a token is refused. Never holds the key or the token.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum TokenError {
    /// The key file holds no key.
    #[error(
        "the key file holds no key; write one base64 key of at least 32 bytes a line, the signing key first"
    )]
    NoKey,
    /// This line of the key file is not base64.
    #[error(
        "line {0} of the key file is not base64; write one base64 key of at least 32 bytes a line"
    )]
    NotBase64(usize),
    /// The key in this line of the key file is too short to be safe.
    #[error(
        "the key in line {0} of the key file is shorter than 32 bytes; make one with `openssl rand -base64 32`"
    )]
    TooShort(usize),
    /// Signing the token failed.
    #[error("the token could not be signed")]
    Sign,
    /// The text is not a token of this directory, or none of its keys signed it.
    #[error(
        "the token is not one that this directory issued; use the token from the tenant's Secret"
    )]
    Invalid,
    /// The token has expired.
    #[error("the token has expired; use the newest token from the tenant's Secret")]
    Expired,
    /// The token is for another purpose, of which there are two kinds: with a company, and without.
    #[error("the token is for {0}, which this endpoint does not take")]
    Purpose(Purpose),
    /// The token was issued before the time that its company's tokens have to be issued since.
    #[error(
        "the token was revoked, with all of its company that were issued before; use the newest token from the tenant's Secret"
    )]
    Revoked,
}

#[derive(Clone)]
struct Key {
    id: String,
    bytes: Zeroizing<Vec<u8>>,
}

/// The JWT claims in wire format.
#[derive(Serialize, Deserialize)]
struct WireClaims {
    aud: String,
    sub: String,
    purpose: Purpose,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    region: Option<Region>,
    iat: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    exp: Option<i64>,
}

// === impl TokenKeys ===

impl TokenKeys {
    /// Parses a key file: one base64 key of at least 32 bytes per line, the signing key first.
    /// Empty lines and lines that start with `#` are skipped.
    pub fn parse(text: &str) -> Result<Self, TokenError> {
        let keys = text
            .lines()
            .enumerate()
            .map(|(index, line)| (index + 1, line.trim()))
            .filter(|(_, line)| !line.is_empty() && !line.starts_with('#'))
            .map(|(number, line)| {
                let bytes = Zeroizing::new(
                    STANDARD
                        .decode(line)
                        .map_err(|_| TokenError::NotBase64(number))?,
                );
                if bytes.len() < MIN_KEY_BYTES {
                    Err(TokenError::TooShort(number))
                } else {
                    Ok(Key::new(bytes))
                }
            })
            .collect::<Result<Vec<_>, _>>()?;
        if keys.is_empty() {
            Err(TokenError::NoKey)
        } else {
            Ok(Self { keys })
        }
    }

    /// Mints a token with these JWT claims. The same claims and key give the same token.
    ///
    /// # Errors
    /// When the purpose is the operator's, whose token names no company, or signing fails.
    pub fn mint(&self, claims: &Claims) -> Result<SecretString, TokenError> {
        if claims.purpose == Purpose::Operator {
            return Err(TokenError::Purpose(claims.purpose));
        }
        self.sign(&WireClaims {
            aud: AUDIENCE.to_owned(),
            sub: claims.company.as_str().to_owned(),
            purpose: claims.purpose,
            region: Some(claims.region),
            iat: claims.issued_at.as_second(),
            exp: claims.expires_at.map(|at| at.as_second()),
        })
    }

    /// Mints the operator's token, for `GET /v1/waiting`.
    ///
    /// # Errors
    /// When signing fails.
    pub fn mint_operator(&self, claims: &OperatorClaims) -> Result<SecretString, TokenError> {
        self.sign(&WireClaims {
            aud: AUDIENCE.to_owned(),
            sub: NO_COMPANY.to_owned(),
            purpose: Purpose::Operator,
            region: None,
            iat: claims.issued_at.as_second(),
            exp: Some(claims.expires_at.as_second()),
        })
    }

    fn sign(&self, wire: &WireClaims) -> Result<SecretString, TokenError> {
        let key = self.signing()?;
        let mut header = Header::new(Algorithm::HS256);
        header.kid = Some(key.id.clone());
        jsonwebtoken::encode(&header, wire, &EncodingKey::from_secret(&key.bytes))
            .map(SecretString::from)
            .map_err(|_| TokenError::Sign)
    }

    /// Verifies a token and returns its JWT claims. Fails if none of these keys signed it, or if it
    /// has expired.
    pub fn verify(&self, token: &str, now: Timestamp) -> Result<Claims, TokenError> {
        self.verified(token, now).map(|verified| verified.claims)
    }

    /// Verifies a token and returns its JWT claims and the key that signed it. Fails if none of
    /// these keys did, or if it has expired.
    pub fn verified(&self, token: &str, now: Timestamp) -> Result<Verified, TokenError> {
        let (wire, key) = self.opened(token, now)?;
        if wire.purpose == Purpose::Operator {
            return Err(TokenError::Purpose(wire.purpose));
        }
        let claims = Claims {
            company: wire.sub.parse().map_err(|_| TokenError::Invalid)?,
            purpose: wire.purpose,
            region: wire.region.ok_or(TokenError::Invalid)?,
            issued_at: time(wire.iat)?,
            expires_at: wire.exp.map(time).transpose()?,
        };
        let key_id = key.id.clone();
        Ok(Verified { claims, key_id })
    }

    /// Verifies the operator's token and returns its JWT claims. Fails if none of these keys signed
    /// it, if it has expired, or if it is a company's.
    pub fn verify_operator(
        &self,
        token: &str,
        now: Timestamp,
    ) -> Result<OperatorClaims, TokenError> {
        let (wire, _) = self.opened(token, now)?;
        if wire.purpose != Purpose::Operator {
            return Err(TokenError::Purpose(wire.purpose));
        }
        if wire.sub != NO_COMPANY {
            return Err(TokenError::Invalid);
        }
        Ok(OperatorClaims {
            issued_at: time(wire.iat)?,
            expires_at: time(wire.exp.ok_or(TokenError::Invalid)?)?,
        })
    }

    fn opened(&self, token: &str, now: Timestamp) -> Result<(WireClaims, &Key), TokenError> {
        let header = jsonwebtoken::decode_header(token).map_err(|_| TokenError::Invalid)?;
        let key = self
            .keys
            .iter()
            .find(|key| Some(&key.id) == header.kid.as_ref())
            .ok_or(TokenError::Invalid)?;
        let mut validation = Validation::new(Algorithm::HS256);
        validation.set_audience(&[AUDIENCE]);
        validation.set_required_spec_claims(&["aud", "sub"]);
        // The expiry is checked below, against `now`.
        validation.validate_exp = false;
        let wire = jsonwebtoken::decode::<WireClaims>(
            token,
            &DecodingKey::from_secret(&key.bytes),
            &validation,
        )
        .map_err(|_| TokenError::Invalid)?
        .claims;
        if wire
            .exp
            .is_some_and(|exp| exp.saturating_add(LEEWAY_SECONDS) < now.as_second())
        {
            return Err(TokenError::Expired);
        }
        Ok((wire, key))
    }

    /// Derives a key for another use from each of the keys, the signing key's first: HMAC-SHA256
    /// over the label.
    pub(crate) fn derive_each(&self, label: &str) -> Vec<Zeroizing<[u8; 32]>> {
        let text = labelled(label);
        let keys = self.keys.iter();
        keys.map(|key| Zeroizing::new(hmac_sha256(&key.bytes, text.as_bytes())))
            .collect()
    }

    /// Derives a key for another use from the signing key: HMAC-SHA256 over the label. It changes
    /// with the signing key.
    pub fn derive(&self, label: &str) -> Zeroizing<[u8; 32]> {
        let text = labelled(label);
        Zeroizing::new(
            self.keys
                .first()
                .map_or([0; 32], |key| hmac_sha256(&key.bytes, text.as_bytes())),
        )
    }

    /// Whether the key of this ID is among these.
    pub(crate) fn holds(&self, key_id: &str) -> bool {
        self.keys.iter().any(|key| key.id == key_id)
    }

    fn signing(&self) -> Result<&Key, TokenError> {
        self.keys.first().ok_or(TokenError::NoKey)
    }
}

impl fmt::Debug for TokenKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TokenKeys({})", self.keys.len())
    }
}

// === impl Key ===

impl Key {
    fn new(bytes: Zeroizing<Vec<u8>>) -> Self {
        let digest = hmac_sha256(&bytes, b"switchboard key id");
        let id = digest
            .iter()
            .take(6)
            .map(|byte| format!("{byte:02x}"))
            .collect();
        Self { id, bytes }
    }
}

// === impl Purpose ===

impl fmt::Display for Purpose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ingest => "ingest",
            Self::Lookup => "lookup",
            Self::Worker => "worker",
            Self::Admin => "admin",
            Self::Controller => "controller",
            Self::Erase => "erase",
            Self::Privacy => "privacy",
            Self::Operator => "operator",
        })
    }
}

fn time(seconds: i64) -> Result<Timestamp, TokenError> {
    Timestamp::from_second(seconds).map_err(|_| TokenError::Invalid)
}

/// The text from which a key for another use is derived. The signed text of a token starts with
/// `eyJ`, so that no label can collide with a token.
fn labelled(label: &str) -> String {
    format!("switchboard derived key\n{label}")
}

/// HMAC-SHA256. The key is brought to the block size here, as the standard requires, so that no
/// step can fail.
pub(crate) fn hmac_sha256(key: &[u8], text: &[u8]) -> [u8; 32] {
    hmac(key, text).finalize().into_bytes().into()
}

/// Whether this is the HMAC-SHA256 of a text, in a time that says nothing of where it differs.
pub(crate) fn is_hmac_sha256(key: &[u8], text: &[u8], tag: &[u8]) -> bool {
    hmac(key, text).verify_slice(tag).is_ok()
}

fn hmac(key: &[u8], text: &[u8]) -> Hmac<Sha256> {
    let mut block = Zeroizing::new([0_u8; 64]);
    if key.len() <= block.len() {
        block.iter_mut().zip(key).for_each(|(to, from)| *to = *from);
    } else {
        let digest: Zeroizing<[u8; 32]> = Zeroizing::new(Sha256::digest(key).into());
        block
            .iter_mut()
            .zip(digest.iter())
            .for_each(|(to, from)| *to = *from);
    }
    let mut mac = Hmac::<Sha256>::new(&(*block).into());
    mac.update(text);
    mac
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;

    use super::*;

    const OLD: &str = "YWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWE=";
    const NEW: &str = "YmJiYmJiYmJiYmJiYmJiYmJiYmJiYmJiYmJiYmJiYmI=";

    fn keys(text: &str) -> TokenKeys {
        TokenKeys::parse(text).unwrap()
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn claims() -> Claims {
        Claims {
            company: "acme".parse().unwrap(),
            purpose: Purpose::Worker,
            region: Region::JAPAN,
            issued_at: at(1_000),
            expires_at: Some(at(2_000)),
        }
    }

    fn verify(keys: &TokenKeys, token: &SecretString, now: i64) -> Result<Claims, TokenError> {
        keys.verify(token.expose_secret(), at(now))
    }

    #[test]
    fn a_token_says_what_was_minted() {
        let keys = keys(OLD);
        let token = keys.mint(&claims()).unwrap();
        assert_eq!(verify(&keys, &token, 1_500), Ok(claims()));
        let forever = Claims {
            expires_at: None,
            purpose: Purpose::Admin,
            ..claims()
        };
        assert_eq!(
            verify(&keys, &keys.mint(&forever).unwrap(), 9_999_999),
            Ok(forever)
        );
    }

    #[test]
    fn the_operators_token_names_no_company_and_no_company_has_one() {
        let keys = keys(OLD);
        let (issued_at, expires_at) = (at(1_000), at(2_000));
        let operator = OperatorClaims {
            issued_at,
            expires_at,
        };
        let token = keys.mint_operator(&operator).unwrap();
        let verify_operator =
            |token: &SecretString, now| keys.verify_operator(token.expose_secret(), at(now));
        assert_eq!(verify_operator(&token, 1_500), Ok(operator));
        assert_eq!(verify_operator(&token, 2_061), Err(TokenError::Expired));
        let refused = Err(TokenError::Purpose(Purpose::Operator));
        assert_eq!(verify(&keys, &token, 1_500), refused);
        let of_acme = Claims {
            purpose: Purpose::Operator,
            ..claims()
        };
        assert!(keys.mint(&of_acme).is_err());
        let tenants = keys.mint(&claims()).unwrap();
        let refused = Err(TokenError::Purpose(Purpose::Worker));
        assert_eq!(verify_operator(&tenants, 1_500), refused);
        assert!(NO_COMPANY.parse::<CompanyId>().is_err());
    }

    #[test]
    fn the_same_claims_give_the_same_token() {
        let mint = || {
            keys(OLD)
                .mint(&claims())
                .unwrap()
                .expose_secret()
                .to_owned()
        };
        assert_eq!(mint(), mint());
    }

    #[test]
    fn a_token_expires_after_a_minute_of_grace() {
        let keys = keys(OLD);
        let token = keys.mint(&claims()).unwrap();
        assert!(verify(&keys, &token, 2_060).is_ok());
        assert_eq!(verify(&keys, &token, 2_061), Err(TokenError::Expired));
    }

    #[test]
    fn keys_rotate_without_a_gap() {
        let (before, during, after) = (
            keys(OLD),
            keys(&format!("# new\n{NEW}\n\n  {OLD}  \n")),
            keys(NEW),
        );
        let (old, new) = (
            before.mint(&claims()).unwrap(),
            during.mint(&claims()).unwrap(),
        );
        assert!(verify(&during, &old, 1_500).is_ok() && verify(&during, &new, 1_500).is_ok());
        assert!(verify(&after, &new, 1_500).is_ok());
        assert_eq!(verify(&after, &old, 1_500), Err(TokenError::Invalid));
        assert_eq!(verify(&before, &new, 1_500), Err(TokenError::Invalid));
    }

    #[test]
    fn a_token_that_was_tampered_with_is_refused() {
        use base64::engine::general_purpose::URL_SAFE_NO_PAD;
        let keys = keys(OLD);
        let token = keys.mint(&claims()).unwrap().expose_secret().to_owned();
        let [header, body, signature] = token.split('.').collect::<Vec<_>>()[..] else {
            panic!("{token}")
        };
        let read = |part: &str| String::from_utf8(URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap();
        let other = URL_SAFE_NO_PAD.encode(read(body).replace("acme", "evil"));
        let none = URL_SAFE_NO_PAD.encode(read(header).replace("HS256", "none"));
        let no_key = URL_SAFE_NO_PAD.encode(r#"{"alg":"HS256","typ":"JWT"}"#);
        for forged in [
            format!("{header}.{other}.{signature}"),
            format!("{none}.{body}."),
            format!("{none}.{body}.{signature}"),
            format!("{no_key}.{body}.{signature}"),
            format!("{header}.{body}."),
            format!("{header}.{body}"),
            String::new(),
        ] {
            assert_eq!(
                keys.verify(&forged, at(1_500)),
                Err(TokenError::Invalid),
                "{forged}"
            );
        }
    }

    #[test]
    fn a_token_for_something_else_is_refused_though_the_key_is_ours() {
        let keys = keys(OLD);
        let key = keys.signing().unwrap();
        let mut header = Header::new(Algorithm::HS256);
        header.kid = Some(key.id.clone());
        let signed = |claims: serde_json::Value| {
            let key = EncodingKey::from_secret(&key.bytes);
            keys.verify(
                &jsonwebtoken::encode(&header, &claims, &key).unwrap(),
                at(1),
            )
        };
        let good = serde_json::json!({
            "aud": AUDIENCE, "sub": "acme", "purpose": "worker", "region": "JP", "iat": 1
        });
        assert!(signed(good.clone()).is_ok());
        for (claim, value) in [
            ("aud", "another-program"),
            ("sub", "NOT A COMPANY"),
            ("purpose", "everything"),
            ("region", "XX"),
            ("sub", "*"),
            ("exp", "tomorrow"),
        ] {
            let mut bad = good.clone();
            bad[claim] = value.into();
            assert_eq!(signed(bad), Err(TokenError::Invalid), "{claim}");
        }
        let operators = |claims: serde_json::Value| {
            let key = EncodingKey::from_secret(&key.bytes);
            let token = jsonwebtoken::encode(&header, &claims, &key).unwrap();
            keys.verify_operator(&token, at(1))
        };
        let good = serde_json::json!({
            "aud": AUDIENCE, "sub": "*", "purpose": "operator", "iat": 1, "exp": 9
        });
        assert!(operators(good.clone()).is_ok());
        for (claim, value) in [("sub", "acme".into()), ("exp", serde_json::Value::Null)] {
            let mut bad = good.clone();
            bad[claim] = value;
            assert_eq!(operators(bad), Err(TokenError::Invalid), "{claim}");
        }
    }

    #[test]
    fn a_bad_key_file_is_refused_with_its_line() {
        let refusal = |text: &str| TokenKeys::parse(text).err();
        assert_eq!(refusal("\n# nothing\n"), Some(TokenError::NoKey));
        assert_eq!(
            refusal(&format!("{OLD}\nnot base64!")),
            Some(TokenError::NotBase64(2))
        );
        assert_eq!(refusal("\nc2hvcnQ="), Some(TokenError::TooShort(2)));
    }

    #[test]
    fn derived_keys_differ_by_label_and_follow_the_signing_key() {
        let derive = |text: &str, label: &str| *keys(text).derive(label);
        assert_eq!(
            derive(OLD, "fingerprint"),
            derive(&format!("{OLD}\n{NEW}"), "fingerprint")
        );
        assert_ne!(derive(OLD, "fingerprint"), derive(OLD, "other"));
        assert_ne!(derive(OLD, "fingerprint"), derive(NEW, "fingerprint"));
    }

    #[test]
    fn the_hash_is_hmac_sha256() {
        // RFC 4231, test cases 1 and 6 (a key longer than a block).
        let hex = |bytes: [u8; 32]| {
            bytes
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect::<String>()
        };
        assert_eq!(
            hex(hmac_sha256(&[0x0b; 20], b"Hi There")),
            "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"
        );
        assert_eq!(
            hex(hmac_sha256(
                &[0xaa; 131],
                b"Test Using Larger Than Block-Size Key - Hash Key First"
            )),
            "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"
        );
    }

    #[test]
    fn keys_do_not_print() {
        assert_eq!(
            format!("{:?}", keys(&format!("{OLD}\n{NEW}"))),
            "TokenKeys(2)"
        );
    }
}

//! The signed assertion of the JWT bearer flow (facts: Salesforce 1.2).

use jiff::Timestamp;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use zeroize::Zeroizing;

use crate::salesforce::answers::error::{Error, Phase};
use crate::salesforce::answers::meaning::Meaning;
use crate::salesforce::credentials::private_key;

/// Salesforce accepts assertions up to three minutes ahead. A shorter lifetime allows for a clock
/// that is fast.
const LIFETIME_SECONDS: i64 = 170;

#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    sub: &'a str,
    aud: &'a str,
    /// The expiry in Unix seconds, as a number.
    exp: i64,
}

/// Signs an assertion for this user and app, valid for less than three minutes from `now`.
pub(crate) fn sign(
    client_id: &str,
    username: &str,
    audience: &str,
    private_key: &SecretString,
    now: Timestamp,
) -> Result<Zeroizing<String>, Error> {
    let unreadable = |detail: &str| Error::new(Meaning::InvalidPrivateKey, Phase::Login, detail);
    let pem = private_key::read(private_key.expose_secret())
        .map_err(|problem| unreadable(&format!("privateKey {problem}.")))?;
    let key = EncodingKey::from_rsa_pem(pem.expose_secret().as_bytes())
        .map_err(|_| unreadable("privateKey holds no RSA private key in PEM."))?;
    let claims = Claims {
        iss: client_id,
        sub: username,
        aud: audience,
        exp: now.as_second() + LIFETIME_SECONDS,
    };
    jsonwebtoken::encode(&Header::new(Algorithm::RS256), &claims, &key)
        .map(Zeroizing::new)
        .map_err(|_| {
            unreadable("the key cannot sign (RS256 needs an RSA key of at least 2048 bits).")
        })
}

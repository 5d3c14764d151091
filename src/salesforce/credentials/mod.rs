//! The four log-in methods with their secrets, and the keyed fingerprint. The fingerprint
//! identifies a credential without revealing it.

pub(crate) mod environment;
pub(crate) mod hosts;
pub(crate) mod key_names;
pub(crate) mod private_key;
pub(crate) mod secret_keys;

use std::fmt;
use std::str::FromStr;

use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretBox, SecretString};
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use unicode_normalization::UnicodeNormalization;
use url::Url;

use crate::plain_text;

/// The secrets of one log-in method. `Debug` does not print them.
#[derive(Clone)]
pub enum Credentials {
    /// SOAP `login()`: password and security token, concatenated.
    Password {
        /// The user's name.
        username: String,
        /// The user's password.
        password: SecretString,
        /// Needed from networks that the organization does not trust.
        security_token: Option<SecretString>,
    },
    /// The OAuth 2.0 username-password flow.
    OauthPassword {
        /// The user's name.
        username: String,
        /// The user's password.
        password: SecretString,
        /// Needed from networks that the organization does not trust.
        security_token: Option<SecretString>,
        /// The app's consumer key.
        client_id: String,
        /// The app's consumer secret.
        client_secret: SecretString,
    },
    /// The OAuth 2.0 JWT bearer flow.
    JwtBearer {
        /// The user's name.
        username: String,
        /// The app's consumer key.
        client_id: String,
        /// An RSA key in PEM, PKCS#1 or PKCS#8.
        private_key: SecretString,
    },
    /// The OAuth 2.0 client-credentials flow; the user is the app's Run-As user.
    ClientCredentials {
        /// The app's consumer key.
        client_id: String,
        /// The app's consumer secret.
        client_secret: SecretString,
    },
}

/// One of the four log-in methods, without secrets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Method {
    /// SOAP `login()`.
    Password,
    /// OAuth 2.0 username-password flow.
    OauthPassword,
    /// OAuth 2.0 JWT bearer flow.
    JwtBearer,
    /// OAuth 2.0 client-credentials flow.
    ClientCredentials,
}

impl Method {
    /// The name of the method's field under `auth`.
    pub fn field(self) -> &'static str {
        match self {
            Self::Password => "password",
            Self::OauthPassword => "oauthPassword",
            Self::JwtBearer => "jwtBearer",
            Self::ClientCredentials => "clientCredentials",
        }
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.field())
    }
}

/// The key of all fingerprints of one installation.
pub struct FingerprintKey(SecretBox<[u8]>);

/// A keyed digest of a credential. It shows that a credential changed, and reveals nothing else.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Fingerprint(String);

/// The error for a text that is not a fingerprint.
#[derive(Debug, thiserror::Error)]
#[error(
    "a credential fingerprint is {} hexadecimal digits",
    Fingerprint::LENGTH
)]
pub struct InvalidFingerprint;

// === impl Credentials ===

impl Credentials {
    /// The log-in method of this credential.
    pub fn method(&self) -> Method {
        match self {
            Self::Password { .. } => Method::Password,
            Self::OauthPassword { .. } => Method::OauthPassword,
            Self::JwtBearer { .. } => Method::JwtBearer,
            Self::ClientCredentials { .. } => Method::ClientCredentials,
        }
    }

    /// The user's name; `None` for the method client credentials.
    pub fn username(&self) -> Option<&str> {
        match self {
            Self::Password { username, .. }
            | Self::OauthPassword { username, .. }
            | Self::JwtBearer { username, .. } => Some(username),
            Self::ClientCredentials { .. } => None,
        }
    }

    /// All secrets, for removing them from quoted text.
    pub(crate) fn secrets(&self) -> Vec<SecretString> {
        match self {
            Self::Password {
                password,
                security_token,
                ..
            } => [Some(password), security_token.as_ref()]
                .into_iter()
                .flatten()
                .cloned()
                .collect(),
            Self::OauthPassword {
                password,
                security_token,
                client_secret,
                ..
            } => [Some(password), security_token.as_ref(), Some(client_secret)]
                .into_iter()
                .flatten()
                .cloned()
                .collect(),
            Self::JwtBearer { private_key, .. } => vec![private_key.clone()],
            Self::ClientCredentials { client_secret, .. } => vec![client_secret.clone()],
        }
    }

    /// A keyed digest over method, login URL, user and secrets. It changes with any of them, cannot
    /// be reversed, and cannot be compared with that of another installation.
    pub fn fingerprint(&self, key: &FingerprintKey, login_url: &Url) -> Fingerprint {
        let mut fields: Vec<&[u8]> = vec![
            self.method().field().as_bytes(),
            login_url.as_str().as_bytes(),
        ];
        match self {
            Self::Password {
                username,
                password,
                security_token,
            } => fields.extend([
                username.as_bytes(),
                password.expose_secret().as_bytes(),
                optional(security_token.as_ref()),
            ]),
            Self::OauthPassword {
                username,
                password,
                security_token,
                client_id,
                client_secret,
            } => {
                fields.extend([
                    username.as_bytes(),
                    password.expose_secret().as_bytes(),
                    optional(security_token.as_ref()),
                    client_id.as_bytes(),
                    client_secret.expose_secret().as_bytes(),
                ]);
            }
            Self::JwtBearer {
                username,
                client_id,
                private_key,
            } => fields.extend([
                username.as_bytes(),
                client_id.as_bytes(),
                private_key.expose_secret().as_bytes(),
            ]),
            Self::ClientCredentials {
                client_id,
                client_secret,
            } => {
                fields.extend([
                    client_id.as_bytes(),
                    client_secret.expose_secret().as_bytes(),
                ]);
            }
        }
        key.digest(&fields)
    }

    /// A keyed digest of whom Salesforce locks after refused log-ins: the user, or the app of a
    /// log-in that names no user. The password and the app of a user do not change it. User
    /// names are unique over all orgs and sandboxes of Salesforce and do not depend on letter
    /// case, so all hosts of one of its clouds count as one (facts: Salesforce 1.3).
    pub fn user_fingerprint(&self, key: &FingerprintKey, login_url: &Url) -> Fingerprint {
        let place = hosts::one_user_base(login_url);
        let (kind, name) = match self {
            Self::Password { username, .. }
            | Self::OauthPassword { username, .. }
            | Self::JwtBearer { username, .. } => ("user", folded(username)),
            Self::ClientCredentials { client_id, .. } => ("app", client_id.trim().to_owned()),
        };
        key.digest(&[kind.as_bytes(), place.as_bytes(), name.as_bytes()])
    }
}

/// A user name as Salesforce might read it: without blanks and characters that show nothing, in one
/// width and letter case. What is folded too far only shares a count.
fn folded(username: &str) -> String {
    let shown = |c: &char| !c.is_whitespace() && !plain_text::acts(*c);
    username
        .nfkc()
        .filter(shown)
        .flat_map(char::to_uppercase)
        .flat_map(char::to_lowercase)
        .collect()
}

fn optional(secret: Option<&SecretString>) -> &[u8] {
    secret.map_or(&[], |secret| secret.expose_secret().as_bytes())
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("method", &self.method())
            .field("username", &self.username())
            .finish_non_exhaustive()
    }
}

// === impl FingerprintKey ===

impl FingerprintKey {
    /// Makes a key from random bytes. The bytes are wiped when the key is dropped.
    pub fn new(bytes: impl Into<Vec<u8>>) -> Self {
        Self(SecretBox::new(bytes.into().into_boxed_slice()))
    }

    /// Puts the length before each field, so that moving a letter from one field to the next
    /// changes the digest.
    fn digest(&self, fields: &[&[u8]]) -> Fingerprint {
        // HMAC hashes keys that are longer than a block and pads shorter ones, so any length is
        // valid.
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(self.0.expose_secret()) else {
            return Fingerprint("0".repeat(Fingerprint::LENGTH));
        };
        for field in fields {
            mac.update(&(field.len() as u64).to_be_bytes());
            mac.update(field);
        }
        let digest = mac.finalize().into_bytes();
        let hex = digest
            .iter()
            .take(Fingerprint::LENGTH / 2)
            .map(|byte| format!("{byte:02x}"))
            .collect();
        Fingerprint(hex)
    }
}

impl<T: Into<Vec<u8>>> From<T> for FingerprintKey {
    fn from(bytes: T) -> Self {
        Self::new(bytes)
    }
}

impl fmt::Debug for FingerprintKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FingerprintKey([redacted])")
    }
}

// === impl Fingerprint ===

impl Fingerprint {
    /// 80 bits: a collision between two credentials of a cluster is practically impossible, and the
    /// text stays readable.
    const LENGTH: usize = 20;

    /// The fingerprint as hexadecimal digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Fingerprint {
    type Err = InvalidFingerprint;

    fn from_str(text: &str) -> Result<Self, InvalidFingerprint> {
        let hex = text
            .bytes()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        if text.len() == Self::LENGTH && hex {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidFingerprint)
        }
    }
}

impl TryFrom<String> for Fingerprint {
    type Error = InvalidFingerprint;

    fn try_from(text: String) -> Result<Self, InvalidFingerprint> {
        text.parse()
    }
}

impl From<Fingerprint> for String {
    fn from(fingerprint: Fingerprint) -> Self {
        fingerprint.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn password(username: &str, password: &str, token: Option<&str>) -> Credentials {
        Credentials::Password {
            username: username.to_owned(),
            password: password.into(),
            security_token: token.map(Into::into),
        }
    }

    fn url() -> Url {
        Url::parse("https://login.salesforce.com").unwrap()
    }

    #[test]
    fn a_fingerprint_changes_with_everything_that_it_covers() {
        let key = FingerprintKey::new(*b"key");
        let base = password("a@b", "secret", None).fingerprint(&key, &url());
        assert_eq!(
            base,
            password("a@b", "secret", None).fingerprint(&key, &url())
        );
        let other_key = FingerprintKey::new(*b"other");
        let sandbox = Url::parse("https://test.salesforce.com").unwrap();
        let others = [
            password("a@c", "secret", None).fingerprint(&key, &url()),
            password("a@bs", "ecret", None).fingerprint(&key, &url()),
            password("a@b", "secre", Some("t")).fingerprint(&key, &url()),
            password("a@b", "secret", None).fingerprint(&other_key, &url()),
            password("a@b", "secret", None).fingerprint(&key, &sandbox),
            Credentials::ClientCredentials {
                client_id: "a@b".to_owned(),
                client_secret: "secret".into(),
            }
            .fingerprint(&key, &url()),
        ];
        for other in others {
            assert_ne!(base, other);
        }
    }

    #[test]
    fn a_user_is_one_however_the_name_and_the_host_are_spelled() {
        let key = FingerprintKey::new(*b"key");
        let user = |name: &str, url: &str| {
            password(name, "secret", None).user_fingerprint(&key, &url.parse().unwrap())
        };
        let one = user("ito@acme.example", "https://login.salesforce.com");
        for (name, url) in [
            ("ITO@Acme.example", "https://LOGIN.salesforce.com:443/"),
            (" ito@acme.example\t", "https://login.salesforce.com./"),
            ("ito@acme.example\u{200b}", "https://test.salesforce.com"),
            (
                "\u{ff49}to@acme.example",
                "https://acme.my.salesforce.com/x?y#z",
            ),
            (
                "ito@acme.example",
                "https://x@acme--uat.sandbox.my.salesforce.com.:8443",
            ),
            ("ito@acme.example", "https://acme.cloudforce.com"),
            ("ito@acme.example", "https://na1.force.com"),
            ("ito@acme.example", "https://salesforce.com"),
        ] {
            assert_eq!(user(name, url), one, "{name} {url}");
        }
        for (name, url) in [
            ("ito@acme.examples", "https://login.salesforce.com"),
            ("ito@acme.example", "https://login.salesforce.mil"),
            ("ito@acme.example", "https://gateway.example"),
            ("ito@acme.example", "https://evilsalesforce.com"),
        ] {
            assert_ne!(user(name, url), one, "{name} {url}");
        }
        let gateway = user("ito@acme.example", "https://gateway.example");
        assert_eq!(
            user("Ito@acme.example", "https://Gateway.example.:443"),
            gateway
        );
        for other in [
            "https://gate.example",
            "https://localhost",
            "https://192.0.2.1",
        ] {
            assert_ne!(user("ito@acme.example", other), gateway, "{other}");
        }
        let here = user("ito@acme.example", "https://localhost:8443");
        for url in [
            "https://127.0.0.1:8443",
            "https://[::1]:8443",
            "https://LOCALHOST.:8443",
            "https://0x7f.1:8443",
        ] {
            assert_eq!(user("ito@acme.example", url), here, "{url}");
        }
    }

    #[test]
    fn a_user_is_the_same_at_all_hosts_of_a_cloud() {
        let key = FingerprintKey::new(*b"key");
        let user = |url: &str| {
            let url = Url::parse(url).unwrap();
            password("a@acme.example", "secret", None).user_fingerprint(&key, &url)
        };
        for (one, other) in [
            (
                "https://login.salesforce.com",
                "https://acme.cloudforce.com",
            ),
            ("https://login.salesforce.com", "https://acme.force.com"),
            (
                "https://login.salesforce.mil",
                "https://acme.my.salesforce.mil",
            ),
            (
                "https://acme.crmforce.mil",
                "https://acme.my.salesforce.mil",
            ),
            (
                "https://login.sfcrmproducts.cn",
                "https://acme.my.sfcrmproducts.cn",
            ),
        ] {
            assert_eq!(user(one), user(other), "{one} {other}");
        }
        assert_ne!(
            user("https://login.salesforce.com"),
            user("https://login.salesforce.mil")
        );
        assert_ne!(
            user("https://login.salesforce.com"),
            user("https://salesforce.com.evil.example")
        );
    }

    #[test]
    fn a_fingerprint_survives_its_text_form() {
        let fingerprint =
            password("a@b", "secret", None).fingerprint(&FingerprintKey::new(*b"key"), &url());
        assert_eq!(
            fingerprint.to_string().parse::<Fingerprint>().unwrap(),
            fingerprint
        );
        assert!("xyz".parse::<Fingerprint>().is_err());
        let json = serde_json::to_string(&fingerprint).unwrap();
        assert_eq!(
            serde_json::from_str::<Fingerprint>(&json).unwrap(),
            fingerprint
        );
        assert!(serde_json::from_str::<Fingerprint>("\"nonsense\"").is_err());
    }

    #[test]
    fn credentials_do_not_print_their_secrets() {
        let text = format!("{:?}", password("a@b", "hunter2", Some("token77")));
        assert!(
            !text.contains("hunter2") && !text.contains("token77"),
            "{text}"
        );
    }

    #[test]
    fn a_fingerprint_has_twenty_digits_and_the_small_letters_to_f() {
        for text in ["0123456789abcdef0123", "00000000000000000000"] {
            let fingerprint: Fingerprint = text.parse().unwrap();
            assert_eq!(fingerprint.as_str(), text);
            assert_eq!(fingerprint.to_string(), text);
            assert_eq!(String::from(fingerprint), text);
        }
        for text in [
            "",
            "0123456789abcdef012",
            "0123456789abcdef01234",
            "0123456789abcdef012g",
            "0123456789ABCDEF0123",
            "0123456789abcdef 123",
        ] {
            assert!(text.parse::<Fingerprint>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_method_is_called_by_its_field() {
        for (method, field) in [
            (Method::Password, "password"),
            (Method::OauthPassword, "oauthPassword"),
            (Method::JwtBearer, "jwtBearer"),
            (Method::ClientCredentials, "clientCredentials"),
        ] {
            assert_eq!(method.field(), field);
            assert_eq!(method.to_string(), field);
        }
    }
}

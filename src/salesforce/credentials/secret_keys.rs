//! The keys of a Secret that hold a credential, and the code that builds the credential from them.
//! It is the same in the cluster, in a worker's pod and on a laptop.

use std::collections::BTreeMap;

use secrecy::{ExposeSecret, SecretString};
use zeroize::Zeroizing;

use super::{Credentials, Method};

/// A key of a Secret that a log-in method uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SecretKey {
    /// The key's name in the Secret.
    pub name: &'static str,
    /// Whether the method requires this key.
    pub required: bool,
}

/// The reason why no credential can be built.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Incomplete {
    /// A key that the method needs is missing.
    #[error("the key {0:?} is missing")]
    Missing(&'static str),
    /// A key's value cannot be used.
    #[error("the key {0:?} {1}")]
    Unusable(&'static str, Unusable),
    /// The method logs in a user, but no user name is given.
    #[error("no user name is given")]
    Username,
}

/// Why a secret's value cannot be used. The text continues a sentence that names the value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    /// The value is not UTF-8.
    #[error("is not text in UTF-8")]
    NotText,
    /// The value is empty after its line ends are removed.
    #[error("is empty")]
    Empty,
}

/// A secret's value as text, without the line ends at its end: `echo` and editors add them, and a
/// PEM key does not need its last one.
///
/// # Errors
/// Fails if the value is not UTF-8 text, or is empty.
pub fn secret_text(bytes: &[u8]) -> Result<SecretString, Unusable> {
    let text = std::str::from_utf8(bytes)
        .map_err(|_| Unusable::NotText)?
        .trim_end_matches(['\r', '\n']);
    if text.is_empty() {
        return Err(Unusable::Empty);
    }
    Ok(SecretString::from(text))
}

const fn required(name: &'static str) -> SecretKey {
    SecretKey {
        name,
        required: true,
    }
}

const PASSWORD: SecretKey = required("password");
const SECURITY_TOKEN: SecretKey = SecretKey {
    name: "securityToken",
    required: false,
};
const CLIENT_ID: SecretKey = required("clientId");
const CLIENT_SECRET: SecretKey = required("clientSecret");
const PRIVATE_KEY: SecretKey = required("privateKey");

// === impl Method ===

impl Method {
    /// The keys of the Secret that this method uses.
    pub fn keys(self) -> &'static [SecretKey] {
        match self {
            Self::Password => &[PASSWORD, SECURITY_TOKEN],
            Self::OauthPassword => &[PASSWORD, SECURITY_TOKEN, CLIENT_ID, CLIENT_SECRET],
            Self::JwtBearer => &[CLIENT_ID, PRIVATE_KEY],
            Self::ClientCredentials => &[CLIENT_ID, CLIENT_SECRET],
        }
    }
}

// === impl Credentials ===

impl Credentials {
    /// Builds a credential from the values of a Secret's keys, and returns the names of the keys
    /// that it used. An optional key with an empty value counts as missing.
    ///
    /// # Errors
    /// Returns the error of `value`, or an error if something that the method needs is missing or
    /// unusable.
    pub fn read<E: From<Incomplete>>(
        method: Method,
        username: Option<&str>,
        mut value: impl FnMut(SecretKey) -> Result<Option<Zeroizing<Vec<u8>>>, E>,
    ) -> Result<(Self, Vec<&'static str>), E> {
        let mut texts = BTreeMap::new();
        for key in method.keys() {
            let text = value(*key)?.map(|bytes| secret_text(&bytes));
            match text {
                Some(Ok(text)) => {
                    texts.insert(key.name, text);
                }
                None | Some(Err(Unusable::Empty)) if !key.required => {}
                None => return Err(Incomplete::Missing(key.name).into()),
                Some(Err(problem)) => return Err(Incomplete::Unusable(key.name, problem).into()),
            }
        }
        let keys = texts.keys().copied().collect();
        let credentials = Self::assemble(method, username, texts)?;
        Ok((credentials, keys))
    }

    fn assemble(
        method: Method,
        username: Option<&str>,
        mut texts: BTreeMap<&'static str, SecretString>,
    ) -> Result<Self, Incomplete> {
        let mut need = |key: SecretKey| texts.remove(key.name).ok_or(Incomplete::Missing(key.name));
        let user = || username.map(str::to_owned).ok_or(Incomplete::Username);
        let plain = |secret: SecretString| secret.expose_secret().to_owned();
        Ok(match method {
            Method::Password => Self::Password {
                username: user()?,
                password: need(PASSWORD)?,
                security_token: need(SECURITY_TOKEN).ok(),
            },
            Method::OauthPassword => Self::OauthPassword {
                username: user()?,
                password: need(PASSWORD)?,
                security_token: need(SECURITY_TOKEN).ok(),
                client_id: need(CLIENT_ID).map(plain)?,
                client_secret: need(CLIENT_SECRET)?,
            },
            Method::JwtBearer => Self::JwtBearer {
                username: user()?,
                client_id: need(CLIENT_ID).map(plain)?,
                private_key: need(PRIVATE_KEY)?,
            },
            Method::ClientCredentials => Self::ClientCredentials {
                client_id: need(CLIENT_ID).map(plain)?,
                client_secret: need(CLIENT_SECRET)?,
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Method; 4] = [
        Method::Password,
        Method::OauthPassword,
        Method::JwtBearer,
        Method::ClientCredentials,
    ];

    /// A Secret whose values are the names of its keys.
    fn read(
        method: Method,
        username: Option<&str>,
        value: impl Fn(&str) -> Option<&str>,
    ) -> Result<(Credentials, Vec<&'static str>), Incomplete> {
        Credentials::read(method, username, |key| {
            Ok(value(key.name).map(|text| Zeroizing::new(text.as_bytes().to_vec())))
        })
    }

    #[test]
    fn each_method_is_made_from_its_required_keys_and_misses_each_of_them_by_name() {
        for method in ALL {
            let all: Vec<&str> = method.keys().iter().map(|key| key.name).collect();
            let (credentials, mut keys) = read(method, Some("user"), |_| Some("text")).unwrap();
            assert_eq!(credentials.method(), method);
            keys.sort_by_key(|key| all.iter().position(|name| name == key));
            assert_eq!(keys, all);
            for key in method.keys() {
                let missing = read(method, Some("user"), |name| {
                    (name != key.name).then_some("text")
                });
                let empty = read(method, Some("user"), |name| {
                    Some(if name == key.name { "\r\n" } else { "text" })
                });
                if key.required {
                    assert_eq!(missing.unwrap_err(), Incomplete::Missing(key.name));
                    let unusable = Incomplete::Unusable(key.name, Unusable::Empty);
                    assert_eq!(empty.unwrap_err(), unusable);
                } else {
                    assert!(!missing.unwrap().1.contains(&key.name));
                    assert!(!empty.unwrap().1.contains(&key.name));
                }
            }
        }
    }

    #[test]
    fn line_ends_are_no_part_of_a_secret_and_spaces_are() {
        let text = |bytes| secret_text(bytes).map(|text| text.expose_secret().to_owned());
        assert_eq!(text(b"hunter2 \r\n"), Ok("hunter2 ".to_owned()));
        assert_eq!(text(b"\n"), Err(Unusable::Empty));
        assert_eq!(text(b"\xff\xfehunter2"), Err(Unusable::NotText));
    }

    #[test]
    fn a_user_is_named_unless_the_app_names_one() {
        for method in ALL {
            let outcome = read(method, None, |_| Some("text"));
            assert_eq!(
                outcome.is_ok(),
                method == Method::ClientCredentials,
                "{method}"
            );
        }
    }
}

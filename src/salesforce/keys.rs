//! The keys under which a Secret holds a credential, and the credential made from them: the same in the cluster, in a worker's
//! pod and on a laptop.

use secrecy::{ExposeSecret, SecretString};

use super::credentials::{Credentials, Method};

/// A key of a Secret that a log-in method uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SecretKey {
    /// Its name.
    pub name: &'static str,
    /// Whether the method cannot do without it.
    pub required: bool,
}

/// Why no credential can be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Incomplete {
    /// A key that the method needs is missing.
    #[error("the key {0:?} is missing")]
    Missing(&'static str),
    /// The method logs in a user and none is named.
    #[error("no user name is given")]
    Username,
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
            Method::Password => &[PASSWORD, SECURITY_TOKEN],
            Method::OauthPassword => &[PASSWORD, SECURITY_TOKEN, CLIENT_ID, CLIENT_SECRET],
            Method::JwtBearer => &[CLIENT_ID, PRIVATE_KEY],
            Method::ClientCredentials => &[CLIENT_ID, CLIENT_SECRET],
        }
    }
}

// === impl Credentials ===

impl Credentials {
    /// Makes a credential from the values of a Secret's keys.
    ///
    /// # Errors
    /// When something that the method needs is not there.
    pub fn assemble(
        method: Method,
        username: Option<&str>,
        mut value: impl FnMut(&str) -> Option<SecretString>,
    ) -> Result<Credentials, Incomplete> {
        let mut need = |key: SecretKey| value(key.name).ok_or(Incomplete::Missing(key.name));
        let user = || username.map(str::to_owned).ok_or(Incomplete::Username);
        let plain = |secret: SecretString| secret.expose_secret().to_owned();
        Ok(match method {
            Method::Password => Credentials::Password {
                username: user()?,
                password: need(PASSWORD)?,
                security_token: need(SECURITY_TOKEN).ok(),
            },
            Method::OauthPassword => Credentials::OauthPassword {
                username: user()?,
                password: need(PASSWORD)?,
                security_token: need(SECURITY_TOKEN).ok(),
                client_id: need(CLIENT_ID).map(plain)?,
                client_secret: need(CLIENT_SECRET)?,
            },
            Method::JwtBearer => Credentials::JwtBearer {
                username: user()?,
                client_id: need(CLIENT_ID).map(plain)?,
                private_key: need(PRIVATE_KEY)?,
            },
            Method::ClientCredentials => Credentials::ClientCredentials {
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

    #[test]
    fn each_method_is_made_from_its_required_keys_and_misses_each_of_them_by_name() {
        for method in ALL {
            let without = |missing: &str| {
                Credentials::assemble(method, Some("user"), |key| {
                    (key != missing).then(|| SecretString::from(key))
                })
            };
            assert_eq!(without("nothing").unwrap().method(), method);
            for key in method.keys() {
                let outcome = without(key.name).map(|_| ());
                let expected = if key.required {
                    Err(Incomplete::Missing(key.name))
                } else {
                    Ok(())
                };
                assert_eq!(outcome, expected, "{method} without {}", key.name);
            }
        }
    }

    #[test]
    fn a_user_is_named_unless_the_app_names_one() {
        for method in ALL {
            let outcome = Credentials::assemble(method, None, |key| Some(SecretString::from(key)));
            assert_eq!(
                outcome.is_ok(),
                method == Method::ClientCredentials,
                "{method}"
            );
        }
    }
}

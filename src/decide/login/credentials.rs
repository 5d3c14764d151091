//! Reads a credential from a Secret, and defines the view of it that a decision gets.

use k8s_openapi::api::core::v1::Secret;
use zeroize::Zeroizing;

use crate::api::Settings;
use crate::salesforce;
use crate::salesforce::{Fingerprint, FingerprintKey, Incomplete};

/// State of the Secret that an integration refers to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Credentials {
    /// The spec refers to no Secret that could be read.
    NotRead,
    /// There is no Secret of that name.
    NotFound {
        /// Name of the Secret.
        secret: String,
    },
    /// The Secret lacks a key that the log-in method needs.
    KeyMissing {
        /// Name of the Secret.
        secret: String,
        /// Name of the missing key.
        key: String,
    },
    /// A key that the log-in method reads stands there in another spelling.
    KeyMisspelt {
        /// Name of the Secret.
        secret: String,
        /// The key as it stands there.
        key: String,
        /// The key that is read.
        meant: String,
    },
    /// A key's value cannot be used.
    KeyInvalid {
        /// Name of the Secret.
        secret: String,
        /// Name of the key.
        key: String,
        /// Problem with the value. It does not contain the value.
        problem: String,
    },
    /// The Secret has all keys that the log-in method needs.
    Available {
        /// Fingerprint that identifies the credential.
        fingerprint: String,
        /// Fingerprint that identifies the user, whatever the password.
        user: String,
        /// Keys of the Secret from which the credential was read.
        keys: Vec<String>,
    },
}

/// Result of reading a credential, with its fingerprint.
pub(crate) struct Read {
    /// The state that a decision gets.
    pub state: Credentials,
    /// The credential and its fingerprint; `None` if it is not available.
    pub credentials: Option<(salesforce::Credentials, Fingerprint)>,
}

// === impl Read ===

impl Read {
    fn failed(state: Credentials) -> Self {
        Self {
            state,
            credentials: None,
        }
    }
}

/// Reads the credential that an integration's log-in method needs from its Secret.
pub(crate) fn read(secret: Option<&Secret>, settings: &Settings, key: &FingerprintKey) -> Read {
    let auth = &settings.auth;
    let name = &auth.secret;
    let Some(secret) = secret else {
        return Read::failed(Credentials::NotFound {
            secret: name.clone(),
        });
    };
    // Under this name a security token is read, and only that.
    let is_read =
        |name: &str, value: &[u8]| name == "token" && salesforce::is_security_token(value);
    let names = secret.data.iter().flatten();
    let names = names
        .filter(|(name, value)| !is_read(name, &value.0))
        .map(|(name, _)| name.as_str());
    if let Some(misspelt) = salesforce::misspelt(auth.method, names) {
        return Read::failed(Credentials::KeyMisspelt {
            secret: name.clone(),
            key: misspelt.found,
            meant: misspelt.meant.to_owned(),
        });
    }
    let value = |key: &str| {
        let bytes = secret.data.as_ref().and_then(|data| data.get(key))?;
        Some(Zeroizing::new(bytes.0.clone()))
    };
    let username = auth.username.as_deref();
    match salesforce::Credentials::read(auth.method, username, |key| Ok(value(key.name))) {
        Ok((credentials, keys)) => {
            let fingerprint = credentials.fingerprint(key, &settings.login_url);
            let user = credentials.user_fingerprint(key, &settings.login_url);
            Read {
                state: Credentials::Available {
                    fingerprint: fingerprint.to_string(),
                    user: user.to_string(),
                    keys: keys.into_iter().map(str::to_owned).collect(),
                },
                credentials: Some((credentials, fingerprint)),
            }
        }
        Err(Incomplete::Missing(key)) => Read::failed(Credentials::KeyMissing {
            secret: name.clone(),
            key: key.into(),
        }),
        Err(Incomplete::Unusable(key, problem)) => Read::failed(Credentials::KeyInvalid {
            secret: name.clone(),
            key: key.into(),
            problem: problem.to_string(),
        }),
        // The schema requires the user name.
        Err(Incomplete::Username) => Read::failed(Credentials::NotRead),
    }
}

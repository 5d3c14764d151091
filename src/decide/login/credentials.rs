//! From a Secret to a credential, and what a decision sees of it.

use k8s_openapi::api::core::v1::Secret;
use zeroize::Zeroizing;

use crate::api::Settings;
use crate::salesforce;
use crate::salesforce::{Fingerprint, FingerprintKey, Incomplete};

/// The Secret that an integration names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Credentials {
    /// The spec names none that could be read.
    NotRead,
    /// There is none of that name.
    NotFound {
        /// Its name.
        secret: String,
    },
    /// It lacks a key that the method needs.
    KeyMissing {
        /// Its name.
        secret: String,
        /// The key.
        key: String,
    },
    /// A key's value cannot be used.
    KeyInvalid {
        /// Its name.
        secret: String,
        /// The key.
        key: String,
        /// What is wrong with the value, without showing it.
        problem: String,
    },
    /// It has what the method needs.
    Available {
        /// Recognises the credential.
        fingerprint: String,
        /// The keys of the Secret that it was made from.
        keys: Vec<String>,
    },
}

/// A credential that was read, and what recognises it.
pub struct Read {
    /// What the decision sees.
    pub state: Credentials,
    /// The credential, when it is available.
    pub credentials: Option<(salesforce::Credentials, Fingerprint)>,
}

// === impl Read ===

impl Read {
    fn failed(state: Credentials) -> Read {
        Read {
            state,
            credentials: None,
        }
    }
}

/// Reads the credential that an integration's method needs out of its Secret.
pub fn read(secret: Option<&Secret>, settings: &Settings, key: &FingerprintKey) -> Read {
    let auth = &settings.auth;
    let name = &auth.secret;
    let Some(secret) = secret else {
        return Read::failed(Credentials::NotFound {
            secret: name.clone(),
        });
    };
    let value = |key: &str| {
        let bytes = secret.data.as_ref().and_then(|data| data.get(key))?;
        Some(Zeroizing::new(bytes.0.clone()))
    };
    let username = auth.username.as_deref();
    match salesforce::Credentials::read(auth.method, username, |key| Ok(value(key.name))) {
        Ok((credentials, keys)) => {
            let fingerprint = credentials.fingerprint(key, &settings.login_url);
            Read {
                state: Credentials::Available {
                    fingerprint: fingerprint.to_string(),
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
        // The schema asks for the user name.
        Err(Incomplete::Username) => Read::failed(Credentials::NotRead),
    }
}

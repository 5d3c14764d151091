//! From a Secret to a credential. The Secret is read by name when it is needed, and let go at once.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Secret;
use secrecy::SecretString;

use super::decide;
use crate::api::Settings;
use crate::salesforce::{Credentials, Fingerprint, FingerprintKey, Incomplete};

/// A credential that was read, and what recognises it.
pub struct Read {
    /// What the decision sees.
    pub state: decide::Credentials,
    /// The credential, when it is available.
    pub credentials: Option<(Credentials, Fingerprint)>,
}

// === impl Read ===

impl Read {
    fn failed(state: decide::Credentials) -> Read {
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
        return Read::failed(decide::Credentials::NotFound {
            secret: name.clone(),
        });
    };
    let mut values = BTreeMap::new();
    for key in auth.method.keys() {
        match value(secret, key.name) {
            Ok(Some(text)) => {
                values.insert(key.name, text);
            }
            Ok(None) if key.required => {
                return Read::failed(decide::Credentials::KeyMissing {
                    secret: name.clone(),
                    key: key.name.into(),
                });
            }
            // An optional key that is there and empty says the same as none.
            Ok(None) => {}
            Err(Unusable::Empty) if !key.required => {}
            Err(problem) => {
                let problem = problem.to_string();
                return Read::failed(decide::Credentials::KeyInvalid {
                    secret: name.clone(),
                    key: key.name.into(),
                    problem,
                });
            }
        }
    }
    let keys = values.keys().map(|key| (*key).to_owned()).collect();
    match Credentials::assemble(auth.method, auth.username.as_deref(), |key| {
        values.remove(key)
    }) {
        Ok(credentials) => {
            let fingerprint = credentials.fingerprint(key, &settings.login_url);
            Read {
                state: decide::Credentials::Available {
                    fingerprint: fingerprint.to_string(),
                    keys,
                },
                credentials: Some((credentials, fingerprint)),
            }
        }
        Err(Incomplete::Missing(key)) => Read::failed(decide::Credentials::KeyMissing {
            secret: name.clone(),
            key: key.into(),
        }),
        // The schema asks for the user name.
        Err(Incomplete::Username) => Read::failed(decide::Credentials::NotRead),
    }
}

/// Why a key's value cannot be used; goes on from "The key … of the Secret …".
#[derive(Debug, thiserror::Error)]
enum Unusable {
    #[error("is not text in UTF-8")]
    NotText,
    #[error("is empty")]
    Empty,
}

/// A key's value as text. Line ends at its end are not part of it: `echo` and editors leave them. A PEM key does not need its last one.
fn value(secret: &Secret, key: &str) -> Result<Option<SecretString>, Unusable> {
    let Some(bytes) = secret.data.as_ref().and_then(|data| data.get(key)) else {
        return Ok(None);
    };
    let text = std::str::from_utf8(&bytes.0)
        .map_err(|_| Unusable::NotText)?
        .trim_end_matches(['\r', '\n']);
    if text.is_empty() {
        return Err(Unusable::Empty);
    }
    Ok(Some(SecretString::from(text)))
}

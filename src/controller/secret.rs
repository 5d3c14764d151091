//! From a Secret to a credential. The Secret is read by name when it is needed, and let go at once.

use k8s_openapi::api::core::v1::Secret;
use secrecy::SecretString;

use super::decide;
use crate::api::Settings;
use crate::api::settings::AuthSettings;
use crate::salesforce::{Credentials, Fingerprint, FingerprintKey};

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
    let name = settings.auth.secret();
    let Some(secret) = secret else {
        return Read::failed(decide::Credentials::NotFound {
            secret: name.into(),
        });
    };
    let mut values = Vec::new();
    for (key, required) in settings.auth.keys() {
        match value(secret, key) {
            Ok(Some(text)) => values.push(Some(text)),
            Ok(None) if *required => {
                return Read::failed(decide::Credentials::KeyMissing {
                    secret: name.into(),
                    key: (*key).into(),
                });
            }
            Ok(None) => values.push(None),
            Err(problem) => {
                return Read::failed(decide::Credentials::KeyInvalid {
                    secret: name.into(),
                    key: (*key).into(),
                    problem: problem.into(),
                });
            }
        }
    }
    let present = settings
        .auth
        .keys()
        .iter()
        .zip(&values)
        .filter(|(_, value)| value.is_some())
        .map(|((key, _), _)| (*key).to_owned())
        .collect();
    let mut values = values.into_iter();
    let mut next = || values.next().flatten();
    let credentials = match &settings.auth {
        AuthSettings::Password { username, .. } => Credentials::Password {
            username: username.clone(),
            password: next().unwrap_or_default(),
            security_token: next(),
        },
    };
    let fingerprint = credentials.fingerprint(key, &settings.login_url);
    Read {
        state: decide::Credentials::Available {
            fingerprint: fingerprint.to_string(),
            keys: present,
        },
        credentials: Some((credentials, fingerprint)),
    }
}

/// A key's value as text. A line end at its end is not part of it: `echo` and editors leave one.
fn value(secret: &Secret, key: &str) -> Result<Option<SecretString>, &'static str> {
    let Some(bytes) = secret.data.as_ref().and_then(|data| data.get(key)) else {
        return Ok(None);
    };
    let text = std::str::from_utf8(&bytes.0).map_err(|_| "is not text in UTF-8")?;
    let text = text
        .strip_suffix('\n')
        .map_or(text, |text| text.strip_suffix('\r').unwrap_or(text));
    if text.is_empty() {
        return Err("is empty");
    }
    Ok(Some(SecretString::from(text)))
}

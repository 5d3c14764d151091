//! From a Secret to a credential. The Secret is read by name when it is needed, and let go at once.

use std::collections::BTreeMap;

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::api::GetParams;
use kube::core::Request;
use kube::{Client, Resource};
use serde::Deserialize;
use zeroize::Zeroizing;

use super::index::Key;
use super::{decide, wire};
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

/// The Secret as it is now; nothing if it is not there.
///
/// # Errors
/// As the API server answers.
pub async fn get(client: &Client, key: &Key) -> Result<Option<Secret>, kube::Error> {
    let request = Request::new(Secret::url_path(&(), Some(&key.namespace)));
    let request = request.get(&key.name, &GetParams::default());
    match wire::exchange::<Data>(client, request).await {
        Ok(Data { data }) => Ok(Some(Secret {
            data,
            ..Secret::default()
        })),
        Err(kube::Error::Api(error)) if error.code == 404 => Ok(None),
        Err(error) => Err(error),
    }
}

/// All that is read of a Secret.
#[derive(Deserialize)]
struct Data {
    data: Option<BTreeMap<String, ByteString>>,
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
    let value = |key: &str| {
        let bytes = secret.data.as_ref().and_then(|data| data.get(key))?;
        Some(Zeroizing::new(bytes.0.clone()))
    };
    let username = auth.username.as_deref();
    match Credentials::read(auth.method, username, |key| Ok(value(key.name))) {
        Ok((credentials, keys)) => {
            let fingerprint = credentials.fingerprint(key, &settings.login_url);
            Read {
                state: decide::Credentials::Available {
                    fingerprint: fingerprint.to_string(),
                    keys: keys.into_iter().map(str::to_owned).collect(),
                },
                credentials: Some((credentials, fingerprint)),
            }
        }
        Err(Incomplete::Missing(key)) => Read::failed(decide::Credentials::KeyMissing {
            secret: name.clone(),
            key: key.into(),
        }),
        Err(Incomplete::Unusable(key, problem)) => Read::failed(decide::Credentials::KeyInvalid {
            secret: name.clone(),
            key: key.into(),
            problem: problem.to_string(),
        }),
        // The schema asks for the user name.
        Err(Incomplete::Username) => Read::failed(decide::Credentials::NotRead),
    }
}

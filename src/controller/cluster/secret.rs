//! Reads a Secret by name when it is needed. It is never cached.

use std::collections::BTreeMap;

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::api::GetParams;
use kube::core::Request;
use kube::{Client, Resource};
use serde::Deserialize;

use super::api_server;

/// The Secret as it is now. `None` when it does not exist.
///
/// # Errors
/// Errors of the API server.
pub(crate) async fn get(
    client: &Client,
    namespace: &str,
    name: &str,
) -> Result<Option<Secret>, kube::Error> {
    let request = Request::new(Secret::url_path(&(), Some(namespace)));
    let request = request.get(name, &GetParams::default());
    match api_server::request::<Data>(client, request).await {
        Ok(Data { data }) => Ok(Some(Secret {
            data,
            ..Secret::default()
        })),
        Err(kube::Error::Api(error)) if error.code == 404 => Ok(None),
        Err(error) => Err(error),
    }
}

/// The part that is read of a Secret.
#[derive(Deserialize)]
struct Data {
    data: Option<BTreeMap<String, ByteString>>,
}

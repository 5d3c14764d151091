//! Stores the logbook in a ConfigMap of the controller's own namespace.

use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{GetParams, PostParams};
use kube::core::Request;
use kube::{Client, Resource};
use serde::Deserialize;
use serde_json::json;

use super::api_server;
use super::api_server::{Written, WrittenMetadata};

/// Name of the ConfigMap.
pub const LOGINS: &str = "switchboard-logins";
/// The key under which the logbook stands.
const KEY: &str = "logins";

/// The record of log-ins could not be read or created.
#[derive(Debug, thiserror::Error)]
#[error(
    "the record of log-ins, ConfigMap {name} in namespace {namespace}, could not be read or made; check that the namespace exists and that the controller's role allows configmaps there (get, create, update)"
)]
pub struct LoginsUnavailable {
    /// Namespace of the ConfigMap.
    pub(crate) namespace: String,
    /// Name of the ConfigMap.
    pub(crate) name: &'static str,
    /// Error of the API server.
    #[source]
    pub(crate) source: Box<kube::Error>,
}

/// Where the logbook is stored.
pub(crate) struct LoginStore {
    client: Client,
    namespace: String,
}

/// The stored text and the version of the object that has it.
#[derive(Debug, Default)]
pub(crate) struct Stored {
    /// The text; empty in a new object.
    pub text: String,
    /// The version to which the next write is bound.
    pub version: Option<String>,
}

// === impl LoginStore ===

impl LoginStore {
    /// The store in this namespace.
    pub(crate) fn new(client: Client, namespace: String) -> Self {
        Self { client, namespace }
    }

    /// Name and namespace of the object, for messages.
    pub(crate) fn place(&self) -> (&str, &'static str) {
        (&self.namespace, LOGINS)
    }

    /// Reads what is stored. The object is made first when it is missing.
    ///
    /// # Errors
    /// Errors of the API server.
    pub(crate) async fn read(&self) -> Result<Stored, kube::Error> {
        match self.create().await {
            Err(kube::Error::Api(error)) if error.code == 409 => {}
            Err(error) => return Err(error),
            Ok(()) => {}
        }
        let request = Request::new(self.path()).get(LOGINS, &GetParams::default());
        let found: Found = api_server::request(&self.client, request).await?;
        Ok(Stored {
            text: found.data.and_then(|data| data.logins).unwrap_or_default(),
            version: found.metadata.resource_version,
        })
    }

    /// Replaces the text of this version, and returns the version that the write created.
    ///
    /// # Errors
    /// Errors of the API server; 409 when another has written meanwhile, 404 when the object is
    /// gone.
    pub(crate) async fn replace(
        &self,
        version: Option<&str>,
        text: &str,
    ) -> Result<Option<String>, kube::Error> {
        let body = self.body(version, text)?;
        let request = Request::new(self.path()).replace(LOGINS, &PostParams::default(), body);
        let written: Written = api_server::request(&self.client, request).await?;
        Ok(written.metadata.resource_version)
    }

    async fn create(&self) -> Result<(), kube::Error> {
        let body = self.body(None, "")?;
        let request = Request::new(self.path()).create(&PostParams::default(), body);
        api_server::request::<Written>(&self.client, request)
            .await
            .map(drop)
    }

    fn path(&self) -> String {
        ConfigMap::url_path(&(), Some(&self.namespace))
    }

    fn body(&self, version: Option<&str>, text: &str) -> Result<Vec<u8>, kube::Error> {
        let object = json!({
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {
                "name": LOGINS,
                "namespace": self.namespace,
                "resourceVersion": version,
                "labels": {"app.kubernetes.io/managed-by": crate::api::MANAGER},
            },
            "data": {KEY: text},
        });
        serde_json::to_vec(&object).map_err(kube::Error::SerdeError)
    }
}

/// The parts that are read of the ConfigMap.
#[derive(Deserialize)]
struct Found {
    metadata: WrittenMetadata,
    data: Option<Data>,
}

#[derive(Deserialize)]
struct Data {
    logins: Option<String>,
}

//! Reads the Secrets and ConfigMaps that a pod refers to, and waits for missing ones.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::StreamExt;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::runtime::watcher;
use kube::{Api, Client, ResourceExt};

use super::{Builder, Obstacle};

/// A missing object or key, with the message that a kubelet reports.
#[derive(Debug)]
pub(in crate::pods) struct Missing {
    pub(in crate::pods) kind: Kind,
    pub(in crate::pods) name: String,
    /// The object's version, if the object exists and only a key is missing.
    pub(in crate::pods) seen: Option<String>,
    pub(in crate::pods) message: String,
    /// Whether the environment needs it (CreateContainerConfigError) or a volume
    /// (ContainerCreating).
    pub(in crate::pods) for_environment: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::pods) enum Kind {
    Secret,
    ConfigMap,
}

/// The data of a Secret or ConfigMap.
pub(super) struct Found {
    pub(super) data: BTreeMap<String, Vec<u8>>,
    pub(super) version: Option<String>,
}

/// The use of an object in a pod.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Use {
    Environment,
    Volume,
}

impl Builder<'_> {
    pub(super) async fn fetch(
        &self,
        kind: Kind,
        name: &str,
        optional: Option<bool>,
        used: Use,
    ) -> Result<Option<Found>, Obstacle> {
        let namespace = self.namespace();
        let found = match kind {
            Kind::Secret => {
                let api: Api<Secret> = Api::namespaced(self.client.clone(), &namespace);
                retry_while_forbidden(|| api.get_opt(name))
                    .await
                    .map(|secret| {
                        secret.map(|secret| Found {
                            version: secret.resource_version(),
                            data: secret
                                .data
                                .unwrap_or_default()
                                .into_iter()
                                .map(|(key, value)| (key, value.0))
                                .collect(),
                        })
                    })
            }
            Kind::ConfigMap => {
                let api: Api<ConfigMap> = Api::namespaced(self.client.clone(), &namespace);
                retry_while_forbidden(|| api.get_opt(name))
                    .await
                    .map(|map| {
                        map.map(|map| {
                            let version = map.resource_version();
                            let mut data: BTreeMap<String, Vec<u8>> = map
                                .data
                                .unwrap_or_default()
                                .into_iter()
                                .map(|(key, value)| (key, value.into_bytes()))
                                .collect();
                            data.extend(
                                map.binary_data
                                    .unwrap_or_default()
                                    .into_iter()
                                    .map(|(key, value)| (key, value.0)),
                            );
                            Found { version, data }
                        })
                    })
            }
        };
        match found {
            Ok(None) if optional != Some(true) => Err(Obstacle::Missing(Missing {
                kind,
                name: name.to_owned(),
                seen: None,
                message: format!("{} {name:?} not found", kind.lower_case()),
                for_environment: used == Use::Environment,
            })),
            Ok(found) => Ok(found),
            Err(error) => Err(Obstacle::Broken(format!(
                "cannot read {} {name:?}: {error}",
                kind.lower_case()
            ))),
        }
    }

    pub(super) fn key_missing(
        &self,
        kind: Kind,
        name: &str,
        key: &str,
        seen: Option<String>,
        used: Use,
    ) -> Obstacle {
        let message = match used {
            Use::Environment => format!(
                "couldn't find key {key} in {kind:?} {}/{name}",
                self.namespace()
            ),
            Use::Volume => format!("references non-existent {} key: {key}", kind.lower_case()),
        };
        let for_environment = used == Use::Environment;
        Obstacle::Missing(Missing {
            kind,
            name: name.to_owned(),
            seen,
            message,
            for_environment,
        })
    }
}

impl Missing {
    /// Waits until the missing object or key may exist.
    pub(in crate::pods) async fn changed(&self, client: Client, namespace: &str) {
        match self.kind {
            Kind::Secret => {
                self.object_changed(Api::<Secret>::namespaced(client, namespace))
                    .await
            }
            Kind::ConfigMap => {
                self.object_changed(Api::<ConfigMap>::namespaced(client, namespace))
                    .await
            }
        }
    }

    async fn object_changed<K>(&self, api: Api<K>)
    where
        K: kube::Resource + Clone + serde::de::DeserializeOwned + std::fmt::Debug + Send + 'static,
    {
        let mut objects = std::pin::pin!(watcher::watch_object(api, &self.name));
        while let Some(object) = objects.next().await {
            match object {
                Ok(object)
                    if object.as_ref().and_then(ResourceExt::resource_version) != self.seen =>
                {
                    return;
                }
                Ok(_) => {}
                Err(_) => tokio::time::sleep(Duration::from_millis(200)).await,
            }
        }
    }
}

impl Kind {
    fn lower_case(self) -> &'static str {
        match self {
            Self::Secret => "secret",
            Self::ConfigMap => "configmap",
        }
    }
}

/// Retries while the API server answers 403. The node authorizer lets a node read what its pods
/// refer to, but learns about a pod from a watch, which may lag.
pub(super) async fn retry_while_forbidden<T, F>(mut request: impl FnMut() -> F) -> kube::Result<T>
where
    F: Future<Output = kube::Result<T>>,
{
    for pause in [10, 50, 200, 500, 1000] {
        match request().await {
            Err(kube::Error::Api(status)) if status.is_forbidden() => {
                tokio::time::sleep(Duration::from_millis(pause)).await
            }
            result => return result,
        }
    }
    request().await
}

//! A namespace that belongs to one test.

use std::time::Duration;

use k8s_openapi::api::core::v1;
use kube::api::{DeleteParams, PostParams};
use kube::{Api, Client, Config};
use serde_json::json;

use crate::error::{Context, Error, Result};
use crate::{ControlPlane, wait_for_object};

/// Time limit for a deletion. The namespace controller retries with growing pauses while pods are
/// ending.
const DELETION: Duration = Duration::from_secs(60);

/// A namespace with a unique name that enforces the restricted pod-security standard.
/// [`Namespace::delete`] or a drop deletes it with all its objects.
#[derive(Debug)]
pub struct Namespace {
    name: String,
    config: Config,
    deleted: bool,
}

impl Namespace {
    /// Creates a namespace named `PREFIX-` and five letters or digits, and waits until it accepts
    /// pods.
    pub async fn create(control_plane: &ControlPlane, prefix: &str) -> Result<Self> {
        let namespace: v1::Namespace = serde_json::from_value(json!({
            "metadata": {
                "generateName": format!("{prefix}-"),
                "labels": {
                    "switchboard.dev/test": prefix,
                    "pod-security.kubernetes.io/enforce": "restricted",
                },
            },
        }))
        .map_err(|error| Error::Unsupported(format!("a namespace prefix {prefix:?}: {error}")))?;
        let client = control_plane.client();
        let api: Api<v1::Namespace> = Api::all(client.clone());
        let created = api
            .create(&PostParams::default(), &namespace)
            .await
            .context(|| format!("create a namespace for {prefix}"))?;
        let name = created.metadata.name.unwrap_or_default();
        let namespace = Self {
            name,
            config: control_plane.config(),
            deleted: false,
        };
        // The API server refuses a pod before its service account exists.
        let accounts: Api<v1::ServiceAccount> = Api::namespaced(client, &namespace.name);
        wait_for_object(
            &accounts,
            "default",
            "the default service account",
            DELETION,
            |object| object.map(|_| ()),
        )
        .await;
        Ok(namespace)
    }

    /// The namespace's name, with its random suffix.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Deletes the namespace and waits until it and all its objects are gone.
    pub async fn delete(mut self) -> Result<()> {
        let client = connect(&self.config, &self.name)?;
        self.request_deletion(client.clone()).await?;
        self.deleted = true;
        let gone = |object: Option<&serde_json::Value>| object.is_none().then_some(());
        wait_for_object(
            &Api::<v1::Namespace>::all(client),
            &self.name,
            "to be gone",
            DELETION,
            gone,
        )
        .await;
        Ok(())
    }

    async fn request_deletion(&self, client: Client) -> Result<()> {
        let api: Api<v1::Namespace> = Api::all(client);
        match api.delete(&self.name, &DeleteParams::default()).await {
            Ok(_) => Ok(()),
            Err(kube::Error::Api(status)) if status.is_not_found() || status.is_conflict() => {
                Ok(())
            }
            Err(error) => Err(error).context(|| format!("delete namespace {}", self.name)),
        }
    }
}

impl Drop for Namespace {
    /// Requests the deletion without waiting for it. It uses a separate thread and runtime, because
    /// a drop cannot wait on the test's runtime.
    fn drop(&mut self) {
        if self.deleted {
            return;
        }
        let this = &*self;
        let request = || -> Result<()> {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .context(|| "start a runtime")?;
            runtime.block_on(async {
                let request = async {
                    this.request_deletion(connect(&this.config, &this.name)?)
                        .await
                };
                match tokio::time::timeout(Duration::from_secs(10), request).await {
                    Ok(result) => result,
                    Err(_) => Err(Error::ControlPlane("no answer to the deletion".to_owned())),
                }
            })
        };
        let outcome = std::thread::scope(|scope| scope.spawn(request).join());
        if let Ok(Err(error)) = outcome {
            eprintln!("namespace {} stays: {error}", self.name);
        }
    }
}

fn connect(config: &Config, name: &str) -> Result<Client> {
    Client::try_from(config.clone()).context(|| format!("connect to delete namespace {name}"))
}

//! The way to the API server: a kubeconfig, or the service account of a pod.

use std::error::Error as _;

use kube::Client;
use kube::client::ClientBuilder;
use kube::config::{InferConfigError, KubeconfigError};

use crate::error::CauseText;

/// Why there is no way to the API server.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    /// The kubeconfig or the pod's service account is unusable.
    #[error(
        "no way to the API server; name a kubeconfig in KUBECONFIG ({}), or run in a pod with a service account",
        kubeconfig()
    )]
    Kubeconfig(#[source] CauseText),
    /// A client could not be made from it.
    #[error(
        "no client for the API server can be made; check the certificates, keys and tokens in the kubeconfig ({})",
        kubeconfig()
    )]
    Client(#[source] kube::Error),
}

/// How the API server is reached.
pub(crate) async fn cluster_config() -> Result<kube::Config, ClusterError> {
    kube::Config::infer()
        .await
        .map_err(|error| ClusterError::Kubeconfig(words(&error)))
}

/// A client by that configuration.
pub(crate) fn client_of(config: kube::Config) -> Result<Client, ClusterError> {
    Ok(ClientBuilder::try_from(config)
        .map_err(ClusterError::Client)?
        .build())
}

/// What is wrong with the kubeconfig. A parser shows the lines that it does not understand, and a token may stand there.
fn words(error: &InferConfigError) -> CauseText {
    match error.source().and_then(|error| error.downcast_ref()) {
        Some(KubeconfigError::Parse(error)) => match error.location() {
            Some(at) => CauseText::from(format!(
                "it is not a kubeconfig in YAML: line {}, column {}",
                at.line(),
                at.column()
            )),
            None => CauseText::from("it is not a kubeconfig in YAML"),
        },
        Some(error) => CauseText::of(error),
        None => CauseText::of(error),
    }
}

/// Which file was looked for.
fn kubeconfig() -> String {
    std::env::var("KUBECONFIG").unwrap_or_else(|_| "not set: ~/.kube/config".to_owned())
}

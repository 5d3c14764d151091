//! The client for the API server, from a kubeconfig or from the service account of a pod.

use std::error::Error as _;

use kube::Client;
use kube::client::ClientBuilder;
use kube::config::{InferConfigError, KubeconfigError};

use crate::error::CauseText;

/// The reason why no client for the API server can be made.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    /// The kubeconfig or the pod's service account is unusable.
    #[error(
        "no way to the API server; name a kubeconfig in KUBECONFIG ({}), or run in a pod with a service account",
        kubeconfig()
    )]
    Kubeconfig(#[source] CauseText),
    /// The configuration could be read, but no client can be made from it.
    #[error(
        "no client for the API server can be made; check the certificates, keys and tokens in the kubeconfig ({})",
        kubeconfig()
    )]
    Client(#[source] kube::Error),
}

/// Reads how the API server is reached.
pub(crate) async fn cluster_config() -> Result<kube::Config, ClusterError> {
    kube::Config::infer()
        .await
        .map_err(|error| ClusterError::Kubeconfig(words(&error)))
}

/// A client with that configuration.
pub(crate) fn client_of(config: kube::Config) -> Result<Client, ClusterError> {
    Ok(ClientBuilder::try_from(config)
        .map_err(ClusterError::Client)?
        .build())
}

/// The problem with the kubeconfig, without its text. The parser quotes lines that it does not
/// understand, and these may hold a token.
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

/// The value of `KUBECONFIG`, or the default, for error messages.
fn kubeconfig() -> String {
    std::env::var("KUBECONFIG").unwrap_or_else(|_| "not set: ~/.kube/config".to_owned())
}

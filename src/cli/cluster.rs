//! The client for the API server, from a kubeconfig or from the service account of a pod.

use std::error::Error as _;
use std::path::{Path, PathBuf};

use kube::Client;
use kube::client::ClientBuilder;
use kube::config::{InferConfigError, KubeConfigOptions, Kubeconfig, KubeconfigError};

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
    /// The kubeconfig that a flag names, or the context in it, is unusable.
    #[error(
        "no way to the API server; check --kubeconfig and --context, and KUBECONFIG where no file is named ({})",
        file.as_deref().map_or_else(kubeconfig, |file| file.display().to_string())
    )]
    Flags {
        /// The value of `--kubeconfig`.
        file: Option<PathBuf>,
        /// The problem in words.
        #[source]
        problem: CauseText,
    },
    /// The configuration could be read, but no client can be made from it.
    #[error(
        "no client for the API server can be made; check the certificates, keys and tokens in the kubeconfig ({})",
        kubeconfig()
    )]
    Client(#[source] kube::Error),
}

/// The flags of kubectl that say which cluster is meant, and as whom.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct KubeconfigArgs {
    /// File with the way to the cluster; KUBECONFIG or ~/.kube/config when not given, or the
    /// service account of the pod.
    #[arg(long, value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,
    /// Which context of the kubeconfig; its current one when not given.
    #[arg(long)]
    pub context: Option<String>,
}

// === impl KubeconfigArgs ===

impl KubeconfigArgs {
    /// Reads how the API server is reached.
    pub(crate) async fn cluster_config(&self) -> Result<kube::Config, ClusterError> {
        if self.kubeconfig.is_none() && self.context.is_none() {
            return cluster_config().await;
        }
        let options = KubeConfigOptions {
            context: self.context.clone(),
            ..KubeConfigOptions::default()
        };
        let read = match self.kubeconfig.as_deref() {
            Some(file) => of_file(file, &options).await,
            None => kube::Config::from_kubeconfig(&options).await,
        };
        read.map_err(|error| ClusterError::Flags {
            file: self.kubeconfig.clone(),
            problem: problem(&error),
        })
    }
}

async fn of_file(
    file: &Path,
    options: &KubeConfigOptions,
) -> Result<kube::Config, KubeconfigError> {
    kube::Config::from_custom_kubeconfig(Kubeconfig::read_from(file)?, options).await
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

fn words(error: &InferConfigError) -> CauseText {
    match error.source().and_then(|error| error.downcast_ref()) {
        Some(error) => problem(error),
        None => CauseText::of(error),
    }
}

/// The problem with the kubeconfig, without its text. The parser quotes lines that it does not
/// understand, and these may hold a token.
fn problem(error: &KubeconfigError) -> CauseText {
    match error {
        KubeconfigError::Parse(error) => match error.location() {
            Some(at) => CauseText::from(format!(
                "it is not a kubeconfig in YAML: line {}, column {}",
                at.line(),
                at.column()
            )),
            None => CauseText::from("it is not a kubeconfig in YAML"),
        },
        error => CauseText::of(error),
    }
}

/// The value of `KUBECONFIG`, or the default, for error messages.
fn kubeconfig() -> String {
    std::env::var("KUBECONFIG").unwrap_or_else(|_| "not set: ~/.kube/config".to_owned())
}

//! Why the integrations could not be read.

use std::time::Duration;

use crate::cli::ClusterError;
use crate::error::CauseText;
use crate::exit::Exit;

/// Why the integrations could not be read, as a sentence.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LookError {
    /// The kubeconfig is unusable.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    /// The caller lacks a right.
    #[error(
        "you may not {verb} salesforceintegrations.switchboard.dev {place}; ask for that right, which the role \"view\" of the namespace has"
    )]
    Forbidden {
        /// `get` or `list`.
        verb: &'static str,
        /// The namespace in words.
        place: String,
        /// The API server's own words, which name the user.
        #[source]
        said: CauseText,
    },
    /// The API server does not accept the caller's credentials.
    #[error(
        "the API server at {server} does not know you; log in again, or choose another --context"
    )]
    Unauthorized {
        /// URL of the API server.
        server: String,
        /// The API server's own words.
        #[source]
        said: CauseText,
    },
    /// There is no integration of that name.
    #[error(
        "there is no SalesforceIntegration {name:?} {place}; without a name all of the namespace are shown, with -A all that you may see"
    )]
    NotFound {
        /// The name.
        name: String,
        /// The namespace in words.
        place: String,
    },
    /// There is no integration at all.
    #[error(
        "there is no SalesforceIntegration {place}; choose another namespace with -n, or all with -A"
    )]
    Empty {
        /// The namespace in words.
        place: String,
    },
    /// The API server does not know the resource.
    #[error(
        "the API server at {server} does not serve switchboard.dev/v1alpha1; is it the right cluster, and is Switchboard installed there?"
    )]
    NotServed {
        /// URL of the API server.
        server: String,
    },
    /// The API server refused for another reason.
    #[error("the API server at {server} refuses to tell")]
    Refused {
        /// URL of the API server.
        server: String,
        /// The API server's own words.
        #[source]
        said: CauseText,
    },
    /// The API server could not be asked.
    #[error("the API server at {server} cannot be asked; check the kubeconfig and the network")]
    Unreachable {
        /// URL of the API server.
        server: String,
        /// The error of the client.
        #[source]
        source: kube::Error,
    },
    /// The API server did not answer in time.
    #[error("the API server at {server} did not answer within {}s; --timeout sets how long to wait", timeout.as_secs())]
    Silent {
        /// URL of the API server.
        server: String,
        /// How long it was waited for.
        timeout: Duration,
    },
}

// === impl LookError ===

impl LookError {
    /// The exit code.
    pub(crate) fn exit(&self) -> Exit {
        match self {
            Self::Cluster(_) => Exit::Usage,
            _ => Exit::Unknown,
        }
    }
}

/// A namespace, or all of them, in words.
pub(crate) fn place(namespace: Option<&str>) -> String {
    match namespace {
        Some(namespace) => format!("in the namespace {namespace:?}"),
        None => "in all namespaces".to_owned(),
    }
}

//! Errors that prevent the start of the controller or end its work.

use std::path::PathBuf;

use url::Url;

use super::authorities::AuthoritiesFileError;
use super::cluster::login_store::LoginsUnavailable;
use crate::cli::{ClusterError, FlagError};
use crate::directory::TokenError;
use crate::exit::Exit;
use crate::http_server::listen_remedy;
use crate::mail::ServerError;

/// An error that prevents the start of the controller or ends its work.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No client for the API server can be made.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    /// The Lease for leader election could not be read or created.
    #[error(
        "the Lease for leader election could not be read or made; check that the API server answers and that the controller's role allows leases"
    )]
    Lease(#[source] kube_lease_manager::LeaseManagerError),
    /// The times of the Lease leave no room for a second attempt to renew it.
    #[error(
        "--lease-duration must be at least twice --lease-renew, three seconds more than it, and at most an hour; write 15s and 7s, or 6s and 2s for a quick take-over"
    )]
    LeaseTimes,
    /// The record of log-ins could not be read or created.
    #[error(transparent)]
    Logins(#[from] LoginsUnavailable),
    /// Another replica leads now; this one ends so that it starts afresh.
    #[error("the Lease was lost; another replica leads")]
    LeadershipLost,
    /// The file of `--token-keys` cannot be used.
    #[error("--token-keys {}: the key file cannot be used", .0.display())]
    TokenKeys(PathBuf, #[source] TokenError),
    /// The file with the key for fingerprints holds too short a key.
    #[error("--fingerprint-key-file {}: the key must have 32 bytes or more", .0.display())]
    FingerprintKey(PathBuf),
    /// The file of `--worker-pods` cannot be used.
    #[error("--worker-pods {}: {}", .0.display(), .1)]
    WorkerPods(PathBuf, String),
    /// The flags of the mail server are unusable.
    #[error("the mail server cannot be set up; check --smtp-server, --smtp-tls and --smtp-ca-file")]
    Mail(#[from] ServerError),
    /// The file of `--directory-ca-bundle` cannot be used.
    #[error(transparent)]
    Authorities(AuthoritiesFileError),
    /// Authorities are given for a directory that is reached without TLS.
    #[error(
        "--directory-ca-bundle is given, and --directory-url {0} is not https; write https://, or leave the authorities out"
    )]
    AuthoritiesWithoutTls(Url),
    /// A flag that several roles share is unusable.
    #[error(transparent)]
    Flag(#[from] FlagError),
    /// The health server cannot listen, for example because the port is taken.
    #[error("the health server cannot listen on {address}; {}", listen_remedy(.source))]
    Listen {
        /// The address to listen on.
        address: std::net::SocketAddr,
        /// Error of the operating system.
        #[source]
        source: std::io::Error,
    },
}

// === impl Error ===

impl Error {
    /// The exit code of the controller.
    pub(crate) fn exit(&self) -> Exit {
        match self {
            Self::Cluster(_)
            | Self::TokenKeys(..)
            | Self::FingerprintKey(_)
            | Self::WorkerPods(..)
            | Self::Mail(_)
            | Self::Authorities(_)
            | Self::AuthoritiesWithoutTls(_)
            | Self::LeaseTimes
            | Self::Flag(_) => Exit::Usage,
            Self::Lease(_) | Self::Logins { .. } | Self::LeadershipLost | Self::Listen { .. } => {
                Exit::Failed
            }
        }
    }
}

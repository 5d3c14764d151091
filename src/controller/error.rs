//! Why the controller cannot start, or does not go on.

use std::path::PathBuf;

use crate::cli::{ClusterError, FlagError};
use crate::directory::TokenError;
use crate::exit::Exit;
use crate::salesforce::DialError;

/// Why the controller cannot start, or does not go on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no way to the API server.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    /// The Lease for leader election could not be read or made.
    #[error(
        "the Lease for leader election could not be read or made; check that the API server answers and that the controller's role allows leases"
    )]
    Lease(#[source] kube_lease_manager::LeaseManagerError),
    /// Another replica leads now; this one ends so that it starts afresh.
    #[error("the Lease was lost; another replica leads")]
    LeadershipLost,
    /// The key file is not one.
    #[error("--token-keys {}: the key file cannot be used", .0.display())]
    TokenKeys(PathBuf, #[source] TokenError),
    /// The file with the key for fingerprints holds too short a key.
    #[error("--fingerprint-key-file {}: the key must have 32 bytes or more", .0.display())]
    FingerprintKey(PathBuf),
    /// A flag that other roles have, too, is unusable.
    #[error(transparent)]
    Flag(#[from] FlagError),
    /// The hosts or authorities for Salesforce are unusable.
    #[error("the way to Salesforce cannot be set up; check --salesforce-hosts and --ca-bundle")]
    Dial(#[from] DialError),
    /// The port for health is taken, say.
    #[error(
        "the health server cannot listen on {address}; does another process have the port? choose another with --listen"
    )]
    Listen {
        /// The address.
        address: std::net::SocketAddr,
        /// The error of the system.
        #[source]
        source: std::io::Error,
    },
}

// === impl Error ===

impl Error {
    /// What the controller ends with.
    pub(crate) fn exit(&self) -> Exit {
        match self {
            Error::Cluster(_)
            | Error::TokenKeys(..)
            | Error::FingerprintKey(_)
            | Error::Flag(_)
            | Error::Dial(_) => Exit::Usage,
            Error::Lease(_) | Error::LeadershipLost | Error::Listen { .. } => Exit::Failed,
        }
    }
}

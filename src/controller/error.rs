//! Why the controller cannot start, or does not go on.

use crate::cli::FlagError;
use crate::salesforce::DialError;

/// Why the controller cannot start, or does not go on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No connection to the API server could be set up.
    #[error("the API server cannot be reached: {0}")]
    Client(#[source] kube::Error),
    /// The kubeconfig or the pod's service account is unusable.
    #[error("no way to the API server: {0}")]
    Kubeconfig(#[source] kube::config::InferConfigError),
    /// The Lease for leader election could not be read or made.
    #[error("the Lease for leader election could not be read or made: {0}")]
    Lease(#[source] kube_lease_manager::LeaseManagerError),
    /// Another replica leads now; this one ends so that it starts afresh.
    #[error("the Lease was lost; another replica leads")]
    LeadershipLost,
    /// A flag's value is unusable.
    #[error("{0}")]
    Configuration(String),
    /// A flag that other roles have, too, is unusable.
    #[error(transparent)]
    Flag(#[from] FlagError),
    /// The hosts or authorities for Salesforce are unusable.
    #[error("the way to Salesforce cannot be set up: {0}")]
    Dial(#[source] DialError),
    /// The port for health is taken, say.
    #[error("the health server cannot listen on {address}: {source}")]
    Listen {
        /// The address.
        address: std::net::SocketAddr,
        /// The error of the system.
        source: std::io::Error,
    },
}

//! What the command lines of several roles share: flags, manifests from files, the way to the API server, standard output.

mod apart;
mod args;
mod cluster;
mod manifest;
mod output;

pub(crate) use self::apart::apart;
pub use self::args::{FlagError, SalesforceArgs};
pub(crate) use self::args::{duration, read};
pub use self::cluster::ClusterError;
pub(crate) use self::cluster::{client_of, cluster_config};
pub use self::manifest::{BadInput, Manifests};
pub use self::output::{PrintError, print};

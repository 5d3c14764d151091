//! Shared parts of the command lines of several roles: flags, manifests from files, the client for
//! the API server, standard output.

mod args;
mod cluster;
mod in_thread;
mod manifest;
mod output;
mod schema;
mod text;
mod yaml;

pub use self::args::{FlagError, SalesforceArgs};
pub(crate) use self::args::{bytes, duration, quantity, read};
pub use self::cluster::{ClusterError, KubeconfigArgs};
pub(crate) use self::cluster::{client_of, cluster_config};
pub(crate) use self::in_thread::in_thread;
pub use self::manifest::{BadInput, Manifests};
pub use self::output::{PrintError, print};
#[cfg(test)]
pub(crate) use self::schema::accept;
pub(crate) use self::text::width;

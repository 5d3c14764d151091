//! What the command lines of several roles share: flags, and manifests from files.

mod args;
mod manifest;

pub use self::args::{FlagError, SalesforceArgs};
pub(crate) use self::args::{duration, read};
pub use self::manifest::{BadInput, Manifests};

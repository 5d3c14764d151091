//! What can go wrong in the test bed: which of our actions failed, with the cause inside.

use std::fmt::Display;

/// A result with the test bed's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A failed action of the test bed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file, a process or a pipe.
    #[error("{action}: {source}")]
    Io {
        /// What was tried.
        action: String,
        /// Why it failed.
        source: std::io::Error,
    },
    /// A request to the API server.
    #[error("{action}: {source}")]
    Kube {
        /// What was tried.
        action: String,
        /// Why it failed.
        source: Box<kube::Error>,
    },
    /// A program of the test bed could not be built.
    #[error("the test bed: {0}")]
    Build(String),
    /// The control plane could not be started or commanded.
    #[error("the test control plane: {0}")]
    ControlPlane(String),
    /// Something asked for that this cluster or this test bed does not offer.
    #[error("not supported: {0}")]
    Unsupported(String),
    /// A wait that was in vain.
    #[error(transparent)]
    TimedOut(#[from] crate::TimedOut),
}

/// Adds to an error what was tried.
pub(crate) trait Context<T> {
    /// Names the action; it is only formatted on failure.
    fn context<D: Display>(self, action: impl FnOnce() -> D) -> Result<T>;
}

impl<T> Context<T> for std::io::Result<T> {
    fn context<D: Display>(self, action: impl FnOnce() -> D) -> Result<T> {
        self.map_err(|source| Error::Io {
            action: action().to_string(),
            source,
        })
    }
}

impl<T> Context<T> for kube::Result<T> {
    fn context<D: Display>(self, action: impl FnOnce() -> D) -> Result<T> {
        self.map_err(|source| Error::Kube {
            action: action().to_string(),
            source: Box::new(source),
        })
    }
}

//! Errors of the test bed. Each names the failed action and holds its cause.

use std::fmt::Display;

/// A result with the test bed's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A failed action of the test bed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An action on a file, a process or a pipe failed.
    #[error("{action}: {source}")]
    Io {
        /// The attempted action.
        action: String,
        /// The cause.
        source: std::io::Error,
    },
    /// A request to the API server failed.
    #[error("{action}: {source}")]
    Kube {
        /// The attempted action.
        action: String,
        /// The cause.
        source: Box<kube::Error>,
    },
    /// A program of the test bed could not be built.
    #[error("the test bed: {0}")]
    Build(String),
    /// The control plane could not be started or controlled.
    #[error("the test control plane: {0}")]
    ControlPlane(String),
    /// The browser, or its driver, did not do what it was asked.
    #[error("{0}")]
    Browser(String),
    /// This cluster or this test bed does not support the request.
    #[error("not supported: {0}")]
    Unsupported(String),
    /// A wait reached its deadline.
    #[error(transparent)]
    TimedOut(#[from] crate::TimedOut),
}

/// Adds the attempted action to an error.
pub(crate) trait Context<T> {
    /// Names the action. The text is only formatted on failure.
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

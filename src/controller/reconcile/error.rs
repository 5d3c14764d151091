//! What a reconcile could not do.

use crate::directory::TokenError;

/// What a reconcile could not do.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// Reading a Secret failed for another reason than that it is not there.
    #[error("the Secret could not be read: {0}")]
    Secret(#[source] kube::Error),
    /// Writing a status failed.
    #[error("the status could not be written: {0}")]
    Status(#[source] kube::Error),
    /// Writing a CronJob failed.
    #[error("the CronJob could not be written: {0}")]
    CronJob(#[source] kube::Error),
    /// Creating a Job failed.
    #[error("the Job could not be created: {0}")]
    Job(#[source] kube::Error),
    /// Writing the Secret with the directory's tokens failed.
    #[error("the Secret with the directory's tokens could not be written: {}", without_words(.0))]
    TokenSecret(#[source] kube::Error),
    /// Tokens could not be made.
    #[error("the directory's tokens could not be made: {0}")]
    Token(#[source] TokenError),
    /// The resource went away while it was looked at.
    #[error("the resource is gone")]
    Gone,
}

// === impl Error ===

impl Error {
    /// What the API server's client said, where it said anything.
    pub(crate) fn cause(&self) -> Option<&kube::Error> {
        match self {
            Error::Secret(error)
            | Error::Status(error)
            | Error::CronJob(error)
            | Error::Job(error)
            | Error::TokenSecret(error) => Some(error),
            _ => None,
        }
    }
}

/// What a failure is, without what a webhook may have repeated of the object.
fn without_words(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) => format!("{} {}", status.code, status.reason),
        other => other.to_string(),
    }
}

//! Errors of a reconcile.

use std::fmt;

use super::directory::Failure;
use super::owned;
use crate::decide::runs::admission::NotOurs;
use crate::directory::TokenError;

/// A step of a reconcile that failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// Reading a Secret failed. A missing Secret is no error.
    #[error("the Secret could not be read")]
    Secret(#[source] kube::Error),
    /// Reading the integration failed.
    #[error("the integration could not be read")]
    Integration(#[source] kube::Error),
    /// Writing a status failed.
    #[error("the status could not be written")]
    Status(#[source] kube::Error),
    /// Writing the log-ins of all users failed.
    #[error("the record of log-ins could not be written")]
    Logins(#[source] kube::Error),
    /// Writing a CronJob failed.
    #[error("the CronJob could not be written")]
    CronJob(#[source] kube::Error),
    /// Setting or removing the finalizer failed.
    #[error("the finalizer could not be set or taken away")]
    Finalizer(#[source] kube::Error),
    /// Creating a Job failed.
    #[error("the Job could not be created")]
    Job(#[source] kube::Error),
    /// Deleting a Job whose run is over failed.
    #[error("the Job of a run that is over could not be deleted")]
    EndJob(#[source] kube::Error),
    /// Writing the Secret with the directory's tokens failed.
    #[error("the Secret with the directory's tokens could not be written")]
    TokenSecret(#[source] WithoutWords),
    /// An object that stands under a name of ours belongs to somebody else.
    #[error(transparent)]
    NotOurs(NotOurs),
    /// Minting tokens failed.
    #[error("the directory's tokens could not be made")]
    Token(#[source] TokenError),
    /// The directory could not be told which tokens are revoked.
    #[error("tokens could not be revoked")]
    Revocation(#[source] Failure),
    /// The integration was deleted during the reconcile.
    #[error("the resource is gone")]
    Gone,
}

// === impl Error ===

impl Error {
    /// The error of a write; `api` is the variant for an answer of the API server.
    pub(crate) fn of(failure: owned::Failure, api: impl FnOnce(kube::Error) -> Self) -> Self {
        match failure {
            owned::Failure::Api(error) => api(error),
            owned::Failure::NotOurs(object) => Self::NotOurs(object),
        }
    }

    /// The error of the API server's client. `None` when the failure has another cause.
    pub(crate) fn cause(&self) -> Option<&kube::Error> {
        match self {
            Self::Secret(error)
            | Self::Integration(error)
            | Self::Status(error)
            | Self::Logins(error)
            | Self::CronJob(error)
            | Self::Finalizer(error)
            | Self::Job(error)
            | Self::EndJob(error) => Some(error),
            Self::TokenSecret(WithoutWords(error)) => Some(error),
            _ => None,
        }
    }
}

/// An API error without the server's message, in which a webhook may repeat parts of the object. It
/// has no `source()`, because the source contains the message.
#[derive(Debug)]
pub(crate) struct WithoutWords(pub(crate) kube::Error);

// === impl WithoutWords ===

impl fmt::Display for WithoutWords {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            kube::Error::Api(status) => write!(f, "{} {}", status.code, status.reason),
            other => other.fmt(f),
        }
    }
}

impl std::error::Error for WithoutWords {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Chain;

    #[test]
    fn a_webhooks_words_on_the_secret_of_tokens_are_not_told() {
        let status = kube::core::Status::failure("denied: marker", "Forbidden").with_code(403);
        let refused = || kube::Error::Api(Box::new(status.clone()));
        let error = Error::TokenSecret(WithoutWords(refused()));
        assert_eq!(
            Chain(&error).to_string(),
            "the Secret with the directory's tokens could not be written: 403 Forbidden"
        );
        assert!(error.cause().is_some(), "the code is still judged");
        let told = Chain(&Error::CronJob(refused())).to_string();
        assert!(told.contains("denied: marker"), "{told}");
    }
}

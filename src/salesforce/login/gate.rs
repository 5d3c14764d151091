//! Who may log in: every log-in is asked for before it is sent, since each may count towards the user's lock-out.

use futures::future::BoxFuture;

use crate::salesforce::answers::error::{Error, Phase};
use crate::salesforce::answers::meaning::Meaning;

/// Asked before each log-in is sent, be it the first one or the renewal of a session.
pub trait LoginGate: Send + Sync {
    /// Lets one log-in pass, or says why it is not sent.
    fn admit(&self) -> BoxFuture<'_, Result<(), LoginWithheld>>;
}

/// Why a log-in was not sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LoginWithheld {
    /// There is no session, and whoever asks may not log in.
    #[error("there is no session, and no log-in is allowed now")]
    NotAllowed,
    /// There is no session, and so many log-ins were sent.
    #[error("there is no session, and the {0} log-ins that were allowed are used up")]
    UsedUp(u64),
    /// What the record was to be written over has changed: another writes it now, and may log in itself.
    #[error("the log-in could not be put on record, because another writes the record now")]
    Overtaken,
    /// The record could not be written for the reason given, so that nobody would learn of the log-in.
    #[error("the log-in could not be put on record ({0})")]
    NotOnRecord(String),
}

impl From<LoginWithheld> for Error {
    fn from(withheld: LoginWithheld) -> Error {
        Error::new(Meaning::LoginWithheld, Phase::Login, format!("{withheld}."))
    }
}

//! The permission to log in. It is requested before every log-in, because each may count towards
//! the user's lock-out.

use futures::future::BoxFuture;
use jiff::Timestamp;

use crate::salesforce::answers::error::{Error, Phase};
use crate::salesforce::answers::meaning::Meaning;

/// The check before each log-in, both for a first log-in and for the renewal of a session.
pub trait LoginGate: Send + Sync {
    /// Permits one log-in, or returns the reason why it is not sent.
    fn admit(&self) -> BoxFuture<'_, Result<(), LoginWithheld>>;
}

/// The reason why a log-in was not sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LoginWithheld {
    /// There is no session, and this caller may not log in.
    #[error("there is no session, and no log-in is allowed now")]
    NotAllowed,
    /// There is no session, and this maximum number of log-ins was already sent.
    #[error("there is no session, and the {0} log-ins that were allowed are used up")]
    UsedUp(u64),
    /// Salesforce refused log-ins as this user lately, or was not heard yet: one more could lock
    /// the user. The value is the time of the next attempt.
    #[error(
        "log-ins as this user were refused within the hour; to keep the user from being locked the next attempt is at {0}"
    )]
    Refused(Timestamp),
    /// The log-in could not be recorded, because the existing record has changed. Another process
    /// writes it now, and may log in itself.
    #[error("the log-in could not be put on record, because another writes the record now")]
    Overtaken,
    /// The log-in could not be recorded, so that nobody would know of it. The owner of the record
    /// reports the cause: it may be a text that other users of the credential must not see.
    #[error("the log-in could not be put on record")]
    NotOnRecord,
}

impl From<LoginWithheld> for Error {
    fn from(withheld: LoginWithheld) -> Self {
        Self::new(Meaning::LoginWithheld, Phase::Login, format!("{withheld}."))
    }
}

//! The only error type of the client: the meaning of a failure, and the redacted original text.

use std::sync::Arc;

use super::meaning::{Meaning, Retry};
use crate::salesforce::text::Redactor;

/// The activity of the client at the time of a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Phase {
    /// Logging in. Such a failure may count towards the user's lock-out.
    Login,
    /// Sending a request with a session.
    Request,
}

/// A failure, by meaning. Cheap to clone: every caller that waited for one log-in gets the same
/// error.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{}", self.message())]
pub struct Error(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    meaning: Meaning,
    phase: Phase,
    status: Option<u16>,
    code: Option<String>,
    detail: String,
    repeatable: bool,
}

impl Error {
    /// An error with a text of our own. The caller must have redacted `detail` already.
    pub(crate) fn new(meaning: Meaning, phase: Phase, detail: impl Into<String>) -> Self {
        Self(Arc::new(Inner {
            meaning,
            phase,
            status: None,
            code: None,
            detail: detail.into(),
            repeatable: false,
        }))
    }

    /// Adds the HTTP status of the response.
    pub(crate) fn with_status(self, status: u16) -> Self {
        self.change(|inner| inner.status = Some(status))
    }

    /// Adds the error code that Salesforce returned.
    pub(crate) fn with_code(self, code: impl Into<String>) -> Self {
        self.change(|inner| inner.code = Some(code.into()))
    }

    /// Sets the activity, for a caller that gets what another one was told.
    pub(crate) fn with_phase(self, phase: Phase) -> Self {
        self.change(|inner| inner.phase = phase)
    }

    /// Gives it another meaning, for a caller that knows more than the answer says.
    pub(crate) fn with_meaning(self, meaning: Meaning) -> Self {
        self.change(|inner| inner.meaning = meaning)
    }

    /// Marks a failure after which the same request may be sent again at once, if it is safe to
    /// repeat.
    pub(crate) fn repeatable(self) -> Self {
        self.change(|inner| inner.repeatable = true)
    }

    /// Removes the secrets from the text.
    pub(crate) fn redacted(self, redactor: &Redactor) -> Self {
        let clean = redactor.scrub(&self.0.detail);
        if clean == self.0.detail {
            return self;
        }
        self.change(|inner| inner.detail = clean)
    }

    fn change(self, change: impl FnOnce(&mut Inner)) -> Self {
        let mut inner = Arc::try_unwrap(self.0).unwrap_or_else(|shared| Inner {
            meaning: shared.meaning,
            phase: shared.phase,
            status: shared.status,
            code: shared.code.clone(),
            detail: shared.detail.clone(),
            repeatable: shared.repeatable,
        });
        change(&mut inner);
        Self(Arc::new(inner))
    }

    /// The meaning of the failure for the tenant.
    pub fn meaning(&self) -> Meaning {
        self.0.meaning
    }

    /// The time at which the same request may be retried without any action by a human.
    pub fn retry(&self) -> Retry {
        self.0.meaning.retry()
    }

    /// The next step for the tenant.
    pub fn remedy(&self) -> &'static str {
        self.0.meaning.remedy()
    }

    /// A plain sentence for a human. Text from Salesforce in it is redacted and capped.
    pub fn message(&self) -> String {
        if self.0.detail.is_empty() {
            format!("{}.", self.0.meaning.title())
        } else {
            format!("{}: {}", self.0.meaning.title(), self.0.detail)
        }
    }

    /// The activity of the client at the time of the failure.
    pub fn phase(&self) -> Phase {
        self.0.phase
    }

    /// The HTTP status of the response; `None` if there was no response.
    pub fn status(&self) -> Option<u16> {
        self.0.status
    }

    /// The error code that Salesforce returned, in its own spelling; `None` if there was none.
    pub fn salesforce_code(&self) -> Option<&str> {
        self.0.code.as_deref()
    }

    /// Whether a log-in was refused. Such a credential is not tried again automatically.
    pub fn refused_login(&self) -> bool {
        self.0.phase == Phase::Login && self.0.meaning.refuses_login()
    }

    /// Whether the same request may be sent again shortly, provided that it is safe to repeat.
    pub(crate) fn is_repeatable(&self) -> bool {
        self.0.repeatable
    }
}

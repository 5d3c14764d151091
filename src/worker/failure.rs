//! The reasons why a run ends before its work is done, and their form in the report.

use crate::directory::ClientError;
use crate::error::Chain;
use crate::reason::Reason;
use crate::resolve::ResolveError;
use crate::run::settings::SettingsError;
use crate::run::{Note, Outcome};
use crate::salesforce::Meaning;

/// The reason why a run ended early. Work done before is kept.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// The run cannot start with its settings.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// The lookup in Salesforce failed.
    #[error(transparent)]
    Resolve(#[from] ResolveError),
    /// A request to the directory failed.
    #[error(transparent)]
    Directory(#[from] ClientError),
    /// The run leaves its work to one without bounds.
    #[error("there is more to do than this run may; what it had taken is handed back")]
    HandedOver,
    /// The run was asked to stop.
    #[error("the run was told to stop; what it had taken is handed back")]
    Interrupted,
    /// The run was asked to stop a second time.
    #[error(
        "the run was told a second time to stop; what it had taken is free when its claim runs out"
    )]
    CutOff,
}

// === impl Failure ===

impl Failure {
    /// Returns the result of the run.
    pub(crate) fn outcome(&self) -> Outcome {
        match self {
            Self::Interrupted | Self::CutOff => Outcome::Interrupted,
            Self::HandedOver => Outcome::Succeeded,
            Self::Resolve(ResolveError::BudgetExhausted(_)) => Outcome::BudgetExhausted,
            Self::Settings(_) | Self::Resolve(_) | Self::Directory(_) => Outcome::Failed,
        }
    }

    /// Returns the code and the sentence for the report. If Salesforce failed, the code is that of
    /// a [`Meaning`].
    pub(crate) fn note(&self) -> Note {
        let reason = match self {
            Self::Settings(_) => Reason::SettingsInvalid,
            Self::Resolve(ResolveError::Salesforce(error))
                if error.meaning() == Meaning::LoginWithheld =>
            {
                return Note::new(
                    Meaning::SessionExpired,
                    "Salesforce ended the session in the middle of the run, and the one that replaced it, \
                     too. What was found is kept; the next run goes on.",
                );
            }
            Self::Resolve(ResolveError::Salesforce(error)) => {
                return Note::new(error.meaning(), error.message());
            }
            Self::Resolve(ResolveError::TooMuch(error)) => error.meaning().into(),
            Self::Resolve(ResolveError::AnswerMissing(_)) => Meaning::UnexpectedAnswer.into(),
            Self::Resolve(ResolveError::NothingToSearch) => Reason::NothingToSearch,
            Self::Resolve(ResolveError::BudgetExhausted(_)) => Reason::BudgetExhausted,
            Self::Directory(ClientError::Refused { problem, .. }) if problem.status < 500 => {
                Reason::DirectoryRefused
            }
            Self::Directory(ClientError::NotTrusted { .. }) => Reason::DirectoryNotTrusted,
            Self::Directory(ClientError::Answer { .. }) => Reason::DirectoryAnswerUnreadable,
            Self::Directory(_) => Reason::DirectoryUnavailable,
            Self::Interrupted | Self::CutOff | Self::HandedOver => Reason::Interrupted,
        };
        Note::new(reason, Chain(self).to_string())
    }

    /// Whether there is no session, and the run may not log in.
    pub(crate) fn lacks_session(&self) -> bool {
        let Self::Resolve(ResolveError::Salesforce(error)) = self else {
            return false;
        };
        error.meaning() == Meaning::LoginWithheld
    }

    /// Whether Salesforce refused the log-in.
    pub(crate) fn refused_login(&self) -> bool {
        matches!(self, Self::Resolve(ResolveError::Salesforce(error)) if error.refused_login())
    }
}

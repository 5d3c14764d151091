//! Warnings come from several sources, and each source replaces only its own warnings.

use crate::api::status::Warning;
use crate::reason::{Code, Reason};
use crate::run::Note;
use crate::salesforce::{Meaning, WarningCode};

/// The source of a warning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// The proof of the connection.
    Proof,
    /// The last run that sent requests to Salesforce.
    Run,
    /// The budget.
    Budget,
    /// Refused log-ins.
    Login,
    /// The addresses for mails.
    Mail,
    /// The pods of the runs.
    Pods,
    /// Tokens that were to be revoked.
    Tokens,
    /// The data that the directory keeps.
    Data,
}

// === impl Origin ===

impl Origin {
    fn of(code: &Code) -> Self {
        match code.reason() {
            Some(Reason::ApiBudgetNearlyUsed | Reason::ApiBudgetsOverbooked) => Self::Budget,
            Some(Reason::UserIsShared) => Self::Login,
            Some(Reason::ContainerStillRuns) => Self::Pods,
            Some(Reason::TokensNotBeforeInvalid | Reason::TokensNotRevoked) => Self::Tokens,
            Some(Reason::RetentionShorter | Reason::RetentionNotTold) => Self::Data,
            Some(Reason::MailRecipientRefused | Reason::MailNotConfigured) => Self::Mail,
            Some(
                Reason::Salesforce(Meaning::ObjectUnavailable)
                | Reason::Warning(WarningCode::FieldHidden)
                | Reason::CallsComeBack
                | Reason::ChangesNotFollowed
                | Reason::AddressBookOverLimit
                | Reason::AddressBookNotFilled
                | Reason::ReportValueRefused,
            ) => Self::Run,
            Some(_) => Self::Proof,
            // Only a worker can be newer than the controller, so an unknown code comes from a run.
            None => Self::Run,
        }
    }
}

/// Replaces the previous warnings of one source.
pub(crate) fn replace(warnings: &mut Vec<Warning>, origin: Origin, found: Vec<Warning>) {
    // Proofs and runs both observe hidden fields. A warning that is already in the list is not
    // added again.
    warnings.retain(|warning| Origin::of(&warning.code()) != origin && !found.contains(warning));
    warnings.extend(found);
    // The order does not depend on the last source, so that a steady state writes nothing.
    warnings.sort_by_key(|warning| match Origin::of(&warning.code()) {
        Origin::Proof => 0,
        Origin::Run => 1,
        Origin::Budget => 2,
        Origin::Login => 3,
        Origin::Mail => 4,
        Origin::Pods => 5,
        Origin::Tokens => 6,
        Origin::Data => 7,
    });
}

/// Whether there are warnings of this source.
pub(crate) fn has(warnings: &[Warning], origin: Origin) -> bool {
    let mut origins = warnings.iter().map(|warning| Origin::of(&warning.code()));
    origins.any(|of| of == origin)
}

/// A warning of the controller's own.
pub(crate) fn of(reason: Reason, message: String) -> Warning {
    Warning {
        code: reason.to_string(),
        message,
        remedy: reason.remedy().to_string(),
    }
}

/// Converts a run's warning to the form in the status.
pub(crate) fn of_run(note: &Note) -> Warning {
    Warning {
        code: note.code.to_string(),
        message: note.message.clone(),
        remedy: note.code.remedy().into(),
    }
}

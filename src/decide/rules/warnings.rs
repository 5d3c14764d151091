//! Warnings come from three sides, and each replaces its own only.

use crate::api::status::Warning;
use crate::reason::{Code, Reason};
use crate::run::Note;
use crate::salesforce::{Meaning, WarningCode};

/// Where a warning comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The proof of the connection.
    Proof,
    /// The last run that asked Salesforce.
    Run,
    /// The budget.
    Budget,
}

// === impl Origin ===

impl Origin {
    fn of(code: &Code) -> Origin {
        match code.reason() {
            Some(Reason::ApiBudgetNearlyUsed | Reason::ApiBudgetsOverbooked) => Origin::Budget,
            Some(
                Reason::Salesforce(Meaning::ObjectUnavailable)
                | Reason::Warning(WarningCode::FieldHidden)
                | Reason::CallsComeBack,
            ) => Origin::Run,
            Some(_) => Origin::Proof,
            // Only a worker can be newer than the controller that it speaks to.
            None => Origin::Run,
        }
    }
}

/// Puts what one side found in the place of what it found before.
pub fn replace(warnings: &mut Vec<Warning>, origin: Origin, found: Vec<Warning>) {
    // A hidden field is seen by proofs and by runs: what one says that stands there already is not said twice.
    warnings.retain(|warning| Origin::of(&warning.code()) != origin && !found.contains(warning));
    warnings.extend(found);
    // The same order whichever side spoke last, so that a steady state writes nothing.
    warnings.sort_by_key(|warning| match Origin::of(&warning.code()) {
        Origin::Proof => 0,
        Origin::Run => 1,
        Origin::Budget => 2,
    });
}

/// A run's warning, as status shows it.
pub fn of_run(note: &Note) -> Warning {
    Warning {
        code: note.code.to_string(),
        message: note.message.clone(),
        remedy: note.code.remedy().into(),
    }
}

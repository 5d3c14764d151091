//! Warnings come from three sides, and each replaces its own only.

use super::remedies::{remedy, warning};
use crate::api::status::Warning;
use crate::run::Note;

/// Codes that runs warn with; see `worker::RunReport::warnings`.
const OF_RUNS: [&str; 3] = ["ObjectUnavailable", warning::FIELD_HIDDEN, "CallsComeBack"];

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
    fn of(code: &str) -> Origin {
        match code {
            warning::BUDGET_NEARLY_USED | warning::BUDGETS_OVERBOOKED => Origin::Budget,
            code if OF_RUNS.contains(&code) => Origin::Run,
            _ => Origin::Proof,
        }
    }
}

/// Puts what one side found in the place of what it found before.
pub fn replace(warnings: &mut Vec<Warning>, origin: Origin, found: Vec<Warning>) {
    warnings.retain(|warning| Origin::of(&warning.code) != origin);
    warnings.extend(found);
    // The same order whichever side spoke last, so that a steady state writes nothing.
    warnings.sort_by_key(|warning| match Origin::of(&warning.code) {
        Origin::Proof => 0,
        Origin::Run => 1,
        Origin::Budget => 2,
    });
}

/// A run's warning, as status shows it.
pub fn of_run(note: &Note) -> Warning {
    Warning {
        code: note.code.clone(),
        message: note.message.clone(),
        remedy: remedy(&note.code).into(),
    }
}

//! All reasons: why a condition holds or not, the errors of a run, the reasons of Events, and the
//! warnings. Conditions, errors, Events, metrics, `switchboard check`, the worker's reports and
//! docs/reasons.md use this one table and the two tables for Salesforce ([`Meaning`] and
//! [`WarningCode`]). Therefore every code has a cause and a remedy.

mod code;
mod own;
mod reader;

use std::fmt;

pub use self::code::Code;
pub use self::own::Reason;
pub use self::reader::PAGES;
use crate::resolve::Finding;
use crate::salesforce::{Meaning, WarningCode};

/// The next step for the tenant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Remedy {
    /// An action, described in one or two sentences.
    Act(&'static str),
    /// No action, because nothing is wrong.
    Nothing,
}

/// The place where a reason appears: a chapter of docs/reasons.md.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Chapter {
    /// Reasons about the spec and the Secret.
    CredentialsAvailable,
    /// Reasons about the holder of the company ID and of users.
    Exclusive,
    /// Reasons about the users of the call centers in Salesforce.
    CallCentersVerified,
    /// Reasons about the user's permissions.
    Authorized,
    /// Reasons about the result of the runs.
    Synced,
    /// Meanings of Salesforce's responses to a proof or to a run.
    Salesforce,
    /// Errors that a run reports itself, if their cause is not Salesforce.
    Run,
    /// Reasons for a run that ended without its own report of an error.
    LostRun,
    /// Warnings about things that work today and need attention.
    Warnings,
    /// The results of a test or a run that the tenant requested.
    Requests,
    /// What becomes of the data when an integration is deleted.
    DataErased,
    /// Reasons that report no problem.
    Harmless,
}

// === impl Remedy ===

impl Remedy {
    /// The remedy as a sentence, also for [`Remedy::Nothing`].
    pub fn text(self) -> &'static str {
        match self {
            Self::Act(text) => text,
            Self::Nothing => "Nothing to do.",
        }
    }
}

impl fmt::Display for Remedy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

// === impl Chapter ===

impl Chapter {
    /// Every chapter, in the order of docs/reasons.md.
    pub const ALL: [Self; 12] = [
        Self::CredentialsAvailable,
        Self::Exclusive,
        Self::CallCentersVerified,
        Self::Authorized,
        Self::Synced,
        Self::Salesforce,
        Self::Run,
        Self::LostRun,
        Self::Warnings,
        Self::Requests,
        Self::DataErased,
        Self::Harmless,
    ];

    /// The heading of the chapter in docs/reasons.md.
    pub fn heading(self) -> &'static str {
        match self {
            Self::CredentialsAvailable => "CredentialsAvailable",
            Self::Exclusive => "Exclusive",
            Self::CallCentersVerified => "CallCentersVerified",
            Self::Authorized => "Authorized",
            Self::Synced => "Synced",
            Self::Salesforce => "Connected, and what a run met at Salesforce",
            Self::Run => "What a run says itself",
            Self::LostRun => "How a run ended without saying why",
            Self::Warnings => "Warnings",
            Self::Requests => "What became of a test or a run that was asked for",
            Self::DataErased => "DataErased, while an integration is being deleted",
            Self::Harmless => "When nothing is wrong",
        }
    }
}

// === impl Reason ===

impl Reason {
    /// Every reason: our own first, then those of Salesforce.
    pub fn all() -> impl Iterator<Item = Self> {
        let own = Self::OWN.iter().copied();
        let meanings = Meaning::ALL.iter().copied().map(Reason::Salesforce);
        let warnings = WarningCode::ALL.iter().copied().map(Reason::Warning);
        own.chain(meanings).chain(warnings)
    }

    /// The reason with exactly this code. Only this function converts a text to a reason.
    pub fn from_code(code: &str) -> Option<Self> {
        Self::own_from_code(code)
            .or_else(|| Meaning::from_code(code).map(Reason::Salesforce))
            .or_else(|| WarningCode::from_code(code).map(Reason::Warning))
    }

    /// The warning that a run gives for this finding; `None` where nothing is wrong.
    pub fn of_finding(finding: &Finding) -> Option<Self> {
        match finding {
            Finding::ObjectUnavailable(_) => Some(Meaning::ObjectUnavailable.into()),
            Finding::FieldHidden { .. } => Some(WarningCode::FieldHidden.into()),
            Finding::NoPersonAccounts => None,
        }
    }
}

impl From<Meaning> for Reason {
    fn from(meaning: Meaning) -> Self {
        Self::Salesforce(meaning)
    }
}

impl From<WarningCode> for Reason {
    fn from(code: WarningCode) -> Self {
        Self::Warning(code)
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn no_code_stands_in_two_tables_and_each_leads_back_to_its_reason() {
        let mut codes = HashSet::new();
        for reason in Reason::all() {
            assert!(codes.insert(reason.code()), "{reason} stands twice");
            assert_eq!(Reason::from_code(reason.code()), Some(reason));
        }
        for code in ["", "Nonsense", "ready", "Ready ", "RunFailed: Ready"] {
            assert_eq!(Reason::from_code(code), None, "{code:?}");
        }
    }

    #[test]
    fn every_reason_has_a_cause_and_only_what_is_harmless_has_no_remedy() {
        let ends = |text: &str| text.ends_with(['.', ')', '?']);
        for reason in Reason::all() {
            assert!(ends(reason.cause()), "{reason}: {}", reason.cause());
            match reason.remedy() {
                Remedy::Act(text) => assert!(ends(text), "{reason}: {text}"),
                Remedy::Nothing => assert_eq!(reason.chapter(), Chapter::Harmless, "{reason}"),
            }
        }
    }

    #[test]
    fn a_code_is_one_word_and_fits_into_a_report() {
        for reason in Reason::all() {
            let code = reason.code();
            assert!(code.len() <= 64, "{code}");
            assert!(code.starts_with(|first: char| first.is_ascii_uppercase()));
            assert!(code.bytes().all(|byte| byte.is_ascii_alphanumeric()));
        }
    }

    #[test]
    fn every_chapter_has_a_reason() {
        for chapter in Chapter::ALL {
            assert!(Reason::all().any(|reason| reason.chapter() == chapter));
        }
        for reason in Reason::all() {
            assert!(Chapter::ALL.contains(&reason.chapter()), "{reason}");
        }
    }
}

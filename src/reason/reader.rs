//! What a reader wants to know of a reason beside its cause and remedy: whether it is tried again,
//! and which page tells more.

use super::Reason;
use crate::salesforce::Retry;

/// The pages of this repository, as a browser reads them.
pub const PAGES: &str = "https://github.com/switchboard/switchboard/blob/main/";

// === impl Reason ===

impl Reason {
    /// The page for who has met this reason, as a path in the repository. A runbook of its own is
    /// named here; every other reason has its heading in docs/reasons.md.
    pub fn runbook(self) -> String {
        format!("docs/reasons.md#{}", self.code().to_lowercase())
    }

    /// The URL of [`Reason::runbook`].
    pub fn runbook_url(self) -> String {
        format!("{PAGES}{}", self.runbook())
    }

    /// When what failed is tried again; `None` where Salesforce was not asked.
    pub fn tried_again(self) -> Option<&'static str> {
        let Self::Salesforce(meaning) = self else {
            return None;
        };
        Some(match meaning.retry() {
            Retry::Never => "only when the Secret or the spec changes, or you ask for a test",
            Retry::Later => "by itself, from 15 seconds up to the interval",
            Retry::AtInterval => "by itself, at the interval",
            Retry::AfterAnHour => "by itself, after an hour",
            Retry::AfterQuota => "by itself, as the 24 hours roll on",
        })
    }

    /// What happened, as sentences: for a response of Salesforce its meaning, then the cause.
    pub fn in_words(self) -> String {
        match self {
            Self::Salesforce(meaning) => format!("{}. {}", meaning.title(), self.cause()),
            _ => self.cause().to_owned(),
        }
    }
}

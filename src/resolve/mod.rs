//! From numbers to the people and companies that Salesforce has for them.
//!
//! [`Resolver`] packs many numbers into few composite requests, sends them, and [`choose`] reads what
//! came back again and picks one record for each number. Only the resolver does I/O.
//!
//! One composite request holds at most five queries and costs one API call; there are five pairs of
//! an object and a phone field (Contact, Account, Lead; Phone and MobilePhone), so each pair is a
//! query of its own. That way a list of spellings is written once in each URL, and a field that the
//! user may not see takes nothing but itself away.

#[cfg(test)]
mod calls;
mod choose;
mod plan;
mod query;
mod record;
mod resolver;
mod search;
#[cfg(test)]
mod tests;
mod url_limit;

use std::fmt;

use serde::{Deserialize, Serialize};

pub use self::choose::{Rule, choose, why};
pub use self::plan::{Batch, MAX_QUERIES_PER_COMPOSITE, MAX_ROWS_PER_PAGE};
pub use self::query::{PhoneField, Shape};
pub use self::record::Record;
pub use self::resolver::{Allowance, Finding, LookedUp, Resolver};
pub use self::url_limit::{FIRST_URL_BYTES, MAX_URL_BYTES, UrlLength};
use crate::salesforce::Error;

/// The objects that numbers are looked up on, best first: a contact goes before an account, an
/// account before a lead.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Object {
    /// A person of a company.
    Contact,
    /// A company, or a person account.
    Account,
    /// Somebody not yet a customer.
    Lead,
}

/// The record that stands behind a number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Match {
    /// What it is.
    pub object: Object,
    /// Its Id.
    pub id: String,
    /// The company's name.
    pub company: Option<String>,
    /// The person's name.
    pub person: Option<String>,
    /// Where a person opens it.
    pub link: Option<String>,
}

/// Why numbers could not be resolved. Whatever was resolved before stays so.
#[derive(Debug, thiserror::Error)]
pub enum ResolveError {
    /// Salesforce did not do what it was asked.
    #[error("could not look numbers up in Salesforce")]
    Salesforce(#[from] Error),
    /// Even the shortest query is too much for Salesforce.
    #[error("Salesforce refuses even a query for a single number")]
    TooMuch(#[source] Error),
    /// The composite answer leaves a query out.
    #[error("Salesforce's answer has nothing on {0}")]
    AnswerMissing(Object),
    /// The user sees none of the objects and fields that numbers are looked up on.
    #[error(
        "the integration user sees no phone field of Contact, Account or Lead: give it read access"
    )]
    NothingToSearch,
    /// The allowance of API calls is used up.
    #[error("the {0} API calls that this run may make are used up")]
    BudgetExhausted(u64),
}

// === impl Object ===

impl Object {
    /// All of them, best first.
    pub const ALL: [Self; 3] = [Self::Contact, Self::Account, Self::Lead];

    /// The object's API name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Contact => "Contact",
            Self::Account => "Account",
            Self::Lead => "Lead",
        }
    }
}

impl fmt::Display for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

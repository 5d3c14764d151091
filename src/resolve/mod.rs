//! Finds the people and companies in Salesforce that belong to phone numbers.
//!
//! [`Resolver`] packs many numbers into few composite requests and sends them, or reads the records
//! that changed where many numbers were not known before, and asks Salesforce's search index for
//! what no query found. [`choose()`] reads
//! the records that come back and picks one for each number. Only the resolver does I/O.
//!
//! One composite request holds at most five queries and costs one API call. There are five pairs of
//! an object and a phone field (Contact, Account, Lead; Phone and MobilePhone), so each pair is a
//! query of its own. Therefore each URL contains a list of spellings only once, and a field that
//! the user may not see removes nothing but itself.

mod changes;
mod choose;
mod permission_set;
mod plan;
mod query;
mod record;
mod resolver;
mod search;
mod second;
mod since;
#[cfg(test)]
pub(crate) mod tests;
mod url_limit;

use std::fmt;

use serde::{Deserialize, Serialize};

pub use self::choose::{Rule, choose, why};
pub use self::permission_set::{PERMISSION_SET, permission_set};
pub use self::plan::{Batch, MAX_QUERIES_PER_COMPOSITE, MAX_ROWS_PER_PAGE};
pub use self::query::{PhoneField, Shape};
pub use self::record::{Change, Record};
pub(crate) use self::record::{FlatRow, Row};
pub use self::resolver::{Allowance, Finding, LookedUp, Resolver};
pub use self::second::SecondAnswer;
pub use self::since::ChangesSince;
pub use self::url_limit::{FIRST_URL_BYTES, MAX_URL_BYTES, UrlLength};
use crate::salesforce::Error;

/// The objects on which numbers are looked up, best first: a contact goes before an account, an
/// account before a lead.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Object {
    /// A person of a company.
    Contact,
    /// A company, or a person account.
    Account,
    /// A person who is not yet a customer.
    Lead,
}

/// The record that was chosen for a number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Match {
    /// The object of the record.
    pub object: Object,
    /// The record's Id.
    pub id: String,
    /// The company's name, if the record has one.
    pub company: Option<String>,
    /// The person's name, if the record has one.
    pub person: Option<String>,
    /// The person's title, if the record has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// The name of the record's owner in Salesforce.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// The URL that opens the record in a browser; `None` if the instance is not known.
    pub link: Option<String>,
    /// The other records that hold the number; `None` if there are none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alternatives: Option<Alternatives>,
}

/// The most records that are listed beside the one that was chosen.
pub const MAX_ALTERNATIVES: usize = 5;

/// The records that hold a number beside the one that was chosen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alternatives {
    /// How many there are, as far as rows were read: the pages of a number on thousands of records
    /// are not all read.
    pub count: u64,
    /// The best of them, at most [`MAX_ALTERNATIVES`].
    pub records: Vec<Match>,
    /// The rule that chose the record before them.
    pub rule: Rule,
}

/// The reason why numbers could not be resolved. Numbers that were resolved before stay resolved.
#[derive(Debug, thiserror::Error)]
pub enum ResolveError {
    /// Salesforce did not fulfil a request.
    #[error("could not look numbers up in Salesforce")]
    Salesforce(#[from] Error),
    /// Even the shortest query is too much for Salesforce.
    #[error("Salesforce refuses even a query for a single number")]
    TooMuch(#[source] Error),
    /// The composite response contains no result for a query.
    #[error("Salesforce's answer has nothing on {0}")]
    AnswerMissing(Object),
    /// The user sees none of the objects and fields on which numbers are looked up.
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
    /// All objects, best first.
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

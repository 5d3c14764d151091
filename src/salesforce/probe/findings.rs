//! What a connection test finds, as values.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::warning_code::WarningCode;
use crate::salesforce::login::session::SessionInfo;
use crate::salesforce::rest::usage::Usage;

/// What the probe found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Findings {
    /// Who is logged in, where.
    pub session: SessionInfo,
    /// The organization.
    pub organization: Organization,
    /// Whether the user sees all records of each object.
    pub access: Access,
    /// Whether the user may create Tasks.
    pub create_task: Visibility,
    /// The organization's API usage.
    pub usage: Option<Usage>,
    /// What works today and needs attention.
    pub warnings: Vec<Warning>,
}

/// The organization, as it describes itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Organization {
    /// The organization's id, 18 characters.
    pub id: String,
    /// Its name.
    pub name: String,
    /// `OrganizationType`, as Salesforce says it; unknown values pass through.
    pub edition: Option<String>,
    /// The instance, such as `AP25`.
    pub instance: Option<String>,
    /// Whether it is a sandbox or a scratch organization.
    pub sandbox: bool,
    /// Whether it is a scratch organization: a sandbox with a trial's end (facts: Salesforce 3.1).
    pub scratch: bool,
    /// Whether person accounts are on.
    pub person_accounts: Option<bool>,
    /// When the trial ends.
    pub trial_ends: Option<Timestamp>,
}

/// Whether the user sees all records of the three objects.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Access {
    /// Contact.
    pub contact: Visibility,
    /// Account.
    pub account: Visibility,
    /// Lead; absent with Platform licences.
    pub lead: Visibility,
}

/// A proved answer, or why there is none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Visibility {
    /// Proved.
    Yes,
    /// Disproved.
    No,
    /// The user may not see what would tell; the text says what.
    Unknown(String),
    /// The object is not there for this user.
    Absent,
}

/// Something that works today and needs attention.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Warning {
    /// What is warned of.
    pub code: WarningCode,
    /// What it is.
    pub message: String,
    /// What to do.
    pub remedy: String,
}

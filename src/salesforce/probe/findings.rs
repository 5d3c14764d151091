//! The results of a connection test, as values.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::users::UsersFound;
use super::warning_code::WarningCode;
use crate::salesforce::login::session::SessionInfo;
use crate::salesforce::rest::usage::Usage;

/// The results of the probe.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Findings {
    /// The session: user, organization and instance.
    pub session: SessionInfo,
    /// The organization.
    pub organization: Organization,
    /// Whether the user sees all records of each object.
    pub access: Access,
    /// Whether the user may create Tasks.
    pub create_task: Visibility,
    /// The users of call centers, as Salesforce has them.
    pub users: UsersFound,
    /// The organization's API usage; `None` if no response reported it.
    pub usage: Option<Usage>,
    /// Things that work today and need attention.
    pub warnings: Vec<Warning>,
}

/// The organization, as it describes itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Organization {
    /// The organization's id, 18 characters.
    pub id: String,
    /// The organization's name.
    pub name: String,
    /// `OrganizationType`, as Salesforce writes it; unknown values pass through.
    pub edition: Option<String>,
    /// The instance, such as `AP25`.
    pub instance: Option<String>,
    /// Whether it is a sandbox or a scratch organization.
    pub sandbox: bool,
    /// Whether it is a scratch organization: a sandbox with an end of its trial
    /// (facts: Salesforce 3.1).
    pub scratch: bool,
    /// Whether person accounts are enabled; `None` if that is not known.
    pub person_accounts: Option<bool>,
    /// The end of the trial; `None` if the organization has no trial or hides it.
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

/// A proved answer, or the reason why there is none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Visibility {
    /// Proved.
    Yes,
    /// Disproved.
    No,
    /// The user may not read the data that would prove it; the text says which data.
    Unknown(String),
    /// The object does not exist for this user.
    Absent,
}

/// Something that works today and needs attention.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Warning {
    /// The kind of the warning.
    pub code: WarningCode,
    /// The text of the warning, with the object or version that it concerns.
    pub message: String,
    /// The next step for the tenant.
    pub remedy: String,
}

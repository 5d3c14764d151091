//! What the controller tells the directory about a company: whose its data is, how long it is kept,
//! and that all of it goes.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::phone::Region;

/// The integration that a company's data belongs to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Owner {
    /// Its UID in the cluster. An integration that is made anew has another one.
    #[schema(min_length = 1, max_length = 100)]
    pub uid: String,
    /// Its namespace.
    #[schema(min_length = 1, max_length = 253)]
    pub namespace: String,
    /// Its name.
    #[schema(min_length = 1, max_length = 253)]
    pub name: String,
}

/// Claims the data of a company for an integration, and says how long it is kept
/// (`PUT /v1/company`). Repeating it changes nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CompanySettings {
    /// Who claims it.
    pub owner: Owner,
    /// Whose data is taken over: the UID of the integration that it belonged to, or the company ID
    /// where nobody is on record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 100)]
    pub adopt: Option<String>,
    /// Whether the integration had tokens of the company before anybody was on record: then the
    /// data is its own.
    #[serde(default)]
    pub had_tokens: bool,
    /// For how many days calls are kept: 1 to 9999. The operator's own maximum holds beside it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 9999)]
    pub retain_days: Option<u32>,
}

/// Whose a company's data is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CompanyState {
    /// Whether it is that of the integration that asked.
    pub belongs: Belonging,
    /// Another integration, whose data it is, or was until now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub other: Option<Owner>,
    /// For how many days calls are kept: the smaller one of what the integration asks for and the
    /// operator's maximum. Absent: without an end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retain_days: Option<u32>,
}

/// To whom a company's data belongs, seen from an integration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Belonging {
    /// To it. What an integration of the same name had left is taken over, and `other` names it.
    Ours,
    /// To another integration. Nothing was changed.
    Another,
    /// There is data, and nobody is on record. Nothing was changed.
    Nobody,
}

/// What the controller says of a company's link to Salesforce (`PUT /v1/company/health`): what the
/// status of the integration says, as far as who looks at calls needs it. Repeating it changes
/// nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct LinkHealth {
    /// Whether the integration is Ready; null while that is not known.
    pub ready: Option<bool>,
    /// The reason of the condition Ready.
    #[schema(max_length = 100)]
    pub reason: String,
    /// What the reason means, in a sentence.
    #[schema(max_length = 1000)]
    pub cause: String,
    /// What to do about it, in a sentence.
    #[schema(max_length = 1000)]
    pub remedy: String,
    /// Since when it is so.
    #[schema(value_type = String, format = DateTime)]
    pub since: Timestamp,
    /// When names are looked up.
    pub retrieval: RetrievalMode,
    /// Whether the integration is suspended.
    #[serde(default)]
    pub suspended: bool,
    /// The tenant's time zone, such as `Asia/Tokyo`.
    #[schema(max_length = 100)]
    pub time_zone: String,
    /// The tenant's region, by which national numbers are read and written.
    #[schema(value_type = String, pattern = "^[A-Z]{2}$", example = "JP")]
    pub region: Region,
    /// When the last run ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub last_run_at: Option<Timestamp>,
    /// How the last run ended: `Succeeded`, or the code of what went wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 100)]
    pub last_outcome: Option<String>,
    /// When the next run is due.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub next_run_at: Option<Timestamp>,
    /// API requests of the last 24 hours, as a share of what the integration may use, in per cent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget_percent: Option<u32>,
}

// === impl LinkHealth ===

impl LinkHealth {
    /// The code of what is wrong: of a run that failed, that of its own end, which says more.
    pub(crate) fn code(&self) -> &str {
        match &self.last_outcome {
            Some(outcome) if self.reason == "RunFailed" => outcome,
            _ => &self.reason,
        }
    }
}

/// When names are looked up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub enum RetrievalMode {
    /// Once a day.
    Daily,
    /// After calls.
    AfterCall,
    /// Not at all.
    Disabled,
}

/// How far a company's address book is (`GET /v1/company/book`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct BookState {
    /// How many records it holds.
    pub records: u64,
    /// How many numbers these hold; one that is on two records counts twice.
    pub numbers: u64,
    /// About how many bytes they take up in the database.
    pub bytes: u64,
    /// When the last fill that ended had begun; absent while none has ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub filled_at: Option<Timestamp>,
    /// Until when changes in Salesforce are in it; absent while no fill has ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub watermark: Option<Timestamp>,
    /// The fill that is under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filling: Option<FillProgress>,
}

/// How far a fill of the address book is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct FillProgress {
    /// How many rows were read.
    pub rows: u64,
    /// How many rows there are, where Salesforce has told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub of: Option<u64>,
}

/// Erases everything that is held about a company (`POST /v1/company/erase`). It goes on where the
/// request before it stopped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EraseCompanyRequest {
    /// Who asks. The data of another integration is left alone.
    pub owner: Owner,
    /// Whether the integration had tokens of the company; see [`CompanySettings`].
    #[serde(default)]
    pub had_tokens: bool,
    /// The company's tokens that were issued before are refused from now on.
    #[schema(value_type = String, format = DateTime)]
    pub not_before: Timestamp,
}

/// How far an erasure has come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ErasedCompany {
    /// Whether nothing is left. If not, send the request again.
    pub done: bool,
    /// Whose data it was.
    pub belongs: Belonging,
    /// Rows that this request deleted, of all tables.
    pub rows: u64,
}

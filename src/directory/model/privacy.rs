//! What is asked about a single number: its erasure, its export, and the audit.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::book::BookRecord;
use super::rings::NotAsked;
use super::{Call, Contact, Was};
use crate::phone::{E164, Region};

/// Names a number. It stands in the body, since addresses are written into logs on the way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NumberRequest {
    /// The number in any spelling, or the text of a caller that is not a number, as the history
    /// shows it.
    #[schema(min_length = 1, max_length = 200, example = "03-1234-5678")]
    pub number: String,
    /// The region that a national number is read with; the token's region when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, pattern = "^[A-Z]{2}$", example = "JP")]
    pub region: Option<Region>,
}

/// What was erased.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ErasedNumber {
    /// What is left of the number: a keyed hash, by which the audit names it.
    pub number_hash: String,
    /// Calls that were deleted.
    pub calls: u64,
    /// Contacts that were deleted: 0 or 1.
    pub contacts: u64,
    /// Records of the address book that no longer hold it; one that holds no other number is gone.
    #[serde(default)]
    pub records: u64,
    /// Other rows that were deleted: what Salesforce was asked about the number, and that it rang.
    pub others: u64,
}

/// Whether a number may be kept again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RestoredNumber {
    /// The keyed hash of the number.
    pub number_hash: String,
    /// Whether it was erased before.
    pub was_erased: bool,
}

/// Everything that is held about a number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct NumberExport {
    /// The company.
    #[schema(value_type = String)]
    pub company: crate::company_id::CompanyId,
    /// The number in E.164; absent where the text is no phone number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub e164: Option<E164>,
    /// The keyed hash by which the audit names it.
    pub number_hash: String,
    /// When it was exported.
    #[schema(value_type = String, format = DateTime)]
    pub exported_at: Timestamp,
    /// When it was erased; nothing is taken in about it since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub erased_at: Option<Timestamp>,
    /// Who it is.
    pub contact: Option<Contact>,
    /// When Salesforce was last asked about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub asked_at: Option<Timestamp>,
    /// Whether Salesforce did not know it then.
    pub not_found: bool,
    /// Who it was, where Salesforce knew it and no longer does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub was: Option<Was>,
    /// The records of the address book that hold it.
    #[serde(default)]
    pub records: Vec<BookRecord>,
    /// That it rang, where that is not an hour ago.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ring: Option<HeldRing>,
    /// Its calls, newest first, at most 5,000.
    pub calls: Vec<Call>,
    /// Whether there are more calls. `GET /v1/calls` reads them page by page.
    pub more_calls: bool,
    /// What the audit has about it, newest first, at most 1,000.
    pub audit: Vec<AuditEntry>,
}

/// That a number rang.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct HeldRing {
    /// When it last rang.
    #[schema(value_type = String, format = DateTime)]
    pub rang_at: Timestamp,
    /// When Salesforce had answered; null where it has not.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub answered_at: Option<Timestamp>,
    /// Why it was not asked, when that was last tried.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_asked: Option<NotAsked>,
}

/// One entry of the audit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AuditEntry {
    /// When it was.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// What was done: `contacts-exported` (as CSV), `contact-edited`, `contact-removed`,
    /// `number-erased`, `number-restored`, `number-exported`, `data-claimed`, `data-taken-over`,
    /// `company-erased`.
    pub action: String,
    /// The purpose of the token that was shown.
    pub purpose: String,
    /// Recognises the key that signed the token.
    pub key_id: String,
    /// The keyed hash of the number that it was about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number_hash: Option<String>,
    /// More about it, such as the integration that took the data over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// Filters and paging of `GET /v1/audit`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct AuditQuery {
    /// Only entries about the number with this hash.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number_hash: Option<String>,
    /// Where the next page starts: `nextCursor` of the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
    /// How many entries a page holds: 1 to 1000, 100 when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[param(minimum = 1, maximum = 1000, default = 100)]
    pub limit: Option<u32>,
}

/// One page of the audit, newest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AuditPage {
    /// The entries.
    pub entries: Vec<AuditEntry>,
    /// Asks for the page after this one; null on the last.
    pub next_cursor: Option<String>,
}

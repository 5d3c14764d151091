//! The wire types with which workers let contacts follow Salesforce.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Contact, MAX_READ, RecordObject};
use crate::json::few;
use crate::phone::E164;

/// A record of Salesforce that holds a number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Holder {
    /// The kind of record.
    pub object: RecordObject,
    /// The ID of the record.
    #[schema(min_length = 1)]
    pub record_id: String,
    /// The ID of a contact's account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account_id: Option<String>,
    /// The company's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub company_name: Option<String>,
    /// The person's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub person_name: Option<String>,
    /// The person's title.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// The name of the record's owner.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner_name: Option<String>,
    /// When the record was last changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub modified_at: Option<Timestamp>,
}

/// Asks which numbers records are about (`POST /v1/worker/follow/numbers`).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct KnownRequest {
    /// IDs of records, at most 1,000: numbers count that one of them holds, or a contact of one of
    /// them.
    #[serde(default, deserialize_with = "few::<_, _, MAX_READ>")]
    #[schema(max_items = 1000)]
    pub record_ids: Vec<String>,
    /// Numbers, at most 1,000: those of them count that the directory knows, with a contact or
    /// without.
    #[serde(default, deserialize_with = "few::<_, _, MAX_READ>")]
    #[schema(value_type = Vec<String>, max_items = 1000)]
    pub numbers: Vec<E164>,
    /// Only numbers behind this one, where the answer before ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub after: Option<E164>,
    /// How many numbers at most: 1 to 1,000.
    #[schema(minimum = 1, maximum = 1000)]
    pub limit: u32,
}

/// Numbers that the directory knows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct KnownNumbers {
    /// The numbers, in order.
    #[serde(deserialize_with = "few::<_, _, MAX_READ>")]
    pub numbers: Vec<KnownNumber>,
    /// Whether there are more behind the last one.
    pub more: bool,
}

/// A number that the directory knows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct KnownNumber {
    /// The number.
    #[schema(value_type = String)]
    pub number: E164,
    /// Its contact.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contact: Option<Contact>,
    /// The records that hold it, best first. Absent where nobody has told them: then they are the
    /// contact's record and its alternatives.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub holders: Option<Vec<Holder>>,
    /// Whether these are all records that hold it.
    #[serde(default)]
    pub all_holders: bool,
    /// Whether Salesforce did not know the number when it was last asked.
    #[serde(default)]
    pub missed: bool,
}

/// Asks which records the contacts are from (`POST /v1/worker/follow/records`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RecordsRequest {
    /// Only contacts whose numbers are behind this one; the empty text begins with the first.
    #[schema(max_length = 16)]
    pub after: String,
    /// How many contacts at most: 1 to 1,000.
    #[schema(minimum = 1, maximum = 1000)]
    pub limit: u32,
}

/// The records of contacts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RecordsPage {
    /// The records of these contacts and those beside them, each once.
    pub records: Vec<KnownRecord>,
    /// The last contact's number; absent when there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub last: Option<E164>,
}

/// A record that holds the number of a contact.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct KnownRecord {
    /// The kind of record.
    pub object: RecordObject,
    /// The ID of the record.
    pub record_id: String,
}

/// How far the company has followed its org (`GET` and `PUT /v1/worker/follow`).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct FollowState {
    /// Counts the writes. A write whose revision is not the one that is kept changes nothing:
    /// another worker was faster.
    pub revision: u64,
    /// Changes with an older stamp are settled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub watermark: Option<Timestamp>,
    /// When changes were last asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub followed_at: Option<Timestamp>,
    /// What is followed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<FollowMode>,
    /// The number up to which all contacts have been compared with their records; absent when no
    /// such comparison is under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 16)]
    pub reconciled_up_to: Option<String>,
    /// Whether the directory knows a number of the company, with a contact or without. A write
    /// does not change it.
    #[serde(default)]
    pub knows_numbers: bool,
}

/// Which names follow Salesforce.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub enum FollowMode {
    /// All that came from Salesforce, and numbers without a name.
    All,
    /// Numbers without a name.
    NewOnly,
}

/// Writes how far the company has followed its org.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PutFollow {
    /// The new state, with the revision that was read.
    pub state: FollowState,
    /// Whether all numbers that Salesforce did not know are due at once.
    #[serde(default)]
    pub ask_misses: bool,
}

/// The state that is kept now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct FollowReceipt {
    /// Whether it is the one that was sent.
    pub stored: bool,
    /// The state.
    pub state: FollowState,
}

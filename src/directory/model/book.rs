//! The wire types of the address book: all records of Salesforce with a phone number.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{MAX_READ, RecordObject};
use crate::json::few;
use crate::phone::E164;

/// The most numbers of one record.
pub const MAX_NUMBERS_OF_A_RECORD: usize = 50;

/// The most parts of a fill.
pub const MAX_PARTS: usize = 10;

/// A record of Salesforce with its numbers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct BookRecord {
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
    /// When the record was last changed (`LastModifiedDate`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub modified_at: Option<Timestamp>,
    /// The numbers in its phone fields, at most 50. A record without any is not kept.
    #[serde(deserialize_with = "few::<_, _, MAX_READ>")]
    #[schema(value_type = Vec<String>, max_items = 50)]
    pub numbers: Vec<E164>,
}

/// The address book of the company (`GET /v1/worker/book`).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Book {
    /// Identifies the last fill, by a larger number than any before; 0 where the company has no
    /// address book.
    pub generation: u64,
    /// The fill that is under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fill: Option<Fill>,
    /// When the last fill that ended had begun; absent while none has ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub filled_at: Option<Timestamp>,
    /// How the parts of that fill ended, while no other is under way.
    #[serde(
        default,
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "few::<_, _, MAX_READ>"
    )]
    pub filled: Vec<FillPart>,
    /// When the records were last counted in Salesforce, and were as many.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub counted_at: Option<Timestamp>,
    /// When a worker last wrote records, or said that there are no changes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub confirmed_at: Option<Timestamp>,
    /// How many records it holds.
    pub records: u64,
    /// How many numbers these hold; one that is on two records counts twice.
    pub numbers: u64,
    /// About how many bytes they take up in the database.
    pub bytes: u64,
    /// The address of the org's instance, for links that open a record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
    /// How many records of each kind it holds, where that was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by_object: Option<RecordsByObject>,
}

/// Records by kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RecordsByObject {
    /// Contacts.
    pub contact: u64,
    /// Accounts, and person accounts.
    pub account: u64,
    /// Leads.
    pub lead: u64,
}

/// What is told of the address book (`GET /v1/worker/book`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct BookQuery {
    /// Whether the records of each kind are counted, which takes a second for a million.
    #[serde(default)]
    pub by_object: bool,
}

/// A fill of the address book that is under way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Fill {
    /// When it began. What changed in Salesforce since then is to be followed.
    #[schema(value_type = String, format = DateTime)]
    pub began_at: Timestamp,
    /// How far each of its parts is.
    #[serde(deserialize_with = "few::<_, _, MAX_READ>")]
    pub parts: Vec<FillPart>,
    /// Whether all records were written, and those that were not seen are going.
    pub finishing: bool,
}

/// How far a part of a fill is: the records of one kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FillPart {
    /// The kind of record.
    pub object: RecordObject,
    /// The ID of the job that reads them in Salesforce.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 100)]
    pub job_id: Option<String>,
    /// Where the next page of its result begins: a locator, or the ID of the last record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 1000)]
    pub locator: Option<String>,
    /// How many rows were read.
    pub rows: u64,
    /// How many of them are behind `locator`.
    #[serde(default)]
    pub within: u64,
    /// How many of them hold no number that may be kept.
    #[serde(default)]
    pub skipped: u64,
    /// How many rows there are, where Salesforce has told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub of: Option<u64>,
    /// Whether all were read.
    #[serde(default)]
    pub done: bool,
}

/// Begins a fill (`POST /v1/worker/book/fill`). One that is under way goes on.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct BeginFill {
    /// Whether one that is under way is given up and another one begins.
    #[serde(default)]
    pub anew: bool,
    /// The address of the org's instance, for links that open a record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 300, example = "https://acme.my.salesforce.com")]
    pub instance: Option<String>,
}

/// Writes records (`POST /v1/worker/book/records`), all of them or none. Repeating it changes
/// nothing. Without `fill` the records are changes: a fill that is under way does not overwrite
/// them with what it read before. A request without records says that there are no changes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct WriteRecords {
    /// The records, at most 1,000, each once. The numbers of each take the place of those before.
    #[serde(default, deserialize_with = "few::<_, _, MAX_READ>")]
    #[schema(max_items = 1000)]
    pub records: Vec<BookRecord>,
    /// IDs of records that are gone, at most 1,000, and none of `records`: deleted, merged,
    /// converted, or without a number.
    #[serde(default, deserialize_with = "few::<_, _, MAX_READ>")]
    #[schema(max_items = 1000)]
    pub gone: Vec<String>,
    /// Accounts with another name, at most 1,000: the company of their contacts.
    #[serde(default, deserialize_with = "few::<_, _, MAX_READ>")]
    #[schema(max_items = 1000)]
    pub accounts: Vec<AccountName>,
    /// Whether the records were counted in Salesforce, and are as many here.
    #[serde(default)]
    pub counted: bool,
    /// The fill that read the records.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fill: Option<FillStep>,
}

/// The name of an account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AccountName {
    /// The ID of the account.
    #[schema(min_length = 1)]
    pub record_id: String,
    /// Its name, or that of the account that it was merged into.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The ID of the account that it was merged into, whose contacts its contacts are now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub merged_into: Option<String>,
}

/// A step of a fill. It is kept together with the records.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FillStep {
    /// The generation of the fill. Nothing is written for one that is not under way.
    pub generation: u64,
    /// How far its parts are with these records; none leaves what is kept.
    #[serde(default, deserialize_with = "few::<_, _, MAX_READ>")]
    #[schema(max_items = 10)]
    pub parts: Vec<FillPart>,
}

/// What became of the records.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct WriteRecordsReceipt {
    /// Whether they were taken. They are not where the company has no address book, or the fill is
    /// not under way.
    pub taken: bool,
    /// Records that are new or other ones than before.
    pub written: u32,
    /// Records that were there as they were sent, or that a change wrote since the fill began.
    pub kept: u32,
    /// Records that went: they are gone, or hold no number, or none that may be kept.
    pub removed: u32,
    /// Records of the request without a number that may be kept.
    #[serde(default)]
    pub refused: u32,
}

/// Ends a fill (`POST /v1/worker/book/finish`): the records that it did not see go. Repeat it until
/// it is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FinishFill {
    /// The generation of the fill.
    pub generation: u64,
}

/// How far the end of a fill is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct FinishReceipt {
    /// Whether it has ended, now or before.
    pub done: bool,
    /// Records that went with this request.
    pub removed: u64,
}

/// How far the address book is gone (`DELETE /v1/worker/book`). Repeat it until it is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct DropReceipt {
    /// Whether nothing of it is left.
    pub done: bool,
    /// Rows that went with this request.
    pub rows: u64,
}

/// Asks for the records of numbers (`POST /v1/worker/book/holders`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HoldersRequest {
    /// The numbers, at most 1,000.
    #[serde(deserialize_with = "few::<_, _, MAX_READ>")]
    #[schema(value_type = Vec<String>, max_items = 1000)]
    pub numbers: Vec<E164>,
}

/// The records of numbers.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct HoldersFound {
    /// The records that hold one of the numbers, each once, in the order of their IDs.
    pub records: Vec<BookRecord>,
    /// Whether there are more than these: a number on thousands of records.
    pub more: bool,
}

// === impl Fill ===

impl Fill {
    /// How many rows were read, and how many there are if Salesforce has told of every part.
    pub fn progress(&self) -> (u64, Option<u64>) {
        let rows = self.parts.iter().map(|part| part.rows).sum();
        let of = self.parts.iter().map(|part| part.of).sum();
        (rows, of)
    }
}

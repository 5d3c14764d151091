//! The wire types of server and client, from which the OpenAPI document is generated.
//!
//! Keys are camelCase, and times are RFC 3339 in UTC. Numbers are E.164 unless a field says "as the
//! platform spelled it". A reader ignores unknown keys, so that a newer server can talk to an older
//! worker.

pub mod book;
pub mod company;
pub mod follow;
pub(crate) mod misses;
pub(crate) mod number_hash;
pub mod privacy;
pub(crate) mod revoked;
pub mod rings;
pub mod tokens;
pub mod waiting;
pub(crate) mod webhook;

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use self::follow::Holder;
use crate::json::few;
use crate::phone::{E164, Region};

/// The most entries of one request: entries from a worker, or legs of a call in a webhook.
pub const MAX_BULK: usize = 1_000;

/// The most entries of a list that are read: enough to say that a list is too long, and by how
/// much.
const MAX_READ: usize = 10 * MAX_BULK;

/// The most calls of a lease, however many numbers they have. All of them fit into the memory of a
/// worker, whatever the platform wrote into them.
pub(crate) const MAX_CLAIMED: usize = 2_500;

/// The most numbers that are handed out to be asked again.
pub(crate) const MAX_NUMBERS: usize = 10_000;

// === Calls ===

/// One leg of a call, with the names that the directory knows for the customer's number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Call {
    /// The platform's ID of this leg (`details[].id`).
    pub id: String,
    /// The platform's ID of the whole call (`call.id`), shared by its legs.
    pub call_id: Option<String>,
    /// Which way the call went, seen from the tenant.
    pub direction: Direction,
    /// The platform's own word for it, for example `INCOMING_CALL`.
    pub call_type: String,
    /// When dialling began.
    #[schema(value_type = String, format = DateTime)]
    pub started_at: Timestamp,
    /// When somebody answered; null for a call that nobody took.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub answered_at: Option<Timestamp>,
    /// When the call ended; null while it lasts.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub ended_at: Option<Timestamp>,
    /// The customer's number as the platform spelled it.
    pub number: Option<String>,
    /// The customer's number in E.164, where it is a phone number.
    #[schema(value_type = Option<String>)]
    pub e164: Option<E164>,
    /// The tenant's own line.
    pub circuit_number: Option<String>,
    /// The name of the tenant's own line.
    pub circuit_name: Option<String>,
    /// How far the look-up of the number has come.
    pub lookup: LookupState,
    /// Why the number is not looked up, where it is not, in words.
    pub not_looked_up: Option<String>,
    /// Who it is; null while nobody is known under the number.
    pub contact: Option<Contact>,
    /// When Salesforce was last asked about the number; null while it was not asked yet.
    #[serde(default)]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub asked_at: Option<Timestamp>,
    /// Whether Salesforce did not know the number then.
    #[serde(default)]
    pub not_found: bool,
    /// Who it was, where Salesforce knew the number and no longer does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub was: Option<Was>,
    /// From when on a number that Salesforce did not know is asked again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub ask_again_at: Option<Timestamp>,
}

/// Which way a call went, seen from the tenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
pub enum Direction {
    /// The customer called.
    Incoming,
    /// The tenant called, by hand or by the predictive dialler.
    Outgoing,
    /// Between the tenant's own extensions.
    Internal,
}

/// How far the look-up of a call's number has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
pub enum LookupState {
    /// Still to be looked up.
    Pending,
    /// Looked up, or found by the worker not to be a phone number; nothing is left to do.
    Done,
    /// There is nothing to look up: an internal call, or one without a number.
    None,
}

/// Filters and paging of `GET /v1/calls`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct CallsQuery {
    /// Only calls with this number, in any spelling.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<String>,
    /// The region that `number` is read with; the token's region when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[param(value_type = Option<String>, pattern = "^[A-Z]{2}$", example = "JP")]
    pub region: Option<Region>,
    /// Only calls that started at or after this time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[param(value_type = Option<String>, format = DateTime)]
    pub from: Option<Timestamp>,
    /// Only calls that started before this time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[param(value_type = Option<String>, format = DateTime)]
    pub to: Option<Timestamp>,
    /// Only calls with a known contact (`true`) or without one (`false`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub matched: Option<bool>,
    /// Only calls of this direction.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[param(inline)]
    pub direction: Option<Direction>,
    /// Where the next page starts: `nextCursor` of the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
    /// How many calls a page holds: 1 to 200, 50 when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[param(minimum = 1, maximum = 200, default = 50)]
    pub limit: Option<u32>,
}

/// One page of the call history, newest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CallsPage {
    /// The calls.
    pub calls: Vec<Call>,
    /// Asks for the page after this one; null on the last.
    pub next_cursor: Option<String>,
}

/// The answer to a webhook: what became of its legs. All of it is on disk when this is sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Receipt {
    /// Legs in the payload.
    pub received: u32,
    /// Legs not seen before.
    pub added: u32,
    /// Known legs that this delivery completed or changed.
    pub changed: u32,
    /// Legs that cannot be read and are not kept.
    #[serde(default)]
    pub refused: u32,
    /// Legs with a number that was erased. They are not kept; do not send them again.
    #[serde(default)]
    pub erased: u32,
    /// Why legs are refused: for each of the first 20 its field, what is wrong and what to send.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(max_items = 20)]
    pub problems: Vec<String>,
}

// === Contacts ===

/// Who stands behind a number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Contact {
    /// The number in E.164.
    #[schema(value_type = String, example = "+81312345678")]
    pub number: E164,
    /// The company's name.
    pub company_name: Option<String>,
    /// The person's name.
    pub person_name: Option<String>,
    /// The kind of Salesforce record, where it came from one.
    pub object: Option<RecordObject>,
    /// The ID of the Salesforce record.
    pub record_id: Option<String>,
    /// Where a person can open the record.
    pub link: Option<String>,
    /// The person's title in Salesforce.
    #[serde(default)]
    pub title: Option<String>,
    /// The name of the record's owner in Salesforce.
    #[serde(default)]
    pub owner_name: Option<String>,
    /// The other records that hold the number; null where it is on one record only.
    #[serde(default)]
    pub alternatives: Option<Alternatives>,
    /// Who wrote the contact.
    pub source: ContactSource,
    /// When it last changed.
    #[schema(value_type = String, format = DateTime)]
    pub updated_at: Timestamp,
    /// When Salesforce was last asked about the number; null while it was not asked yet.
    #[serde(default)]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub asked_at: Option<Timestamp>,
    /// Whether Salesforce did not know the number then. A contact that was written by hand stays.
    #[serde(default)]
    pub not_found: bool,
}

/// The records that hold a number beside the one that was chosen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Alternatives {
    /// How many there are. On a number of thousands of records not all are counted.
    pub count: u64,
    /// The first five, best first.
    #[schema(max_items = 5)]
    pub records: Vec<Alternative>,
    /// The rule that chose the contact's record before them.
    pub rule: ChosenBy,
}

/// A record that holds a number and was not chosen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Alternative {
    /// The kind of record.
    pub object: RecordObject,
    /// The ID of the record.
    #[schema(min_length = 1)]
    pub record_id: String,
    /// The person's name.
    #[serde(default)]
    pub person_name: Option<String>,
    /// The company's name.
    #[serde(default)]
    pub company_name: Option<String>,
}

/// The rule that chose one record of several.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
pub enum ChosenBy {
    /// The kind of record: a contact before an account or person account, that before a lead.
    Object,
    /// The newest `LastModifiedDate` among records of that kind.
    Newest,
    /// The lowest ID among records that changed at the same time.
    LowestId,
}

/// Who stood behind a number before Salesforce no longer knew it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Was {
    /// The company's name.
    pub company_name: Option<String>,
    /// The person's name.
    pub person_name: Option<String>,
    /// When a run first found that Salesforce no longer knows the number.
    #[schema(value_type = String, format = DateTime)]
    pub gone_since: Timestamp,
}

/// What Salesforce was last asked about a number.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Asked {
    /// When it was asked; `None` if it was not asked yet.
    pub asked_at: Option<Timestamp>,
    /// Whether it did not know the number then.
    pub not_found: bool,
    /// Who it was, if Salesforce knew the number before.
    pub was: Option<Was>,
}

/// The kinds of Salesforce record that a number is looked up on.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema,
)]
pub enum RecordObject {
    /// A contact, or the person contact of a person account.
    Contact,
    /// An account.
    Account,
    /// A lead.
    Lead,
}

/// Who wrote a contact.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
pub enum ContactSource {
    /// A worker, from Salesforce.
    Salesforce,
    /// A person, by hand.
    Manual,
}

/// What a person writes into a contact by hand (`PUT /v1/contacts/{number}`). At least one name is
/// needed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ContactEdit {
    /// The company's name.
    #[serde(default)]
    #[schema(max_length = 255)]
    pub company_name: Option<String>,
    /// The person's name.
    #[serde(default)]
    #[schema(max_length = 255)]
    pub person_name: Option<String>,
}

// === Workers: calls ===

/// Takes calls to resolve (`POST /v1/worker/calls/claim`).
///
/// Only calls that have ended are handed out (a call whose end was never reported counts as ended
/// four hours after its start), the oldest number first, and all calls of a number together.
/// Repeating the request is safe: a holder first gets back what it already holds and has not marked
/// done, with the claim extended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClaimRequest {
    /// Who takes them: 1 to 100 letters, digits, `-`, `_`, `.` or `/`. Two workers that may run at
    /// the same time need two names; a restarted worker that keeps its name gets its own calls
    /// back at once.
    #[schema(pattern = "^[A-Za-z0-9._/-]{1,100}$")]
    pub holder: String,
    /// Only calls that started at or after this time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub since: Option<Timestamp>,
    /// Only calls that started before this time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub until: Option<Timestamp>,
    /// The daily run's way: a number that has a contact is not handed out, its calls are settled
    /// as done instead.
    #[serde(default)]
    pub only_missing: bool,
    /// How many different numbers at most: 1 to 1000.
    #[serde(default = "default_claim_limit")]
    #[schema(minimum = 1, maximum = 1000, default = 200)]
    pub limit: u32,
    /// For how many seconds nobody else gets them: 1 to 3600.
    #[serde(default = "default_claim_for")]
    #[schema(minimum = 1, maximum = 3600, default = 300)]
    pub claim_for: u32,
}

/// Calls that the holder has to resolve.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClaimedCalls {
    /// The calls, those of one number next to each other. Empty: nothing is left to do.
    #[serde(deserialize_with = "few::<_, _, MAX_READ>")]
    pub calls: Vec<ClaimedCall>,
    /// When they were handed out, by the clock that all replicas share. What is found out about
    /// their numbers is written with this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub claimed_at: Option<Timestamp>,
    /// Until when they belong to the holder, by that clock.
    #[schema(value_type = String, format = DateTime)]
    pub claimed_until: Timestamp,
    /// Calls that this request settled because their number has a contact (only with
    /// `onlyMissing`).
    pub settled: u32,
}

/// A call to resolve.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClaimedCall {
    /// The platform's ID of the leg; mark it done with this.
    pub id: String,
    /// The customer's number as the platform spelled it.
    pub number: String,
    /// The directory's own reading of it, with the region of the token that brought the call in.
    /// The worker reads `number` again with its own region, and what it reads counts.
    #[schema(value_type = Option<String>)]
    pub e164: Option<E164>,
    /// When the call began.
    #[schema(value_type = String, format = DateTime)]
    pub started_at: Timestamp,
    /// When the call ended, where the platform said so.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub ended_at: Option<Timestamp>,
    /// Whether Salesforce did not know the number when it was last asked, and the time to ask
    /// again has not come. The worker then spends no second question on it.
    #[serde(default)]
    pub missed: bool,
}

/// Marks calls as done (`POST /v1/worker/calls/done`). Repeating it changes nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct DoneRequest {
    /// The calls, at most 1,000.
    #[serde(deserialize_with = "few::<_, _, MAX_READ>")]
    #[schema(max_items = 1000)]
    pub calls: Vec<DoneCall>,
}

/// A call that is done, and how the worker read its number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct DoneCall {
    /// The platform's ID of the leg.
    pub id: String,
    /// How the worker read the number.
    pub reading: Reading,
}

/// How the worker read a call's number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub enum Reading {
    /// It is this number, and it was looked up.
    #[schema(value_type = String)]
    E164(E164),
    /// It is not looked up, for this reason (in words, at most 200 characters).
    NotLookedUp(String),
}

/// What became of the calls marked done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct DoneReceipt {
    /// Calls that are done now, those that were before included.
    pub done: u32,
    /// Calls that the directory does not know, of which there is nothing to look up, or whose
    /// number was erased.
    pub unknown: u32,
}

/// Hands back every call that the holder has and did not finish (`POST /v1/worker/calls/release`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReleaseRequest {
    /// Who hands them back.
    #[schema(pattern = "^[A-Za-z0-9._/-]{1,100}$")]
    pub holder: String,
}

/// How many calls were handed back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReleaseReceipt {
    /// The calls handed back.
    pub released: u32,
}

// === Workers: numbers ===

/// Asks which numbers Salesforce is to be asked for again (`POST /v1/worker/numbers/again`).
///
/// A number comes again until a write of contacts says what Salesforce knows about it, so that a
/// worker that is killed loses nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AgainRequest {
    /// Fingerprint of the settings that decide whether a record matches. Misses that were asked
    /// with others are due at once.
    #[schema(max_length = 100)]
    pub settings: String,
    /// How many numbers at most: 0 to 10,000. With 0, the numbers that are left are counted.
    #[schema(maximum = 10_000)]
    pub limit: u32,
    /// How many seconds lie between two rounds of misses: 0 to 86,400. Within a round only those
    /// are handed out that were due when it began, so that a worker that runs every few minutes
    /// asks for them together.
    #[serde(default)]
    #[schema(maximum = 86_400)]
    pub round_every: u32,
    /// A re-retrieval to begin. One that is known already goes on; another one takes its place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub begin: Option<BeginRetrieval>,
}

/// A re-retrieval: the numbers of the call history are asked for again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct BeginRetrieval {
    /// Identifies the request: 1 to 100 characters. The same one is one re-retrieval.
    #[schema(min_length = 1, max_length = 100)]
    pub request: String,
    /// How many days of the history: 1 to 9999, at most what the directory keeps.
    #[schema(minimum = 1, maximum = 9999)]
    pub history_days: u32,
    /// Whether numbers that have a contact are asked for, too.
    pub named: bool,
}

/// Numbers that Salesforce is to be asked for again.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct NumbersToAsk {
    /// Those of the re-retrieval, the newest call first.
    #[serde(deserialize_with = "few::<_, _, MAX_NUMBERS>")]
    #[schema(value_type = Vec<String>)]
    pub retrieval: Vec<E164>,
    /// Numbers that Salesforce did not know and that are due, the longest due first.
    #[serde(deserialize_with = "few::<_, _, MAX_NUMBERS>")]
    #[schema(value_type = Vec<String>)]
    pub misses: Vec<E164>,
    /// When the first of `misses` was last asked, if all of them were asked with these settings.
    /// None of them is on a record that did not change since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub missed_since: Option<Timestamp>,
    /// Whether there are more than these.
    pub more: bool,
    /// How many numbers the re-retrieval has still to ask; counted only with a limit of 0.
    pub remaining: u64,
}

// === Workers: contacts ===

/// Writes contacts from Salesforce (`POST /v1/worker/contacts`). Repeating it changes nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct WriteContactsRequest {
    /// What happens to a number that has a contact.
    pub policy: WritePolicy,
    /// The contacts, at most 1,000, each number once.
    #[serde(deserialize_with = "few::<_, _, MAX_READ>")]
    #[schema(max_items = 1000)]
    pub contacts: Vec<FoundContact>,
    /// Numbers that Salesforce does not know, at most 1,000, each once and none of `contacts`.
    /// With `overwrite` and `refresh`, a contact that came from Salesforce goes and its name is
    /// kept as what it was; one that was written by hand stays.
    #[serde(
        default,
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "few::<_, _, MAX_READ>"
    )]
    #[schema(value_type = Vec<String>, max_items = 1000)]
    pub not_found: Vec<E164>,
    /// The kinds of record that were searched on all phone fields. A contact from a record of
    /// another kind does not go, since Salesforce was not asked about it.
    #[serde(
        default,
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "few::<_, _, MAX_READ>"
    )]
    pub searched: Vec<RecordObject>,
    /// Fingerprint of the settings that decided whether a record matches; misses are asked again
    /// when it changes.
    #[serde(default)]
    pub settings: String,
    /// The run that asked, and what the question cost; kept for each number, so that its last
    /// question can be told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked_by: Option<AskedBy>,
    /// `claimedAt` of the last claim before Salesforce was asked. What was written about a number
    /// with a later claim is newer than this request, and stays.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub claimed_at: Option<Timestamp>,
}

/// How Salesforce was asked about the numbers of a write.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AskedBy {
    /// The run, by the name of its Job: 1 to 253 characters.
    #[schema(min_length = 1, max_length = 253)]
    pub run: String,
    /// API requests of the question, which all numbers of the write share; 0 where the address
    /// book answered.
    pub api_calls: u32,
}

/// What happens to a number that has a contact.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum WritePolicy {
    /// It stays as it is: the daily run.
    OnlyMissing,
    /// It is replaced, whoever wrote it: the after-call run.
    Overwrite,
    /// It is replaced if it came from Salesforce, and stays if it was written by hand: following.
    Refresh,
}

/// A number and the record that Salesforce has for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct FoundContact {
    /// The number.
    #[schema(value_type = String, pattern = r"^\+[1-9][0-9]{1,14}$", example = "+81312345678")]
    pub number: E164,
    /// The company's name.
    #[serde(default)]
    pub company_name: Option<String>,
    /// The person's name.
    #[serde(default)]
    pub person_name: Option<String>,
    /// The kind of record.
    pub object: RecordObject,
    /// The ID of the record.
    #[schema(min_length = 1)]
    pub record_id: String,
    /// Where a person can open the record.
    #[serde(default)]
    pub link: Option<String>,
    /// The person's title.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// The name of the record's owner.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner_name: Option<String>,
    /// The other records that hold the number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alternatives: Option<Alternatives>,
    /// The records that hold the number, best first, at most 20: with them a change of one of them
    /// is understood without asking again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_items = 20)]
    pub holders: Option<Vec<Holder>>,
    /// Whether these are all records that hold it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub all_holders: bool,
}

/// What became of each number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct WriteContactsReceipt {
    /// One outcome for each number of the request.
    #[schema(value_type = BTreeMap<String, WriteOutcome>)]
    pub outcomes: BTreeMap<E164, WriteOutcome>,
    /// Contacts that went because Salesforce no longer knows their numbers.
    #[serde(default)]
    pub gone: u32,
}

/// What became of a contact that a worker wrote.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum WriteOutcome {
    /// The directory holds what the worker sent.
    Written,
    /// A contact was there, and it stayed as it was; or the number was erased, and nothing is
    /// kept about it.
    Kept,
}

// === Errors ===

/// Since when the tokens of a company have to be issued, to be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TokensNotBefore {
    /// The first good time of issue.
    #[schema(value_type = String, format = DateTime)]
    pub not_before: Timestamp,
}

/// An error as the directory answers it (RFC 9457, `application/problem+json`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Problem {
    /// The HTTP status in words.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// One word for programs, for example `wrong-purpose`.
    pub code: String,
    /// One sentence for people: which field, what is wrong, what to do.
    pub detail: String,
    /// Of a number under which nobody is known: when Salesforce was last asked about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub asked_at: Option<Timestamp>,
    /// Of a number under which nobody is known: whether Salesforce did not know it then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_found: Option<bool>,
    /// Of a number that Salesforce no longer knows: who it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub was: Option<Was>,
}

fn default_claim_limit() -> u32 {
    200
}

fn default_claim_for() -> u32 {
    300
}

// === impl WriteContactsReceipt ===

impl WriteContactsReceipt {
    /// Number of contacts that the directory now holds as they were sent.
    pub fn written(&self) -> usize {
        self.count(WriteOutcome::Written)
    }

    /// Number of contacts that stayed as they were.
    pub fn kept(&self) -> usize {
        self.count(WriteOutcome::Kept)
    }

    fn count(&self, outcome: WriteOutcome) -> usize {
        self.outcomes.values().filter(|o| **o == outcome).count()
    }
}

// === impl WriteContactsRequest ===

impl WriteContactsRequest {
    /// A request that writes contacts and says nothing about other numbers.
    pub fn new(policy: WritePolicy, contacts: Vec<FoundContact>) -> Self {
        Self {
            policy,
            contacts,
            not_found: Vec::new(),
            searched: Vec::new(),
            settings: String::new(),
            asked_by: None,
            claimed_at: None,
        }
    }
}

// === impl ClaimRequest ===

impl ClaimRequest {
    /// A request with the documented defaults.
    pub fn new(holder: impl Into<String>) -> Self {
        Self {
            holder: holder.into(),
            since: None,
            until: None,
            only_missing: false,
            limit: default_claim_limit(),
            claim_for: default_claim_for(),
        }
    }
}

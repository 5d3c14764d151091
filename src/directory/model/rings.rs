//! Rings: numbers that call at this moment and that Salesforce is to be asked about.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Direction, MAX_BULK, MAX_READ};
use crate::json::few;
use crate::phone::{E164, Region};

/// The longest time that `GET /v1/contacts/{number}?wait=…` waits.
pub const MAX_WAIT: Duration = Duration::from_secs(10);

/// For how long a ring is asked about after it rang. Later the call has ended, and is looked up as
/// any other.
pub const LASTS: Duration = Duration::from_secs(600);

/// The most rings of a lease.
pub(crate) const MAX_RINGS: u32 = 200;

/// A phone rings (`POST /v1/rings`). Repeating it changes nothing. Other fields are not read, so
/// that a platform may send what it has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RingRequest {
    /// The other side's number, in any spelling.
    #[schema(example = "0312345678")]
    pub number: String,
    /// The region that a national number is read with; the token's region when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, pattern = "^[A-Z]{2}$", example = "JP")]
    pub region: Option<Region>,
    /// Which way the call goes; `Internal` is not asked about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(inline)]
    pub direction: Option<Direction>,
    /// Since when it rings; now when absent. Ten minutes later a ring is no longer one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub at: Option<Timestamp>,
}

/// The answer to a ring. It tells nothing about the number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RingReceipt {
    /// Whether a name is there, or on its way as far as Salesforce knows one.
    pub accepted: bool,
    /// Why not: one word for programs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// The same in a sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// Takes rings to answer (`POST /v1/worker/rings/claim`), the newest first. A holder that asks
/// again first gets back what it holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClaimRingsRequest {
    /// Who takes them, as for calls.
    #[schema(pattern = "^[A-Za-z0-9._/-]{1,100}$")]
    pub holder: String,
    /// How many at most: 1 to 200.
    #[serde(default = "default_limit")]
    #[schema(minimum = 1, maximum = 200, default = 50)]
    pub limit: u32,
    /// For how many seconds nobody else gets them: 1 to 300.
    #[serde(default = "default_claim_for")]
    #[schema(minimum = 1, maximum = 300, default = 15)]
    pub claim_for: u32,
}

/// Rings that the holder has to answer: each number is written as a contact or as not found
/// (`POST /v1/worker/contacts`), or settled (`POST /v1/worker/rings/settle`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClaimedRings {
    /// The rings, the newest first. Empty: none is left.
    #[serde(deserialize_with = "few::<_, _, MAX_BULK>")]
    pub rings: Vec<ClaimedRing>,
    /// Until when they belong to the holder.
    #[schema(value_type = String, format = DateTime)]
    pub claimed_until: Timestamp,
}

/// A ring to answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClaimedRing {
    /// The number.
    #[schema(value_type = String, example = "+81312345678")]
    pub number: E164,
    /// When it last rang.
    #[schema(value_type = String, format = DateTime)]
    pub rang_at: Timestamp,
    /// Whether Salesforce did not know the number when it was last asked, and the time to ask
    /// again has not come. No second question is spent on it then.
    #[serde(default)]
    pub missed: bool,
}

/// Says why leased rings could not be asked. Who waits for them is told, and the rings are handed
/// out again a minute later, as long as they are rings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct SettleRingsRequest {
    /// Who holds them. What another one holds by now is left alone.
    #[schema(pattern = "^[A-Za-z0-9._/-]{1,100}$")]
    pub holder: String,
    /// Their numbers, at most 1,000.
    #[serde(deserialize_with = "few::<_, _, MAX_READ>")]
    #[schema(value_type = Vec<String>, max_items = 1000)]
    pub numbers: Vec<E164>,
    /// Why they were not asked.
    pub why: NotAsked,
}

/// Why Salesforce was not asked about a ring.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum NotAsked {
    /// The integration has used up its share of the org's API requests.
    BudgetExhausted,
    /// Salesforce did not answer.
    Unreachable,
    /// The integration may not ask: it is suspended, not connected, its log-in is withheld, or its
    /// look-ups run in pods.
    Withheld,
    /// Salesforce refused, or the answer could not be read.
    #[serde(other)]
    Failed,
}

/// How many rings were settled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct SettleRingsReceipt {
    /// The rings that the holder had and that were settled.
    pub settled: u32,
}

fn default_limit() -> u32 {
    50
}

fn default_claim_for() -> u32 {
    15
}

// === impl ClaimRingsRequest ===

impl ClaimRingsRequest {
    /// A request with the documented defaults.
    pub fn new(holder: impl Into<String>) -> Self {
        Self {
            holder: holder.into(),
            limit: default_limit(),
            claim_for: default_claim_for(),
        }
    }
}

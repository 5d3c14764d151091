//! `GET /v1/waiting`: which companies have something that waits.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::company_id::CompanyId;
use crate::shard::Shard;

/// The event of a company that waits, with a [`Waiting`].
pub const WAITING: &str = "waiting";

/// The event that comes when all has been told that waited when the stream began.
pub const CAUGHT_UP: &str = "caught-up";

/// How often a stream shows that it lives.
pub const HEARTBEAT: Duration = Duration::from_secs(10);

/// How often a stream tells again what still waits: calls whose lease has ended, rings to be asked
/// again, and whatever a replica that died had not told.
pub const TOLD_AGAIN: Duration = Duration::from_secs(60);

/// Something of a company waits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Waiting {
    /// The company.
    #[schema(value_type = String, example = "acme-tokyo")]
    pub company_id: CompanyId,
    /// Calls that a worker can take (`POST /v1/worker/calls/claim`).
    #[serde(default)]
    pub calls: bool,
    /// Rings that somebody can take (`POST /v1/worker/rings/claim`).
    #[serde(default)]
    pub rings: bool,
}

/// What a stream is about.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct WaitingQuery {
    /// Only what came after this position, an `id` of the stream; the header `Last-Event-ID` says
    /// the same. One that the directory does not know begins the stream anew.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// Only companies of integrations whose namespaces belong to this shard, such as `0/4`, and
    /// those of no integration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[param(value_type = Option<String>, pattern = "^[0-9]{1,4}/[0-9]{1,4}$", example = "0/4")]
    pub shard: Option<Shard>,
}

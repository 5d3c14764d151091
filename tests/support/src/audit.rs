//! The API server's audit log. Tests count writes with it, and prove that rights are neither too
//! wide nor too narrow.

use std::fs::File;
use std::io::{BufRead, BufReader, Seek, SeekFrom};
use std::path::Path;

use jiff::Timestamp;
use serde::Deserialize;

use crate::error::{Context, Result};

/// One request that the API server has answered. For a watch, the answer has begun.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditEvent {
    /// User of the request; with impersonation, the impersonated one. A service account is
    /// `system:serviceaccount:NAMESPACE:NAME`.
    pub user: String,
    /// The client's `User-Agent`.
    pub user_agent: String,
    /// `get`, `list`, `watch`, `create`, `update`, `patch`, `delete`, `deletecollection`; the
    /// lower-case HTTP method for a path that is no resource.
    pub verb: String,
    /// API group, empty for the core group.
    pub group: String,
    /// Resource in the plural, or empty for a path that is no resource.
    pub resource: String,
    /// `status`, `binding`, `token` and the like; empty for the resource itself.
    pub subresource: String,
    /// Namespace; empty for cluster-wide requests.
    pub namespace: String,
    /// Name of the object, or empty (lists, and objects with a generated name).
    pub name: String,
    /// Path and query of the request.
    pub uri: String,
    /// HTTP status code.
    pub code: u16,
    /// Whether the request failed for lack of rights. A 403 may also come from a quota or a
    /// policy.
    pub forbidden: bool,
    /// Time at which the API server received the request.
    pub time: Timestamp,
}

impl AuditEvent {
    /// Whether the request could change something; this includes refused requests.
    pub fn is_write(&self) -> bool {
        matches!(
            self.verb.as_str(),
            "create" | "update" | "patch" | "delete" | "deletecollection"
        )
    }

    /// Whether the request was refused for lack of rights.
    pub fn is_forbidden(&self) -> bool {
        self.forbidden
    }
}

/// A position in the audit log. Readers skip everything before it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AuditMark(u64);

/// The current end of the log.
pub(crate) fn mark(log: &Path) -> Result<AuditMark> {
    let length = std::fs::metadata(log)
        .context(|| "look at the audit log")?
        .len();
    Ok(AuditMark(length))
}

/// Returns the requests after the mark whose log line contains `words`, in the order of their ends.
pub(crate) fn read(log: &Path, since: AuditMark, words: &str) -> Result<Vec<AuditEvent>> {
    let mut file = File::open(log).context(|| "open the audit log")?;
    file.seek(SeekFrom::Start(since.0))
        .context(|| "seek in the audit log")?;
    let mut events = Vec::new();
    for line in BufReader::new(file).lines() {
        let line = line.context(|| "read the audit log")?;
        if !line.contains(words) {
            continue;
        }
        // The last line may be incomplete, because the API server still writes it.
        let Ok(entry) = serde_json::from_str::<Entry>(&line) else {
            continue;
        };
        // The log has two entries for a watch, at its start and at its end; only the start counts.
        let counts = if entry.verb == "watch" {
            entry.stage == "ResponseStarted"
        } else {
            entry.stage == "ResponseComplete"
        };
        if counts {
            events.push(entry.into());
        }
    }
    Ok(events)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    stage: String,
    #[serde(default, rename = "requestURI")]
    request_uri: String,
    verb: String,
    user: User,
    impersonated_user: Option<User>,
    #[serde(default)]
    user_agent: String,
    #[serde(default)]
    object_ref: ObjectRef,
    #[serde(default)]
    response_status: ResponseStatus,
    request_received_timestamp: Timestamp,
    #[serde(default)]
    annotations: Annotations,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Annotations {
    #[serde(rename = "authorization.k8s.io/decision")]
    decision: String,
}

#[derive(Deserialize)]
struct User {
    #[serde(default)]
    username: String,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct ObjectRef {
    resource: String,
    subresource: String,
    namespace: String,
    name: String,
    api_group: String,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct ResponseStatus {
    code: u16,
}

impl From<Entry> for AuditEvent {
    fn from(entry: Entry) -> Self {
        Self {
            user: entry.impersonated_user.unwrap_or(entry.user).username,
            user_agent: entry.user_agent,
            verb: entry.verb,
            group: entry.object_ref.api_group,
            resource: entry.object_ref.resource,
            subresource: entry.object_ref.subresource,
            namespace: entry.object_ref.namespace,
            name: entry.object_ref.name,
            uri: entry.request_uri,
            code: entry.response_status.code,
            forbidden: entry.annotations.decision == "forbid",
            time: entry.request_received_timestamp,
        }
    }
}

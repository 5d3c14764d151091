//! What the simulator saw: counters for assertions, and a log of requests.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;

use crate::org::sessions::LoginMethod;

/// One attempt to log in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Login {
    /// The simulator's time.
    pub at: Timestamp,
    /// The user name as it was given (or the client id, for client credentials without a user).
    pub username: String,
    /// How.
    pub method: LoginMethod,
    /// `OK`, or the code: `INVALID_LOGIN`, `invalid_grant`, ...
    pub outcome: String,
    /// The cause that only the Login History would tell: `locked`, `wrong password`, `flow disabled`, ...
    pub cause: String,
}

/// One request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LoggedRequest {
    /// Since the simulator started, by the machine's clock: for rates.
    pub since_start: Duration,
    /// The simulator's time.
    pub at: Timestamp,
    /// Method.
    pub method: String,
    /// Path, without the query.
    pub path: String,
    /// Status; 0 when the connection was cut instead.
    pub status: u16,
    /// `User-Agent`.
    pub user_agent: Option<String>,
    /// `Sforce-Call-Options`.
    pub call_options: Option<String>,
    /// The org's name, once known.
    pub org: Option<String>,
    /// The user's name, once known.
    pub user: Option<String>,
    /// What it was: `query`, `composite`, `soapLogin`, ...
    pub kind: String,
}

/// Counters since the start, or since they were last cleared.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Counters {
    /// Requests that reached the simulator, of whatever kind.
    pub requests: u64,
    /// Connections accepted.
    pub connections: u64,
    /// The most requests that were in flight at one time.
    pub max_concurrent: u64,
    /// Log-ins, good and bad, in order.
    pub logins: Vec<Login>,
    /// Requests by kind: `query`, `queryMore`, `queryAll`, `composite`, `batch`, `describe`, `soapLogin`, `token`, ...
    pub by_kind: BTreeMap<String, u64>,
    /// Calls that counted against an org's allocation, by org name.
    pub api_calls_by_org: BTreeMap<String, u64>,
    /// Calls that counted, by user name.
    pub api_calls_by_user: BTreeMap<String, u64>,
    /// Calls that counted, by kind of request.
    pub api_calls_by_kind: BTreeMap<String, u64>,
    /// Queries in each composite request, in order.
    pub composite_queries: Vec<u64>,
    /// Rows returned by queries.
    pub rows_returned: u64,
    /// Answers by status; 0 for cut connections.
    pub by_status: BTreeMap<u16, u64>,
    /// Faults that struck.
    pub faults: u64,
}

impl Counters {
    /// Log-ins that succeeded.
    pub fn logins_ok(&self) -> usize {
        self.logins
            .iter()
            .filter(|login| login.outcome == "OK")
            .count()
    }

    /// Log-ins that were refused.
    pub fn logins_failed(&self) -> usize {
        self.logins.len() - self.logins_ok()
    }

    /// Log-ins of a user, good and bad.
    pub fn logins_of(&self, username: &str) -> usize {
        self.logins
            .iter()
            .filter(|login| login.username.eq_ignore_ascii_case(username))
            .count()
    }

    /// Calls that counted against any allocation.
    pub fn api_calls(&self) -> u64 {
        self.api_calls_by_org.values().sum()
    }

    /// Requests of a kind.
    pub fn kind(&self, kind: &str) -> u64 {
        self.by_kind.get(kind).copied().unwrap_or(0)
    }
}

/// How many requests the log keeps.
const LOG_LIMIT: usize = 100_000;

/// The last requests.
#[derive(Debug, Default)]
pub(crate) struct RequestLog(VecDeque<LoggedRequest>);

impl RequestLog {
    pub(crate) fn push(&mut self, request: LoggedRequest) {
        if self.0.len() == LOG_LIMIT {
            self.0.pop_front();
        }
        self.0.push_back(request);
    }

    pub(crate) fn all(&self) -> Vec<LoggedRequest> {
        self.0.iter().cloned().collect()
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }
}

//! Counters of the simulator for assertions, and a log of requests.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;

use crate::org::sessions::LoginMethod;

/// One log-in attempt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Login {
    /// Time of the attempt, by the simulator's clock.
    pub at: Timestamp,
    /// The user name as the client sent it; the client id for client credentials without a user.
    pub username: String,
    /// The protocol or OAuth flow of the attempt.
    pub method: LoginMethod,
    /// `OK`, or the error code: `INVALID_LOGIN`, `invalid_grant`, ...
    pub outcome: String,
    /// The cause, which only the Login History shows: `locked`, `wrong password`, `flow disabled`,
    /// ...
    pub cause: String,
}

/// One request in the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LoggedRequest {
    /// Time since the simulator started, by the machine's clock; for rates.
    pub since_start: Duration,
    /// Time of the request, by the simulator's clock.
    pub at: Timestamp,
    /// How many requests were in flight when it arrived, itself included.
    pub in_flight: u64,
    /// HTTP method.
    pub method: String,
    /// Path without the query string.
    pub path: String,
    /// HTTP status; 0 when the simulator cut the client connection instead of an answer.
    pub status: u16,
    /// Value of `User-Agent`.
    pub user_agent: Option<String>,
    /// Value of `Sforce-Call-Options`.
    pub call_options: Option<String>,
    /// Name of the org; `None` when it is unknown.
    pub org: Option<String>,
    /// User name; `None` when it is unknown.
    pub user: Option<String>,
    /// Kind of request: `query`, `composite`, `soapLogin`, ...
    pub kind: String,
}

/// Counters since the start or the last reset.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Counters {
    /// All requests that reached the simulator.
    pub requests: u64,
    /// Accepted client connections.
    pub connections: u64,
    /// The largest number of requests in flight at one time.
    pub max_concurrent: u64,
    /// Log-in attempts, successful and failed, in order.
    pub logins: Vec<Login>,
    /// Number of requests; key: the kind (`query`, `queryMore`, `queryAll`, `composite`, `batch`,
    /// `describe`, `soapLogin`, `token`, ...).
    pub by_kind: BTreeMap<String, u64>,
    /// Calls that counted against an org's allocation; key: the org's name.
    pub api_calls_by_org: BTreeMap<String, u64>,
    /// Calls that counted against an allocation; key: the user name.
    pub api_calls_by_user: BTreeMap<String, u64>,
    /// Calls that counted against an allocation; key: the kind of request.
    pub api_calls_by_kind: BTreeMap<String, u64>,
    /// Number of queries in each composite request, in order.
    pub composite_queries: Vec<u64>,
    /// Rows returned by queries.
    pub rows_returned: u64,
    /// Number of answers; key: the status, 0 for a client connection that was cut.
    pub by_status: BTreeMap<u16, u64>,
    /// Number of faults that were applied.
    pub faults: u64,
}

impl Counters {
    /// Number of successful log-ins.
    pub fn logins_ok(&self) -> usize {
        self.logins
            .iter()
            .filter(|login| login.outcome == "OK")
            .count()
    }

    /// Number of refused log-ins.
    pub fn logins_failed(&self) -> usize {
        self.logins.len() - self.logins_ok()
    }

    /// Number of log-in attempts of a user, successful and failed.
    pub fn logins_of(&self, username: &str) -> usize {
        self.logins
            .iter()
            .filter(|login| login.username.eq_ignore_ascii_case(username))
            .count()
    }

    /// Number of calls that counted against any allocation.
    pub fn api_calls(&self) -> u64 {
        self.api_calls_by_org.values().sum()
    }

    /// Number of requests of one kind.
    pub fn kind(&self, kind: &str) -> u64 {
        self.by_kind.get(kind).copied().unwrap_or(0)
    }
}

/// Maximum number of requests in the log.
const LOG_LIMIT: usize = 100_000;

/// The most recent requests.
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

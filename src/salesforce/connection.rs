//! One credential's connection to Salesforce: its session, its queries, its cost.

use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde_json::Value;
use url::Url;

use super::credentials::Credentials;
use super::environment::{ApiVersion, Environment};
use super::error::{Error, Phase};
use super::meaning::Meaning;
use super::rest::{NextPage, Page, Subrequest, Subresponse, Version};
use super::session::SessionInfo;
use super::transport::Transport;
use super::usage::{Spent, Usage};

/// One credential's connection; clones share session and counters.
#[derive(Clone)]
pub struct Connection(Arc<Inner>);

struct Inner {
    _transport: Transport,
    login_url: Url,
    api_version: ApiVersion,
    credentials: Credentials,
}

impl Connection {
    /// A connection that has not logged in yet.
    pub fn new(
        transport: Transport,
        login_url: Url,
        api_version: ApiVersion,
        credentials: Credentials,
    ) -> Connection {
        Connection(Arc::new(Inner {
            _transport: transport,
            login_url,
            api_version,
            credentials,
        }))
    }

    /// Names the environment, which decides the audience of a JWT; without it the login URL decides.
    #[must_use]
    pub fn environment(self, _environment: Environment) -> Connection {
        self
    }

    /// The same connection, but one that never logs in: without a session it answers LoginWithheld.
    #[must_use]
    pub fn without_login(&self) -> Connection {
        self.clone()
    }

    /// Forgets that the log-in was refused: the tenant asked for a new attempt.
    pub fn allow_login_again(&self) {}

    /// The API version of all calls.
    pub fn api_version(&self) -> ApiVersion {
        self.0.api_version
    }

    /// Where this connection logs in.
    pub fn login_url(&self) -> &Url {
        &self.0.login_url
    }

    /// The credential.
    pub fn credentials(&self) -> &Credentials {
        &self.0.credentials
    }

    /// The session: the one there is, or a new log-in, one at a time for all callers.
    pub async fn session(&self) -> Result<SessionInfo, Error> {
        Err(unfinished())
    }

    /// Whether there is a session.
    pub fn has_session(&self) -> bool {
        false
    }

    /// Runs a query and returns its first page.
    pub async fn query<T: DeserializeOwned>(&self, _soql: &str) -> Result<Page<T>, Error> {
        Err(unfinished())
    }

    /// The next page of a query.
    pub async fn query_next<T: DeserializeOwned>(
        &self,
        _next: &NextPage,
    ) -> Result<Page<T>, Error> {
        Err(unfinished())
    }

    /// Several requests as one API call.
    pub async fn composite(&self, _requests: &[Subrequest]) -> Result<Vec<Subresponse>, Error> {
        Err(unfinished())
    }

    /// The description of an object.
    pub async fn describe(&self, _sobject: &str) -> Result<Value, Error> {
        Err(unfinished())
    }

    /// The API versions that the instance supports; costs nothing.
    pub async fn versions(&self) -> Result<Vec<Version>, Error> {
        Err(unfinished())
    }

    /// The organization's API usage, as the last answer told it.
    pub fn usage(&self) -> Option<Usage> {
        None
    }

    /// What this connection has cost so far.
    pub fn spent(&self) -> Spent {
        Spent::default()
    }
}

fn unfinished() -> Error {
    Error::new(Meaning::Unreachable, Phase::Request, "not there yet")
}

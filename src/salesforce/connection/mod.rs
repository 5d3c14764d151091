//! The connection of one credential to Salesforce: its session, its queries, its cost.

pub(crate) mod bulk;
mod composite;
pub(crate) mod retry;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use http::header::{AUTHORIZATION, DATE};
use http::{HeaderName, HeaderValue};
use jiff::Timestamp;
use jiff::fmt::rfc2822;
use parking_lot::Mutex;
use secrecy::{ExposeSecret, SecretString};
use serde::de::DeserializeOwned;
use tracing::debug;
use url::Url;
use zeroize::Zeroizing;

use self::retry::RetryPolicy;
use super::answers::error::{Error, Phase};
use super::answers::meaning::Meaning;
use super::answers::{Incoming, failure};
use super::credentials::Credentials;
use super::credentials::environment::{ApiVersion, Environment};
use super::login::gate::{LoginGate, LoginWithheld};
use super::login::session::{Granted, Session, SessionInfo, SessionKeeper, SharedSession};
use super::rest::sosl::Sosl;
use super::rest::usage::{Spent, Usage};
use super::rest::{NextPage, Page, Path, Version};
use super::text::Redactor;
use super::transport::{Outgoing, Transport, Wanted, millis};
use super::{login, rest};

/// The connection of one credential. Clones share session and counters.
#[derive(Clone)]
pub struct Connection {
    shared: Arc<Shared>,
    environment: Environment,
    retry: RetryPolicy,
    may_log_in: bool,
    logins_at_most: Option<u64>,
    gate: Option<Arc<dyn LoginGate>>,
    calls_at_most: Option<u64>,
    composites_at_most: usize,
}

struct Shared {
    transport: Transport,
    login_url: Url,
    api_version: ApiVersion,
    /// `None` for a connection that never logs in.
    credentials: Option<Credentials>,
    redactor: Redactor,
    keeper: Arc<SessionKeeper>,
    calls: AtomicU64,
    usage: Mutex<Option<Usage>>,
    /// The instance's clock at its last answer.
    clock: Mutex<Option<Timestamp>>,
}

impl Connection {
    /// A connection that has not logged in yet.
    pub fn new(
        transport: Transport,
        login_url: Url,
        api_version: ApiVersion,
        credentials: Credentials,
    ) -> Self {
        Self::sharing(
            &SharedSession::default(),
            transport,
            login_url,
            api_version,
            credentials,
        )
    }

    /// A connection that uses an existing session, or leaves a new one in `session`, which outlives
    /// the connection. Only the connection holds the credential, so the owner of the session need
    /// not keep it.
    pub fn sharing(
        session: &SharedSession,
        transport: Transport,
        login_url: Url,
        api_version: ApiVersion,
        credentials: Credentials,
    ) -> Self {
        let redactor = Redactor::new(credentials.secrets());
        let credentials = Some(credentials);
        Self::made(
            session,
            transport,
            login_url,
            api_version,
            credentials,
            redactor,
        )
    }

    /// A connection that has no credential and so never logs in: without a session it returns
    /// LoginWithheld.
    pub fn of_session(
        session: &SharedSession,
        transport: Transport,
        login_url: Url,
        api_version: ApiVersion,
    ) -> Self {
        let redactor = Redactor::new([]);
        Self::made(session, transport, login_url, api_version, None, redactor).without_login()
    }

    fn made(
        session: &SharedSession,
        transport: Transport,
        login_url: Url,
        api_version: ApiVersion,
        credentials: Option<Credentials>,
        redactor: Redactor,
    ) -> Self {
        let environment = Environment::of_login_url(&login_url);
        let shared = Shared {
            transport,
            login_url,
            api_version,
            credentials,
            redactor,
            keeper: session.keeper(),
            calls: AtomicU64::new(0),
            usage: Mutex::new(None),
            clock: Mutex::new(None),
        };
        Self {
            shared: Arc::new(shared),
            environment,
            retry: RetryPolicy::default(),
            may_log_in: true,
            logins_at_most: None,
            gate: None,
            calls_at_most: None,
            composites_at_most: rest::MOST_OF_A_COMPOSITE,
        }
    }

    /// Sets the environment, which decides the audience of a JWT. By default the login URL decides.
    #[must_use]
    pub fn environment(self, environment: Environment) -> Self {
        Self {
            environment,
            ..self
        }
    }

    /// Sets how requests that are safe to repeat are repeated. Log-ins are never repeated.
    #[must_use]
    pub fn retry(self, retry: RetryPolicy) -> Self {
        Self { retry, ..self }
    }

    /// Sets the gate that is checked before each log-in. A log-in that the gate refuses is not sent
    /// and returns LoginWithheld.
    #[must_use]
    pub fn login_gate(self, gate: Arc<dyn LoginGate>) -> Self {
        Self {
            gate: Some(gate),
            ..self
        }
    }

    /// A clone that never logs in: without a session it returns LoginWithheld.
    #[must_use]
    pub fn without_login(&self) -> Self {
        Self {
            may_log_in: false,
            ..self.clone()
        }
    }

    /// A clone that stops logging in after this number of log-ins: a session that ends again and
    /// again must not cause a storm of log-ins.
    #[must_use]
    pub fn logins_at_most(&self, most: u64) -> Self {
        Self {
            logins_at_most: Some(most),
            ..self.clone()
        }
    }

    /// A clone that stops repeating requests automatically after this number of API calls. The
    /// caller decides whether a new request may be sent.
    #[must_use]
    pub fn calls_at_most(&self, most: Option<u64>) -> Self {
        Self {
            calls_at_most: most,
            ..self.clone()
        }
    }

    /// A clone that reads no answer to a composite request with more bytes than this: for questions
    /// with few rows.
    #[must_use]
    pub(crate) fn composites_at_most(&self, bytes: usize) -> Self {
        Self {
            composites_at_most: bytes,
            ..self.clone()
        }
    }

    /// Removes a recorded refusal of the log-in, because the tenant requested a new attempt.
    pub fn allow_login_again(&self) {
        self.shared.keeper.forgive();
    }

    /// The API version of all calls.
    pub fn api_version(&self) -> ApiVersion {
        self.shared.api_version
    }

    /// The URL for log-ins.
    pub fn login_url(&self) -> &Url {
        &self.shared.login_url
    }

    /// The credential that this connection logs in with, if it does.
    pub fn credentials(&self) -> Option<&Credentials> {
        self.shared.credentials.as_ref()
    }

    /// The existing session, or a new one by a log-in. All callers share one log-in at a time. A
    /// refused log-in is recorded and not repeated.
    pub async fn session(&self) -> Result<SessionInfo, Error> {
        Ok(self.obtain().await?.info.clone())
    }

    /// Whether there is a session.
    pub fn has_session(&self) -> bool {
        self.shared.keeper.existing().is_some()
    }

    /// Runs a query and returns its first page: one API call.
    pub async fn query<T: DeserializeOwned>(&self, soql: &str) -> Result<Page<T>, Error> {
        let wanted = Wanted::Text(rest::MOST_OF_A_PAGE);
        let incoming = self.get(&Path::Query(soql.to_owned()), wanted).await?;
        rest::read_page(&incoming, &self.shared.redactor)
    }

    /// Searches the index and returns object and Id of each record that it names: one API call. A
    /// composite request takes no search (facts: Salesforce 2.7).
    pub async fn search(&self, sosl: &Sosl) -> Result<Vec<(String, String)>, Error> {
        let wanted = Wanted::Text(rest::MOST_OF_A_SEARCH);
        let path = Path::Search(sosl.as_str().to_owned());
        let incoming = self.get(&path, wanted).await?;
        rest::read_search(&incoming, &self.shared.redactor)
    }

    /// The next page of a query: one API call.
    pub async fn query_next<T: DeserializeOwned>(&self, next: &NextPage) -> Result<Page<T>, Error> {
        let wanted = Wanted::Text(rest::MOST_OF_A_PAGE);
        let incoming = self.get(&Path::Next(next.clone()), wanted).await?;
        rest::read_page(&incoming, &self.shared.redactor)
    }

    /// Whether the user may create records of an object, by its description: one API call. `None`
    /// if the description does not say it. A description may have megabytes; nothing else of it is
    /// kept.
    pub async fn may_create(&self, sobject: &str) -> Result<Option<bool>, Error> {
        let path = Path::Describe(sobject.to_owned());
        let incoming = self.get(&path, Wanted::Flag("createable")).await?;
        match incoming.flag {
            None if !incoming.text.trim_start().starts_with('{') => {
                Err(failure(&incoming, Phase::Request, &self.shared.redactor))
            }
            flag => Ok(flag),
        }
    }

    /// The API versions that the instance supports. Salesforce requires no session for them, and
    /// they cost nothing (facts: Salesforce 2.1).
    pub async fn versions(&self) -> Result<Vec<Version>, Error> {
        let session = self.obtain().await?;
        let url = resource(&session, "/services/data/")?;
        let wanted = Wanted::Text(rest::MOST_OF_THE_VERSIONS);
        let outgoing = Outgoing::get(url, wanted);
        let incoming = self.exchange(outgoing, &session, false).await?;
        rest::read_versions(&incoming, &self.shared.redactor)
    }

    /// The organization's API usage from the last response that reported it; `None` before that.
    pub fn usage(&self) -> Option<Usage> {
        *self.shared.usage.lock()
    }

    /// The instance's own clock at its last answer, which is what stamps records; `None` before
    /// the first answer and where none has a date.
    pub fn server_time(&self) -> Option<Timestamp> {
        *self.shared.clock.lock()
    }

    /// The cost of this connection so far.
    pub fn spent(&self) -> Spent {
        Spent {
            logins: self.shared.keeper.logins(),
            calls: self.shared.calls.load(Ordering::Relaxed),
        }
    }

    async fn obtain(&self) -> Result<Arc<Session>, Error> {
        let shared = &self.shared;
        let environment = self.environment;
        shared
            .keeper
            .obtain(self.may_log_in(), || {
                log_in(Arc::clone(shared), environment, self.gate.clone())
            })
            .await
    }

    fn may_log_in(&self) -> Result<(), LoginWithheld> {
        let sent = self.shared.keeper.logins();
        match self.logins_at_most {
            _ if !self.may_log_in => Err(LoginWithheld::NotAllowed),
            Some(most) if sent >= most => Err(LoginWithheld::UsedUp(most)),
            _ => Ok(()),
        }
    }

    async fn get(&self, path: &Path, wanted: Wanted) -> Result<Incoming, Error> {
        let path = path.path(self.shared.api_version);
        let make = |session: &Session| {
            let url = resource(session, &path)?;
            Ok(Outgoing::get(url, wanted))
        };
        let (incoming, session) = self.call(&make).await?;
        session.prove();
        Ok(incoming)
    }

    /// Sends a request that is safe to repeat, and returns the session that it was sent with. A
    /// session that has expired, or whose host has moved, is replaced once.
    async fn call(
        &self,
        make: &(dyn Fn(&Session) -> Result<Outgoing, Error> + Sync),
    ) -> Result<(Incoming, Arc<Session>), Error> {
        let mut replaced = false;
        let mut sent = 0;
        loop {
            let session = self.obtain().await?;
            let error = match self.repeat(make, &session, &mut sent).await {
                Ok(incoming) => return Ok((incoming, session)),
                Err(error) => error,
            };
            let expired = matches!(
                error.meaning(),
                Meaning::SessionExpired | Meaning::LoginUrlMoved
            );
            let last = replaced || !self.may_repeat();
            if !expired || !self.shared.keeper.drop_expired(&session, &error) || last {
                return Err(error);
            }
            debug!("the session has expired: the request is sent again with another");
            replaced = true;
        }
    }

    fn may_repeat(&self) -> bool {
        let calls = self.shared.calls.load(Ordering::Relaxed);
        self.calls_at_most.is_none_or(|most| calls < most)
    }

    async fn repeat(
        &self,
        make: &(dyn Fn(&Session) -> Result<Outgoing, Error> + Sync),
        session: &Session,
        sent: &mut u32,
    ) -> Result<Incoming, Error> {
        let mut failed = 0;
        loop {
            *sent += 1;
            let outgoing = make(session)?.attempt(*sent);
            let error = match self.exchange(outgoing, session, true).await {
                Ok(incoming) => return Ok(incoming),
                Err(error) => error,
            };
            failed += 1;
            let pause = self.retry.pause(&error, failed, rand::random());
            let Some(pause) = pause.filter(|_| self.may_repeat()) else {
                return Err(error);
            };
            // Salesforce's text is not logged: it may quote the query, with its phone numbers.
            debug!(
                why = error.meaning().code(),
                status = error.status(),
                wait_ms = millis(pause),
                "the request is sent again"
            );
            tokio::time::sleep(pause).await;
        }
    }

    async fn exchange(
        &self,
        outgoing: Outgoing,
        session: &Session,
        counts: bool,
    ) -> Result<Incoming, Error> {
        let shared = &self.shared;
        if counts {
            shared.calls.fetch_add(1, Ordering::Relaxed);
        }
        let outgoing = outgoing.header(AUTHORIZATION, bearer(&session.token)?);
        let incoming = shared
            .transport
            .send(outgoing, Phase::Request, &shared.redactor)
            .await?;
        const LIMIT_INFO: HeaderName = HeaderName::from_static("sforce-limit-info");
        let header = incoming
            .headers
            .get(LIMIT_INFO)
            .and_then(|value| value.to_str().ok());
        if let Some(usage) = header.and_then(|value| Usage::from_header(value, Timestamp::now())) {
            let mut known = shared.usage.lock();
            *known = Some(usage.after(*known));
        }
        let date = incoming.headers.get(DATE);
        let date = date.and_then(|value| rfc2822::parse(value.to_str().ok()?).ok());
        if let Some(date) = date {
            *shared.clock.lock() = Some(date.timestamp());
        }
        if (200..300).contains(&incoming.status) {
            Ok(incoming)
        } else {
            let redactor = shared.redactor.and(&session.token);
            Err(failure(&incoming, Phase::Request, &redactor))
        }
    }

    /// A text of Salesforce's without the secrets of this connection.
    pub(crate) fn clean(&self, text: &str) -> String {
        self.shared.redactor.scrub(text)
    }
}

async fn log_in(
    shared: Arc<Shared>,
    environment: Environment,
    gate: Option<Arc<dyn LoginGate>>,
) -> Result<Granted, Error> {
    let credentials = shared.credentials.as_ref();
    let credentials = credentials.ok_or(LoginWithheld::NotAllowed)?;
    let request = login::Request {
        transport: &shared.transport,
        login_url: &shared.login_url,
        api_version: shared.api_version,
        environment,
        credentials,
        redactor: &shared.redactor,
        now: Timestamp::now(),
        gate: gate.as_deref(),
        keeper: &shared.keeper,
    };
    login::log_in(&request).await
}

/// The URL of a resource on the session's instance.
fn resource(session: &Session, path: &str) -> Result<Url, Error> {
    let base = session.info.instance_url.as_str().trim_end_matches('/');
    Url::parse(&format!("{base}{path}")).map_err(|_| {
        Error::new(
            Meaning::RequestRejected,
            Phase::Request,
            "the request's URL cannot be written.",
        )
    })
}

/// `Authorization: Bearer …`, marked as sensitive so that it is not printed.
fn bearer(token: &SecretString) -> Result<HeaderValue, Error> {
    let text = Zeroizing::new(format!("Bearer {}", token.expose_secret()));
    let mut value = HeaderValue::from_str(&text).map_err(|_| {
        Error::new(
            Meaning::UnexpectedAnswer,
            Phase::Login,
            "the log-in was answered with a session id that no header can carry.",
        )
    })?;
    value.set_sensitive(true);
    Ok(value)
}

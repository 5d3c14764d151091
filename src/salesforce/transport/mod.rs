//! HTTP behind the dial guard: https only, no redirects, limits on every size and time, and network
//! failures with their exact causes.

pub(crate) mod address;
mod body;
pub(crate) mod dial;
pub(crate) mod expiry;
mod failure;
mod flow;
mod log;
pub(crate) mod pace;
#[cfg(test)]
mod pace_tests;
mod paced_host;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, ACCEPT_ENCODING, CONTENT_TYPE, LOCATION};
use http::{HeaderName, HeaderValue, Method};
use tokio::time::{Instant, timeout};
use tracing::debug;
use url::Url;
use zeroize::Zeroizing;

pub(crate) use self::body::Wanted;
use self::body::{Intake, MOST_OF_A_FAILURE, Received, Stop};
use self::dial::{DialError, DialPolicy, GuardedResolver, Lookup, SystemLookup, proxy_hosts};
pub(crate) use self::failure::refused;
use self::failure::{broken, broken_off, redirected, stopped, too_large, unfinished};
use self::flow::Source;
use self::log::Sending;
pub(crate) use self::log::millis;
use self::pace::Pace;
use self::paced_host::{MOST_AT_ONCE, Outcome};
use super::answers::error::{Error, Phase};
use super::answers::meaning::Meaning;
use super::answers::{Incoming, error_codes};
use super::text;
use super::text::{Decoded, Redactor};
use crate::error::CauseText;

/// The user agent by which an administrator recognises this client in the organization's logs.
const USER_AGENT: &str = concat!(
    "switchboard/",
    env!("CARGO_PKG_VERSION"),
    " (phone integration)"
);

/// `Sforce-Call-Options: client=` shows in the event log files of the organization
/// (<https://developer.salesforce.com/docs/atlas.en-us.api_rest.meta/api_rest/headers_calloptions.htm>).
const CALL_OPTIONS: (HeaderName, HeaderValue) = (
    HeaderName::from_static("sforce-call-options"),
    HeaderValue::from_static(concat!("client=switchboard/", env!("CARGO_PKG_VERSION"))),
);

/// The maximum size of the answer to a log-in, in bytes. One with an identity token has three
/// thousand.
const MOST_OF_A_LOGIN: usize = 64 << 10;

/// How much of an answer may be on its way before it is read, in bytes, for each connection.
const WINDOW: u32 = 512 << 10;

/// The limits on time and size of the exchange with a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HttpLimits {
    /// To resolve the name, connect and complete the TLS handshake.
    pub connect: Duration,
    /// From sending the request to the head of the response. Salesforce runs a query for up to two
    /// minutes (facts: Salesforce 2.4).
    pub first_byte: Duration,
    /// Between two chunks of the body.
    pub between_bytes: Duration,
    /// For the whole exchange.
    pub total: Duration,
    /// The maximum size of any body in bytes, packed and unpacked. Most requests allow less: a
    /// log-in has kilobytes, a page of records a bound.
    pub max_body: usize,
}

impl Default for HttpLimits {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            first_byte: Duration::from_secs(125),
            between_bytes: Duration::from_secs(30),
            total: Duration::from_secs(180),
            max_body: 32 << 20,
        }
    }
}

impl HttpLimits {
    /// Tighter limits for log-ins, whose responses are small and fast.
    fn for_login(self) -> Self {
        Self {
            first_byte: self.first_byte.min(Duration::from_secs(30)),
            total: self.total.min(Duration::from_secs(60)),
            ..self
        }
    }
}

/// The HTTP client behind the policy; cheap to clone, shared by all connections.
#[derive(Clone)]
pub struct Transport {
    client: reqwest::Client,
    policy: Arc<DialPolicy>,
    limits: HttpLimits,
    pace: Pace,
}

/// A request that is ready to be sent.
pub(crate) struct Outgoing {
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
    pub(crate) body: Option<(&'static str, Bytes)>,
    /// What is wanted of the answer, and so how much of it is kept.
    pub(crate) wanted: Wanted,
    /// The number of this attempt, beginning with 1.
    pub(crate) attempt: u32,
}

// === impl Outgoing ===

impl Outgoing {
    pub(crate) fn get(url: Url, wanted: Wanted) -> Self {
        Self {
            method: Method::GET,
            url,
            headers: Vec::new(),
            body: None,
            wanted,
            attempt: 1,
        }
    }

    pub(crate) fn post(
        url: Url,
        content_type: &'static str,
        body: impl Into<Bytes>,
        wanted: Wanted,
    ) -> Self {
        Self {
            method: Method::POST,
            url,
            headers: Vec::new(),
            body: Some((content_type, body.into())),
            wanted,
            attempt: 1,
        }
    }

    /// A request to log in, whose body holds secrets. The body is wiped when the last reference to
    /// it is dropped.
    pub(crate) fn post_secret(
        url: Url,
        content_type: &'static str,
        body: Zeroizing<String>,
    ) -> Self {
        struct Wiped(Zeroizing<String>);
        impl AsRef<[u8]> for Wiped {
            fn as_ref(&self) -> &[u8] {
                self.0.as_bytes()
            }
        }
        let body = Bytes::from_owner(Wiped(body));
        Self::post(url, content_type, body, Wanted::Text(MOST_OF_A_LOGIN))
    }

    pub(crate) fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    /// Sets the number of this attempt, beginning with 1.
    pub(crate) fn attempt(self, attempt: u32) -> Self {
        Self { attempt, ..self }
    }
}

// === impl Transport ===

impl Transport {
    /// Creates a client that connects only as this policy permits, with the default limits.
    pub fn new(policy: DialPolicy) -> Result<Self, DialError> {
        Self::with_limits(policy, HttpLimits::default())
    }

    /// Like [`new`](Self::new), with other limits.
    pub fn with_limits(policy: DialPolicy, limits: HttpLimits) -> Result<Self, DialError> {
        Self::with_lookup(policy, limits, Arc::new(SystemLookup))
    }

    pub(crate) fn with_lookup(
        policy: DialPolicy,
        limits: HttpLimits,
        lookup: Arc<dyn Lookup>,
    ) -> Result<Self, DialError> {
        let policy = Arc::new(policy);
        let proxies = proxy_hosts(|name| std::env::var(name).ok());
        let base = || {
            reqwest::Client::builder()
                .dns_resolver(GuardedResolver::new(Arc::clone(&policy), Arc::clone(&lookup), proxies.clone()))
                .https_only(!cfg!(test))
                .redirect(reqwest::redirect::Policy::none())
                // A log-in must never be sent twice; higher layers repeat the requests that are
                // safe to repeat.
                .retry(reqwest::retry::never())
                .referer(false)
                // Unpacked here, where the size is watched.
                .no_gzip()
                .http2_initial_stream_window_size(WINDOW)
                .http2_initial_connection_window_size(WINDOW)
                .user_agent(USER_AGENT)
                .connect_timeout(limits.connect)
                .pool_idle_timeout(Duration::from_secs(55))
                // What was opened is kept while it serves.
                .pool_max_idle_per_host(MOST_AT_ONCE)
        };
        let failed = |error: reqwest::Error| DialError::Client(CauseText::of(&error));
        let client = match policy.ca_bundle() {
            None => base().build().map_err(failed)?,
            Some(pem) => {
                let bundle = reqwest::Certificate::from_pem_bundle(pem)
                    .map_err(|error| DialError::CaBundle(CauseText::of(&error)))?;
                if bundle.is_empty() {
                    return Err(DialError::CaBundle("it holds no certificate".into()));
                }
                // The bundle is added to the system's authorities. It is used alone where the
                // system has none (a bare container).
                match base().tls_certs_merge(bundle.clone()).build() {
                    Ok(client) => client,
                    Err(_) => base()
                        .tls_certs_only(bundle)
                        .build()
                        .map_err(|error| DialError::CaBundle(CauseText::of(&error)))?,
                }
            }
        };
        Ok(Self {
            client,
            policy,
            limits,
            pace: Pace::default(),
        })
    }

    /// The dial policy of this client.
    pub fn policy(&self) -> &DialPolicy {
        &self.policy
    }

    /// Whether a request to the host of this URL may wait for long: it failed to respond, or others
    /// wait for it already.
    pub fn in_trouble(&self, url: &Url) -> bool {
        self.pace.is_troubled(url)
    }

    /// The last failure of a host that recently answered no request. The caller gets this error
    /// instead of sending a request. `None` permits one request, or more.
    pub fn silence(&self, url: &Url) -> Option<Error> {
        let silence = self.pace.silence(url);
        if silence.is_some() {
            debug!(
                host = url.host_str(),
                "nothing is sent to a host that answers nobody"
            );
        }
        silence
    }

    /// Sends one request exactly once. An error contains none of the redactor's secrets, even if
    /// the server names a host after one.
    pub(crate) async fn send(
        &self,
        outgoing: Outgoing,
        phase: Phase,
        redactor: &Redactor,
    ) -> Result<Incoming, Error> {
        self.policy
            .check(&outgoing.url)
            .map_err(|refusal| refused(&refusal, phase))?;
        let limits = match phase {
            Phase::Login => self.limits.for_login(),
            Phase::Request => self.limits,
        };
        let host = outgoing.url.host_str().unwrap_or_default().to_owned();
        let url = outgoing.url.clone();
        let turn = self.pace.turn(&url).await;
        let turn = turn.map_err(|silence| silence.with_phase(phase).redacted(redactor))?;
        let sending = Sending::new(&outgoing.method, &url, outgoing.attempt);
        let began = Instant::now();
        let exchange = self.exchange(outgoing, phase, limits, &host, redactor);
        let outcome = timeout(limits.total, exchange)
            .await
            .unwrap_or_else(|_| Err(unfinished(&host, limits.total, phase)))
            .map_err(|error| error.redacted(redactor));
        sending.ended(&outcome, began.elapsed());
        turn.ended(outcome_of(&outcome));
        outcome
    }

    async fn exchange(
        &self,
        outgoing: Outgoing,
        phase: Phase,
        limits: HttpLimits,
        host: &str,
        redactor: &Redactor,
    ) -> Result<Incoming, Error> {
        let late = |what: &str, limit: Duration| {
            Error::new(
                Meaning::Unreachable,
                phase,
                format!("{host} {what} within {} s.", limit.as_secs_f32()),
            )
        };
        let mut request = self
            .client
            .request(outgoing.method, outgoing.url)
            .header(ACCEPT, "application/json, text/xml;q=0.9, */*;q=0.1")
            .header(ACCEPT_ENCODING, body::ACCEPTED)
            .header(CALL_OPTIONS.0, CALL_OPTIONS.1);
        let wanted = outgoing.wanted;
        for (name, value) in outgoing.headers {
            request = request.header(name, value);
        }
        if let Some((content_type, body)) = outgoing.body {
            request = request.header(CONTENT_TYPE, content_type).body(body);
        }
        let mut response = timeout(limits.connect + limits.first_byte, request.send())
            .await
            .map_err(|_| late("did not begin to answer", limits.first_byte))?
            .map_err(|error| broken(&error, host, phase))?;

        let status = response.status().as_u16();
        let headers = response.headers().clone();
        if response.status().is_redirection() && headers.contains_key(LOCATION) {
            return Err(redirected(&headers, host, status, phase));
        }
        let is_success = response.status().is_success();
        let wanted = match is_success {
            true => wanted,
            // The words at the beginning tell what failed.
            false => Wanted::Text(MOST_OF_A_FAILURE),
        };
        if let Wanted::Flow(_) = wanted {
            let intake = Intake::new(&headers, wanted, limits.max_body);
            let source = Source {
                host: host.to_owned(),
                phase,
                status,
                redactor: redactor.clone(),
            };
            return Ok(Incoming {
                status,
                text: String::new(),
                flag: None,
                flow: Some(flow::flow(response, intake, limits, source)),
                headers,
            });
        }
        let too_large = |most: usize| too_large(host, most, phase).with_status(status);
        let mut intake = Intake::new(&headers, wanted, limits.max_body);
        let filled = fill(
            &mut intake,
            &mut response,
            limits.between_bytes,
            host,
            phase,
        )
        .await;
        let filled = filled.map_err(|error| error.with_status(status))?;
        let Received { bytes, flag } = intake.into_received();
        match filled {
            Err(Stop::Broken) => return Err(broken_off(host, phase).with_status(status)),
            Err(Stop::TooLarge(most)) if is_success && flag.is_none() => {
                return Err(too_large(most));
            }
            Ok(()) | Err(Stop::TooLarge(_)) => {}
        }
        let most = wanted.most_kept().min(limits.max_body);
        let Decoded { text, is_cut } = text::decode(&headers, bytes, most);
        if is_cut && matches!(wanted, Wanted::Text(_)) && is_success {
            return Err(too_large(most));
        }
        Ok(Incoming {
            status,
            text,
            flag,
            flow: None,
            headers,
        })
    }
}

/// Receives a body until it ends or is stopped.
async fn fill(
    intake: &mut Intake,
    response: &mut reqwest::Response,
    between_bytes: Duration,
    host: &str,
    phase: Phase,
) -> Result<Result<(), Stop>, Error> {
    loop {
        let chunk = timeout(between_bytes, response.chunk())
            .await
            .map_err(|_| stopped(host, between_bytes, phase))?
            .map_err(|error| broken(&error, host, phase))?;
        let Some(chunk) = chunk else {
            return Ok(intake.finish());
        };
        if let Err(stop) = intake.push(&chunk) {
            return Ok(Err(stop));
        }
    }
}

fn outcome_of(outcome: &Result<Incoming, Error>) -> Outcome {
    match outcome {
        Err(error) if error.meaning() == Meaning::Unreachable => Outcome::Silence(error.clone()),
        Ok(incoming) if error_codes::status(incoming.status).edge => Outcome::Edge,
        _ => Outcome::Answer,
    }
}

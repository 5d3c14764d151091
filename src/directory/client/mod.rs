//! The client of the directory, for worker pods, the quick start and the tests.
//!
//! The server makes every request safe to repeat, so the client retries transient failures:
//! connection errors, timeouts, 429, 502, 503 and 504. The pauses grow, are jittered and respect
//! `Retry-After`.

mod authorities;
mod control;
mod events;
mod people;
mod rings;
#[cfg(test)]
mod tests;
mod waiting;
mod work;

use std::time::Duration;

use rand::Rng as _;
use reqwest::header::{HeaderMap, RETRY_AFTER};
use reqwest::{Method, StatusCode, redirect};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tracing::warn;
use url::Url;

pub use self::authorities::{Authorities, AuthoritiesError};
pub use self::rings::Caller;
pub use self::waiting::{WaitingEvent, WaitingStream};
use super::model::Problem;
use crate::error::{CauseText, Chain, cause};
use crate::json;

/// The largest response body that the client reads: more than the largest lease has.
const MAX_ANSWER_BYTES: usize = 8 * 1024 * 1024;

/// A client for one company and one purpose, both set by its token.
#[derive(Debug, Clone)]
pub struct Client {
    http: reqwest::Client,
    base: Url,
    token: SecretString,
    retry: Retry,
}

/// How a request is retried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retry {
    /// Total number of attempts, including the first one.
    pub attempts: u32,
    /// The pause before the second attempt. It doubles for each further attempt; the actual pause
    /// is a random value between half of it and all of it.
    pub first_pause: Duration,
    /// The longest pause, even if the server asks for more.
    pub longest_pause: Duration,
}

/// Why a request to the directory failed.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The client cannot be made from its settings.
    #[error(
        "the directory's address {0} cannot be used; write it as http://HOST:PORT or https://HOST:PORT"
    )]
    Address(String, #[source] CauseText),
    /// The HTTP client could not be set up.
    #[error("the HTTP client for the directory could not be set up")]
    Setup(#[source] reqwest::Error),
    /// The directory was not reached.
    #[error(
        "could not {action}: the directory at {address} did not answer in {attempts} attempts; {}",
        remedy(.source)
    )]
    Unreachable {
        /// The requested action, in words for the message.
        action: &'static str,
        /// Where: scheme, host and port.
        address: String,
        /// How often it was tried.
        attempts: u32,
        /// The error of the last attempt.
        #[source]
        source: reqwest::Error,
    },
    /// The directory's certificate is not trusted.
    #[error(
        "could not {action}: the certificate of the directory at {address} is not trusted; {}",
        untrusted_remedy(.source)
    )]
    NotTrusted {
        /// The requested action, in words for the message.
        action: &'static str,
        /// Where: scheme, host and port.
        address: String,
        /// What is wrong with the certificate.
        #[source]
        source: rustls::Error,
    },
    /// A stream of the directory brought nothing for too long, not even a sign of life.
    #[error(
        "could not {action}: the directory at {address} was silent for {} seconds; it is asked anew",
        .silent.as_secs()
    )]
    Silent {
        /// The requested action, in words for the message.
        action: &'static str,
        /// Where: scheme, host and port.
        address: String,
        /// For how long.
        silent: Duration,
    },
    /// The directory returned an error status.
    #[error("could not {action}: the directory answered {} ({}): {}", .problem.status, .problem.code, .problem.detail)]
    Refused {
        /// The requested action, in words for the message.
        action: &'static str,
        /// The problem document of the response.
        problem: Box<Problem>,
    },
    /// The directory's answer is not what its interface says.
    #[error(
        "could not {action}: the directory's answer cannot be read; is the address that of a directory of this version?"
    )]
    Answer {
        /// The requested action, in words for the message.
        action: &'static str,
        /// What is wrong with it.
        #[source]
        reason: CauseText,
    },
}

// === impl Client ===

impl Client {
    /// A client for the directory at `base`, for example
    /// `http://switchboard-directory.switchboard:8080`.
    pub fn new(base: &str, token: SecretString) -> Result<Self, ClientError> {
        Self::trusting(None, base, token)
    }

    /// Like [`new`](Self::new); over HTTPS it trusts these authorities and no others, or those of
    /// the system.
    pub fn trusting(
        authorities: Option<&Authorities>,
        base: &str,
        token: SecretString,
    ) -> Result<Self, ClientError> {
        Self::with_http(http(authorities)?, base, token)
    }

    /// A client that uses the caller's HTTP client, with its timeouts and certificate authorities.
    pub fn with_http(
        http: reqwest::Client,
        base: &str,
        token: SecretString,
    ) -> Result<Self, ClientError> {
        let wrong = |reason: CauseText| ClientError::Address(without_user(base), reason);
        let mut url = Url::parse(base).map_err(|error| wrong(CauseText::of(&error)))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(wrong("it begins with neither http:// nor https://".into()));
        }
        if !url.path().ends_with('/') {
            url.set_path(&format!("{}/", url.path()));
        }
        url.set_query(None);
        url.set_fragment(None);
        Ok(Self {
            http,
            base: url,
            token,
            retry: Retry::default(),
        })
    }

    /// The same client with another retry policy.
    pub fn with_retry(self, retry: Retry) -> Self {
        Self { retry, ..self }
    }

    fn url(&self, path: &str) -> Result<Url, ClientError> {
        self.base
            .join(path)
            .map_err(|error| self.no_address(CauseText::of(&error)))
    }

    /// A URL with the fields of a document as its query.
    fn url_with(
        &self,
        path: &str,
        action: &'static str,
        query: &impl Serialize,
    ) -> Result<Url, ClientError> {
        let mut url = self.url(path)?;
        let fields =
            serde_json::to_value(query).map_err(|error| answer(action, CauseText::of(&error)))?;
        for (key, value) in fields.as_object().into_iter().flatten() {
            let text = value
                .as_str()
                .map_or_else(|| value.to_string(), str::to_owned);
            url.query_pairs_mut().append_pair(key, &text);
        }
        Ok(url)
    }

    fn contact_url(&self, number: &str) -> Result<Url, ClientError> {
        let mut url = self.url("v1/contacts")?;
        // `push` percent-encodes the number but keeps `+`, which is literal in a path.
        match url.path_segments_mut() {
            Ok(mut segments) => segments.push(number),
            Err(()) => {
                return Err(self.no_address("it has no path".into()));
            }
        };
        Ok(url)
    }

    fn no_address(&self, reason: CauseText) -> ClientError {
        ClientError::Address(without_user(self.base.as_str()), reason)
    }

    async fn post<T: DeserializeOwned>(
        &self,
        action: &'static str,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, ClientError> {
        let body = encode(action, body)?;
        self.send(action, Method::POST, self.url(path)?, Some(body))
            .await
    }

    async fn send<T: DeserializeOwned>(
        &self,
        action: &'static str,
        method: Method,
        url: Url,
        body: Option<Vec<u8>>,
    ) -> Result<T, ClientError> {
        let mut attempt = 1;
        loop {
            let (failure, asked) = match self.once(action, &method, &url, body.clone()).await {
                Ok(Reply::Done(answer)) => return Ok(answer),
                Ok(Reply::Later { problem, after }) => {
                    (ClientError::Refused { action, problem }, after)
                }
                Err(ClientError::Unreachable {
                    source, address, ..
                }) => (
                    ClientError::Unreachable {
                        action,
                        address,
                        attempts: attempt,
                        source,
                    },
                    None,
                ),
                Err(other) => return Err(other),
            };
            if attempt >= self.retry.attempts {
                return Err(failure);
            }
            let pause = self.retry.pause(attempt, asked);
            warn!(error = %Chain(&failure), attempt, pause_ms = pause.as_millis() as u64, "the directory is asked again");
            tokio::time::sleep(pause).await;
            attempt += 1;
        }
    }

    async fn once<T: DeserializeOwned>(
        &self,
        action: &'static str,
        method: &Method,
        url: &Url,
        body: Option<Vec<u8>>,
    ) -> Result<Reply<T>, ClientError> {
        let unreachable = |source| unreached(action, url, source);
        let mut request = self
            .http
            .request(method.clone(), url.clone())
            .bearer_auth(self.token.expose_secret());
        if let Some(body) = body {
            request = request
                .header(reqwest::header::CONTENT_TYPE, "application/json")
                .body(body);
        }
        let mut response = request.send().await.map_err(unreachable)?;
        let status = response.status();
        let after = retry_after(response.headers());
        let mut bytes = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
            if bytes.len() + chunk.len() > MAX_ANSWER_BYTES {
                return Err(answer(action, "it is larger than 8 MiB".into()));
            }
            bytes.extend_from_slice(&chunk);
        }
        if status.is_success() {
            return json::read_bytes(&bytes)
                .map(Reply::Done)
                .map_err(|error| answer(action, CauseText::of(&error)));
        }
        let problem = json::read_bytes(&bytes).unwrap_or_else(|_| Problem::bare(status));
        let problem = Box::new(problem);
        if will_pass(status.as_u16()) {
            Ok(Reply::Later { problem, after })
        } else {
            Err(ClientError::Refused { action, problem })
        }
    }
}

/// The error for a directory that was not reached.
fn unreached(action: &'static str, url: &Url, source: reqwest::Error) -> ClientError {
    let address = url.origin().ascii_serialization();
    match cause::<rustls::Error>(&source) {
        Some(wrong @ rustls::Error::InvalidCertificate(_)) => ClientError::NotTrusted {
            action,
            address,
            source: wrong.clone(),
        },
        _ => ClientError::Unreachable {
            action,
            address,
            attempts: 1,
            // The URL is removed, because it may hold a phone number and errors end up in logs.
            source: source.without_url(),
        },
    }
}

/// The result of one attempt.
enum Reply<T> {
    Done(T),
    Later {
        problem: Box<Problem>,
        after: Option<Duration>,
    },
}

// === impl Retry ===

impl Default for Retry {
    fn default() -> Self {
        Self {
            attempts: 6,
            first_pause: Duration::from_millis(250),
            longest_pause: Duration::from_secs(15),
        }
    }
}

impl Retry {
    fn pause(&self, attempt: u32, asked: Option<Duration>) -> Duration {
        let full = self
            .first_pause
            .saturating_mul(1 << attempt.saturating_sub(1).min(16))
            .min(self.longest_pause);
        let jittered = full.mul_f64(rand::rng().random_range(0.5..=1.0));
        jittered
            .max(asked.unwrap_or_default())
            .min(self.longest_pause)
    }
}

// === impl Problem ===

impl Problem {
    /// A substitute for a response without a problem document, for example from a proxy.
    fn bare(status: StatusCode) -> Self {
        Self {
            title: status.canonical_reason().unwrap_or("unknown").to_owned(),
            status: status.as_u16(),
            code: "no-problem-document".to_owned(),
            detail: "the answer did not say why; check that the address is the directory's"
                .to_owned(),
            asked_at: None,
            not_found: None,
            was: None,
        }
    }
}

/// An HTTP client that trusts these authorities; those of the system where there are none.
///
/// # Errors
/// When it cannot be set up.
pub(crate) fn http(authorities: Option<&Authorities>) -> Result<reqwest::Client, ClientError> {
    let http = reqwest::Client::builder();
    let http = match authorities {
        Some(authorities) => authorities.for_client(http),
        None => http,
    };
    let http = http
        .user_agent(concat!("switchboard/", env!("CARGO_PKG_VERSION")))
        .redirect(redirect::Policy::none())
        .no_proxy()
        .connect_timeout(Duration::from_secs(5))
        .timeout(Duration::from_secs(30))
        // Shorter than the directory's idle timeout, so that no client connection is reused
        // while the directory closes it.
        .pool_idle_timeout(Duration::from_secs(20))
        .build()
        .map_err(ClientError::Setup)?;
    Ok(http)
}

/// Whether the same request may be answered otherwise a little later: the directory's own 429 and
/// 503 (docs/directory-openapi.json), and what a proxy before it says while no replica answers. The
/// only list of the directory's statuses on this side.
fn will_pass(status: u16) -> bool {
    matches!(status, 429 | 502..=504)
}

fn encode(action: &'static str, body: &impl Serialize) -> Result<Vec<u8>, ClientError> {
    serde_json::to_vec(body).map_err(|error| answer(action, CauseText::of(&error)))
}

fn answer(action: &'static str, reason: CauseText) -> ClientError {
    ClientError::Answer { action, reason }
}

/// What whoever runs the directory looks at first, by what failed.
fn remedy(error: &reqwest::Error) -> &'static str {
    if error.is_dns() {
        "check the host's name in the directory's address (--directory-url of the controller)"
    } else if cause::<rustls::Error>(error).is_some() {
        "it does not speak TLS as it should: check that its address (--directory-url of the controller) and the directory agree on http or https"
    } else if error.is_timeout() {
        "check that it is not overloaded, and that NetworkPolicies let workers reach it"
    } else {
        "check that it runs, the port in its address (--directory-url of the controller), and that NetworkPolicies let workers reach it"
    }
}

/// What the platform team does about a certificate.
fn untrusted_remedy(error: &rustls::Error) -> &'static str {
    use rustls::CertificateError as Wrong;
    let rustls::Error::InvalidCertificate(wrong) = error else {
        return "check it";
    };
    match wrong {
        Wrong::Expired | Wrong::ExpiredContext { .. } => {
            "it has expired: renew the one in the Secret of directory.tls, the directory takes it up by itself"
        }
        Wrong::NotValidYet | Wrong::NotValidYetContext { .. } => {
            "it is not good yet: check the clocks of the nodes"
        }
        Wrong::NotValidForName | Wrong::NotValidForNameContext { .. } => {
            "it is for another host than that of its address: have it issued for the host in --directory-url of the controller"
        }
        _ => {
            "it is of none of the trusted authorities: put its authority into the ConfigMap that directory.tls.caBundle.configMap names (--directory-ca-bundle of the controller)"
        }
    }
}

/// An address as it may be shown: nothing that may be a user or a password.
fn without_user(address: &str) -> String {
    match address.rsplit_once('@') {
        Some((_, rest)) => format!("…@{rest}"),
        None => address.to_owned(),
    }
}

/// The wait that an answer asks for, in whole seconds. A date (RFC 9110, section 10.2.3) is not
/// read: the directory sends none.
pub(crate) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    headers
        .get(RETRY_AFTER)?
        .to_str()
        .ok()?
        .trim()
        .parse()
        .ok()
        .map(Duration::from_secs)
}

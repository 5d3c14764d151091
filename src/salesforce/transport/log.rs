//! Writes one log line for each request: enough for a diagnosis, with host, path and result, but
//! without any value from a request.

use std::time::Duration;

use http::Method;
use tracing::debug;
use url::Url;

use crate::error::Chain;
use crate::salesforce::answers::Incoming;
use crate::salesforce::answers::error::Error;

/// The path segments that may be logged: words of Salesforce's API, and the objects that are
/// requested by name.
const KNOWN: &[&str] = &[
    "services",
    "data",
    "query",
    "composite",
    "jobs",
    "results",
    "sobjects",
    "describe",
    "oauth2",
    "token",
    "Soap",
    "u",
    "Task",
];

/// A request that is about to be sent, without its values.
pub(super) struct Sending {
    method: Method,
    host: String,
    path: String,
    attempt: u32,
}

// === impl Sending ===

impl Sending {
    pub(super) fn new(method: &Method, url: &Url, attempt: u32) -> Self {
        Self {
            method: method.clone(),
            host: url.host_str().unwrap_or_default().to_owned(),
            path: template(url),
            attempt,
        }
    }

    pub(super) fn ended(&self, outcome: &Result<Incoming, Error>, took: Duration) {
        let Self {
            method,
            host,
            path,
            attempt,
        } = self;
        let took_ms = millis(took);
        match outcome {
            Ok(incoming) => {
                let status = incoming.status;
                debug!(%method, host, path, status, took_ms, attempt, "Salesforce answered");
            }
            // Such an error has a text of our own: it quotes no response.
            Err(error) => {
                let status = error.status();
                debug!(%method, host, path, status, took_ms, attempt, error = %Chain(error), "no answer of Salesforce");
            }
        }
    }
}

/// The path without its query. A star replaces everything that is not a word of the API: an id, a
/// cursor, a gateway's own prefix.
fn template(url: &Url) -> String {
    let parts = url.path_segments().into_iter().flatten();
    parts
        .map(|part| match part {
            part if KNOWN.contains(&part) || is_version(part) => ["/", part].concat(),
            "" => "/".to_owned(),
            _ => "/*".to_owned(),
        })
        .collect()
}

/// Whether the segment is a version, such as `50.0` or `v50.0`.
fn is_version(part: &str) -> bool {
    part.strip_prefix('v')
        .unwrap_or(part)
        .split_once('.')
        .is_some_and(|(major, minor)| {
            let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
            (1..=3).contains(&major.len()) && digits(major) && minor == "0"
        })
}

/// A duration in milliseconds, the unit of the log lines.
pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_shows_words_of_the_api_and_nothing_else() {
        for (url, shown) in [
            (
                "https://a.example/services/data/v50.0/query?q=SELECT+Id+WHERE+Phone='0312345678'",
                "/services/data/v50.0/query",
            ),
            (
                "https://a.example/services/data/v50.0/query/01gxx0000000001-2000",
                "/services/data/v50.0/query/*",
            ),
            (
                "https://a.example/services/data/v50.0/sobjects/Task/describe",
                "/services/data/v50.0/sobjects/Task/describe",
            ),
            (
                "https://u:p@a.example/secret/services/Soap/u/64.0#f",
                "/*/services/Soap/u/64.0",
            ),
            ("https://a.example/services/data/", "/services/data/"),
            ("https://a.example/v0312345678.0/v1.00/1.2.0", "/*/*/*"),
        ] {
            assert_eq!(template(&url.parse().unwrap()), shown, "{url}");
        }
    }
}

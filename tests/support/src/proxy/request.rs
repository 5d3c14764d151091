//! Requests, as the API server understands them.

use std::fmt::{self, Display};
use std::time::Instant;

use bytes::Bytes;
use http::{HeaderMap, Method, Uri};

/// A request of the program, with its number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NumberedRequest {
    /// Its number, from 1.
    pub number: usize,
    /// `list`, `watch`, or the HTTP method in lower case.
    pub verb: String,
    /// The kind in the plural; the whole path where it is none of an object.
    pub resource: String,
    /// `NAME`, `NAME/SUBRESOURCE`, or nothing.
    pub name: String,
    /// The status of the answer, once there is one.
    pub code: Option<u16>,
    /// When it came.
    pub at: Instant,
}

/// What a program asks.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub method: Method,
    pub uri: Uri,
    pub headers: HeaderMap,
    pub body: Bytes,
}

// === impl NumberedRequest ===

impl NumberedRequest {
    /// Whether it follows objects.
    pub fn is_watch(&self) -> bool {
        self.verb == "watch"
    }

    /// Whether it changes something.
    pub fn is_write(&self) -> bool {
        !matches!(self.verb.as_str(), "get" | "list" | "watch")
    }

    pub(super) fn of(number: usize, asked: &Asked) -> Self {
        let (resource, name) = target(asked.uri.path());
        let asks_for = |parameter| asked.parameter(parameter).is_some();
        let verb = match &asked.method {
            &Method::GET if asks_for("watch") => "watch".to_owned(),
            &Method::GET if name.is_empty() => "list".to_owned(),
            method => method.as_str().to_ascii_lowercase(),
        };
        Self {
            number,
            verb,
            resource,
            name,
            code: None,
            at: Instant::now(),
        }
    }
}

impl Display for NumberedRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            number,
            verb,
            resource,
            name,
            code,
            ..
        } = self;
        write!(f, "{number} {verb} {resource} {name}")?;
        match code {
            Some(code) => write!(f, " {code}"),
            None => write!(f, " -"),
        }
    }
}

/// The kind and the name in a path such as `/apis/batch/v1/namespaces/n/jobs/j/status`.
fn target(path: &str) -> (String, String) {
    let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
    let of_object = match parts.as_slice() {
        ["api", _, "namespaces", _, rest @ ..] if !rest.is_empty() => rest,
        ["apis", _, _, "namespaces", _, rest @ ..] if !rest.is_empty() => rest,
        ["api", _, rest @ ..] | ["apis", _, _, rest @ ..] if !rest.is_empty() => rest,
        _ => return (path.to_owned(), String::new()),
    };
    (of_object[0].to_owned(), of_object[1..].join("/"))
}

// === impl Asked ===

impl Asked {
    /// The value of a parameter in the query.
    pub(super) fn parameter(&self, name: &str) -> Option<String> {
        let query = self.uri.query()?.as_bytes();
        let mut pairs = url::form_urlencoded::parse(query);
        let value = pairs.find_map(|(key, value)| (key == name).then(|| value.into_owned()))?;
        Some(value)
    }

    /// The same list, whole instead of its first page.
    pub(super) fn whole_list(&self) -> Self {
        let query = self.uri.query().unwrap_or_default().as_bytes();
        let mut whole = url::form_urlencoded::Serializer::new(String::new());
        whole.extend_pairs(
            url::form_urlencoded::parse(query)
                .filter(|(key, _)| !matches!(key.as_ref(), "limit" | "continue")),
        );
        let path = format!("{}?{}", self.uri.path(), whole.finish());
        Self {
            uri: path.parse().unwrap_or_else(|_| self.uri.clone()),
            ..self.clone()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_told_by_verb_kind_and_name() {
        for (method, uri, told) in [
            ("GET", "/api/v1/namespaces/n/secrets/s", "1 get secrets s -"),
            (
                "GET",
                "/apis/batch/v1/namespaces/n/jobs?limit=12",
                "1 list jobs  -",
            ),
            (
                "GET",
                "/api/v1/namespaces/n/pods?watch=true",
                "1 watch pods  -",
            ),
            ("GET", "/apis/batch/v1/cronjobs", "1 list cronjobs  -"),
            (
                "PUT",
                "/apis/switchboard.dev/v1alpha1/namespaces/n/salesforceintegrations/a/status",
                "1 put salesforceintegrations a/status -",
            ),
            ("GET", "/version", "1 list /version  -"),
        ] {
            let asked = Asked {
                method: method.parse().unwrap(),
                uri: uri.parse().unwrap(),
                headers: HeaderMap::new(),
                body: Bytes::new(),
            };
            assert_eq!(NumberedRequest::of(1, &asked).to_string(), told);
        }
    }

    #[test]
    fn a_list_is_asked_for_whole() {
        let asked = Asked {
            method: Method::GET,
            uri: "/api/v1/pods?limit=12&labelSelector=a%3Db&continue=x"
                .parse()
                .unwrap(),
            headers: HeaderMap::new(),
            body: Bytes::new(),
        };
        assert_eq!(
            asked.whole_list().uri.to_string(),
            "/api/v1/pods?labelSelector=a%3Db"
        );
        assert_eq!(asked.parameter("labelSelector").as_deref(), Some("a=b"));
    }
}

//! Requests and answers inside the simulator, independent of any client connection.

use std::net::IpAddr;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use serde_json::Value as Json;

use crate::bulk::results::Body;

/// A request with its complete body.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) method: Method,
    /// The path as the HTTP server received it, not percent-decoded.
    pub(crate) path: String,
    pub(crate) query: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    /// The name and port by which the client addressed this server.
    pub(crate) host: String,
    pub(crate) peer: IpAddr,
    /// How many requests were in flight when it arrived, itself included.
    pub(crate) in_flight: u64,
}

impl Request {
    /// Value of a header; `None` when it is absent or not text.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// A parameter of the query string, decoded; a plain `+` is a space.
    pub(crate) fn parameter(&self, name: &str) -> Option<String> {
        let pairs = self
            .query
            .split('&')
            .filter_map(|pair| pair.split_once('='));
        let plain = |text: &str| percent_decode(&text.replace('+', " "));
        pairs
            .into_iter()
            .find(|(key, _)| plain(key) == name)
            .map(|(_, value)| plain(value))
    }

    /// The base URL that the client uses.
    pub(crate) fn base_url(&self) -> String {
        format!("https://{}", self.host)
    }

    /// The segments of the path, decoded.
    pub(crate) fn segments(&self) -> Vec<String> {
        self.path
            .split('/')
            .filter(|segment| !segment.is_empty())
            .map(percent_decode)
            .collect()
    }
}

/// Builds a JSON object and moves the members into it; `json!` would copy them.
pub(crate) fn object<const N: usize>(members: [(&str, Json); N]) -> Json {
    Json::Object(
        members
            .map(|(name, value)| (name.to_owned(), value))
            .into_iter()
            .collect(),
    )
}

/// Decodes `%41` to `A`. A `+` stays a `+`, as a path requires.
pub(crate) fn percent_decode(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    let bytes = text.as_bytes();
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        let hex = (*byte == b'%')
            .then(|| text.get(at + 1..at + 3))
            .flatten()
            .and_then(|h| u8::from_str_radix(h, 16).ok());
        out.push(hex.unwrap_or(*byte));
        at += if hex.is_some() { 3 } else { 1 };
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// An answer with its complete body.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    /// The body as JSON, which a composite answer embeds.
    pub(crate) json: Option<Json>,
    /// Rows that are sent as the body while they are read.
    pub(crate) rows: Option<Body>,
}

impl Answer {
    /// An answer without a body.
    pub(crate) fn empty(status: u16) -> Self {
        Self {
            status: StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
            headers: HeaderMap::new(),
            body: Bytes::new(),
            json: None,
            rows: None,
        }
    }

    /// An answer with text of this content type.
    pub(crate) fn text(status: u16, content_type: &'static str, body: impl Into<Bytes>) -> Self {
        let mut answer = Self::empty(status);
        answer
            .headers
            .insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
        answer.body = body.into();
        answer
    }

    /// An answer with JSON, which is serialised only when it is needed.
    pub(crate) fn json(status: u16, json: Json) -> Self {
        let mut answer = Self::text(status, "application/json;charset=UTF-8", Bytes::new());
        answer.json = Some(json);
        answer
    }

    /// Adds a header.
    pub(crate) fn with(mut self, name: HeaderName, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.insert(name, value);
        }
        self
    }

    /// The body's bytes.
    pub(crate) fn bytes(&self) -> Bytes {
        match (&self.json, &self.rows) {
            (Some(json), _) => Bytes::from(json.to_string()),
            (None, Some(rows)) => rows.collect(),
            (None, None) => self.body.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_decoded() {
        assert_eq!(percent_decode("a%20b+c%zz%2"), "a b+c%zz%2");
        assert_eq!(percent_decode("%E4%BD%90"), "佐");
    }
}

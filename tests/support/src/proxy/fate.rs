//! What may happen to a request.

use std::time::Duration;

use bytes::Bytes;
use http::{Response, StatusCode, header};
use serde_json::json;

/// What happens to one request, or from it on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is done, and the program never hears of it: it is to be killed. Nothing that comes after
    /// it is done.
    Kill,
    /// It never arrives: the connection breaks.
    LoseRequest,
    /// It is done, and the connection breaks before the answer.
    LoseAnswer,
    /// It arrives after this time.
    Delay(Duration),
    /// It is refused.
    Refuse(Refusal),
    /// From it on the watches of one kind, by its plural, tell nothing.
    Freeze(&'static str),
    /// From it on no watch tells anything.
    Blind,
    /// All lists are kept as they are now, for [`super::Proxy::fall_behind`].
    Remember,
}

/// An answer of the API server that refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// 409, another has written meanwhile.
    Conflict,
    /// 410, the version is too old.
    Expired,
    /// 429, with a Retry-After of a second.
    TooManyRequests,
    /// 500.
    InternalError,
}

// === impl Refusal ===

impl Refusal {
    pub(super) fn response(self) -> Response<Bytes> {
        let (code, reason, message) = match self {
            Self::Conflict => (
                StatusCode::CONFLICT,
                "Conflict",
                "the object has been modified; please apply your changes to the latest version and try again",
            ),
            Self::Expired => (
                StatusCode::GONE,
                "Expired",
                "The provided resource version is too old.",
            ),
            Self::TooManyRequests => (
                StatusCode::TOO_MANY_REQUESTS,
                "TooManyRequests",
                "The server is currently unable to handle the request",
            ),
            Self::InternalError => (
                StatusCode::INTERNAL_SERVER_ERROR,
                "InternalError",
                "An error on the server has prevented the request from succeeding",
            ),
        };
        let status = status(code, reason, message);
        let mut response = Response::new(Bytes::from(status.to_string()));
        *response.status_mut() = code;
        let headers = response.headers_mut();
        let json = header::HeaderValue::from_static("application/json");
        headers.insert(header::CONTENT_TYPE, json);
        if self == Self::TooManyRequests {
            let second = header::HeaderValue::from_static("1");
            headers.insert(header::RETRY_AFTER, second);
        }
        response
    }
}

/// The end of a watch whose past is forgotten, as a line of it.
pub(super) fn expired() -> Bytes {
    let object = status(
        StatusCode::GONE,
        "Expired",
        "The resourceVersion for the provided watch is too old.",
    );
    Bytes::from(format!("{}\n", json!({"type": "ERROR", "object": object})))
}

fn status(code: StatusCode, reason: &str, message: &str) -> serde_json::Value {
    json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": message, "reason": reason, "code": code.as_u16(),
    })
}

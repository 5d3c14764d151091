//! Extractors for bodies and query strings, with our own error messages.

use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::request::Parts;
use serde::de::DeserializeOwned;

use super::app::App;
use super::body::{Body, Place};
use super::error::ApiError;
use crate::directory::model::MAX_BULK;
use crate::json;

/// A JSON body, whatever its content type. It keeps its room while the handler works on it.
pub(crate) struct Json<T>(
    pub(crate) T,
    #[expect(dead_code, reason = "it is dropped at the end of the request")] pub(crate) Place,
);

/// The number in the path, as the client spelled it.
pub(crate) struct NumberInPath(pub(crate) String);

/// The query string.
pub(crate) struct Params<T>(pub(crate) T);

/// A body of more bytes than these is read on a thread of its own: a thousand records take
/// milliseconds, for which a ringing phone would wait behind them.
const LARGE: usize = 64 * 1024;

impl<T: DeserializeOwned + Send + 'static> FromRequest<App> for Json<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, app: &App) -> Result<Self, ApiError> {
        let body = Body::from_request(request, app).await?;
        if body.content().len() < LARGE {
            return Self::read(body);
        }
        let reading = tokio::task::spawn_blocking(|| Self::read(body));
        reading.await.map_err(|_| ApiError::Internal)?
    }
}

impl<T: DeserializeOwned> Json<T> {
    fn read(body: Body) -> Result<Self, ApiError> {
        let read = json::read_bytes(body.content()).map_err(|error| {
            ApiError::Malformed(format!(
                "the body is not what this endpoint takes: {error}; see /v1/openapi.json"
            ))
        })?;
        Ok(Self(read, body.into_place()))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for NumberInPath {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let Path(number) = Path::from_request_parts(parts, state).await.map_err(|_| {
            ApiError::Malformed(
                "the number in the path is not text; write it in UTF-8, percent-encoded".to_owned(),
            )
        })?;
        Ok(Self(number))
    }
}

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Params<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        match Query::try_from_uri(&parts.uri) {
            Ok(Query(params)) => Ok(Self(params)),
            Err(rejection) => Err(ApiError::Malformed(format!(
                "the query string is not what this endpoint takes: {}; see /v1/openapi.json",
                std::error::Error::source(&rejection)
                    .map_or_else(|| rejection.to_string(), ToString::to_string)
            ))),
        }
    }
}

/// Checks that a whole number is in its range.
pub(crate) fn within(field: &str, value: u32, least: u32, most: u32) -> Result<(), ApiError> {
    if (least..=most).contains(&value) {
        Ok(())
    } else {
        Err(ApiError::Malformed(format!(
            "{field} is {value}; write a number from {least} to {most}"
        )))
    }
}

/// Checks that a bulk request is not too large.
pub(crate) fn bulk(field: &str, length: usize) -> Result<(), ApiError> {
    if length <= MAX_BULK {
        Ok(())
    } else {
        Err(ApiError::Malformed(format!(
            "{field} has {length} entries; send at most {MAX_BULK} at once"
        )))
    }
}

/// Trims a text; `None` if nothing is left. Refuses a text that is too long or holds control
/// characters.
pub(crate) fn text(
    field: &str,
    text: Option<String>,
    max_chars: usize,
) -> Result<Option<String>, ApiError> {
    let Some(text) = text else { return Ok(None) };
    let text = text.trim();
    if text.chars().count() > max_chars {
        return Err(ApiError::Malformed(format!(
            "{field} is too long; write at most {max_chars} characters"
        )));
    }
    if text.chars().any(char::is_control) {
        return Err(ApiError::Malformed(format!(
            "{field} holds a control character; write it on one line"
        )));
    }
    Ok((!text.is_empty()).then(|| text.to_owned()))
}

//! Who asks: the token is read before the rest of the request.

use std::marker::PhantomData;

use axum::extract::{FromRequestParts, MatchedPath};
use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use jiff::Timestamp;
use tokio::sync::OwnedSemaphorePermit;
use tracing::info;

use super::app::App;
use super::error::ApiError;
use crate::company_id::CompanyId;
use crate::directory::model::tokens::Purpose;
use crate::error::Chain;
use crate::phone::Region;

/// A caller whose token is good for `P`: the company that every query of the request is bound to.
pub(crate) struct Caller<P> {
    pub(crate) company: CompanyId,
    pub(crate) region: Region,
    purpose: PhantomData<P>,
    /// The request's place among those of its company; given back when the handler ends.
    _turn: OwnedSemaphorePermit,
}

/// Which purposes of a token an endpoint takes.
pub(crate) trait Takes {
    /// The purposes.
    const PURPOSES: &'static [Purpose];
    /// The same in words, for the refusal.
    const WORDS: &'static str;
}

/// The platform's webhook.
pub(crate) struct Ingest;
/// Screens that read. An administration page reads, too.
pub(crate) struct Read;
/// Workers.
pub(crate) struct Work;
/// Edits by hand.
pub(crate) struct Edit;

impl Takes for Ingest {
    const PURPOSES: &'static [Purpose] = &[Purpose::Ingest];
    const WORDS: &'static str = "ingest";
}

impl Takes for Read {
    const PURPOSES: &'static [Purpose] = &[Purpose::Lookup, Purpose::Admin];
    const WORDS: &'static str = "lookup or admin";
}

impl Takes for Work {
    const PURPOSES: &'static [Purpose] = &[Purpose::Worker];
    const WORDS: &'static str = "worker";
}

impl Takes for Edit {
    const PURPOSES: &'static [Purpose] = &[Purpose::Admin];
    const WORDS: &'static str = "admin";
}

impl<P: Takes> FromRequestParts<App> for Caller<P> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        let refused = |error: ApiError| {
            // The route, not the path: a path may hold a phone number.
            let route = parts
                .extensions
                .get::<MatchedPath>()
                .map(MatchedPath::as_str);
            info!(method = %parts.method, route, reason = %Chain(&error), "refused a token");
            error
        };
        let token = bearer(&parts.headers).ok_or_else(|| refused(ApiError::NoToken))?;
        let keys = app.keys.borrow().clone();
        let claims = keys
            .verify(token, Timestamp::now())
            .map_err(|error| refused(error.into()))?;
        if !P::PURPOSES.contains(&claims.purpose) {
            return Err(refused(ApiError::WrongPurpose {
                has: claims.purpose,
                takes: P::WORDS,
            }));
        }
        let turn = app.shares.enter(&claims.company, claims.purpose).await?;
        Ok(Self {
            _turn: turn,
            company: claims.company,
            region: claims.region,
            purpose: PhantomData,
        })
    }
}

/// The token of `Authorization: Bearer TOKEN`; the scheme in any case, as RFC 9110 has it.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    (scheme.eq_ignore_ascii_case("bearer") && !token.trim().is_empty()).then(|| token.trim())
}

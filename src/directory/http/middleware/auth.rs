//! Authentication: the token is checked before the rest of the request is read.

use std::marker::PhantomData;

use axum::extract::FromRequestParts;
use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use jiff::Timestamp;
use secrecy::{ExposeSecret as _, SecretString};
use tokio::sync::OwnedSemaphorePermit;
use tracing::info;

use super::app::App;
use super::body::Sender;
use super::error::ApiError;
use super::span;
use crate::company_id::CompanyId;
use crate::directory::model::tokens::{Purpose, TokenError, TokenKeys, Verified};
use crate::directory::store::audit::Actor;
use crate::error::Chain;
use crate::http_server::Visitor;
use crate::phone::Region;

/// A caller whose token permits `P`. Every query of the request is bound to its company.
pub(crate) struct Caller<P> {
    pub(crate) company: CompanyId,
    pub(crate) region: Region,
    /// Who it is, for the audit.
    actor: Actor,
    purpose: PhantomData<P>,
    /// The request's slot among those of its company, released when the handler ends.
    turn: Option<OwnedSemaphorePermit>,
}

/// The operator itself, whose token names no company.
pub(crate) struct Operator {
    token: SecretString,
}

/// The token purposes that an endpoint accepts.
pub(crate) trait Takes {
    const PURPOSES: &'static [Purpose];
    /// The purposes in words, for the error message.
    const WORDS: &'static str;
}

/// Access for the platform's webhook.
pub(crate) struct Ingest;
/// Read access for screens, which include an administration page.
pub(crate) struct Read;
/// Access for workers.
pub(crate) struct Work;
/// Access for edits by hand.
pub(crate) struct Edit;
/// Access for the controller.
pub(crate) struct Control;
/// Access for the controller that erases a company.
pub(crate) struct EraseAll;
/// Access for who answers for the protection of data.
pub(crate) struct Protect;

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

impl Takes for Control {
    const PURPOSES: &'static [Purpose] = &[Purpose::Controller];
    const WORDS: &'static str = "controller";
}

impl Takes for EraseAll {
    const PURPOSES: &'static [Purpose] = &[Purpose::Erase];
    const WORDS: &'static str = "erase";
}

impl Takes for Protect {
    const PURPOSES: &'static [Purpose] = &[Purpose::Privacy];
    const WORDS: &'static str = "privacy";
}

// === impl Caller ===

impl<P> Caller<P> {
    /// Who it is, for the audit.
    pub(crate) fn actor(&self) -> Actor {
        self.actor.clone()
    }

    /// Leaves the slot to other requests of the company: this one only waits from now on.
    pub(crate) fn leaves_its_turn(&mut self) {
        self.turn = None;
    }
}

impl<P: Takes> FromRequestParts<App> for Caller<P> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        let refused = |error: ApiError| {
            info!(method = %parts.method, reason = %Chain(&error), "refused a token");
            error
        };
        let token = bearer(&parts.headers).ok_or_else(|| refused(ApiError::NoToken))?;
        let keys = app.keys.borrow().clone();
        let Verified { claims, key_id } = keys
            .verified(token, Timestamp::now())
            .map_err(|error| refused(of_purpose(error, P::WORDS)))?;
        span::is_of(&claims.company);
        app.revoked
            .check(&claims)
            .map_err(|error| refused(error.into()))?;
        if !P::PURPOSES.contains(&claims.purpose) {
            return Err(refused(ApiError::WrongPurpose {
                has: claims.purpose,
                takes: P::WORDS,
            }));
        }
        if let Some(visitor) = parts.extensions.get::<Visitor>() {
            visitor.has_shown_a_token();
        }
        parts.extensions.insert(Sender(claims.company.clone()));
        let turn = app.shares.enter(&claims.company, claims.purpose).await?;
        Ok(Self {
            turn: Some(turn),
            actor: Actor {
                purpose: claims.purpose.to_string(),
                key_id,
            },
            company: claims.company,
            region: claims.region,
            purpose: PhantomData,
        })
    }
}

// === impl Operator ===

impl Operator {
    /// Whether the token is still good: it has not expired, and its key is in use.
    pub(crate) fn is_good(&self, keys: &TokenKeys, now: Timestamp) -> bool {
        let token = self.token.expose_secret();
        keys.verify_operator(token, now).is_ok()
    }
}

impl FromRequestParts<App> for Operator {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        let refused = |error: ApiError| {
            info!(method = %parts.method, reason = %Chain(&error), "refused a token");
            error
        };
        let token = bearer(&parts.headers).ok_or_else(|| refused(ApiError::NoToken))?;
        let keys = app.keys.borrow().clone();
        keys.verify_operator(token, Timestamp::now())
            .map_err(|error| refused(of_purpose(error, "operator")))?;
        if let Some(visitor) = parts.extensions.get::<Visitor>() {
            visitor.has_shown_a_token();
        }
        Ok(Self {
            token: token.into(),
        })
    }
}

/// The error for a token of another purpose says which one is taken.
fn of_purpose(error: TokenError, takes: &'static str) -> ApiError {
    match error {
        TokenError::Purpose(has) => ApiError::WrongPurpose { has, takes },
        other => other.into(),
    }
}

/// The token of `Authorization: Bearer TOKEN`. The scheme is case-insensitive, as in RFC 9110.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    (scheme.eq_ignore_ascii_case("bearer") && !token.trim().is_empty()).then(|| token.trim())
}

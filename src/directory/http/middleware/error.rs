//! All errors that end a request, and their problem documents.

use axum::http::header::{ACCEPT_ENCODING, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use tracing::{error, warn};

use crate::directory::model::rings::NotAsked;
use crate::directory::model::tokens::{Purpose, TokenError};
use crate::directory::model::webhook::Malformed;
use crate::directory::model::{Asked, Problem};
use crate::directory::store::StoreError;
use crate::error::Chain;
use crate::phone::NotLookedUp;

/// How many seconds a client should wait before it repeats a request that is refused for now.
const RETRY_AFTER_SECONDS: &str = "2";

/// Why a request failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ApiError {
    #[error(
        "the request has no token; send the header `Authorization: Bearer` with a token from the tenant's Secret"
    )]
    NoToken,
    #[error(transparent)]
    Token(#[from] TokenError),
    #[error(
        "the token is for {has}, this endpoint takes one for {takes}; use that token from the tenant's Secret"
    )]
    WrongPurpose { has: Purpose, takes: &'static str },
    #[error(
        "call.tenant_code names another company than the token; register this address and its token only with the \
         company that they were made for"
    )]
    WrongCompany,
    #[error(transparent)]
    Webhook(#[from] Malformed),
    #[error("{0}")]
    Malformed(String),
    #[error("the body is larger than this directory takes; send less at once, or raise --max-body")]
    TooLarge,
    #[error("nobody is known under this number: {}", asked_in_words(.0))]
    UnknownNumber(Asked),
    #[error("nobody is known under this number yet: {}", .0.in_words())]
    NoName(NoName, Asked),
    #[error(
        "as many streams are open as there may be; connect again later, or end one that nobody reads"
    )]
    TooManyStreams,
    #[error(
        "the body's Content-Encoding is neither gzip nor deflate; send it packed in one of them, or as it is"
    )]
    Packing,
    #[error(
        "the directory holds as many bodies as it has room for, of all companies or of this one; send the request again later, repeating it does no harm"
    )]
    NoRoom,
    #[error(
        "this number was erased, and nothing is kept about it; POST /v1/numbers/restore, with the token for privacy, lets it be kept again"
    )]
    ErasedNumber,
    #[error(
        "nobody is known under this number: it was erased at the request of who may ask for that, and nothing is kept about it"
    )]
    NobodyErased,
    #[error("nobody can be known under this number: {0}")]
    NotANumber(NotLookedUp),
    #[error(
        "number cannot be kept: {0}; write a phone number, best in the international form +81312345678"
    )]
    NumberRefused(NotLookedUp),
    #[error(
        "there is no call of this ID; look at the ID, and whether the call's number was erased, about which nothing is kept"
    )]
    NoSuchCall,
    #[error("there is no such endpoint; see /v1/openapi.json")]
    NoSuchEndpoint,
    #[error("this endpoint does not take this method; see /v1/openapi.json")]
    WrongMethod,
    #[error(
        "calls are delivered here, and nothing is read; send them by POST, or try the address with \
         POST and {{\"challenge\": \"TEXT\"}}"
    )]
    NotADelivery,
    #[error(
        "this company sends more than its share; send the request again later, repeating it does no harm"
    )]
    TooMany,
    #[error("the request took too long; send it again, repeating it does no harm")]
    TooSlow,
    #[error("the directory cannot serve now; send the request again, repeating it does no harm")]
    Store(#[from] StoreError),
    #[error("the directory's database does not answer; ask again later")]
    NotReady,
    #[error("the directory is going down; ask another replica")]
    GoingDown,
    #[error("the directory failed on this request; the reason is in its log")]
    Internal,
}

/// Why a request that waited for a name has none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoName {
    /// Salesforce has not answered in time.
    Slow,
    /// Salesforce was not asked.
    NotAsked(NotAsked),
    /// Nobody asks Salesforce at this moment.
    NobodyAsks,
    /// The company has more rings than Salesforce is asked about.
    OverRate,
    /// As many requests wait as may.
    TooManyWait,
}

// === impl NoName ===

impl NoName {
    /// A code of one word, for programs.
    pub(crate) fn code(self) -> &'static str {
        match self {
            Self::Slow => "salesforce-slow",
            Self::NotAsked(NotAsked::BudgetExhausted) => "budget-exhausted",
            Self::NotAsked(NotAsked::Unreachable) => "salesforce-unreachable",
            Self::NotAsked(NotAsked::Withheld) => "withheld",
            Self::NotAsked(NotAsked::Failed) => "ring-failed",
            Self::NobodyAsks => "nobody-asks",
            Self::OverRate => "ring-rate",
            Self::TooManyWait => "too-many-waiting",
        }
    }

    pub(crate) fn in_words(self) -> &'static str {
        match self {
            Self::Slow => {
                "Salesforce has not answered within the time; a name that it has arrives later, ask again in a moment"
            }
            Self::NotAsked(NotAsked::BudgetExhausted) => {
                "the integration has used up its share of the org's API requests; the number is looked up when it has some again"
            }
            Self::NotAsked(NotAsked::Unreachable) => {
                "Salesforce does not answer; the number is looked up when it does"
            }
            Self::NotAsked(NotAsked::Withheld) => {
                "the integration does not ask now, its status says why; the number is looked up by the next run"
            }
            Self::NotAsked(NotAsked::Failed) => {
                "Salesforce could not be asked; the number is looked up by the next run"
            }
            Self::NobodyAsks => {
                "no controller is connected that would ask Salesforce; the number is looked up when one is"
            }
            Self::OverRate => {
                "more numbers of this company ring than Salesforce is asked about; the number is looked up after the call"
            }
            Self::TooManyWait => {
                "as many requests wait for a name as may, of all companies or of this one; ask again in a moment"
            }
        }
    }
}

// === impl ApiError ===

impl ApiError {
    fn status(&self) -> StatusCode {
        match self {
            Self::Token(TokenError::Purpose(_)) => StatusCode::FORBIDDEN,
            Self::NoToken | Self::Token(_) => StatusCode::UNAUTHORIZED,
            Self::WrongPurpose { .. } | Self::WrongCompany => StatusCode::FORBIDDEN,
            Self::Webhook(_) | Self::Malformed(_) | Self::NumberRefused(_) => {
                StatusCode::BAD_REQUEST
            }
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::ErasedNumber => StatusCode::CONFLICT,
            Self::UnknownNumber(_)
            | Self::NoName(..)
            | Self::NobodyErased
            | Self::NotANumber(_)
            | Self::NoSuchCall
            | Self::NoSuchEndpoint => StatusCode::NOT_FOUND,
            Self::Packing => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::WrongMethod | Self::NotADelivery => StatusCode::METHOD_NOT_ALLOWED,
            Self::TooMany => StatusCode::TOO_MANY_REQUESTS,
            Self::Store(StoreError::Unavailable(..) | StoreError::Overtaken(_))
            | Self::TooSlow
            | Self::NoRoom
            | Self::TooManyStreams
            | Self::NotReady
            | Self::GoingDown => StatusCode::SERVICE_UNAVAILABLE,
            Self::Store(_) | Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// A code of one word, for programs.
    fn code(&self) -> &'static str {
        match self {
            Self::NoToken => "no-token",
            Self::Token(TokenError::Expired) => "token-expired",
            Self::Token(TokenError::Revoked) => "token-revoked",
            Self::Token(TokenError::Purpose(_)) => "wrong-purpose",
            Self::Token(_) => "token-invalid",
            Self::WrongPurpose { .. } => "wrong-purpose",
            Self::WrongCompany => "wrong-company",
            Self::Webhook(_) | Self::Malformed(_) => "malformed",
            Self::NumberRefused(_) | Self::NotANumber(_) => "not-a-phone-number",
            Self::TooLarge => "body-too-large",
            Self::UnknownNumber(Asked { was: Some(_), .. }) => "gone-from-salesforce",
            Self::UnknownNumber(Asked {
                not_found: true, ..
            }) => "not-found-in-salesforce",
            Self::UnknownNumber(Asked {
                asked_at: Some(_), ..
            }) => "removed",
            Self::UnknownNumber(_) => "not-asked-yet",
            Self::NoName(why, _) => why.code(),
            Self::TooManyStreams => "too-many-streams",
            Self::ErasedNumber | Self::NobodyErased => "erased",
            Self::NoSuchCall => "no-such-call",
            Self::NoSuchEndpoint => "no-such-endpoint",
            Self::Packing => "content-encoding",
            Self::NoRoom => "no-room",
            Self::WrongMethod | Self::NotADelivery => "wrong-method",
            Self::TooMany => "too-many-requests",
            Self::TooSlow => "too-slow",
            Self::Store(StoreError::Unavailable(..) | StoreError::Overtaken(_))
            | Self::NotReady => "storage-unavailable",
            Self::GoingDown => "going-down",
            Self::Store(_) | Self::Internal => "internal",
        }
    }

    fn asked(&self) -> Option<&Asked> {
        match self {
            Self::UnknownNumber(asked) | Self::NoName(_, asked) => Some(asked),
            _ => None,
        }
    }

    /// The text for the client. A database failure that is not an outage is reported without its
    /// reason.
    fn detail(&self) -> String {
        match self {
            Self::Store(StoreError::Unavailable(..) | StoreError::Overtaken(_)) => self.to_string(),
            Self::Store(_) => Self::Internal.to_string(),
            _ => self.to_string(),
        }
    }
}

fn asked_in_words(asked: &Asked) -> &'static str {
    match asked {
        Asked { was: Some(_), .. } => "Salesforce knew it before and no longer does",
        Asked {
            not_found: true, ..
        } => "Salesforce did not know it when it was last asked",
        Asked {
            asked_at: Some(_), ..
        } => {
            "its contact was removed by hand; the next call or a re-retrieval asks Salesforce again"
        }
        _ => "Salesforce was not asked about it yet",
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        if let Self::Store(reason) = &self {
            let told = Chain(reason);
            match reason {
                StoreError::Unavailable(..) | StoreError::Overtaken(_) => {
                    warn!(error = %told, "answered 503")
                }
                _ => error!(error = %told, "answered 500"),
            }
        }
        let status = self.status();
        let problem = Problem {
            title: status.canonical_reason().unwrap_or("error").to_owned(),
            status: status.as_u16(),
            code: self.code().to_owned(),
            detail: self.detail(),
            asked_at: self.asked().and_then(|asked| asked.asked_at),
            not_found: self.asked().map(|asked| asked.not_found),
            was: self.asked().and_then(|asked| asked.was.clone()),
        };
        let mut response = (status, axum::Json(problem)).into_response();
        let headers = response.headers_mut();
        headers.insert(
            CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        match status {
            StatusCode::UNAUTHORIZED => {
                headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            StatusCode::UNSUPPORTED_MEDIA_TYPE => {
                headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("gzip, deflate"));
            }
            StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS => {
                headers.insert(RETRY_AFTER, HeaderValue::from_static(RETRY_AFTER_SECONDS));
            }
            _ => {}
        }
        response
    }
}

//! A token is exchanged for a session, and the session is given up.

use askama::Template;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::header::SET_COOKIE;
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri};
use axum::response::{IntoResponse, Redirect, Response};
use jiff::Timestamp;
use tracing::info;
use zeroize::Zeroizing;

use super::Pages;
use super::session::{Session, is_form_key};
use super::viewer::{Site, cookie, is_own_form, language, other_language};
use super::views::{Frame, Refusal, refuse, refused, shown};
use super::words::{Language, Words};
use crate::directory::http::middleware::app::now;
use crate::directory::http::middleware::error::ApiError;
use crate::directory::http::middleware::span;
use crate::directory::model::tokens::{Purpose, TokenError, Verified};

#[derive(Template)]
#[template(path = "sign-in.html")]
struct SignInPage {
    frame: Frame,
    next: String,
    problem: Option<String>,
    note: Option<&'static str>,
}

/// `GET /pages/sign-in`.
pub(super) async fn page(uri: Uri, headers: HeaderMap) -> Response {
    let language = language(&uri, &headers);
    let query = |name: &str| field(uri.query().unwrap_or_default().as_bytes(), name);
    let out = query("out").map(|_| language.words().signed_out);
    let mut frame = Frame::bare(language, "", language.words().sign_in);
    frame.other_language = other_language(&uri, language);
    shown(&SignInPage {
        frame,
        next: next(query("next")),
        problem: None,
        note: out,
    })
}

/// `POST /pages/sign-in`.
pub(super) async fn exchange(
    State(pages): State<Pages>,
    uri: Uri,
    headers: HeaderMap,
    form: Bytes,
) -> Response {
    let language = language(&uri, &headers);
    if !is_own_form(&headers) {
        return refused(language, Refusal::Forged);
    }
    let next = next(field(&form, "next"));
    let token = Zeroizing::new(field(&form, "token").unwrap_or_default());
    let keys = pages.app.keys.borrow().clone();
    let now = now();
    let verified = keys.verified(token.trim(), now).and_then(|verified| {
        pages.app.revoked.check(&verified.claims)?;
        Ok(verified)
    });
    let verified = match verified {
        Ok(verified) if verified.claims.purpose == Purpose::Lookup => verified,
        Ok(Verified { .. }) => {
            return not_taken(language, next, language.words().only_lookup.to_owned());
        }
        Err(error) => {
            let why = told(&error, language.words());
            return not_taken(language, next, why.to_owned());
        }
    };
    span::is_of(&verified.claims.company);
    info!("a token was exchanged for a session");
    let session = Session::of(&verified, now).sealed(&keys);
    let site = Site::of(&headers, &pages.settings);
    with_cookie(Redirect::to(&next), &site.cookie_of_session(Some(&session)))
}

/// `POST /pages/sign-out`.
pub(super) async fn sign_out(
    State(pages): State<Pages>,
    uri: Uri,
    headers: HeaderMap,
    form: Bytes,
) -> Response {
    let language = language(&uri, &headers);
    let site = Site::of(&headers, &pages.settings);
    let (keys, now) = (pages.app.keys.borrow().clone(), now());
    let session = cookie(&headers, site.session_name()).unwrap_or_default();
    let sent = field(&form, "key").unwrap_or_default();
    if !is_own_form(&headers) || !is_form_key(&sent, session, &keys) {
        return refused(language, Refusal::Forged);
    }
    // A copy of the cookie ends, too. Of one that is no session any more there is nothing to end.
    if let Some(session) = Session::open(session, &keys, now)
        && session.holds(&pages.app.revoked)
    {
        span::is_of(&session.company);
        if let Err(error) = end(&pages, &session, now).await {
            return refuse(language, Refusal::of(&error), &error);
        }
    }
    with_cookie(
        Redirect::to("/pages/sign-in?out"),
        &site.cookie_of_session(None),
    )
}

/// Ends a session on all replicas: here at once, on others when they read of it.
async fn end(pages: &Pages, session: &Session, now: Timestamp) -> Result<(), ApiError> {
    let shares = &pages.settings.shares;
    let _turn = shares.enter(&session.company, Purpose::Lookup).await?;
    let ended = pages.app.store.end_session(&session.ended(now)).await?;
    pages.app.revoked.learn_ended([ended], now);
    info!("a session was ended");
    Ok(())
}

fn with_cookie(redirect: Redirect, line: &str) -> Response {
    let mut response = redirect.into_response();
    match HeaderValue::from_str(line) {
        Ok(line) => {
            response.headers_mut().append(SET_COOKIE, line);
            response
        }
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

fn not_taken(language: Language, next: String, why: String) -> Response {
    info!("a token was not exchanged");
    let words = language.words();
    let page = SignInPage {
        frame: Frame::bare(language, "", words.sign_in),
        next,
        problem: Some(words.refused.replace("{}", &why)),
        note: None,
    };
    (StatusCode::FORBIDDEN, shown(&page)).into_response()
}

/// Why a token is not taken.
fn told(error: &TokenError, words: &Words) -> &'static str {
    match error {
        TokenError::Expired => words.token_expired,
        TokenError::Revoked => words.token_revoked,
        // The rest is about key files, or a text that is no token.
        _ => words.token_foreign,
    }
}

/// The page to show next: one of these pages, and nothing else.
fn next(wanted: Option<String>) -> String {
    let is_ours = |path: &String| {
        path.starts_with("/pages/")
            && !path.starts_with("/pages/sign-")
            && !path.contains(|c: char| c.is_control() || c == '\\')
    };
    wanted
        .filter(is_ours)
        .unwrap_or_else(|| "/pages/calls".to_owned())
}

/// A field of a form or of an address.
fn field(form: &[u8], name: &str) -> Option<String> {
    let mut pairs = url::form_urlencoded::parse(form);
    pairs.find_map(|(key, value)| (key == name).then(|| value.into_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_led_to_these_pages_alone() {
        let led = |wanted: &str| next(Some(wanted.to_owned()));
        assert_eq!(led("/pages/calls?q=a"), "/pages/calls?q=a");
        for elsewhere in [
            "https://evil.example/pages/calls",
            "//evil.example/pages/",
            "/v1/calls",
            "/pages/sign-in?next=/pages/calls",
            "/pages/\r\nSet-Cookie: a=b",
            "/pages/\\evil.example",
            "",
        ] {
            assert_eq!(led(elsewhere), "/pages/calls", "{elsewhere}");
        }
    }
}

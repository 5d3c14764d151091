//! The pages: call history, call screen and why a call has no name, for people without a platform's
//! own screens. They are rendered here, work without a script but for what is live, and load
//! nothing from elsewhere.
//!
//! Who may look: whoever exchanged the tenant's token `lookup` for a session, or comes through a
//! proxy that is named and says the company in a header.

mod args;
mod assets;
mod call;
mod history;
mod live;
mod locale;
mod screen;
mod session;
mod sign_in;
mod viewer;
mod views;
mod words;

use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, REFERRER_POLICY, SET_COOKIE, STRICT_TRANSPORT_SECURITY,
    X_FRAME_OPTIONS,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Uri};
use axum::middleware::Next;
use axum::response::{Redirect, Response};
use axum::routing::{get, post};

pub use self::args::PagesArgs;
use self::live::Boards;
use self::viewer::{Site, language_asked};
use crate::company_id::CompanyId;
use crate::directory::http::middleware::app::App;
use crate::directory::http::middleware::fairness::Shares;
use crate::http_server::Proxies;
use crate::phone::Region;

/// The longest form that is read, in bytes: a token is some hundred.
const MAX_FORM: usize = 16 * 1024;

/// How many pages are live at once on a replica, and how many of one company. The rest show what
/// was there when they were loaded, and ask again.
const MOST_STREAMS: usize = 1_000;
const MOST_STREAMS_OF_ONE: usize = 300;

/// How the pages are served.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    /// The sites that may show the pages in a frame, as `frame-ancestors` of a
    /// Content-Security-Policy has them; none when empty.
    pub(crate) frame_ancestors: Vec<FrameAncestor>,
    /// The header in which a proxy names the company that may look, and who is believed.
    pub(crate) company_header: Option<(HeaderName, Proxies)>,
    /// How much one company may ask for; the API has shares of its own.
    pub(crate) shares: Shares,
}

/// A site that may show the pages in a frame: `https://phone.example.com`, `https://*.example.com`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FrameAncestor(String);

/// Why a text is no site.
#[derive(Debug, thiserror::Error)]
#[error("{0:?} is no site; write it as https://HOST, https://*.DOMAIN or https://HOST:PORT")]
pub struct NotASite(String);

impl std::str::FromStr for FrameAncestor {
    type Err = NotASite;

    fn from_str(text: &str) -> Result<Self, NotASite> {
        let host = text
            .strip_prefix("https://")
            .or_else(|| text.strip_prefix("http://"));
        let is_site = host.is_some_and(|host| {
            let named = host.strip_prefix("*.").unwrap_or(host);
            !named.is_empty()
                && named
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || b".-:[]".contains(&byte))
        });
        is_site
            .then(|| Self(text.to_owned()))
            .ok_or_else(|| NotASite(text.to_owned()))
    }
}

/// What the handlers of the pages share.
#[derive(Debug, Clone)]
pub(super) struct Pages {
    app: App,
    settings: Arc<Settings>,
    boards: Boards<BoardKey>,
}

/// What is read once for all who look at it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct BoardKey {
    company: CompanyId,
    board: screen::Board,
    /// The language.
    tag: &'static str,
    region: Region,
}

/// What browsers may do with answers under `/pages`.
#[derive(Debug, Clone)]
pub(crate) struct Guard {
    settings: Arc<Settings>,
    policy: HeaderValue,
}

/// The routes of the pages. They have to stand behind [`protect`], which is a layer around all
/// routes: an answer that no handler of a page gave is protected, too.
pub(crate) fn router<S: Clone + Send + Sync + 'static>(
    app: App,
    settings: Settings,
) -> (Router<S>, Guard) {
    let settings = Arc::new(settings);
    let guard = Guard {
        policy: policy(&settings.frame_ancestors),
        settings: Arc::clone(&settings),
    };
    let pages = Pages {
        boards: Boards::new(MOST_STREAMS, MOST_STREAMS_OF_ONE),
        app,
        settings,
    };
    let home = || async { Redirect::to("/pages/calls") };
    let router = Router::new()
        .route("/pages", get(home))
        .route("/pages/calls", get(history::page))
        .route("/pages/calls.csv", get(history::csv))
        .route("/pages/calls/{id}", get(call::page))
        .route("/pages/screen", get(screen::page))
        .route("/pages/events", get(screen::events))
        .route("/pages/sign-in", get(sign_in::page).post(sign_in::exchange))
        .route("/pages/sign-out", post(sign_in::sign_out))
        .route("/pages/static/{name}", get(assets::serve))
        .route("/pages/{*rest}", get(nowhere))
        .layer(DefaultBodyLimit::max(MAX_FORM))
        .with_state(pages);
    (router, guard)
}

/// There is no such page.
async fn nowhere(uri: Uri, headers: HeaderMap) -> Response {
    views::refused(viewer::language(&uri, &headers), views::Refusal::NoSuchPage)
}

/// What a browser may do with a page: nothing from elsewhere, no code within the page, no frame but
/// of the sites that are named.
fn policy(ancestors: &[FrameAncestor]) -> HeaderValue {
    let sites: Vec<&str> = ancestors.iter().map(|site| site.0.as_str()).collect();
    let sites = match sites.as_slice() {
        [] => "'none'".to_owned(),
        sites => sites.join(" "),
    };
    let policy = format!(
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; \
         form-action 'self'; base-uri 'none'; frame-ancestors {sites}"
    );
    // A site is letters, digits and a few signs.
    HeaderValue::from_str(&policy).unwrap_or(HeaderValue::from_static("default-src 'none'"))
}

/// Gives each answer under `/pages` the headers that protect who looks, errors included. There is
/// no guard where no pages are served.
pub(crate) async fn protect(
    State(guard): State<Option<Guard>>,
    request: Request,
    next: Next,
) -> Response {
    let path = request.uri().path();
    let is_ours = path == "/pages" || path.starts_with("/pages/");
    let Some(guard) = guard.filter(|_| is_ours) else {
        return next.run(request).await;
    };
    let uri: Uri = request.uri().clone();
    let site = Site::of(request.headers(), &guard.settings);
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    headers.insert(CONTENT_SECURITY_POLICY, guard.policy.clone());
    let fixed = |name: &'static str| HeaderValue::from_static(name);
    // With `no-referrer`, a form would not say from which site it comes.
    headers.insert(REFERRER_POLICY, fixed("same-origin"));
    for (name, value) in [
        ("cross-origin-opener-policy", "same-origin"),
        ("cross-origin-resource-policy", "same-origin"),
        (
            "permissions-policy",
            "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
        ),
        ("x-robots-tag", "noindex, nofollow"),
    ] {
        headers.insert(name, fixed(value));
    }
    if guard.settings.frame_ancestors.is_empty() {
        headers.insert(X_FRAME_OPTIONS, fixed("DENY"));
    }
    if site.is_secure {
        headers.insert(STRICT_TRANSPORT_SECURITY, fixed("max-age=31536000"));
    }
    headers.entry(CACHE_CONTROL).or_insert(fixed("no-store"));
    if let Some(language) = language_asked(&uri) {
        let cookie = site.cookie_of_language(language.words().tag);
        if let Ok(cookie) = HeaderValue::from_str(&cookie) {
            headers.append(SET_COOKIE, cookie);
        }
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_site_is_a_host_and_nothing_that_changes_the_policy() {
        for site in [
            "https://phone.example.com",
            "https://*.example.com",
            "https://phone.example.com:8443",
            "http://[::1]:8080",
        ] {
            let ancestor: FrameAncestor = site.parse().unwrap();
            let policy = policy(&[ancestor]);
            let end = format!("frame-ancestors {site}");
            assert!(policy.to_str().unwrap().ends_with(&end), "{policy:?}");
        }
        for other in [
            "",
            "*",
            "'self'",
            "https:",
            "https://",
            "https://*",
            "https://*.",
            "phone.example.com",
            "data://phone.example.com",
            "https://a.example; script-src *",
            "https://a.example script-src",
            "https://a.example,https://b.example",
            "https://a.example/path",
            "https://a.example\r\nset-cookie: a=b",
            "https://ä.example",
        ] {
            let refused = other.parse::<FrameAncestor>();
            assert!(refused.is_err(), "{other:?}: {refused:?}");
        }
    }
}

//! Who looks: the company of a session, or of a header that a named proxy sets.

use axum::extract::FromRequestParts;
use axum::http::header::{ACCEPT_LANGUAGE, COOKIE, HOST, ORIGIN};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Uri};
use axum::response::{IntoResponse, Redirect, Response};
use jiff::Timestamp;
use tokio::sync::OwnedSemaphorePermit;

use super::locale::Locale;
use super::session::{self, Session};
use super::views::{Refusal, refuse};
use super::words::Language;
use super::{Pages, Settings};
use crate::company_id::CompanyId;
use crate::directory::http::middleware::error::ApiError;
use crate::directory::http::middleware::span;
use crate::directory::model::company::LinkHealth;
use crate::directory::model::revoked::SESSIONS_LAST;
use crate::directory::model::tokens::Purpose;
use crate::directory::store::audit::Actor;
use crate::http_server::Visitor;
use crate::phone::Region;

/// The cookie of the language, which is no secret.
const LANGUAGE: &str = "switchboard-language";

/// Who looks at a page.
pub(super) struct Viewer {
    pub(super) company: CompanyId,
    pub(super) region: Region,
    pub(super) language: Language,
    /// What the controller says of the link.
    pub(super) link: Option<LinkHealth>,
    /// The key of this session's forms; `None` behind a proxy's own sign-on.
    pub(super) form_key: Option<String>,
    /// Where the same is shown in the other language.
    pub(super) other_language: String,
    actor: Actor,
    /// Its turn among the requests of the company.
    _turn: OwnedSemaphorePermit,
}

/// The site as the browser sees it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Site {
    /// Whether cookies are for HTTPS alone: everywhere but on the machine itself.
    pub(super) is_secure: bool,
    /// Whether other sites may show the pages in a frame.
    is_framed: bool,
}

// === impl Site ===

impl Site {
    pub(super) fn of(headers: &HeaderMap, settings: &Settings) -> Self {
        let host = headers.get(HOST).and_then(|host| host.to_str().ok());
        Self {
            is_secure: !host.is_some_and(is_loopback),
            is_framed: !settings.frame_ancestors.is_empty(),
        }
    }

    /// The name of the session's cookie. Of the one with the prefix a browser knows that no other
    /// site and no plain HTTP has set it.
    pub(super) fn session_name(self) -> &'static str {
        if self.is_secure {
            "__Host-switchboard"
        } else {
            "switchboard"
        }
    }

    /// The line that sets the session's cookie; that takes it away when there is none.
    pub(super) fn cookie_of_session(self, session: Option<&str>) -> String {
        let name = self.session_name();
        let (value, age) = match session {
            Some(session) => (session, SESSIONS_LAST.as_secs()),
            None => ("", 0),
        };
        format!(
            "{name}={value}; Path=/; Max-Age={age}; HttpOnly{}",
            self.attributes()
        )
    }

    pub(super) fn cookie_of_language(self, tag: &str) -> String {
        format!(
            "{LANGUAGE}={tag}; Path=/pages; Max-Age=31536000{}",
            self.attributes()
        )
    }

    /// In a frame of another site a browser sends a cookie only if it is for all sites; then it is
    /// kept apart for each of them. A link from elsewhere leads to the page in either case.
    fn attributes(self) -> &'static str {
        match (self.is_secure, self.is_framed) {
            (true, true) => "; Secure; SameSite=None; Partitioned",
            (true, false) => "; Secure; SameSite=Lax",
            (false, _) => "; SameSite=Lax",
        }
    }
}

/// Whether a host is this machine, where plain HTTP passes no wire.
fn is_loopback(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    name.eq_ignore_ascii_case("localhost")
        || name
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

/// The value of a cookie.
pub(super) fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let lines = headers.get_all(COOKIE).iter();
    let pairs = lines
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(';'));
    pairs
        .filter_map(|pair| pair.trim().split_once('='))
        .find_map(|(key, value)| (key == name).then_some(value))
}

/// The language that an address asks for.
pub(super) fn language_asked(uri: &Uri) -> Option<Language> {
    let query = uri.query()?;
    let mut pairs = url::form_urlencoded::parse(query.as_bytes());
    pairs.find_map(|(key, value)| (key == "lang").then(|| Language::of_tag(&value))?)
}

/// The language of a request: that of the address, that chosen before, that of the browser.
pub(super) fn language(uri: &Uri, headers: &HeaderMap) -> Language {
    let accepted = || headers.get(ACCEPT_LANGUAGE)?.to_str().ok();
    language_asked(uri)
        .or_else(|| Language::of_tag(cookie(headers, LANGUAGE)?))
        .or_else(|| Language::accepted(accepted()?))
        .unwrap_or(Language::English)
}

/// The address that shows the same in the other language.
pub(super) fn other_language(uri: &Uri, language: Language) -> String {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    let pairs = url::form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes());
    query.extend_pairs(pairs.filter(|(key, _)| key != "lang"));
    query.append_pair("lang", language.other().words().tag);
    format!("{}?{}", uri.path(), query.finish())
}

/// Whether a form was sent by a page of this site, as far as the browser says where it comes from.
pub(super) fn is_own_form(headers: &HeaderMap) -> bool {
    let header = |name: &str| {
        headers
            .get(name)
            .map(|value| value.to_str().unwrap_or_default())
    };
    if let Some(site) = header("sec-fetch-site") {
        return site == "same-origin";
    }
    match (header(ORIGIN.as_str()), header(HOST.as_str())) {
        (Some(origin), Some(host)) => origin
            .split_once("://")
            .is_some_and(|(_, from)| from == host),
        _ => false,
    }
}

// === impl Viewer ===

impl Viewer {
    /// Who it is, for the audit.
    pub(super) fn actor(&self) -> Actor {
        self.actor.clone()
    }

    /// How times are told to them.
    pub(super) fn locale(&self) -> Locale {
        let zone = self.link.as_ref().map(|link| link.time_zone.as_str());
        Locale::new(self.language, zone)
    }
}

/// Who may look: company, region, the key of the forms, and who it is for the audit.
pub(super) struct Admitted {
    pub(super) company: CompanyId,
    pub(super) region: Option<Region>,
    pub(super) form_key: Option<String>,
    pub(super) actor: Actor,
}

/// Finds out who may look; `None` if nobody is signed in.
pub(super) fn admit(
    pages: &Pages,
    headers: &HeaderMap,
    visitor: Option<&Visitor>,
) -> Option<Admitted> {
    if let Some((name, proxies)) = &pages.settings.company_header
        && let Some(company) = headers.get(name)
    {
        let is_believed = visitor
            .and_then(Visitor::address)
            .is_some_and(|address| proxies.contains(address));
        // From anybody else the header says nothing; whoever is signed in stays so.
        if is_believed {
            // Of two, one may be what the browser sent and the proxy did not take away.
            (headers.get_all(name).iter().count() == 1).then_some(())?;
            let company: CompanyId = company.to_str().ok()?.parse().ok()?;
            return Some(Admitted {
                company,
                region: None,
                form_key: None,
                actor: Actor {
                    purpose: "proxy".to_owned(),
                    key_id: String::new(),
                },
            });
        }
    }
    let site = Site::of(headers, &pages.settings);
    let text = cookie(headers, site.session_name())?;
    let keys = pages.app.keys.borrow().clone();
    let session = Session::open(text, &keys, Timestamp::now())?;
    session.holds(&pages.app.revoked).then_some(())?;
    Some(Admitted {
        form_key: Some(session::form_key(text, &keys)),
        actor: Actor {
            purpose: Purpose::Lookup.to_string(),
            key_id: session.key.clone(),
        },
        region: Some(session.region),
        company: session.company,
    })
}

impl FromRequestParts<Pages> for Viewer {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, pages: &Pages) -> Result<Self, Response> {
        let language = language(&parts.uri, &parts.headers);
        let visitor = parts.extensions.get::<Visitor>();
        let Some(admitted) = admit(pages, &parts.headers, visitor) else {
            let wanted = parts
                .uri
                .path_and_query()
                .map_or("/", |wanted| wanted.as_str());
            let mut query = url::form_urlencoded::Serializer::new(String::new());
            query.append_pair("next", wanted);
            return Err(Redirect::to(&format!("/pages/sign-in?{}", query.finish())).into_response());
        };
        if let Some(visitor) = visitor {
            visitor.has_shown_a_token();
        }
        span::is_of(&admitted.company);
        let refused = |error: ApiError| refuse(language, Refusal::of(&error), &error);
        let shares = &pages.settings.shares;
        let turn = shares.enter(&admitted.company, Purpose::Lookup).await;
        let turn = turn.map_err(refused)?;
        let link = pages.app.store.link(&admitted.company).await;
        let link = link.map_err(|error| refused(error.into()))?;
        let told = link.as_ref().map(|link| link.region);
        Ok(Self {
            region: admitted.region.or(told).unwrap_or(Region::JAPAN),
            company: admitted.company,
            language,
            link,
            form_key: admitted.form_key,
            other_language: other_language(&parts.uri, language),
            actor: admitted.actor,
            _turn: turn,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_http_is_for_this_machine_alone() {
        for host in [
            "localhost",
            "LOCALHOST:8080",
            "127.0.0.1:8080",
            "[::1]:80",
            "127.9.9.9",
        ] {
            assert!(is_loopback(host), "{host}");
        }
        for host in [
            "calls.example.com",
            "localhost.example.com",
            "10.0.0.1:80",
            "[::2]",
            "",
        ] {
            assert!(!is_loopback(host), "{host}");
        }
    }

    #[test]
    fn a_form_of_another_site_is_not_ours() {
        let headers = |pairs: &[(&'static str, &'static str)]| {
            let pairs = pairs.iter().map(|(name, value)| {
                (
                    axum::http::HeaderName::from_static(name),
                    axum::http::HeaderValue::from_static(value),
                )
            });
            pairs.collect::<HeaderMap>()
        };
        for (ours, sent) in [
            (true, headers(&[("sec-fetch-site", "same-origin")])),
            (false, headers(&[("sec-fetch-site", "cross-site")])),
            (
                false,
                headers(&[
                    ("sec-fetch-site", "same-site"),
                    ("origin", "https://a.example"),
                    ("host", "a.example"),
                ]),
            ),
            (
                true,
                headers(&[
                    ("origin", "https://a.example:8443"),
                    ("host", "a.example:8443"),
                ]),
            ),
            (
                false,
                headers(&[("origin", "https://evil.example"), ("host", "a.example")]),
            ),
            (false, headers(&[("origin", "null"), ("host", "a.example")])),
            (false, headers(&[("host", "a.example")])),
        ] {
            assert_eq!(is_own_form(&sent), ours, "{sent:?}");
        }
    }
}

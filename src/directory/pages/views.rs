//! What the templates show: texts in the words of a language, made harmless. A template escapes
//! markup; here goes what acts without markup, and every link that is none to a record.

use askama::Template;
use axum::http::StatusCode;
use axum::http::header::RETRY_AFTER;
use axum::response::{Html, IntoResponse, Response};
use jiff::Timestamp;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use tracing::error;

use super::assets;
use super::locale::Locale;
use super::viewer::Viewer;
use super::words::{Language, LinkWords, Words};
use crate::directory::http::middleware::error::ApiError;
use crate::directory::model::company::LinkHealth;
use crate::directory::model::{Alternatives, Call, Contact, ContactSource, Direction};
use crate::directory::why::{Cause, Facts};
use crate::error::Chain;
use crate::phone::{E164, Region};
use crate::plain_text::plain;

/// What stands around every page.
pub(super) struct Frame {
    pub(super) words: &'static Words,
    pub(super) title: String,
    /// `calls`, `screen` or nothing: where one is.
    pub(super) place: &'static str,
    pub(super) style: &'static str,
    pub(super) script: &'static str,
    pub(super) icon: &'static str,
    /// Whose pages they are; `None` where nobody is signed in.
    pub(super) company: Option<String>,
    pub(super) form_key: Option<String>,
    pub(super) banner: Option<Banner>,
    pub(super) other_language: String,
    pub(super) zone: Option<String>,
}

/// That the link does not work, and what to do.
pub(super) struct Banner {
    pub(super) reason: String,
    pub(super) told: LinkWords,
    pub(super) since: String,
    pub(super) last_run: Option<String>,
    pub(super) next_run: Option<String>,
    pub(super) budget: Option<String>,
}

/// One call, as a row of the history.
pub(super) struct Row {
    pub(super) id: String,
    pub(super) page: String,
    pub(super) time: String,
    pub(super) machine_time: String,
    pub(super) direction: &'static str,
    pub(super) way: &'static str,
    pub(super) number: String,
    pub(super) who: Who,
    pub(super) state: String,
    pub(super) why_this: String,
}

/// Who it is.
#[derive(Default)]
pub(super) struct Who {
    pub(super) company: String,
    pub(super) person: String,
    pub(super) title: String,
    pub(super) owner: String,
    pub(super) object: &'static str,
    pub(super) link: Option<String>,
    pub(super) others: Option<Others>,
}

/// The other records that hold a number.
pub(super) struct Others {
    pub(super) count: String,
    pub(super) rule: &'static str,
    pub(super) records: Vec<Other>,
}

/// One of them.
pub(super) struct Other {
    pub(super) object: &'static str,
    pub(super) name: String,
    pub(super) link: Option<String>,
}

/// What a page says instead of its content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    Busy,
    Failed,
    WrongDay,
    WrongPage,
    NoSuchCall,
    NoSuchPage,
    Forged,
}

#[derive(Template)]
#[template(path = "refusal.html")]
struct RefusalPage {
    frame: Frame,
    sentence: &'static str,
}

// === impl Frame ===

impl Frame {
    /// Around a page of somebody who is signed in.
    pub(super) fn of(viewer: &Viewer, locale: &Locale, place: &'static str, title: &str) -> Self {
        let link = viewer.link.as_ref();
        Self {
            company: Some(viewer.company.to_string()),
            form_key: viewer.form_key.clone(),
            banner: link.and_then(|link| Banner::of(link, locale)),
            other_language: viewer.other_language.clone(),
            zone: Some(locale.zone_name().to_owned()),
            ..Self::bare(viewer.language, place, title)
        }
    }

    /// Around a page that anybody sees.
    pub(super) fn bare(language: Language, place: &'static str, title: &str) -> Self {
        let [style, script, icon] = assets::addresses();
        Self {
            words: language.words(),
            title: title.to_owned(),
            place,
            style,
            script,
            icon,
            company: None,
            form_key: None,
            banner: None,
            other_language: format!("?lang={}", language.other().words().tag),
            zone: None,
        }
    }

    /// The words of the other language, for the link that leads there.
    pub(super) fn other_words(&self) -> &'static Words {
        let here = Language::of_tag(self.words.tag).unwrap_or(Language::English);
        here.other().words()
    }
}

// === impl Banner ===

impl Banner {
    /// The banner of a link that does not work; none for one that works.
    fn of(link: &LinkHealth, locale: &Locale) -> Option<Self> {
        if link.ready != Some(false) {
            return None;
        }
        let words = locale.language.words();
        Some(Self {
            reason: plain(link.code()),
            told: locale.language.link(link),
            since: locale.time(link.since),
            last_run: link.last_run_at.map(|at| locale.time(at)),
            next_run: link.next_run_at.map(|at| locale.time(at)),
            budget: link
                .budget_percent
                .map(|percent| words.budget.replace("{}", &percent.to_string())),
        })
    }
}

// === impl Row ===

impl Row {
    pub(super) fn of(call: &Call, around: &Around<'_>) -> Self {
        let words = around.locale.language.words();
        let time = around.locale.time(call.started_at);
        Self {
            id: call.id.clone(),
            page: page_of(&call.id),
            machine_time: around.locale.machine(call.started_at),
            direction: words.direction_of(call.direction),
            way: match call.direction {
                Direction::Incoming => "in",
                Direction::Outgoing => "out",
                Direction::Internal => "internal",
            },
            number: number(call, around.region, words),
            who: call
                .contact
                .as_ref()
                .map(|contact| Who::of(contact, words))
                .unwrap_or_default(),
            state: around.state(call),
            why_this: words.why_this.replace("{}", &time),
            time,
        }
    }
}

// === impl Who ===

impl Who {
    pub(super) fn of(contact: &Contact, words: &'static Words) -> Self {
        let text = |text: &Option<String>| text.as_deref().map(plain).unwrap_or_default();
        let link = contact.link.as_deref().filter(|link| is_web(link));
        Self {
            company: text(&contact.company_name),
            person: text(&contact.person_name),
            title: text(&contact.title),
            owner: text(&contact.owner_name),
            object: match (contact.object, contact.source) {
                (_, ContactSource::Manual) => words.by_hand,
                (Some(object), _) => words.object_of(object),
                (None, _) => "",
            },
            link: link.map(str::to_owned),
            others: contact
                .alternatives
                .as_ref()
                .map(|others| Others::of(others, link, words)),
        }
    }
}

// === impl Others ===

impl Others {
    /// The others are opened at the place where the chosen record is.
    pub(super) fn of(others: &Alternatives, link: Option<&str>, words: &'static Words) -> Self {
        let base = link
            .and_then(|link| link.rsplit_once('/'))
            .map(|(base, _)| base);
        let other = |other: &crate::directory::model::Alternative| {
            let names = [&other.person_name, &other.company_name];
            let names: Vec<String> = names
                .into_iter()
                .flatten()
                .map(|name| plain(name))
                .collect();
            let id = utf8_percent_encode(&other.record_id, NON_ALPHANUMERIC);
            Other {
                object: words.object_of(other.object),
                name: if names.is_empty() {
                    plain(&other.record_id)
                } else {
                    names.join(" · ")
                },
                link: base.map(|base| format!("{base}/{id}")),
            }
        };
        Self {
            count: words.others.replace("{}", &others.count.to_string()),
            rule: words.rule_of(others.rule),
            records: others.records.iter().map(other).collect(),
        }
    }
}

/// What a call is told with: the same for all calls of a page.
pub(super) struct Around<'a> {
    pub(super) locale: &'a Locale,
    pub(super) region: Region,
    pub(super) link: Option<&'a LinkHealth>,
    pub(super) now: Timestamp,
}

// === impl Around ===

impl Around<'_> {
    /// How far a call's name is, in words; nothing where the name is there.
    pub(super) fn state(&self, call: &Call) -> String {
        let language = self.locale.language;
        let words = language.words();
        let facts = Facts::in_a_list(call, self.link);
        let cause = facts.cause(self.now);
        let moment = |at| self.locale.moment(at, self.now);
        match cause {
            Cause::Named | Cause::NamedByHand => String::new(),
            Cause::NotInSalesforce => {
                let asked = call.asked_at.map(moment).unwrap_or_default();
                let asked = words.asked_state.replace("{}", &asked);
                match call.ask_again_at.filter(|at| *at > self.now) {
                    Some(next) => format!(
                        "{asked}; {}",
                        words.asked_again.replace("{}", &moment(next))
                    ),
                    None => asked,
                }
            }
            Cause::NotAskedYet => {
                let next = self.link.and_then(|link| link.next_run_at);
                match next.filter(|at| *at > self.now) {
                    Some(next) => format!(
                        "{}; {}",
                        language.cause(cause),
                        words.asked_again.replace("{}", &moment(next))
                    ),
                    None => language.cause(cause).to_owned(),
                }
            }
            Cause::GoneFromSalesforce => {
                let was = call.was.as_ref();
                let was = was.and_then(|was| was.person_name.clone().or(was.company_name.clone()));
                match was {
                    Some(was) => format!(
                        "{}; {}",
                        language.cause(cause),
                        words.was.replace("{}", &plain(&was))
                    ),
                    None => language.cause(cause).to_owned(),
                }
            }
            cause => language.cause(cause).to_owned(),
        }
    }
}

/// The number of a call as people of the region write it; as the platform spelled it where it is no
/// number.
pub(super) fn number(call: &Call, region: Region, words: &Words) -> String {
    let spelled = || {
        call.number
            .as_deref()
            .map(plain)
            .filter(|text| !text.trim().is_empty())
    };
    match &call.e164 {
        Some(e164) => written(e164, region),
        None => spelled().unwrap_or_else(|| words.no_number.to_owned()),
    }
}

pub(super) fn written(number: &E164, region: Region) -> String {
    number.as_written_in(region)
}

/// The page of a call.
pub(super) fn page_of(id: &str) -> String {
    format!("/pages/calls/{}", utf8_percent_encode(id, NON_ALPHANUMERIC))
}

/// Whether a link leads to a page on the web: anything else could be code.
fn is_web(link: &str) -> bool {
    url::Url::parse(link).is_ok_and(|url| url.scheme() == "https")
}

// === impl Refusal ===

impl Refusal {
    /// What an error of the directory means to who looks.
    pub(super) fn of(error: &ApiError) -> Self {
        match error {
            ApiError::TooMany => Self::Busy,
            _ => Self::Failed,
        }
    }

    fn sentence(self, words: &'static Words) -> &'static str {
        match self {
            Self::Busy => words.busy,
            Self::Failed => words.failed,
            Self::WrongDay => words.wrong_day,
            Self::WrongPage => words.wrong_page,
            Self::NoSuchCall => words.no_such_call,
            Self::NoSuchPage => words.no_such_page,
            Self::Forged => words.forged,
        }
    }

    fn status(self) -> StatusCode {
        match self {
            Self::Busy => StatusCode::TOO_MANY_REQUESTS,
            Self::Failed => StatusCode::SERVICE_UNAVAILABLE,
            Self::WrongDay | Self::WrongPage => StatusCode::BAD_REQUEST,
            Self::NoSuchCall | Self::NoSuchPage => StatusCode::NOT_FOUND,
            Self::Forged => StatusCode::FORBIDDEN,
        }
    }
}

/// A page that says why there is none, and what the directory's log is to say.
pub(super) fn refuse(language: Language, refusal: Refusal, error: &ApiError) -> Response {
    if refusal == Refusal::Failed {
        error!(error = %Chain(error), "a page could not be made");
    }
    refused(language, refusal)
}

/// A page that says why there is none.
pub(super) fn refused(language: Language, refusal: Refusal) -> Response {
    let words = language.words();
    let page = RefusalPage {
        frame: Frame::bare(language, "", words.calls),
        sentence: refusal.sentence(words),
    };
    let mut response = (refusal.status(), shown(&page)).into_response();
    if matches!(refusal, Refusal::Busy | Refusal::Failed) {
        response
            .headers_mut()
            .insert(RETRY_AFTER, axum::http::HeaderValue::from_static("2"));
    }
    response
}

/// The page of a template.
pub(super) fn shown(template: &impl Template) -> Response {
    match template.render() {
        Ok(text) => Html(text).into_response(),
        Err(failure) => {
            error!(error = %Chain(&failure), "a template failed; this is a bug");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

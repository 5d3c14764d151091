//! One call: who it is, and why that is known or not.

use askama::Template;
use axum::extract::{Path, State};
use axum::response::Response;

use super::Pages;
use super::viewer::Viewer;
use super::views::{Around, Frame, Refusal, Row, Who, refuse, refused, shown, written};
use crate::directory::http::middleware::app::now;
use crate::directory::http::middleware::error::ApiError;
use crate::plain_text::plain;

#[derive(Template)]
#[template(path = "call.html")]
struct CallPage {
    frame: Frame,
    row: Row,
    steps: Vec<Step>,
    who: Option<Who>,
    sentence: String,
    remedy: Option<String>,
    /// The language of the remedy: a controller of another version may tell of what is not
    /// translated.
    remedy_tag: &'static str,
}

/// A step on the way from the delivery to the name.
struct Step {
    name: &'static str,
    text: String,
}

/// `GET /pages/calls/{id}`.
pub(super) async fn page(
    State(pages): State<Pages>,
    viewer: Viewer,
    Path(id): Path<String>,
) -> Response {
    let found = pages
        .app
        .store
        .facts_of_call(&viewer.company, &id, viewer.region)
        .await;
    let (call, facts) = match found {
        Ok(Some(found)) => found,
        Ok(None) => return refused(viewer.language, Refusal::NoSuchCall),
        Err(error) => {
            let error = ApiError::from(error);
            return refuse(viewer.language, Refusal::of(&error), &error);
        }
    };
    let (locale, words, now) = (viewer.locale(), viewer.language.words(), now());
    let around = Around {
        locale: &locale,
        region: viewer.region,
        link: viewer.link.as_ref(),
        now,
    };
    let row = Row::of(&call, &around);
    let why = facts.why(now);
    let mut steps = Vec::new();
    let mut step = |name, text: String| steps.push(Step { name, text });
    if let Some(at) = why.received_at {
        step(words.received, locale.time(at));
    }
    step(
        words.delivered_as,
        call.number
            .as_deref()
            .map_or(words.no_number.to_owned(), plain),
    );
    step(
        words.read_as,
        match &why.e164 {
            Some(e164) => format!("{} ({e164})", written(e164, viewer.region)),
            None => words.not_read.to_owned(),
        },
    );
    match &why.asked {
        Some(asked) => {
            step(words.asked, locale.time(asked.at));
            if let Some(run) = &asked.run {
                step(words.run, plain(run));
            }
            if let Some(calls) = asked.api_calls {
                step(words.api_calls, calls.to_string());
            }
            let more = if asked.spellings as usize > asked.likeliest.len() {
                ", …"
            } else {
                ""
            };
            let likeliest = asked.likeliest.join(", ");
            step(
                words.spellings,
                format!("{}: {likeliest}{more}", asked.spellings),
            );
        }
        None if why.e164.is_some() => step(words.asked, words.not_asked.to_owned()),
        None => {}
    }
    if let Some(at) = why.next_at {
        step(words.next, locale.time(at));
    }
    let language = viewer.language;
    let (sentence, remedy, remedy_tag) = match &why.link {
        Some(link) if link.ready == Some(false) => {
            let told = language.link(link);
            let cause = language.cause(why.cause);
            (
                format!("{cause} ({})", plain(link.code())),
                Some(told.remedy),
                told.tag,
            )
        }
        _ => (
            language.cause(why.cause).to_owned(),
            language.remedy(why.cause).map(str::to_owned),
            words.tag,
        ),
    };
    let page = CallPage {
        frame: Frame::of(&viewer, &locale, "", &row.why_this),
        who: call.contact.as_ref().map(|contact| Who::of(contact, words)),
        row,
        steps,
        sentence,
        remedy,
        remedy_tag,
    };
    shown(&page)
}

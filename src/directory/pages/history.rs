//! The call history: what the address asks for, as a list or as CSV.

use askama::Template;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::Uri;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use futures::{StreamExt as _, stream};
use tracing::{info, warn};

use super::Pages;
use super::locale::Locale;
use super::viewer::Viewer;
use super::views::{Around, Frame, Refusal, Row, refuse, refused, shown};
use crate::directory::http::middleware::app::now;
use crate::directory::http::middleware::cursor;
use crate::directory::http::middleware::error::ApiError;
use crate::directory::model::{Call, Direction};
use crate::directory::store::audit::{self, Record};
use crate::directory::store::{CallFilter, NumberFilter, Position, SearchedPage, Store};
use crate::error::Chain;
use crate::phone;
use crate::plain_text::{csv, folded};

/// Calls of a page.
const LIMIT: u32 = 50;
/// Calls of a part of a CSV file; it bounds the memory of an export.
const PART: u32 = 500;
/// How many calls one page looks through at most in a search.
const WALK: u32 = 2_000;
/// The longest text that is searched for, in characters.
const MAX_TEXT: usize = 100;

/// What the address asks for, as it is written there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Asked {
    pub(super) text: String,
    pub(super) from: String,
    pub(super) to: String,
    pub(super) direction: String,
    pub(super) named: String,
    cursor: String,
}

#[derive(Template)]
#[template(path = "history.html")]
struct HistoryPage {
    frame: Frame,
    asked: Asked,
    rows: Vec<Row>,
    older: Option<String>,
    newest: Option<String>,
    searched_to: Option<String>,
    csv: String,
}

// === impl Asked ===

impl Asked {
    fn of(uri: &Uri) -> Self {
        let mut asked = Self::default();
        for (key, value) in url::form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes())
        {
            let value = value.trim().chars().take(2 * MAX_TEXT).collect();
            match &*key {
                "q" => asked.text = value,
                "from" => asked.from = value,
                "to" => asked.to = value,
                "direction" => asked.direction = value,
                "named" => asked.named = value,
                "cursor" => asked.cursor = value,
                _ => {}
            }
        }
        asked
    }

    /// The address that asks for this, from another place on.
    fn address(&self, page: &str, cursor: Option<&str>) -> String {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        for (key, value) in [
            ("q", self.text.as_str()),
            ("from", &self.from),
            ("to", &self.to),
            ("direction", &self.direction),
            ("named", &self.named),
            ("cursor", cursor.unwrap_or_default()),
        ] {
            if !value.is_empty() {
                query.append_pair(key, value);
            }
        }
        match query.finish() {
            query if query.is_empty() => page.to_owned(),
            query => format!("{page}?{query}"),
        }
    }

    fn filter(&self, viewer: &Viewer, locale: &Locale, limit: u32) -> Result<CallFilter, Refusal> {
        let day = |text: &str| {
            if text.is_empty() {
                return Ok(None);
            }
            let day = text.parse().ok().and_then(|day| locale.day(day));
            day.map(Some).ok_or(Refusal::WrongDay)
        };
        let after = match self.cursor.as_str() {
            "" => None,
            text => Some(cursor::read(text).map_err(|_| Refusal::WrongPage)?),
        };
        let (number, name) = self.wanted(viewer);
        Ok(CallFilter {
            number,
            name,
            from: day(&self.from)?.map(|(start, _)| start),
            to: day(&self.to)?.map(|(_, end)| end),
            matched: match self.named.as_str() {
                "yes" => Some(true),
                "no" => Some(false),
                _ => None,
            },
            direction: match self.direction.as_str() {
                "in" => Some(Direction::Incoming),
                "out" => Some(Direction::Outgoing),
                "internal" => Some(Direction::Internal),
                _ => None,
            },
            after,
            down_to: None,
            limit,
        })
    }

    /// A number in any spelling, or a part of a name.
    fn wanted(&self, viewer: &Viewer) -> (Option<NumberFilter>, Option<String>) {
        let text: String = self.text.chars().take(MAX_TEXT).collect();
        if text.is_empty() {
            return (None, None);
        }
        if let Ok(number) = phone::parse(&text, &viewer.region) {
            return (Some(NumberFilter::E164(number)), None);
        }
        let dials = |c: char| c.is_numeric() || "+-.*#() /".contains(c);
        if text.chars().all(dials) {
            return (Some(NumberFilter::Spelled(text)), None);
        }
        // Of what has no shape nothing is left to search for.
        (
            None,
            Some(folded(&text)).filter(|name| !name.trim().is_empty()),
        )
    }

    /// Whether the newest of all calls are asked for, which come in by themselves.
    pub(super) fn is_plain(&self) -> bool {
        *self == Self::default()
    }
}

/// `GET /pages/calls`.
pub(super) async fn page(State(pages): State<Pages>, viewer: Viewer, uri: Uri) -> Response {
    let asked = Asked::of(&uri);
    let locale = viewer.locale();
    let filter = match asked.filter(&viewer, &locale, LIMIT) {
        Ok(filter) => filter,
        Err(refusal) => return refused(viewer.language, refusal),
    };
    let found = pages
        .app
        .store
        .search_calls(&viewer.company, &filter, WALK)
        .await;
    let SearchedPage {
        calls,
        next,
        searched_to,
    } = match found {
        Ok(found) => found,
        Err(error) => {
            let error = ApiError::from(error);
            return refuse(viewer.language, Refusal::of(&error), &error);
        }
    };
    let around = Around {
        locale: &locale,
        region: viewer.region,
        link: viewer.link.as_ref(),
        now: now(),
    };
    let next = next.as_ref().map(cursor::write);
    let page = HistoryPage {
        frame: Frame::of(&viewer, &locale, "calls", viewer.language.words().calls),
        rows: calls.iter().map(|call| Row::of(call, &around)).collect(),
        older: next.map(|next| asked.address("/pages/calls", Some(&next))),
        newest: (!asked.cursor.is_empty()).then(|| asked.address("/pages/calls", None)),
        searched_to: searched_to.map(|at| locale.time(at)),
        csv: asked.address("/pages/calls.csv", None),
        asked,
    };
    shown(&page)
}

/// `GET /pages/calls.csv`: all calls that the address asks for, not only those of a page.
pub(super) async fn csv(State(pages): State<Pages>, viewer: Viewer, uri: Uri) -> Response {
    let asked = Asked {
        cursor: String::new(),
        ..Asked::of(&uri)
    };
    let locale = viewer.locale();
    let filter = match asked.filter(&viewer, &locale, PART) {
        Ok(filter) => filter,
        Err(refusal) => return refused(viewer.language, refusal),
    };
    let store = pages.app.store.clone();
    let record = Record::new(audit::CALLS_EXPORTED);
    let begun = async {
        let actor = viewer.actor();
        store
            .record(&viewer.company, &actor, &record, now())
            .await?;
        // Read before the status is sent, so that a database that is away gives no broken file.
        store.search_calls(&viewer.company, &filter, WALK).await
    };
    let first = match begun.await {
        Ok(first) => first,
        Err(error) => {
            let error = ApiError::from(error);
            return refuse(viewer.language, Refusal::of(&error), &error);
        }
    };
    info!("exports calls");
    let head = Bytes::from(header(&viewer));
    let export = Export {
        store,
        viewer,
        locale,
        filter,
    };
    let rest = stream::try_unfold((export, Some(first)), |(export, part)| async move {
        let Some(part) = part else {
            return Ok::<_, crate::directory::store::StoreError>(None);
        };
        let lines = export.lines(&part.calls);
        let next = match part.next {
            Some(next) => Some(export.after(next).await?),
            None => None,
        };
        Ok(Some((Bytes::from(lines), (export, next))))
    });
    let rest = rest.inspect(|part| {
        if let Err(error) = part {
            warn!(error = %Chain(error), "an export of calls broke off");
        }
    });
    let body = stream::iter([Ok(head)]).chain(rest);
    let headers = [
        (CONTENT_TYPE, "text/csv; charset=utf-8; header=present"),
        (CONTENT_DISPOSITION, "attachment; filename=\"calls.csv\""),
    ];
    (headers, Body::from_stream(body)).into_response()
}

/// An export under way. It keeps the turn of who asked until it ends.
struct Export {
    store: Store,
    viewer: Viewer,
    locale: Locale,
    filter: CallFilter,
}

// === impl Export ===

impl Export {
    async fn after(
        &self,
        after: Position,
    ) -> Result<SearchedPage, crate::directory::store::StoreError> {
        let filter = CallFilter {
            after: Some(after),
            ..self.filter.clone()
        };
        let company = &self.viewer.company;
        self.store.search_calls(company, &filter, WALK).await
    }

    fn lines(&self, calls: &[Call]) -> String {
        let around = Around {
            locale: &self.locale,
            region: self.viewer.region,
            link: self.viewer.link.as_ref(),
            now: now(),
        };
        calls.iter().map(|call| line(call, &around)).collect()
    }
}

/// The header, with a mark by which a spreadsheet knows UTF-8.
fn header(viewer: &Viewer) -> String {
    let words = viewer.language.words();
    let names = [
        words.time,
        words.direction,
        words.number,
        words.company,
        words.person,
        words.title,
        words.owner,
        words.object,
        words.record,
        words.state,
    ];
    let names: Vec<String> = names.iter().map(|name| csv::field(name)).collect();
    format!("\u{feff}{}\r\n", names.join(","))
}

fn line(call: &Call, around: &Around<'_>) -> String {
    let row = Row::of(call, around);
    let number = match &call.e164 {
        Some(e164) => csv::number(e164.as_str()),
        None => csv::field(&row.number),
    };
    let fields = [
        csv::field(&row.machine_time),
        csv::field(row.direction),
        number,
        csv::field(&row.who.company),
        csv::field(&row.who.person),
        csv::field(&row.who.title),
        csv::field(&row.who.owner),
        csv::field(row.who.object),
        csv::field(row.who.link.as_deref().unwrap_or_default()),
        csv::field(&row.state),
    ];
    format!("{}\r\n", fields.join(","))
}

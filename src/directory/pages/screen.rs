//! The call screen, and the live part of the history: who calls, with the name as soon as it is
//! there.

use std::collections::HashMap;
use std::sync::Arc;

use askama::Template;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use jiff::{SignedDuration, Timestamp};
use parking_lot::Mutex;

use super::live::{Card, State as BoardState};
use super::locale::Locale;
use super::viewer::{Viewer, admit};
use super::views::{Around, Frame, Row, Who, page_of, shown, written};
use super::words::{Language, Words};
use super::{BoardKey, Pages};
use crate::company_id::CompanyId;
use crate::directory::http::middleware::app::now;
use crate::directory::model::{Call, Direction};
use crate::directory::store::{CallFilter, NumberFilter, Ringing, Store, StoreError};
use crate::http_server::Visitor;
use crate::phone::{E164, Region};

/// What a board shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Board {
    /// The calls of this moment.
    Screen,
    /// The newest calls.
    History,
}

/// The most calls on the screen.
const MOST_CARDS: usize = 20;
/// Rows of the history that are live.
const MOST_ROWS: u32 = 20;
/// A call whose end was never reported is no longer shown as running after this time.
const RUNS: SignedDuration = SignedDuration::from_hours(4);
/// For how long a call stands there after its end.
const STAYS: SignedDuration = SignedDuration::from_mins(10);
/// For how long a ring rings without word of a call.
const RINGS: SignedDuration = SignedDuration::from_mins(2);
/// A call belongs to a ring that rang at most so long after the call began by the platform's clock.
const SAME: SignedDuration = SignedDuration::from_secs(60);
/// The last calls with somebody.
const LAST_CALLS: u32 = 5;

#[derive(Template)]
#[template(path = "screen.html")]
struct ScreenPage {
    frame: Frame,
    cards: Vec<String>,
}

#[derive(Template)]
#[template(path = "card.html")]
struct CardView<'a> {
    w: &'static Words,
    id: &'a str,
    status: &'static str,
    way: &'static str,
    number: &'a str,
    since: &'a str,
    machine_since: &'a str,
    who: Option<&'a Who>,
    state: &'a str,
    page: Option<&'a str>,
    last: &'a [LastCall],
}

#[derive(Template)]
#[template(path = "row.html")]
struct RowView<'a> {
    w: &'static Words,
    row: &'a Row,
}

/// An earlier call with the same number.
#[derive(Debug, Clone, PartialEq, Eq)]
struct LastCall {
    time: String,
    machine_time: String,
    direction: &'static str,
    lasted: String,
    page: String,
}

/// Whoever calls at this moment.
struct Caller {
    number: Option<E164>,
    call: Option<Call>,
    ringing: Option<Ringing>,
    at: Timestamp,
}

/// Reads the boards of a company in a language.
pub(super) struct Reader {
    store: Store,
    company: CompanyId,
    region: Region,
    language: Language,
    /// The last calls of who is on the screen, which are read once.
    last: Mutex<HashMap<String, Vec<LastCall>>>,
}

// === impl Reader ===

impl Reader {
    pub(super) fn new(
        store: Store,
        company: CompanyId,
        region: Region,
        language: Language,
    ) -> Self {
        Self {
            store,
            company,
            region,
            language,
            last: Mutex::default(),
        }
    }

    /// The state of a board now.
    pub(super) async fn read(&self, board: Board) -> Result<BoardState, StoreError> {
        let link = self.store.link(&self.company).await?;
        let locale = Locale::new(
            self.language,
            link.as_ref().map(|link| link.time_zone.as_str()),
        );
        let around = Around {
            locale: &locale,
            region: self.region,
            link: link.as_ref(),
            now: now(),
        };
        match board {
            Board::Screen => self.screen(&around).await,
            Board::History => self.history(&around).await,
        }
    }

    async fn history(&self, around: &Around<'_>) -> Result<BoardState, StoreError> {
        let filter = CallFilter {
            limit: MOST_ROWS,
            ..CallFilter::default()
        };
        let (calls, next) = self.store.calls(&self.company, &filter).await?;
        let card = |call: &Call| {
            let row = Row::of(call, around);
            let view = RowView {
                w: self.language.words(),
                row: &row,
            };
            Card {
                id: row.id.clone(),
                order: call.started_at.as_microsecond(),
                html: view.render().unwrap_or_default(),
                say: format!(
                    "{} {} {} {}",
                    row.direction, row.number, row.who.company, row.who.person
                ),
            }
        };
        Ok(BoardState {
            cards: calls.iter().map(card).collect(),
            goes_on: next.is_some(),
        })
    }

    async fn screen(&self, around: &Around<'_>) -> Result<BoardState, StoreError> {
        let callers = self.callers(around.now).await?;
        let mut cards = Vec::with_capacity(callers.len());
        for caller in &callers {
            let contact = match (&caller.call, &caller.number) {
                (Some(call), _) => call.contact.clone(),
                (None, Some(number)) => match self.store.contact(&self.company, number).await? {
                    Some(contact) => Some(contact),
                    None => self
                        .store
                        .in_book(&self.company, std::slice::from_ref(number))
                        .await?
                        .remove(number),
                },
                (None, None) => None,
            };
            let last = self.last_calls(caller, around.locale).await?;
            cards.push(self.card(caller, contact.as_ref(), &last, around));
        }
        let on_screen: Vec<String> = callers.iter().map(Caller::id).collect();
        self.last.lock().retain(|id, _| on_screen.contains(id));
        Ok(BoardState {
            cards,
            goes_on: false,
        })
    }

    /// Who rings, talks or has just talked, the newest first; a number stands there once.
    async fn callers(&self, now: Timestamp) -> Result<Vec<Caller>, StoreError> {
        let filter = CallFilter {
            from: now.checked_sub(RUNS).ok(),
            limit: 5 * MOST_CARDS as u32,
            ..CallFilter::default()
        };
        let (calls, _) = self.store.calls(&self.company, &filter).await?;
        let rings = now.checked_sub(RINGS).unwrap_or(now);
        let rings = self
            .store
            .ringing(&self.company, rings, MOST_CARDS as u32)
            .await?;
        let mut callers: Vec<Caller> = Vec::new();
        for call in calls {
            let is_now = call
                .ended_at
                .is_none_or(|end| now.duration_since(end) < STAYS);
            let is_here =
                call.e164.is_some() && callers.iter().any(|caller| caller.number == call.e164);
            if call.direction == Direction::Internal || !is_now || is_here {
                continue;
            }
            callers.push(Caller {
                number: call.e164.clone(),
                at: call.started_at,
                call: Some(call),
                ringing: None,
            });
        }
        for ring in rings {
            let known = callers
                .iter_mut()
                .find(|caller| caller.number.as_ref() == Some(&ring.number));
            match known {
                // It is the ring of that call.
                Some(caller) if ring.rang_at.duration_since(caller.at) < SAME => {}
                Some(caller) => {
                    caller.at = ring.rang_at;
                    caller.call = None;
                    caller.ringing = Some(ring);
                }
                None => callers.push(Caller {
                    number: Some(ring.number.clone()),
                    at: ring.rang_at,
                    call: None,
                    ringing: Some(ring),
                }),
            }
        }
        callers.sort_by_key(|caller| std::cmp::Reverse(caller.at));
        callers.truncate(MOST_CARDS);
        Ok(callers)
    }

    /// The calls with this number before this one.
    async fn last_calls(
        &self,
        caller: &Caller,
        locale: &Locale,
    ) -> Result<Vec<LastCall>, StoreError> {
        let Some(number) = &caller.number else {
            return Ok(Vec::new());
        };
        let id = caller.id();
        if let Some(known) = self.last.lock().get(&id) {
            return Ok(known.clone());
        }
        let filter = CallFilter {
            number: Some(NumberFilter::E164(number.clone())),
            to: Some(caller.at),
            limit: LAST_CALLS,
            ..CallFilter::default()
        };
        let (calls, _) = self.store.calls(&self.company, &filter).await?;
        let words = self.language.words();
        let last: Vec<LastCall> = calls
            .iter()
            .map(|call| LastCall {
                time: locale.time(call.started_at),
                machine_time: locale.machine(call.started_at),
                direction: words.direction_of(call.direction),
                lasted: match call.ended_at {
                    Some(end) => words
                        .lasted
                        .replace("{}", &locale.length(end.duration_since(call.started_at))),
                    None => String::new(),
                },
                page: page_of(&call.id),
            })
            .collect();
        self.last.lock().insert(id, last.clone());
        Ok(last)
    }

    fn card(
        &self,
        caller: &Caller,
        contact: Option<&crate::directory::model::Contact>,
        last: &[LastCall],
        around: &Around<'_>,
    ) -> Card {
        let words = self.language.words();
        let who = contact.map(|contact| Who::of(contact, words));
        let (status, way) = match &caller.call {
            None => (words.ringing, "ringing"),
            Some(call) if call.ended_at.is_some() => (words.ended, "ended"),
            Some(call) if call.answered_at.is_some() => (words.talking, "talking"),
            Some(_) => (words.ringing, "ringing"),
        };
        let number = match (&caller.number, &caller.call) {
            (Some(number), _) => written(number, self.region),
            (None, Some(call)) => super::views::number(call, self.region, words),
            (None, None) => words.no_number.to_owned(),
        };
        let state = match (&caller.ringing, &caller.call) {
            (Some(ring), _) if contact.is_none() => ring_state(ring, self.language),
            (_, Some(call)) if contact.is_none() => around.state(call),
            _ => String::new(),
        };
        let id = caller.id();
        let page = caller.call.as_ref().map(|call| page_of(&call.id));
        let view = CardView {
            w: words,
            id: &id,
            status,
            way,
            number: &number,
            since: &around.locale.time(caller.at),
            machine_since: &around.locale.machine(caller.at),
            who: who.as_ref(),
            state: &state,
            page: page.as_deref(),
            last,
        };
        let name = who.as_ref().map_or_else(
            || words.nobody.to_owned(),
            |who| format!("{} {}", who.company, who.person).trim().to_owned(),
        );
        Card {
            html: view.render().unwrap_or_default(),
            say: format!("{status}: {name}, {number}"),
            order: caller.at.as_microsecond(),
            id,
        }
    }
}

/// How far the name of somebody is who rings.
fn ring_state(ring: &Ringing, language: Language) -> String {
    let words = language.words();
    match ring.answered {
        false if ring.not_asked.is_none() => words.looking_up.to_owned(),
        false => language
            .cause(crate::directory::why::Cause::LinkBroken)
            .to_owned(),
        true => language
            .cause(crate::directory::why::Cause::NotInSalesforce)
            .to_owned(),
    }
}

// === impl Caller ===

impl Caller {
    /// Identifies the caller on the screen, in letters and digits.
    fn id(&self) -> String {
        let of = match (&self.number, &self.call) {
            (Some(number), _) => number.as_str(),
            (None, Some(call)) => &call.id,
            (None, None) => "",
        };
        super::live::short_digest(of)
    }
}

/// `GET /pages/screen`.
pub(super) async fn page(State(pages): State<Pages>, viewer: Viewer) -> Response {
    let reader = Reader::new(
        pages.app.store.clone(),
        viewer.company.clone(),
        viewer.region,
        viewer.language,
    );
    let state = match reader.read(Board::Screen).await {
        Ok(state) => state,
        Err(error) => {
            let error = error.into();
            return super::views::refuse(
                viewer.language,
                super::views::Refusal::of(&error),
                &error,
            );
        }
    };
    let page = ScreenPage {
        frame: Frame::of(
            &viewer,
            &viewer.locale(),
            "screen",
            viewer.language.words().screen,
        ),
        cards: state.cards.into_iter().map(|card| card.html).collect(),
    };
    shown(&page)
}

/// `GET /pages/events?board=screen`: what a board shows, as it changes.
pub(super) async fn events(State(pages): State<Pages>, request: Request) -> Response {
    let (headers, uri) = (request.headers().clone(), request.uri().clone());
    let visitor = request.extensions().get::<Visitor>().cloned();
    let Some(admitted) = admit(&pages, &headers, visitor.as_ref()) else {
        // A page that is told so stops asking, and shows the sign-in.
        return StatusCode::NO_CONTENT.into_response();
    };
    if let Some(visitor) = &visitor {
        visitor.has_shown_a_token();
    }
    let Some(place) = pages.boards.place(&admitted.company) else {
        let later = [("retry-after", "5")];
        return (StatusCode::SERVICE_UNAVAILABLE, later).into_response();
    };
    let board = match uri.query() {
        Some(query) if query.contains("board=history") => Board::History,
        _ => Board::Screen,
    };
    let language = super::viewer::language(&uri, &headers);
    let link = pages.app.store.link(&admitted.company).await.ok().flatten();
    let told = link.as_ref().map(|link| link.region);
    let region = admitted.region.or(told).unwrap_or(Region::JAPAN);
    let seen = headers.get("last-event-id").and_then(|id| id.to_str().ok());
    let key = BoardKey {
        company: admitted.company.clone(),
        board,
        tag: language.words().tag,
        region,
    };
    let (store, company) = (pages.app.store.clone(), admitted.company.clone());
    let reading = move || {
        let reader = Arc::new(Reader::new(
            store.clone(),
            company.clone(),
            region,
            language,
        ));
        let read: super::live::Reading = Arc::new(move || {
            let reader = Arc::clone(&reader);
            Box::pin(async move { reader.read(board).await })
        });
        (store, company, read)
    };
    let events = pages.boards.look(
        key,
        place,
        reading,
        seen.map(str::to_owned),
        may_look(&pages, headers.clone(), visitor),
        pages.app.shutdown.clone(),
    );
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static("text/event-stream")),
        (CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ];
    (
        headers,
        [("x-accel-buffering", "no")],
        Body::from_stream(events),
    )
        .into_response()
}

/// Whether the session is still good, asked again and again while a stream is open.
fn may_look(
    pages: &Pages,
    headers: HeaderMap,
    visitor: Option<Visitor>,
) -> impl Fn() -> bool + Send + 'static {
    let pages = pages.clone();
    move || admit(&pages, &headers, visitor.as_ref()).is_some()
}

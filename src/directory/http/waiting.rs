//! `GET /v1/waiting`: the stream of the companies that wait.
//!
//! It begins with all that waits and goes on with what begins to wait. Both are told again once a
//! minute as far as they wait still, so that nothing depends on a change having been told. A reader
//! has a position in the log of changes and nothing is kept for it, however slow it is.

use std::collections::{HashMap, VecDeque};
use std::convert::Infallible;
use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderName};
use axum::response::{IntoResponse, Response};
use futures::stream;
use jiff::Timestamp;
use rand::Rng as _;
use tokio::sync::watch;
use tokio::time::Instant;
use tracing::{debug, warn};

use super::App;
use super::middleware::auth::Operator;
use super::middleware::error::ApiError;
use super::middleware::input::Params;
use super::middleware::responses::Refusals;
use crate::company_id::CompanyId;
use crate::directory::model::tokens::TokenKeys;
use crate::directory::model::waiting::{
    CAUGHT_UP, HEARTBEAT, TOLD_AGAIN, WAITING, Waiting, WaitingQuery,
};
use crate::directory::store::StoreError;
use crate::directory::store::changes::{Follower, Forgotten, Waits};
use crate::error::Chain;
use crate::shard::Shard;

/// The most events of one piece.
const PIECE: usize = 500;

/// The pause before a reader comes back, in milliseconds: each gets one of its own.
const RETRY: std::ops::RangeInclusive<u32> = 500..=3_000;

/// Follow who waits
///
/// A stream of events (`text/event-stream`) for the controller: `waiting` with the ID of a company
/// that has calls or rings that can be taken, no numbers and no names. First comes all that waits
/// now, rings first, then the oldest; then `caught-up`; then what begins to wait. What waits still
/// is told again once a minute. An event may come twice, and none is lost: the stream may be cut at
/// any point and goes on after the `id` that came last.
///
/// It shows every ten seconds that it lives, and ends with its token.
#[utoipa::path(
    get,
    path = "/v1/waiting",
    tag = "controller",
    security(("operator" = [])),
    params(WaitingQuery, ("Last-Event-ID" = Option<String>, Header, description = "The same as `after`")),
    responses(
        (status = 200, description = "The events: each `waiting` has such a document as its data", body = Waiting,
            content_type = "text/event-stream"),
        Refusals,
    )
)]
pub(crate) async fn follow(
    State(app): State<App>,
    operator: Operator,
    headers: HeaderMap,
    Params(query): Params<WaitingQuery>,
) -> Result<Response, ApiError> {
    let after = query.after.or_else(|| {
        let header = headers.get("last-event-id")?;
        header.to_str().ok().map(str::to_owned)
    });
    let follower = app
        .store
        .changes()
        .follow()
        .ok_or(ApiError::TooManyStreams)?;
    let following = Following {
        cursor: after.and_then(|after| position(&app, &after)),
        shard: query.shard,
        keys: app.keys.clone(),
        moved: app.store.changes().moved(),
        app,
        operator,
        pieces: VecDeque::from([retry()]),
        caught_up: false,
        listed_at: Instant::now(),
        said_at: Instant::now(),
        namespaces: HashMap::new(),
        _follower: follower,
    };
    debug!(
        resumed = following.cursor.is_some(),
        "somebody follows who waits"
    );
    let body = Body::from_stream(stream::unfold(following, |mut following| async {
        let piece = following.next().await?;
        Some((Ok::<_, Infallible>(piece), following))
    }));
    let headers = [
        (CONTENT_TYPE, "text/event-stream"),
        (CACHE_CONTROL, "no-store"),
        // A proxy must not gather what is told at once.
        (HeaderName::from_static("x-accel-buffering"), "no"),
    ];
    Ok((headers, body).into_response())
}

/// One reader.
struct Following {
    app: App,
    operator: Operator,
    shard: Option<Shard>,
    /// Everything up to here was told; `None`: all that waits is to be told.
    cursor: Option<u64>,
    keys: watch::Receiver<Arc<TokenKeys>>,
    moved: watch::Receiver<()>,
    /// What was made and not read yet.
    pieces: VecDeque<Bytes>,
    caught_up: bool,
    listed_at: Instant,
    said_at: Instant,
    /// Whose data is of which namespace, as far as it was asked since the last list.
    namespaces: HashMap<CompanyId, Option<String>>,
    _follower: Follower,
}

// === impl Following ===

impl Following {
    /// The next piece of the stream; `None` ends it.
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            if let Some(piece) = self.pieces.pop_front() {
                self.said_at = Instant::now();
                return Some(piece);
            }
            if self.app.shutdown.is_cancelled() || !self.is_allowed() {
                return None;
            }
            if let Err(error) = self.look().await {
                // Who follows comes back, and learns then whether that passes.
                warn!(error = %Chain(&error), "a stream of who waits ends");
                return None;
            }
            if self.pieces.is_empty() {
                self.rest().await;
            }
        }
    }

    fn is_allowed(&self) -> bool {
        let keys = self.keys.borrow().clone();
        self.operator.is_good(&keys, Timestamp::now())
    }

    /// Looks whether there is something to tell.
    async fn look(&mut self) -> Result<(), StoreError> {
        // Before the look: what begins to wait during it is looked for again.
        self.moved.mark_unchanged();
        if self.listed_at.elapsed() >= TOLD_AGAIN {
            self.cursor = None;
        }
        let Some(cursor) = self.cursor else {
            return self.list().await;
        };
        let changes = self.app.store.changes();
        match changes.waits_after(cursor, PIECE) {
            Err(Forgotten) => return self.list().await,
            Ok(waits) => {
                let is_last = waits.len() < PIECE;
                let epoch = changes.position().1.to_owned();
                let mut piece = String::new();
                for (position, waits) in waits {
                    self.cursor = Some(position);
                    let (company_id, rings) = match waits {
                        Waits::Calls(company) => (company, false),
                        Waits::Rings(company) => (company, true),
                    };
                    if self.is_mine(&company_id).await? {
                        let waiting = Waiting {
                            company_id,
                            calls: !rings,
                            rings,
                        };
                        piece.push_str(&format!("id: {epoch}.{position}\n"));
                        piece.push_str(&event(WAITING, &waiting));
                    }
                }
                if !piece.is_empty() {
                    self.pieces.push_back(piece.into());
                }
                if is_last && !self.caught_up {
                    self.is_caught_up();
                }
            }
        }
        let is_silent = self.pieces.is_empty() && self.said_at.elapsed() >= HEARTBEAT;
        if is_silent {
            self.pieces.push_back(Bytes::from_static(b": alive\n\n"));
        }
        Ok(())
    }

    /// Tells all that waits.
    async fn list(&mut self) -> Result<(), StoreError> {
        let now = self.app.shared_time().await?;
        let list = self.app.store.list_who_waits(now).await?;
        self.listed_at = Instant::now();
        self.namespaces.clear();
        for some in list.companies.chunks(PIECE) {
            let mut piece = String::new();
            for listed in some {
                if !is_of(self.shard, listed.namespace.as_deref()) {
                    continue;
                }
                let waiting = Waiting {
                    company_id: listed.company.clone(),
                    calls: listed.calls,
                    rings: listed.rings,
                };
                piece.push_str(&event(WAITING, &waiting));
            }
            if !piece.is_empty() {
                self.pieces.push_back(piece.into());
            }
        }
        // None of these has a position: whoever is cut off here begins anew.
        self.cursor = Some(list.position);
        self.is_caught_up();
        Ok(())
    }

    /// Says up to where everything was told.
    fn is_caught_up(&mut self) {
        let Some(position) = self.cursor else {
            return;
        };
        let epoch = self.app.store.changes().position().1;
        let mut piece = format!("id: {epoch}.{position}\n");
        match std::mem::replace(&mut self.caught_up, true) {
            false => piece.push_str(&format!("event: {CAUGHT_UP}\ndata: {{}}\n\n")),
            true => piece.push('\n'),
        }
        self.pieces.push_back(piece.into());
    }

    /// Waits until there may be something to tell.
    async fn rest(&mut self) {
        let next = (self.said_at + HEARTBEAT).min(self.listed_at + TOLD_AGAIN);
        tokio::select! {
            _ = self.moved.changed() => {}
            _ = self.keys.changed() => {}
            () = tokio::time::sleep_until(next) => {}
            () = self.app.shutdown.cancelled() => {}
        }
    }

    /// Whether the company belongs to the shard.
    async fn is_mine(&mut self, company: &CompanyId) -> Result<bool, StoreError> {
        if self.shard.is_none() {
            return Ok(true);
        }
        let known = self.namespaces.get(company).cloned();
        let namespace = match known {
            Some(namespace) => namespace,
            None => {
                let namespace = self.app.store.namespace(company).await?;
                self.namespaces.insert(company.clone(), namespace.clone());
                namespace
            }
        };
        Ok(is_of(self.shard, namespace.as_deref()))
    }
}

/// Whether what is of a namespace belongs to the shard. What is nobody's is everybody's.
fn is_of(shard: Option<Shard>, namespace: Option<&str>) -> bool {
    match (shard, namespace) {
        (Some(shard), Some(namespace)) => shard.holds(namespace),
        _ => true,
    }
}

/// Reads a position that was told by this process and is still known.
fn position(app: &App, text: &str) -> Option<u64> {
    let changes = app.store.changes();
    let (epoch, position) = text.split_once('.')?;
    let position = position.parse().ok()?;
    let is_known = epoch == changes.position().1 && changes.waits_after(position, 1).is_ok();
    is_known.then_some(position)
}

fn event(kind: &str, waiting: &Waiting) -> String {
    // A document of two flags and an ID has no reason to fail.
    let data = serde_json::to_string(waiting).unwrap_or_default();
    format!("event: {kind}\ndata: {data}\n\n")
}

fn retry() -> Bytes {
    let pause = rand::rng().random_range(RETRY);
    Bytes::from(format!("retry: {pause}\n\n"))
}

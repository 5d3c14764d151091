//! What is shown live: the state of a board, read once for all who look at it, and told to each of
//! them as server-sent events.
//!
//! A stream tells states and not happenings. It knows which version of each card it has told, so
//! that a card is told once however often something changes; who comes back gets what is there now,
//! and the page keeps a card whose version it has. Nothing is buffered for who reads slowly: the
//! next state replaces the one that was not told.

use std::collections::HashMap;
use std::convert::Infallible;
use std::hash::Hash;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::time::Duration;

use axum::body::Bytes;
use futures::stream::{self, Stream};
use parking_lot::Mutex;
use serde_json::json;
use sha2::{Digest as _, Sha256};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::company_id::CompanyId;
use crate::directory::store::{Change, Kind, News, Store, StoreError};

/// The pause after a read: changes that come together are read together.
const TOGETHER: Duration = Duration::from_millis(40);
/// A board is read again after this time, since cards end by the clock, too.
const AGAIN: Duration = Duration::from_secs(15);
/// A stream shows after this time that it lives, and asks whether its viewer may still look.
const SIGN_OF_LIFE: Duration = Duration::from_secs(10);
/// How long a page waits before it connects again, in milliseconds.
const RETRY: u32 = 1_000;

/// One thing on a board.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Card {
    /// Identifies it on its board.
    pub(super) id: String,
    /// Its place: the largest first.
    pub(super) order: i64,
    /// What is shown.
    pub(super) html: String,
    /// What is read out when it appears or changes.
    pub(super) say: String,
}

/// A state of a board.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct State {
    /// The cards in their order.
    pub(super) cards: Vec<Card>,
    /// Whether the board goes on below its last card: one that is no longer on it may be there.
    pub(super) goes_on: bool,
}

/// How a board is read.
pub(super) type Reading =
    Arc<dyn Fn() -> Pin<Box<dyn Future<Output = Result<State, StoreError>> + Send>> + Send + Sync>;

/// All boards that somebody looks at. Cheap to clone.
#[derive(Debug)]
pub(super) struct Boards<K> {
    boards: Arc<Mutex<HashMap<K, Weak<Board>>>>,
    streams: Arc<Semaphore>,
    of_companies: Arc<Mutex<HashMap<CompanyId, Weak<Semaphore>>>>,
    most_of_one: usize,
}

/// One board, read as long as somebody looks at it.
#[derive(Debug)]
struct Board {
    state: watch::Receiver<Option<Arc<Told>>>,
    _reads: DropGuard,
}

/// A state with the events that tell it.
#[derive(Debug)]
struct Told {
    cards: Vec<ToldCard>,
    goes_on: bool,
    digest: String,
}

#[derive(Debug)]
struct ToldCard {
    id: String,
    order: i64,
    version: String,
    event: String,
}

/// The first digits of the digest of a text.
pub(super) fn short_digest(text: &str) -> String {
    let digest = Sha256::digest(text.as_bytes());
    digest
        .iter()
        .take(8)
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// A place among those who look.
#[derive(Debug)]
pub(super) struct Place {
    _one: OwnedSemaphorePermit,
    _of_company: OwnedSemaphorePermit,
    _counted: Arc<Semaphore>,
}

// === impl Boards ===

impl<K> Clone for Boards<K> {
    fn clone(&self) -> Self {
        Self {
            boards: Arc::clone(&self.boards),
            streams: Arc::clone(&self.streams),
            of_companies: Arc::clone(&self.of_companies),
            most_of_one: self.most_of_one,
        }
    }
}

impl<K: Eq + Hash + Clone + Send + 'static> Boards<K> {
    /// At most so many look at a time, and so many of one company.
    pub(super) fn new(most: usize, most_of_one: usize) -> Self {
        Self {
            boards: Arc::default(),
            streams: Arc::new(Semaphore::new(most)),
            of_companies: Arc::default(),
            most_of_one,
        }
    }

    /// A place; `None` if too many look.
    pub(super) fn place(&self, company: &CompanyId) -> Option<Place> {
        let mut companies = self.of_companies.lock();
        companies.retain(|_, counted| counted.strong_count() > 0);
        let counted = companies.get(company).and_then(Weak::upgrade);
        let counted = counted.unwrap_or_else(|| Arc::new(Semaphore::new(self.most_of_one)));
        companies.insert(company.clone(), Arc::downgrade(&counted));
        Some(Place {
            _of_company: Arc::clone(&counted).try_acquire_owned().ok()?,
            _one: Arc::clone(&self.streams).try_acquire_owned().ok()?,
            _counted: counted,
        })
    }

    /// The events of a board for one who looks, from the state on that `seen` names. They end with
    /// the shutdown, and when `may_look` says no.
    pub(super) fn look(
        &self,
        key: K,
        place: Place,
        reading: impl FnOnce() -> (Store, CompanyId, Reading),
        seen: Option<String>,
        may_look: impl Fn() -> bool + Send + 'static,
        shutdown: CancellationToken,
    ) -> impl Stream<Item = Result<Bytes, Infallible>> + Send + 'static {
        let board = {
            let mut boards = self.boards.lock();
            boards.retain(|_, board| board.strong_count() > 0);
            match boards.get(&key).and_then(Weak::upgrade) {
                Some(board) => board,
                None => {
                    let (store, company, reading) = reading();
                    let board = Arc::new(Board::read(store, company, reading));
                    boards.insert(key, Arc::downgrade(&board));
                    board
                }
            }
        };
        let looking = Looking {
            state: board.state.clone(),
            _board: board,
            _place: place,
            seen,
            told: None,
            may_look,
            shutdown,
        };
        stream::unfold(looking, |mut looking| async move {
            let next = looking.next().await?;
            Some((Ok(Bytes::from(next)), looking))
        })
    }
}

// === impl Board ===

impl Board {
    /// Begins to read it, at once and whenever something of the company has changed.
    fn read(store: Store, company: CompanyId, reading: Reading) -> Self {
        let (sender, state) = watch::channel(None);
        let reads = CancellationToken::new();
        let ends = reads.clone();
        let mut changes = store.changes().subscribe();
        tokio::spawn(ends.clone().run_until_cancelled_owned(async move {
            loop {
                match reading().await {
                    Ok(state) => {
                        let told = Told::of(state);
                        sender.send_if_modified(|before: &mut Option<Arc<Told>>| {
                            let is_new = before
                                .as_ref()
                                .is_none_or(|before| before.digest != told.digest);
                            if is_new {
                                *before = Some(Arc::new(told));
                            }
                            is_new
                        });
                    }
                    Err(error) => {
                        tracing::warn!(error = %crate::error::Chain(&error), "a board could not be read");
                    }
                }
                tokio::time::sleep(TOGETHER).await;
                let changed = async {
                    loop {
                        match changes.next().await {
                            News::Missed => break,
                            News::Changed(Change { company: of, kind }) => {
                                let shows = matches!(kind, Kind::History | Kind::Ring(_) | Kind::RingsWait);
                                if of == company && shows {
                                    break;
                                }
                            }
                        }
                    }
                };
                // Either way it is read again.
                let _ = tokio::time::timeout(AGAIN, changed).await;
            }
        }));
        Self {
            state,
            _reads: reads.drop_guard(),
        }
    }
}

// === impl Told ===

impl Told {
    fn of(state: State) -> Self {
        let mut all = String::new();
        let cards: Vec<ToldCard> = state
            .cards
            .into_iter()
            .map(|card| {
                let version = short_digest(&format!("{}\n{}\n{}", card.order, card.html, card.say));
                all.push_str(&format!("{} {version}\n", card.id));
                let data = json!({
                    "id": card.id, "version": version, "order": card.order, "html": card.html, "say": card.say,
                });
                ToldCard {
                    event: format!("event: card\ndata: {data}\n"),
                    id: card.id,
                    order: card.order,
                    version,
                }
            })
            .collect();
        Self {
            digest: short_digest(&all),
            goes_on: state.goes_on,
            cards,
        }
    }

    /// The events that lead from another state to this one.
    fn since(&self, before: Option<&Self>) -> String {
        let mut events = String::new();
        let known: HashMap<&str, &str> = before
            .into_iter()
            .flat_map(|before| &before.cards)
            .map(|card| (card.id.as_str(), card.version.as_str()))
            .collect();
        if before.is_none() {
            let ids: Vec<&str> = self.cards.iter().map(|card| card.id.as_str()).collect();
            let data = json!({"ids": ids, "goesOn": self.goes_on});
            events.push_str(&format!("event: board\ndata: {data}\n\n"));
        }
        let last = self.cards.last().map_or(i64::MIN, |card| card.order);
        for gone in before.into_iter().flat_map(|before| &before.cards) {
            let is_here = self.cards.iter().any(|card| card.id == gone.id);
            let is_below = self.goes_on && gone.order < last;
            if !is_here && !is_below {
                events.push_str(&format!(
                    "event: gone\ndata: {}\n\n",
                    json!({"id": gone.id})
                ));
            }
        }
        // The oldest first: each is put above those before it.
        for card in self.cards.iter().rev() {
            if known.get(card.id.as_str()) != Some(&card.version.as_str()) {
                events.push_str(&card.event);
                events.push('\n');
            }
        }
        // Who comes back with this has seen all of it.
        events.push_str(&format!("id: {}\nevent: seen\ndata: {{}}\n\n", self.digest));
        events
    }
}

/// One who looks at a board.
struct Looking<M> {
    state: watch::Receiver<Option<Arc<Told>>>,
    _board: Arc<Board>,
    _place: Place,
    /// What the page has seen before this stream.
    seen: Option<String>,
    told: Option<Arc<Told>>,
    may_look: M,
    shutdown: CancellationToken,
}

// === impl Looking ===

impl<M: Fn() -> bool> Looking<M> {
    /// What is told next; `None` when the stream ends.
    async fn next(&mut self) -> Option<String> {
        loop {
            if self.shutdown.is_cancelled() || !(self.may_look)() {
                return None;
            }
            let state = self.state.borrow_and_update().clone();
            if let Some(state) = state {
                let is_new = self
                    .told
                    .as_ref()
                    .is_none_or(|told| told.digest != state.digest);
                if is_new {
                    let begins = self.told.is_none();
                    let events = if begins && self.seen.as_ref() == Some(&state.digest) {
                        ": nothing has changed\n\n".to_owned()
                    } else {
                        state.since(self.told.as_deref())
                    };
                    self.told = Some(state);
                    return Some(match begins {
                        true => format!("retry: {RETRY}\n\n{events}"),
                        false => events,
                    });
                }
            }
            tokio::select! {
                () = self.shutdown.cancelled() => return None,
                changed = self.state.changed() => {
                    changed.ok()?;
                }
                () = tokio::time::sleep(SIGN_OF_LIFE) => {
                    return (self.may_look)().then(|| ": is there\n\n".to_owned());
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn card(id: &str, order: i64, html: &str) -> Card {
        Card {
            id: id.to_owned(),
            order,
            html: html.to_owned(),
            say: String::new(),
        }
    }

    fn told(cards: &[(&str, i64, &str)], goes_on: bool) -> Told {
        Told::of(State {
            cards: cards
                .iter()
                .map(|(id, order, html)| card(id, *order, html))
                .collect(),
            goes_on,
        })
    }

    /// The events without what tells the state.
    fn events(text: &str) -> Vec<String> {
        let events = text
            .split("\n\n")
            .filter(|event| event.contains("data") && !event.contains("seen"));
        let short = |event: &str| {
            let data: serde_json::Value =
                serde_json::from_str(event.split_once("data: ").unwrap().1).unwrap();
            let kind = event
                .split_once("event: ")
                .unwrap()
                .1
                .split('\n')
                .next()
                .unwrap();
            format!("{kind} {}", data["id"].as_str().unwrap_or_default())
        };
        events.map(short).collect()
    }

    #[test]
    fn a_stream_tells_what_is_new_and_no_card_twice() {
        let first = told(&[("b", 2, "b"), ("a", 1, "a")], false);
        assert_eq!(events(&first.since(None)), ["board ", "card a", "card b"]);
        let second = told(&[("c", 3, "c"), ("b", 2, "b, named"), ("a", 1, "a")], false);
        assert_eq!(events(&second.since(Some(&first))), ["card b", "card c"]);
        let third = told(&[("c", 3, "c"), ("a", 1, "a")], false);
        assert_eq!(events(&third.since(Some(&second))), ["gone b"]);
        assert_eq!(events(&third.since(Some(&third))), Vec::<String>::new());
    }

    #[test]
    fn what_falls_off_the_end_of_a_list_is_not_gone() {
        let first = told(&[("c", 3, "c"), ("b", 2, "b")], true);
        let second = told(&[("d", 4, "d"), ("c", 3, "c")], true);
        assert_eq!(events(&second.since(Some(&first))), ["card d"]);
        let erased = told(&[("d", 4, "d"), ("b", 2, "b")], true);
        assert_eq!(events(&erased.since(Some(&second))), ["gone c", "card b"]);
    }

    /// Who leaves a stream unread for long gets the last state alone: the calls that came and went
    /// meanwhile are kept for nobody.
    #[tokio::test]
    async fn nothing_waits_for_who_reads_slowly() {
        let boards = Boards::<u8>::new(1, 1);
        let (sender, state) = watch::channel(Some(Arc::new(told(&[], false))));
        let mut slow = Looking {
            state: state.clone(),
            _board: Arc::new(Board {
                state,
                _reads: CancellationToken::new().drop_guard(),
            }),
            _place: boards.place(&"acme".parse().unwrap()).unwrap(),
            seen: None,
            told: None,
            may_look: || true,
            shutdown: CancellationToken::new(),
        };
        assert_eq!(events(&slow.next().await.unwrap()), ["board "]);
        let mut last = Arc::downgrade(&Arc::new(told(&[], false)));
        for order in 1..1_000 {
            let id = format!("call {order}");
            let state = Arc::new(told(&[(&id, order, &id)], false));
            let current = Arc::downgrade(&state);
            sender.send(Some(state)).unwrap();
            assert!(last.upgrade().is_none(), "a replaced state is kept");
            last = current;
        }
        let next = slow.next().await.unwrap();
        assert_eq!(events(&next), ["card call 999"]);
    }

    #[test]
    fn places_are_for_so_many_and_so_many_of_a_company() {
        let boards = Boards::<u8>::new(3, 2);
        let (acme, birch): (CompanyId, CompanyId) =
            ("acme".parse().unwrap(), "birch".parse().unwrap());
        let (first, _second) = (boards.place(&acme).unwrap(), boards.place(&acme).unwrap());
        assert!(boards.place(&acme).is_none(), "two of one company");
        let _third = boards.place(&birch).unwrap();
        assert!(boards.place(&birch).is_none(), "three of all");
        drop(first);
        assert!(boards.place(&acme).is_some());
    }
}

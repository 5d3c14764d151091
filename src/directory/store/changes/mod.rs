//! What has just changed, for who waits for it.
//!
//! The state is in the database, this only wakes: whoever is woken reads. The store tells of a
//! change after its commit; replicas on PostgreSQL tell each other (`replicas`). Nothing relies on
//! a change being told: who missed some is told so, and reads everything again.

mod board;
mod replicas;
mod waiters;
mod wire;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::{Notify, broadcast, watch};

use self::board::Board;
pub(crate) use self::board::Forgotten;
pub(crate) use self::replicas::keep_in_touch;
pub(crate) use self::waiters::Waiter;
use self::waiters::Waiters;
use self::wire::Line;
use crate::company_id::CompanyId;

/// The most companies whose news are kept for those who follow who waits. Beyond, they read the
/// list again.
const MOST_KEPT: usize = 20_000;

/// The most changes that a subscriber may be behind.
const MOST_BEHIND: usize = 1_024;

/// The most lines that wait to be told to other replicas; beyond, they are told to read everything.
const MOST_UNTOLD: usize = 50_000;

/// The most that follow who waits on one replica. Each controller is one.
const MOST_FOLLOWERS: usize = 64;

/// How many requests may wait for rings, and how many of one company, where nobody says so.
const WAITERS: (usize, usize) = (512, 64);

/// A replica from which nothing was heard for this long is gone: it has missed two signs of life.
const GONE: Duration = Duration::from_secs(13);

/// For how long somebody who followed who waits is taken to come back.
const COMES_BACK: Duration = Duration::from_secs(5);

/// Something changed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Change {
    /// Whose data it is.
    pub(crate) company: CompanyId,
    /// What changed.
    pub(crate) kind: Kind,
}

/// What changed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Kind {
    /// A call can be looked up.
    CallsWait,
    /// A ring can be asked about.
    RingsWait,
    /// Something became of a ring: a name, none, or a reason. The number stands as its keyed hash
    /// ([`Store::number_hash`](super::Store::number_hash)).
    Ring(String),
    /// The call history reads otherwise: a call was added or changed, or names were.
    History,
}

/// What waits of a company.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Waits {
    Calls(CompanyId),
    Rings(CompanyId),
}

/// What a subscriber is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum News {
    /// Something changed.
    Changed(Change),
    /// Something may have changed that is not told: read again.
    Missed,
}

/// Changes as they happen.
#[derive(Debug)]
#[allow(dead_code, reason = "for pages that show what happens")]
pub(crate) struct Subscription(broadcast::Receiver<News>);

/// Somebody who follows who waits, until it is dropped.
#[derive(Debug)]
pub(crate) struct Follower(Changes);

/// Where changes are told. Cheap to clone; all clones are the same.
#[derive(Debug, Clone)]
pub(crate) struct Changes(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    /// Tells this process from others, and its positions from theirs.
    epoch: String,
    board: Mutex<Board<Waits>>,
    moved: watch::Sender<()>,
    subscribers: broadcast::Sender<News>,
    waiters: Arc<Waiters>,
    untold: Mutex<Untold>,
    to_tell: Notify,
    followers: Mutex<Followers>,
}

/// What other replicas are to be told.
#[derive(Debug, Default)]
struct Untold {
    /// Whether there are other replicas.
    has_replicas: bool,
    changes: BTreeSet<Change>,
    gap: bool,
}

/// Who follows who waits.
#[derive(Debug)]
struct Followers {
    here: usize,
    /// When the last one left, here or on another replica; the start of the process at first,
    /// since those of before come back.
    left: Instant,
    /// The replicas where somebody follows, and when that was last heard.
    elsewhere: Vec<(String, Instant)>,
}

// === impl Changes ===

impl Default for Changes {
    fn default() -> Self {
        let (most, of_one) = WAITERS;
        Self(Arc::new(Shared {
            epoch: format!("{:016x}", rand::random::<u64>()),
            board: Mutex::new(Board::new(MOST_KEPT)),
            moved: watch::Sender::default(),
            subscribers: broadcast::Sender::new(MOST_BEHIND),
            waiters: Waiters::new(most, of_one),
            untold: Mutex::default(),
            to_tell: Notify::new(),
            followers: Mutex::new(Followers {
                here: 0,
                left: Instant::now(),
                elsewhere: vec![],
            }),
        }))
    }
}

impl Changes {
    /// Tells of changes, here and on other replicas. They must be committed.
    pub(crate) fn tell(&self, changes: impl IntoIterator<Item = Change>) {
        let changes: Vec<Change> = changes.into_iter().collect();
        if changes.is_empty() {
            return;
        }
        let mut untold = self.0.untold.lock();
        if untold.has_replicas {
            untold.changes.extend(changes.iter().cloned());
            if untold.changes.len() > MOST_UNTOLD {
                untold.changes.clear();
                untold.gap = true;
            }
        }
        drop(untold);
        self.0.to_tell.notify_one();
        self.learn(changes);
    }

    /// Takes in what was told, by this replica or by another one.
    fn learn(&self, changes: Vec<Change>) {
        let mut board = self.0.board.lock();
        let before = board.position();
        for change in &changes {
            match &change.kind {
                Kind::CallsWait => board.tell(Waits::Calls(change.company.clone())),
                Kind::RingsWait => board.tell(Waits::Rings(change.company.clone())),
                Kind::Ring(_) | Kind::History => {}
            }
        }
        let has_moved = board.position() != before;
        drop(board);
        if has_moved {
            self.0.moved.send_replace(());
        }
        for change in changes {
            if let Kind::Ring(hash) = &change.kind {
                self.0.waiters.wake(&change.company, hash);
            }
            // Nobody may listen.
            let _ = self.0.subscribers.send(News::Changed(change));
        }
    }

    /// Something may have been told that was not heard.
    fn missed(&self) {
        self.0.board.lock().has_a_gap();
        self.0.moved.send_replace(());
        self.0.waiters.wake_all();
        let _ = self.0.subscribers.send(News::Missed);
    }

    /// Changes from now on.
    #[allow(dead_code, reason = "for pages that show what happens")]
    pub(crate) fn subscribe(&self) -> Subscription {
        Subscription(self.0.subscribers.subscribe())
    }

    /// The position of everything that was told, and the name of this process's positions.
    pub(crate) fn position(&self) -> (u64, &str) {
        (self.0.board.lock().position(), &self.0.epoch)
    }

    /// What began to wait after a position, in order, at most so many.
    pub(crate) fn waits_after(
        &self,
        position: u64,
        most: usize,
    ) -> Result<Vec<(u64, Waits)>, Forgotten> {
        self.0.board.lock().after(position, most)
    }

    /// Changes whenever something begins to wait.
    pub(crate) fn moved(&self) -> watch::Receiver<()> {
        self.0.moved.subscribe()
    }

    /// How many requests may wait for rings from now on, and how many of one company.
    pub(crate) fn limit_waiters(&self, most: usize, of_one: usize) {
        self.0.waiters.limit(most, of_one);
    }

    /// Begins to wait for what becomes of a number, by its keyed hash; `None` if too many wait.
    pub(crate) fn wait_for(&self, company: &CompanyId, hash: &str) -> Option<Waiter> {
        self.0.waiters.enter(company, hash)
    }

    /// How many requests wait for rings.
    pub(crate) fn waiters(&self) -> usize {
        self.0.waiters.count()
    }

    /// Somebody follows who waits; `None` if too many do.
    pub(crate) fn follow(&self) -> Option<Follower> {
        let mut followers = self.0.followers.lock();
        if followers.here >= MOST_FOLLOWERS {
            return None;
        }
        followers.here += 1;
        drop(followers);
        self.0.to_tell.notify_one();
        Some(Follower(self.clone()))
    }

    /// How many follow who waits on this replica.
    pub(crate) fn followers(&self) -> usize {
        self.0.followers.lock().here
    }

    /// Whether somebody follows who waits, on any replica, or is just about to come back.
    pub(crate) fn is_followed(&self) -> bool {
        self.0.followers.lock().any(Instant::now())
    }

    /// Another replica lives.
    fn heard_of(&self, replica: String, followed: bool) {
        self.0
            .followers
            .lock()
            .heard_of(replica, followed, Instant::now());
    }

    /// This process's sign of life.
    fn sign_of_life(&self) -> Line {
        let followed = self.followers() > 0;
        Line::Lives { followed }
    }

    /// From now on, other replicas are told.
    fn has_replicas(&self) {
        self.0.untold.lock().has_replicas = true;
    }

    /// What other replicas are to be told.
    fn take_untold(&self) -> Vec<Line> {
        let mut untold = self.0.untold.lock();
        let gap = std::mem::take(&mut untold.gap).then_some(Line::Gap);
        let changes = std::mem::take(&mut untold.changes);
        drop(untold);
        let changes = changes.into_iter().map(Line::Changed);
        gap.into_iter().chain(changes).collect()
    }

    /// What was to be told could not be: the others read everything, once they hear of it.
    fn could_not_tell(&self) {
        self.0.untold.lock().gap = true;
    }
}

// === impl Subscription ===

#[allow(dead_code, reason = "for pages that show what happens")]
impl Subscription {
    /// The next change. It may be dropped at any point and called again.
    pub(crate) async fn next(&mut self) -> News {
        match self.0.recv().await {
            Ok(news) => news,
            Err(broadcast::error::RecvError::Lagged(_)) => News::Missed,
            // The sender lives as long as the store; there will be no change any more.
            Err(broadcast::error::RecvError::Closed) => std::future::pending().await,
        }
    }
}

// === impl Follower ===

impl Drop for Follower {
    fn drop(&mut self) {
        let mut followers = self.0.0.followers.lock();
        followers.here = followers.here.saturating_sub(1);
        followers.left = Instant::now();
        drop(followers);
        self.0.0.to_tell.notify_one();
    }
}

// === impl Followers ===

impl Followers {
    fn any(&self, now: Instant) -> bool {
        let within = |then: Instant, span| now.saturating_duration_since(then) < span;
        self.here > 0
            || within(self.left, COMES_BACK)
            || self.elsewhere.iter().any(|(_, heard)| within(*heard, GONE))
    }

    fn heard_of(&mut self, replica: String, followed: bool, now: Instant) {
        let was_followed = self.elsewhere.len();
        self.elsewhere.retain(|(known, heard)| {
            *known != replica && now.saturating_duration_since(*heard) < GONE
        });
        if followed {
            self.elsewhere.push((replica, now));
        } else if self.elsewhere.len() < was_followed {
            self.left = now;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_followed_is_awaited_for_a_moment_wherever_it_was() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut followers = Followers {
            here: 0,
            left: start,
            elsewhere: vec![],
        };
        assert!(followers.any(at(4)), "those of before the start come back");
        assert!(!followers.any(at(5)));
        followers.heard_of("other".to_owned(), true, at(10));
        assert!(followers.any(at(22)) && !followers.any(at(23)), "it died");
        followers.heard_of("other".to_owned(), true, at(30));
        followers.heard_of("other".to_owned(), false, at(31));
        assert!(followers.any(at(35)) && !followers.any(at(36)));
        followers.heard_of("other".to_owned(), false, at(50));
        assert!(!followers.any(at(50)), "nobody followed there");
        followers.here = 1;
        assert!(followers.any(at(99)));
    }

    fn change(company: &str, kind: Kind) -> Change {
        let company = company.parse().unwrap();
        Change { company, kind }
    }

    #[test]
    fn a_position_goes_on_with_each_thing_that_waits_and_is_one_processs_own() {
        let changes = Changes::default();
        let moved = changes.moved();
        let at = |changes: &Changes| changes.position().0;
        assert_eq!(at(&changes), 0);
        for (kind, position) in [
            (Kind::CallsWait, 1),
            (Kind::History, 1),
            (Kind::Ring("hash".to_owned()), 1),
            (Kind::RingsWait, 2),
            (Kind::CallsWait, 3),
        ] {
            changes.tell([change("acme", kind.clone())]);
            assert_eq!(at(&changes), position, "{kind:?}");
        }
        assert!(moved.has_changed().unwrap());
        let company = || "acme".parse().unwrap();
        let told = [(2, Waits::Rings(company())), (3, Waits::Calls(company()))];
        assert_eq!(
            changes.waits_after(1, 9).unwrap(),
            told,
            "the newest of each"
        );
        assert_eq!(changes.waits_after(2, 9).unwrap(), told[1..]);
        assert_eq!(changes.waits_after(1, 1).unwrap(), told[..1]);
        let moved = changes.moved();
        changes.tell([]);
        changes.tell([change("acme", Kind::History)]);
        assert!(!moved.has_changed().unwrap(), "nothing began to wait");

        let name = |changes: &Changes| changes.position().1.to_owned();
        assert_eq!(name(&changes), name(&changes.clone()));
        assert_ne!(name(&changes), name(&Changes::default()));
        let hex = name(&changes).chars().all(|c| c.is_ascii_hexdigit());
        assert!(hex && name(&changes).len() == 16, "{}", name(&changes));
    }

    #[test]
    fn so_many_follow_on_a_replica_and_others_are_told_whether_somebody_does() {
        let changes = Changes::default();
        let lives = |followed| Line::Lives { followed };
        assert_eq!(
            (changes.followers(), changes.sign_of_life()),
            (0, lives(false))
        );
        let one = changes.follow().unwrap();
        assert_eq!(
            (changes.followers(), changes.sign_of_life()),
            (1, lives(true))
        );
        let mut others: Vec<Follower> = (1..MOST_FOLLOWERS)
            .map(|_| changes.follow().unwrap())
            .collect();
        assert!(changes.follow().is_none(), "too many");
        others.pop();
        assert_eq!(changes.followers(), MOST_FOLLOWERS - 1);
        assert!(changes.follow().is_some(), "one has left");
        drop((one, others));
        assert_eq!(
            (changes.followers(), changes.sign_of_life()),
            (0, lives(false))
        );
    }

    #[test]
    fn it_is_followed_here_or_on_a_replica_that_was_heard_of() {
        let Some(past) = Instant::now().checked_sub(GONE * 2) else {
            return;
        };
        let changes = Changes::default();
        let nobody = || changes.0.followers.lock().left = past;
        nobody();
        assert!(!changes.is_followed());
        changes.heard_of("other".to_owned(), false);
        assert!(!changes.is_followed(), "nobody follows there");
        let follower = changes.follow().unwrap();
        assert!(changes.is_followed());
        drop(follower);
        assert!(changes.is_followed(), "who left is awaited");
        nobody();
        assert!(!changes.is_followed());
        changes.heard_of("other".to_owned(), true);
        assert!(changes.is_followed());
        changes.heard_of("other".to_owned(), false);
        nobody();
        assert!(!changes.is_followed());
    }

    #[test]
    fn replicas_are_told_each_change_once_and_of_a_gap_where_there_were_too_many() {
        let changes = Changes::default();
        let acme = change("acme", Kind::CallsWait);
        changes.tell([acme.clone()]);
        assert_eq!(changes.take_untold(), [], "there is no other replica");
        changes.has_replicas();
        let birch = change("birch", Kind::History);
        changes.tell([birch.clone(), acme.clone(), acme.clone()]);
        let told = [Line::Changed(acme.clone()), Line::Changed(birch)];
        assert_eq!(changes.take_untold(), told);
        assert_eq!(changes.take_untold(), [], "it was taken");
        changes.could_not_tell();
        changes.tell([acme.clone()]);
        let told = [Line::Gap, Line::Changed(acme.clone())];
        assert_eq!(changes.take_untold(), told);
        let rings = |most| (0..most).map(|n| change("acme", Kind::Ring(format!("{n}"))));
        changes.tell(rings(MOST_UNTOLD));
        assert_eq!(changes.take_untold().len(), MOST_UNTOLD);
        changes.tell(rings(MOST_UNTOLD + 1));
        assert_eq!(changes.take_untold(), [Line::Gap]);
        assert_eq!(changes.take_untold(), []);
    }

    #[tokio::test]
    async fn a_subscriber_that_is_too_slow_is_told_that_it_missed_something() {
        let changes = Changes::default();
        let mut slow = changes.subscribe();
        let change = Change {
            company: "acme".parse().unwrap(),
            kind: Kind::History,
        };
        for _ in 0..=MOST_BEHIND {
            changes.tell([change.clone()]);
        }
        assert_eq!(slow.next().await, News::Missed);
        assert_eq!(slow.next().await, News::Changed(change));
    }
}

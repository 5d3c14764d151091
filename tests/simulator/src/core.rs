//! The state that all client connections share.
//!
//! It has two locks: the world (configuration, with many readers) and the runtime (sessions,
//! quotas, cursors, counters). They are always taken in this order and held for one step each.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Instant;

use jiff::Timestamp;

use crate::bulk::Jobs;
use crate::clock::Clock;
use crate::counters::{Counters, Login, RequestLog};
use crate::faults::Faults;
use crate::org::World;
use crate::org::quota::Quota;
use crate::org::sessions::{Attempts, Sessions};
use crate::soql::Plan;

/// An open query.
#[derive(Clone, Debug)]
pub(crate) struct Cursor {
    pub(crate) id: String,
    pub(crate) username: String,
    pub(crate) plan: Arc<Plan>,
    pub(crate) rows: Arc<Vec<u32>>,
    pub(crate) all: bool,
    pub(crate) opened: Timestamp,
}

/// State that changes while the simulator runs.
#[derive(Debug, Default)]
pub(crate) struct Runtime {
    pub(crate) sessions: Sessions,
    /// Key: the folded user name.
    pub(crate) attempts: BTreeMap<String, Attempts>,
    /// Key: the org id.
    pub(crate) quotas: BTreeMap<String, Quota>,
    pub(crate) cursors: VecDeque<Cursor>,
    pub(crate) bulk: Jobs,
    pub(crate) counters: Counters,
    pub(crate) log: RequestLog,
    pub(crate) faults: Faults,
}

impl Runtime {
    pub(crate) fn login(&mut self, login: Login) {
        self.counters.logins.push(login);
    }
}

/// The complete state: configuration, runtime, clock and load.
#[derive(Debug)]
pub(crate) struct Core {
    world: RwLock<World>,
    runtime: Mutex<Runtime>,
    pub(crate) clock: Clock,
    pub(crate) started: Instant,
    in_flight: AtomicU64,
}

impl Core {
    pub(crate) fn new(world: World) -> Self {
        Self {
            world: RwLock::new(world),
            runtime: Mutex::default(),
            clock: Clock::default(),
            started: Instant::now(),
            in_flight: AtomicU64::new(0),
        }
    }

    pub(crate) fn world(&self) -> RwLockReadGuard<'_, World> {
        self.world.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Locks the world for a change. The caller must call `World::prepare` before it releases the
    /// lock.
    pub(crate) fn world_mut(&self) -> RwLockWriteGuard<'_, World> {
        self.world.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets transactions commit whose time has come.
    pub(crate) fn commit(&self) {
        let now = self.clock.now();
        if self.world().has_commits(now) {
            self.world_mut().commit(now);
        }
    }

    pub(crate) fn runtime(&self) -> MutexGuard<'_, Runtime> {
        self.runtime.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a request as in flight until the guard is dropped.
    pub(crate) fn enter(&self) -> InFlight<'_> {
        let now = self.in_flight.fetch_add(1, Ordering::SeqCst) + 1;
        let mut runtime = self.runtime();
        runtime.counters.requests += 1;
        runtime.counters.max_concurrent = runtime.counters.max_concurrent.max(now);
        InFlight {
            all: &self.in_flight,
            count: now,
        }
    }
}

/// Guard of a request in flight.
#[derive(Debug)]
pub(crate) struct InFlight<'a> {
    all: &'a AtomicU64,
    count: u64,
}

impl InFlight<'_> {
    /// How many requests were in flight when it began, itself included.
    pub(crate) fn count(&self) -> u64 {
        self.count
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.all.fetch_sub(1, Ordering::SeqCst);
    }
}

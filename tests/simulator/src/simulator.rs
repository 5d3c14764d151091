//! The handle by which tests and the program hold a running simulator.

use std::net::SocketAddr;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::watch;

use crate::core::Core;
use crate::counters::{Counters, LoggedRequest};
use crate::faults::Fault;
use crate::org::{NotThere, Org, User, World};
use crate::server::{self, Wanted};

/// Why a simulator could not start or a change was not taken.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The world contradicts itself: a record that does not fit, for instance.
    #[error("the world is not sound: {0}")]
    World(String),
    /// Something was asked for by name and is not there.
    #[error(transparent)]
    NotThere(#[from] NotThere),
    /// The certificate could not be made.
    #[error("{0}")]
    Certificate(String),
    /// The address could not be listened at.
    #[error("cannot listen: {0}")]
    Listen(#[from] std::io::Error),
}

/// A running simulator. Dropping it stops it.
///
/// It runs on threads of its own, so a test may block its runtime without blocking Salesforce.
#[derive(Debug)]
pub struct Simulator {
    core: Arc<Core>,
    address: SocketAddr,
    ca_pem: String,
    wanted: watch::Sender<Wanted>,
    listening: watch::Receiver<bool>,
    runtime: Option<Runtime>,
}

impl Simulator {
    /// Starts on a free port of 127.0.0.1.
    ///
    /// # Errors
    /// When the world is not sound, or no port can be had.
    pub async fn start(world: World) -> Result<Self, Error> {
        Self::listen(world, SocketAddr::from(([127, 0, 0, 1], 0)))
    }

    /// Starts at this address.
    ///
    /// # Errors
    /// When the world is not sound, or the address is taken.
    pub fn listen(mut world: World, address: SocketAddr) -> Result<Self, Error> {
        world.prepare(Timestamp::now()).map_err(Error::World)?;
        let names = world.hosts.keys().chain(&world.certificate_names).cloned();
        let identity = server::identity(names).map_err(Error::Certificate)?;
        let ca_pem = identity.ca_pem.clone();
        let runtime = Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name("salesforce-simulator")
            .enable_all()
            .build()?;
        let listener = {
            let _inside = runtime.enter();
            server::bind(address)?
        };
        let address = listener.local_addr()?;
        let core = Arc::new(Core::new(world));
        let (wanted, wishes) = watch::channel(Wanted::Up);
        let (listening, reports) = watch::channel(true);
        runtime.spawn(server::run(
            Arc::clone(&core),
            listener,
            identity,
            wishes,
            listening,
        ));
        Ok(Self {
            core,
            address,
            ca_pem,
            wanted,
            listening: reports,
            runtime: Some(runtime),
        })
    }

    /// `https://localhost:PORT` (or the address that was asked for).
    pub fn url(&self) -> String {
        if self.address.ip().is_loopback() {
            return format!("https://localhost:{}", self.address.port());
        }
        format!("https://{}", self.address)
    }

    /// `https://NAME:PORT`, for a name in the world's `hosts` or `certificate_names`.
    pub fn url_of(&self, host: &str) -> String {
        format!("https://{host}:{}", self.address.port())
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The certificate of its authority, which clients must trust.
    pub fn ca_pem(&self) -> &str {
        &self.ca_pem
    }

    /// The simulator's time.
    pub fn now(&self) -> Timestamp {
        self.core.clock.now()
    }

    /// Puts the simulator's clock forward.
    pub fn advance(&self, by: SignedDuration) {
        self.core.clock.advance(by);
    }

    /// What it has seen so far.
    pub fn counters(&self) -> Counters {
        self.core.runtime().counters.clone()
    }

    /// Sets all counters to nothing and empties the log.
    pub fn reset_counters(&self) {
        let mut runtime = self.core.runtime();
        runtime.counters = Counters::default();
        runtime.log.clear();
    }

    /// The requests so far, oldest first.
    pub fn requests(&self) -> Vec<LoggedRequest> {
        self.core.runtime().log.all()
    }

    /// Reads the world.
    pub fn read<R>(&self, read: impl FnOnce(&World) -> R) -> R {
        read(&self.core.world())
    }

    /// Changes the world while it runs.
    ///
    /// # Errors
    /// When the world is not sound afterwards; what was changed stays changed.
    pub fn edit<R>(&self, change: impl FnOnce(&mut World) -> R) -> Result<R, Error> {
        let mut world = self.core.world_mut();
        let out = change(&mut world);
        world.prepare(self.core.clock.now()).map_err(Error::World)?;
        Ok(out)
    }

    /// Changes the org of this name.
    ///
    /// # Errors
    /// When there is none, or the world is not sound afterwards.
    pub fn edit_org<R>(&self, name: &str, change: impl FnOnce(&mut Org) -> R) -> Result<R, Error> {
        Ok(self.edit(|world| world.org_mut(name).map(change))??)
    }

    /// Changes the user of this name.
    ///
    /// # Errors
    /// When there is none, or the world is not sound afterwards.
    pub fn edit_user<R>(
        &self,
        username: &str,
        change: impl FnOnce(&mut User) -> R,
    ) -> Result<R, Error> {
        Ok(self.edit(|world| world.user_mut(username).map(change))??)
    }

    /// Sets a fault.
    pub fn fault(&self, fault: Fault) {
        let now = self.core.clock.now();
        self.core.runtime().faults.add(fault, now);
    }

    /// Takes all faults away.
    pub fn clear_faults(&self) {
        self.core.runtime().faults.clear();
    }

    /// Ends the sessions of a user, and says how many.
    pub fn revoke_sessions(&self, username: &str) -> usize {
        self.core
            .runtime()
            .sessions
            .revoke(|session| session.username.eq_ignore_ascii_case(username))
    }

    /// Ends every session, and says how many.
    pub fn revoke_all_sessions(&self) -> usize {
        self.core.runtime().sessions.revoke(|_| true)
    }

    /// How many sessions are open.
    pub fn sessions(&self) -> usize {
        self.core.runtime().sessions.len()
    }

    /// Takes a lock (and all failures) from a user, as an administrator does.
    pub fn unlock(&self, username: &str) {
        self.core
            .runtime()
            .attempts
            .remove(&username.to_lowercase());
    }

    /// Whether failed log-ins have locked the user.
    pub fn is_locked(&self, username: &str) -> bool {
        let world = self.core.world();
        let Some((org, user)) = world.user(username) else {
            return false;
        };
        let now = self.core.clock.now();
        let mut runtime = self.core.runtime();
        let attempts = runtime.attempts.entry(username.to_lowercase()).or_default();
        user.locked || attempts.locked(now, org.lockout_interval)
    }

    /// How many failed log-ins stand against the user.
    pub fn failed_logins(&self, username: &str) -> u32 {
        self.core
            .runtime()
            .attempts
            .get(&username.to_lowercase())
            .map_or(0, |attempts| attempts.failures())
    }

    /// Makes it so that the org has used this many calls in the last 24 hours.
    ///
    /// # Errors
    /// When there is no such org.
    pub fn set_used(&self, org: &str, calls: u64) -> Result<(), Error> {
        let id = self.org_id(org)?;
        let now = self.core.clock.now();
        self.core
            .runtime()
            .quotas
            .entry(id)
            .or_default()
            .set(now, calls);
        Ok(())
    }

    /// How many calls the org has used in the last 24 hours.
    ///
    /// # Errors
    /// When there is no such org.
    pub fn used(&self, org: &str) -> Result<u64, Error> {
        let id = self.org_id(org)?;
        let now = self.core.clock.now();
        Ok(self.core.runtime().quotas.entry(id).or_default().used(now))
    }

    fn org_id(&self, name: &str) -> Result<String, NotThere> {
        let world = self.core.world();
        let org = world.org_named(name).ok_or_else(|| NotThere {
            kind: "org",
            name: name.to_owned(),
        })?;
        Ok(org.id.clone())
    }

    /// Stops listening and cuts every connection, or comes back at the same address.
    pub async fn set_down(&self, down: bool) {
        self.wanted
            .send_replace(if down { Wanted::Down } else { Wanted::Up });
        let mut listening = self.listening.clone();
        // It fails only when the server is gone, which is as down as can be.
        let _ = listening.wait_for(|listening| *listening != down).await;
    }

    /// Stops, and waits until nobody listens any more.
    pub async fn shutdown(mut self) {
        self.wanted.send_replace(Wanted::Stopped);
        let _ = self.listening.wait_for(|listening| !listening).await;
    }

    /// Waits until the simulator ends by itself, which it does not: for programs.
    pub async fn run(&mut self) {
        let _ = self.listening.wait_for(|_| false).await;
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        self.wanted.send_replace(Wanted::Stopped);
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

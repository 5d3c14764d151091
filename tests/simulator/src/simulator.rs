//! The handle of a running simulator, for tests and the program.

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

/// The reason why a simulator did not start or a change was refused.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The world is inconsistent, for example because a record is invalid.
    #[error("the world is not sound: {0}")]
    World(String),
    /// An item that was requested by name does not exist.
    #[error(transparent)]
    NotThere(#[from] NotThere),
    /// The certificate could not be created.
    #[error("{0}")]
    Certificate(String),
    /// The server could not listen at the address.
    #[error("cannot listen: {0}")]
    Listen(#[from] std::io::Error),
}

/// A running simulator. It stops when this value is dropped.
///
/// It runs on its own threads, so a test may block its runtime without blocking the simulator.
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
    /// # Errors Fails when the world is invalid, or no port is available.
    pub async fn start(world: World) -> Result<Self, Error> {
        Self::listen(world, SocketAddr::from(([127, 0, 0, 1], 0)))
    }

    /// Starts at this address.
    ///
    /// # Errors Fails when the world is invalid, or the address is in use.
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

    /// `https://localhost:PORT`, or the URL of the requested address when it is no loopback
    /// address.
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

    /// The address at which the simulator listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The certificate of its authority in PEM, which clients must trust.
    pub fn ca_pem(&self) -> &str {
        &self.ca_pem
    }

    /// The simulator's current time.
    pub fn now(&self) -> Timestamp {
        self.core.clock.now()
    }

    /// Advances the simulator's clock.
    pub fn advance(&self, by: SignedDuration) {
        self.core.clock.advance(by);
    }

    /// A copy of the counters.
    pub fn counters(&self) -> Counters {
        self.core.runtime().counters.clone()
    }

    /// Resets all counters and clears the request log.
    pub fn reset_counters(&self) {
        let mut runtime = self.core.runtime();
        runtime.counters = Counters::default();
        runtime.log.clear();
    }

    /// The logged requests, oldest first.
    pub fn requests(&self) -> Vec<LoggedRequest> {
        self.core.runtime().log.all()
    }

    /// Runs a function that reads the world.
    pub fn read<R>(&self, read: impl FnOnce(&World) -> R) -> R {
        read(&self.core.world())
    }

    /// Changes the world while the simulator runs.
    ///
    /// # Errors Fails when the world is invalid after the change; the change is not undone.
    pub fn edit<R>(&self, change: impl FnOnce(&mut World) -> R) -> Result<R, Error> {
        let mut world = self.core.world_mut();
        let out = change(&mut world);
        world.prepare(self.core.clock.now()).map_err(Error::World)?;
        Ok(out)
    }

    /// Changes the org with this name.
    ///
    /// # Errors Fails when the org does not exist, or the world is invalid after the change.
    pub fn edit_org<R>(&self, name: &str, change: impl FnOnce(&mut Org) -> R) -> Result<R, Error> {
        Ok(self.edit(|world| world.org_mut(name).map(change))??)
    }

    /// Changes the user with this name.
    ///
    /// # Errors Fails when the user does not exist, or the world is invalid after the change.
    pub fn edit_user<R>(
        &self,
        username: &str,
        change: impl FnOnce(&mut User) -> R,
    ) -> Result<R, Error> {
        Ok(self.edit(|world| world.user_mut(username).map(change))??)
    }

    /// Adds a fault, which applies from now on.
    pub fn fault(&self, fault: Fault) {
        let now = self.core.clock.now();
        self.core.runtime().faults.add(fault, now);
    }

    /// Removes all faults.
    pub fn clear_faults(&self) {
        self.core.runtime().faults.clear();
    }

    /// Ends the sessions of a user, and returns their number.
    pub fn revoke_sessions(&self, username: &str) -> usize {
        self.core
            .runtime()
            .sessions
            .revoke(|session| session.username.eq_ignore_ascii_case(username))
    }

    /// Ends all sessions, and returns their number.
    pub fn revoke_all_sessions(&self) -> usize {
        self.core.runtime().sessions.revoke(|_| true)
    }

    /// Number of open sessions.
    pub fn sessions(&self) -> usize {
        self.core.runtime().sessions.len()
    }

    /// Removes a user's lock and failed log-ins, as an administrator does.
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

    /// Number of failed log-ins that count against the user.
    pub fn failed_logins(&self, username: &str) -> u32 {
        self.core
            .runtime()
            .attempts
            .get(&username.to_lowercase())
            .map_or(0, |attempts| attempts.failures())
    }

    /// Sets the number of calls that the org has used in the last 24 hours.
    ///
    /// # Errors Fails when the org does not exist.
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

    /// Number of calls that the org has used in the last 24 hours.
    ///
    /// # Errors Fails when the org does not exist.
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

    /// Stops listening and cuts all client connections, or listens again at the same address.
    pub async fn set_down(&self, down: bool) {
        self.wanted
            .send_replace(if down { Wanted::Down } else { Wanted::Up });
        let mut listening = self.listening.clone();
        // Waiting fails only when the server has ended, which is also down.
        let _ = listening.wait_for(|listening| *listening != down).await;
    }

    /// Stops the server and waits until it no longer listens.
    pub async fn shutdown(mut self) {
        self.wanted.send_replace(Wanted::Stopped);
        let _ = self.listening.wait_for(|listening| !listening).await;
    }

    /// Waits for the end of the simulator. Programs use it to run without an end.
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

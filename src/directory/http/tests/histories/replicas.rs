//! Two replicas of the directory, each in a thread of its own: with a clock of its own, a way to
//! the database that can be cut and led elsewhere, and a sudden death; and their PostgreSQL server
//! with a standby.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use switchboard_testbed::{Postgres, Replication};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use super::super::way::Way;
use super::super::{args, eventually};
use crate::directory::http::middleware::app::AHEAD;
use crate::directory::{Args, Server};

/// A replica.
pub(super) struct Replica {
    folder: TempDir,
    pub(super) way: Way,
    address: SocketAddr,
    skew: Arc<AtomicI64>,
    running: Option<(CancellationToken, JoinHandle<()>)>,
}

/// The database server, its standby, and the replicas of the directory.
pub(super) struct Replicas {
    servers: Option<Servers>,
    /// The name of the database.
    database: String,
    pub(super) all: Vec<Replica>,
}

struct Servers {
    primary: Postgres,
    standby: Postgres,
}

/// What becomes of a primary in whose place another one is promoted. In each case nobody is
/// connected to it or reaches it when that happens: an operator of PostgreSQL sees to that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// It dies without warning.
    Dies,
    /// It lives on. The connections to it are cut.
    CutOff,
    /// It lives on. The connections to it carry nothing more, and nobody says so.
    Silent,
}

// === impl Replicas ===

impl Replicas {
    pub(super) async fn start(replication: Replication) -> Self {
        let started = tokio::task::spawn_blocking(move || {
            // What was written survives the end of the process; only the machine's would need
            // `fsync`, which makes the server's next start take seconds.
            let primary = Postgres::start_primary(replication).unwrap();
            let address = primary.new_database().unwrap();
            let standby = primary.start_standby().unwrap();
            (Servers { primary, standby }, address)
        });
        let (servers, address) = started.await.unwrap();
        let mut all = Vec::new();
        for _ in 0..2 {
            all.push(Replica::start(&address).await);
        }
        let (_, database) = address.rsplit_once('/').unwrap();
        Self {
            servers: Some(servers),
            database: database.to_owned(),
            all,
        }
    }

    pub(super) fn bases(&self) -> Vec<String> {
        let bases = self.all.iter();
        bases
            .map(|replica| format!("http://{}", replica.address))
            .collect()
    }

    async fn change(&mut self, change: impl FnOnce(Servers) -> Servers + Send + 'static) {
        let servers = self.servers.take().unwrap();
        let changed = tokio::task::spawn_blocking(move || change(servers));
        self.servers = Some(changed.await.unwrap());
    }

    fn primary(&self) -> String {
        let servers = self.servers.as_ref().unwrap();
        servers.primary.database(&self.database)
    }

    fn standby(&self) -> String {
        let servers = self.servers.as_ref().unwrap();
        servers.standby.database(&self.database)
    }

    /// Ends the database server as a power failure would, and starts it again on its data.
    pub(super) async fn database_restarts(&mut self) {
        self.change(|mut servers| {
            servers.primary.kill().unwrap();
            servers.primary.restart().unwrap();
            servers
        })
        .await;
    }

    /// What is written reaches the standby no more.
    pub(super) async fn standby_falls_behind(&mut self) {
        self.change(|servers| {
            servers.standby.fall_behind().unwrap();
            servers
        })
        .await;
    }

    /// The standby takes the place of the primary, under the address that the replicas have, and
    /// gets a standby of its own. With `early` they reach it before it takes writes.
    pub(super) async fn fail_over(&mut self, fate: Fate, early: bool) {
        let next = self.standby();
        let lead_there = |all: &[Replica]| {
            for replica in all {
                replica.way.leads_to(&next);
            }
        };
        if fate == Fate::Dies {
            self.change(|mut servers| {
                servers.primary.kill().unwrap();
                servers
            })
            .await;
        }
        if early || fate != Fate::Dies {
            lead_there(&self.all);
        }
        for replica in &self.all {
            match fate {
                Fate::Dies => {}
                Fate::CutOff => replica.way.is_cut(),
                Fate::Silent => replica.way.falls_silent(),
            }
        }
        self.change(|servers| {
            servers.standby.promote().unwrap();
            servers
        })
        .await;
        lead_there(&self.all);
        self.change(|Servers { primary, standby }| {
            drop(primary);
            Servers {
                standby: standby.start_standby().unwrap(),
                primary: standby,
            }
        })
        .await;
    }

    /// The address that a replica has leads to the standby for so long, on which everything is as
    /// it was. The connections that it makes meanwhile stay there.
    pub(super) async fn goes_astray(&mut self, which: usize, lasts: Duration) {
        self.standby_shows(false).await;
        let way = &self.all[which].way;
        way.leads_to(&self.standby());
        way.is_cut();
        tokio::time::sleep(lasts).await;
        way.leads_to(&self.primary());
        self.standby_shows(true).await;
    }

    async fn standby_shows(&mut self, yes: bool) {
        self.change(move |servers| {
            servers.standby.show_what_is_received(yes).unwrap();
            servers
        })
        .await;
    }
}

// === impl Replica ===

impl Replica {
    async fn start(database: &str) -> Self {
        let mut replica = Self {
            folder: TempDir::new().unwrap(),
            way: Way::to(database).await,
            address: "127.0.0.1:0".parse().unwrap(),
            skew: Arc::default(),
            running: None,
        };
        replica.runs().await;
        replica
    }

    /// Runs at the address that it has, or takes one.
    async fn runs(&mut self) {
        let args = Args {
            listen: self.address,
            database: self.way.address.clone().into(),
            // Nobody is held back: who asks much is not what this is about.
            tenant_rate: 100_000,
            tenant_concurrency: 1_000,
            // Who waits for a server that is not heard of any more is told soon.
            request_timeout: 5,
            ..args(&self.folder)
        };
        let dies = CancellationToken::new();
        let (skew, death) = (Arc::clone(&self.skew), dies.clone());
        let (bound, is_bound) = tokio::sync::oneshot::channel();
        let thread = std::thread::spawn(move || {
            AHEAD.set(skew);
            // What is answered 500 says here why.
            let log = tracing_subscriber::fmt()
                .with_env_filter("switchboard=error")
                .with_ansi(false);
            let _log = tracing::subscriber::set_default(log.finish());
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            // The runtime ends with all that it does, where it is: clients and database hear
            // nothing but the end of their connections.
            runtime.block_on(death.run_until_cancelled(async {
                let server = loop {
                    // A kubelet starts it again, too, when the database was not there.
                    let bound = Server::bind(args.clone(), CancellationToken::new());
                    match bound.await {
                        Ok(server) => break server,
                        Err(error) => println!("a replica does not start yet: {error}"),
                    }
                };
                bound.send(server.address()).unwrap();
                server.run().await.unwrap();
            }));
            runtime.shutdown_background();
        });
        self.address = is_bound.await.unwrap();
        self.running = Some((dies, thread));
    }

    async fn dies(&mut self) {
        if let Some((dies, thread)) = self.running.take() {
            dies.cancel();
            let ended = tokio::task::spawn_blocking(|| thread.join());
            ended.await.unwrap().unwrap();
        }
    }

    /// Dies in the middle of what it does, and starts again at the same address.
    pub(super) async fn starts_anew(&mut self) {
        self.dies().await;
        self.runs().await;
    }

    /// Its clock is so many seconds ahead from now on.
    pub(super) fn clock_is_ahead(&self, seconds: i64) {
        self.skew.store(seconds, Ordering::Relaxed);
    }

    /// Waits until it serves.
    pub(super) async fn is_ready(&self) {
        let ready = format!("http://{}/readyz", self.address);
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        eventually(async || {
            let asked = http.get(&ready).send().await;
            asked.is_ok_and(|answer| answer.status().is_success())
        })
        .await;
    }
}

impl Drop for Replica {
    fn drop(&mut self) {
        if let Some((dies, _)) = &self.running {
            dies.cancel();
        }
    }
}

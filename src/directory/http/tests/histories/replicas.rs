//! Two replicas of the directory on one PostgreSQL server, each in a thread of its own: with a
//! clock of its own, a way to the database that can be cut, and a sudden death.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::thread::JoinHandle;

use switchboard_testbed::Postgres;
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

/// The database server and its replicas.
pub(super) struct Replicas {
    server: Option<Postgres>,
    pub(super) all: Vec<Replica>,
}

// === impl Replicas ===

impl Replicas {
    pub(super) async fn start() -> Self {
        // What was written survives the end of the process; only the machine's would need `fsync`,
        // which makes the server's next start take seconds.
        let server = Postgres::start(false).unwrap();
        let database = server.new_database().unwrap();
        let mut all = Vec::new();
        for _ in 0..2 {
            all.push(Replica::start(&database).await);
        }
        Self {
            server: Some(server),
            all,
        }
    }

    pub(super) fn bases(&self) -> Vec<String> {
        let bases = self.all.iter();
        bases
            .map(|replica| format!("http://{}", replica.address))
            .collect()
    }

    /// Ends the database server as a power failure would, and starts it again on its data.
    pub(super) async fn fail_over(&mut self) {
        let mut server = self.server.take().unwrap();
        let failed_over = tokio::task::spawn_blocking(move || {
            server.kill().unwrap();
            server.restart().unwrap();
            server
        });
        self.server = Some(failed_over.await.unwrap());
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
            ..args(&self.folder)
        };
        let dies = CancellationToken::new();
        let (skew, death) = (Arc::clone(&self.skew), dies.clone());
        let (bound, is_bound) = tokio::sync::oneshot::channel();
        let thread = std::thread::spawn(move || {
            AHEAD.set(skew);
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

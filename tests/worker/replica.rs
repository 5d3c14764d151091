//! `switchboard directory` as a process, which the test can kill and restart at the same address.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;

use rand::Rng;
use rand::rngs::StdRng;
use reqwest::Response;
use secrecy::ExposeSecret;
use serde_json::Value;
use switchboard::directory::Purpose;
use switchboard_testbed::wait_for;
use tempfile::TempDir;
use tokio::net::TcpSocket;
use tokio::process::{Child, Command};

use crate::bed::{Bed, KEY, SOON, token};

/// A replica of the directory.
pub(crate) struct Replica {
    /// The command before the program's own command line: empty, or one that sets up a small disk.
    wrapper: Vec<OsString>,
    database: String,
    address: SocketAddr,
    http: reqwest::Client,
    process: Child,
    folder: TempDir,
    /// Bound but never listening, so that no other process gets the port while the replica is
    /// down.
    _port: TcpSocket,
}

impl Replica {
    /// Starts a replica on this database and waits until it answers.
    pub(crate) async fn start(database: &str) -> Self {
        Self::start_in(Vec::new(), database).await
    }

    /// The same, inside a wrapper command that replaces itself by the program.
    pub(crate) async fn start_in(wrapper: Vec<OsString>, database: &str) -> Self {
        let port = TcpSocket::new_v4().unwrap();
        port.set_reuseaddr(true).unwrap();
        port.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = port.local_addr().unwrap();
        let folder = TempDir::new().unwrap();
        std::fs::write(folder.path().join("keys"), KEY).unwrap();
        let process = spawn(&wrapper, database, address, folder.path());
        let replica = Self {
            wrapper,
            database: database.to_owned(),
            address,
            http: reqwest::Client::builder().no_proxy().build().unwrap(),
            process,
            folder,
            _port: port,
        };
        replica.becomes_ready().await;
        replica
    }

    pub(crate) fn base(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.id().unwrap()
    }

    /// Kills the process with SIGKILL and starts it again. Requests in between get no connection.
    pub(crate) async fn kill_and_start(&mut self) {
        self.process.kill().await.unwrap();
        self.process = spawn(
            &self.wrapper,
            &self.database,
            self.address,
            self.folder.path(),
        );
    }

    /// Kills either this worker or this directory, and waits until what is left
    /// goes on. Returns whether it was the worker.
    pub(crate) async fn kill_worker_or_itself(
        &mut self,
        mut worker: Child,
        bed: &Bed,
        random: &mut StdRng,
    ) -> bool {
        let is_worker = random.random_bool(0.5);
        if is_worker {
            worker.kill().await.unwrap();
        } else {
            self.kill_and_start().await;
            self.becomes_ready().await;
            // The worker asks again, or says that it could not.
            bed.ended(worker).await;
        }
        is_worker
    }

    /// Waits until the replica is ready for traffic.
    pub(crate) async fn becomes_ready(&self) {
        wait_for("the directory to become ready", SOON, async || {
            (self.status("/readyz").await == Some(200)).then_some(())
        })
        .await;
    }

    /// The status of a path without a token; `None` while nothing listens.
    pub(crate) async fn status(&self, path: &str) -> Option<u16> {
        let asked = self.http.get(format!("{}{path}", self.base())).send().await;
        asked.ok().map(|response| response.status().as_u16())
    }

    /// Sends one webhook delivery, without a retry.
    pub(crate) async fn deliver(&self, webhook: &Value) -> reqwest::Result<Response> {
        self.http
            .post(format!("{}/v1/webhooks/calls", self.base()))
            .bearer_auth(token(Purpose::Ingest).expose_secret())
            .body(webhook.to_string())
            .send()
            .await
    }
}

fn spawn(wrapper: &[OsString], database: &str, address: SocketAddr, folder: &Path) -> Child {
    let program = OsString::from(env!("CARGO_BIN_EXE_switchboard"));
    let mut line = wrapper.iter().cloned().chain([program]);
    Command::new(line.next().unwrap())
        .args(line)
        .arg("directory")
        .arg(format!("--listen={address}"))
        .arg(format!("--database={database}"))
        .arg("--token-keys")
        .arg(folder.join("keys"))
        .env("RUST_LOG", "off")
        .stdout(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap()
}

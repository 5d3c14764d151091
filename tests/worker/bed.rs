//! A tenant: a directory, an org, and the files of a worker's pod.

use jiff::Timestamp;
use salesforce_simulator::{Org, Record, Simulator, User, World};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use switchboard::directory::model::{Call, CallsQuery};
use switchboard::directory::{self, Claims, Client, Purpose, Server, TokenKeys};
use switchboard::phone::Region;
use switchboard::worker::RunReport;
use tempfile::TempDir;
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// 32 bytes of `a`.
const KEY: &str = "YWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWE=";
/// How long a test waits for what should come within a second, on a busy machine.
pub const SOON: Duration = Duration::from_secs(60);
const USER: &str = "integration@acme.example";
pub const PASSWORD: &str = "marker-of-the-password";

pub struct Bed {
    folder: TempDir,
    directory: Directory,
    pub salesforce: Arc<Simulator>,
    pub settings: Value,
}

struct Directory {
    base: String,
    shutdown: CancellationToken,
    running: JoinHandle<Result<(), directory::Error>>,
}

/// How a run ended: its exit code (none after a kill), and its report.
pub struct Ended {
    pub code: Option<i32>,
    pub report: Option<RunReport>,
}

impl Bed {
    /// A tenant with an org of these contacts.
    pub async fn start(contacts: impl IntoIterator<Item = Record>, latency_ms: u64) -> Self {
        let org = Org::enterprise("acme")
            .user(User::integration(USER).password(PASSWORD))
            .records("Contact", contacts)
            .with(|org| org.latency_ms = latency_ms);
        let salesforce = Simulator::start(World::new().org(org)).await.unwrap();
        Self::of(Arc::new(salesforce), USER).await
    }

    /// A tenant whose user is one of those of an org that others use, too.
    pub async fn of(salesforce: Arc<Simulator>, user: &str) -> Self {
        let folder = TempDir::new().unwrap();
        let write = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        write("keys", KEY);
        let directory = Directory::start(folder.path()).await;
        let base = &directory.base;
        write("password", PASSWORD);
        write("ca.pem", salesforce.ca_pem());
        write("token", token(Purpose::Worker).expose_secret());
        let settings = json!({
            "version": "v1",
            "companyId": "acme",
            "salesforce": {
                "environment": "Production",
                "loginUrl": salesforce.url(),
                "apiVersion": "50.0",
                "auth": {"password": {"username": user}},
                "hosts": ["localhost"],
                "allowPrivateNetworks": true,
            },
            "directory": {"url": base},
            "region": "JP",
            "timeZone": "Asia/Tokyo",
            "personAccounts": false,
        });
        Self {
            folder,
            directory,
            salesforce,
            settings,
        }
    }

    /// Ends the directory.
    pub async fn stop_directory(&mut self) {
        self.directory.shutdown.cancel();
        (&mut self.directory.running).await.unwrap().unwrap();
    }

    /// Starts the directory anew, at another address.
    pub async fn start_directory(&mut self) {
        self.directory = Directory::start(self.folder.path()).await;
        self.settings["directory"]["url"] = self.directory.base.as_str().into();
    }

    fn report_path(&self) -> PathBuf {
        self.folder.path().join("termination-log")
    }

    /// Starts `switchboard worker KIND`.
    pub fn spawn(&self, kind: &str) -> Child {
        let _ = std::fs::remove_file(self.report_path());
        let path = |name: &str| self.folder.path().join(name);
        Command::new(env!("CARGO_BIN_EXE_switchboard"))
            .args(["worker", kind, "--credentials-dir"])
            .arg(self.folder.path())
            .arg("--directory-token-file")
            .arg(path("token"))
            .arg("--ca-bundle")
            .arg(path("ca.pem"))
            .arg("--termination-log")
            .arg(self.report_path())
            .env_clear()
            .env("SWITCHBOARD_WORKER_SETTINGS", self.settings.to_string())
            .env("RUST_LOG", "error")
            .stderr(std::process::Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap()
    }

    /// Waits until a run ends by itself.
    pub async fn ended(&self, mut child: Child) -> Ended {
        let status = tokio::time::timeout(SOON, child.wait());
        let status = status.await.expect("the run ends").unwrap();
        let text = std::fs::read_to_string(self.report_path()).ok();
        Ended {
            code: status.code(),
            report: text.map(|text| RunReport::parse(&text).unwrap()),
        }
    }

    /// A run to its end.
    pub async fn run(&self, kind: &str) -> Ended {
        self.ended(self.spawn(kind)).await
    }

    pub fn directory(&self, purpose: Purpose) -> Client {
        Client::new(&self.directory.base, token(purpose)).unwrap()
    }

    /// Calls from these numbers, one a second.
    pub async fn calls_from(&self, numbers: &[String]) {
        let start: Timestamp = "2026-11-23T01:00:00Z".parse().unwrap();
        let details: Vec<Value> = numbers
            .iter()
            .enumerate()
            .map(|(at, number)| {
                let start = start + Duration::from_secs(at as u64);
                json!({
                    "id": format!("call-{at}"), "call_type": "INCOMING_CALL",
                    "from_number": number, "to_number": null, "dial_starts_at": start.to_string(),
                    "dial_answered_at": null, "dial_ends_at": (start + Duration::from_secs(60)).to_string(),
                })
            })
            .collect();
        for (at, details) in details.chunks(200).enumerate() {
            let call =
                json!({"id": format!("call-{at}"), "tenant_code": "acme", "details": details});
            let ingest = self.directory(Purpose::Ingest);
            ingest.ingest(&json!({"call": call})).await.unwrap();
        }
    }

    /// The whole history, newest first.
    pub async fn history(&self) -> Vec<Call> {
        let directory = self.directory(Purpose::Lookup);
        let mut query = CallsQuery {
            limit: Some(200),
            ..CallsQuery::default()
        };
        let mut calls = Vec::new();
        loop {
            let page = directory.calls(&query).await.unwrap();
            calls.extend(page.calls);
            match page.next_cursor {
                Some(cursor) => query.cursor = Some(cursor),
                None => return calls,
            }
        }
    }
}

impl Directory {
    async fn start(folder: &Path) -> Self {
        let args = directory::Args::new(
            "127.0.0.1:0".parse().unwrap(),
            format!("sqlite:{}", folder.join("directory.db").display()).into(),
            folder.join("keys"),
        );
        let shutdown = CancellationToken::new();
        let server = Server::bind(args, shutdown.clone()).await.unwrap();
        let base = format!("http://{}", server.address());
        let running = tokio::spawn(server.run());
        Self {
            base,
            shutdown,
            running,
        }
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

/// Waits until the org has counted so many calls. It looks often: the tests stop and kill within a request.
pub async fn after_calls(salesforce: &Simulator, calls: u64) {
    let made = async {
        while salesforce.counters().api_calls() < calls {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    let waited = tokio::time::timeout(SOON, made).await;
    waited.unwrap_or_else(|_| panic!("the org counts no {calls} calls"));
}

/// Numbers of Tokyo.
pub fn numbers(count: usize) -> Vec<String> {
    (0..count)
        .map(|at| format!("03{:08}", 40_000_000 + at * 31))
        .collect()
}

/// Every second of these numbers stands on a contact that is called by it.
pub fn contacts(numbers: &[String]) -> Vec<Record> {
    let every_second = numbers.iter().step_by(2);
    every_second
        .map(|number| Record::person(number).phone(number))
        .collect()
}

fn token(purpose: Purpose) -> SecretString {
    let claims = Claims {
        company: "acme".parse().unwrap(),
        purpose,
        region: Region::JAPAN,
        issued_at: Timestamp::from_second(1_700_000_000).unwrap(),
        expires_at: None,
    };
    TokenKeys::parse(KEY).unwrap().mint(&claims).unwrap()
}

//! A tenant: a directory, an org, and the files of a worker's pod.

use jiff::Timestamp;
use salesforce_simulator::{Org, Record, Simulator, User, World};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::time::Duration;
use switchboard::directory::model::{Call, CallsQuery};
use switchboard::directory::{self, Claims, Client, Purpose, Server, TokenKeys};
use switchboard::phone::Region;
use switchboard::worker::RunReport;
use tempfile::TempDir;
use tokio::process::{Child, Command};
use tokio_util::sync::CancellationToken;

/// 32 bytes of `a`.
const KEY: &str = "YWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWE=";
const USER: &str = "integration@acme.example";
const PASSWORD: &str = "marker-of-the-password";

pub struct Bed {
    folder: TempDir,
    base: String,
    shutdown: CancellationToken,
    pub salesforce: Simulator,
    pub settings: Value,
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
        let folder = TempDir::new().unwrap();
        let write = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        let args = directory::Args::new(
            "127.0.0.1:0".parse().unwrap(),
            format!("sqlite:{}", folder.path().join("directory.db").display()).into(),
            write("keys", KEY),
        );
        let shutdown = CancellationToken::new();
        let server = Server::bind(args, shutdown.clone()).await.unwrap();
        let base = format!("http://{}", server.address());
        tokio::spawn(server.run());
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
                "auth": {"password": {"username": USER}},
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
            base,
            shutdown,
            salesforce,
            settings,
        }
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
        let status = tokio::time::timeout(Duration::from_secs(60), child.wait());
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
        Client::new(&self.base, token(purpose)).unwrap()
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

impl Drop for Bed {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
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

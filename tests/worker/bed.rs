//! A tenant with a directory, an org, and the files of a worker's pod.

use std::collections::{HashMap, HashSet};
use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use salesforce_simulator::{Org, Record, Simulator, User, World};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use switchboard::directory::client::Retry;
use switchboard::directory::model::{Call, CallsQuery, LookupState};
use switchboard::directory::{self, Claims, Client, Purpose, Server, TokenKeys};
use switchboard::phone::Region;
use switchboard::run::RunReport;
use tempfile::TempDir;
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::replica::Replica;

/// A key of 32 bytes `a`, in Base64.
pub(crate) const KEY: &str = "YWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWE=";
pub(crate) const USER: &str = "integration@acme.example";
/// Time limit for events that take about a second, on a busy machine.
pub(crate) const SOON: Duration = Duration::from_secs(60);
/// Time limit for a whole run of some thousand numbers, unoptimised and on a busy machine.
const RUN: Duration = Duration::from_secs(240);
pub(crate) const PASSWORD: &str = "marker-of-the-password";

pub(crate) struct Bed {
    folder: TempDir,
    base: String,
    directory: Option<Directory>,
    pub salesforce: Arc<Simulator>,
    pub settings: Value,
}

/// A directory on SQLite in the test's own process.
struct Directory {
    base: String,
    shutdown: DropGuard,
    running: JoinHandle<Result<(), directory::Error>>,
}

/// The end of a run: its exit code (`None` after a kill) and its report.
pub(crate) struct Ended {
    pub code: Option<i32>,
    pub report: Option<RunReport>,
}

impl Bed {
    /// A tenant with an org of these contacts, and a directory on SQLite in the test's process.
    pub(crate) async fn start(contacts: impl IntoIterator<Item = Record>, latency_ms: u64) -> Self {
        Self::of(played(contacts, latency_ms).await, USER).await
    }

    /// A tenant whose org others use too, with this user, and a directory on SQLite in the test's
    /// process.
    pub(crate) async fn of(salesforce: Arc<Simulator>, user: &str) -> Self {
        let folder = TempDir::new().unwrap();
        let directory = Directory::start(&folder).await;
        let base = directory.base.clone();
        Self::with(folder, base, Some(directory), salesforce, user)
    }

    /// A tenant with an org of these contacts, and this replica of the directory.
    pub(crate) async fn on(
        replica: &Replica,
        contacts: impl IntoIterator<Item = Record>,
        latency_ms: u64,
    ) -> Self {
        let folder = TempDir::new().unwrap();
        let salesforce = played(contacts, latency_ms).await;
        Self::with(folder, replica.base(), None, salesforce, USER)
    }

    /// A tenant with this org, and this replica of the directory.
    pub(crate) fn beside(replica: &Replica, salesforce: Arc<Simulator>) -> Self {
        let folder = TempDir::new().unwrap();
        Self::with(folder, replica.base(), None, salesforce, USER)
    }

    fn with(
        folder: TempDir,
        base: String,
        directory: Option<Directory>,
        salesforce: Arc<Simulator>,
        user: &str,
    ) -> Self {
        write(&folder, "password", PASSWORD);
        write(&folder, "ca.pem", salesforce.ca_pem());
        write(&folder, "token", token(Purpose::Worker).expose_secret());
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
            base,
            directory,
            salesforce,
            settings,
        }
    }

    /// Stops the directory in the test's process.
    pub(crate) async fn stop_directory(&mut self) {
        let directory = self.directory.take().unwrap();
        drop(directory.shutdown);
        directory.running.await.unwrap().unwrap();
    }

    /// Starts the directory again, at another address.
    pub(crate) async fn start_directory(&mut self) {
        let directory = Directory::start(&self.folder).await;
        self.base.clone_from(&directory.base);
        self.directory = Some(directory);
    }

    /// The address of the directory.
    pub(crate) fn base(&self) -> &str {
        &self.base
    }

    fn report_path(&self, holder: &str) -> PathBuf {
        self.folder.path().join(format!("report-of-{holder}"))
    }

    /// Starts `switchboard worker KIND`.
    pub(crate) fn spawn(&self, kind: &str) -> Child {
        self.spawn_as("worker", kind, &self.base)
    }

    /// Starts a worker with this name, which uses this replica of the directory.
    pub(crate) fn spawn_as(&self, holder: &str, kind: &str, base: &str) -> Child {
        self.spawn_in(&[], holder, kind, base)
    }

    /// The same, inside a wrapper command that replaces itself by the program.
    pub(crate) fn spawn_in(
        &self,
        wrapper: &[OsString],
        holder: &str,
        kind: &str,
        base: &str,
    ) -> Child {
        let report = self.report_path(holder);
        let _ = std::fs::remove_file(&report);
        let path = |name: &str| self.folder.path().join(name);
        let mut settings = self.settings.clone();
        settings["directory"]["url"] = base.into();
        let program = OsString::from(env!("CARGO_BIN_EXE_switchboard"));
        let mut line = wrapper.iter().cloned().chain([program]);
        Command::new(line.next().unwrap())
            .args(line)
            .args(["worker", kind, "--credentials-dir"])
            .arg(self.folder.path())
            .arg("--directory-token-file")
            .arg(path("token"))
            .arg("--ca-bundle")
            .arg(path("ca.pem"))
            .arg("--termination-log")
            .arg(report)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("SWITCHBOARD_WORKER_SETTINGS", settings.to_string())
            .env("SWITCHBOARD_WORKER_HOLDER", holder)
            .env("RUST_LOG", "error")
            .stderr(std::process::Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap()
    }

    /// Waits until a run ends without intervention.
    pub(crate) async fn ended(&self, child: Child) -> Ended {
        self.ended_as("worker", child).await
    }

    /// Waits until the run of this worker ends without intervention.
    pub(crate) async fn ended_as(&self, holder: &str, mut child: Child) -> Ended {
        let status = tokio::time::timeout(RUN, child.wait());
        let status = status.await.expect("the run ends").unwrap();
        let text = std::fs::read_to_string(self.report_path(holder)).ok();
        Ended {
            code: status.code(),
            report: text.map(|text| RunReport::parse(&text).unwrap()),
        }
    }

    /// Starts a run and waits for its end.
    pub(crate) async fn run(&self, kind: &str) -> Ended {
        self.ended(self.spawn(kind)).await
    }

    pub(crate) fn directory(&self, purpose: Purpose) -> Client {
        client(&self.base, purpose)
    }

    /// Ingests calls from these numbers, one per second of their start times.
    pub(crate) async fn calls_from(&self, numbers: &[String]) {
        let details: Vec<Value> = numbers
            .iter()
            .enumerate()
            .map(|(at, number)| call(at, number))
            .collect();
        for details in details.chunks(200) {
            let ingest = self.directory(Purpose::Ingest);
            ingest.ingest(&webhook(details)).await.unwrap();
        }
    }

    /// The complete call history, newest first.
    pub(crate) async fn history(&self) -> Vec<Call> {
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
    async fn start(folder: &TempDir) -> Self {
        let args = directory::Args::new(
            "127.0.0.1:0".parse().unwrap(),
            format!("sqlite:{}", folder.path().join("directory.db").display()).into(),
            write(folder, "keys", KEY),
        );
        let shutdown = CancellationToken::new();
        let server = Server::bind(args, shutdown.clone()).await.unwrap();
        Self {
            base: format!("http://{}", server.address()),
            shutdown: shutdown.drop_guard(),
            running: tokio::spawn(server.run()),
        }
    }
}

/// Starts a simulator with an org of these contacts.
pub(crate) async fn played(
    contacts: impl IntoIterator<Item = Record>,
    latency_ms: u64,
) -> Arc<Simulator> {
    let org = Org::enterprise("acme")
        .user(User::integration(USER).password(PASSWORD))
        .records("Contact", contacts)
        .with(|org| org.latency_ms = latency_ms);
    Arc::new(Simulator::start(World::new().org(org)).await.unwrap())
}

/// Waits until the org has counted this number of calls. It polls often, because the tests stop and
/// kill during a request.
pub(crate) async fn after_calls(salesforce: &Simulator, calls: u64) {
    let made = async {
        while salesforce.counters().api_calls() < calls {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    let waited = tokio::time::timeout(SOON, made).await;
    waited.unwrap_or_else(|_| panic!("the org counts no {calls} calls"));
}

/// Telephone numbers of Tokyo.
pub(crate) fn numbers(count: usize) -> Vec<String> {
    (0..count)
        .map(|at| format!("03{:08}", 40_000_000 + at * 31))
        .collect()
}

/// Contacts for every second of these numbers; each has its number as name.
pub(crate) fn contacts(numbers: &[String]) -> Vec<Record> {
    let every_second = numbers.iter().step_by(2);
    every_second
        .map(|number| Record::person(number).phone(number))
        .collect()
}

/// The ended call with this index and number, as the platform reports it.
pub(crate) fn call(at: usize, number: &str) -> Value {
    let start: Timestamp = "2026-11-23T01:00:00Z".parse().unwrap();
    let start = start + Duration::from_secs(at as u64);
    json!({
        "id": format!("call-{at}"), "call_type": "INCOMING_CALL",
        "from_number": number, "to_number": null, "dial_starts_at": start.to_string(),
        "dial_answered_at": null, "dial_ends_at": (start + Duration::from_secs(60)).to_string(),
    })
}

/// A webhook delivery with these call legs.
pub(crate) fn webhook(details: &[Value]) -> Value {
    json!({"call": {"id": "call", "tenant_code": "acme", "details": details}})
}

/// Asserts that the call of each index exists once, is looked up, and has the name of its number or
/// none. Also asserts that no contact exists twice.
pub(crate) fn assert_resolved_once(history: &[Call], numbers: &[String]) {
    assert_eq!(history.len(), numbers.len());
    let mut contacts: HashMap<String, HashSet<String>> = HashMap::new();
    for call in history {
        assert_eq!(call.lookup, LookupState::Done);
        let at: usize = call.id.trim_start_matches("call-").parse().unwrap();
        let person = call
            .contact
            .as_ref()
            .and_then(|contact| contact.person_name.clone());
        assert_eq!(person.as_ref(), at.is_multiple_of(2).then(|| &numbers[at]));
        if let Some(contact) = &call.contact {
            let ids = contacts
                .entry(contact.record_id.clone().unwrap())
                .or_default();
            ids.insert(contact.number.to_string());
        }
    }
    let known = numbers.iter().step_by(2).collect::<HashSet<_>>().len();
    assert_eq!(contacts.len(), known, "no contact is doubled");
    assert!(contacts.values().all(|numbers| numbers.len() == 1));
}

/// The number of kills: a few, or `SWITCHBOARD_KILLS`.
pub(crate) fn kills() -> usize {
    let set = std::env::var("SWITCHBOARD_KILLS");
    set.map_or(10, |kills| kills.parse().unwrap())
}

/// The seed for random choices: `SEED`, or a new one. The function prints it.
pub(crate) fn seed() -> u64 {
    let seed = match std::env::var("SEED") {
        Ok(seed) => seed.parse().unwrap(),
        Err(_) => rand::random(),
    };
    println!("SEED={seed}");
    seed
}

/// A client that retries until a replica is back.
pub(crate) fn client(base: &str, purpose: Purpose) -> Client {
    let patient = Retry {
        attempts: 200,
        longest_pause: Duration::from_secs(1),
        ..Retry::default()
    };
    Client::new(base, token(purpose))
        .unwrap()
        .with_retry(patient)
}

fn write(folder: &TempDir, name: &str, text: &str) -> PathBuf {
    let path = folder.path().join(name);
    std::fs::write(&path, text).unwrap();
    path
}

pub(crate) fn token(purpose: Purpose) -> SecretString {
    token_of("acme", purpose)
}

pub(crate) fn token_of(company: &str, purpose: Purpose) -> SecretString {
    let claims = Claims {
        company: company.parse().unwrap(),
        purpose,
        region: Region::JAPAN,
        issued_at: Timestamp::from_second(1_700_000_000).unwrap(),
        expires_at: None,
    };
    TokenKeys::parse(KEY).unwrap().mint(&claims).unwrap()
}

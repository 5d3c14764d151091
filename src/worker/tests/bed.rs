//! The environment of a tenant: a directory on SQLite, files as they are mounted into a pod, and
//! settings.

use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use sqlx::Connection as _;
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::directory;
use crate::directory::model::{Call, CallsQuery};
use crate::directory::testing::Backend;
use crate::directory::{Claims, Client, Purpose, Server, TokenKeys};
use crate::phone::Region;
use crate::run::{Outcome, RunKind, RunReport};
use crate::salesforce::Patience;
use crate::shutdown::Shutdown;
use crate::worker::args::Options;
use crate::worker::fill::Reads;
use crate::worker::prepare;
use crate::worker::run::Run;

/// 32 bytes of `a`.
const KEY: &str = "YWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWE=";
pub(crate) const USER: &str = "integration@acme.example";
pub(crate) const PASSWORD: &str = "marker-of-the-password";
pub(crate) const SECURITY_TOKEN: &str = "marker-of-the-token";

/// A running directory, and the files and settings of a worker.
pub(crate) struct Bed {
    folder: TempDir,
    /// Of the directory's database.
    address: String,
    base: String,
    shutdown: CancellationToken,
    running: JoinHandle<Result<(), directory::Error>>,
    /// The settings document. Each test changes the part that it is about.
    pub(crate) settings: Value,
    /// File with the certificate authority of Salesforce.
    pub(crate) ca_bundle: Option<PathBuf>,
    /// How records are read.
    pub(crate) reads: Reads,
}

impl Bed {
    /// A tenant whose Salesforce listens at `login_url`.
    pub(crate) async fn start(login_url: &str) -> Self {
        Self::start_on(login_url, Backend::Sqlite).await
    }

    /// A tenant whose directory uses this database.
    pub(crate) async fn start_on(login_url: &str, on: Backend) -> Self {
        let folder = TempDir::new().unwrap();
        let keys = folder.path().join("keys");
        std::fs::write(&keys, KEY).unwrap();
        let database = on.fresh(&folder);
        let address = database.clone();
        let listen = "127.0.0.1:0".parse().unwrap();
        let args = directory::Args::new(listen, database.into(), keys);
        let shutdown = CancellationToken::new();
        let server = Server::bind(args, shutdown.clone()).await.unwrap();
        let base = format!("http://{}", server.address());
        let running = tokio::spawn(server.run());
        let write =
            |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        write("password", &format!("{PASSWORD}\n"));
        write("securityToken", SECURITY_TOKEN);
        write(
            "token",
            secrecy::ExposeSecret::expose_secret(&token(Purpose::Worker)),
        );
        let settings = json!({
            "version": "v1",
            "companyId": "acme",
            "salesforce": {
                "environment": "Production",
                "loginUrl": login_url,
                "apiVersion": "50.0",
                "auth": {"password": {"username": USER}},
                "hosts": ["localhost", "*.localhost", "127.0.0.1"],
                "allowPrivateNetworks": true,
            },
            "directory": {"url": base},
            "region": "JP",
            "timeZone": "Asia/Tokyo",
        });
        Self {
            folder,
            address,
            base,
            shutdown,
            running,
            settings,
            ca_bundle: None,
            reads: Reads {
                patience: Patience {
                    first: Duration::from_millis(1),
                    longest: Duration::from_millis(20),
                    ..Patience::default()
                },
                ..Reads::default()
            },
        }
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Stops the directory.
    pub(crate) async fn stop_directory(&mut self) {
        self.shutdown.cancel();
        (&mut self.running).await.unwrap().unwrap();
    }

    /// Returns the options of the pod's command line.
    pub(crate) fn options(&self) -> Options {
        Options {
            settings: Some(self.settings.to_string()),
            credentials_dir: self.folder().to_owned(),
            directory_token_file: self.folder().join("token"),
            ca_bundle: self.ca_bundle.clone(),
            directory_ca_bundle: None,
            termination_log: self.folder().join("termination-log"),
            holder: None,
        }
    }

    /// A run that is ready to start.
    pub(crate) fn prepared(&self, kind: RunKind) -> Run {
        Run {
            reads: self.reads,
            ..prepare(kind, &self.options()).unwrap()
        }
    }

    /// Executes a run until its end.
    pub(crate) async fn run(&self, kind: RunKind) -> RunReport {
        self.run_until(kind, &Shutdown::new()).await
    }

    /// Executes a run that `stop` may end.
    pub(crate) async fn run_until(&self, kind: RunKind, stop: &Shutdown) -> RunReport {
        let report = self.prepared(kind).execute(stop).await;
        let json = report.to_json();
        for secret in [PASSWORD, SECURITY_TOKEN] {
            assert!(!json.contains(secret), "{json}");
        }
        RunReport::parse(&json).unwrap_or_else(|error| panic!("{error}: {json}"))
    }

    /// Executes a run that must succeed.
    pub(crate) async fn succeed(&self, kind: RunKind) -> RunReport {
        let report = self.run(kind).await;
        assert_eq!(report.outcome, Outcome::Succeeded, "{report:?}");
        report
    }

    /// Returns a client of the directory with a token for this purpose.
    pub(crate) fn directory(&self, purpose: Purpose) -> Client {
        Client::new(&self.base, token(purpose)).unwrap()
    }

    /// Ingests incoming calls of one minute each, one from each of these numbers. Their IDs are
    /// numbered from `first_id`.
    pub(crate) async fn calls_from(&self, first_id: usize, numbers: &[&str]) {
        let start: Timestamp = "2026-11-23T01:00:00Z".parse().unwrap();
        let details: Vec<Value> = numbers
            .iter()
            .enumerate()
            .map(|(at, number)| {
                let start = start + Duration::from_secs((first_id + at) as u64);
                json!({
                    "id": format!("call-{}", first_id + at), "call_type": "INCOMING_CALL",
                    "from_number": number, "to_number": null, "dial_starts_at": start.to_string(),
                    "dial_answered_at": null, "dial_ends_at": (start + Duration::from_secs(60)).to_string(),
                })
            })
            .collect();
        let payload = json!({"call": {"id": "call", "tenant_code": "acme", "details": details}});
        self.directory(Purpose::Ingest)
            .ingest(&payload)
            .await
            .unwrap();
    }

    /// Returns the newest calls of the history, oldest first.
    pub(crate) async fn history(&self) -> Vec<Call> {
        let query = CallsQuery {
            limit: Some(200),
            ..CallsQuery::default()
        };
        let mut calls = self
            .directory(Purpose::Lookup)
            .calls(&query)
            .await
            .unwrap()
            .calls;
        calls.reverse();
        calls
    }

    /// Makes what Salesforce was asked so many days older.
    pub(crate) async fn days_pass(&self, days: i64) {
        self.seconds_pass(days * 86_400).await;
    }

    /// Makes what Salesforce was asked, and the last window, so many seconds older.
    pub(crate) async fn seconds_pass(&self, seconds: i64) {
        let mut database = self.database().await;
        for statement in [
            "UPDATE questions SET asked_at = asked_at - $1, due_at = due_at - $1",
            "UPDATE retrievals SET round_at = round_at - $1",
            "UPDATE follows SET followed_at = followed_at - $1",
        ] {
            let aged = sqlx::query(statement).bind(seconds * 1_000_000);
            aged.execute(&mut database).await.unwrap();
        }
    }

    /// Makes what was last done for the address book so much older.
    pub(crate) async fn book_ages(&self, by: SignedDuration) {
        let by = by.as_micros() as i64;
        self.execute(&format!(
            "UPDATE books SET filled_at = filled_at - {by}, counted_at = counted_at - {by}, began_at = began_at - {by}"
        ))
        .await;
    }

    /// Makes changes due that were followed not long ago.
    pub(crate) async fn clock_of_follow_back(&self) {
        self.execute("UPDATE follows SET followed_at = followed_at - 7200000000")
            .await;
    }

    /// Executes a statement on the directory's database.
    async fn execute(&self, statement: &str) {
        let statement = sqlx::AssertSqlSafe(statement.to_owned());
        if self.address.starts_with("sqlite:") {
            let mut database = sqlx::SqliteConnection::connect(&self.address)
                .await
                .unwrap();
            sqlx::query(statement).execute(&mut database).await.unwrap();
        } else {
            let mut database = sqlx::PgConnection::connect(&self.address).await.unwrap();
            sqlx::query(statement).execute(&mut database).await.unwrap();
        }
    }

    /// Makes the contacts those of a version that did not follow Salesforce.
    pub(crate) async fn never_followed(&self) {
        let mut database = self.database().await;
        for statement in [
            "UPDATE contacts SET holders = NULL, all_holders = NULL",
            "DELETE FROM contact_records",
            "DELETE FROM follows",
        ] {
            let forgotten = sqlx::query(statement).execute(&mut database).await;
            forgotten.unwrap();
        }
    }

    async fn database(&self) -> sqlx::SqliteConnection {
        let file = self.folder().join("directory.db");
        let address = format!("sqlite:{}", file.display());
        sqlx::SqliteConnection::connect(&address).await.unwrap()
    }

    /// Returns the company and the person of the contact with this number.
    pub(crate) async fn who(&self, number: &str) -> Option<(Option<String>, Option<String>)> {
        let contact = self
            .directory(Purpose::Lookup)
            .contact(number)
            .await
            .unwrap()?;
        Some((contact.company_name, contact.person_name))
    }
}

impl Drop for Bed {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

fn token(purpose: Purpose) -> secrecy::SecretString {
    let claims = Claims {
        company: "acme".parse().unwrap(),
        purpose,
        region: Region::JAPAN,
        issued_at: Timestamp::from_second(1_700_000_000).unwrap(),
        expires_at: None,
    };
    TokenKeys::parse(KEY).unwrap().mint(&claims).unwrap()
}

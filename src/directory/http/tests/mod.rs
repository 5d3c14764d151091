//! The directory over real HTTP on a loopback port, with a real database file.

mod book;
mod contacts;
mod encrypted;
mod failover;
mod guarded;
mod histories;
mod history;
mod hostile;
mod ingest;
mod limits;
mod log;
mod numbers;
mod pages;
mod revoked;
mod rings;
mod running;
mod screen;
mod standby;
mod tokens;
mod waiting;
mod way;
mod whose;
mod work;

use std::time::Duration;

use jiff::Timestamp;
use secrecy::SecretString;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::directory::client::Retry;
use crate::directory::model::{
    ClaimRequest, DoneCall, DoneRequest, FoundContact, Reading, RecordObject, WriteContactsRequest,
    WritePolicy,
};
use crate::directory::testing::{Backend, on_each_database};
use crate::directory::{Args, Claims, Client, Error, Purpose, Server, TokenKeys};
use crate::phone::Region;

/// 32 bytes of `a` in base64.
const KEY: &str = "YWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWE=";

/// A running directory and its folder.
struct Directory {
    folder: TempDir,
    database: String,
    base: String,
    http: reqwest::Client,
    shutdown: CancellationToken,
    running: JoinHandle<Result<(), Error>>,
}

impl Directory {
    async fn start(on: Backend) -> Self {
        let folder = TempDir::new().unwrap();
        let database = on.fresh(&folder);
        Self::start_on(folder, database).await
    }

    async fn start_on(folder: TempDir, database: String) -> Self {
        let args = Args {
            database: database.clone().into(),
            ..args(&folder)
        };
        Self::start_with(args, folder, database).await
    }

    async fn start_with(args: Args, folder: TempDir, database: String) -> Self {
        let shutdown = CancellationToken::new();
        let server = Server::bind(args, shutdown.clone()).await.unwrap();
        let base = format!("http://{}", server.address());
        // A new client connection for each request: a directory with a short idle timeout may close
        // one that is kept.
        let http = reqwest::Client::builder()
            .no_proxy()
            .pool_max_idle_per_host(0)
            .build()
            .unwrap();
        let running = tokio::spawn(server.run());
        Self {
            folder,
            database,
            base,
            http,
            shutdown,
            running,
        }
    }

    async fn stop(self) -> (TempDir, String) {
        self.shutdown.cancel();
        self.running.await.unwrap().unwrap();
        (self.folder, self.database)
    }

    async fn restart(self) -> Self {
        let (folder, database) = self.stop().await;
        Self::start_on(folder, database).await
    }

    fn client(&self, company: &str, purpose: Purpose) -> Client {
        Client::with_http(self.http.clone(), &self.base, token(company, purpose))
            .unwrap()
            .with_retry(Retry {
                attempts: 1,
                ..Retry::default()
            })
    }

    fn ingest(&self) -> Client {
        self.client("acme", Purpose::Ingest)
    }

    fn lookup(&self) -> Client {
        self.client("acme", Purpose::Lookup)
    }

    fn worker(&self) -> Client {
        self.client("acme", Purpose::Worker)
    }

    fn admin(&self) -> Client {
        self.client("acme", Purpose::Admin)
    }

    /// Sends a raw request, for tests with requests that the client would not send.
    async fn raw(&self, method: &str, path: &str, token: Option<&str>, body: &str) -> Reply {
        let url = format!("{}{path}", self.base);
        let mut request = self
            .http
            .request(method.parse().unwrap(), url)
            .body(body.to_owned());
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        let response = request.send().await.unwrap();
        let header = |name: &str| {
            response
                .headers()
                .get(name)
                .map(|v| v.to_str().unwrap().to_owned())
        };
        Reply {
            status: response.status().as_u16(),
            content_type: header("content-type"),
            authenticate: header("www-authenticate"),
            body: response.text().await.unwrap(),
        }
    }
}

struct Reply {
    status: u16,
    content_type: Option<String>,
    authenticate: Option<String>,
    body: String,
}

impl Reply {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }
}

/// Waits until the condition holds.
async fn eventually(is_so: impl AsyncFn() -> bool) {
    let waiting = async {
        while !is_so().await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let waited = tokio::time::timeout(Duration::from_secs(30), waiting).await;
    waited.expect("it becomes so");
}

fn args(folder: &TempDir) -> Args {
    let keys = folder.path().join("keys");
    std::fs::write(&keys, KEY).unwrap();
    Args {
        max_body: 64 * 1024,
        ..Args::new(
            "127.0.0.1:0".parse().unwrap(),
            Backend::Sqlite.fresh(folder).into(),
            keys,
        )
    }
}

fn claims(company: &str, purpose: Purpose) -> Claims {
    Claims {
        company: company.parse().unwrap(),
        purpose,
        region: Region::JAPAN,
        issued_at: Timestamp::from_second(1_700_000_000).unwrap(),
        expires_at: None,
    }
}

fn token(company: &str, purpose: Purpose) -> SecretString {
    TokenKeys::parse(KEY)
        .unwrap()
        .mint(&claims(company, purpose))
        .unwrap()
}

/// An incoming call of one minute, in the platform's format.
fn call(id: &str, number: &str, start: &str) -> Value {
    let start: Timestamp = start.parse().unwrap();
    json!({"id": id, "call_type": "INCOMING_CALL", "from_number": number, "to_number": null,
        "dial_starts_at": start.to_string(), "dial_answered_at": null,
        "dial_ends_at": (start + Duration::from_secs(60)).to_string()})
}

fn payload(details: impl IntoIterator<Item = Value>) -> Value {
    json!({"call": {"id": "call", "tenant_code": "acme", "details": details.into_iter().collect::<Vec<_>>()}})
}

fn claim(holder: &str) -> ClaimRequest {
    ClaimRequest::new(holder)
}

fn done(id: &str, number: &str) -> DoneRequest {
    DoneRequest {
        calls: vec![DoneCall {
            id: id.to_owned(),
            reading: Reading::E164(number.parse().unwrap()),
        }],
    }
}

fn found(number: &str, person: &str) -> FoundContact {
    FoundContact {
        number: number.parse().unwrap(),
        company_name: Some("Acme KK".to_owned()),
        person_name: Some(person.to_owned()),
        object: RecordObject::Contact,
        record_id: "0035g00000ABCDEAA1".to_owned(),
        link: Some("https://acme.my.salesforce.com/0035g00000ABCDEAA1".to_owned()),
        title: None,
        owner_name: None,
        alternatives: None,
        holders: None,
        all_holders: false,
    }
}

fn write(policy: WritePolicy, contact: FoundContact) -> WriteContactsRequest {
    WriteContactsRequest::new(policy, vec![contact])
}

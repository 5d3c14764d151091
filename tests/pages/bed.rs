//! A directory with pages, the roles around it, and a browser.

use std::path::PathBuf;

use secrecy::SecretString;
use serde_json::{Value, json};
use switchboard::directory::client::Retry;
use switchboard::directory::model::company::{LinkHealth, RetrievalMode};
use switchboard::directory::model::{
    Alternative, Alternatives, AskedBy, ChosenBy, DoneCall, DoneRequest, FoundContact, Reading,
    RecordObject, WriteContactsRequest, WritePolicy,
};
use switchboard::directory::{Args, Claims, Client, Error, PagesArgs, Purpose, Server, TokenKeys};
use switchboard::phone::Region;
use switchboard_testbed::browser::{Browser, Look};
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// 32 bytes of `a` in base64.
const KEY: &str = "YWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWE=";

/// A running directory.
pub(crate) struct Bed {
    folder: TempDir,
    address: std::net::SocketAddr,
    shutdown: CancellationToken,
    running: JoinHandle<Result<(), Error>>,
}

impl Bed {
    pub(crate) async fn start() -> Self {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let folder = TempDir::new().unwrap();
        std::fs::write(folder.path().join("keys"), KEY).unwrap();
        Self::listen(folder, "127.0.0.1:0".parse().unwrap()).await
    }

    async fn listen(folder: TempDir, address: std::net::SocketAddr) -> Self {
        let database = format!("sqlite:{}", folder.path().join("d.db").display());
        let args = Args {
            pages: PagesArgs {
                pages: true,
                ..PagesArgs::default()
            },
            grace: 1,
            ..Args::new(address, database.into(), folder.path().join("keys"))
        };
        let shutdown = CancellationToken::new();
        let server = Server::bind(args, shutdown.clone()).await.unwrap();
        Self {
            address: server.address(),
            running: tokio::spawn(server.run()),
            folder,
            shutdown,
        }
    }

    /// Goes down, and returns what is needed to come back.
    pub(crate) async fn stop(self) -> (TempDir, std::net::SocketAddr) {
        self.shutdown.cancel();
        self.running.await.unwrap().unwrap();
        (self.folder, self.address)
    }

    pub(crate) async fn come_back((folder, address): (TempDir, std::net::SocketAddr)) -> Self {
        Self::listen(folder, address).await
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(crate) fn host(&self) -> String {
        self.address.to_string()
    }

    pub(crate) fn client(&self, purpose: Purpose) -> Client {
        let client = Client::new(&self.url(""), token(purpose)).unwrap();
        client.with_retry(Retry {
            attempts: 1,
            ..Retry::default()
        })
    }

    /// A browser of somebody who is signed in.
    pub(crate) async fn signed_in(&self, look: Look) -> Browser {
        let browser = Browser::start(look).await.unwrap();
        browser.open(&self.url("/pages")).await.unwrap();
        sign_in(&browser).await;
        browser
    }

    pub(crate) async fn call(&self, id: &str, number: &str, start: &str, end: Option<&str>) {
        let call = json!({"call": {"id": format!("call-{id}"), "tenant_code": "acme-tokyo", "details": [{
            "id": id, "call_type": "INCOMING_CALL", "from_number": number, "to_number": null,
            "dial_starts_at": start, "dial_answered_at": null, "dial_ends_at": end,
        }]}});
        self.client(Purpose::Ingest).ingest(&call).await.unwrap();
    }

    /// What a run finds in Salesforce.
    pub(crate) async fn found(&self, contacts: Vec<FoundContact>, not_found: &[&str]) {
        let request = WriteContactsRequest {
            not_found: not_found
                .iter()
                .map(|number| number.parse().unwrap())
                .collect(),
            asked_by: Some(AskedBy {
                run: "acme-tokyo-29384123".to_owned(),
                api_calls: 1,
            }),
            ..WriteContactsRequest::new(WritePolicy::Overwrite, contacts)
        };
        self.client(Purpose::Worker)
            .write_contacts(&request)
            .await
            .unwrap();
    }

    pub(crate) async fn done(&self, calls: &[(&str, &str)]) {
        let calls = calls.iter().map(|(id, number)| DoneCall {
            id: (*id).to_owned(),
            reading: Reading::E164(number.parse().unwrap()),
        });
        let request = DoneRequest {
            calls: calls.collect(),
        };
        self.client(Purpose::Worker).done(&request).await.unwrap();
    }

    pub(crate) async fn link(&self, reason: &str) {
        let ready = reason == "Ready";
        let reason = switchboard::reason::Code::from(reason);
        let health = LinkHealth {
            ready: Some(ready),
            reason: reason.to_string(),
            cause: reason
                .reason()
                .map(|reason| reason.cause())
                .unwrap_or_default()
                .to_owned(),
            remedy: reason.remedy().to_owned(),
            since: "2026-11-30T00:10:00Z".parse().unwrap(),
            retrieval: RetrievalMode::Daily,
            suspended: false,
            time_zone: "Asia/Tokyo".to_owned(),
            region: Region::JAPAN,
            last_run_at: Some("2026-11-29T14:00:12Z".parse().unwrap()),
            last_outcome: Some("Succeeded".to_owned()),
            next_run_at: ready.then(|| "2037-11-30T14:00:00Z".parse().unwrap()),
            budget_percent: Some(4),
        };
        self.client(Purpose::Controller)
            .tell_link(&health)
            .await
            .unwrap();
    }

    /// A day of calls: known and unknown, withheld, and one who waits.
    pub(crate) async fn day(&self) {
        self.link("Ready").await;
        for (id, number, start, end) in [
            (
                "d1",
                "03-1234-5678",
                "2026-11-29T00:02:11Z",
                "2026-11-29T00:04:30Z",
            ),
            (
                "d2",
                "090-1234-5678",
                "2026-11-29T01:15:00Z",
                "2026-11-29T01:16:05Z",
            ),
            (
                "d3",
                "Anonymous",
                "2026-11-29T02:40:00Z",
                "2026-11-29T02:41:00Z",
            ),
            (
                "d4",
                "06-6345-6789",
                "2026-11-29T05:20:00Z",
                "2026-11-29T05:29:00Z",
            ),
            (
                "d5",
                "+1 312 555 0100",
                "2026-11-29T08:01:00Z",
                "2026-11-29T08:03:00Z",
            ),
            (
                "d6",
                "03-1234-5678",
                "2026-11-30T00:30:00Z",
                "2026-11-30T00:31:40Z",
            ),
            (
                "d7",
                "050-1234-9876",
                "2026-11-30T00:45:00Z",
                "2026-11-30T00:45:30Z",
            ),
        ] {
            self.call(id, number, start, Some(end)).await;
        }
        let contacts = vec![
            sato(),
            person("+819012345678", "山田商事", "山田 太郎", "Lead"),
            person(
                "+13125550100",
                "Globex Corporation",
                "Hank Scorpio",
                "Contact",
            ),
        ];
        self.found(contacts, &["+81663456789"]).await;
        self.done(&[
            ("d1", "+81312345678"),
            ("d2", "+819012345678"),
            ("d4", "+81663456789"),
            ("d5", "+13125550100"),
            ("d6", "+81312345678"),
        ])
        .await;
    }
}

/// Types the token into the page for it.
pub(crate) async fn sign_in(browser: &Browser) {
    use secrecy::ExposeSecret as _;
    let token = token(Purpose::Lookup);
    browser
        .type_into("#token", token.expose_secret())
        .await
        .unwrap();
    browser.press("\u{e007}").await.unwrap();
    browser
        .until("the calls", async || {
            let address = browser.address().await.map_err(|error| error.to_string())?;
            if address.contains("sign-in") {
                Err(address)
            } else {
                Ok(())
            }
        })
        .await
        .unwrap();
}

pub(crate) fn token(purpose: Purpose) -> SecretString {
    let keys = TokenKeys::parse(KEY).unwrap();
    let claims = Claims {
        company: "acme-tokyo".parse().unwrap(),
        purpose,
        region: Region::JAPAN,
        issued_at: "2026-01-01T00:00:00Z".parse().unwrap(),
        expires_at: None,
    };
    keys.mint(&claims).unwrap()
}

pub(crate) fn person(number: &str, company: &str, person: &str, object: &str) -> FoundContact {
    let (object, id) = match object {
        "Contact" => (RecordObject::Contact, "0035g00000ABCDEAA1"),
        "Account" => (RecordObject::Account, "0015g00000ABCDEAA1"),
        _ => (RecordObject::Lead, "00Q5g00000ABCDEAA1"),
    };
    FoundContact {
        number: number.parse().unwrap(),
        company_name: Some(company.to_owned()),
        person_name: Some(person.to_owned()),
        object,
        record_id: id.to_owned(),
        link: Some(format!("https://acme.my.salesforce.com/{id}")),
        title: None,
        owner_name: Some("Suzuki Ichiro".to_owned()),
        alternatives: None,
        holders: None,
        all_holders: false,
    }
}

/// A contact whose number two others hold.
pub(crate) fn sato() -> FoundContact {
    let other = |object, id: &str, name: &str| Alternative {
        object,
        record_id: id.to_owned(),
        person_name: Some(name.to_owned()),
        company_name: None,
    };
    FoundContact {
        title: Some("Head of Purchasing".to_owned()),
        alternatives: Some(Alternatives {
            count: 2,
            records: vec![
                other(RecordObject::Account, "0015g00000ABCDEAA2", "Acme K.K."),
                other(RecordObject::Lead, "00Q5g00000ABCDEAA3", "Sato H."),
            ],
            rule: ChosenBy::Object,
        }),
        ..person("+81312345678", "Acme K.K.", "佐藤 花子", "Contact")
    }
}

/// Where the pictures of the documents are.
pub(crate) fn pictures() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("docs/screenshots")
}

/// That axe-core and the console have nothing to say, and that nothing came from elsewhere.
pub(crate) async fn is_clean(browser: &Browser, bed: &Bed) {
    assert_eq!(browser.accessibility().await.unwrap(), Vec::<String>::new());
    assert_eq!(browser.complaints().await.unwrap(), Vec::<String>::new());
    for host in browser.hosts().await.unwrap() {
        assert_eq!(host, bed.host());
    }
}

/// What a script in the page returns, as text.
pub(crate) async fn says(browser: &Browser, script: &str) -> String {
    match browser.script(script).await.unwrap() {
        Value::String(text) => text,
        other => other.to_string(),
    }
}

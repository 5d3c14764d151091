//! Answers and credentials from outside, as functions of bytes for the fuzzer.

use std::cell::OnceCell;
use std::collections::VecDeque;

use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue};
use jiff::Timestamp;
use secrecy::SecretString;
use serde::Deserialize;
use url::Url;
use zeroize::Zeroizing;

use super::answers::error::{Error, Phase};
use super::answers::{Incoming, failure};
use super::credentials::Credentials;
use super::credentials::environment::{ApiVersion, Environment};
use super::credentials::secret_keys::Incomplete;
use super::login::session::SessionKeeper;
use super::login::{Request, read_answer};
use super::rest::csv::CsvRows;
use super::rest::{Page, Subrequest, read_composite, read_page, read_search};
use super::text::{Redactor, decode};
use super::transport::dial::{DEFAULT_HOSTS, DialPolicy};
use super::transport::{Transport, expiry};
use super::{Method, Usage};

/// What an answer may send back. It must not stand in an error.
const SECRET: &str = "Correct-Horse-Battery-9";

/// The longest text of an error. It goes into a status.
const MAX_ERROR_BYTES: usize = 4_096;

/// A row as a look-up reads it.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[derive(Default)]
struct Row {
    id: Option<String>,
    name: Option<String>,
    account: Option<Box<Self>>,
    phone: Option<String>,
}

impl Row {
    fn weight(&self) -> usize {
        let texts = [&self.id, &self.name, &self.phone];
        let own: usize = texts.into_iter().flatten().map(String::len).sum();
        own + self.account.as_ref().map_or(0, |account| account.weight())
    }
}

/// More than any input has.
const MOST_OF_TEXT: usize = 1 << 20;

/// An answer: its status and its content type in the first line, then its body.
fn incoming(data: &[u8]) -> Incoming {
    let (head, body) = match data.iter().position(|byte| *byte == b'\n') {
        Some(end) => (&data[..end], &data[end + 1..]),
        None => (&b"200 application/json"[..], data),
    };
    let head = String::from_utf8_lossy(head);
    let (status, kind) = head.split_once(' ').unwrap_or((&head, ""));
    let mut headers = HeaderMap::new();
    if let Ok(kind) = HeaderValue::from_str(kind) {
        headers.insert(CONTENT_TYPE, kind);
    }
    Incoming {
        status: status.parse().unwrap_or(200),
        text: decode(&headers, body.to_vec(), MOST_OF_TEXT).text,
        headers,
        flag: None,
        flow: None,
    }
}

fn redactor() -> Redactor {
    Redactor::new([SecretString::from(SECRET)])
}

/// An error says nothing that it must not say, and not too much.
fn check<T>(read: Result<T, Error>) -> Option<T> {
    read.inspect_err(|error| {
        let text = error.message();
        assert!(text.len() <= MAX_ERROR_BYTES, "{} bytes", text.len());
        assert!(!text.contains(SECRET), "the secret stands in: {text}");
    })
    .ok()
}

fn log_in(method: Method, data: &[u8]) {
    thread_local! {
        static TRANSPORT: OnceCell<Option<Transport>> = const { OnceCell::new() };
    }
    let (Ok(login_url), Ok(now)) = (
        Url::parse("https://acme.my.salesforce.com"),
        Timestamp::from_second(1_795_000_000),
    ) else {
        return;
    };
    let credentials = match method {
        Method::Password => Credentials::Password {
            username: "integration@acme.example".to_owned(),
            password: SECRET.into(),
            security_token: None,
        },
        _ => Credentials::ClientCredentials {
            client_id: "app".to_owned(),
            client_secret: SECRET.into(),
        },
    };
    TRANSPORT.with(|transport| {
        let transport = transport.get_or_init(|| {
            let policy = DialPolicy::new(&[], false, None).ok()?;
            Transport::new(policy).ok()
        });
        let Some(transport) = transport else {
            unreachable!("the client of the default hosts can be built")
        };
        let request = Request {
            transport,
            login_url: &login_url,
            api_version: ApiVersion::DEFAULT,
            environment: Environment::Production,
            credentials: &credentials,
            redactor: &redactor(),
            now,
            gate: None,
            keeper: &SessionKeeper::default(),
        };
        if let Some(granted) = check(read_answer(&request, &incoming(data))) {
            let instance = &granted.info.instance_url;
            assert!(transport.policy().check(instance).is_ok(), "{instance}");
        }
    });
}

pub(crate) fn soap(data: &[u8]) {
    log_in(Method::Password, data);
}

pub(crate) fn oauth(data: &[u8]) {
    log_in(Method::ClientCredentials, data);
}

fn weigh(page: &Page<Row>) {
    let _ = page.records.iter().map(Row::weight).sum::<usize>();
}

pub(crate) fn rest(data: &[u8]) {
    let (incoming, redactor) = (incoming(data), redactor());
    if let Some(page) = check(read_page::<Row>(&incoming, &redactor)) {
        weigh(&page);
    }
    check(read_search(&incoming, &redactor));
    check::<()>(Err(failure(&incoming, Phase::Request, &redactor)));
}

pub(crate) fn composite(data: &[u8]) {
    let requests = ["a", "b", "c"].map(|id| Subrequest::query(id, "SELECT Id FROM Contact"));
    let (incoming, redactor) = (incoming(data), redactor());
    for part in check(read_composite(&incoming, &requests, &redactor)).unwrap_or_default() {
        if let Some(page) = check(part.page::<Row>()) {
            weigh(&page);
        }
    }
}

/// Results of a bulk query: the rows are the same wherever they are cut.
pub(crate) fn bulk(data: &[u8]) {
    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Contact {
        id: String,
        name: Option<String>,
    }
    let read = |size: usize| {
        let (mut csv, mut rows) = (CsvRows::default(), VecDeque::new());
        for piece in data.chunks(size) {
            if let Err(error) = csv.read::<Contact>(piece, &mut rows) {
                return (rows, Some(error));
            }
        }
        (rows, csv.finish().err())
    };
    let (whole, error) = read(data.len().max(1));
    let (pieces, also) = read(7);
    assert_eq!(error, also);
    assert_eq!(whole, pieces);
    if let Some(error) = error {
        assert!(error.to_string().len() <= MAX_ERROR_BYTES);
    }
}

/// What is quoted of any text.
pub(crate) fn quote(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let quoted = redactor().excerpt(&text);
    assert!(!quoted.contains(SECRET) && quoted.len() <= MAX_ERROR_BYTES);
}

/// The method in the first byte, then the values of its Secret, each ended by a zero.
pub(crate) fn secret(data: &[u8]) {
    let Some((method, values)) = data.split_first() else {
        return;
    };
    let method = match method % 4 {
        0 => Method::Password,
        1 => Method::OauthPassword,
        2 => Method::JwtBearer,
        _ => Method::ClientCredentials,
    };
    let mut values = values.split(|byte| *byte == 0);
    let read = Credentials::read::<Incomplete>(method, Some("a@b.example"), |_| {
        Ok(values.next().map(|value| Zeroizing::new(value.to_vec())))
    });
    if let Err(error) = read {
        assert!(error.to_string().len() <= MAX_ERROR_BYTES);
    }
}

/// The certificates of a bundle.
pub(crate) fn certificate(data: &[u8]) {
    expiry::first_expiry(&String::from_utf8_lossy(data), Timestamp::UNIX_EPOCH);
}

/// `Sforce-Limit-Info`.
pub(crate) fn usage(data: &[u8]) {
    Usage::from_header(&String::from_utf8_lossy(data), Timestamp::UNIX_EPOCH);
}

/// A URL that a tenant or a log-in names.
pub(crate) fn url(data: &[u8]) {
    let Ok(policy) = DialPolicy::new(&[], false, None) else {
        unreachable!("the default hosts are hosts")
    };
    let Ok(url) = Url::parse(&String::from_utf8_lossy(data)) else {
        return;
    };
    super::host_instead_of_pages(&url);
    if policy.check(&url).is_ok() {
        let host = url.host_str().unwrap_or_default().trim_end_matches('.');
        let mut ends = DEFAULT_HOSTS.iter().map(|known| known.trim_matches('*'));
        assert!(
            url.scheme() == "https" && ends.any(|end| host.ends_with(end)),
            "{url}"
        );
    }
}

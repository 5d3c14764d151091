//! What the worst answers and the worst callers cost. Worker and directory run with half of the
//! memory that the chart gives them (docs/security.md has the table). They neither die of it nor
//! give a wrong answer.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt as _;
use http::StatusCode;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use salesforce_simulator::{Effect, Fault, Flood};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use switchboard::directory::Purpose;
use switchboard::run::Outcome;
use switchboard_testbed::{Authority, MemoryWatch, MountedFiles, Process, bounded_to};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::bed::{Bed, KEY, SOON, call, contacts, numbers, token_of};
use crate::replica::Replica;

const MIB: u64 = 1 << 20;
/// Half of the chart's limit for a worker, `worker.memory`.
const WORKER: u64 = 64 * MIB;
/// Half of the chart's limit for the directory, `directory.resources.limits.memory`.
const DIRECTORY: u64 = 256 * MIB;
fn is_running(pid: u32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    !status.is_empty() && !status.contains("State:\tZ")
}

fn flood(of: Flood, megabytes: usize, status: u16, gzip: bool) -> Fault {
    Fault::new(Effect::Flood {
        of,
        megabytes,
        status,
        gzip,
    })
}

/// The code and the words of a report, or `None` for a success.
type End = Option<(&'static str, &'static str)>;

/// Floods, and how a run must end that meets one.
fn floods() -> Vec<(&'static str, Fault, End)> {
    let too_large = Some(("UnexpectedAnswer", "sent more than 12582912 bytes"));
    let other = Some(("UnexpectedAnswer", "of another shape"));
    let composite = |of, megabytes| flood(of, megabytes, 200, false).on_path("*/composite");
    let packed = |of, megabytes| flood(of, megabytes, 200, true).on_path("*/composite");
    let login = |of, megabytes| flood(of, megabytes, 200, false).on_path("/services/Soap/*");
    let too_large_a_login = Some(("UnexpectedAnswer", "sent more than 65536 bytes"));
    vec![
        (
            "31 MB of empty records",
            composite(Flood::Records, 31),
            too_large,
        ),
        (
            "11 MB of empty records",
            composite(Flood::Records, 11),
            other,
        ),
        ("31 MB of objects", composite(Flood::Objects, 31), too_large),
        ("11 MB of objects", composite(Flood::Objects, 11), other),
        (
            "11 MB of objects, packed",
            packed(Flood::Objects, 11),
            other,
        ),
        (
            "1,000 MB of blanks, packed",
            packed(Flood::Blanks, 1_000),
            too_large,
        ),
        ("11 MB of depth", composite(Flood::Depth, 11), other),
        ("11 MB of fields", composite(Flood::Fields, 11), other),
        ("11 MB of rows", composite(Flood::Rows, 11), None),
        ("20 MB of rows, packed", packed(Flood::Rows, 20), too_large),
        (
            "11 MB that are no text",
            composite(Flood::Bytes, 11),
            Some(("UnexpectedAnswer", "sent more than 12582912 bytes")),
        ),
        (
            "a failure with 31 MB",
            flood(Flood::Objects, 31, 400, false).on_path("*/composite"),
            Some(("UnexpectedAnswer", "HTTP 400")),
        ),
        (
            "a log-in of 31 MB",
            login(Flood::Elements, 31),
            too_large_a_login,
        ),
        (
            "a log-in with attributes",
            login(Flood::Attributes, 31),
            too_large_a_login,
        ),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn no_answer_of_salesforce_costs_a_worker_half_of_its_memory() {
    for (what, fault, end) in floods() {
        let numbers = numbers(20);
        let bed = Bed::start(contacts(&numbers), 0).await;
        bed.calls_from(&numbers).await;
        bed.salesforce.fault(fault);
        let child = bed.spawn_in(&bounded_to(WORKER), "worker", "sync", bed.base());
        let watched = MemoryWatch::of(child.id().unwrap());
        let ended = bed.ended(child).await;
        let peak = watched.at_the_end();
        println!("{what}: {} MiB", peak / MIB);
        let report = ended.report.unwrap_or_else(|| {
            panic!(
                "{what}: the worker died at {} MiB, code {:?}",
                peak / MIB,
                ended.code
            )
        });
        assert!(peak < WORKER, "{what}: {} MiB", peak / MIB);
        match (end, &report.error) {
            (None, None) => assert_eq!(report.outcome, Outcome::Succeeded, "{what}"),
            (Some((code, words)), Some(error)) => {
                assert_eq!(report.outcome, Outcome::Failed, "{what}");
                assert_eq!(error.code.as_str(), code, "{what}: {error:?}");
                assert!(error.message.contains(words), "{what}: {error:?}");
                // Nobody says that Salesforce does not know a number.
                assert_eq!((report.numbers, report.unmatched), (0, 0), "{what}");
                bed.salesforce.clear_faults();
                let next = bed.run("sync").await;
                let next = next.report.unwrap();
                assert_eq!((next.numbers, next.unmatched), (20, 10), "{what}: {next:?}");
            }
            other => panic!("{what}: {other:?}"),
        }
    }
}

/// A lease of as many calls as one may have, with texts that are as long as they may be.
#[tokio::test(flavor = "multi_thread")]
async fn no_lease_of_the_directory_costs_a_worker_half_of_its_memory() {
    let numbers = numbers(2);
    let bed = Bed::start(contacts(&numbers), 0).await;
    let long = |text: &str, at: usize, chars: usize| format!("{at:06}{}", text.repeat(chars - 6));
    for delivery in 0..15 {
        let details: Vec<_> = (0..200)
            .map(|n| {
                let mut leg = call(delivery * 200 + n, &numbers[n % 2]);
                leg["id"] = long("あ", delivery * 200 + n, 100).into();
                leg["from_number"] = format!("{}{}", numbers[n % 2], " あ".repeat(120)).into();
                leg
            })
            .collect();
        let ingest = bed.directory(Purpose::Ingest);
        ingest.ingest(&crate::bed::webhook(&details)).await.unwrap();
    }
    let child = bed.spawn_in(&bounded_to(WORKER), "worker", "sync", bed.base());
    let watched = MemoryWatch::of(child.id().unwrap());
    let ended = bed.ended(child).await;
    let peak = watched.at_the_end();
    println!("3,000 long calls: {} MiB", peak / MIB);
    let report = ended.report.expect("the worker lives");
    assert_eq!(
        (report.outcome, report.calls),
        (Outcome::Succeeded, 3_000),
        "{report:?}"
    );
    assert!(peak < WORKER, "{} MiB", peak / MIB);
}

/// The bodies of the worst callers, each of which has a token of its own company.
fn bodies() -> Vec<(&'static str, &'static str, Purpose, String)> {
    const SIZE: usize = 3_900_000;
    let leg = json!({"id": "d1", "call_type": "INCOMING_CALL", "from_number": "0312345678", "to_number": null,
        "dial_starts_at": "2026-11-23T01:00:00Z", "dial_answered_at": null, "dial_ends_at": "2026-11-23T01:01:00Z"});
    let webhook = |transcript: String| {
        format!("{{\"call\":{{\"id\":\"c\",\"details\":[{leg}],\"transcript\":{transcript}}}}}")
    };
    let many = |unit: &str| {
        format!(
            "[{}{unit}]",
            format!("{unit},").repeat(SIZE / (unit.len() + 1))
        )
    };
    let webhooks = "/v1/webhooks/calls";
    vec![
        (
            "a transcript",
            webhooks,
            Purpose::Ingest,
            webhook(format!("\"{}\"", "x".repeat(SIZE))),
        ),
        (
            "empty lists",
            webhooks,
            Purpose::Ingest,
            webhook(many("[]")),
        ),
        (
            "empty objects",
            webhooks,
            Purpose::Ingest,
            webhook(many("{\"a\":{}}")),
        ),
        (
            "empty legs",
            webhooks,
            Purpose::Ingest,
            format!("{{\"call\":{{\"id\":\"c\",\"details\":{}}}}}", many("{}")),
        ),
        ("depth", webhooks, Purpose::Ingest, "[".repeat(SIZE)),
        (
            "calls that are done",
            "/v1/worker/calls/done",
            Purpose::Worker,
            format!(
                "{{\"calls\":{}}}",
                many("{\"id\":\"\",\"reading\":{\"notLookedUp\":\"x\"}}")
            ),
        ),
        (
            "numbers that are not found",
            "/v1/worker/contacts",
            Purpose::Worker,
            format!(
                "{{\"policy\":\"overwrite\",\"contacts\":[],\"notFound\":{}}}",
                many("\"+81312345678\"")
            ),
        ),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn no_crowd_of_callers_costs_the_directory_half_of_its_memory() {
    const AT_ONCE: usize = 105;
    let folder = TempDir::new().unwrap();
    let database = format!("sqlite:{}", folder.path().join("directory.db").display());
    let replica = Replica::start_in(bounded_to(DIRECTORY), &database).await;
    let watched = MemoryWatch::of(replica.pid());
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let bodies: Vec<_> = bodies()
        .into_iter()
        .map(|(what, path, purpose, body)| (what, path, purpose, Bytes::from(body)))
        .collect();
    let (bodies, http, replica) = (&bodies, &http, &replica);
    let send = |n: usize| async move {
        let (what, path, purpose, body) = &bodies[n % bodies.len()];
        let token = token_of(&format!("company-{}", n / 2), *purpose);
        loop {
            let request = http
                .post(format!("{}{path}", replica.base()))
                .bearer_auth(token.expose_secret())
                .body(body.clone());
            // A refusal may come before all of the body is sent.
            let answer = request.send().await;
            assert!(is_running(replica.pid()), "{what}: the directory died");
            if let Ok(answer) = answer {
                let later = answer.headers().contains_key("retry-after");
                match answer.status() {
                    StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS => {
                        assert!(later, "{what}: {answer:?}");
                    }
                    status => return (*what, status, answer.text().await.unwrap()),
                }
            }
            // As a sender does that is told to come again.
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    };
    let answers = futures::future::join_all((0..AT_ONCE).map(send)).await;
    let peak = watched.so_far();
    println!("{AT_ONCE} bodies of 3.9 MB at once: {} MiB", peak / MIB);
    assert!(peak < DIRECTORY, "{} MiB", peak / MIB);
    for (what, status, text) in answers {
        match what {
            "a transcript" | "empty lists" | "empty objects" => {
                assert_eq!(status, 200, "{what}: {text}");
            }
            _ => {
                assert_eq!(status, 400, "{what}: {text}");
                let sentences = ["send at most", "levels deep"];
                let is_told = sentences.iter().any(|said| text.contains(said));
                assert!(is_told, "{what}: {text}");
            }
        }
    }
    assert_eq!(replica.status("/readyz").await, Some(200));
}

/// Connects over TLS from this address of the machine, and begins a request with a large head. The
/// connection may be closed meanwhile: there is no more room than there is.
async fn begins_a_request(
    connector: TlsConnector,
    from: Ipv4Addr,
    to: SocketAddr,
) -> Option<TlsStream<TcpStream>> {
    const HEAD: usize = 60_000;
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::from((from, 0))).unwrap();
    let stream = socket.connect(to).await.ok()?;
    let name = "localhost".try_into().unwrap();
    let mut stream = connector.connect(name, stream).await.ok()?;
    let begins = format!("GET /healthz HTTP/1.1\r\nx: {}", "x".repeat(HEAD));
    stream.write_all(begins.as_bytes()).await.ok()?;
    stream.flush().await.ok()?;
    Some(stream)
}

#[tokio::test(flavor = "multi_thread")]
async fn no_number_of_connections_costs_the_directory_half_of_its_memory() {
    /// As many as the directory takes by default, and some more.
    const CONNECTIONS: usize = 2_100;
    let authority = Authority::new("directory authority").unwrap();
    let pair = MountedFiles::pair(&authority.issue(&["localhost"]).unwrap()).unwrap();
    let folder = TempDir::new().unwrap();
    std::fs::write(folder.path().join("keys"), KEY).unwrap();
    let wrapper = bounded_to(DIRECTORY).into_iter();
    let program = env!("CARGO_BIN_EXE_switchboard").to_owned();
    let mut line = wrapper
        .map(|word| word.into_string().unwrap())
        .chain([program]);
    let flag = |flag: &str, path: &Path| format!("{flag}={}", path.display());
    let database = folder.path().join("directory.db");
    let directory = Process::builder("directory", line.next().unwrap())
        .args(line)
        .arg("directory")
        .arg("--listen=127.0.0.1:0")
        .arg("--idle-timeout=120")
        .arg(flag(
            "--database",
            Path::new(&format!("sqlite:{}", database.display())),
        ))
        .arg(flag("--token-keys", &folder.path().join("keys")))
        .arg(flag("--tls-certificate", &pair.path("tls.crt")))
        .arg(flag("--tls-key", &pair.path("tls.key")))
        .env("RUST_LOG", "info")
        .start()
        .await
        .unwrap();
    let listens = directory.wait_for_text("the directory listens", SOON).await;
    let listens: Value = serde_json::from_str(&listens.unwrap()).unwrap();
    let address: SocketAddr = listens["address"].as_str().unwrap().parse().unwrap();

    let mut roots = rustls::RootCertStore::empty();
    let pem = authority.pem();
    roots
        .add(CertificateDer::from_pem_slice(pem.as_bytes()).unwrap())
        .unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let connector = TlsConnector::from(Arc::new(config));
    let watched = MemoryWatch::of(directory.pid());
    let open = futures::stream::iter(0..CONNECTIONS)
        .map(|n| {
            // Of one address there are only so many.
            let from = Ipv4Addr::new(127, 0, 0, 2 + u8::try_from(n % 4).unwrap());
            begins_a_request(connector.clone(), from, address)
        })
        .buffer_unordered(64)
        .filter_map(async |stream| stream)
        .collect::<Vec<_>>()
        .await;
    assert!(open.len() > CONNECTIONS / 2, "{} are open", open.len());
    let asks = begins_a_request(connector, Ipv4Addr::LOCALHOST, address).await;
    let mut asks = asks.expect("there is room for one that asks");
    asks.write_all(b"\r\n\r\n").await.unwrap();
    let mut answer = [0; 15];
    asks.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 200 OK");
    let peak = watched.so_far();
    println!("{} connections over TLS: {} MiB", open.len(), peak / MIB);
    assert!(peak < DIRECTORY, "{} MiB", peak / MIB);
    assert_eq!(directory.terminate(SOON).await.unwrap(), 0);
}

//! The directory over TLS: who trusts it, what is renewed under way, and who may hold a connection.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use secrecy::ExposeSecret as _;
use switchboard_testbed::{Authority, Issued, MountedFiles};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::*;
use crate::directory::model::CallsQuery;
use crate::directory::{Authorities, ClientError};

/// A running directory that speaks TLS as `localhost`.
struct Encrypted {
    directory: Directory,
    authority: Authority,
    files: MountedFiles,
}

impl Encrypted {
    async fn start(change: impl FnOnce(&mut Args)) -> Self {
        let authority = Authority::new("directory authority").unwrap();
        let pair = authority.issue(&["localhost"]).unwrap();
        Self::start_with(authority, &pair, change).await
    }

    async fn start_with(
        authority: Authority,
        pair: &Issued,
        change: impl FnOnce(&mut Args),
    ) -> Self {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let files = MountedFiles::pair(pair).unwrap();
        let folder = TempDir::new().unwrap();
        let database = Backend::Sqlite.fresh(&folder);
        let mut args = Args {
            tls_certificate: Some(files.path("tls.crt")),
            tls_key: Some(files.path("tls.key")),
            ..args(&folder)
        };
        change(&mut args);
        let mut directory = Directory::start_with(args, folder, database).await;
        let port = directory.base.rsplit_once(':').unwrap().1;
        directory.base = format!("https://localhost:{port}");
        // The requests of tests that ask for metrics.
        let ca = reqwest::Certificate::from_pem(authority.pem().as_bytes()).unwrap();
        directory.http = reqwest::Client::builder()
            .no_proxy()
            .tls_certs_only([ca])
            .pool_max_idle_per_host(0)
            .build()
            .unwrap();
        Self {
            directory,
            authority,
            files,
        }
    }

    fn port(&self) -> &str {
        self.directory.base.rsplit_once(':').unwrap().1
    }

    async fn connect(&self) -> TcpStream {
        let address = format!("127.0.0.1:{}", self.port());
        TcpStream::connect(address).await.unwrap()
    }

    /// What a client is told that trusts this authority and calls the directory by this host.
    async fn asked(&self, authority: &Authority, host: &str) -> Result<(), ClientError> {
        let trusted = Authorities::parse(&authority.pem()).unwrap();
        let base = format!("https://{host}:{}", self.port());
        let client =
            Client::trusting(Some(&trusted), &base, token("acme", Purpose::Lookup)).unwrap();
        let client = client.with_retry(Retry {
            attempts: 1,
            ..Retry::default()
        });
        client.calls(&CallsQuery::default()).await.map(drop)
    }

    async fn metrics(&self) -> String {
        self.directory.raw("GET", "/metrics", None, "").await.body
    }
}

fn not_trusted(answer: Result<(), ClientError>) -> String {
    let error = answer.unwrap_err();
    assert!(matches!(error, ClientError::NotTrusted { .. }), "{error:?}");
    crate::error::Chain(&error).to_string()
}

#[tokio::test]
async fn who_trusts_its_authority_is_answered_and_nobody_else_says_anything() {
    let served = Encrypted::start(|_| {}).await;
    served.asked(&served.authority, "localhost").await.unwrap();
    let another = Authority::new("another authority").unwrap();
    for (authority, host, parts) in [
        (
            &another,
            "localhost",
            ["none of the trusted authorities", "UnknownIssuer"],
        ),
        (
            &served.authority,
            "127.0.0.1",
            [
                "another host than that of its address",
                "not valid for name",
            ],
        ),
    ] {
        let said = not_trusted(served.asked(authority, host).await);
        for part in parts {
            assert!(said.contains(part), "{part}: {said}");
        }
    }
    served.directory.stop().await;
}

#[tokio::test]
async fn a_certificate_that_has_ended_is_served_and_the_client_says_what_to_do() {
    let authority = Authority::new("directory authority").unwrap();
    let ended = authority
        .issue_for_years(&["localhost"], 2020, 2021)
        .unwrap();
    let served = Encrypted::start_with(authority, &ended, |_| {}).await;
    let said = not_trusted(served.asked(&served.authority, "localhost").await);
    assert!(said.contains("it has expired: renew"), "{said}");
    served.directory.stop().await;
}

#[tokio::test]
async fn a_request_without_tls_is_told_to_use_it() {
    let served = Encrypted::start(|_| {}).await;
    let base = format!("http://localhost:{}", served.port());
    let client = Client::new(&base, token("acme", Purpose::Lookup)).unwrap();
    let error = client.calls(&CallsQuery::default()).await.unwrap_err();
    let ClientError::Refused { problem, .. } = &error else {
        panic!("{error:?}")
    };
    assert_eq!(problem.code, "https-only");
    assert!(error.to_string().contains("write https://"), "{error}");
    served.directory.stop().await;
}

#[tokio::test]
async fn a_client_of_https_says_when_the_directory_speaks_plain_http() {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let directory = Directory::start(Backend::Sqlite).await;
    let base = directory.base.replace("http://", "https://");
    let authority = Authority::new("directory authority").unwrap();
    let trusted = Authorities::parse(&authority.pem()).unwrap();
    let client = Client::trusting(Some(&trusted), &base, token("acme", Purpose::Lookup)).unwrap();
    let client = client.with_retry(Retry {
        attempts: 1,
        ..Retry::default()
    });
    let error = client.calls(&CallsQuery::default()).await.unwrap_err();
    assert!(
        matches!(error, ClientError::Unreachable { .. }),
        "{error:?}"
    );
    assert!(
        error.to_string().contains("agree on http or https"),
        "{error}"
    );
    directory.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renewal_is_taken_up_without_a_restart_and_without_a_refused_request() {
    let served = Arc::new(Encrypted::start(|_| {}).await);
    // A client that stays connected, and one that connects for each request.
    let trusted = Authorities::parse(&served.authority.pem()).unwrap();
    let stays = Client::trusting(
        Some(&trusted),
        &served.directory.base,
        token("acme", Purpose::Lookup),
    )
    .unwrap();
    let done = Arc::new(AtomicBool::new(false));
    let asked = Arc::new(AtomicU32::new(0));
    let asking = {
        let (served, done, asked) = (Arc::clone(&served), Arc::clone(&done), Arc::clone(&asked));
        tokio::spawn(async move {
            let stays = stays.with_retry(Retry {
                attempts: 1,
                ..Retry::default()
            });
            while !done.load(Ordering::Relaxed) {
                stays.calls(&CallsQuery::default()).await.unwrap();
                served.asked(&served.authority, "localhost").await.unwrap();
                asked.fetch_add(1, Ordering::Relaxed);
            }
        })
    };
    let has = async |line: &str| served.metrics().await.contains(line);
    // A pair that does not fit leaves everything as it is.
    let (one, other) = (
        served.authority.issue(&["localhost"]).unwrap(),
        served.authority.issue(&["localhost"]).unwrap(),
    );
    served
        .files
        .swap_pair(&Issued {
            certificate: one.certificate,
            key: other.key,
        })
        .unwrap();
    let changes = "switchboard_directory_tls_certificate_changes_total";
    eventually(async || has(&format!("{changes}{{outcome=\"refused\"}} 1\n")).await).await;
    let next = served
        .authority
        .issue_for_years(&["localhost"], 2025, 2060)
        .unwrap();
    served.files.swap_pair(&next).unwrap();
    eventually(async || has(&format!("{changes}{{outcome=\"used\"}} 1\n")).await).await;
    let expiry = "switchboard_directory_tls_certificate_expiry_timestamp_seconds{} 2840140800\n";
    assert!(has(expiry).await);
    // The new one is what the next client sees.
    let seen = presented(&served).await;
    let pem = next
        .certificate
        .lines()
        .filter(|line| !line.starts_with("---"));
    let der = base64::Engine::decode(
        &base64::engine::general_purpose::STANDARD,
        pem.collect::<String>(),
    );
    assert_eq!(seen, der.unwrap());
    let before = asked.load(Ordering::Relaxed);
    eventually(async || asked.load(Ordering::Relaxed) > before).await;
    done.store(true, Ordering::Relaxed);
    asking.await.unwrap();
    Arc::into_inner(served).unwrap().directory.stop().await;
}

/// The certificate that the directory presents.
async fn presented(served: &Encrypted) -> Vec<u8> {
    let mut roots = rustls::RootCertStore::empty();
    let pem = served.authority.pem();
    let der = rustls::pki_types::pem::PemObject::from_pem_slice(pem.as_bytes()).unwrap();
    roots.add(der).unwrap();
    let config = rustls::ClientConfig::builder()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
    let name = "localhost".try_into().unwrap();
    let stream = connector.connect(name, served.connect().await).await;
    let stream = stream.unwrap();
    stream.get_ref().1.peer_certificates().unwrap()[0].to_vec()
}

#[tokio::test]
async fn a_handshake_that_does_not_end_is_cut_off() {
    let served = Encrypted::start(|args| args.idle_timeout = 1).await;
    for begins in [&b""[..], &b"\x16\x03\x01\x02\x00"[..]] {
        let mut stream = served.connect().await;
        stream.write_all(begins).await.unwrap();
        let mut said = Vec::new();
        let reading = stream.read_to_end(&mut said);
        let ended = tokio::time::timeout(Duration::from_secs(30), reading).await;
        let _ = ended.expect("the directory ends the connection");
    }
    served.directory.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delivery_arrives_beside_handshakes_that_do_not_end() {
    // With the default times, nobody leaves by himself before ten seconds.
    let served = Encrypted::start(|args| {
        args.max_connections = 256;
        args.max_connections_per_address = 200;
    })
    .await;
    let mut hostile = tokio::task::JoinSet::new();
    let mut silent = Vec::new();
    for _ in 0..300 {
        silent.push(served.connect().await);
    }
    for _ in 0..300 {
        let mut stream = served.connect().await;
        hostile.spawn(async move {
            // The beginning of a ClientHello of 512 bytes, and its rest a byte at a time.
            let _ = stream.write_all(b"\x16\x03\x01\x02\x00\x01").await;
            while stream.write_all(b"\x00").await.is_ok() {
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        });
    }
    let leg = call("d1", "0312345678", "2026-11-23T01:00:00Z");
    let body = payload([leg]).to_string();
    let ingest = token("acme", Purpose::Ingest);
    let delivers = served.directory.raw(
        "POST",
        "/v1/webhooks/calls",
        Some(ingest.expose_secret()),
        &body,
    );
    let delivered = tokio::time::timeout(Duration::from_secs(8), delivers).await;
    let delivered = delivered.expect("before a handshake's own time is over");
    assert_eq!(delivered.status, 200, "{}", delivered.body);
    hostile.shutdown().await;
    served.directory.stop().await;
}

#[tokio::test]
async fn a_directory_without_a_usable_pair_does_not_start_and_says_why() {
    let folder = TempDir::new().unwrap();
    let authority = Authority::new("directory authority").unwrap();
    let issue = || authority.issue(&["localhost"]).unwrap();
    let start = async |pair: &Issued| {
        let files = MountedFiles::pair(pair).unwrap();
        let args = Args {
            tls_certificate: Some(files.path("tls.crt")),
            tls_key: Some(files.path("tls.key")),
            ..args(&folder)
        };
        let bound = Server::bind(args, CancellationToken::new()).await;
        crate::error::Chain(&bound.unwrap_err()).to_string()
    };
    let mismatch = Issued {
        key: issue().key,
        ..issue()
    };
    let said = start(&mismatch).await;
    assert!(
        said.contains("tls.key cannot be used: the key does not belong"),
        "{said}"
    );
    assert!(!said.contains("PRIVATE"), "{said}");
    let empty = Issued {
        certificate: String::new(),
        ..issue()
    };
    let said = start(&empty).await;
    assert!(said.contains("holds no certificate"), "{said}");
}

//! Limits of one client: client connections that idle, trickle or do not read, and requests that
//! outlast the directory.

use futures::future::select_all;
use secrecy::ExposeSecret as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::*;
use crate::directory::model::CallsQuery;

/// Starts a directory that closes a client connection after one idle second.
async fn impatient(change: impl FnOnce(&mut Args)) -> Directory {
    let folder = TempDir::new().unwrap();
    let database = Backend::Sqlite.fresh(&folder);
    let mut args = Args {
        database: database.clone().into(),
        idle_timeout: 1,
        ..args(&folder)
    };
    change(&mut args);
    Directory::start_with(args, folder, database).await
}

async fn connect(directory: &Directory) -> TcpStream {
    let address = directory.base.strip_prefix("http://").unwrap();
    TcpStream::connect(address).await.unwrap()
}

/// Waits until the directory closes the client connection. Returns what it sent until then.
async fn ended(mut stream: TcpStream) -> String {
    let mut said = Vec::new();
    let reading = stream.read_to_end(&mut said);
    let read = tokio::time::timeout(Duration::from_secs(30), reading).await;
    // A reset also ends the client connection.
    let _ = read.expect("the directory ends the connection");
    String::from_utf8(said).unwrap()
}

/// A delivery of one call, split in the middle of its body.
fn halves() -> (String, String) {
    let body = payload([call("d1", "0312345678", "2026-11-23T01:00:00Z")]).to_string();
    let (begins, ends) = body.split_at(body.len() / 2);
    let token = token("acme", Purpose::Ingest);
    let head = format!(
        "POST /v1/webhooks/calls HTTP/1.1\r\nhost: directory\r\nauthorization: Bearer {}\r\ncontent-length: {}\r\n\r\n",
        token.expose_secret(),
        body.len()
    );
    (head + begins, ends.to_owned())
}

/// Waits until this many requests are in flight, including the one that reads the metrics.
async fn in_flight(directory: &Directory, count: u32) {
    let line = format!("switchboard_directory_requests_in_flight {count}\n");
    eventually(async || {
        let metrics = directory.raw("GET", "/metrics", None, "").await;
        metrics.body.contains(&line)
    })
    .await;
}

async fn refuses_connections(directory: &Directory) {
    let address = directory.base.strip_prefix("http://").unwrap();
    eventually(async || TcpStream::connect(address).await.is_err()).await;
}

#[tokio::test]
async fn a_client_that_trickles_its_headers_is_cut_off() {
    let directory = impatient(|_| {}).await;
    let mut stream = connect(&directory).await;
    stream
        .write_all(b"GET /healthz HTTP/1.1\r\nx: ")
        .await
        .unwrap();
    let (mut reads, mut writes) = stream.split();
    let trickles = async {
        while writes.write_all(b"x").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let mut said = Vec::new();
    let cut_off = async {
        tokio::select! {
            _ = reads.read_to_end(&mut said) => {}
            () = trickles => {}
        }
    };
    let waited = tokio::time::timeout(Duration::from_secs(30), cut_off).await;
    waited.expect("the directory ends the connection");
    directory.stop().await;
}

#[tokio::test]
async fn a_connection_that_idles_after_its_answer_is_closed() {
    let directory = impatient(|_| {}).await;
    let mut stream = connect(&directory).await;
    let request = b"GET /healthz HTTP/1.1\r\nhost: directory\r\n\r\n";
    stream.write_all(request).await.unwrap();
    let said = ended(stream).await;
    assert!(
        said.starts_with("HTTP/1.1 200 OK") && said.ends_with("\r\n\r\nok"),
        "{said}"
    );
    directory.stop().await;
}

#[tokio::test]
async fn connections_that_say_nothing_keep_nobody_out() {
    let directory = impatient(|args| args.max_connections = 3).await;
    let mut silent = Vec::new();
    for _ in 0..3 {
        silent.push(connect(&directory).await);
    }
    let asks = directory.raw("GET", "/healthz", None, "");
    let reply = tokio::time::timeout(Duration::from_secs(30), asks).await;
    assert_eq!(reply.expect("there is room again").status, 200);
    directory.stop().await;
}

/// Sends a byte of its headers now and then, until it is closed.
async fn trickles(mut stream: TcpStream) {
    let _ = stream.write_all(b"GET /healthz HTTP/1.1\r\nx: ").await;
    while stream.write_all(b"x").await.is_ok() {
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delivery_arrives_beside_slow_and_silent_connections() {
    // With the default of 30 seconds for a head, nobody leaves by himself.
    let directory = impatient(|args| {
        args.idle_timeout = 30;
        args.max_connections = 256;
        args.max_connections_per_address = 200;
    })
    .await;
    let (begins, ends) = halves();
    let mut early = connect(&directory).await;
    early
        .write_all((begins.clone() + &ends).as_bytes())
        .await
        .unwrap();
    let mut first = [0; 15];
    early.read_exact(&mut first).await.unwrap();
    assert_eq!(&first, b"HTTP/1.1 200 OK");
    let mut hostile = tokio::task::JoinSet::new();
    let mut silent = Vec::new();
    for _ in 0..300 {
        silent.push(connect(&directory).await);
    }
    for _ in 0..300 {
        let address = directory.base.clone();
        let stream = TcpStream::connect(address.strip_prefix("http://").unwrap());
        hostile.spawn(trickles(stream.await.unwrap()));
    }
    // Ten seconds: by their time for a head alone, there would be room after thirty.
    let delivers = async {
        let mut stream = connect(&directory).await;
        stream
            .write_all((begins.clone() + &ends).as_bytes())
            .await
            .unwrap();
        let mut said = [0; 15];
        stream.read_exact(&mut said).await.unwrap();
        assert_eq!(&said, b"HTTP/1.1 200 OK");
    };
    let delivered = tokio::time::timeout(Duration::from_secs(10), delivers).await;
    delivered.expect("a delivery is answered");
    // Who has shown a token keeps the connection.
    early.write_all((begins + &ends).as_bytes()).await.unwrap();
    let mut said = Vec::new();
    let again = async {
        while !String::from_utf8_lossy(&said).contains("HTTP/1.1 200 OK") {
            let mut piece = [0; 4096];
            let count = early.read(&mut piece).await.unwrap();
            assert!(count > 0, "it is closed");
            said.extend_from_slice(&piece[..count]);
        }
    };
    let waited = tokio::time::timeout(Duration::from_secs(10), again).await;
    waited.expect("the old connection is answered, too");
    hostile.shutdown().await;
    directory.stop().await;
}

#[tokio::test]
async fn behind_a_proxy_the_address_is_the_one_that_it_names() {
    let directory = impatient(|args| {
        args.idle_timeout = 30;
        args.max_connections_per_address = 1;
        args.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()];
    })
    .await;
    let (begins, _) = halves();
    let through = |client: &str| {
        let forwarded = format!("\r\nx-forwarded-for: {client}\r\ncontent-length");
        begins.replace("\r\ncontent-length", &forwarded)
    };
    // It is answered as long as its body does not end.
    let mut held = connect(&directory).await;
    held.write_all(through("192.0.2.1").as_bytes())
        .await
        .unwrap();
    in_flight(&directory, 2).await;
    let ask = |client: &'static str| {
        let directory = &directory;
        async move {
            let mut stream = connect(directory).await;
            let request = format!(
                "GET /healthz HTTP/1.1\r\nhost: directory\r\nconnection: close\r\nx-forwarded-for: {client}\r\n\r\n"
            );
            stream.write_all(request.as_bytes()).await.unwrap();
            ended(stream).await
        }
    };
    let said = ask("192.0.2.1").await;
    assert!(said.starts_with("HTTP/1.1 503"), "{said}");
    assert!(said.contains("Too many requests of this address"), "{said}");
    let said = ask("198.51.100.7, 192.0.2.2").await;
    assert!(said.starts_with("HTTP/1.1 200"), "{said}");
    drop(held);
    eventually(async || ask("192.0.2.1").await.starts_with("HTTP/1.1 200")).await;
    directory.stop().await;
}

#[tokio::test]
async fn a_client_that_reads_no_answer_is_cut_off() {
    let directory = impatient(|_| {}).await;
    let mut stream = connect(&directory).await;
    let request = b"GET /v1/openapi.json HTTP/1.1\r\nhost: directory\r\n\r\n";
    let asks = async { while stream.write_all(request).await.is_ok() {} };
    let waited = tokio::time::timeout(Duration::from_secs(60), asks).await;
    waited.expect("the directory ends the connection");
    directory.stop().await;
}

#[tokio::test]
async fn a_header_without_end_is_refused() {
    let directory = impatient(|_| {}).await;
    let mut stream = connect(&directory).await;
    stream.write_all(b"GET / HTTP/1.1\r\nx: ").await.unwrap();
    // The directory stops reading when the headers are too large, so this write may fail.
    let _ = stream.write_all(&vec![b'x'; 256 * 1024]).await;
    let said = ended(stream).await;
    assert!(
        said.is_empty() || said.starts_with("HTTP/1.1 431"),
        "{said}"
    );
    directory.stop().await;
}

#[tokio::test]
async fn a_request_in_flight_is_answered_before_the_directory_goes_down() {
    let directory = impatient(|_| {}).await;
    let (begins, ends) = halves();
    let mut stream = connect(&directory).await;
    stream.write_all(begins.as_bytes()).await.unwrap();
    in_flight(&directory, 2).await;
    directory.shutdown.cancel();
    refuses_connections(&directory).await;
    assert!(!directory.running.is_finished());
    stream.write_all(ends.as_bytes()).await.unwrap();
    let said = ended(stream).await;
    assert!(said.starts_with("HTTP/1.1 200 OK"), "{said}");
    let directory = directory.restart().await;
    let history = directory.lookup().calls(&CallsQuery::default()).await;
    assert_eq!(history.unwrap().calls.len(), 1);
}

#[tokio::test]
async fn a_request_that_outlasts_the_grace_is_cut_off_and_leaves_nothing() {
    let directory = impatient(|args| args.grace = 1).await;
    let (begins, _) = halves();
    let mut stream = connect(&directory).await;
    stream.write_all(begins.as_bytes()).await.unwrap();
    in_flight(&directory, 2).await;
    directory.shutdown.cancel();
    assert_eq!(ended(stream).await, "");
    let directory = directory.restart().await;
    let history = directory.lookup().calls(&CallsQuery::default()).await;
    assert_eq!(history.unwrap().calls, []);
}

#[tokio::test]
async fn a_body_that_does_not_come_is_given_up_and_its_place_is_free() {
    let directory = impatient(|args| {
        args.request_timeout = 1;
        args.tenant_concurrency = 1;
    })
    .await;
    let (begins, _) = halves();
    let mut stream = connect(&directory).await;
    stream.write_all(begins.as_bytes()).await.unwrap();
    in_flight(&directory, 2).await;
    let said = ended(stream).await;
    assert!(said.starts_with("HTTP/1.1 503"), "{said}");
    assert!(
        said.contains("retry-after: ") && said.contains("too-slow"),
        "{said}"
    );
    let leg = call("d1", "0312345678", "2026-11-23T01:00:00Z");
    directory.ingest().ingest(&payload([leg])).await.unwrap();
    directory.stop().await;
}

#[tokio::test]
async fn more_bodies_than_there_is_room_for_are_told_to_come_again_and_are_then_kept() {
    let directory = impatient(|args| {
        args.max_body = 4 * 1024 * 1024;
        args.tenant_concurrency = 40;
        // The first bodies wait while the others are sent, which takes seconds on a busy machine.
        // As long as that, a request may take as well, or the directory gives the first
        // ones up.
        args.idle_timeout = 120;
        args.request_timeout = 120;
    })
    .await;
    let company = |n: usize| format!("acme-{}", n / 4);
    let body = |n: usize| {
        let leg = call(&format!("d{n}"), "0312345678", "2026-11-23T01:00:00Z");
        let mut body = payload([leg]);
        body["call"]["transcript"] = json!("x".repeat(4_000_000));
        body["call"]["tenant_code"] = company(n).into();
        body.to_string()
    };
    // The room is 64 MiB: it takes any 16 of them, and whichever comes last is one too many. A
    // company may have a quarter of the room.
    let token = |n: usize| token(&company(n), Purpose::Ingest);
    let mut begun = Vec::new();
    for n in 0..17 {
        let body = body(n);
        let head = format!(
            "POST /v1/webhooks/calls HTTP/1.1\r\nhost: directory\r\nconnection: close\r\n\
             authorization: Bearer {}\r\ncontent-length: {}\r\n\r\n",
            token(n).expose_secret(),
            body.len()
        );
        let (begins, ends) = body.split_at(body.len() - 10);
        let mut stream = connect(&directory).await;
        stream.write_all(head.as_bytes()).await.unwrap();
        // The one that is refused may be refused before all of it is written.
        let _ = stream.write_all(begins.as_bytes()).await;
        begun.push((stream, ends.to_owned()));
    }
    let answers = begun.iter().map(|(stream, _)| Box::pin(stream.readable()));
    let answered = tokio::time::timeout(Duration::from_secs(30), select_all(answers)).await;
    let (_, refused, _) = answered.expect("one is refused");
    let (stream, _) = begun.remove(refused);
    let said = ended(stream).await;
    assert!(said.starts_with("HTTP/1.1 503"), "{said}");
    assert!(
        said.contains("retry-after: ") && said.contains("no-room"),
        "{said}"
    );
    for (mut stream, ends) in begun {
        stream.write_all(ends.as_bytes()).await.unwrap();
        let said = ended(stream).await;
        assert!(said.starts_with("HTTP/1.1 200 OK"), "{said}");
    }
    let again = directory
        .http
        .post(format!("{}/v1/webhooks/calls", directory.base))
        .bearer_auth(token(refused).expose_secret())
        .body(body(refused));
    assert_eq!(again.send().await.unwrap().status(), 200);
    let query = CallsQuery {
        limit: Some(200),
        ..CallsQuery::default()
    };
    let mut kept = 0;
    for n in (0..17).step_by(4) {
        let lookup = directory.client(&company(n), Purpose::Lookup);
        kept += lookup.calls(&query).await.unwrap().calls.len();
    }
    assert_eq!(kept, 17);
    directory.stop().await;
}

//! The stream of who waits: nothing that waits is lost, wherever it is cut.

use std::collections::BTreeSet;

use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use secrecy::ExposeSecret as _;
use sqlx::Connection as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::mpsc;

use super::*;
use crate::directory::client::{WaitingEvent, WaitingStream};
use crate::directory::model::ReleaseRequest;
use crate::directory::model::waiting::{HEARTBEAT, WaitingQuery};
use crate::directory::{ClientError, OperatorClaims};

on_each_database! {
    what_waits_comes_first_and_then_what_begins_to,
    a_stream_that_is_cut_anywhere_loses_nothing,
    a_stream_goes_on_where_it_was_cut,
    a_shard_is_told_of_its_own_namespaces_and_of_what_is_nobodys,
    what_another_one_holds_does_not_wait,
    a_stream_outlasts_the_time_of_a_request_and_ends_with_the_directory,
}

pub(super) fn operators_token(expires_in: i64) -> SecretString {
    let now = Timestamp::now();
    let claims = OperatorClaims {
        issued_at: now,
        expires_at: now + jiff::SignedDuration::from_secs(expires_in),
    };
    TokenKeys::parse(KEY)
        .unwrap()
        .mint_operator(&claims)
        .unwrap()
}

impl Directory {
    pub(super) async fn follow(&self, after: Option<&str>) -> WaitingStream {
        self.try_follow(after).await.unwrap()
    }

    async fn try_follow(&self, after: Option<&str>) -> Result<WaitingStream, ClientError> {
        let query = WaitingQuery {
            after: after.map(str::to_owned),
            shard: None,
        };
        Client::with_http(self.http.clone(), &self.base, operators_token(600))
            .unwrap()
            .waiting(&query)
            .await
    }

    pub(super) async fn ends_a_call(&self, company: &str, id: &str, number: &str) {
        let details = [call(id, number, "2026-11-23T01:00:00Z")];
        let mut payload = payload(details);
        payload["call"]["tenant_code"] = company.into();
        let ingest = self.client(company, Purpose::Ingest);
        ingest.ingest(&payload).await.unwrap();
    }
}

/// A directory whose positions stay known: on PostgreSQL, all streams begin anew when it first
/// hears other replicas.
async fn start(on: Backend) -> Directory {
    hearing(on, Directory::start(on).await).await
}

async fn hearing(on: Backend, directory: Directory) -> Directory {
    if matches!(on, Backend::Postgres) {
        eventually(async || {
            let mut stream = directory.follow(None).await;
            assert_eq!(next(&mut stream).await, Some(WaitingEvent::CaughtUp));
            !stream.position().unwrap().ends_with(".0")
        })
        .await;
    }
    directory
}

/// The next event, which must come.
pub(super) async fn next(stream: &mut WaitingStream) -> Option<WaitingEvent> {
    let next = tokio::time::timeout(Duration::from_secs(30), stream.next());
    next.await.expect("an event comes").unwrap()
}

/// The companies of a list, until the stream has caught up.
async fn list(stream: &mut WaitingStream) -> Vec<String> {
    let mut companies = vec![];
    loop {
        match next(stream).await.expect("the stream goes on") {
            WaitingEvent::Waits(waiting) => companies.push(waiting.company_id.to_string()),
            WaitingEvent::CaughtUp => return companies,
        }
    }
}

pub(super) fn calls_of(company: &str) -> Option<WaitingEvent> {
    Some(WaitingEvent::Waits(
        crate::directory::model::waiting::Waiting {
            company_id: company.parse().unwrap(),
            calls: true,
            rings: false,
        },
    ))
}

async fn what_waits_comes_first_and_then_what_begins_to(on: Backend) {
    let directory = start(on).await;
    let mut stream = directory.follow(None).await;
    assert_eq!(next(&mut stream).await, Some(WaitingEvent::CaughtUp));
    // The later one began first.
    let started = ["2026-11-23T02:00:00Z", "2026-11-23T01:00:00Z"];
    for (company, start) in ["acme", "birch"].into_iter().zip(started) {
        let mut payload = payload([call("d1", "0312345678", start)]);
        payload["call"]["tenant_code"] = company.into();
        let ingest = directory.client(company, Purpose::Ingest);
        ingest.ingest(&payload).await.unwrap();
        assert_eq!(next(&mut stream).await, calls_of(company));
    }
    let mut later = directory.follow(None).await;
    assert_eq!(list(&mut later).await, ["birch", "acme"], "oldest first");
    directory.ends_a_call("cedar", "d1", "0312345678").await;
    for stream in [&mut stream, &mut later] {
        assert_eq!(next(stream).await, calls_of("cedar"));
    }
    // Nothing new: it is the same delivery.
    directory.ends_a_call("cedar", "d1", "0312345678").await;
    directory.ends_a_call("acme", "d2", "0312345678").await;
    assert_eq!(next(&mut stream).await, calls_of("acme"));
}

/// A controller that is told who waits, and does what waits, while its stream is cut again and
/// again: in the end nothing waits, though nothing was told a second time by the clock.
async fn a_stream_that_is_cut_anywhere_loses_nothing(on: Backend) {
    const COMPANIES: usize = 6;
    const CALLS: usize = 150;
    let seed = rand::random::<u64>();
    println!("seed {seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let directory = Directory::start(on).await;
    let company = |n: usize| format!("company-{n}");
    let deliveries: Vec<(usize, u64)> = (0..CALLS)
        .map(|_| (random.random_range(0..COMPANIES), random.random_range(0..8)))
        .collect();
    let delivers = async {
        for (n, (of, pause)) in deliveries.iter().enumerate() {
            let (id, number) = (format!("d{n}"), format!("03123456{:02}", n % 40));
            directory.ends_a_call(&company(*of), &id, &number).await;
            tokio::time::sleep(Duration::from_millis(*pause)).await;
        }
    };
    let (told, mut tells) = mpsc::unbounded_channel();
    let follows = async {
        let mut position: Option<String> = None;
        loop {
            let mut stream = directory.follow(position.as_deref()).await;
            let mut events = random.random_range(0..12);
            let cut = Duration::from_millis(random.random_range(0..60));
            let reading = async {
                while events > 0 {
                    match stream.next().await {
                        Ok(Some(WaitingEvent::Waits(waiting))) => told.send(waiting).unwrap(),
                        Ok(Some(WaitingEvent::CaughtUp)) => {}
                        other => panic!("{other:?}"),
                    }
                    events -= 1;
                }
            };
            // Cut between any two events, or while it waits.
            let _ = tokio::time::timeout(cut, reading).await;
            position = stream.position().map(str::to_owned);
        }
    };
    let works = async {
        let mut left = CALLS;
        while left > 0 {
            let waiting = tells.recv().await.unwrap();
            let worker = directory.client(waiting.company_id.as_str(), Purpose::Worker);
            let claimed = worker.claim(&claim("w")).await.unwrap();
            let calls: Vec<DoneCall> = claimed
                .calls
                .iter()
                .map(|call| DoneCall {
                    id: call.id.clone(),
                    reading: Reading::E164(call.e164.clone().unwrap()),
                })
                .collect();
            left -= calls.len();
            if !calls.is_empty() {
                worker.done(&DoneRequest { calls }).await.unwrap();
            }
        }
    };
    let all = async {
        tokio::select! {
            ((), ()) = async { tokio::join!(delivers, works) } => {}
            () = follows => {}
        }
    };
    // Less than the time after which all is told again.
    let done = tokio::time::timeout(Duration::from_secs(50), all).await;
    done.unwrap_or_else(|_| panic!("a call waits and nobody was told, seed {seed}"));
}

async fn a_stream_goes_on_where_it_was_cut(on: Backend) {
    let directory = start(on).await;
    directory.ends_a_call("acme", "d1", "0312345678").await;
    let mut stream = directory.follow(None).await;
    assert_eq!(next(&mut stream).await, calls_of("acme"));
    assert_eq!(stream.position(), None, "the list has no positions");
    assert_eq!(next(&mut stream).await, Some(WaitingEvent::CaughtUp));
    let caught_up = stream.position().unwrap().to_owned();
    drop(stream);
    directory.ends_a_call("birch", "d1", "0312345678").await;
    directory.ends_a_call("cedar", "d1", "0312345678").await;
    let mut stream = directory.follow(Some(&caught_up)).await;
    let mut event = next(&mut stream).await;
    if event == calls_of("acme") {
        // The list was ahead of the change itself, which wakes once more.
        event = next(&mut stream).await;
    }
    assert_eq!(event, calls_of("birch"));
    let behind_birch = stream.position().unwrap().to_owned();
    let mut again = directory.follow(Some(&behind_birch)).await;
    assert_eq!(list(&mut again).await, ["cedar"]);
    for unknown in ["", "x.1", "1", &format!("{caught_up}9"), "\u{3042}"] {
        let mut stream = directory.follow(Some(unknown)).await;
        let companies: BTreeSet<String> = list(&mut stream).await.into_iter().collect();
        assert_eq!(companies.len(), 3, "{unknown:?} begins anew");
    }
    // A browser says it in a header.
    let url = format!("{}/v1/waiting", directory.base);
    let asked = directory
        .http
        .get(url)
        .header("Last-Event-ID", behind_birch);
    let token = operators_token(60);
    let mut response = asked
        .bearer_auth(token.expose_secret())
        .send()
        .await
        .unwrap();
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    let mut text = String::new();
    while !text.contains("caught-up") {
        let chunk = response.chunk().await.unwrap().unwrap();
        text.push_str(std::str::from_utf8(&chunk).unwrap());
    }
    assert!(
        text.starts_with("retry: ") && !text.contains("acme"),
        "{text}"
    );
    assert!(!text.contains("312345678"), "no numbers: {text}");
    // After a restart, positions of before are unknown.
    drop((stream, again, response));
    let directory = directory.restart().await;
    let mut stream = directory.follow(Some(&caught_up)).await;
    assert_eq!(list(&mut stream).await.len(), 3);
}

async fn a_shard_is_told_of_its_own_namespaces_and_of_what_is_nobodys(on: Backend) {
    let directory = start(on).await;
    let shards: Vec<crate::shard::Shard> = (0..2)
        .map(|index| format!("{index}/2").parse().unwrap())
        .collect();
    let follow = async |shard| {
        let query = WaitingQuery {
            after: None,
            shard: Some(shard),
        };
        let token = operators_token(600);
        let client = Client::with_http(directory.http.clone(), &directory.base, token);
        client.unwrap().waiting(&query).await.unwrap()
    };
    let mut streams = vec![];
    for shard in &shards {
        let mut stream = follow(*shard).await;
        assert_eq!(next(&mut stream).await, Some(WaitingEvent::CaughtUp));
        streams.push(stream);
    }
    let mut expected = [vec![], vec![]];
    for n in 0..8 {
        let (company, namespace) = (format!("company-{n}"), format!("tenant-{n}"));
        let settings = crate::directory::model::company::CompanySettings {
            owner: crate::directory::model::company::Owner {
                uid: format!("uid-{n}"),
                namespace: namespace.clone(),
                name: "link".to_owned(),
            },
            adopt: None,
            had_tokens: false,
            retain_days: None,
        };
        let controller = directory.client(&company, Purpose::Controller);
        controller.claim_company(&settings).await.unwrap();
        directory.ends_a_call(&company, "d1", "0312345678").await;
        for (shard, expected) in shards.iter().zip(&mut expected) {
            if shard.holds(&namespace) {
                expected.push(company.clone());
            }
        }
    }
    directory.ends_a_call("nobodys", "d1", "0312345678").await;
    for ((stream, shard), mut expected) in streams.iter_mut().zip(&shards).zip(expected) {
        assert!(!expected.is_empty() && expected.len() < 8);
        expected.push("nobodys".to_owned());
        for company in &expected {
            assert_eq!(next(stream).await, calls_of(company));
        }
        let mut listed = list(&mut follow(*shard).await).await;
        listed.sort();
        assert_eq!(listed, expected, "so is the list");
    }
}

async fn what_another_one_holds_does_not_wait(on: Backend) {
    let directory = start(on).await;
    directory.ends_a_call("acme", "d1", "0312345678").await;
    let worker = directory.worker();
    let claimed = worker.claim(&claim("w")).await.unwrap();
    assert_eq!(claimed.calls.len(), 1);
    let companies = async || list(&mut directory.follow(None).await).await;
    eventually(async || companies().await.is_empty()).await;
    let holder = "w".to_owned();
    worker.release(&ReleaseRequest { holder }).await.unwrap();
    eventually(async || companies().await == ["acme"]).await;
    worker.claim(&claim("w")).await.unwrap();
    worker.done(&done("d1", "+81312345678")).await.unwrap();
    eventually(async || companies().await.is_empty()).await;
}

async fn a_stream_outlasts_the_time_of_a_request_and_ends_with_the_directory(on: Backend) {
    let folder = TempDir::new().unwrap();
    let database = on.fresh(&folder);
    let args = Args {
        request_timeout: 1,
        database: database.clone().into(),
        ..args(&folder)
    };
    let directory = hearing(on, Directory::start_with(args, folder, database).await).await;
    let mut stream = directory.follow(None).await;
    assert_eq!(next(&mut stream).await, Some(WaitingEvent::CaughtUp));
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    directory.ends_a_call("acme", "d1", "0312345678").await;
    assert_eq!(next(&mut stream).await, calls_of("acme"));
    let reads = async { while next(&mut stream).await.is_some() {} };
    let (_, ()) = tokio::join!(directory.stop(), reads);
}

#[tokio::test]
async fn only_the_operators_token_opens_the_stream_and_it_opens_nothing_else() {
    let directory = Directory::start(Backend::Sqlite).await;
    for purpose in [
        Purpose::Ingest,
        Purpose::Lookup,
        Purpose::Worker,
        Purpose::Admin,
        Purpose::Controller,
        Purpose::Erase,
        Purpose::Privacy,
    ] {
        let token = token("acme", purpose);
        let reply = directory.raw("GET", "/v1/waiting", Some(token.expose_secret()), "");
        let reply = reply.await;
        assert_eq!(
            (reply.status, reply.json()["code"].as_str()),
            (403, Some("wrong-purpose"))
        );
        let detail = reply.json()["detail"].to_string();
        assert!(
            detail.contains(&format!("for {purpose}")) && detail.contains("operator"),
            "{detail}"
        );
    }
    let operators = operators_token(60);
    for (method, path) in [
        ("GET", "/v1/calls"),
        ("GET", "/v1/contacts/0312345678"),
        ("GET", "/v1/contacts.csv"),
        ("GET", "/v1/audit"),
        ("GET", "/v1/company/book"),
        ("GET", "/v1/worker/follow"),
        ("POST", "/v1/worker/calls/claim"),
        ("POST", "/v1/worker/rings/claim"),
        ("POST", "/v1/rings"),
        ("POST", "/v1/webhooks/calls"),
        ("POST", "/v1/company/erase"),
        ("PUT", "/v1/tokens/not-before"),
    ] {
        let reply = directory.raw(method, path, Some(operators.expose_secret()), "{}");
        let reply = reply.await;
        assert_eq!(reply.status, 403, "{path}");
        assert!(
            reply.json()["detail"].to_string().contains("for operator"),
            "{path}"
        );
    }
    let expired = operators_token(-61);
    let reply = directory
        .raw("GET", "/v1/waiting", Some(expired.expose_secret()), "")
        .await;
    assert_eq!(
        (reply.status, reply.json()["code"].as_str()),
        (401, Some("token-expired"))
    );
    assert_eq!(
        directory.raw("GET", "/v1/waiting", None, "").await.status,
        401
    );
}

#[tokio::test]
async fn a_stream_ends_when_the_key_of_its_token_is_taken_out() {
    let directory = Directory::start(Backend::Sqlite).await;
    let mut stream = directory.follow(None).await;
    assert_eq!(next(&mut stream).await, Some(WaitingEvent::CaughtUp));
    let keys = directory.folder.path().join("keys");
    let new = "YmJiYmJiYmJiYmJiYmJiYmJiYmJiYmJiYmJiYmJiYmI=";
    std::fs::write(&keys, format!("{new}\n{KEY}\n")).unwrap();
    // A token of the old key is good as long as the key is there.
    directory.ends_a_call("acme", "d1", "0312345678").await;
    assert_eq!(next(&mut stream).await, calls_of("acme"));
    std::fs::write(&keys, new).unwrap();
    assert_eq!(next(&mut stream).await, None);
    let refused = directory.try_follow(None).await.unwrap_err();
    assert!(refused.to_string().contains("token-invalid"), "{refused}");
}

#[tokio::test]
async fn who_reads_nothing_costs_nobody_anything_and_there_is_an_end_to_streams() {
    let directory = Directory::start(Backend::Sqlite).await;
    let address = directory.base.strip_prefix("http://").unwrap().to_owned();
    let token = operators_token(60);
    let request = format!(
        "GET /v1/waiting HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\n\r\n",
        token.expose_secret()
    );
    let mut idlers = vec![];
    for _ in 0..63 {
        let mut socket = tokio::net::TcpStream::connect(&address).await.unwrap();
        socket.write_all(request.as_bytes()).await.unwrap();
        // It is there.
        let mut first = [0; 15];
        socket.read_exact(&mut first).await.unwrap();
        assert_eq!(&first, b"HTTP/1.1 200 OK");
        idlers.push(socket);
    }
    let mut stream = directory.follow(None).await;
    assert_eq!(next(&mut stream).await, Some(WaitingEvent::CaughtUp));
    let refused = directory.try_follow(None).await.unwrap_err();
    assert!(
        refused.to_string().contains("too-many-streams"),
        "{refused}"
    );
    for n in 0..40 {
        let company = format!("company-{}", n % 4);
        directory
            .ends_a_call(&company, &format!("d{n}"), "0312345678")
            .await;
        assert_eq!(next(&mut stream).await, calls_of(&company));
    }
    let metrics = directory.raw("GET", "/metrics", None, "").await.body;
    let line = "switchboard_directory_waiting_streams 64";
    assert!(metrics.contains(line), "{metrics}");
    drop(idlers);
    eventually(async || directory.try_follow(None).await.is_ok()).await;
}

#[tokio::test]
async fn what_a_deaf_replica_did_not_hear_is_told_once_it_hears_again() {
    let on = Backend::Postgres;
    let directory = start(on).await;
    let database = directory.database.clone();
    let other = Directory::start_on(TempDir::new().unwrap(), database.clone()).await;
    let other = hearing(on, other).await;
    let mut admin = sqlx::PgConnection::connect(&database).await.unwrap();
    for attempt in 0.. {
        let mut stream = directory.follow(None).await;
        list(&mut stream).await;
        let deafens = "SELECT pg_terminate_backend(pid, 30000) FROM pg_stat_activity \
             WHERE datname = current_database() AND query LIKE 'LISTEN %'";
        // Both, once each has come back from the attempt before.
        let mut deafened = 0;
        while deafened < 2 {
            let done = sqlx::query(deafens).execute(&mut admin).await.unwrap();
            deafened += done.rows_affected();
        }
        let company = format!("company-{attempt}");
        other.ends_a_call(&company, "d1", "0312345678").await;
        let is_told = async { while next(&mut stream).await != calls_of(&company) {} };
        // Who waits for the next heartbeat finds it later. A slow machine may try again.
        match tokio::time::timeout(HEARTBEAT / 2, is_told).await {
            Ok(()) => break,
            Err(_) => assert!(attempt < 4, "it is not told at once"),
        }
    }
}

#[tokio::test]
async fn a_replica_tells_what_happens_on_another_one() {
    let directory = Directory::start(Backend::Postgres).await;
    let other = Directory::start_on(TempDir::new().unwrap(), directory.database.clone()).await;
    let mut stream = directory.follow(None).await;
    assert_eq!(next(&mut stream).await, Some(WaitingEvent::CaughtUp));
    for n in 0..20 {
        let company = format!("company-{n}");
        other.ends_a_call(&company, "d1", "0312345678").await;
        // When the replicas begin to hear each other, all that waits comes again.
        while next(&mut stream).await != calls_of(&company) {}
    }
}

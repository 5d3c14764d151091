//! Calls come in all the time while the stream between controller and directory, the leader and the
//! directory are taken away: each call is there once and has its name.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use salesforce_simulator::{Record, World};
use serde_json::json;
use switchboard::directory::Client;
use switchboard::directory::model::{Call, CallsQuery};
use switchboard_testbed::{incoming_call, wait_for};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

use crate::leaders::{candidate, leads};
use crate::stage::{NEXT_MINUTES, SOON, Stage};
use crate::world::{self, PASSWORD, TOKEN};

/// Numbers that Salesforce knows. Each call is of another one.
const NUMBERS: usize = 20_000;
/// The pause between two calls.
const EVERY: Duration = Duration::from_millis(50);

/// What is taken away.
#[derive(Debug, Clone, Copy)]
enum Part {
    Stream,
    Leader,
    Directory,
}

/// Passes connections on, until they are cut.
struct Relay {
    url: String,
    cut: Arc<Mutex<CancellationToken>>,
    stop: CancellationToken,
}

/// Calls that come in, until this is stopped.
struct Traffic {
    taken: Arc<AtomicUsize>,
    stop: CancellationToken,
    running: tokio::task::JoinHandle<BTreeSet<usize>>,
}

// === impl Relay ===

impl Relay {
    async fn to(url: &str) -> Self {
        let server = url.trim_start_matches("http://").to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let cut = Arc::new(Mutex::new(CancellationToken::new()));
        let (stop, cuts) = (CancellationToken::new(), Arc::clone(&cut));
        let passing = async move {
            loop {
                let (mut client, _) = listener.accept().await.unwrap();
                let (server, cut) = (server.clone(), cuts.lock().unwrap().clone());
                tokio::spawn(cut.run_until_cancelled_owned(async move {
                    if let Ok(mut server) = TcpStream::connect(server).await {
                        let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
                    }
                }));
            }
        };
        tokio::spawn(stop.clone().run_until_cancelled_owned(passing));
        Self { url, cut, stop }
    }

    /// Breaks all connections.
    fn cut(&self) {
        let mut cut = self.cut.lock().unwrap();
        std::mem::take(&mut *cut).cancel();
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.stop.cancel();
        self.cut();
    }
}

// === impl Traffic ===

impl Traffic {
    /// A platform, which sends a call again until it is taken.
    fn begin(platform: Client) -> Self {
        let (taken_now, stop) = (Arc::new(AtomicUsize::new(0)), CancellationToken::new());
        let (counted, stopped) = (Arc::clone(&taken_now), stop.clone());
        let running = tokio::spawn(async move {
            let mut taken = BTreeSet::new();
            while !stopped.is_cancelled() {
                let at = taken.len();
                let call = incoming_call("acme", &at.to_string(), &number(at));
                while platform.ingest(&call).await.is_err() {
                    tokio::time::sleep(EVERY).await;
                }
                taken.insert(at);
                counted.store(taken.len(), Ordering::Relaxed);
                tokio::time::sleep(EVERY).await;
            }
            taken
        });
        Self {
            taken: taken_now,
            stop,
            running,
        }
    }

    /// How many have been taken.
    fn taken(&self) -> usize {
        self.taken.load(Ordering::Relaxed)
    }

    /// Stops, and tells which were taken.
    async fn end(self) -> BTreeSet<usize> {
        self.stop.cancel();
        self.running.await.unwrap()
    }
}

fn number(at: usize) -> String {
    format!("03{:08}", 50_000_000 + at % NUMBERS)
}

/// Waits until a number has its name, which is the number itself. The next leader may be a while on
/// a busy machine.
async fn named(reader: &Client, number: &str) {
    wait_for(
        format!("{number} to have its name"),
        NEXT_MINUTES,
        async || {
            let contact = reader.contact(number).await.map_err(|e| e.to_string())?;
            let found = contact.and_then(|contact| contact.person_name);
            (found.as_deref() == Some(number))
                .then_some(())
                .ok_or(format!("{found:?}"))
        },
    )
    .await;
}

/// The whole call history.
async fn history(reader: &Client) -> Vec<Call> {
    let mut all = vec![];
    let mut query = CallsQuery {
        limit: Some(200),
        ..CallsQuery::default()
    };
    loop {
        let page = reader.calls(&query).await.unwrap();
        all.extend(page.calls);
        query.cursor = page.next_cursor;
        if query.cursor.is_none() {
            return all;
        }
    }
}

/// `SWITCHBOARD_KILLS` sets how often each of the three is taken away.
#[tokio::test(flavor = "multi_thread")]
async fn calls_have_their_names_once_whatever_is_taken_away() {
    let kills: usize = std::env::var("SWITCHBOARD_KILLS").map_or(1, |set| set.parse().unwrap());
    let seed: u64 = std::env::var("SEED").map_or_else(|_| rand::random(), |s| s.parse().unwrap());
    println!("SEED={seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let people = (0..NUMBERS).map(|at| Record::person(&number(at)).phone(&number(at)));
    let org = people.fold(world::org(), salesforce_simulator::Org::contact);
    let mut stage = Stage::set("taken-away", World::new().org(org)).await;
    let relay = Relay::to(stage.directory_url()).await;
    stage = stage.directory_behind(&relay.url);
    stage = stage.flag("--lease-duration=6s").flag("--lease-renew=2s");
    let mut leader = candidate(&stage, "replica-0").await;
    leads(&leader).await;
    stage.apply(&stage.secret("acme", PASSWORD, TOKEN)).await;
    let mut manifest = stage.integration("acme");
    manifest["spec"]["contacts"] = json!({"retrieval": "AfterCall"});
    stage.apply(&manifest).await;
    stage.ready("acme").await;
    let mut replicas = 2;
    let mut standby = candidate(&stage, "replica-1").await;
    let reader = stage.directory("acme", "lookup").await;
    let traffic = Traffic::begin(stage.directory("acme", "ingest").await);

    for kill in 0..kills {
        let mut parts = [Part::Stream, Part::Leader, Part::Directory];
        parts.shuffle(&mut random);
        for part in parts {
            // Any instant between a call and its name.
            tokio::time::sleep(Duration::from_millis(random.random_range(0..2_000))).await;
            match part {
                Part::Stream => relay.cut(),
                Part::Leader => {
                    leader.kill().await.unwrap();
                    leads(&standby).await;
                    let next = candidate(&stage, &format!("replica-{replicas}")).await;
                    leader = std::mem::replace(&mut standby, next);
                    replicas += 1;
                }
                Part::Directory => {
                    stage.directory.kill().await.unwrap();
                    stage.start_directory().await;
                }
            }
            let at = traffic.taken();
            wait_for("a call after it", SOON, async || {
                (traffic.taken() > at).then_some(()).ok_or("none")
            })
            .await;
            named(&reader, &number(at)).await;
            println!("{part:?} taken away, {}: call {at} has its name", kill + 1);
        }
    }

    let taken = traffic.end().await;
    let last = wait_for("all calls to have their names", NEXT_MINUTES, async || {
        let history = history(&reader).await;
        let nameless = history.iter().filter(|call| call.contact.is_none()).count();
        match nameless {
            0 => Ok(history),
            _ => Err(format!("{nameless} of {} have none", history.len())),
        }
    });
    let calls = last.await;
    let ids: BTreeSet<&str> = calls.iter().map(|call| call.id.as_str()).collect();
    assert_eq!((calls.len(), ids.len()), (taken.len(), taken.len()));
    for call in &calls {
        let contact = call.contact.as_ref().and_then(|c| c.person_name.clone());
        assert_eq!(contact, call.number, "{call:?}");
    }
    let counters = stage.simulator.counters();
    println!(
        "{} calls, {} log-ins of {replicas} controllers, {} API calls",
        calls.len(),
        counters.logins.len(),
        counters.api_calls()
    );
    assert!(counters.logins.len() <= replicas, "{:?}", counters.logins);
    assert_eq!(counters.logins_ok(), counters.logins.len());
    leader.kill().await.unwrap();
    standby.kill().await.unwrap();
    stage.end().await;
}

//! Tests with two workers and two replicas of the directory on PostgreSQL, while the platform
//! repeats all deliveries.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use serde_json::Value;
use switchboard::directory::Purpose;
use switchboard::directory::model::LookupState;
use switchboard_testbed::Postgres;
use tokio_util::sync::CancellationToken;

use crate::bed::{Bed, assert_resolved_once, call, client, contacts, numbers, seed, webhook};
use crate::replica::Replica;

const CALLS: usize = 2_600;
/// Calls that are delivered only after the kills. They are more than one worker leases at once, so
/// that both workers get some.
const LATER: usize = 2_000;
const KILLS: usize = 40;
const WORKERS: [&str; 2] = ["worker-a", "worker-b"];

/// Runs a worker that restarts after each end, and kills it at random. Returns the number of kills.
async fn works(
    bed: &Bed,
    (holder, base): (&str, &str),
    kills: usize,
    mut random: StdRng,
    over: &CancellationToken,
) -> usize {
    let mut killed = 0;
    while !over.is_cancelled() {
        let mut worker = bed.spawn_as(holder, "sync", base);
        let instant = Duration::from_millis(random.random_range(0..600));
        let mine = killed < kills;
        tokio::select! {
            _ = worker.wait() => {}
            () = tokio::time::sleep(instant), if mine => {
                worker.kill().await.unwrap();
                killed += 1;
            }
        }
    }
    killed
}

/// Sends all deliveries in order and retries each until a 2xx answer.
async fn delivers(base: &str, deliveries: Vec<Value>) {
    let platform = client(base, Purpose::Ingest);
    for delivery in deliveries {
        platform.ingest(&delivery).await.unwrap();
    }
}

/// Delivers each call three times, once as ringing and twice as ended, in random order and batches.
fn deliveries(numbers: &[String], random: &mut StdRng) -> Vec<Value> {
    let ended: Vec<Value> = numbers
        .iter()
        .enumerate()
        .take(CALLS - LATER)
        .map(|(at, number)| call(at, number))
        .collect();
    let mut told = [ended.clone(), ended.clone(), ended].concat();
    for rings in &mut told[..CALLS - LATER] {
        rings["dial_ends_at"] = Value::Null;
    }
    told.shuffle(random);
    let mut deliveries = Vec::new();
    while !told.is_empty() {
        let count = random.random_range(1..=8).min(told.len());
        let details: Vec<Value> = told.drain(..count).collect();
        deliveries.push(webhook(&details));
    }
    deliveries
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_random_two_workers_and_two_replicas_lose_no_call_and_double_none() {
    let mut random = StdRng::seed_from_u64(seed());
    let server = Postgres::start(false).unwrap();
    let database = server.new_database().unwrap();
    // Both start on an empty database: one creates the schema, the other waits for it.
    let (one, two) = tokio::join!(Replica::start(&database), Replica::start(&database));
    let mut replicas = [one, two];
    let bases = [replicas[0].base(), replicas[1].base()];
    let numbers = numbers(CALLS);
    let mut bed = Bed::on(&replicas[0], contacts(&numbers), 20).await;
    // Short URLs make the work last for all kills.
    bed.settings["urlLength"] = serde_json::json!({"bytes": 3_900, "refused": 4_000});

    let over = CancellationToken::new();
    let mut platform = deliveries(&numbers, &mut random);
    let other = platform.split_off(platform.len() / 2);
    let seeds = [random.random(), random.random()].map(StdRng::seed_from_u64);
    let [seed_a, seed_b] = seeds;
    let disturbs = async {
        for _ in 0..KILLS {
            tokio::time::sleep(Duration::from_millis(random.random_range(20..500))).await;
            replicas[random.random_range(0..2)].kill_and_start().await;
        }
        for replica in &replicas {
            replica.becomes_ready().await;
        }
    };
    let goes_on = async {
        tokio::join!(
            disturbs,
            delivers(&bases[0], platform),
            delivers(&bases[1], other)
        );
        over.cancel();
    };
    let (killed_a, killed_b, ()) = tokio::join!(
        works(&bed, (WORKERS[0], &bases[0]), KILLS, seed_a, &over),
        works(&bed, (WORKERS[1], &bases[1]), KILLS, seed_b, &over),
        goes_on,
    );
    println!("killed: replicas {KILLS} times, workers {killed_a} and {killed_b} times");
    assert!(killed_a > 0 && killed_b > 0);

    let late: Vec<Value> = (CALLS - LATER..CALLS)
        .map(|at| call(at, &numbers[at]))
        .collect();
    let late: Vec<Value> = late.chunks(200).map(webhook).collect();
    delivers(&bases[1], [late.clone(), late].concat()).await;
    let history = bed.history().await;
    assert_eq!(history.len(), CALLS, "no call is lost or doubled");
    let pending = |state: LookupState| state == LookupState::Pending;
    let open = history.iter().filter(|call| pending(call.lookup)).count();
    println!("{open} calls are open");
    let runs = [0, 1].map(|at| (WORKERS[at], bed.spawn_as(WORKERS[at], "sync", &bases[at])));
    let mut resolved = 0;
    for (holder, run) in runs {
        let ended = bed.ended_as(holder, run).await;
        let report = ended.report.unwrap();
        assert_eq!(ended.code, Some(0), "{report:?}");
        println!("{holder} resolved {} calls", report.calls);
        resolved += report.calls;
    }
    assert_eq!(resolved, open as u64, "each call is resolved by one worker");
    assert_resolved_once(&bed.history().await, &numbers);
    println!("{} API calls", bed.salesforce.counters().api_calls());
}

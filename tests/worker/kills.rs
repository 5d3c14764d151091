//! Tests of a worker that is killed at random times.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use switchboard::directory::model::LookupState;

use crate::bed::{Bed, after_calls, assert_resolved_once, contacts, numbers, seed};

const NUMBERS: usize = 2_000;
const KILLS: usize = 100;

/// A tenant with calls from these numbers, and short URLs, so that the work lasts for all kills.
async fn bed(numbers: &[String], latency_ms: u64) -> Bed {
    let mut bed = Bed::start(contacts(numbers), latency_ms).await;
    bed.settings["urlLength"] = serde_json::json!({"bytes": 2_048, "refused": 2_100});
    bed.calls_from(numbers).await;
    bed
}

/// Number of API calls for the same work without kills.
async fn undisturbed(numbers: &[String]) -> u64 {
    let bed = bed(numbers, 0).await;
    assert_eq!(bed.run("sync").await.code, Some(0));
    bed.salesforce.counters().api_calls()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_killed_at_random_instants_resolves_every_call_once() {
    let mut random = StdRng::seed_from_u64(seed());
    let numbers = numbers(NUMBERS);
    let needed = undisturbed(&numbers).await;
    let bed = bed(&numbers, 20).await;
    let mut done_before = 0;
    let mut kills = 0;
    while kills < KILLS {
        let mut child = bed.spawn("sync");
        // A random time between the start of the log-in and shortly after the second request.
        let requests = random.random_range(0..3);
        let longest = if requests == 0 { 60 } else { 20 };
        let instant = Duration::from_millis(random.random_range(0..longest));
        let reached = bed.salesforce.counters().api_calls() + requests;
        let told = async {
            after_calls(&bed.salesforce, reached).await;
            tokio::time::sleep(instant).await;
        };
        tokio::select! {
            status = child.wait() => panic!("nothing is left to do after {kills} kills: {status:?}"),
            () = told => child.start_kill().unwrap(),
        }
        child.wait().await.unwrap();
        kills += 1;
        if kills % 25 == 0 {
            let history = bed.history().await;
            let done = history
                .iter()
                .filter(|call| call.lookup == LookupState::Done)
                .count();
            assert!(done >= done_before, "what was done stays done");
            done_before = done;
            println!("after {kills} kills {done} calls are done");
        }
    }
    assert!(done_before > 0, "no kill fell into the work");
    let ended = bed.run("sync").await;
    let report = ended.report.unwrap();
    assert_eq!(ended.code, Some(0), "{report:?}");
    let history = bed.history().await;
    assert_resolved_once(&history, &numbers);
    // Each kill loses at most the answer to one request.
    let calls = bed.salesforce.counters().api_calls();
    println!("{calls} API calls for {NUMBERS} numbers and {KILLS} kills, {needed} without");
    assert!(calls <= needed + KILLS as u64, "{calls} API calls");
}

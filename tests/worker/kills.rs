//! Killed at any instant.

use crate::bed::{Bed, assert_resolved_once, contacts, numbers, seed};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::time::Duration;
use switchboard::directory::model::LookupState;

const NUMBERS: usize = 2_000;
/// Numbers that one request carries at these settings, at least.
const PER_REQUEST: u64 = 14;
const KILLS: usize = 100;

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_killed_at_random_instants_resolves_every_call_once() {
    let mut random = StdRng::seed_from_u64(seed());
    let numbers = numbers(NUMBERS);
    let mut bed = Bed::start(contacts(&numbers), 5).await;
    // Short URLs, so that the work lasts for all the kills: some 15 numbers a request.
    bed.settings["urlLength"] = serde_json::json!({"bytes": 3_900, "refused": 4_000});
    bed.calls_from(&numbers).await;
    let mut done_before = 0;
    let mut kills = 0;
    for kill in 0..KILLS {
        let mut child = bed.spawn("sync");
        // From before its log-in to after its third request, anywhere within.
        let requests = random.random_range(0..4);
        let instant =
            Duration::from_millis(random.random_range(0..if requests == 0 { 400 } else { 40 }));
        let reached = bed.salesforce.counters().api_calls() + requests;
        let told = async {
            while requests > 0 && bed.salesforce.counters().api_calls() < reached {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
            tokio::time::sleep(instant).await;
        };
        let killed = tokio::select! {
            _ = child.wait() => false,
            () = told => true,
        };
        if killed {
            child.start_kill().unwrap();
            child.wait().await.unwrap();
            kills += 1;
        }
        if kill % 25 == 0 {
            let history = bed.history().await;
            let done = history
                .iter()
                .filter(|call| call.lookup == LookupState::Done)
                .count();
            assert!(done >= done_before, "what was done stays done");
            done_before = done;
            println!("after {} kills {done} calls are done", kill + 1);
        }
    }
    assert!(
        kills > KILLS / 2 && done_before > 0,
        "{kills} kills, {done_before} calls done"
    );
    let ended = bed.run("sync").await;
    let report = ended.report.unwrap();
    assert_eq!(ended.code, Some(0), "{report:?}");
    let history = bed.history().await;
    assert_resolved_once(&history, &numbers);
    // Each kill costs at most the answer to one request.
    let calls = bed.salesforce.counters().api_calls();
    let needed = (NUMBERS as u64).div_ceil(PER_REQUEST);
    println!("{calls} API calls for {NUMBERS} numbers and {kills} kills");
    assert!(calls <= needed + kills as u64, "{calls} API calls");
}

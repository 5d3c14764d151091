//! Histories: what clients of two replicas see while the database dies, fails over to its standby
//! or cannot be reached, connections are cut, replicas die and clocks differ by minutes, and
//! whether a directory may have answered so.
//!
//! `HISTORY_SECONDS` says how long a recording lasts, `SEED` what happens in it, as far as that is
//! drawn: what comes at the same moment comes in another order each time.

mod checker;
mod history;
mod recorder;
mod replicas;
mod tests;

use std::time::Duration;

use switchboard_testbed::Replication;

use self::checker::{Rule, breaches};
use self::history::Deed;

fn set(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_replicas_lose_and_double_nothing_while_all_fails_and_clocks_differ() {
    let seed = set("SEED").unwrap_or_else(rand::random);
    let seconds = set("HISTORY_SECONDS").unwrap_or(6);
    println!("SEED={seed} HISTORY_SECONDS={seconds}");
    let lasts = Duration::from_secs(seconds);
    let recording = recorder::record(seed, lasts, Replication::Synchronous).await;
    let count = |is: fn(&Deed) -> bool| {
        let events = recording.events.iter();
        let of = events.filter(|event| is(&event.deed));
        let (answered, open): (Vec<_>, Vec<_>) = of.partition(|event| event.answered);
        format!("{} (and {} without an answer)", answered.len(), open.len())
    };
    println!(
        "{} calls; {} webhooks, {} claims, {} names written, {} times done, {:?}",
        recording.end.len(),
        count(|deed| matches!(deed, Deed::Delivered { .. })),
        count(|deed| matches!(deed, Deed::Claimed { .. })),
        count(|deed| matches!(deed, Deed::Wrote { .. })),
        count(|deed| matches!(deed, Deed::Finished { .. })),
        recording.disturbed,
    );
    let found = breaches(&recording.events);
    let found: Vec<String> = found
        .iter()
        .map(|breach| format!("{:?}: {}", breach.rule, breach.told))
        .collect();
    assert!(found.is_empty(), "{}", found.join("\n"));
    let failures = &recording.failures;
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    assert!(!recording.end.is_empty(), "nobody called");
    let unnamed: Vec<_> = recording
        .end
        .iter()
        .filter(|call| call.version.is_none())
        .collect();
    assert!(unnamed.is_empty(), "done without a name: {unnamed:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fail_over_to_a_standby_that_lags_is_found_to_lose_calls() {
    let recording = recorder::record(1, Duration::ZERO, Replication::Asynchronous).await;
    let found = breaches(&recording.events);
    let mut rules = found.iter().map(|breach| breach.rule);
    assert!(rules.any(|rule| rule == Rule::NoCallIsLost), "{found:?}");
}

//! Tests of a database server that fails while the directory runs.

use std::collections::HashSet;

use switchboard_testbed::{Postgres, wait_for};

use crate::bed::{Bed, SOON, call, contacts, numbers, webhook};
use crate::replica::Replica;

/// Asserts that the answer is a success or a request to retry. Returns whether it is a success.
pub(crate) fn kept(response: &reqwest::Response) -> bool {
    let status = response.status().as_u16();
    if status == 200 {
        return true;
    }
    assert_eq!(status, 503);
    let header = response.headers().get("retry-after");
    let seconds: u32 = header.unwrap().to_str().unwrap().parse().unwrap();
    assert!(seconds > 0);
    false
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_down_is_a_503_and_what_was_answered_stays() {
    let mut server = Postgres::start(true).unwrap();
    let replica = Replica::start(&server.new_database().unwrap()).await;
    let numbers = numbers(4_000);
    let bed = Bed::on(&replica, contacts(&numbers[..2]), 0).await;
    let mut answered = HashSet::new();
    let mut refused = Vec::new();
    let mut calls = numbers.iter().enumerate();
    let (killing, killed) = tokio::sync::oneshot::channel();
    let falls = tokio::task::spawn_blocking(move || {
        // The kill comes in the middle of the deliveries.
        killed.blocking_recv().unwrap();
        server.kill().unwrap();
        server
    });
    let mut killing = Some(killing);
    while refused.is_empty() {
        let (at, number) = calls.next().unwrap();
        let told = replica
            .deliver(&webhook(&[call(at, number)]))
            .await
            .unwrap();
        if kept(&told) {
            answered.insert(format!("call-{at}"));
        } else {
            refused.push((at, number));
        }
        if at == 20 {
            killing.take().unwrap().send(()).unwrap();
        }
    }
    let mut server = falls.await.unwrap();
    // The directory queries the database at most twice a second.
    wait_for(
        "the directory to say that it cannot serve",
        SOON,
        async || (replica.status("/readyz").await == Some(503)).then_some(()),
    )
    .await;
    assert_eq!(
        replica.status("/healthz").await,
        Some(200),
        "a restart would not help"
    );

    server.restart().unwrap();
    replica.becomes_ready().await;
    for (at, number) in refused {
        // The test sends refused calls again, as the platform does.
        wait_for("the call to be taken", SOON, async || {
            let again = replica.deliver(&webhook(&[call(at, number)])).await;
            kept(&again.unwrap()).then_some(())
        })
        .await;
        answered.insert(format!("call-{at}"));
    }
    let history = bed.history().await;
    let there: HashSet<String> = history.iter().map(|call| call.id.clone()).collect();
    assert_eq!(there.len(), history.len());
    assert!(
        answered.is_subset(&there),
        "{} answered, {} kept",
        answered.len(),
        there.len()
    );
}

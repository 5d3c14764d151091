//! Tests of an outage of Salesforce with many tenants.

use std::time::Duration;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use salesforce_simulator::{Org, User, World};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep_until};

use crate::stage::{SOON, Stage};
use crate::world::{PASSWORD, TOKEN};

/// The number of tenants.
const TENANTS: usize = 60;

/// The promised number of tenants, and the length of their outage. The test takes some minutes,
/// most of them waiting.
const MANY: usize = 200;
const LONG: Duration = Duration::from_secs(60);

/// An org with this number of integration users.
pub(crate) fn world(tenants: usize) -> World {
    let org = (0..tenants).fold(Org::enterprise("Acme"), |org, number| {
        let name = format!("integration@tenant-{number}.example");
        org.user(User::integration(&name).password(PASSWORD).token(TOKEN))
    });
    World::new().org(org)
}

/// The integrations of these users, with their Secrets.
pub(crate) fn tenants(stage: &Stage, tenants: usize) -> Value {
    let items: Vec<Value> = (0..tenants)
        .flat_map(|number| {
            let name = format!("tenant-{number}");
            [
                stage.secret(&name, PASSWORD, TOKEN),
                stage.integration(&name),
            ]
        })
        .collect();
    json!({"apiVersion": "v1", "kind": "List", "items": items})
}

#[tokio::test(flavor = "multi_thread")]
async fn salesforce_goes_and_comes_back_and_is_not_overrun_by_those_who_waited() {
    outage(TENANTS, Duration::ZERO).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "some minutes: make outage"]
async fn two_hundred_wait_for_a_minute_and_do_not_overrun_salesforce_either() {
    outage(MANY, LONG).await;
}

async fn outage(count: usize, down: Duration) {
    let stage = Stage::start("outage", world(count)).await;
    stage.apply(&tenants(&stage, count)).await;
    stage.all("True", "Ready", 2 * SOON).await;
    assert_eq!(stage.simulator.counters().logins.len(), count);

    stage.simulator.set_down(true).await;
    let back = Instant::now() + down;
    // All integrations notice the outage at once, which is the worst case.
    stage
        .kubectl(&[
            "annotate",
            "sfi",
            "--all",
            "switchboard.dev/test-requested-at=now",
        ])
        .await;
    stage.all("False", "Unreachable", 3 * SOON).await;
    let list = stage
        .integrations()
        .list(&Default::default())
        .await
        .unwrap();
    let mut next: Vec<Time> = vec![];
    for item in &list.items {
        let connection = item.status.as_ref().unwrap().connection.as_ref().unwrap();
        assert!(connection.transient_failures >= 1 && connection.failed_logins == 0);
        next.extend(connection.next_attempt_at.clone());
    }
    assert_eq!(next.len(), count, "all will be tried again by themselves");

    // The outage continues, and all retries fail.
    sleep_until(back).await;
    let before = stage.simulator.requests().len();
    stage.simulator.set_down(false).await;
    stage.all("True", "Ready", 5 * SOON).await;
    let requests = &stage.simulator.requests()[before..];
    assert!(requests.len() >= count, "{}", requests.len());
    // The log is in the order of the answers. Two hosts are asked: that of the log-ins and that of
    // the org.
    for (answered, request) in requests.iter().enumerate() {
        let most = 2 * (answered as u64 + 1);
        let at_once = request.in_flight;
        assert!(
            at_once <= most,
            "{at_once} at once after {answered} answers at most"
        );
    }
    assert_eq!(
        stage.simulator.counters().logins.len(),
        count,
        "the sessions are still good"
    );
    stage.end().await;
}

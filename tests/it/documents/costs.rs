//! What a tenant costs with nobody calling, as docs/operations.md says.

use std::time::Duration;

use serde_json::Value;
use switchboard_testbed::repository;

use crate::stage::{SOON, Stage};
use crate::world::{self, PASSWORD, TOKEN};

/// The default of `spec.interval` is half an hour, and a tenth to a fifth more passes.
const PROOFS_A_DAY: u64 = 42;

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_whom_nobody_calls_costs_what_the_page_says() {
    let stage = Stage::start("costs", world::acme()).await;
    stage.apply(&stage.secret("acme", PASSWORD, TOKEN)).await;
    let mut manifest = stage.integration("acme");
    manifest["spec"]["salesforce"]["auth"]["password"]["username"] = world::USER.into();
    stage.apply(&manifest).await;
    assert_eq!(stage.ready("acme").await["spec"]["interval"], "30m");
    let calls = || stage.simulator.counters().api_calls();
    let mut costs = vec![];
    for wish in ["one", "two"] {
        let before = calls();
        stage.test_now("acme", wish).await;
        costs.push(calls() - before);
    }
    assert_eq!(costs[0], costs[1], "each proof on request costs the same");
    manifest["spec"]["interval"] = "1m".into();
    stage.apply(&manifest).await;
    let observed = |object: &Value| {
        let is_seen = object["metadata"]["generation"] == object["status"]["observedGeneration"];
        is_seen.then(|| object["status"]["connection"]["verifiedAt"].clone())
    };
    let last = stage
        .until("acme", "the interval to be seen", SOON, observed)
        .await;
    let before = calls();
    let proved_again = |object: &Value| {
        let verified = &object["status"]["connection"]["verifiedAt"];
        (*verified != last).then_some(())
    };
    stage
        .until(
            "acme",
            "the next proof",
            Duration::from_secs(120),
            proved_again,
        )
        .await;
    let again = calls() - before;
    let before = calls();
    let run = stage.run_now("acme", "with nothing to do").await;
    assert_eq!(
        (&run["outcome"], calls()),
        (&"Succeeded".into(), before),
        "{run}"
    );
    assert_eq!(
        stage.simulator.counters().logins.len(),
        1,
        "the session lasts"
    );

    let page = std::fs::read_to_string(repository().join("docs/operations.md")).unwrap();
    let whole = costs[0];
    let a_day = again * (PROOFS_A_DAY - 1) + whole;
    for sentence in [
        format!("a proof asks {again}, some {PROOFS_A_DAY} times a day"),
        format!("makes {a_day}\n"),
        format!("looks at everything and asks {whole}"),
        format!("| 1,000 | 200,000 | 40 MB | {a_day},000 for proofs"),
    ] {
        assert!(page.contains(&sentence), "{sentence}");
    }
    stage.end().await;
}

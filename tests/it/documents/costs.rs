//! What a tenant costs with nobody calling, as docs/operations.md says.

use switchboard_testbed::repository;

use crate::stage::Stage;
use crate::world::{self, PASSWORD, TOKEN};

/// Half an hour: the default of `spec.interval`.
const PROOFS_A_DAY: u64 = 48;

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
    assert_eq!(costs[0], costs[1], "each proof costs the same");
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
    let proof = costs[0];
    for sentence in [
        format!("each proof asks {proof}, {PROOFS_A_DAY} times a day"),
        format!("makes {}", proof * PROOFS_A_DAY),
        format!(
            "| 1,000 | 200,000 | 40 MB | {},000 for proofs",
            proof * PROOFS_A_DAY
        ),
    ] {
        assert!(page.contains(&sentence), "{sentence}");
    }
    stage.end().await;
}

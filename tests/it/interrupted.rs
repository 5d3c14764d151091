//! Tests in which the controller is killed before it receives Salesforce's answer to a log-in: the
//! log-in counts although nobody recorded its result.

use salesforce_simulator::Fault;
use switchboard_testbed::{Process, wait_for};

use crate::credentials::sharing;
use crate::stage::{SOON, Stage, condition};
use crate::world::{self, PASSWORD, TOKEN, USER};

/// Number of integrations that share one wrong password.
const TENANTS: usize = 5;

async fn logged_in(stage: &Stage, times: usize) {
    wait_for(format!("{times} log-ins"), SOON, async || {
        let logins = stage.simulator.counters().logins.len();
        if logins == times {
            Ok(())
        } else {
            Err(format!("{logins}"))
        }
    })
    .await;
}

async fn killed(controller: Option<Process>) {
    controller.unwrap().kill().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_controller_killed_in_the_middle_of_each_log_in_makes_two_and_waits_for_the_hour() {
    let mut stage = Stage::set("interrupted", world::acme()).await;
    stage
        .simulator
        .edit_org("Acme", |org| org.max_login_attempts = Some(3))
        .unwrap();
    let slow = Fault::delay(600_000).on_path("/services/Soap/*");
    stage.simulator.fault(slow.after_the_deed());
    stage
        .apply(&stage.secret("shared", "not-the-password", TOKEN))
        .await;
    stage.apply(&sharing(&stage, TENANTS)).await;

    stage.start_controller().await;
    logged_in(&stage, 1).await;
    killed(stage.controller.take()).await;
    stage.start_controller().await;
    logged_in(&stage, 2).await;
    killed(stage.controller.take()).await;

    stage.start_controller().await;
    for number in 0..TENANTS {
        let name = format!("tenant-{number}");
        stage
            .until(&name, "to wait for the hour", SOON, |object| {
                let connected = condition(object, "Connected")?;
                let next = &object["status"]["connection"]["nextAttemptAt"];
                let message = connected["message"].as_str()?;
                (connected["status"] == "Unknown" && message.contains(next.as_str()?)).then_some(())
            })
            .await;
    }
    assert_eq!(stage.simulator.counters().logins.len(), 2);
    assert!(!stage.simulator.is_locked(USER));

    // Log-ins of another credential are counted separately.
    stage.simulator.clear_faults();
    stage.apply(&stage.secret("shared", PASSWORD, TOKEN)).await;
    stage.all("True", "Ready", SOON).await;
    assert_eq!(stage.simulator.counters().logins.len(), 3);
    let object = stage.get("tenant-0").await;
    let connection = &object["status"]["connection"];
    assert!(connection["attemptedAt"].is_null() && connection["refusedAt"].is_null());
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_controller_that_is_to_end_while_a_session_is_renewed_writes_down_what_came_of_it() {
    let mut stage = Stage::start("renewed", world::acme()).await;
    stage.apply(&stage.secret("acme", PASSWORD, TOKEN)).await;
    stage.apply(&stage.integration("acme")).await;
    stage.ready("acme").await;
    assert_eq!(stage.simulator.revoke_sessions(USER), 1);
    stage
        .simulator
        .fault(Fault::delay(3000).on_path("/services/Soap/*"));
    stage
        .annotate("acme", switchboard::api::TEST_REQUESTED_AT, "now")
        .await;
    stage
        .until("acme", "a log-in on record", SOON, |object| {
            object["status"]["connection"]["attemptedAt"]
                .as_str()
                .map(drop)
        })
        .await;
    stage.stop_controller().await;
    let object = stage.get("acme").await;
    assert_eq!(object["status"]["lastHandledTestAt"], "now");
    assert!(object["status"]["connection"]["attemptedAt"].is_null());
    assert_eq!(condition(&object, "Ready").unwrap()["status"], "True");
    assert_eq!(stage.simulator.counters().logins.len(), 2);
    stage.end().await;
}

//! The controller is killed while Salesforce's answer to a log-in is on its way: nobody wrote down what it was, and still it counts.

use salesforce_simulator::Fault;
use switchboard_testbed::{Process, wait_for};

use crate::credentials::sharing;
use crate::stage::{SOON, Stage, condition};
use crate::world::{self, PASSWORD, TOKEN, USER};

/// Sharing one wrong password.
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

    // Another credential has an account of its own.
    stage.simulator.clear_faults();
    stage.apply(&stage.secret("shared", PASSWORD, TOKEN)).await;
    stage.all("True", "Ready", SOON).await;
    assert_eq!(stage.simulator.counters().logins.len(), 3);
    let object = stage.get("tenant-0").await;
    let connection = &object["status"]["connection"];
    assert!(connection["attemptedAt"].is_null() && connection["refusedAt"].is_null());
    stage.end().await;
}

//! Tests in which the controller is killed before it receives Salesforce's answer to a log-in: the
//! log-in counts although nobody recorded its result.

use std::collections::BTreeSet;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use salesforce_simulator::{Fault, Record};
use switchboard::api::RUN_REQUESTED_AT;
use switchboard_testbed::{Process, incoming_call, wait_for};

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

/// Names follow while the controller is killed at random instants between the wish for a run and
/// its end. `SWITCHBOARD_KILLS` sets how often; each time the next one waits for the lease.
#[tokio::test(flavor = "multi_thread")]
async fn a_controller_killed_while_names_follow_loses_no_wish_and_no_name() {
    let kills = std::env::var("SWITCHBOARD_KILLS").map_or(2, |kills| kills.parse().unwrap());
    let seed: u64 = std::env::var("SEED").map_or_else(|_| rand::random(), |s| s.parse().unwrap());
    println!("SEED={seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let mut stage = Stage::start_with_pods("followed", world::acme()).await;
    stage.apply(&stage.secret("acme", PASSWORD, TOKEN)).await;
    let mut manifest = stage.integration("acme");
    let contacts = serde_json::json!({
        "retrieval": "AfterCall", "lookupEvery": "1h", "followEvery": "5m",
    });
    manifest["spec"]["contacts"] = contacts;
    stage.apply(&manifest).await;
    stage.ready("acme").await;
    let ingest = stage.directory("acme", "ingest").await;
    let lookup = stage.directory("acme", "lookup").await;
    let call = incoming_call("acme", "0", world::ON_CONTACT);
    ingest.ingest(&call).await.unwrap();
    let first = stage.run_now("acme", "first").await;

    let mut jobs = BTreeSet::from([first["job"].as_str().unwrap().to_owned()]);
    for kill in 0..kills {
        let name = format!("Kato {kill}");
        let renamed = stage.simulator.edit_org("Acme", |org| {
            let contacts = org.all("Contact");
            let sato = contacts.iter().find(|row| row["Phone"] == "03-1234-5678");
            let id = sato.unwrap()["Id"].as_str().unwrap().to_owned();
            org.update(&id, Record::person(&name))
        });
        renamed.unwrap().unwrap();
        let wish = format!("wish {kill}");
        stage.annotate("acme", RUN_REQUESTED_AT, &wish).await;
        let instant = Duration::from_millis(random.random_range(0..3_000));
        tokio::time::sleep(instant).await;
        killed(stage.controller.take()).await;
        stage.start_controller().await;
        let job = stage
            .until("acme", "the run that was wished for", SOON, |object| {
                let status = &object["status"];
                let run = &status["lastRun"];
                let is_new = !jobs.contains(run["job"].as_str()?) && run["askedAgain"] == 1;
                let handled = status["lastHandledRunAt"] == wish.as_str();
                (handled && is_new).then(|| run["job"].as_str().unwrap().to_owned())
            })
            .await;
        println!("killed after {instant:?}: {job}");
        jobs.insert(job);
        let contact = lookup.contact(world::ON_CONTACT).await.unwrap().unwrap();
        let person = contact.person_name.unwrap();
        assert!(person.ends_with(&name), "{person} is not {name}");
    }
    let all = stage.kubectl(&["get", "jobs", "-o", "name"]).await;
    let all = all.lines().count();
    assert!(all <= jobs.len(), "{all} Jobs for {} wishes", jobs.len());
    stage.end().await;
}

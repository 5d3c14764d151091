//! Tests in which the API server or the leader fails during the work: nothing is done twice, and
//! nothing is lost. They use their own control plane.

use jiff::Timestamp;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::coordination::v1::Lease;
use kube::{Api, ResourceExt};
use salesforce_simulator::User;
use serde_json::json;
use switchboard::api::RUN_REQUESTED_AT;
use switchboard::controller::LEASE;
use switchboard_testbed::wait_for;

use crate::bed;
use crate::credentials::sharing;
use crate::leaders::{candidate, leads};
use crate::outage::{tenants, world};
use crate::stage::{SOON, Stage, names};
use crate::world::{PASSWORD, TOKEN, USER};

const TENANTS: usize = 20;
/// Number of integrations that share one wrong password.
const WRONG: usize = 10;

async fn logged_in(stage: &Stage, count: usize) {
    wait_for("log-ins", SOON, async || {
        let logins = stage.simulator.counters().logins.len();
        if logins >= count {
            Ok(())
        } else {
            Err(format!("{logins}"))
        }
    })
    .await;
}

async fn stage() -> Stage {
    let mut world = world(TENANTS);
    let wrong = User::integration(USER).password(PASSWORD).token(TOKEN);
    world.orgs[0].users.push(wrong);
    Stage::set_on(bed::own_control_plane().await, "disturbed", world).await
}

/// All manifests; the names of those with the wrong password begin with "wrong".
fn manifests(stage: &Stage) -> serde_json::Value {
    let mut all = tenants(stage, TENANTS);
    let mut wrong = sharing(stage, WRONG);
    for manifest in wrong["items"].as_array_mut().unwrap() {
        let name = manifest["metadata"]["name"].as_str().unwrap();
        let name = name.replace("tenant", "wrong");
        manifest["metadata"]["name"] = json!(name);
        manifest["spec"]["companyId"] = json!(name);
    }
    let items = all["items"].as_array_mut().unwrap();
    items.push(stage.secret("shared", "not-the-password", TOKEN));
    items.append(wrong["items"].as_array_mut().unwrap());
    all
}

async fn everyone_is_as_it_should_be(stage: &Stage) {
    for number in 0..TENANTS {
        stage.ready(&format!("tenant-{number}")).await;
    }
    for number in 0..WRONG {
        let name = format!("wrong-{number}");
        stage
            .condition(&name, "Ready", "False", "InvalidLogin")
            .await;
    }
}

/// Waits until the namespace has one requested Job for each integration.
async fn one_job_each(stage: &Stage, count: usize) {
    wait_for("a Job for each wish", SOON, async || {
        let mut owners: Vec<String> = names::<Job>(&stage.client, stage.ns())
            .await
            .iter()
            .filter_map(|name| Some(name.rsplit_once("-sync-")?.0.to_owned()))
            .collect();
        owners.sort();
        let all = owners.len();
        owners.dedup();
        if all == count && owners.len() == count {
            Ok(())
        } else {
            Err(format!("{all} Jobs of {owners:?}"))
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_api_server_and_the_leader_are_killed_in_the_middle_of_the_work() {
    let stage = stage().await;
    let first = candidate(&stage, "first").await;
    leads(&first).await;
    stage.apply(&manifests(&stage)).await;
    logged_in(&stage, 3).await;

    // The API server dies while statuses are written; the work continues afterwards.
    stage.control_plane.kill_apiserver().await.unwrap();
    stage.control_plane.start_apiserver().await.unwrap();
    stage.control_plane.wait_until_ready(SOON).await.unwrap();
    // A leader whose Lease has expired meanwhile exits, and its Deployment starts it again.
    let back = Timestamp::now();
    let leases = Api::<Lease>::namespaced(stage.client.clone(), stage.ns());
    wait_for(
        "the leader to renew its Lease, or to end",
        SOON,
        async || {
            let spec = leases
                .get(LEASE)
                .await
                .map_err(|error| error.to_string())?
                .spec;
            let renewed = spec.and_then(|spec| spec.renew_time);
            let goes_on = renewed.as_ref().is_some_and(|renewed| renewed.0 > back);
            if goes_on || !first.is_running() {
                Ok(())
            } else {
                Err(format!("{renewed:?}"))
            }
        },
    )
    .await;
    let first = if first.is_running() {
        first
    } else {
        candidate(&stage, "again").await
    };
    everyone_is_as_it_should_be(&stage).await;
    let wrong = || stage.simulator.counters().logins_of(USER);
    assert!(wrong() <= 2, "{} log-ins with the wrong password", wrong());
    let doubled = |most: usize| {
        let counters = stage.simulator.counters();
        (0..TENANTS)
            .filter(|number| {
                counters.logins_of(&format!("integration@tenant-{number}.example")) > most
            })
            .count()
    };
    assert_eq!(doubled(1), 0, "a session that is there is used");

    // The leader dies while it handles requests; the other replica completes only the missing work.
    let second = candidate(&stage, "second").await;
    let wrong_before = wrong();
    for number in 0..TENANTS / 2 {
        stage
            .annotate(&format!("tenant-{number}"), RUN_REQUESTED_AT, "now")
            .await;
    }
    wait_for("the first Job", SOON, async || {
        let jobs = names::<Job>(&stage.client, stage.ns()).await;
        if jobs.is_empty() { Err("none") } else { Ok(()) }
    })
    .await;
    first.kill().await.unwrap();
    // An edit between the two leaders is not lost.
    let patch = json!({"spec": {"contacts": {"retrieval": "AfterCall"}}}).to_string();
    let edited = format!("tenant-{}", TENANTS - 1);
    stage
        .kubectl(&["patch", "sfi", &edited, "--type=merge", "-p", &patch])
        .await;
    leads(&second).await;
    one_job_each(&stage, TENANTS / 2).await;
    stage
        .until(&edited, "the edit to be seen", SOON, |object| {
            let seen = &object["status"]["observedGeneration"];
            (*seen == object["metadata"]["generation"]).then_some(())
        })
        .await;
    for number in 0..TENANTS / 2 {
        let name = format!("tenant-{number}");
        stage
            .until(&name, "the wish to be handled", SOON, |object| {
                (object["status"]["lastHandledRunAt"] == "now").then_some(())
            })
            .await;
    }
    one_job_each(&stage, TENANTS / 2).await;
    assert_eq!(wrong(), wrong_before, "a change of leader adds none");
    let left = stage
        .integrations()
        .list(&Default::default())
        .await
        .unwrap();
    assert_eq!(left.items.iter().map(ResourceExt::name_any).count(), 30);
    stage.end().await;
    assert_eq!(second.terminate(SOON).await.unwrap(), 0);
}

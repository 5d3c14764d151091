//! Tests of the controller's own runs: a call that ends has its name without a pod, whatever
//! becomes of the controller, and the cluster is not written to more than it has to be.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use futures::TryStreamExt;
use k8s_openapi::api::batch::v1::{CronJob, Job};
use kube::api::{WatchEvent, WatchParams};
use serde_json::{Value, json};
use switchboard::directory::Client;
use switchboard_testbed::{Select, incoming_call, wait_for};

use crate::leaders::{candidate, leads};
use crate::stage::{NEXT_MINUTES, SOON, Stage, names};
use crate::world::{self, PASSWORD, TOKEN, USER};

/// What programs log: also why nothing is looked up.
const LOG: &str = "info,switchboard::controller::resident=debug,switchboard::directory=debug";

/// An integration whose calls are looked up as they end.
async fn after_calls(stage: &Stage, run: Value) {
    stage.apply(&stage.secret("acme", PASSWORD, TOKEN)).await;
    let mut manifest = stage.integration("acme");
    manifest["spec"]["contacts"] = json!({"retrieval": "AfterCall"});
    manifest["spec"]["run"] = run;
    stage.apply(&manifest).await;
}

async fn call(stage: &Stage, id: &str, number: &str) {
    let ingest = stage.directory("acme", "ingest").await;
    let call = incoming_call("acme", id, number);
    ingest.ingest(&call).await.unwrap();
}

/// Waits until the number has this person.
pub(crate) async fn named(lookup: &Client, number: &str, person: &str) {
    wait_for(format!("{number} to be {person}"), SOON, async || {
        let contact = lookup.contact(number).await.map_err(|e| e.to_string())?;
        let found = contact.and_then(|contact| contact.person_name);
        match found.as_deref() == Some(person) {
            true => Ok(()),
            false => Err(format!("{found:?}")),
        }
    })
    .await;
}

/// Waits until the status counts so many calls of runs in all, as a watch sees them. Returns the
/// runs that it showed.
async fn runs_shown(stage: &Stage, calls: u64) -> Vec<Value> {
    let mut shown: Vec<Value> = vec![];
    let looking = async {
        let integrations = stage.integrations();
        let only_it = WatchParams::default().fields("metadata.name=acme");
        let events = integrations.watch(&only_it, "0").await.unwrap();
        let mut events = std::pin::pin!(events);
        while let Some(event) = events.try_next().await.unwrap() {
            let (WatchEvent::Added(object) | WatchEvent::Modified(object)) = event else {
                continue;
            };
            let object = serde_json::to_value(object).unwrap();
            let Some(run) = object.pointer("/status/lastRun") else {
                continue;
            };
            if shown.last() != Some(run) {
                shown.push(run.clone());
            }
            let sum: u64 = shown.iter().filter_map(|run| run["calls"].as_u64()).sum();
            if sum >= calls {
                return;
            }
        }
    };
    let within = NEXT_MINUTES;
    let ended = tokio::time::timeout(within, looking).await;
    assert!(ended.is_ok(), "{shown:?}");
    shown
}

fn no_pods(stage: &Stage) {
    let pods = stage.runner.pods(Select::all());
    assert!(pods.is_empty(), "{} pods", pods.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_ends_has_its_name_without_a_pod_and_counts_are_written_once_a_minute() {
    let stage = Stage::start_logging("resident", world::acme(), LOG).await;
    after_calls(&stage, json!({})).await;
    stage.ready("acme").await;
    let lookup = stage.directory("acme", "lookup").await;
    let watched = runs_shown(&stage, 3);
    let calling = async {
        let began = Instant::now();
        call(&stage, "0", world::ON_CONTACT).await;
        named(&lookup, world::ON_CONTACT, "Hanako Sato").await;
        println!("a call had its name {:?} after it ended", began.elapsed());
        // More calls within the same minute: each has its name at once.
        call(&stage, "1", world::ON_LEAD).await;
        named(&lookup, world::ON_LEAD, "Taro Lead").await;
        call(&stage, "2", world::ON_TWO).await;
        named(&lookup, world::ON_TWO, "Jiro Contact").await;
    };
    let (shown, ()) = tokio::join!(watched, calling);
    assert_eq!(
        shown.len(),
        2,
        "the first at once, the others together a minute later: {shown:?}"
    );
    let run = &shown[0];
    assert_eq!(
        (&run["where"], &run["kind"], &run["calls"], &run["apiCalls"]),
        (&json!("Resident"), &json!("Lookup"), &json!(1), &json!(1)),
        "{run}"
    );
    let run = &shown[1];
    assert_eq!(
        (&run["calls"], &run["numbers"], &run["written"]),
        (&json!(2), &json!(2), &json!(2)),
        "{run}"
    );
    stage
        .condition("acme", "Synced", "True", "RunSucceeded")
        .await;
    no_pods(&stage);
    // Its CronJob is a sweep once a day.
    let cron_jobs = kube::Api::<CronJob>::namespaced(stage.client.clone(), stage.ns());
    let sweep = cron_jobs.get("acme-lookup").await.unwrap().spec.unwrap();
    assert!(sweep.schedule.ends_with(" * * *"), "{}", sweep.schedule);
    assert!(!sweep.schedule.contains('/'), "{}", sweep.schedule);
    assert_eq!(sweep.suspend, Some(false));
    // What is asked for is a pod, as everywhere.
    let run = stage.run_now("acme", "now").await;
    assert_eq!(
        (&run["where"], &run["askedAgain"]),
        (&Value::Null, &json!(3))
    );
    assert_eq!(names::<Job>(&stage.client, stage.ns()).await.len(), 1);
    assert_eq!(
        stage.simulator.counters().logins_of(USER),
        2,
        "one of the pod"
    );
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_that_wants_a_process_of_its_own_has_pods_and_a_suspended_one_nothing() {
    let stage = Stage::start("own-process", world::acme()).await;
    after_calls(&stage, json!({"where": "Pod"})).await;
    stage.ready("acme").await;
    let cron_jobs = kube::Api::<CronJob>::namespaced(stage.client.clone(), stage.ns());
    let every = cron_jobs.get("acme-lookup").await.unwrap().spec.unwrap();
    assert!(every.schedule.contains("/5"), "{}", every.schedule);
    call(&stage, "0", world::ON_CONTACT).await;
    let run = stage.run_now("acme", "one").await;
    assert_eq!(
        (&run["calls"], &run["where"]),
        (&json!(1), &Value::Null),
        "{run}"
    );

    // Suspended: the call stays where it is, and has its name when the suspension ends.
    let suspend = |suspend: bool| {
        let patch = json!({"spec": {"suspend": suspend, "run": null}}).to_string();
        let args = ["patch", "sfi", "acme", "--type=merge", "-p"];
        let args: Vec<String> = args
            .iter()
            .map(|arg| (*arg).to_owned())
            .chain([patch])
            .collect();
        let stage = &stage;
        async move {
            let args: Vec<&str> = args.iter().map(String::as_str).collect();
            stage.kubectl(&args).await
        }
    };
    suspend(true).await;
    stage
        .condition("acme", "Ready", "Unknown", "Suspended")
        .await;
    let before = stage.simulator.counters().api_calls();
    call(&stage, "1", world::ON_LEAD).await;
    suspend(false).await;
    stage.ready("acme").await;
    let lookup = stage.directory("acme", "lookup").await;
    let found = async || {
        let contact = lookup
            .contact(world::ON_LEAD)
            .await
            .map_err(|e| e.to_string())?;
        contact.map(drop).ok_or_else(|| "not yet".to_owned())
    };
    // The directory tells once a minute what still waits.
    wait_for("the call to have its name", NEXT_MINUTES, found).await;
    assert!(stage.simulator.counters().api_calls() > before);
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_calls_and_nothing_is_written_and_no_pod_runs() {
    let stage = Stage::start("quiet", world::acme()).await;
    after_calls(&stage, json!({})).await;
    let before = stage.ready("acme").await;
    // Another tenant calls meanwhile, so that time passes by events and not by a sleep.
    let mut other = stage.integration("other");
    other["spec"]["contacts"] = json!({"retrieval": "AfterCall"});
    other["spec"]["salesforce"]["auth"]["password"] =
        json!({"username": USER, "secretRef": {"name": "acme-salesforce"}});
    stage.apply(&other).await;
    stage.ready("other").await;
    let ingest = stage.directory("other", "ingest").await;
    let lookup = stage.directory("other", "lookup").await;
    for (id, number, person) in [
        ("0", world::ON_CONTACT, "Hanako Sato"),
        ("1", world::ON_LEAD, "Taro Lead"),
    ] {
        let call = incoming_call("other", id, number);
        ingest.ingest(&call).await.unwrap();
        named(&lookup, number, person).await;
    }
    let after = stage.get("acme").await;
    assert_eq!(
        after["metadata"]["resourceVersion"], before["metadata"]["resourceVersion"],
        "{after}"
    );
    no_pods(&stage);
    assert_eq!(
        stage.simulator.counters().logins_of(USER),
        1,
        "both share the session of the proof"
    );
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_ended_is_replaced_by_a_proof_and_a_refusal_is_not_repeated() {
    let stage = Stage::start("resident-login", world::acme()).await;
    after_calls(&stage, json!({})).await;
    stage.ready("acme").await;
    let lookup = stage.directory("acme", "lookup").await;
    let logins = || stage.simulator.counters().logins_of(USER);
    call(&stage, "0", world::ON_CONTACT).await;
    named(&lookup, world::ON_CONTACT, "Hanako Sato").await;
    assert_eq!(logins(), 1);
    assert_eq!(stage.simulator.revoke_sessions(USER), 1);
    call(&stage, "1", world::ON_LEAD).await;
    named(&lookup, world::ON_LEAD, "Taro Lead").await;
    assert_eq!(logins(), 2, "one for the session that ended");

    // The password is another one now.
    stage.simulator.revoke_sessions(USER);
    stage
        .simulator
        .edit_user(USER, |user| user.password = "another".into())
        .unwrap();
    call(&stage, "2", world::ON_TWO).await;
    stage
        .condition("acme", "Connected", "False", "InvalidLogin")
        .await;
    let object = stage.get("acme").await;
    assert_eq!(object["status"]["connection"]["failedLogins"], 1);
    let refused = logins();
    assert_eq!(refused, 3, "one log-in was refused");
    // Further calls bring no further one, and no run.
    for id in ["3", "4"] {
        call(&stage, id, world::ON_TWO).await;
        stage.look("acme", id).await;
    }
    assert_eq!(logins(), refused);
    // With the new password the calls that waited have their names.
    stage.apply(&stage.secret("acme", "another", TOKEN)).await;
    stage.ready("acme").await;
    let found = async || {
        let contact = lookup
            .contact(world::ON_TWO)
            .await
            .map_err(|e| e.to_string())?;
        contact.map(drop).ok_or_else(|| "not yet".to_owned())
    };
    wait_for("the call to have its name", NEXT_MINUTES, found).await;
    no_pods(&stage);
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn more_numbers_than_the_controller_takes_are_the_work_of_one_pod() {
    let mut stage = Stage::set("too-many", world::acme())
        .await
        .flag("--resident-numbers=20");
    stage.start_controller().await;
    after_calls(&stage, json!({})).await;
    stage.ready("acme").await;
    let ingest = stage.directory("acme", "ingest").await;
    let details: Vec<Value> = (0..100)
        .map(|number| {
            json!({
                "id": format!("call-{number}"), "call_type": "INCOMING_CALL", "to_number": null,
                "from_number": format!("06{:08}", 20_000_000 + number * 37),
                "dial_starts_at": "2026-11-23T07:26:06Z", "dial_answered_at": null, "dial_ends_at": "2026-11-23T07:28:00Z",
            })
        })
        .collect();
    let call = json!({"id": "many", "tenant_code": "acme", "details": details});
    ingest.ingest(&json!({"call": call})).await.unwrap();
    let run = stage
        .until("acme", "a pod's run", SOON, |object| {
            let run = object.pointer("/status/lastRun")?;
            (run["calls"] == 100).then(|| run.clone())
        })
        .await;
    assert_eq!(run["where"], Value::Null, "{run}");
    assert_eq!(names::<Job>(&stage.client, stage.ns()).await.len(), 1);
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_is_killed_in_the_middle_loses_no_call_and_doubles_none() {
    let mut stage = Stage::set("resident-killed", world::acme()).await;
    let quick = ["--lease-duration=6s", "--lease-renew=2s"];
    stage = stage.flag(quick[0]).flag(quick[1]);
    let first = candidate(&stage, "first").await;
    leads(&first).await;
    after_calls(&stage, json!({})).await;
    stage.ready("acme").await;
    let second = candidate(&stage, "second").await;
    // Salesforce is slow, so that the leader dies with calls in its hands.
    world::never_answer_composites(&stage.simulator);
    call(&stage, "0", world::ON_CONTACT).await;
    world::until_a_composite_waits(&stage.simulator).await;
    first.kill().await.unwrap();
    let killed = Instant::now();
    world::answer_at_once(&stage.simulator);
    leads(&second).await;
    println!("the next replica led {:?} after a kill", killed.elapsed());
    let lookup = stage.directory("acme", "lookup").await;
    // A call that ends now does not wait for what the other one had taken.
    call(&stage, "1", world::ON_LEAD).await;
    named(&lookup, world::ON_LEAD, "Taro Lead").await;
    println!("its first name came {:?} after the kill", killed.elapsed());
    let found = async || {
        let contact = lookup
            .contact(world::ON_CONTACT)
            .await
            .map_err(|e| e.to_string())?;
        contact.map(drop).ok_or_else(|| "not yet".to_owned())
    };
    wait_for("the call of before to have its name", NEXT_MINUTES, found).await;
    println!("the call that it had taken {:?} after", killed.elapsed());
    let history = lookup.calls(&Default::default()).await.unwrap().calls;
    let ids: BTreeSet<&str> = history.iter().map(|call| call.id.as_str()).collect();
    assert_eq!((history.len(), ids.len()), (2, 2), "{history:?}");
    no_pods(&stage);

    // In order: the Lease is given back, and the next one leads at once.
    let third = candidate(&stage, "third").await;
    let told = Instant::now();
    assert_eq!(
        second.terminate(SOON).await.unwrap(),
        0,
        "{}",
        second.text()
    );
    let ended = told.elapsed();
    leads(&third).await;
    println!(
        "a hand-over took {:?} (the process ended after {ended:?})",
        told.elapsed()
    );
    call(&stage, "2", world::ON_TWO).await;
    named(&lookup, world::ON_TWO, "Jiro Contact").await;
    assert_eq!(third.terminate(SOON).await.unwrap(), 0);
    stage.end().await;
}

/// A call that rings has its name while it does, by one request.
#[tokio::test(flavor = "multi_thread")]
async fn a_first_time_caller_has_a_name_while_it_rings_and_a_stranger_costs_nothing_twice() {
    use switchboard::directory::client::Caller;
    let stage = Stage::start("rings", world::acme()).await;
    stage.apply(&stage.secret("acme", PASSWORD, TOKEN)).await;
    // Also with the daily way, which never overwrites a contact.
    stage.apply(&stage.integration("acme")).await;
    stage.ready("acme").await;
    let lookup = stage.directory("acme", "lookup").await;
    let before = stage.simulator.counters().api_calls();
    let wait = Duration::from_secs(10);
    let began = Instant::now();
    let caller = lookup.caller(world::ON_CONTACT, wait).await.unwrap();
    println!("a ring was answered after {:?}", began.elapsed());
    let Caller::Known(contact) = caller else {
        panic!("{caller:?}")
    };
    assert_eq!(contact.person_name.as_deref(), Some("Hanako Sato"));
    assert_eq!(stage.simulator.counters().api_calls(), before + 1);
    let again = lookup.caller(world::ON_CONTACT, wait).await.unwrap();
    assert!(matches!(again, Caller::Known(_)));
    assert_eq!(stage.simulator.counters().api_calls(), before + 1);
    let nobody = lookup.caller(world::NOWHERE, wait).await.unwrap();
    assert!(matches!(nobody, Caller::Nobody(_)), "{nobody:?}");
    let asked = stage.simulator.counters().api_calls();
    assert_eq!(asked, before + 3, "one query, one search");
    lookup.caller(world::NOWHERE, wait).await.unwrap();
    assert_eq!(stage.simulator.counters().api_calls(), asked);
    no_pods(&stage);

    // Suspended: who waits is told why at once.
    let patch = json!({"spec": {"suspend": true}}).to_string();
    stage
        .kubectl(&["patch", "sfi", "acme", "--type=merge", "-p", &patch])
        .await;
    stage
        .condition("acme", "Ready", "Unknown", "Suspended")
        .await;
    let caller = lookup.caller(world::ON_LEAD, wait).await.unwrap();
    let Caller::Nobody(problem) = caller else {
        panic!("{caller:?}")
    };
    assert_eq!(problem.code, "withheld", "{problem:?}");
    stage.end().await;
}

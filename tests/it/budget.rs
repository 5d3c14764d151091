//! Tests of the budget: an integration uses only its share of the org's API requests, reports when
//! it is used up, and continues when requests are free again.

use k8s_openapi::api::batch::v1::CronJob;
use kube::Api;
use salesforce_simulator::World;
use serde_json::{Value, json};
use switchboard::directory::model::{CallsQuery, LookupState};
use switchboard_testbed::wait_for_object;

use crate::outage;
use crate::stage::{SOON, Stage, condition};
use crate::world::{self, PASSWORD, TOKEN};

const NUMBERS: usize = 600;

/// An org with so few API requests that the budget takes effect.
fn small_org() -> World {
    let mut world = world::acme();
    world.orgs[0].daily_limit = Some(50);
    world
}

/// Ingests calls of the tenant from numbers that no record has.
async fn many_calls(stage: &Stage, tenant: &str) {
    let ingest = stage.directory(tenant, "ingest").await;
    let details: Vec<Value> = (0..NUMBERS)
        .map(|number| {
            json!({
                "id": format!("call-{number}"), "call_type": "INCOMING_CALL", "to_number": null,
                "from_number": format!("06{:08}", 20_000_000 + number * 37),
                "dial_starts_at": "2026-11-23T07:26:06Z", "dial_answered_at": null, "dial_ends_at": "2026-11-23T07:28:00Z",
            })
        })
        .collect();
    for (part, details) in details.chunks(200).enumerate() {
        let call = json!({"id": format!("part-{part}"), "tenant_code": tenant, "details": details});
        ingest.ingest(&json!({"call": call})).await.unwrap();
    }
}

async fn suspended(stage: &Stage, wanted: bool) {
    let cron_jobs = Api::<CronJob>::namespaced(stage.client.clone(), stage.ns());
    wait_for_object(
        &cron_jobs,
        "acme-sync",
        &format!("suspend: {wanted}"),
        SOON,
        |object| (object?.pointer("/spec/suspend") == Some(&json!(wanted))).then_some(()),
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_share_that_is_used_up_stops_the_runs_over_a_restart_until_more_is_given() {
    let mut stage = Stage::start_with_pods("budget", small_org()).await;
    stage.apply(&stage.secret("acme", PASSWORD, TOKEN)).await;
    let mut manifest = stage.integration("acme");
    manifest["spec"]["apiBudget"] = json!({"dailyPercent": 10});
    manifest["spec"]["interval"] = "24h".into();
    // The time is half a day ahead, so the requests used now still count then.
    let later = jiff::Zoned::now()
        .in_tz("Asia/Tokyo")
        .unwrap()
        .saturating_add(jiff::Span::new().hours(12));
    manifest["spec"]["contacts"] = json!({"dailyAt": later.strftime("%H:%M").to_string()});
    stage.apply(&manifest).await;
    stage.ready("acme").await;
    many_calls(&stage, "acme").await;
    let run = stage.run_now("acme", "one").await;
    assert_eq!(run["outcome"], "BudgetExhausted", "{run}");
    let found = run["numbers"].as_u64().unwrap();
    assert!(found > 0 && found < NUMBERS as u64, "{run}");

    let synced = stage
        .condition("acme", "Synced", "False", "BudgetExhausted")
        .await;
    let object = stage.get("acme").await;
    let status = &object["status"];
    assert_eq!(
        condition(&object, "Ready").unwrap()["reason"],
        "BudgetExhausted"
    );
    assert!(condition(&object, "Stalled").is_none());
    let resumes = status["apiBudget"]["resumesAt"].as_str().unwrap();
    let next = status["nextRun"].as_str().unwrap();
    assert!(
        synced["message"].as_str().unwrap().contains(next),
        "{synced}"
    );
    assert!(next >= resumes, "{next} {resumes}");
    assert_eq!(status["apiBudget"]["share"], 5);
    let used = stage.simulator.used("Acme").unwrap();
    assert_eq!(status["apiUsage"]["byThisIntegration"], used);
    assert!(used <= 5, "{used}");
    let warnings = status["warnings"].to_string();
    assert!(warnings.contains("ApiBudgetNearlyUsed"), "{warnings}");
    let url_length = &status["organization"]["queryUrlLength"];
    assert!(url_length["bytes"].as_u64() >= Some(16_384), "{status}");
    suspended(&stage, true).await;

    stage.stop_controller().await;
    stage.start_controller().await;
    stage
        .annotate("acme", switchboard::api::RUN_REQUESTED_AT, "two")
        .await;
    let handled = |object: &Value| (object["status"]["lastHandledRunAt"] == "two").then_some(());
    stage
        .until("acme", "the wish to be refused", SOON, handled)
        .await;
    let events = stage.kubectl(&["get", "events"]).await;
    assert!(events.contains("RunRefused"), "{events}");
    assert_eq!(
        stage.simulator.used("Acme").unwrap(),
        used,
        "nothing was asked"
    );

    manifest["spec"]["apiBudget"] = json!({"dailyPercent": 100});
    stage.apply(&manifest).await;
    suspended(&stage, false).await;
    let run = stage.run_now("acme", "three").await;
    let asked_again = run["askedAgain"].as_u64().unwrap();
    assert_eq!(run["outcome"], "Succeeded", "{run}");
    assert_eq!(
        run["numbers"].as_u64().map(|numbers| numbers - asked_again),
        Some(NUMBERS as u64 - found),
        "what was found was kept: {run}"
    );
    stage.ready("acme").await;
    let history = stage.directory("acme", "lookup").await;
    let query = CallsQuery {
        limit: Some(200),
        ..CallsQuery::default()
    };
    let calls = history.calls(&query).await.unwrap().calls;
    assert!(calls.iter().all(|call| call.lookup == LookupState::Done));
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn integrations_of_one_org_see_each_other_and_share_its_requests() {
    let stage = Stage::start_with_pods("shared", world::acme()).await;
    for name in ["acme", "beta"] {
        stage.apply(&stage.secret(name, PASSWORD, TOKEN)).await;
        let mut manifest = stage.integration(name);
        manifest["spec"]["salesforce"]["auth"]["password"]["username"] = world::USER.into();
        manifest["spec"]["apiBudget"] = json!({"dailyPercent": 60});
        stage.apply(&manifest).await;
        stage.ready(name).await;
    }
    stage.test_now("acme", "who else?").await;
    for (name, neighbour) in [("acme", "beta"), ("beta", "acme")] {
        let status = stage.get(name).await["status"].clone();
        let shared = &status["organization"]["sharedWith"];
        assert_eq!(
            *shared,
            json!({"names": [neighbour], "integrations": 1}),
            "{name}"
        );
        let limit = status["apiUsage"]["limit"].as_u64().unwrap();
        assert_eq!(status["apiBudget"]["share"], limit / 2, "{name}");
        let warnings = status["warnings"].to_string();
        assert!(warnings.contains("ApiBudgetsOverbooked"), "{warnings}");
    }
    stage.end().await;
}

/// Tenants that share the requests of one org, as with the 15,000 of a Developer Edition org.
const TENANTS: usize = 20;
const SHARE: u64 = 10;

#[tokio::test(flavor = "multi_thread")]
async fn twenty_tenants_of_one_org_stay_within_their_shares_by_the_orgs_own_count() {
    let mut world = outage::world(TENANTS);
    world.orgs[0].daily_limit = Some(SHARE * TENANTS as u64);
    let stage = Stage::start_with_pods("shares", world).await;
    let names: Vec<String> = (0..TENANTS).map(|n| format!("tenant-{n}")).collect();
    for name in &names {
        let mut manifest = stage.integration(name);
        manifest["spec"]["apiBudget"] = json!({"dailyPercent": 100 / TENANTS});
        manifest["spec"]["interval"] = "24h".into();
        stage.apply(&stage.secret(name, PASSWORD, TOKEN)).await;
        stage.apply(&manifest).await;
    }
    stage.all("True", "Ready", 2 * SOON).await;
    for name in &names {
        many_calls(&stage, name).await;
    }
    // All tenants request runs at once, as often as the controller allows.
    for wish in ["one", "two"] {
        for name in &names {
            stage
                .annotate(name, switchboard::api::RUN_REQUESTED_AT, wish)
                .await;
        }
        for name in &names {
            let handled = |object: &Value| {
                let status = &object["status"];
                (status["lastHandledRunAt"] == wish && !status["lastRun"].is_null()).then_some(())
            };
            stage.until(name, "its run", 3 * SOON, handled).await;
        }
    }
    let mut together = 0;
    for name in &names {
        let user = format!("integration@{name}.example");
        let status = stage.get(name).await["status"].clone();
        let requests = stage.simulator.requests();
        let asked = requests
            .iter()
            .filter(|request| request.user.as_deref() == Some(&user))
            .filter(|request| request.path.starts_with("/services/data/"))
            .count() as u64;
        assert_eq!(status["apiBudget"]["share"], SHARE, "{name}");
        assert_eq!(status["apiUsage"]["byThisIntegration"], asked, "{name}");
        assert!(asked <= SHARE, "{name} asked {asked} times: {status}");
        assert_eq!(status["lastRun"]["outcome"], "BudgetExhausted", "{name}");
        together += asked;
    }
    assert_eq!(stage.simulator.used("Acme").unwrap(), together);
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_that_ring_have_a_part_of_the_share_that_nothing_else_uses_up() {
    use switchboard::directory::client::Caller;
    let mut world = world::acme();
    world.orgs[0].daily_limit = Some(100);
    let mut stage = Stage::set("budget-rings", world)
        .await
        .flag("--rings-percent=50");
    stage.start_controller().await;
    stage.apply(&stage.secret("acme", PASSWORD, TOKEN)).await;
    let mut manifest = stage.integration("acme");
    manifest["spec"]["apiBudget"] = json!({"dailyPercent": 20});
    manifest["spec"]["interval"] = "24h".into();
    manifest["spec"]["contacts"] = json!({"retrieval": "AfterCall"});
    stage.apply(&manifest).await;
    stage.ready("acme").await;
    // More calls than the share is for: the controller's own run stops before the part of rings.
    many_calls(&stage, "acme").await;
    stage
        .condition("acme", "Synced", "False", "BudgetExhausted")
        .await;
    let share = 20;
    let before = stage.simulator.used("Acme").unwrap();
    assert!(before <= share / 2, "{before} of {share}");

    // Who rings now has his name all the same.
    let lookup = stage.directory("acme", "lookup").await;
    let wait = std::time::Duration::from_secs(10);
    let caller = lookup.caller(world::ON_CONTACT, wait).await.unwrap();
    let Caller::Known(contact) = caller else {
        panic!("{caller:?}")
    };
    assert_eq!(contact.person_name.as_deref(), Some("Hanako Sato"));
    assert_eq!(stage.simulator.used("Acme").unwrap(), before + 1);
    // Strangers use up that part, too, and no more: then who asks is told why.
    let mut told = None;
    for stranger in 0..20 {
        let number = format!("06{:08}", 80_000_000 + stranger * 37);
        let caller = lookup.caller(&number, wait).await.unwrap();
        let Caller::Nobody(problem) = caller else {
            panic!("{caller:?}")
        };
        if problem.code == "budget-exhausted" {
            told = Some(stranger);
            break;
        }
    }
    assert!(told.is_some_and(|stranger| stranger > 0), "{told:?}");
    let used = stage.simulator.used("Acme").unwrap();
    assert!(used <= share, "{used} of {share}");
    stage.end().await;
}

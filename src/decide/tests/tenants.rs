//! Many tenants of one org, over days.

use k8s_openapi::api::core::v1::Pod;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::budget::{DAY, allowance, of_org, run};
use super::*;
use crate::decide::rules::budget;
use crate::decide::rules::schedule::Cadence;
use crate::decide::runs::judge_pod;

/// Each run uses all that it may, over three days.
#[test]
fn twenty_greedy_tenants_of_a_developer_org_stay_within_their_shares_in_any_24_hours() {
    const LIMIT: u64 = 15_000;
    let share = budget::share(LIMIT, 20, 380);
    let mut made: Vec<Vec<(i64, u64)>> = vec![];
    for tenant in 0..20 {
        let mut world = World::new();
        world.resource.metadata.uid = Some(format!("uid-{tenant}"));
        world.neighbours.count = 19;
        world.neighbours.percent = 380;
        let mut calls = vec![];
        let mut next_reconcile = 0;
        for minute in 0..3 * 24 * 60 {
            world.now = minute * 60;
            let settings = Settings::read(&world.resource.spec).unwrap();
            let cadence = Cadence::of(&settings, &world.uid(), Duration::from_secs(1_800), false);
            let due = cadence
                .and_then(|cadence| cadence.next(at(world.now - 60), &jiff::tz::TimeZone::UTC));
            world.ended_runs.clear();
            if due == Some(at(world.now)) && world.suspended() == Some(false) {
                let most = allowance(&world).unwrap();
                calls.push((world.now, most));
                let job = format!("run-{minute}");
                world.now += 40;
                world.ended_runs =
                    vec![run(&world, &job, world.now, Outcome::BudgetExhausted, most)];
            } else if world.now < next_reconcile {
                continue;
            }
            let before = world.proofs;
            let plan = world.step(Ok(of_org(LIMIT, world.now)));
            next_reconcile = world.now + plan.requeue_after.as_secs() as i64;
            if world.proofs > before {
                calls.push((world.now, 3));
            }
        }
        made.push(calls);
    }
    for (tenant, calls) in made.iter().enumerate() {
        for (second, _) in calls {
            let window = (second - DAY + 1)..=*second;
            let used: u64 = calls
                .iter()
                .filter(|(at, _)| window.contains(at))
                .map(|(_, calls)| calls)
                .sum();
            assert!(used <= share, "tenant {tenant} made {used} by {second}");
        }
        let last_day: u64 = calls
            .iter()
            .filter(|(at, _)| *at >= 2 * DAY)
            .map(|(_, calls)| calls)
            .sum();
        assert!(
            last_day > share / 2,
            "tenant {tenant} was let make {last_day}"
        );
    }
}

/// A report as somebody writes it who may write any.
fn any_report() -> impl Strategy<Value = Value> {
    let number = prop_oneof![0..70_u64, Just(u64::MAX), any::<u64>()];
    let second = prop_oneof![-100..400_i64, Just(400_000_000), Just(250_000_000_000)];
    let usage = (number.clone(), number.clone(), second.clone()).prop_map(
        |(used, limit, second)| json!({"used": used, "limit": limit, "observedAt": at(second)}),
    );
    let length = (number.clone(), prop::option::of(number.clone()))
        .prop_map(|(bytes, refused)| json!({"bytes": bytes, "refused": refused}));
    let code = prop_oneof![
        Just("InvalidLogin"),
        Just("UserLockedOut"),
        Just("RunFailed")
    ];
    (
        prop::option::of(usage),
        prop::option::of(length),
        prop::option::of(code),
        number,
        second,
        any::<bool>(),
    )
        .prop_map(|(usage, length, failed, api_calls, second, refused)| {
            let mut report =
                serde_json::to_value(RunReport::begin(RunKind::Lookup, at(0))).unwrap();
            report["usage"] = usage.into();
            report["urlLength"] = length.into();
            report["apiCalls"] = api_calls.into();
            if let Some(code) = failed {
                report["outcome"] = "Failed".into();
                report["error"] = json!({"code": code, "message": "It failed."});
                report["loginRefused"] = refused.into();
            }
            json!({
                "metadata": {
                    "name": "p",
                    "labels": {"switchboard.dev/run": "lookup", "batch.kubernetes.io/job-name": "forged"},
                    "creationTimestamp": at(60),
                },
                "status": {"phase": "Failed", "containerStatuses": [{
                    "name": "worker", "image": "i", "imageID": "", "ready": false, "restartCount": 0,
                    "state": {"terminated": {
                        "exitCode": i32::from(failed.is_some()), "message": report.to_string(),
                        "startedAt": at(60), "finishedAt": at(second),
                    }},
                }]},
            })
        })
}

/// What the controller writes for the second of two tenants who share an org, a user and a
/// credential, at each minute of an hour, while the pods of the first end as `pods` say. Salesforce
/// accepts every log-in; but with `refused`, the second has a credential of its own, which was
/// refused at the start and is to be tested later.
fn written_for_the_other(pods: &[Value], refused: bool) -> Vec<String> {
    let mut one = World::new();
    one.resource.metadata.name = Some("one".into());
    let mut other = World::new();
    other.resource.metadata.uid = Some("other".into());
    let credential = if refused { "f2" } else { "f1" };
    other.credentials = available(credential);
    if refused {
        other.step(Err(Failure {
            meaning: Meaning::InvalidLogin,
            message: "No.".into(),
            phase: Phase::Login,
        }));
    }
    let mut written = vec![];
    for minute in 0..60 {
        let now = minute * 60;
        (one.now, other.now) = (now, now);
        one.ended_runs.clear();
        if minute % 5 == 1
            && let Some(pod) = pods.get(minute as usize / 5)
        {
            let pod: Pod = serde_json::from_value(pod.clone()).unwrap();
            one.ended_runs
                .extend(judge_pod(&pod, at(now)).map(|run| EndedRun {
                    job: format!("run-{minute}"),
                    ..run
                }));
        }
        one.step(Ok(of_org(15_000, now)));
        other.siblings = SiblingLogins::default();
        let status = one.resource.status.as_ref().unwrap();
        other.siblings.add(credential, status);
        other.siblings.add_user("u1", credential, status, at(0));
        if minute == 30 {
            other.ask(TEST_REQUESTED_AT, "now");
        }
        let plan = other.step(Ok(of_org(15_000, now)));
        written.push(format!(
            "{:?} {:?} {:?}",
            plan.status, plan.cron_job, plan.notices
        ));
    }
    written
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn what_pods_of_one_tenant_report_changes_nothing_for_another(
        pods in prop::collection::vec(any_report(), 1..12),
        refused in any::<bool>(),
    ) {
        let without = written_for_the_other(&[], refused);
        let with = written_for_the_other(&pods, refused);
        for (minute, (without, with)) in without.iter().zip(&with).enumerate() {
            prop_assert!(without == with, "minute {minute}: {with}");
        }
    }
}

//! Runs of the controller itself: who may have one, what the status says of them and how often it
//! is written, and what goes to a pod.

use super::*;
use crate::api::conditions::EXCLUSIVE;
use crate::api::status::Spending;
use crate::decide::rules::schedule::Cadence;

/// A healthy integration in a cluster whose controller looks up calls as they end.
fn world() -> World {
    let mut world = World::new();
    world.config.runs_where = RunsWhere::Resident;
    world.resource.metadata.generation = Some(1);
    world.step(Ok(findings()));
    world
}

fn may(world: &World, work: Work) -> Result<Option<u64>, Not> {
    let settings = Settings::read(&world.resource.spec).unwrap();
    let asked = Asked {
        resource: &world.resource,
        settings: &settings,
        config: &world.config,
        work,
        uncounted: world.resident.api_calls(),
        reserved: 0,
    };
    permit(&asked, at(world.now)).map(|permit| permit.settings.max_api_calls)
}

fn looked_up(name: &str, second: i64, calls: u64) -> EndedRun {
    let mut report = RunReport::begin(RunKind::Lookup, at(second));
    report.finished_at = at(second + 1);
    (report.calls, report.numbers, report.unmatched) = (calls, calls, calls);
    report.api_calls = u64::from(calls > 0);
    resident_runs::ended(name.into(), report, "f1".into())
}

fn failing(name: &str, second: i64, code: &str) -> EndedRun {
    let mut report = RunReport::begin(RunKind::Lookup, at(second));
    report.outcome = Outcome::Failed;
    report.error = Some(Note {
        code: code.into(),
        message: "no answer".into(),
    });
    resident_runs::ended(name.into(), report, "f1".into())
}

#[test]
fn the_controller_looks_up_calls_when_a_cron_job_would_not_be_suspended() {
    let mut world = world();
    assert!(may(&world, Work::Calls).is_ok());
    assert_eq!(world.suspended(), Some(false));
    // The tenant wants a process of its own.
    let spec = world.resource.spec.clone();
    let run = crate::api::RunSpec {
        where_: Some(RunWhere::Pod),
        ..crate::api::RunSpec::default()
    };
    world.resource.spec.run = Some(run);
    assert_eq!(may(&world, Work::Calls), Err(Not::Elsewhere));
    world.resource.spec = spec.clone();
    world.config.runs_where = RunsWhere::Pods;
    assert_eq!(may(&world, Work::Calls), Err(Not::Elsewhere));
    world.config.runs_where = RunsWhere::Resident;
    world.resource.spec.suspend = true;
    assert_eq!(
        may(&world, Work::Calls),
        Err(Not::Unready("Suspended".into()))
    );
    world.resource.spec = spec.clone();
    world.resource.spec.contacts.retrieval = Retrieval::Daily;
    assert_eq!(may(&world, Work::Calls), Err(Not::OnSchedule));
    assert!(
        may(&world, Work::Rings).is_ok(),
        "a ring is answered all the same"
    );
    world.resource.spec = spec;
    world.resource.metadata.generation = Some(2);
    assert_eq!(may(&world, Work::Calls), Err(Not::Pending));
    world.resource.metadata.generation = Some(1);
    world.now = 4_000;
    world.step(refused());
    assert_eq!(
        may(&world, Work::Calls),
        Err(Not::Unready("InvalidLogin".into()))
    );
    assert_eq!(world.suspended(), Some(true));
}

#[test]
fn the_last_fifth_of_the_budget_is_for_rings() {
    let mut world = world();
    let share = world
        .resource
        .status
        .as_ref()
        .and_then(|status| status.api_budget.as_ref()?.share)
        .unwrap();
    let spend = |world: &mut World, calls: u64| {
        let status = world.resource.status.as_mut().unwrap();
        status.api_budget.get_or_insert_default().spent = vec![Spending {
            at: Time(at(0)),
            calls,
            proofs: 0,
        }];
    };
    let proofs = 144;
    spend(&mut world, share - share / 5 - proofs - 10);
    assert_eq!(may(&world, Work::Calls), Ok(Some(10)));
    assert_eq!(may(&world, Work::Rings), Ok(Some(share / 5 + 10)));
    // What ran since the status was written counts, too.
    world.resident.add(looked_up("a", 1, 3));
    assert_eq!(may(&world, Work::Calls), Ok(Some(9)));
    spend(&mut world, share - share / 5 - proofs);
    assert!(matches!(
        may(&world, Work::Calls),
        Err(Not::BudgetExhausted(Some(_)))
    ));
    assert!(may(&world, Work::Rings).is_ok());
    spend(&mut world, share);
    assert!(may(&world, Work::Rings).is_err());
    // The tenant is told, and pods wait as well.
    world.now = 10;
    world.resident = Unwritten::NONE;
    world.step(Ok(findings()));
    assert_eq!(
        world.condition(SYNCED),
        Some((Truth::False, "BudgetExhausted".into()))
    );
    assert_eq!(world.suspended(), Some(true));
}

#[test]
fn the_cron_job_after_calls_is_a_sweep_once_a_day_and_shows_when_it_does_not_come() {
    let mut world = world();
    let schedule = world.cron_jobs[0].spec.as_ref().unwrap().schedule.clone();
    assert!(schedule.ends_with(" * * *"), "{schedule}");
    assert!(!schedule.contains('/'), "{schedule}");
    let settings = Settings::read(&world.resource.spec).unwrap();
    let cadence = Cadence::of(&settings, &world.uid(), world.config.daily_window, true).unwrap();
    let next = cadence.next(at(0), &settings.time_zone).unwrap();
    let status = world.resource.status.as_ref().unwrap();
    assert_eq!(status.next_run.as_ref().map(|next| next.0), Some(next));
    // Runs of the controller every hour do not hide that the sweep does not come.
    let sweep = next.duration_since(at(0)).as_secs();
    world.now = 60;
    while world.now < sweep + 3_600 {
        world
            .resident
            .add(looked_up(&format!("r{}", world.now), world.now, 1));
        world.step(Ok(findings()));
        world.now += 3_600;
    }
    world.now = sweep + 3_700;
    world.step(Ok(findings()));
    assert_eq!(
        world.condition(SYNCED),
        Some((Truth::False, "RunOverdue".into()))
    );
    // It comes.
    world.cron_jobs[0].status = Some(k8s_openapi::api::batch::v1::CronJobStatus {
        last_schedule_time: Some(Time(at(sweep + 3_700))),
        ..Default::default()
    });
    let ended = EndedRun {
        finished_at: at(sweep + 3_800),
        ..ended("acme-lookup-1", sweep + 3_800, "Succeeded")
    };
    world.ended_runs = vec![ended];
    world.now = sweep + 3_900;
    world.step(Ok(findings()));
    assert_eq!(
        world.condition(SYNCED),
        Some((Truth::True, "RunSucceeded".into()))
    );
}

#[test]
fn counts_are_written_once_a_minute_and_an_outcome_at_once() {
    let mut world = world();
    let before = |world: &World| world.resource.status.clone();
    world.now = 10;
    world.resident.add(looked_up("a", 9, 2));
    let plan = world.step(Ok(findings()));
    let last = plan.status.last_run.as_ref().unwrap();
    assert_eq!((last.where_, last.calls), (RunWhere::Resident, 2));
    assert_eq!(plan.ended_runs.len(), 1);
    let first = before(&world);
    world.now = 20;
    world.resident.add(looked_up("b", 19, 3));
    let plan = world.step(Ok(findings()));
    assert_eq!(before(&world), first, "nothing but counts has changed");
    assert!(
        plan.requeue_after.as_secs() <= 52,
        "{:?}",
        plan.requeue_after
    );
    world.now = 40;
    world.resident.add(looked_up("c", 39, 4));
    world.now = 71;
    let plan = world.step(Ok(findings()));
    let last = plan.status.last_run.as_ref().unwrap();
    assert_eq!((last.calls, last.api_calls, &*last.job), (7, 2, "c"));
    let counted = plan.status.api_usage.as_ref().unwrap();
    assert_eq!(
        counted.by_this_integration,
        3 + 3,
        "3 of the proof, 3 of the runs"
    );
    // A failure is told at once, and so is its end, although nobody called.
    world.now = 75;
    world.resident.add(failing("d", 74, "Unreachable"));
    let plan = world.step(Ok(findings()));
    assert_eq!(plan.status.errors[0].code, "Unreachable");
    assert_eq!(
        world.condition(SYNCED),
        Some((Truth::False, "RunFailed".into()))
    );
    world.now = 80;
    world.resident.add(looked_up("e", 79, 0));
    world.step(Ok(findings()));
    assert_eq!(
        world.condition(SYNCED),
        Some((Truth::True, "RunSucceeded".into()))
    );
    let quiet = before(&world);
    world.now = 1_000;
    world.resident.add(looked_up("f", 999, 0));
    world.step(Ok(findings()));
    assert_eq!(before(&world), quiet, "nothing was done");
}

#[test]
fn a_run_that_was_not_answered_comes_at_once_when_salesforce_answers_again() {
    let mut world = world();
    world.now = 60;
    world.resident.add(failing("a", 59, "Unreachable"));
    assert!(!world.step(Ok(findings())).run_again);
    let silent = recovery::silent_since(world.resource.status.as_ref().unwrap());
    assert_eq!(silent, Some(at(60)));
    world.answers_again = true;
    assert!(world.step(Ok(findings())).run_again);
    assert_eq!(world.proofs, 1, "the connection is not proved for that");
    world.resource.spec.suspend = true;
    assert!(!world.step(Ok(findings())).run_again);
    world.resource.spec.suspend = false;
    // Where the connection was not answered either, the run follows the proof.
    world.now = 4_000;
    let plan = world.step(unreachable());
    assert_eq!(
        world.condition(CONNECTED),
        Some((Truth::False, "Unreachable".into()))
    );
    assert!(!plan.run_again);
    assert!(world.step(Ok(findings())).run_again);
    // Other failures have nothing to do with it.
    world.now = 4_100;
    world.resident.add(failing("b", 4_099, "QueryTimeout"));
    assert!(!world.step(Ok(findings())).run_again);
}

#[test]
fn requests_in_vain_are_written_once_an_hour_and_count_meanwhile() {
    let mut world = world();
    let in_vain = |second: i64| {
        let mut run = looked_up(&format!("r{second}"), second, 0);
        run.report.as_mut().unwrap().api_calls = 1;
        run
    };
    world.now = 10;
    world.resident.add(looked_up("a", 9, 1));
    world.step(Ok(findings()));
    let Ok(Some(free)) = may(&world, Work::Calls) else {
        panic!("it may")
    };
    let before = world.resource.status.clone();
    for minutes in [20, 40, 59] {
        world.now = 60 * minutes;
        world.resident.add(in_vain(world.now - 1));
        world.step(Ok(findings()));
    }
    let spent = |status: &Option<SalesforceIntegrationStatus>| {
        let kept = status.as_ref().unwrap().api_budget.clone();
        kept.unwrap().spent
    };
    let (last, spent_before) = (&world.resource.status, spent(&before));
    assert_eq!(spent(last), spent_before, "nothing is written");
    assert_eq!(
        may(&world, Work::Calls),
        Ok(Some(free - 3)),
        "and all counts"
    );
    world.now = 3_700;
    let plan = world.step(Ok(findings()));
    assert!(plan.takes_resident);
    assert_eq!(plan.status.last_run.unwrap().api_calls, 3);
    assert_eq!(world.resident.api_calls(), 0);
}

#[test]
fn a_controller_that_starts_does_not_prove_at_once_what_runs_had_stood_for() {
    let mut world = world();
    world.now = 1_000;
    world.resident.add(looked_up("a", 999, 1));
    world.step(Ok(findings()));
    // For an hour runs found nothing, and the status does not tell of them.
    let start = 1_000 + 3_600;
    world.leader_since = at(start);
    world.now = start + 1_700;
    assert_eq!(world.decide(None).prove, None);
    world.now = start + 3_000;
    assert_eq!(world.decide(None).prove, Some(Cause::Due));
    // It may have done nothing for longer than an hour.
    world.leader_since = at(start + 7_200);
    world.now = start + 7_200;
    assert_eq!(world.decide(None).prove, Some(Cause::Due));
}

#[test]
fn what_is_too_big_becomes_a_job_once_and_waits_for_one_that_runs() {
    let mut world = world();
    let too_big = |id: &str| {
        Some(HandOver {
            id: id.into(),
            why: TooBig::Numbers,
        })
    };
    world.hand_over = too_big("1");
    let plan = world.step(Ok(findings()));
    let job = plan.run.unwrap();
    assert!(job.name_any().starts_with("acme-lookup-"));
    let settings = serde_json::to_string(&job.spec).unwrap();
    assert!(
        !settings.contains("reRetrieve"),
        "it asks for nothing again"
    );
    assert_eq!(plan.notices[0].reason, Reason::RunStarted);
    assert!(world.step(Ok(findings())).run.is_none());
    world.active_jobs = vec![Arc::new(job)];
    world.hand_over = too_big("2");
    assert!(world.step(Ok(findings())).run.is_none(), "one is enough");
    assert_eq!(world.hand_over, None);
}

#[test]
fn a_run_that_waits_for_a_session_has_it_proved_and_a_refusal_ends_that() {
    let mut world = world();
    world.now = 60;
    world.session_wanted = true;
    world.step(refused());
    assert_eq!(world.proofs, 2);
    assert_eq!(
        world.condition(CONNECTED),
        Some((Truth::False, "InvalidLogin".into()))
    );
    world.now = 120;
    world.step(Ok(findings()));
    assert_eq!(world.proofs, 2, "a refused log-in is not repeated");
}

/// Plays a day of tenants that share a credential; returns the API calls of all proofs.
fn day_of_proofs(tenants: usize) -> u64 {
    let mut worlds: Vec<World> = (0..tenants)
        .map(|tenant| {
            let mut world = world();
            world.resource.metadata.uid = Some(format!("uid-{tenant}"));
            world
        })
        .collect();
    // What the controller knows of the credential: when it last proved it, and looked at all.
    let (mut proved_at, mut looked_at_all) = (at(0), 0);
    let mut calls = 0;
    let mut next = vec![0; tenants];
    while let Some((tenant, now)) = next
        .iter()
        .copied()
        .enumerate()
        .min_by_key(|(_, next)| *next)
        .filter(|(_, now)| *now < 24 * 3_600)
    {
        let world = &mut worlds[tenant];
        world.now = now;
        world.worked_at = Some(proved_at);
        let mut plan = world.decide(None);
        if let Some(cause) = plan.prove {
            let settings = Settings::read(&world.resource.spec).unwrap();
            let status = world.resource.status.as_ref();
            let last = status.and_then(|status| status.connection.as_ref());
            let since = shared_since(cause, last, &settings, at(now));
            let cost = match since {
                Some(since) if proved_at >= since => 0,
                _ if now - looked_at_all >= 24 * 3_600 => {
                    looked_at_all = now;
                    3
                }
                _ => 1,
            };
            if cost > 0 {
                proved_at = at(now);
            }
            calls += cost;
            let proof = Proof {
                at: proved_at,
                fingerprint: "f1".into(),
                calls: cost,
                outcome: Ok(findings().into()),
            };
            plan = world.decide(Some(&proof));
            world.resource.status = Some(plan.status);
        }
        next[tenant] = now + plan.requeue_after.as_secs().max(1) as i64;
    }
    calls
}

#[test]
fn however_many_share_a_credential_a_day_of_proofs_costs_48_calls_at_most() {
    for tenants in [1, 2, 20] {
        let calls = day_of_proofs(tenants);
        println!("{tenants} tenants on one credential, nobody calling: {calls} calls a day");
        assert!((20..=48).contains(&calls), "{tenants}: {calls}");
    }
}

#[test]
fn after_a_failure_nothing_stands_for_a_proof_but_a_proof_of_its_own() {
    let mut world = world();
    let settings = Settings::read(&world.resource.spec).unwrap();
    let since = |world: &World, cause| {
        let last = world.resource.status.as_ref()?.connection.as_ref();
        shared_since(cause, last, &settings, at(world.now))
    };
    assert!(since(&world, Cause::Due).is_some());
    assert_eq!(since(&world, Cause::Requested), None);
    let failure = Failure {
        meaning: Meaning::Unreachable,
        message: "Salesforce does not answer.".into(),
        phase: Phase::Request,
    };
    let proof = Proof {
        at: at(world.now),
        fingerprint: "f1".into(),
        calls: 0,
        outcome: Err(failure),
    };
    world.resource.status = Some(world.decide(Some(&proof)).status);
    assert_eq!(since(&world, Cause::Due), None);
}

#[test]
fn where_a_clash_of_users_is_a_warning_only_that_clash_is() {
    let mut world = world();
    let mut permitted = |conflicts, reason| {
        world.config.call_center_conflicts = conflicts;
        let status = world.resource.status.get_or_insert_default();
        let verdict = Verdict::fails(reason, "so");
        conditions::set(&mut status.conditions, EXCLUSIVE, verdict, Some(1), at(0));
        may(&world, Work::Calls).is_ok()
    };
    assert!(permitted(
        CallCenterConflicts::Warn,
        Reason::UserInOtherCallCenter
    ));
    assert!(!permitted(
        CallCenterConflicts::Warn,
        Reason::CompanyIdTaken
    ));
    assert!(!permitted(
        CallCenterConflicts::Block,
        Reason::UserInOtherCallCenter
    ));
}

//! The runs: their results, what starts one, and when one is missed.

use super::*;

#[test]
fn the_report_of_a_run_becomes_last_run_and_synced_once() {
    let mut world = World::healthy();
    world.now = 60;
    world.ended_runs = vec![ended("acme-lookup-1", 50, "Succeeded")];
    world.step(Ok(findings()));
    assert_eq!(
        world.condition(SYNCED),
        Some((Truth::True, "RunSucceeded".into()))
    );
    world
        .ended_runs
        .push(ended("acme-lookup-2", 110, "WorkerKilled"));
    world.now = 120;
    let plan = world.step(Ok(findings()));
    assert_eq!(
        world.condition(SYNCED),
        Some((Truth::False, "RunFailed".into()))
    );
    assert_eq!(
        (
            plan.status.last_run.as_ref().unwrap().job.as_str(),
            plan.status.errors[0].count
        ),
        ("acme-lookup-2", 1)
    );
    assert_eq!(
        (world.condition(STALLED), world.suspended()),
        (None, Some(false)),
        "a failed run must be able to recover by the next"
    );
    let plan = world.step(Ok(findings()));
    assert_eq!(
        (plan.status.errors[0].count, plan.notices.len()),
        (1, 0),
        "the same run is not counted twice"
    );
    world
        .ended_runs
        .push(ended("acme-lookup-3", 170, "Succeeded"));
    world.now = 180;
    world.step(Ok(findings()));
    assert_eq!(world.condition(READY).unwrap().0, Truth::True);
}

#[test]
fn of_two_runs_that_end_within_one_second_the_one_that_started_later_is_the_last() {
    let mut world = World::healthy();
    world.now = 60;
    world.ended_runs = vec![ended("z-began-first", 50, "WorkerKilled")];
    world.step(Ok(findings()));
    let second = EndedRun {
        started_at: Some(at(49)),
        ..ended("a-began-second", 50, "Succeeded")
    };
    world.ended_runs.push(second);
    let plan = world.step(Ok(findings()));
    assert_eq!(plan.status.last_run.unwrap().job, "a-began-second");
    let plan = world.step(Ok(findings()));
    assert_eq!(plan.status.last_run.unwrap().job, "a-began-second");
    assert_eq!(plan.status.errors[0].count, 1);
}

#[test]
fn a_run_that_was_heard_of_late_counts_and_is_not_the_last() {
    let used = |world: &World| {
        let status = world.resource.status.as_ref().unwrap();
        status.api_usage.as_ref().unwrap().by_this_integration
    };
    let mut world = World::healthy();
    world.now = 60;
    world.ended_runs = vec![ended("last", 50, "Succeeded")];
    world.step(Ok(findings()));
    let before = used(&world);

    world.ended_runs = vec![ended("late", 40, "WorkerKilled")];
    world.leader_since = at(45);
    world.step(Ok(findings()));
    assert_eq!(
        used(&world),
        before,
        "it ended before this controller led: another may have counted it"
    );
    world.leader_since = at(30);
    let plan = world.step(Ok(findings()));
    // It lasted three seconds and left no report.
    assert_eq!(used(&world), before + 40);
    assert_eq!(plan.status.last_run.unwrap().job, "last");
    assert_eq!(
        (plan.status.errors[0].code.as_str(), plan.notices.len()),
        ("WorkerKilled", 1)
    );
    assert_eq!(
        world.condition(SYNCED),
        Some((Truth::True, "RunSucceeded".into()))
    );
}

/// A run whose log-in was refused.
fn log_in_refused(job: &str, second: i64) -> EndedRun {
    let mut report = RunReport::begin(RunKind::Lookup, at(second - 3));
    report.outcome = Outcome::Failed;
    report.error = Some(Note {
        code: "InvalidLogin".into(),
        message: "refused".into(),
    });
    report.login_refused = true;
    EndedRun {
        report: Some(report),
        ..ended(job, second, "InvalidLogin")
    }
}

#[test]
fn a_log_in_refused_to_a_worker_suspends_the_runs_and_is_not_repeated() {
    let mut world = World::healthy();
    world.now = 60;
    world.ended_runs = vec![log_in_refused("acme-lookup-1", 50)];
    world.step(Ok(findings()));
    assert_eq!(
        (world.condition(READY), world.suspended()),
        (Some((Truth::False, "InvalidLogin".into())), Some(true))
    );
    assert_eq!(world.proofs, 2, "the controller logs in once itself");
    let message = |world: &World| {
        let conditions = &world.resource.status.as_ref().unwrap().conditions;
        conditions::verdict(conditions, CONNECTED).unwrap().message
    };
    assert!(
        message(&world)
            .contains("A log-in of the controller with the same credential was accepted"),
        "{}",
        message(&world)
    );
    world.now = 90_000;
    world.siblings.proved_at = Some(at(80_000));
    world.step(Ok(findings()));
    assert_eq!(world.proofs, 2);
    assert_eq!(world.suspended(), Some(true));
    world.ask(TEST_REQUESTED_AT, "now");
    world.step(Ok(findings()));
    assert_eq!((world.proofs, world.suspended()), (3, Some(false)));
    world.credentials = available("f2");
    world.step(Ok(findings()));
    assert_eq!(
        (world.condition(CONNECTED).unwrap().0, world.suspended()),
        (Truth::True, Some(false))
    );
}

#[test]
fn a_run_that_read_a_password_which_was_corrected_says_nothing_about_the_right_one() {
    let mut world = World::healthy();
    world.now = 40;
    world.credentials = available("f2");
    world.step(refused());
    world.now = 44;
    world.credentials = available("f1");
    world.step(Ok(findings()));
    assert_eq!(world.condition(READY).unwrap().0, Truth::True);
    let proofs = world.proofs;
    world.now = 60;
    world.ended_runs = vec![EndedRun {
        started_at: Some(at(41)),
        ..log_in_refused("acme-lookup-1", 50)
    }];
    world.step(Ok(findings()));
    assert_eq!(
        (world.condition(CONNECTED).unwrap().0, world.suspended()),
        (Truth::True, Some(false))
    );
    assert_eq!(
        world.condition(SYNCED),
        Some((Truth::False, "RunFailed".into()))
    );
    assert_eq!(world.proofs, proofs, "nothing has to be proved again");
    // One that began when the right one was proved read that.
    world.now = 70;
    world.ended_runs.push(EndedRun {
        started_at: Some(at(45)),
        ..log_in_refused("acme-lookup-2", 65)
    });
    world.step(Ok(findings()));
    assert_eq!(world.suspended(), Some(true));
}

#[test]
fn a_refusal_that_a_run_reports_is_nobody_elses_until_the_controller_has_it_too() {
    let others_know = |world: &World| {
        let mut siblings = SiblingLogins::default();
        let status = world.resource.status.as_ref().unwrap();
        siblings.add("f1", status);
        siblings.add_user("u1", "f1", status, at(0));
        (siblings.refusal.is_some(), siblings.user_refusals.len())
    };
    let away = || Failure {
        meaning: Meaning::Unreachable,
        message: "away".into(),
        phase: Phase::Login,
    };
    let refused = || Failure {
        meaning: Meaning::InvalidLogin,
        message: "refused".into(),
        phase: Phase::Login,
    };
    let mut world = World::healthy();
    world.now = 60;
    world.ended_runs = vec![log_in_refused("acme-lookup-1", 50)];
    world.step(Err(away()));
    assert_eq!((world.proofs, world.suspended()), (2, Some(true)));
    assert_eq!(others_know(&world), (false, 0));
    world.now = 62;
    world.step(Err(refused()));
    assert_eq!(world.proofs, 2, "what passes is waited for");
    world.now = 300;
    world.step(Err(refused()));
    assert_eq!((world.proofs, world.suspended()), (3, Some(true)));
    assert_eq!(others_know(&world), (true, 1));
    world.now = 90_000;
    world.step(Ok(findings()));
    assert_eq!(world.proofs, 3, "not repeated by itself");
}

#[test]
fn a_run_is_started_once_for_a_wish_and_refused_in_words_when_it_cannot_start() {
    let mut world = World::healthy();
    world.ask(RUN_REQUESTED_AT, "one");
    let plan = world.step(Ok(findings()));
    assert!(
        plan.run
            .is_some_and(|job| job.name_any().starts_with("acme-lookup-"))
    );
    assert!(world.step(Ok(findings())).run.is_none());
    world.now += 20;
    world.credentials = Credentials::NotFound { secret: "s".into() };
    world.ask(RUN_REQUESTED_AT, "two");
    let plan = world.step(Ok(findings()));
    assert!(
        plan.run.is_none()
            && plan
                .notices
                .iter()
                .any(|notice| notice.reason == "RunRefused")
    );
}

fn settings_of(job: &Job) -> serde_json::Value {
    let spec = job.spec.as_ref().unwrap().template.spec.as_ref().unwrap();
    let env = spec.containers[0].env.as_ref().unwrap();
    serde_json::from_str(env[0].value.as_ref().unwrap()).unwrap()
}

#[test]
fn a_run_on_request_asks_for_the_history_again_and_a_scheduled_one_does_not() {
    let mut world = World::healthy();
    world.resource.spec.contacts.history = "7d".into();
    world.ask(RUN_REQUESTED_AT, "one");
    let plan = world.step(Ok(findings()));
    let asked = settings_of(&plan.run.unwrap());
    assert_eq!(asked["reRetrieve"]["historyDays"], 7);
    let template = plan.cron_job.unwrap().spec.unwrap().job_template;
    let scheduled = settings_of(&Job {
        spec: template.spec,
        ..Job::default()
    });
    assert_eq!(scheduled.get("reRetrieve"), None);
    assert_eq!(scheduled["matchSettings"], asked["matchSettings"]);
    world.ask(RUN_REQUESTED_AT, "two");
    world.now += 60;
    let other = settings_of(&world.step(Ok(findings())).run.unwrap());
    assert_ne!(
        other["reRetrieve"]["request"],
        asked["reRetrieve"]["request"]
    );
}

#[test]
fn a_second_request_within_15_seconds_is_answered_by_the_run_under_way() {
    let handled = |world: &World| {
        let status = world.resource.status.as_ref().unwrap();
        status.last_handled_run_at.clone()
    };
    let mut world = World::healthy();
    world.ask(RUN_REQUESTED_AT, "one");
    let job = world.step(Ok(findings())).run.unwrap().name_any();
    world.ask(RUN_REQUESTED_AT, "two");
    world.now += 14;
    let plan = world.step(Ok(findings()));
    assert!(plan.run.is_none());
    assert_eq!(handled(&world).as_deref(), Some("two"));
    assert!(plan.notices[0].note.contains(&job), "{:?}", plan.notices);

    world.ask(RUN_REQUESTED_AT, "three");
    world.now += 1;
    assert!(
        world.step(Ok(findings())).run.is_some(),
        "15 seconds are over"
    );
    world.ask(RUN_REQUESTED_AT, "four");
    world.now += 1;
    assert!(world.step(Ok(findings())).run.is_none());
    let status = world.resource.status.clone().unwrap();
    let under_way = status.requested_run.unwrap().job;
    world.ended_runs = vec![ended(&under_way, world.now, "Succeeded")];
    world.ask(RUN_REQUESTED_AT, "five");
    world.now += 1;
    assert!(
        world.step(Ok(findings())).run.is_some(),
        "a run that has ended answers nothing"
    );
}

/// The controller was killed between a Job and the status that names it: the status went on with
/// the run before, whose Job no other run in the status told to be over.
#[test]
fn a_run_that_ended_answers_no_request_though_another_one_was_the_last() {
    let mut world = World::healthy();
    world.ask(RUN_REQUESTED_AT, "one");
    let first = world.step(Ok(findings())).run.unwrap().name_any();
    world.now += 2;
    world.ended_runs = vec![ended(&first, world.now, "Succeeded")];
    world.step(Ok(findings()));
    world.now += 3;
    world.ended_runs = vec![ended("of nobody's status", world.now, "Succeeded")];
    world.recorded_jobs = BTreeSet::from([first.clone()]);
    world.ask(RUN_REQUESTED_AT, "two");
    let second = world.step(Ok(findings())).run.map(|job| job.name_any());
    assert!(second.is_some_and(|second| second != first));
}

#[test]
fn a_run_that_never_comes_is_overdue() {
    let mut world = World::healthy();
    world.resource.spec.interval = "24h".into();
    world.now = 5 * 60 + 30 * 60 + 600 + 60;
    world.step(Ok(findings()));
    assert_eq!(
        world.condition(SYNCED),
        Some((Truth::False, "RunOverdue".into()))
    );
    world.ended_runs = vec![ended("late", world.now + 30, "Succeeded")];
    world.now += 60;
    world.step(Ok(findings()));
    assert_eq!(world.condition(READY).unwrap().0, Truth::True);
}

#[test]
fn a_run_that_does_not_begin_is_looked_at_and_its_time_does_not_stand_in_the_past() {
    let mut world = World::healthy();
    let plan = world.step(Ok(findings()));
    let next = plan.status.next_run.unwrap().0;
    let wait = next.duration_since(at(0)).as_secs() as u64;
    assert_eq!(plan.requeue_after, Duration::from_secs(wait + 15 + 1));
    world.now += wait as i64 + 16;
    let plan = world.step(Ok(findings()));
    assert!(plan.status.next_run.unwrap().0 > at(world.now));
}

#[test]
fn what_pods_report_within_a_minute_is_written_together_while_only_counts_change() {
    let reported = |job: &str, second, calls| {
        let mut report = RunReport::begin(RunKind::Lookup, at(second));
        (report.calls, report.api_calls) = (calls, 1);
        EndedRun {
            report: Some(report),
            ..ended(job, second, "Succeeded")
        }
    };
    let mut world = World::healthy();
    world.leader_since = at(0);
    world.ended_runs = vec![reported("a", 10, 1)];
    world.now = 11;
    assert!(
        !world.step(Ok(findings())).leaves_reports,
        "the first at once"
    );
    world.ended_runs = vec![reported("b", 20, 2)];
    world.now = 21;
    let plan = world.step(Ok(findings()));
    assert!(plan.leaves_reports && plan.ended_runs.is_empty());
    assert_eq!(plan.status.last_run.as_ref().unwrap().job, "a");
    assert!(
        plan.requeue_after.as_secs() <= 51,
        "{:?}",
        plan.requeue_after
    );
    world.ended_runs.push(reported("c", 40, 4));
    world.now = 71;
    let plan = world.step(Ok(findings()));
    assert_eq!(plan.ended_runs.len(), 2);
    assert_eq!(plan.status.last_run.as_ref().unwrap().job, "c");
    let usage = plan.status.api_usage.as_ref().unwrap();
    assert_eq!(usage.by_this_integration, 3 + 3, "each of them counts");
    // A failure is told at once, and what was left with it.
    world.ended_runs = vec![reported("d", 80, 1), ended("e", 82, "PodLost")];
    world.now = 83;
    let plan = world.step(Ok(findings()));
    assert_eq!(plan.ended_runs.len(), 2);
    assert_eq!(
        world.condition(SYNCED),
        Some((Truth::False, "RunFailed".into()))
    );
    world.ended_runs = vec![reported("f", 90, 1)];
    world.now = 91;
    world.step(Ok(findings()));
    assert_eq!(
        world.condition(SYNCED),
        Some((Truth::True, "RunSucceeded".into()))
    );
}

//! The connection: proved, refused, unreachable, requested; and that nothing is done twice.

use super::*;

#[test]
fn a_proved_connection_is_ready_and_shows_org_user_and_usage() {
    let world = World::healthy();
    let status = world.resource.status.as_ref().unwrap();
    assert_eq!(world.condition(READY), Some((Truth::True, "Ready".into())));
    assert_eq!(
        status.organization.as_ref().unwrap().edition.as_deref(),
        Some("Enterprise Edition")
    );
    assert_eq!(
        status.connection.as_ref().unwrap().username.as_deref(),
        Some("integration@acme.example")
    );
    assert_eq!(
        status
            .api_usage
            .as_ref()
            .map(|usage| (usage.used, usage.percent)),
        Some((18, 0))
    );
    assert_eq!(
        (world.suspended(), status.observed_generation),
        (Some(false), Some(1))
    );
    assert!(status.next_run.is_some());
    assert_eq!(world.condition(STALLED), None);
}

#[test]
fn a_steady_state_plans_nothing_new() {
    let mut world = World::healthy();
    world.step(Ok(findings()));
    world.now = 30;
    let before = world.resource.status.clone();
    let plan = world.step(Ok(findings()));
    let mut after = plan.status.clone();
    // The minute of the next run moves with the clock. Everything else stays the same.
    after.next_run = before.as_ref().unwrap().next_run.clone();
    assert_eq!((Some(after), world.proofs), (before, 1));
    assert_eq!(
        (
            plan.notices.as_slice(),
            plan.retire.as_slice(),
            plan.mint_tokens,
            plan.run.is_none()
        ),
        (&[][..], &[][..], false, true)
    );
}

#[test]
fn a_wrong_password_is_tried_once_over_ten_reconciles_and_a_restart() {
    let mut world = World::new();
    let first = world.step(refused());
    for minute in 1..=10 {
        world.now = minute * 3600;
        world.step(refused());
    }
    assert_eq!(world.proofs, 1);
    assert_eq!(
        world.condition(READY),
        Some((Truth::False, "InvalidLogin".into()))
    );
    assert_eq!(
        world.condition(STALLED),
        Some((Truth::True, "InvalidLogin".into()))
    );
    let status = world.resource.status.as_ref().unwrap();
    assert_eq!(status.connection.as_ref().unwrap().failed_logins, 1);
    assert_eq!((status.errors.len(), status.errors[0].count), (1, 1));
    assert!(!status.errors[0].remedy.is_empty());
    assert!(
        first
            .notices
            .iter()
            .any(|notice| notice.warning && notice.reason == "InvalidLogin")
    );
    assert_eq!(world.suspended(), Some(true));
}

#[test]
fn a_corrected_secret_is_proved_at_once_and_ends_the_stall() {
    let mut world = World::new();
    world.step(refused());
    world.credentials = available("f2");
    world.step(Ok(findings()));
    assert_eq!(
        (
            world.proofs,
            world.condition(READY),
            world.condition(STALLED)
        ),
        (2, Some((Truth::True, "Ready".into())), None)
    );
    assert_eq!(world.suspended(), Some(false));
    assert_eq!(
        world
            .resource
            .status
            .as_ref()
            .unwrap()
            .connection
            .as_ref()
            .unwrap()
            .failed_logins,
        0
    );
}

#[test]
fn the_second_refusal_within_the_hour_postpones_what_the_tenant_asks_for() {
    let mut world = World::new();
    world.step(refused());
    world.ask(TEST_REQUESTED_AT, "one");
    world.now = 10;
    world.step(refused());
    assert_eq!(world.proofs, 2);
    world.ask(TEST_REQUESTED_AT, "two");
    world.now = 20;
    let plan = world.step(refused());
    assert_eq!(world.proofs, 2);
    assert!(
        plan.notices
            .iter()
            .any(|notice| notice.reason == "TestPostponed"),
        "{:?}",
        plan.notices
    );
    let connection = plan.status.connection.clone().unwrap();
    assert_eq!(
        (
            connection.next_attempt_at,
            plan.status.last_handled_test_at.as_deref()
        ),
        (Some(Time(at(3600))), Some("two"))
    );
    world.now = 3601;
    world.step(Ok(findings()));
    assert_eq!(
        (world.proofs, world.condition(READY).unwrap().0),
        (3, Truth::True)
    );
}

#[test]
fn fifty_resources_with_one_wrong_password_cost_one_log_in() {
    let mut first = World::new();
    first.step(refused());
    let mut later = World::new();
    later.now = 5;
    later.siblings = SiblingLogins {
        refused_at: vec![at(0)],
        refusal: Some(Refusal {
            at: at(0),
            failure: failed(Meaning::InvalidLogin, Phase::Login),
        }),
        ..SiblingLogins::default()
    };
    later.step(refused());
    assert_eq!(
        (later.proofs, later.condition(READY)),
        (0, Some((Truth::False, "InvalidLogin".into())))
    );
    later.now = 9000;
    later.step(refused());
    assert_eq!(later.proofs, 0);
}

#[test]
fn an_unreachable_salesforce_is_tried_again_with_back_off_and_is_no_stall() {
    let mut world = World::healthy();
    world.now = 3600;
    let plan = world.step(unreachable());
    assert_eq!(
        (world.condition(READY), world.condition(STALLED)),
        (Some((Truth::False, "Unreachable".into())), None)
    );
    assert!(
        plan.requeue_after <= Duration::from_secs(16),
        "{:?}",
        plan.requeue_after
    );
    world.now += plan.requeue_after.as_secs() as i64;
    world.step(Ok(findings()));
    assert_eq!(
        (world.proofs, world.condition(READY).unwrap().0),
        (3, Truth::True)
    );
}

#[test]
fn a_missing_secret_or_key_suspends_the_runs_and_says_which() {
    for (credentials, reason) in [
        (
            Credentials::NotFound { secret: "s".into() },
            "SecretNotFound",
        ),
        (
            Credentials::KeyMissing {
                secret: "s".into(),
                key: "password".into(),
            },
            "SecretKeyMissing",
        ),
        (
            Credentials::KeyInvalid {
                secret: "s".into(),
                key: "password".into(),
                problem: "is empty".into(),
            },
            "SecretKeyInvalid",
        ),
    ] {
        let mut world = World::healthy();
        world.credentials = credentials;
        world.step(Ok(findings()));
        assert_eq!(
            world.condition(CREDENTIALS_AVAILABLE),
            Some((Truth::False, reason.into()))
        );
        assert_eq!(
            (world.condition(READY), world.suspended()),
            (Some((Truth::False, reason.into())), Some(true))
        );
        let errors = world.resource.status.as_ref().unwrap().errors.len();
        world.step(Ok(findings()));
        assert_eq!(
            world.resource.status.as_ref().unwrap().errors.len(),
            errors,
            "told once, not at every look"
        );
        world.credentials = available("f1");
        world.now += 10;
        world.step(Ok(findings()));
        assert_eq!(
            (world.condition(READY), world.suspended()),
            (Some((Truth::True, "Ready".into())), Some(false)),
            "{reason}"
        );
    }
}

#[test]
fn a_refused_secret_that_was_deleted_and_comes_back_is_refused_without_another_log_in() {
    let mut world = World::new();
    world.step(refused());
    world.credentials = Credentials::NotFound { secret: "s".into() };
    world.step(refused());
    world.credentials = available("f1");
    world.step(refused());
    assert_eq!(
        (world.proofs, world.condition(READY)),
        (1, Some((Truth::False, "InvalidLogin".into())))
    );
}

/// Runs that worked, for a day: they stand for proofs, for six hours at most.
#[test]
fn runs_that_work_stand_for_proofs_for_some_hours() {
    let proofs_of_a_day = |every: i64, report: &dyn Fn(i64) -> EndedRun| {
        let mut world = World::healthy();
        for minute in 1..24 * 60 {
            world.now = minute * 60;
            if minute % every == 0 {
                world.ended_runs = vec![report(world.now)];
            }
            world.step(Ok(findings()));
        }
        world.proofs - 1
    };
    let worked = |now: i64| EndedRun {
        report: Some(RunReport {
            api_calls: 1,
            ..RunReport::begin(RunKind::Lookup, at(now))
        }),
        ..ended(&format!("run-{now}"), now, "Succeeded")
    };
    // With a run every five minutes, changes that are followed every 33 are asked for every 35.
    for every in [30, 35, 38] {
        let by_runs = proofs_of_a_day(every, &worked);
        assert!((3..=4).contains(&by_runs), "{every}: {by_runs}");
    }
    let alone = 40..=48;
    for (why, report) in [
        (
            "it asked Salesforce nothing",
            &(|now| EndedRun {
                report: None,
                ..worked(now)
            }) as &dyn Fn(i64) -> EndedRun,
        ),
        ("it failed", &|now| EndedRun {
            outcome: "WorkerKilled".into(),
            ..worked(now)
        }),
        ("it had another credential", &|now| EndedRun {
            credentials_version: Some("f0".into()),
            ..worked(now)
        }),
        ("it began before the proof", &|now| EndedRun {
            started_at: Some(at(-1)),
            ..worked(now)
        }),
    ] {
        let proofs = proofs_of_a_day(30, report);
        assert!(alone.contains(&proofs), "{why}: {proofs}");
    }
}

#[test]
fn who_was_not_answered_is_asked_again_when_others_are_and_who_was_refused_is_not() {
    let mut world = World::healthy();
    world.now = 3_600;
    world.step(unreachable());
    world.now = 3_700;
    for _ in 0..6 {
        world.step(unreachable());
        world.now += 1_000;
    }
    let (asked, now) = (world.proofs, world.now);
    // It would wait for some minutes more.
    world.now = now - 900;
    world.step(Ok(findings()));
    assert_eq!(world.proofs, asked);
    let silent = recovery::silent_since(world.resource.status.as_ref().unwrap());
    assert_eq!(silent, Some(at(3_600)));
    world.answers_again = true;
    let plan = world.step(Ok(findings()));
    assert_eq!(world.proofs, asked + 1);
    assert_eq!(world.condition(READY), Some((Truth::True, "Ready".into())));
    assert!(!plan.run_again, "runs are pods here");
    world.step(Ok(findings()));
    assert_eq!(world.proofs, asked + 1, "once");

    for refusal in [
        failed(Meaning::InvalidLogin, Phase::Login),
        failed(Meaning::LoginRateExceeded, Phase::Login),
        failed(Meaning::RequestLimitExceeded, Phase::Request),
    ] {
        let mut world = World::new();
        world.answers_again = true;
        world.step(Err(refusal));
        for minute in 1..20 {
            world.now = 60 * minute;
            world.step(Ok(findings()));
        }
        assert_eq!(world.proofs, 1);
        let status = world.resource.status.as_ref().unwrap();
        assert_eq!(recovery::silent_since(status), None);
    }
}

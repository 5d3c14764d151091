//! Objects that the cluster refuses: the tenant sees the refusal, the controller tries again, and
//! nothing of the refusal remains after the cluster accepts the object.

use super::*;

fn refused(message: &str) -> Admission {
    Admission::Refused(RefusedObject::CronJob(message.into()))
}

#[test]
fn a_refused_cron_job_is_told_once_and_forgotten_when_it_is_taken() {
    let mut world = World::healthy();
    world.cron_jobs = vec![];
    world.admission = refused("exceeded quota: count/cronjobs.batch");
    let plan = world.step(Ok(findings()));
    assert!(plan.cron_job.is_some(), "it is tried again");
    world.cron_jobs = vec![];
    assert_eq!(plan.status.next_run, None);
    for type_ in [SYNCED, READY] {
        assert_eq!(
            world.condition(type_),
            Some((Truth::False, "RefusedByCluster".into()))
        );
    }
    assert_eq!(
        world.condition(STALLED),
        None,
        "it is tried again by itself"
    );
    let told = &plan.notices[0].note;
    assert!(
        told.contains("exceeded quota: count/cronjobs.batch") && told.contains("platform team"),
        "{told}"
    );
    assert_eq!(plan.status.errors[0].code, "RefusedByCluster");

    for admission in [
        refused("exceeded quota, in other words"),
        Admission::Unknown,
    ] {
        world.admission = admission;
        let plan = world.step(Ok(findings()));
        world.cron_jobs = vec![];
        assert_eq!(world.condition(SYNCED).unwrap().1, "RefusedByCluster");
        assert!(plan.notices.is_empty(), "{:?}", plan.notices);
        assert_eq!(plan.status.errors[0].count, 1);
    }
    world.admission = Admission::Accepted;
    world.step(Ok(findings()));
    assert_eq!(world.condition(READY).unwrap().0, Truth::True);
    assert_eq!(
        world.condition(SYNCED),
        Some((Truth::True, "NoRunYet".into()))
    );
}

#[test]
fn what_a_webhook_says_of_the_token_secret_is_not_repeated() {
    let mut world = World::healthy();
    world.admission = Admission::Refused(RefusedObject::Tokens);
    world.step(Ok(findings()));
    let synced = conditions::verdict(&world.resource.status.as_ref().unwrap().conditions, SYNCED);
    assert_eq!(
        synced.unwrap().message,
        "The cluster refuses the Secret with the directory's tokens."
    );
}

#[test]
fn a_refused_job_is_one_wish_refused_in_the_clusters_words() {
    let mut world = World::healthy();
    world.ask(RUN_REQUESTED_AT, "one");
    let job = world.decide(None).run.unwrap().name_any();
    let message = "exceeded quota: count/jobs.batch".to_owned();
    world.admission = Admission::Refused(RefusedObject::Job(job, message));
    let plan = world.step(Ok(findings()));
    assert!(plan.run.is_none());
    let notice = &plan.notices[0];
    assert_eq!(notice.reason, "RunRefused");
    assert!(notice.note.contains("count/jobs.batch"), "{}", notice.note);
    assert_eq!(plan.status.last_handled_run_at.as_deref(), Some("one"));
    assert_eq!(plan.status.errors[0].code, "RefusedByCluster");
    assert_eq!(world.condition(READY).unwrap().0, Truth::True);
    world.ask(RUN_REQUESTED_AT, "two");
    let before = world.resource.status.clone();
    let plan = world.decide(None).without_run(before.as_ref());
    assert_eq!(
        (plan.run, plan.status, plan.notices),
        (None, before.unwrap(), vec![]),
        "as if the wish were not there yet"
    );
    assert!(world.step(Ok(findings())).run.is_some());
}

#[test]
fn what_is_known_follows_from_what_was_heard() {
    let tokens = || RefusedObject::Tokens;
    let all = [
        Admission::Unknown,
        Admission::Accepted,
        Admission::Failing(3),
        Admission::Refused(tokens()),
    ];
    for before in &all {
        let known = |result, in_status| before.clone().after(result, in_status);
        assert_eq!(known(WriteResult::Unknown, false), *before);
        assert_eq!(
            known(WriteResult::Refused(tokens()), false),
            Admission::Refused(tokens())
        );
    }
    let [unknown, accepted, failing, refused] = all;
    assert_eq!(
        refused.after(WriteResult::Applied, true),
        Admission::Accepted,
        "and the status may say so"
    );
    for before in [unknown, failing] {
        // A controller that has just started reads the refusal from the status.
        assert_eq!(
            before.clone().after(WriteResult::Applied, true),
            Admission::Accepted
        );
        assert_eq!(
            before.after(WriteResult::Applied, false),
            Admission::Unknown
        );
    }
    assert_eq!(
        accepted.after(WriteResult::Applied, false),
        Admission::Unknown
    );
}

#[test]
fn a_cluster_that_goes_on_failing_over_an_object_refuses_it() {
    let failed = || WriteResult::Failed(RefusedObject::CronJob("failed calling webhook".into()));
    let mut known = Admission::Unknown;
    for _ in 0..5 {
        known = known.after(failed(), false);
        assert_eq!(known.verdict(), None, "it may pass");
    }
    known = known.after(failed(), false);
    assert!(known.verdict().is_some());
    known = known.after(failed(), true);
    assert!(known.verdict().is_some());
}

fn not_ours(kind: &'static str, name: &str, whose: Whose) -> Admission {
    Admission::Refused(RefusedObject::NotOurs(NotOurs {
        kind,
        name: name.into(),
        integration: "acme".into(),
        whose,
    }))
}

fn foreign() -> Whose {
    Whose::Foreign { manager: None }
}

#[test]
fn an_object_of_somebody_else_is_named_with_the_way_out_until_it_is_gone() {
    let mut world = World::healthy();
    world.admission = not_ours("Secret", "acme-directory", foreign());
    let plan = world.step(Ok(findings()));
    assert_eq!(world.suspended(), Some(true), "no run mounts it");
    assert_eq!(plan.status.next_run, None);
    for type_ in [SYNCED, READY] {
        let verdict = conditions::verdict(&plan.status.conditions, type_).unwrap();
        assert_eq!(verdict.truth, Truth::False);
        assert_eq!(verdict.reason, "ObjectNotOurs");
        for word in ["Secret \"acme-directory\"", "switchboard.dev/adopt=acme"] {
            assert!(verdict.message.contains(word), "{}", verdict.message);
        }
    }
    assert!(world.condition(STALLED).is_some(), "a person has to act");
    assert_eq!(plan.status.errors[0].code, "ObjectNotOurs");
    let note = &plan.notices[0].note;
    assert!(note.contains("Rename or delete"), "{note}");

    world.admission = Admission::Unknown;
    world.step(Ok(findings()));
    assert_eq!(
        world.condition(SYNCED).unwrap().1,
        "ObjectNotOurs",
        "a controller that has just started knows it from the status"
    );
    world.admission = Admission::Accepted;
    world.step(Ok(findings()));
    assert_eq!(world.condition(READY).unwrap().0, Truth::True);
    assert_eq!(world.condition(STALLED), None);
}

#[test]
fn what_a_deleted_namesake_left_is_waited_for() {
    let mut world = World::healthy();
    world.cron_jobs = vec![];
    world.admission = not_ours("CronJob", "acme-lookup", Whose::Predecessor);
    let plan = world.step(Ok(findings()));
    assert_eq!(
        world.condition(READY),
        Some((Truth::Unknown, "Pending".into()))
    );
    assert_eq!(
        (plan.status.errors.len(), world.condition(STALLED)),
        (0, None)
    );
    world.admission = Admission::Unknown;
    world.step(Ok(findings()));
    assert_eq!(world.condition(READY).unwrap().0, Truth::True);
}

#[test]
fn a_job_of_somebody_else_refuses_one_wish_and_nothing_else() {
    let mut world = World::healthy();
    world.ask(RUN_REQUESTED_AT, "one");
    let job = world.decide(None).run.unwrap().name_any();
    world.admission = not_ours("Job", &job, foreign());
    let plan = world.step(Ok(findings()));
    assert!(plan.run.is_none());
    assert_eq!(plan.notices[0].reason, "RunRefused");
    assert_eq!(plan.status.errors[0].code, "ObjectNotOurs");
    assert_eq!(world.condition(READY).unwrap().0, Truth::True);
}

//! What the cluster does not take: the tenant reads it, it is tried again, and nothing of it stays when it is taken.

use super::*;

fn refused(said: &str) -> Acceptance {
    Acceptance::Refused(RefusedObject::CronJob(said.into()))
}

#[test]
fn a_refused_cron_job_is_told_once_and_forgotten_when_it_is_taken() {
    let mut world = World::healthy();
    world.cron_jobs = vec![];
    world.acceptance = refused("exceeded quota: count/cronjobs.batch");
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

    for acceptance in [
        refused("exceeded quota, in other words"),
        Acceptance::Unheard,
    ] {
        world.acceptance = acceptance;
        let plan = world.step(Ok(findings()));
        world.cron_jobs = vec![];
        assert_eq!(world.condition(SYNCED).unwrap().1, "RefusedByCluster");
        assert!(plan.notices.is_empty(), "{:?}", plan.notices);
        assert_eq!(plan.status.errors[0].count, 1);
    }
    world.acceptance = Acceptance::Accepted;
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
    world.acceptance = Acceptance::Refused(RefusedObject::Tokens);
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
    let said = "exceeded quota: count/jobs.batch".to_owned();
    world.acceptance = Acceptance::Refused(RefusedObject::Job(job, said));
    let plan = world.step(Ok(findings()));
    assert!(plan.run.is_none());
    let told = &plan.notices[0];
    assert_eq!(told.reason, "RunRefused");
    assert!(told.note.contains("count/jobs.batch"), "{}", told.note);
    assert_eq!(plan.status.last_handled_run_at.as_deref(), Some("one"));
    assert_eq!(plan.status.errors[0].code, "RefusedByCluster");
    assert_eq!(world.condition(READY).unwrap().0, Truth::True);
    world.ask(RUN_REQUESTED_AT, "two");
    assert!(world.step(Ok(findings())).run.is_some());
}

#[test]
fn what_is_known_follows_from_what_was_heard() {
    let refused = || RefusedObject::Tokens;
    let all = [
        Acceptance::Unheard,
        Acceptance::Accepted,
        Acceptance::Refused(refused()),
    ];
    for before in &all {
        let known = |attempt, told| before.clone().after(attempt, told);
        assert_eq!(known(None, false), *before);
        assert_eq!(
            known(Some(Err(refused())), false),
            Acceptance::Refused(refused())
        );
    }
    let [unheard, accepted, refused] = all;
    let well = || Some(Ok(()));
    assert_eq!(refused.after(well(), true), Acceptance::Accepted);
    // A controller that has just started reads of it in the status.
    assert_eq!(unheard.clone().after(well(), true), Acceptance::Accepted);
    assert_eq!(unheard.after(well(), false), Acceptance::Unheard);
    assert_eq!(accepted.after(well(), false), Acceptance::Unheard);
}

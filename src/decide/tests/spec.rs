//! The parts of the spec beside the connection: retrieval, suspension, and errors in the spec.

use super::*;
use crate::api::conditions::EXCLUSIVE;
use crate::decide::rules::pods::TenantsMay;

#[test]
fn disabled_retrieval_removes_the_cron_job_and_is_synced() {
    let mut world = World::healthy();
    world.resource.spec.contacts.retrieval = Retrieval::Disabled;
    let plan = world.step(Ok(findings()));
    assert_eq!(plan.retire, [Retire::Delete("acme-lookup".into())]);
    assert_eq!(
        (world.condition(SYNCED), plan.status.next_run),
        (Some((Truth::True, "RetrievalDisabled".into())), None)
    );
}

#[test]
fn a_cron_job_whose_run_goes_on_is_suspended_before_it_is_deleted() {
    let mut world = World::healthy();
    let status = world.cron_jobs[0].status.get_or_insert_default();
    status.active = Some(vec![Default::default()]);
    world.resource.spec.contacts.retrieval = Retrieval::Daily;
    assert_eq!(
        world.decide(None).retire,
        [Retire::Suspend("acme-lookup".into())]
    );
}

#[test]
fn suspend_stops_proofs_and_runs_and_forgets_nothing() {
    let mut world = World::healthy();
    world.resource.spec.suspend = true;
    world.now = 90_000;
    world.step(Ok(findings()));
    assert_eq!((world.proofs, world.suspended()), (1, Some(true)));
    assert_eq!(
        (world.condition(SYNCED), world.condition(READY)),
        (
            Some((Truth::Unknown, "Suspended".into())),
            Some((Truth::Unknown, "Suspended".into()))
        )
    );
    assert!(
        world
            .resource
            .status
            .as_ref()
            .unwrap()
            .organization
            .is_some()
    );
    world.resource.spec.suspend = false;
    world.step(Ok(findings()));
    assert_eq!(world.condition(READY).unwrap().0, Truth::True);
}

#[test]
fn a_zone_that_does_not_exist_is_refused_in_words_that_name_the_field() {
    let mut world = World::new();
    world.resource.spec.contacts.time_zone = "Asia/Tokio".into();
    let plan = world.step(Ok(findings()));
    assert_eq!(
        (
            world.proofs,
            world.condition(READY),
            world.condition(STALLED).is_some()
        ),
        (0, Some((Truth::False, "InvalidSpec".into())), true)
    );
    assert!(
        plan.status.errors[0]
            .message
            .contains("spec.contacts.timeZone")
    );
    world.step(Ok(findings()));
    assert_eq!(world.resource.status.as_ref().unwrap().errors[0].count, 1);
    world.resource.spec.contacts.time_zone = "Asia/Tokyo".into();
    world.step(Ok(findings()));
    assert_eq!(world.condition(READY).unwrap().0, Truth::True);
}

#[test]
fn of_a_spec_that_cannot_be_used_each_condition_says_so() {
    let mut world = World::healthy();
    world.data = Answer::Ours {
        taken_from: None,
        retain_days: None,
    };
    world.resource.spec.call_centers = vec![crate::api::CallCenter {
        name: "support".into(),
        users: vec!["sato@acme.example".into()],
    }];
    world.taken_users = ["sato@acme.example"].into_iter().collect();
    world.step(Ok(findings()));
    assert_eq!(world.condition(EXCLUSIVE).unwrap().0, Truth::False);
    world.resource.metadata.generation = Some(7);
    world.resource.spec.call_centers = vec![];
    world.resource.spec.contacts.time_zone = "Asia/Tokio".into();
    world.taken_users = Users::default();
    world.data = Answer::NotAsked;
    let plan = world.step(Ok(findings()));
    let older = plan.status.conditions.iter();
    let older: Vec<_> = older
        .filter(|condition| condition.observed_generation != Some(7))
        .collect();
    assert!(older.is_empty(), "{older:?}");
    assert_eq!(world.condition(EXCLUSIVE).unwrap().0, Truth::True);
}

#[test]
fn what_a_tenant_may_not_set_of_runs_is_refused_in_words_that_name_the_field() {
    let mut world = World::healthy();
    world.config.tenants_may = Some(TenantsMay::default());
    let run = world.resource.spec.run.get_or_insert_default();
    run.labels = [("team".into(), "sales".into())].into_iter().collect();
    let plan = world.step(Ok(findings()));
    assert_eq!(
        world.condition(READY),
        Some((Truth::False, "InvalidSpec".into()))
    );
    let said = &plan.status.errors[0].message;
    assert!(said.contains("spec.run.labels"), "{said}");
    world.resource.spec.run = None;
    world.step(Ok(findings()));
    assert_eq!(world.condition(READY).unwrap().0, Truth::True);
}

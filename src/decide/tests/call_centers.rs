//! Users that another integration holds, and users that Salesforce has otherwise.

use super::*;
use crate::api::CallCenter;
use crate::api::conditions::{CALL_CENTERS_VERIFIED, EXCLUSIVE};
use crate::salesforce::UserRow;

const CLASH: &str = "UserInOtherCallCenter";

fn with_users(users: &[&str]) -> World {
    let mut world = World::new();
    world.resource.spec.call_centers = vec![CallCenter {
        name: "support".into(),
        users: users.iter().map(|user| (*user).to_owned()).collect(),
    }];
    world
}

fn found(call_center: Option<&str>) -> Result<Findings, Failure> {
    Ok(Findings {
        users: UsersFound::Rows(vec![UserRow {
            username: "sato@acme.example".into(),
            is_active: true,
            call_center_id: call_center.map(Into::into),
        }]),
        ..findings()
    })
}

fn clashing(conflicts: CallCenterConflicts) -> World {
    let mut world = with_users(&["sato@acme.example"]);
    world.config.call_center_conflicts = conflicts;
    world.taken_users = ["sato@acme.example"].into_iter().collect();
    world
}

fn said(world: &World, type_: &str) -> String {
    let status = world.resource.status.as_ref().unwrap();
    let verdict = conditions::verdict(&status.conditions, type_).unwrap();
    format!(
        "{} {}: {}",
        verdict.truth.as_str(),
        verdict.reason,
        verdict.message
    )
}

#[test]
fn a_clash_suspends_the_runs_and_the_proof_goes_on() {
    let mut world = clashing(CallCenterConflicts::Block);
    world.step(found(Some("04v1")));
    assert_eq!(world.condition(READY), Some((Truth::False, CLASH.into())));
    assert!(said(&world, EXCLUSIVE).contains("same org: sato@acme.example."));
    assert_eq!(world.suspended(), Some(true));
    assert_eq!(world.proofs, 1);
    assert!(said(&world, CONNECTED).starts_with("True"));
    assert!(said(&world, CALL_CENTERS_VERIFIED).starts_with("True"));
    world.taken_users = Users::default();
    world.step(unreachable());
    assert_eq!(world.condition(READY), Some((Truth::True, "Ready".into())));
    assert_eq!(world.suspended(), Some(false));
}

#[test]
fn where_the_operator_only_warns_the_runs_go_on_and_ready_tells_of_the_clash() {
    let mut world = clashing(CallCenterConflicts::Warn);
    let plan = world.step(found(Some("04v1")));
    assert_eq!(world.suspended(), Some(false));
    assert_eq!(
        world.condition(EXCLUSIVE),
        Some((Truth::False, CLASH.into()))
    );
    assert!(said(&world, READY).starts_with("True Ready: The connection works. These users"));
    assert_eq!(world.condition(STALLED), None);
    let told = |plan: &Plan| {
        plan.notices
            .iter()
            .filter(|notice| notice.reason == CLASH)
            .count()
    };
    assert_eq!(told(&plan), 1);
    assert_eq!(
        told(&world.step(unreachable())),
        0,
        "once, not at every reconcile"
    );
}

#[test]
fn a_run_may_be_asked_for_only_while_the_clash_does_not_block() {
    for (conflicts, reason) in [
        (CallCenterConflicts::Block, "RunRefused"),
        (CallCenterConflicts::Warn, "RunStarted"),
    ] {
        let mut world = clashing(conflicts);
        world.step(found(None));
        world.ask(RUN_REQUESTED_AT, "now");
        let plan = world.step(unreachable());
        assert!(
            plan.notices.iter().any(|notice| notice.reason == reason),
            "{reason}"
        );
    }
}

#[test]
fn who_lost_the_company_id_hears_of_that_first() {
    let mut world = clashing(CallCenterConflicts::Block);
    world.claim = Claim::TakenElsewhere;
    world.step(found(None));
    assert_eq!(
        world.condition(EXCLUSIVE),
        Some((Truth::False, "CompanyIdTaken".into()))
    );
    assert_eq!((world.proofs, world.suspended()), (0, None));
}

#[test]
fn who_never_logged_in_is_not_told_whose_users_others_have() {
    let mut world = clashing(CallCenterConflicts::Block);
    world.step(refused());
    let guess = said(&world, EXCLUSIVE);
    let mut alone = with_users(&["sato@acme.example"]);
    alone.step(refused());
    assert_eq!(guess, said(&alone, EXCLUSIVE));
    assert!(guess.starts_with("Unknown Pending"));
    assert_eq!(
        world.condition(READY),
        Some((Truth::False, "InvalidLogin".into()))
    );
}

#[test]
fn a_user_that_stands_twice_in_the_spec_is_told_so_before_any_log_in() {
    let mut world = with_users(&["sato@acme.example", "SATO@acme.example"]);
    world.step(refused());
    assert!(
        said(&world, EXCLUSIVE)
            .contains("spec.callCenters names these users more than once: SATO@acme.example.")
    );
}

#[test]
fn users_that_salesforce_has_otherwise_are_a_warning_told_once() {
    let mut world = with_users(&["sato@acme.example"]);
    let plan = world.step(found(None));
    let differ = |plan: &Plan| {
        let told = plan
            .notices
            .iter()
            .filter(|notice| notice.reason == "CallCentersDiffer");
        told.count()
    };
    assert_eq!(differ(&plan), 1);
    assert!(said(&world, CALL_CENTERS_VERIFIED).starts_with("False CallCentersDiffer: In no call"));
    assert_eq!(world.condition(READY), Some((Truth::True, "Ready".into())));
    world.now = 3_600;
    assert_eq!(differ(&world.step(found(None))), 0);
    world.now = 7_200;
    world.step(found(Some("04v1")));
    assert!(said(&world, CALL_CENTERS_VERIFIED).starts_with("True"));
}

#[test]
fn unreadable_call_centers_are_said_and_stop_nothing() {
    let mut world = with_users(&["sato@acme.example"]);
    world.step(Ok(Findings {
        users: UsersFound::Unreadable("No such column".into()),
        ..findings()
    }));
    assert!(said(&world, CALL_CENTERS_VERIFIED).starts_with("Unknown CallCentersUnreadable"));
    assert_eq!(world.suspended(), Some(false));
}

#[test]
fn without_call_centers_there_is_no_such_condition() {
    let mut world = with_users(&["sato@acme.example"]);
    world.step(found(None));
    world.resource.spec.call_centers.clear();
    world.resource.metadata.generation = Some(2);
    world.now = 60;
    world.step(Ok(findings()));
    assert_eq!(world.condition(CALL_CENTERS_VERIFIED), None);
    assert_eq!(
        world.condition(EXCLUSIVE),
        Some((Truth::True, "AsExpected".into()))
    );
}

//! Tokens are revoked on request, once, and only by who holds the company ID.

use jiff::SignedDuration;

use super::*;
use crate::api::TOKENS_NOT_BEFORE;
use crate::decide::revocation::not_before;

fn ask(world: &mut World, value: impl ToString) {
    let annotations = world.resource.annotations_mut();
    annotations.insert(TOKENS_NOT_BEFORE.into(), value.to_string());
}

fn warned(plan: &Plan) -> Vec<&str> {
    let warnings = plan.status.warnings.iter();
    let codes = warnings.map(|warning| warning.code.as_str());
    codes.filter(|code| code.starts_with("Tokens")).collect()
}

#[test]
fn a_time_that_has_passed_revokes_once_and_goes_forward_only() {
    let mut world = World::healthy();
    assert_eq!(world.decide(None).revoke, None);
    ask(&mut world, at(-5));
    assert_eq!(not_before(&world.resource, at(0)), Some(at(-5)));
    let plan = world.decide(None);
    assert_eq!(plan.revoke, Some(at(-5)));
    let event = plan
        .notices
        .iter()
        .find(|one| one.reason == Reason::TokensRevoked);
    assert!(event.is_some(), "{:?}", plan.notices);
    world.resource.status = Some(plan.status);
    assert_eq!(world.decide(None).revoke, None, "it is told");
    ask(&mut world, at(-50));
    assert_eq!(
        world.decide(None).revoke,
        None,
        "an earlier one changes nothing"
    );
    world.resource.annotations_mut().remove(TOKENS_NOT_BEFORE);
    assert_eq!(
        not_before(&world.resource, at(0)),
        Some(at(-5)),
        "it still holds"
    );
    // The directory knows nothing of it under another company ID.
    ask(&mut world, at(-5));
    world.resource.spec.company_id = "birch".into();
    assert_eq!(world.decide(None).revoke, Some(at(-5)));
}

#[test]
fn a_fraction_of_a_second_counts_for_all_of_it() {
    let mut world = World::healthy();
    ask(
        &mut world,
        at(-5)
            .saturating_add(SignedDuration::from_millis(1))
            .unwrap(),
    );
    assert_eq!(world.decide(None).revoke, Some(at(-4)));
}

#[test]
fn the_future_and_nonsense_revoke_nothing_and_get_a_sentence() {
    for (value, part) in [
        (at(61).to_string(), "lies in the future"),
        ("now".into(), "is no time"),
        ("2026-11-29".into(), "is no time"),
        (String::new(), "is no time"),
        ("x".repeat(10_000), "is no time"),
    ] {
        let mut world = World::healthy();
        ask(&mut world, &value);
        let plan = world.decide(None);
        assert_eq!(plan.revoke, None, "{value:.20}");
        assert_eq!(not_before(&world.resource, at(0)), None);
        assert_eq!(warned(&plan), ["TokensNotBeforeInvalid"], "{value:.20}");
        let message = &plan.status.warnings.last().unwrap().message;
        assert!(message.contains(part) && message.len() < 200, "{message}");
        // What is corrected is no warning any more.
        world.resource.status = Some(plan.status);
        ask(&mut world, at(0));
        assert_eq!(warned(&world.decide(None)), [""; 0]);
    }
    let mut world = World::healthy();
    ask(&mut world, at(60));
    assert_eq!(world.decide(None).revoke, Some(at(60)), "clocks differ");
}

#[test]
fn who_does_not_hold_the_company_revokes_nothing() {
    let mut world = World::healthy();
    world.claim = Claim::TakenElsewhere;
    ask(&mut world, at(-5));
    assert_eq!(world.decide(None).revoke, None);
}

#[test]
fn a_directory_that_was_not_told_is_told_again_and_the_status_says_so() {
    let mut world = World::healthy();
    ask(&mut world, at(-5));
    let before = world.resource.status.clone();
    let plan = world.decide(None);
    let plan = plan.without_revocation(before.as_ref(), "it did not answer");
    assert_eq!(plan.status.revoked_tokens, None);
    assert!(
        plan.notices
            .iter()
            .all(|one| one.reason != Reason::TokensRevoked)
    );
    assert_eq!(warned(&plan), ["TokensNotRevoked"]);
    assert!(
        plan.status
            .warnings
            .last()
            .unwrap()
            .message
            .contains("it did not answer")
    );
    world.resource.status = Some(plan.status);
    let plan = world.decide(None);
    assert_eq!(plan.revoke, Some(at(-5)));
    assert_eq!(warned(&plan), [""; 0]);
}

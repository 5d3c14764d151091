//! Nobody gets a stranger's data without a word, and a deletion takes its data with it.

use jiff::SignedDuration;

use super::*;
use crate::api::conditions::{DATA_ERASED, EXCLUSIVE};
use crate::api::status::KeptData;
use crate::api::{ADOPT_DATA, DeletionPolicy, ERASE_DATA};
use crate::decide::data::claim::{self, Other, Question};
use crate::decide::data::erasure::{self, Outcome, PATIENCE, Step};

/// An integration that nobody has looked at before.
fn fresh() -> World {
    World::new()
}

fn ours() -> Answer {
    Answer::Ours {
        taken_from: None,
        retain_days: None,
    }
}

fn other(namespace: &str) -> Other {
    Other {
        uid: "3b0f".into(),
        namespace: namespace.into(),
        name: "left".into(),
    }
}

fn question(world: &World) -> Option<Question> {
    let settings = Settings::read(&world.resource.spec).unwrap();
    claim::question(&world.resource, &settings, at(world.now))
}

fn warned(plan: &Plan) -> Vec<(&str, &str)> {
    let warnings = plan.status.warnings.iter();
    warnings
        .map(|warning| (warning.code.as_str(), warning.message.as_str()))
        .filter(|(code, _)| code.starts_with("Retention"))
        .collect()
}

#[test]
fn the_directory_is_asked_once_and_again_after_a_day_or_a_change() {
    let mut world = fresh();
    let first = question(&world).unwrap();
    assert_eq!(
        first,
        Question {
            adopt: None,
            held_before: false,
            retain_days: None
        }
    );
    world.data = ours();
    world.step(Ok(findings()));
    world.data = Answer::NotAsked;
    assert_eq!(question(&world), None);
    let kept = world.resource.status.clone().unwrap().data.unwrap();
    assert_eq!((kept.since.0, kept.asked_at.0), (at(0), at(0)));

    world.resource.spec.contacts.retain_days = Some(30);
    assert_eq!(question(&world).unwrap().retain_days, Some(30));
    world.resource.spec.contacts.retain_days = None;
    world.now = 24 * 3_600;
    assert!(question(&world).is_some());
    world.data = ours();
    world.step(Ok(findings()));
    let kept = world.resource.status.clone().unwrap().data.unwrap();
    assert_eq!((kept.since.0, kept.asked_at.0), (at(0), at(world.now)));
    assert_eq!(question(&world), None);
}

#[test]
fn an_integration_of_before_the_record_held_its_company() {
    let mut world = World::healthy();
    world.resource.status.as_mut().unwrap().data = None;
    assert!(question(&world).unwrap().held_before, "Exclusive was True");
    world.claim = Claim::TakenElsewhere;
    world.step(Ok(findings()));
    assert!(!question(&world).unwrap().held_before);
}

#[test]
fn who_is_not_the_owner_gets_no_token_and_no_run_and_is_told_what_to_do() {
    for (answer, part) in [
        (Answer::Another(other("elsewhere")), "of another namespace"),
        (
            Answer::Another(other("tenant")),
            "\"left\" of this namespace, with the UID 3b0f",
        ),
        (Answer::Nobody, "from before it kept record"),
    ] {
        let mut world = fresh();
        world.data = answer.clone();
        let plan = world.step(Ok(findings()));
        assert_eq!(world.proofs, 0);
        assert!(!plan.mint_tokens && plan.cron_job.is_none(), "{answer:?}");
        let exclusive = conditions::verdict(&plan.status.conditions, EXCLUSIVE).unwrap();
        assert_eq!(
            (exclusive.truth, exclusive.reason),
            (Truth::False, Reason::DataOfAnother.into())
        );
        assert!(exclusive.message.contains(part), "{}", exclusive.message);
        let elsewhere = matches!(&answer, Answer::Another(other) if other.namespace == "elsewhere");
        for secret in ["3b0f", "left", "elsewhere"] {
            assert!(
                !elsewhere || !exclusive.message.contains(secret),
                "{}",
                exclusive.message
            );
        }
        assert_eq!(world.condition(READY).unwrap().1, Reason::DataOfAnother);
        assert!(conditions::is_true(&plan.status.conditions, STALLED));
        assert!(
            plan.requeue_after <= Duration::from_secs(601),
            "it is looked at again"
        );

        // The annotation gives it.
        world
            .resource
            .annotations_mut()
            .insert(ADOPT_DATA.into(), "3b0f".into());
        assert_eq!(question(&world).unwrap().adopt.as_deref(), Some("3b0f"));
        world.data = Answer::Ours {
            taken_from: Some(other("elsewhere")),
            retain_days: None,
        };
        let plan = world.step(Ok(findings()));
        assert!(plan.mint_tokens);
        let told = plan
            .notices
            .iter()
            .find(|one| one.reason == Reason::DataTakenOver)
            .unwrap();
        assert!(
            told.note.contains("elsewhere/left") && told.note.contains("3b0f"),
            "{told:?}"
        );
        assert_eq!(world.condition(READY).unwrap().0, Truth::True);
    }
}

#[test]
fn a_directory_that_is_away_holds_up_who_is_new_and_nobody_else() {
    let away = || Answer::Unknown("it did not answer".into());
    let mut world = fresh();
    world.data = away();
    let plan = world.step(Ok(findings()));
    assert_eq!(world.proofs, 1, "the connection is proved meanwhile");
    assert!(!plan.mint_tokens);
    assert_eq!(world.suspended(), Some(true));
    assert_eq!(
        world.condition(EXCLUSIVE),
        Some((Truth::Unknown, Reason::DirectoryNotAsked.into()))
    );
    assert_eq!(
        world.condition(READY),
        Some((Truth::Unknown, Reason::DirectoryNotAsked.into()))
    );
    assert!(plan.requeue_after <= Duration::from_secs(16));
    world.data = ours();
    let plan = world.step(Ok(findings()));
    assert!(plan.mint_tokens);
    assert_eq!(world.suspended(), Some(false));

    // Nor does it stop one that has its data, or had it before there was a record.
    for forget in [false, true] {
        let mut world = fresh();
        world.data = ours();
        world.step(Ok(findings()));
        if forget {
            world.resource.status.as_mut().unwrap().data = None;
        }
        world.now = 25 * 3_600;
        world.data = away();
        world.step(Ok(findings()));
        assert_eq!(world.suspended(), Some(false));
        assert_eq!(world.condition(EXCLUSIVE).unwrap().0, Truth::True);
    }
}

#[test]
fn a_retention_beyond_the_operators_or_that_is_not_told_gets_a_sentence() {
    let mut world = fresh();
    world.resource.spec.contacts.retain_days = Some(400);
    world.data = Answer::Ours {
        taken_from: None,
        retain_days: Some(90),
    };
    let plan = world.step(Ok(findings()));
    let [("RetentionShorter", message)] = warned(&plan)[..] else {
        panic!("{:?}", plan.status.warnings)
    };
    assert!(
        message.contains("400") && message.contains("90 days"),
        "{message}"
    );
    world.data = Answer::NotAsked;
    assert_eq!(warned(&world.step(Ok(findings()))).len(), 1, "it stays");
    world.resource.spec.contacts.retain_days = Some(30);
    world.data = Answer::Unknown("it did not answer".into());
    let plan = world.step(Ok(findings()));
    assert_eq!(warned(&plan)[0].0, "RetentionNotTold");
    world.data = Answer::Ours {
        taken_from: None,
        retain_days: Some(30),
    };
    assert_eq!(warned(&world.step(Ok(findings()))), []);
    for wrong in [0, 10_000, u32::MAX] {
        world.resource.spec.contacts.retain_days = Some(wrong);
        let error = Settings::read(&world.resource.spec)
            .unwrap_err()
            .to_string();
        assert!(error.starts_with("spec.contacts.retainDays"), "{error}");
    }
}

#[test]
fn the_finalizer_is_there_with_erase_and_at_no_other_time() {
    let mut world = World::healthy();
    assert_eq!(
        world.decide(None).finalizer,
        None,
        "one that never had it is not touched"
    );
    world.resource.spec.deletion_policy = DeletionPolicy::Erase;
    assert_eq!(world.decide(None).finalizer, Some(true));
    world.resource.metadata.finalizers = Some(vec!["example.com/other".into(), ERASE_DATA.into()]);
    assert_eq!(world.decide(None).finalizer, None);
    world.resource.spec.deletion_policy = DeletionPolicy::Retain;
    assert_eq!(world.decide(None).finalizer, Some(false));
    // Also of a spec that cannot be used otherwise.
    world.resource.spec.contacts.time_zone = "Mars/Olympus".into();
    assert_eq!(world.decide(None).finalizer, Some(false));
}

/// An integration with its data that was deleted at the start.
fn deleted() -> World {
    let mut world = fresh();
    world.data = ours();
    world.step(Ok(findings()));
    let resource = &mut world.resource;
    resource.spec.deletion_policy = DeletionPolicy::Erase;
    resource.metadata.finalizers = Some(vec![ERASE_DATA.into()]);
    resource.metadata.deletion_timestamp = Some(Time(at(0)));
    world
}

fn released(step: Step) -> Option<(bool, Reason)> {
    match step {
        Step::Release(event) => event.map(|(warning, reason, _)| (warning, reason)),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_deletion_waits_for_the_erasure_and_says_why_and_never_for_long() {
    let world = deleted();
    let step =
        |outcome: Option<&Outcome>, second| erasure::step(&world.resource, outcome, at(second));
    let limit = PATIENCE.as_secs();
    assert_eq!(step(None, 0), Step::Erase);
    assert_eq!(
        step(None, limit + 99),
        Step::Erase,
        "it is asked once in any case"
    );
    assert_eq!(
        released(step(Some(&Outcome::Done), 1)),
        Some((false, Reason::CompanyErased))
    );
    let failed = Outcome::Failed("it did not answer".into());
    let Step::Wait { verdict, until } = step(Some(&failed), 5) else {
        panic!()
    };
    assert_eq!(
        (verdict.reason, until),
        (Reason::ErasureWaits.into(), at(15))
    );
    let deadline = (at(0) + SignedDuration::from_secs(limit)).to_string();
    assert!(verdict.message.contains("it did not answer") && verdict.message.contains(&deadline));
    let Step::Wait { until, .. } = step(Some(&failed), limit - 3) else {
        panic!()
    };
    assert_eq!(until, at(limit), "not beyond the deadline");
    for outcome in [&failed, &Outcome::GoesOn] {
        assert_eq!(
            released(step(Some(outcome), limit)),
            Some((true, Reason::CompanyNotErased))
        );
    }
    let Step::Wait { verdict, until } = step(Some(&Outcome::GoesOn), 5) else {
        panic!()
    };
    assert_eq!((verdict.reason, until), (Reason::Erasing.into(), at(5)));
}

#[test]
fn a_deletion_that_has_nothing_to_erase_does_not_wait() {
    // The tenant has thought better of it.
    let mut world = deleted();
    world.resource.spec.deletion_policy = DeletionPolicy::Retain;
    assert_eq!(released(erasure::step(&world.resource, None, at(1))), None);
    // It never held the company: another integration does.
    let mut world = deleted();
    world.resource.metadata.deletion_timestamp = None;
    world.claim = Claim::TakenElsewhere;
    world.resource.status = None;
    world.step(Ok(findings()));
    world.resource.metadata.deletion_timestamp = Some(Time(at(0)));
    assert_eq!(released(erasure::step(&world.resource, None, at(1))), None);
    // What the directory has is another one's.
    let world = deleted();
    let step = erasure::step(&world.resource, Some(&Outcome::NotOurs), at(1));
    assert_eq!(released(step), Some((true, Reason::CompanyNotErased)));
    // Without the finalizer, and while nobody deletes it, there is nothing to do.
    let mut world = deleted();
    world.resource.metadata.finalizers = Some(vec!["example.com/other".into()]);
    assert_eq!(erasure::step(&world.resource, None, at(1)), Step::Nothing);
    let mut world = deleted();
    world.resource.metadata.deletion_timestamp = None;
    assert_eq!(erasure::step(&world.resource, None, at(1)), Step::Nothing);
}

#[test]
fn why_a_deletion_waits_is_news_once() {
    let mut world = deleted();
    let verdict = Verdict::fails(Reason::ErasureWaits, "Why.");
    assert_eq!(
        erasure::news(&world.resource, &verdict),
        Some(verdict.clone())
    );
    let status = world.resource.status.as_mut().unwrap();
    conditions::set(
        &mut status.conditions,
        DATA_ERASED,
        verdict.clone(),
        None,
        at(1),
    );
    assert_eq!(erasure::news(&world.resource, &verdict), None);
    let other = Verdict::fails(Reason::Erasing, "Why.");
    assert_eq!(erasure::news(&world.resource, &other), Some(other.clone()));
}

#[test]
fn data_of_another_company_id_is_not_this_ones() {
    let mut world = deleted();
    let status = world.resource.status.as_mut().unwrap();
    status.data = Some(KeptData {
        company_id: "other".into(),
        ..status.data.clone().unwrap()
    });
    assert_eq!(claim::told(&world.resource), None);
}

#[test]
fn a_spec_that_cannot_be_used_gives_nobody_what_is_another_ones() {
    let mut world = fresh();
    world.data = Answer::Another(other("elsewhere"));
    world.step(Ok(findings()));
    world.resource.spec.contacts.time_zone = "Asia/Tokio".into();
    world.resource.metadata.generation = Some(7);
    // Nobody asks for the sake of such a spec.
    world.data = Answer::NotAsked;
    let plan = world.step(Ok(findings()));
    assert_eq!(
        world.condition(EXCLUSIVE),
        Some((Truth::False, Reason::DataOfAnother.into()))
    );
    let exclusive = conditions::find(&plan.status.conditions, EXCLUSIVE).unwrap();
    assert_eq!(exclusive.observed_generation, Some(7));
    // Nor is what nobody has asked about said to be its own: that would be a claim later.
    let mut world = fresh();
    world.resource.spec.contacts.time_zone = "Asia/Tokio".into();
    world.step(Ok(findings()));
    assert_eq!(world.condition(EXCLUSIVE), None);
    assert!(!claim::held_before(&world.resource));
}

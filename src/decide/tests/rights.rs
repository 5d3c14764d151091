//! The rights of the user, and the holder of a company ID.

use super::*;

#[test]
fn a_user_without_view_all_is_connected_but_not_authorized() {
    let mut world = World::new();
    let access = Access {
        contact: Visibility::No,
        account: Visibility::Yes,
        lead: Visibility::Absent,
    };
    world.step(Ok(Findings {
        access,
        ..findings()
    }));
    assert_eq!(world.condition(CONNECTED).unwrap().0, Truth::True);
    assert_eq!(
        world.condition(AUTHORIZED),
        Some((Truth::False, "MissingViewAll".into()))
    );
    assert_eq!(
        (world.condition(READY), world.suspended()),
        (Some((Truth::False, "MissingViewAll".into())), Some(true))
    );
}

#[test]
fn rights_that_cannot_be_read_are_unknown_and_do_not_stop_the_runs() {
    let mut world = World::new();
    let access = Access {
        contact: Visibility::Unknown("no right".into()),
        account: Visibility::Yes,
        lead: Visibility::Absent,
    };
    world.step(Ok(Findings {
        access,
        ..findings()
    }));
    assert_eq!(
        world.condition(AUTHORIZED),
        Some((Truth::Unknown, "RightsUnknown".into()))
    );
    assert_eq!(
        (world.condition(READY).unwrap().0, world.suspended()),
        (Truth::True, Some(false))
    );
}

#[test]
fn the_younger_claimant_of_a_company_id_gets_no_cron_job_and_recovers() {
    let mut world = World::healthy();
    world.claim = Claim::TakenElsewhere;
    let plan = world.step(Ok(findings()));
    assert_eq!(
        (
            world.condition(READY),
            plan.cron_job.is_none(),
            plan.mint_tokens
        ),
        (Some((Truth::False, "CompanyIdTaken".into())), true, false)
    );
    assert_eq!(plan.retire, [Retire::Delete("acme-lookup".into())]);
    world.claim = Claim::Held;
    let plan = world.step(Ok(findings()));
    assert_eq!(
        (world.condition(READY).unwrap().0, plan.cron_job.is_some()),
        (Truth::True, true)
    );
}

#[test]
fn a_hidden_field_is_warned_of_once_however_often_it_is_seen() {
    let hidden = Findings {
        warnings: vec![crate::salesforce::Warning {
            code: WarningCode::FieldHidden,
            message: "A phone field of Contact is hidden from the user.".into(),
            remedy: "Make it visible.".into(),
        }],
        ..findings()
    };
    let mut world = World::new();
    for now in [0, 3600, 7200] {
        world.now = now;
        let plan = world.step(Ok(hidden.clone()));
        assert_eq!(
            plan.status.warnings.len(),
            1,
            "after {} proofs",
            world.proofs
        );
    }
    assert_eq!(world.proofs, 3);
}

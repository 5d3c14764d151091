//! The rules about credentials, with a clock that the tests set: the number of log-ins, and the
//! result of each failure.

use super::*;

/// Integrations that use one credential, as one controller sees them.
struct Fleet {
    worlds: Vec<World>,
    outcome: fn() -> Result<Findings, Failure>,
    /// Times of the log-ins.
    logins: Vec<i64>,
}

impl Fleet {
    fn of(count: usize, outcome: fn() -> Result<Findings, Failure>) -> Self {
        let worlds = (0..count)
            .map(|number| {
                let mut world = World::new();
                world.resource.metadata.uid = Some(format!("uid-{number}"));
                world.resource.metadata.name = Some(format!("acme-{number}"));
                world.resource.spec.contacts.retrieval = Retrieval::Disabled;
                world
            })
            .collect();
        Self {
            worlds,
            outcome,
            logins: vec![],
        }
    }

    /// Reconciles every integration, as after a restart of the controller, which keeps nothing but
    /// the statuses.
    fn reconcile_all(&mut self, now: i64) -> Vec<Plan> {
        (0..self.worlds.len())
            .map(|number| self.reconcile(number, now))
            .collect()
    }

    fn reconcile(&mut self, number: usize, now: i64) -> Plan {
        let mut siblings = SiblingLogins::default();
        for (_, other) in self
            .worlds
            .iter()
            .enumerate()
            .filter(|(other, _)| *other != number)
        {
            if let Some(status) = &other.resource.status {
                siblings.add("f1", status);
            }
        }
        let world = &mut self.worlds[number];
        world.siblings = siblings;
        world.now = now;
        let before = world.proofs;
        let plan = world.step((self.outcome)());
        // A request during a log-in waits for that log-in, so there is at most one a second.
        if self.worlds[number].proofs > before && self.logins.last() != Some(&now) {
            self.logins.push(now);
        }
        plan
    }
}

#[test]
fn fifty_resources_with_one_wrong_password_make_one_log_in_in_an_hour_of_restarts() {
    let mut fleet = Fleet::of(50, refused);
    for now in (0..3600).step_by(60) {
        fleet.reconcile_all(now);
    }
    assert_eq!(fleet.logins, [0]);
    for world in &fleet.worlds {
        assert_eq!(
            (world.condition(READY), world.condition(STALLED)),
            (
                Some((Truth::False, "InvalidLogin".into())),
                Some((Truth::True, "InvalidLogin".into()))
            )
        );
    }
}

#[test]
fn fifty_tenants_who_all_ask_for_a_test_every_minute_get_two_log_ins_an_hour() {
    let mut fleet = Fleet::of(50, refused);
    for minute in 0..180 {
        for world in &mut fleet.worlds {
            world.ask(TEST_REQUESTED_AT, &minute.to_string());
        }
        fleet.reconcile_all(minute * 60);
    }
    for window in 0..(180 - 60) * 60 {
        let within = fleet
            .logins
            .iter()
            .filter(|at| (window..window + 3600).contains(*at))
            .count();
        assert!(within <= 2, "{:?}", fleet.logins);
    }
    assert!(fleet.logins.len() >= 5, "{:?}", fleet.logins);
}

#[test]
fn a_user_who_logged_in_too_often_is_left_alone_for_an_hour_by_all_who_use_it() {
    let mut fleet = Fleet::of(50, || Err(failed(Meaning::LoginRateExceeded, Phase::Login)));
    for now in (0..4 * 3600).step_by(30) {
        fleet.reconcile_all(now);
    }
    assert!((3..=4).contains(&fleet.logins.len()), "{:?}", fleet.logins);
    for pair in fleet.logins.windows(2) {
        assert!(pair[1] - pair[0] >= 3600, "{:?}", fleet.logins);
    }
    let world = &fleet.worlds[49];
    assert_eq!(
        (world.condition(READY), world.condition(STALLED)),
        (Some((Truth::False, "LoginRateExceeded".into())), None)
    );
    // It recovers by itself: the others learn of the first successful log-in.
    fleet.outcome = || Ok(findings());
    for now in (4 * 3600..6 * 3600).step_by(30) {
        fleet.reconcile_all(now);
    }
    for world in &fleet.worlds {
        assert_eq!(world.condition(READY), Some((Truth::True, "Ready".into())));
    }
}

/// The columns are the failure, its phase, and the shortest and longest wait in seconds at an
/// interval of a minute. `None` means that only a change causes the next attempt.
#[test]
fn each_failure_waits_as_long_as_it_should() {
    #[rustfmt::skip]
    let table = [
        (Meaning::InvalidLogin, Phase::Login, None),
        (Meaning::ApiDisabledForOrg, Phase::Login, None),
        (Meaning::ApiDisabledForOrg, Phase::Request, Some((54, 66))),
        (Meaning::UnsupportedApiVersion, Phase::Request, Some((54, 66))),
        (Meaning::HostNotAllowed, Phase::Request, Some((54, 66))),
        (Meaning::HostNotAllowed, Phase::Login, Some((1800, 1980))),
        (Meaning::UnexpectedAnswer, Phase::Login, Some((1800, 1980))),
        (Meaning::UnexpectedAnswer, Phase::Request, Some((54, 66))),
        (Meaning::LoginHoursRestricted, Phase::Login, Some((1800, 1980))),
        (Meaning::LoginRateExceeded, Phase::Login, Some((3600, 3960))),
        (Meaning::RequestLimitExceeded, Phase::Request, Some((1800, 1980))),
        (Meaning::Unreachable, Phase::Login, Some((10, 15))),
        (Meaning::Unreachable, Phase::Request, Some((10, 15))),
        (Meaning::OrganizationInMaintenance, Phase::Request, Some((10, 15))),
        (Meaning::ConcurrentLimit, Phase::Request, Some((10, 15))),
    ];
    for (meaning, phase, expected) in table {
        let mut world = World::new();
        world.resource.spec.interval = "1m".into();
        let plan = world.step(Err(failed(meaning, phase)));
        let connection = plan.status.connection.unwrap();
        let wait = connection
            .next_attempt_at
            .map(|next| next.0.duration_since(at(0)).as_secs());
        match (wait, expected) {
            (None, None) => assert_eq!(connection.failed_logins, 1, "{meaning} {phase:?}"),
            (Some(wait), Some((least, most))) => {
                assert!(
                    (least..=most).contains(&wait),
                    "{meaning} {phase:?}: {wait}"
                );
                assert_eq!(connection.failed_logins, 0, "{meaning} {phase:?}");
            }
            (wait, expected) => panic!("{meaning} {phase:?}: {wait:?}, not {expected:?}"),
        }
    }
}

#[test]
fn a_token_endpoint_that_stumbles_is_asked_again_within_seconds_and_after_an_hour_every_few_minutes()
 {
    let stumbles = || Err(failed(Meaning::SalesforceError, Phase::Login));
    let mut world = World::healthy();
    let mut tried = vec![];
    for now in 1800..1800 + 2 * 3600 {
        let before = world.proofs;
        world.now = now;
        world.siblings.has_outcome = false;
        world.step(stumbles());
        if world.proofs > before {
            tried.push(now);
        }
    }
    let waits: Vec<i64> = tried.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(waits[0] <= 15 && waits[1] <= 30, "{waits:?}");
    assert!(waits.iter().all(|wait| *wait <= 1800), "{waits:?}");
    assert!((5..=20).contains(&waits.len()), "{waits:?}");
    assert_eq!(
        (world.condition(READY), world.condition(STALLED)),
        (Some((Truth::False, "SalesforceError".into())), None)
    );
    let status = world.resource.status.clone().unwrap();
    let connection = status.connection.unwrap();
    assert_eq!(connection.failed_logins, 0);
    assert!(connection.refusals.is_empty() && connection.refused_at.is_empty());
    let told = conditions::verdict(&status.conditions, CONNECTED).unwrap();
    assert!(!told.message.contains("captive"), "{}", told.message);
    assert!(status.errors[0].remedy.contains("tried again by itself"));
    // Runs are not held back: each logs in for itself.
    assert_eq!(world.suspended(), Some(false));

    world.now += 1800;
    world.step(Ok(findings()));
    assert_eq!(world.condition(READY), Some((Truth::True, "Ready".into())));
}

#[test]
fn an_org_that_loses_the_api_under_a_good_session_is_no_refused_log_in() {
    let mut world = World::healthy();
    world.now = 3600;
    world.step(Err(failed(Meaning::ApiDisabledForOrg, Phase::Request)));
    assert_eq!(
        (world.condition(READY), world.condition(STALLED)),
        (
            Some((Truth::False, "ApiDisabledForOrg".into())),
            Some((Truth::True, "ApiDisabledForOrg".into()))
        )
    );
    world.now = 3 * 3600;
    world.step(Ok(findings()));
    assert_eq!(
        (world.condition(READY), world.condition(STALLED)),
        (Some((Truth::True, "Ready".into())), None)
    );
}

#[test]
fn a_refusal_of_one_is_taken_over_by_the_others_when_their_turn_comes() {
    let mut fleet = Fleet::of(2, || Ok(findings()));
    fleet.reconcile_all(0);
    fleet.outcome = refused;
    fleet.worlds[0].ask(TEST_REQUESTED_AT, "now");
    fleet.reconcile(0, 60);
    assert_eq!(fleet.logins, [0, 60]);
    fleet.reconcile(1, 120);
    assert_eq!(fleet.worlds[1].condition(READY).unwrap().0, Truth::True);
    fleet.reconcile(1, 3600);
    assert_eq!(
        fleet.worlds[1].condition(READY),
        Some((Truth::False, "InvalidLogin".into()))
    );
    assert_eq!(fleet.logins.len(), 2);
}

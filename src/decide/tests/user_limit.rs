//! The limit of refused log-ins for one user, over Secrets and integrations.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::decide::login::ledger::of_credential;
use crate::decide::login::next_attempt::MAX_REFUSALS;

/// The password that Salesforce takes; every other one is refused.
const RIGHT: usize = 0;

/// Integrations that log in as one user, each with a Secret of its own.
struct OneUser {
    worlds: Vec<World>,
    passwords: Vec<usize>,
    refused_at: Vec<i64>,
    sent: BTreeSet<(i64, usize)>,
    /// When the controller started.
    since: Timestamp,
}

impl OneUser {
    fn new(integrations: usize) -> Self {
        Self {
            worlds: (0..integrations).map(|_| World::new()).collect(),
            passwords: vec![1; integrations],
            refused_at: vec![],
            sent: BTreeSet::new(),
            since: Timestamp::MIN,
        }
    }

    fn put(&mut self, number: usize, password: usize) {
        self.passwords[number] = password;
        self.worlds[number].credentials = available(&format!("f{password}"));
    }

    /// Reconciles each integration at this second.
    fn reconcile(&mut self, now: i64) {
        for number in 0..self.worlds.len() {
            let fingerprint = format!("f{}", self.passwords[number]);
            let mut siblings = SiblingLogins::default();
            for (_, other) in self
                .worlds
                .iter()
                .enumerate()
                .filter(|(at, _)| *at != number)
            {
                if let Some(status) = &other.resource.status {
                    siblings.add(&fingerprint, status);
                    siblings.add_user("u1", &fingerprint, status, self.since);
                }
            }
            let world = &mut self.worlds[number];
            (world.siblings, world.now) = (siblings, now);
            let before = world.proofs;
            let right = self.passwords[number] == RIGHT;
            world.step(if right { Ok(findings()) } else { refused() });
            // The prover sends one log-in with a credential in one second.
            let sent = world.proofs > before && self.sent.insert((now, self.passwords[number]));
            if sent && !right {
                self.refused_at.push(now);
            }
        }
    }

    fn most_in_an_hour(&self) -> usize {
        let within = |from: i64| {
            let hour = from..from + 3600;
            self.refused_at
                .iter()
                .filter(|at| hour.contains(at))
                .count()
        };
        self.refused_at
            .iter()
            .map(|from| within(*from))
            .max()
            .unwrap_or_default()
    }

    fn connected(&self, number: usize) -> (Truth, Code) {
        self.worlds[number].condition(CONNECTED).unwrap()
    }
}

#[test]
fn a_secret_that_flaps_between_two_wrong_passwords_costs_two_log_ins_for_ever() {
    let mut user = OneUser::new(1);
    for now in (0..20_000).step_by(5) {
        user.put(0, 1 + (now as usize / 5) % 2);
        user.reconcile(now);
    }
    assert_eq!(user.refused_at, [0, 5]);
    assert_eq!(user.connected(0), (Truth::False, "InvalidLogin".into()));
}

#[test]
fn a_password_made_anew_every_few_seconds_costs_two_log_ins_an_hour_and_the_status_says_until_when()
{
    let mut user = OneUser::new(1);
    for now in (0..3_000).step_by(5) {
        user.put(0, 1 + now as usize);
        user.reconcile(now);
    }
    assert_eq!(user.refused_at, [0, 5]);
    assert_eq!(user.connected(0), (Truth::False, "LoginWithheld".into()));
    let status = user.worlds[0].resource.status.clone().unwrap();
    let next = status.connection.unwrap().next_attempt_at.unwrap().0;
    assert_eq!(next, at(3600));
    let connected = conditions::verdict(&status.conditions, CONNECTED).unwrap();
    assert!(
        connected.message.contains(&next.to_string()),
        "{}",
        connected.message
    );
}

#[test]
fn a_corrected_typo_is_tried_at_once() {
    let mut user = OneUser::new(1);
    user.reconcile(0);
    user.put(0, RIGHT);
    user.reconcile(10);
    assert_eq!(user.connected(0).0, Truth::True);
}

#[test]
fn strangers_who_use_up_the_log_ins_of_a_user_are_seen_by_the_one_to_whom_it_belongs() {
    let mut user = OneUser::new(3);
    user.put(1, 2);
    user.put(2, RIGHT);
    user.reconcile(0);
    assert_eq!(user.refused_at, [0, 0]);
    let status = user.worlds[2].resource.status.clone().unwrap();
    let connected = conditions::verdict(&status.conditions, CONNECTED).unwrap();
    assert_eq!(connected.reason.as_str(), "LoginWithheld");
    assert!(
        connected
            .message
            .contains("another integration of this cluster"),
        "{}",
        connected.message
    );
    user.reconcile(3600);
    assert_eq!(user.connected(2).0, Truth::True);
}

#[test]
fn a_corrected_password_that_waits_says_until_when_though_only_a_neighbours_try_was_not_answered() {
    let mut user = OneUser::new(2);
    user.put(1, 1);
    user.reconcile(0);
    // The controller was killed after the neighbour's log-in with the right password was sent.
    let mut status = user.worlds[1].resource.status.take().unwrap();
    let begun = of_credential(&mut status, "f0", "u1");
    begun.attempted_at = Some(Time(at(5)));
    user.worlds[1].resource.status = Some(status);
    user.since = at(6);
    user.put(0, RIGHT);
    user.put(1, RIGHT);
    user.reconcile(10);
    for world in &user.worlds {
        let status = world.resource.status.clone().unwrap();
        let next = status.connection.unwrap().next_attempt_at.unwrap().0;
        assert_eq!(next, at(3600));
        let connected = conditions::verdict(&status.conditions, CONNECTED).unwrap();
        assert!(
            connected.message.contains(&next.to_string()),
            "{connected:?}"
        );
    }
    user.reconcile(3600);
    assert_eq!(user.connected(0).0, Truth::True);
    assert_eq!(user.connected(1).0, Truth::True);
}

#[test]
fn a_test_that_a_person_asks_for_does_not_use_up_the_try_of_the_corrected_password() {
    let mut user = OneUser::new(1);
    user.reconcile(0);
    user.worlds[0].ask(TEST_REQUESTED_AT, "now");
    user.reconcile(10);
    assert_eq!(user.refused_at, [0, 10]);
    user.worlds[0].ask(TEST_REQUESTED_AT, "again");
    user.reconcile(20);
    assert_eq!(user.refused_at, [0, 10]);
    user.put(0, RIGHT);
    user.reconcile(30);
    assert_eq!(user.connected(0).0, Truth::True);
}

#[test]
fn one_integration_is_refused_eight_times_an_hour_whichever_users_it_names() {
    let mut world = World::new();
    for user in 0..12 {
        world.now = user;
        world.credentials = Credentials::Available {
            fingerprint: format!("f{user}"),
            user: format!("u{user}"),
            keys: vec!["password".into()],
        };
        world.step(refused());
    }
    assert_eq!(world.proofs, 8);
    assert_eq!(
        world.condition(CONNECTED),
        Some((Truth::False, "LoginWithheld".into()))
    );
    world.now = 3600;
    world.step(refused());
    assert_eq!(world.proofs, 9);
}

#[derive(Clone, Debug)]
enum Event {
    Secret(usize, usize),
    Test(usize),
    Nothing,
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        (0..4_usize, 0..6_usize).prop_map(|(number, password)| Event::Secret(number, password)),
        (0..4_usize).prop_map(Event::Test),
        Just(Event::Nothing),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn in_every_history_three_log_ins_an_hour_are_refused_at_most_and_the_right_password_works_within_the_hour(
        events in prop::collection::vec((event(), 1..900_i64), 1..60),
    ) {
        let mut user = OneUser::new(4);
        let mut now = 0;
        for (number, (event, wait)) in events.into_iter().enumerate() {
            match event {
                Event::Secret(integration, password) => user.put(integration, password),
                Event::Test(integration) => user.worlds[integration].ask(TEST_REQUESTED_AT, &number.to_string()),
                Event::Nothing => {}
            }
            user.reconcile(now);
            now += wait;
        }
        for number in 0..4 {
            user.put(number, RIGHT);
        }
        for later in (0..=3600).step_by(60) {
            user.reconcile(now + later);
        }
        prop_assert!(user.most_in_an_hour() <= MAX_REFUSALS + 1, "{:?}", user.refused_at);
        for number in 0..4 {
            prop_assert_eq!(user.connected(number).0, Truth::True);
        }
    }
}

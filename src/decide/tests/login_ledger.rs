//! Log-ins whose answers no controller could write down, with a clock that the tests set.

use super::*;

/// Simulates one process after another. Each starts to reconcile and is ended during the log-in
/// that it sends. Returns the times of the log-ins.
fn killed_in_each_log_in(worlds: &mut [World], clock: impl Iterator<Item = i64>) -> Vec<i64> {
    let mut logins = vec![];
    for now in clock {
        for number in 0..worlds.len() {
            let mut siblings = SiblingLogins::default();
            for (_, other) in worlds.iter().enumerate().filter(|(at, _)| *at != number) {
                if let Some(status) = &other.resource.status {
                    siblings.add("f1", status);
                }
            }
            let world = &mut worlds[number];
            (world.siblings, world.now) = (siblings, now);
            let plan = world.decide(None);
            if plan.prove.is_some() {
                world.begin_login();
                logins.push(now);
                break;
            }
            world.resource.status = Some(plan.status);
        }
    }
    logins
}

impl World {
    /// Writes the status that precedes a log-in.
    fn begin_login(&mut self) {
        let status = with_attempt(self.resource.status.as_ref(), "f1", "u1", at(self.now));
        self.resource.status = Some(status);
    }

    fn connection(&self) -> &crate::api::status::Connection {
        let status = self.resource.status.as_ref().unwrap();
        status.connection.as_ref().unwrap()
    }

    fn refused_at(&self) -> Vec<i64> {
        let times = self.connection().refused_at.iter();
        times.map(|time| time.0.as_second() - START).collect()
    }
}

fn most_in_an_hour(logins: &[i64]) -> usize {
    let within = |from: i64| {
        logins
            .iter()
            .filter(|at| (from..from + 3600).contains(*at))
            .count()
    };
    logins
        .iter()
        .map(|from| within(*from))
        .max()
        .unwrap_or_default()
}

#[test]
fn a_controller_that_is_killed_in_every_log_in_makes_two_an_hour() {
    let mut worlds = [World::new()];
    let logins = killed_in_each_log_in(&mut worlds, (0..7000).step_by(60));
    assert_eq!(most_in_an_hour(&logins), 2, "{logins:?}");
    assert_eq!(logins[..2], [0, 60]);
    assert!(logins.len() >= 4, "it goes on by itself: {logins:?}");
}

#[test]
fn fifty_that_share_a_credential_make_two_log_ins_an_hour_over_all_restarts() {
    let mut worlds: Vec<World> = (0..50).map(|_| World::new()).collect();
    let logins = killed_in_each_log_in(&mut worlds, (0..7000).step_by(60));
    assert_eq!(most_in_an_hour(&logins), 2, "{logins:?}");
}

#[test]
fn two_lost_answers_of_one_second_are_two() {
    let mut worlds = [World::new(), World::new()];
    let logins = killed_in_each_log_in(&mut worlds, [0, 0, 0, 1].into_iter());
    assert_eq!(logins, [0, 0]);
}

#[test]
fn a_credential_that_worked_is_proved_again_after_one_lost_answer_and_the_account_is_closed() {
    let mut world = World::healthy();
    world.now = 3600;
    assert_eq!(world.decide(None).prove, Some(Cause::Due));
    world.begin_login();
    world.now = 3660;
    world.step(Ok(findings()));
    assert_eq!(world.proofs, 2);
    assert_eq!(world.condition(CONNECTED).unwrap().0, Truth::True);
    assert_eq!(world.connection().attempted_at, None);
    assert_eq!(world.refused_at(), Vec::<i64>::new());
}

#[test]
fn who_waits_because_two_answers_were_lost_is_told_why_and_until_when() {
    let mut worlds = [World::new()];
    killed_in_each_log_in(&mut worlds, [0, 60, 120].into_iter());
    let world = &worlds[0];
    let status = world.resource.status.as_ref().unwrap();
    let connected = conditions::verdict(&status.conditions, CONNECTED).unwrap();
    assert_eq!(connected.truth, Truth::Unknown);
    assert!(connected.message.contains(&at(3600).to_string()));
    assert_eq!(world.connection().next_attempt_at, Some(Time(at(3600))));
    assert_eq!(world.decide(None).requeue_after.as_secs(), 3481);
}

#[test]
fn a_changed_credential_of_which_two_answers_were_lost_is_not_said_to_work() {
    let mut world = World::healthy();
    world.credentials = available("f2");
    for now in [60, 120] {
        world.now = now;
        assert!(world.decide(None).prove.is_some());
        let status = with_attempt(world.resource.status.as_ref(), "f2", "u1", at(now));
        world.resource.status = Some(status);
    }
    world.now = 180;
    let plan = world.decide(None);
    assert_eq!(plan.prove, None);
    let verdict = |of| conditions::verdict(&plan.status.conditions, of).unwrap();
    assert_eq!(
        verdict(CONNECTED).truth,
        Truth::Unknown,
        "the one before worked"
    );
    assert_ne!(verdict(READY).truth, Truth::True);
    // One that is known to work stays so, whatever became of its next log-ins.
    let mut world = World::healthy();
    for now in [3600, 3660] {
        world.now = now;
        world.begin_login();
    }
    world.now = 3720;
    let plan = world.decide(None);
    assert_eq!(plan.prove, None);
    let connected = conditions::verdict(&plan.status.conditions, CONNECTED).unwrap();
    assert_eq!(connected.truth, Truth::True);
}

#[test]
fn a_lost_answer_and_a_refusal_use_up_the_hour() {
    let mut world = World::new();
    world.begin_login();
    world.now = 60;
    // The second log-in is recorded too, and its answer arrives.
    world.begin_login();
    let proof = Proof {
        at: at(60),
        fingerprint: "f1".into(),
        calls: 0,
        outcome: refused().map(Arc::new),
    };
    world.resource.status = Some(world.decide(Some(&proof)).status);
    assert_eq!(world.refused_at(), [60, 0]);
    world.ask(TEST_REQUESTED_AT, "now");
    world.now = 120;
    world.step(refused());
    assert_eq!(world.proofs, 0);
    assert_eq!(world.connection().next_attempt_at, Some(Time(at(3600))));
}

#[test]
fn a_refusal_that_could_not_be_written_is_remembered_and_counts_once() {
    let mut world = World::new();
    world.begin_login();
    world.siblings = SiblingLogins::after(Some(Refusal {
        at: at(0),
        failure: refused().unwrap_err(),
    }));
    world.now = 5;
    world.step(refused());
    assert_eq!(world.proofs, 0, "what is known is taken over");
    assert_eq!(
        world.condition(READY),
        Some((Truth::False, "InvalidLogin".into()))
    );
    assert_eq!(world.refused_at(), [0]);
}

#[test]
fn with_a_session_at_hand_lost_answers_hold_nobody_up() {
    let mut worlds = [World::new()];
    killed_in_each_log_in(&mut worlds, [0, 60].into_iter());
    let [mut world] = worlds;
    world.siblings.has_outcome = true;
    world.now = 120;
    world.step(Ok(findings()));
    assert_eq!(world.condition(READY), Some((Truth::True, "Ready".into())));
}

#[test]
fn a_log_in_that_failed_for_a_passing_reason_is_no_refusal() {
    let mut world = World::new();
    world.begin_login();
    let proof = Proof {
        at: at(0),
        fingerprint: "f1".into(),
        calls: 0,
        outcome: Err(failed(Meaning::Unreachable, Phase::Login)),
    };
    world.now = 30;
    world.resource.status = Some(world.decide(Some(&proof)).status);
    assert_eq!(world.connection().attempted_at, None);
    assert_eq!(world.refused_at(), Vec::<i64>::new());
    let next = world.connection().next_attempt_at.as_ref().unwrap().0;
    assert!(next > at(30), "the wait begins when the answer stayed away");
}

#[test]
fn a_log_in_that_is_withheld_in_the_second_of_one_without_an_answer_leaves_that_one_on_record() {
    let mut world = World::new();
    world.begin_login();
    // The next process starts within the same second.
    world.step(Err(Failure {
        meaning: Meaning::LoginWithheld,
        message: "A log-in of this second is not answered yet.".into(),
        phase: Phase::Login,
    }));
    assert_eq!(world.proofs, 1);
    let on_record = world.connection().attempted_at.clone();
    assert_eq!(on_record, Some(Time(at(0))));
    // One lost answer is no reason to wait for the hour, nor to speak of two.
    world.now = 1;
    let plan = world.decide(None);
    let connected = conditions::verdict(&plan.status.conditions, CONNECTED).unwrap();
    assert_eq!(connected.reason, "LoginWithheld");
    world.now = 60;
    assert!(world.decide(None).prove.is_some());
    world.begin_login();
    world.now = 61;
    world.step(Ok(findings()));
    assert_eq!(world.proofs, 1, "two are not answered");
    let next = world.connection().next_attempt_at.clone();
    assert_eq!(next, Some(Time(at(3600))));
    assert_eq!(
        world.condition(CONNECTED),
        Some((Truth::Unknown, Code::from(Reason::Pending)))
    );
}

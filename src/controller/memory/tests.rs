//! Tests of the state that is kept between two reconciles.

use super::first_pass::MAX_DEFERRAL;
use super::key::key;
use super::*;
use crate::api::fixtures;

fn notice(reason: &str) -> Notice {
    Notice {
        warning: false,
        reason: reason.into(),
        note: String::new(),
        action: "Reconcile",
    }
}

/// A memory in which one integration has been reconciled while another waits.
fn crowded(now: Instant) -> Memory {
    let memory = Memory::default();
    for name in ["first", "second"] {
        memory.enqueued(&key(name), now);
    }
    assert!(memory.begin(&key("first"), now));
    memory
}

#[test]
fn one_that_was_reconciled_lets_the_others_go_first_and_then_publishes_everything_once() {
    let now = Instant::now();
    let second = Duration::from_secs(1);
    let memory = crowded(now);
    assert!(memory.defer(&key("first"), &[notice("Connected")], now));
    assert!(!memory.begin(&key("first"), now + second));
    assert!(memory.begin(&key("second"), now + second));
    assert!(memory.begin(&key("first"), now + second * 2));
    assert!(!memory.defer(&key("first"), &[], now + second * 2));
    assert_eq!(memory.take_deferred(&key("first")), [notice("Connected")]);
    assert_eq!(memory.take_deferred(&key("first")), []);
}

#[test]
fn the_wait_counts_from_the_first_event_and_ends_when_a_reconcile_begins() {
    let began = Instant::now();
    let second = Duration::from_secs(1);
    let memory = Memory::default();
    assert_eq!(memory.oldest_wait(began), Duration::ZERO);
    for (name, after) in [("first", 0), ("second", 2), ("first", 3)] {
        memory.enqueued(&key(name), began + second * after);
    }
    assert_eq!(memory.oldest_wait(began + second * 5), second * 5);
    assert!(memory.begin(&key("first"), began + second * 5));
    assert_eq!(memory.oldest_wait(began + second * 5), second * 3);
    memory.forget(&key("second"));
    assert_eq!(memory.oldest_wait(began + second * 5), Duration::ZERO);
}

#[test]
fn alone_nothing_is_deferred() {
    let memory = Memory::default();
    memory.enqueued(&key("first"), Instant::now());
    assert!(memory.begin(&key("first"), Instant::now()));
    assert!(!memory.defer(&key("first"), &[], Instant::now()));
}

#[test]
fn a_change_of_one_that_was_deferred_is_looked_at_in_turn() {
    let now = Instant::now();
    let memory = crowded(now);
    assert!(memory.defer(&key("first"), &[notice("Connected")], now));
    memory.enqueued(&key("first"), now);
    assert!(memory.begin(&key("first"), now));
    assert!(memory.defer(&key("first"), &[notice("Failed")], now));
    let deferred = memory.take_deferred(&key("first"));
    assert_eq!(deferred, [notice("Connected"), notice("Failed")]);
}

#[test]
fn a_crowd_without_end_holds_nobody_up_for_ever() {
    let now = Instant::now();
    let memory = crowded(now);
    assert!(memory.defer(&key("first"), &[notice("Connected")], now));
    let late = now + MAX_DEFERRAL;
    assert!(memory.begin(&key("first"), late));
    assert!(!memory.defer(&key("first"), &[], late));
    assert_eq!(memory.take_deferred(&key("first")), [notice("Connected")]);
}

#[test]
fn who_is_gone_holds_up_nobody() {
    let now = Instant::now();
    let memory = crowded(now);
    memory.forget(&key("second"));
    assert!(!memory.defer(&key("first"), &[], now));
}

#[test]
fn after_a_success_the_next_failure_is_the_first_again() {
    let memory = Memory::default();
    let first = Duration::from_millis(500);
    for _ in 0..8 {
        memory.failed(&key("acme"), None);
    }
    assert!(memory.failed(&key("acme"), None) > first);
    assert!(memory.failed(&key("other"), None) <= first);
    memory.succeeded(&key("acme"));
    assert!(memory.failed(&key("acme"), None) <= first);
}

#[test]
fn of_an_integration_that_is_gone_nothing_is_kept() {
    let memory = Memory::default();
    let acme = fixtures::integration("acme");
    let key = Key::of(&acme);
    memory.enqueued(&key, Instant::now());
    memory.failed(&key, None);
    memory.keep_written(Arc::new(acme), || None);
    memory.record_runs(&key, BTreeSet::from(["job".to_owned()]));
    memory.record_admission(&key, Admission::Accepted);
    memory.record_applied(&key, &CronJob::default(), &CronJob::default());
    memory.add_lost_pod_result(&key, super::lost_pod_results::ended_run("job"));
    assert_eq!(memory.0.lock().states.len(), 1);
    memory.forget(&key);
    let table = memory.0.lock();
    assert!(table.states.is_empty());
    assert_eq!(table.waiting, 0);
}

#[test]
fn what_was_written_counts_until_the_watch_has_caught_up() {
    let memory = Memory::default();
    let version = |version: &str| {
        let mut acme = fixtures::integration("acme");
        acme.metadata.resource_version = Some(version.into());
        Arc::new(acme)
    };
    let of = |resource: Arc<SalesforceIntegration>| resource.resource_version();
    memory.keep_written(version("10"), || Some(version("9")));
    assert_eq!(of(memory.freshest(version("9"))), Some("10".into()));
    memory.caught_up(&version("9"));
    assert_eq!(of(memory.freshest(version("9"))), Some("10".into()));
    memory.caught_up(&version("10"));
    assert_eq!(of(memory.freshest(version("9"))), Some("9".into()));
    // The watch was quicker than the response.
    memory.keep_written(version("11"), || Some(version("11")));
    assert!(memory.0.lock().states.is_empty());
}

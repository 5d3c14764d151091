//! The address book: what the status says of it, when it makes an integration not Ready, and what
//! each mode costs.

use super::*;
use crate::api::status::{AddressBook, BookMode};
use crate::decide::address_book;
use crate::run::{ChangesRead, Filling};

fn book_of(world: &World) -> AddressBook {
    let status = world.resource.status.as_ref().unwrap();
    status.address_book.clone().unwrap()
}

fn wants_a_book(max: u32) -> World {
    let mut world = World::new();
    world.resource.spec.contacts.address_book = crate::api::AddressBook::Full;
    world.resource.spec.contacts.max_records = Some(max);
    world.step(Ok(findings()));
    world
}

/// A run that ended at this second and told this of the book.
fn told(world: &mut World, job: &str, second: i64, book: Option<BookReport>) -> Plan {
    let mut report = RunReport::begin(RunKind::Lookup, at(second - 3));
    (report.calls, report.numbers, report.unmatched) = (6, 6, 6);
    report.api_calls = 2;
    report.org_records = Some(1_000);
    report.changes_read = Some(ChangesRead {
        rows: 10,
        seconds: 2_000,
    });
    report.address_book = book;
    world.now = second + 1;
    world.ended_runs.push(EndedRun {
        report: Some(report),
        ..ended(job, second, "Succeeded")
    });
    world.step(Ok(findings()))
}

fn filling(rows: u64) -> BookReport {
    BookReport {
        records: rows,
        numbers: rows,
        filling: Some(Filling {
            rows,
            of: Some(1_000),
        }),
        ..BookReport::default()
    }
}

fn filled(second: i64) -> BookReport {
    BookReport {
        records: 990,
        numbers: 1_100,
        bytes: 200_000,
        filled_at: Some(at(0)),
        watermark: Some(at(second)),
        ..BookReport::default()
    }
}

#[test]
fn a_book_that_is_wanted_reaches_the_runs_and_one_that_is_not_does_not() {
    let settings = |world: &World| {
        let cron_job = serde_json::to_string(&world.cron_jobs[0]).unwrap();
        cron_job.contains(r#"\"addressBook\":{\"maxRecords\":5000}"#)
    };
    assert!(settings(&wants_a_book(5_000)));
    assert!(!settings(&World::healthy()));
    let mut world = wants_a_book(5_000);
    world.resource.spec.contacts.retrieval = Retrieval::Disabled;
    let plan = world.step(Ok(findings()));
    assert_eq!(plan.status.address_book, None, "nobody would fill it");
}

#[test]
fn a_fill_is_no_failure_and_names_come_on_demand_until_it_has_ended() {
    let mut world = wants_a_book(5_000);
    told(&mut world, "one", 60, Some(filling(400)));
    assert_eq!(
        world.condition(SYNCED),
        Some((Truth::True, "AddressBookFilling".into()))
    );
    assert_eq!(world.condition(READY).unwrap().0, Truth::True);
    let book = book_of(&world);
    assert_eq!(
        (book.mode, book.filling.unwrap().rows),
        (BookMode::OnDemand, 400)
    );
    // What the directory says meanwhile is newer.
    world.book = Some(filling(700));
    world.step(Ok(findings()));
    assert_eq!(book_of(&world).records, Some(700));
    let status = world.resource.status.as_ref().unwrap();
    let synced = conditions::find(&status.conditions, SYNCED).unwrap();
    assert!(synced.message.contains("700 of 1000"), "{}", synced.message);
    world.book = None;
    let plan = told(&mut world, "two", 120, Some(filled(0)));
    assert_eq!(
        world.condition(SYNCED),
        Some((Truth::True, "RunSucceeded".into()))
    );
    assert_eq!(plan.notices.len(), 0, "nothing to tell");
    let book = book_of(&world);
    assert_eq!(
        (book.mode, book.filling, book.lag.as_deref()),
        (BookMode::Full, None, Some("2m"))
    );
    // The weekly one does not take the names away.
    let again = BookReport {
        filling: Some(Filling { rows: 5, of: None }),
        ..filled(100)
    };
    told(&mut world, "three", 180, Some(again));
    assert_eq!(book_of(&world).mode, BookMode::Full);
    assert_eq!(
        world.condition(SYNCED),
        Some((Truth::True, "AddressBookFilling".into()))
    );
}

#[test]
fn a_book_without_the_changes_of_hours_is_behind_until_a_run_catches_up() {
    let mut world = wants_a_book(5_000);
    let plan = told(&mut world, "one", 60, Some(filled(0)));
    assert_eq!(world.condition(READY).unwrap().0, Truth::True);
    // Three times 33 minutes, and what the watermark stays behind anyway.
    let limit = 3 * 33 * 60 + 15 * 60;
    assert!(plan.requeue_after.as_secs() <= limit);
    world.now = limit as i64 - 1;
    told(&mut world, "two", limit as i64 - 5, None);
    assert_eq!(world.condition(READY).unwrap().0, Truth::True);
    world.now = limit as i64;
    let plan = world.step(Ok(findings()));
    assert_eq!(
        world.condition(SYNCED),
        Some((Truth::False, "AddressBookBehind".into()))
    );
    assert_eq!(
        world.condition(READY),
        Some((Truth::False, "AddressBookBehind".into()))
    );
    assert_eq!(world.condition(STALLED), None, "the next run may mend it");
    assert_eq!(plan.status.errors[0].code, "AddressBookBehind");
    world.step(Ok(findings()));
    let status = world.resource.status.as_ref().unwrap();
    assert_eq!(status.errors[0].count, 1);
    assert_eq!(world.suspended(), Some(false));
    let later = limit as i64 + 60;
    told(&mut world, "three", later, Some(filled(later - 900)));
    assert_eq!(
        world.condition(READY),
        Some((Truth::True, "Ready".into())),
        "caught up"
    );
}

#[test]
fn an_org_that_is_too_large_stays_ready_with_names_on_demand_and_says_so() {
    let mut world = wants_a_book(500);
    let over = BookReport {
        over_limit: true,
        ..BookReport::default()
    };
    let plan = told(&mut world, "one", 60, Some(over));
    assert_eq!(
        world.condition(SYNCED),
        Some((Truth::False, "AddressBookOverLimit".into()))
    );
    assert_eq!(world.condition(READY).unwrap().0, Truth::True);
    assert_eq!(world.condition(STALLED), None);
    let status = world.resource.status.as_ref().unwrap();
    let ready = conditions::find(&status.conditions, READY).unwrap();
    assert!(
        ready.message.contains("1000 records") && ready.message.contains("500"),
        "{}",
        ready.message
    );
    assert_eq!(plan.notices.len(), 1, "{:?}", plan.notices);
    assert_eq!(book_of(&world).mode, BookMode::OnDemand);
    assert_eq!(world.step(Ok(findings())).notices.len(), 0, "told once");
    // A fill that was begun and waits for the limit is one, too.
    world.book = Some(BookReport {
        filling: Some(Filling {
            rows: 0,
            of: Some(1_000),
        }),
        ..BookReport::default()
    });
    world.step(Ok(findings()));
    assert!(book_of(&world).over_limit);
    world.book = None;
    world.resource.spec.contacts.max_records = Some(2_000);
    world.config.max_book_records = 900;
    world.step(Ok(findings()));
    let status = world.resource.status.as_ref().unwrap();
    let synced = conditions::find(&status.conditions, SYNCED).unwrap();
    assert!(synced.message.contains("the 900"), "the operator's own");
    world.config.max_book_records = 10_000;
    world.step(Ok(findings()));
    assert_eq!(
        world.condition(SYNCED),
        Some((Truth::True, "AddressBookFilling".into())),
        "the next run fills it"
    );
}

#[test]
fn a_run_that_failed_goes_before_what_is_said_of_the_book() {
    let mut world = wants_a_book(5_000);
    told(&mut world, "one", 60, Some(filling(400)));
    world.now = 120;
    world.ended_runs.push(ended("two", 110, "WorkerKilled"));
    world.step(Ok(findings()));
    assert_eq!(
        world.condition(SYNCED),
        Some((Truth::False, "RunFailed".into()))
    );
}

#[test]
fn the_status_has_a_forecast_for_each_mode_beside_the_truth() {
    let mut world = World::healthy();
    assert_eq!(world.resource.status.as_ref().unwrap().address_book, None);
    told(&mut world, "one", 60, None);
    let book = book_of(&world);
    let forecast = book.forecast.unwrap();
    // 41.1 windows, 4 proofs and 2; one run with two questions and its 6 numbers; a count and a
    // small fill a week.
    assert_eq!((forecast.on_demand, forecast.full), (50, 48));
    assert_eq!(forecast.fill, Some(4));
    assert_eq!(book.api_calls, Some(3 + 2), "a proof and the run");
    assert_eq!((book.mode, book.records), (BookMode::OnDemand, None));
}

#[test]
fn who_gives_the_book_up_has_none_in_the_status() {
    let mut world = wants_a_book(5_000);
    told(&mut world, "one", 60, Some(filled(0)));
    world.resource.spec.contacts.address_book = crate::api::AddressBook::OnDemand;
    world.now = 400_000;
    world.step(Ok(findings()));
    let book = book_of(&world);
    assert_eq!((book.mode, book.records), (BookMode::OnDemand, None));
    assert_eq!((book.org_records, book.days.len()), (Some(1_000), 1));
}

#[test]
fn the_directory_is_asked_once_a_minute_and_only_of_runs_that_last() {
    let world = wants_a_book(5_000);
    let job = |second: i64| {
        let mut job = Job::default();
        job.metadata.creation_timestamp = Some(Time(at(second)));
        job
    };
    let settings = Settings::read(&world.resource.spec).unwrap();
    let asks = |job: &Job, asked: Option<i64>, now: i64| {
        address_book::is_in_question(&settings, [job], asked.map(at), at(now))
    };
    assert!(!asks(&job(0), None, 30), "most runs are over by then");
    assert!(asks(&job(0), None, 60));
    assert!(!asks(&job(0), Some(60), 90));
    assert!(asks(&job(0), Some(60), 120));
    let none: [&Job; 0] = [];
    assert!(!address_book::is_in_question(&settings, none, None, at(60)));
    let on_demand = Settings::read(&World::new().resource.spec).unwrap();
    assert!(!address_book::is_in_question(
        &on_demand,
        [&job(0)],
        None,
        at(60)
    ));
}

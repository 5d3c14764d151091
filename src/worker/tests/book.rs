//! The address book is filled, follows, and answers, against the simulator and a real directory.

use std::time::Duration;

use jiff::SignedDuration;
use salesforce_simulator::{BulkOutcome, Effect, Fault, Org, Record, User};
use serde_json::json;

use super::bed::{Bed, PASSWORD, SECURITY_TOKEN, USER};
use super::fake_salesforce::Played;
use crate::directory::Purpose;
use crate::directory::model::book::Book;
use crate::directory::model::privacy::NumberRequest;
use crate::directory::testing::{Backend, on_each_database};
use crate::run::{Filling, Outcome, RunKind, RunReport};
use crate::shutdown::Shutdown;

const LONG_AGO: &str = "2026-01-01T00:00:00Z";
/// The number of the contact with this position.
fn phone(at: usize) -> String {
    format!("03-4000-{at:04}")
}

on_each_database! {
    every_record_is_found_in_any_spelling_at_no_call,
    a_fill_that_is_killed_at_any_moment_loses_and_doubles_nothing,
    what_is_edited_while_a_fill_is_under_way_is_true_afterwards,
    what_changes_is_followed_in_the_book_too,
    an_org_with_more_records_than_the_book_may_have_is_asked_on_demand,
    an_erased_number_is_in_no_fill_and_no_answer,
}

fn org() -> Org {
    let user = User::integration(USER)
        .password(PASSWORD)
        .token(SECURITY_TOKEN);
    Org::enterprise("acme")
        .user(user)
        .account(Record::account("Acme").modified(LONG_AGO))
        .account(
            Record::account("Umi")
                .phone("03-5555-0001")
                .modified(LONG_AGO),
        )
}

fn person(name: &str) -> Record {
    Record::person(name).of_account("Acme").modified(LONG_AGO)
}

/// An org with so many contacts, `C0` and so on.
fn contacts(count: usize) -> Org {
    (0..count).fold(org(), |org, at| {
        org.contact(person(&format!("C{at}")).phone(&phone(at)))
    })
}

/// A tenant with an address book, whose records are read by bulk queries if `bulk`.
async fn bed(org: Org, on: Backend, bulk: bool) -> (Bed, Played) {
    let played = Played::start(org).await;
    let mut bed = Bed::start_on(&played.url(), on).await;
    let ca = bed.folder().join("ca.pem");
    std::fs::write(&ca, played.ca_pem()).unwrap();
    bed.ca_bundle = Some(ca);
    bed.settings["addressBook"] = json!({"maxRecords": 1_000_000});
    bed.settings["follow"] = json!({"mode": "All", "everySeconds": 0});
    if bulk {
        bed.reads.pages_up_to = 0;
    }
    (bed, played)
}

/// The name that is shown while a number rings.
async fn ring(bed: &Bed, number: &str) -> String {
    match bed.who(number).await {
        Some((company, person)) => format!(
            "{}/{}",
            company.unwrap_or_default(),
            person.unwrap_or_default()
        ),
        None => "nobody".to_owned(),
    }
}

async fn book(bed: &Bed) -> Book {
    bed.directory(Purpose::Worker).book().await.unwrap()
}

/// A run after calls that succeeds without a warning.
async fn run(bed: &Bed) -> RunReport {
    let report = bed.succeed(RunKind::Lookup).await;
    assert!(report.warnings.is_empty(), "{report:?}");
    report
}

fn id(played: &Played, object: &str, name: &str) -> String {
    let ids: Vec<String> = played.edit(|org, _| {
        let all = org.all(object).into_iter();
        let named = all.filter(|record| record["Name"] == name);
        named
            .map(|record| record["Id"].as_str().unwrap().to_owned())
            .collect()
    });
    assert_eq!(ids.len(), 1, "{object} {name}");
    ids[0].clone()
}

async fn every_record_is_found_in_any_spelling_at_no_call(on: Backend) {
    let odd = [
        ("A", "03-1234-5678 内線12", "0312345678"),
        ("B", "０３ー１２３４ー５６７９", "0312345679"),
        ("C", "Tel: 03.1234.5680 (main)", "0312345680"),
        ("D", "03-1234-5681 / 090-1234-5682", "09012345682"),
    ];
    for bulk in [false, true] {
        let org = odd.iter().fold(org(), |org, (name, text, _)| {
            org.contact(person(name).phone(text))
        });
        let org = org.contact(person("E").phone("ask Mr. Sato"));
        let lead = Record::person("L")
            .set("Company", "Prospect\nKK")
            .mobile("03-1234-5690")
            .modified(LONG_AGO);
        let (bed, played) = bed(org.lead(lead), on, bulk).await;
        let report = run(&bed).await;
        let told = report.address_book.unwrap();
        assert_eq!((told.records, told.numbers), (6, 7), "{told:?}");
        assert_eq!(report.org_records, Some(7), "one has no number");
        assert!(told.filled_at.is_some() && told.watermark.is_some() && told.filling.is_none());

        // Nobody has called yet.
        let calls = played.api_calls();
        for (name, _, number) in odd {
            assert_eq!(ring(&bed, number).await, format!("Acme/{name}"));
        }
        assert_eq!(ring(&bed, "03-1234-5681").await, "Acme/D");
        assert_eq!(ring(&bed, "03-1234-5690").await, "Prospect KK/L");
        assert_eq!(ring(&bed, "03-5555-0001").await, "Umi/");
        // Calls are named, or known to be nobody's, by one call: that for the changes.
        let numbers = ["0312345678", "03-1234-5690", "0399999999"];
        bed.calls_from(0, &numbers).await;
        let report = run(&bed).await;
        assert_eq!((report.calls, report.written, report.unmatched), (3, 2, 1));
        assert_eq!(report.changes_read.map(|read| read.rows), Some(0));
        assert_eq!(played.api_calls() - calls, 1, "{report:?}");
        let history = bed.history().await;
        assert!(history[0].contact.as_ref().unwrap().link.is_some());
        // No job is left behind.
        assert_eq!(report.address_book.unwrap().records, 6);
    }
}

/// Runs are dropped after longer and longer times, until the book is full.
async fn a_fill_that_is_killed_at_any_moment_loses_and_doubles_nothing(on: Backend) {
    const MANY: usize = 480;
    for bulk in [false, true] {
        let (mut bed, played) = bed(contacts(MANY), on, bulk).await;
        bed.reads.portion = 7;
        let (mut kills, mut places) = (0, std::collections::BTreeSet::new());
        let mut life = Duration::from_millis(20);
        while book(&bed).await.filled_at.is_none() {
            let run = bed.prepared(RunKind::Lookup);
            let kept = places.last().copied().unwrap_or_default();
            // The first ones, and every other one after them, are dropped as soon as they have kept
            // more, however fast or slow the machine is.
            let lives = places.len() > 3 && kills % 2 == 0;
            let has_more = async {
                while lives
                    || book(&bed)
                        .await
                        .fill
                        .is_none_or(|fill| fill.progress().0 <= kept)
                {
                    tokio::time::sleep(Duration::from_millis(2)).await;
                }
            };
            let shutdown = Shutdown::new();
            let report = tokio::select! {
                report = run.execute(&shutdown) => Some(report),
                () = tokio::time::sleep(life) => None,
                () = has_more => None,
            };
            match report {
                None => kills += 1,
                Some(report) => assert_eq!(report.outcome, Outcome::Succeeded, "{report:?}"),
            }
            let rows = book(&bed).await.fill.map(|fill| fill.progress().0);
            places.extend(rows);
            assert!(
                life < Duration::from_secs(20),
                "{places:?} {:?}",
                book(&bed).await
            );
            life = life.mul_f64(1.15);
        }
        println!(
            "{kills} kills, {} places, {} calls",
            places.len(),
            played.api_calls()
        );
        assert!(kills > 3 && places.len() > 2, "{kills} {places:?}");
        let book = book(&bed).await;
        let all = MANY as u64 + 1;
        assert_eq!((book.records, book.numbers), (all, all));
        for at in [0, MANY / 2, MANY - 1] {
            assert_eq!(ring(&bed, &phone(at)).await, format!("Acme/C{at}"));
        }
    }
}

/// The first run makes the jobs, whose results are of that time, and is out of calls. People edit,
/// the next window tells, and only then the rows are read.
async fn what_is_edited_while_a_fill_is_under_way_is_true_afterwards(on: Backend) {
    let (mut bed, played) = bed(contacts(30), on, true).await;
    bed.reads.portion = 5;
    bed.settings["maxApiCalls"] = 12.into();
    let report = run(&bed).await;
    let Some(Filling { rows, of }) = report.address_book.unwrap().filling else {
        panic!("{report:?}");
    };
    assert!(rows < 31 && of.is_some(), "{rows} of {of:?}");
    let (renamed, deleted, moved) = (
        id(&played, "Contact", "C28"),
        id(&played, "Contact", "C29"),
        id(&played, "Contact", "C27"),
    );
    let (acme, umi) = (
        id(&played, "Account", "Acme"),
        id(&played, "Account", "Umi"),
    );
    played.advance(SignedDuration::from_mins(1));
    played.edit(|org, now| {
        let mut edit = org.at(now);
        edit.update(&renamed, Record::person("Kato")).unwrap();
        edit.update(&moved, Record::new().phone("03-7777-7777"))
            .unwrap();
        assert!(edit.delete(&deleted));
        edit.insert(
            "Contact",
            Record::person("New")
                .of_account("Acme")
                .phone("03-8888-8888"),
        )
        .unwrap();
        edit.update(&acme, Record::account("Acme Holdings"))
            .unwrap();
    });
    // Windows tell it and go on, and no call is left for the rows that are not read yet.
    bed.settings["maxApiCalls"] = 1.into();
    for _ in 0..3 {
        run(&bed).await;
        played.advance(SignedDuration::from_mins(20));
    }
    bed.settings["maxApiCalls"] = 12.into();
    for _ in 0..20 {
        run(&bed).await;
        if book(&bed).await.filled_at.is_some() {
            break;
        }
        // What was a change once is no longer one.
        played.advance(SignedDuration::from_mins(20));
    }
    let filled = book(&bed).await;
    assert!(filled.filled_at.is_some(), "{filled:?}");
    assert_eq!(filled.records, 31);
    assert_eq!(ring(&bed, &phone(28)).await, "Acme Holdings/Kato");
    assert_eq!(ring(&bed, &phone(29)).await, "nobody");
    assert_eq!(ring(&bed, &phone(27)).await, "nobody");
    assert_eq!(ring(&bed, "03-7777-7777").await, "Acme Holdings/C27");
    assert_eq!(ring(&bed, "03-8888-8888").await, "Acme Holdings/New");
    for at in [3, 20] {
        let name = format!("Acme Holdings/C{at}");
        assert_eq!(ring(&bed, &phone(at)).await, name);
    }

    bed.settings["maxApiCalls"] = 100.into();
    played.edit(|org, now| assert!(org.at(now).merge(&umi, &acme, false)));
    run(&bed).await;
    assert_eq!(ring(&bed, &phone(3)).await, "Umi/C3");
}

async fn what_changes_is_followed_in_the_book_too(on: Backend) {
    // Whether names of contacts follow or not.
    for follow in [
        json!({"mode": "All", "everySeconds": 0}),
        json!({"mode": "NewOnly", "everySeconds": 0}),
        json!(null),
    ] {
        let (mut bed, played) = bed(contacts(4), on, false).await;
        bed.settings["follow"] = follow.clone();
        bed.calls_from(0, &["03-4000-0000"]).await;
        run(&bed).await;
        let (called, other, gone) = (
            id(&played, "Contact", "C0"),
            id(&played, "Contact", "C1"),
            id(&played, "Contact", "C2"),
        );
        let (acme, umi) = (
            id(&played, "Account", "Acme"),
            id(&played, "Account", "Umi"),
        );
        // Later than what the window before read.
        played.advance(SignedDuration::from_hours(2));
        bed.clock_of_follow_back().await;
        played.edit(|org, now| {
            let mut edit = org.at(now);
            edit.update(&called, Record::person("Kato")).unwrap();
            edit.update(&other, Record::person("Ueda")).unwrap();
            assert!(edit.delete(&gone));
        });
        run(&bed).await;
        let registered = match follow["mode"] == "All" {
            true => "Acme/Kato",
            false => "Acme/C0",
        };
        assert_eq!(ring(&bed, &phone(0)).await, registered, "{follow}");
        assert_eq!(ring(&bed, &phone(1)).await, "Acme/Ueda", "{follow}");
        assert_eq!(ring(&bed, &phone(2)).await, "nobody", "{follow}");
        bed.clock_of_follow_back().await;
        played.edit(|org, now| assert!(org.at(now).merge(&umi, &acme, false)));
        run(&bed).await;
        assert_eq!(ring(&bed, &phone(1)).await, "Umi/Ueda", "{follow}");
        // The contacts are those of the account that stayed, whatever it is called later.
        bed.clock_of_follow_back().await;
        played.edit(|org, now| {
            let renamed = Record::account("Yama");
            org.at(now).update(&umi, renamed).unwrap();
        });
        run(&bed).await;
        assert_eq!(ring(&bed, &phone(1)).await, "Yama/Ueda", "{follow}");
    }
}

async fn an_org_with_more_records_than_the_book_may_have_is_asked_on_demand(on: Backend) {
    let (mut bed, played) = bed(contacts(5), on, false).await;
    run(&bed).await;
    assert_eq!(book(&bed).await.records, 6);
    // The book that there is goes when the records are counted the next time.
    bed.settings["addressBook"]["maxRecords"] = 5.into();
    bed.book_ages(SignedDuration::from_hours(9 * 24)).await;
    let over = |report: &RunReport| {
        let warned = report.warnings.iter();
        let warned: Vec<&str> = warned.map(|note| note.code.as_str()).collect();
        assert_eq!(warned, ["AddressBookOverLimit"], "{report:?}");
        assert!(report.address_book.unwrap().over_limit, "{report:?}");
        assert!(report.address_book.unwrap().filling.is_none(), "{report:?}");
    };
    let report = bed.succeed(RunKind::Lookup).await;
    over(&report);
    assert_eq!(report.org_records, Some(6));
    assert_eq!(book(&bed).await.records, 0);
    assert_eq!(ring(&bed, &phone(1)).await, "nobody");
    // Nobody counts again so soon, and changes are not kept.
    bed.calls_from(0, &["03-4000-0001"]).await;
    let c2 = id(&played, "Contact", "C2");
    played.edit(|org, now| org.at(now).update(&c2, Record::person("Kato")).unwrap());
    let report = bed.succeed(RunKind::Lookup).await;
    over(&report);
    assert_eq!((report.org_records, report.written), (None, 1));
    assert_eq!(ring(&bed, &phone(1)).await, "Acme/C1");
    assert_eq!(book(&bed).await.records, 0);
    bed.book_ages(SignedDuration::from_hours(25)).await;
    assert_eq!(bed.succeed(RunKind::Lookup).await.org_records, Some(6));
    // A higher limit fills it at once.
    bed.settings["addressBook"]["maxRecords"] = 6.into();
    let report = run(&bed).await;
    assert_eq!(report.address_book.unwrap().records, 6);
    assert_eq!(ring(&bed, &phone(2)).await, "Acme/Kato");
    // Who wants none any more has none.
    bed.settings.as_object_mut().unwrap().remove("addressBook");
    assert_eq!(run(&bed).await.address_book, None);
    assert_eq!(book(&bed).await, Book::default());
}

async fn an_erased_number_is_in_no_fill_and_no_answer(on: Backend) {
    let (bed, played) = bed(contacts(3), on, true).await;
    run(&bed).await;
    let privacy = bed.directory(Purpose::Privacy);
    let number = NumberRequest {
        number: phone(1),
        region: None,
    };
    privacy.erase_number(&number).await.unwrap();
    assert_eq!(ring(&bed, &phone(1)).await, "nobody");
    let c1 = id(&played, "Contact", "C1");
    played.edit(|org, now| org.at(now).update(&c1, Record::person("Kato")).unwrap());
    run(&bed).await;
    assert_eq!(book(&bed).await.records, 3);
    // The record is in Salesforce and not here: one fill anew finds that it may not be kept, and
    // then the two agree.
    bed.book_ages(SignedDuration::from_hours(9 * 24)).await;
    let before = book(&bed).await.generation;
    run(&bed).await;
    let filled = book(&bed).await;
    assert_eq!(filled.records, 3);
    assert!(filled.generation > before);
    bed.book_ages(SignedDuration::from_hours(9 * 24)).await;
    let report = run(&bed).await;
    assert_eq!(report.org_records, Some(4));
    assert_eq!(book(&bed).await.generation, filled.generation);
    assert_eq!(ring(&bed, &phone(1)).await, "nobody");
}

/// Sharing changes without a stamp.
#[tokio::test]
async fn a_weekly_count_finds_what_changes_cannot_tell_and_fills_only_then() {
    let (bed, played) = bed(contacts(6), Backend::Sqlite, false).await;
    run(&bed).await;
    let generation = book(&bed).await.generation;
    played.edit(|org, now| {
        // A purge leaves no row that a window could show.
        let id = org.ids("Contact", false)[0].clone();
        let mut edit = org.at(now);
        assert!(edit.delete(&id) && edit.purge(&id));
    });
    let report = run(&bed).await;
    assert_eq!(report.org_records, None, "it is counted once a week");
    assert_eq!(book(&bed).await.records, 7);
    bed.book_ages(SignedDuration::from_hours(9 * 24)).await;
    let report = run(&bed).await;
    assert_eq!(report.org_records, Some(6));
    let filled = book(&bed).await;
    assert!(filled.generation > generation);
    assert_eq!(filled.records, 6);
    // The same again: they agree, which is kept.
    bed.book_ages(SignedDuration::from_hours(9 * 24)).await;
    let calls = played.api_calls();
    run(&bed).await;
    assert_eq!(played.api_calls() - calls, 2, "changes, and a count");
    assert_eq!(run(&bed).await.org_records, None);
    assert_eq!(book(&bed).await.generation, filled.generation);
}

#[tokio::test]
async fn where_bulk_queries_fail_records_are_read_page_by_page() {
    type Break = fn(&Played);
    let breaks: [(&str, Break); 6] = [
        ("no bulk queries", |played| {
            played.edit(|org, _| org.bulk = false);
        }),
        ("failed", |played| {
            played.world(|world| world.switches.bulk.outcome = BulkOutcome::Failed("no".into()));
        }),
        ("aborted", |played| {
            played.world(|world| world.switches.bulk.outcome = BulkOutcome::Aborted);
        }),
        ("no more jobs", |played| {
            played.world(|world| world.switches.bulk.jobs_a_day = 1);
        }),
        ("objects without bulk queries", |played| {
            played.world(|world| world.switches.bulk.unsupported = vec!["Contact".into()]);
        }),
        ("truncated", |played| {
            played.fault(Fault::new(Effect::FewerRows { rows: 2 }).on_path("*/results"));
        }),
    ];
    for (what, break_it) in breaks {
        let (bed, played) = bed(contacts(12), Backend::Sqlite, true).await;
        break_it(&played);
        let report = run(&bed).await;
        let told = report.address_book.unwrap();
        assert_eq!(told.records, 13, "{what}: {told:?}");
        assert!(told.filled_at.is_some(), "{what}: {told:?}");
        assert_eq!(ring(&bed, &phone(11)).await, "Acme/C11", "{what}");
    }
}

#[tokio::test]
async fn a_job_that_is_gone_is_made_again() {
    let (mut bed, played) = bed(contacts(30), Backend::Sqlite, true).await;
    bed.reads.portion = 5;
    bed.settings["maxApiCalls"] = 12.into();
    run(&bed).await;
    let jobs = |book: &Book| -> Vec<Option<String>> {
        let parts = &book.fill.as_ref().unwrap().parts;
        parts.iter().map(|part| part.job_id.clone()).collect()
    };
    let before = jobs(&book(&bed).await);
    assert!(before.iter().any(Option::is_some), "{before:?}");
    played.advance(SignedDuration::from_hours(8 * 24));
    bed.settings["maxApiCalls"] = 200.into();
    let report = run(&bed).await;
    assert_eq!(report.address_book.unwrap().records, 31);
}

#[tokio::test]
async fn what_the_user_does_not_see_is_reported_and_left_out() {
    for bulk in [false, true] {
        let lead = Record::person("L")
            .phone("03-9999-0000")
            .set("Company", "X");
        let org = contacts(3).lead(lead);
        let org = org.grants("Integration", |grants| {
            grants.without_object("Lead").hide("Contact.MobilePhone")
        });
        let (bed, _played) = bed(org, Backend::Sqlite, bulk).await;
        let report = bed.succeed(RunKind::Lookup).await;
        let codes: std::collections::BTreeSet<&str> = report
            .warnings
            .iter()
            .map(|warning| warning.code.as_str())
            .collect();
        assert!(codes.contains("ObjectUnavailable"), "{report:?}");
        assert!(codes.contains("FieldHidden"), "{report:?}");
        let told = report.address_book.unwrap();
        assert_eq!(told.records, 4, "{told:?}");
        assert!(told.filled_at.is_some(), "{told:?}");
        assert_eq!(ring(&bed, &phone(2)).await, "Acme/C2");
    }
}

#[tokio::test]
async fn a_person_account_and_its_contact_are_one_record() {
    for bulk in [false, true] {
        let user = User::integration(USER)
            .password(PASSWORD)
            .token(SECURITY_TOKEN);
        let ito = Record::person_account("Ken", "Ito")
            .phone("03-1234-5678")
            .set("PersonMobilePhone", "090-1234-5678")
            .modified(LONG_AGO);
        let org = Org::enterprise("acme")
            .with(|org| org.person_accounts = true)
            .user(user)
            .account(ito)
            .contact(
                Record::person("Alone")
                    .phone("03-1234-5679")
                    .modified(LONG_AGO),
            );
        let (bed, played) = bed(org, Backend::Sqlite, bulk).await;
        let report = run(&bed).await;
        let told = report.address_book.unwrap();
        assert_eq!(report.org_records, Some(2), "{report:?}");
        assert_eq!((told.records, told.numbers), (2, 3), "{told:?}");
        assert_eq!(ring(&bed, "090-1234-5678").await, "/Ken Ito");
        assert_eq!(ring(&bed, "03-1234-5679").await, "/Alone");
        let contact = id(&played, "Contact", "Ken Ito");
        played.edit(|org, now| {
            let renamed = Record::new().set("LastName", "Kato");
            org.at(now).update(&contact, renamed).unwrap();
        });
        let report = run(&bed).await;
        assert_eq!(report.address_book.unwrap().records, 2);
        assert_eq!(ring(&bed, "090-1234-5678").await, "/Ken Kato");
        assert_eq!(ring(&bed, "03-1234-5678").await, "/Ken Kato");
    }
}

#[tokio::test]
async fn a_fill_leaves_half_of_the_calls_and_a_failed_one_fails_no_run() {
    let (mut bed, played) = bed(contacts(30), Backend::Sqlite, true).await;
    bed.settings["maxApiCalls"] = 14.into();
    let report = run(&bed).await;
    assert!(report.api_calls <= 8, "{report:?}");
    assert!(report.address_book.unwrap().filling.is_some(), "{report:?}");

    played.fault(Fault::error("QUERY_TIMEOUT").on_path("*/query*"));
    bed.calls_from(0, &["03-4000-0001"]).await;
    let report = bed.run(RunKind::Lookup).await;
    assert_eq!(report.outcome, Outcome::Succeeded, "{report:?}");
    assert_eq!(report.calls, 1);
    assert_eq!(report.warnings[0].code.as_str(), "AddressBookNotFilled");
}

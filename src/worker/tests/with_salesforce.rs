//! Runs against the Salesforce simulator.

use std::collections::BTreeSet;
use std::time::Duration;

use salesforce_simulator::{Org, Record, User};

use super::bed::{Bed, PASSWORD, SECURITY_TOKEN, USER};
use super::fake_salesforce::Played;
use crate::directory::Purpose;
use crate::directory::model::{
    Call, ChosenBy, ClaimRequest, ContactEdit, FoundContact, LookupState, RecordObject,
    WriteContactsRequest, WritePolicy,
};
use crate::run::{Matched, Outcome, RunKind};
use crate::shutdown::Shutdown;
use crate::worker::{Bounds, Run, prepare};

fn user() -> User {
    User::integration(USER)
        .password(PASSWORD)
        .token(SECURITY_TOKEN)
}

fn acme() -> Org {
    Org::enterprise("acme")
        .user(user())
        .account(Record::account("Acme").phone("03-5555-0001"))
}

fn sato() -> Record {
    Record::person("Sato")
        .first("Hanako")
        .of_account("Acme")
        .phone("03-1234-5678")
}

async fn bed(org: Org) -> (Bed, Played) {
    let played = Played::start(org).await;
    let mut bed = Bed::start(&played.url()).await;
    let ca = bed.folder().join("ca.pem");
    std::fs::write(&ca, played.ca_pem()).unwrap();
    bed.ca_bundle = Some(ca);
    (bed, played)
}

fn person(call: &Call) -> Option<&str> {
    call.contact.as_ref()?.person_name.as_deref()
}

fn numbers(count: usize) -> Vec<String> {
    (0..count)
        .map(|at| format!("03{:08}", 40_000_000 + at * 31))
        .collect()
}

fn strs(numbers: &[String]) -> Vec<&str> {
    numbers.iter().map(String::as_str).collect()
}

#[tokio::test]
async fn calls_get_the_names_of_the_best_record_by_one_login_and_one_call() {
    let org = acme()
        .contact(sato().modified("2026-11-20T00:00:00Z"))
        .contact(
            Record::person("Older")
                .phone("+81 3 1234 5678")
                .modified("2026-11-01T00:00:00Z"),
        )
        .lead(
            Record::person("Newer")
                .phone("0312345678")
                .set("Company", "Umi")
                .modified("2026-11-22T00:00:00Z"),
        )
        .lead(
            Record::person("Ueda")
                .mobile("(090) 1234-5678")
                .set("Company", "Umi KK"),
        );
    let (bed, played) = bed(org).await;
    let spelled = [
        "0312345678",
        "０３ー１２３４ー５６７８",
        "+81 90-1234-5678",
        "0355550001",
        "0399999999",
    ];
    bed.calls_from(0, &spelled).await;
    bed.calls_from(0, &spelled).await;
    let report = bed.succeed(RunKind::Sync).await;
    assert_eq!((report.calls, report.numbers, report.unmatched), (5, 4, 1));
    assert_eq!(
        report.matched,
        Matched {
            contact: 1,
            account: 1,
            lead: 1
        }
    );
    assert_eq!(
        (report.written, report.skipped, report.api_calls),
        (3, 0, 1)
    );
    assert!(report.warnings.is_empty(), "{report:?}");
    assert_eq!((played.logins(), played.api_calls()), (1, 1));
    assert_eq!(report.usage.unwrap().used, 1);

    let history = bed.history().await;
    let names: Vec<_> = history.iter().map(person).collect();
    assert_eq!(
        names,
        [
            Some("Hanako Sato"),
            Some("Hanako Sato"),
            Some("Ueda"),
            None,
            None
        ]
    );
    assert!(history.iter().all(|call| call.lookup == LookupState::Done));
    let contact = history[0].contact.as_ref().unwrap();
    assert_eq!(contact.company_name.as_deref(), Some("Acme"));
    assert_eq!(contact.object, Some(RecordObject::Contact));
    let link = contact.link.as_deref().unwrap();
    assert!(
        link.ends_with(contact.record_id.as_deref().unwrap()),
        "{link}"
    );
    assert_eq!(
        bed.who("0355550001").await,
        Some((Some("Acme".to_owned()), None))
    );

    // A second run finds nothing to do and does not log in.
    assert_eq!(bed.succeed(RunKind::Sync).await.calls, 0);
    assert_eq!(played.logins(), 1);
}

#[tokio::test]
async fn the_daily_run_never_overwrites_and_the_after_call_run_does() {
    let (bed, played) = bed(acme().contact(sato())).await;
    let edit = ContactEdit {
        company_name: None,
        person_name: Some("By Hand".to_owned()),
    };
    bed.directory(Purpose::Admin)
        .put_contact("0312345678", &edit)
        .await
        .unwrap();
    bed.calls_from(0, &["0312345678"]).await;
    let report = bed.succeed(RunKind::Sync).await;
    assert_eq!((report.calls, report.numbers, report.written), (1, 0, 0));
    assert_eq!(
        played.api_calls(),
        0,
        "a number that has a contact is not asked for"
    );
    assert_eq!(person(&bed.history().await[0]), Some("By Hand"));

    bed.calls_from(1, &["0312345678"]).await;
    let report = bed.succeed(RunKind::Lookup).await;
    assert_eq!((report.calls, report.numbers, report.written), (1, 1, 1));
    assert_eq!(person(&bed.history().await[0]), Some("Hanako Sato"));
}

fn request(bed: &mut Bed, request: &str) {
    bed.settings["reRetrieve"] = serde_json::json!({"request": request, "historyDays": 9_999});
}

#[tokio::test]
async fn a_number_that_was_not_known_is_asked_again_on_request_and_gets_its_name() {
    let (mut bed, played) = bed(acme()).await;
    bed.calls_from(0, &["0312345678", "0399999999"]).await;
    assert_eq!(bed.succeed(RunKind::Sync).await.unmatched, 2);
    played.add_contact(sato());
    let report = bed.succeed(RunKind::Sync).await;
    assert_eq!((report.numbers, report.api_calls), (0, 0));

    request(&mut bed, "one");
    let report = bed.succeed(RunKind::Sync).await;
    assert_eq!(
        (report.calls, report.numbers, report.asked_again),
        (0, 2, 2)
    );
    assert_eq!(
        (report.written, report.unmatched, report.remaining),
        (1, 1, 0)
    );
    assert_eq!(report.api_calls, 1);
    let history = bed.history().await;
    assert_eq!(person(&history[0]), Some("Hanako Sato"));
    assert!(history[1].not_found && history[1].asked_at.is_some());
    let report = bed.succeed(RunKind::Sync).await;
    assert_eq!(report.numbers, 0, "one request is one re-retrieval");
}

#[tokio::test]
async fn misses_are_asked_again_at_once_when_the_settings_of_a_match_change() {
    let (mut bed, played) = bed(acme()).await;
    bed.settings["matchSettings"] = "before".into();
    bed.calls_from(0, &["0312345678"]).await;
    bed.succeed(RunKind::Sync).await;
    played.add_contact(sato());
    assert_eq!(bed.succeed(RunKind::Sync).await.numbers, 0);
    bed.settings["matchSettings"] = "after".into();
    // The number of a new call and the miss share a request.
    bed.calls_from(1, &["0399999999"]).await;
    let report = bed.succeed(RunKind::Sync).await;
    assert_eq!(
        (report.numbers, report.asked_again, report.api_calls),
        (2, 1, 1)
    );
    assert_eq!(person(&bed.history().await[0]), Some("Hanako Sato"));
}

#[tokio::test]
async fn a_name_that_only_the_second_question_finds_stays_and_a_known_miss_costs_no_search() {
    let org = acme().contact(Record::person("Sato").phone("03-1234-5678 内線12"));
    let (mut bed, played) = bed(org).await;
    bed.settings["secondQuestion"] = true.into();
    bed.calls_from(0, &["0312345678", "0399999999"]).await;
    let report = bed.succeed(RunKind::Lookup).await;
    // The question, the search, and the record that it named.
    assert_eq!((report.numbers, report.unmatched), (2, 1));
    assert_eq!((report.written, report.api_calls), (1, 3));
    // Both call again. One has a contact, which must not go; the other is a miss and is not due.
    for (id, number, calls) in [(2, "0399999999", 1), (3, "0312345678", 3)] {
        let before = played.api_calls();
        bed.calls_from(id, &[number]).await;
        bed.succeed(RunKind::Lookup).await;
        assert_eq!(played.api_calls() - before, calls, "{number}");
        let who = bed.who("0312345678").await.unwrap();
        assert_eq!(who.1.as_deref(), Some("Sato"), "{number}");
    }
    // Nearly used up, it is not asked, and the name stays.
    bed.settings["maxApiCalls"] = 2.into();
    bed.calls_from(4, &["0312345678"]).await;
    assert_eq!(bed.succeed(RunKind::Lookup).await.api_calls, 1);
    let who = bed.who("0312345678").await.unwrap();
    assert_eq!(who.1.as_deref(), Some("Sato"));
}

#[tokio::test]
async fn a_daily_run_asks_again_for_the_misses_that_are_due_and_for_no_others() {
    let (bed, played) = bed(acme()).await;
    bed.calls_from(0, &["0312345678"]).await;
    bed.succeed(RunKind::Sync).await;
    played.add_contact(sato());
    for (days, asked) in [(0, 0), (1, 1), (1, 0)] {
        bed.days_pass(days).await;
        let report = bed.succeed(RunKind::Sync).await;
        assert_eq!((report.asked_again, report.api_calls), (asked, asked));
    }
    assert_eq!(person(&bed.history().await[0]), Some("Hanako Sato"));
}

#[tokio::test]
async fn an_after_call_run_asks_again_for_due_misses_together_and_once_a_day() {
    let (bed, _played) = bed(acme()).await;
    bed.calls_from(0, &["0312345678"]).await;
    bed.succeed(RunKind::Lookup).await;
    bed.days_pass(1).await;
    assert_eq!(bed.succeed(RunKind::Lookup).await.asked_again, 1);
    bed.calls_from(1, &["0399999999"]).await;
    bed.succeed(RunKind::Lookup).await;
    assert_eq!(bed.succeed(RunKind::Lookup).await.asked_again, 0);
    bed.days_pass(2).await;
    let report = bed.succeed(RunKind::Lookup).await;
    assert_eq!((report.asked_again, report.api_calls), (2, 1));
}

#[tokio::test]
async fn many_misses_that_are_due_cost_one_call_where_little_changed() {
    let (bed, played) = bed(acme()).await;
    let numbers = numbers(400);
    for (at, numbers) in numbers.chunks(200).enumerate() {
        bed.calls_from(at * 200, &strs(numbers)).await;
    }
    let first = bed.succeed(RunKind::Sync).await;
    assert!(first.api_calls > 3, "{first:?}");
    played.add_contact(Record::person("Late").phone(&numbers[17]));
    bed.days_pass(1).await;
    let report = bed.succeed(RunKind::Sync).await;
    assert_eq!((report.asked_again, report.matched.contact), (400, 1));
    assert_eq!((report.written, report.api_calls), (1, 1));
    assert_eq!(
        bed.who(&numbers[17]).await,
        Some((None, Some("Late".to_owned())))
    );
    assert_eq!(bed.succeed(RunKind::Sync).await.numbers, 0);
}

#[tokio::test]
async fn a_re_retrieval_goes_on_within_the_budget_and_says_how_many_are_left() {
    let (mut bed, _played) = bed(acme()).await;
    let numbers = numbers(150);
    bed.calls_from(0, &strs(&numbers)).await;
    bed.succeed(RunKind::Sync).await;
    request(&mut bed, "one");
    bed.settings["maxApiCalls"] = 1.into();
    let first = bed.run(RunKind::Sync).await;
    assert_eq!(first.outcome, Outcome::BudgetExhausted);
    assert!(first.asked_again > 0 && first.remaining > 0, "{first:?}");
    assert_eq!(first.asked_again + first.remaining, 150);
    // The next run by the clock does not repeat the request, and goes on with it.
    bed.settings["reRetrieve"] = serde_json::Value::Null;
    bed.settings["maxApiCalls"] = serde_json::Value::Null;
    let rest = bed.succeed(RunKind::Sync).await;
    assert_eq!((rest.asked_again, rest.remaining), (first.remaining, 0));
}

#[tokio::test]
async fn a_re_retrieval_killed_again_and_again_asks_every_number_and_few_twice() {
    let (mut bed, played) = bed(acme().with(|org| org.latency_ms = 20)).await;
    let numbers = numbers(200);
    bed.calls_from(0, &strs(&numbers)).await;
    bed.succeed(RunKind::Sync).await;
    for (at, number) in numbers.iter().enumerate().filter(|(at, _)| at % 2 == 0) {
        played.add_contact(Record::person(&format!("Person {at}")).phone(number));
    }
    let before = played.api_calls();
    request(&mut bed, "one");
    for round in 0..12_u64 {
        let run = prepare(RunKind::Sync, &bed.options()).unwrap();
        let stop = Shutdown::new();
        let _ =
            tokio::time::timeout(Duration::from_millis(40 + 13 * round), run.execute(&stop)).await;
    }
    bed.succeed(RunKind::Sync).await;
    for (at, call) in bed.history().await.iter().enumerate() {
        let expected = (at % 2 == 0).then(|| format!("Person {at}"));
        assert_eq!(person(call), expected.as_deref());
    }
    let calls = played.api_calls() - before;
    assert!(calls <= 6 + 13, "{calls} calls");
}

#[tokio::test]
async fn a_number_that_salesforce_no_longer_knows_loses_its_name_and_a_hand_written_one_stays() {
    let other = Record::person("Other").phone("0399999999");
    let (mut bed, played) = bed(acme().contact(sato()).contact(other)).await;
    bed.calls_from(0, &["0312345678", "0399999999"]).await;
    bed.succeed(RunKind::Lookup).await;
    let edit = ContactEdit {
        company_name: None,
        person_name: Some("By Hand".to_owned()),
    };
    let admin = bed.directory(Purpose::Admin);
    admin.put_contact("0399999999", &edit).await.unwrap();
    played.remove_contacts();
    request(&mut bed, "one");
    let report = bed.succeed(RunKind::Lookup).await;
    assert_eq!((report.asked_again, report.unmatched), (2, 2));
    let history = bed.history().await;
    assert_eq!(history[0].contact, None);
    let was = history[0].was.as_ref().unwrap();
    assert_eq!(was.person_name.as_deref(), Some("Hanako Sato"));
    assert_eq!(Some(was.gone_since), history[0].asked_at);
    assert_eq!(person(&history[1]), Some("By Hand"));
}

#[tokio::test]
async fn a_user_who_loses_an_object_takes_no_name_away() {
    let (mut bed, played) = bed(acme().contact(sato())).await;
    bed.calls_from(0, &["0312345678"]).await;
    bed.succeed(RunKind::Lookup).await;
    played.hide("Contact.MobilePhone");
    played.remove_contacts();
    request(&mut bed, "one");
    bed.succeed(RunKind::Lookup).await;
    let history = bed.history().await;
    assert_eq!(
        person(&history[0]),
        Some("Hanako Sato"),
        "contacts were not searched on all fields"
    );
}

#[tokio::test]
async fn the_others_of_a_number_stand_on_the_contact_and_the_report_counts_it() {
    let contact = |name: &str, day: u8| {
        Record::person(name)
            .phone("0312345678")
            .modified(&format!("2026-11-{day:02}T00:00:00Z"))
    };
    let person_account = Record::person_account("Ken", "Ito")
        .set("PersonMobilePhone", "03-1234-5678")
        .modified("2026-11-28T00:00:00Z");
    let org = acme()
        .with(|org| org.person_accounts = true)
        .account(person_account)
        .contact(contact("Older", 1).set("Title", "Buyer"))
        .contact(
            sato()
                .set("Title", "Head of Sales")
                .modified("2026-11-20T00:00:00Z"),
        )
        .lead(contact("Lead", 27).set("Company", "Umi"));
    let (bed, played) = bed(org).await;
    bed.calls_from(0, &["0312345678", "0355550001"]).await;
    let report = bed.succeed(RunKind::Sync).await;
    assert_eq!((report.matched.contact, report.ambiguous), (1, 1));
    assert_eq!(played.api_calls(), 1, "title and owner cost nothing");
    let history = bed.history().await;
    let contact = history[0].contact.as_ref().unwrap();
    assert_eq!(contact.person_name.as_deref(), Some("Hanako Sato"));
    assert_eq!(contact.title.as_deref(), Some("Head of Sales"));
    assert!(contact.owner_name.is_some(), "{contact:?}");
    let others = contact.alternatives.as_ref().unwrap();
    let listed: Vec<_> = others
        .records
        .iter()
        .map(|other| (other.object, other.person_name.as_deref().unwrap()))
        .collect();
    assert_eq!(
        listed,
        [
            (RecordObject::Contact, "Older"),
            (RecordObject::Account, "Ken Ito"),
            (RecordObject::Lead, "Lead"),
        ]
    );
    assert_eq!((others.count, others.rule), (3, ChosenBy::Newest));
    assert_eq!(history[1].contact.as_ref().unwrap().alternatives, None);
}

#[tokio::test]
async fn a_refused_login_ends_the_run_after_one_attempt_and_says_so() {
    let (bed, played) = bed(acme().contact(sato())).await;
    std::fs::write(bed.folder().join("password"), "wrong").unwrap();
    bed.calls_from(0, &["0312345678"]).await;
    let report = bed.run(RunKind::Lookup).await;
    assert_eq!(report.outcome, Outcome::Failed);
    assert!(report.login_refused);
    assert_eq!(report.error.unwrap().code, "InvalidLogin");
    assert_eq!(
        (report.calls, played.logins(), played.api_calls()),
        (0, 1, 0)
    );

    std::fs::write(bed.folder().join("password"), PASSWORD).unwrap();
    assert_eq!(bed.succeed(RunKind::Lookup).await.calls, 1);
}

#[tokio::test]
async fn a_missing_object_and_a_hidden_field_are_reported_and_do_not_stop_the_run() {
    let org = acme()
        .contact(sato())
        .contact(Record::person("Mobile").mobile("090-1234-5678"))
        .grants("Integration", |grants| {
            grants.without_object("Lead").hide("Contact.MobilePhone")
        });
    let (bed, _played) = bed(org).await;
    bed.calls_from(0, &["0312345678", "09012345678"]).await;
    let report = bed.succeed(RunKind::Sync).await;
    assert_eq!((report.matched.contact, report.unmatched), (1, 1));
    let warnings: BTreeSet<&str> = report
        .warnings
        .iter()
        .map(|note| note.code.as_str())
        .collect();
    assert_eq!(
        warnings,
        BTreeSet::from(["FieldHidden", "ObjectUnavailable"])
    );
    let text = format!("{:?}", report.warnings);
    assert!(
        text.contains("Contact.MobilePhone") && text.contains("Lead"),
        "{text}"
    );
}

#[tokio::test]
async fn a_person_account_is_one_person() {
    let ito = Record::person_account("Ken", "Ito").set("PersonMobilePhone", "090-1234-5678");
    let org = acme().with(|org| org.person_accounts = true).account(ito);
    let (mut bed, _played) = bed(org).await;
    for known in [Some(true), None] {
        bed.settings["personAccounts"] = known.into();
        bed.calls_from(usize::from(known.is_none()), &["09012345678"])
            .await;
        let report = bed.succeed(RunKind::Lookup).await;
        assert_eq!(
            report.matched,
            Matched {
                contact: 0,
                account: 1,
                lead: 0
            }
        );
        assert!(report.warnings.is_empty(), "{report:?}");
        assert_eq!(
            bed.who("09012345678").await,
            Some((None, Some("Ken Ito".to_owned())))
        );
    }
}

#[tokio::test]
async fn a_number_on_thousands_of_records_is_paged_to_the_newest_of_each() {
    let crowd = (0..2_500).map(|at| {
        Record::person(&format!("Crowd {at}"))
            .phone("0312345678")
            .modified("2026-11-01T00:00:00Z")
    });
    let org = acme()
        .records("Contact", crowd)
        .contact(
            Record::person("Newest")
                .phone("0312345678")
                .modified("2026-11-02T00:00:00Z"),
        )
        .contact(
            Record::person("Oldest")
                .phone("0312345679")
                .modified("2020-01-01T00:00:00Z"),
        );
    let (bed, played) = bed(org).await;
    bed.calls_from(0, &["0312345678", "0312345679"]).await;
    let report = bed.succeed(RunKind::Sync).await;
    assert_eq!(report.matched.contact, 2);
    let history = bed.history().await;
    assert_eq!(
        history.iter().map(person).collect::<Vec<_>>(),
        [Some("Newest"), Some("Oldest")]
    );
    assert_eq!(played.api_calls(), 2);
}

#[tokio::test]
async fn a_run_that_reaches_its_budget_keeps_what_it_has_and_the_next_one_goes_on() {
    let (mut bed, played) = bed(acme()).await;
    let numbers = numbers(150);
    bed.calls_from(0, &strs(&numbers)).await;
    bed.settings["maxApiCalls"] = 1.into();
    let report = bed.run(RunKind::Sync).await;
    assert_eq!(report.outcome, Outcome::BudgetExhausted);
    assert_eq!(report.error.unwrap().code, "BudgetExhausted");
    assert_eq!(played.api_calls(), 1);
    assert!(
        report.numbers > 0 && report.numbers < 150,
        "{}",
        report.numbers
    );
    let open = bed
        .history()
        .await
        .iter()
        .filter(|call| call.lookup == LookupState::Pending)
        .count();
    assert_eq!(open as u64, 150 - report.numbers);

    bed.settings["maxApiCalls"] = serde_json::Value::Null;
    let rest = bed.succeed(RunKind::Sync).await;
    assert_eq!(rest.numbers + report.numbers, 150);
}

#[tokio::test]
async fn an_org_whose_quota_is_used_up_fails_by_that_name() {
    let (bed, _played) = bed(acme().with(|org| org.daily_limit = Some(0))).await;
    bed.calls_from(0, &["0312345678"]).await;
    let report = bed.run(RunKind::Sync).await;
    assert_eq!(report.outcome, Outcome::Failed);
    assert_eq!(report.error.unwrap().code, "RequestLimitExceeded");
    assert!(!report.login_refused);
}

#[tokio::test]
async fn a_run_that_is_told_to_stop_finishes_its_request_and_hands_the_rest_back() {
    let (bed, played) = bed(acme().contact(sato()).with(|org| org.latency_ms = 200)).await;
    let mut calls = vec!["0312345678".to_owned()];
    calls.extend(numbers(180));
    bed.calls_from(0, &strs(&calls)).await;
    let stop = Shutdown::new();
    let stop_after_one_call = async {
        played.after_calls(1).await;
        stop.stop();
    };
    let (report, ()) = tokio::join!(bed.run_until(RunKind::Lookup, &stop), stop_after_one_call);
    assert_eq!(report.outcome, Outcome::Interrupted);
    assert_eq!(report.api_calls, 1);
    assert_eq!(report.matched.contact, 1, "what was asked is kept");
    assert_eq!(person(&bed.history().await[0]), Some("Hanako Sato"));
    let rest = bed.succeed(RunKind::Lookup).await;
    assert_eq!(rest.numbers + report.numbers, 181);
}

#[tokio::test]
async fn a_session_that_salesforce_ends_is_replaced_once_and_no_more() {
    let (mut bed, played) = bed(acme().with(|org| org.latency_ms = 100)).await;
    // Short URLs, and a longer one that is known to be refused, cause many requests.
    bed.settings["urlLength"] = serde_json::json!({"bytes": 2_048, "refused": 4_096});
    let numbers = numbers(150);
    bed.calls_from(0, &strs(&numbers)).await;
    let revoke_after = async |calls: u64| {
        played.after_calls(calls).await;
        played.revoke_sessions();
    };
    let revoked = async {
        revoke_after(1).await;
        revoke_after(5).await;
    };
    let (report, ()) = tokio::join!(bed.run(RunKind::Lookup), revoked);
    assert_eq!(report.outcome, Outcome::Failed, "{report:?}");
    assert_eq!(report.error.unwrap().code, "SessionExpired");
    assert!(!report.login_refused);
    assert_eq!(played.logins(), 2);
    assert!(report.numbers > 0);
    let rest = async {
        let before = played.api_calls();
        revoke_after(before + 3).await;
    };
    let (rest, ()) = tokio::join!(bed.run(RunKind::Lookup), rest);
    assert_eq!(
        rest.outcome,
        Outcome::Succeeded,
        "one is replaced: {rest:?}"
    );
    assert_eq!(rest.numbers + report.numbers, 150);
    assert_eq!(played.logins(), 4);
}

#[tokio::test]
async fn a_worker_killed_again_and_again_loses_nothing_and_doubles_nothing() {
    const CALLS: usize = 200;
    let numbers = numbers(CALLS);
    let people = numbers
        .iter()
        .enumerate()
        .filter(|(at, _)| at % 2 == 0)
        .map(|(at, number)| Record::person(&format!("Person {at}")).phone(number));
    let org = acme()
        .records("Contact", people)
        .with(|org| org.latency_ms = 20);
    let (bed, played) = bed(org).await;
    bed.calls_from(0, &strs(&numbers)).await;
    for round in 0..12_u64 {
        let run = prepare(RunKind::Sync, &bed.options()).unwrap();
        let stop = Shutdown::new();
        // The run is dropped at any point, like after SIGKILL: no call is released.
        let _ =
            tokio::time::timeout(Duration::from_millis(40 + 13 * round), run.execute(&stop)).await;
    }
    bed.succeed(RunKind::Sync).await;
    let history = bed.history().await;
    assert_eq!(history.len(), CALLS);
    for (at, call) in history.iter().enumerate() {
        assert_eq!(call.lookup, LookupState::Done);
        let expected = (at % 2 == 0).then(|| format!("Person {at}"));
        assert_eq!(person(call), expected.as_deref());
    }
    // Each kill costs at most the answer to one request.
    assert!(played.api_calls() <= 6 + 13, "{} calls", played.api_calls());
}

#[tokio::test]
async fn a_run_that_writes_when_its_claim_is_over_leaves_what_the_next_one_wrote() {
    let org = acme().contact(sato()).with(|org| org.latency_ms = 1_500);
    let (bed, played) = bed(org).await;
    bed.calls_from(0, &["03-1234-5678"]).await;
    let slow = Run {
        bounds: Bounds {
            claim_seconds: 1,
            ..Bounds::default()
        },
        ..bed.prepared(RunKind::Lookup)
    };
    let overtakes = async {
        let next = bed.directory(Purpose::Worker);
        // The slow one logs in when it has the call, and that lasts longer than its claim.
        while played.logins() == 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let claimed = loop {
            let claimed = next.claim(&ClaimRequest::new("next")).await.unwrap();
            if !claimed.calls.is_empty() {
                break claimed;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        };
        let contact = FoundContact {
            number: "+81312345678".parse().unwrap(),
            company_name: None,
            person_name: Some("Suzuki".to_owned()),
            object: RecordObject::Contact,
            record_id: "0035g00000SUZUKIAA".to_owned(),
            link: None,
            title: None,
            owner_name: None,
            alternatives: None,
            holders: None,
            all_holders: false,
        };
        let request = WriteContactsRequest {
            claimed_at: claimed.claimed_at,
            ..WriteContactsRequest::new(WritePolicy::Overwrite, vec![contact])
        };
        next.write_contacts(&request).await.unwrap();
    };
    let shutdown = Shutdown::new();
    let (report, ()) = tokio::join!(slow.execute(&shutdown), overtakes);
    assert_eq!(report.outcome, Outcome::Succeeded, "{report:?}");
    let (_, person) = bed.who("+81312345678").await.unwrap();
    assert_eq!(person.as_deref(), Some("Suzuki"));
}

//! Query plans: these statements must stay fast as the tables grow.

use sqlx::AssertSqlSafe;

use super::*;
use crate::directory::model::follow::KnownRequest;
use crate::directory::store::database::{Arg, args, row};
use crate::directory::store::{again, book, calls, contacts, follow, numbers, purge, rings, work};

row! {
    struct Step {
        detail: String,
    }
}

async fn plan(sql: &str, args: Vec<Arg>) -> String {
    let (store, _folder) = store(Backend::Sqlite).await;
    let explain = AssertSqlSafe(format!("EXPLAIN QUERY PLAN {sql}"));
    let steps: Vec<Step> = store.database.all(explain, args).await.unwrap();
    steps
        .into_iter()
        .map(|step| step.detail)
        .collect::<Vec<_>>()
        .join("\n")
}

/// Covers a table without statistics, as after a restore, or with statistics from a time without
/// open calls.
#[tokio::test]
async fn postgres_hands_out_thousands_of_calls_without_reading_all_of_them_for_each() {
    let (store, _folder) = store(Backend::Postgres).await;
    let explain = AssertSqlSafe(format!("EXPLAIN {}", work::CLAIM));
    let args = args!["acme", "w", 0, i64::MAX, 0, 0, 1_000, 300, 10_000];
    let mut transaction = store.database.begin().await.unwrap();
    transaction.expect_many_rows().await.unwrap();
    let lines: Vec<(String,)> = transaction.all(explain, args).await.unwrap();
    let plan: Vec<String> = lines.into_iter().map(|(line,)| line).collect();
    let plan = plan.join("\n");
    assert!(plan.contains("calls_to_resolve"), "{plan}");
    assert!(!plan.contains("Nested Loop"), "{plan}");
}

#[tokio::test]
async fn a_ringing_phone_is_answered_by_two_reads_of_a_key() {
    let plan = plan(contacts::FIND, Vec::new()).await;
    assert_eq!(
        plan,
        "SEARCH p USING PRIMARY KEY (company=? AND number=?)\n\
         SEARCH q USING PRIMARY KEY (company=? AND number=?) LEFT-JOIN"
    );
}

/// It is read once a minute for each stream, however many calls there are.
#[tokio::test]
async fn who_waits_is_found_by_steps_from_company_to_company() {
    let with_calls = plan(rings::WITH_CALLS, args![9, 5]).await;
    for step in [
        "SEARCH n USING COVERING INDEX calls_to_resolve (company>?)",
        "SEARCH w USING INDEX calls_to_resolve (company=?)",
    ] {
        assert!(with_calls.contains(step), "{with_calls}");
    }
    for whole in ["SCAN n", "SCAN w"] {
        assert!(!with_calls.contains(whole), "{with_calls}");
    }
    let with_rings = plan(rings::WITH_RINGS, args![9, 5]).await;
    assert!(
        with_rings.contains("USING INDEX rings_open"),
        "{with_rings}"
    );
    let on_record = plan(rings::ON_RECORD, args!["acme", "+81", 5]).await;
    assert!(
        on_record.contains("rings_of_a_minute (company=? AND recorded_at>?)"),
        "{on_record}"
    );
    let any = plan(rings::ANY_OPEN, args!["acme"]).await;
    assert!(any.contains("rings_open (company=?)"), "{any}");
}

#[tokio::test]
async fn what_is_asked_again_is_read_in_order_and_never_sorted() {
    let retrieve = plan(again::RETRIEVE, args!["acme", 0, 9, 5, 0, 1_000]).await;
    assert!(
        retrieve.contains(
            "SEARCH c USING INDEX calls_newest_first (company=? AND started_at>? AND started_at<?)"
        ),
        "{retrieve}"
    );
    let misses = plan(again::DUE, args!["acme", 9, 1_000]).await;
    assert!(
        misses.contains(
            "SEARCH questions USING INDEX questions_due (company=? AND due_at>? AND due_at<?)"
        ),
        "{misses}"
    );
    for plan in [retrieve, misses] {
        assert!(!plan.contains("SCAN") && !plan.contains("TEMP"), "{plan}");
    }
}

#[tokio::test]
async fn an_erasure_reads_the_calls_of_its_number_and_the_odd_ones_only() {
    let odd = plan(numbers::OTHERWISE, args!["acme", "", "", 1_000]).await;
    assert!(
        odd.contains("SEARCH calls USING INDEX calls_otherwise"),
        "{odd}"
    );
    assert!(!odd.contains("TEMP"), "{odd}");
    let calls = plan(numbers::CALLS, args!["acme", "+81312345678", 1_000]).await;
    assert!(
        calls.contains("calls_of_a_number (company=? AND e164=?)"),
        "{calls}"
    );
    assert!(!calls.contains("SCAN"), "{calls}");
}

#[tokio::test]
async fn a_page_is_read_in_order_and_never_sorted() {
    let company = "acme".parse().unwrap();
    let now = jiff::Timestamp::UNIX_EPOCH;
    let all = CallFilter {
        limit: 50,
        ..CallFilter::default()
    };
    let number = Some(NumberFilter::E164("+81312345678".parse().unwrap()));
    let after = Some(Position {
        started_at: now,
        id: "x".to_owned(),
    });
    for (filter, index) in [
        (all.clone(), "calls_newest_first"),
        (
            CallFilter {
                after: after.clone(),
                ..all.clone()
            },
            "calls_newest_first",
        ),
        (
            CallFilter {
                from: Some(now),
                to: Some(now),
                ..all.clone()
            },
            "calls_newest_first",
        ),
        (
            CallFilter {
                matched: Some(true),
                after,
                ..all.clone()
            },
            "calls_newest_first",
        ),
        (
            CallFilter {
                matched: Some(false),
                ..all.clone()
            },
            "calls_newest_first",
        ),
        (
            CallFilter {
                direction: Some(Direction::Incoming),
                ..all.clone()
            },
            "calls_newest_first",
        ),
        (CallFilter { number, ..all }, "calls_of_a_number"),
    ] {
        let (sql, args) = calls::page(&company, &filter);
        let plan = plan(&sql, args).await;
        assert!(
            plan.contains(&format!("SEARCH c USING INDEX {index} (company=?")),
            "{filter:?}\n{plan}"
        );
        assert!(!plan.contains("TEMP B-TREE"), "{filter:?}\n{plan}");
    }
}

#[tokio::test]
async fn the_numbers_of_changed_records_are_found_by_keys_alone() {
    let request = KnownRequest {
        record_ids: vec!["003A".to_owned(), "003B".to_owned()],
        numbers: vec!["+81312345678".parse().unwrap()],
        limit: 200,
        after: None,
    };
    let company: CompanyId = "acme".parse().unwrap();
    let (sql, args) = follow::known(&company, &request).unwrap();
    let known = plan(&sql, args).await;
    for key in [
        "contact_records USING PRIMARY KEY (company=? AND record_id=?",
        "contacts USING PRIMARY KEY (company=? AND number=?)",
        "questions USING PRIMARY KEY (company=? AND number=?)",
    ] {
        assert!(known.contains(key), "{key}\n{known}");
    }
    let scans = known.lines().filter(|line| line.starts_with("SCAN"));
    assert!(scans.clone().all(|line| line == "SCAN n"), "{known}");
    let records = plan(follow::RECORDS, args!["acme", "", 1_000]).await;
    assert_eq!(
        records,
        "SEARCH contacts USING PRIMARY KEY (company=? AND number>?)"
    );
}

/// Rows of a set come first, and each finds its row by the key: the tables may be of any size.
#[tokio::test]
async fn a_set_of_rows_is_written_and_read_by_keys_alone() {
    for (statement, key) in [
        (
            &contacts::CONTACTS_OF,
            "SEARCH p USING PRIMARY KEY (company=? AND number=?)",
        ),
        (
            &contacts::QUESTIONS_OF,
            "SEARCH q USING PRIMARY KEY (company=? AND number=?)",
        ),
        (
            &contacts::KEEP_HOLDERS,
            "SEARCH contacts USING PRIMARY KEY (company=? AND number=?)",
        ),
        (
            &contacts::REMOVE_ALL,
            "SEARCH contacts USING PRIMARY KEY (company=? AND number=?)",
        ),
        (
            &contacts::FORGET_RECORDS,
            "contact_records_of_a_number (company=? AND number=?)",
        ),
        (
            &book::RECORDS_OF,
            "SEARCH r USING PRIMARY KEY (company=? AND record_id=?)",
        ),
        (
            &book::HOLDERS_OF,
            "SEARCH m USING PRIMARY KEY (company=? AND number=?)",
        ),
        (
            &book::SEEN,
            "SEARCH records USING PRIMARY KEY (company=? AND record_id=?)",
        ),
        (
            &book::REMOVE,
            "SEARCH records USING PRIMARY KEY (company=? AND record_id=?)",
        ),
        (
            &book::DROP_NUMBERS,
            "SEARCH record_numbers USING PRIMARY KEY (company=? AND number=? AND record_id=?)",
        ),
        (
            &book::NAME_ACCOUNTS,
            "records_of_an_account (company=? AND account_id=?)",
        ),
    ] {
        let plan = plan(&statement.on_sqlite(64), vec![]).await;
        assert!(plan.contains(key), "{key}\n{plan}");
        let tables = [
            "contacts",
            "questions",
            "contact_records",
            "records",
            "record_numbers",
            "p",
            "q",
            "r",
            "m",
        ];
        for table in tables {
            assert!(!plan.contains(&format!("SCAN {table}")), "{plan}");
        }
    }
}

#[tokio::test]
async fn the_address_book_is_read_by_keys_and_swept_in_order() {
    let holders = plan(book::HOLDERS, args!["acme", "+81312345678", 9]).await;
    assert_eq!(
        holders,
        "SEARCH m USING PRIMARY KEY (company=? AND number=?)\n\
         SEARCH r USING PRIMARY KEY (company=? AND record_id=?)"
    );
    let end = plan(book::END, args!["acme", "", 1_999]).await;
    assert_eq!(
        end,
        "SEARCH records USING PRIMARY KEY (company=? AND record_id>?)"
    );
    let unseen = plan(book::UNSEEN, args!["acme", "", "~", 5]).await;
    assert_eq!(
        unseen,
        "SEARCH r USING PRIMARY KEY (company=? AND record_id>? AND record_id<?)"
    );
}

#[tokio::test]
async fn retention_looks_at_what_is_old_and_at_a_piece_of_the_contacts() {
    let calls = plan(purge::CALLS, args!["acme", 0, 1_000]).await;
    assert!(
        calls.contains("USING COVERING INDEX calls_newest_first (company=? AND started_at<?)"),
        "{calls}"
    );
    let piece = plan(purge::PIECE, args!["acme", "", 999]).await;
    assert_eq!(
        piece,
        "SEARCH contacts USING PRIMARY KEY (company=? AND number>?)"
    );
    let contacts = plan(purge::CONTACTS, args!["acme", "", "~", 0]).await;
    assert!(
        contacts.contains("USING PRIMARY KEY (company=? AND number>? AND number<?)"),
        "{contacts}"
    );
    assert!(
        contacts.contains("USING COVERING INDEX calls_of_a_number (company=? AND e164=?)"),
        "{contacts}"
    );
    let questions = plan(purge::QUESTIONS, args!["acme", "", "~", 0]).await;
    assert!(
        questions.contains("USING PRIMARY KEY (company=? AND number>? AND number<?)"),
        "{questions}"
    );
    let end = plan(purge::PIECE_OF_QUESTIONS, args!["acme", "", 999]).await;
    for plan in [calls, piece, contacts, questions, end] {
        assert!(!plan.contains("SCAN") && !plan.contains("TEMP"), "{plan}");
    }
}

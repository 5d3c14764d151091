//! Query plans: these statements must stay fast as the tables grow.

use sqlx::AssertSqlSafe;

use super::*;
use crate::directory::model::follow::KnownRequest;
use crate::directory::store::database::{Arg, args, row};
use crate::directory::store::rules::history;
use crate::directory::store::{again, book, contacts, follow, numbers, purge, rings, work};

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
    let spelled = Some(NumberFilter::Spelled("2001".to_owned()));
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
        (
            CallFilter {
                number,
                ..all.clone()
            },
            "calls_of_a_number",
        ),
        (
            CallFilter {
                number: spelled,
                ..all
            },
            "calls_spelled",
        ),
    ] {
        let (sql, args) = history::page(&company, &filter);
        let plan = plan(&sql, args).await;
        assert!(
            plan.contains(&format!("SEARCH c USING INDEX {index} (company=?")),
            "{filter:?}\n{plan}"
        );
        assert!(!plan.contains("TEMP B-TREE"), "{filter:?}\n{plan}");
    }
}

/// The end of a walk is found in an index alone, and so are the calls of who is called so.
#[tokio::test]
async fn a_search_by_name_reads_no_more_than_it_may() {
    let company = "acme".parse().unwrap();
    let filter = CallFilter {
        name: Some("sato".to_owned()),
        direction: Some(Direction::Incoming),
        limit: 50,
        ..CallFilter::default()
    };
    let (sql, args) = history::end_of_walk(&company, &filter, 3_000);
    let end = plan(&sql, args).await;
    assert_eq!(
        end,
        "SEARCH c USING COVERING INDEX calls_newest_first (company=?)"
    );
    let numbers = ["+81312345678", "+81312345679"].map(str::to_owned);
    let (sql, args) = history::of_numbers(&company, &filter, &numbers.into());
    let calls = plan(&sql, args).await;
    let each = "SEARCH c USING COVERING INDEX calls_of_a_number (company=? AND e164=?)";
    assert_eq!(calls.matches(each).count(), 10, "one size for few: {calls}");
    let (sql, args) = history::by_ids(&company, &filter, &["a", "b"]);
    let calls = plan(&sql, args).await;
    assert!(
        calls.contains("SEARCH c USING PRIMARY KEY (company=? AND id=?)"),
        "{calls}"
    );
    for (sql, table) in [
        (history::CONTACTS_NAMED, "contacts"),
        (history::RECORDS_NAMED, "records"),
    ] {
        let names = plan(sql, args!["acme", "%sato%", 20_000, 101]).await;
        assert!(
            names.contains(&format!("SEARCH {table} USING PRIMARY KEY (company=?)")),
            "{names}"
        );
    }
}

/// PostgreSQL expects many more calls between two positions than there are, and would read all
/// contacts of the company before the first of them.
#[tokio::test]
async fn postgres_asks_for_the_name_of_each_call_and_reads_no_table_for_it() {
    const FILL: [&str; 4] = [
        "INSERT INTO contacts (company, number, person_name, person_folded, source, updated_at) \
         SELECT 'acme', '+8190' || (10000000 + n), 'P', 'p', 'Manual', n FROM generate_series(1, 5000) AS n",
        "INSERT INTO calls (company, id, call_type, direction, started_at, number, e164, lookup_key, lookup, received_at) \
         SELECT 'acme', 'c' || n, 'X', 'Incoming', n, 'n', '+8190' || (10000000 + n), 'n', 'Done', n \
         FROM generate_series(1, 20000) AS n",
        "ANALYZE contacts",
        "ANALYZE calls",
    ];
    let (store, _folder) = store(Backend::Postgres).await;
    let mut transaction = store.database.begin().await.unwrap();
    // It would compile what it expects to be long, and that takes longer than any page.
    let jit: Vec<(String,)> = transaction.all("SHOW jit", vec![]).await.unwrap();
    assert_eq!(jit, [("off".to_owned(),)]);
    for statement in FILL {
        transaction.execute(statement, vec![]).await.unwrap();
    }
    let company = "acme".parse().unwrap();
    let down_to = Some(Position {
        started_at: jiff::Timestamp::from_microsecond(17_000).unwrap(),
        id: "c17000".to_owned(),
    });
    let filter = CallFilter {
        down_to,
        limit: 50,
        ..CallFilter::default()
    };
    for filter in [
        CallFilter {
            matched: Some(true),
            ..filter.clone()
        },
        CallFilter {
            matched: Some(false),
            ..filter.clone()
        },
        CallFilter {
            name: Some("nobody".to_owned()),
            ..filter
        },
    ] {
        let (sql, args) = history::page(&company, &filter);
        let explain = AssertSqlSafe(format!("EXPLAIN {sql}"));
        let lines: Vec<(String,)> = transaction.all(explain, args).await.unwrap();
        let plan: Vec<String> = lines.into_iter().map(|(line,)| line).collect();
        let plan = plan.join("\n");
        assert!(plan.contains("using calls_newest_first"), "{plan}");
        for whole in ["hashed SubPlan", "Seq Scan on contacts", "Sort"] {
            assert!(!plan.contains(whole), "{filter:?}\n{plan}");
        }
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

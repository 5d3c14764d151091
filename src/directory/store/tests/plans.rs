//! How SQLite reads: what must stay fast as the tables grow.

use sqlx::AssertSqlSafe;

use super::*;
use crate::directory::store::{
    calls, contacts,
    database::{Arg, args},
    purge,
};

#[derive(sqlx::FromRow)]
struct Step {
    detail: String,
}

async fn plan(sql: &str, args: Vec<Arg>) -> String {
    let (store, _folder) = store(Kind::Sqlite).await;
    let explain = AssertSqlSafe(format!("EXPLAIN QUERY PLAN {sql}"));
    let steps: Vec<Step> = store.database.all(explain, args).await.unwrap();
    steps
        .into_iter()
        .map(|step| step.detail)
        .collect::<Vec<_>>()
        .join("\n")
}

#[tokio::test]
async fn a_ringing_phone_is_answered_by_one_read() {
    let plan = plan(contacts::FIND, Vec::new()).await;
    assert_eq!(
        plan,
        "SEARCH contacts USING PRIMARY KEY (company=? AND number=?)"
    );
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
    for plan in [calls, piece, contacts] {
        assert!(!plan.contains("SCAN") && !plan.contains("TEMP"), "{plan}");
    }
}

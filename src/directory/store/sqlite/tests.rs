//! How SQLite reads: what must stay fast as the tables grow.

use sqlx::{AssertSqlSafe, Row as _, SqlSafeStr as _};
use tempfile::TempDir;

use super::{Sqlite, calls, contacts};
use crate::directory::{
    model::Direction,
    store::{CallFilter, NumberFilter, Position},
};

async fn plan(sql: &str) -> String {
    let folder = TempDir::new().unwrap();
    let store = Sqlite::open(folder.path().join("directory.db"))
        .await
        .unwrap();
    let explain = AssertSqlSafe(format!("EXPLAIN QUERY PLAN {sql}")).into_sql_str();
    let rows = sqlx::query(explain)
        .fetch_all(&store.readers)
        .await
        .unwrap();
    rows.iter()
        .map(|row| row.get::<String, _>("detail"))
        .collect::<Vec<_>>()
        .join("\n")
}

#[tokio::test]
async fn a_ringing_phone_is_answered_by_one_read() {
    let plan = plan(contacts::FIND).await;
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
        let plan = plan(calls::page(&company, &filter).sql().as_str()).await;
        assert!(
            plan.contains(&format!("SEARCH c USING INDEX {index} (company=?")),
            "{filter:?}\n{plan}"
        );
        assert!(!plan.contains("TEMP B-TREE"), "{filter:?}\n{plan}");
    }
}

//! A filled database of the version before is brought up to date, also by a program that is killed
//! in the middle of it.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use sqlx::migrate::Migrator;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, SqliteConnection};

use super::*;
use crate::directory::model::book::{BeginFill, BookRecord, WriteRecords};
use crate::directory::store::database::{args, migrations, row};

/// The last version of the schema without an address book.
const BEFORE: usize = 7;

/// By this the test program, started again, knows which database to open.
const ADDRESS: &str = "SWITCHBOARD_TEST_UPGRADE";

on_each_database! {
    a_filled_database_of_the_version_before_keeps_everything_however_often_it_is_killed,
}

/// Contacts with records, calls and questions, `$1` of each. One statement each, for both
/// databases.
const FILL: [&str; 4] = [
    "INSERT INTO contacts (company, number, company_name, person_name, object, record_id, source, updated_at, holders, \
     all_holders) SELECT 'acme', '+8190' || (10000000 + n), 'Company', 'Person ' || n, 'Contact', '0035g' || n, \
     'Salesforce', n, '[{\"i\":\"0035g' || n || '\"}]', 1 FROM s",
    "INSERT INTO contact_records (company, record_id, number) SELECT 'acme', '0035g' || n, '+8190' || (10000000 + n) \
     FROM s",
    "INSERT INTO questions (company, number, asked_at, misses, settings) \
     SELECT 'acme', '+8190' || (10000000 + n), n, 0, '' FROM s",
    "INSERT INTO calls (company, id, call_type, direction, started_at, number, e164, lookup_key, lookup, received_at) \
     SELECT 'acme', 'c' || n, 'INCOMING_CALL', 'Incoming', n, '+8190' || (10000000 + n), '+8190' || (10000000 + n), \
     '+8190' || (10000000 + n), 'Done', n FROM s",
];

row! {
    struct CountRow {
        count: i64,
    }
}

fn rows_of(statement: &str, rows: u32) -> String {
    let (insert, select) = statement.split_at(statement.find("SELECT").unwrap());
    let numbers = format!(
        "WITH RECURSIVE s (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < {rows})"
    );
    format!("{insert}{numbers} {select}")
}

/// Makes a database as the version before left it.
async fn as_before(on: Backend, address: &str, rows: u32) {
    let all = migrations(on == Backend::Postgres).iter().take(BEFORE);
    let before = Migrator::with_migrations(all.cloned().collect());
    let statements = FILL.map(|statement| AssertSqlSafe(rows_of(statement, rows)));
    match on {
        Backend::Sqlite => {
            let mut connection = SqliteConnection::connect(&format!("{address}?mode=rwc"))
                .await
                .unwrap();
            before.run(&mut connection).await.unwrap();
            for statement in statements {
                sqlx::query(statement)
                    .execute(&mut connection)
                    .await
                    .unwrap();
            }
            connection.close().await.unwrap();
        }
        Backend::Postgres => {
            let mut connection = PgConnection::connect(address).await.unwrap();
            before.run(&mut connection).await.unwrap();
            for statement in statements {
                sqlx::query(statement)
                    .execute(&mut connection)
                    .await
                    .unwrap();
            }
            connection.close().await.unwrap();
        }
    }
}

/// Starts this program as one that opens the database.
fn opens(address: &str) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args([
            "--ignored",
            "--exact",
            "directory::store::tests::upgrade::another_program",
        ])
        .env(ADDRESS, address)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

#[tokio::test]
#[ignore = "it is the program that other tests start"]
async fn another_program() {
    if let Ok(address) = std::env::var(ADDRESS) {
        Store::open(&address).await.unwrap();
    }
}

/// Kills programs that bring the schema up to date: on PostgreSQL in the middle of it, where a
/// table of the same name holds it up; on SQLite after more and more time.
async fn kill_some(on: Backend, address: &str) {
    match on {
        Backend::Sqlite => {
            for try_ in 0..12 {
                let mut program = opens(address);
                std::thread::sleep(Duration::from_millis(4 * try_));
                program.kill().unwrap();
                program.wait().unwrap();
            }
        }
        Backend::Postgres => {
            let mut holds_up = PgConnection::connect(address).await.unwrap();
            let mut transaction = holds_up.begin().await.unwrap();
            sqlx::query("CREATE TABLE books (company text)")
                .execute(&mut *transaction)
                .await
                .unwrap();
            let mut watches = PgConnection::connect(address).await.unwrap();
            for _ in 0..3 {
                let mut program = opens(address);
                let deadline = Instant::now() + Duration::from_secs(60);
                loop {
                    let waits: (i64,) = sqlx::query_as(
                        "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' \
                         AND query LIKE '-- The address book%' AND datname = current_database() AND pid <> pg_backend_pid()",
                    )
                    .fetch_one(&mut watches)
                    .await
                    .unwrap();
                    if waits.0 > 0 {
                        break;
                    }
                    assert!(Instant::now() < deadline, "the migration is not held up");
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
                program.kill().unwrap();
                program.wait().unwrap();
                // The server ends what a killed client waits for once it writes to it; it is told.
                sqlx::query(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event_type = 'Lock' \
                     AND datname = current_database() AND pid <> pg_backend_pid()",
                )
                .execute(&mut watches)
                .await
                .unwrap();
            }
            transaction.rollback().await.unwrap();
        }
    }
}

async fn upgraded(on: Backend, rows: u32) {
    let folder = TempDir::new().unwrap();
    let address = on.fresh(&folder);
    let began = Instant::now();
    as_before(on, &address, rows).await;
    println!("{on:?}: {rows} rows of each made in {:?}", began.elapsed());
    kill_some(on, &address).await;
    let began = Instant::now();
    let store = Store::open(&address).await.unwrap();
    println!("{on:?}: up to date in {:?}", began.elapsed());
    for table in ["contacts", "contact_records", "questions", "calls"] {
        let sql = AssertSqlSafe(format!("SELECT COUNT(*) AS count FROM {table}"));
        let row: Option<CountRow> = store.database.optional(sql, args![]).await.unwrap();
        assert_eq!(row.unwrap().count, i64::from(rows), "{table}");
    }
    let number = |n: u32| format!("+8190{}", 10_000_000 + n).parse().unwrap();
    let last = store
        .contact(&acme(), &number(rows))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(last.person_name, Some(format!("Person {rows}")));
    // Old contacts and new records side by side.
    let writes = writes(WritePolicy::OnlyMissing, &[found(number(rows).as_str())]);
    let receipt = store.write_contacts(&acme(), &writes, at(0)).await.unwrap();
    assert_eq!(receipt.kept(), 1);
    store
        .begin_fill(&acme(), &BeginFill::default(), at(0))
        .await
        .unwrap();
    let record = BookRecord {
        object: RecordObject::Contact,
        record_id: "003A".to_owned(),
        account_id: None,
        company_name: None,
        person_name: Some("Book".to_owned()),
        title: None,
        owner_name: None,
        modified_at: None,
        numbers: vec![number(rows + 1)],
    };
    let request = WriteRecords {
        records: vec![record],
        ..WriteRecords::default()
    };
    let receipt = store.write_records(&acme(), &request, at(0)).await.unwrap();
    assert_eq!(receipt.written, 1);
    let found = store.in_book(&acme(), &[number(rows + 1)]).await.unwrap();
    assert_eq!(found.len(), 1);
}

async fn a_filled_database_of_the_version_before_keeps_everything_however_often_it_is_killed(
    on: Backend,
) {
    upgraded(on, 20_000).await;
}

#[tokio::test]
#[ignore = "a minute and a gigabyte: the same with a million"]
async fn a_million_contacts_of_the_version_before_on_sqlite() {
    upgraded(Backend::Sqlite, 1_000_000).await;
}

#[tokio::test]
#[ignore = "a minute and a gigabyte: the same with a million"]
async fn a_million_contacts_of_the_version_before_on_postgres() {
    upgraded(Backend::Postgres, 1_000_000).await;
}

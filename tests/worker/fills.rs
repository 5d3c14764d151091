//! Tests of the real worker that fills an address book: what it costs, and what a kill does.

use std::cell::Cell;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use salesforce_simulator::Record;
use serde_json::json;
use switchboard::directory::Purpose;
use switchboard::directory::model::book::Book;
use switchboard::run::Outcome;
use switchboard_testbed::{MemoryWatch, Postgres, bounded_to};
use tempfile::TempDir;

use crate::bed::{Bed, kills, played, seed};
use crate::replica::Replica;

const MIB: u64 = 1 << 20;
/// Half of the chart's limit for a worker, `worker.memory`.
const WORKER: u64 = 64 * MIB;

fn number(at: usize) -> String {
    format!("03{:08}", 40_000_000 + at)
}

/// So many contacts, each with its number as name.
fn contacts(count: usize) -> impl Iterator<Item = Record> {
    (0..count).map(|at| {
        Record::person(&number(at))
            .phone(&number(at))
            .mobile("ask me")
    })
}

/// A tenant with an address book and so many contacts.
async fn bed(records: usize, latency_ms: u64) -> Bed {
    let mut bed = Bed::start(contacts(records), latency_ms).await;
    bed.settings["addressBook"] = json!({"maxRecords": 10_000_000});
    bed
}

async fn book(bed: &Bed) -> Book {
    bed.directory(Purpose::Worker).book().await.unwrap()
}

async fn assert_whole(bed: &Bed, records: usize) {
    let book = book(bed).await;
    let all = records as u64;
    assert_eq!((book.records, book.numbers), (all, all), "{book:?}");
    assert!(book.filled_at.is_some() && book.fill.is_none(), "{book:?}");
    for at in [0, records / 2, records - 1] {
        let screen = bed.directory(Purpose::Lookup);
        let contact = screen.contact(&number(at)).await.unwrap().unwrap();
        assert_eq!(contact.person_name, Some(number(at)));
    }
}

/// `SWITCHBOARD_FILL` sets another number of records, such as 1000000.
#[tokio::test(flavor = "multi_thread")]
async fn no_address_book_costs_a_worker_half_of_its_memory() {
    let records = std::env::var("SWITCHBOARD_FILL").ok();
    let records = records.and_then(|text| text.parse().ok()).unwrap_or(30_000);
    let bed = bed(records, 0).await;
    let mut peak = 0;
    let began = std::time::Instant::now();
    while book(&bed).await.filled_at.is_none() {
        let mut child = bed.spawn_in(&bounded_to(WORKER), "worker", "sync", bed.base());
        let watched = MemoryWatch::of(child.id().unwrap());
        child.wait().await.unwrap();
        peak = peak.max(watched.at_the_end());
        let ended = bed.ended(child).await;
        let report = ended
            .report
            .unwrap_or_else(|| panic!("the worker died at {} MiB", peak / MIB));
        assert_eq!(report.outcome, Outcome::Succeeded, "{report:?}");
    }
    let calls = bed.salesforce.counters().api_calls();
    println!(
        "{records} records in {:?} and {calls} API calls: {} MiB",
        began.elapsed(),
        peak / MIB
    );
    assert!(peak < WORKER, "{} MiB", peak / MIB);
    assert_whole(&bed, records).await;
}

/// Fills address books until so many workers and directories were killed meanwhile.
async fn killed_while_it_fills(database: impl Fn() -> String) {
    /// More than are read page by page.
    const RECORDS: usize = 9_000;
    /// The most kills in one fill.
    const OF_ONE: usize = 25;
    let mut random = StdRng::seed_from_u64(seed());
    let (mut of_workers, mut of_directories) = (0, 0);
    while of_workers + of_directories < kills() {
        let mut replica = Replica::start(&database()).await;
        let mut bed = Bed::beside(&replica, played(contacts(RECORDS), 5).await);
        bed.settings["addressBook"] = json!({"maxRecords": 10_000_000});
        let until = kills().min(of_workers + of_directories + OF_ONE);
        let mut rows = 0;
        while of_workers + of_directories < until && book(&bed).await.filled_at.is_none() {
            let mut child = bed.spawn("sync");
            let life = Duration::from_millis(random.random_range(50..3_000));
            if tokio::time::timeout(life, child.wait()).await.is_ok() {
                continue;
            }
            match replica
                .kill_worker_or_itself(child, &bed, &mut random)
                .await
            {
                true => of_workers += 1,
                false => of_directories += 1,
            }
            let read = book(&bed).await.fill.map_or(rows, |fill| fill.progress().0);
            assert!(read >= rows, "{read} after {rows}");
            rows = read;
        }
        println!(
            "{of_workers} workers and {of_directories} directories killed, {rows} rows before \
             the last run"
        );
        let ended = bed.run("sync").await;
        assert_eq!(ended.code, Some(0), "{:?}", ended.report);
        assert_whole(&bed, RECORDS).await;
    }
}

/// With `SWITCHBOARD_KILLS=100` it takes minutes.
#[tokio::test(flavor = "multi_thread")]
async fn killed_while_it_fills_nothing_is_lost_or_doubled_on_sqlite() {
    let folder = TempDir::new().unwrap();
    let books = Cell::new(0);
    killed_while_it_fills(|| {
        books.set(books.get() + 1);
        let file = folder.path().join(format!("{}.db", books.get()));
        format!("sqlite:{}", file.display())
    })
    .await;
}

/// With `SWITCHBOARD_KILLS=100` it takes minutes.
#[tokio::test(flavor = "multi_thread")]
async fn killed_while_it_fills_nothing_is_lost_or_doubled_on_postgresql() {
    killed_while_it_fills(|| Postgres::shared().unwrap().new_database().unwrap()).await;
}

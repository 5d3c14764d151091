//! Tests in which people work in the org while worker and directory are killed at random instants:
//! in the end the directory says what the org says.

use std::sync::Arc;
use std::time::Instant;

use jiff::{SignedDuration, Timestamp};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use salesforce_simulator::living::Living;
use salesforce_simulator::{Org, Simulator, User, World};
use serde_json::json;
use switchboard::directory::Purpose;
use switchboard::directory::model::LookupState;
use switchboard_testbed::Postgres;
use tempfile::TempDir;

use crate::bed::{Bed, PASSWORD, USER, client, kills, seed};
use crate::replica::Replica;
use crate::truth::{differences, told, true_names};

const RECORDS: usize = 400;
const NUMBERS: usize = 200;
/// Edits between two runs.
const EDITS: usize = 30;
/// After so many kills the directory is compared with the org.
const COMPARED_EVERY: usize = 5;

/// What keeps the names true.
#[derive(Clone, Copy)]
enum Kept {
    /// Changes are applied to the numbers that are known.
    Following,
}

// === impl Kept ===

impl Kept {
    fn settings(self, bed: &mut Bed) {
        match self {
            Self::Following => {
                bed.settings["follow"] = json!({"mode": "All", "everySeconds": 0});
                bed.settings["secondQuestion"] = true.into();
            }
        }
    }
}

/// The org's and the directory's answers, after a run that nobody disturbs. Transactions that are
/// open end before it.
async fn compare(bed: &Bed, directory: &switchboard::directory::Client) -> usize {
    bed.salesforce.advance(SignedDuration::from_mins(11));
    let ended = bed.run("lookup").await;
    assert_eq!(ended.code, Some(0), "{:?}", ended.report);
    let is = bed.salesforce.edit_org("acme", |org| true_names(org));
    let is = is.unwrap();
    let told = told(directory, NUMBERS).await;
    let differences = differences(&is, &told);
    assert!(differences.is_empty(), "{}", differences.join("\n"));
    is.len()
}

async fn killed_while_people_work(kept: Kept, database: &str) {
    let mut random = StdRng::seed_from_u64(seed());
    let mut replica = Replica::start(database).await;
    let mut living = Living::new(random.random(), NUMBERS).owners(&[USER]);
    let days = SignedDuration::from_hours(24);
    let org = Org::enterprise("acme").user(User::integration(USER).password(PASSWORD));
    let org = living.populate(org, RECORDS, Timestamp::now() - days);
    let salesforce = Simulator::start(World::new().org(org)).await.unwrap();
    let mut bed = Bed::beside(&replica, Arc::new(salesforce));
    kept.settings(&mut bed);
    let numbers: Vec<String> = (0..NUMBERS).map(Living::number).collect();
    bed.calls_from(&numbers).await;
    assert_eq!(bed.run("lookup").await.code, Some(0));
    let directory = client(bed.base(), Purpose::Worker);
    // How long a run lasts, so that kills fall anywhere into it.
    let begun = Instant::now();
    compare(&bed, &directory).await;
    let lasts = begun.elapsed();

    let (mut of_workers, mut of_directories, mut too_late) = (0, 0, 0);
    while of_workers + of_directories < kills() {
        bed.salesforce.advance(SignedDuration::from_mins(20));
        let now = bed.salesforce.now();
        let edited = bed.salesforce.edit_org("acme", |org| {
            for _ in 0..EDITS {
                living.edit(org, now);
            }
        });
        edited.unwrap();
        let mut worker = bed.spawn("lookup");
        let instant = lasts.mul_f64(random.random_range(0.0..1.2));
        tokio::select! {
            _ = worker.wait() => {
                too_late += 1;
                continue;
            }
            () = tokio::time::sleep(instant) => {}
        }
        match replica
            .kill_worker_or_itself(worker, &bed, &mut random)
            .await
        {
            true => of_workers += 1,
            false => of_directories += 1,
        }
        if (of_workers + of_directories) % COMPARED_EVERY == 0 {
            let named = compare(&bed, &directory).await;
            println!(
                "{of_workers} workers and {of_directories} directories killed, {too_late} runs \
                 ended before: all of {named} names are right"
            );
        }
    }
    compare(&bed, &directory).await;
    let history = bed.history().await;
    assert_eq!(history.len(), NUMBERS, "no call is lost or doubled");
    let done = |call: &switchboard::directory::model::Call| call.lookup == LookupState::Done;
    assert!(history.iter().all(done));
}

/// With `SWITCHBOARD_KILLS=100` it takes minutes.
#[tokio::test(flavor = "multi_thread")]
async fn killed_while_changes_are_followed_nothing_is_lost_or_doubled_on_sqlite() {
    let folder = TempDir::new().unwrap();
    let database = format!("sqlite:{}", folder.path().join("directory.db").display());
    killed_while_people_work(Kept::Following, &database).await;
}

/// With `SWITCHBOARD_KILLS=100` it takes minutes.
#[tokio::test(flavor = "multi_thread")]
async fn killed_while_changes_are_followed_nothing_is_lost_or_doubled_on_postgresql() {
    let database = Postgres::shared().and_then(|server| server.new_database());
    killed_while_people_work(Kept::Following, &database.unwrap()).await;
}

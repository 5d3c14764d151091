//! An org in which people work for days: at the end of each hour the directory says what the org
//! says, whatever happened to the runs in between.
//!
//! The generator and the truth are the simulator's (`salesforce_simulator::living`), and share no
//! code with the product.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use salesforce_simulator::living::{Living, Named};
use salesforce_simulator::{Org, User};
use serde_json::json;

use super::bed::{Bed, PASSWORD, SECURITY_TOKEN, USER};
use super::fake_salesforce::Played;
use super::truth::{differences, named, told, true_names};
use crate::directory::Purpose;
use crate::directory::model::follow::{FollowState, PutFollow};
use crate::directory::testing::{Backend, on_each_database};
use crate::follow::OVERLAP;
use crate::run::RunKind;
use crate::shutdown::Shutdown;

/// How large the org is and how much happens in it. `SWITCHBOARD_LIVING` sets other sizes:
/// records, numbers, edits an hour, hours, seed.
struct Sizes {
    records: usize,
    numbers: usize,
    edits_an_hour: usize,
    hours: usize,
    seed: u64,
}

impl Sizes {
    fn read() -> Self {
        let text = std::env::var("SWITCHBOARD_LIVING").unwrap_or_default();
        let set: Vec<u64> = text.split(',').filter_map(|n| n.parse().ok()).collect();
        let size = |at: usize, otherwise: u64| set.get(at).copied().unwrap_or(otherwise);
        Self {
            records: size(0, 300) as usize,
            numbers: size(1, 200) as usize,
            edits_an_hour: size(2, 60) as usize,
            hours: size(3, 8) as usize,
            seed: size(4, 16),
        }
    }
}

fn org() -> Org {
    let user = |name: &str| {
        User::integration(name)
            .password(PASSWORD)
            .token(SECURITY_TOKEN)
    };
    Org::enterprise("acme")
        .user(user(USER))
        .user(user("kato@acme.example"))
}

/// What is true, and what the directory says otherwise. A transaction that ends between the run and
/// the comparison is left to a further run.
async fn compared(
    bed: &Bed,
    played: &Played,
    numbers: usize,
    has_book: bool,
) -> (BTreeMap<String, Named>, Vec<String>) {
    let open = |org: &mut Org, now| {
        let _ended = org.at(now);
        org.uncommitted_ids()
    };
    loop {
        let before = played.edit(open);
        bed.succeed(RunKind::Lookup).await;
        let told = match has_book {
            true => shown(bed, numbers).await,
            false => told(&bed.directory(Purpose::Worker), numbers).await,
        };
        let (after, truth) = played.edit(|org, now| (open(org, now), true_names(org)));
        if before == after {
            let differ = differences(&truth, &told);
            return (truth, differ);
        }
    }
}

/// What is shown while numbers ring: their contacts, and where there is none, the address book.
async fn shown(bed: &Bed, numbers: usize) -> BTreeMap<String, Named> {
    let screen = bed.directory(Purpose::Lookup);
    let mut shown = BTreeMap::new();
    for number in (0..numbers).map(Living::number) {
        if let Some(contact) = screen.contact(&number).await.unwrap() {
            shown.insert(number, named(contact));
        }
    }
    shown
}

/// Lets the first window begin now, by the org's clock, which is behind the machine's.
pub(super) async fn begin_at(bed: &Bed, now: Timestamp) {
    let worker = bed.directory(Purpose::Worker);
    let state = FollowState {
        watermark: Some(now - OVERLAP),
        ..worker.follow_state().await.unwrap()
    };
    let ask_misses = false;
    let request = PutFollow { state, ask_misses };
    assert!(worker.put_follow(&request).await.unwrap().stored);
}

on_each_database! {
    in_a_living_org_the_directory_says_at_each_hours_end_what_the_org_says,
    in_a_living_org_the_address_book_says_at_each_hours_end_what_the_org_says,
}

async fn in_a_living_org_the_directory_says_at_each_hours_end_what_the_org_says(on: Backend) {
    live(on, false).await;
}

/// Half of the numbers have called; the others are only in the address book.
async fn in_a_living_org_the_address_book_says_at_each_hours_end_what_the_org_says(on: Backend) {
    live(on, true).await;
}

async fn live(on: Backend, has_book: bool) {
    let sizes = Sizes::read();
    println!("seed {}", sizes.seed);
    // The org's days are over when its clock is the machine's.
    let lived = SignedDuration::from_hours(sizes.hours as i64 + 2);
    let start = Timestamp::now() - lived;
    let mut living = Living::new(sizes.seed, sizes.numbers).owners(&[USER, "kato@acme.example"]);
    let org = living.populate(org(), sizes.records, start - SignedDuration::from_hours(24));
    let played = Played::start(org).await;
    played.advance(-lived);
    let mut bed = Bed::start_on(&played.url(), on).await;
    let ca = bed.folder().join("ca.pem");
    std::fs::write(&ca, played.ca_pem()).unwrap();
    bed.ca_bundle = Some(ca);
    bed.settings["follow"] = json!({"mode": "All", "everySeconds": 0});
    bed.settings["secondQuestion"] = true.into();
    bed.settings["personAccounts"] = false.into();
    let numbers: Vec<String> = (0..sizes.numbers).map(Living::number).collect();
    if has_book {
        bed.settings["addressBook"] = json!({"maxRecords": 1_000_000});
        bed.reads.pages_up_to = sizes.records as u64 / 5;
    }
    let called = match has_book {
        true => numbers.len() / 2,
        false => numbers.len(),
    };
    for (at, numbers) in numbers[..called].chunks(200).enumerate() {
        let numbers: Vec<&str> = numbers.iter().map(String::as_str).collect();
        bed.calls_from(at * 200, &numbers).await;
    }
    bed.succeed(RunKind::Lookup).await;
    begin_at(&bed, played.now()).await;

    let (mut wrong, mut seen, mut kills, mut windows) = (0, 0, 0_u64, 0_u64);
    let before = played.api_calls();
    let begun = std::time::Instant::now();
    for hour in 0..sizes.hours {
        for half in 0..2 {
            let half_an_hour = SignedDuration::from_mins(30);
            played.edit(|org, now| {
                let edits = (sizes.edits_an_hour / 2).max(1) as i32;
                for at in 1..=edits {
                    living.edit(org, now + half_an_hour * at / edits);
                }
            });
            played.advance(half_an_hour);
            // A run is cut off at any moment, and the next one goes on.
            if (hour + half) % 3 == 0 {
                let run = bed.prepared(RunKind::Lookup);
                let life =
                    Duration::from_micros(500 + ((hour * 7_919 + half * 3_571) % 20_000) as u64);
                let cut = tokio::time::timeout(life, run.execute(&Shutdown::new())).await;
                kills += u64::from(cut.is_err());
            }
            if half == 0 {
                bed.succeed(RunKind::Lookup).await;
            }
            windows += 1;
        }
        let (truth, differ) = compared(&bed, &played, sizes.numbers, has_book).await;
        for number in differ.iter().take(20) {
            println!("hour {hour}, {number}");
        }
        seen += numbers.len();
        wrong += differ.len();
        println!(
            "hour {hour}: {} of {} numbers wrong, {} named, {} API calls, {} s",
            differ.len(),
            numbers.len(),
            truth.len(),
            played.api_calls() - before,
            begun.elapsed().as_secs()
        );
        assert!(
            differ.len() * 1_000 <= numbers.len(),
            "less than 99.9 % at the end of hour {hour}, seed {}",
            sizes.seed
        );
    }
    let calls = played.api_calls() - before;
    println!(
        "{seen} numbers compared, {wrong} wrong, {windows} windows, {kills} runs cut off, {calls} API calls"
    );
    assert!(kills > 0, "no run was cut off");
}

//! An org in which people work for days: at the end of each hour the directory says what the org
//! says, whatever happened to the runs in between.
//!
//! The generator and the truth are the simulator's (`salesforce_simulator::living`), and share no
//! code with the product.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use salesforce_simulator::living::{Living, Named, truth};
use salesforce_simulator::{Org, User};
use serde_json::json;

use super::bed::{Bed, PASSWORD, SECURITY_TOKEN, USER};
use super::fake_salesforce::Played;
use crate::directory::Purpose;
use crate::directory::model::RecordObject;
use crate::directory::model::follow::{FollowState, KnownRequest, PutFollow};
use crate::directory::testing::{Backend, on_each_database};
use crate::follow::OVERLAP;
use crate::run::RunKind;
use crate::shutdown::Shutdown;
use crate::worker::prepare;

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

/// What the directory says about numbers, in the form of the truth. The link and the names of the
/// others are not compared.
async fn told(bed: &Bed, numbers: usize) -> BTreeMap<String, Named> {
    let worker = bed.directory(Purpose::Worker);
    let all: Vec<String> = (0..numbers).map(Living::number).collect();
    let mut told = BTreeMap::new();
    for numbers in all.chunks(500) {
        let request = KnownRequest {
            numbers: numbers.iter().map(|n| n.parse().unwrap()).collect(),
            limit: 1_000,
            ..KnownRequest::default()
        };
        let known = worker.known_numbers(&request).await.unwrap();
        assert!(!known.more);
        for known in known.numbers {
            let Some(contact) = known.contact else {
                continue;
            };
            let named = Named {
                object: match contact.object.unwrap() {
                    RecordObject::Contact => "Contact",
                    RecordObject::Account => "Account",
                    RecordObject::Lead => "Lead",
                },
                id: contact.record_id.unwrap(),
                person: contact.person_name,
                company: contact.company_name,
                title: contact.title,
                owner: contact.owner_name,
            };
            told.insert(known.number.as_str().to_owned(), named);
        }
    }
    told
}

/// The truth, with the owners' names for their Ids.
fn true_names(played: &Played) -> BTreeMap<String, Named> {
    played.edit(|org, now| {
        // What has been written and does not show yet is not true yet.
        let _committed = org.at(now);
        let names: BTreeMap<String, String> = org
            .all("User")
            .iter()
            .map(|user| {
                let text = |field: &str| user[field].as_str().unwrap_or_default().to_owned();
                (text("Id"), text("Name"))
            })
            .collect();
        let named = truth(org).into_iter().map(|(number, named)| {
            let owner = named.owner.and_then(|id| names.get(&id).cloned());
            (number, Named { owner, ..named })
        });
        named.collect()
    })
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
}

async fn in_a_living_org_the_directory_says_at_each_hours_end_what_the_org_says(on: Backend) {
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
    for (at, numbers) in numbers.chunks(200).enumerate() {
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
                let run = prepare(RunKind::Lookup, &bed.options()).unwrap();
                let life =
                    Duration::from_micros(500 + ((hour * 7_919 + half * 3_571) % 20_000) as u64);
                let cut = tokio::time::timeout(life, run.execute(&Shutdown::new())).await;
                kills += u64::from(cut.is_err());
            }
            bed.succeed(RunKind::Lookup).await;
            windows += 1;
        }
        let (truth, told) = (true_names(&played), told(&bed, sizes.numbers).await);
        let differs = |number: &&String| truth.get(*number) != told.get(*number);
        let differ: Vec<&String> = numbers.iter().filter(differs).collect();
        for number in differ.iter().take(20) {
            println!(
                "hour {hour}, {number}:\n  is   {:?}\n  told {:?}",
                truth.get(*number),
                told.get(*number)
            );
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

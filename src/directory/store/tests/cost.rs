//! The cost of misses that are asked again, counted by the simulator: docs/numbers.md says what it
//! prints.

use salesforce_simulator::{Org, Record, Simulator, User, World};

use super::again::{DAY, ask, asks, misses, write};
use super::*;
use crate::phone::E164;
use crate::resolve::Resolver;
use crate::resolve::tests::fake_salesforce;

const USER: &str = "integration@acme.example";
/// The records that change in the org on a day.
const CHANGES: i64 = 500;
/// From day 16 to day 30 the questions of a day are the same: after 1, 2, 4 and 8 days.
const DAYS: i64 = 16;

/// Asks for numbers as a run does: by what changed, or by number if that costs less.
async fn look_up(resolver: &mut Resolver, numbers: &[E164], since: Option<Timestamp>) -> usize {
    if let Some(since) = since
        && let Some(answer) = resolver.resolve_missed(numbers, since).await.unwrap()
    {
        return answer.found.len();
    }
    let mut found = 0;
    let mut pending = numbers;
    while !pending.is_empty() {
        let batch = resolver.batch(pending);
        if let Some(answer) = resolver.resolve(&batch).await.unwrap() {
            found += answer.found.len();
            pending = &pending[batch.numbers().len()..];
        }
    }
    found
}

#[tokio::test]
async fn a_thousand_misses_a_day_for_30_days_cost_less_than_10_further_calls_a_day() {
    let (store, _folder) = store(Backend::Sqlite).await;
    let user = User::integration(USER).password("password");
    let org = Org::unlimited("acme").user(user);
    let salesforce = Simulator::start(World::new().org(org)).await.unwrap();
    let connection = fake_salesforce::connection(&salesforce, USER);
    let mut resolver = Resolver::new(connection, Region::JAPAN).person_accounts(Some(false));
    let (mut most, mut together) = (0, 0);
    for day in 0..=DAYS {
        let now = day * DAY;
        let stamp = at(now - 3_600).strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
        let changed = salesforce.edit_org("acme", |org| {
            for at in 0..CHANGES {
                let number = format!("0459{:07}", day * CHANGES + at);
                let record = Record::person("Changed")
                    .phone(&number)
                    .set("SystemModstamp", stamp.as_str());
                org.insert("Contact", record).unwrap();
            }
        });
        changed.unwrap();
        let due = ask(&store, &asks("s", 10_000), now).await;
        let before = salesforce.counters().api_calls();
        let found = look_up(&mut resolver, &due.misses, due.missed_since).await;
        assert_eq!(found, 0);
        let calls = salesforce.counters().api_calls() - before;
        println!(
            "day {day}: {} misses are due and cost {calls} calls",
            due.misses.len()
        );
        (most, together) = (calls.max(most), together + calls);
        // What is asked in vain today: what was due, and 1,000 numbers that called.
        let called = (0..1_000).map(|at| format!("+8132{:07}", 1_000_000 + day * 1_000 + at));
        let due = due.misses.iter().map(E164::to_string);
        let asked: Vec<String> = due.chain(called).collect();
        for asked in asked.chunks(1_000) {
            let asked: Vec<&str> = asked.iter().map(String::as_str).collect();
            write(&store, &misses("s", &asked), now).await;
        }
    }
    println!("{most} calls on the most expensive day, {together} in {DAYS} days");
    assert!(most > 0 && most < 10, "{most} calls on a day");
}

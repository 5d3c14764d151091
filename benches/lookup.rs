//! The cost of look-ups: API calls, time and memory for 1,000 and 10,000 Japanese numbers in an org
//! of 200,000 records. It measures 0 and 150 ms per call, URLs of at most 16,384 bytes and longer
//! ones. It compares them with the product document's 3 calls per number, and with two other
//! methods that were measured on a stand-in. It also prints what is found of the field habits of
//! each country (`tests/lookup/data/habits.tsv`), by the first question and by the second.
//!
//! `make bench-lookup`, or `cargo bench --bench lookup -- [--records N] [--numbers N]...`.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a bench that cannot be set up has failed"
)]

#[path = "../src/resolve/tests/fake_salesforce.rs"]
mod fake_salesforce;
#[path = "../tests/lookup/generated.rs"]
mod generated;
#[path = "../tests/lookup/habits.rs"]
mod habits;

use std::collections::{BTreeMap, HashMap};
use std::time::Instant;

use salesforce_simulator::{Org, Record, Simulator, User, World};
use switchboard::phone::{E164, Region, parse};
use switchboard::resolve::{FIRST_URL_BYTES, Resolver};
use switchboard::salesforce::{ApiVersion, Connection, Credentials, DialPolicy, Transport};

const USER: &str = "integration@acme.example";
const SEED: u64 = 5;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let mut records = 200_000;
    let mut counts = Vec::new();
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--records" => records = arguments.next().unwrap().parse().unwrap(),
            "--numbers" => counts.push(arguments.next().unwrap().parse().unwrap()),
            // Cargo adds this argument.
            "--bench" => {}
            other => panic!("unknown argument {other}"),
        }
    }
    if counts.is_empty() {
        counts = vec![1_000, 10_000];
    }
    println!("org of {records} records, seed {SEED}");
    println!(
        "numbers  right  URLs        ms/call  calls  of 3/number  seconds  memory +MiB (before)"
    );
    for count in counts {
        let org = Org::unlimited("acme").user(User::integration(USER).password("password"));
        let world = generated::generate(SEED, records, count, org);
        let salesforce = Simulator::start(World::new().org(world.org)).await.unwrap();
        let numbers: Vec<E164> = world
            .asked
            .iter()
            .map(|asked| parse(&asked.dialled, &Region::JAPAN).unwrap())
            .collect();
        // An uncounted look-up first, because the simulator builds its indexes.
        look_up(&salesforce, &numbers[..1]).await;
        for (limit, name) in [(Some(FIRST_URL_BYTES), "16,384"), (None, "any length")] {
            for latency in [0, 150] {
                salesforce
                    .edit(|world| world.switches.subrequest_uri_limit = limit)
                    .unwrap();
                salesforce
                    .edit_org("acme", |org| org.latency_ms = latency)
                    .unwrap();
                salesforce.reset_counters();
                let before = memory_mib();
                let begun = Instant::now();
                let found = look_up(&salesforce, &numbers).await;
                let seconds = begun.elapsed().as_secs_f64();
                let right = world.asked.iter().zip(&numbers).filter(|(asked, number)| {
                    let said = found.get(number);
                    said.map(|(object, person)| (*object, person))
                        == asked
                            .truth
                            .as_ref()
                            .map(|(object, _, person)| (*object, person))
                });
                let right = right.count();
                let calls = salesforce.counters().api_calls();
                println!(
                    "{count:>7}  {right:>5}  {name:<10}  {latency:>7}  {calls:>5}  {:>11}  {seconds:>7.2}  {:>11.1} ({before:.0})",
                    count * 3,
                    memory_mib() - before,
                );
            }
        }
    }
    print_second_questions().await;
    print_recall().await;
    print_misses().await;
    print_others();
}

/// What unknown numbers cost with the second question.
async fn print_second_questions() {
    println!("\nunknown numbers  calls of the first question  of the second  seconds");
    for count in [20, 1_000] {
        let org = Org::unlimited("acme").user(User::integration(USER).password("password"));
        let salesforce = Simulator::start(World::new().org(org)).await.unwrap();
        let numbers: Vec<E164> = (0..count)
            .map(|at| parse(&format!("032{:07}", 1_000_000 + at), &Region::JAPAN).unwrap())
            .collect();
        let begun = Instant::now();
        look_up(&salesforce, &numbers).await;
        let first = salesforce.counters().api_calls();
        let connection = fake_salesforce::connection(&salesforce, USER);
        let mut resolver = Resolver::new(connection, Region::JAPAN);
        let second = resolver.resolve_again(&numbers).await.unwrap().calls;
        let seconds = begun.elapsed().as_secs_f64();
        println!("{count:>15}  {first:>27}  {second:>13}  {seconds:>7.2}");
    }
}

/// What is found of numbers as people write them, by country.
async fn print_recall() {
    let mut rows = BTreeMap::new();
    for (code, habits) in habits::habits() {
        let home: Region = code.parse().unwrap();
        let org = Org::unlimited("acme").user(User::integration(USER).password("password"));
        let salesforce = habits::start(org, &habits).await;
        let connection = fake_salesforce::connection(&salesforce, USER);
        let resolver = Resolver::new(connection, home).person_accounts(Some(false));
        rows.insert(code, habits::recall(resolver, home, &habits).await);
    }
    println!("\nfield habits by country\n{}", habits::table(&rows));
    for (code, row) in &rows {
        for lost in &row.lost {
            println!("  lost in {code}: {lost}");
        }
    }
}

/// The further calls for misses that are due, by what changed since they were asked.
async fn print_misses() {
    let since = "2026-11-01T00:00:00Z";
    println!("\nmisses  changed records  calls");
    for (misses, changed) in [(1_000, 500), (4_000, 4_500), (10_000, 4_500)] {
        let record = |at: usize| {
            let number = format!("045{:07}", 9_000_000 - at);
            Record::person("Changed")
                .phone(&number)
                .set("SystemModstamp", since)
        };
        let org = Org::unlimited("acme")
            .user(User::integration(USER).password("password"))
            .records("Contact", (0..changed).map(record));
        let salesforce = Simulator::start(World::new().org(org)).await.unwrap();
        let numbers: Vec<E164> = (0..misses)
            .map(|at| parse(&format!("032{:07}", 1_000_000 + at), &Region::JAPAN).unwrap())
            .collect();
        let connection = fake_salesforce::connection(&salesforce, USER);
        let mut resolver = Resolver::new(connection, Region::JAPAN).person_accounts(Some(false));
        let answer = resolver.resolve_missed(&numbers, since.parse().unwrap());
        assert!(
            answer.await.unwrap().is_some(),
            "asking by number is cheaper"
        );
        let calls = salesforce.counters().api_calls();
        println!("{misses:>6}  {changed:>15}  {calls:>5}");
    }
}

/// For 1,000 numbers: the method, the calls, and the correctly named numbers. Measured once, on
/// another generated org.
const OTHERS: [(&str, u32, u32); 2] = [
    (
        "one query for each number, object and two spellings, as the product document describes",
        2_716,
        494,
    ),
    (
        "a skilled client: long GET queries with twelve spellings",
        105,
        984,
    ),
];

fn print_others() {
    println!("\n1,000 numbers otherwise, as measured on a stand-in:");
    for (how, calls, right) in OTHERS {
        let seconds = f64::from(calls) * 0.150;
        println!("  {right:>5} right  {calls:>5} calls  {seconds:>6.1} s at 150 ms a call   {how}");
    }
}

type Found = HashMap<E164, (&'static str, Option<String>)>;

async fn look_up(salesforce: &Simulator, numbers: &[E164]) -> Found {
    let connection = fake_salesforce::connection(salesforce, USER);
    let mut resolver = Resolver::new(connection, Region::JAPAN);
    let mut found = HashMap::new();
    let mut pending = numbers;
    while !pending.is_empty() {
        let batch = resolver.batch(pending);
        if let Some(brought) = resolver.resolve(&batch).await.unwrap() {
            let named = brought.found.into_iter();
            found.extend(
                named.map(|(number, found)| (number, (found.object.as_str(), found.person))),
            );
            pending = &pending[batch.numbers().len()..];
        }
    }
    found
}

/// Memory of the process in MiB, including the simulator and its records.
fn memory_mib() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let kib = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .and_then(|rest| {
            rest.trim()
                .trim_end_matches("kB")
                .trim()
                .parse::<f64>()
                .ok()
        });
    kib.unwrap_or_default() / 1_024.0
}

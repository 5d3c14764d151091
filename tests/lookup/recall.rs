//! Tests that at least 995 of 1,000 numbers get the correct name, and none a wrong one.

use std::collections::HashMap;

use salesforce_simulator::{Simulator, World};
use switchboard::phone::{E164, Region, parse};
use switchboard::resolve::Match;

use crate::generated::generate;
use crate::{acme, resolver};

const NUMBERS: usize = 1_000;
const RECORDS: usize = 10_000;

#[tokio::test]
async fn of_a_thousand_numbers_995_are_named_rightly() {
    let seeds = match std::env::var("SEED") {
        Ok(seed) => vec![seed.parse().unwrap()],
        Err(_) => vec![1, 2, rand::random()],
    };
    for seed in seeds {
        println!("SEED={seed}");
        let world = generate(seed, RECORDS, NUMBERS, acme());
        let salesforce = Simulator::start(World::new().org(world.org)).await.unwrap();
        let mut resolver = resolver(&salesforce);
        let read: Vec<E164> = world
            .asked
            .iter()
            .map(|asked| parse(&asked.dialled, &Region::JAPAN).unwrap())
            .collect();
        let mut found: HashMap<E164, Match> = HashMap::new();
        let mut pending = read.as_slice();
        while !pending.is_empty() {
            let batch = resolver.batch(pending);
            if let Some(brought) = resolver.resolve(&batch).await.unwrap() {
                found.extend(brought.found);
                pending = &pending[batch.numbers().len()..];
            }
        }
        let (mut right, mut wrong) = (0, Vec::new());
        for (asked, number) in world.asked.iter().zip(&read) {
            let said = found.get(number).map(|found| {
                let (company, person) = (found.company.clone(), found.person.clone());
                (found.object.as_str(), company, person)
            });
            if said == asked.truth {
                right += 1;
            } else if said.is_some() && asked.truth.is_none() {
                panic!("seed {seed}: {number} is nobody's, and {said:?} was named");
            } else {
                wrong.push((number, asked.truth.clone(), said));
            }
        }
        let calls = salesforce.counters().api_calls();
        println!("{right} of {NUMBERS} right, {calls} calls; not: {wrong:#?}");
        assert!(right >= 995, "seed {seed}: {right} of {NUMBERS}");
        assert!(calls <= 17, "seed {seed}: {calls} calls");
    }
}

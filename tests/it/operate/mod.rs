//! Sequences of changes out of the schema, on the real API server: A, another spec B, and A again,
//! with what the API server refuses in between. While B stands all must be as it declares; in the
//! end all must be as with a fresh A (docs/testing.md).

mod declared;
mod refusal;
mod round;
mod tenant;

use std::collections::VecDeque;
use std::panic::AssertUnwindSafe;
use std::sync::Mutex;
use std::time::Instant;

use futures::FutureExt;
use futures::stream::{self, StreamExt};
use kube::CustomResourceExt;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use switchboard::api::SalesforceIntegration;
use switchboard_testbed::sequences::{self, Change};

use self::round::Round;
use self::tenant::{Pace, Sequence};
use crate::bed;

/// Sequences that are played in each run of the tests.
const SAMPLE: usize = 12;
/// Sequences that are played in all.
const MANY: usize = 200;
/// Sequences of one round, at the same time; fewer than there are letters.
const OF_A_ROUND: usize = 10;
/// Rounds at a time. They wait more than they compute.
const ROUNDS: usize = 2;
/// Seconds for which a tenant who does not wait is busy, at most.
const HASTE: f64 = 3.0;

#[tokio::test(flavor = "multi_thread")]
async fn a_sample_of_specs_leaves_no_trace_when_it_is_taken_back() {
    play(SAMPLE).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "some minutes: make operate-real"]
async fn no_spec_out_of_the_schema_leaves_a_trace_when_it_is_taken_back() {
    play(number("SEQUENCES").unwrap_or(MANY)).await;
}

fn number(name: &str) -> Option<usize> {
    let given = std::env::var(name).ok().filter(|text| !text.is_empty());
    given.map(|text| text.parse().unwrap())
}

/// Plays so many sequences.
///
/// # Panics
/// If one leaves a trace, or what stands is not what it declares.
async fn play(many: usize) {
    let seed = number("SEED").map_or_else(rand::random::<u32>, |seed| seed as u32);
    println!("SEED={seed}");
    let mut random = StdRng::seed_from_u64(seed.into());
    let hand = Hand::of_the_schema(&mut random).await;
    println!(
        "{} values are taken, {} are refused",
        hand.taken.len(),
        hand.refused.len()
    );
    assert!(
        hand.taken.len() > 100 && hand.refused.len() > 100,
        "the schema says both yes and no"
    );
    let (began, mut rounds) = (Instant::now(), hand.deal(many, &mut random));
    let only = number("ROUND");
    rounds.retain(|round| only.is_none_or(|only| round.number == only));
    let waiting = Mutex::new(VecDeque::from(rounds));
    let failed = Mutex::new(Vec::new());
    let next = || waiting.lock().unwrap().pop_front();
    let playing = (0..number("ROUNDS").unwrap_or(ROUNDS)).map(async |_| {
        while let Some(round) = next() {
            let began = Instant::now();
            let played = AssertUnwindSafe(round.play()).catch_unwind().await;
            let problems = played.unwrap_or_else(|_| vec!["it panicked".to_owned()]);
            println!("{round}: {:.1} s", began.elapsed().as_secs_f64());
            for problem in problems {
                failed.lock().unwrap().push(format!("{round}: {problem}"));
            }
        }
    });
    futures::future::join_all(playing).await;
    println!("{many} sequences in {:.0} s", began.elapsed().as_secs_f64());
    let failed = failed.into_inner().unwrap();
    assert!(
        failed.is_empty(),
        "SEED={seed}: {} things are wrong:\n{}",
        failed.len(),
        failed.join("\n")
    );
}

/// All values of all fields, in an order that is drawn.
struct Hand {
    /// Those that the API server takes.
    taken: Vec<Change>,
    /// Those that it does not.
    refused: Vec<Change>,
}

// === impl Hand ===

impl Hand {
    /// Asks the API server about each value of each field alone. What a company is called and who
    /// logs in is each tenant's own.
    async fn of_the_schema(random: &mut StdRng) -> Self {
        let definition = serde_json::to_value(SalesforceIntegration::crd()).unwrap();
        let fields = sequences::fields(&definition, &["/companyId"]);
        let changes = fields.into_iter().flat_map(|field| {
            let path = field.path;
            let change = move |value| Change {
                path: path.clone(),
                value,
            };
            field.values.into_iter().map(change)
        });
        let mut changes: Vec<Change> = changes.collect();
        changes.dedup();
        changes.shuffle(random);
        let namespace = bed::control_plane()
            .await
            .namespace("schema")
            .await
            .unwrap();
        let judged = stream::iter(changes).map(async |change| {
            let is_taken = refusal::is_taken(namespace.name(), &change).await;
            (change, is_taken)
        });
        let judged: Vec<(Change, bool)> = judged.buffered(4).collect().await;
        namespace.delete().await.unwrap();
        let (taken, refused) = judged
            .into_iter()
            .partition::<Vec<_>, _>(|(_, taken)| *taken);
        let alone = |all: Vec<(Change, bool)>| all.into_iter().map(|(change, _)| change).collect();
        Self {
            taken: alone(taken),
            refused: alone(refused),
        }
    }

    /// Each value comes once before any comes again. One B in three changes one field, the others
    /// two.
    fn deal(&self, many: usize, random: &mut StdRng) -> Vec<Round> {
        let mut taken = self.taken.iter().cycle();
        let mut refused = self.refused.iter().cycle().cloned();
        let mut sequence = |at: usize| {
            let mut changes = Vec::from_iter(taken.next().cloned());
            if !at.is_multiple_of(3) {
                let other = taken.find(|other| !changes.iter().any(|one| one.overlaps(other)));
                changes.extend(other.cloned());
            }
            let pace = match random.random_bool(0.5) {
                true => Pace::Patient,
                false => Pace::Hasty([
                    random.random_range(0.0..HASTE),
                    random.random_range(0.0..HASTE),
                ]),
            };
            Sequence {
                changes,
                refused: refused.by_ref().take(2).collect(),
                pace,
            }
        };
        let sequences: Vec<Sequence> = (0..many).map(&mut sequence).collect();
        let of_a_round = many.div_ceil(ROUNDS).clamp(1, OF_A_ROUND);
        let rounds = sequences.chunks(of_a_round).enumerate();
        rounds
            .map(|(number, sequences)| Round {
                number,
                sequences: sequences.to_vec(),
            })
            .collect()
    }
}

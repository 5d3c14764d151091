//! The sweep: a scenario of a tenant is played once for every request of the controller and every
//! fault that may meet it, between the real controller and the real API server. In the end all
//! must be as without the fault (docs/testing.md).

pub(crate) mod deployment;
pub(crate) mod fault;
pub(crate) mod play;
mod room;
mod scenario;
pub(crate) mod state;

use std::collections::{BTreeMap, VecDeque};
use std::fmt::{self, Display};
use std::panic::AssertUnwindSafe;
use std::sync::Mutex;
use std::time::Instant;

use futures::FutureExt;
use rand::rngs::StdRng;
use rand::seq::{IndexedRandom, SliceRandom};
use rand::{Rng, SeedableRng};

use self::fault::Fault;
use self::room::{Ended, Room};
use self::scenario::Scenario;

/// Cases that are played in each run of the tests.
const SAMPLE: usize = 24;
/// Scenarios of which they are.
const OF_SCENARIOS: usize = 3;
/// Of those, cases at a time.
const FEW_ROOMS: usize = 4;
/// Cases at a time. They wait more than they compute.
const ROOMS: usize = 8;

/// One fault at one request of one scenario: `SCENARIO/REQUEST/FAULT`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Case {
    scenario: Scenario,
    /// The number of the request, from 1.
    request: usize,
    fault: Fault,
}

// === impl Case ===

impl Case {
    fn parse(name: &str) -> Option<Self> {
        let mut parts = name.split('/');
        Some(Self {
            scenario: Scenario::parse(parts.next()?)?,
            request: parts.next()?.parse().ok()?,
            fault: Fault::parse(parts.next()?)?,
        })
    }
}

impl Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.scenario, self.request, self.fault)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sample_of_faults_leaves_everything_as_without_them() {
    let mut random = chance();
    let scenarios = Scenario::ALL.choose_multiple(&mut random, OF_SCENARIOS);
    let scenarios: Vec<Scenario> = scenarios.copied().collect();
    let rooms = rooms(FEW_ROOMS);
    let without = rehearsed(&scenarios, rooms).await;
    let cases = (0..SAMPLE).map(|at| {
        let scenario = scenarios[at % scenarios.len()];
        Case {
            scenario,
            request: random.random_range(1..=without[&scenario].requests.len()),
            fault: Fault::ALL[random.random_range(0..Fault::ALL.len())],
        }
    });
    played(cases.collect(), &without, rooms).await;
}

/// `CASE` names one case, `SCENARIO` and `FAULT` some; `REQUESTS` prints what is asked without a
/// fault.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "an hour and more: make sweep"]
async fn every_fault_at_every_request_leaves_everything_as_without_it() {
    let given = |name: &str| std::env::var(name).ok().filter(|text| !text.is_empty());
    let case =
        given("CASE").map(|name| Case::parse(&name).unwrap_or_else(|| panic!("no case {name:?}")));
    let chosen = |name: &str, all: Vec<String>| match given(name) {
        None => all,
        Some(one) if all.contains(&one) => vec![one],
        Some(other) => panic!("{name} is one of {all:?}, not {other:?}"),
    };
    let scenarios = chosen(
        "SCENARIO",
        Scenario::ALL.iter().map(ToString::to_string).collect(),
    );
    let faults = chosen(
        "FAULT",
        Fault::ALL.iter().map(ToString::to_string).collect(),
    );
    let mut scenarios: Vec<Scenario> = scenarios
        .iter()
        .filter_map(|name| Scenario::parse(name))
        .collect();
    if let Some(case) = case {
        scenarios = vec![case.scenario];
    }
    let rooms = rooms(ROOMS);
    let without = rehearsed(&scenarios, rooms).await;
    let mut cases = Vec::from_iter(case);
    if case.is_none() {
        for (scenario, without) in &without {
            for request in 1..=without.requests.len() {
                let faults = faults.iter().filter_map(|name| Fault::parse(name));
                cases.extend(faults.map(|fault| Case {
                    scenario: *scenario,
                    request,
                    fault,
                }));
            }
        }
        // Whoever breaks off has seen some of everything.
        cases.shuffle(&mut chance());
    }
    played(cases.into(), &without, rooms).await;
}

/// What is drawn comes from a seed that is printed, or from `SEED`.
fn chance() -> StdRng {
    let seed: u64 = std::env::var("SEED").map_or_else(|_| rand::random(), |s| s.parse().unwrap());
    println!("SEED={seed}");
    StdRng::seed_from_u64(seed)
}

fn rooms(usual: usize) -> usize {
    std::env::var("ROOMS").map_or(usual, |rooms| rooms.parse().unwrap())
}

/// Each scenario without a fault, twice: what differs between the two says nothing about a fault.
async fn rehearsed(scenarios: &[Scenario], rooms: usize) -> BTreeMap<Scenario, Ended> {
    let waiting = Mutex::new(VecDeque::from_iter(scenarios.iter().copied()));
    let rehearsing = (0..rooms.min(scenarios.len())).map(async |_| {
        let mut room = Room::new().await;
        let mut all = Vec::new();
        while let Some(scenario) = next(&waiting) {
            let told = |problem: String| format!("{scenario} without a fault: {problem}");
            let first = room.rehearse(scenario).await.map_err(told).unwrap();
            let mut second = room.rehearse(scenario).await.map_err(told).unwrap();
            let differs = state::difference(&first.state, &second.state);
            assert!(
                differs.is_empty(),
                "{scenario} differs from itself: {differs}"
            );
            println!(
                "{scenario}: {} requests, log-ins {:?}",
                second.requests.len(),
                second.logins
            );
            if std::env::var_os("REQUESTS").is_some() {
                second
                    .requests
                    .iter()
                    .for_each(|request| println!("  {request}"));
            }
            // The order of what comes at the same time differs.
            if first.requests.len() > second.requests.len() {
                second.requests = first.requests;
            }
            all.push((scenario, second));
        }
        room.end().await;
        all
    });
    let all = futures::future::join_all(rehearsing).await;
    all.into_iter().flatten().collect()
}

/// Plays all cases.
///
/// # Panics
/// If one ends otherwise than without its fault.
async fn played(cases: VecDeque<Case>, without: &BTreeMap<Scenario, Ended>, rooms: usize) {
    let (began, count) = (Instant::now(), cases.len());
    let waiting = Mutex::new(cases);
    let failed = Mutex::new(Vec::new());
    let struck = Mutex::new(0);
    let playing = (0..rooms.min(count)).map(async |_| {
        let mut room = Room::new().await;
        while let Some(case) = next(&waiting) {
            let began = Instant::now();
            let ended = AssertUnwindSafe(room.play_case(case, &without[&case.scenario]));
            let ended = ended.catch_unwind().await;
            let problem = match ended {
                Ok(Ok(ended)) => {
                    let at = ended
                        .struck
                        .as_ref()
                        .map_or("not reached".to_owned(), ToString::to_string);
                    println!(
                        "{case}: {:.1} s, {} requests; {at}",
                        began.elapsed().as_secs_f64(),
                        ended.requests.len()
                    );
                    *struck.lock().unwrap() += usize::from(ended.struck.is_some());
                    continue;
                }
                Ok(Err(problem)) => problem,
                Err(_) => "it panicked".to_owned(),
            };
            println!("{case} FAILED: {problem}");
            failed.lock().unwrap().push(format!("{case}: {problem}"));
            // What it left must not disturb the next one.
            drop(std::mem::replace(&mut room, Room::new().await));
        }
        room.end().await;
    });
    futures::future::join_all(playing).await;
    let failed = failed.into_inner().unwrap();
    println!(
        "{count} cases in {:.0} s, {} met their request",
        began.elapsed().as_secs_f64(),
        struck.into_inner().unwrap()
    );
    assert!(
        failed.is_empty(),
        "{} of {count} cases failed:\n{}",
        failed.len(),
        failed.join("\n")
    );
}

fn next<T>(waiting: &Mutex<VecDeque<T>>) -> Option<T> {
    waiting.lock().unwrap().pop_front()
}

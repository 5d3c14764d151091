//! A year in a minute: the controller itself in worlds whose time leaps, drawn from seeds.
//!
//! Everything of the controller runs, from its watches to its writes, with three doors to the world
//! that tests play: the API server (HTTP within the process), Salesforce (at the door of a proof)
//! and the directory. Time is tokio's paused clock. docs/testing.md says what that leaves out.

mod cluster;
mod dice;
mod directory;
mod operate;
mod replica;
mod rules;
mod salesforce;
mod script;
mod workload;
mod world;

use self::script::{Script, Size};
use self::world::{Ended, play};

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name)
        .ok()
        .map_or(default, |text| text.parse().expect(name))
}

/// Plays a script, and shortens it when a rule breaks.
fn check(script: &Script) -> Result<Ended, String> {
    let ended = play(script);
    let Some(first) = ended.broken.first() else {
        return Ok(ended);
    };
    let rule = first.split(':').next().unwrap_or_default().to_owned();
    let breaks = |script: &Script| {
        let ended = play(script);
        ended.broken.iter().any(|told| told.starts_with(&rule))
    };
    let short = match std::env::var_os("YEAR_WHOLE") {
        Some(_) => script.clone(),
        None => script.clone().shortened(breaks),
    };
    let told = play(&short);
    let story = told.story.join("\n");
    Err(format!(
        "{story}\n{:#?}\nof {:#?}\nin this world, which a test may play:\n{short}",
        told.broken, ended.broken
    ))
}

#[test]
fn in_worlds_out_of_seeds_every_rule_holds() {
    let first = number("SEED", u64::from(rand::random::<u32>()));
    let seeds = number("SEEDS", 20);
    let size = |seed| Size {
        seed,
        tenants: number("TENANTS", 4) as usize,
        days: number("DAYS", 4),
    };
    println!("seeds {first} to {}", first + seeds - 1);
    let next = std::sync::atomic::AtomicU64::new(first);
    let failed = parking_lot::Mutex::new(vec![]);
    let threads = number("THREADS", 2);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                    if seed >= first + seeds || failed.lock().len() >= 3 {
                        return;
                    }
                    let began = std::time::Instant::now();
                    match check(&Script::drawn(size(seed))) {
                        Ok(ended) if seeds < 50 => println!(
                            "seed {seed}: {} proofs, {} log-ins, {} in a second, {} runs, {} requests; {:?}",
                            ended.proofs, ended.logins, ended.peak, ended.runs, ended.requests, began.elapsed()
                        ),
                        Ok(_) => {}
                        Err(told) => failed.lock().push(format!("seed {seed}: {told}")),
                    }
                }
            });
        }
    });
    let failed = failed.into_inner();
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

//! A year in a minute: the controller itself in worlds whose time leaps, drawn from seeds.
//!
//! Everything of the controller runs, from its watches to its writes, with three doors to the world
//! that tests play: the API server (HTTP within the process), Salesforce (at the door of a proof)
//! and the directory. Time is tokio's paused clock. docs/testing.md says what that leaves out.

mod cluster;
pub(super) mod dice;
mod directory;
mod operate;
mod replica;
mod rules;
mod salesforce;
mod script;
mod workload;
mod world;

use jiff::Timestamp;

use self::script::{Act, Deed, Script, Size};
use self::world::{Ended, play};

/// The seed of the worlds that every run of the tests plays: a change that breaks a rule is to be
/// told from a rule that a new world breaks. `make year` and `make operate` draw new ones.
const SEED: u64 = 77;

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
    let first = number("SEED", SEED);
    let seeds = number("SEEDS", 8);
    let size = |seed| Size {
        seed,
        tenants: number("TENANTS", 3) as usize,
        days: number("DAYS", 2),
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

/// Worlds that have something to tell, each with what is hard about it.
const STORIES: [(&str, &str); 12] = [
    (
        "the leader is killed in the middle of guesses, and the next one knows of them",
        "seed=11 tenants=2 days=1
        0d 02:00:00 t0 guesses-passwords 4
        0d 02:00:01 t0 sees-the-leader-killed-for-seconds 3
        0d 02:01:01 t0 sees-the-leader-killed-for-seconds 3
        0d 02:30:00 t0 writes-the-right-password 0",
    ),
    (
        "it is renamed while the watch of integrations is silent and its history goes",
        "seed=12 tenants=2 days=1
        0d 03:00:00 t0 sees-a-watch-freeze 95
        0d 03:01:00 t0 renames-the-integration 0
        0d 03:02:00 t0 sees-all-watches-break 0",
    ),
    (
        "the leader stands still while another one leads, and wakes up in the middle of a write",
        "seed=13 tenants=2 days=1
        0d 04:00:00 t0 writes-a-wrong-password 1
        0d 04:00:00 t0 sees-the-leader-stand-still-for-seconds 40
        0d 04:00:20 t0 writes-the-right-password 0",
    ),
    (
        "it is deleted with its data while the directory is down",
        "seed=14 tenants=2 days=1
        0d 05:00:00 t0 wants-its-data-erased 1
        0d 05:10:00 t0 sees-the-directory-down-for-minutes 40
        0d 05:11:00 t0 deletes-the-integration 0
        0d 06:00:00 t0 creates-the-integration 0",
    ),
    (
        "the younger of two takes over when the older goes, and back",
        "seed=15 tenants=2 days=1
        0d 05:00:00 t0 has-a-rival 0
        0d 06:00:00 t0 wants-its-data-erased 1
        0d 07:00:00 t0 deletes-the-integration 0
        0d 08:00:00 t0 creates-the-integration 0
        0d 10:00:00 t0 has-no-rival-any-more 0",
    ),
    (
        "what people delete and edit comes back, also while nothing is watched",
        "seed=16 tenants=3 days=1
        0d 02:00:00 t0 has-its-tokens-deleted 0
        0d 03:00:00 t1 has-its-cronjob-edited 0
        0d 04:00:00 t2 has-its-cronjob-deleted 0
        0d 05:00:00 t0 sees-a-watch-freeze 6
        0d 05:00:10 t0 has-its-cronjob-deleted 0
        0d 05:00:20 t0 sees-all-watches-break 0
        0d 06:00:00 t0 sees-a-watch-freeze 9
        0d 06:00:10 t0 deletes-the-secret 0
        0d 06:00:10 t1 deletes-the-secret 0
        0d 06:00:10 t2 deletes-the-secret 0
        0d 06:00:20 t0 sees-all-watches-break 0
        0d 08:00:00 t0 writes-the-right-password 0
        0d 08:00:00 t1 writes-the-right-password 0
        0d 08:00:00 t2 writes-the-right-password 0",
    ),
    (
        "each way to retrieve contacts leaves nothing of the one before",
        "seed=17 tenants=3 days=1
        0d 02:00:00 t0 retrieves-contacts-in-way 1
        0d 02:00:00 t1 retrieves-contacts-in-way 1
        0d 04:00:00 t0 retrieves-contacts-in-way 0
        0d 04:00:00 t1 retrieves-contacts-in-way 2",
    ),
    (
        "the API server fails most of the time, and refuses objects",
        "seed=18 tenants=3 days=1
        0d 02:00:00 t0 sees-requests-fail-of-a-hundred 75
        0d 02:01:00 t0 writes-a-wrong-password 1
        0d 02:02:00 t1 retrieves-contacts-in-way 1
        0d 02:03:00 t2 names-no-time-zone 0
        0d 02:10:00 t0 writes-the-right-password 0
        0d 04:00:00 t0 sees-objects-refused-for-minutes 60
        0d 04:01:00 t1 retrieves-contacts-in-way 0
        0d 04:02:00 t2 names-a-time-zone 0",
    ),
    (
        "a password is wrong for a day, and the runs wait",
        "seed=19 tenants=2 days=2
        0d 02:00:00 t0 writes-a-wrong-password 1
        0d 02:00:00 t1 gets-a-new-password-in-salesforce 0
        1d 02:00:00 t0 writes-the-right-password 0",
    ),
    (
        "runs are asked for while the API server fails most of the time",
        "seed=22 tenants=3 days=1
        0d 02:00:00 t0 sees-requests-fail-of-a-hundred 75
        0d 02:01:00 t0 asks-for-a-run 0
        0d 02:01:10 t1 asks-for-a-run 0
        0d 02:01:20 t2 asks-for-a-run 0
        0d 02:04:00 t0 asks-for-a-run 0
        0d 02:04:10 t1 asks-for-a-run 0
        0d 02:04:20 t2 asks-for-a-run 0
        0d 02:07:00 t0 asks-for-a-run 0
        0d 02:07:10 t1 asks-for-a-run 0
        0d 02:07:20 t2 asks-for-a-run 0
        0d 02:10:00 t0 asks-for-a-run 0
        0d 02:10:10 t1 asks-for-a-run 0
        0d 02:10:20 t2 asks-for-a-run 0
        0d 02:13:00 t0 asks-for-a-run 0
        0d 02:13:10 t1 asks-for-a-run 0
        0d 02:13:20 t2 asks-for-a-run 0
        0d 02:14:00 t0 sees-requests-fail-of-a-hundred 0",
    ),
    (
        "no leader lives to hear what became of its log-in",
        "seed=21 tenants=2 days=1
        0d 02:00:00 t0 writes-a-wrong-password 1
        0d 02:00:02 t0 sees-the-leader-killed-for-seconds 3
        0d 02:00:07 t0 sees-the-leader-killed-for-seconds 3
        0d 02:00:12 t0 sees-the-leader-killed-for-seconds 3
        0d 02:00:17 t0 sees-the-leader-killed-for-seconds 3
        0d 02:00:22 t0 sees-the-leader-killed-for-seconds 3
        0d 02:00:27 t0 sees-the-leader-killed-for-seconds 3
        0d 02:00:32 t0 sees-the-leader-killed-for-seconds 3
        0d 02:00:37 t0 sees-the-leader-killed-for-seconds 3
        0d 02:00:42 t0 sees-the-leader-killed-for-seconds 3
        0d 02:00:47 t0 sees-the-leader-killed-for-seconds 3
        0d 02:00:52 t0 sees-the-leader-killed-for-seconds 3
        0d 02:30:00 t0 writes-the-right-password 0",
    ),
    (
        "two integrations of one org ask for all of it",
        "seed=20 tenants=2 days=3
        0d 01:00:00 t0 retrieves-contacts-in-way 1
        0d 01:00:00 t1 retrieves-contacts-in-way 1
        0d 01:01:00 t0 asks-for-percent 100
        0d 01:01:00 t1 asks-for-percent 100",
    ),
];

#[test]
fn in_worlds_with_a_story_every_rule_holds() {
    let play = |(about, text): &(&str, &str)| {
        let script = Script::read(text).expect(about);
        check(&script).err().map(|told| format!("{about}: {told}"))
    };
    let failed: Vec<String> = std::thread::scope(|scope| {
        let halves = STORIES.chunks(STORIES.len().div_ceil(2));
        let halves = halves.map(|half| scope.spawn(move || half.iter().find_map(play)));
        let halves: Vec<_> = halves.collect();
        halves
            .into_iter()
            .filter_map(|half| half.join().unwrap())
            .collect()
    });
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

/// A fleet of so many that gets no answer of Salesforce from 1:00 to 5:00.
struct Outage(world::World);

impl Outage {
    async fn begin(tenants: usize) -> Self {
        let mut dice = dice::Dice::new(1, 1);
        let of_the_fleet = (0..tenants).map(|at| {
            let mut tenant = world::tenant(at, &mut dice);
            tenant.wanted.spec.contacts.retrieval = crate::api::Retrieval::Disabled;
            tenant.wanted.spec.interval = "30m".into();
            tenant
        });
        let mut outage = Self(world::World::of(1, of_the_fleet.collect()));
        for at in 0..tenants {
            outage.0.create(at, None);
        }
        outage.live_until(1).await;
        for org in 0..outage.0.salesforce.orgs() {
            let change = |org: &mut salesforce::Org| org.down_until = hour(5);
            outage.0.salesforce.change_org(org, change);
        }
        outage
    }

    async fn live_until(&mut self, end: u64) {
        self.0.at(hour(end), world::Task::End);
        self.0.live().await;
    }

    /// How long after the outage a tenant is Ready.
    fn ready_after(&self, tenant: usize) -> i64 {
        let since = rules::ready_since(&self.0, tenant).expect("Ready");
        since.duration_since(hour(5)).as_secs()
    }
}

fn hour(hour: u64) -> Timestamp {
    world::BEGIN.parse::<Timestamp>().unwrap() + cluster::seconds(hour * 3600)
}

#[test]
fn after_an_outage_of_salesforce_a_fleet_does_not_come_back_at_once() {
    // Of few, so many would come within a minute by chance: each proof sets when the next one is
    // due.
    const TENANTS: usize = 60;
    let (most, last) = world::in_time(async || {
        let mut outage = Outage::begin(TENANTS).await;
        outage.live_until(7).await;
        let most = outage.0.salesforce.most_in_a_minute(hour(2));
        (most, (0..TENANTS).map(|at| outage.ready_after(at)).max())
    });
    assert!(
        most > 0 && most <= TENANTS as u64 * 2 / 5,
        "{most} proofs within a minute"
    );
    // Nor does one have to wait until he asks by himself, which may be half an hour later.
    let last = last.unwrap();
    assert!((0..=8 * 60).contains(&last), "{last} s");
}

#[test]
fn whose_question_was_under_way_when_others_were_answered_is_asked_again_too() {
    let after = world::in_time(async || {
        let mut outage = Outage::begin(2).await;
        // It is sent before the end, and the silence is known ten seconds later.
        for (who, at) in [(0, 5 * 3600 - 5), (1, 5 * 3600 + 1)] {
            let act = Act {
                at,
                who,
                deed: Deed::Test,
                number: 0,
            };
            let at = hour(0) + cluster::seconds(at);
            outage.0.at(at, world::Task::Act(act));
        }
        outage.live_until(6).await;
        [outage.ready_after(0), outage.ready_after(1)]
    });
    assert!(
        after.iter().all(|after| (1..60).contains(after)),
        "{after:?}"
    );
}

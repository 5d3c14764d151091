//! What a tenant's day costs in API calls: a day of proofs and runs by the rules of the controller,
//! with the real worker, a real directory and the simulator, whose clock is the day's.
//!
//! `make bench-day` prints it beside the version that asked three calls every half hour and did not
//! follow changes, and beside three calls for each number. The test below holds the counts.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use salesforce_simulator::living::Living;
use salesforce_simulator::{Org, User};
use serde_json::json;

use super::bed::{Bed, PASSWORD, SECURITY_TOKEN, USER};
use super::fake_salesforce::Played;
use crate::api::{Retrieval, Settings};
use crate::decide::rules::schedule::Cadence;
use crate::decide::runs::EndedRun;
use crate::decide::tests::{World, ended};
use crate::follow::Mode;
use crate::prove::prove;
use crate::run::RunKind;
use crate::salesforce::{
    Credentials, DialPolicy, FingerprintKey, Proved, SharedSession, Transport,
};

const DAY: i64 = 24 * 3_600;
/// Seconds for which a proof builds on what an earlier one found of objects and Tasks.
const FOUND_GOOD_FOR: i64 = DAY;
/// Records of the org, and numbers that stand on them.
const RECORDS: usize = 3_000;
const NUMBERS: usize = 2_000;

/// What happens on the day.
#[derive(Clone, Copy, Debug)]
struct Load {
    /// Calls between 8 and 18 o'clock.
    calls: usize,
    /// How many of a hundred calls are from numbers that never called before.
    new_callers: usize,
    /// Edits of all kinds over the day.
    changes: usize,
}

const NOTHING: Load = Load {
    calls: 0,
    new_callers: 0,
    changes: 0,
};

/// Numbers that called before the day.
const KNOWN: usize = 400;

/// The API calls of a day.
#[derive(Clone, Copy, Debug, Default)]
struct Bill {
    proofs: u64,
    /// Calls of all proofs.
    of_proofs: u64,
    /// Calls of all runs.
    of_runs: u64,
    /// Numbers that runs asked for.
    numbers: u64,
}

impl Bill {
    fn total(&self) -> u64 {
        self.of_proofs + self.of_runs
    }
}

/// The versions that are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Version {
    /// As the code is.
    Now,
    /// Each half hour a proof that looks at everything, whatever runs find, and no following.
    Before,
}

/// Plays a day, at its own speed.
async fn day(way: Retrieval, load: Load, version: Version) -> Bill {
    let mut living = Living::new(16, NUMBERS).owners(&[USER]);
    let user = User::integration(USER)
        .password(PASSWORD)
        .token(SECURITY_TOKEN);
    let begins = Timestamp::now() - SignedDuration::from_secs(DAY);
    let org = Org::enterprise("acme").user(user);
    let org = living.populate(org, RECORDS, begins - SignedDuration::from_secs(DAY));
    let played = Played::start(org).await;
    played.advance(SignedDuration::from_secs(-DAY));

    let mut world = World::new();
    world.resource.spec.contacts.retrieval = way;
    world.resource.spec.salesforce.login_url = Some(played.url());
    let settings = Settings::read(&world.resource.spec).unwrap();
    let cadence = Cadence::of(
        &settings,
        "uid-acme",
        std::time::Duration::from_secs(1_800),
        false,
    );
    let kind = match way {
        Retrieval::Daily => RunKind::Sync,
        _ => RunKind::Lookup,
    };
    let mut bed = Bed::start(&played.url()).await;
    let ca = bed.folder().join("ca.pem");
    std::fs::write(&ca, played.ca_pem()).unwrap();
    bed.ca_bundle = Some(ca);
    bed.settings["secondQuestion"] = settings.second_question.into();
    bed.settings["personAccounts"] = false.into();
    if let (Version::Now, Some((mode, every))) = (version, settings.follow) {
        let mode = match mode {
            Mode::All => "All",
            Mode::NewOnly => "NewOnly",
        };
        bed.settings["follow"] = json!({"mode": mode, "everySeconds": every.as_secs()});
    }
    // The days before: who called then is known.
    let numbers: Vec<String> = (0..NUMBERS).map(Living::number).collect();
    for (at, numbers) in numbers[..KNOWN].chunks(200).enumerate() {
        let numbers: Vec<&str> = numbers.iter().map(String::as_str).collect();
        bed.calls_from(at * 200, &numbers).await;
    }
    bed.succeed(kind).await;
    if load.calls == 0 {
        // Nobody has called for long: each miss was asked for so often that a month passes until
        // the next question.
        for days in [2, 3, 5, 9, 17, 31] {
            bed.days_pass(days).await;
            bed.succeed(kind).await;
        }
    }
    super::living::begin_at(&bed, played.now()).await;

    let mut prover = Prover::new(&played, settings);
    // The controller has been there for long: its first proof was another day's, and at noon it
    // looks at everything again.
    let findings = prover.prove(&played, -DAY / 2, true).await.1;
    world.step(Ok(findings));
    let mut bill = Bill::default();
    let (mut asked, mut edited) = (0, 0);
    let mut second = 0;
    let mut next_run = cadence.and_then(|cadence| next_run(cadence, 0));
    let mut next_before = 0;
    loop {
        let plan = world.decide(None);
        let wait = i64::try_from(plan.requeue_after.as_secs()).unwrap_or(DAY);
        let wake = match version {
            Version::Now => second + wait.max(1),
            Version::Before => next_before,
        };
        let next = wake.min(next_run.unwrap_or(DAY));
        if next >= DAY {
            break;
        }
        played.advance(SignedDuration::from_secs(next - second));
        bed.seconds_pass(next - second).await;
        second = next;
        world.now = second;
        // What has happened meanwhile.
        let edits = load.changes * usize::try_from(second).unwrap() / DAY as usize;
        played.edit(|org, now| {
            for _ in edited..edits {
                living.edit(org, now);
            }
        });
        edited = edits.max(edited);
        let (open, close) = (8 * 3_600, 18 * 3_600);
        let of_hours = (second.clamp(open, close) - open) as usize;
        let calls = load.calls * of_hours / (close - open) as usize;
        let callers: Vec<&str> = (asked..calls)
            .map(|call| match call * 37 % 100 < load.new_callers {
                true => &*numbers[KNOWN + call % (NUMBERS - KNOWN)],
                false => &*numbers[call * 7 % KNOWN],
            })
            .collect();
        for (at, callers) in callers.chunks(200).enumerate() {
            bed.calls_from(10_000 + asked + at * 200, callers).await;
        }
        asked = calls.max(asked);
        if Some(second) == next_run {
            next_run = cadence.and_then(|cadence| self::next_run(cadence, second));
            let before = played.api_calls();
            let report = bed.succeed(kind).await;
            assert_eq!(report.api_calls, played.api_calls() - before);
            assert_eq!(report.warnings, [], "{report:?}");
            bill.of_runs += report.api_calls;
            bill.numbers += report.numbers;
            let run = ended(&format!("run-{second}"), second, "Succeeded");
            let report = Some(report);
            world.ended_runs = vec![EndedRun { report, ..run }];
        }
        match version {
            Version::Now if world.decide(None).prove.is_some() => {
                let (cost, findings) = prover.prove(&played, second, false).await;
                (bill.proofs, bill.of_proofs) = (bill.proofs + 1, bill.of_proofs + cost);
                world.step(Ok(findings));
            }
            Version::Before if second == next_before => {
                next_before += 1_800;
                let (cost, _) = prover.prove(&played, second, true).await;
                (bill.proofs, bill.of_proofs) = (bill.proofs + 1, bill.of_proofs + cost);
            }
            Version::Now => {
                let plan = world.decide(None);
                world.resource.status = Some(plan.status);
            }
            Version::Before => {}
        }
    }
    assert_eq!(asked, load.calls);
    bill
}

/// The next start of a run, in seconds of the day.
fn next_run(cadence: Cadence, second: i64) -> Option<i64> {
    let midnight: Timestamp = "2026-11-29T15:00:00Z".parse().ok()?;
    let zone = jiff::tz::TimeZone::get("Asia/Tokyo").ok()?;
    let now = midnight + SignedDuration::from_secs(second);
    let next = cadence.next(now, &zone)?;
    Some(next.duration_since(midnight).as_secs())
}

/// Proves as the controller does, with one session, and builds for a day on what was found.
struct Prover {
    transport: Transport,
    settings: Settings,
    session: SharedSession,
    found: Option<(i64, Proved)>,
}

impl Prover {
    fn new(played: &Played, settings: Settings) -> Self {
        let ca = played.ca_pem().into_bytes();
        let policy = DialPolicy::new(&["localhost".to_owned()], true, Some(ca)).unwrap();
        Self {
            transport: Transport::new(policy).unwrap(),
            settings,
            session: SharedSession::default(),
            found: None,
        }
    }

    /// Returns the number of calls, and what was found.
    async fn prove(
        &mut self,
        played: &Played,
        second: i64,
        thorough: bool,
    ) -> (u64, crate::salesforce::Findings) {
        let credentials = Credentials::Password {
            username: USER.to_owned(),
            password: PASSWORD.into(),
            security_token: Some(SECURITY_TOKEN.into()),
        };
        let key = FingerprintKey::new(*b"key");
        let fingerprint = credentials.fingerprint(&key, &self.settings.login_url);
        let before = self
            .found
            .as_ref()
            .filter(|(since, _)| !thorough && second - since < FOUND_GOOD_FOR);
        let calls = played.api_calls();
        let proof = prove(
            self.transport.clone(),
            &self.settings,
            credentials,
            &fingerprint,
            &self.session,
            None,
            before.map(|(_, proved)| proved),
        )
        .await;
        let cost = played.api_calls() - calls;
        // A request with a session that has ended counts for us, and not for Salesforce.
        assert!((cost..=cost + 1).contains(&proof.proof.calls));
        let proved = proof.proved.expect("a proof that succeeds");
        if proved.looked_at_all {
            self.found = Some((second, proved));
        }
        (cost, Arc::unwrap_or_clone(proof.proof.outcome.unwrap()))
    }
}

const BUSY: Load = Load {
    calls: 1_000,
    new_callers: 0,
    changes: 200,
};

#[tokio::test]
async fn a_day_with_nobody_calling_costs_48_calls_at_most() {
    for way in [Retrieval::Daily, Retrieval::AfterCall] {
        let bill = day(way, NOTHING, Version::Now).await;
        println!("{way:?}: {bill:?}");
        assert!((24..=48).contains(&bill.total()), "{way:?}: {bill:?}");
    }
}

#[tokio::test]
async fn a_day_of_1_000_calls_and_200_changes_costs_60_calls_at_most() {
    let bill = day(Retrieval::Daily, BUSY, Version::Now).await;
    println!("{bill:?}");
    assert!((24..=60).contains(&bill.total()), "{bill:?}");
}

/// Calls between 8 and 18 o'clock, and a run every five minutes.
const RUNS_WITH_CALLS: u64 = 10 * 12 + 1;

#[tokio::test]
async fn after_calls_a_day_costs_one_more_for_each_run_that_has_some() {
    let bill = day(Retrieval::AfterCall, BUSY, Version::Now).await;
    println!("{bill:?}");
    let most = 60 + RUNS_WITH_CALLS;
    assert!((24..=most).contains(&bill.total()), "{bill:?}");
}

/// `make bench-day`.
#[tokio::test]
#[ignore = "it prints, and the tests above hold what it prints"]
async fn the_bill_of_a_day() {
    println!("API calls of a day, {KNOWN} of {NUMBERS} numbers known");
    println!(
        "retrieval  calls  from new callers  changes  proofs + runs = now  before  three a number"
    );
    let new_callers = Load {
        new_callers: 10,
        ..BUSY
    };
    for way in [Retrieval::Daily, Retrieval::AfterCall] {
        for load in [NOTHING, BUSY, new_callers] {
            let now = day(way, load, Version::Now).await;
            let before = day(way, load, Version::Before).await;
            println!(
                "{:<9}  {:>5}  {:>15} %  {:>7}  {:>6} + {:>4} = {:>3}  {:>6}  {:>14}",
                format!("{way:?}"),
                load.calls,
                load.new_callers,
                load.changes,
                now.of_proofs,
                now.of_runs,
                now.total(),
                before.total(),
                3 * before.numbers + before.of_proofs,
            );
        }
    }
}

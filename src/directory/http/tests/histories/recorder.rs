//! Clients of two replicas, what happens to them meanwhile, and what they saw.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use parking_lot::Mutex;
use rand::rngs::StdRng;
use rand::seq::SliceRandom as _;
use rand::{Rng, SeedableRng};
use switchboard_testbed::Replication;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::super::{call, eventually, found, payload, token};
use super::history::{Deed, Event, Handed, Seen};
use super::replicas::{Fate, Replicas};
use crate::directory::client::{ClientError, Retry};
use crate::directory::model::{
    Call, CallsQuery, ClaimRequest, Contact, DoneCall, DoneRequest, LookupState, Reading,
    ReleaseRequest, WriteContactsRequest, WriteOutcome, WritePolicy,
};
use crate::directory::{Client, Purpose};

/// The numbers that call. They are few, so that workers meet.
const NUMBERS: usize = 12;
const WORKERS: usize = 8;
const PLATFORMS: usize = 2;
/// How long a claim lasts, in seconds: short, so that claims end while their holders work.
const LASTS: u32 = 1;
/// How far ahead of the machine's the clock of a replica is at most, and how far behind.
const SKEW: i64 = 600;
/// Time limit until all calls are done after the disturbances.
const AT_REST: Duration = Duration::from_secs(60);

/// What all clients share.
struct Room {
    begun: Instant,
    bases: Vec<String>,
    http: reqwest::Client,
    events: Mutex<Vec<Event>>,
    /// Answers that say that the directory is wrong, and not that it cannot serve now.
    failures: Mutex<Vec<String>>,
    /// The version of each number's name in the org.
    org: Vec<AtomicU32>,
    /// The number of the next call.
    next_call: AtomicU32,
    /// Cancelled when no further call comes.
    quiet: CancellationToken,
    /// Cancelled when nothing is left to do.
    over: CancellationToken,
}

/// A client: it speaks with either replica.
struct Someone {
    name: String,
    room: Arc<Room>,
    random: StdRng,
    /// The only replica with which it speaks.
    only: Option<usize>,
}

/// A request that was sent.
struct Sent<T> {
    client: String,
    from: Duration,
    to: Duration,
    /// `None` where no success was answered.
    answer: Option<T>,
}

/// What was recorded.
pub(super) struct Recording {
    pub(super) events: Vec<Event>,
    /// Answers of the directory that its clients can do nothing about.
    pub(super) failures: Vec<String>,
    /// What the last history says of each call, when all was mended and nothing was left to do.
    pub(super) end: Vec<Seen>,
    /// How often each disturbance happened.
    pub(super) disturbed: BTreeMap<Disturbance, u32>,
}

/// What happens to the database server, or to one replica.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Disturbance {
    /// The database server dies, and starts again.
    Restart,
    /// The database server dies, and its standby is promoted.
    FailOver,
    /// The database server is cut off and lives on, and its standby is promoted.
    CutOff,
    /// The address that a replica has of the database leads to the standby for a while.
    Astray,
    /// The connections of a replica to the database are cut.
    Cut,
    /// A replica dies, and starts again.
    Death,
    /// The clock of a replica leaps.
    Leap,
}

/// Records what clients see for so long, while servers fail, connections are cut and clocks leap.
/// Of a database that replicates asynchronously it records a fail-over to a standby that does not
/// have all that was answered.
pub(super) async fn record(seed: u64, lasts: Duration, replication: Replication) -> Recording {
    let mut random = StdRng::seed_from_u64(seed);
    let mut replicas = Replicas::start(replication).await;
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let room = Arc::new(Room {
        begun: Instant::now(),
        bases: replicas.bases(),
        http,
        events: Mutex::default(),
        failures: Mutex::default(),
        org: (0..NUMBERS).map(|_| AtomicU32::new(1)).collect(),
        next_call: AtomicU32::new(0),
        quiet: CancellationToken::new(),
        over: CancellationToken::new(),
    });
    let mut someone = |name: String| Someone {
        name,
        room: Arc::clone(&room),
        random: StdRng::seed_from_u64(random.random()),
        only: None,
    };
    let mut last = someone("who reads last".to_owned());
    let mut clients = tokio::task::JoinSet::new();
    for at in 0..WORKERS {
        clients.spawn(someone(format!("worker-{at}")).works());
    }
    for _ in 0..2 {
        clients.spawn(someone("a page".to_owned()).reads_histories());
        clients.spawn(someone("a call screen".to_owned()).reads_names());
    }
    clients.spawn(edits(
        Arc::clone(&room),
        someone("people".to_owned()).random,
    ));
    let mut platforms = tokio::task::JoinSet::new();
    for at in 0..PLATFORMS {
        platforms.spawn(someone(format!("platform-{at}")).delivers());
    }
    let disturbed = match replication {
        Replication::Synchronous => disturb(&mut replicas, &mut random, lasts).await,
        Replication::Asynchronous => lose_what_was_answered(&mut replicas, &room).await,
    };
    last.delivers_to_each().await;
    room.quiet.cancel();
    while let Some(ended) = platforms.join_next().await {
        ended.unwrap();
    }
    let end = tokio::time::timeout(AT_REST, last.reads_until_all_is_done()).await;
    room.over.cancel();
    while let Some(ended) = clients.join_next().await {
        ended.unwrap();
    }
    Recording {
        end: end.expect("nothing is left to do"),
        events: std::mem::take(&mut *room.events.lock()),
        failures: std::mem::take(&mut *room.failures.lock()),
        disturbed,
    }
}

/// Disturbs replicas and database for so long, and with each kind at least once. In the end all of
/// them serve.
async fn disturb(
    replicas: &mut Replicas,
    random: &mut StdRng,
    lasts: Duration,
) -> BTreeMap<Disturbance, u32> {
    let mut disturbed = BTreeMap::new();
    let ends = Instant::now() + lasts;
    // From the start the clocks say different times.
    replicas.all[0].clock_is_ahead(random.random_range(60..=SKEW));
    replicas.all[1].clock_is_ahead(-random.random_range(60..=SKEW));
    let mut coming = Vec::new();
    while Instant::now() < ends || !coming.is_empty() {
        if coming.is_empty() {
            coming.extend(Disturbance::ALL);
            coming.shuffle(random);
        }
        tokio::time::sleep(Duration::from_millis(random.random_range(100..900))).await;
        let Some(what) = coming.pop() else { continue };
        let which = random.random_range(0..replicas.all.len());
        let begun = Instant::now();
        match what {
            Disturbance::Restart => replicas.database_restarts().await,
            Disturbance::FailOver | Disturbance::CutOff => {
                if random.random_bool(0.3) {
                    replicas.standby_falls_behind().await;
                    let behind = Duration::from_millis(random.random_range(0..800));
                    tokio::time::sleep(behind).await;
                }
                let fate = match what {
                    Disturbance::FailOver => Fate::Dies,
                    _ if random.random_bool(0.5) => Fate::Silent,
                    _ => Fate::CutOff,
                };
                replicas.fail_over(fate, random.random_bool(0.5)).await;
            }
            Disturbance::Astray => {
                let lasts = Duration::from_millis(random.random_range(200..1_500));
                replicas.goes_astray(which, lasts).await;
            }
            Disturbance::Cut => replicas.all[which].way.is_cut(),
            Disturbance::Death => replicas.all[which].starts_anew().await,
            Disturbance::Leap => {
                let ahead = random.random_range(-SKEW..=SKEW);
                replicas.all[which].clock_is_ahead(ahead);
            }
        }
        let at = lasts.saturating_sub(ends.saturating_duration_since(begun));
        println!("at {at:.1?}: {what:?}, which took {:.1?}", begun.elapsed());
        *disturbed.entry(what).or_default() += 1;
    }
    for replica in &replicas.all {
        replica.is_ready().await;
    }
    disturbed
}

/// Lets the standby fall behind, waits until a webhook was answered since, and fails over.
async fn lose_what_was_answered(
    replicas: &mut Replicas,
    room: &Room,
) -> BTreeMap<Disturbance, u32> {
    replicas.standby_falls_behind().await;
    let since = room.begun.elapsed();
    eventually(async || {
        let events = room.events.lock();
        events.iter().any(|event| {
            let delivered = matches!(event.deed, Deed::Delivered { .. });
            delivered && event.answered && event.from > since
        })
    })
    .await;
    replicas.fail_over(Fate::Dies, false).await;
    BTreeMap::from([(Disturbance::FailOver, 1)])
}

/// People edit names in the org.
async fn edits(room: Arc<Room>, mut random: StdRng) {
    while !room.over.is_cancelled() {
        room.org[random.random_range(0..NUMBERS)].fetch_add(1, Ordering::SeqCst);
        tokio::time::sleep(Duration::from_millis(random.random_range(5..40))).await;
    }
}

fn number(at: usize) -> String {
    format!("+813123456{at:02}")
}

/// The place of a number in the org.
fn place(number: &str) -> usize {
    number[number.len() - 2..].parse().unwrap()
}

/// A name in this version. Where it came from is the product's affair: it is a text that counts up.
fn name(version: u32) -> String {
    format!("Version {version}")
}

fn version(contact: Option<&Contact>) -> Option<u32> {
    let name = contact?.person_name.as_ref()?;
    Some(name.trim_start_matches("Version ").parse().unwrap())
}

fn seen(call: &Call) -> Seen {
    Seen {
        id: call.id.clone(),
        number: call.e164.as_ref().unwrap().to_string(),
        done: call.lookup == LookupState::Done,
        version: version(call.contact.as_ref()),
    }
}

// === impl Disturbance ===

impl Disturbance {
    const ALL: [Self; 7] = [
        Self::Restart,
        Self::FailOver,
        Self::CutOff,
        Self::Astray,
        Self::Cut,
        Self::Death,
        Self::Leap,
    ];
}

// === impl Someone ===

impl Someone {
    /// Sends one request to a replica, once. At times the client gives up before the answer.
    async fn sends<T>(
        &mut self,
        purpose: Purpose,
        request: impl AsyncFnOnce(Client) -> Result<T, ClientError>,
    ) -> Sent<T> {
        let room = Arc::clone(&self.room);
        let drawn = self.random.random_range(0..room.bases.len());
        let replica = self.only.unwrap_or(drawn);
        let client = Client::with_http(
            room.http.clone(),
            &room.bases[replica],
            token("acme", purpose),
        );
        let client = client.unwrap().with_retry(Retry {
            attempts: 1,
            ..Retry::default()
        });
        let patience = match self.random.random_bool(0.1) {
            true => Duration::from_millis(self.random.random_range(0..20)),
            false => Duration::from_secs(25),
        };
        let from = room.begun.elapsed();
        let answer = tokio::time::timeout(patience, request(client)).await;
        if let Ok(Err(ClientError::Refused { problem, .. })) = &answer
            && problem.status != 503
        {
            let told = format!("{} to {}: {problem:?}", problem.status, self.name);
            room.failures.lock().push(told);
        }
        Sent {
            client: format!("{} on replica {replica}", self.name),
            from,
            to: room.begun.elapsed(),
            answer: answer.ok().and_then(Result::ok),
        }
    }

    fn records<T>(&self, sent: &Sent<T>, deed: Deed) {
        self.room.events.lock().push(Event {
            client: sent.client.clone(),
            from: sent.from,
            to: sent.to,
            answered: sent.answer.is_some(),
            deed,
        });
    }

    async fn waits(&mut self, millis: std::ops::Range<u64>) {
        let wait = Duration::from_millis(self.random.random_range(millis));
        tokio::time::sleep(wait).await;
    }

    /// The platform: it sends each call until it is taken, and at times once more.
    async fn delivers(mut self) {
        let began = Timestamp::now() - SignedDuration::from_hours(1);
        let mut untaken = BTreeSet::new();
        let mut taken = Vec::new();
        while !self.room.quiet.is_cancelled() || !untaken.is_empty() {
            if !self.room.quiet.is_cancelled() {
                for _ in 0..self.random.random_range(1..4) {
                    untaken.insert(self.room.next_call.fetch_add(1, Ordering::SeqCst));
                }
            }
            let mut calls: Vec<u32> = untaken.iter().copied().take(20).collect();
            if !taken.is_empty() && self.random.random_bool(0.3) {
                calls.push(taken[self.random.random_range(0..taken.len())]);
            }
            let legs = calls.iter().map(|at| {
                let started = began + SignedDuration::from_secs(i64::from(*at));
                let of = number(*at as usize % NUMBERS);
                call(&format!("call-{at}"), &of, &started.to_string())
            });
            let webhook = payload(legs);
            let sent = self.sends(Purpose::Ingest, async |platform| {
                platform.ingest(&webhook).await
            });
            let sent = sent.await;
            let calls_by_id = calls.iter().map(|at| format!("call-{at}")).collect();
            self.records(&sent, Deed::Delivered { calls: calls_by_id });
            if sent.answer.is_some() {
                untaken.retain(|at| !calls.contains(at));
                taken.extend(calls);
            }
            self.waits(5..60).await;
        }
    }

    /// A call is sent to each replica until that one has taken it.
    async fn delivers_to_each(&mut self) {
        for replica in 0..self.room.bases.len() {
            self.only = Some(replica);
            let at = self.room.next_call.fetch_add(1, Ordering::SeqCst);
            let started = Timestamp::now() - SignedDuration::from_mins(1);
            let id = format!("call-{at}");
            let leg = call(&id, &number(at as usize % NUMBERS), &started.to_string());
            let webhook = payload([leg]);
            let begun = Instant::now();
            loop {
                let sent = self.sends(Purpose::Ingest, async |platform| {
                    platform.ingest(&webhook).await
                });
                let sent = sent.await;
                let calls = vec![id.clone()];
                self.records(&sent, Deed::Delivered { calls });
                if sent.answer.is_some() {
                    break;
                }
                assert!(begun.elapsed() < AT_REST, "replica {replica} takes no call");
                self.waits(50..100).await;
            }
        }
        self.only = None;
    }

    /// A worker: it claims calls, asks the org, writes names and marks the calls done. It may stand
    /// still longer than its claim lasts, die, or give calls back.
    async fn works(mut self) {
        while !self.room.over.is_cancelled() {
            let Some((calls, claimed_at)) = self.claims().await else {
                self.waits(1..30).await;
                continue;
            };
            let mut asked: BTreeMap<String, (u32, Vec<Handed>)> = BTreeMap::new();
            for call in calls {
                let version = self.room.org[place(&call.number)].load(Ordering::SeqCst);
                let of_number = asked.entry(call.number.clone()).or_default();
                of_number.0 = version;
                of_number.1.push(call);
            }
            match self.random.random_range(0..100) {
                0..10 => self.waits(1_000..2_000).await,
                10..15 => continue,
                15..20 => {
                    let holder = self.name.clone();
                    let request = ReleaseRequest {
                        holder: holder.clone(),
                    };
                    let sent = self.sends(Purpose::Worker, async |worker| {
                        worker.release(&request).await
                    });
                    let sent = sent.await;
                    self.records(&sent, Deed::Released { holder });
                    continue;
                }
                _ => self.waits(0..30).await,
            }
            if self.writes(&asked, claimed_at).await {
                for (number, (_, calls)) in asked {
                    self.finishes(number, calls).await;
                }
            }
        }
    }

    /// The calls that were handed out, and when they were, as the directory says.
    async fn claims(&mut self) -> Option<(Vec<Handed>, Option<Timestamp>)> {
        let holder = self.name.clone();
        let request = ClaimRequest {
            limit: self.random.random_range(1..4),
            claim_for: LASTS,
            ..ClaimRequest::new(holder.clone())
        };
        let sent = self.sends(Purpose::Worker, async |worker| worker.claim(&request).await);
        let sent = sent.await;
        let claimed = sent.answer.as_ref()?;
        let claimed_at = claimed.claimed_at;
        let calls: Vec<Handed> = claimed
            .calls
            .iter()
            .map(|call| Handed {
                id: call.id.clone(),
                number: call.e164.as_ref().unwrap().to_string(),
            })
            .collect();
        if calls.is_empty() {
            return None;
        }
        let claimed = Deed::Claimed {
            holder,
            lasts: Duration::from_secs(u64::from(LASTS)),
            calls: calls.clone(),
        };
        self.records(&sent, claimed);
        Some((calls, claimed_at))
    }

    /// Returns whether the names are known to be written, or kept.
    async fn writes(
        &mut self,
        asked: &BTreeMap<String, (u32, Vec<Handed>)>,
        claimed_at: Option<Timestamp>,
    ) -> bool {
        let contacts = asked
            .iter()
            .map(|(number, (version, _))| found(number, &name(*version)));
        let request = WriteContactsRequest {
            claimed_at,
            ..WriteContactsRequest::new(WritePolicy::Overwrite, contacts.collect())
        };
        let sent = self.sends(Purpose::Worker, async |worker| {
            worker.write_contacts(&request).await
        });
        let sent = sent.await;
        for (number, (version, _)) in asked {
            let outcome = sent.answer.as_ref().map(|receipt| {
                let number = &number.parse().unwrap();
                receipt.outcomes[number]
            });
            let wrote = Deed::Wrote {
                holder: self.name.clone(),
                number: number.clone(),
                version: *version,
                kept: outcome == Some(WriteOutcome::Kept),
            };
            self.records(&sent, wrote);
        }
        sent.answer.is_some()
    }

    async fn finishes(&mut self, number: String, calls: Vec<Handed>) {
        let done = calls.iter().map(|call| DoneCall {
            id: call.id.clone(),
            reading: Reading::E164(number.parse().unwrap()),
        });
        let request = DoneRequest {
            calls: done.collect(),
        };
        let sent = self.sends(Purpose::Worker, async |worker| worker.done(&request).await);
        let sent = sent.await;
        let finished = Deed::Finished {
            holder: self.name.clone(),
            calls: calls.into_iter().map(|call| call.id).collect(),
            reading: number,
        };
        self.records(&sent, finished);
    }

    async fn reads_names(mut self) {
        while !self.room.over.is_cancelled() {
            let number = number(self.random.random_range(0..NUMBERS));
            let sent = self.sends(Purpose::Lookup, async |screen| {
                screen.contact(&number).await
            });
            let sent = sent.await;
            if let Some(contact) = &sent.answer {
                let version = version(contact.as_ref());
                self.records(&sent, Deed::ReadName { number, version });
            }
            self.waits(1..30).await;
        }
    }

    async fn reads_histories(mut self) {
        while !self.room.over.is_cancelled() {
            self.reads_history().await;
            self.waits(50..250).await;
        }
    }

    async fn reads_history(&mut self) -> Option<Vec<Seen>> {
        let sent = self.sends(Purpose::Lookup, async |page| {
            let mut query = CallsQuery {
                limit: Some(200),
                ..CallsQuery::default()
            };
            let mut calls = Vec::new();
            loop {
                let page = page.calls(&query).await?;
                calls.extend(page.calls.iter().map(seen));
                match page.next_cursor {
                    Some(cursor) => query.cursor = Some(cursor),
                    None => return Ok(calls),
                }
            }
        });
        let sent = sent.await;
        let calls = sent.answer.clone()?;
        let read = Deed::ReadHistory {
            calls: calls.clone(),
        };
        self.records(&sent, read);
        Some(calls)
    }

    async fn reads_until_all_is_done(&mut self) -> Vec<Seen> {
        loop {
            if let Some(calls) = self.reads_history().await
                && calls.iter().all(|call| call.done)
            {
                return calls;
            }
            self.waits(50..100).await;
        }
    }
}

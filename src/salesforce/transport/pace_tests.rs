//! The pace against played hosts, on a clock that stands still while nobody waits.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;
use tokio::sync::Semaphore;
use tokio::time::{Duration, Instant, advance, sleep};
use url::Url;

use super::pace::Pace;
use super::paced_host::{ASKING, MOST_AT_ONCE, Outcome, SILENT, STALE};
use crate::salesforce::answers::error::{Error, Phase};
use crate::salesforce::answers::meaning::Meaning;

fn unreachable() -> Error {
    Error::new(Meaning::Unreachable, Phase::Request, "it did not answer.")
}

fn silence() -> Outcome {
    Outcome::Silence(unreachable())
}

/// A host that answers after some time, or not at all while it is down.
struct PlayedHost {
    latency: Duration,
    timeout: Duration,
    is_down: std::sync::atomic::AtomicBool,
    under_way: AtomicUsize,
    /// The largest number under way together.
    most: AtomicUsize,
    answered: AtomicUsize,
    asked: AtomicUsize,
    /// For each request, how many were under way with it and how many had been answered before.
    begun: Mutex<Vec<(usize, usize)>>,
}

impl PlayedHost {
    fn new(latency: Duration) -> Arc<Self> {
        Arc::new(Self {
            latency,
            timeout: Duration::from_secs(10),
            is_down: false.into(),
            under_way: 0.into(),
            most: 0.into(),
            answered: 0.into(),
            asked: 0.into(),
            begun: Mutex::default(),
        })
    }

    fn set_down(&self, is_down: bool) {
        self.is_down.store(is_down, Ordering::SeqCst);
        self.begun.lock().clear();
        self.most.store(0, Ordering::SeqCst);
        self.answered.store(0, Ordering::SeqCst);
        self.asked.store(0, Ordering::SeqCst);
    }

    async fn ask(&self, pace: &Pace) -> Result<(), Error> {
        let url = url("login");
        let turn = pace.turn(&url).await?;
        self.asked.fetch_add(1, Ordering::SeqCst);
        let now = self.under_way.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(now, Ordering::SeqCst);
        let answered = self.answered.load(Ordering::SeqCst);
        self.begun.lock().push((now, answered));
        let is_down = self.is_down.load(Ordering::SeqCst);
        sleep(if is_down { self.timeout } else { self.latency }).await;
        self.under_way.fetch_sub(1, Ordering::SeqCst);
        if is_down {
            turn.ended(silence());
            return Err(unreachable());
        }
        self.answered.fetch_add(1, Ordering::SeqCst);
        turn.ended(Outcome::Answer);
        Ok(())
    }
}

fn url(host: &str) -> Url {
    format!("https://{host}.example/").parse().unwrap()
}

/// Asks with so many callers at once, each so many times in a row, and returns how many were told
/// that the host is silent or found it so.
async fn crowd(host: &Arc<PlayedHost>, pace: &Pace, callers: usize, times: usize) -> usize {
    let callers: Vec<_> = (0..callers)
        .map(|_| {
            let (host, pace) = (Arc::clone(host), pace.clone());
            tokio::spawn(async move {
                let mut failed = 0;
                for _ in 0..times {
                    failed += usize::from(host.ask(&pace).await.is_err());
                }
                failed
            })
        })
        .collect();
    let mut failed = 0;
    for caller in callers {
        failed += caller.await.unwrap();
    }
    failed
}

#[tokio::test(start_paused = true)]
async fn a_thousand_who_come_together_begin_with_few_and_are_soon_many() {
    let (host, pace) = (PlayedHost::new(Duration::from_millis(50)), Pace::default());
    assert_eq!(crowd(&host, &pace, 1_000, 3).await, 0);
    assert_eq!(host.most.load(Ordering::SeqCst), MOST_AT_ONCE);
    for (number, (under_way, answered)) in host.begun.lock().iter().enumerate() {
        let most = 4 + answered;
        assert!(
            *under_way <= most,
            "request {number}: {under_way} at once, {answered} answers"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn of_a_host_that_is_down_one_asks_and_when_it_is_back_the_others_come_by_and_by() {
    let (host, pace) = (PlayedHost::new(Duration::from_millis(50)), Pace::default());
    crowd(&host, &pace, 200, 2).await;
    host.set_down(true);
    let began = Instant::now();
    assert_eq!(crowd(&host, &pace, 1_000, 1).await, 1_000, "all are told");
    let asked = host.asked.load(Ordering::SeqCst);
    assert!(asked <= MOST_AT_ONCE + SILENT as usize, "{asked} requests");
    let took = began.elapsed();
    assert!(
        took <= 2 * host.timeout,
        "the last one was told after {took:?}"
    );
    for _ in 0..10 {
        sleep(STALE).await;
        crowd(&host, &pace, 100, 1).await;
    }
    let asked = host.asked.load(Ordering::SeqCst) - asked;
    assert!(asked <= 10, "{asked} requests to a host that is down");

    host.set_down(false);
    let began = Instant::now();
    // Who is told that the host is silent comes again, as the controller does.
    let mut left = 200;
    while left > 0 {
        left = crowd(&host, &pace, left, 1).await;
    }
    for (under_way, answered) in host.begun.lock().iter() {
        assert!(*under_way <= answered + 1, "{under_way} after {answered}");
    }
    let rounds = began.elapsed().as_millis() / host.latency.as_millis();
    assert!(rounds <= 15, "{rounds} answers in a row for 200 who waited");
}

/// Accepts one connection after the other. A request takes the first connection that is free: one
/// that served before, or one that was accepted meanwhile.
struct SlowServer {
    idle: Semaphore,
    accepting: tokio::sync::Mutex<()>,
    opened: AtomicUsize,
}

impl SlowServer {
    const ACCEPT: Duration = Duration::from_millis(200);
    const CONNECT: Duration = Duration::from_secs(10);

    async fn ask(self: &Arc<Self>) -> Outcome {
        if self.idle.available_permits() == 0 {
            let server = Arc::clone(self);
            tokio::spawn(tokio::time::timeout(Self::CONNECT, async move {
                let _turn = server.accepting.lock().await;
                sleep(Self::ACCEPT).await;
                server.opened.fetch_add(1, Ordering::SeqCst);
                server.idle.add_permits(1);
            }));
        }
        match tokio::time::timeout(Self::CONNECT, self.idle.acquire()).await {
            Err(_) => silence(),
            Ok(connection) => {
                sleep(Duration::from_millis(50)).await;
                drop(connection);
                Outcome::Answer
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_accepts_slowly_is_not_given_up() {
    let server = Arc::new(SlowServer {
        idle: Semaphore::new(0),
        accepting: tokio::sync::Mutex::default(),
        opened: 0.into(),
    });
    let pace = Pace::default();
    let began = Instant::now();
    let tenants: Vec<_> = (0..1_000)
        .map(|_| {
            let (server, pace) = (Arc::clone(&server), pace.clone());
            tokio::spawn(async move {
                let mut to_ask = 3;
                while to_ask > 0 {
                    let outcome = match pace.turn(&url("login")).await {
                        Ok(turn) => {
                            let outcome = server.ask().await;
                            turn.ended(outcome.clone());
                            outcome
                        }
                        Err(error) => Outcome::Silence(error),
                    };
                    match outcome {
                        Outcome::Answer => to_ask -= 1,
                        _ => sleep(Duration::from_secs(30)).await,
                    }
                }
            })
        })
        .collect();
    for tenant in tenants {
        tenant.await.unwrap();
    }
    let (took, opened) = (began.elapsed(), server.opened.load(Ordering::SeqCst));
    assert!(
        took < Duration::from_secs(60),
        "{took:?}, {opened} connections"
    );
    assert!(opened <= MOST_AT_ONCE, "{opened} connections");
}

#[tokio::test(start_paused = true)]
async fn a_host_in_trouble_slows_no_other() {
    let (host, pace) = (PlayedHost::new(Duration::from_millis(50)), Pace::default());
    host.set_down(true);
    crowd(&host, &pace, 100, 1).await;
    assert!(pace.is_troubled(&url("login")));
    assert!(!pace.is_troubled(&url("instance")));
    let began = Instant::now();
    let turn = pace.turn(&url("instance")).await;
    assert!(turn.is_ok() && began.elapsed() == Duration::ZERO);
    assert!(pace.silence(&url("instance")).is_none());
}

#[tokio::test(start_paused = true)]
async fn of_a_host_that_answers_nobody_one_asks_and_the_others_are_told() {
    let pace = Pace::default();
    let login = url("login");
    for _ in 0..SILENT {
        assert!(pace.silence(&login).is_none());
        pace.turn(&login).await.ok().unwrap().ended(silence());
    }
    assert!(pace.silence(&login).is_some());

    advance(STALE).await;
    assert!(pace.silence(&login).is_none(), "one asks");
    assert!(pace.silence(&login).is_some(), "and no other");
    pace.turn(&login).await.ok().unwrap().ended(silence());
    assert!(pace.silence(&login).is_some());
    advance(STALE).await;
    assert!(pace.silence(&login).is_none());
    advance(ASKING).await;
    assert!(
        pace.silence(&login).is_none(),
        "who asked was never heard of again"
    );

    pace.turn(&login).await.ok().unwrap().ended(Outcome::Answer);
    assert!(pace.silence(&login).is_none(), "it is back");
    assert!(!pace.is_troubled(&login));
}

#[tokio::test(start_paused = true)]
async fn a_network_that_hiccups_or_an_edge_that_answers_is_no_silence() {
    let pace = Pace::default();
    for _ in 0..3 * SILENT {
        for outcome in [silence(), Outcome::Answer] {
            pace.turn(&url("hiccup")).await.ok().unwrap().ended(outcome);
        }
        pace.turn(&url("edge"))
            .await
            .ok()
            .unwrap()
            .ended(Outcome::Edge);
        advance(Duration::from_secs(1)).await;
    }
    assert!(pace.silence(&url("hiccup")).is_none());
    assert!(pace.silence(&url("edge")).is_none());
}

#[tokio::test(start_paused = true)]
async fn who_gives_up_while_waiting_takes_nobodys_turn() {
    let pace = Pace::default();
    let login = url("login");
    let mut held = Vec::new();
    for _ in 0..4 {
        held.push(pace.turn(&login).await.ok().unwrap());
    }
    for _ in 0..100 {
        let waited = tokio::time::timeout(Duration::from_millis(1), pace.turn(&login)).await;
        assert!(waited.is_err(), "four are under way");
    }
    let next = tokio::spawn({
        let (pace, login) = (pace.clone(), login.clone());
        async move { pace.turn(&login).await.is_ok() }
    });
    tokio::task::yield_now().await;
    held.pop();
    assert!(next.await.unwrap());
    drop(held);
    for _ in 0..4 {
        // Nothing was lost: as many as at the beginning.
        let turn = tokio::time::timeout(Duration::from_secs(1), pace.turn(&login)).await;
        std::mem::forget(turn.expect("a turn is lost").ok().unwrap());
    }
}

#[tokio::test(start_paused = true)]
async fn hosts_that_nobody_asks_are_forgotten() {
    let pace = Pace::default();
    for number in 0..1_000 {
        let host = url(&format!("host-{number}"));
        pace.turn(&host).await.ok().unwrap().ended(silence());
        advance(Duration::from_secs(60)).await;
    }
    let remembered = pace.hosts();
    assert!(remembered <= 12, "{remembered} hosts");
}

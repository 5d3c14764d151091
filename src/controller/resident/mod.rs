//! What the leading controller does itself between the runs of the schedule: it looks up calls as
//! they end and follows changes, with the worker's own code and the sessions of its proofs. The
//! directory says which companies have something that waits; who is next is a pure state machine
//! ([`queue`]), whether the controller may do it is a rule of `decide`.

mod follows;
mod place;
pub(super) mod queue;
mod run;
mod waiting;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::channel::mpsc::UnboundedReceiver;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use self::follows::Follows;
use self::queue::{Again, Queue, Task};
use self::run::Runner;
use super::context::Context;
use crate::company_id::CompanyId;
use crate::decide::resident::Work;
use crate::decide::rules::config::RunsWhere;

/// How long runs have for their end when the controller is told to stop: they hand their calls
/// back.
const END_WITHIN: Duration = Duration::from_secs(2);

/// Does what waits until `stop` is cancelled, and then hands back what it has taken. It begins when
/// the watches have read their lists, and not before `begins` is cancelled.
pub(super) async fn work(
    context: Arc<Context>,
    identity: String,
    begins: CancellationToken,
    stop: CancellationToken,
) {
    if context.config.runs_where != RunsWhere::Resident {
        return;
    }
    let synced = async {
        begins.cancelled().await;
        for stores in &context.stores {
            stores.synced_or_denied().await;
        }
    };
    if stop.run_until_cancelled(synced).await.is_none() {
        return;
    }
    let (wakes, woken) = mpsc::unbounded_channel();
    let follows = Arc::new(Follows::default());
    let runner = Arc::new(Runner::new(
        Arc::clone(&context),
        identity,
        Arc::clone(&follows),
        stop.clone(),
    ));
    let telling = async {
        tokio::join!(
            waiting::follow(&context, &wakes),
            follows.wake(&context, &wakes)
        )
    };
    let Some(again) = context.take_runs_again() else {
        return;
    };
    let doing = drive(
        woken,
        again,
        move |task| {
            let runner = Arc::clone(&runner);
            async move { runner.run(&task).await }
        },
        stop.clone(),
    );
    tokio::select! {
        _ = telling => {}
        () = doing => {}
    }
}

/// Runs tasks as the queue says until `stop` is cancelled, and then waits for those that run.
/// `again` has the companies whom Salesforce answers again.
async fn drive<F>(
    mut woken: mpsc::UnboundedReceiver<Task>,
    mut again: UnboundedReceiver<CompanyId>,
    run: impl Fn(Task) -> F,
    stop: CancellationToken,
) where
    F: Future<Output = Again> + Send + 'static,
{
    let mut queue = Queue::default();
    let mut running: JoinSet<(Task, Again)> = JoinSet::new();
    loop {
        let due = queue.next_due();
        tokio::select! {
            biased;
            () = stop.cancelled() => break,
            Some(ended) = running.join_next() => match ended {
                Ok((task, again)) => queue.ended(task, again, Instant::now()),
                Err(broken) => match broken.try_into_panic() {
                    Ok(panic) => std::panic::resume_unwind(panic),
                    // Nobody cancels them.
                    Err(_) => continue,
                },
            },
            task = woken.recv() => match task {
                Some(task) => queue.wake(task, Instant::now()),
                None => break,
            },
            Some(company) = again.next() => {
                queue.answers_again((company, Work::Calls), Instant::now());
            }
            () = until(due) => {}
        }
        for task in queue.begin(Instant::now()) {
            let work = run(task.clone());
            running.spawn(async move { (task, work.await) });
        }
    }
    let ended = async { while running.join_next().await.is_some() {} };
    // What they do not hand back is free when its lease runs out.
    let _ = tokio::time::timeout(END_WITHIN, ended).await;
}

async fn until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use futures::channel::mpsc::{UnboundedSender, unbounded};
    use parking_lot::Mutex;

    use super::*;

    fn calls(company: &str) -> Task {
        (company.parse().unwrap(), Work::Calls)
    }

    /// When tasks began and ended, in milliseconds since the start.
    type Seen = Arc<Mutex<Vec<(String, u128, u128)>>>;

    struct Driven {
        wakes: mpsc::UnboundedSender<Task>,
        answers: UnboundedSender<CompanyId>,
        seen: Seen,
        stop: CancellationToken,
        driving: tokio::task::JoinHandle<()>,
    }

    fn driven(lasts: Duration, ends: Again) -> Driven {
        let (wakes, woken) = mpsc::unbounded_channel();
        let seen = Seen::default();
        let stop = CancellationToken::new();
        let start = Instant::now();
        let log = Arc::clone(&seen);
        let run = move |task: Task| {
            let log = Arc::clone(&log);
            async move {
                let began = start.elapsed().as_millis();
                tokio::time::sleep(lasts).await;
                let ended = start.elapsed().as_millis();
                log.lock().push((task.0.to_string(), began, ended));
                ends
            }
        };
        let (answers, again) = unbounded();
        let driving = tokio::spawn(drive(woken, again, run, stop.clone()));
        Driven {
            wakes,
            answers,
            seen,
            stop,
            driving,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_is_looked_up_a_second_later_and_a_flood_of_one_company_delays_no_other() {
        let driven = driven(Duration::from_millis(200), Again::WhenWoken);
        for _ in 0..1_000 {
            driven.wakes.send(calls("busy")).unwrap();
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
        driven.wakes.send(calls("quiet")).unwrap();
        tokio::time::sleep(Duration::from_millis(600)).await;
        driven.wakes.send(calls("busy")).unwrap();
        tokio::time::sleep(Duration::from_secs(5)).await;
        let seen = driven.seen.lock().clone();
        let of = |name: &str| -> Vec<u128> {
            let runs = seen.iter().filter(|run| run.0 == name);
            runs.map(|run| run.1).collect()
        };
        assert_eq!(of("quiet").len(), 1);
        assert!((1_500..1_510).contains(&of("quiet")[0]), "{seen:?}");
        assert_eq!(of("busy").len(), 2, "{seen:?}");
        driven.stop.cancel();
        driven.driving.await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn who_rings_while_another_one_is_asked_about_is_asked_about_beside_it() {
        let driven = driven(Duration::from_secs(1), Again::WhenWoken);
        let ring: Task = ("acme".parse().unwrap(), Work::Rings);
        for _ in 0..2 {
            driven.wakes.send(ring.clone()).unwrap();
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
        tokio::time::sleep(Duration::from_secs(3)).await;
        let seen = driven.seen.lock().clone();
        assert_eq!(seen.len(), 2, "{seen:?}");
        assert!(seen[1].1 < seen[0].2, "{seen:?}");
        driven.stop.cancel();
        driven.driving.await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn what_runs_when_the_controller_stops_has_time_to_hand_its_calls_back() {
        let driven = driven(Duration::from_secs(1), Again::WhenWoken);
        driven.wakes.send(calls("acme")).unwrap();
        tokio::time::sleep(Duration::from_millis(1_500)).await;
        driven.stop.cancel();
        driven.driving.await.unwrap();
        assert_eq!(driven.seen.lock().len(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_run_that_failed_comes_again_by_itself() {
        let again = Again::NotBefore(Duration::from_secs(15));
        let driven = driven(Duration::from_millis(10), again);
        driven.wakes.send(calls("acme")).unwrap();
        tokio::time::sleep(Duration::from_secs(40)).await;
        assert_eq!(driven.seen.lock().len(), 3);
        driven.stop.cancel();
        driven.driving.await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_run_that_failed_comes_at_once_when_salesforce_answers_again() {
        let driven = driven(
            Duration::from_millis(10),
            Again::NotBefore(Duration::from_secs(600)),
        );
        driven.wakes.send(calls("acme")).unwrap();
        tokio::time::sleep(Duration::from_secs(60)).await;
        driven
            .answers
            .unbounded_send("acme".parse().unwrap())
            .unwrap();
        tokio::time::sleep(Duration::from_secs(2)).await;
        assert_eq!(driven.seen.lock().len(), 2);
        driven.stop.cancel();
        driven.driving.await.unwrap();
    }
}

//! The queues: one for each scope, fed by all watches.

use std::convert::Infallible;
use std::sync::Arc;

use futures::channel::mpsc;
use futures::{FutureExt, SinkExt, Stream, StreamExt};
use kube::ResourceExt;
use kube::runtime::controller::{Action, Config as QueueConfig, applier};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::context::Context;
use super::context::stores::Stores;
use super::memory::index::Key;
use super::memory::retries::Retries;
use super::reconcile::{Error, reconcile};
use super::watch::{Concerned, Watches};
use crate::api::SalesforceIntegration;

/// What the watches may tell before the queue has taken it in.
const MOST_TOLD: usize = 64;

/// Works through what the watches bring, one queue for each scope, until `stop`.
pub(crate) async fn work(
    context: &Arc<Context>,
    watches: Vec<Watches>,
    concurrency: u16,
    stop: &CancellationToken,
) {
    let retries = Arc::new(Retries::default());
    let at_once = Arc::new(Semaphore::new(match concurrency {
        0 => Semaphore::MAX_PERMITS,
        few => few.into(),
    }));
    let (lines, ends): (Vec<_>, Vec<_>) = watches
        .iter()
        .map(|watches| {
            let (told, events) = mpsc::channel(MOST_TOLD);
            let stores = watches.stores.clone();
            (Line { stores, told }, events)
        })
        .unzip();
    let queues = watches.into_iter().zip(ends).map(|(watches, events)| {
        let (succeeded, failed) = (Arc::clone(&retries), Arc::clone(&retries));
        let at_once = Arc::clone(&at_once);
        let store = watches.stores.integrations.clone();
        // A task of its own: most of what the watches bring concerns nobody, and the queue asks everything that goes on how far it is
        // whenever anything moves.
        let concerned = watches
            .concerned(context)
            .take_until(stop.clone().cancelled_owned());
        let watching = AbortOnDropHandle::new(tokio::spawn(tell(concerned, lines.clone())));
        let config = QueueConfig::default().concurrency(concurrency);
        applier(
            move |resource: Arc<SalesforceIntegration>, context| {
                let (retries, at_once) = (Arc::clone(&succeeded), Arc::clone(&at_once));
                // A task of its own: the queue asks all that go on how far they are whenever one of them moves.
                let work = AbortOnDropHandle::new(tokio::spawn(async move {
                    let key = Key::of(resource.as_ref());
                    let ended = reconcile(&key, context, &at_once).await;
                    if ended.is_ok() {
                        retries.succeeded(&key);
                    }
                    ended
                }));
                Box::pin(joined(work))
            },
            move |resource: Arc<SalesforceIntegration>, error: &Error, _| {
                error_policy(&resource, error, &failed)
            },
            Arc::clone(context),
            store,
            events.map(Ok::<_, Infallible>),
            config,
        )
        // What came of a reconcile was told where it was known; an object that went meanwhile needs no words.
        .for_each(|_| std::future::ready(()))
        // The queue ends when nothing feeds it any more.
        .then(|()| joined(watching))
    });
    let queues: Vec<_> = queues.collect();
    drop(lines);
    futures::future::join_all(queues).await;
}

/// What feeds the queue of one scope.
#[derive(Clone)]
struct Line {
    stores: Stores,
    told: mpsc::Sender<Concerned>,
}

/// Tells each queue of what concerns its integrations: what happens in one namespace may concern those of another, such as rivals for a company ID.
async fn tell(concerned: impl Stream<Item = Concerned>, mut lines: Vec<Line>) {
    let mut concerned = std::pin::pin!(concerned);
    while let Some(concerned) = concerned.next().await {
        let namespace = concerned.namespace.as_deref().unwrap_or_default();
        let line = lines.iter_mut().find(|line| line.stores.holds(namespace));
        if let Some(line) = line {
            // It fails when the queue has ended, and with it the work.
            let _ = line.told.send(concerned).await;
        }
    }
}

/// What a task came to; its panic goes on here.
async fn joined<T>(work: AbortOnDropHandle<T>) -> T {
    match work.await {
        Ok(ended) => ended,
        Err(broken) => match broken.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // Only who drops it cancels it, and then nobody waits here.
            Err(_) => std::future::pending().await,
        },
    }
}

fn error_policy(resource: &SalesforceIntegration, error: &Error, retries: &Retries) -> Action {
    let wait = retries.failed(&Key::of(resource), error.cause());
    tracing::warn!(namespace = resource.namespace(), name = resource.name_any(), %error, ?wait, "reconcile failed; it is tried again");
    Action::requeue(wait)
}

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
use super::memory::backoff::Backoff;
use super::memory::index::Key;
use super::reconcile::{Error, reconcile};
use super::watch::{Affected, Watches};
use crate::api::SalesforceIntegration;
use crate::error::Chain;

/// What the watches may tell before the queue has taken it in.
const QUEUE_BUFFER: usize = 64;

/// Works through what the watches bring, one queue for each scope, until `stop`.
pub(crate) async fn work(
    context: &Arc<Context>,
    watches: Vec<Watches>,
    concurrency: u16,
    stop: &CancellationToken,
) {
    let backoff = Arc::new(Backoff::default());
    let permits = Arc::new(Semaphore::new(match concurrency {
        0 => Semaphore::MAX_PERMITS,
        few => few.into(),
    }));
    let (feeds, ends): (Vec<_>, Vec<_>) = watches
        .iter()
        .map(|watches| {
            let (sender, events) = mpsc::channel(QUEUE_BUFFER);
            let stores = watches.stores.clone();
            (QueueFeed { stores, sender }, events)
        })
        .unzip();
    let queues = watches.into_iter().zip(ends).map(|(watches, events)| {
        let (succeeded, failed) = (Arc::clone(&backoff), Arc::clone(&backoff));
        let permits = Arc::clone(&permits);
        let store = watches.stores.integrations.clone();
        // A task of its own: most of what the watches bring concerns nobody, and the queue asks everything that goes on how far it is
        // whenever anything moves.
        let affected = watches
            .affected(context)
            .take_until(stop.clone().cancelled_owned());
        let watching = AbortOnDropHandle::new(tokio::spawn(feed_queues(affected, feeds.clone())));
        let config = QueueConfig::default().concurrency(concurrency);
        applier(
            move |resource: Arc<SalesforceIntegration>, context| {
                let (backoff, permits) = (Arc::clone(&succeeded), Arc::clone(&permits));
                // A task of its own: the queue asks all that go on how far they are whenever one of them moves.
                let work = AbortOnDropHandle::new(tokio::spawn(async move {
                    let key = Key::of(resource.as_ref());
                    let ended = reconcile(&key, context, &permits).await;
                    if ended.is_ok() {
                        backoff.succeeded(&key);
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
        // What came of a reconcile was sender where it was known; an object that went meanwhile needs no words.
        .for_each(|_| std::future::ready(()))
        // The queue ends when nothing feeds it any more.
        .then(|()| joined(watching))
    });
    let queues: Vec<_> = queues.collect();
    drop(feeds);
    futures::future::join_all(queues).await;
}

/// What feeds the queue of one scope.
#[derive(Clone)]
struct QueueFeed {
    stores: Stores,
    sender: mpsc::Sender<Affected>,
}

/// Tells each queue of what concerns its integrations: what happens in one namespace may concern those of another, such as rivals for a company ID.
async fn feed_queues(affected: impl Stream<Item = Affected>, mut feeds: Vec<QueueFeed>) {
    let mut affected = std::pin::pin!(affected);
    while let Some(affected) = affected.next().await {
        let namespace = affected.namespace.as_deref().unwrap_or_default();
        let feed = feeds.iter_mut().find(|feed| feed.stores.holds(namespace));
        if let Some(feed) = feed {
            // It fails when the queue has ended, and with it the work.
            let _ = feed.sender.send(affected).await;
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

fn error_policy(resource: &SalesforceIntegration, error: &Error, backoff: &Backoff) -> Action {
    let wait = backoff.failed(&Key::of(resource), error.cause());
    tracing::warn!(namespace = resource.namespace(), name = resource.name_any(), error = %Chain(error), ?wait, "reconcile failed; it is tried again");
    Action::requeue(wait)
}

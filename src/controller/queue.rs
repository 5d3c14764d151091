//! The work queues: one for each scope, filled by all watches.

use std::convert::Infallible;
use std::sync::Arc;

use futures::channel::mpsc;
use futures::{FutureExt, SinkExt, Stream, StreamExt};
use kube::runtime::controller::{Action, Config as QueueConfig, applier};
use kube::runtime::reflector::ObjectRef;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::context::Context;
use super::context::stores::Stores;
use super::memory::key::Key;
use super::reconcile::{Error, reconcile, reconcile_span};
use super::watch::{Affected, Watches};
use crate::api::SalesforceIntegration;
use crate::error::Chain;

/// Events that may wait between the watches and a queue.
const QUEUE_BUFFER: usize = 64;

/// Reconciles what the watches enqueue, with one queue for each scope, until `stop` is cancelled.
pub(crate) async fn work(
    context: &Arc<Context>,
    watches: Vec<Watches>,
    concurrency: u16,
    stop: &CancellationToken,
) {
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
        let permits = Arc::clone(&permits);
        let store = watches.stores.integrations.clone();
        // A task of its own: most events affect no integration, and the queue polls all running
        // reconciles whenever it wakes.
        let affected = watches
            .affected(context)
            .take_until(stop.clone().cancelled_owned());
        let watching = AbortOnDropHandle::new(tokio::spawn(feed_queues(affected, feeds.clone())));
        let config = QueueConfig::default().concurrency(concurrency);
        applier(
            move |resource: Arc<SalesforceIntegration>, context: Arc<Context>| {
                let permits = Arc::clone(&permits);
                // A task of its own: the queue polls all running reconciles whenever one of them
                // wakes.
                let work = AbortOnDropHandle::new(tokio::spawn(async move {
                    let key = Key::of(resource.as_ref());
                    let ended = reconcile(&key, Arc::clone(&context), &permits).await;
                    if ended.is_ok() {
                        context.memory.succeeded(&key);
                    }
                    // What a reconcile kept after the deletion would stay for ever: no event
                    // follows.
                    if context.cached(&key).is_none() {
                        context.memory.forget(&key);
                        context.mail.forget(&key);
                    }
                    ended
                }));
                Box::pin(joined(work))
            },
            move |resource: Arc<SalesforceIntegration>, error: &Error, context: Arc<Context>| {
                error_policy(&resource, error, &context)
            },
            Arc::clone(context),
            store,
            events.map(Ok::<_, Infallible>),
            config,
        )
        // A result is logged where it is known, and a deleted object needs no line.
        .for_each(|_| std::future::ready(()))
        // The queue ends when its feeds are gone.
        .then(|()| joined(watching))
    });
    let queues: Vec<_> = queues.collect();
    let asked = context.take_looks().map(|looks| {
        let affected = looks.map(|key| ObjectRef::new(&key.name).within(&key.namespace));
        let affected = affected.take_until(stop.clone().cancelled_owned());
        AbortOnDropHandle::new(tokio::spawn(feed_queues(affected, feeds.clone())))
    });
    drop(feeds);
    let asking = AbortOnDropHandle::new(tokio::spawn({
        let context = Arc::clone(context);
        async move { context.ask_again().await }
    }));
    futures::future::join_all(queues).await;
    drop(asking);
    drop(asked);
}

/// The input of one queue.
#[derive(Clone)]
struct QueueFeed {
    stores: Stores,
    sender: mpsc::Sender<Affected>,
}

/// Enqueues each affected integration in the queue of its scope: an event in one namespace may
/// affect others, such as rivals for a company ID.
async fn feed_queues(affected: impl Stream<Item = Affected>, mut feeds: Vec<QueueFeed>) {
    let mut affected = std::pin::pin!(affected);
    while let Some(affected) = affected.next().await {
        let namespace = affected.namespace.as_deref().unwrap_or_default();
        let feed = feeds.iter_mut().find(|feed| feed.stores.holds(namespace));
        if let Some(feed) = feed {
            // Sending fails only after the queue has ended.
            let _ = feed.sender.send(affected).await;
        }
    }
}

/// The result of a task. A panic of the task continues here.
async fn joined<T>(work: AbortOnDropHandle<T>) -> T {
    match work.await {
        Ok(ended) => ended,
        Err(broken) => match broken.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // A task is cancelled only by dropping it, and then nobody waits here.
            Err(_) => std::future::pending().await,
        },
    }
}

pub(crate) fn error_policy(
    resource: &SalesforceIntegration,
    error: &Error,
    context: &Context,
) -> Action {
    let key = Key::of(resource);
    if context.cached(&key).is_none() {
        return Action::await_change();
    }
    let wait = context.memory.failed(&key, error.cause());
    // The span of the reconcile has ended with it.
    let _span = reconcile_span(&key).entered();
    tracing::warn!(error = %Chain(error), ?wait, "reconcile failed; it is tried again");
    Action::requeue(wait)
}

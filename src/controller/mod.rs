//! The controller: observes, decides, acts. `decide` holds every rule and does no I/O; the rest is a thin edge.

mod act;
mod args;
mod attempt;
mod children;
pub mod claims;
pub mod config;
mod context;
pub mod decide;
mod events;
#[cfg(test)]
pub(crate) mod fixtures;
pub mod index;
mod last_words;
mod leader;
mod metrics;
mod observe;
mod owned;
mod proofs;
mod reach;
mod retries;
pub(crate) mod secret;
mod server;
mod standing;
mod turns;
mod watches;
mod wire;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::channel::mpsc;
use futures::{FutureExt, SinkExt, Stream, StreamExt};
use jiff::Timestamp;
use k8s_openapi::api::batch::v1::Job;
use kube::ResourceExt;
use kube::runtime::controller::{Action, Config as QueueConfig, applier};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

pub(crate) use args::duration;
pub use args::{Args, SalesforceArgs};
pub use leader::LEASE;
pub use proofs::prove_once;

use self::act::CarriedOut;
use self::attempt::Attempt;
use self::context::{Context, Stores};
use self::decide::acceptance::{Acceptance, Heard, RefusedObject};
use self::decide::decide;
use self::events::Recorder;
use self::index::Key;
use self::leader::Leadership;
use self::metrics::Metrics;
use self::observe::Gathered;
use self::proofs::{Order, Proofs};
use self::reach::Reach;
use self::retries::Retries;
use self::server::Health;
use self::watches::{Concerned, Watches};
use crate::api::{SalesforceIntegration, SalesforceIntegrationStatus, conditions};
use crate::directory::TokenError;
use crate::salesforce::{DialError, Transport};

/// What the controller could not do.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Reading a Secret failed for another reason than that it is not there.
    #[error("the Secret could not be read: {0}")]
    Secret(#[source] kube::Error),
    /// Writing a status failed.
    #[error("the status could not be written: {0}")]
    Status(#[source] kube::Error),
    /// Writing a CronJob failed.
    #[error("the CronJob could not be written: {0}")]
    CronJob(#[source] kube::Error),
    /// Creating a Job failed.
    #[error("the Job could not be created: {0}")]
    Job(#[source] kube::Error),
    /// Writing the Secret with the directory's tokens failed.
    #[error("the Secret with the directory's tokens could not be written: {}", without_words(.0))]
    TokenSecret(#[source] kube::Error),
    /// Tokens could not be made.
    #[error("the directory's tokens could not be made: {0}")]
    Token(#[source] TokenError),
    /// The resource went away while it was looked at.
    #[error("the resource is gone")]
    Gone,
    /// No connection to the API server could be set up.
    #[error("the API server cannot be reached: {0}")]
    Client(#[source] kube::Error),
    /// The kubeconfig or the pod's service account is unusable.
    #[error("no way to the API server: {0}")]
    Kubeconfig(#[source] kube::config::InferConfigError),
    /// The Lease for leader election could not be read or made.
    #[error("the Lease for leader election could not be read or made: {0}")]
    Lease(#[source] kube_lease_manager::LeaseManagerError),
    /// Another replica leads now; this one ends so that it starts afresh.
    #[error("the Lease was lost; another replica leads")]
    LeadershipLost,
    /// A flag's value is unusable.
    #[error("{0}")]
    Configuration(String),
    /// The hosts or authorities for Salesforce are unusable.
    #[error("the way to Salesforce cannot be set up: {0}")]
    Dial(#[source] DialError),
    /// The port for health is taken, say.
    #[error("the health server cannot listen on {address}: {source}")]
    Listen {
        /// Where.
        address: std::net::SocketAddr,
        /// Why not.
        source: std::io::Error,
    },
}

// === impl Error ===

impl Error {
    /// What the API server's client said, where it said anything.
    fn cause(&self) -> Option<&kube::Error> {
        match self {
            Error::Secret(error)
            | Error::Status(error)
            | Error::CronJob(error)
            | Error::Job(error)
            | Error::TokenSecret(error)
            | Error::Client(error) => Some(error),
            _ => None,
        }
    }
}

/// What a failure is, without what a webhook may have repeated of the object.
fn without_words(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) => format!("{} {}", status.code, status.reason),
        other => other.to_string(),
    }
}

/// Now, to the second: as Kubernetes writes times.
pub(crate) fn now() -> Timestamp {
    let now = Timestamp::now();
    Timestamp::from_second(now.as_second()).unwrap_or(now)
}

/// What the watches may tell before the queue has taken it in.
const MOST_TOLD: usize = 64;

/// Runs the controller until `stop`; then lets what goes on finish, and lets another replica lead.
///
/// # Errors
/// When it cannot start (no API server, unusable configuration, a port that is taken) or the Lease is lost.
pub async fn run(args: Args, stop: CancellationToken) -> Result<(), Error> {
    let setup = args.read()?;
    let client = args.client().await?;
    let transport = Transport::new(setup.dial).map_err(Error::Dial)?;
    let metrics = Arc::new(Metrics::default());
    let health = Arc::new(Health::new(Arc::clone(&metrics)));
    let listening = server::listen(args.listen).await?;
    let served = server::serve(listening, Arc::clone(&health), server::LIMITS, stop.clone());
    let server = tokio::spawn(served);

    let identity = args.identity();
    let mut leadership = None;
    if args.leader_elect {
        let namespace = args.lease_namespace(&client);
        let leases = args.client_that_waits(leader::ANSWER_WITHIN).await?;
        match Leadership::acquire(leases, &namespace, &identity, &stop).await? {
            Some(held) => leadership = Some(held),
            None => return Ok(()),
        }
    }
    let scopes: Vec<Option<&str>> = match args.watch_namespaces.as_slice() {
        [] => vec![None],
        namespaces => namespaces.iter().map(|name| Some(name.as_str())).collect(),
    };
    let watches: Vec<Watches> = scopes
        .into_iter()
        .map(|namespace| Watches::of(&client, Reach::of(namespace, Arc::clone(&metrics))))
        .collect();
    let context = Arc::new(Context::new(
        client.clone(),
        Recorder::new(client, identity),
        setup.config,
        Proofs::new(transport, Arc::clone(&metrics)),
        setup.fingerprint_key,
        setup.token_keys,
        watches
            .iter()
            .map(|watches| watches.stores.clone())
            .collect(),
        metrics,
    ));
    health.working(context.stores.clone());
    tracing::info!(namespaces = ?args.watch_namespaces, "the controller starts");
    let lost = async {
        match &mut leadership {
            Some(leadership) => leadership.lost().await,
            None => std::future::pending().await,
        }
    };
    let told = async {
        for stores in &context.stores {
            stores.listed().await;
        }
        tracing::info!("the controller watches");
        std::future::pending().await
    };
    tokio::select! {
        () = work(&context, watches, args.concurrency, &stop) => {}
        () = told => {}
        // What goes on is dropped at once: the new leader does it, and writes bound to a version keep the two apart.
        () = lost => return Err(Error::LeadershipLost),
    }
    stop.cancel();
    if let Some(leadership) = leadership {
        leadership.release().await;
    }
    // The server ends with the token; how it ended changes nothing any more.
    let _ = server.await;
    tracing::info!("the controller has stopped");
    Ok(())
}

/// Works through what the watches bring, one queue for each scope, until `stop`.
async fn work(
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

async fn reconcile(key: &Key, context: Arc<Context>, at_once: &Semaphore) -> Result<Action, Error> {
    for stores in &context.stores {
        // Its own children must be known; a namespace that cannot be watched holds no rival.
        if stores.holds(&key.namespace) {
            stores.listed().await;
        } else {
            stores.told().await;
        }
    }
    // It is never closed.
    let _permit = at_once.acquire().await;
    let Some(resource) = context.integration(key) else {
        return Ok(Action::await_change());
    };
    let began = Instant::now();
    if !context.turns.begins(key, began) {
        return Ok(Action::requeue(context.turns.pause()));
    }
    context.metrics.reconcile_begins();
    let ended = reconcile_once(resource, &context).await;
    context
        .metrics
        .reconcile_ended(ended.is_ok(), began.elapsed());
    ended
}

async fn reconcile_once(
    mut resource: Arc<SalesforceIntegration>,
    context: &Arc<Context>,
) -> Result<Action, Error> {
    if resource.metadata.deletion_timestamp.is_some() {
        return Ok(Action::await_change());
    }
    let credential_before = credential_of(resource.status.as_ref());
    let asked_at = now();
    let mut gathered = Gathered::about(context, &resource).await?;
    let mut plan = decide(&gathered.observed(context, &resource, None), now());
    if let (Some(cause), Some((credentials, fingerprint)), Ok(settings)) =
        (plan.prove, gathered.credentials.take(), &gathered.settings)
    {
        tracing::info!(
            namespace = resource.namespace(),
            name = resource.name_any(),
            ?cause,
            "proving the connection"
        );
        let organization = resource
            .status
            .as_ref()
            .and_then(|status| status.organization.as_ref())
            .map(|organization| organization.id.as_str());
        let attempt = Attempt::new(
            Arc::clone(context),
            Arc::clone(&resource),
            fingerprint.to_string(),
        );
        let order = Order {
            settings,
            credentials,
            fingerprint,
            organization,
            asked_at,
            before_login: attempt.before_login(),
            sent_at: &|| attempt.sent_at(),
        };
        let proof = context.proofs.prove(order).await;
        resource = attempt.ended()?;
        plan = decide(&gathered.observed(context, &resource, Some(&proof)), now());
    }
    let mut look_again = plan.look_again;
    if plan.cron_job.is_some() && gathered.cron_jobs.is_empty() {
        look_again = look_again.min(first_look_at_cron_job(&resource));
    }
    let key = Key::of(resource.as_ref());
    let carried_out = act::carry_out(
        context,
        &resource,
        gathered.settings.as_ref().ok(),
        &plan,
        &gathered.cron_jobs,
    )
    .await;
    let acceptance = context.acceptance(&key).after(
        heard(&carried_out, plan.run.as_ref()),
        conditions::is_refused_by_cluster(&plan.status.conditions),
    );
    if acceptance == Acceptance::Accepted {
        look_again = Duration::ZERO;
    }
    context.note_acceptance(&key, acceptance);
    // Whatever failed after the status was written, these runs are in it.
    if !matches!(carried_out, Err(Error::Gone | Error::Status(_))) {
        context.note_runs(&key, gathered.jobs);
    }
    match carried_out {
        Err(Error::Gone) => Ok(Action::await_change()),
        Err(error) => Err(error),
        Ok(carried_out) => {
            if let Some(before) = credential_before
                && credential_of(Some(&plan.status)).as_ref() != Some(&before)
            {
                context.leave_session(&key, &before);
            }
            Ok(Action::requeue(match carried_out {
                CarriedOut::Whole => look_again,
                CarriedOut::PutOff => context.turns.pause(),
            }))
        }
    }
}

/// What the cluster made of an attempt to write everything.
fn heard(carried_out: &Result<CarriedOut, Error>, job: Option<&Job>) -> Heard {
    let error = match carried_out {
        Ok(CarriedOut::Whole) => return Heard::Taken,
        Ok(CarriedOut::PutOff) => return Heard::Nothing,
        Err(error) => error,
    };
    let Some(kube::Error::Api(status)) = error.cause() else {
        return Heard::Nothing;
    };
    let said = status.message.clone();
    let object = match (error, job) {
        (Error::CronJob(_), _) => RefusedObject::CronJob(said),
        (Error::TokenSecret(_), _) => RefusedObject::Tokens,
        (Error::Job(_), Some(job)) => RefusedObject::Job(job.name_any(), said),
        _ => return Heard::Nothing,
    };
    match status.code {
        // The same attempt a moment later changes nothing.
        400 | 403 | 405 | 413 | 422 => Heard::Refused(object),
        // A webhook that is not there, if it goes on.
        500 => Heard::Failed(object),
        _ => Heard::Nothing,
    }
}

fn credential_of(status: Option<&SalesforceIntegrationStatus>) -> Option<String> {
    status?.connection.as_ref()?.credentials_version.clone()
}

/// A CronJob of ours wakes nobody when the watch brings it; when its first run would be overdue is seen this much later, spread over
/// minutes and well before it could be.
fn first_look_at_cron_job(resource: &SalesforceIntegration) -> Duration {
    let spread = decide::schedule::place(&resource.uid().unwrap_or_default(), "CronJob") % 300;
    Duration::from_secs(300 + spread)
}

fn error_policy(resource: &SalesforceIntegration, error: &Error, retries: &Retries) -> Action {
    let wait = retries.failed(&Key::of(resource), error);
    tracing::warn!(namespace = resource.namespace(), name = resource.name_any(), %error, ?wait, "reconcile failed; it is tried again");
    Action::requeue(wait)
}

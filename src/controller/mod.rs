//! The controller: observes, decides, acts. `decide` holds every rule and does no I/O; the rest is a thin edge.

mod act;
mod args;
mod children;
pub mod claims;
pub mod config;
mod context;
pub mod decide;
#[cfg(test)]
pub(crate) mod fixtures;
pub mod index;
mod observe;
mod proofs;
pub(crate) mod secret;
mod server;
mod watches;

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use jiff::Timestamp;
use kube::ResourceExt;
use kube::runtime::controller::{Action, Config as QueueConfig, Error as QueueError, applier};
use kube::runtime::events::{Recorder, Reporter};
use tokio_util::sync::CancellationToken;

pub use args::{Args, SalesforceArgs};
pub use proofs::prove_once;

use self::context::Context;
use self::decide::decide;
use self::observe::Gathered;
use self::proofs::Proofs;
use self::watches::Watches;
use crate::api::SalesforceIntegration;
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
    #[error("the Secret with the directory's tokens could not be written: {0}")]
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

/// Now, to the second: as Kubernetes writes times.
pub(crate) fn now() -> Timestamp {
    let now = Timestamp::now();
    Timestamp::from_second(now.as_second()).unwrap_or(now)
}

/// Runs the controller until `stop`; then lets what goes on finish.
///
/// # Errors
/// When it cannot start: no API server, unusable configuration, a port that is taken.
pub async fn run(args: Args, stop: CancellationToken) -> Result<(), Error> {
    let setup = args.read()?;
    let client = args.client().await?;
    let transport = Transport::new(setup.dial).map_err(Error::Dial)?;
    let scopes: Vec<Option<&str>> = if args.watch_namespaces.is_empty() {
        vec![None]
    } else {
        args.watch_namespaces
            .iter()
            .map(|name| Some(name.as_str()))
            .collect()
    };
    let watches: Vec<Watches> = scopes
        .into_iter()
        .map(|namespace| Watches::of(&client, namespace))
        .collect();
    let reporter = Reporter {
        controller: "switchboard.dev/controller".into(),
        instance: args.identity.clone(),
    };
    let context = Arc::new(Context::new(
        client.clone(),
        Recorder::new(client, reporter),
        setup.config,
        Proofs::new(transport),
        setup.fingerprint_key,
        setup.token_keys,
        watches
            .iter()
            .map(|watches| watches.stores.clone())
            .collect(),
    ));
    let listening = server::listen(args.listen).await?;
    let health = tokio::spawn(server::serve(listening, Arc::clone(&context), stop.clone()));
    tracing::info!(namespaces = ?args.watch_namespaces, "the controller starts");
    let queues = watches.into_iter().map(|watches| {
        let store = watches.stores.integrations.clone();
        let events = watches
            .concerned(&context)
            .take_until(stop.clone().cancelled_owned());
        let config = QueueConfig::default().concurrency(args.concurrency);
        applier(
            |resource, context| Box::pin(reconcile(resource, context)),
            error_policy,
            Arc::clone(&context),
            store,
            events,
            config,
        )
        .for_each(|done| {
            // Errors of a reconcile were told where they were met; an object that went meanwhile needs no words.
            if let Err(QueueError::QueueError(error)) = done {
                tracing::warn!(%error, "a watch failed");
            }
            std::future::ready(())
        })
    });
    futures::future::join_all(queues).await;
    stop.cancel();
    // The server ends with the token; how it ended changes nothing any more.
    let _ = health.await;
    tracing::info!("the controller has stopped");
    Ok(())
}

async fn reconcile(
    resource: Arc<SalesforceIntegration>,
    context: Arc<Context>,
) -> Result<Action, Error> {
    if resource.metadata.deletion_timestamp.is_some() {
        return Ok(Action::await_change());
    }
    let resource = context.freshest(resource);
    let mut gathered = Gathered::about(&context, &resource).await?;
    let mut plan = decide(&gathered.observed(&context, &resource, None), now());
    if let (Some(cause), Some((credentials, fingerprint)), Ok(settings)) =
        (plan.prove, gathered.credentials.take(), &gathered.settings)
    {
        tracing::info!(
            namespace = resource.namespace(),
            name = resource.name_any(),
            ?cause,
            "proving the connection"
        );
        let proof = context
            .proofs
            .prove(settings, credentials, fingerprint, now())
            .await;
        plan = decide(&gathered.observed(&context, &resource, Some(&proof)), now());
    }
    let look_again = plan.look_again;
    match act::carry_out(
        &context,
        &resource,
        gathered.settings.as_ref().ok(),
        plan,
        &gathered.cron_jobs,
    )
    .await
    {
        Err(Error::Gone) => Ok(Action::await_change()),
        Err(error) => Err(error),
        Ok(()) => Ok(Action::requeue(look_again)),
    }
}

fn error_policy(
    resource: Arc<SalesforceIntegration>,
    error: &Error,
    _context: Arc<Context>,
) -> Action {
    tracing::warn!(namespace = resource.namespace(), name = resource.name_any(), %error, "reconcile failed; it is tried again");
    let seconds = 2 + decide::schedule::place(
        &resource.uid().unwrap_or_default(),
        &Timestamp::now().to_string(),
    ) % 8;
    Action::requeue(Duration::from_secs(seconds))
}

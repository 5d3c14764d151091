//! The controller: observes, decides, applies. `decide` holds every rule and does no I/O; the
//! controller does the I/O around it.

mod args;
mod authorities;
mod cluster;
mod context;
mod error;
mod mail_args;
mod mailer;
mod memory;
mod queue;
mod reconcile;
mod resident;
mod server;
#[cfg(test)]
mod tests;
mod watch;

use std::sync::Arc;

use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

pub use self::args::Args;
use self::cluster::events::Recorder;
use self::cluster::layout;
use self::cluster::leader::{ANSWER_WITHIN, Leadership, Seat};
pub use self::cluster::leader::{LEASE, lease_of};
pub use self::cluster::login_store::LOGINS;
use self::cluster::login_store::LoginStore;
use self::context::Context;
use self::context::access::ScopeAccess;
use self::context::directory::DirectoryTrust;
use self::context::mail::Mail;
use self::context::metrics::Metrics;
use self::context::prover::Prover;
use self::context::user_logins::UserLogins;
pub use self::error::Error;
pub use self::mail_args::MailArgs;
use self::queue::work;
use self::server::Health;
use self::watch::Watches;
use crate::cli::FlagError;
use crate::error::print_error;
use crate::exit::Exit;
use crate::salesforce::Transport;
use crate::shutdown::Shutdown;

/// Runs the controller until a shutdown is requested. Running reconciles finish, then the Lease is
/// given back.
pub async fn run(args: Args, shutdown: Shutdown) -> Exit {
    match control(args, shutdown.token().clone()).await {
        Ok(()) => Exit::Done,
        Err(error) => {
            print_error("controller", &error);
            error.exit()
        }
    }
}

/// Fails when the controller cannot start (no API server, unusable configuration, a port that is
/// taken) or when the Lease is lost.
async fn control(args: Args, stop: CancellationToken) -> Result<(), Error> {
    let setup = args.read()?;
    let client = args.client().await?;
    let transport = Transport::new(setup.dial).map_err(FlagError::from)?;
    let mut metrics = Metrics::default();
    metrics.of_shard(args.shard);
    if let Some(at) = setup.ca_expiry {
        metrics.ca_expires(at);
    }
    let metrics = Arc::new(metrics);
    let health = Arc::new(Health::new(
        Arc::clone(&metrics),
        args.metrics_per_integration as usize,
    ));
    let listening = server::listen(args.listen)?;
    let served = server::serve(
        listening,
        Arc::clone(&health),
        server::limits(),
        stop.clone(),
    );
    let server = tokio::spawn(served);

    let identity = args.identity();
    let namespace = args.lease_namespace(&client);
    let mut leadership = None;
    if args.leader_elect {
        let seat = Seat {
            namespace: namespace.clone(),
            identity: identity.clone(),
            shard: args.shard,
            times: args.lease_times()?,
        };
        match lead(&args, &seat, &stop).await? {
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
        .map(|namespace| {
            let access = ScopeAccess::of(namespace, Arc::clone(&metrics));
            Watches::of(&client, access, args.shard)
        })
        .collect();
    let user_logins = UserLogins::new(LoginStore::new(client.clone(), namespace), args.shard);
    let context = Arc::new(Context::new(
        client.clone(),
        Recorder::new(client, identity.clone()),
        setup.config,
        args.shard,
        Prover::new(transport, Arc::clone(&metrics)),
        setup.fingerprint_key,
        setup.token_keys,
        DirectoryTrust::new(setup.directory_authorities),
        watches
            .iter()
            .map(|watches| watches.stores.clone())
            .collect(),
        Mail::new(
            setup.mail.as_ref().map(|mail| mail.rules.clone()),
            Arc::clone(&metrics),
        ),
        user_logins,
        metrics,
    ));
    let last_answers = CancellationToken::new();
    let book = AbortOnDropHandle::new(tokio::spawn({
        let (context, over) = (Arc::clone(&context), last_answers.clone());
        async move { context.user_logins.keep_stored(over).await }
    }));
    if let Some(path) = args.directory_ca_bundle.clone() {
        let context = Arc::clone(&context);
        tokio::spawn(authorities::watch(path, context, stop.clone()));
    }
    let last_mails = CancellationToken::new();
    let mailer = setup.mail.map(|mail| {
        let delivering = mailer::deliver(Arc::clone(&context), mail, last_mails.clone());
        AbortOnDropHandle::new(tokio::spawn(delivering))
    });
    health.working(Arc::clone(&context));
    let shard = (!args.shard.is_whole()).then(|| tracing::field::display(args.shard));
    tracing::info!(namespaces = ?args.watch_namespaces, shard, "the controller starts");
    // The controller's own runs hand back what they have taken, also when the Lease is lost.
    let (begins, own_stop) = (CancellationToken::new(), stop.child_token());
    let own = resident::work(
        Arc::clone(&context),
        identity,
        begins.clone(),
        own_stop.clone(),
    );
    let own = AbortOnDropHandle::new(tokio::spawn(own));
    let lost = async {
        match &mut leadership {
            Some(leadership) => leadership.lost().await,
            None => std::future::pending().await,
        }
    };
    let synced = async {
        for stores in &context.stores {
            stores.synced().await;
        }
        tracing::info!("the controller watches");
        std::future::pending().await
    };
    let working = async {
        // No decision is made before it is known what earlier controllers have sent.
        if let Some(loaded) = stop.run_until_cancelled(context.user_logins.load()).await {
            loaded?;
            begins.cancel();
            work(&context, watches, args.concurrency, &stop).await;
        }
        Ok::<(), Error>(())
    };
    tokio::select! {
        ended = working => ended?,
        () = synced => {}
        // Running reconciles are dropped at once: the new leader repeats them, and each write is
        // bound to a version.
        () = lost => {
            own_stop.cancel();
            let _ = own.await;
            return Err(Error::LeadershipLost);
        }
    }
    stop.cancel();
    let _ = own.await;
    last_answers.cancel();
    // What is not stored counts as unanswered.
    let _ = tokio::time::timeout(ANSWER_WITHIN, book).await;
    if let Some(mailer) = mailer {
        last_mails.cancel();
        if tokio::time::timeout(mailer::FLUSH_WITHIN, mailer)
            .await
            .is_err()
        {
            tracing::warn!("mails that were due are not sent any more");
        }
    }
    if let Some(leadership) = leadership {
        leadership.release().await;
    }
    // The server ends with the token, and its result no longer matters.
    let _ = server.await;
    tracing::info!("the controller has stopped");
    Ok(())
}

/// Waits until this replica may work: it holds the Lease of its shard, and no controller with
/// another number of shards may still work. `None` when it is told to stop.
async fn lead(
    args: &Args,
    seat: &Seat,
    stop: &CancellationToken,
) -> Result<Option<Leadership>, Error> {
    let leases = args.client_that_waits(seat.times.answer_within()).await?;
    let held = Leadership::acquire(leases.clone(), seat, stop).await;
    let Some(mut held) = held.map_err(Error::Lease)? else {
        return Ok(None);
    };
    tokio::select! {
        () = layout::alone(leases, seat) => return Ok(Some(held)),
        () = held.lost() => return Err(Error::LeadershipLost),
        () = stop.cancelled() => {}
    }
    held.release().await;
    Ok(None)
}

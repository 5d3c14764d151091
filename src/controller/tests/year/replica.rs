//! A replica of the controller that leads: the same parts as in [`crate::controller::control`],
//! with the way to the played API server. The Lease itself is not played: the world says who leads,
//! and for how long two believe that they do.

use std::sync::Arc;
use std::time::Duration;

use kube::Client;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::cluster::Cluster;
use crate::controller::cluster::events::Recorder;
use crate::controller::cluster::login_store::LoginStore;
use crate::controller::context::Context;
use crate::controller::context::access::ScopeAccess;
use crate::controller::context::directory::DirectoryTrust;
use crate::controller::context::mail::Mail;
use crate::controller::context::metrics::Metrics;
use crate::controller::context::prover::Prover;
use crate::controller::context::user_logins::UserLogins;
use crate::controller::queue::work;
use crate::controller::watch::Watches;
use crate::decide::rules::config::Config;
use crate::directory::TokenKeys;
use crate::salesforce::{DialPolicy, FingerprintKey, Transport};
use crate::shard::Shard;

/// The time after which answers to log-ins are stored.
const STORED_WITHIN: Duration = Duration::from_secs(10);

/// The key of fingerprints in every world.
pub(super) fn key() -> FingerprintKey {
    FingerprintKey::new([7; 32])
}

/// A replica that leads, or believes so.
pub(super) struct Replica {
    pub number: usize,
    _work: AbortOnDropHandle<()>,
    _book: AbortOnDropHandle<()>,
}

// === impl Replica ===

impl Replica {
    /// Starts a replica. It ends at once when it is dropped, in the middle of whatever it does.
    pub(super) fn start(number: usize, cluster: &Arc<Cluster>) -> Self {
        let server = Arc::clone(cluster);
        let service = tower::service_fn(move |request| Arc::clone(&server).serve(number, request));
        let client = Client::new(service, "switchboard-system");
        let metrics = Arc::new(Metrics::default());
        let watches = vec![Watches::of(
            &client,
            ScopeAccess::of(None, Arc::clone(&metrics)),
            Shard::WHOLE,
        )];
        let policy = DialPolicy::new(&[], true, None).unwrap_or_else(|_| unreachable!());
        let transport = Transport::new(policy).unwrap_or_else(|_| unreachable!());
        let token_keys = TokenKeys::parse("YWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWE=");
        let context = Arc::new(Context::new(
            client.clone(),
            Recorder::new(client.clone(), format!("replica-{number}")),
            Config::default(),
            Shard::WHOLE,
            Prover::new(transport, Arc::clone(&metrics)),
            key(),
            token_keys.unwrap_or_else(|_| unreachable!()),
            DirectoryTrust::new(None),
            watches
                .iter()
                .map(|watches| watches.stores.clone())
                .collect(),
            Mail::new(None, Arc::clone(&metrics)),
            UserLogins::new(
                LoginStore::new(client, "switchboard-system".into()),
                Shard::WHOLE,
            ),
            metrics,
        ));
        let book = AbortOnDropHandle::new(tokio::spawn({
            let context = Arc::clone(&context);
            async move {
                // Seldomer than in a cluster, where a look each second or two costs nothing.
                loop {
                    tokio::time::sleep(STORED_WITHIN).await;
                    let once = CancellationToken::new();
                    once.cancel();
                    context.user_logins.keep_stored(once).await;
                }
            }
        }));
        let work = AbortOnDropHandle::new(tokio::spawn(async move {
            if context.user_logins.load().await.is_ok() {
                work(&context, watches, 16, &CancellationToken::new()).await;
            }
        }));
        Self {
            number,
            _work: work,
            _book: book,
        }
    }
}

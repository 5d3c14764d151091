//! Proves a connection: logs in, asks Salesforce what the integration needs to know, and returns
//! the outcome.

use std::sync::Arc;

use crate::api::{Settings, now};
use crate::decide::{Failure, Proof};
use crate::salesforce;
use crate::salesforce::{
    Connection, Credentials, Fingerprint, LoginGate, Proved, RetryPolicy, SharedSession, Transport,
};

/// Proves a connection that is used for nothing else.
pub(crate) async fn prove_once(
    transport: Transport,
    settings: &Settings,
    credentials: Credentials,
    fingerprint: Fingerprint,
) -> Proof {
    prove(
        transport,
        settings,
        credentials,
        &fingerprint,
        &SharedSession::default(),
        None,
        None,
    )
    .await
    .proof
}

/// What became of a proof.
pub(crate) struct Ended {
    /// The proof.
    pub proof: Proof,
    /// What the next proof may build on; `None` after a failure.
    pub proved: Option<Proved>,
    /// The number of log-ins that it took.
    pub logins: u64,
}

/// Proves a connection. With what an earlier proof found it costs one call, if that still holds.
pub(crate) async fn prove(
    transport: Transport,
    settings: &Settings,
    credentials: Credentials,
    fingerprint: &Fingerprint,
    session: &SharedSession,
    gate: Option<Arc<dyn LoginGate>>,
    before: Option<&Proved>,
) -> Ended {
    #[cfg(test)]
    if let Some(salesforce) = played::salesforce() {
        return salesforce.prove(settings, fingerprint, session, gate).await;
    }
    let in_trouble = transport.in_trouble(&settings.login_url);
    let mut connection = Connection::sharing(
        session,
        transport,
        settings.login_url.clone(),
        settings.api_version,
        credentials,
    )
    .environment(settings.environment);
    if in_trouble {
        // The back-off of the controller is enough.
        connection = connection.retry(RetryPolicy::NONE);
    }
    if let Some(gate) = gate {
        connection = connection.login_gate(gate);
    }
    // The controller has decided before this whether to log in again after a refusal. Its rules
    // survive a restart.
    connection.allow_login_again();
    let before_logins = connection.spent().logins;
    let users = settings.call_center_users();
    let outcome = salesforce::probe_again(&connection, &users, before).await;
    let (outcome, proved) = match outcome {
        Ok(proved) => (Ok(Arc::clone(&proved.findings)), Some(proved)),
        Err(error) => (Err(Failure::from(error)), None),
    };
    Ended {
        proof: Proof {
            at: now(),
            fingerprint: fingerprint.to_string(),
            calls: connection.spent().calls,
            outcome,
        },
        proved,
        logins: connection.spent().logins.saturating_sub(before_logins),
    }
}

/// A Salesforce that a test plays instead of a server.
#[cfg(test)]
pub(crate) mod played {
    use std::cell::RefCell;
    use std::sync::Arc;

    use futures::future::BoxFuture;

    use super::Ended;
    use crate::api::Settings;
    use crate::salesforce::{Fingerprint, LoginGate, SharedSession};

    /// Answers proofs of connections.
    pub(crate) trait Salesforce: Send + Sync {
        /// Proves a connection. Each log-in passes the gate and leaves a session.
        fn prove<'a>(
            &'a self,
            settings: &'a Settings,
            fingerprint: &'a Fingerprint,
            session: &'a SharedSession,
            gate: Option<Arc<dyn LoginGate>>,
        ) -> BoxFuture<'a, Ended>;
    }

    thread_local! {
        static PLAYED: RefCell<Option<Arc<dyn Salesforce>>> = const { RefCell::new(None) };
    }

    /// Has this thread's proofs answered so, or no longer.
    pub(crate) fn play(salesforce: Option<Arc<dyn Salesforce>>) {
        PLAYED.set(salesforce);
    }

    pub(super) fn salesforce() -> Option<Arc<dyn Salesforce>> {
        PLAYED.with_borrow(Clone::clone)
    }
}

//! Proves a connection: logs in, asks Salesforce what the integration needs to know, and returns
//! the outcome.

use std::sync::Arc;

use crate::api::{Settings, now};
use crate::decide::{Failure, Proof};
use crate::salesforce;
use crate::salesforce::{
    Connection, Credentials, Fingerprint, LoginGate, RetryPolicy, SharedSession, Transport,
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
    )
    .await
    .0
}

/// Returns the proof and the number of log-ins that it took.
pub(crate) async fn prove(
    transport: Transport,
    settings: &Settings,
    credentials: Credentials,
    fingerprint: &Fingerprint,
    session: &SharedSession,
    gate: Option<Arc<dyn LoginGate>>,
) -> (Proof, u64) {
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
    let before = connection.spent().logins;
    let users = settings.call_center_users();
    let outcome = salesforce::probe(&connection, &users).await;
    let proof = Proof {
        at: now(),
        fingerprint: fingerprint.to_string(),
        calls: connection.spent().calls,
        outcome: outcome.map_err(Failure::from),
    };
    (proof, connection.spent().logins.saturating_sub(before))
}

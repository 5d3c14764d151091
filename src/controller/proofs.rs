//! Proofs of connections: one at a time for each credential, a bounded number over all, sessions shared by every resource that
//! uses the same credential. Sessions are kept here; credentials are not, they come with each proof and go with it.

use std::collections::HashMap;
use std::sync::Arc;

use jiff::Timestamp;
use tokio::sync::{Mutex, Semaphore};

use super::decide::{Failure, Proof};
use crate::api::Settings;
use crate::salesforce::{self, Connection, Credentials, Fingerprint, SharedSession, Transport};

/// Proofs that go on at once.
const MOST_AT_ONCE: usize = 64;

/// Makes proofs.
pub struct Proofs {
    transport: Transport,
    lines: std::sync::Mutex<HashMap<Fingerprint, Arc<Line>>>,
    permits: Semaphore,
}

/// What is kept for one credential.
struct Line {
    session: SharedSession,
    /// Held while a proof goes on; holds the last one that failed at the log-in.
    last_refusal: Mutex<Option<Proof>>,
}

// === impl Proofs ===

impl Proofs {
    /// Through that transport.
    pub fn new(transport: Transport) -> Self {
        Proofs {
            transport,
            lines: Default::default(),
            permits: Semaphore::new(MOST_AT_ONCE),
        }
    }

    /// Proves a connection. Who asks while another proof of the same credential goes on gets that one's refusal: one log-in serves all.
    pub async fn prove(
        &self,
        settings: &Settings,
        credentials: Credentials,
        fingerprint: Fingerprint,
        asked_at: Timestamp,
    ) -> Proof {
        let line = self.line(&fingerprint);
        let mut last_refusal = line.last_refusal.lock().await;
        if let Some(refusal) = last_refusal
            .as_ref()
            .filter(|refusal| refusal.at >= asked_at)
        {
            return refusal.clone();
        }
        // Closed never: the semaphore lives as long as this.
        let _permit = self.permits.acquire().await;
        let proof = prove(
            self.transport.clone(),
            settings,
            credentials,
            &fingerprint,
            &line.session,
        )
        .await;
        *last_refusal = proof
            .outcome
            .as_ref()
            .err()
            .filter(|failure| failure.meaning.refuses_login())
            .map(|_| proof.clone());
        proof
    }

    /// Lets go of the sessions of credentials that no resource uses any more.
    pub fn keep_only(&self, in_use: impl Fn(&str) -> bool) {
        let mut lines = self
            .lines
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        lines.retain(|fingerprint, line| {
            Arc::strong_count(line) > 1 || in_use(fingerprint.as_str())
        });
    }

    fn line(&self, fingerprint: &Fingerprint) -> Arc<Line> {
        let mut lines = self
            .lines
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        let line = lines.entry(fingerprint.clone()).or_insert_with(|| {
            Arc::new(Line {
                session: SharedSession::default(),
                last_refusal: Mutex::default(),
            })
        });
        Arc::clone(line)
    }
}

/// Proves a connection that is used for nothing else.
pub async fn prove_once(
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
    )
    .await
}

async fn prove(
    transport: Transport,
    settings: &Settings,
    credentials: Credentials,
    fingerprint: &Fingerprint,
    session: &SharedSession,
) -> Proof {
    let connection = Connection::sharing(
        session,
        transport,
        settings.login_url.clone(),
        settings.api_version,
        credentials,
    )
    .environment(settings.environment);
    // Whether to log in again after a refusal was decided before this: the rules are the controller's, and outlive a restart.
    connection.allow_login_again();
    let outcome = salesforce::probe(&connection).await;
    Proof {
        at: super::now(),
        fingerprint: fingerprint.to_string(),
        outcome: outcome.map_err(|error| Failure {
            meaning: error.meaning(),
            message: error.message(),
        }),
    }
}

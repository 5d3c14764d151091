//! Prover of connections: one at a time for each credential, few at a time for each org, a bounded number over all. Sessions are
//! shared by every resource that uses the same credential and are kept here; credentials are not, they come with each proof and go
//! with it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use jiff::Timestamp;
use tokio::sync::Semaphore;

use super::metrics::Metrics;
use crate::api::{Settings, now};
use crate::decide::{Failure, Proof, Refusal};
use crate::prove::prove;
use crate::salesforce::{
    Credentials, Fingerprint, LoginGate, Meaning, Phase, SharedSession, Transport,
};

/// Prover that go on at once.
const MAX_PROOFS: usize = 64;
/// Prover that go on at once against one org: Salesforce counts requests that run long for each org.
const MAX_PROOFS_PER_ORG: usize = 4;

/// Prover that go on at once against hosts that lately did not answer: they wait for long, and must not hold up the others.
const MAX_PROOFS_IN_TROUBLE: usize = 16;

/// Makes prover.
pub struct Prover {
    transport: Transport,
    metrics: Arc<Metrics>,
    slots: Mutex<HashMap<String, Arc<CredentialSlot>>>,
    orgs: Mutex<HashMap<String, Arc<Semaphore>>>,
    permits: Semaphore,
    in_trouble: Semaphore,
}

/// A proof to make.
pub struct ProofRequest<'a> {
    /// What the resource asks for.
    pub settings: &'a Settings,
    /// The credential, just read.
    pub credentials: Credentials,
    /// Recognises it.
    pub fingerprint: Fingerprint,
    /// The org, where an earlier proof told.
    pub organization: Option<&'a str>,
    /// When what led to this proof was looked at.
    pub asked_at: Timestamp,
    /// Puts a log-in on record before it is sent.
    pub gate: Arc<dyn LoginGate>,
    /// When the last log-in was sent, if one was.
    pub sent_at: &'a (dyn Fn() -> Option<Timestamp> + Sync),
}

/// What is kept for one credential.
#[derive(Default)]
struct CredentialSlot {
    session: SharedSession,
    /// Held while a proof goes on.
    turn: tokio::sync::Mutex<()>,
    /// How the last proof failed, if it got no further than the log-in, and when that was known.
    failed_login: Mutex<Option<(Timestamp, Refusal)>>,
}

// === impl Prover ===

impl Prover {
    /// Through that transport.
    pub fn new(transport: Transport, metrics: Arc<Metrics>) -> Self {
        Prover {
            transport,
            metrics,
            slots: Mutex::default(),
            orgs: Mutex::default(),
            permits: Semaphore::new(MAX_PROOFS),
            in_trouble: Semaphore::new(MAX_PROOFS_IN_TROUBLE),
        }
    }

    /// Proves a connection. Who asks while another proof of the same credential goes on gets that one's failure to log in: one
    /// log-in serves all.
    pub async fn prove(&self, request: ProofRequest<'_>) -> Proof {
        let slot = lock(&self.slots)
            .entry(request.fingerprint.to_string())
            .or_default()
            .clone();
        let _turn = slot.turn.lock().await;
        if let Some(refusal) = slot.failed_login_since(request.asked_at) {
            return Proof {
                at: refusal.at,
                fingerprint: request.fingerprint.to_string(),
                calls: 0,
                outcome: Err(refusal.failure),
            };
        }
        let org = request.organization.map(|org| {
            let mut orgs = lock(&self.orgs);
            Arc::clone(
                orgs.entry(org.to_owned())
                    .or_insert_with(|| Arc::new(Semaphore::new(MAX_PROOFS_PER_ORG))),
            )
        });
        // The semaphores are never closed.
        let _trouble_permit = if self.transport.in_trouble(&request.settings.login_url) {
            self.in_trouble.acquire().await.ok()
        } else {
            None
        };
        let _org_permit = match &org {
            Some(org) => org.acquire().await.ok(),
            None => None,
        };
        let _permit = self.permits.acquire().await.ok();
        let asked = slot.session.instance_url();
        let asked = asked.as_ref().unwrap_or(&request.settings.login_url);
        if let Some(silence) = self.transport.silence(asked) {
            return Proof {
                at: now(),
                fingerprint: request.fingerprint.to_string(),
                calls: 0,
                // Whatever others were doing: nothing was sent for this one.
                outcome: Err(Failure {
                    phase: Phase::Request,
                    ..Failure::from(silence)
                }),
            };
        }
        let began = Instant::now();
        let (mut proof, logins) = prove(
            self.transport.clone(),
            request.settings,
            request.credentials,
            &request.fingerprint,
            &slot.session,
            Some(request.gate),
        )
        .await;
        self.metrics.proof_ended(&proof, logins, began.elapsed());
        *lock(&slot.failed_login) = match &proof.outcome {
            // That says nothing about the credential, only that this one could not put its log-in on record.
            Err(failure) if failure.meaning == Meaning::LoginWithheld => None,
            Err(failure) if failure.phase == Phase::Login => {
                let ended = proof.at;
                proof.at = (request.sent_at)().unwrap_or(ended);
                let refusal = Refusal {
                    at: proof.at,
                    failure: failure.clone(),
                };
                Some((ended, refusal))
            }
            _ => None,
        };
        proof
    }

    /// Whether what came of the last log-in with this credential is known here, or about to be.
    pub fn has_outcome(&self, fingerprint: &str) -> bool {
        lock(&self.slots)
            .get(fingerprint)
            .is_some_and(|slot| slot.session.is_there() || slot.turn.try_lock().is_err())
    }

    /// Lets go of the session of one credential, unless a proof of it goes on.
    pub fn forget(&self, fingerprint: &str) {
        let mut slots = lock(&self.slots);
        if slots
            .get(fingerprint)
            .is_some_and(|slot| Arc::strong_count(slot) == 1)
        {
            slots.remove(fingerprint);
        }
    }

    /// The refusal that the last log-in with this credential ended in, before any status tells.
    pub fn refusal(&self, fingerprint: &str) -> Option<Refusal> {
        lock(&self.slots)
            .get(fingerprint)
            .and_then(|slot| lock(&slot.failed_login).clone())
            .map(|(_, refusal)| refusal)
            .filter(|refusal| refusal.failure.is_shared())
    }

    /// Lets go of the sessions of credentials that no resource uses any more.
    pub fn keep_only(&self, in_use: impl Fn(&str) -> bool) {
        lock(&self.slots)
            .retain(|fingerprint, slot| Arc::strong_count(slot) > 1 || in_use(fingerprint));
        lock(&self.orgs).retain(|_, org| Arc::strong_count(org) > 1);
    }
}

// === impl CredentialSlot ===

impl CredentialSlot {
    fn failed_login_since(&self, asked_at: Timestamp) -> Option<Refusal> {
        lock(&self.failed_login)
            .clone()
            .filter(|(known_at, _)| *known_at >= asked_at)
            .map(|(_, refusal)| refusal)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

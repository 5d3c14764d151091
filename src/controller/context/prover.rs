//! Proves connections: at most one proof at a time for each credential, few for each org, and a
//! bounded number over all. Sessions are kept here, and all integrations with the same credential
//! share one. Credentials are not kept: they come with each request and are dropped with it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use parking_lot::Mutex;
use tokio::sync::futures::Notified;
use tokio::sync::{Notify, Semaphore};

use super::metrics::Metrics;
use crate::api::{Settings, now};
use crate::decide::{Failure, Proof, Refusal};
use crate::prove::{Ended, prove};
use crate::salesforce::{
    Connection, Credentials, Fingerprint, LoginGate, Meaning, Phase, Proved, SharedSession,
    Transport,
};
use crate::worker::Quiet;

/// The maximum number of concurrent proofs.
const MAX_PROOFS: usize = 64;
/// The maximum number of concurrent proofs against one org. Salesforce counts long-running requests
/// for each org.
const MAX_PROOFS_PER_ORG: usize = 4;

/// The maximum number of concurrent proofs against hosts that lately did not answer. These proofs
/// wait for a long time and must not delay the others.
const MAX_PROOFS_IN_TROUBLE: usize = 16;

/// How long a proof may build on what an earlier one found of objects and Tasks.
const FOUND_GOOD_FOR: Duration = Duration::from_secs(24 * 3600);

/// Proves connections.
pub(crate) struct Prover {
    transport: Transport,
    metrics: Arc<Metrics>,
    slots: Mutex<HashMap<String, Arc<CredentialSlot>>>,
    orgs: Mutex<HashMap<String, Arc<Semaphore>>>,
    permits: Semaphore,
    in_trouble: Semaphore,
    /// Tells who waits for a session that a proof has ended.
    ended: Notify,
}

/// The input of one proof.
pub(crate) struct ProofRequest<'a> {
    /// The settings from the spec.
    pub settings: &'a Settings,
    /// The credential, just read from the Secret.
    pub credentials: Credentials,
    /// Fingerprint of the credential.
    pub fingerprint: Fingerprint,
    /// Whether to log in although there is a session, which is kept for the others.
    pub afresh: bool,
    /// Whether all is looked at, although an earlier proof has found it.
    pub thorough: bool,
    /// Since when a proof for another integration with the same credential may stand for this one.
    pub may_share_since: Option<Timestamp>,
    /// ID of the org, when an earlier proof has found it.
    pub organization: Option<&'a str>,
    /// Time at which the reconcile began to read the state that led to this proof.
    pub asked_at: Timestamp,
    /// Records a log-in in the status before it is sent.
    pub gate: Arc<dyn LoginGate>,
    /// Returns when the last log-in was sent. `None` when none was sent.
    pub sent_at: &'a (dyn Fn() -> Option<Timestamp> + Sync),
}

/// State that is kept for one credential.
#[derive(Default)]
struct CredentialSlot {
    session: SharedSession,
    /// Held while a proof is running.
    turn: tokio::sync::Mutex<()>,
    /// The failure of the last proof when it got no further than the log-in, and the time at which
    /// the failure was known.
    failed_login: Mutex<Option<(Timestamp, Refusal)>>,
    /// What the last proof that looked at all has found, and when that was.
    found: Mutex<Option<(Instant, Arc<Proved>)>>,
    /// The last proof, if it succeeded, and the users of call centers that it asked for.
    proved: Mutex<Option<(Proof, Vec<String>)>>,
    /// When a proof or a run of the controller last worked with it.
    worked_at: Mutex<Option<Timestamp>>,
    /// What its runs found of changes.
    quiet: Arc<Quiet>,
}

// === impl Prover ===

impl Prover {
    /// Creates a prover that uses this transport.
    pub(crate) fn new(transport: Transport, metrics: Arc<Metrics>) -> Self {
        Self {
            transport,
            metrics,
            slots: Mutex::default(),
            orgs: Mutex::default(),
            permits: Semaphore::new(MAX_PROOFS),
            in_trouble: Semaphore::new(MAX_PROOFS_IN_TROUBLE),
            ended: Notify::new(),
        }
    }

    /// Proves a connection. A caller that waits for another proof of the same credential gets that
    /// proof's log-in failure: one log-in serves all.
    pub(crate) async fn prove(&self, request: ProofRequest<'_>) -> Proof {
        let proof = self.prove_in_turn(request).await;
        self.ended.notify_waiters();
        proof
    }

    async fn prove_in_turn(&self, request: ProofRequest<'_>) -> Proof {
        let slot = self
            .slots
            .lock()
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
        let users = request.settings.call_center_users();
        let is_shared = |since: &Timestamp| {
            let proved = slot
                .proved
                .lock()
                .clone()
                .filter(|_| slot.session.is_there());
            proved.filter(|(proof, asked)| proof.at >= *since && *asked == users)
        };
        if let Some((proof, _)) = request.may_share_since.as_ref().and_then(is_shared) {
            // It cost the one who asked.
            return Proof { calls: 0, ..proof };
        }
        let org = request.organization.map(|org| {
            let mut orgs = self.orgs.lock();
            Arc::clone(
                orgs.entry(org.to_owned())
                    .or_insert_with(|| Arc::new(Semaphore::new(MAX_PROOFS_PER_ORG))),
            )
        });
        // `acquire` fails only on a closed semaphore, and these are never closed.
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
            *slot.proved.lock() = None;
            return Proof {
                at: now(),
                fingerprint: request.fingerprint.to_string(),
                calls: 0,
                // The recorded failure has the phase of another proof. For this one nothing was
                // sent.
                outcome: Err(Failure {
                    phase: Phase::Request,
                    ..Failure::from(silence)
                }),
            };
        }
        let began = Instant::now();
        let own_session = request.afresh.then(SharedSession::default);
        let before = slot.found.lock().clone().filter(|(since, _)| {
            !request.thorough && !request.afresh && began.duration_since(*since) < FOUND_GOOD_FOR
        });
        let Ended {
            mut proof,
            proved,
            logins,
        } = prove(
            self.transport.clone(),
            request.settings,
            request.credentials,
            &request.fingerprint,
            own_session.as_ref().unwrap_or(&slot.session),
            Some(request.gate),
            before.as_ref().map(|(_, proved)| proved.as_ref()),
        )
        .await;
        match proved {
            Some(proved) if proved.looked_at_all => {
                *slot.found.lock() = Some((began, Arc::new(proved)));
            }
            Some(_) => {}
            None => *slot.found.lock() = None,
        }
        *slot.proved.lock() = proof.outcome.is_ok().then(|| (proof.clone(), users));
        if proof.outcome.is_ok() {
            slot.worked(proof.at);
        }
        self.metrics.proof_ended(&proof, logins, began.elapsed());
        *slot.failed_login.lock() = match &proof.outcome {
            // This failure says nothing about the credential: only this log-in could not be
            // recorded.
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

    /// A connection for a run of the controller. It uses the session of the proofs and never logs
    /// in: that is what proofs are for. So it needs no credential. With it comes what runs with the
    /// credential found of changes. `None` while there is no session.
    pub(crate) fn connection(
        &self,
        settings: &Settings,
        fingerprint: &str,
    ) -> Option<(Connection, Arc<Quiet>)> {
        let slot = self.slots.lock().get(fingerprint).cloned()?;
        let is_there = slot.session.is_there();
        let connection = Connection::of_session(
            &slot.session,
            self.transport.clone(),
            settings.login_url.clone(),
            settings.api_version,
        )
        .environment(settings.environment);
        is_there.then(|| (connection, Arc::clone(&slot.quiet)))
    }

    /// Whether there is a session of this credential.
    pub(crate) fn has_session(&self, fingerprint: &str) -> bool {
        let slots = self.slots.lock();
        slots
            .get(fingerprint)
            .is_some_and(|slot| slot.session.is_there())
    }

    /// Waits until a proof ends, of whichever credential.
    pub(crate) fn proof_ended(&self) -> Notified<'_> {
        self.ended.notified()
    }

    /// Records that a run of the controller worked with this credential.
    pub(crate) fn worked(&self, fingerprint: &str, at: Timestamp) {
        if let Some(slot) = self.slots.lock().get(fingerprint) {
            slot.worked(at);
        }
    }

    /// When a proof or a run of the controller last worked with this credential.
    pub(crate) fn worked_at(&self, fingerprint: &str) -> Option<Timestamp> {
        let slots = self.slots.lock();
        *slots.get(fingerprint)?.worked_at.lock()
    }

    /// Whether the result of the last log-in with this credential is known here, or will be soon.
    pub(crate) fn has_outcome(&self, fingerprint: &str) -> bool {
        self.slots
            .lock()
            .get(fingerprint)
            .is_some_and(|slot| slot.session.is_there() || slot.turn.try_lock().is_err())
    }

    /// Drops the session of one credential, unless a proof of it is running.
    pub(crate) fn forget(&self, fingerprint: &str) {
        let mut slots = self.slots.lock();
        if slots
            .get(fingerprint)
            .is_some_and(|slot| Arc::strong_count(slot) == 1)
        {
            slots.remove(fingerprint);
        }
    }

    /// The refusal of the last log-in with this credential, also before any status holds it.
    pub(crate) fn refusal(&self, fingerprint: &str) -> Option<Refusal> {
        self.slots
            .lock()
            .get(fingerprint)
            .and_then(|slot| slot.failed_login.lock().clone())
            .map(|(_, refusal)| refusal)
            .filter(|refusal| refusal.failure.is_shared())
    }

    /// Drops the sessions of credentials that no integration uses any more.
    pub(crate) fn keep_only(&self, in_use: impl Fn(&str) -> bool) {
        self.slots
            .lock()
            .retain(|fingerprint, slot| Arc::strong_count(slot) > 1 || in_use(fingerprint));
        self.orgs.lock().retain(|_, org| Arc::strong_count(org) > 1);
    }
}

// === impl CredentialSlot ===

impl CredentialSlot {
    fn worked(&self, at: Timestamp) {
        let mut known = self.worked_at.lock();
        *known = known.max(Some(at));
    }

    fn failed_login_since(&self, asked_at: Timestamp) -> Option<Refusal> {
        self.failed_login
            .lock()
            .clone()
            .filter(|(known_at, _)| *known_at >= asked_at)
            .map(|(_, refusal)| refusal)
    }
}

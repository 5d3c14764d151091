//! The session of one credential. It is made once for all waiting callers and kept until Salesforce
//! ends it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use futures::FutureExt;
use futures::future::{BoxFuture, Shared};
use parking_lot::{Mutex, MutexGuard};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use tracing::Instrument;
use url::Url;

use super::gate::LoginWithheld;
use crate::salesforce::answers::error::{Error, Phase};
use crate::salesforce::answers::meaning::Meaning;
use crate::url_text;

/// The time without new log-ins after a brand-new session was refused.
const HELD_BACK: Duration = Duration::from_secs(30 * 60);

/// Information about a session, without its token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SessionInfo {
    /// The organization's id, 18 characters; empty if the log-in did not return it.
    pub organization_id: String,
    /// The user's id, 18 characters; empty if the log-in did not return it.
    pub user_id: String,
    /// The user's name; with client credentials the Run-As user, once it is known.
    pub username: Option<String>,
    /// The host for all calls of the session.
    #[serde(with = "url_text")]
    pub instance_url: Url,
    /// Only SOAP login() returns it.
    pub organization_name: Option<String>,
    /// Only SOAP login() returns it.
    pub sandbox: Option<bool>,
    /// Only SOAP login() returns it.
    pub person_accounts: Option<bool>,
    /// The number of seconds that an unused session stays valid; only SOAP login() returns it.
    pub seconds_valid: Option<u64>,
}

/// The result of a log-in: the token and the information about the session.
pub(crate) struct Granted {
    pub(crate) token: SecretString,
    pub(crate) info: SessionInfo,
}

/// A session with its token.
pub(crate) struct Session {
    pub(crate) token: SecretString,
    pub(crate) info: SessionInfo,
    /// Whether a call with this session has succeeded.
    proved: AtomicBool,
}

type Flight = Shared<BoxFuture<'static, Result<Arc<Session>, Error>>>;

/// Keeps the session of one credential.
#[derive(Default)]
pub(crate) struct SessionKeeper {
    state: Mutex<State>,
    logins: AtomicU64,
}

#[derive(Default)]
struct State {
    session: Option<Arc<Session>>,
    /// The log-in that is running. Callers that arrive meanwhile wait for it.
    flight: Option<Flight>,
    /// The refusal that further callers get: until the given time, or without end if there is
    /// none.
    refused: Option<(Error, Option<Instant>)>,
}

/// A session that several connections of one credential use, one after the other or at once. It
/// holds no credential.
#[derive(Clone, Default)]
pub struct SharedSession(Arc<SessionKeeper>);

// === impl SharedSession ===

impl SharedSession {
    /// Whether there is a session. Then no log-in is needed as long as Salesforce accepts the
    /// session.
    pub fn is_there(&self) -> bool {
        self.0.existing().is_some()
    }

    /// The host for requests with this session; `None` without a session.
    pub fn instance_url(&self) -> Option<Url> {
        let session = self.0.existing()?;
        Some(session.info.instance_url.clone())
    }

    pub(crate) fn keeper(&self) -> Arc<SessionKeeper> {
        Arc::clone(&self.0)
    }
}

// === impl Session ===

impl Session {
    /// Records that a call with this session succeeded.
    pub(crate) fn prove(&self) {
        self.proved.store(true, Ordering::Relaxed);
    }
}

// === impl SessionKeeper ===

impl SessionKeeper {
    /// The current session; `None` if there is none.
    pub(crate) fn existing(&self) -> Option<Arc<Session>> {
        self.lock().session.clone()
    }

    /// Returns the existing session, the result of the running log-in, or a new session by
    /// `log_in`, which is started at most once for all waiting callers. The log-in runs in a task
    /// of its own. A caller that gives up therefore does not cancel it half-way, which would leave
    /// an attempt with an unknown result.
    pub(crate) async fn obtain<L, F>(
        self: &Arc<Self>,
        allowed: Result<(), LoginWithheld>,
        log_in: L,
    ) -> Result<Arc<Session>, Error>
    where
        L: FnOnce() -> F,
        F: Future<Output = Result<Granted, Error>> + Send + 'static,
    {
        let flight = {
            let mut state = self.lock();
            if let Some(session) = &state.session {
                return Ok(Arc::clone(session));
            }
            if let Some((refusal, until)) = &state.refused
                && until.is_none_or(|until| Instant::now() < until)
            {
                return Err(refusal.clone());
            }
            match &state.flight {
                Some(flight) => flight.clone(),
                None => {
                    allowed?;
                    let flight = self.start(log_in());
                    state.flight = Some(flight.clone());
                    flight
                }
            }
        };
        flight.await
    }

    fn start<F>(self: &Arc<Self>, log_in: F) -> Flight
    where
        F: Future<Output = Result<Granted, Error>> + Send + 'static,
    {
        let keeper = Arc::clone(self);
        let log_in = async move {
            let outcome = log_in.await.map(|granted| {
                Arc::new(Session {
                    token: granted.token,
                    info: granted.info,
                    proved: AtomicBool::new(false),
                })
            });
            let mut state = keeper.lock();
            state.flight = None;
            match &outcome {
                Ok(session) => {
                    state.session = Some(Arc::clone(session));
                    state.refused = None;
                }
                Err(error) if error.refused_login() => state.refused = Some((error.clone(), None)),
                Err(_) => {}
            }
            outcome
        };
        // The log lines of the log-in belong to the caller that started it.
        let task = tokio::spawn(log_in.in_current_span());
        let keeper = Arc::clone(self);
        async move {
            task.await.unwrap_or_else(|_| {
                keeper.lock().flight = None;
                Err(Error::new(
                    Meaning::UnexpectedAnswer,
                    Phase::Login,
                    "the log-in was broken off.",
                ))
            })
        }
        .boxed()
        .shared()
    }

    /// Drops the session that Salesforce refused, unless it has already been replaced. Returns
    /// whether a new log-in may help: not for a session that was refused without ever having
    /// worked.
    pub(crate) fn drop_expired(&self, stale: &Arc<Session>, error: &Error) -> bool {
        let mut state = self.lock();
        let is_current = state
            .session
            .as_ref()
            .is_some_and(|current| Arc::ptr_eq(current, stale));
        if !is_current {
            return true;
        }
        state.session = None;
        let proved = stale.proved.load(Ordering::Relaxed);
        if !proved {
            state.refused = Some((error.clone(), Some(Instant::now() + HELD_BACK)));
        }
        proved
    }

    /// Removes a recorded refusal.
    pub(crate) fn forgive(&self) {
        self.lock().refused = None;
    }

    /// Counts a log-in that is being sent.
    pub(crate) fn count_login(&self) {
        self.logins.fetch_add(1, Ordering::Relaxed);
    }

    /// The number of log-ins sent so far.
    pub(crate) fn logins(&self) -> u64 {
        self.logins.load(Ordering::Relaxed)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }
}

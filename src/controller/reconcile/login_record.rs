//! Records a log-in in the logbook and in the status before it is sent. When the record cannot be
//! written, the log-in is not sent: either another controller leads, or the log-in would never
//! become known.

use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;
use jiff::Timestamp;
use parking_lot::{Mutex, MutexGuard};

use super::error::Error;
use super::status;
use crate::api::{SalesforceIntegration, now};
use crate::controller::context::Context;
use crate::controller::context::user_logins::NotAdmitted;
use crate::decide;
use crate::decide::login::logbook::Attempt;
use crate::salesforce::{LoginGate, LoginWithheld};

/// The log-in that a proof of one integration may send, and its record.
pub(crate) struct LoginRecord {
    context: Arc<Context>,
    fingerprint: String,
    user: String,
    state: Mutex<State>,
}

struct State {
    resource: Arc<SalesforceIntegration>,
    sent_at: Option<Timestamp>,
    failed: Option<Error>,
}

// === impl LoginRecord ===

impl LoginRecord {
    /// A record without a log-in so far.
    pub(crate) fn new(
        context: Arc<Context>,
        resource: Arc<SalesforceIntegration>,
        fingerprint: String,
        user: String,
    ) -> Arc<Self> {
        let state = Mutex::new(State {
            resource,
            sent_at: None,
            failed: None,
        });
        Arc::new(Self {
            context,
            fingerprint,
            user,
            state,
        })
    }

    /// Time at which the last log-in was sent. `None` when none was sent.
    pub(crate) fn sent_at(&self) -> Option<Timestamp> {
        self.state().sent_at
    }

    /// The integration as it is on the server after the proof, which ended with a refused log-in or
    /// not.
    ///
    /// # Errors
    /// When a log-in could not be recorded and was therefore not sent.
    pub(crate) fn finish(&self, refused: bool) -> Result<Arc<SalesforceIntegration>, Error> {
        let mut state = self.state();
        if let Some(sent) = state.sent_at {
            let attempt = self.attempt(&state.resource, sent);
            self.context.user_logins.settle(attempt, refused);
        }
        match state.failed.take() {
            Some(error) => Err(error),
            None => Ok(Arc::clone(&state.resource)),
        }
    }

    async fn write(&self) -> Result<(), LoginWithheld> {
        let before = Arc::clone(&self.state().resource);
        let at = now();
        let logins = &self.context.user_logins;
        if let Some(sent) = self.state().sent_at {
            // There is a second log-in because the session of the first one has ended.
            logins.settle(self.attempt(&before, sent), false);
        }
        let attempt = self.attempt(&before, at);
        let on_record = || self.context.user_refusals(&self.user);
        match logins.admit(attempt, on_record).await {
            Ok(()) => {}
            Err(NotAdmitted::Until(opens)) => return Err(LoginWithheld::Refused(opens)),
            Err(NotAdmitted::Overtaken) => return Err(LoginWithheld::Overtaken),
            Err(NotAdmitted::NotStored(error)) => {
                let error = Error::Logins(error);
                let withheld = withheld(&error);
                self.state().failed = Some(error);
                return Err(withheld);
            }
        }
        let status =
            decide::with_attempt(before.status.as_ref(), &self.fingerprint, &self.user, at);
        let written = status::write_status(&self.context, &before, &status).await;
        let mut state = self.state();
        match written {
            Ok(written) => {
                if let Some(written) = written {
                    // The spec stays the one that was decided on, even when it was edited
                    // meanwhile.
                    let mut resource = before.as_ref().clone();
                    resource.metadata.resource_version = written.metadata.resource_version.clone();
                    resource.status = written.status.clone();
                    state.resource = Arc::new(resource);
                }
                state.sent_at = Some(at);
                Ok(())
            }
            Err(error) => {
                logins.settle(attempt, false); // it is not sent
                let withheld = withheld(&error);
                state.failed = Some(error);
                Err(withheld)
            }
        }
    }

    fn attempt<'a>(&'a self, resource: &'a SalesforceIntegration, at: Timestamp) -> Attempt<'a> {
        Attempt {
            user: &self.user,
            credential: &self.fingerprint,
            namespace: resource.metadata.namespace.as_deref().unwrap_or_default(),
            at,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }
}

impl LoginGate for LoginRecord {
    fn admit(&self) -> BoxFuture<'_, Result<(), LoginWithheld>> {
        self.write().boxed()
    }
}

/// Maps a failure to write the record to the reason why the log-in is withheld. The failure itself
/// ends the reconcile.
pub(super) fn withheld(error: &Error) -> LoginWithheld {
    match error {
        Error::Gone => LoginWithheld::Overtaken,
        Error::Status(kube::Error::Api(status)) | Error::Logins(kube::Error::Api(status))
            if status.code == 409 =>
        {
            LoginWithheld::Overtaken
        }
        _ => LoginWithheld::NotOnRecord,
    }
}

//! Puts a log-in on record before it is sent. A log-in whose record cannot be written is not sent: then another leads, or nobody would
//! ever learn of it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::FutureExt;
use futures::future::BoxFuture;
use jiff::Timestamp;

use super::error::Error;
use super::status;
use crate::api::{SalesforceIntegration, now};
use crate::controller::context::Context;
use crate::decide;
use crate::salesforce::{LoginGate, LoginWithheld};

/// The log-in that a proof of one integration may make.
pub struct LoginRecord {
    context: Arc<Context>,
    fingerprint: String,
    state: Mutex<State>,
}

struct State {
    resource: Arc<SalesforceIntegration>,
    sent_at: Option<Timestamp>,
    failed: Option<Error>,
}

// === impl LoginRecord ===

impl LoginRecord {
    /// None was made yet.
    pub fn new(
        context: Arc<Context>,
        resource: Arc<SalesforceIntegration>,
        fingerprint: String,
    ) -> Arc<Self> {
        let state = Mutex::new(State {
            resource,
            sent_at: None,
            failed: None,
        });
        Arc::new(LoginRecord {
            context,
            fingerprint,
            state,
        })
    }

    /// When the last log-in was sent, if one was.
    pub fn sent_at(&self) -> Option<Timestamp> {
        self.state().sent_at
    }

    /// The integration as it is on the server now that the proof is over.
    ///
    /// # Errors
    /// When a log-in could not be put on record, and so was not made.
    pub fn finish(&self) -> Result<Arc<SalesforceIntegration>, Error> {
        let mut state = self.state();
        match state.failed.take() {
            Some(error) => Err(error),
            None => Ok(Arc::clone(&state.resource)),
        }
    }

    async fn write(&self) -> Result<(), LoginWithheld> {
        let before = Arc::clone(&self.state().resource);
        let at = now();
        let status = decide::with_attempt(before.status.as_ref(), &self.fingerprint, at);
        let written = status::write_status(&self.context, &before, &status).await;
        let mut state = self.state();
        match written {
            Ok(written) => {
                if let Some(written) = written {
                    // The spec stays the one that was decided on, whatever was edited meanwhile.
                    let mut resource = before.as_ref().clone();
                    resource.metadata.resource_version = written.metadata.resource_version.clone();
                    resource.status = written.status.clone();
                    state.resource = Arc::new(resource);
                }
                state.sent_at = Some(at);
                Ok(())
            }
            Err(error) => {
                let withheld = withheld(&error);
                state.failed = Some(error);
                Err(withheld)
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl LoginGate for LoginRecord {
    fn admit(&self) -> BoxFuture<'_, Result<(), LoginWithheld>> {
        self.write().boxed()
    }
}

/// What a failure to write the record means for the log-in. The failure itself ends the reconcile.
pub(super) fn withheld(error: &Error) -> LoginWithheld {
    match error {
        Error::Gone => LoginWithheld::Overtaken,
        Error::Status(kube::Error::Api(status)) if status.code == 409 => LoginWithheld::Overtaken,
        other => LoginWithheld::NotOnRecord(other.to_string()),
    }
}

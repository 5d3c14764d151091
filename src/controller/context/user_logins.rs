//! The log-ins of the last hour by user. The statuses have the refusals too, but later, without the
//! log-ins that are under way, and only while their integrations exist. A log-in is stored in a
//! ConfigMap before it is sent; many that wait for that are stored with one write.

use std::time::Duration;

use jiff::Timestamp;
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use crate::api::now;
use crate::controller::cluster::login_store::{LoginStore, LoginsUnavailable};
use crate::decide::login::logbook::{Attempt, Logbook};
use crate::decide::login::user_limit::Refused;
use crate::error::Chain;
use crate::shard::Shard;

/// Attempts to store the logbook against other writers.
const MAX_CONFLICTS: u32 = 5;
/// The same where several shards write it all the time.
const MAX_CONFLICTS_OF_SHARDS: u32 = 20;
/// The longest pause after a conflict of shards, so that they do not meet again.
const APART: Duration = Duration::from_millis(40);
/// Attempts to read the logbook at the start that the API server may refuse.
const MAX_REFUSED: u32 = 5;
/// The pause after a failed attempt to read the logbook.
const PAUSE: Duration = Duration::from_secs(2);
/// The time after which an answer is in the stored text. Until then a log-in stands there as
/// unanswered, which counts as much.
const STORED_WITHIN: Duration = Duration::from_secs(2);

/// The log-ins of each user.
pub(crate) struct UserLogins {
    shard: Shard,
    book: Mutex<Logbook>,
    store: LoginStore,
    stored: tokio::sync::Mutex<Version>,
}

/// What of the logbook is stored.
#[derive(Default)]
struct Version {
    of_object: Option<String>,
    /// The last change of the logbook that is in the stored text.
    changes: u64,
}

/// Why a log-in must not be sent.
#[derive(Debug)]
pub(crate) enum NotAdmitted {
    /// Log-ins as this user were refused, or are not answered yet. The value is the time from which
    /// it may be asked for again.
    Until(Timestamp),
    /// Another controller writes the record again and again.
    Overtaken,
    /// The log-in could not be stored.
    NotStored(kube::Error),
}

// === impl UserLogins ===

impl UserLogins {
    /// Log-ins that are kept there. Nothing is read yet.
    pub(crate) fn new(store: LoginStore, shard: Shard) -> Self {
        let book = match shard.is_whole() {
            true => Logbook::default(),
            false => Logbook::shared(),
        };
        Self {
            shard,
            book: Mutex::new(book),
            store,
            stored: tokio::sync::Mutex::default(),
        }
    }

    /// Reads what earlier controllers have stored, so that it is known before the first log-in. An
    /// API server that cannot be reached is waited for.
    ///
    /// # Errors
    /// When the API server refuses it again and again.
    pub(crate) async fn load(&self) -> Result<(), LoginsUnavailable> {
        let mut refused = 0;
        while let Err(error) = self.read_once().await {
            let (namespace, name) = self.store.place();
            tracing::warn!(error = %Chain(&error), namespace, name, "the record of log-ins could not be read; it is tried again");
            if matches!(&error, kube::Error::Api(status) if status.code < 500) {
                refused += 1;
            }
            if refused == MAX_REFUSED {
                return Err(LoginsUnavailable {
                    namespace: namespace.to_owned(),
                    name,
                    source: Box::new(error),
                });
            }
            tokio::time::sleep(PAUSE).await;
        }
        Ok(())
    }

    /// Admits one log-in and stores it; it counts until [`Self::settle`]. `refused` returns the
    /// refusals that statuses show.
    ///
    /// # Errors
    /// Why it must not be sent.
    pub(crate) async fn admit(
        &self,
        attempt: Attempt<'_>,
        refused: impl Fn() -> Vec<Refused>,
    ) -> Result<(), NotAdmitted> {
        self.read_once().await.map_err(NotAdmitted::NotStored)?;
        for _ in 0..self.most_conflicts() {
            let on_record = refused();
            let change = {
                let mut book = self.book.lock();
                book.admit(attempt, on_record).map_err(NotAdmitted::Until)?;
                book.changes()
            };
            if let Err(error) = self.store(change).await {
                self.settle(attempt, false); // it is not sent
                return Err(NotAdmitted::NotStored(error));
            }
            if self.book.lock().holds(attempt) {
                return Ok(());
            }
            if !self.shard.is_whole() {
                // Another shard has logged in as this user. How that ended may forbid this log-in
                // by more than its number: it is decided anew.
                break;
            }
        }
        Err(NotAdmitted::Overtaken)
    }

    /// Records the answer to this log-in.
    pub(crate) fn settle(&self, attempt: Attempt<'_>, refused: bool) {
        self.book.lock().settle(attempt, refused);
    }

    /// Forgets the log-ins of ended controllers that succeeded, as statuses tell.
    pub(crate) fn forget_answered(&self, user: &str, succeeded: impl Fn(&str, Timestamp) -> bool) {
        self.book.lock().forget_answered(user, succeeded);
    }

    /// Returns the log-ins as this user that Salesforce refused within the hour, or did not answer
    /// as far as is known.
    pub(crate) fn refusals(&self, user: &str, now: Timestamp) -> Vec<Refused> {
        self.book.lock().refusals(user, now)
    }

    /// Stores answers until `over`, and then what is left.
    pub(crate) async fn keep_stored(&self, over: CancellationToken) {
        loop {
            let ended = over
                .run_until_cancelled(tokio::time::sleep(STORED_WITHIN))
                .await
                .is_none();
            if let Err(error) = self.hear_of_others().await {
                tracing::debug!(error = %Chain(&error), "the record of log-ins could not be read; it is tried again");
            }
            let changes = self.book.lock().changes();
            if changes > 0
                && let Err(error) = self.store(changes).await
            {
                tracing::debug!(error = %Chain(&error), "the record of log-ins could not be written; it is tried again");
            }
            if ended {
                return;
            }
        }
    }

    /// Reads what other shards have stored while one of their log-ins may be under way.
    async fn hear_of_others(&self) -> Result<(), kube::Error> {
        if !self.book.lock().waits_for_others(now()) {
            return Ok(());
        }
        let mut stored = self.stored.lock().await;
        self.read(&mut stored).await
    }

    fn most_conflicts(&self) -> u32 {
        match self.shard.is_whole() {
            true => MAX_CONFLICTS,
            false => MAX_CONFLICTS_OF_SHARDS,
        }
    }

    /// Returns when all changes up to this one are stored.
    async fn store(&self, change: u64) -> Result<(), kube::Error> {
        let mut stored = self.stored.lock().await;
        let mut conflict = None;
        for _ in 0..self.most_conflicts() {
            if stored.changes >= change {
                return Ok(());
            }
            // A write that is bound to no version would overwrite what another one stored.
            if stored.of_object.is_none() {
                self.read(&mut stored).await?;
            }
            let (text, changes) = {
                let mut book = self.book.lock();
                (book.text(now()), book.changes())
            };
            match self.store.replace(stored.of_object.as_deref(), &text).await {
                Ok(version) => {
                    stored.of_object = version;
                    stored.changes = changes;
                    self.book.lock().stored(changes);
                }
                // Another controller has written, or somebody has deleted the object.
                Err(kube::Error::Api(error)) if matches!(error.code, 404 | 409) => {
                    conflict = Some(kube::Error::Api(error));
                    if !self.shard.is_whole() {
                        tokio::time::sleep(APART.mul_f64(rand::random())).await;
                    }
                    self.read(&mut stored).await?;
                }
                Err(error) => return Err(error),
            }
        }
        match conflict {
            Some(error) if stored.changes < change => Err(error),
            _ => Ok(()),
        }
    }

    async fn read_once(&self) -> Result<(), kube::Error> {
        let mut stored = self.stored.lock().await;
        match stored.of_object {
            Some(_) => Ok(()),
            None => self.read(&mut stored).await,
        }
    }

    async fn read(&self, stored: &mut Version) -> Result<(), kube::Error> {
        let found = self.store.read().await?;
        let unread = self.book.lock().merge(&found.text, stored.changes, now());
        if unread > 0 {
            tracing::warn!(
                lines = unread,
                "the record of log-ins has lines that cannot be read; they are left out"
            );
        }
        stored.of_object = found.version;
        Ok(())
    }
}

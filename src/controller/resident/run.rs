//! One run of the controller: permission, session, the worker's code, and what becomes of the
//! report.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use kube::ResourceExt;
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;
use tracing::{Instrument, debug, error_span, info, warn};

use super::follows::Follows;
use super::place;
use super::place::{Place, Places, holder};
use super::queue::{Again, LONGEST_PAUSE, Task, pause_after};
use crate::api::{API_CALLS, SalesforceIntegration, Settings, now};
use crate::company_id::CompanyId;
use crate::controller::context::Context;
use crate::controller::memory::key::Key;
use crate::controller::reconcile::directory;
use crate::decide::children::kind_of_run;
use crate::decide::login::recovery;
use crate::decide::resident::{self, Asked, HandOver, Not, Permit, TooBig, Work};
use crate::decide::runs::resident::ended;
use crate::directory::client::Retry;
use crate::directory::model::rings::{ClaimRingsRequest, NotAsked, SettleRingsRequest};
use crate::directory::{Client, Purpose};
use crate::error::Chain;
use crate::reason::Reason;
use crate::run::{Note, Outcome, RunReport};
use crate::shutdown::Shutdown;
use crate::worker::{Bounds, Ended, Left, Reads, Run};

/// The longest run. What is left then is done by the next one.
const LONGEST: Duration = Duration::from_secs(120);
/// Duration of a lease of calls, in seconds: so long the calls of a controller that died wait for
/// the next one. A run that takes longer only shares them with another one, which does no harm.
const CLAIM_SECONDS: u32 = 30;
/// Maximum time for a request in flight when the controller is told to stop.
const STOP_WITHIN: Duration = Duration::from_millis(100);
/// How long a run waits for a session, which a proof brings.
const SESSION_WITHIN: Duration = Duration::from_secs(30);
/// How often a run that lost its session goes on with another one.
const SESSIONS: usize = 2;
/// API requests that a look-up of rings takes: the composite one, and a search for what it did not
/// find.
const CALLS_OF_RINGS: u64 = 2;
/// When it is looked again whether a status says by now that runs may go.
const LOOK_AGAIN: Duration = Duration::from_secs(5);

/// Does what waits for a company.
pub(super) struct Runner {
    context: Arc<Context>,
    /// Who takes calls and rings. A controller of the same name goes on with what this one left.
    holder: String,
    /// Which places look-ups of rings have, by company.
    places: Places,
    follows: Arc<Follows>,
    failures: Mutex<HashMap<Task, u32>>,
    /// Integrations whose status will be written when its minute is over.
    to_write: Arc<Mutex<std::collections::HashSet<Key>>>,
    stop: CancellationToken,
}

/// What a run needs.
struct Ready {
    key: Key,
    settings: Settings,
    permit: Permit,
    client: Client,
}

/// Why a run does not begin.
enum NotReady {
    Not(Key, Box<(Arc<SalesforceIntegration>, Settings)>, Not),
    /// No integration claims the company, or its spec cannot be read.
    Nobody,
    /// The directory's client could not be had.
    Later,
}

// === impl Runner ===

impl Runner {
    pub(super) fn new(
        context: Arc<Context>,
        identity: String,
        follows: Arc<Follows>,
        stop: CancellationToken,
    ) -> Self {
        Self {
            context,
            holder: format!("controller/{identity}"),
            places: Arc::default(),
            follows,
            failures: Mutex::default(),
            to_write: Arc::default(),
            stop,
        }
    }

    /// Does what waits, and tells when to come again.
    pub(super) async fn run(self: &Arc<Self>, task: &Task) -> Again {
        let (company, work) = task;
        // The span has the highest level, so that every `RUST_LOG` filter shows it.
        let span = error_span!("resident", %company, ?work);
        self.run_task(task).instrument(span).await
    }

    async fn run_task(self: &Arc<Self>, task: &Task) -> Again {
        let (company, work) = task;
        let place = (*work == Work::Rings).then(|| Place::take(&self.places, company));
        let holder = holder(&self.holder, place.as_ref());
        for _ in 0..SESSIONS {
            let ready = match self.prepare(company, *work) {
                Ok(ready) => ready,
                Err(not_ready) => return self.not_ready(not_ready, *work, &holder).await,
            };
            let key = ready.key.clone();
            let fingerprint = ready.permit.credentials_version.clone();
            if !self.context.prover.has_session(&fingerprint)
                && !self.session(&key, &fingerprint).await
            {
                info!("there is no session, so nothing is looked up");
                if *work == Work::Rings {
                    self.settle(&ready.client, NotAsked::Withheld, &holder)
                        .await;
                }
                return self.failed(task);
            }
            let Some(ended) = self.execute(ready, *work, &holder).await else {
                continue;
            };
            if ended.lacks_session && !self.stop.is_cancelled() {
                debug!("the session has ended; the run goes on with another one");
                continue;
            }
            return self.judge(task, &key, &fingerprint, ended);
        }
        self.failed(task)
    }

    /// Gathers what a run needs. The credential is not read: a run never logs in.
    fn prepare(&self, company: &CompanyId, work: Work) -> Result<Ready, NotReady> {
        let context = &self.context;
        let (key, resource, settings, permit) = self.permitted(company, work)?;
        let later = || NotReady::Later;
        let client = directory::client_of(context, &resource, &settings, Purpose::Worker);
        let client = client.map_err(|error| {
            warn!(error = %Chain(&error), "the directory cannot be asked");
            later()
        })?;
        Ok(Ready {
            client: client.with_retry(Retry {
                attempts: 3,
                ..Retry::default()
            }),
            key,
            settings,
            permit,
        })
    }

    /// The integration that has the company, if it may run now.
    fn permitted(
        &self,
        company: &CompanyId,
        work: Work,
    ) -> Result<(Key, Arc<SalesforceIntegration>, Settings, Permit), NotReady> {
        let context = &self.context;
        let claimants = context.index().claimants(company.as_str());
        let mut refusal = NotReady::Nobody;
        for key in claimants.into_iter().filter(|key| context.is_ours(key)) {
            let Some(resource) = context.integration(&key) else {
                continue;
            };
            let Ok(settings) = Settings::of(&resource) else {
                continue;
            };
            let asked = Asked {
                resource: &resource,
                settings: &settings,
                config: &context.config,
                work,
                uncounted: context.memory.unwritten(&key).api_calls(),
                reserved: reserved(context, &key)
                    .saturating_add(self.reserved_for_rings(company, work)),
            };
            match resident::permit(&asked, now()) {
                Ok(permit) => return Ok((key, resource, settings, permit)),
                Err(not) => {
                    let about = Box::new((resource, settings));
                    refusal = NotReady::Not(key, about, not);
                }
            }
        }
        Err(refusal)
    }

    /// API requests that look-ups of the company's rings may use that are under way, but for the
    /// one that asks.
    fn reserved_for_rings(&self, company: &CompanyId, work: Work) -> u64 {
        let taken = place::taken(&self.places, company);
        let others = taken.saturating_sub(usize::from(work == Work::Rings));
        CALLS_OF_RINGS * others as u64
    }

    /// What becomes of a task that does not begin.
    async fn not_ready(&self, why: NotReady, work: Work, holder: &str) -> Again {
        let (key, about, not) = match why {
            NotReady::Nobody => return Again::WhenWoken,
            NotReady::Later => return Again::After(LOOK_AGAIN),
            NotReady::Not(key, about, not) => (key, about, not),
        };
        debug!(%not, "nothing is looked up now");
        if work == Work::Rings {
            let (resource, settings) = *about;
            let client = directory::client_of(&self.context, &resource, &settings, Purpose::Worker);
            if let Ok(client) = client {
                let why = match not {
                    Not::BudgetExhausted(_) => NotAsked::BudgetExhausted,
                    _ => NotAsked::Withheld,
                };
                self.settle(&client, why, holder).await;
            }
            return Again::WhenWoken;
        }
        self.follows.asked(&key, None, now());
        match not {
            Not::Pending => Again::After(LOOK_AGAIN),
            Not::BudgetExhausted(_) => {
                // The status says so, and until when.
                self.context.look(&key);
                Again::After(LONGEST_PAUSE)
            }
            // The directory tells once a minute what still waits.
            Not::Elsewhere | Not::OnSchedule | Not::Unready(_) => Again::WhenWoken,
        }
    }

    /// Has a proof bring a session, by its own rules, and waits for it.
    async fn session(&self, key: &Key, fingerprint: &str) -> bool {
        let context = &self.context;
        let brought = async {
            context.memory.want_session(key);
            context.look(key);
            loop {
                let ended = context.prover.proof_ended();
                if context.prover.has_session(fingerprint) {
                    return;
                }
                // A proof of another one may have been shared, without a log-in.
                let _ = tokio::time::timeout(LOOK_AGAIN, ended).await;
            }
        };
        tokio::select! {
            () = self.stop.cancelled() => false,
            brought = tokio::time::timeout(SESSION_WITHIN, brought) => brought.is_ok(),
        }
    }

    /// Runs the worker's code. `None` without a session.
    async fn execute(&self, ready: Ready, work: Work, holder: &str) -> Option<Ended> {
        let Ready {
            settings,
            permit,
            client,
            ..
        } = ready;
        let prover = &self.context.prover;
        let (connection, quiet) = prover.connection(&settings, &permit.credentials_version)?;
        let run = Run {
            kind: kind_of_run(&settings),
            settings: permit.settings,
            holder: holder.to_owned(),
            directory: client,
            connection,
            reads: Reads::default(),
            quiet: Some(quiet),
            bounds: Bounds {
                claim_seconds: CLAIM_SECONDS,
                numbers: self.context.config.resident_numbers,
                does_long_work: false,
                stop_within: STOP_WITHIN,
            },
        };
        let shutdown = Shutdown::new();
        let stopping = async {
            tokio::select! {
                () = self.stop.cancelled() => {}
                () = tokio::time::sleep(LONGEST) => {}
            }
            shutdown.stop();
            std::future::pending().await
        };
        let working = async {
            match work {
                Work::Calls => run.execute_within_bounds(&shutdown).await,
                Work::Rings => run.answer_rings(&shutdown).await,
            }
        };
        tokio::select! {
            ended = working => Some(ended),
            () = stopping => None,
        }
    }

    /// Keeps the report, and tells when to come again.
    fn judge(self: &Arc<Self>, task: &Task, key: &Key, fingerprint: &str, ended: Ended) -> Again {
        let Ended {
            mut report, left, ..
        } = ended;
        let context = &self.context;
        if report.outcome == Outcome::Interrupted {
            if self.stop.is_cancelled() {
                return Again::WhenWoken;
            }
            report.outcome = Outcome::Failed;
            report.error = Some(Note::new(
                Reason::RunDeadlineExceeded,
                format!(
                    "The controller's look-up of calls took longer than {} seconds and was ended. What it found is kept; the next one goes on.",
                    LONGEST.as_secs()
                ),
            ));
        }
        let at = report.finished_at;
        if report.outcome == Outcome::Succeeded && report.api_calls > 0 {
            context.prover.worked(fingerprint, at);
        }
        let outcome = report.outcome;
        let before = context.integration(key);
        let before = before.as_ref().and_then(|one| one.status.as_ref());
        if let Some(heard) = recovery::heard_in_run(before, &report) {
            context.heard(key, heard);
        }
        self.record(key, fingerprint, report);
        if let Some(left) = left {
            let why = match left {
                Left::Numbers => TooBig::Numbers,
                Left::AddressBook => TooBig::AddressBook,
            };
            info!(?why, "a pod does the rest");
            let id = format!("{why:?} {}", at.as_second());
            context.memory.hand_over(key, HandOver { id, why });
            context.look(key);
        }
        if task.1 == Work::Calls {
            let next = context.integration(key).and_then(|resource| {
                let settings = Settings::of(&resource).ok()?;
                resident::next_follow(&resource, &settings, &context.config, at)
            });
            self.follows.asked(key, next, at);
        }
        match outcome {
            Outcome::Succeeded => {
                self.failures.lock().remove(task);
                Again::WhenWoken
            }
            Outcome::BudgetExhausted => Again::After(LONGEST_PAUSE),
            Outcome::Failed | Outcome::Interrupted => self.failed(task),
        }
    }

    /// Keeps what a run did until the status holds it.
    fn record(self: &Arc<Self>, key: &Key, fingerprint: &str, report: RunReport) {
        let context = &self.context;
        info!(
            outcome = %report.outcome,
            calls = report.calls,
            numbers = report.numbers,
            written = report.written,
            api_calls = report.api_calls,
            code = report.error.as_ref().map(|note| note.code.as_str()),
            "looked up"
        );
        let name = format!("{}-resident-{:08x}", key.name, rand::random::<u32>());
        let run = ended(name, report, fingerprint.to_owned());
        let unwritten = context.memory.add_resident_run(key, run);
        let status = context.integration(key);
        let status = status.as_ref().and_then(|one| one.status.as_ref());
        let Some(due) = unwritten.due(status) else {
            return;
        };
        let wait = Duration::try_from(due.duration_since(now())).unwrap_or_default();
        if wait.is_zero() {
            context.look(key);
        } else if self.to_write.lock().insert(key.clone()) {
            let (runner, key) = (Arc::clone(self), key.clone());
            let writing = async move {
                // A moment more, so that the minute is over when the rule is asked.
                tokio::time::sleep(wait + Duration::from_millis(20)).await;
                runner.to_write.lock().remove(&key);
                runner.context.look(&key);
            };
            tokio::spawn(self.stop.clone().run_until_cancelled_owned(writing));
        }
    }

    /// Says why the company's rings are not asked. It is no reason to fail: their lease ends.
    async fn settle(&self, client: &Client, why: NotAsked, holder: &str) {
        let claim = ClaimRingsRequest {
            limit: 200,
            ..ClaimRingsRequest::new(holder)
        };
        let settled = async {
            let claimed = client.claim_rings(&claim).await?;
            let numbers = claimed.rings.into_iter().map(|ring| ring.number);
            let request = SettleRingsRequest {
                holder: holder.to_owned(),
                numbers: numbers.collect(),
                why,
            };
            if request.numbers.is_empty() {
                return Ok(());
            }
            client.settle_rings(&request).await.map(drop)
        };
        if let Err(error) = settled.await {
            debug!(error = %Chain(&error), "rings could not be settled");
        }
    }

    /// The pause after a failure: it grows with each in a row.
    fn failed(&self, task: &Task) -> Again {
        let mut failures = self.failures.lock();
        let failures = failures.entry(task.clone()).or_default();
        let wait = pause_after(*failures);
        *failures = failures.saturating_add(1);
        match task.1 {
            // The directory hands them out again while they are rings.
            Work::Rings => Again::WhenWoken,
            Work::Calls => Again::NotBefore(wait),
        }
    }
}

/// API requests that active pods of the integration may use.
fn reserved(context: &Context, key: &Key) -> u64 {
    let jobs = context.stores.iter().flat_map(|stores| stores.jobs.of(key));
    let active = jobs.filter(|job| {
        let status = job.status.as_ref();
        status.and_then(|status| status.active).unwrap_or(0) > 0
    });
    let allowances = active.filter_map(|job| job.annotations().get(API_CALLS)?.parse::<u64>().ok());
    allowances.fold(0, u64::saturating_add)
}

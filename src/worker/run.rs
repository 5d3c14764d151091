//! One run, from its first lease of calls to its report.
//!
//! It works in batches: lease calls, look their numbers up in Salesforce, write the contacts, mark
//! the calls done. Each step may be repeated without harm, and a call is marked done last. So a run
//! that is killed at any instant loses at most the answer to one request, and nothing is doubled.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use jiff::Timestamp;
use tracing::{info, warn};

use super::failure::Failure;
use super::todo::Todo;
use crate::directory::Client;
use crate::directory::model::{
    ClaimRequest, DoneCall, DoneRequest, FoundContact, MAX_BULK, RecordObject, ReleaseRequest,
    WriteContactsRequest, WriteOutcome, WritePolicy,
};
use crate::error::Chain;
use crate::phone::E164;
use crate::reason::Reason;
use crate::resolve::{Allowance, Batch, Match, Object, ResolveError, Resolver};
use crate::run::settings::WorkerSettings;
use crate::run::{Note, RunKind, RunReport};
use crate::salesforce::Connection;
use crate::shutdown::Shutdown;

/// Number of different numbers per lease: the maximum of the directory. A few requests are enough
/// for all of them.
const CLAIM_NUMBERS: u32 = 1_000;
/// Duration of a lease, in seconds. It is longer than so many requests may last.
const CLAIM_SECONDS: u32 = 600;
/// Maximum number of log-ins of a run: one, and one more for a session that Salesforce ends during
/// the run.
const LOGINS: u64 = 2;
/// Maximum time for a request in flight after the run is asked to stop. A kubelet gives 30 seconds
/// by default, and the calls must still be released.
const STOP_WITHIN: Duration = Duration::from_secs(20);
/// Maximum time for the directory to release calls.
const RELEASE_WITHIN: Duration = Duration::from_secs(5);

/// A run that is ready to start.
pub(crate) struct Run {
    pub(crate) kind: RunKind,
    pub(crate) settings: WorkerSettings,
    pub(crate) holder: String,
    pub(crate) directory: Client,
    pub(crate) connection: Connection,
}

struct Progress<'a> {
    report: &'a mut RunReport,
    /// Numbers that were looked up: each once per run.
    resolved: HashSet<E164>,
    /// Calls that were marked done.
    finished: HashSet<String>,
}

// === impl Run ===

impl Run {
    /// Works until nothing is left to do, something fails, or the run is asked to stop. Then it
    /// finishes the request in flight and releases the remaining calls. After a second request to
    /// stop it does neither.
    pub(crate) async fn execute(self, shutdown: &Shutdown) -> RunReport {
        let mut report = RunReport::begin(self.kind, Timestamp::now());
        let stopped_late = async {
            shutdown.requested().await;
            tokio::time::sleep(STOP_WITHIN).await;
        };
        let result = tokio::select! {
            biased;
            () = shutdown.aborted() => Err(Failure::CutOff),
            result = self.work(&mut report, shutdown) => result,
            () = stopped_late => Err(Failure::Interrupted),
        };
        if let Err(failure) = result {
            let released = tokio::select! {
                biased;
                () = shutdown.aborted() => false,
                () = self.release_calls() => true,
            };
            describe(&mut report, &final_failure(failure, shutdown, released));
        }
        report.api_calls = self.connection.spent().calls;
        report.usage = self.connection.usage();
        report.finished_at = report.started_at.max(Timestamp::now());
        report
    }

    async fn work(&self, report: &mut RunReport, shutdown: &Shutdown) -> Result<(), Failure> {
        let mut resolver = None;
        let mut progress = Progress {
            report,
            resolved: HashSet::new(),
            finished: HashSet::new(),
        };
        let check_not_stopped = || {
            if shutdown.is_requested() {
                Err(Failure::Interrupted)
            } else {
                Ok(())
            }
        };
        loop {
            check_not_stopped()?;
            let Some((todo, more)) = self.take(&mut progress).await? else {
                return Ok(());
            };
            if todo.calls().all(|call| progress.finished.contains(call)) {
                // Either the directory does not store the result, or a call changes all the time.
                // The next run handles the calls, because this run would never end.
                progress.report.warn(Note::new(
                    Reason::CallsComeBack,
                    "The directory hands out calls again that this run has marked done.",
                ));
                return Ok(());
            }
            self.mark_done(todo.done.clone(), &mut progress).await?;
            if todo.numbers.is_empty() {
                continue;
            }
            check_not_stopped()?;
            // The log-in happens only if there is a number to look up.
            let resolver = match &mut resolver {
                Some(resolver) => resolver,
                none => none.insert(self.log_in().await?),
            };
            let mut pending = todo.numbers.as_slice();
            while !pending.is_empty() {
                check_not_stopped()?;
                let batch = resolver.batch(pending);
                let count = batch.numbers().len();
                if more && count == pending.len() && count < todo.numbers.len() {
                    // The last batch is not full. Its numbers come again with the next lease, and
                    // the batch is full then.
                    break;
                }
                let answer = resolver.resolve(&batch).await;
                progress.report.url_length = resolver.learned();
                for finding in resolver.findings() {
                    if let Some(reason) = Reason::of_finding(finding) {
                        progress.report.warn(Note::new(reason, finding.to_string()));
                    }
                }
                let Some(answer) = answer? else { continue };
                self.finish(&batch, &todo, answer.found, &mut progress)
                    .await?;
                progress.resolved.extend(batch.numbers().iter().cloned());
                pending = pending.get(count..).unwrap_or_default();
            }
        }
    }

    /// Leases calls, and returns whether there are more. `None` means that nothing is left.
    async fn take(&self, progress: &mut Progress<'_>) -> Result<Option<(Todo, bool)>, Failure> {
        let claim = ClaimRequest {
            holder: self.holder.clone(),
            since: None,
            until: None,
            only_missing: self.kind == RunKind::Sync,
            limit: CLAIM_NUMBERS,
            claim_for: CLAIM_SECONDS,
        };
        let claimed = self.directory.claim(&claim).await?;
        progress.report.calls += u64::from(claimed.settled);
        if claimed.calls.is_empty() {
            return Ok(None);
        }
        let texts: HashSet<&str> = claimed
            .calls
            .iter()
            .map(|call| call.number.as_str())
            .collect();
        let more = texts.len() >= CLAIM_NUMBERS as usize;
        let todo = Todo::sort(claimed.calls, &self.settings.region, &progress.resolved);
        Ok(Some((todo, more)))
    }

    /// Logs in. A session that Salesforce ends in the middle of the run is replaced once.
    async fn log_in(&self) -> Result<Resolver, Failure> {
        let allowance = Allowance(self.settings.max_api_calls);
        // A log-in is useless if no API call is allowed after it.
        allowance.check(self.connection.spent())?;
        let session = self
            .connection
            .session()
            .await
            .map_err(ResolveError::from)?;
        let instance = self
            .settings
            .instance_url
            .clone()
            .unwrap_or(session.instance_url);
        info!(organization = %session.organization_id, %instance, "logged in to Salesforce");
        let connection = self
            .connection
            .logins_at_most(LOGINS)
            .calls_at_most(self.settings.max_api_calls);
        Ok(Resolver::new(connection, self.settings.region)
            .person_accounts(self.settings.person_accounts.or(session.person_accounts))
            .instance(Some(instance))
            .allowance(allowance)
            .url_length(self.settings.url_length))
    }

    /// Writes the contacts that were found, then marks the batch's calls done.
    async fn finish(
        &self,
        batch: &Batch,
        todo: &Todo,
        found: HashMap<E164, Match>,
        progress: &mut Progress<'_>,
    ) -> Result<(), Failure> {
        let matched = found.len();
        let mut outcomes = Vec::with_capacity(matched);
        let contacts: Vec<FoundContact> = found
            .iter()
            .map(|(number, found)| contact(number, found))
            .collect();
        for contacts in contacts.chunks(MAX_BULK) {
            let request = WriteContactsRequest {
                policy: self.policy(),
                contacts: contacts.to_vec(),
            };
            outcomes.extend(
                self.directory
                    .write_contacts(&request)
                    .await?
                    .outcomes
                    .into_values(),
            );
        }
        self.mark_done(todo.done_with(batch.numbers()), progress)
            .await?;
        progress
            .report
            .count(batch.numbers().len(), found.values(), &outcomes);
        info!(
            numbers = batch.numbers().len(),
            matched, "numbers looked up"
        );
        Ok(())
    }

    async fn mark_done(
        &self,
        calls: Vec<DoneCall>,
        progress: &mut Progress<'_>,
    ) -> Result<(), Failure> {
        for calls in calls.chunks(MAX_BULK) {
            self.directory
                .done(&DoneRequest {
                    calls: calls.to_vec(),
                })
                .await?;
            progress.report.calls += calls.len() as u64;
            progress
                .finished
                .extend(calls.iter().map(|call| call.id.clone()));
        }
        Ok(())
    }

    /// Releases the calls that were leased and not done, so that the next run need not wait for
    /// them.
    async fn release_calls(&self) {
        let request = ReleaseRequest {
            holder: self.holder.clone(),
        };
        match tokio::time::timeout(RELEASE_WITHIN, self.directory.release(&request)).await {
            Ok(Ok(receipt)) => info!(calls = receipt.released, "calls handed back"),
            Ok(Err(error)) => {
                warn!(error = %Chain(&error), "calls could not be handed back; their claim runs out")
            }
            Err(_) => warn!("calls could not be handed back in time; their claim runs out"),
        }
    }

    fn policy(&self) -> WritePolicy {
        match self.kind {
            RunKind::Sync => WritePolicy::OnlyMissing,
            RunKind::Lookup => WritePolicy::Overwrite,
        }
    }
}

/// Returns the final failure of a run. If the run was asked to stop, this is the interruption,
/// whatever failed on the way. Only a refused log-in is reported as what it is, so that the
/// credential is not retried automatically.
fn final_failure(failure: Failure, shutdown: &Shutdown, released: bool) -> Failure {
    if !shutdown.is_requested() || failure.refused_login() {
        return failure;
    }
    if !matches!(failure, Failure::Interrupted | Failure::CutOff) {
        warn!(error = %Chain(&failure), "this failed while the run was told to stop");
    }
    if released {
        Failure::Interrupted
    } else {
        Failure::CutOff
    }
}

/// Returns the report of a run that could not start.
pub(crate) fn not_begun(kind: RunKind, failure: &Failure) -> RunReport {
    let mut report = RunReport::begin(kind, Timestamp::now());
    describe(&mut report, failure);
    report
}

fn describe(report: &mut RunReport, failure: &Failure) {
    report.outcome = failure.outcome();
    report.error = Some(failure.note());
    report.login_refused = failure.refused_login();
}

fn contact(number: &E164, found: &Match) -> FoundContact {
    FoundContact {
        number: number.clone(),
        company_name: found.company.clone(),
        person_name: found.person.clone(),
        object: match found.object {
            Object::Contact => RecordObject::Contact,
            Object::Account => RecordObject::Account,
            Object::Lead => RecordObject::Lead,
        },
        record_id: found.id.clone(),
        link: found.link.clone(),
    }
}

// === impl RunReport ===

impl RunReport {
    /// Adds the counts of a finished batch.
    fn count<'a>(
        &mut self,
        numbers: usize,
        found: impl Iterator<Item = &'a Match>,
        outcomes: &[WriteOutcome],
    ) {
        let mut matched = 0;
        for found in found {
            matched += 1;
            match found.object {
                Object::Contact => self.matched.contact += 1,
                Object::Account => self.matched.account += 1,
                Object::Lead => self.matched.lead += 1,
            }
        }
        self.numbers += numbers as u64;
        self.unmatched += numbers.saturating_sub(matched) as u64;
        for outcome in outcomes {
            match outcome {
                WriteOutcome::Written => self.written += 1,
                WriteOutcome::Kept => self.skipped += 1,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::salesforce::{Error, Meaning, Phase};

    #[test]
    fn of_what_fails_while_a_run_is_told_to_stop_only_a_refused_log_in_is_reported() {
        let stopped = Shutdown::new();
        stopped.stop();
        let refused = Error::new(Meaning::InvalidLogin, Phase::Login, "");
        let refused = Failure::from(ResolveError::from(refused));
        assert!(final_failure(refused, &stopped, true).refused_login());
        let used_up = || Failure::from(ResolveError::BudgetExhausted(1));
        assert!(matches!(
            final_failure(used_up(), &stopped, true),
            Failure::Interrupted
        ));
        assert!(matches!(
            final_failure(used_up(), &stopped, false),
            Failure::CutOff
        ));
        let not_stopped = final_failure(used_up(), &Shutdown::new(), true);
        assert!(matches!(not_stopped, Failure::Resolve(_)));
    }
}

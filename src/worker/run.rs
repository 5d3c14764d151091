//! One run, from its first lease of calls to its report.
//!
//! It works in batches: lease calls, look their numbers up in Salesforce, write the contacts, mark
//! the calls done. Each step may be repeated without harm, and a call is marked done last. So a run
//! that is killed at any instant loses at most the answer to one request, and nothing is doubled.
//!
//! Before them, contacts follow what changed in Salesforce (`follow`); after them, an address book
//! is filled where the company wants one (`fill`).
//! After the numbers of calls come those that are asked again: a requested re-retrieval, and misses
//! that are due. They fill up the requests of the calls' numbers.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tracing::{info, warn};

use super::book::Whole;
use super::failure::Failure;
use super::fill::Reads;
use super::follow::{Following, Quiet};
use super::found::{contact, record_object};
use super::todo::Todo;
use crate::directory::Client;
use crate::directory::model::{
    AgainRequest, AskedBy, BeginRetrieval, ClaimRequest, DoneCall, DoneRequest, FoundContact,
    MAX_BULK, NumbersToAsk, RecordObject, ReleaseRequest, WriteContactsRequest, WriteOutcome,
    WritePolicy,
};
use crate::error::Chain;
use crate::follow::holders;
use crate::phone::E164;
use crate::reason::Reason;
use crate::resolve::{Allowance, LookedUp, Match, Object, ResolveError, Resolver};
use crate::run::settings::WorkerSettings;
use crate::run::{Note, RunKind, RunReport};
use crate::salesforce::Connection;
use crate::shutdown::Shutdown;

/// Number of numbers to ask again that are taken at once: they are few bytes each.
const AGAIN_NUMBERS: u32 = 10_000;
/// Number of different numbers per lease: the maximum of the directory. A few requests are enough
/// for all of them.
const CLAIM_NUMBERS: u32 = 1_000;
/// Duration of a lease, in seconds. It is longer than so many requests may last.
const CLAIM_SECONDS: u32 = 600;
/// Seconds between two rounds of misses of the after-call runs. Misses become due one after the
/// other, and a run every few minutes would ask for each of them alone.
const ROUND_SECONDS: u32 = 86_400;
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
    pub(crate) reads: Reads,
    pub(crate) bounds: Bounds,
    /// What other runs with the credential found of changes; `None` where it is not known.
    pub(crate) quiet: Option<Arc<Quiet>>,
}

/// What bounds a run beside its settings.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    /// Duration of a lease of calls, in seconds.
    pub(crate) claim_seconds: u32,
    /// The most numbers that it looks up. It leaves calls alone when there are more.
    pub(crate) numbers: usize,
    /// Whether it fills the address book and compares all contacts with their records, which takes
    /// minutes.
    pub(crate) does_long_work: bool,
    /// Maximum time for a request in flight after the run is asked to stop.
    pub(crate) stop_within: Duration,
}

/// How a run ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) report: RunReport,
    /// What it leaves to a run without bounds.
    pub(crate) left: Option<Left>,
    /// Whether it ended because there was no session, and it may not log in.
    pub(crate) lacks_session: bool,
}

/// What a run leaves to another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Left {
    /// Too many numbers wait.
    Numbers,
    /// The address book is to be filled.
    AddressBook,
}

pub(super) struct Progress<'a> {
    pub(super) report: &'a mut RunReport,
    /// Numbers that were looked up: each once per run.
    pub(super) resolved: HashSet<E164>,
    /// Calls that were marked done.
    finished: HashSet<String>,
    /// Whether the directory may have numbers to ask again.
    pub(super) again: bool,
    /// Numbers of the re-retrieval that this run has not asked yet, as far as it knows them.
    retrieval: HashSet<E164>,
    /// Numbers that the first question did not find. They are not on record as unknown before the
    /// second has been asked: a name that only the second question finds would go and come.
    unknown: Vec<E164>,
    /// What is followed, while numbers are asked because of changes in Salesforce.
    pub(super) following: Option<Following>,
    /// The address book, while it answers numbers in place of Salesforce.
    pub(super) book: Option<Whole>,
    /// What is left to a run without bounds.
    left: Option<Left>,
    /// API requests that are told as the cost of questions.
    told_calls: u64,
    /// When the directory last handed out calls. Every question is asked after it.
    claimed_at: Option<Timestamp>,
}

// === impl Bounds ===

impl Default for Bounds {
    fn default() -> Self {
        Self {
            claim_seconds: CLAIM_SECONDS,
            numbers: usize::MAX,
            does_long_work: true,
            stop_within: STOP_WITHIN,
        }
    }
}

// === impl Progress ===
pub(super) fn not_stopped(shutdown: &Shutdown) -> Result<(), Failure> {
    match shutdown.is_requested() {
        true => Err(Failure::Interrupted),
        false => Ok(()),
    }
}

impl<'a> Progress<'a> {
    /// The progress of a run that has done nothing yet.
    pub(super) fn new(report: &'a mut RunReport) -> Self {
        Self {
            report,
            resolved: HashSet::new(),
            finished: HashSet::new(),
            again: false,
            retrieval: HashSet::new(),
            unknown: Vec::new(),
            following: None,
            book: None,
            left: None,
            told_calls: 0,
            claimed_at: None,
        }
    }
}

impl Progress<'_> {
    /// Reports what Salesforce does not show the user.
    pub(super) fn report_findings(&mut self, resolver: &Resolver) {
        for finding in resolver.findings() {
            if let Some(reason) = Reason::of_finding(finding) {
                self.report.warn(Note::new(reason, finding.to_string()));
            }
        }
    }
}

// === impl Run ===

impl Run {
    /// Works until nothing is left to do, something fails, or the run is asked to stop. Then it
    /// finishes the request in flight and releases the remaining calls. After a second request to
    /// stop it does neither.
    pub(crate) async fn execute(self, shutdown: &Shutdown) -> RunReport {
        self.execute_within_bounds(shutdown).await.report
    }

    /// Like [`execute`](Self::execute), and tells what the bounds left.
    pub(crate) async fn execute_within_bounds(self, shutdown: &Shutdown) -> Ended {
        let mut report = RunReport::begin(self.kind, Timestamp::now());
        let mut left = None;
        let stopped_late = async {
            shutdown.requested().await;
            tokio::time::sleep(self.bounds.stop_within).await;
        };
        let result = tokio::select! {
            biased;
            () = shutdown.aborted() => Err(Failure::CutOff),
            result = self.work(&mut report, &mut left, shutdown) => result,
            () = stopped_late => Err(Failure::Interrupted),
        };
        let mut failure = result.err();
        let lacks_session = failure.as_ref().is_some_and(Failure::lacks_session);
        if let Some(fails) = failure.take() {
            let released = tokio::select! {
                biased;
                () = shutdown.aborted() => false,
                () = self.release_calls() => true,
            };
            failure = Some(final_failure(fails, shutdown, released));
        }
        self.ended(report, failure, left, lacks_session)
    }

    /// How the run ended.
    pub(super) fn ended(
        &self,
        mut report: RunReport,
        failure: Option<Failure>,
        left: Option<Left>,
        lacks_session: bool,
    ) -> Ended {
        if let Some(failure) = failure.filter(|failure| !matches!(failure, Failure::HandedOver)) {
            describe(&mut report, &failure);
        }
        report.api_calls = self.connection.spent().calls;
        report.usage = self.connection.usage();
        report.finished_at = report.started_at.max(Timestamp::now());
        Ended {
            report,
            left,
            lacks_session,
        }
    }

    async fn work(
        &self,
        report: &mut RunReport,
        left: &mut Option<Left>,
        shutdown: &Shutdown,
    ) -> Result<(), Failure> {
        let mut progress = Progress::new(report);
        let worked = self.work_through(&mut progress, shutdown).await;
        *left = progress.left;
        worked
    }

    async fn work_through(
        &self,
        progress: &mut Progress<'_>,
        shutdown: &Shutdown,
    ) -> Result<(), Failure> {
        let mut resolver = None;
        let followed = self.follow(&mut resolver, progress, shutdown);
        let followed = followed.await?;
        progress.book = self.whole_book(followed.as_ref(), progress).await?;
        self.begin_asking_again(progress).await?;
        loop {
            not_stopped(shutdown)?;
            let mut taken = self.take(progress).await?;
            let is_finished = |call: &str| progress.finished.contains(call);
            if taken
                .take_if(|(todo, _)| todo.calls().all(is_finished))
                .is_some()
            {
                // Either the directory does not store the result, or a call changes all the time.
                // The next run handles the calls, because this run would never end.
                progress.report.warn(Note::new(
                    Reason::CallsComeBack,
                    "The directory hands out calls again that this run has marked done.",
                ));
            }
            let has_calls = taken.is_some();
            let (todo, mut more) = taken.unwrap_or_default();
            self.is_within_bounds(todo.numbers.len(), progress)?;
            self.mark_done(todo.done.clone(), progress).await?;
            let mut numbers = todo.numbers.clone();
            let mut misses = Vec::new();
            let mut missed_since = None;
            if !more {
                let known: HashSet<E164> = numbers.iter().cloned().collect();
                let again = self.take_again(&known, progress).await?;
                numbers.extend(again.retrieval);
                (misses, missed_since) = (again.misses, again.missed_since);
                more = again.more;
            }
            self.is_within_bounds(numbers.len() + misses.len(), progress)?;
            if numbers.is_empty() && misses.is_empty() {
                if has_calls {
                    continue;
                }
                break;
            }
            not_stopped(shutdown)?;
            if let Some(book) = progress.book.clone() {
                numbers.append(&mut misses);
                let asked = self.ask_book(&numbers, &todo, &book, resolver.as_ref(), progress);
                asked.await?;
                continue;
            }
            // The log-in happens only if there is a number to look up.
            let resolver = match &mut resolver {
                Some(resolver) => resolver,
                none => none.insert(self.log_in().await?),
            };
            if let Some(since) = missed_since {
                let answer = resolver.resolve_missed(&misses, since).await;
                progress.report_findings(resolver);
                if let Some(answer) = answer? {
                    let asked = std::mem::take(&mut misses);
                    // A miss has no name that could go, so it does not matter what was searched.
                    let searched = Vec::new();
                    self.finish(&asked, &todo, answer, searched, progress)
                        .await?;
                    progress.resolved.extend(asked);
                }
            }
            numbers.append(&mut misses);
            let asked = self.ask(&numbers, more, &todo, resolver, progress, shutdown);
            let asked = match asked.await {
                Ok(()) => self.ask_again(&todo, resolver, progress).await,
                stopped => stopped,
            };
            if let Err(ends) = asked {
                self.keep_unknown(&ends, &todo, progress).await;
                return Err(ends);
            }
        }
        if !self.bounds.does_long_work {
            if self.is_fill_due(followed.as_ref(), progress).await? {
                progress.left = Some(Left::AddressBook);
            }
            return Ok(());
        }
        let reconciled = self.reconcile(followed.clone(), &mut resolver, progress, shutdown);
        reconciled.await?;
        self.keep_book(followed.as_ref(), &mut resolver, progress, shutdown)
            .await
    }

    /// Leaves so many further numbers to a run without bounds, if they are too many for this one.
    fn is_within_bounds(&self, numbers: usize, progress: &mut Progress<'_>) -> Result<(), Failure> {
        if progress.resolved.len().saturating_add(numbers) <= self.bounds.numbers {
            return Ok(());
        }
        progress.left = Some(Left::Numbers);
        Err(Failure::HandedOver)
    }

    /// Asks the first question about numbers, in as many requests as they need. Those that it does
    /// not find and that are asked about again become unknown; all others are finished.
    pub(super) async fn ask(
        &self,
        numbers: &[E164],
        more: bool,
        todo: &Todo,
        resolver: &mut Resolver,
        progress: &mut Progress<'_>,
        shutdown: &Shutdown,
    ) -> Result<(), Failure> {
        let mut pending = numbers;
        while !pending.is_empty() {
            not_stopped(shutdown)?;
            let batch = resolver.batch(pending);
            let count = batch.numbers().len();
            if more && count == pending.len() && count < numbers.len() {
                // The last batch is not full. Its numbers come again with the next lease, and the
                // batch is full then.
                break;
            }
            let answer = resolver.resolve(&batch).await;
            progress.report.url_length = resolver.learned();
            progress.report_findings(resolver);
            let Some(answer) = answer? else { continue };
            let searched = resolver.fully_searched().map(record_object).collect();
            let asks_again = |number: &&E164| {
                self.settings.second_question
                    && !answer.found.contains_key(*number)
                    && !todo.missed.contains(*number)
            };
            let (again, asked): (Vec<&E164>, Vec<&E164>) =
                batch.numbers().iter().partition(asks_again);
            progress.unknown.extend(again.into_iter().cloned());
            let asked: Vec<E164> = asked.into_iter().cloned().collect();
            self.finish(&asked, todo, answer, searched, progress)
                .await?;
            progress.resolved.extend(asked);
            pending = pending.get(count..).unwrap_or_default();
        }
        Ok(())
    }

    /// Keeps what the first question said about numbers when the run `ends` before the second: the
    /// work is paid for, and the next run would begin with it again.
    pub(super) async fn keep_unknown(
        &self,
        ends: &Failure,
        todo: &Todo,
        progress: &mut Progress<'_>,
    ) {
        if matches!(ends, Failure::Directory(_)) {
            return;
        }
        let unknown = std::mem::take(&mut progress.unknown);
        let kept = self.finish(&unknown, todo, LookedUp::default(), Vec::new(), progress);
        if let Err(error) = kept.await {
            warn!(error = %Chain(&error), "what was found out is lost");
        }
    }

    /// Asks the second question about numbers that the first did not find.
    pub(super) async fn ask_again(
        &self,
        todo: &Todo,
        resolver: &mut Resolver,
        progress: &mut Progress<'_>,
    ) -> Result<(), Failure> {
        if progress.unknown.is_empty() {
            return Ok(());
        }
        let answer = resolver.resolve_again(&progress.unknown).await?;
        let unknown = std::mem::take(&mut progress.unknown);
        info!(
            asked = answer.asked,
            found = answer.looked_up.found.len(),
            api_calls = answer.calls,
            "second question"
        );
        let (asked, not_asked) = unknown.split_at(answer.asked.min(unknown.len()));
        let searched = resolver.fully_searched().map(record_object).collect();
        self.finish(asked, todo, answer.looked_up, searched, progress)
            .await?;
        // Nobody says that Salesforce does not know what the index was not asked for, so a name
        // that came from there stays.
        self.finish(not_asked, todo, LookedUp::default(), Vec::new(), progress)
            .await?;
        progress.resolved.extend(unknown);
        Ok(())
    }

    /// Leases calls, and returns whether there are more. `None` means that nothing is left.
    async fn take(&self, progress: &mut Progress<'_>) -> Result<Option<(Todo, bool)>, Failure> {
        let claim = ClaimRequest {
            holder: self.holder.clone(),
            since: None,
            until: None,
            only_missing: self.kind == RunKind::Sync,
            limit: CLAIM_NUMBERS,
            claim_for: self.bounds.claim_seconds,
        };
        let claimed = self.directory.claim(&claim).await?;
        progress.claimed_at = claimed.claimed_at;
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

    /// Begins the re-retrieval that the settings request, and finds out what is to be asked again.
    async fn begin_asking_again(&self, progress: &mut Progress<'_>) -> Result<(), Failure> {
        let begin = self.settings.re_retrieve.as_ref();
        let request = AgainRequest {
            begin: begin.map(|begin| BeginRetrieval {
                request: begin.request.clone(),
                history_days: begin.history_days,
                named: self.policy() == WritePolicy::Overwrite,
            }),
            ..self.again_request(0)
        };
        let answer = self.directory.numbers_to_ask(&request).await?;
        progress.again = answer.more;
        progress.report.remaining = answer.remaining;
        Ok(())
    }

    /// Takes numbers to ask again, without those in `known`.
    async fn take_again(
        &self,
        known: &HashSet<E164>,
        progress: &mut Progress<'_>,
    ) -> Result<NumbersToAsk, Failure> {
        if !progress.again {
            return Ok(NumbersToAsk::default());
        }
        let request = self.again_request(AGAIN_NUMBERS);
        let mut answer = self.directory.numbers_to_ask(&request).await?;
        if answer.retrieval.is_empty() {
            progress.report.remaining = 0;
        }
        // A number that comes back although it was asked would keep the run from ending.
        let is_open = |n: &E164| !known.contains(n) && !progress.resolved.contains(n);
        answer.retrieval.retain(is_open);
        answer.misses.retain(is_open);
        progress.again = !answer.retrieval.is_empty() || !answer.misses.is_empty();
        answer.more &= progress.again;
        progress.retrieval.extend(answer.retrieval.iter().cloned());
        Ok(answer)
    }

    fn again_request(&self, limit: u32) -> AgainRequest {
        AgainRequest {
            settings: self.settings.match_settings.clone(),
            limit,
            round_every: match self.kind {
                RunKind::Sync => 0,
                RunKind::Lookup => ROUND_SECONDS,
            },
            begin: None,
        }
    }

    /// Logs in. A session that Salesforce ends in the middle of the run is replaced once.
    pub(super) async fn log_in(&self) -> Result<Resolver, Failure> {
        let allowance = Allowance(self.settings.max_api_calls);
        // A log-in is useless if no API call is allowed after it.
        allowance.check(self.connection.spent())?;
        // A session may be older than the run.
        let logins = self.connection.spent().logins;
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
            .logins_at_most(logins + LOGINS)
            .calls_at_most(self.settings.max_api_calls);
        Ok(Resolver::new(connection, self.settings.region)
            .person_accounts(self.settings.person_accounts.or(session.person_accounts))
            .instance(Some(instance))
            .allowance(allowance)
            .second_question(self.settings.second_question)
            .url_length(self.settings.url_length))
    }

    /// Writes the contacts that were found and the numbers that were not, then marks their
    /// calls done. `searched` are the objects that were searched on all phone fields.
    pub(super) async fn finish(
        &self,
        asked: &[E164],
        todo: &Todo,
        answer: LookedUp,
        searched: Vec<RecordObject>,
        progress: &mut Progress<'_>,
    ) -> Result<(), Failure> {
        if asked.is_empty() {
            return Ok(());
        }
        let LookedUp { found, records } = answer;
        let following = progress.following.as_ref();
        let policy = following.map_or(self.policy(), Following::policy);
        let matched = found.len();
        let spent = self.connection.spent().calls;
        let calls = spent.saturating_sub(progress.told_calls);
        progress.told_calls = spent;
        let run = self.settings.run.as_deref().unwrap_or(&self.holder);
        let asked_by = AskedBy {
            run: run.to_owned(),
            api_calls: u32::try_from(calls).unwrap_or(u32::MAX),
        };
        let mut outcomes = Vec::with_capacity(matched);
        for numbers in asked.chunks(MAX_BULK) {
            let mut contacts: Vec<FoundContact> = Vec::new();
            let mut not_found = Vec::new();
            for number in numbers {
                match found.get(number) {
                    Some(found) => {
                        let (holders, is_complete) = holders(number, &records, found);
                        contacts.push(contact(number, found, &holders, is_complete));
                    }
                    None => not_found.push(number.clone()),
                }
            }
            let request = WriteContactsRequest {
                policy,
                contacts,
                not_found,
                searched: searched.clone(),
                settings: self.settings.match_settings.clone(),
                asked_by: Some(asked_by.clone()),
                claimed_at: progress.claimed_at,
            };
            let receipt = self.directory.write_contacts(&request).await?;
            if let (Some(following), Some(followed)) = (following, &mut progress.report.followed) {
                let outcomes = &receipt.outcomes;
                following.count(followed, &request.contacts, outcomes, receipt.gone);
            }
            outcomes.extend(receipt.outcomes.into_values());
        }
        for number in asked {
            if progress.retrieval.remove(number) {
                progress.report.remaining = progress.report.remaining.saturating_sub(1);
            }
            progress.report.asked_again += u64::from(!todo.has_calls_of(number));
        }
        self.mark_done(todo.done_with(asked), progress).await?;
        progress
            .report
            .count(asked.len(), found.values(), &outcomes);
        info!(numbers = asked.len(), matched, "numbers looked up");
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
            let others = found.alternatives.as_ref();
            let ambiguous = others.is_some_and(|others| others.rule.is_ambiguous());
            self.ambiguous += u64::from(ambiguous);
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

//! Gathers the inputs of a decision. The only request to the API server is for the Secret;
//! everything else is watched. The directory is asked whose the data is, once.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt;

use super::directory;
use super::error::Error;
use crate::api::{InvalidField, SalesforceIntegration, SalesforceIntegrationStatus, Settings, now};
use crate::controller::cluster::{events, secret};
use crate::controller::context::Context;
use crate::controller::memory::index::WatchedKind;
use crate::controller::memory::key::Key;
use crate::decide;
use crate::decide::data::claim::Answer;
use crate::decide::login::logbook::ANSWERED_WITHIN;
use crate::decide::resident::HandOver;
use crate::decide::rules::company_claim;
use crate::decide::rules::company_claim::Claim;
use crate::decide::rules::user_claim::Users;
use crate::decide::runs::lingering::Lingering;
use crate::decide::runs::resident::Unwritten;
use crate::decide::runs::stuck::StuckRun;
use crate::decide::runs::{EndedRun, Runs, stuck};
use crate::decide::{LiveCronJob, Neighbours, SiblingLogins, children, data};
use crate::error::Chain;
use crate::run::{BookReport, RunKind};
use crate::salesforce::{Credentials, Fingerprint};

/// The inputs for one integration. The decision borrows from it.
pub(crate) struct Gathered {
    pub settings: Result<Settings, InvalidField>,
    pub credentials: Option<(Credentials, Fingerprint)>,
    state: decide::Credentials,
    claim: Claim,
    data: Answer,
    book: Option<BookReport>,
    siblings: SiblingLogins,
    ended_runs: Vec<EndedRun>,
    /// Names of all Jobs whose result is known, including those that the status has already
    /// recorded.
    pub jobs: BTreeSet<String>,
    active_jobs: Vec<Arc<Job>>,
    stuck_runs: Vec<StuckRun>,
    lingering: Vec<Lingering>,
    settled_jobs: BTreeSet<String>,
    /// Runs of the controller that the status does not hold yet.
    pub resident: Unwritten,
    hand_over: Option<HandOver>,
    session_wanted: bool,
    /// Whether it is asked again because Salesforce answers others again.
    pub answers_again: bool,
    worked_at: Option<Timestamp>,
    pub cron_jobs: Vec<Arc<LiveCronJob>>,
    tokens: Option<String>,
    tokens_wanted: String,
}

// === impl Gathered ===

impl Gathered {
    /// Gathers the inputs for one integration.
    ///
    /// # Errors
    /// When reading the Secret fails. A missing Secret is no error.
    pub(crate) async fn about(
        context: &Context,
        resource: &SalesforceIntegration,
    ) -> Result<Self, Error> {
        let key = Key::of(resource);
        let settings = Settings::of(resource);
        let read = match &settings {
            Ok(settings) => {
                let name = &settings.auth.secret;
                let found = secret::get(&context.client, &key.namespace, name)
                    .await
                    .map_err(Error::Secret)?;
                Some(decide::login::credentials::read(
                    found.as_ref(),
                    settings,
                    &context.fingerprint_key,
                ))
            }
            Err(_) => None,
        };
        let (state, credentials) = read.map_or((decide::Credentials::NotRead, None), |read| {
            (read.state, read.credentials)
        });
        let siblings = match &state {
            decide::Credentials::Available {
                fingerprint, user, ..
            } => siblings(context, &key, fingerprint, user),
            _ => SiblingLogins::default(),
        };
        let Runs {
            ended: ended_runs,
            active: active_jobs,
            stuck: mut stuck_runs,
            over: jobs,
            lingering,
            settled: settled_jobs,
        } = runs(context, &key, resource);
        let cron_jobs: Vec<_> = cron_jobs(context, &key)
            .filter(|live| live.owner_uid == resource.uid())
            .collect();
        stuck_runs = explained(context, &key, stuck_runs, &active_jobs).await;
        if active_jobs.is_empty()
            && let Ok(settings) = &settings
        {
            stuck_runs.extend(missed(context, resource, settings, &cron_jobs).await);
        }
        let tokens_key = Key {
            namespace: key.namespace.clone(),
            name: children::token_secret_name(&key.name),
        };
        let uid = resource.uid();
        let tokens = {
            let index = context.index();
            index.tokens(&tokens_key, uid.as_deref()).cloned()
        };
        let claim = claim(context, resource);
        let data = match (&claim, &settings) {
            (Claim::Held, Ok(settings)) => data(context, resource, settings).await,
            _ => Answer::NotAsked,
        };
        let book = match (&claim, &settings) {
            (Claim::Held, Ok(settings)) => book(context, resource, settings, &active_jobs).await,
            _ => None,
        };
        let worked_at = match &state {
            decide::Credentials::Available { fingerprint, .. } => {
                context.prover.worked_at(fingerprint)
            }
            _ => None,
        };
        Ok(Self {
            resident: context.memory.unwritten(&key),
            hand_over: context.memory.handed_over(&key),
            session_wanted: context.memory.take_session_wanted(&key),
            answers_again: context.memory.is_asked_again(&key),
            worked_at,
            data,
            book,
            tokens_wanted: context
                .token_sources(resource)
                .version(&resource.spec.company_id, &resource.spec.contacts.region),
            tokens,
            claim,
            cron_jobs,
            settings,
            credentials,
            state,
            siblings,
            ended_runs,
            jobs,
            active_jobs,
            stuck_runs,
            lingering,
            settled_jobs,
        })
    }

    /// Fingerprint of the user that logs in; empty without a credential.
    pub(crate) fn user(&self) -> &str {
        match &self.state {
            decide::Credentials::Available { user, .. } => user,
            _ => "",
        }
    }

    /// The inputs in the form that the decision takes.
    pub(crate) fn observed<'a>(
        &'a self,
        context: &'a Context,
        resource: &'a SalesforceIntegration,
        proof: Option<&'a decide::Proof>,
    ) -> decide::Observed<'a> {
        decide::Observed {
            resource,
            settings: self.settings.as_ref(),
            credentials: self.state.clone(),
            claim: self.claim.clone(),
            data: self.data.clone(),
            book: self.book,
            taken_users: taken_users(context, resource, proof),
            siblings: self.siblings.clone(),
            proof,
            ended_runs: &self.ended_runs,
            resident: &self.resident,
            hand_over: self.hand_over.clone(),
            worked_at: self.worked_at,
            session_wanted: self.session_wanted,
            answers_again: self.answers_again,
            leader_since: context.leader_since,
            active_jobs: &self.active_jobs,
            over_jobs: &self.jobs,
            stuck_runs: &self.stuck_runs,
            lingering: &self.lingering,
            settled_jobs: &self.settled_jobs,
            neighbours: neighbours(context, resource, proof),
            admission: context.memory.admission(&Key::of(resource)),
            cron_jobs: &self.cron_jobs,
            tokens: self.tokens.clone(),
            tokens_wanted: self.tokens_wanted.clone(),
            config: &context.config,
        }
    }
}

/// Asks the directory whose the company's data is, unless what it last said still holds.
async fn data(context: &Context, resource: &SalesforceIntegration, settings: &Settings) -> Answer {
    match data::claim::question(resource, settings, now()) {
        Some(question) => {
            let not_before = context.token_sources(resource).not_before;
            directory::claim(context, resource, settings, question, not_before).await
        }
        None => Answer::NotAsked,
    }
}

/// Asks the directory how far the address book is while a run goes on that may be filling it, at
/// most once a minute.
async fn book(
    context: &Context,
    resource: &SalesforceIntegration,
    settings: &Settings,
    active: &[Arc<Job>],
) -> Option<BookReport> {
    let key = Key::of(resource);
    let asked_at = context.memory.book_asked_at(&key);
    let active = active.iter().map(AsRef::as_ref);
    if !decide::address_book::is_in_question(settings, active, asked_at, now()) {
        return None;
    }
    context.memory.book_asked(&key, now());
    directory::book(context, resource, settings).await
}

fn claim(context: &Context, resource: &SalesforceIntegration) -> Claim {
    let claimants = context.index().claimants(&resource.spec.company_id);
    let rivals: Vec<Arc<SalesforceIntegration>> = claimants
        .iter()
        .filter_map(|key| context.integration(key))
        .collect();
    company_claim::decide(resource, rivals.iter().map(AsRef::as_ref))
}

/// The log-in results of other integrations that use the same credential, or log in as the same
/// user.
fn siblings(context: &Context, own: &Key, fingerprint: &str, user: &str) -> SiblingLogins {
    // A refusal that this controller has just received may not be in any status yet.
    let mut found = SiblingLogins::after(context.prover.refusal(fingerprint));
    found.has_outcome = context.prover.has_outcome(fingerprint);
    let sharing = context.index().sharing(fingerprint);
    for other in sharing
        .iter()
        .filter(|key| *key != own)
        .filter_map(|key| context.integration(key))
    {
        if let Some(status) = &other.status {
            found.add(fingerprint, &as_known(context, &other, status));
        }
    }
    let (same_user, users) = {
        let index = context.index();
        (index.refused_as(user), index.logging_in_as(user))
    };
    found.user_is_shared = users > sharing.len().max(1);
    for other in same_user
        .iter()
        .filter(|key| *key != own)
        .filter_map(|key| context.integration(key))
    {
        if let Some(status) = &other.status {
            let status = as_known(context, &other, status);
            found.add_user(user, fingerprint, &status, context.leader_since);
        }
    }
    found.add_logged(fingerprint, context.logged_refusals(user));
    found
}

/// The status of another integration as far as it tells of log-ins that have ended. One of another
/// shard shows a log-in before it is answered; the record of log-ins has it wait for the answer.
fn as_known<'a>(
    context: &Context,
    other: &SalesforceIntegration,
    status: &'a SalesforceIntegrationStatus,
) -> Cow<'a, SalesforceIntegrationStatus> {
    let under_way = |at: &Time| now().duration_since(at.0) < ANSWERED_WITHIN;
    let connection = status.connection.as_ref();
    let attempted = connection.and_then(|connection| connection.attempted_at.as_ref());
    if context.is_ours(&Key::of(other)) || !attempted.is_some_and(under_way) {
        return Cow::Borrowed(status);
    }
    let mut status = status.clone();
    if let Some(connection) = &mut status.connection {
        connection.attempted_at = None;
    }
    Cow::Owned(status)
}

/// The users that older integrations of the same org hold: the org that the proof found, or else
/// the one in the status.
fn taken_users(
    context: &Context,
    resource: &SalesforceIntegration,
    proof: Option<&decide::Proof>,
) -> Users {
    let found = proof
        .and_then(|proof| proof.outcome.as_ref().ok())
        .map(|findings| findings.organization.id.as_str());
    context.index().taken_users(resource, found)
}

/// The other integrations that use the same org: the org that the proof found, or else the one in
/// the status.
fn neighbours(
    context: &Context,
    resource: &SalesforceIntegration,
    proof: Option<&decide::Proof>,
) -> Neighbours {
    let found = proof
        .and_then(|proof| proof.outcome.as_ref().ok())
        .map(|findings| &findings.organization.id);
    let known = resource
        .status
        .as_ref()
        .and_then(|status| status.organization.as_ref())
        .map(|organization| &organization.id);
    found.or(known).map_or_else(Neighbours::default, |org| {
        context.index().neighbours(org, &Key::of(resource))
    })
}

/// Asks the cluster why Jobs have no pod, and gives its words to the runs that wait.
async fn explained(
    context: &Context,
    key: &Key,
    stuck: Vec<StuckRun>,
    jobs: &[Arc<Job>],
) -> Vec<StuckRun> {
    let mut all = Vec::with_capacity(stuck.len());
    for run in stuck {
        let job = jobs.iter().find(|job| job.name_any() == run.job);
        let uid = job.and_then(|job| job.uid());
        let words = match uid.filter(|_| run.is_in_question(now())) {
            Some(uid) => not_created(context, key, &uid, None).await,
            None => None,
        };
        all.push(match words {
            Some(words) => run.explained(&words),
            None => run,
        });
    }
    all
}

/// The run that was due a moment ago and for which the cluster made no Job, if it says why.
async fn missed(
    context: &Context,
    resource: &SalesforceIntegration,
    settings: &Settings,
    cron_jobs: &[Arc<LiveCronJob>],
) -> Option<StuckRun> {
    let due = resource.status.as_ref()?.next_run.as_ref()?.0;
    if !stuck::is_missed(due, now()) {
        return None;
    }
    let cron_job = cron_jobs.iter().find(|live| !live.suspended)?;
    let uid = cron_job.uid.as_deref()?;
    let words = not_created(context, &Key::of(resource), uid, Some(due)).await?;
    let kind = children::kind_of_run(settings);
    Some(stuck::without_job(&cron_job.name, kind, due, &words))
}

/// What the cluster last said about an object that it could not create for this one. An answer that
/// cannot be had is none: it would only explain what shows anyway.
async fn not_created(
    context: &Context,
    key: &Key,
    uid: &str,
    since: Option<Timestamp>,
) -> Option<String> {
    match events::failed_create(&context.client, &key.namespace, uid, since).await {
        Ok(words) => words,
        Err(error) => {
            tracing::debug!(error = %Chain(&error), "the Events of a Job could not be read");
            None
        }
    }
}

/// Has a CronJob looked at when it shows, if no watch has shown it yet: it was written by an
/// earlier decision, and may be none that is wanted. The event of an own write brings no look
/// otherwise. The one that is wanted is written again by this reconcile, and expected again.
pub(crate) fn look_at_late_cron_jobs(context: &Context, resource: &SalesforceIntegration) {
    let key = Key::of(resource);
    let shown: BTreeSet<String> = cron_jobs(context, &key)
        .map(|live| live.name.clone())
        .collect();
    for kind in [RunKind::Sync, RunKind::Lookup] {
        let name = children::cron_job_name(&key.name, kind);
        if !shown.contains(&name) {
            let namespace = key.namespace.clone();
            let cron_job = Key { namespace, name };
            // Its owner is the one that is looked at now.
            let _ = context
                .index()
                .forget_observed(WatchedKind::CronJob, &cron_job);
        }
    }
}

/// The CronJobs that carry the label of the integration, whosever they are.
fn cron_jobs(context: &Context, key: &Key) -> impl Iterator<Item = Arc<LiveCronJob>> {
    let stores = context.stores.iter();
    stores.flat_map(|stores| stores.cron_jobs.of(key))
}

fn runs(context: &Context, key: &Key, resource: &SalesforceIntegration) -> Runs {
    let stores = || context.stores.iter();
    let cron_jobs: Vec<_> = cron_jobs(context, key).collect();
    let jobs: Vec<Arc<Job>> = stores()
        .flat_map(|stores| stores.jobs.of(key))
        .filter(|job| children::is_run_of(job, resource, &cron_jobs))
        .collect();
    let names = jobs.iter().map(|job| job.name_any()).collect();
    let lost_pod_results = context.memory.lost_pod_results(key, &names);
    let pods: Vec<Arc<Pod>> = stores().flat_map(|stores| stores.pods.of(key)).collect();
    let status = resource.status.as_ref();
    let last = status.and_then(|status| status.last_run.as_ref());
    let is_recorded = |job: &str| context.memory.is_recorded(key, job);
    Runs::sort(jobs, &pods, &lost_pod_results, last, is_recorded, now())
}

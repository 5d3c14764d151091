//! Reconciles one integration: observes, decides, and applies the decision.

pub(crate) mod apply;
pub(crate) mod directory;
pub(crate) mod error;
mod finalizer;
pub(crate) mod login_record;
pub(crate) mod observe;
mod owned;
pub(crate) mod status;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::{Duration, Instant};

use k8s_openapi::api::batch::v1::Job;
use kube::ResourceExt;
use kube::runtime::controller::Action;
use tokio::sync::Semaphore;
use tracing::Instrument;

use self::apply::Applied;
pub(crate) use self::error::Error;
use self::login_record::LoginRecord;
use self::observe::Gathered;
use super::context::Context;
use super::context::prover::ProofRequest;
use super::memory::key::Key;
use crate::api::{SalesforceIntegration, SalesforceIntegrationStatus, conditions, now};
use crate::decide;
use crate::decide::login::recovery;
use crate::decide::runs::admission::{Admission, RefusedObject, WriteResult};
use crate::decide::runs::resident::Unwritten;
use crate::decide::{Cause, decide};

pub(crate) async fn reconcile(
    key: &Key,
    context: Arc<Context>,
    permits: &Semaphore,
) -> Result<Action, Error> {
    reconcile_in_turn(key, context, permits)
        .instrument(reconcile_span(key))
        .await
}

/// The span of a reconcile. It has the highest level, so that it appears with every `RUST_LOG`.
pub(crate) fn reconcile_span(key: &Key) -> tracing::Span {
    tracing::error_span!("reconcile", namespace = key.namespace, name = key.name)
}

async fn reconcile_in_turn(
    key: &Key,
    context: Arc<Context>,
    permits: &Semaphore,
) -> Result<Action, Error> {
    for stores in &context.stores {
        // The integration's own children must be known. A namespace that cannot be watched contains
        // no rival.
        if stores.holds(&key.namespace) {
            stores.synced().await;
        } else {
            stores.synced_or_denied().await;
        }
    }
    // `acquire` fails only on a closed semaphore, and this one is never closed.
    let _permit = permits.acquire().await;
    let Some(resource) = context.integration(key) else {
        return Ok(Action::await_change());
    };
    let began = Instant::now();
    if !context.memory.begin(key, began) {
        return Ok(Action::requeue(context.memory.pause()));
    }
    context.metrics.reconcile_begins();
    let ended = reconcile_once(resource, &context).await;
    context
        .metrics
        .reconcile_ended(ended.is_ok(), began.elapsed());
    ended
}

async fn reconcile_once(
    mut resource: Arc<SalesforceIntegration>,
    context: &Arc<Context>,
) -> Result<Action, Error> {
    if resource.metadata.deletion_timestamp.is_some() {
        return finalizer::finish(context, resource).await;
    }
    let credential_before = credential_of(resource.status.as_ref());
    let asked_at = now();
    observe::look_at_late_cron_jobs(context, &resource);
    let mut gathered = Gathered::about(context, &resource).await?;
    let mut plan = decide(&gathered.observed(context, &resource, None), now());
    let mut heard = None;
    if let (Some(cause), Some((credentials, fingerprint)), Ok(settings)) =
        (plan.prove, gathered.credentials.take(), &gathered.settings)
    {
        tracing::info!(?cause, "proving the connection");
        let status = resource.status.as_ref();
        let last = status.and_then(|status| status.connection.as_ref());
        let may_share_since = decide::shared_since(cause, last, settings, asked_at);
        let organization = status
            .and_then(|status| status.organization.as_ref())
            .map(|organization| organization.id.as_str());
        let record = LoginRecord::new(
            Arc::clone(context),
            Arc::clone(&resource),
            fingerprint.to_string(),
            gathered.user().to_owned(),
        );
        let request = ProofRequest {
            settings,
            credentials,
            fingerprint,
            afresh: cause == Cause::RefusedInRun,
            thorough: cause != Cause::Due,
            may_share_since,
            organization,
            asked_at,
            gate: record.clone(),
            sent_at: &|| record.sent_at(),
        };
        let proof = context.prover.prove(request).await;
        let refused = matches!(&proof.outcome, Err(failure) if failure.refused_login());
        resource = record.finish(refused)?;
        heard = recovery::heard_in_proof(resource.status.as_ref(), &proof, asked_at);
        plan = decide(&gathered.observed(context, &resource, Some(&proof)), now());
    }
    if plan.prove.is_none() {
        let settings = gathered.settings.as_ref().ok();
        context.mail.settle(&resource, settings, &mut plan, now());
    }
    let mut requeue_after = plan.requeue_after;
    if plan.cron_job.is_some() && gathered.cron_jobs.is_empty() {
        requeue_after = requeue_after.min(first_look_at_cron_job(&resource));
    }
    let key = Key::of(resource.as_ref());
    let applied = apply::apply(
        context,
        &resource,
        gathered.settings.as_ref().ok(),
        &plan,
        &gathered.cron_jobs,
    )
    .await;
    if let Some(heard) = heard {
        context.heard(&key, heard);
    }
    context
        .mail
        .written(&key, context.integration(&key).as_deref());
    let admission = context.memory.admission(&key).after(
        write_result(&applied, plan.run.as_ref()),
        conditions::is_refused_by_cluster(&plan.status.conditions),
    );
    if admission == Admission::Accepted {
        requeue_after = Duration::ZERO;
    }
    context.memory.record_admission(&key, admission);
    // Once the status is written it holds these runs, whatever failed afterwards.
    if !matches!(applied, Err(Error::Gone | Error::Status(_))) {
        // Who is told during this that others are answered has yet to ask.
        if gathered.answers_again {
            context.memory.asked_again(&key);
        }
        if plan.run_again {
            context.run_again(&resource);
        }
        if !plan.leaves_reports {
            context.memory.record_runs(&key, gathered.jobs);
        }
        if plan.takes_resident {
            context.memory.runs_written(&key, &gathered.resident, now());
        } else if !plan.ended_runs.is_empty() {
            context.memory.runs_written(&key, &Unwritten::NONE, now());
        }
        if plan.takes_over && !matches!(applied, Err(Error::Job(_))) {
            context.memory.taken_over(&key);
        }
    }
    match applied {
        Err(Error::Gone) => Ok(Action::await_change()),
        Err(error) => Err(error),
        Ok(applied) => {
            if let Some(before) = credential_before
                && credential_of(Some(&plan.status)).as_ref() != Some(&before)
            {
                context.leave_session(&key, &before);
            }
            if let Ok(settings) = &gathered.settings {
                directory::tell_link(context, &resource, settings, &plan.status).await;
            }
            Ok(Action::requeue(match applied {
                Applied::Whole => requeue_after,
                Applied::Deferred => context.memory.pause(),
            }))
        }
    }
}

/// How the cluster responded to the attempt to write everything.
fn write_result(applied: &Result<Applied, Error>, job: Option<&Job>) -> WriteResult {
    let error = match applied {
        Ok(Applied::Whole) => return WriteResult::Applied,
        Ok(Applied::Deferred) => return WriteResult::Unknown,
        Err(Error::NotOurs(object)) => {
            return WriteResult::Refused(RefusedObject::NotOurs(object.clone()));
        }
        Err(error) => error,
    };
    let Some(kube::Error::Api(status)) = error.cause() else {
        return WriteResult::Unknown;
    };
    let said = status.message.clone();
    let object = match (error, job) {
        (Error::CronJob(_), _) => RefusedObject::CronJob(said),
        (Error::TokenSecret(_), _) => RefusedObject::Tokens,
        (Error::Job(_), Some(job)) => RefusedObject::Job(job.name_any(), said),
        _ => return WriteResult::Unknown,
    };
    match status.code {
        // The same attempt a moment later has the same result.
        400 | 403 | 405 | 413 | 422 => WriteResult::Refused(object),
        // For example a missing webhook, if the failure persists.
        500 => WriteResult::Failed(object),
        _ => WriteResult::Unknown,
    }
}

fn credential_of(status: Option<&SalesforceIntegrationStatus>) -> Option<String> {
    status?.connection.as_ref()?.credentials_version.clone()
}

/// The time after which a new CronJob is first considered. The watch event of our own write causes
/// no reconcile, so this reconcile finds out when the first run would be overdue. It is spread over
/// minutes and comes well before a run could be overdue.
fn first_look_at_cron_job(resource: &SalesforceIntegration) -> Duration {
    let spread =
        decide::rules::schedule::stable_hash(&resource.uid().unwrap_or_default(), "CronJob") % 300;
    Duration::from_secs(300 + spread)
}

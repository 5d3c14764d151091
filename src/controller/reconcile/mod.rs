//! Looks at one integration: observes, decides, and carries out what was decided.

pub(crate) mod act;
pub(crate) mod attempt;
pub(crate) mod error;
pub(crate) mod observe;

use std::sync::Arc;
use std::time::{Duration, Instant};

use k8s_openapi::api::batch::v1::Job;
use kube::ResourceExt;
use kube::runtime::controller::Action;
use tokio::sync::Semaphore;

use self::act::CarriedOut;
use self::attempt::Attempt;
pub(crate) use self::error::Error;
use self::observe::Gathered;
use super::context::Context;
use super::context::proofs::Order;
use super::memory::index::Key;
use crate::api::{SalesforceIntegration, SalesforceIntegrationStatus, conditions, now};
use crate::decide;
use crate::decide::decide;
use crate::decide::runs::acceptance::{Acceptance, Heard, RefusedObject};

pub(crate) async fn reconcile(
    key: &Key,
    context: Arc<Context>,
    at_once: &Semaphore,
) -> Result<Action, Error> {
    for stores in &context.stores {
        // Its own children must be known; a namespace that cannot be watched holds no rival.
        if stores.holds(&key.namespace) {
            stores.listed().await;
        } else {
            stores.told().await;
        }
    }
    // It is never closed.
    let _permit = at_once.acquire().await;
    let Some(resource) = context.integration(key) else {
        return Ok(Action::await_change());
    };
    let began = Instant::now();
    if !context.turns.begins(key, began) {
        return Ok(Action::requeue(context.turns.pause()));
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
        return Ok(Action::await_change());
    }
    let credential_before = credential_of(resource.status.as_ref());
    let asked_at = now();
    let mut gathered = Gathered::about(context, &resource).await?;
    let mut plan = decide(&gathered.observed(context, &resource, None), now());
    if let (Some(cause), Some((credentials, fingerprint)), Ok(settings)) =
        (plan.prove, gathered.credentials.take(), &gathered.settings)
    {
        tracing::info!(
            namespace = resource.namespace(),
            name = resource.name_any(),
            ?cause,
            "proving the connection"
        );
        let organization = resource
            .status
            .as_ref()
            .and_then(|status| status.organization.as_ref())
            .map(|organization| organization.id.as_str());
        let attempt = Attempt::new(
            Arc::clone(context),
            Arc::clone(&resource),
            fingerprint.to_string(),
        );
        let order = Order {
            settings,
            credentials,
            fingerprint,
            organization,
            asked_at,
            before_login: attempt.before_login(),
            sent_at: &|| attempt.sent_at(),
        };
        let proof = context.proofs.prove(order).await;
        resource = attempt.ended()?;
        plan = decide(&gathered.observed(context, &resource, Some(&proof)), now());
    }
    let mut look_again = plan.look_again;
    if plan.cron_job.is_some() && gathered.cron_jobs.is_empty() {
        look_again = look_again.min(first_look_at_cron_job(&resource));
    }
    let key = Key::of(resource.as_ref());
    let carried_out = act::carry_out(
        context,
        &resource,
        gathered.settings.as_ref().ok(),
        &plan,
        &gathered.cron_jobs,
    )
    .await;
    let acceptance = context.acceptance(&key).after(
        heard(&carried_out, plan.run.as_ref()),
        conditions::is_refused_by_cluster(&plan.status.conditions),
    );
    if acceptance == Acceptance::Accepted {
        look_again = Duration::ZERO;
    }
    context.note_acceptance(&key, acceptance);
    // Whatever failed after the status was written, these runs are in it.
    if !matches!(carried_out, Err(Error::Gone | Error::Status(_))) {
        context.note_runs(&key, gathered.jobs);
    }
    match carried_out {
        Err(Error::Gone) => Ok(Action::await_change()),
        Err(error) => Err(error),
        Ok(carried_out) => {
            if let Some(before) = credential_before
                && credential_of(Some(&plan.status)).as_ref() != Some(&before)
            {
                context.leave_session(&key, &before);
            }
            Ok(Action::requeue(match carried_out {
                CarriedOut::Whole => look_again,
                CarriedOut::PutOff => context.turns.pause(),
            }))
        }
    }
}

/// What the cluster made of an attempt to write everything.
fn heard(carried_out: &Result<CarriedOut, Error>, job: Option<&Job>) -> Heard {
    let error = match carried_out {
        Ok(CarriedOut::Whole) => return Heard::Taken,
        Ok(CarriedOut::PutOff) => return Heard::Nothing,
        Err(error) => error,
    };
    let Some(kube::Error::Api(status)) = error.cause() else {
        return Heard::Nothing;
    };
    let said = status.message.clone();
    let object = match (error, job) {
        (Error::CronJob(_), _) => RefusedObject::CronJob(said),
        (Error::TokenSecret(_), _) => RefusedObject::Tokens,
        (Error::Job(_), Some(job)) => RefusedObject::Job(job.name_any(), said),
        _ => return Heard::Nothing,
    };
    match status.code {
        // The same attempt a moment later changes nothing.
        400 | 403 | 405 | 413 | 422 => Heard::Refused(object),
        // A webhook that is not there, if it goes on.
        500 => Heard::Failed(object),
        _ => Heard::Nothing,
    }
}

fn credential_of(status: Option<&SalesforceIntegrationStatus>) -> Option<String> {
    status?.connection.as_ref()?.credentials_version.clone()
}

/// A CronJob of ours wakes nobody when the watch brings it; when its first run would be overdue is seen this much later, spread over
/// minutes and well before it could be.
fn first_look_at_cron_job(resource: &SalesforceIntegration) -> Duration {
    let spread =
        decide::rules::schedule::place(&resource.uid().unwrap_or_default(), "CronJob") % 300;
    Duration::from_secs(300 + spread)
}

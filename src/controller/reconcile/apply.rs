//! Applies a plan and decides nothing. Objects that are already as desired are not written, so that
//! a steady state costs no write.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use jiff::Timestamp;
use k8s_openapi::api::batch::v1::{CronJob, Job};
use k8s_openapi::api::core::v1::Secret;
use kube::api::{DeleteParams, Preconditions};
use kube::{Api, Resource, ResourceExt};
use secrecy::ExposeSecret;

use super::error::{Error, WithoutWords};
use super::owned::Write;
use super::status::write_status;
use super::{directory, finalizer, owned};
use crate::api::{SalesforceIntegration, Settings, TOKENS_VERSION, now};
use crate::controller::context::Context;
use crate::controller::context::mail::QUEUE_FULL;
use crate::controller::memory::index::{Tokens, WatchedKind};
use crate::controller::memory::key::Key;
use crate::controller::memory::{expect_write, observed_write};
use crate::decide::{LiveCronJob, Notice, Plan, Retire, children};
use crate::directory::{Claims, Purpose};
use crate::error::Chain;

/// What the tokens are for, by their key in the Secret.
const PURPOSES: [(&str, Purpose); 5] = [
    ("ingest", Purpose::Ingest),
    ("lookup", Purpose::Lookup),
    ("worker", Purpose::Worker),
    ("admin", Purpose::Admin),
    ("privacy", Purpose::Privacy),
];

/// How much of a plan was applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Applied {
    /// All of it.
    Whole,
    /// Only the status. New cluster objects and the Events follow after other integrations had
    /// their turn.
    Deferred,
}

/// Applies a plan for `resource`.
///
/// # Errors
/// The first request that the API server refused. The next reconcile finds the remaining work.
pub(crate) async fn apply(
    context: &Context,
    resource: &SalesforceIntegration,
    settings: Option<&Settings>,
    plan: &Plan,
    live: &[Arc<LiveCronJob>],
) -> Result<Applied, Error> {
    let key = Key::of(resource);
    // The finalizer comes before anything is kept for the integration.
    let finalized = match plan.finalizer {
        Some(wanted) => finalizer::bring(context, resource, wanted).await.map(Some),
        None => Ok(None),
    };
    let (resource, finalized) = match finalized {
        Ok(Some(brought)) => (Cow::Owned(brought), Ok(())),
        Ok(None) => (Cow::Borrowed(resource), Ok(())),
        Err(Error::Gone) => return Err(Error::Gone),
        Err(error) => (Cow::Borrowed(resource), Err(error)),
    };
    let resource = resource.as_ref();
    // The Job is created before the status records the request as handled. Its name makes a second
    // attempt harmless.
    let started = match &plan.run {
        Some(job) => create_once(context, resource, job).await,
        None => Ok(()),
    };
    let before = resource.status.as_ref();
    let plan = match &started {
        Ok(()) => Cow::Borrowed(plan),
        Err(_) => Cow::Owned(plan.clone().without_run(before)),
    };
    // The directory is told before the status says so; to tell it twice does no harm.
    let revoked = match (plan.revoke, settings) {
        (Some(at), Some(settings)) => revoke(context, resource, settings, at).await,
        _ => Ok(()),
    };
    let plan = match &revoked {
        Ok(()) => plan,
        Err(error) => {
            let problem = Chain(error).to_string();
            Cow::Owned(plan.into_owned().without_revocation(before, &problem))
        }
    };
    let written = write_status(context, resource, &plan.status).await?;
    if written.is_none() && makes_anew(&plan, live) {
        still_there(context, resource).await?;
    }
    for run in &plan.ended_runs {
        context.metrics.run_ended(run);
    }
    // On record now: whatever happens from here on, they are not sent twice.
    for parcel in context.mail.send(resource, &plan.letters) {
        context.give_up(&parcel, QUEUE_FULL).await;
    }
    if plan.is_first(live) && context.memory.defer(&key, &plan.notices, Instant::now()) {
        return Ok(Applied::Deferred);
    }
    let written = write_children(context, resource, settings, &plan, live).await;
    // Events are published even when writing the children failed: they report what the status now
    // holds.
    for notice in context
        .memory
        .take_deferred(&key)
        .iter()
        .chain(&plan.notices)
    {
        publish(context, resource, notice).await;
    }
    let all = started.and(written).and(revoked).and(finalized);
    all.map(|()| Applied::Whole)
}

/// Whether the plan makes objects that do not stand.
fn makes_anew(plan: &Plan, live: &[Arc<LiveCronJob>]) -> bool {
    let stands = |name: String| live.iter().any(|live| live.name == name);
    let makes = plan.cron_job.as_ref();
    plan.mint_tokens || makes.is_some_and(|wanted| !stands(wanted.name_any()))
}

/// Asks the API server whether the integration is there, where no write has shown it. A watch that
/// lags shows one that is gone: its children would be made again as often as the cluster collects
/// them.
async fn still_there(context: &Context, resource: &SalesforceIntegration) -> Result<(), Error> {
    let namespace = resource.namespace().unwrap_or_default();
    let api = Api::<SalesforceIntegration>::namespaced(context.client.clone(), &namespace);
    let found = api.get_metadata_opt(&resource.name_any()).await;
    let found = found.map_err(Error::Integration)?;
    match found.is_some_and(|found| found.uid() == resource.uid()) {
        true => Ok(()),
        false => Err(Error::Gone),
    }
}

async fn write_children(
    context: &Context,
    resource: &SalesforceIntegration,
    settings: Option<&Settings>,
    plan: &Plan,
    live: &[Arc<LiveCronJob>],
) -> Result<(), Error> {
    let namespace = resource.namespace().unwrap_or_default();
    let tokens = match settings {
        Some(settings) if plan.mint_tokens => mint_tokens(context, resource, settings).await,
        _ => Ok(()),
    };
    let cron_jobs = Api::<CronJob>::namespaced(context.client.clone(), &namespace);
    let applied = match &plan.cron_job {
        // Without tokens no run could start, so no new CronJob is written. An existing CronJob is
        // written all the same: the plan may suspend it.
        Some(wanted) if tokens.is_ok() || !live.is_empty() => {
            apply_cron_job(context, resource, wanted, live).await
        }
        _ => Ok(()),
    };
    let mut retired = Ok(());
    for retire in &plan.retire {
        let (Retire::Delete(name) | Retire::Suspend(name)) = retire;
        let Some(live) = live.iter().find(|live| live.name == *name) else {
            continue;
        };
        let done = match retire {
            Retire::Delete(_) => {
                let deleted = delete(&cron_jobs, name, live.uid.as_ref()).await;
                deleted.map_err(Error::CronJob)
            }
            Retire::Suspend(_) => suspend(context, resource, live).await,
        };
        retired = retired.and(done);
    }
    let jobs = Api::<Job>::namespaced(context.client.clone(), &namespace);
    let mut ended = Ok(());
    for job in &plan.end_jobs {
        let deleted = delete(&jobs, &job.name, job.uid.as_ref()).await;
        ended = ended.and(deleted.map_err(Error::EndJob));
    }
    tokens.and(applied).and(retired).and(ended)
}

/// Writes the CronJob unless the one on the server is already as desired. The object is read from
/// the server only when its state is not known, after a restart or an edit.
async fn apply_cron_job(
    context: &Context,
    resource: &SalesforceIntegration,
    wanted: &CronJob,
    live: &[Arc<LiveCronJob>],
) -> Result<(), Error> {
    let (key, name) = (Key::of(resource), wanted.name_any());
    let kept = live.iter().find(|live| live.name == name);
    if kept.is_some_and(|kept| context.memory.is_applied(&key, wanted, kept)) {
        return Ok(());
    }
    let expect = || expect_write(&mut context.index(), wanted, kept.map(AsRef::as_ref));
    let write = Write {
        client: &context.client,
        resource,
        wanted,
        stands: kept.is_some(),
    };
    let onto = |found| children::cron_job_onto(found, wanted);
    let stands = write.apply(onto, expect).await.map_err(|failure| {
        let key = Key::of(wanted);
        let _ = context.index().forget_observed(WatchedKind::CronJob, &key);
        Error::of(failure, Error::CronJob)
    })?;
    observed_write(&mut context.index(), &stands);
    context.memory.record_applied(&key, wanted, &stands);
    Ok(())
}

/// Mints new tokens, then has the directory refuse the older ones. In this order runs find a token
/// that is good.
async fn revoke(
    context: &Context,
    resource: &SalesforceIntegration,
    settings: &Settings,
    at: Timestamp,
) -> Result<(), Error> {
    mint_tokens(context, resource, settings).await?;
    let (company, region) = (&settings.company_id, settings.region);
    let issued_at = now().max(at);
    let directory = directory::client(context, company, Purpose::Controller, region, issued_at)
        .map_err(Error::Revocation)?;
    let holds = directory.revoke_tokens_before(at).await;
    let holds = holds.map_err(|error| Error::Revocation(error.into()))?;
    tracing::info!(%holds, "the directory refuses older tokens of the company");
    Ok(())
}

async fn mint_tokens(
    context: &Context,
    resource: &SalesforceIntegration,
    settings: &Settings,
) -> Result<(), Error> {
    let mut tokens = BTreeMap::new();
    let sources = context.token_sources(resource);
    let not_before = sources.not_before.unwrap_or(Timestamp::MIN);
    let claims = |purpose| Claims {
        company: settings.company_id.clone(),
        purpose,
        region: settings.region,
        issued_at: now().max(not_before),
        expires_at: None,
    };
    for (name, purpose) in PURPOSES {
        let token = context.token_keys.mint(&claims(purpose));
        let token = token.map_err(Error::Token)?;
        tokens.insert(name, token.expose_secret().to_owned());
    }
    let secret = children::token_secret(resource, settings, &sources, tokens);
    let key = Key::of(&secret);
    let version = secret.annotations().get(TOKENS_VERSION);
    let uid = resource.uid();
    let stands = context.index().holds_tokens(&key, uid.as_deref());
    let write = Write {
        client: &context.client,
        resource,
        wanted: &secret,
        stands,
    };
    let is_good = |name: &str, value: &[u8]| {
        let purpose = PURPOSES.iter().find(|(known, _)| *known == name);
        let token = std::str::from_utf8(value).ok();
        purpose.zip(token).is_some_and(|((_, purpose), token)| {
            let stands = context.token_keys.verify(token, now());
            let wanted = claims(*purpose);
            stands.is_ok_and(|stands| {
                stands.issued_at >= not_before
                    && Claims {
                        issued_at: stands.issued_at,
                        ..wanted
                    } == stands
            })
        })
    };
    let onto = |found: Secret| {
        // A changed key or company wants new tokens, all of them.
        let found_version = found.annotations().get(TOKENS_VERSION);
        let same_sources = found_version
            .zip(version)
            .is_some_and(|(found, wanted)| children::are_same_tokens(found, wanted));
        children::token_secret_onto(found, &secret, |name, value| {
            same_sources && is_good(name, value)
        })
    };
    // This happens before the write, so that the watch event causes no reconcile. The event may
    // arrive before the response.
    let expect = || {
        let expected = Tokens {
            version: version.cloned().unwrap_or_default(),
            owner: Some(Key::of(resource)),
            owner_uid: uid.clone(),
            ..Tokens::default()
        };
        context.index().expect_tokens(key.clone(), expected);
    };
    match write.apply(onto, expect).await {
        Ok(written) => {
            let version = written.resource_version();
            context.index().tokens_are(&key, version);
            Ok(())
        }
        Err(failure) => {
            context.index().forget_tokens(&key);
            Err(Error::of(failure, |error| {
                Error::TokenSecret(WithoutWords(error))
            }))
        }
    }
}

async fn create_once(
    context: &Context,
    resource: &SalesforceIntegration,
    job: &Job,
) -> Result<(), Error> {
    let client = &context.client;
    if owned::create(client, job)
        .await
        .map_err(Error::Job)?
        .is_some()
    {
        return Ok(());
    }
    let (namespace, name) = (job.namespace().unwrap_or_default(), job.name_any());
    let found = owned::job(client, &namespace, &name);
    match found.await.map_err(Error::Job)? {
        Some(found) => owned::judge(&found, resource).map_err(Error::NotOurs),
        // It has run and is gone.
        None => Ok(()),
    }
}

async fn suspend(
    context: &Context,
    resource: &SalesforceIntegration,
    live: &LiveCronJob,
) -> Result<(), Error> {
    if live.suspended {
        return Ok(());
    }
    let namespace = resource.namespace().unwrap_or_default();
    let found = owned::get::<CronJob>(&context.client, &namespace, &live.name);
    let Some(mut found) = found.await.map_err(Error::CronJob)? else {
        return Ok(());
    };
    owned::judge(&found, resource).map_err(Error::NotOurs)?;
    found.spec.get_or_insert_default().suspend = Some(true);
    let written = owned::replace(&context.client, &found).await;
    written.map(drop).map_err(Error::CronJob)
}

/// Deletes an object with its pods, if it is still the one that was decided on.
async fn delete<K>(api: &Api<K>, name: &str, uid: Option<&String>) -> Result<(), kube::Error>
where
    K: Clone + std::fmt::Debug + serde::de::DeserializeOwned,
{
    let same = Preconditions {
        uid: uid.cloned(),
        resource_version: None,
    };
    let params = DeleteParams::background().preconditions(same);
    match api.delete(name, &params).await {
        Err(kube::Error::Api(error)) if error.code == 404 => Ok(()),
        // A conflict is decided anew, too: it may bring no event by which this is looked at again.
        deleted => deleted.map(drop),
    }
}

/// Publishes an Event once, without a retry: the status holds the same information.
pub(crate) async fn publish(context: &Context, resource: &SalesforceIntegration, notice: &Notice) {
    tracing::info!(reason = notice.reason.as_str(), "{}", notice.note);
    if let Err(error) = context
        .recorder
        .publish(notice, resource.object_ref(&()))
        .await
    {
        tracing::warn!(error = %Chain(&error), reason = notice.reason.as_str(), "the Event could not be written");
    }
}

#[cfg(test)]
mod tests {
    use http::{Request, Response};
    use kube::client::Body;
    use serde_json::json;

    use super::*;

    #[tokio::test]
    async fn what_could_not_be_deleted_is_decided_anew_and_what_is_gone_is_gone() {
        for (code, is_gone) in [(404, true), (409, false), (500, false)] {
            let service = tower::service_fn(move |_: Request<Body>| async move {
                let body = json!({"kind": "Status", "status": "Failure", "code": code});
                let answer = Response::builder().status(code);
                answer.body(Body::from(body.to_string().into_bytes()))
            });
            let api: Api<Job> = Api::namespaced(kube::Client::new(service, "acme"), "acme");
            let deleted = delete(&api, "acme-lookup", None).await;
            assert_eq!(deleted.is_ok(), is_gone, "{code}: {deleted:?}");
        }
    }
}

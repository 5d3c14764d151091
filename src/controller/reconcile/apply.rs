//! Applies a plan and decides nothing. Objects that are already as desired are not written, so that
//! a steady state costs no write.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use k8s_openapi::api::batch::v1::{CronJob, Job};
use k8s_openapi::api::core::v1::Secret;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use kube::core::Request;
use kube::{Api, Resource, ResourceExt};
use secrecy::ExposeSecret;
use serde::de::IgnoredAny;
use serde_json::{Value, json};

use super::error::{Error, WithoutWords};
use super::status::write_status;
use crate::api::{MANAGER, SalesforceIntegration, Settings, TOKENS_VERSION, now};
use crate::controller::cluster::api_server;
use crate::controller::context::Context;
use crate::controller::context::mail::QUEUE_FULL;
use crate::controller::memory::key::Key;
use crate::controller::memory::{expect_write, observed_write};
use crate::decide::{LiveCronJob, Notice, Plan, Retire, children};
use crate::directory::{Claims, Purpose};
use crate::error::Chain;

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
    let namespace = resource.namespace().unwrap_or_default();
    let key = Key::of(resource);
    // The Job is created before the status records the request as handled. Its name makes a second
    // attempt harmless.
    let started = match &plan.run {
        Some(job) => {
            let jobs = Api::<Job>::namespaced(context.client.clone(), &namespace);
            create_once(&jobs, job).await
        }
        None => Ok(()),
    };
    let plan = match &started {
        Ok(()) => Cow::Borrowed(plan),
        Err(_) => Cow::Owned(plan.clone().without_run(resource.status.as_ref())),
    };
    write_status(context, resource, &plan.status).await?;
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
    started.and(written).map(|()| Applied::Whole)
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
        Some(settings) if plan.mint_tokens => {
            mint_tokens(context, resource, settings, &namespace).await
        }
        _ => Ok(()),
    };
    let cron_jobs = Api::<CronJob>::namespaced(context.client.clone(), &namespace);
    let applied = match &plan.cron_job {
        // Without tokens no run could start, so no new CronJob is written. An existing CronJob is
        // written all the same: the plan may suspend it.
        Some(wanted) if tokens.is_ok() || !live.is_empty() => {
            apply_cron_job(context, resource, &cron_jobs, wanted, live).await
        }
        _ => Ok(()),
    };
    let mut retired = Ok(());
    for retire in &plan.retire {
        let done = match retire {
            Retire::Delete(name) => {
                let deleted = cron_jobs.delete(name, &DeleteParams::background()).await;
                ignore_absent(deleted.map(drop)).map_err(Error::CronJob)
            }
            Retire::Suspend(name) => suspend(&cron_jobs, live, name).await,
        };
        retired = retired.and(done);
    }
    tokens.and(applied).and(retired)
}

/// Writes the CronJob unless the one on the server is already as desired. The object is read from
/// the server only when its state is not known, after a restart or an edit.
async fn apply_cron_job(
    context: &Context,
    resource: &SalesforceIntegration,
    api: &Api<CronJob>,
    wanted: &CronJob,
    live: &[Arc<LiveCronJob>],
) -> Result<(), Error> {
    let (key, name) = (Key::of(resource), wanted.name_any());
    let mut found = None;
    let kept = live.iter().find(|live| live.name == name);
    if let Some(kept) = kept {
        if context.memory.is_applied(&key, wanted, kept) {
            return Ok(());
        }
        let whole = api.get_opt(&name).await.map_err(Error::CronJob)?;
        found = whole.filter(|whole| says(whole, wanted));
    }
    let stands = match found {
        Some(stands) => stands,
        None => {
            let apply = PatchParams::apply(MANAGER).force();
            expect_write(&mut context.index(), wanted, kept.map(AsRef::as_ref));
            let written = api
                .patch(&name, &apply, &Patch::Apply(typed(wanted)))
                .await
                .map_err(Error::CronJob)?;
            observed_write(&mut context.index(), &written);
            written
        }
    };
    context.memory.record_applied(&key, wanted, &stands);
    Ok(())
}

async fn mint_tokens(
    context: &Context,
    resource: &SalesforceIntegration,
    settings: &Settings,
    namespace: &str,
) -> Result<(), Error> {
    let mut tokens = BTreeMap::new();
    for (name, purpose) in [
        ("ingest", Purpose::Ingest),
        ("lookup", Purpose::Lookup),
        ("worker", Purpose::Worker),
        ("admin", Purpose::Admin),
    ] {
        let claims = Claims {
            company: settings.company_id.clone(),
            purpose,
            region: settings.region,
            issued_at: now(),
            expires_at: None,
        };
        let token = context.token_keys.mint(&claims).map_err(Error::Token)?;
        tokens.insert(name, token.expose_secret().to_owned());
    }
    let sources = context.token_sources();
    let secret = children::token_secret(resource, settings, &sources, tokens);
    let key = Key::of(&secret);
    let version = secret.annotations().get(TOKENS_VERSION).cloned();
    // This happens before the write, so that the watch event causes no reconcile. The event may
    // arrive before the response.
    if let Some(version) = version {
        let owner = Some(Key::of(resource));
        context.index().note_tokens(key.clone(), owner, version);
    }
    let request = Request::new(Secret::url_path(&(), Some(namespace))).patch(
        &secret.name_any(),
        &PatchParams::apply(MANAGER).force(),
        &Patch::Apply(typed(&secret)),
    );
    let written = api_server::request::<IgnoredAny>(&context.client, request).await;
    if written.is_err() {
        context.index().forget_tokens(&key);
    }
    written
        .map(drop)
        .map_err(|error| Error::TokenSecret(WithoutWords(error)))
}

async fn create_once(api: &Api<Job>, job: &Job) -> Result<(), Error> {
    match api
        .create(
            &PostParams {
                field_manager: Some(MANAGER.into()),
                ..PostParams::default()
            },
            job,
        )
        .await
    {
        Err(kube::Error::Api(error)) if error.is_already_exists() => Ok(()),
        created => created.map(drop).map_err(Error::Job),
    }
}

async fn suspend(api: &Api<CronJob>, live: &[Arc<LiveCronJob>], name: &str) -> Result<(), Error> {
    let already = live.iter().any(|live| live.name == name && live.suspended);
    if already {
        return Ok(());
    }
    let patch = Patch::Merge(json!({"spec": {"suspend": true}}));
    ignore_absent(
        api.patch(
            name,
            &PatchParams {
                field_manager: Some(MANAGER.into()),
                ..PatchParams::default()
            },
            &patch,
        )
        .await
        .map(drop),
    )
    .map_err(Error::CronJob)
}

fn ignore_absent(result: Result<(), kube::Error>) -> Result<(), kube::Error> {
    match result {
        Err(kube::Error::Api(error)) if error.code == 404 => Ok(()),
        result => result,
    }
}

/// Publishes an Event once, without a retry: the status holds the same information.
async fn publish(context: &Context, resource: &SalesforceIntegration, notice: &Notice) {
    tracing::info!(reason = notice.reason.as_str(), "{}", notice.note);
    if let Err(error) = context
        .recorder
        .publish(notice, resource.object_ref(&()))
        .await
    {
        tracing::warn!(error = %Chain(&error), reason = notice.reason.as_str(), "the Event could not be written");
    }
}

/// Adds `apiVersion` and `kind` to an object. Server-side apply requires them.
fn typed<K: Resource<DynamicType = ()> + serde::Serialize>(object: &K) -> Value {
    let mut value = serde_json::to_value(object).unwrap_or_default();
    if let Some(fields) = value.as_object_mut() {
        fields.insert("apiVersion".into(), K::api_version(&()).into());
        fields.insert("kind".into(), K::kind(&()).into());
    }
    value
}

/// Whether an object contains everything that is desired. Additions by others or by the server's
/// defaults do not matter.
fn says<K: serde::Serialize>(is: &K, wanted: &K) -> bool {
    match (serde_json::to_value(is), serde_json::to_value(wanted)) {
        (Ok(is), Ok(wanted)) => contains(&is, &wanted),
        _ => false,
    }
}

fn contains(is: &Value, wanted: &Value) -> bool {
    match (is, wanted) {
        (Value::Object(is), Value::Object(wanted)) => {
            wanted.iter().all(|(key, wanted)| match is.get(key) {
                Some(is) => contains(is, wanted),
                None => matches!(wanted, Value::Object(empty) if empty.is_empty()),
            })
        }
        (Value::Array(is), Value::Array(wanted)) => {
            is.len() == wanted.len()
                && is
                    .iter()
                    .zip(wanted)
                    .all(|(is, wanted)| contains(is, wanted))
        }
        (is, wanted) => is == wanted,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::contains;

    #[test]
    fn defaults_of_the_server_are_no_difference_and_edits_are() {
        let wanted = json!({"spec": {"suspend": false, "list": [{"name": "a"}]}});
        assert!(contains(
            &json!({"spec": {"suspend": false, "list": [{"name": "a", "default": 1}], "x": 1}, "status": {}}),
            &wanted
        ));
        assert!(!contains(
            &json!({"spec": {"suspend": true, "list": [{"name": "a"}]}}),
            &wanted
        ));
        assert!(!contains(
            &json!({"spec": {"suspend": false, "list": [{"name": "a"}, {"name": "b"}]}}),
            &wanted
        ));
        assert!(!contains(
            &json!({"spec": {"list": [{"name": "a"}]}}),
            &wanted
        ));
    }
}

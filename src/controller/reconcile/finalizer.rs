//! The finalizer by which an integration's data goes with it: it is set and taken away, and a
//! deletion waits for the directory, but never for long (docs/adr/0037).

use std::sync::Arc;
use std::time::Duration;

use kube::api::{GetParams, Patch, PatchParams};
use kube::core::Request;
use kube::runtime::controller::Action;
use kube::{Resource, ResourceExt};
use serde::Deserialize;
use serde_json::json;

use super::error::Error;
use super::{apply, directory, status};
use crate::api::conditions::{self, DATA_ERASED, Verdict};
use crate::api::{ERASE_DATA, MANAGER, SalesforceIntegration, now};
use crate::controller::cluster::api_server::{self, Written};
use crate::controller::context::Context;
use crate::decide::Notice;
use crate::decide::data::claim;
use crate::decide::data::erasure::{self, Step};

/// The pause between two parts of an erasure.
const SOON: Duration = Duration::from_millis(200);

/// The parts of an integration that are read before its finalizers are written.
#[derive(Deserialize)]
struct Stands {
    metadata: Metadata,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    uid: Option<String>,
    resource_version: Option<String>,
    #[serde(default)]
    finalizers: Vec<String>,
}

/// Sets the finalizer or takes it away. Those of others stay. Returns the integration as it then
/// is.
///
/// # Errors
/// When the API server refuses it, or the integration has changed meanwhile.
pub(crate) async fn bring(
    context: &Context,
    resource: &SalesforceIntegration,
    wanted: bool,
) -> Result<SalesforceIntegration, Error> {
    let failed = |error| match error {
        kube::Error::Api(error) if error.code == 404 => Error::Gone,
        error => Error::Finalizer(error),
    };
    let (name, namespace) = (resource.name_any(), resource.namespace());
    let request = || Request::new(SalesforceIntegration::url_path(&(), namespace.as_deref()));
    let read = request().get(&name, &GetParams::default());
    let found: Result<Stands, _> = api_server::request(&context.client, read).await;
    let found = found.map_err(failed)?.metadata;
    if found.uid != resource.uid() {
        return Err(Error::Gone);
    }
    let mut finalizers = found.finalizers;
    finalizers.retain(|one| one != ERASE_DATA);
    if wanted {
        finalizers.push(ERASE_DATA.to_owned());
    }
    // A patch and not a whole object: nothing that a tenant wrote is written. The version is that
    // of the list which is replaced.
    let patch = json!({"metadata": {
        "uid": found.uid,
        "resourceVersion": found.resource_version,
        "finalizers": finalizers,
    }});
    let params = PatchParams {
        field_manager: Some(MANAGER.into()),
        ..PatchParams::default()
    };
    let write = request().patch(&name, &params, &Patch::Merge(&patch));
    let written: Result<Written, _> = api_server::request(&context.client, write).await;
    let written = written.map_err(failed)?.metadata.resource_version;
    tracing::info!(wanted, "the finalizer is as it should be");
    let mut changed = resource.clone();
    let own = changed.finalizers_mut();
    own.clear();
    own.extend(wanted.then(|| ERASE_DATA.to_owned()));
    // A status that was decided on an older version is not written over a newer one.
    if found.resource_version == resource.resource_version() {
        changed.metadata.resource_version = written;
    }
    Ok(changed)
}

/// Goes on with the deletion of an integration: has its data erased, tells why it waits, and lets
/// it go.
///
/// # Errors
/// When the API server refuses a write. The next reconcile goes on.
pub(crate) async fn finish(
    context: &Context,
    resource: Arc<SalesforceIntegration>,
) -> Result<Action, Error> {
    let mut step = erasure::step(&resource, None, now());
    if step == Step::Erase {
        let held_before = claim::held_before(&resource);
        let outcome = directory::erase(context, &resource, held_before).await;
        tracing::info!(?outcome, "the directory was asked to erase the company");
        step = erasure::step(&resource, Some(&outcome), now());
    }
    match step {
        Step::Nothing | Step::Erase => Ok(Action::await_change()),
        Step::Wait { verdict, until } => {
            tell(context, &resource, &verdict).await?;
            let wait = until.duration_since(now());
            let wait = Duration::try_from(wait).unwrap_or_default().max(SOON);
            Ok(Action::requeue(wait))
        }
        Step::Release(event) => {
            if let Some((warning, reason, note)) = event {
                let notice = Notice {
                    warning,
                    reason: reason.into(),
                    note,
                    action: "Erase",
                };
                apply::publish(context, &resource, &notice).await;
            }
            match bring(context, &resource, false).await {
                Ok(_) | Err(Error::Gone) => Ok(Action::await_change()),
                Err(error) => Err(error),
            }
        }
    }
}

/// Writes into the status why the deletion waits, and publishes an Event, when it is news.
async fn tell(
    context: &Context,
    resource: &SalesforceIntegration,
    verdict: &Verdict,
) -> Result<(), Error> {
    let Some(verdict) = erasure::news(resource, verdict) else {
        return Ok(());
    };
    let mut status = resource.status.clone().unwrap_or_default();
    let before = conditions::verdict(&status.conditions, DATA_ERASED);
    let generation = resource.metadata.generation;
    let conditions = &mut status.conditions;
    conditions::set(conditions, DATA_ERASED, verdict.clone(), generation, now());
    status::write_status(context, resource, &status).await?;
    if before.is_none_or(|before| before.reason != verdict.reason) {
        let notice = Notice {
            warning: verdict.reason != crate::reason::Reason::Erasing,
            note: format!("{} {}", verdict.message, verdict.reason.remedy()),
            reason: verdict.reason,
            action: "Erase",
        };
        apply::publish(context, resource, &notice).await;
    }
    Ok(())
}

//! The Kubernetes objects that belong to an integration. Each has its own file with one function
//! that returns the whole object.

mod cron_job;
mod live;
mod ownership;
mod run;
mod tokens;

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use kube::{Resource, ResourceExt};

pub(crate) use self::cron_job::{cron_job, cron_job_name};
pub(crate) use self::live::{LiveCronJob, digest, is_busy, summarize};
pub(crate) use self::ownership::{
    Ownership, cron_job_onto, integration_uid, is_run_of, ownership, token_secret_onto,
};
pub(crate) use self::run::{
    RunTemplate, job_on_request, kind_of_run, pod_settings, run_template, worker_settings,
};
pub(crate) use self::tokens::{TokenSources, are_same_tokens, token_secret};
use super::runs::labels as run_labels;
pub(crate) use crate::api::token_secret_name;
use crate::api::{INTEGRATION_LABEL, MANAGED_BY_LABEL, MANAGER, RUN_LABEL, SalesforceIntegration};
use crate::run::RunKind;

/// Labels of every object that the controller creates. Humans and watches select the objects by
/// them.
fn labels(resource: &SalesforceIntegration, kind: Option<RunKind>) -> BTreeMap<String, String> {
    let mut labels = BTreeMap::from([
        (MANAGED_BY_LABEL.to_owned(), MANAGER.to_owned()),
        ("app.kubernetes.io/name".to_owned(), MANAGER.to_owned()),
        (INTEGRATION_LABEL.to_owned(), resource.name_any()),
    ]);
    if let Some(kind) = kind {
        labels.insert(RUN_LABEL.to_owned(), run_labels::label(kind).to_owned());
        labels.insert(
            "app.kubernetes.io/component".to_owned(),
            "worker".to_owned(),
        );
    }
    labels
}

fn owner(resource: &SalesforceIntegration) -> OwnerReference {
    OwnerReference {
        api_version: SalesforceIntegration::api_version(&()).into_owned(),
        kind: SalesforceIntegration::kind(&()).into_owned(),
        name: resource.name_any(),
        uid: resource.uid().unwrap_or_default(),
        controller: Some(true),
        // If this is set, a strict API server requires the right to update finalizers
        // (docs/adr/0014).
        block_owner_deletion: None,
    }
}

fn metadata(resource: &SalesforceIntegration, name: String, kind: Option<RunKind>) -> ObjectMeta {
    ObjectMeta {
        name: Some(name),
        namespace: resource.namespace(),
        labels: Some(labels(resource, kind)),
        owner_references: Some(vec![owner(resource)]),
        ..ObjectMeta::default()
    }
}

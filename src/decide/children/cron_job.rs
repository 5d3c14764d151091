//! The CronJob of an integration.

use k8s_openapi::api::batch::v1::{CronJob, CronJobSpec, JobTemplateSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::ResourceExt;

use super::{RunTemplate, labels, metadata};
use crate::api::{SalesforceIntegration, Settings};
use crate::decide::rules::schedule::Cadence;
use crate::decide::runs::labels as run_labels;
use crate::run::RunKind;

/// The name of the CronJob that starts runs of this kind.
pub(crate) fn cron_job_name(integration: &str, kind: RunKind) -> String {
    format!("{integration}-{}", run_labels::label(kind))
}

/// Builds the CronJob that starts the daily or the after-call run.
pub(crate) fn cron_job(
    resource: &SalesforceIntegration,
    settings: &Settings,
    cadence: Cadence,
    suspend: bool,
    run: &RunTemplate,
) -> CronJob {
    CronJob {
        metadata: metadata(
            resource,
            cron_job_name(&resource.name_any(), run.kind),
            Some(run.kind),
        ),
        spec: Some(CronJobSpec {
            schedule: cadence.cron(),
            time_zone: Some(settings.time_zone_name.clone()),
            suspend: Some(suspend),
            concurrency_policy: Some("Forbid".into()),
            starting_deadline_seconds: Some(cadence.starting_deadline().as_secs() as i64),
            successful_jobs_history_limit: Some(1),
            failed_jobs_history_limit: Some(3),
            job_template: JobTemplateSpec {
                metadata: Some(ObjectMeta {
                    labels: Some(labels(resource, Some(run.kind))),
                    annotations: Some(run.annotations()),
                    ..ObjectMeta::default()
                }),
                spec: Some(run.spec.clone()),
            },
        }),
        status: None,
    }
}

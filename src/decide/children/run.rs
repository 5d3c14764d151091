//! The pod of a run, and the Job of a run that the tenant requests.

use std::collections::BTreeMap;

use k8s_openapi::api::batch::v1::{Job, JobSpec};
use k8s_openapi::api::core::v1::{
    Capabilities, Container, EnvVar, KeyToPath, PodSecurityContext, PodSpec, PodTemplateSpec,
    ResourceRequirements, SeccompProfile, SecretVolumeSource, SecurityContext, Volume, VolumeMount,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::ResourceExt;

use super::tokens::short_hash;
use super::{labels, metadata, token_secret_name};
use crate::api::settings::AuthSettings;
use crate::api::status::SalesforceIntegrationStatus;
use crate::api::{API_CALLS, CREDENTIALS_VERSION, Retrieval, SalesforceIntegration, Settings};
use crate::decide::login::credentials::Credentials;
use crate::decide::rules::config::Config;
use crate::decide::rules::match_settings;
use crate::decide::runs::labels::{CONTAINER, label};
use crate::resolve::UrlLength;
use crate::run as wire;
use crate::run::{ReRetrieve, RunKind, WorkerSettings};
use crate::salesforce::Method;

const CREDENTIALS_DIR: &str = "/etc/switchboard/credentials";
const DIRECTORY_DIR: &str = "/etc/switchboard/directory";
const TERMINATION_LOG: &str = "/dev/termination-log";
/// Time between the pod's own deadline and the Job's deadline. The Job's deadline ends a Job whose
/// pod never got a node.
const SCHEDULING_GRACE_SECONDS: i64 = 600;
/// Time for which a requested Job is kept after its end, so that its logs can be read.
const KEEP_REQUESTED_SECONDS: i32 = 3600;

/// The parts that the CronJob and a Job on request have in common.
#[derive(Clone, Debug)]
pub(crate) struct RunTemplate {
    /// Kind of the run.
    pub kind: RunKind,
    /// Spec of the run's Job.
    pub spec: JobSpec,
    /// Number of API requests that the run may make; `None` means no limit.
    api_calls: Option<u64>,
}

// === impl RunTemplate ===

impl RunTemplate {
    /// Returns the annotation of the Job that states how many API requests the run may make; `None`
    /// if there is no limit.
    pub(crate) fn allowance(&self) -> Option<BTreeMap<String, String>> {
        let calls = self.api_calls?.to_string();
        Some(BTreeMap::from([(API_CALLS.to_owned(), calls)]))
    }
}

/// Returns the kind of run that an integration uses.
pub(crate) fn kind_of_run(settings: &Settings) -> RunKind {
    match settings.retrieval {
        Retrieval::AfterCall => RunKind::Lookup,
        Retrieval::Daily | Retrieval::Disabled => RunKind::Sync,
    }
}

/// Builds the run of an integration whose retrieval is not disabled. The run may make `api_calls`
/// API requests. `request_id` is the tenant's request, if it is a run on request: such a run asks
/// for the numbers of the call history again.
pub(crate) fn run_template(
    resource: &SalesforceIntegration,
    settings: &Settings,
    status: &SalesforceIntegrationStatus,
    credentials: &Credentials,
    api_calls: Option<u64>,
    request_id: Option<&str>,
    config: &Config,
) -> RunTemplate {
    let kind = kind_of_run(settings);
    let deadline = config.run_deadline.as_secs() as i64;
    let mut annotations = BTreeMap::new();
    if let Credentials::Available { fingerprint, .. } = credentials {
        annotations.insert(CREDENTIALS_VERSION.to_owned(), fingerprint.clone());
    }
    if let Some(calls) = api_calls {
        annotations.insert(API_CALLS.to_owned(), calls.to_string());
    }
    let spec = JobSpec {
        // No retry: the next run does the work of a failed run, and a retry would only repeat a
        // refused log-in.
        backoff_limit: Some(0),
        active_deadline_seconds: Some(deadline + SCHEDULING_GRACE_SECONDS),
        template: PodTemplateSpec {
            metadata: Some(ObjectMeta {
                labels: Some(labels(resource, Some(kind))),
                annotations: Some(annotations).filter(|annotations| !annotations.is_empty()),
                ..ObjectMeta::default()
            }),
            spec: Some(pod(
                resource,
                settings,
                credentials,
                kind,
                deadline,
                worker_settings(resource, settings, status, api_calls, request_id, config),
                config,
            )),
        },
        ..JobSpec::default()
    };
    RunTemplate {
        kind,
        spec,
        api_calls,
    }
}

/// Builds the Job of a run that the tenant requests. Its name is derived from `request_id`, so that
/// one request is one Job, however often it is made.
pub(crate) fn job_on_request(
    resource: &SalesforceIntegration,
    run: &RunTemplate,
    request_id: &str,
) -> Job {
    let hash = short_hash(&resource.uid().unwrap_or_default(), request_id);
    let name = format!("{}-{}-{hash}", resource.name_any(), label(run.kind));
    Job {
        metadata: ObjectMeta {
            annotations: run.allowance(),
            ..metadata(resource, name, Some(run.kind))
        },
        spec: Some(JobSpec {
            ttl_seconds_after_finished: Some(KEEP_REQUESTED_SECONDS),
            ..run.spec.clone()
        }),
        status: None,
    }
}

fn pod(
    resource: &SalesforceIntegration,
    settings: &Settings,
    credentials: &Credentials,
    kind: RunKind,
    deadline: i64,
    worker_settings: String,
    config: &Config,
) -> PodSpec {
    PodSpec {
        // The worker needs nothing from the API server: settings and secrets are in the pod, and
        // the result is in its termination message.
        automount_service_account_token: Some(false),
        enable_service_links: Some(false),
        restart_policy: Some("Never".into()),
        // The pod needs its own deadline: at a Job's deadline, the pod is deleted together with its
        // report.
        active_deadline_seconds: Some(deadline),
        termination_grace_period_seconds: Some(30),
        security_context: Some(PodSecurityContext {
            run_as_non_root: Some(true),
            seccomp_profile: Some(SeccompProfile {
                type_: "RuntimeDefault".into(),
                localhost_profile: None,
            }),
            ..PodSecurityContext::default()
        }),
        volumes: Some(vec![
            secret_volume(
                "credentials",
                &settings.auth.secret,
                &credential_keys(&settings.auth, credentials),
            ),
            secret_volume(
                "directory",
                &token_secret_name(&resource.name_any()),
                if config.ca_bundle.is_some() {
                    &["worker", "ca.crt"]
                } else {
                    &["worker"]
                },
            ),
        ]),
        containers: vec![Container {
            name: CONTAINER.into(),
            image: Some(config.worker_image.clone()),
            image_pull_policy: Some(config.image_pull_policy.clone()),
            args: Some(arguments(kind, config)),
            env: Some(environment(worker_settings, config)),
            resources: Some(ResourceRequirements {
                requests: Some(quantities(&[("cpu", "10m"), ("memory", "32Mi")])),
                limits: Some(quantities(&[("memory", &config.worker_memory)])),
                ..ResourceRequirements::default()
            }),
            security_context: Some(SecurityContext {
                allow_privilege_escalation: Some(false),
                read_only_root_filesystem: Some(true),
                capabilities: Some(Capabilities {
                    drop: Some(vec!["ALL".into()]),
                    add: None,
                }),
                ..SecurityContext::default()
            }),
            termination_message_path: Some(TERMINATION_LOG.into()),
            termination_message_policy: Some("File".into()),
            volume_mounts: Some(vec![
                mount("credentials", CREDENTIALS_DIR),
                mount("directory", DIRECTORY_DIR),
            ]),
            ..Container::default()
        }],
        ..PodSpec::default()
    }
}

fn environment(settings: String, config: &Config) -> Vec<EnvVar> {
    let proxy = config.worker_proxy.iter().cloned();
    [
        (wire::SETTINGS_ENV.to_owned(), settings),
        ("RUST_LOG".to_owned(), config.worker_log.clone()),
    ]
    .into_iter()
    .chain(proxy)
    .map(|(name, value)| EnvVar {
        name,
        value: Some(value),
        value_from: None,
    })
    .collect()
}

fn arguments(kind: RunKind, config: &Config) -> Vec<String> {
    let mut arguments = vec![
        "worker".into(),
        label(kind).into(),
        format!("--credentials-dir={CREDENTIALS_DIR}"),
        format!("--directory-token-file={DIRECTORY_DIR}/worker"),
        format!("--termination-log={TERMINATION_LOG}"),
    ];
    if config.ca_bundle.is_some() {
        arguments.push(format!("--ca-bundle={DIRECTORY_DIR}/ca.crt"));
    }
    arguments
}

fn worker_settings(
    resource: &SalesforceIntegration,
    settings: &Settings,
    status: &SalesforceIntegrationStatus,
    max_api_calls: Option<u64>,
    request_id: Option<&str>,
    config: &Config,
) -> String {
    let organization = status.organization.as_ref();
    let namespace = resource.namespace().unwrap_or_default();
    let settings = WorkerSettings {
        version: wire::SETTINGS_VERSION.into(),
        company_id: settings.company_id.clone(),
        salesforce: wire::SalesforceSettings {
            environment: settings.environment,
            login_url: Some(settings.login_url.clone()),
            api_version: settings.api_version,
            auth: worker_auth(&settings.auth),
            hosts: config.salesforce_hosts.clone(),
            allow_private_networks: config.allow_private_networks,
        },
        directory: wire::DirectorySettings {
            url: config.directory_url.clone(),
        },
        region: settings.region,
        time_zone: settings.time_zone_name.clone(),
        person_accounts: organization.and_then(|organization| organization.person_accounts),
        instance_url: None,
        url_length: organization
            .and_then(|organization| organization.query_url_length.as_ref())
            .map(|known| UrlLength {
                bytes: known.bytes,
                refused: known.refused,
            }),
        max_api_calls,
        match_settings: match_settings::fingerprint(settings, status),
        second_question: settings.second_question,
        re_retrieve: request_id.map(|request_id| ReRetrieve {
            request: short_hash(&resource.uid().unwrap_or_default(), request_id),
            history_days: settings.history_days,
        }),
        run: Some(format!("{namespace}/{}", resource.name_any())),
    };
    settings.to_json()
}

fn worker_auth(auth: &AuthSettings) -> wire::AuthSettings {
    let user = || wire::UserSettings {
        username: auth.username.clone().unwrap_or_default(),
    };
    match auth.method {
        Method::Password => wire::AuthSettings::Password(user()),
        Method::OauthPassword => wire::AuthSettings::OauthPassword(user()),
        Method::JwtBearer => wire::AuthSettings::JwtBearer(user()),
        Method::ClientCredentials => wire::AuthSettings::ClientCredentials {},
    }
}

/// Returns only the keys that the log-in method uses, so that other keys of the Secret stay out of
/// the pod. An optional key that the Secret lacks must not be listed: a pod that refers to it never
/// starts.
fn credential_keys<'a>(auth: &AuthSettings, credentials: &'a Credentials) -> Vec<&'a str> {
    match credentials {
        Credentials::Available { keys, .. } => keys.iter().map(String::as_str).collect(),
        _ => auth
            .method
            .keys()
            .iter()
            .filter(|key| key.required)
            .map(|key| key.name)
            .collect(),
    }
}

fn secret_volume(name: &str, secret: &str, keys: &[&str]) -> Volume {
    Volume {
        name: name.into(),
        secret: Some(SecretVolumeSource {
            secret_name: Some(secret.into()),
            items: Some(
                keys.iter()
                    .map(|key| KeyToPath {
                        key: (*key).into(),
                        path: (*key).into(),
                        mode: None,
                    })
                    .collect(),
            ),
            default_mode: Some(0o444),
            optional: None,
        }),
        ..Volume::default()
    }
}

fn mount(name: &str, path: &str) -> VolumeMount {
    VolumeMount {
        name: name.into(),
        mount_path: path.into(),
        read_only: Some(true),
        ..VolumeMount::default()
    }
}

fn quantities(pairs: &[(&str, &str)]) -> BTreeMap<String, Quantity> {
    pairs
        .iter()
        .map(|(name, quantity)| ((*name).to_owned(), Quantity((*quantity).to_owned())))
        .collect()
}

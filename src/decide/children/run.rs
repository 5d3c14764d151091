//! The pod of a run, and the Job of a run that the tenant requests.

use std::collections::BTreeMap;

use k8s_openapi::api::batch::v1::{Job, JobSpec};
use k8s_openapi::api::core::v1::{
    Capabilities, Container, EnvVar, KeyToPath, LocalObjectReference, PodSecurityContext, PodSpec,
    PodTemplateSpec, ResourceRequirements, SeccompProfile, SecretVolumeSource, SecurityContext,
    TopologySpreadConstraint, Volume, VolumeMount,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};
use kube::ResourceExt;

use super::tokens::{CA_KEY, DIRECTORY_CA_KEY, short_hash};
use super::{labels, metadata, token_secret_name};
use crate::api::settings::AuthSettings;
use crate::api::status::SalesforceIntegrationStatus;
use crate::api::{
    API_CALLS, CREDENTIALS_VERSION, MANAGED_BY_LABEL, MANAGER, POD_SETTINGS, Retrieval,
    SalesforceIntegration, Settings,
};
use crate::decide::login::credentials::Credentials;
use crate::decide::rules::config::Config;
use crate::decide::rules::pods::{Amount, PodTemplate};
use crate::decide::rules::{match_settings, pods};
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
    /// Digest of what is set for the pod.
    pod_settings: String,
}

// === impl RunTemplate ===

impl RunTemplate {
    /// Returns the annotations of the Job: what is set for its pod, and how many API requests the
    /// run may make, if there is a limit.
    pub(crate) fn annotations(&self) -> BTreeMap<String, String> {
        let calls = self.api_calls.map(|calls| calls.to_string());
        let calls = calls.map(|calls| (API_CALLS.to_owned(), calls));
        let settings = (POD_SETTINGS.to_owned(), self.pod_settings.clone());
        calls.into_iter().chain([settings]).collect()
    }
}

/// Returns a digest of what is set for the pods of an integration's runs.
pub(crate) fn pod_settings(settings: &Settings, config: &Config) -> String {
    let all = (&config.pod_template, &settings.run, &config.worker_memory);
    // Serializing these types to JSON cannot fail.
    short_hash("", &serde_json::to_string(&all).unwrap_or_default())
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
    let template = &config.pod_template;
    let mut annotations = template.annotations.clone();
    annotations.extend(settings.run.annotations.clone());
    let mut pod_labels = template.labels.clone();
    pod_labels.extend(settings.run.labels.clone());
    // What we read must be what we wrote, so ours go over those of others.
    pod_labels.extend(labels(resource, Some(kind)));
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
                labels: Some(pod_labels),
                annotations: Some(annotations).filter(|annotations| !annotations.is_empty()),
                ..ObjectMeta::default()
            }),
            spec: Some(pod(
                resource,
                settings,
                credentials,
                kind,
                deadline,
                worker_settings(resource, settings, status, api_calls, request_id, config)
                    .to_json(),
                config,
            )),
        },
        ..JobSpec::default()
    };
    RunTemplate {
        kind,
        spec,
        api_calls,
        pod_settings: pod_settings(settings, config),
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
            annotations: Some(run.annotations()),
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
    let template = &config.pod_template;
    PodSpec {
        // The worker needs nothing from the API server: settings and secrets are in the pod, and
        // the result is in its termination message.
        automount_service_account_token: Some(false),
        service_account_name: given(&template.service_account_name),
        enable_service_links: Some(false),
        image_pull_secrets: some(
            template
                .image_pull_secrets
                .iter()
                .map(|name| LocalObjectReference { name: name.clone() }),
        ),
        node_selector: Some(node_selector(settings, template)).filter(|all| !all.is_empty()),
        tolerations: some(
            template
                .tolerations
                .iter()
                .cloned()
                .chain(settings.run.tolerations.iter().map(pods::toleration_of)),
        ),
        affinity: template.affinity.clone(),
        topology_spread_constraints: some(
            template
                .topology_spread_constraints
                .iter()
                .cloned()
                .map(among_workers),
        ),
        priority_class_name: given(&template.priority_class_name),
        runtime_class_name: given(&template.runtime_class_name),
        // The server's defaults are said, so that any difference to what stands is an edit.
        dns_policy: Some("ClusterFirst".into()),
        scheduler_name: Some("default-scheduler".into()),
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
                &directory_keys(config),
            ),
        ]),
        containers: vec![Container {
            name: CONTAINER.into(),
            image: Some(config.worker_image.clone()),
            image_pull_policy: Some(config.image_pull_policy.clone()),
            args: Some(arguments(kind, config)),
            env: Some(environment(worker_settings, config)),
            resources: Some(requirements(template, settings, &config.worker_memory)),
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
        arguments.push(format!("--ca-bundle={DIRECTORY_DIR}/{CA_KEY}"));
    }
    if config.directory_ca {
        let file = format!("{DIRECTORY_DIR}/{DIRECTORY_CA_KEY}");
        arguments.push(format!("--directory-ca-bundle={file}"));
    }
    arguments
}

/// The keys of the Secret with the tokens that the pod gets. It never starts without one of them.
fn directory_keys(config: &Config) -> Vec<&'static str> {
    let salesforce = config.ca_bundle.is_some().then_some(CA_KEY);
    let directory = config.directory_ca.then_some(DIRECTORY_CA_KEY);
    ["worker"]
        .into_iter()
        .chain(salesforce)
        .chain(directory)
        .collect()
}

/// What a run needs to know, wherever it runs. It may make `max_api_calls` API requests.
pub(crate) fn worker_settings(
    resource: &SalesforceIntegration,
    settings: &Settings,
    status: &SalesforceIntegrationStatus,
    max_api_calls: Option<u64>,
    request_id: Option<&str>,
    config: &Config,
) -> WorkerSettings {
    let organization = status.organization.as_ref();
    let namespace = resource.namespace().unwrap_or_default();
    WorkerSettings {
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
        follow: settings.follow.map(|(mode, every)| wire::FollowSettings {
            mode,
            every_seconds: every.as_secs(),
        }),
        address_book: settings.address_book.map(|most| wire::BookSettings {
            max_records: most.min(config.max_book_records),
        }),
        re_retrieve: request_id.map(|request_id| ReRetrieve {
            request: short_hash(&resource.uid().unwrap_or_default(), request_id),
            history_days: settings.history_days,
        }),
        run: Some(format!("{namespace}/{}", resource.name_any())),
    }
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

fn requirements(
    template: &PodTemplate,
    settings: &Settings,
    worker_memory: &str,
) -> ResourceRequirements {
    let all = pods::resources(template, &settings.run, worker_memory);
    let quantities = |amounts: BTreeMap<String, Amount>| {
        let amounts = amounts.into_iter();
        amounts
            .map(|(name, Amount(amount))| (name, Quantity(amount)))
            .collect()
    };
    ResourceRequirements {
        requests: Some(quantities(all.requests)),
        limits: Some(quantities(all.limits)),
        ..ResourceRequirements::default()
    }
}

fn node_selector(settings: &Settings, template: &PodTemplate) -> BTreeMap<String, String> {
    let mut all = settings.run.node_selector.clone();
    all.extend(template.node_selector.clone());
    all
}

/// A constraint without a selector is about all workers.
fn among_workers(mut constraint: TopologySpreadConstraint) -> TopologySpreadConstraint {
    constraint.label_selector.get_or_insert_with(|| {
        let worker = [
            (MANAGED_BY_LABEL, MANAGER),
            ("app.kubernetes.io/component", "worker"),
        ];
        let worker = worker.map(|(key, value)| (key.to_owned(), value.to_owned()));
        LabelSelector {
            match_labels: Some(BTreeMap::from(worker)),
            ..LabelSelector::default()
        }
    });
    constraint
}

/// The items, unless there are none: an empty list on the server is no list.
fn some<T>(items: impl Iterator<Item = T>) -> Option<Vec<T>> {
    let items = Vec::from_iter(items);
    (!items.is_empty()).then_some(items)
}

fn given(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::fixtures;
    use crate::decide::rules::pods::PodRules;

    #[test]
    fn what_is_set_for_pods_reaches_them_and_nothing_of_ours_gives_way() {
        let text = "podTemplate:
  labels: {team: x}
  annotations: {opt: out}
  imagePullSecrets: [registry]
  serviceAccountName: workers
  nodeSelector: {pool: a}
  tolerations: [{key: t, operator: Exists}]
  topologySpreadConstraints: [{maxSkew: 1, topologyKey: zone, whenUnsatisfiable: ScheduleAnyway}]
  priorityClassName: low
  runtimeClassName: gvisor
  resources: {limits: {cpu: 1}}
";
        let config = Config {
            pod_template: PodRules::read(text, "128Mi").unwrap().pod_template,
            ..Config::default()
        };
        let acme = fixtures::integration("acme");
        let mut settings = Settings::of(&acme).unwrap();
        settings.run.labels = BTreeMap::from([
            ("cost".to_owned(), "7".to_owned()),
            (MANAGED_BY_LABEL.to_owned(), "me".to_owned()),
        ]);
        settings.run.node_selector = BTreeMap::from([("arch".to_owned(), "arm64".to_owned())]);
        let credentials = Credentials::NotRead;
        let status = SalesforceIntegrationStatus::default();
        let run = run_template(&acme, &settings, &status, &credentials, None, None, &config);
        let metadata = run.spec.template.metadata.unwrap();
        let labels = metadata.labels.unwrap();
        assert_eq!(labels[MANAGED_BY_LABEL], MANAGER);
        assert_eq!((&*labels["team"], &*labels["cost"]), ("x", "7"));
        assert_eq!(metadata.annotations.unwrap()["opt"], "out");
        let pod = serde_json::to_value(run.spec.template.spec.unwrap()).unwrap();
        let limits = serde_json::json!({"cpu": "1", "memory": "128Mi"});
        for (path, wanted) in [
            ("/imagePullSecrets/0/name", "registry".into()),
            ("/serviceAccountName", "workers".into()),
            ("/automountServiceAccountToken", false.into()),
            ("/nodeSelector/pool", "a".into()),
            ("/nodeSelector/arch", "arm64".into()),
            ("/tolerations/0/key", "t".into()),
            ("/priorityClassName", "low".into()),
            ("/runtimeClassName", "gvisor".into()),
            ("/containers/0/resources/limits", limits),
            (
                "/topologySpreadConstraints/0/labelSelector/matchLabels/app.kubernetes.io~1component",
                "worker".into(),
            ),
            ("/securityContext/runAsNonRoot", true.into()),
            (
                "/containers/0/securityContext/allowPrivilegeEscalation",
                false.into(),
            ),
        ] {
            assert_eq!(pod.pointer(path), Some(&wanted), "{path}: {pod}");
        }
    }

    #[test]
    fn the_pod_of_a_run_has_its_secrets_its_settings_and_an_end() {
        let affinity = "podTemplate: {affinity: {nodeAffinity: {}}}";
        let config = Config {
            pod_template: PodRules::read(affinity, "128Mi").unwrap().pod_template,
            run_deadline: std::time::Duration::from_secs(1_800),
            ca_bundle: Some("pem".into()),
            directory_ca: true,
            worker_proxy: vec![("HTTPS_PROXY".into(), "http://proxy".into())],
            ..Config::default()
        };
        let acme = fixtures::integration("acme");
        let settings = Settings::of(&acme).unwrap();
        let status = SalesforceIntegrationStatus::default();
        let run = |credentials: &Credentials, calls| {
            let run = run_template(&acme, &settings, &status, credentials, calls, None, &config);
            serde_json::to_value(&run.spec).unwrap()
        };
        let available = Credentials::Available {
            fingerprint: "f1".into(),
            user: "u1".into(),
            keys: vec!["password".into(), "token".into()],
        };
        let told = run(&available, Some(77));
        let pod = told.pointer("/template/spec").unwrap();
        for (path, wanted) in [
            ("/restartPolicy", "Never".into()),
            ("/dnsPolicy", "ClusterFirst".into()),
            ("/schedulerName", "default-scheduler".into()),
            ("/enableServiceLinks", false.into()),
            ("/activeDeadlineSeconds", 1_800.into()),
            ("/terminationGracePeriodSeconds", 30.into()),
            ("/affinity/nodeAffinity", serde_json::json!({})),
            (
                "/securityContext/seccompProfile/type",
                "RuntimeDefault".into(),
            ),
            (
                "/volumes/0/secret/secretName",
                settings.auth.secret.as_str().into(),
            ),
            ("/volumes/0/secret/items/0/path", "password".into()),
            ("/volumes/0/secret/items/1/key", "token".into()),
            ("/volumes/0/secret/defaultMode", 0o444.into()),
            ("/volumes/1/secret/secretName", "acme-directory".into()),
            ("/volumes/1/secret/items/0/key", "worker".into()),
            ("/containers/0/volumeMounts/0/name", "credentials".into()),
            ("/containers/0/volumeMounts/1/readOnly", true.into()),
            ("/containers/0/terminationMessagePolicy", "File".into()),
            ("/containers/0/args/0", "worker".into()),
            ("/containers/0/env/2/name", "HTTPS_PROXY".into()),
            ("/containers/0/env/2/value", "http://proxy".into()),
            (
                "/containers/0/securityContext/readOnlyRootFilesystem",
                true.into(),
            ),
            (
                "/containers/0/securityContext/capabilities/drop/0",
                "ALL".into(),
            ),
        ] {
            assert_eq!(pod.pointer(path), Some(&wanted), "{path}: {pod}");
        }
        let mounted = pod.pointer("/volumes/1/secret/items").unwrap();
        assert_eq!(mounted.as_array().unwrap().len(), 3, "{mounted}");
        let arguments = pod.pointer("/containers/0/args").unwrap().to_string();
        for argument in [
            "--credentials-dir=",
            "--directory-token-file=",
            "--termination-log=",
            "--ca-bundle=",
            "--directory-ca-bundle=",
        ] {
            assert!(arguments.contains(argument), "{argument}: {arguments}");
        }
        assert_eq!(told["backoffLimit"], 0);
        let deadline = told["activeDeadlineSeconds"].as_i64().unwrap();
        assert_eq!(deadline, 1_800 + SCHEDULING_GRACE_SECONDS);
        let annotations = told.pointer("/template/metadata/annotations").unwrap();
        assert_eq!(annotations[API_CALLS], "77");
        assert_eq!(annotations[CREDENTIALS_VERSION], "f1");
        // Before the Secret was read only what each log-in of the method needs.
        let unread = run(&Credentials::NotRead, None);
        let items = unread
            .pointer("/template/spec/volumes/0/secret/items")
            .unwrap();
        let keys = items
            .as_array()
            .unwrap()
            .iter()
            .map(|item| item["key"].clone());
        let required = settings.auth.method.keys().iter();
        let required = required.filter(|key| key.required).map(|key| key.name);
        assert_eq!(keys.collect::<Vec<_>>(), required.collect::<Vec<_>>());
        assert_eq!(unread.pointer("/template/metadata/annotations"), None);
    }
}

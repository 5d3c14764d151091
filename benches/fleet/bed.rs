//! Everything except the controller: a control plane, Salesforce, and their content.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use base64::Engine;
use futures::{StreamExt, TryStreamExt, stream};
use k8s_openapi::api::core::v1::{Namespace, Secret};
use kube::api::{ApiResource, Patch, PatchParams, PostParams};
use kube::core::Object;
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Api, Client, ResourceExt};
use salesforce_simulator::Simulator;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use switchboard::api::SalesforceIntegration;
use switchboard::decide::rules::config::RunsWhere;
use switchboard_testbed::{ControlPlane, PodRunner, Process};
use tempfile::TempDir;

use crate::controller::Controller;
use crate::tenants::{
    FLEET, FOREIGN, foreign_secret, integration, name_of, password, secret_name, secrets_of,
    tenant_secret, user_of, world,
};
use crate::{Args, DEADLINE, Result, in_time};

/// Number of measurements of the delay after a changed Secret.
const CHANGES: usize = 10;
/// The image of workers.
const IMAGE: &str = "switchboard:bench";
/// Concurrent requests of the bench while it prepares and applies.
const AT_ONCE: usize = 32;

/// An integration with only the fields that show whether it is Ready.
type Watched = Object<Ignored, Standing>;

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
struct Ignored {}

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
struct Standing {
    conditions: Vec<Condition>,
    connection: Connection,
}

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
struct Condition {
    #[serde(rename = "type")]
    type_: String,
    status: String,
}

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
struct Connection {
    credentials_version: Option<String>,
    /// Set while the answer to a log-in is pending.
    attempted_at: Option<String>,
}

/// Everything except the controller.
pub(crate) struct Bed {
    pub control_plane: ControlPlane,
    client: Client,
    pub simulator: Simulator,
    dir: TempDir,
    /// It tells the controller whose each company's data is.
    #[allow(dead_code, reason = "it ends with the bed")]
    directory: Process,
    directory_url: String,
    /// It runs pods, where runs are pods.
    #[allow(dead_code, reason = "it ends with the bed")]
    runner: Option<PodRunner>,
}

/// The program that is measured.
fn binary(args: &Args) -> PathBuf {
    if args.binary.is_absolute() {
        args.binary.clone()
    } else {
        Path::new(env!("CARGO_MANIFEST_DIR")).join(&args.binary)
    }
}

/// The address that a program tells in the log line with this text.
async fn told(process: &Process, text: &str) -> Result<String> {
    let line = process.wait_for_text(text, DEADLINE).await?;
    let line: Value = serde_json::from_str(&line)?;
    let address = line["address"].as_str().ok_or("no address in the log")?;
    Ok(format!("http://{address}"))
}

// === impl Bed ===

impl Bed {
    /// Starts the control plane and Salesforce, and creates the Secrets.
    pub(crate) async fn start(args: &Args) -> Result<Self> {
        let control_plane = ControlPlane::start().await?;
        control_plane
            .kubectl_apply(&switchboard::api::crd::yaml()?)
            .await?
            .expect_success();
        control_plane
            .kubectl([
                "wait",
                "--for=condition=Established",
                "crd/salesforceintegrations.switchboard.dev",
                "--timeout=30s",
            ])
            .await?
            .expect_success();
        let dir = tempfile::tempdir()?;
        let keys = dir.path().join("token.key");
        std::fs::write(
            &keys,
            base64::engine::general_purpose::STANDARD.encode([7; 32]),
        )?;
        let database = dir.path().join("directory.db");
        let directory = Process::builder("directory", binary(args))
            .arg("directory")
            .arg("--listen=127.0.0.1:0")
            .arg(format!("--database=sqlite:{}", database.display()))
            .arg(format!("--token-keys={}", keys.display()))
            .start()
            .await?;
        let mut bed = Self {
            client: control_plane.client(),
            control_plane,
            simulator: Simulator::start(world(args)).await?,
            dir,
            directory_url: told(&directory, "the directory listens").await?,
            directory,
            runner: None,
        };
        std::fs::write(bed.path("salesforce-ca.pem"), bed.simulator.ca_pem())?;
        for namespace in [FLEET, FOREIGN] {
            let namespace: Namespace =
                serde_json::from_value(json!({"metadata": {"name": namespace}}))?;
            Api::all(bed.client.clone())
                .create(&PostParams::default(), &namespace)
                .await?;
        }
        if args.runs_where == RunsWhere::Pods {
            let runner = PodRunner::builder(&bed.control_plane)
                .namespace(FLEET)
                .program(IMAGE, binary(args));
            bed.runner = Some(runner.start().await?);
        }
        let secrets = (0..args.foreign_secrets).map(|number| foreign_secret(args, number));
        bed.create_all(FOREIGN, stream::iter(secrets), 4).await?;
        let names = (0..secrets_of(args)).map(|number| {
            Ok(tenant_secret(
                &name_of(number),
                &password(&user_of(number), 0),
            ))
        });
        bed.create_all(FLEET, stream::iter(names), AT_ONCE).await?;
        Ok(bed)
    }

    /// Where the directory answers.
    pub(crate) fn directory_url(&self) -> &str {
        &self.directory_url
    }

    /// The revision of etcd: each write of anything in the cluster adds one.
    pub(crate) async fn revision(&self) -> Result<u64> {
        let namespaces = Api::<Namespace>::all(self.client.clone());
        let list = namespaces.list(&Default::default()).await?;
        let version = list.metadata.resource_version.unwrap_or_default();
        Ok(version.parse()?)
    }

    fn path(&self, file: &str) -> PathBuf {
        self.dir.path().join(file)
    }

    async fn create_all<K>(
        &self,
        namespace: &str,
        objects: impl StreamExt<Item = Result<K>>,
        at_once: usize,
    ) -> Result<()>
    where
        K: kube::Resource<DynamicType = (), Scope = kube::core::NamespaceResourceScope>
            + Clone
            + std::fmt::Debug
            + Serialize
            + serde::de::DeserializeOwned,
    {
        let api = Api::<K>::namespaced(self.client.clone(), namespace);
        let params = PostParams::default();
        objects
            .try_for_each_concurrent(at_once, |object| {
                let (api, params) = (&api, &params);
                async move { Ok(api.create(params, &object).await.map(drop)?) }
            })
            .await
    }

    /// Applies all integrations.
    pub(crate) async fn apply_fleet(&self, args: &Args) -> Result<()> {
        let login_url = self.simulator.url().trim_end_matches('/').to_owned();
        let fleet = (0..args.count).map(|number| {
            let manifest = integration(args, number, &login_url);
            Ok(serde_json::from_value::<SalesforceIntegration>(manifest)?)
        });
        self.create_all(FLEET, stream::iter(fleet), AT_ONCE).await
    }

    pub(crate) async fn start_controller(&self, args: &Args) -> Result<Controller> {
        let process = Process::builder("controller", binary(args))
            .arg("controller")
            .arg("--listen=127.0.0.1:0")
            .arg(format!("--worker-image={IMAGE}"))
            .arg(format!("--runs-where={:?}", args.runs_where))
            .arg(format!("--directory-url={}", self.directory_url))
            .arg(format!(
                "--token-key-file={}",
                self.path("token.key").display()
            ))
            .arg(format!(
                "--ca-bundle={}",
                self.path("salesforce-ca.pem").display()
            ))
            .arg("--salesforce-hosts=localhost,127.0.0.1")
            .arg("--allow-private-networks")
            .env("KUBECONFIG", self.control_plane.kubeconfig_path().display())
            .start()
            .await?;
        Ok(Controller {
            url: told(&process, "health is told here").await?,
            process,
        })
    }

    /// Durations until half and all of the fleet are Ready.
    pub(crate) async fn until_ready(
        &self,
        count: usize,
        began: Instant,
    ) -> Result<(Duration, Duration)> {
        let mut ready = std::collections::BTreeSet::new();
        let mut half = None;
        let mut events = std::pin::pin!(watcher(self.watched(), watcher::Config::default()));
        while let Some(event) = events.try_next().await? {
            let (Event::Apply(object) | Event::InitApply(object)) = event else {
                continue;
            };
            if is_ready(&object) {
                ready.insert(object.name_any());
            }
            if half.is_none() && ready.len() * 2 >= count {
                half = Some(began.elapsed());
            }
            if ready.len() == count {
                let all = began.elapsed();
                return Ok((half.unwrap_or(all), all));
            }
        }
        Err("the watch of the bench ended".into())
    }

    fn watched(&self) -> Api<Watched> {
        let resource = ApiResource::erase::<SalesforceIntegration>(&());
        Api::namespaced_with(self.client.clone(), FLEET, &resource)
    }

    /// Measures the time from the change of a Secret to the status with the new credential, and the
    /// part of it that Salesforce took.
    pub(crate) async fn secret_changes(&self, args: &Args) -> Result<Vec<(Duration, Duration)>> {
        let secrets = Api::<Secret>::namespaced(self.client.clone(), FLEET);
        let (secret, user) = (secret_name(&name_of(0)), user_of(0));
        let mut events = std::pin::pin!(watcher(
            self.watched(),
            watcher::Config::default().fields(&format!("metadata.name={}", name_of(0)))
        ));
        let mut known = None;
        while known.is_none() {
            known = version_of(events.try_next().await?);
        }
        let mut delays = vec![];
        for change in 1..=CHANGES {
            let password = password(&user, change);
            self.simulator
                .edit_user(&user, |user| user.password.clone_from(&password))?;
            self.simulator.reset_counters();
            let patch = Patch::Merge(json!({"stringData": {"password": password}}));
            let began = Instant::now();
            secrets
                .patch(&secret, &PatchParams::default(), &patch)
                .await?;
            in_time("the status to follow the Secret", async {
                loop {
                    let seen = version_of(events.try_next().await?);
                    if seen.is_some() && seen != known {
                        known = seen;
                        return Ok(());
                    }
                }
            })
            .await?;
            let took = began.elapsed();
            // With a shared credential, the other integrations follow; their requests are not part
            // of this measurement.
            let rounds = self.simulator.counters().requests.min(4);
            delays.push((took, Duration::from_millis(args.latency_ms * rounds)));
        }
        Ok(delays)
    }
}

fn is_ready(object: &Watched) -> bool {
    object.status.as_ref().is_some_and(|status| {
        status
            .conditions
            .iter()
            .any(|condition| condition.type_ == "Ready" && condition.status == "True")
    })
}

/// The credential version in the status of a Ready integration.
fn version_of(event: Option<Event<Watched>>) -> Option<String> {
    match event {
        Some(Event::Apply(object) | Event::InitApply(object)) if is_ready(&object) => {
            let connection = object.status?.connection;
            connection
                .credentials_version
                .filter(|_| connection.attempted_at.is_none())
        }
        _ => None,
    }
}

//! A complete installation for one test: a namespace, a Salesforce simulator, a directory on
//! SQLite, a controller that watches the namespace, and a runner in place of the kubelet. All
//! programs are the product's own and use real sockets; only Salesforce is simulated.

use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Patch, PatchParams};
use kube::{Api, Client, ResourceExt};
use salesforce_simulator::{Simulator, World};
use serde_json::{Value, json};
use switchboard::api::SalesforceIntegration;
use switchboard::directory;
use switchboard_testbed::{
    Authority, ControlPlane, MountedFiles, Namespace, PodRunner, Process, ProcessBuilder, Select,
    wait_for, wait_for_object,
};
use tempfile::TempDir;

use crate::bed;
use crate::rights::{Rights, Scope};

/// Time limit for events that take seconds, on a machine that is busy with other tests.
pub(crate) const SOON: Duration = Duration::from_secs(60);
/// Time limit for events that need the next minute of a CronJob.
pub(crate) const NEXT_MINUTES: Duration = Duration::from_secs(150);

/// What a controller logs with the address of `/healthz`, `/readyz` and `/metrics`.
pub(crate) const HEALTH: &str = "health is told here";

/// A complete installation.
pub(crate) struct Stage {
    /// The control plane, usually the one that all tests share.
    pub control_plane: &'static ControlPlane,
    namespace: Option<Namespace>,
    ns: String,
    /// Client of the cluster's administrator.
    pub client: Client,
    /// The simulator of Salesforce.
    pub simulator: Simulator,
    /// The runner that replaces the kubelet.
    pub runner: PodRunner,
    /// The directory's process.
    pub directory: Process,
    /// The controller's process; `None` while it is stopped.
    pub controller: Option<Process>,
    /// The kubeconfig of controllers.
    pub kubeconfig: PathBuf,
    directory_url: String,
    /// Where controllers find the directory.
    controllers_directory: String,
    tls: Option<StageTls>,
    dir: TempDir,
    run_deadline: Duration,
    rights: Rights,
    log: &'static str,
    /// Flags of its controllers beside those that all need.
    flags: Vec<&'static str>,
    /// The command before the program's own: empty, or one that bounds its memory.
    wrapper: Vec<String>,
}

/// What the directory and its clients need for TLS.
pub(crate) struct StageTls {
    /// The authority that issued the directory's first certificate.
    pub authority: Authority,
    /// The directory's `tls.crt` and `tls.key`.
    pub pair: MountedFiles,
    /// The controller's `ca.crt`, with whom workers trust.
    pub trusted: MountedFiles,
}

// === impl StageTls ===

impl StageTls {
    fn new() -> Self {
        let authority = Authority::new("directory authority").unwrap();
        let pair = authority.issue(&["localhost"]).unwrap();
        Self {
            pair: MountedFiles::pair(&pair).unwrap(),
            trusted: MountedFiles::new(&[("ca.crt", &authority.pem())]).unwrap(),
            authority,
        }
    }
}

// === impl Stage ===

impl Stage {
    /// Starts everything except the controller.
    pub(crate) async fn set(prefix: &str, world: World) -> Self {
        Self::set_on(bed::control_plane().await, prefix, world).await
    }

    /// Starts everything except the controller, on this control plane.
    pub(crate) async fn set_on(
        control_plane: &'static ControlPlane,
        prefix: &str,
        world: World,
    ) -> Self {
        Self::set_for(Scope::Namespace, control_plane, prefix, world).await
    }

    /// Starts everything except the controller, whose rights have this scope.
    pub(crate) async fn set_for(
        scope: Scope,
        control_plane: &'static ControlPlane,
        prefix: &str,
        world: World,
    ) -> Self {
        Self::set_logging(scope, control_plane, prefix, world, "info", None).await
    }

    /// Everything, with a directory that speaks TLS.
    pub(crate) async fn start_encrypted(prefix: &str, world: World) -> Self {
        let control_plane = bed::control_plane().await;
        let tls = Some(StageTls::new());
        let scope = Scope::Namespace;
        let mut stage = Self::set_logging(scope, control_plane, prefix, world, "info", tls).await;
        stage.start_controller().await;
        stage
    }

    /// Everything, with programs that log as `RUST_LOG` says.
    pub(crate) async fn start_logging(prefix: &str, world: World, log: &'static str) -> Self {
        let control_plane = bed::control_plane().await;
        let mut stage =
            Self::set_logging(Scope::Namespace, control_plane, prefix, world, log, None).await;
        stage.start_controller().await;
        stage
    }

    async fn set_logging(
        scope: Scope,
        control_plane: &'static ControlPlane,
        prefix: &str,
        world: World,
        log: &'static str,
        tls: Option<StageTls>,
    ) -> Self {
        let client = control_plane.client();
        let namespace = control_plane.namespace(prefix).await.unwrap();
        let simulator = Simulator::start(world).await.unwrap();
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(
            dir.path().join("token.key"),
            base64::engine::general_purpose::STANDARD.encode(rand::random::<[u8; 32]>()),
        )
        .unwrap();
        std::fs::write(dir.path().join("salesforce-ca.pem"), simulator.ca_pem()).unwrap();
        let pair = tls.iter().flat_map(|tls| {
            let flag = |flag, file| format!("{flag}={}", tls.pair.path(file).display());
            [
                flag("--tls-certificate", "tls.crt"),
                flag("--tls-key", "tls.key"),
            ]
        });
        let directory = Process::builder("directory", program())
            .arg("directory")
            .args(pair.collect::<Vec<_>>())
            .arg("--listen=127.0.0.1:0")
            .arg(format!(
                "--database=sqlite:{}",
                dir.path().join("directory.db").display()
            ))
            .arg(format!(
                "--token-keys={}",
                dir.path().join("token.key").display()
            ))
            .env("RUST_LOG", log)
            .start()
            .await
            .unwrap();
        let listens = listening(&directory, "the directory listens").await;
        let directory_url = match &tls {
            None => format!("http://{listens}"),
            Some(_) => listens.replace("127.0.0.1", "https://localhost"),
        };
        let runner = PodRunner::builder(control_plane)
            .namespace(namespace.name())
            .program("switchboard:test", program())
            .start()
            .await
            .unwrap();
        let rights = Rights::grant(control_plane, namespace.name(), scope).await;
        Self {
            control_plane,
            ns: namespace.name().to_owned(),
            namespace: Some(namespace),
            client,
            simulator,
            runner,
            directory,
            controller: None,
            kubeconfig: rights.kubeconfig().to_owned(),
            rights,
            log,
            flags: Vec::new(),
            wrapper: Vec::new(),
            controllers_directory: directory_url.clone(),
            directory_url,
            tls,
            dir,
            run_deadline: Duration::from_secs(120),
        }
    }

    /// Starts everything.
    pub(crate) async fn start(prefix: &str, world: World) -> Self {
        let mut stage = Self::set(prefix, world).await;
        stage.start_controller().await;
        stage
    }

    /// Starts everything, with a controller that runs nothing itself: for tests of pods.
    pub(crate) async fn start_with_pods(prefix: &str, world: World) -> Self {
        let mut stage = Self::set(prefix, world).await;
        stage.flags.push("--runs-where=Pods");
        stage.start_controller().await;
        stage
    }

    /// Adds a flag of its controllers.
    pub(crate) fn flag(mut self, flag: &'static str) -> Self {
        self.flags.push(flag);
        self
    }

    /// Sets where controllers find the directory.
    pub(crate) fn directory_behind(mut self, url: &str) -> Self {
        url.clone_into(&mut self.controllers_directory);
        self
    }

    /// Sets the deadline for runs.
    pub(crate) fn run_deadline(mut self, deadline: Duration) -> Self {
        self.run_deadline = deadline;
        self
    }

    /// Bounds the memory of controllers, in bytes.
    pub(crate) fn bounded_to(mut self, bytes: u64) -> Self {
        let wrapper = switchboard_testbed::bounded_to(bytes).into_iter();
        self.wrapper = wrapper
            .map(|word| word.to_string_lossy().into_owned())
            .collect();
        self
    }

    /// Starts the controller and waits until its watches are complete.
    pub(crate) async fn start_controller(&mut self) {
        self.controller = Some(self.another_controller("controller", &[]).await);
    }

    /// Starts a further controller with extra flags for the test, and waits until it is ready: as
    /// leader or on standby.
    pub(crate) async fn another_controller(&self, name: &str, flags: &[&str]) -> Process {
        let controller = self.controller_of(name, &self.kubeconfig, flags);
        let controller = controller.start().await.unwrap();
        let health = listening(&controller, HEALTH).await;
        let ready = format!("http://{health}/readyz");
        wait_for("the controller to be ready", SOON, async || {
            let answer = reqwest::get(&ready)
                .await
                .map_err(|error| error.to_string())?;
            if answer.status().is_success() {
                Ok(())
            } else {
                Err(answer.text().await.unwrap_or_default())
            }
        })
        .await;
        controller
    }

    /// The description of a controller that speaks with the API server of this kubeconfig.
    pub(crate) fn controller_of(
        &self,
        name: &str,
        kubeconfig: &Path,
        flags: &[&str],
    ) -> ProcessBuilder {
        let mut line = self.wrapper.iter().map(String::as_str).chain([program()]);
        Process::builder(name, line.next().unwrap_or_default())
            .args(line)
            .arg("controller")
            .arg("--listen=127.0.0.1:0")
            .arg("--worker-image=switchboard:test")
            .arg(format!("--directory-url={}", self.controllers_directory))
            .arg(format!(
                "--token-keys={}",
                self.dir.path().join("token.key").display()
            ))
            .arg(format!(
                "--ca-bundle={}",
                self.dir.path().join("salesforce-ca.pem").display()
            ))
            .args(self.tls.iter().map(|tls| {
                let trusted = tls.trusted.path("ca.crt");
                format!("--directory-ca-bundle={}", trusted.display())
            }))
            .arg("--salesforce-hosts=localhost,127.0.0.1")
            .arg("--allow-private-networks")
            .args(self.rights.flags())
            .arg(format!("--run-deadline={}s", self.run_deadline.as_secs()))
            .arg(format!("--worker-log={}", self.log))
            .args(&self.flags)
            .args(flags)
            .env("KUBECONFIG", kubeconfig.display())
            .env("RUST_LOG", self.log)
    }

    /// Puts another Salesforce in place of the one that is there. Controllers trust it from their
    /// next start on.
    pub(crate) fn use_simulator(&mut self, simulator: Simulator) {
        std::fs::write(self.path("salesforce-ca.pem"), simulator.ca_pem()).unwrap();
        self.simulator = simulator;
    }

    /// Ends the directory with a signal and waits for its end.
    pub(crate) async fn stop_directory(&self) {
        assert_eq!(self.directory.terminate(SOON).await.unwrap(), 0);
    }

    /// Starts the directory again at the address that it had.
    pub(crate) async fn start_directory(&mut self) {
        let address = self.directory_url.trim_start_matches("http://");
        self.directory = Process::builder("directory", program())
            .arg("directory")
            .arg(format!("--listen={address}"))
            .arg(format!(
                "--database=sqlite:{}",
                self.path("directory.db").display()
            ))
            .arg(format!("--token-keys={}", self.path("token.key").display()))
            .env("RUST_LOG", self.log)
            .start()
            .await
            .unwrap();
        listening(&self.directory, "the directory listens").await;
    }

    /// Ends the controller with a signal and waits for its end.
    pub(crate) async fn stop_controller(&mut self) {
        if let Some(controller) = self.controller.take() {
            assert_eq!(
                controller.terminate(SOON).await.unwrap(),
                0,
                "{}",
                controller.text()
            );
        }
    }

    /// The log-in URL of the simulator.
    pub(crate) fn login_url(&self) -> String {
        self.simulator.url().trim_end_matches('/').to_owned()
    }

    /// Name of the namespace.
    pub(crate) fn ns(&self) -> &str {
        &self.ns
    }

    /// A manifest for the simulator; the tenant's name is also its company ID.
    pub(crate) fn integration(&self, name: &str) -> Value {
        let mut manifest = bed::integration(self.ns(), name);
        manifest["spec"]["salesforce"]["loginUrl"] = self.login_url().into();
        manifest
    }

    /// The Secret of the integration with this name.
    pub(crate) fn secret(&self, name: &str, password: &str, token: &str) -> Value {
        json!({
            "apiVersion": "v1", "kind": "Secret",
            "metadata": {"name": format!("{name}-salesforce"), "namespace": self.ns()},
            "stringData": {"password": password, "securityToken": token}
        })
    }

    /// Applies a manifest with kubectl.
    pub(crate) async fn apply(&self, manifest: &Value) {
        self.control_plane
            .kubectl_apply(&manifest.to_string())
            .await
            .unwrap()
            .expect_success();
    }

    /// Runs kubectl in the namespace and returns its output.
    pub(crate) async fn kubectl(&self, args: &[&str]) -> String {
        let args = args.iter().copied().chain(["-n", self.ns()]);
        self.control_plane
            .kubectl(args)
            .await
            .unwrap()
            .expect_success()
    }

    /// Client for the integrations of the namespace.
    pub(crate) fn integrations(&self) -> Api<SalesforceIntegration> {
        Api::namespaced(self.client.clone(), self.ns())
    }

    /// Watches the integration until it satisfies `check`.
    pub(crate) async fn until<T>(
        &self,
        name: &str,
        what: &str,
        deadline: Duration,
        check: impl Fn(&Value) -> Option<T>,
    ) -> T {
        wait_for_object(&self.integrations(), name, what, deadline, |object| {
            object.and_then(&check)
        })
        .await
    }

    /// Waits until a condition has this status and reason.
    pub(crate) async fn condition(
        &self,
        name: &str,
        type_: &str,
        status: &str,
        reason: &str,
    ) -> Value {
        self.condition_within(SOON, name, [type_, status, reason])
            .await
    }

    pub(crate) async fn condition_within(
        &self,
        deadline: Duration,
        name: &str,
        wanted: [&str; 3],
    ) -> Value {
        let [type_, status, reason] = wanted;
        let what = format!("{type_}={status} {reason}");
        self.until(name, &what, deadline, |object| {
            let found = condition(object, type_)?;
            (found["status"] == status && found["reason"] == reason).then(|| found.clone())
        })
        .await
    }

    /// Waits until the integration is ready.
    pub(crate) async fn ready(&self, name: &str) -> Value {
        self.condition(name, "Ready", "True", "Ready").await;
        self.get(name).await
    }

    /// Waits at most this long until the integration is ready.
    pub(crate) async fn ready_within(&self, deadline: Duration, name: &str) {
        self.condition_within(deadline, name, ["Ready", "True", "Ready"])
            .await;
    }

    /// The integration as it is now.
    pub(crate) async fn get(&self, name: &str) -> Value {
        serde_json::to_value(self.integrations().get(name).await.unwrap()).unwrap()
    }

    /// Sets an annotation.
    pub(crate) async fn annotate(&self, name: &str, key: &str, value: &str) {
        let patch = Patch::Merge(json!({"metadata": {"annotations": {key: value}}}));
        self.integrations()
            .patch(name, &PatchParams::default(), &patch)
            .await
            .unwrap();
    }

    /// Requests a test of the connection, and waits until it was made or refused.
    pub(crate) async fn test_now(&self, name: &str, wish: &str) {
        self.annotate(name, switchboard::api::TEST_REQUESTED_AT, wish)
            .await;
        self.until(name, "the test to be handled", SOON, |object| {
            (object["status"]["lastHandledTestAt"] == wish).then_some(())
        })
        .await;
    }

    /// Triggers a reconcile of an integration that is not ready, and waits for it. Earlier work is
    /// then complete.
    pub(crate) async fn look(&self, name: &str, wish: &str) {
        self.annotate(name, switchboard::api::RUN_REQUESTED_AT, wish)
            .await;
        self.until(name, "the wish to be handled", SOON, |object| {
            (object["status"]["lastHandledRunAt"] == wish).then_some(())
        })
        .await;
    }

    /// Waits until Ready of every integration in the namespace has this status and reason.
    pub(crate) async fn all(&self, status: &str, reason: &str, deadline: Duration) {
        wait_for(
            format!("Ready={status} {reason} everywhere"),
            deadline,
            async || {
                let list = self
                    .integrations()
                    .list(&Default::default())
                    .await
                    .map_err(|error| error.to_string())?;
                let others: Vec<String> = list
                    .items
                    .iter()
                    .filter_map(|item| {
                        let object = serde_json::to_value(item).unwrap();
                        let ready = condition(&object, "Ready");
                        let as_wanted = ready.is_some_and(|ready| {
                            ready["status"] == status && ready["reason"] == reason
                        });
                        (!as_wanted).then(|| {
                            let reason = ready.map(|ready| ready["reason"].to_string());
                            format!("{} {reason:?}", item.name_any())
                        })
                    })
                    .collect();
                if others.is_empty() {
                    Ok(())
                } else {
                    Err(format!("{} are not: {others:?}", others.len()))
                }
            },
        )
        .await;
    }

    /// Requests a run and waits until the status has a run that ended later than the runs before.
    pub(crate) async fn run_now(&self, name: &str, wish: &str) -> Value {
        let before = self.get(name).await.pointer("/status/lastRun/job").cloned();
        self.annotate(name, switchboard::api::RUN_REQUESTED_AT, wish)
            .await;
        self.next_run(name, before.as_ref(), SOON).await
    }

    /// Waits for the run after the one of this Job.
    pub(crate) async fn next_run(
        &self,
        name: &str,
        before: Option<&Value>,
        deadline: Duration,
    ) -> Value {
        self.until(name, "a run that ended", deadline, |object| {
            let run = object.pointer("/status/lastRun")?;
            (Some(&run["job"]) != before).then(|| run.clone())
        })
        .await
    }

    /// A directory client with the tenant's own token.
    pub(crate) async fn directory(&self, name: &str, purpose: &str) -> directory::Client {
        self.directory_of(self.ns(), &format!("{name}-directory"), purpose)
            .await
    }

    /// A directory client with a token from a Secret in any namespace.
    pub(crate) async fn directory_of(
        &self,
        ns: &str,
        secret: &str,
        purpose: &str,
    ) -> directory::Client {
        let secrets: Api<Secret> = Api::namespaced(self.client.clone(), ns);
        let token = wait_for(format!("the Secret {secret}"), SOON, async || {
            let secret = secrets
                .get(secret)
                .await
                .map_err(|error| error.to_string())?;
            let token = secret
                .data
                .as_ref()
                .and_then(|data| data.get(purpose))
                .ok_or("no such key")?;
            String::from_utf8(token.0.clone()).map_err(|error| error.to_string())
        })
        .await;
        let tls = self.tls.as_ref();
        let trusted = tls.map(|tls| std::fs::read_to_string(tls.trusted.path("ca.crt")).unwrap());
        let trusted = trusted.map(|pem| directory::Authorities::parse(&pem).unwrap());
        directory::Client::trusting(trusted.as_ref(), &self.directory_url, token.into()).unwrap()
    }

    /// What a controller's `/metrics` serves now.
    pub(crate) async fn metrics(&self) -> String {
        metrics_of(self.controller.as_ref().unwrap()).await
    }

    /// The directory's TLS.
    pub(crate) fn tls(&self) -> &StageTls {
        self.tls.as_ref().unwrap()
    }

    /// The URL of the directory.
    pub(crate) fn directory_url(&self) -> &str {
        &self.directory_url
    }

    /// Path of a file in the test's own folder.
    pub(crate) fn path(&self, file: &str) -> PathBuf {
        self.dir.path().join(file)
    }

    /// All output of the programs.
    pub(crate) fn logs(&self) -> String {
        let controller = self
            .controller
            .as_ref()
            .map(Process::text)
            .unwrap_or_default();
        controller + &self.directory.text()
    }

    /// All output of the pods of runs.
    pub(crate) fn pod_logs(&self) -> String {
        let logs = self
            .runner
            .pods(Select::all())
            .into_iter()
            .filter_map(|run| std::fs::read_to_string(run.log).ok());
        logs.collect()
    }

    /// The controller's rights, and the record of its requests.
    pub(crate) fn rights(&self) -> &Rights {
        &self.rights
    }

    /// Ends all programs and deletes the namespace.
    pub(crate) async fn end(mut self) {
        self.stop_controller().await;
        self.rights.nothing_was_refused(self.control_plane);
        self.clear().await;
    }

    /// Deletes the namespace without a check of refused requests.
    pub(crate) async fn clear(mut self) {
        if let Some(namespace) = self.namespace.take() {
            namespace.delete().await.unwrap();
        }
    }
}

/// Prints the output of the pods next to the reason of a test failure. The programs print theirs.
impl Drop for Stage {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!(
                "--- pods ---\n{}\n{:?}",
                self.pod_logs(),
                self.runner.refusals()
            );
        }
    }
}

/// Finds the condition of this type.
pub(crate) fn condition<'a>(object: &'a Value, type_: &str) -> Option<&'a Value> {
    object
        .pointer("/status/conditions")?
        .as_array()?
        .iter()
        .find(|condition| condition["type"] == type_)
}

/// The program under test.
pub(crate) fn program() -> &'static str {
    env!("CARGO_BIN_EXE_switchboard")
}

/// What a controller's `/metrics` serves now.
pub(crate) async fn metrics_of(controller: &Process) -> String {
    let address = listening(controller, HEALTH).await;
    let answer = reqwest::get(format!("http://{address}/metrics")).await;
    answer.unwrap().text().await.unwrap()
}

/// The address in a log line that contains `words`.
pub(crate) async fn listening(process: &Process, words: &str) -> String {
    let line = process.wait_for_text(words, SOON).await.unwrap();
    let line: Value = serde_json::from_str(&line).unwrap();
    line["address"].as_str().unwrap().to_owned()
}

/// Names of the objects of one kind in the namespace.
pub(crate) async fn names<K>(client: &Client, namespace: &str) -> Vec<String>
where
    K: kube::Resource<DynamicType = (), Scope = kube::core::NamespaceResourceScope>
        + Clone
        + std::fmt::Debug
        + serde::de::DeserializeOwned,
{
    let list = Api::<K>::namespaced(client.clone(), namespace)
        .list(&Default::default())
        .await
        .unwrap();
    list.items.iter().map(ResourceExt::name_any).collect()
}

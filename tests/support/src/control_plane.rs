//! The control plane, which is started for this test program or is an existing one.

use std::ffi::{OsStr, OsString};
use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::api::PostParams;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client, Config};
use serde_json::json;
use tokio::sync::OnceCell;

use crate::audit::{self, AuditEvent, AuditMark};
use crate::error::{Context, Error, Result};
use crate::program::{cluster_binary, target_dir};
use crate::supervisor::{Announcement, Supervisor};
use crate::{Namespace, Process, ProcessBuilder, TimedOut, try_wait_for};

/// Names the kubeconfig of an existing cluster to use. It is never `KUBECONFIG`, because tests must
/// not use the cluster that a developer works with.
const EXISTING: &str = "SWITCHBOARD_TEST_KUBECONFIG";

/// A running control plane, with administrator access.
///
/// It holds nothing that belongs to a Tokio runtime, so tests with different runtimes may share it.
#[derive(Debug)]
pub struct ControlPlane {
    binary: PathBuf,
    kubeconfig: PathBuf,
    config: Config,
    version: String,
    /// Folder for files of the tests. The supervisor removes it with the cluster.
    dir: PathBuf,
    supervisor: Option<Arc<Mutex<Supervisor>>>,
    restarts: AtomicU32,
    /// Where kubectl's plugins for credentials look for theirs, on a cluster that somebody
    /// brought; else nowhere of the developer's.
    home: PathBuf,
}

/// The output and the exit code of a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandOutput {
    /// Exit code; `None` if a signal ended it.
    pub code: Option<i32>,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

// === impl ControlPlane ===

impl ControlPlane {
    /// The control plane that all tests of this program share. The first caller starts it, and it
    /// ends with the program.
    ///
    /// # Panics If it cannot be started, because no test can run then.
    #[expect(clippy::panic, reason = "this is how a test fails")]
    pub async fn shared() -> &'static Self {
        static SHARED: OnceCell<Result<ControlPlane, String>> = OnceCell::const_new();
        let shared = SHARED
            .get_or_init(|| async { Self::start().await.map_err(|error| error.to_string()) })
            .await;
        shared.as_ref().unwrap_or_else(|error| panic!("{error}"))
    }

    /// Starts a separate control plane (and builds it first when necessary), or joins the one that
    /// `SWITCHBOARD_TEST_KUBECONFIG` names. A started one ends when this value is dropped.
    pub async fn start() -> Result<Self> {
        let binary = cluster_binary().await?;
        match std::env::var_os(EXISTING) {
            Some(kubeconfig) => Self::join(binary, kubeconfig.into()).await,
            None => Self::launch(binary, Vec::new()).await,
        }
    }

    /// Starts a control plane with a real node that has these image archives. It works only as
    /// root, within `cluster room`: see `tests/cluster/README.md`.
    pub async fn start_with_node(images: &[PathBuf]) -> Result<Self> {
        let mut flags = vec![OsString::from("--node")];
        for image in images {
            flags.extend(["--image".into(), image.into()]);
        }
        Self::launch(cluster_binary().await?, flags).await
    }

    /// Joins the cluster of this kubeconfig's current context.
    pub async fn existing(kubeconfig: PathBuf) -> Result<Self> {
        let mut joined = Self::join(cluster_binary().await?, kubeconfig).await?;
        if let Some(home) = std::env::var_os("HOME") {
            joined.home = home.into();
        }
        Ok(joined)
    }

    async fn join(binary: PathBuf, kubeconfig: PathBuf) -> Result<Self> {
        let config = read_config(&kubeconfig).await?;
        let client = Client::try_from(config.clone()).context(|| "connect")?;
        let version = client
            .apiserver_version()
            .await
            .context(|| format!("ask {} for its version", config.cluster_url))?;
        let dir = target_dir().join("testbed");
        std::fs::create_dir_all(&dir).context(|| format!("create {}", dir.display()))?;
        Ok(Self {
            binary,
            kubeconfig,
            config,
            version: version.git_version,
            home: dir.clone(),
            dir,
            supervisor: None,
            restarts: AtomicU32::new(0),
        })
    }

    async fn launch(binary: PathBuf, flags: Vec<OsString>) -> Result<Self> {
        let program = binary.clone();
        let started =
            tokio::task::spawn_blocking(move || Supervisor::start(&program, &flags)).await;
        let (supervisor, announcement) =
            started.map_err(|error| Error::ControlPlane(error.to_string()))??;
        let Announcement {
            kubeconfig,
            dir,
            version,
        } = announcement;
        let config = read_config(&kubeconfig).await?;
        Ok(Self {
            binary,
            kubeconfig,
            config,
            version,
            home: dir.clone(),
            dir,
            supervisor: Some(Arc::new(Mutex::new(supervisor))),
            restarts: AtomicU32::new(0),
        })
    }

    /// The administrator's client configuration. A caller may change its settings before it makes a
    /// client from it.
    pub fn config(&self) -> Config {
        self.config.clone()
    }

    /// A client with all rights, bound to the runtime of the caller.
    ///
    /// # Panics Outside of a Tokio runtime.
    #[expect(
        clippy::expect_used,
        reason = "this configuration has connected before"
    )]
    pub fn client(&self) -> Client {
        Client::try_from(self.config())
            .expect("a client from a configuration that has been used before")
    }

    /// The administrator's kubeconfig.
    pub fn kubeconfig_path(&self) -> &Path {
        &self.kubeconfig
    }

    /// The URL of the API server.
    pub fn server(&self) -> String {
        self.config
            .cluster_url
            .to_string()
            .trim_end_matches('/')
            .to_owned()
    }

    /// The API server's version, like `v1.37.2`.
    pub fn apiserver_version(&self) -> &str {
        &self.version
    }

    /// The folder of the cluster's data and logs; files put there are removed with it.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The `cluster` binary.
    pub(crate) fn binary(&self) -> &Path {
        &self.binary
    }

    /// Creates a namespace for one test: [`Namespace::create`].
    pub async fn namespace(&self, prefix: &str) -> Result<Namespace> {
        Namespace::create(self, prefix).await
    }

    /// Runs the real kubectl with administrator rights.
    pub async fn kubectl<S: AsRef<str>>(
        &self,
        args: impl IntoIterator<Item = S>,
    ) -> Result<CommandOutput> {
        self.kubectl_with(&self.kubeconfig, args, "").await
    }

    /// Applies manifests (YAML or JSON, several documents allowed) with `kubectl apply`. Refusals
    /// are in the output.
    pub async fn kubectl_apply(&self, manifests: &str) -> Result<CommandOutput> {
        self.kubectl_with(&self.kubeconfig, ["apply", "-f", "-"], manifests)
            .await
    }

    /// Runs the real kubectl with any kubeconfig, and with text on its standard input.
    pub async fn kubectl_with<S: AsRef<str>>(
        &self,
        kubeconfig: &Path,
        args: impl IntoIterator<Item = S>,
        input: &str,
    ) -> Result<CommandOutput> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        self.kubectl_in(&path, kubeconfig, args, input).await
    }

    /// The same with another search path, where kubectl finds its plugins.
    pub async fn kubectl_in<S: AsRef<str>>(
        &self,
        path: &OsStr,
        kubeconfig: &Path,
        args: impl IntoIterator<Item = S>,
        input: &str,
    ) -> Result<CommandOutput> {
        let mut command = tokio::process::Command::new(&self.binary);
        command
            .arg("kubectl")
            .args(args.into_iter().map(|arg| arg.as_ref().to_owned()));
        // The developer's own kubectl settings must have no effect, neither their cluster nor their
        // cache.
        command
            .env_clear()
            // `kubectl diff` runs the system's diff.
            .env("PATH", path)
            .env("KUBECONFIG", kubeconfig)
            .env("HOME", &self.home)
            .env("KUBECACHEDIR", self.dir.join("kubectl"));
        CommandOutput::of(command, input).await
    }

    /// A kubectl that runs until it is ended, such as `port-forward`, with administrator rights.
    pub fn kubectl_process(&self, args: &[&str]) -> ProcessBuilder {
        Process::builder("kubectl", &self.binary)
            .arg("kubectl")
            .args(args)
            .env("KUBECONFIG", self.kubeconfig.display())
            .env("KUBECACHEDIR", self.dir.join("kubectl").display())
    }

    /// Creates a kubeconfig with the rights of a service account, from a token that the API server
    /// issues.
    ///
    /// Tests run the programs under test with it, so that missing rights are noticed.
    pub async fn kubeconfig_for_service_account(
        &self,
        namespace: &str,
        name: &str,
    ) -> Result<PathBuf> {
        let account: Api<ServiceAccount> = Api::namespaced(self.client(), namespace);
        let request = TokenRequest {
            spec: TokenRequestSpec {
                expiration_seconds: Some(12 * 3600),
                ..Default::default()
            },
            ..Default::default()
        };
        let issued = account
            .create_token_request(name, &PostParams::default(), &request)
            .await
            .context(|| format!("request a token for service account {namespace}/{name}"))?;
        let token = issued.status.map(|status| status.token).unwrap_or_default();
        let authority = self
            .config
            .root_cert
            .iter()
            .flatten()
            .map(|der| pem_certificate(der))
            .collect::<String>();
        let kubeconfig = json!({
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "test", "cluster": {
                "server": self.server(),
                "certificate-authority-data": base64::Engine::encode(&base64::prelude::BASE64_STANDARD, authority),
            }}],
            "users": [{"name": name, "user": {"token": token}}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": name, "namespace": namespace}}],
            "current-context": "test",
        });
        let path = self.dir.join(format!("{namespace}.{name}.kubeconfig"));
        let written = OpenOptions::new()
            .create(true)
            .truncate(true)
            .write(true)
            .mode(0o600)
            .open(&path)
            .and_then(|mut file| file.write_all(kubeconfig.to_string().as_bytes()));
        written.context(|| format!("write {}", path.display()))?;
        Ok(path)
    }

    /// A client with the rights of a service account.
    pub async fn client_for_service_account(&self, namespace: &str, name: &str) -> Result<Client> {
        let kubeconfig = self.kubeconfig_for_service_account(namespace, name).await?;
        Client::try_from(read_config(&kubeconfig).await?)
            .context(|| format!("connect as {namespace}/{name}"))
    }

    /// Every request to the API server so far. The most recent ones may be missing for a moment.
    pub fn audit(&self) -> Result<Vec<AuditEvent>> {
        self.audit_since(AuditMark::default())
    }

    /// The current end of the audit log, for [`ControlPlane::audit_since`].
    pub fn audit_mark(&self) -> Result<AuditMark> {
        audit::mark(&self.audit_log()?)
    }

    /// Every request to the API server since the mark.
    pub fn audit_since(&self, mark: AuditMark) -> Result<Vec<AuditEvent>> {
        audit::read(&self.audit_log()?, mark, "")
    }

    /// Every request of one user since the mark. This is much faster than a read of all requests.
    pub fn audit_of(&self, user: &str, mark: AuditMark) -> Result<Vec<AuditEvent>> {
        let mut events = audit::read(&self.audit_log()?, mark, user)?;
        events.retain(|event| event.user == user);
        Ok(events)
    }

    /// Path of the audit log, which `cluster up` writes next to the kubeconfig.
    fn audit_log(&self) -> Result<PathBuf> {
        let log = self.kubeconfig.with_file_name("audit.log");
        if log.is_file() {
            Ok(log)
        } else {
            Err(Error::Unsupported(format!(
                "{EXISTING} names a cluster without {}",
                log.display()
            )))
        }
    }

    /// Restarts the API server: all watches break, and requests fail for two seconds or more. Not
    /// for the shared control plane, which other tests use at the same time.
    pub async fn restart_apiserver(&self) -> Result<()> {
        self.order("restart kube-apiserver").await
    }

    /// Kills the API server (SIGKILL) until [`ControlPlane::start_apiserver`].
    pub async fn kill_apiserver(&self) -> Result<()> {
        self.order("kill kube-apiserver").await
    }

    /// Starts the API server again and waits until it is ready.
    pub async fn start_apiserver(&self) -> Result<()> {
        self.order("start kube-apiserver").await
    }

    /// Restarts the node's kubelet; its pods continue meanwhile.
    pub async fn restart_kubelet(&self) -> Result<()> {
        self.order("restart kubelet").await
    }

    /// Number of times that a test has disturbed the API server. A starting API server has no roles
    /// for a moment.
    pub fn restarts(&self) -> u32 {
        self.restarts.load(Ordering::Relaxed)
    }

    async fn order(&self, order: &'static str) -> Result<()> {
        self.restarts.fetch_add(1, Ordering::Relaxed);
        let Some(supervisor) = self.supervisor.clone() else {
            return Err(Error::Unsupported(format!(
                "{order:?} on the cluster that {EXISTING} names"
            )));
        };
        let obeyed = tokio::task::spawn_blocking(move || {
            supervisor
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .order(order)
        });
        obeyed
            .await
            .map_err(|error| Error::ControlPlane(error.to_string()))?
    }

    /// Waits until the API server answers this control plane's own client, for tests that disturb
    /// it.
    pub async fn wait_until_ready(&self, deadline: Duration) -> Result<(), TimedOut> {
        let client = self.client();
        try_wait_for("the API server to answer", deadline, || async {
            client.apiserver_version().await.map(drop)
        })
        .await
    }
}

async fn read_config(kubeconfig: &Path) -> Result<Config> {
    let failed = |error: kube::config::KubeconfigError| {
        Error::ControlPlane(format!(
            "cannot use the kubeconfig {}: {error}",
            kubeconfig.display()
        ))
    };
    let parsed = Kubeconfig::read_from(kubeconfig).map_err(failed)?;
    Config::from_custom_kubeconfig(parsed, &KubeConfigOptions::default())
        .await
        .map_err(failed)
}

fn pem_certificate(der: &[u8]) -> String {
    let encoded = base64::Engine::encode(&base64::prelude::BASE64_STANDARD, der);
    let lines: Vec<&str> = (0..encoded.len())
        .step_by(64)
        .map(|at| &encoded[at..encoded.len().min(at + 64)])
        .collect();
    format!(
        "-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n",
        lines.join("\n")
    )
}

// === impl CommandOutput ===

impl CommandOutput {
    /// Runs a command with `input` on its standard input. The command ends with the test at the
    /// latest.
    pub(crate) async fn of(mut command: tokio::process::Command, input: &str) -> Result<Self> {
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        let name = command.as_std().get_program().display().to_string();
        let mut child = command.spawn().context(|| format!("start {name}"))?;
        if let Some(mut stdin) = child.stdin.take() {
            // The command may end before it has read everything; its exit code shows a failure.
            let _ = tokio::io::AsyncWriteExt::write_all(&mut stdin, input.as_bytes()).await;
        }
        let output = child
            .wait_with_output()
            .await
            .context(|| format!("run {name}"))?;
        Ok(Self {
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        })
    }

    /// Whether the command succeeded.
    pub fn success(&self) -> bool {
        self.code == Some(0)
    }

    /// The standard output of a command that must have succeeded.
    ///
    /// # Panics If the command failed; the message contains its complete output.
    #[track_caller]
    #[expect(clippy::panic, reason = "this is how a test fails")]
    pub fn expect_success(self) -> String {
        if self.success() {
            return self.stdout;
        }
        panic!(
            "the command failed with {:?}:\n{}{}",
            self.code, self.stdout, self.stderr
        )
    }
}

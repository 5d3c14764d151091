//! The cluster of the story, and the tools of a platform team: kubectl and helm.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use switchboard_testbed::ControlPlane;
use tempfile::TempDir;

use crate::{Args, Failure};

/// Namespace of the release.
pub(crate) const OPERATOR: &str = "switchboard-system";
/// Name of the release, and the prefix of its objects' names.
pub(crate) const RELEASE: &str = "switchboard";
/// Time limit for events that take seconds, on a busy machine.
pub(crate) const SOON: Duration = Duration::from_secs(90);

/// A cluster with a node.
pub(crate) struct Bed {
    /// The cluster, reached as its administrator.
    pub control_plane: ControlPlane,
    /// The command line of this program.
    pub args: Args,
    dir: TempDir,
}

// === impl Bed ===

impl Bed {
    /// Starts a cluster with a node, or uses the one that the command line names.
    pub(crate) async fn start(args: Args) -> Result<Self, Failure> {
        let control_plane = if args.archive.is_empty() {
            ControlPlane::start().await?
        } else {
            ControlPlane::start_with_node(&args.archive).await?
        };
        Ok(Self {
            control_plane,
            args,
            dir: tempfile::tempdir()?,
        })
    }

    /// Whether the node is this machine. The test can then read its processes and restart its
    /// kubelet.
    pub(crate) fn owns_node(&self) -> bool {
        !self.args.archive.is_empty()
    }

    /// Runs kubectl and returns its output.
    pub(crate) async fn kubectl(&self, args: &[&str]) -> Result<String, Failure> {
        let output = self.control_plane.kubectl(args).await?;
        if output.success() {
            Ok(output.stdout)
        } else {
            Err(format!(
                "kubectl {}: {}{}",
                args.join(" "),
                output.stdout,
                output.stderr
            )
            .into())
        }
    }

    /// Runs `kubectl … -o json`.
    pub(crate) async fn json(&self, args: &[&str]) -> Result<Value, Failure> {
        let text = self.kubectl(&[args, &["-o", "json"]].concat()).await?;
        Ok(serde_json::from_str(&text)?)
    }

    /// Reads a list and returns its objects.
    pub(crate) async fn items(&self, args: &[&str]) -> Result<Vec<Value>, Failure> {
        let mut list = self.json(args).await?;
        match list["items"].take() {
            Value::Array(items) => Ok(items),
            _ => Err(format!("kubectl {}: no list", args.join(" ")).into()),
        }
    }

    /// Applies manifests.
    pub(crate) async fn apply(&self, manifests: &str) -> Result<(), Failure> {
        let output = self.control_plane.kubectl_apply(manifests).await?;
        if output.success() {
            Ok(())
        } else {
            Err(format!("kubectl apply: {}{}", output.stdout, output.stderr).into())
        }
    }

    /// Runs helm for the release's namespace and returns its output.
    pub(crate) async fn helm(&self, args: &[&str]) -> Result<String, Failure> {
        let home = self.dir.path();
        let output = tokio::process::Command::new(&self.args.helm)
            .args(args)
            .args(["--namespace", OPERATOR])
            .env_clear()
            .env("KUBECONFIG", self.control_plane.kubeconfig_path())
            .env("HOME", home)
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output()
            .await
            .map_err(|error| format!("{}: {error}", self.args.helm.display()))?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        if output.status.success() {
            Ok(text(&output.stdout))
        } else {
            Err(format!(
                "helm {}: {}{}",
                args.join(" "),
                text(&output.stdout),
                text(&output.stderr)
            )
            .into())
        }
    }

    /// Installs or upgrades the release and waits until its pods are ready.
    pub(crate) async fn release(&self, settings: &[&str]) -> Result<String, Failure> {
        self.release_with(settings, &["--wait", "--timeout=180s"])
            .await
    }

    /// Installs the release from another chart and waits until its pods are ready.
    pub(crate) async fn release_of(&self, chart: &Path, settings: &[&str]) -> Result<(), Failure> {
        let flags = &["--wait", "--timeout=180s"];
        self.helm_release(chart, settings, flags).await.map(drop)
    }

    /// Installs or upgrades the release, with extra flags for helm.
    pub(crate) async fn release_with(
        &self,
        settings: &[&str],
        flags: &[&str],
    ) -> Result<String, Failure> {
        self.helm_release(&self.args.chart, settings, flags).await
    }

    async fn helm_release(
        &self,
        chart: &Path,
        settings: &[&str],
        flags: &[&str],
    ) -> Result<String, Failure> {
        let chart = chart.display().to_string();
        let values = self.values_file();
        let values = values.display().to_string();
        let mut all = vec!["upgrade", "--install", RELEASE, &chart, "--values", &values];
        all.extend(settings.iter().flat_map(|setting| ["--set", setting]));
        all.extend(flags);
        self.helm(&all).await
    }

    /// Path of the values file with the values that this test adds to the chart's own.
    pub(crate) fn values_file(&self) -> PathBuf {
        self.dir.path().join("values.json")
    }

    /// Waits until `observe` returns a value; a failure contains the last observation.
    pub(crate) async fn until<T>(
        &self,
        what: &str,
        deadline: Duration,
        mut observe: impl AsyncFnMut() -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let end = tokio::time::Instant::now() + deadline;
        let mut last = "nothing, not one look came to an end".to_owned();
        while let Ok(seen) = tokio::time::timeout_at(end, observe()).await {
            match seen {
                Ok(value) => return Ok(value),
                Err(failure) => last = failure.to_string(),
            }
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
        Err(format!("waited {deadline:?} in vain for {what}; last seen: {last}").into())
    }

    /// Pods of one component of the release, without terminating ones.
    pub(crate) async fn pods(&self, part: &str) -> Result<Vec<Value>, Failure> {
        let selector =
            format!("app.kubernetes.io/instance={RELEASE},app.kubernetes.io/component={part}");
        let mut pods = self
            .items(&["get", "pods", "-n", OPERATOR, "-l", &selector])
            .await?;
        pods.retain(|pod| pod["metadata"]["deletionTimestamp"].is_null());
        Ok(pods)
    }

    /// Writes the objects and logs that help to understand a failed step.
    pub(crate) async fn leave_evidence(&self) {
        let dir = &self.args.evidence;
        let _ = std::fs::remove_dir_all(dir);
        let _ = std::fs::create_dir_all(dir);
        for (file, args) in [
            (
                "objects.txt",
                &[
                    "get",
                    "pods,jobs,cronjobs,pvc,sfi,leases",
                    "-A",
                    "-o",
                    "wide",
                ][..],
            ),
            ("pods.yaml", &["get", "pods", "-A", "-o", "yaml"]),
            ("integrations.yaml", &["get", "sfi", "-A", "-o", "yaml"]),
            (
                "events.txt",
                &["get", "events", "-A", "--sort-by=.lastTimestamp"],
            ),
            (
                "logs.txt",
                &[
                    "logs",
                    "-n",
                    OPERATOR,
                    "-l",
                    "app.kubernetes.io/name=switchboard",
                    "--prefix",
                    "--tail=-1",
                ],
            ),
        ] {
            let text = match self.control_plane.kubectl(args).await {
                Ok(output) => output.stdout + &output.stderr,
                Err(error) => error.to_string(),
            };
            let _ = std::fs::write(dir.join(file), text);
        }
        if self.owns_node() {
            let logs = self.control_plane.dir().join("logs");
            for entry in std::fs::read_dir(logs).into_iter().flatten().flatten() {
                let _ = std::fs::copy(entry.path(), dir.join(entry.file_name()));
            }
        }
        eprintln!("e2e: what there was to see lies in {}", dir.display());
        if let Ok(output) = self.control_plane.kubectl(["get", "pods,sfi", "-A"]).await {
            eprintln!("{}", output.stdout);
        }
    }

    /// Removes all objects of the test from a cluster that remains after it.
    pub(crate) async fn tidy(&self) {
        if self.owns_node() {
            return;
        }
        for args in [
            &["delete", "sfi", "--all", "-A", "--timeout=60s"][..],
            &[
                "delete",
                "namespace",
                OPERATOR,
                crate::tenant::NAMESPACE,
                crate::salesforce::NAMESPACE,
                "--ignore-not-found",
            ],
            &[
                "delete",
                "crd",
                "salesforceintegrations.switchboard.dev",
                "--ignore-not-found",
            ],
        ] {
            let _ = self
                .helm(&["uninstall", RELEASE, "--ignore-not-found"])
                .await;
            let _ = self.control_plane.kubectl(args).await;
        }
    }
}

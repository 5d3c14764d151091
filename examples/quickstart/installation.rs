//! Starts the parts in the order of their dependencies.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use base64::Engine;
use salesforce_simulator::Simulator;
use salesforce_simulator::config::Config;
use serde_json::Value;
use switchboard_testbed::{ControlPlane, PodRunner, Process, repository, target_dir, try_wait_for};
use tempfile::TempDir;

use crate::guest::NAMESPACES;
use crate::{Failure, Progress};

/// The name of the CustomResourceDefinition.
pub(crate) const CRD: &str = "salesforceintegrations.switchboard.dev";
/// Its file in the repository.
pub(crate) const CRD_FILE: &str = "crds/salesforceintegrations.yaml";
/// The address of the simulator in the tenants' manifests.
const SALESFORCE: &str = "https://localhost:8443";
const SOON: Duration = Duration::from_secs(60);

/// All running parts.
pub(crate) struct Installation {
    pub(crate) control_plane: ControlPlane,
    /// In a cluster that was there before.
    pub(crate) guest: bool,
    pub(crate) salesforce: Simulator,
    pub(crate) directory_url: String,
    pub(crate) controller: Process,
    // The fields are in the order in which the parts end.
    _directory: Process,
    _runner: PodRunner,
    dir: TempDir,
}

impl Installation {
    /// Ends all parts in order.
    pub(crate) async fn stop(self) -> Result<(), Failure> {
        let code = self.controller.terminate(SOON).await?;
        if code != 0 {
            return Err(format!(
                "the controller ended with exit code {code}:\n{}",
                self.controller.text()
            )
            .into());
        }
        Ok(())
    }

    /// The simulator's authority, for `switchboard check --ca-bundle`.
    pub(crate) fn ca_file(&self) -> PathBuf {
        self.dir.path().join("salesforce-ca.pem")
    }
}

/// A control plane of our own, with the CRD.
pub(crate) async fn control_plane(progress: &Progress) -> Result<ControlPlane, Failure> {
    progress.step(
        "control plane: etcd, kube-apiserver, the controllers of Jobs and of what is deleted",
    );
    let control_plane = ControlPlane::start().await?;
    progress.step(&format!(
        "Kubernetes {} serves at {}",
        control_plane.apiserver_version(),
        control_plane.server()
    ));
    kubectl(&control_plane, &["apply", "-f", &path(CRD_FILE)]).await?;
    Ok(control_plane)
}

/// Starts the rest beside the control plane, which may be somebody else's.
pub(crate) async fn start(
    control_plane: ControlPlane,
    guest: bool,
    progress: &Progress,
) -> Result<Installation, Failure> {
    kubectl(
        &control_plane,
        &[
            "wait",
            "--for=condition=Established",
            &format!("crd/{CRD}"),
            "--timeout=30s",
        ],
    )
    .await?;

    let dir = tempfile::tempdir()?;
    let key = base64::engine::general_purpose::STANDARD.encode(rand::random::<[u8; 32]>());
    std::fs::write(dir.path().join("tokens.key"), key)?;
    let salesforce = salesforce()?;
    std::fs::write(dir.path().join("salesforce-ca.pem"), salesforce.ca_pem())?;
    progress.step(&format!(
        "Salesforce, played, listens at {}",
        salesforce.url()
    ));

    let program = target_dir().join("debug/switchboard");
    let file = |name: &str| dir.path().join(name).display().to_string();
    let directory = Process::builder("directory", &program)
        .args(["directory", "--listen=127.0.0.1:0", "--pages"])
        .arg(format!("--database=sqlite:{}", file("directory.db")))
        .arg(format!("--token-keys={}", file("tokens.key")))
        .start()
        .await?;
    let directory_url = format!(
        "http://{}",
        address(&directory, "the directory listens").await?
    );
    progress.step(&format!("the directory listens at {directory_url}"));
    // The control plane of the quick start has no scheduler.
    let mut runner = PodRunner::builder(&control_plane)
        .program("switchboard:quickstart", &program)
        .without_node();
    if guest {
        runner = NAMESPACES
            .into_iter()
            .fold(runner, |runner, name| runner.namespace(name));
    }
    let runner = runner.start().await?;
    let mut controller = Process::builder("controller", &program)
        .args([
            "controller",
            "--listen=127.0.0.1:0",
            "--worker-image=switchboard:quickstart",
        ])
        .arg(format!("--directory-url={directory_url}"))
        .arg(format!("--token-keys={}", file("tokens.key")))
        .arg(format!("--ca-bundle={}", file("salesforce-ca.pem")))
        .args(["--salesforce-hosts=localhost", "--allow-private-networks"])
        .env("KUBECONFIG", control_plane.kubeconfig_path().display());
    if guest {
        controller = controller
            .arg(format!("--watch-namespaces={}", NAMESPACES.join(",")))
            // No node has the image, and none is to look for it.
            .arg("--worker-image-pull-policy=Never");
        if let Ok(home) = std::env::var("HOME") {
            controller = controller.env("HOME", home); // plugins for credentials look there
        }
    }
    let controller = controller.start().await?;
    let health = address(&controller, "health is told here").await?;
    try_wait_for("the controller to be ready", SOON, async || {
        let answer = reqwest::get(format!("http://{health}/readyz"))
            .await
            .map_err(|error| error.to_string())?;
        if answer.status().is_success() {
            Ok(())
        } else {
            Err(answer.status().to_string())
        }
    })
    .await
    .map_err(|late| format!("{late:?}"))?;
    progress.step("the controller watches");
    apply_tenants(&control_plane, &salesforce).await?;
    progress.step("four tenants applied from examples/quickstart/");
    Ok(Installation {
        control_plane,
        guest,
        salesforce,
        directory_url,
        controller,
        _directory: directory,
        _runner: runner,
        dir,
    })
}

/// Starts the simulator at the address in the manifests, or on a free port when that port is in
/// use.
fn salesforce() -> Result<Simulator, Failure> {
    let text = std::fs::read_to_string(path("examples/quickstart-salesforce.yaml"))?;
    let world = || Config::from_yaml(&text).map(|config| config.world);
    let wanted = SocketAddr::from(([127, 0, 0, 1], 8443));
    // It has a runtime of its own, which goes where the port is taken; within this one only a place
    // that may block can let it go.
    let listen = |world| tokio::task::block_in_place(|| Simulator::listen(world, wanted));
    match listen(world()?) {
        Ok(simulator) => Ok(simulator),
        Err(_) => Ok(Simulator::listen(
            world()?,
            SocketAddr::from(([127, 0, 0, 1], 0)),
        )?),
    }
}

async fn apply_tenants(
    control_plane: &ControlPlane,
    salesforce: &Simulator,
) -> Result<(), Failure> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(path("examples/quickstart"))?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<_, _>>()?;
    files.retain(|file| {
        file.extension()
            .is_some_and(|extension| extension == "yaml")
    });
    files.sort();
    for file in files {
        let manifests = std::fs::read_to_string(&file)?.replace(SALESFORCE, &salesforce.url());
        let applied = control_plane.kubectl_apply(&manifests).await?;
        if !applied.success() {
            return Err(format!("{}: {}", file.display(), applied.stderr).into());
        }
    }
    Ok(())
}

/// Runs kubectl and returns its output.
pub(crate) async fn kubectl(
    control_plane: &ControlPlane,
    args: &[&str],
) -> Result<String, Failure> {
    let output = control_plane.kubectl(args).await?;
    if output.success() {
        Ok(output.stdout)
    } else {
        Err(format!("kubectl {}: {}", args.join(" "), output.stderr).into())
    }
}

fn path(file: &str) -> String {
    repository().join(file).display().to_string()
}

/// The address in the log line that contains these words.
async fn address(process: &Process, words: &str) -> Result<String, Failure> {
    let line = process.wait_for_text(words, SOON).await?;
    let line: Value = serde_json::from_str(&line)?;
    Ok(line["address"]
        .as_str()
        .ok_or("no address in the log line")?
        .to_owned())
}

//! In a cluster that is there already: touches nothing of what is in it, and takes everything away
//! again.
//!
//! Nothing is built but this program, so it does itself what the `cluster` binary does otherwise,
//! with the kubectl on `PATH`. Pods run as processes here, as in the control plane that the quick
//! start brings: the cluster's nodes have neither the image nor a way to the directory on this
//! machine. A LimitRange keeps the scheduler from them: they ask for something that no node has.

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use kube::config::Kubeconfig;
use serde_json::{Value, json};
use switchboard_testbed::{ControlPlane, repository, stand_in_for_cluster_binary, target_dir};

use crate::installation::{CRD, CRD_FILE, kubectl};
use crate::{Failure, Progress};

/// Of the tenants in the manifests.
pub(crate) const NAMESPACES: [&str; 4] = ["acme", "acme-sandbox", "birch", "cedar"];
/// A label on all that is made here. What has it not is never touched.
const MARK: &str = "switchboard.dev/quickstart";
/// A resource that no node offers.
const NOWHERE: &str = "switchboard.dev/quickstart";

/// What is in the cluster because of us.
pub(crate) struct Guest(ControlPlane);

/// Joins the cluster and says which it is. Only reads.
pub(crate) async fn control_plane(
    kubeconfig: &Path,
    progress: &Progress,
) -> Result<ControlPlane, Failure> {
    let read = Kubeconfig::read_from(kubeconfig)
        .map_err(|error| format!("cannot use {}: {error}", kubeconfig.display()))?;
    let context = read.current_context.ok_or_else(|| {
        format!(
            "{} has no current context: say which cluster is meant (kubectl config use-context)",
            kubeconfig.display()
        )
    })?;
    stand_in_for_cluster_binary(std::env::current_exe()?);
    progress.step(&format!(
        "the cluster is that of context {context} in {}",
        kubeconfig.display()
    ));
    let joined = ControlPlane::existing(kubeconfig.to_owned()).await?;
    progress.step(&format!(
        "Kubernetes {} serves at {}; all that is made there is taken away at the end",
        joined.apiserver_version(),
        joined.server()
    ));
    Ok(joined)
}

/// Refuses to come where something is in the way, before anything is made.
pub(crate) async fn arrive(kubeconfig: &Path) -> Result<Guest, Failure> {
    let control_plane = ControlPlane::existing(kubeconfig.to_owned()).await?;
    let namespaces = NAMESPACES.map(|name| format!("namespace/{name}"));
    let wanted = namespaces.iter().cloned().chain([format!("crd/{CRD}")]);
    for wanted in wanted {
        let found = kubectl(
            &control_plane,
            &["get", &wanted, "--ignore-not-found", "-o", "json"],
        )
        .await?;
        if found.trim().is_empty() {
            continue;
        }
        let found: Value = serde_json::from_str(&found)?;
        let why = match found["metadata"]["labels"].get(MARK) {
            Some(_) => format!(
                "from a quick start that still runs or was killed; to take away what one has left: kubectl delete namespace,crd -l {MARK}"
            ),
            None => "and not from a quick start".to_owned(),
        };
        return Err(format!("{wanted} is there already, {why}. Nothing was touched").into());
    }
    Ok(Guest(control_plane))
}

impl Guest {
    /// Makes the namespaces and the CRD, with the mark.
    pub(crate) async fn make_room(&self) -> Result<(), Failure> {
        let nowhere = json!({NOWHERE: "1"});
        for name in NAMESPACES {
            self.create(&json!({
                "apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": {MARK: "true"}},
            }))
            .await?;
            self.create(&json!({
                "apiVersion": "v1", "kind": "LimitRange", "metadata": {"name": "no-node", "namespace": name},
                "spec": {"limits": [{"type": "Container", "default": nowhere, "defaultRequest": nowhere}]},
            }))
            .await?;
        }
        let file = repository().join(CRD_FILE);
        let mut crd: Value = serde_yaml::from_str(&std::fs::read_to_string(file)?)?;
        crd["metadata"]["labels"][MARK] = "true".into();
        self.create(&crd).await
    }

    async fn create(&self, object: &Value) -> Result<(), Failure> {
        let made = self
            .0
            .kubectl_with(
                self.0.kubeconfig_path(),
                ["create", "-f", "-"],
                &object.to_string(),
            )
            .await?;
        match made.success() {
            true => Ok(()),
            false => Err(format!("kubectl create: {}", made.stderr.trim()).into()),
        }
    }

    /// Takes away all that has the mark, and waits until it is gone.
    pub(crate) async fn leave(self) -> Result<(), Failure> {
        println!("taking away what was made in the cluster");
        for kind in ["namespace", "crd"] {
            kubectl(&self.0, &["delete", kind, "-l", MARK, "--timeout=90s"])
                .await
                .map_err(|error| {
                    format!("{error}\nfinish it with: kubectl delete namespace,crd -l {MARK}")
                })?;
        }
        println!("the cluster is as it was");
        Ok(())
    }
}

/// The kubectl on `PATH`, else the one of a control plane that happens to be built here, in the
/// place of this process.
pub(crate) fn become_kubectl(args: &[String]) -> i32 {
    let missing = Command::new("kubectl").args(args).exec();
    let _ = Command::new(target_dir().join("cluster/cluster"))
        .arg("kubectl")
        .args(args)
        .exec();
    eprintln!(
        "kubectl, which a cluster that is there already is asked with, is not on PATH: {missing}"
    );
    127
}

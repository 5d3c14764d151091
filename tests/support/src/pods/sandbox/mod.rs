//! Local forms of a pod's volumes, environment and command: folders with files, variables, a
//! program.

mod environment;
mod objects;
mod volumes;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use k8s_openapi::api::core::v1::{Container, Pod, PodSpec};
use kube::{Client, ResourceExt};

use self::environment::expand;
use self::objects::Missing;
use self::volumes::{below, broken, make_dir};
use super::paths::Paths;
use super::state::PodCommand;

/// An obstacle to the start of a pod.
#[derive(Debug)]
pub(super) enum Obstacle {
    /// A Secret or ConfigMap, or a key of it, does not exist (yet).
    Missing(Missing),
    /// A permanent problem, which waiting does not solve.
    Broken(String),
}

/// All data for the start of the process.
#[derive(Debug)]
pub(super) struct Sandbox {
    pub(super) command: PodCommand,
    pub(super) working_dir: PathBuf,
    pub(super) termination_message: PathBuf,
}

/// The input for a sandbox.
pub(super) struct Builder<'a> {
    pub(super) client: &'a Client,
    pub(super) pod: &'a Pod,
    pub(super) spec: &'a PodSpec,
    pub(super) container: &'a Container,
    /// The folder of this pod.
    pub(super) dir: &'a Path,
    /// Local programs; key: an image or a program name in the pod.
    pub(super) programs: &'a BTreeMap<String, PathBuf>,
    /// Host and port of the API server, which every container gets.
    pub(super) api_server: (&'a str, &'a str),
}

impl Builder<'_> {
    pub(super) async fn build(&self) -> Result<Sandbox, Obstacle> {
        let working = self.dir.join("work");
        let termination_message = self.dir.join("termination-log");
        make_dir(&working)?;
        fs::write(&termination_message, "").map_err(|error| broken(&termination_message, error))?;

        let mut paths = Paths::default();
        let in_pod = self
            .container
            .termination_message_path
            .as_deref()
            .unwrap_or("/dev/termination-log");
        paths.insert(in_pod, termination_message.clone());
        for volume in self.spec.volumes.iter().flatten() {
            let dir = self.dir.join("volumes").join(&volume.name);
            self.fill(volume, &dir).await?;
        }
        for mount in self.container.volume_mounts.iter().flatten() {
            let mut real = self.dir.join("volumes").join(&mount.name);
            if let Some(sub_path) = mount.sub_path.as_deref().filter(|path| !path.is_empty()) {
                real = below(&real, sub_path)?;
                if !real.exists() {
                    make_dir(&real)?;
                }
            }
            paths.insert(&mount.mount_path, real);
        }

        let variables = self.environment().await?;
        let argv = self.argv(&variables, &paths)?;
        let working_dir = match self
            .container
            .working_dir
            .as_deref()
            .filter(|dir| !dir.is_empty())
        {
            None => working,
            Some(dir) => paths.real(dir).ok_or_else(|| {
                Obstacle::Broken(format!(
                    "workingDir {dir} lies in none of its volumes: not supported"
                ))
            })?,
        };
        let environment = variables
            .into_iter()
            .map(|(name, value)| (name, paths.rewrite(&value)))
            .collect();
        let command = PodCommand {
            argv,
            environment,
            mounts: paths.all().clone(),
        };
        Ok(Sandbox {
            command,
            working_dir,
            termination_message,
        })
    }

    /// Program and arguments: `command` and `args`, combined with the image's entrypoint as in
    /// Kubernetes.
    fn argv(
        &self,
        variables: &BTreeMap<String, String>,
        paths: &Paths,
    ) -> Result<Vec<String>, Obstacle> {
        let expand = |text: &String| paths.rewrite(&expand(text, variables));
        let mut command = self.container.command.iter().flatten().map(expand);
        let image = self.container.image.as_deref().unwrap_or_default();
        let name = command.next();
        let program = match &name {
            Some(name) => self.programs.get(name),
            None => self.programs.get(image),
        };
        let Some(program) = program else {
            let wanted = name.unwrap_or_else(|| format!("the entrypoint of image {image}"));
            return Err(Obstacle::Broken(format!(
                "the runner was not told which program stands for {wanted}"
            )));
        };
        let program = program.to_string_lossy().into_owned();
        Ok([program]
            .into_iter()
            .chain(command)
            .chain(self.container.args.iter().flatten().map(expand))
            .collect())
    }

    /// Reads a field of the pod that `fieldRef` names.
    fn field(&self, path: &str) -> Result<String, Obstacle> {
        let metadata = &self.pod.metadata;
        let subscript = |prefix: &str| {
            path.strip_prefix(prefix)
                .and_then(|rest| rest.strip_suffix("']"))
        };
        let value = match path {
            "metadata.name" => metadata.name.clone(),
            "metadata.namespace" => metadata.namespace.clone(),
            "metadata.uid" => metadata.uid.clone(),
            "spec.nodeName" => self.spec.node_name.clone(),
            "spec.serviceAccountName" => self.spec.service_account_name.clone(),
            "status.hostIP" | "status.hostIPs" | "status.podIP" | "status.podIPs" => {
                Some("127.0.0.1".to_owned())
            }
            "metadata.labels" => Some(format_map(self.pod.labels())),
            "metadata.annotations" => Some(format_map(self.pod.annotations())),
            _ => {
                let label =
                    subscript("metadata.labels['").map(|key| self.pod.labels().get(key).cloned());
                let annotation = subscript("metadata.annotations['")
                    .map(|key| self.pod.annotations().get(key).cloned());
                match label.or(annotation) {
                    Some(value) => value,
                    None => {
                        return Err(Obstacle::Broken(format!(
                            "fieldPath {path} is not supported"
                        )));
                    }
                }
            }
        };
        Ok(value.unwrap_or_default())
    }

    fn namespace(&self) -> String {
        self.pod.namespace().unwrap_or_default()
    }
}

fn format_map(map: &BTreeMap<String, String>) -> String {
    map.iter()
        .map(|(key, value)| format!("{key}={value:?}"))
        .collect::<Vec<_>>()
        .join("\n")
}

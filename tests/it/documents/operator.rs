//! The operator that helm has installed, as processes in place of its pods.

use std::path::Path;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::Api;
use switchboard_testbed::{ControlPlane, Process};

use crate::stage::{HEALTH, SOON, listening, program};

/// The namespace that the documents install into.
pub(super) const NAMESPACE: &str = "switchboard-system";

/// Controller and directory.
pub(super) struct Operator {
    pub controller: Process,
    pub directory: Process,
    /// `HOST:PORT` of the directory on IPv4.
    pub address: String,
    /// The image of the pods of runs.
    pub image: String,
}

/// The command line of a part, as the chart has written it.
async fn command_line(control_plane: &ControlPlane, part: &str) -> Option<Vec<String>> {
    let deployments: Api<Deployment> = Api::namespaced(control_plane.client(), NAMESPACE);
    let name = format!("switchboard-{part}");
    let deployment = deployments.get_opt(&name).await.unwrap()?;
    let pod = deployment.spec.unwrap().template.spec.unwrap();
    pod.containers.into_iter().next().unwrap().args
}

impl Operator {
    /// Starts what is installed; `None` while nothing is.
    pub(super) async fn start(
        control_plane: &ControlPlane,
        folder: &Path,
        salesforce: &[(&str, String)],
    ) -> Option<Self> {
        let controller = command_line(control_plane, "controller").await?;
        let directory = command_line(control_plane, "directory").await?;
        let secrets: Api<Secret> = Api::namespaced(control_plane.client(), NAMESPACE);
        let keys = secrets.get("switchboard-keys").await.unwrap();
        for (name, value) in keys.data.unwrap() {
            std::fs::write(folder.join(name), value.0).unwrap();
        }
        let maps: Api<ConfigMap> = Api::namespaced(control_plane.client(), NAMESPACE);
        let pods = maps
            .get("switchboard-controller-worker-pods")
            .await
            .unwrap();
        for (name, text) in pods.data.unwrap() {
            std::fs::write(folder.join(name), text).unwrap();
        }
        let own = |argument: &String| {
            argument
                .replace(
                    "/etc/switchboard/worker-pods",
                    &folder.display().to_string(),
                )
                .replace("/etc/switchboard/keys", &folder.display().to_string())
                .replace("/var/lib/switchboard", &folder.display().to_string())
                .replace("[::]:8080", "[::]:0")
        };
        let directory = Process::builder("directory", program())
            .args(directory.iter().map(own))
            .start()
            .await
            .unwrap();
        let address = listening(&directory, "the directory listens").await;
        let port = address.rsplit_once(':').unwrap().1;
        let account = "switchboard-controller";
        let kubeconfig = control_plane
            .kubeconfig_for_service_account(NAMESPACE, account)
            .await
            .unwrap();
        let image = controller
            .iter()
            .find_map(|argument| argument.strip_prefix("--worker-image="));
        let image = image.unwrap().to_owned();
        let arguments = controller.iter().map(|argument| {
            // Workers reach it by an IPv6 address, which the chart takes as well.
            match argument.starts_with("--directory-url=") {
                true => format!("--directory-url=http://[::1]:{port}"),
                false => own(argument),
            }
        });
        let mut builder = Process::builder("controller", program())
            .args(arguments)
            .env("KUBECONFIG", kubeconfig.display())
            .env("POD_NAMESPACE", NAMESPACE)
            .env("POD_NAME", "switchboard-controller-0");
        for (name, value) in salesforce {
            builder = builder.env(*name, value);
        }
        let controller = builder.start().await.unwrap();
        listening(&controller, HEALTH).await;
        Some(Self {
            controller,
            directory,
            address: format!("127.0.0.1:{port}"),
            image,
        })
    }

    /// Ends both in order.
    pub(super) async fn end(self) {
        for process in [self.controller, self.directory] {
            assert_eq!(
                process.terminate(SOON).await.unwrap(),
                0,
                "{}",
                process.text()
            );
        }
    }
}

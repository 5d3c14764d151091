//! The installation, from an empty cluster to a release with ready pods.

use serde_json::json;

use crate::bed::{Bed, OPERATOR, RELEASE};
use crate::{Failure, Progress, salesforce};

/// Plays Salesforce with these orgs.
pub(crate) async fn prepare(bed: &Bed, progress: &mut Progress, orgs: &str) -> Result<(), Failure> {
    progress
        .must("Salesforce is played by a pod", async {
            if bed.owns_node() {
                provide_volumes(bed).await?;
            }
            bed.apply(&salesforce::restricted(OPERATOR).to_string())
                .await?;
            salesforce::deploy(bed, orgs).await?;
            Ok(String::new())
        })
        .await
}

pub(crate) async fn install(bed: &Bed, progress: &mut Progress) -> Result<(), Failure> {
    progress
        .must(
            "helm install, default values beside the image and Salesforce's authority",
            async {
                write_values(bed, &bed.args.image)?;
                bed.release(&[]).await?;
                let images = bed
                    .kubectl(&[
                        "get",
                        "deployments",
                        "-n",
                        OPERATOR,
                        "-o",
                        "wide",
                        "--no-headers",
                    ])
                    .await?;
                Ok(images
                    .lines()
                    .map(|line| {
                        line.split_whitespace()
                            .take(2)
                            .collect::<Vec<_>>()
                            .join(" ")
                    })
                    .collect::<Vec<_>>()
                    .join(", "))
            },
        )
        .await?;
    progress
        .step("helm test", async {
            bed.helm(&["test", RELEASE, "--timeout=120s"])
                .await
                .map(|_| String::new())
        })
        .await
}

/// Writes the values that this test adds to the chart's own.
pub(crate) fn write_values(bed: &Bed, image: &str) -> Result<(), Failure> {
    let (repository, tag) = image.rsplit_once(':').ok_or("--image REPOSITORY:TAG")?;
    let mut values = json!({
        "image": {"repository": repository, "tag": tag},
        "salesforce": {"allowPrivateNetworks": true, "caBundle": {"configMap": salesforce::AUTHORITY}},
    });
    if !bed.owns_node() {
        values["salesforce"]["hosts"] = json!([salesforce::INSIDE]);
    }
    std::fs::write(bed.values_file(), values.to_string())?;
    Ok(())
}

/// The node that this test starts has no storage, so a folder of it becomes the default storage
/// class.
async fn provide_volumes(bed: &Bed) -> Result<(), Failure> {
    let path = bed.control_plane.dir().join("volumes/directory");
    std::fs::create_dir_all(&path)?;
    let class = json!({
        "apiVersion": "storage.k8s.io/v1", "kind": "StorageClass",
        "metadata": {"name": "node", "annotations": {"storageclass.kubernetes.io/is-default-class": "true"}},
        "provisioner": "kubernetes.io/no-provisioner"
    });
    let volume = json!({
        "apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": "node"},
        "spec": {
            "capacity": {"storage": "10Gi"}, "accessModes": ["ReadWriteOnce"], "storageClassName": "node",
            "persistentVolumeReclaimPolicy": "Retain", "local": {"path": path},
            "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [
                {"key": "kubernetes.io/os", "operator": "In", "values": ["linux"]}
            ]}]}}
        }
    });
    bed.apply(&class.to_string()).await?;
    bed.apply(&volume.to_string()).await
}

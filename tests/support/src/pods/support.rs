//! Refuses all features that this stand-in for a kubelet lacks: a test must not pass because the
//! runner silently ignored something.

use k8s_openapi::api::core::v1::{Container, Pod, PodSpec};

const VOLUMES: [&str; 5] = [
    "secret",
    "configMap",
    "emptyDir",
    "downwardAPI",
    "projected",
];

/// Image of a container that is only played: it runs until the pod is told to end.
const SIDECAR: &str = "switchboard-testbed/sidecar";

/// The container that is run. Played sidecars stand beside it.
pub(super) fn main_container(spec: &PodSpec) -> Option<&Container> {
    let mut real = spec
        .containers
        .iter()
        .filter(|container| !is_played(container));
    real.next()
}

/// The names and images of the played sidecars of a pod.
pub(super) fn sidecars(spec: &PodSpec) -> Vec<(String, String)> {
    let played = spec
        .containers
        .iter()
        .filter(|container| is_played(container));
    played
        .map(|container| (container.name.clone(), SIDECAR.to_owned()))
        .collect()
}

fn is_played(container: &Container) -> bool {
    container.image.as_deref() == Some(SIDECAR)
}

/// The only container of a pod that is run, or the reason why the pod cannot run.
pub(super) fn runnable(pod: &Pod) -> Result<(&PodSpec, &Container), String> {
    let spec = pod.spec.as_ref().ok_or("no spec")?;
    let real = spec.containers.len() - sidecars(spec).len();
    let container = match main_container(spec) {
        Some(container) if real == 1 => container,
        _ => {
            return Err(format!(
                "{real} containers: only one is supported, and played sidecars beside it"
            ));
        }
    };
    if let Some(what) = unsupported_in_pod(spec).or_else(|| unsupported_in_container(container)) {
        return Err(format!("{what} is not supported"));
    }
    let mut tokens = false;
    for volume in spec.volumes.iter().flatten() {
        let source = serde_json::to_value(volume).unwrap_or_default();
        let kinds = source
            .as_object()
            .into_iter()
            .flatten()
            .map(|(key, _)| key.as_str())
            .filter(|key| *key != "name");
        if let Some(kind) = kinds.into_iter().find(|kind| !VOLUMES.contains(kind)) {
            return Err(format!("volume {}: {kind} is not supported", volume.name));
        }
        let projections = volume
            .projected
            .iter()
            .flat_map(|projected| projected.sources.iter().flatten());
        for projection in projections {
            if projection.cluster_trust_bundle.is_some() {
                return Err(format!(
                    "volume {}: clusterTrustBundle is not supported",
                    volume.name
                ));
            }
            tokens |= projection.service_account_token.is_some();
        }
    }
    if tokens && spec.automount_service_account_token == Some(false) {
        return Err(
            "it says automountServiceAccountToken: false and mounts a token all the same"
                .to_owned(),
        );
    }
    Ok((spec, container))
}

fn unsupported_in_pod(spec: &PodSpec) -> Option<&'static str> {
    let restarts = spec.restart_policy.as_deref() != Some("Never");
    [
        (restarts, "a restartPolicy other than Never"),
        (
            spec.init_containers.iter().flatten().next().is_some(),
            "initContainers",
        ),
        (
            spec.ephemeral_containers.iter().flatten().next().is_some(),
            "ephemeralContainers",
        ),
        (
            spec.resource_claims.iter().flatten().next().is_some(),
            "resourceClaims",
        ),
        (
            spec.readiness_gates.iter().flatten().next().is_some(),
            "readinessGates",
        ),
        (
            spec.share_process_namespace == Some(true),
            "shareProcessNamespace",
        ),
    ]
    .into_iter()
    .find_map(|(present, what)| present.then_some(what))
}

fn unsupported_in_container(container: &Container) -> Option<&'static str> {
    let env = || {
        container
            .env
            .iter()
            .flatten()
            .filter_map(|variable| variable.value_from.as_ref())
    };
    let mounts = || container.volume_mounts.iter().flatten();
    [
        (container.lifecycle.is_some(), "lifecycle"),
        (container.liveness_probe.is_some(), "livenessProbe"),
        (container.readiness_probe.is_some(), "readinessProbe"),
        (container.startup_probe.is_some(), "startupProbe"),
        (
            container.stdin == Some(true) || container.tty == Some(true),
            "stdin or tty",
        ),
        (
            container.volume_devices.iter().flatten().next().is_some(),
            "volumeDevices",
        ),
        (
            mounts().any(|mount| mount.sub_path_expr.is_some()),
            "subPathExpr",
        ),
        (
            env().any(|from| from.resource_field_ref.is_some()),
            "resourceFieldRef",
        ),
    ]
    .into_iter()
    .find_map(|(present, what)| present.then_some(what))
}

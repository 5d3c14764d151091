//! Pod statuses in the form that a kubelet writes.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde_json::{Value, json};

/// The state of a container.
#[derive(Debug, Clone)]
pub(super) enum Container {
    Waiting {
        reason: &'static str,
        message: Option<String>,
    },
    Running {
        since: Timestamp,
    },
    Terminated(Termination),
    /// It has ended, and the sidecars of the pod go on.
    Outlived(Termination),
}

/// The end of a container.
#[derive(Debug, Clone)]
pub(super) struct Termination {
    pub(super) exit_code: i32,
    pub(super) reason: &'static str,
    pub(super) message: String,
    pub(super) started: Option<Timestamp>,
    pub(super) finished: Timestamp,
}

/// The reason why a pod failed as a whole, when the container is not the cause.
#[derive(Debug, Clone)]
pub(super) struct PodFailure {
    pub(super) reason: &'static str,
    pub(super) message: String,
}

/// The data that all reports on a pod share.
#[derive(Debug, Clone)]
pub(super) struct Subject {
    pub(super) uid: String,
    pub(super) container: String,
    pub(super) image: String,
    pub(super) started: Timestamp,
    /// Names and images of the played sidecars.
    pub(super) sidecars: Vec<(String, String)>,
}

/// The patch that reports on a pod. It is a strategic merge, so conditions of other writers stay.
pub(super) fn patch(
    subject: &Subject,
    container: &Container,
    failure: Option<&PodFailure>,
) -> Value {
    let running = matches!(container, Container::Running { .. });
    let (phase, not_ready) = match container {
        _ if failure.is_some() => ("Failed", "PodFailed"),
        Container::Waiting { .. } => ("Pending", "ContainersNotReady"),
        Container::Running { .. } => ("Running", ""),
        Container::Outlived(_) => ("Running", "ContainersNotReady"),
        Container::Terminated(Termination { exit_code: 0, .. }) => ("Succeeded", "PodCompleted"),
        Container::Terminated(_) => ("Failed", "PodFailed"),
    };
    let ready = if running {
        json!({"status": "True"})
    } else {
        json!({"status": "False", "reason": not_ready})
    };
    let condition = |kind: &str, state: &Value| {
        let mut condition = state.clone();
        condition["type"] = kind.into();
        condition["lastTransitionTime"] = time(Timestamp::now());
        condition
    };
    let always = json!({"status": "True"});
    let mut status = json!({
        "phase": phase,
        "startTime": time(subject.started),
        "hostIP": "127.0.0.1",
        "hostIPs": [{"ip": "127.0.0.1"}],
        "podIP": "127.0.0.1",
        "podIPs": [{"ip": "127.0.0.1"}],
        "conditions": [condition("Initialized", &always), condition("Ready", &ready), condition("ContainersReady", &ready)],
        "containerStatuses": [{
            "name": subject.container,
            "image": subject.image,
            "imageID": "",
            "containerID": format!("process://{}", subject.uid),
            "ready": running,
            "started": running,
            "restartCount": 0,
            "state": state(subject, container),
            "lastState": {},
        }],
    });
    if let Some(all) = status["containerStatuses"].as_array_mut() {
        all.extend(subject.sidecars.iter().map(|(name, image)| {
            let runs = matches!(
                container,
                Container::Running { .. } | Container::Outlived(_)
            );
            let its = match container {
                Container::Outlived(_) => Container::Running {
                    since: subject.started,
                },
                Container::Terminated(end) => Container::Terminated(Termination {
                    exit_code: 0,
                    reason: "Completed",
                    message: String::new(),
                    ..end.clone()
                }),
                other => other.clone(),
            };
            json!({
                "name": name,
                "image": image,
                "imageID": "",
                "containerID": format!("process://{}-{name}", subject.uid),
                "ready": runs,
                "started": runs,
                "restartCount": 0,
                "state": state(subject, &its),
                "lastState": {},
            })
        }));
    }
    if let Some(failure) = failure {
        status["reason"] = failure.reason.into();
        status["message"] = failure.message.clone().into();
    }
    // The UID prevents a patch of a later pod with the same name.
    json!({"metadata": {"uid": subject.uid}, "status": status})
}

/// The container's state. The keys of the other two states are set to null, because a patch would
/// keep them otherwise.
fn state(subject: &Subject, container: &Container) -> Value {
    match container {
        Container::Waiting { reason, message } => {
            json!({"waiting": {"reason": reason, "message": message}, "running": null, "terminated": null})
        }
        Container::Running { since } => {
            json!({"running": {"startedAt": time(*since)}, "waiting": null, "terminated": null})
        }
        Container::Terminated(end) | Container::Outlived(end) => {
            json!({"waiting": null, "running": null, "terminated": {
                "exitCode": end.exit_code,
                "reason": end.reason,
                "message": end.message,
                "startedAt": end.started.map(time),
                "finishedAt": time(end.finished),
                "containerID": format!("process://{}", subject.uid),
            }})
        }
    }
}

fn time(at: Timestamp) -> Value {
    json!(Time(at))
}

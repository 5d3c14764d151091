//! The life of one pod, from its binding to the node until its object is gone.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::{Container as ContainerSpec, Pod, PodSpec};
use kube::api::{DeleteParams, Patch, PatchParams, Preconditions};
use kube::{Api, Client, ResourceExt};
use nix::sys::signal::Signal;
use serde_json::Value;
use tokio::io::AsyncWriteExt;
use tokio::process::{Child, Command};
use tokio::sync::{mpsc, watch};

use super::message;
use super::report::{self, Container, PodFailure, Subject, Termination};
use super::sandbox::{Builder, Obstacle, Sandbox};
use super::state::{Order, RunState, Shared};
use super::support::{main_container, runnable, sidecars};

/// The state that all pods of a runner share.
pub(super) struct Runner {
    /// A client with the node's identity.
    pub(super) client: Client,
    pub(super) shared: Shared,
    /// The `cluster` binary, which supervises processes.
    pub(super) binary: PathBuf,
    /// The folder for the files of all pods.
    pub(super) dir: PathBuf,
    pub(super) programs: BTreeMap<String, PathBuf>,
    pub(super) api_server: (String, String),
    /// Number of times that the node was lost. Processes started before a loss end without a
    /// report.
    pub(super) losses: watch::Receiver<u64>,
}

/// One pod that the runner manages.
struct Lifecycle<'a> {
    runner: &'a Runner,
    api: Api<Pod>,
    name: String,
    namespace: String,
    subject: Subject,
    record: usize,
    /// The last observed state of the pod; `None` when its object is gone.
    pod: watch::Receiver<Option<Pod>>,
    losses: watch::Receiver<u64>,
    deadline: Option<Timestamp>,
}

/// The reason why a pod must end before its program does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cause {
    /// Somebody deleted the pod; the value is the grace period.
    Deleted(Duration),
    /// Its `activeDeadlineSeconds` have passed; the value is the grace period.
    Deadline(Duration),
    /// Its object is already gone, so no report is possible.
    Gone,
    /// The node is lost, so nothing is reported.
    Lost,
}

/// Runs the pod to its end. Returns after its object is gone.
pub(super) async fn run(runner: Arc<Runner>, pod: Pod, changes: watch::Receiver<Option<Pod>>) {
    let uid = pod.uid().unwrap_or_default();
    let dir = runner.dir.join(&uid);
    let (record, orders) = runner.shared.open(&pod, dir.join("log"));
    let container = pod.spec.as_ref().and_then(main_container);
    let started = Timestamp::now();
    let seconds = pod
        .spec
        .as_ref()
        .and_then(|spec| spec.active_deadline_seconds);
    let mut losses = runner.losses.clone();
    losses.mark_unchanged();
    let lifecycle = Lifecycle {
        api: Api::namespaced(runner.client.clone(), &pod.namespace().unwrap_or_default()),
        name: pod.name_any(),
        namespace: pod.namespace().unwrap_or_default(),
        subject: Subject {
            uid,
            container: container
                .map(|container| container.name.clone())
                .unwrap_or_default(),
            image: container
                .and_then(|container| container.image.clone())
                .unwrap_or_default(),
            started,
            sidecars: pod.spec.as_ref().map(sidecars).unwrap_or_default(),
        },
        record,
        pod: changes,
        losses,
        deadline: seconds
            .and_then(|seconds| started.checked_add(SignedDuration::from_secs(seconds)).ok()),
        runner: &runner,
    };
    lifecycle.run(&pod, &dir, orders).await;
}

impl Lifecycle<'_> {
    async fn run(mut self, pod: &Pod, dir: &Path, orders: mpsc::UnboundedReceiver<Order>) {
        let finished = matches!(
            pod.status.as_ref().and_then(|s| s.phase.as_deref()),
            Some("Succeeded" | "Failed")
        );
        if !finished {
            match runnable(pod) {
                Err(reason) => self.refuse(&reason).await,
                Ok((spec, container)) => match self.prepare(pod, spec, container, dir).await {
                    Ok(Ok(sandbox)) => self.execute(pod, container, &sandbox, dir, orders).await,
                    Ok(Err(reason)) => self.refuse(&reason).await,
                    Err(cause) => self.ended_before_start(cause).await,
                },
            }
        }
        self.remove_when_deleted().await;
    }

    /// Prepares the pod, without a time limit, unless it must end first.
    async fn prepare(
        &mut self,
        pod: &Pod,
        spec: &PodSpec,
        container: &ContainerSpec,
        dir: &Path,
    ) -> Result<Result<Sandbox, String>, Cause> {
        self.wait_with("ContainerCreating", None).await;
        let runner = self.runner;
        let mut reported = "ContainerCreating";
        loop {
            let attempt = async {
                let mut changes = runner.shared.changes();
                while runner.shared.is_held(pod) {
                    // The runner owns the sender and outlives its pods.
                    let _ = changes.changed().await;
                }
                let (host, port) = &runner.api_server;
                let builder = Builder {
                    client: &runner.client,
                    pod,
                    spec,
                    container,
                    dir,
                    programs: &runner.programs,
                    api_server: (host, port),
                };
                builder.build().await
            };
            let missing = tokio::select! {
                cause = self.must_end() => return Err(cause),
                attempt = attempt => match attempt {
                    Ok(sandbox) => return Ok(Ok(sandbox)),
                    Err(Obstacle::Broken(reason)) => return Ok(Err(reason)),
                    Err(Obstacle::Missing(missing)) => missing,
                },
            };
            let reason = if missing.for_environment {
                "CreateContainerConfigError"
            } else {
                "ContainerCreating"
            };
            if reason != reported {
                self.wait_with(reason, Some(missing.message.clone())).await;
                reported = reason;
            }
            let message = missing.message.clone();
            runner.shared.update(self.record, |run| {
                run.state = RunState::Waiting(format!("{reason}: {message}"))
            });
            let (client, namespace) = (runner.client.clone(), self.namespace.clone());
            tokio::select! {
                cause = self.must_end() => return Err(cause),
                () = missing.changed(client, &namespace) => {}
            }
        }
    }

    /// Runs the program and reports its end.
    async fn execute(
        &mut self,
        pod: &Pod,
        container: &ContainerSpec,
        sandbox: &Sandbox,
        dir: &Path,
        mut orders: mpsc::UnboundedReceiver<Order>,
    ) {
        let log = dir.join("log");
        let mut process = match self.spawn(sandbox, &log) {
            Ok(process) => process,
            Err(error) => {
                return self
                    .refuse(&format!("cannot start its program: {error}"))
                    .await;
            }
        };
        let started = Timestamp::now();
        self.runner.shared.update(self.record, |run| {
            run.state = RunState::Running;
            run.command = Some(sandbox.command.clone());
        });
        let mut lifeline = process.stdin.take();
        let mut cause = None;
        let mut kill_at = None;
        let mut out_of_memory = false;
        // A slow report must not stop the clock of a deadline or a deletion.
        let report = report::patch(&self.subject, &Container::Running { since: started }, None);
        let (api, name) = (self.api.clone(), self.name.clone());
        let mut reporting = Box::pin(async move { send(&api, &name, &report).await });
        let mut reported = false;
        let exit_code = loop {
            tokio::select! {
                () = &mut reporting, if !reported => reported = true,
                status = process.wait() => break status.ok().and_then(|status| status.code()).unwrap_or(137),
                reason = self.must_end(), if cause.is_none() => {
                    cause = Some(reason);
                    match reason {
                        Cause::Deleted(grace) | Cause::Deadline(grace) => {
                            signal(&mut lifeline, Signal::SIGTERM as i32).await;
                            kill_at = Some(tokio::time::Instant::now() + grace);
                        }
                        Cause::Gone | Cause::Lost => signal(&mut lifeline, Signal::SIGKILL as i32).await,
                    }
                }
                () = tokio::time::sleep_until(kill_at.unwrap_or_else(tokio::time::Instant::now)), if kill_at.is_some() => {
                    kill_at = None;
                    signal(&mut lifeline, Signal::SIGKILL as i32).await;
                }
                Some(order) = orders.recv() => match order {
                    Order::Signal(number) => signal(&mut lifeline, number).await,
                    Order::OutOfMemory => {
                        out_of_memory = true;
                        signal(&mut lifeline, Signal::SIGKILL as i32).await;
                    }
                },
            }
        };
        drop(lifeline);
        if !reported {
            reporting.await; // the reports on a pod must not overtake each other
        }
        let failed = exit_code != 0;
        let fall_back = failed
            && container.termination_message_policy.as_deref() == Some("FallbackToLogsOnError");
        let message = match self.runner.shared.message_for(pod) {
            Some(message) => message,
            None => message::read(&sandbox.termination_message, &log, fall_back),
        };
        let reason = match failed {
            _ if out_of_memory => "OOMKilled",
            true => "Error",
            false => "Completed",
        };
        if !matches!(cause, Some(Cause::Gone | Cause::Lost)) {
            let finished = Timestamp::now();
            let termination = Termination {
                exit_code,
                reason,
                message,
                started: Some(started),
                finished,
            };
            if cause.is_none() && !self.subject.sidecars.is_empty() {
                self.report(&Container::Outlived(termination.clone()), None)
                    .await;
                cause = Some(self.must_end().await);
            }
            let failure = matches!(cause, Some(Cause::Deadline(_))).then(deadline_exceeded);
            self.report(&Container::Terminated(termination), failure.as_ref())
                .await;
        }
        self.runner
            .shared
            .update(self.record, |run| run.state = RunState::Ended(exit_code));
    }

    /// Starts the program under supervision, so that it ends with this process, with only the pod's
    /// environment.
    fn spawn(&self, sandbox: &Sandbox, log: &Path) -> std::io::Result<Child> {
        let log = OpenOptions::new().create(true).append(true).open(log)?;
        Command::new(&self.runner.binary)
            .args(["supervise", "--"])
            .args(&sandbox.command.argv)
            .env_clear()
            .envs(&sandbox.command.environment)
            .current_dir(&sandbox.working_dir)
            .stdin(Stdio::piped())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
    }

    /// Fails the pod with a visible message, because it needs something that is unsupported or
    /// impossible.
    async fn refuse(&mut self, reason: &str) {
        let loud = format!("pod {}/{} is refused: {reason}", self.namespace, self.name);
        eprintln!("{loud}");
        self.runner.shared.refuse(loud);
        self.runner.shared.update(self.record, |run| {
            run.state = RunState::NeverRan(reason.to_owned())
        });
        let failure = PodFailure {
            reason: "RefusedByPodRunner",
            message: reason.to_owned(),
        };
        let waiting = Container::Waiting {
            reason: "CreateContainerError",
            message: Some(reason.to_owned()),
        };
        self.report(&waiting, Some(&failure)).await;
    }

    async fn ended_before_start(&mut self, cause: Cause) {
        self.runner.shared.update(self.record, |run| {
            run.state = RunState::NeverRan(format!("{cause:?}"))
        });
        let failure = match cause {
            Cause::Gone | Cause::Lost => return,
            Cause::Deadline(_) => Some(deadline_exceeded()),
            Cause::Deleted(_) => None,
        };
        let termination = Termination {
            exit_code: 137,
            reason: "ContainerStatusUnknown",
            message: "The container could not be located when the pod was terminated".to_owned(),
            started: None,
            finished: Timestamp::now(),
        };
        self.report(&Container::Terminated(termination), failure.as_ref())
            .await;
    }

    async fn wait_with(&self, reason: &'static str, message: Option<String>) {
        self.report(&Container::Waiting { reason, message }, None)
            .await;
    }

    async fn report(&self, container: &Container, failure: Option<&PodFailure>) {
        send(
            &self.api,
            &self.name,
            &report::patch(&self.subject, container, failure),
        )
        .await;
    }

    /// Waits until the pod must end for one of the causes.
    async fn must_end(&mut self) -> Cause {
        let deadline = self.deadline;
        let deadline = async move {
            match deadline {
                Some(deadline) => {
                    let left = Timestamp::now().duration_until(deadline);
                    tokio::time::sleep(Duration::try_from(left).unwrap_or_default()).await;
                }
                None => std::future::pending().await,
            }
        };
        let mut grace = Duration::from_secs(30);
        let deletion = async {
            loop {
                {
                    let pod = self.pod.borrow_and_update();
                    let Some(pod) = pod.as_ref() else {
                        return Cause::Gone;
                    };
                    let seconds = |seconds: Option<i64>| {
                        seconds.and_then(|seconds| u64::try_from(seconds).ok())
                    };
                    if let Some(wish) = seconds(
                        pod.spec
                            .as_ref()
                            .and_then(|spec| spec.termination_grace_period_seconds),
                    ) {
                        grace = Duration::from_secs(wish);
                    }
                    if pod.metadata.deletion_timestamp.is_some() {
                        let wish = seconds(pod.metadata.deletion_grace_period_seconds);
                        return Cause::Deleted(wish.map_or(grace, Duration::from_secs));
                    }
                }
                if self.pod.changed().await.is_err() {
                    return Cause::Gone;
                }
            }
        };
        tokio::select! {
            cause = deletion => cause,
            () = deadline => Cause::Deadline(self.grace()),
            _ = self.losses.changed() => Cause::Lost,
        }
    }

    fn grace(&self) -> Duration {
        let pod = self.pod.borrow();
        let seconds = pod
            .as_ref()
            .and_then(|pod| pod.spec.as_ref())
            .and_then(|spec| spec.termination_grace_period_seconds);
        Duration::from_secs(
            seconds
                .and_then(|seconds| u64::try_from(seconds).ok())
                .unwrap_or(30),
        )
    }

    /// Removes the pod's object after its deletion was requested. No process of the pod runs at
    /// this point.
    async fn remove_when_deleted(&mut self) {
        loop {
            let deleted = {
                let pod = self.pod.borrow_and_update();
                let Some(pod) = pod.as_ref() else { return };
                pod.metadata.deletion_timestamp.is_some()
            };
            if deleted {
                let preconditions = Preconditions {
                    uid: Some(self.subject.uid.clone()),
                    resource_version: None,
                };
                let params = DeleteParams {
                    preconditions: Some(preconditions),
                    ..DeleteParams::default().grace_period(0)
                };
                match self.api.delete(&self.name, &params).await {
                    Err(kube::Error::Api(status))
                        if status.is_not_found() || status.is_conflict() =>
                    {
                        return;
                    }
                    // It is gone, or a finalizer holds it and the watch reports its removal.
                    Ok(_) => {}
                    Err(_) => {
                        tokio::time::sleep(Duration::from_millis(200)).await;
                        continue;
                    }
                }
            }
            if self.pod.changed().await.is_err() {
                return;
            }
        }
    }
}

/// Retries a report until the API server accepts it or the pod is gone.
async fn send(api: &Api<Pod>, name: &str, report: &Value) {
    loop {
        match api
            .patch_status(name, &PatchParams::default(), &Patch::Strategic(report))
            .await
        {
            Ok(_) => return,
            Err(kube::Error::Api(status)) if status.is_not_found() || status.is_conflict() => {
                return;
            }
            Err(kube::Error::Api(status)) if status.is_invalid() => {
                eprintln!("the report on pod {name} was refused: {}", status.message);
                return;
            }
            Err(_) => tokio::time::sleep(Duration::from_millis(200)).await,
        }
    }
}

/// Requests a signal to the program from the supervisor. If the program has ended, its end is
/// observed elsewhere.
async fn signal(lifeline: &mut Option<tokio::process::ChildStdin>, number: i32) {
    if let Some(lifeline) = lifeline {
        let _ = lifeline
            .write_all(format!("signal {number}\n").as_bytes())
            .await;
        let _ = lifeline.flush().await;
    }
}

fn deadline_exceeded() -> PodFailure {
    PodFailure {
        reason: "DeadlineExceeded",
        message: "Pod was active on the node longer than the specified deadline".to_owned(),
    }
}

//! A stand-in for the kubelet: it runs the pods of Jobs as local processes and reports on them as a
//! kubelet does.
//!
//! [`PodRunner`] registers a Node, and the real scheduler binds pods to it. Each pod becomes one
//! process with the pod's environment and volumes; the end of the process becomes the pod's status.
//! The runner refuses, with a visible message, everything that it does not support. The README of
//! this crate lists both.

mod kubelet;
mod lifecycle;
mod message;
mod node;
mod paths;
mod report;
mod sandbox;
mod select;
mod state;
mod support;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::mpsc as blocking;
use std::thread::JoinHandle;
use std::time::Duration;

use kubelet::{Control, Kubelet};
pub use nix::sys::signal::Signal;
pub use select::Select;
use state::{Effect, Order, Shared};
pub use state::{PodCommand, PodRun, Rule, RunState};
use tokio::sync::{mpsc, oneshot};

use crate::error::{Context, Error, Result};
use crate::{ControlPlane, try_wait_for};

/// Runs pods as local processes. A drop ends them and removes the node.
///
/// It has its own thread and Tokio runtime, so tests with different runtimes may share it.
#[derive(Debug)]
pub struct PodRunner {
    node: String,
    shared: Shared,
    control: mpsc::UnboundedSender<Control>,
    thread: Option<JoinHandle<()>>,
}

/// The configuration of a [`PodRunner`]: its namespaces and programs.
#[derive(Debug)]
pub struct PodRunnerBuilder<'a> {
    control_plane: &'a ControlPlane,
    namespaces: Vec<String>,
    programs: BTreeMap<String, PathBuf>,
    capacity: u32,
    guest: bool,
}

// === impl PodRunnerBuilder ===

impl PodRunnerBuilder<'_> {
    /// Serves only this namespace; further calls add namespaces. Without any, the runner takes all
    /// pods outside of other runners' namespaces.
    #[must_use]
    pub fn namespace(mut self, name: impl Into<String>) -> Self {
        self.namespaces.push(name.into());
        self
    }

    /// Maps a name in the pod to a local program. The name is an image whose container has no
    /// command, or a container's `command[0]`.
    #[must_use]
    pub fn program(
        mut self,
        image_or_command: impl Into<String>,
        program: impl Into<PathBuf>,
    ) -> Self {
        self.programs
            .insert(image_or_command.into(), program.into());
        self
    }

    /// Maximum number of pods at a time (110 by default); the scheduler respects it.
    #[must_use]
    pub fn capacity(mut self, pods: u32) -> Self {
        self.capacity = pods;
        self
    }

    /// Registers no node: runs the pods of its namespaces that are on none, and acts as the
    /// administrator. For a control plane without a scheduler, and for a cluster of somebody else,
    /// where a node that is none would attract pods of theirs: there, what keeps the scheduler from
    /// those pods is the caller's business.
    #[must_use]
    pub fn without_node(mut self) -> Self {
        self.guest = true;
        self
    }

    /// Registers the node and waits until the scheduler may use it.
    pub async fn start(self) -> Result<PodRunner> {
        let name = format!("runner-{:08x}", rand::random::<u32>());
        let (control, orders) = mpsc::unbounded_channel();
        let shared = Shared::new();
        let kubelet = Kubelet::new(
            self.control_plane,
            &name,
            self.programs,
            self.capacity,
            !self.namespaces.is_empty(),
            self.guest.then(|| self.namespaces.clone()),
            &shared,
        )?;
        let (ready, started) = oneshot::channel();
        let thread = std::thread::Builder::new()
            .name(name.clone())
            .spawn(move || kubelet.run_on_own_runtime(orders, ready))
            .context(|| "start the pod runner's thread")?;
        // From here on, the drop of this value cleans up.
        let runner = PodRunner {
            node: name,
            shared,
            control,
            thread: Some(thread),
        };
        started
            .await
            .map_err(|_| Error::ControlPlane("the pod runner has died".to_owned()))??;
        if !self.guest {
            for namespace in &self.namespaces {
                runner.serve(namespace).await?;
            }
        }
        Ok(runner)
    }
}

// === impl PodRunner ===

impl PodRunner {
    /// Starts the description of a runner.
    pub fn builder(control_plane: &ControlPlane) -> PodRunnerBuilder<'_> {
        PodRunnerBuilder {
            control_plane,
            namespaces: Vec::new(),
            programs: BTreeMap::new(),
            capacity: 110,
            guest: false,
        }
    }

    /// The name of the runner's node.
    pub fn node(&self) -> &str {
        &self.node
    }

    /// Serves one more namespace. Existing pods of that namespace stay on their nodes.
    pub async fn serve(&self, namespace: &str) -> Result<()> {
        let namespace = namespace.to_owned();
        self.ask(|reply| Control::Serve { namespace, reply }).await
    }

    /// The selected pods that the runner has accepted, oldest first.
    pub fn pods(&self, select: Select) -> Vec<PodRun> {
        self.shared.runs(&select)
    }

    /// Number of processes that were started for the selected pods.
    pub fn runs(&self, select: Select) -> usize {
        let started = |run: &&PodRun| matches!(run.state, RunState::Running | RunState::Ended(_));
        self.shared.runs(&select).iter().filter(started).count()
    }

    /// The standard output and error of the youngest selected pod.
    pub fn logs(&self, select: Select) -> String {
        let runs = self.shared.runs(&select);
        let log = runs
            .last()
            .and_then(|run| std::fs::read(&run.log).ok())
            .unwrap_or_default();
        String::from_utf8_lossy(&log).into_owned()
    }

    /// Waits until the process of a selected pod is running.
    pub async fn wait_running(&self, select: Select, deadline: Duration) -> Result<PodRun> {
        self.wait(select, "running", deadline, |state| {
            *state == RunState::Running
        })
        .await
    }

    /// Waits until the process of a selected pod has ended. The API server may not have its report
    /// yet.
    pub async fn wait_ended(&self, select: Select, deadline: Duration) -> Result<PodRun> {
        self.wait(select, "to have ended", deadline, |state| {
            matches!(state, RunState::Ended(_))
        })
        .await
    }

    async fn wait(
        &self,
        select: Select,
        what: &str,
        deadline: Duration,
        is: impl Fn(&RunState) -> bool,
    ) -> Result<PodRun> {
        let look = || async {
            let runs = self.shared.runs(&select);
            let found = runs.iter().rfind(|run| is(&run.state));
            found.cloned().ok_or_else(|| match runs.last() {
                Some(run) => format!("pod {} is {:?}", run.pod, run.state),
                None => "no such pod".to_owned(),
            })
        };
        Ok(try_wait_for(format!("a pod of {select:?} {what}"), deadline, look).await?)
    }

    /// Sends a signal to the processes of the selected pods. Returns their number.
    pub fn signal(&self, select: Select, signal: Signal) -> usize {
        self.shared.order(&select, Order::Signal(signal as i32))
    }

    /// Kills the processes of the selected pods as the kernel does when memory runs out (reason
    /// OOMKilled, exit code 137). Returns their number.
    pub fn oom_kill(&self, select: Select) -> usize {
        self.shared.order(&select, Order::OutOfMemory)
    }

    /// Prevents the start of the selected pods (they stay in ContainerCreating) until the rule is
    /// released or dropped.
    pub fn hold(&self, select: Select) -> Rule {
        self.shared.add_rule(select, Effect::Hold)
    }

    /// Replaces the termination message of the selected pods until the rule is released or dropped.
    pub fn replace_message(&self, select: Select, message: impl Into<String>) -> Rule {
        self.shared
            .add_rule(select, Effect::Message(message.into()))
    }

    /// The refusals of unsupported features. Check these first when a test fails in an unexpected
    /// way.
    pub fn refusals(&self) -> Vec<String> {
        self.shared.refusals()
    }

    /// Simulates the loss of the machine: all processes end without a report, and the Node object
    /// is gone. The eviction of the lost node's pods (phase Failed, condition DisruptionTarget,
    /// deletion) takes minutes in a real cluster and happens here at once.
    pub async fn lose_node(&self) -> Result<()> {
        self.ask(|reply| Control::LoseNode { reply }).await
    }

    /// Registers a new machine with the same name.
    pub async fn restore_node(&self) -> Result<()> {
        self.ask(|reply| Control::RestoreNode { reply }).await
    }

    async fn ask(
        &self,
        control: impl FnOnce(oneshot::Sender<Result<()>>) -> Control,
    ) -> Result<()> {
        let (reply, answer) = oneshot::channel();
        let dead = || Error::ControlPlane("the pod runner has died".to_owned());
        self.control.send(control(reply)).map_err(|_| dead())?;
        answer.await.map_err(|_| dead())?
    }
}

impl Drop for PodRunner {
    fn drop(&mut self) {
        let (done, finished) = blocking::channel();
        if self.control.send(Control::Stop { done }).is_ok() {
            let _ = finished.recv_timeout(Duration::from_secs(20));
        }
        if let Some(thread) = self.thread.take().filter(JoinHandle::is_finished) {
            let _ = thread.join();
        }
    }
}

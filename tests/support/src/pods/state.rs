//! The state that the test and the runner share: rules of the test, and records of runs.
//!
//! The two run in different Tokio runtimes; a mutex and a watch channel depend on neither.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use tokio::sync::{mpsc, watch};

use super::select::{Select, job_of};

/// One run of a pod's process, as a test sees it.
#[derive(Debug, Clone)]
pub struct PodRun {
    /// Namespace of the pod.
    pub namespace: String,
    /// Name of the pod.
    pub pod: String,
    /// The Job of the pod; `None` for a pod without one.
    pub job: Option<String>,
    /// Progress of the run.
    pub state: RunState,
    /// Path of the file with the process's standard output and error.
    pub log: PathBuf,
    /// Environment, arguments and volumes of the process; `None` before they are known.
    pub command: Option<PodCommand>,
}

/// Progress of a pod's run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RunState {
    /// Not started yet, for this reason.
    Waiting(String),
    /// The process is running.
    Running,
    /// The process has ended with this exit code.
    Ended(i32),
    /// The pod was refused (the runner does not support a feature), deleted before its start, or
    /// lost with its node.
    NeverRan(String),
}

/// The command of a pod's process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PodCommand {
    /// Program and arguments, with real paths.
    pub argv: Vec<String>,
    /// The complete environment, with real paths.
    pub environment: BTreeMap<String, String>,
    /// Real paths of the volumes; key: the mount path in the pod.
    pub mounts: BTreeMap<String, PathBuf>,
}

/// An action that a test requests for a running process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    Signal(i32),
    /// SIGKILL, which is reported as a kill by the kernel.
    OutOfMemory,
}

/// The effect of a rule on the selected pods.
#[derive(Debug, Clone)]
pub(super) enum Effect {
    Hold,
    Message(String),
}

#[derive(Debug, Default)]
pub(super) struct State {
    rules: BTreeMap<u64, (Select, Effect)>,
    next_rule: u64,
    runs: Vec<Record>,
    refusals: Vec<String>,
}

#[derive(Debug)]
struct Record {
    pod: Pod,
    run: PodRun,
    orders: mpsc::UnboundedSender<Order>,
}

/// The shared state, with a signal for each change.
#[derive(Debug, Clone)]
pub(super) struct Shared {
    state: Arc<Mutex<State>>,
    changed: watch::Sender<u64>,
}

/// A rule that applies until this value is dropped.
#[derive(Debug)]
#[must_use = "the rule ends when this is dropped"]
pub struct Rule {
    id: u64,
    shared: Shared,
}

impl Rule {
    /// Ends the rule: held pods start, and messages come from the program again.
    pub fn release(self) {}
}

impl Drop for Rule {
    fn drop(&mut self) {
        self.shared.lock().rules.remove(&self.id);
        self.shared.touch();
    }
}

// === impl Shared ===

impl Shared {
    pub(super) fn new() -> Self {
        Self {
            state: Arc::default(),
            changed: watch::Sender::new(0),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn touch(&self) {
        self.changed.send_modify(|count| *count += 1);
    }

    /// A receiver of changes. Subscribe before reading the state, so that no change is missed.
    pub(super) fn changes(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    pub(super) fn add_rule(&self, select: Select, effect: Effect) -> Rule {
        let mut state = self.lock();
        let id = state.next_rule;
        state.next_rule += 1;
        state.rules.insert(id, (select, effect));
        drop(state);
        self.touch();
        Rule {
            id,
            shared: self.clone(),
        }
    }

    pub(super) fn is_held(&self, pod: &Pod) -> bool {
        self.lock()
            .rules
            .values()
            .any(|(select, effect)| matches!(effect, Effect::Hold) && select.matches(pod))
    }

    /// The message that the youngest matching rule sets for the pod.
    pub(super) fn message_for(&self, pod: &Pod) -> Option<String> {
        self.lock()
            .rules
            .values()
            .rev()
            .find_map(|(select, effect)| match effect {
                Effect::Message(text) if select.matches(pod) => Some(text.clone()),
                _ => None,
            })
    }

    /// Creates the record of a pod. Returns its number and the receiver of its orders.
    pub(super) fn open(&self, pod: &Pod, log: PathBuf) -> (usize, mpsc::UnboundedReceiver<Order>) {
        let (orders, receiver) = mpsc::unbounded_channel();
        let run = PodRun {
            namespace: pod.namespace().unwrap_or_default(),
            pod: pod.name_any(),
            job: job_of(pod).map(str::to_owned),
            state: RunState::Waiting("ContainerCreating".to_owned()),
            log,
            command: None,
        };
        let mut state = self.lock();
        state.runs.push(Record {
            pod: pod.clone(),
            run,
            orders,
        });
        let number = state.runs.len() - 1;
        drop(state);
        self.touch();
        (number, receiver)
    }

    pub(super) fn update(&self, number: usize, change: impl FnOnce(&mut PodRun)) {
        if let Some(record) = self.lock().runs.get_mut(number) {
            change(&mut record.run);
        }
        self.touch();
    }

    pub(super) fn refuse(&self, reason: String) {
        self.lock().refusals.push(reason);
        self.touch();
    }

    pub(super) fn refusals(&self) -> Vec<String> {
        self.lock().refusals.clone()
    }

    /// The selected runs, oldest first.
    pub(super) fn runs(&self, select: &Select) -> Vec<PodRun> {
        self.lock()
            .runs
            .iter()
            .filter(|record| select.matches(&record.pod))
            .map(|record| record.run.clone())
            .collect()
    }

    /// Sends an order to the selected pods with a running process. Returns their number.
    pub(super) fn order(&self, select: &Select, order: Order) -> usize {
        let state = self.lock();
        let running = state
            .runs
            .iter()
            .filter(|record| record.run.state == RunState::Running);
        running
            .filter(|record| select.matches(&record.pod) && record.orders.send(order).is_ok())
            .count()
    }
}

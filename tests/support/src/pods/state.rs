//! What the test and the runner share: rules on one side, records of runs on the other.
//!
//! The two live in different Tokio runtimes; a mutex and a watch channel know nothing of either.

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
    /// The Job it belongs to.
    pub job: Option<String>,
    /// How far it is.
    pub state: RunState,
    /// What the process wrote to its standard output and error lies here.
    pub log: PathBuf,
    /// What the process got as its environment and arguments, and where its volumes lie.
    pub command: Option<PodCommand>,
}

/// How far a pod is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RunState {
    /// Not started yet, and why.
    Waiting(String),
    /// Its process runs.
    Running,
    /// Its process has ended, with this exit code.
    Ended(i32),
    /// It was refused (the runner does not support something), deleted before it started, or lost with its node.
    NeverRan(String),
}

/// What a pod's process was started with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PodCommand {
    /// Program and arguments, with paths as they really are.
    pub argv: Vec<String>,
    /// The whole environment, with paths as they really are.
    pub environment: BTreeMap<String, String>,
    /// Mount path in the pod to where it really lies.
    pub mounts: BTreeMap<String, PathBuf>,
}

/// What a test orders for a running process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    Signal(i32),
    /// SIGKILL, and to be told as the kernel's doing.
    OutOfMemory,
}

/// What a rule does to the pods that it selects.
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

/// The shared state, and a signal for each change of it.
#[derive(Debug, Clone)]
pub(super) struct Shared {
    state: Arc<Mutex<State>>,
    changed: watch::Sender<u64>,
}

/// A rule holds while this value lives.
#[derive(Debug)]
#[must_use = "the rule ends when this is dropped"]
pub struct Rule {
    id: u64,
    shared: Shared,
}

impl Rule {
    /// Ends the rule: held pods start, messages are the program's own again.
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

    /// Follows the changes. Subscribe before looking, so that nothing is missed in between.
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

    /// The message that the youngest rule wants told for the pod.
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

    /// Opens the record of a pod; returns its number and where orders for it arrive.
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

    /// Gives an order to the selected pods whose process runs; returns to how many.
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

//! The runner's main loop: it watches the pods of its node and runs each in a task.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::pin::pin;
use std::sync::{Arc, mpsc as blocking};
use std::time::Duration;

use futures::StreamExt;
use http::{HeaderName, HeaderValue};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Node, Pod};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams};
use kube::runtime::watcher::{self, Event};
use kube::{Api, Client, Config, ResourceExt};
use serde_json::json;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::lifecycle::{self, Runner};
use super::node;
use super::state::Shared;
use crate::error::{Context, Error, Result};
use crate::{ControlPlane, wait_for_object};

const NODE_DEADLINE: Duration = Duration::from_secs(30);

/// The requests of the handle.
pub(super) enum Control {
    Serve {
        namespace: String,
        reply: oneshot::Sender<Result<()>>,
    },
    LoseNode {
        reply: oneshot::Sender<Result<()>>,
    },
    RestoreNode {
        reply: oneshot::Sender<Result<()>>,
    },
    Stop {
        done: blocking::Sender<()>,
    },
}

/// The settings of a runner before its runtime starts.
pub(super) struct Kubelet {
    name: String,
    exclusive: bool,
    /// Without a node of its own: the namespaces whose pods it takes; none are all.
    guest_of: Option<Vec<String>>,
    capacity: u32,
    version: String,
    admin: Config,
    config: Config,
    binary: PathBuf,
    dir: PathBuf,
    programs: BTreeMap<String, PathBuf>,
    shared: Shared,
}

/// The senders of pod changes, one for each pod task; key: the UID.
type Pods = HashMap<String, watch::Sender<Option<Pod>>>;

impl Kubelet {
    pub(super) fn new(
        control_plane: &ControlPlane,
        name: &str,
        programs: BTreeMap<String, PathBuf>,
        capacity: u32,
        exclusive: bool,
        guest_of: Option<Vec<String>>,
        shared: &Shared,
    ) -> Result<Self> {
        let admin = control_plane.config();
        // It acts as a node. The node authorizer then limits the Secrets that it may read, and the
        // audit log shows it as a separate user.
        let mut config = admin.clone();
        if guest_of.is_none() {
            let user = HeaderValue::try_from(format!("system:node:{name}"));
            let user =
                user.map_err(|error| Error::Unsupported(format!("a node called {name}: {error}")))?;
            config
                .headers
                .push((HeaderName::from_static("impersonate-user"), user));
            for group in ["system:nodes", "system:authenticated"] {
                config.headers.push((
                    HeaderName::from_static("impersonate-group"),
                    HeaderValue::from_static(group),
                ));
            }
        }
        let dir = control_plane.dir().join("pods").join(name);
        std::fs::create_dir_all(&dir).context(|| format!("create {}", dir.display()))?;
        Ok(Self {
            name: name.to_owned(),
            exclusive,
            guest_of,
            capacity,
            version: control_plane.apiserver_version().to_owned(),
            admin,
            config,
            binary: control_plane.binary().to_owned(),
            dir,
            programs,
            shared: shared.clone(),
        })
    }

    /// Main function of the runner's thread.
    pub(super) fn run_on_own_runtime(
        self,
        orders: mpsc::UnboundedReceiver<Control>,
        ready: oneshot::Sender<Result<()>>,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .context(|| "start a runtime");
        match runtime {
            Ok(runtime) => runtime.block_on(self.run(orders, ready)),
            Err(error) => drop(ready.send(Err(error))),
        }
    }

    async fn run(
        self,
        mut orders: mpsc::UnboundedReceiver<Control>,
        ready: oneshot::Sender<Result<()>>,
    ) {
        let clients = Client::try_from(self.admin.clone())
            .and_then(|admin| Ok((admin, Client::try_from(self.config.clone())?)));
        let (admin, client) = match clients.context(|| "connect the pod runner") {
            Ok(clients) => clients,
            Err(error) => return drop(ready.send(Err(error))),
        };
        let owns_node = self.guest_of.is_none();
        let started = match owns_node {
            true => self.register(&client, &admin).await,
            false => Ok(()),
        };
        let failed = started.is_err();
        let _ = ready.send(started);
        if failed {
            let _ = node::remove(&admin, &self.name).await;
            return;
        }

        let (lose, losses) = watch::channel(0);
        let host = self
            .admin
            .cluster_url
            .host()
            .unwrap_or("127.0.0.1")
            .to_owned();
        let port = self.admin.cluster_url.port_u16().unwrap_or(443).to_string();
        let runner = Arc::new(Runner {
            client: client.clone(),
            shared: self.shared.clone(),
            binary: self.binary.clone(),
            dir: self.dir.clone(),
            programs: self.programs.clone(),
            api_server: (host, port),
            losses,
        });
        let mut pods = Pods::new();
        let mut tasks = JoinSet::new();
        let lease = node::keep_alive(&client, &self.name);
        let node = if owns_node { &*self.name } else { "" };
        let selector = format!("spec.nodeName={node}");
        let is_mine = |pod: &Pod| match (&self.guest_of, &pod.metadata.namespace) {
            (Some(mine), Some(namespace)) => mine.is_empty() || mine.contains(namespace),
            _ => true,
        };
        let events = watcher::watcher(
            Api::<Pod>::all(client.clone()),
            watcher::Config::default().fields(&selector),
        );
        let (mut lease, mut events) = (pin!(lease), pin!(events));
        let mut present = owns_node;
        let mut listed: Vec<String> = Vec::new();
        let done = loop {
            tokio::select! {
                order = orders.recv() => match order {
                    None => break None,
                    Some(Control::Stop { done }) => break Some(done),
                    Some(Control::Serve { namespace, reply }) => {
                        let _ = reply.send(node::direct(&admin, &namespace, &self.name).await);
                    }
                    Some(Control::LoseNode { reply }) => {
                        lose.send_modify(|count| *count += 1);
                        present = false;
                        let _ = reply.send(self.lose_node(&admin).await);
                    }
                    Some(Control::RestoreNode { reply }) => {
                        let _ = reply.send(self.register(&client, &admin).await);
                        present = true;
                    }
                },
                () = &mut lease, if present => {}
                Some(_) = tasks.join_next() => {}
                event = events.next() => match event {
                    Some(Ok(Event::Init)) => listed.clear(),
                    Some(Ok(Event::InitApply(pod) | Event::Apply(pod))) if !is_mine(&pod) => {}
                    Some(Ok(Event::InitApply(pod))) => {
                        listed.extend(pod.uid());
                        care_for(&runner, &mut pods, &mut tasks, pod);
                    }
                    // A pod that is not in the list was deleted while the watch was interrupted.
                    Some(Ok(Event::InitDone)) => pods.retain(|uid, pod| listed.contains(uid) || !tell(pod, None)),
                    Some(Ok(Event::Apply(pod))) => care_for(&runner, &mut pods, &mut tasks, pod),
                    Some(Ok(Event::Delete(pod))) => {
                        if let Some(pod) = pods.remove(&pod.uid().unwrap_or_default()) {
                            tell(&pod, None);
                        }
                    }
                    Some(Err(_)) => sleep(Duration::from_millis(200)).await,
                    None => break None,
                },
            }
        };
        self.stop(&admin, pods, tasks).await;
        if let Some(done) = done {
            let _ = done.send(());
        }
    }

    /// Creates the node and waits until the node controller has opened it for pods.
    async fn register(&self, client: &Client, admin: &Client) -> Result<()> {
        node::register(
            client,
            &self.name,
            self.exclusive,
            &self.version,
            self.capacity,
        )
        .await?;
        let nodes: Api<Node> = Api::all(admin.clone());
        wait_for_object(
            &nodes,
            &self.name,
            "to be open for pods",
            NODE_DEADLINE,
            node::is_open,
        )
        .await;
        Ok(())
    }

    /// Removes the node. It does at once what the pod garbage collector and the eviction from a
    /// lost node do after minutes.
    async fn lose_node(&self, admin: &Client) -> Result<()> {
        node::remove(admin, &self.name).await?;
        let disrupted = json!({"status": {"phase": "Failed", "conditions": [{
            "type": "DisruptionTarget", "status": "True", "reason": "DeletionByPodGC",
            "message": "PodGC: node no longer exists", "lastTransitionTime": Time(Timestamp::now()),
        }]}});
        for pod in self.pods(admin).await? {
            let api: Api<Pod> =
                Api::namespaced(admin.clone(), &pod.namespace().unwrap_or_default());
            let ended = pod
                .status
                .as_ref()
                .and_then(|status| status.phase.as_deref());
            if !matches!(ended, Some("Succeeded" | "Failed")) {
                let patched = api
                    .patch_status(
                        &pod.name_any(),
                        &PatchParams::default(),
                        &Patch::Strategic(&disrupted),
                    )
                    .await;
                ignore_absence(patched)?;
            }
            ignore_absence(
                api.delete(&pod.name_any(), &DeleteParams::default().grace_period(0))
                    .await,
            )?;
        }
        Ok(())
    }

    /// Ends all processes and removes the node and the folder.
    async fn stop(&self, admin: &Client, pods: Pods, mut tasks: JoinSet<()>) {
        for pod in pods.values() {
            tell(pod, None);
        }
        drop(pods);
        let all = async { while tasks.join_next().await.is_some() {} };
        let _ = timeout(Duration::from_secs(5), all).await;
        // If the API server is gone, all its objects are gone too. A guest's pods go with their
        // namespaces.
        if self.guest_of.is_none() {
            let _ = timeout(Duration::from_secs(10), self.lose_node(admin)).await;
        }
        let _ = std::fs::remove_dir_all(&self.dir);
    }

    async fn pods(&self, admin: &Client) -> Result<Vec<Pod>> {
        let mine = ListParams::default().fields(&format!("spec.nodeName={}", self.name));
        let pods = Api::<Pod>::all(admin.clone()).list(&mine).await;
        Ok(pods
            .context(|| format!("list the pods of node {}", self.name))?
            .items)
    }
}

/// Sends a change to a pod's task, or starts the task.
fn care_for(runner: &Arc<Runner>, pods: &mut Pods, tasks: &mut JoinSet<()>, pod: Pod) {
    let uid = pod.uid().unwrap_or_default();
    if let Some(known) = pods.get(&uid) {
        tell(known, Some(pod));
        return;
    }
    let (sender, receiver) = watch::channel(Some(pod.clone()));
    pods.insert(uid, sender);
    tasks.spawn(lifecycle::run(runner.clone(), pod, receiver));
}

/// Sends a state to a pod's task. It returns true, so that a condition can contain the call.
fn tell(pod: &watch::Sender<Option<Pod>>, state: Option<Pod>) -> bool {
    pod.send_replace(state);
    true
}

fn ignore_absence<T>(result: kube::Result<T>) -> Result<()> {
    match result {
        Err(kube::Error::Api(status)) if status.is_not_found() => Ok(()),
        other => other.map(drop).context(|| "clear away a pod"),
    }
}

//! What a Deployment does for controllers: one that ends is started again.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use switchboard_testbed::proxy::{Door, Proxy};
use switchboard_testbed::{Process, try_wait_for};
use tokio::sync::watch;

use super::fault::Fault;
use super::play::IN_THE_END;
use crate::stage::Stage;

/// Longer than any case.
const LONG: Duration = Duration::from_secs(3_600);
/// How long nothing is asked until all counts as still.
const STILL: Duration = Duration::from_millis(1_500);
/// Ends of a controller by itself that one fault may cause.
const MAX_ENDS: usize = 3;

/// One replica.
pub(crate) struct Replica {
    /// Its name in the Lease.
    pub name: String,
    door: Door,
    kubeconfig: PathBuf,
    flags: Vec<String>,
    order: watch::Sender<Order>,
    /// All that were started, the last one at the end.
    started: Mutex<Vec<Arc<Process>>>,
}

/// What is to become of a replica.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Order {
    /// How many times it was to be killed and started again.
    starts: usize,
    /// Whether it is to be killed and stay away.
    stays_away: bool,
}

// === impl Replica ===

impl Replica {
    /// A replica that speaks with the API server through a door of its own.
    pub(crate) async fn new(stage: &Stage, proxy: &Proxy, number: usize, elects: bool) -> Self {
        let door = proxy.door().await.unwrap();
        let kubeconfig = stage.path(&format!("replica-{number}.kubeconfig"));
        let written = proxy.write_kubeconfig(door, &stage.kubeconfig, &kubeconfig);
        written.unwrap();
        let name = format!("replica-{number}");
        let mut flags = vec!["--daily-window=1m".to_owned()];
        if elects {
            flags.extend([
                "--leader-elect".to_owned(),
                "--lease-duration=5s".to_owned(),
                "--lease-renew=2s".to_owned(),
                format!("--lease-namespace={}", stage.ns()),
                format!("--identity={name}"),
            ]);
        }
        Self {
            name,
            door,
            kubeconfig,
            flags,
            order: watch::Sender::default(),
            started: Mutex::default(),
        }
    }

    /// Adds a flag of its controllers.
    pub(crate) fn flag(mut self, flag: String) -> Self {
        self.flags.push(flag);
        self
    }

    /// Kills it; another one starts at once.
    pub(crate) fn start_anew(&self) {
        self.order.send_modify(|order| order.starts += 1);
    }

    /// Kills it for good.
    pub(crate) fn take_away(&self) {
        self.order.send_modify(|order| order.stays_away = true);
    }

    /// Keeps it running, and kills it when the proxy says so.
    ///
    /// # Errors
    /// When it ends by itself again and again.
    pub(crate) async fn keep(
        &self,
        stage: &Stage,
        proxy: &Proxy,
        fault: Option<Fault>,
    ) -> Result<std::convert::Infallible, String> {
        let mut orders = self.order.subscribe();
        let mut to_be_killed = fault == Some(Fault::Kill);
        let mut ends = 0;
        loop {
            if orders.borrow_and_update().stays_away {
                return std::future::pending().await;
            }
            let controller = self.start(stage).await?;
            tokio::select! {
                struck = proxy.struck(), if to_be_killed => {
                    to_be_killed = false;
                    if struck.door == self.door {
                        kill(&controller).await?;
                        proxy.program_is_gone(self.door);
                    } else {
                        ends += self.wait(&controller, &mut orders).await?;
                    }
                }
                ended = self.wait(&controller, &mut orders) => ends += ended?,
            }
            if ends > MAX_ENDS {
                let last: Vec<String> = controller
                    .lines()
                    .iter()
                    .rev()
                    .take(5)
                    .map(ToString::to_string)
                    .collect();
                return Err(format!(
                    "{} ended {ends} times by itself, at last with {last:?}",
                    self.name
                ));
            }
        }
    }

    /// Waits until it has ended by itself, or was killed on order. Returns how many times it ended
    /// by itself.
    async fn wait(
        &self,
        controller: &Process,
        orders: &mut watch::Receiver<Order>,
    ) -> Result<usize, String> {
        tokio::select! {
            ended = controller.wait(LONG) => {
                let code = ended.map_err(|error| error.to_string())?;
                println!("  {} ended by itself with {code}", self.name);
                Ok(1)
            }
            _ = orders.changed() => {
                kill(controller).await?;
                Ok(0)
            }
        }
    }

    /// What it has logged, with all that ran before.
    pub(crate) fn said(&self) -> String {
        let started = self.started.lock().unwrap();
        started.iter().map(|controller| controller.text()).collect()
    }

    async fn start(&self, stage: &Stage) -> Result<Arc<Process>, String> {
        let flags: Vec<&str> = self.flags.iter().map(String::as_str).collect();
        let controller = stage.controller_of(&self.name, &self.kubeconfig, &flags);
        let controller = controller.start().await;
        let controller = Arc::new(controller.map_err(|error| error.to_string())?);
        self.started.lock().unwrap().push(Arc::clone(&controller));
        Ok(controller)
    }
}

async fn kill(controller: &Process) -> Result<(), String> {
    controller.kill().await.map_err(|error| error.to_string())
}

/// Waits until the controllers ask for nothing but the Lease.
pub(crate) async fn still(proxy: &Proxy) -> Result<(), String> {
    let quiet = try_wait_for("all to be still", IN_THE_END, || async {
        let requests = proxy.requests();
        let last = requests
            .iter()
            .rfind(|request| !request.is_watch() && request.resource != "leases");
        match last {
            Some(last) if Instant::now().duration_since(last.at) < STILL => Err(last.to_string()),
            _ => Ok(()),
        }
    });
    quiet.await.map_err(|timed_out| timed_out.to_string())
}

//! A proxy between a program under test and the API server. It numbers the program's requests and
//! does to one of them what networks and API servers do: it loses it, or its answer, delays it,
//! refuses it, or lets the program die of it. It also stops watches, and shows a restarted program
//! lists from before, as an API server does whose cache is behind.
//!
//! The program speaks plain HTTP with it on the loopback interface, and brings its own token, so
//! that its rights are its own.

mod fate;
mod request;
mod serve;
mod upstream;
mod watches;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::OpenOptions;
use std::io::Write;
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::sync::{CancellationToken, DropGuard};

pub use self::fate::{Fate, Refusal};
use self::request::Asked;
pub use self::request::NumberedRequest;
use self::upstream::Upstream;
use self::watches::{Frozen, Sight};
use crate::ControlPlane;
use crate::error::{Context, Result};

/// The proxy. It ends with this value.
#[derive(Debug)]
pub struct Proxy {
    shared: Arc<Shared>,
    _over: DropGuard,
}

/// The address of one program at the proxy: of several programs, each has a door of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Door {
    number: usize,
    address: SocketAddr,
}

/// The request that met its fate.
#[derive(Clone, Debug)]
pub struct Struck {
    /// The door at which it came.
    pub door: Door,
    /// The request.
    pub request: NumberedRequest,
}

#[derive(Debug)]
struct Shared {
    upstream: Upstream,
    state: Mutex<State>,
    sight: watch::Sender<Sight>,
    struck: watch::Sender<Option<Struck>>,
    over: CancellationToken,
}

#[derive(Debug, Default)]
struct State {
    requests: Vec<NumberedRequest>,
    doors: usize,
    /// Doors behind which the program is to be dead.
    down: BTreeSet<usize>,
    /// What is still to happen, and to which request.
    planned: Option<(usize, Fate)>,
    /// The first page of each kind's list, as it was last asked for.
    lists: BTreeMap<String, Asked>,
    /// Lists from before.
    remembered: BTreeMap<String, Bytes>,
    /// Whether lists are answered with those from before.
    is_behind: bool,
}

// === impl Proxy ===

impl Proxy {
    /// A proxy before this control plane.
    ///
    /// # Errors
    /// When its client cannot be made.
    pub fn before(control_plane: &ControlPlane) -> Result<Self> {
        let over = CancellationToken::new();
        Ok(Self {
            shared: Arc::new(Shared {
                upstream: Upstream::of(control_plane)?,
                state: Mutex::default(),
                sight: watch::Sender::default(),
                struck: watch::Sender::default(),
                over: over.clone(),
            }),
            _over: over.drop_guard(),
        })
    }

    /// The request with this number, counted from 1 over all doors, meets this fate.
    #[must_use]
    pub fn plan(self, number: usize, fate: Fate) -> Self {
        self.shared.state().planned = Some((number, fate));
        self
    }

    /// Opens a door for one more program.
    ///
    /// # Errors
    /// When no port is free.
    pub async fn door(&self) -> Result<Door> {
        let listener = TcpListener::bind("127.0.0.1:0").await;
        let listener = listener.context(|| "open a port for the proxy")?;
        let address = listener.local_addr();
        let door = {
            let mut state = self.shared.state();
            state.doors += 1;
            Door {
                number: state.doors,
                address: address.context(|| "find the proxy's port")?,
            }
        };
        tokio::spawn(serve::serve(Arc::clone(&self.shared), listener, door));
        Ok(door)
    }

    /// Writes `kubeconfig` anew, with the door in place of the API server.
    ///
    /// # Errors
    /// When the one cannot be read or the other not be written.
    pub fn write_kubeconfig(&self, door: Door, kubeconfig: &Path, to: &Path) -> Result<()> {
        let text = std::fs::read_to_string(kubeconfig);
        let text = text.context(|| format!("read {}", kubeconfig.display()))?;
        let mut config: Value = serde_yaml::from_str(&text)
            .map_err(std::io::Error::other)
            .context(|| format!("parse {}", kubeconfig.display()))?;
        if let Some(clusters) = config["clusters"].as_array_mut() {
            for cluster in clusters {
                cluster["cluster"] = json!({"server": format!("http://{}", door.address)});
            }
        }
        let mut options = OpenOptions::new();
        let options = options.create(true).truncate(true).write(true).mode(0o600);
        let written = options
            .open(to)
            .and_then(|mut file| file.write_all(config.to_string().as_bytes()));
        written.context(|| format!("write {}", to.display()))
    }

    /// Waits until a request has met its fate.
    pub async fn struck(&self) -> Struck {
        let mut struck = self.shared.struck.subscribe();
        match struck.wait_for(Option::is_some).await {
            Ok(struck) => match struck.as_ref() {
                Some(struck) => struck.clone(),
                None => std::future::pending().await,
            },
            Err(_) => std::future::pending().await,
        }
    }

    /// The request that has met its fate.
    pub fn has_struck(&self) -> Option<Struck> {
        self.shared.struck.borrow().clone()
    }

    /// All requests so far.
    pub fn requests(&self) -> Vec<NumberedRequest> {
        self.shared.state().requests.clone()
    }

    /// After [`Fate::Kill`] nothing that comes through a door is answered or done, until this says
    /// that the program of before is gone.
    pub fn program_is_gone(&self, door: Door) {
        self.shared.state().down.remove(&door.number);
    }

    /// Stopped watches go on where they were.
    pub fn thaw(&self) {
        let go_on = |sight: &mut Sight| sight.frozen = Frozen::Nothing;
        self.shared.sight.send_modify(go_on);
    }

    /// Stopped watches end with 410, as when the API server has forgotten their past: what happened
    /// meanwhile is never told, and the program lists anew.
    pub fn forget_past(&self) {
        self.shared.sight.send_modify(|sight| {
            sight.frozen = Frozen::Nothing;
            sight.epoch += 1;
        });
    }

    /// Whoever lists from now on gets the lists that [`Fate::Remember`] kept, once for each kind,
    /// and no watch says anything until [`Proxy::thaw`].
    pub fn fall_behind(&self) {
        self.shared.state().is_behind = true;
        let stop = |sight: &mut Sight| sight.frozen = Frozen::Everything;
        self.shared.sight.send_modify(stop);
    }
}

// === impl Shared ===

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn freeze(&self, frozen: Frozen) {
        self.sight.send_modify(|sight| sight.frozen = frozen);
    }

    fn strike(&self, door: Door, request: NumberedRequest) {
        self.struck.send_replace(Some(Struck { door, request }));
    }
}

//! The API server of a played world: objects with versions, conflicts, lists and watches over HTTP,
//! and all that goes wrong between it and a controller. Each replica of the controller has its own
//! way to it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use futures::stream;
use http::{Method, Request, Response};
use jiff::{SignedDuration, Timestamp};
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::sync::watch;

use super::dice::Dice;
use crate::api::fixtures::clock;

/// Changes are kept this long for watches that go on later; an older one gets 410.
const KEPT: SignedDuration = SignedDuration::from_mins(10);
/// Attempts to write one object within an hour that are a storm. Each log-in and each proof is a
/// write, and so is each run.
const STORM: u32 = 240;

/// The kinds of objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Kind {
    Integration,
    CronJob,
    Job,
    Pod,
    Secret,
    ConfigMap,
    Event,
}

/// The kinds that are watched.
pub(super) const WATCHED: [Kind; 5] = [
    Kind::Integration,
    Kind::CronJob,
    Kind::Job,
    Kind::Pod,
    Kind::Secret,
];

/// An object's place.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub kind: Kind,
    pub namespace: String,
    pub name: String,
}

/// One change of an object.
#[derive(Clone, Debug)]
pub(super) struct Change {
    pub at: Timestamp,
    pub kind: Kind,
    pub before: Option<Arc<Value>>,
    pub after: Option<Arc<Value>>,
}

/// What goes wrong now.
#[derive(Debug, Default)]
pub(super) struct Faults {
    /// No request arrives until then.
    pub down_until: Timestamp,
    /// Some requests fail until then, so many of a hundred.
    pub errors_until: Timestamp,
    pub errors_percent: u64,
    /// The watches of a kind are silent until then.
    pub frozen: BTreeMap<Kind, Timestamp>,
    /// CronJobs, Jobs and Secrets are refused until then.
    pub refused_until: Timestamp,
    /// Processes that are gone: what they sent may still arrive, and they hear nothing.
    pub dead: BTreeSet<usize>,
    /// Processes that stand still until then.
    pub paused: BTreeMap<usize, Timestamp>,
    /// Raised when all watches break off and their place in the history is lost.
    pub broken: u64,
}

struct State {
    dice: Dice,
    uid: u64,
    version: u64,
    objects: BTreeMap<Place, Arc<Value>>,
    log: VecDeque<Change>,
    writes: BTreeMap<Place, (i64, u32)>,
    storms: Vec<String>,
    requests: u64,
    trace: Vec<String>,
    traced: bool,
}

/// The API server.
pub(super) struct Cluster {
    state: Mutex<State>,
    pub(super) faults: Mutex<Faults>,
    changed: watch::Sender<u64>,
}

/// A request, taken apart.
struct Asked {
    method: Method,
    place: Place,
    status: bool,
    watch: Option<(u64, u64)>,
    ours_only: bool,
    fields: Option<String>,
}

/// What becomes of a request.
enum Fate {
    Good,
    /// It never arrives.
    Lost,
    /// It is done, and the answer is lost.
    AnswerLost,
    /// It is refused with this code.
    Refused(u16),
}

pub(super) fn now() -> Timestamp {
    clock::now().expect("a world is played")
}

/// Waits until a time of the world.
pub(super) async fn sleep_until(at: Timestamp) {
    let wait = Duration::try_from(at.duration_since(now())).unwrap_or_default();
    tokio::time::sleep(wait).await;
}

pub(super) fn seconds(number: u64) -> SignedDuration {
    SignedDuration::from_secs(number as i64)
}

// === impl Kind ===

impl Kind {
    fn of(plural: &str) -> Option<Self> {
        Some(match plural {
            "salesforceintegrations" => Self::Integration,
            "cronjobs" => Self::CronJob,
            "jobs" => Self::Job,
            "pods" => Self::Pod,
            "secrets" => Self::Secret,
            "configmaps" => Self::ConfigMap,
            "events" => Self::Event,
            _ => return None,
        })
    }

    fn names(self) -> (&'static str, &'static str) {
        match self {
            Self::Integration => ("switchboard.dev/v1alpha1", "SalesforceIntegration"),
            Self::CronJob => ("batch/v1", "CronJob"),
            Self::Job => ("batch/v1", "Job"),
            Self::Pod => ("v1", "Pod"),
            Self::Secret => ("v1", "Secret"),
            Self::ConfigMap => ("v1", "ConfigMap"),
            Self::Event => ("events.k8s.io/v1", "Event"),
        }
    }
}

// === impl Place ===

impl Place {
    pub(super) fn new(kind: Kind, namespace: &str, name: &str) -> Self {
        Self {
            kind,
            namespace: namespace.into(),
            name: name.into(),
        }
    }

    fn of(kind: Kind, object: &Value) -> Self {
        Self::new(
            kind,
            text(object, "/metadata/namespace"),
            text(object, "/metadata/name"),
        )
    }
}

/// A text within an object, or nothing.
pub(super) fn text<'a>(object: &'a Value, pointer: &str) -> &'a str {
    object
        .pointer(pointer)
        .and_then(Value::as_str)
        .unwrap_or_default()
}

/// A time within an object.
pub(super) fn time(object: &Value, pointer: &str) -> Option<Timestamp> {
    text(object, pointer).parse().ok()
}

/// A time as Kubernetes writes it.
pub(super) fn written(at: Timestamp) -> String {
    Timestamp::from_second(at.as_second()).unwrap().to_string()
}

/// The UID of the controller among an object's owners.
pub(super) fn owner_uid(object: &Value) -> Option<&str> {
    object
        .pointer("/metadata/ownerReferences")?
        .as_array()?
        .iter()
        .find_map(|owner| owner.get("uid")?.as_str())
}

fn is_ours(object: &Value) -> bool {
    let label = "/metadata/labels/app.kubernetes.io~1managed-by";
    text(object, label) == crate::api::MANAGER
}

// === impl Asked ===

impl Asked {
    fn read(request: &Request<kube::client::Body>) -> Option<Self> {
        let parts: Vec<&str> = request.uri().path().trim_matches('/').split('/').collect();
        let rest = match parts.as_slice() {
            ["api", _, rest @ ..] | ["apis", _, _, rest @ ..] => rest,
            _ => return None,
        };
        let (namespace, rest) = match rest {
            ["namespaces", namespace, rest @ ..] => (*namespace, rest),
            rest => ("", rest),
        };
        let query: BTreeMap<String, String> = request
            .uri()
            .query()
            .map(|query| {
                url::form_urlencoded::parse(query.as_bytes())
                    .into_owned()
                    .collect()
            })
            .unwrap_or_default();
        let number = |key: &str| {
            let text = query.get(key)?;
            text.parse().ok()
        };
        let watched = query.get("watch").is_some_and(|watch| watch == "true");
        Some(Self {
            method: request.method().clone(),
            place: Place::new(
                Kind::of(rest.first()?)?,
                namespace,
                rest.get(1).copied().unwrap_or_default(),
            ),
            status: rest.get(2) == Some(&"status"),
            watch: watched.then(|| {
                (
                    number("resourceVersion").unwrap_or(0),
                    number("timeoutSeconds")
                        .filter(|end| *end > 0)
                        .unwrap_or(3_600),
                )
            }),
            ours_only: query.contains_key("labelSelector"),
            fields: query.get("fieldSelector").cloned(),
        })
    }

    fn shows(&self, object: &Value) -> bool {
        let namespace = &self.place.namespace;
        let name = self
            .fields
            .as_deref()
            .and_then(|fields| fields.strip_prefix("metadata.name="));
        (namespace.is_empty() || text(object, "/metadata/namespace") == namespace)
            && (!self.ours_only || is_ours(object))
            && name.is_none_or(|name| text(object, "/metadata/name") == name)
    }
}

fn failure(code: u16, reason: &str) -> Response<Body> {
    let body = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "code": code,
        "message": format!("{reason} in a played world"), "reason": reason});
    answer(code, &body)
}

fn answer(code: u16, body: &Value) -> Response<Body> {
    let body = serde_json::to_vec(body).unwrap();
    Response::builder()
        .status(code)
        .header("content-type", "application/json")
        .body(Body::from(body))
        .unwrap()
}

fn reason_of(code: u16) -> &'static str {
    match code {
        403 => "Forbidden",
        409 => "Conflict",
        429 => "TooManyRequests",
        _ => "InternalError",
    }
}

// === impl Cluster ===

impl Cluster {
    pub(super) fn new(dice: Dice) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::new(State {
                dice,
                uid: 0,
                version: 1,
                objects: BTreeMap::new(),
                log: VecDeque::new(),
                writes: BTreeMap::new(),
                storms: vec![],
                requests: 0,
                trace: vec![],
                traced: std::env::var_os("YEAR_TRACE").is_some(),
            }),
            faults: Mutex::default(),
            changed: watch::Sender::new(0),
        })
    }

    /// Tells of each change.
    pub(super) fn changes(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    /// The version of the last change.
    pub(super) fn version(&self) -> u64 {
        self.state.lock().version
    }

    /// The changes after this version. They must still be kept.
    pub(super) fn since(&self, version: u64) -> Vec<Change> {
        let state = self.state.lock();
        let oldest = state.version - state.log.len() as u64;
        let from = version.saturating_sub(oldest) as usize;
        state.log.iter().skip(from).cloned().collect()
    }

    pub(super) fn get(&self, place: &Place) -> Option<Arc<Value>> {
        self.state.lock().objects.get(place).cloned()
    }

    /// All objects of a kind.
    pub(super) fn all(&self, kind: Kind) -> Vec<Arc<Value>> {
        let state = self.state.lock();
        let of_kind = state.objects.iter().filter(|(place, _)| place.kind == kind);
        of_kind.map(|(_, object)| Arc::clone(object)).collect()
    }

    /// What wrote too much.
    pub(super) fn storms(&self) -> Vec<String> {
        std::mem::take(&mut self.state.lock().storms)
    }

    /// The number of requests so far.
    pub(super) fn requests(&self) -> u64 {
        self.state.lock().requests
    }

    /// A line of the story, printed when it is asked for.
    pub(super) fn tell(&self, line: impl FnOnce() -> String) {
        let mut state = self.state.lock();
        if state.traced {
            let line = format!("{} {}", now(), line());
            state.trace.push(line);
        }
    }

    pub(super) fn story(&self) -> Vec<String> {
        std::mem::take(&mut self.state.lock().trace)
    }

    /// Creates or replaces an object, as somebody beside the controller does.
    pub(super) fn put(&self, kind: Kind, object: Value) {
        self.state.lock().put(kind, object);
        self.changed.send_modify(|count| *count += 1);
    }

    /// Changes an object that is there.
    pub(super) fn edit(&self, place: &Place, change: impl FnOnce(&mut Value)) -> bool {
        let Some(object) = self.get(place) else {
            return false;
        };
        let mut object = object.as_ref().clone();
        change(&mut object);
        self.put(place.kind, object);
        true
    }

    /// Deletes an object; one with finalizers waits for them.
    pub(super) fn delete(&self, place: &Place) -> bool {
        let done = self.state.lock().delete(place);
        self.changed.send_modify(|count| *count += 1);
        done
    }

    /// Answers a request of one replica.
    pub(super) async fn serve(
        self: Arc<Self>,
        replica: usize,
        request: Request<kube::client::Body>,
    ) -> Result<Response<Body>, io::Error> {
        let lost = || Err(io::Error::from(io::ErrorKind::ConnectionReset));
        let asked = Asked::read(&request)
            .unwrap_or_else(|| panic!("what is {} {}?", request.method(), request.uri()));
        let body = request.into_body().collect_bytes().await;
        let body: Value = body
            .ok()
            .and_then(|body| serde_json::from_slice(&body).ok())
            .unwrap_or_default();
        if asked.method != Method::GET {
            let mut place = asked.place.clone();
            if place.name.is_empty() {
                place.name = text(&body, "/metadata/name").to_owned();
            }
            self.state.lock().count(&place);
        }
        let (there, back, fate) = self.fate(&asked);
        tokio::time::sleep(there).await;
        if matches!(fate, Fate::Lost) {
            return lost();
        }
        // What a process has sent arrives, whatever becomes of it. One that stands still has sent
        // nothing yet.
        self.awake(replica).await;
        let done = match fate {
            Fate::Refused(code) => failure(code, reason_of(code)),
            _ => match asked.watch {
                Some((from, timeout)) => self.watch(replica, asked, from, timeout),
                None => self.answer(&asked, body),
            },
        };
        tokio::time::sleep(back).await;
        self.awake(replica).await;
        if matches!(fate, Fate::AnswerLost) {
            return lost();
        }
        Ok(done)
    }

    /// Waits while a process stands still, and for ever when it is gone.
    pub(super) async fn awake(&self, replica: usize) {
        loop {
            let until = {
                let faults = self.faults.lock();
                match faults.dead.contains(&replica) {
                    true => None,
                    false => Some(faults.paused.get(&replica).copied().unwrap_or_default()),
                }
            };
            match until {
                None => std::future::pending().await,
                Some(until) if until <= now() => return,
                Some(until) => sleep_until(until).await,
            }
        }
    }

    fn fate(&self, asked: &Asked) -> (Duration, Duration, Fate) {
        let faults = self.faults.lock();
        let mut state = self.state.lock();
        state.requests += 1;
        let dice = &mut state.dice;
        let (mut there, back) = (dice.below(20), dice.below(10));
        let mut fate = Fate::Good;
        let now = now();
        if now < faults.down_until {
            there = 1_000;
            fate = Fate::Lost;
        } else if now < faults.errors_until && dice.below(100) < faults.errors_percent {
            let writes = asked.method != Method::GET;
            fate = match dice.below(7) {
                0 => Fate::Lost,
                1 => Fate::AnswerLost,
                2 if writes => Fate::Refused(409),
                3 => Fate::Refused(429),
                4 => {
                    there = 5_000;
                    Fate::Good
                }
                _ => Fate::Refused(500),
            };
        } else if now < faults.refused_until
            && matches!(asked.method, Method::POST | Method::PUT)
            && matches!(asked.place.kind, Kind::CronJob | Kind::Job | Kind::Secret)
        {
            fate = Fate::Refused(403);
        }
        let millis = Duration::from_millis;
        (millis(there + 1), millis(back), fate)
    }

    fn answer(&self, asked: &Asked, body: Value) -> Response<Body> {
        let mut state = self.state.lock();
        let before = state.version;
        let done = state.answer(asked, body);
        if state.version != before {
            drop(state);
            self.changed.send_modify(|count| *count += 1);
        }
        done
    }

    fn watch(
        self: &Arc<Self>,
        replica: usize,
        asked: Asked,
        from: u64,
        timeout: u64,
    ) -> Response<Body> {
        let watcher = Watcher {
            cluster: Arc::clone(self),
            changes: self.changes(),
            broken: self.faults.lock().broken,
            end: now() + seconds(timeout),
            replica,
            asked,
            at: from,
            shown: now(),
            over: false,
        };
        let lines = stream::unfold(watcher, |mut watcher| async move {
            let line = watcher.line().await?;
            Some((Ok::<_, io::Error>(line), watcher))
        });
        Response::builder()
            .status(200)
            .header("content-type", "application/json")
            .body(Body::from_stream(lines))
            .unwrap()
    }
}

/// One watch of one replica.
struct Watcher {
    cluster: Arc<Cluster>,
    changes: watch::Receiver<u64>,
    broken: u64,
    end: Timestamp,
    replica: usize,
    asked: Asked,
    /// The last version that was looked at.
    at: u64,
    /// When the last event was shown: the next one is not before it.
    shown: Timestamp,
    over: bool,
}

enum Next {
    Show(Timestamp, Vec<u8>),
    Nothing,
    Lost,
}

// === impl Watcher ===

impl Watcher {
    /// The next line; `None` at the end.
    async fn line(&mut self) -> Option<Vec<u8>> {
        if self.over {
            return None;
        }
        loop {
            self.cluster.awake(self.replica).await;
            let thaws = {
                let faults = self.cluster.faults.lock();
                if faults.broken != self.broken {
                    self.over = true;
                    return Some(expired());
                }
                let frozen = faults.frozen.get(&self.asked.place.kind).copied();
                frozen.unwrap_or_default()
            };
            if now() < thaws {
                sleep_until(thaws.min(self.end)).await;
                if now() >= self.end {
                    return None;
                }
                continue;
            }
            let seen = *self.changes.borrow_and_update();
            match self.next() {
                Next::Lost => {
                    self.over = true;
                    return Some(expired());
                }
                Next::Show(due, line) => {
                    let due = due.max(self.shown);
                    sleep_until(due).await;
                    self.shown = due;
                    return Some(line);
                }
                Next::Nothing => {
                    let _ = seen;
                    tokio::select! {
                        biased;
                        _ = self.changes.changed() => {}
                        () = sleep_until(self.end) => return None,
                    }
                }
            }
        }
    }

    /// Looks at the next change that this watch shows.
    fn next(&mut self) -> Next {
        let mut state = self.cluster.state.lock();
        let oldest = state.version - state.log.len() as u64;
        if self.at < oldest {
            return Next::Lost;
        }
        while self.at < state.version {
            let change = state.log[(self.at - oldest) as usize].clone();
            self.at += 1;
            if change.kind != self.asked.place.kind {
                continue;
            }
            let shown = |object: &Option<Arc<Value>>| {
                let object = object.as_deref();
                object.filter(|object| self.asked.shows(object)).cloned()
            };
            let (type_, mut object) = match (shown(&change.before), shown(&change.after)) {
                (None, None) => continue,
                (None, Some(after)) => ("ADDED", after),
                (Some(_), Some(after)) => ("MODIFIED", after),
                (Some(before), None) => ("DELETED", before),
            };
            object["metadata"]["resourceVersion"] = self.at.to_string().into();
            let mut line = serde_json::to_vec(&json!({"type": type_, "object": object})).unwrap();
            line.push(b'\n');
            let delay = match state.dice.below(100) {
                0 => 3_000,
                _ => state.dice.below(40),
            };
            return Next::Show(change.at + SignedDuration::from_millis(delay as i64), line);
        }
        Next::Nothing
    }
}

fn expired() -> Vec<u8> {
    let status = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "code": 410,
        "reason": "Expired", "message": "too old resource version"});
    let mut line = serde_json::to_vec(&json!({"type": "ERROR", "object": status})).unwrap();
    line.push(b'\n');
    line
}

// === impl State ===

impl State {
    fn put(&mut self, kind: Kind, mut object: Value) -> Arc<Value> {
        let place = Place::of(kind, &object);
        let before = self.objects.get(&place).cloned();
        self.version += 1;
        let (api, name) = kind.names();
        object["apiVersion"] = api.into();
        object["kind"] = name.into();
        let metadata = &mut object["metadata"];
        match &before {
            None => {
                self.uid += 1;
                metadata["uid"] = format!("uid-{}", self.uid).into();
                metadata["creationTimestamp"] = written(now()).into();
                metadata["generation"] = 1.into();
            }
            Some(before) => {
                let same = before.get("spec") == object.get("spec");
                let generation = before["metadata"]["generation"].as_i64().unwrap_or(1);
                let metadata = &mut object["metadata"];
                metadata["generation"] = (generation + i64::from(!same)).into();
                metadata["uid"] = before["metadata"]["uid"].clone();
                metadata["creationTimestamp"] = before["metadata"]["creationTimestamp"].clone();
            }
        }
        object["metadata"]["resourceVersion"] = self.version.to_string().into();
        let after = Arc::new(object);
        self.objects.insert(place, Arc::clone(&after));
        self.log(kind, before, Some(Arc::clone(&after)));
        after
    }

    fn delete(&mut self, place: &Place) -> bool {
        let Some(object) = self.objects.get(place).cloned() else {
            return false;
        };
        let finalizers = object.pointer("/metadata/finalizers");
        let waits = finalizers.and_then(Value::as_array);
        if waits.is_some_and(|all| !all.is_empty()) {
            if time(&object, "/metadata/deletionTimestamp").is_none() {
                let mut object = object.as_ref().clone();
                object["metadata"]["deletionTimestamp"] = written(now()).into();
                self.put(place.kind, object);
            }
            return true;
        }
        self.objects.remove(place);
        self.version += 1;
        self.log(place.kind, Some(object), None);
        true
    }

    fn log(&mut self, kind: Kind, before: Option<Arc<Value>>, after: Option<Arc<Value>>) {
        let now = now();
        if self.traced && !matches!(kind, Kind::Event) {
            let object = after.as_ref().or(before.as_ref()).unwrap();
            let (namespace, name) = (
                text(object, "/metadata/namespace"),
                text(object, "/metadata/name"),
            );
            let ready = |object: &Value| {
                let conditions = object.pointer("/status/conditions");
                let conditions = conditions.and_then(Value::as_array).cloned();
                conditions
                    .unwrap_or_default()
                    .iter()
                    .map(|one| {
                        let (kind, status) = (text(one, "/type"), text(one, "/status"));
                        format!(" {kind}={status}/{}", text(one, "/reason"))
                    })
                    .collect::<String>()
            };
            let what = match (&before, &after) {
                (None, _) => "+".to_owned(),
                (_, None) => "-".to_owned(),
                (_, Some(after)) if kind == Kind::Integration => ready(after),
                _ => "~".to_owned(),
            };
            self.trace
                .push(format!("{now} {kind:?} {namespace}/{name} {what}"));
        }
        self.log.push_back(Change {
            at: now,
            kind,
            before,
            after,
        });
        while let Some(first) = self.log.front() {
            if self.log.len() < 2_000 || now.duration_since(first.at) < KEPT {
                break;
            }
            self.log.pop_front();
        }
    }

    fn count(&mut self, place: &Place) {
        // One record holds the log-ins of all.
        if matches!(place.kind, Kind::ConfigMap | Kind::Event) {
            return;
        }
        let hour = now().as_second() / 3600;
        let count = self.writes.entry(place.clone()).or_default();
        if count.0 != hour {
            *count = (hour, 0);
        }
        count.1 += 1;
        if count.1 == STORM {
            self.storms.push(format!(
                "{STORM} attempts to write {place:?} within an hour"
            ));
        }
    }

    fn answer(&mut self, asked: &Asked, body: Value) -> Response<Body> {
        let Asked { method, place, .. } = asked;
        let kind = place.kind;
        match *method {
            Method::GET if place.name.is_empty() => {
                let shown = self.objects.iter().filter(|(at, _)| at.kind == kind);
                let items: Vec<&Value> = shown
                    .map(|(_, object)| object.as_ref())
                    .filter(|object| asked.shows(object))
                    .collect();
                let (api, name) = kind.names();
                let list = json!({"apiVersion": api, "kind": format!("{name}List"),
                    "metadata": {"resourceVersion": self.version.to_string()}, "items": items});
                answer(200, &list)
            }
            Method::GET => match self.objects.get(place) {
                Some(object) => answer(200, object),
                None => failure(404, "NotFound"),
            },
            // Nobody reads what it says.
            Method::POST if kind == Kind::Event => answer(201, &body),
            Method::POST => {
                let mut body = body;
                body["metadata"]["namespace"] = place.namespace.clone().into();
                let place = Place::of(kind, &body);
                if self.objects.contains_key(&place) {
                    return failure(409, "AlreadyExists");
                }
                answer(201, &self.put(kind, body))
            }
            Method::PUT | Method::PATCH => {
                let Some(stands) = self.objects.get(place).cloned() else {
                    return failure(404, "NotFound");
                };
                let version = text(&body, "/metadata/resourceVersion");
                let uid = text(&body, "/metadata/uid");
                if !version.is_empty() && version != text(&stands, "/metadata/resourceVersion")
                    || !uid.is_empty() && uid != text(&stands, "/metadata/uid")
                {
                    return failure(409, "Conflict");
                }
                let mut next = stands.as_ref().clone();
                if *method == Method::PATCH {
                    // Only finalizers are patched.
                    next["metadata"]["finalizers"] = body["metadata"]["finalizers"].clone();
                    let whole = next["metadata"].as_object_mut();
                    if let Some(metadata) = whole
                        && metadata["finalizers"] == json!([])
                    {
                        metadata.remove("finalizers");
                    }
                } else if asked.status {
                    next["status"] = body["status"].clone();
                } else {
                    let status = next.get("status").cloned();
                    next = body;
                    next["status"] = status.unwrap_or_default();
                    if next["status"].is_null()
                        && let Some(whole) = next.as_object_mut()
                    {
                        whole.remove("status");
                    }
                }
                if next == *stands {
                    return answer(200, &stands);
                }
                let after = self.put(kind, next);
                let left = after.pointer("/metadata/finalizers");
                let is_held = left
                    .and_then(Value::as_array)
                    .is_some_and(|all| !all.is_empty());
                if !is_held && time(&after, "/metadata/deletionTimestamp").is_some() {
                    self.delete(place);
                }
                answer(200, &after)
            }
            Method::DELETE => {
                let Some(stands) = self.objects.get(place) else {
                    return failure(404, "NotFound");
                };
                let uid = text(&body, "/preconditions/uid");
                if !uid.is_empty() && uid != text(stands, "/metadata/uid") {
                    return failure(409, "Conflict");
                }
                self.delete(place);
                answer(
                    200,
                    &json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success"}),
                )
            }
            _ => failure(405, "MethodNotAllowed"),
        }
    }
}

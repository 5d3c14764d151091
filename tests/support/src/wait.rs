//! Waits for conditions, with a deadline; a failure reports the last observation.
//!
//! [`wait_for`] polls with growing pauses, for conditions of any kind. [`wait_for_object`] and
//! [`wait_for_condition`] watch one object and so see each of its changes.

use std::fmt::{self, Debug, Display};
use std::panic::Location;
use std::pin::pin;
use std::time::Duration;

use futures::StreamExt;
use kube::runtime::watcher;
use kube::{Api, Resource};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::time::{Instant, sleep, timeout, timeout_at};

const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_millis(500);

/// The result of one observation: a value when the condition holds, otherwise an optional reason.
///
/// Implemented for `Option<T>`, and for `Result<T, E>`, whose error is shown if the wait fails.
pub trait Observation {
    /// The value that the wait returns.
    type Value;
    /// The value, or a description of the observation.
    fn outcome(self) -> Result<Self::Value, String>;
}

impl<T> Observation for Option<T> {
    type Value = T;
    fn outcome(self) -> Result<T, String> {
        self.ok_or_else(|| "nothing yet".to_owned())
    }
}

impl<T, E: Display> Observation for Result<T, E> {
    type Value = T;
    fn outcome(self) -> Result<T, String> {
        self.map_err(|error| error.to_string())
    }
}

/// A wait that reached its deadline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimedOut {
    /// The expected condition.
    pub description: String,
    /// Time limit of the wait.
    pub deadline: Duration,
    /// The last observation.
    pub last: String,
}

/// Waits until `observe` returns a value. Returns the last observation if it does not within
/// `deadline`.
pub async fn try_wait_for<F, Fut>(
    description: impl Display,
    deadline: Duration,
    mut observe: F,
) -> Result<<Fut::Output as Observation>::Value, TimedOut>
where
    F: FnMut() -> Fut,
    Fut: Future<Output: Observation>,
{
    let end = Instant::now() + deadline;
    let mut last = "nothing, not one look came to an end".to_owned();
    let mut pause = FIRST_PAUSE;
    while let Ok(observation) = timeout_at(end, observe()).await {
        match observation.outcome() {
            Ok(value) => return Ok(value),
            Err(seen) => last = seen,
        }
        if Instant::now() + pause >= end {
            break;
        }
        sleep(pause).await;
        pause = (pause * 3 / 2).min(LONGEST_PAUSE);
    }
    Err(TimedOut {
        description: description.to_string(),
        deadline,
        last,
    })
}

/// Waits until `observe` returns a value. On timeout it panics with the description and the last
/// observation.
///
/// ```no_run
/// # use std::time::Duration;
/// # async fn example() {
/// let port: u16 = switchboard_testbed::wait_for("a port", Duration::from_secs(5), || async {
///     std::fs::read_to_string("port")?.trim().parse().map_err(std::io::Error::other)
/// })
/// .await;
/// # }
/// ```
#[track_caller]
pub fn wait_for<F, Fut>(
    description: impl Display,
    deadline: Duration,
    observe: F,
) -> impl Future<Output = <Fut::Output as Observation>::Value>
where
    F: FnMut() -> Fut,
    Fut: Future<Output: Observation>,
{
    let caller = Location::caller();
    async move { or_panic(try_wait_for(description, deadline, observe).await, caller) }
}

/// Watches the object `name` until `check` returns a value; on timeout it panics with the last
/// state of the object.
///
/// `check` gets the object as JSON, so that `value.pointer("/status/…")` also reaches fields that a
/// type does not have. It gets `None` while the object does not exist (return a value for this to
/// wait for a deletion).
#[track_caller]
pub fn wait_for_object<K, T, O>(
    api: &Api<K>,
    name: &str,
    description: impl Display,
    deadline: Duration,
    mut check: impl FnMut(Option<&Value>) -> O,
) -> impl Future<Output = T>
where
    K: Resource + Clone + DeserializeOwned + Serialize + Debug + Send + 'static,
    O: Observation<Value = T>,
{
    let caller = Location::caller();
    async move {
        let mut last = "nothing, not even its absence".to_owned();
        let watch = async {
            let mut changes = pin!(watcher::watch_object(api.clone(), name));
            loop {
                match changes.next().await {
                    Some(Ok(object)) => {
                        let object = object
                            .as_ref()
                            .and_then(|object| serde_json::to_value(object).ok());
                        match check(object.as_ref()).outcome() {
                            Ok(value) => return value,
                            Err(seen) => {
                                last = format!("{seen}\n{}", summary(name, object.as_ref()))
                            }
                        }
                    }
                    Some(Err(error)) => {
                        last = error.to_string();
                        sleep(Duration::from_millis(200)).await;
                    }
                    // A watch does not end.
                    None => std::future::pending().await,
                }
            }
        };
        let result = timeout(deadline, watch).await;
        or_panic(
            result.map_err(|_| TimedOut {
                description: format!("{name}: {description}"),
                deadline,
                last,
            }),
            caller,
        )
    }
}

/// Watches the object `name` until its condition `kind` has the `status` (`True`, `False`,
/// `Unknown`) for the current generation, and returns the condition. On timeout it panics with the
/// last state of the object.
#[track_caller]
pub fn wait_for_condition<K>(
    api: &Api<K>,
    name: &str,
    kind: &str,
    status: &str,
    deadline: Duration,
) -> impl Future<Output = Value>
where
    K: Resource + Clone + DeserializeOwned + Serialize + Debug + Send + 'static,
{
    let description = format!("condition {kind}={status}");
    wait_for_object(api, name, description, deadline, move |object| {
        let object = object?;
        let condition = object
            .pointer("/status/conditions")?
            .as_array()?
            .iter()
            .find(|c| c["type"] == kind)?;
        let current = match condition.get("observedGeneration") {
            Some(generation) => {
                generation.as_i64()
                    >= object
                        .pointer("/metadata/generation")
                        .and_then(Value::as_i64)
            }
            None => true,
        };
        (current && condition["status"] == status).then(|| condition.clone())
    })
}

/// The parts of an object that help to understand a failed wait.
fn summary(name: &str, object: Option<&Value>) -> String {
    match object {
        None => format!("there is no {name}"),
        Some(object) => {
            let generation = object
                .pointer("/metadata/generation")
                .unwrap_or(&Value::Null);
            let ends = object
                .pointer("/metadata/deletionTimestamp")
                .unwrap_or(&Value::Null);
            let status = object.get("status").unwrap_or(&Value::Null);
            format!("generation {generation}, deletionTimestamp {ends}, status {status:#}")
        }
    }
}

#[expect(clippy::panic, reason = "this is how a test fails")]
fn or_panic<T>(result: Result<T, TimedOut>, caller: &Location<'_>) -> T {
    result.unwrap_or_else(|timed_out| panic!("{timed_out}\n(waited for at {caller})"))
}

// === impl TimedOut ===

impl Display for TimedOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            description,
            deadline,
            last,
        } = self;
        write!(
            f,
            "waited {deadline:?} in vain for {description}; last seen: {last}"
        )
    }
}

impl std::error::Error for TimedOut {}

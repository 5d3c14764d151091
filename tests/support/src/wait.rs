//! Waiting for what must become true: with a deadline, and with the last thing seen when it does not.
//!
//! [`wait_for`] asks again and again with growing pauses, for conditions of any kind. [`wait_for_object`] and
//! [`wait_for_condition`] follow one object by a watch and so see each of its changes.

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

/// What one look yields: a value when all is as it should be, else (perhaps) why not.
///
/// Implemented for `Option<T>`, and for `Result<T, E>`, whose error is shown if the wait is in vain.
pub trait Observation {
    /// What is waited for.
    type Value;
    /// The value, or a word on what was seen instead.
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

/// A wait that was in vain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimedOut {
    /// What was waited for.
    pub description: String,
    /// For how long.
    pub deadline: Duration,
    /// What was seen last.
    pub last: String,
}

/// Waits until `observe` yields a value; returns what was seen last if it does not within `deadline`.
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

/// Waits until `observe` yields a value, and panics with the description and what was seen last if it does not.
///
/// ```no_run
/// # use std::time::Duration;
/// # async fn example() {
/// let port: u16 = switchboard_testbed::wait_for("a port to be told", Duration::from_secs(5), || async {
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

/// Follows the object `name` by a watch until `check` yields a value; panics with the object as last seen if it does not.
///
/// `check` gets the object as JSON, so that `value.pointer("/status/…")` reaches what a type may not know, and `None` while
/// there is no such object (return a value then to wait for its end).
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
                    // A watch goes on for ever.
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

/// Follows the object `name` until its condition `kind` has the `status` (`True`, `False`, `Unknown`) for its present generation,
/// and returns the condition; panics with the object as last seen if it does not come to that.
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

/// What a person wants to see of an object that is not as it should be.
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

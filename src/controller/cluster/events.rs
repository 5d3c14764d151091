//! Events that `kubectl describe` shows for a resource. Each reports a change and is written once.
//! None is kept here.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Event as CoreEvent, ObjectReference};
use k8s_openapi::api::events::v1::Event;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, Time};
use kube::api::{ListParams, ObjectMeta, PostParams};
use kube::core::Request;
use kube::{Client, Resource};
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::api_server;
use crate::decide::Notice;

/// Name of the controller in Events.
const CONTROLLER: &str = "switchboard.dev/controller";
/// The longest note that the API server accepts, in characters.
const MAX_NOTE_CHARS: usize = 1000;
/// The most Events about one object that are read. Kubernetes combines those beyond a few, and
/// those that a tenant writes may have a megabyte each.
const MAX_SAID: u32 = 10;

/// What Kubernetes' controllers last said, not before `since`, about an object that they could not
/// create for the object with this UID. `None` if they said nothing.
///
/// # Errors
/// Errors of the API server.
pub(crate) async fn failed_create(
    client: &Client,
    namespace: &str,
    uid: &str,
    since: Option<Timestamp>,
) -> Result<Option<String>, kube::Error> {
    let about = format!("involvedObject.uid={uid},reason=FailedCreate");
    let params = ListParams::default().fields(&about).limit(MAX_SAID);
    let request = Request::new(CoreEvent::url_path(&(), Some(namespace))).list(&params);
    let Said { items } = api_server::request(client, request).await?;
    let said = items.into_iter().filter_map(|item| {
        let at = item.last_timestamp.map(|time| time.0);
        let at = at.or(item.event_time.map(|time| time.0))?;
        Some((at, item.message?))
    });
    let last = said
        .filter(|(at, _)| since.is_none_or(|since| *at >= since))
        .max_by_key(|(at, _)| *at);
    Ok(last.map(|(_, message)| message))
}

/// The Events of a list.
#[derive(Deserialize)]
struct Said {
    items: Vec<SaidItem>,
}

/// The parts that are read of an Event.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SaidItem {
    message: Option<String>,
    last_timestamp: Option<Time>,
    event_time: Option<MicroTime>,
}

/// Writes Events.
pub(crate) struct Recorder {
    client: Client,
    instance: String,
}

// === impl Recorder ===

impl Recorder {
    /// Writes Events in the name of a replica.
    pub(crate) fn new(client: Client, instance: String) -> Self {
        Self { client, instance }
    }

    /// Writes an Event about an object.
    ///
    /// # Errors
    /// When the API server refuses it.
    pub(crate) async fn publish(
        &self,
        notice: &Notice,
        regarding: ObjectReference,
    ) -> Result<(), kube::Error> {
        let namespace = regarding.namespace.clone().unwrap_or_default();
        let event = self.event(notice, regarding, Timestamp::now());
        let body = serde_json::to_vec(&event).map_err(kube::Error::SerdeError)?;
        let request = Request::new(Event::url_path(&(), Some(&namespace)));
        let request = request.create(&PostParams::default(), body);
        api_server::request::<IgnoredAny>(&self.client, request)
            .await
            .map(drop)
    }

    fn event(&self, notice: &Notice, regarding: ObjectReference, now: Timestamp) -> Event {
        Event {
            metadata: ObjectMeta {
                // As client-go names them: unique by the time.
                name: Some(format!(
                    "{}.{:x}",
                    regarding.name.as_deref().unwrap_or_default(),
                    now.as_nanosecond()
                )),
                namespace: regarding.namespace.clone(),
                ..ObjectMeta::default()
            },
            type_: Some(if notice.warning { "Warning" } else { "Normal" }.into()),
            reason: Some(notice.reason.to_string()),
            note: Some(notice.note.chars().take(MAX_NOTE_CHARS).collect()),
            action: Some(notice.action.into()),
            event_time: Some(MicroTime(now)),
            regarding: Some(regarding),
            reporting_controller: Some(CONTROLLER.into()),
            reporting_instance: Some(self.instance.clone()),
            ..Event::default()
        }
    }
}

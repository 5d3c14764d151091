//! Events that `kubectl describe` shows for a resource. Each reports a change and is written once.
//! None is kept here.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::api::events::v1::Event;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::api::{ObjectMeta, PostParams};
use kube::core::Request;
use kube::{Client, Resource};
use serde::de::IgnoredAny;

use super::api_server;
use crate::decide::Notice;

/// Name of the controller in Events.
const CONTROLLER: &str = "switchboard.dev/controller";
/// The longest note that the API server accepts, in characters.
const MAX_NOTE_CHARS: usize = 1000;

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

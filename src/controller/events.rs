//! Events that `kubectl describe` shows beside a resource. Each tells of a change and is written once: nothing is kept of it here.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::api::events::v1::Event;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::api::{ObjectMeta, PostParams};
use kube::{Api, Client};

use super::decide::Notice;

/// Name of the controller in Events.
const CONTROLLER: &str = "switchboard.dev/controller";
/// What the API server takes at most.
const LONGEST_NOTE: usize = 1000;

/// Writes Events.
pub struct Recorder {
    client: Client,
    instance: String,
}

// === impl Recorder ===

impl Recorder {
    /// In the name of a replica.
    pub fn new(client: Client, instance: String) -> Self {
        Recorder { client, instance }
    }

    /// Writes an Event about an object.
    ///
    /// # Errors
    /// When the API server refuses it.
    pub async fn publish(
        &self,
        notice: &Notice,
        regarding: ObjectReference,
    ) -> Result<(), kube::Error> {
        let namespace = regarding.namespace.clone().unwrap_or_default();
        let event = self.event(notice, regarding, Timestamp::now());
        Api::namespaced(self.client.clone(), &namespace)
            .create(&PostParams::default(), &event)
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
            reason: Some(notice.reason.clone()),
            note: Some(notice.note.chars().take(LONGEST_NOTE).collect()),
            action: Some(notice.action.into()),
            event_time: Some(MicroTime(now)),
            regarding: Some(regarding),
            reporting_controller: Some(CONTROLLER.into()),
            reporting_instance: Some(self.instance.clone()),
            ..Event::default()
        }
    }
}

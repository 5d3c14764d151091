//! The watches: what is looked at, what of it is kept, and whom each event concerns.

use std::hash::Hash;
use std::pin::Pin;
use std::sync::Arc;

use futures::{Stream, StreamExt, TryStreamExt, future, stream};
use k8s_openapi::api::batch::v1::{CronJob, Job};
use k8s_openapi::api::core::v1::{Pod, Secret};
use kube::core::{NamespaceResourceScope, PartialObjectMeta};
use kube::runtime::reflector::{self, ObjectRef};
use kube::runtime::watcher::{self, Event};
use kube::runtime::{WatchStreamExt, watcher as watch};
use kube::{Api, Client, Resource, ResourceExt};
use tokio::sync::SetOnce;

use super::context::{Context, Stores};
use super::decide::runs::judge_pod;
use super::decide::stuck::{StuckRun, judge_pending};
use super::index::Key;
use super::owned::{Owned, owner};
use super::reach::Reach;
use super::standing::keep_little;
use crate::api::{MANAGED_BY_LABEL, MANAGER, SalesforceIntegration, TOKENS_VERSION};

/// Integrations that an event concerns.
pub type Concerned = Result<ObjectRef<SalesforceIntegration>, watcher::Error>;
type Events<K> = Pin<Box<dyn Stream<Item = Result<Event<K>, watcher::Error>> + Send>>;

/// The watches of one scope: a namespace, or all of them. Nothing flows before they are polled.
pub struct Watches {
    /// What is kept.
    pub stores: Stores,
    integrations: Events<SalesforceIntegration>,
    cron_jobs: Events<CronJob>,
    jobs: Events<Job>,
    pods: Events<Pod>,
    secrets: Events<PartialObjectMeta<Secret>>,
}

// === impl Watches ===

impl Watches {
    /// The watches of a namespace, or of the whole cluster.
    pub fn of(client: &Client, reach: Arc<Reach>) -> Watches {
        let ours = watcher::Config::default().labels(&format!("{MANAGED_BY_LABEL}={MANAGER}"));
        let (integrations, writer) = reflector::store();
        let everything = watcher::Config::default();
        let integration_events = watched::<SalesforceIntegration>(client, &reach, everything)
            .modify(forget_unread)
            .reflect(writer)
            .boxed();
        let (cron_jobs, cron_job_events) =
            kept::<CronJob>(watched(client, &reach, ours.clone()), keep_little);
        let (jobs, job_events) = kept::<Job>(watched(client, &reach, ours.clone()), |job| {
            job.spec = None;
        });
        let (pods, pod_events) = kept::<Pod>(watched(client, &reach, ours), |pod| pod.spec = None);
        // Metadata only: what tenants keep in other Secrets never comes here, and costs nothing.
        let secrets =
            watched::<PartialObjectMeta<Secret>>(client, &reach, watcher::Config::default());
        let listed = Arc::new(SetOnce::new());
        let secrets = {
            let listed = Arc::clone(&listed);
            secrets
                .inspect(move |event| {
                    if let Ok(Event::InitDone) = event {
                        // Already set when the list is read again.
                        let _ = listed.set(());
                    }
                })
                .boxed()
        };
        Watches {
            stores: Stores {
                integrations,
                cron_jobs,
                jobs,
                pods,
                secrets: listed,
                reach,
            },
            integrations: integration_events,
            cron_jobs: cron_job_events,
            jobs: job_events,
            pods: pod_events,
            secrets,
        }
    }

    /// All events, as the integrations that they concern.
    pub fn concerned(
        self,
        context: &Arc<Context>,
    ) -> Pin<Box<dyn Stream<Item = Concerned> + Send>> {
        let integrations =
            flatten(
                self.integrations,
                Arc::clone(context),
                |context, event| match event {
                    Seen::There(resource) => {
                        context.caught_up(&resource);
                        context.index().apply(&resource).into_iter().collect()
                    }
                    Seen::Gone(resource) => {
                        let key = Key::of(&resource);
                        context.forget(&key);
                        let concerned = context.index().delete(&key).into_iter().collect();
                        context.drop_unused_sessions();
                        concerned
                    }
                },
            );
        let cron_jobs = flatten(self.cron_jobs, Arc::clone(context), |context, event| {
            news(context, CRON_JOB, event, what_matters)
        });
        let jobs = flatten(self.jobs, Arc::clone(context), |context, event| {
            news(context, "Job", event, |job: &Job| {
                job.status.as_ref().map(|status| {
                    status
                        .conditions
                        .iter()
                        .flatten()
                        .map(|condition| condition.type_.clone())
                        .collect::<Vec<_>>()
                })
            })
        });
        let pods = flatten(self.pods, Arc::clone(context), |context, event| {
            news(context, "Pod", event, |pod: &Pod| {
                (
                    judge_pod(pod).map(|run| (run.finished_at, run.outcome)),
                    judge_pending(pod)
                        .filter(StuckRun::is_news)
                        .map(|stuck| (stuck.due, stuck.code)),
                )
            })
        });
        let secrets = flatten(self.secrets, Arc::clone(context), |context, event| {
            secret(context, event)
        });
        stream::select_all([integrations, cron_jobs, jobs, pods, secrets]).boxed()
    }
}

/// As the index names the kind.
const CRON_JOB: &str = "CronJob";

/// Whom a changed CronJob must wake: an edit by others, and the end of a run.
fn what_matters(cron_job: &CronJob) -> impl Hash + use<> {
    let active = cron_job
        .status
        .as_ref()
        .and_then(|status| status.active.as_ref())
        .is_some_and(|active| !active.is_empty());
    (
        cron_job.metadata.generation,
        cron_job.labels().clone(),
        active,
    )
}

/// What the controller itself has just written is no news when the watch brings it.
pub(super) fn note_written(context: &Context, written: &CronJob) {
    context
        .index()
        .is_news(CRON_JOB, Key::of(written), &what_matters(written));
}

/// What a watch saw of one object.
enum Seen<K> {
    There(K),
    Gone(K),
}

/// The events of one kind within a scope.
fn watched<K>(client: &Client, reach: &Arc<Reach>, config: watcher::Config) -> Events<K>
where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>
        + Clone
        + std::fmt::Debug
        + serde::de::DeserializeOwned
        + Send
        + 'static,
{
    let api = match reach.namespace() {
        Some(namespace) => Api::namespaced(client.clone(), namespace),
        None => Api::<K>::all(client.clone()),
    };
    let events = watch(api.clone(), config).default_backoff();
    reach.hear(api, events).boxed()
}

/// Drops the parts of any object that nobody here reads.
fn forget_unread<K: ResourceExt>(object: &mut K) {
    object.meta_mut().managed_fields = None;
    object
        .annotations_mut()
        .remove("kubectl.kubernetes.io/last-applied-configuration");
}

/// A watch of children that are kept, without the part of them that nobody reads.
fn kept<K>(
    events: Events<K>,
    forget: impl Fn(&mut K) + Send + 'static,
) -> (Arc<Owned<K>>, Events<K>)
where
    K: Resource<DynamicType = ()>
        + Clone
        + std::fmt::Debug
        + serde::de::DeserializeOwned
        + Send
        + Sync
        + 'static,
{
    let owned = Arc::new(Owned::default());
    let taking_in = Arc::clone(&owned);
    let events = events
        .modify(move |object| {
            forget_unread(object);
            forget(object);
        })
        .inspect_ok(move |event| taking_in.take_in(event))
        .boxed();
    (owned, events)
}

fn flatten<K: Send + 'static>(
    events: Events<K>,
    context: Arc<Context>,
    concern: impl Fn(&Context, Seen<K>) -> Vec<Key> + Send + 'static,
) -> Pin<Box<dyn Stream<Item = Concerned> + Send>> {
    events
        .flat_map(move |event| {
            let concerned: Vec<Concerned> = match event {
                Err(error) => vec![Err(error)],
                Ok(Event::Apply(object) | Event::InitApply(object)) => {
                    refs(concern(&context, Seen::There(object)))
                }
                Ok(Event::Delete(object)) => refs(concern(&context, Seen::Gone(object))),
                Ok(Event::Init | Event::InitDone) => vec![],
            };
            stream::iter(concerned)
        })
        .filter(|concerned| future::ready(log_watch_error(concerned)))
        .boxed()
}

/// The watch comes back by itself; the queue must not end because of it.
fn log_watch_error(concerned: &Concerned) -> bool {
    if let Err(error) = concerned {
        tracing::warn!(%error, "a watch broke off and is taken up again");
    }
    concerned.is_ok()
}

fn refs(keys: Vec<Key>) -> Vec<Concerned> {
    keys.into_iter()
        .map(|key| Ok(ObjectRef::new(&key.name).within(&key.namespace)))
        .collect()
}

/// The integration that a child is labelled with, if what matters of the child has changed.
fn news<K: ResourceExt, H: std::hash::Hash>(
    context: &Context,
    kind: &'static str,
    seen: Seen<K>,
    matters: impl Fn(&K) -> H,
) -> Vec<Key> {
    let (object, is_news) = match seen {
        Seen::There(object) => {
            let is_news = context
                .index()
                .is_news(kind, Key::of(&object), &matters(&object));
            (object, is_news)
        }
        Seen::Gone(object) => {
            context.index().forget_seen(kind, Key::of(&object));
            (object, true)
        }
    };
    owner(&object).filter(|_| is_news).into_iter().collect()
}

fn secret(context: &Context, seen: Seen<PartialObjectMeta<Secret>>) -> Vec<Key> {
    let (secret, there) = match seen {
        Seen::There(secret) => (secret, true),
        Seen::Gone(secret) => (secret, false),
    };
    let key = Key::of(&secret);
    if secret
        .labels()
        .get(MANAGED_BY_LABEL)
        .is_some_and(|manager| manager == MANAGER)
    {
        let version = secret
            .annotations()
            .get(TOKENS_VERSION)
            .filter(|_| there)
            .cloned();
        let is_news = context.index().note_tokens(key, version);
        return owner(&secret).filter(|_| is_news).into_iter().collect();
    }
    let mut index = context.index();
    let readers = index.readers(&key);
    if readers.is_empty() {
        return vec![];
    }
    // A list that is read again brings nothing new.
    let is_news = if there {
        index.is_news(
            "Secret",
            key,
            &(&secret.metadata.uid, &secret.metadata.resource_version),
        )
    } else {
        index.forget_seen("Secret", key);
        true
    };
    readers.into_iter().filter(|_| is_news).collect()
}

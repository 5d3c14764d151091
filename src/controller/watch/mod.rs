//! The watches: the objects that are observed, the parts of them that are kept, and the
//! integrations that each event affects.

use std::collections::{BTreeSet, HashSet};
use std::hash::Hash;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Instant;

use futures::{Stream, StreamExt, TryStreamExt, stream};
use jiff::Timestamp;
use k8s_openapi::api::batch::v1::{CronJob, Job};
use k8s_openapi::api::core::v1::{Pod, Secret};
use kube::core::PartialObjectMeta;
use kube::runtime::reflector::{self, ObjectRef};
use kube::runtime::watcher::{self, Event};
use kube::runtime::{WatchStreamExt, watcher as watch};
use kube::{Api, Client, ResourceExt};
use tokio::sync::SetOnce;

use super::cluster::api_server;
use super::cluster::api_server::{Trimmed, TrimmedResource};
use super::context::Context;
use super::context::access::ScopeAccess;
use super::context::stores::Stores;
use super::memory::child_store::{ChildStore, owner};
use super::memory::fingerprint_of;
use super::memory::index::{Tokens, WatchedKind};
use super::memory::key::Key;
use crate::api::conditions::CONNECTED;
use crate::api::{
    MANAGED_BY_LABEL, MANAGER, SalesforceIntegration, SalesforceIntegrationStatus, TOKENS_VERSION,
    now,
};
use crate::decide::children::{integration_uid, summarize};
use crate::decide::runs::stuck::{StuckRun, judge_pending};
use crate::decide::runs::{judge_pod, lingering};
use crate::error::Chain;
use crate::shard::Shard;

/// Seconds after which a watch is renewed. The client drops it 5 seconds later when the API server
/// does not end it: events behind a dead connection arrive that much later.
/// In a played world, where a year would have two million renewals, the server ends it.
const WATCH_SECONDS: u32 = if cfg!(test) { 0 } else { 60 };
/// Objects in one page of a list. A whole page is in memory several times over, and a tenant can
/// make each of its objects a megabyte and a half.
const PAGE: u32 = 12;

/// An integration that an event affects.
pub(crate) type Affected = ObjectRef<SalesforceIntegration>;
type Events<K> = Pin<Box<dyn Stream<Item = Result<Event<K>, watcher::Error>> + Send>>;

/// The watches of one scope: a namespace or the cluster. They run only while they are polled.
pub(crate) struct Watches {
    /// The objects that are kept.
    pub stores: Stores,
    namespace: Option<String>,
    integrations: Events<SalesforceIntegration>,
    cron_jobs: Events<CronJob>,
    jobs: Events<Job>,
    pods: Events<Pod>,
    secrets: Events<PartialObjectMeta<Secret>>,
}

// === impl Watches ===

impl Watches {
    /// Watches a namespace, or the whole cluster. Of other shards the integrations are watched, and
    /// nothing else: they claim company IDs, users and shares of an org's requests.
    pub(crate) fn of(client: &Client, access: Arc<ScopeAccess>, shard: Shard) -> Self {
        let everything = watcher::Config::default().timeout(WATCH_SECONDS);
        let ours = everything
            .clone()
            .labels(&format!("{MANAGED_BY_LABEL}={MANAGER}"));
        let (integrations, writer) = reflector::store();
        let integration_events =
            watched::<SalesforceIntegration>(client, &access, everything.clone())
                .map_ok(move |event| event.modify(|one| reduce_foreign(one, shard)))
                .reflect(writer);
        let listed = Arc::new(SetOnce::new());
        let integration_events = tells_when_listed(integration_events, &listed);
        let (cron_jobs, cron_job_events) =
            kept::<CronJob, _>(of_shard(client, &access, ours.clone(), shard), summarize);
        let jobs = of_shard(client, &access, ours.clone(), shard);
        let (jobs, job_events) = kept::<Job, _>(jobs, Job::clone);
        let pods = of_shard(client, &access, ours, shard);
        let (pods, pod_events) = kept::<Pod, _>(pods, Pod::clone);
        // Metadata only: the content of tenants' other Secrets never arrives here, and costs
        // nothing.
        let secrets = of_shard::<PartialObjectMeta<Secret>>(client, &access, everything, shard);
        let secrets_listed = Arc::new(SetOnce::new());
        let secrets = tells_when_listed(secrets, &secrets_listed);
        Self {
            namespace: access.namespace().map(Into::into),
            stores: Stores {
                integrations,
                listed,
                cron_jobs,
                jobs,
                pods,
                secrets: secrets_listed,
                access,
            },
            integrations: integration_events,
            cron_jobs: cron_job_events,
            jobs: job_events,
            pods: pod_events,
            secrets,
        }
    }

    /// All events, as the integrations that they affect.
    pub(crate) fn affected(
        self,
        context: &Arc<Context>,
    ) -> Pin<Box<dyn Stream<Item = Affected> + Send>> {
        let scope = self.namespace.as_deref();
        let authorities = of_new_authorities(context, self.stores.clone());
        let integrations = flatten(
            WatchedKind::Integration,
            scope,
            self.integrations,
            context,
            integration,
        );
        let cron_jobs = flatten(
            WatchedKind::CronJob,
            scope,
            self.cron_jobs,
            context,
            |context, event| owner_if_changed(context, WatchedKind::CronJob, event, fingerprint_of),
        );
        let jobs = flatten(
            WatchedKind::Job,
            scope,
            self.jobs,
            context,
            |context, event| {
                owner_if_changed(context, WatchedKind::Job, event, |job: &Job| {
                    job.status.as_ref().map(|status| {
                        status
                            .conditions
                            .iter()
                            .flatten()
                            .map(|condition| condition.type_.clone())
                            .collect::<Vec<_>>()
                    })
                })
            },
        );
        let pods = flatten(
            WatchedKind::Pod,
            scope,
            self.pods,
            context,
            |context, event| {
                if let Change::Removed(_, Some(pod)) = &event
                    && let (Some(integration), Some(run)) = (owner(pod), judge_pod(pod, now()))
                {
                    context.memory.add_lost_pod_result(&integration, run);
                }
                owner_if_changed(context, WatchedKind::Pod, event, |pod: &Pod| {
                    (
                        judge_pod(pod, Timestamp::MAX).map(|run| (run.finished_at, run.outcome)),
                        judge_pending(pod)
                            .filter(StuckRun::has_reason)
                            .map(|stuck| (stuck.due, stuck.code)),
                        lingering::judge(pod).map(|run| run.containers),
                    )
                })
            },
        );
        let secrets = flatten(WatchedKind::Secret, scope, self.secrets, context, secret);
        stream::select_all([integrations, cron_jobs, jobs, pods, secrets, authorities]).boxed()
    }
}

/// All integrations of the scope, whenever the authorities for the directory change.
fn of_new_authorities(
    context: &Arc<Context>,
    stores: Stores,
) -> Pin<Box<dyn Stream<Item = Affected> + Send>> {
    let context = Arc::clone(context);
    let changes = stream::unfold(context.directory_trust.changes(), async |mut changes| {
        changes.changed().await.ok()?;
        Some(((), changes))
    });
    changes
        .flat_map(move |()| {
            let all = stores.integrations.state();
            let keys = all.iter().map(|one| Key::of(one.as_ref()));
            let keys = keys.filter(|key| context.is_ours(key)).collect();
            mark_enqueued(&context, &keys);
            stream::iter(refs(keys))
        })
        .boxed()
}

/// One object in an event of a watch.
enum Change<K> {
    Present(K),
    /// With its last state, unless a list showed that it is gone.
    Removed(Key, Option<K>),
}

/// The events of one kind within a scope.
fn watched<K>(client: &Client, access: &Arc<ScopeAccess>, config: watcher::Config) -> Events<K>
where
    K: TrimmedResource + Clone + std::fmt::Debug + Send + 'static,
{
    let api = match access.namespace() {
        Some(namespace) => Api::namespaced(client.clone(), namespace),
        None => Api::<Trimmed<K>>::all(client.clone()),
    };
    let events = watch(api.clone(), config.page_size(PAGE)).default_backoff();
    access
        .filter_forbidden(api, events)
        .map_ok(api_server::unwrap)
        .boxed()
}

/// The events of one kind in the namespaces of this shard.
fn of_shard<K>(
    client: &Client,
    access: &Arc<ScopeAccess>,
    config: watcher::Config,
    shard: Shard,
) -> Events<K>
where
    K: TrimmedResource + Clone + std::fmt::Debug + Send + 'static,
{
    if access.namespace().is_some_and(|own| !shard.holds(own)) {
        let nothing = stream::iter([Ok(Event::Init), Ok(Event::InitDone)]);
        return nothing.chain(stream::pending()).boxed();
    }
    let events = watched::<K>(client, access, config);
    if shard.is_whole() {
        return events;
    }
    events
        .try_filter(move |event| {
            let namespace = match event {
                Event::Apply(object) | Event::Delete(object) | Event::InitApply(object) => {
                    object.meta().namespace.as_deref()
                }
                Event::Init | Event::InitDone => None,
            };
            std::future::ready(namespace.is_none_or(|namespace| shard.holds(namespace)))
        })
        .boxed()
}

/// Drops what is not needed of an integration of another shard: what remains is what it claims,
/// and how its log-ins ended.
pub(crate) fn reduce_foreign(one: &mut SalesforceIntegration, shard: Shard) {
    if shard.holds(one.metadata.namespace.as_deref().unwrap_or_default()) {
        return;
    }
    one.metadata.labels = None;
    one.metadata.annotations = None;
    one.metadata.finalizers = None;
    let Some(status) = one.status.take() else {
        return;
    };
    let mut conditions = status.conditions;
    conditions.retain(|condition| condition.type_ == CONNECTED);
    conditions.shrink_to_fit();
    one.status = Some(SalesforceIntegrationStatus {
        observed_generation: status.observed_generation,
        conditions,
        organization: status.organization,
        connection: status.connection,
        ..SalesforceIntegrationStatus::default()
    });
}

/// A watch that says when its list has been read.
fn tells_when_listed<K: Send + 'static>(
    events: impl Stream<Item = Result<Event<K>, watcher::Error>> + Send + 'static,
    listed: &Arc<SetOnce<()>>,
) -> Events<K> {
    let listed = Arc::clone(listed);
    events
        .inspect(move |event| {
            if let Ok(Event::InitDone) = event {
                // A later list finds it set already.
                let _ = listed.set(());
            }
        })
        .boxed()
}

/// A watch of children, with the store that it fills.
fn kept<K, V>(
    events: Events<K>,
    keep: impl Fn(&K) -> V + Send + 'static,
) -> (Arc<ChildStore<V>>, Events<K>)
where
    V: Send + Sync + 'static,
    K: TrimmedResource + Send + Sync + 'static,
{
    let owned = Arc::new(ChildStore::default());
    let store = Arc::clone(&owned);
    let events = events
        .inspect_ok(move |event| store.on_event(event, &keep))
        .boxed();
    (owned, events)
}

fn flatten<K: ResourceExt + Send + 'static>(
    kind: WatchedKind,
    namespace: Option<&str>,
    events: Events<K>,
    context: &Arc<Context>,
    affects: impl Fn(&Context, Change<K>) -> Vec<Key> + Send + 'static,
) -> Pin<Box<dyn Stream<Item = Affected> + Send>> {
    let (context, namespace) = (Arc::clone(context), namespace.map(str::to_owned));
    let mut missing = HashSet::new();
    events
        .flat_map(move |event| {
            let affected = match event {
                Err(error) => {
                    // The watch restarts by itself.
                    tracing::warn!(error = %Chain(&error), "a watch broke off and is taken up again");
                    vec![]
                }
                Ok(event) => {
                    let known = || context.index().known(kind, namespace.as_deref());
                    let seen = diff_relist(event, &mut missing, known);
                    let keys: BTreeSet<Key> = seen
                        .into_iter()
                        .flat_map(|seen| affects(&context, seen))
                        // What happens in one shard may concern integrations of all.
                        .filter(|key| context.is_ours(key))
                        .collect();
                    mark_enqueued(&context, &keys);
                    refs(keys)
                }
            };
            stream::iter(affected)
        })
        .boxed()
}

/// The changes in one event of a watch. After a long interruption the watch reads the list again.
/// An object that the new list does not contain is gone, and no event reports that.
fn diff_relist<K: ResourceExt>(
    event: Event<K>,
    missing: &mut HashSet<Key>,
    known: impl FnOnce() -> HashSet<Key>,
) -> Vec<Change<K>> {
    match event {
        Event::Init => {
            *missing = known();
            vec![]
        }
        Event::InitApply(object) => {
            missing.remove(&Key::of(&object));
            vec![Change::Present(object)]
        }
        Event::InitDone => std::mem::take(missing)
            .into_iter()
            .map(|key| Change::Removed(key, None))
            .collect(),
        Event::Apply(object) => vec![Change::Present(object)],
        Event::Delete(object) => vec![Change::Removed(Key::of(&object), Some(object))],
    }
}

/// Marks the integrations as waiting for a reconcile. An integration that is not in the index does
/// not exist and would wait for ever.
fn mark_enqueued(context: &Context, keys: &BTreeSet<Key>) {
    for key in keys {
        let known = context.index().holds(key);
        if known {
            context.memory.enqueued(key, Instant::now());
        }
    }
}

fn refs(keys: BTreeSet<Key>) -> Vec<Affected> {
    keys.into_iter()
        .map(|key| ObjectRef::new(&key.name).within(&key.namespace))
        .collect()
}

fn integration(context: &Context, seen: Change<SalesforceIntegration>) -> Vec<Key> {
    match seen {
        Change::Present(resource) => {
            context.memory.caught_up(&resource);
            let key = Key::of(&resource);
            if context.is_ours(&key) {
                let freshest = context.integration(&key);
                let freshest = freshest.as_deref().unwrap_or(&resource);
                context.mail.observe(&key, freshest);
            }
            context.index().apply(&resource).into_iter().collect()
        }
        Change::Removed(key, _) => {
            context.memory.forget(&key);
            context.mail.forget(&key);
            let affected = context.index().delete(&key).into_iter().collect();
            context.drop_unused_sessions();
            affected
        }
    }
}

/// The integration that the child's label names, if the child has changed in a part that decisions
/// depend on.
fn owner_if_changed<K: ResourceExt, H: Hash>(
    context: &Context,
    kind: WatchedKind,
    seen: Change<K>,
    matters: impl Fn(&K) -> H,
) -> Vec<Key> {
    let affected = match seen {
        Change::Present(object) => {
            let (key, owner) = (Key::of(&object), owner(&object));
            // Before all lists have been read no decision was made that this could change.
            let listed = context.is_synced(&key.namespace);
            let changed = context
                .index()
                .changed(kind, key, owner.clone(), &matters(&object));
            owner.filter(|_| changed && listed)
        }
        Change::Removed(key, _) => context.index().forget_observed(kind, &key),
    };
    affected.into_iter().collect()
}

fn secret(context: &Context, seen: Change<PartialObjectMeta<Secret>>) -> Vec<Key> {
    let secret = match seen {
        Change::Present(secret) => secret,
        Change::Removed(key, _) => {
            let mut index = context.index();
            index.forget_observed(WatchedKind::Secret, &key);
            let mut affected = index.readers(&key);
            affected.extend(index.forget_tokens(&key));
            return affected.into_iter().collect();
        }
    };
    let key = Key::of(&secret);
    let listed = context.is_synced(&key.namespace);
    let mut index = context.index();
    let ours = secret.labels().get(MANAGED_BY_LABEL);
    let version = secret.annotations().get(TOKENS_VERSION);
    let of_tokens = match (ours, version) {
        (Some(manager), Some(version)) if manager == MANAGER => {
            let tokens = Tokens {
                version: version.clone(),
                owner: owner(&secret),
                owner_uid: integration_uid(&secret.metadata).map(str::to_owned),
                resource_version: secret.resource_version(),
                edited: false,
            };
            index.note_tokens(key.clone(), tokens)
        }
        _ => index.forget_tokens(&key),
    };
    let mut affected: BTreeSet<Key> = of_tokens.into_iter().collect();
    // A Secret with credentials may carry any label.
    let readers = index.readers(&key);
    if !readers.is_empty() {
        // A list that is read again contains the same versions.
        let metadata = &secret.metadata;
        let matters = (&metadata.uid, &metadata.resource_version);
        if index.changed(WatchedKind::Secret, key, None, &matters) {
            affected.extend(readers);
        }
    }
    affected.into_iter().filter(|_| listed).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod(name: &str) -> Pod {
        let mut pod = Pod::default();
        pod.metadata.namespace = Some("tenant".into());
        pod.metadata.name = Some(name.into());
        pod
    }

    fn key(name: &str) -> Key {
        Key::of(&pod(name))
    }

    #[test]
    fn of_another_shard_only_what_it_claims_and_how_its_log_ins_ended_is_kept() {
        let mut ours = crate::api::fixtures::integration("acme");
        ours.metadata.namespace = Some("acme".into());
        ours.metadata.annotations = Some([("a".to_owned(), "b".to_owned())].into());
        let connection = crate::api::status::Connection {
            failed_logins: 1,
            ..Default::default()
        };
        ours.status = Some(SalesforceIntegrationStatus {
            connection: Some(connection),
            next_run: Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(now())),
            last_handled_run_at: Some("then".into()),
            ..Default::default()
        });
        let whole = ours.clone();
        let [own, other] = [0, 1].map(|index| format!("{index}/2").parse::<Shard>().unwrap());
        assert!(own.holds("acme") && !other.holds("acme"));
        reduce_foreign(&mut ours, own);
        assert_eq!(ours, whole);
        reduce_foreign(&mut ours, other);
        assert_eq!(ours.spec, whole.spec);
        assert_eq!(ours.metadata.annotations, None);
        let (reduced, status) = (ours.status.unwrap(), whole.status.unwrap());
        assert_eq!(reduced.connection, status.connection);
        assert_eq!(
            (reduced.next_run, reduced.last_handled_run_at),
            (None, None)
        );
    }

    #[test]
    fn what_a_list_does_not_name_any_more_is_gone_once() {
        let mut missing = HashSet::new();
        let mut gone = |event| -> Vec<Key> {
            let known = || HashSet::from([key("stays"), key("went")]);
            let seen = diff_relist(event, &mut missing, known);
            seen.into_iter()
                .filter_map(|seen| match seen {
                    Change::Removed(key, _) => Some(key),
                    Change::Present(_) => None,
                })
                .collect()
        };
        assert_eq!(gone(Event::Init), []);
        assert_eq!(gone(Event::InitApply(pod("new"))), []);
        assert_eq!(gone(Event::InitApply(pod("stays"))), []);
        assert_eq!(gone(Event::InitDone), [key("went")]);
        assert_eq!(gone(Event::Apply(pod("went"))), []);
        assert_eq!(gone(Event::Delete(pod("stays"))), [key("stays")]);
    }
}

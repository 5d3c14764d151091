//! The children that a watch has returned, indexed by the integration that their label names: a
//! lookup costs the same in a fleet of thousands as for one.

use std::collections::HashMap;
use std::sync::Arc;

use kube::ResourceExt;
use kube::runtime::watcher::Event;
use parking_lot::{Mutex, MutexGuard};
use tokio::sync::SetOnce;

use super::key::Key;
use crate::api::INTEGRATION_LABEL;

/// Objects of one kind in one scope, reduced to the parts that are kept.
pub(crate) struct ChildStore<V> {
    state: Mutex<State<V>>,
    listed: SetOnce<()>,
}

/// The children of each integration by name, sorted. There are few.
type ByOwner<V> = HashMap<Key, Vec<(String, Arc<V>)>>;

struct State<V> {
    there: ByOwner<V>,
    /// The objects of a list that is still being read. It replaces `there` when the list is
    /// complete.
    listing: ByOwner<V>,
}

// === impl ChildStore ===

impl<V> ChildStore<V> {
    /// Applies a watch event.
    pub(crate) fn on_event<K: ResourceExt>(&self, event: &Event<K>, keep: impl FnOnce(&K) -> V) {
        let mut state = self.state();
        match event {
            Event::Init => state.listing.clear(),
            Event::InitApply(object) => insert(&mut state.listing, object, keep),
            Event::InitDone => {
                state.there = std::mem::take(&mut state.listing);
                // A later list finds it set already.
                let _ = self.listed.set(());
            }
            Event::Apply(object) => insert(&mut state.there, object, keep),
            Event::Delete(object) => remove(&mut state.there, object),
        }
    }

    /// The children of an integration.
    pub(crate) fn of(&self, integration: &Key) -> Vec<Arc<V>> {
        let state = self.state();
        let children = state.there.get(integration);
        children
            .into_iter()
            .flatten()
            .map(|(_, child)| Arc::clone(child))
            .collect()
    }

    /// Whether one list has been read to its end.
    #[cfg(test)]
    pub(crate) fn is_synced(&self) -> bool {
        self.listed.initialized()
    }

    /// Waits until one list has been read to its end.
    pub(crate) async fn synced(&self) {
        self.listed.wait().await;
    }

    fn state(&self) -> MutexGuard<'_, State<V>> {
        self.state.lock()
    }
}

impl<V> Default for ChildStore<V> {
    fn default() -> Self {
        Self {
            state: Mutex::new(State {
                there: HashMap::new(),
                listing: HashMap::new(),
            }),
            listed: SetOnce::new(),
        }
    }
}

/// The integration that the label of a child names.
pub(crate) fn owner(child: &impl ResourceExt) -> Option<Key> {
    Some(Key {
        namespace: child.namespace()?,
        name: child.labels().get(INTEGRATION_LABEL)?.clone(),
    })
}

fn insert<K: ResourceExt, V>(children: &mut ByOwner<V>, child: &K, keep: impl FnOnce(&K) -> V) {
    if let Some(owner) = owner(child) {
        let siblings = children
            .entry(owner)
            .or_insert_with(|| Vec::with_capacity(1));
        let (name, kept) = (child.name_any(), Arc::new(keep(child)));
        match place(siblings, &name) {
            Ok(place) => siblings[place].1 = kept,
            Err(place) => siblings.insert(place, (name, kept)),
        }
    }
}

fn remove<K: ResourceExt, V>(children: &mut ByOwner<V>, child: &K) {
    let Some(owner) = owner(child) else {
        return;
    };
    if let Some(siblings) = children.get_mut(&owner) {
        if let Ok(place) = place(siblings, &child.name_any()) {
            siblings.remove(place);
        }
        if siblings.is_empty() {
            children.remove(&owner);
        }
    }
}

fn place<V>(siblings: &[(String, V)], name: &str) -> Result<usize, usize> {
    siblings.binary_search_by(|(sibling, _)| sibling.as_str().cmp(name))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use k8s_openapi::api::batch::v1::Job;
    use kube::api::ObjectMeta;

    use super::*;
    use crate::controller::memory::key::key;

    fn job(integration: &str, name: &str) -> Job {
        Job {
            metadata: ObjectMeta {
                name: Some(name.into()),
                namespace: Some("tenant".into()),
                labels: Some(BTreeMap::from([(
                    INTEGRATION_LABEL.into(),
                    integration.into(),
                )])),
                ..ObjectMeta::default()
            },
            ..Job::default()
        }
    }

    fn names(store: &ChildStore<Job>, integration: &str) -> Vec<String> {
        store
            .of(&key(integration))
            .iter()
            .map(|job| job.name_any())
            .collect()
    }

    #[test]
    fn children_are_found_by_their_integration_while_they_are_there() {
        let store = ChildStore::default();
        for name in ["a-1", "a-2"] {
            store.on_event(&Event::Apply(job("a", name)), Job::clone);
        }
        store.on_event(&Event::Apply(job("b", "b-1")), Job::clone);
        assert_eq!(names(&store, "a"), ["a-1", "a-2"]);
        store.on_event(&Event::Delete(job("a", "a-1")), Job::clone);
        assert_eq!(names(&store, "a"), ["a-2"]);
        assert_eq!(names(&store, "b"), ["b-1"]);
    }

    #[test]
    fn a_list_that_is_read_again_replaces_everything_when_it_is_complete() {
        let store = ChildStore::default();
        store.on_event(&Event::Apply(job("a", "gone-meanwhile")), Job::clone);
        assert!(!store.is_synced());
        store.on_event(&Event::Init, Job::clone);
        store.on_event(&Event::InitApply(job("a", "there")), Job::clone);
        assert_eq!(names(&store, "a"), ["gone-meanwhile"]);
        store.on_event(&Event::InitDone, Job::clone);
        assert_eq!(names(&store, "a"), ["there"]);
        assert!(store.is_synced());
    }
}

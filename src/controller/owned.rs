//! The children that a watch has told of, found by the integration that they are labelled with: a look-up costs the same in a fleet of
//! thousands as for one.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use kube::ResourceExt;
use kube::runtime::watcher::Event;
use tokio::sync::SetOnce;

use super::index::Key;
use crate::api::INTEGRATION_LABEL;

/// Objects of one kind within one scope.
pub struct Owned<K> {
    state: Mutex<State<K>>,
    listed: SetOnce<()>,
}

type ByOwner<K> = HashMap<Key, BTreeMap<String, Arc<K>>>;

struct State<K> {
    there: ByOwner<K>,
    /// What a list that is being read has brought so far; it takes the place of what was there when it is complete.
    listing: ByOwner<K>,
}

// === impl Owned ===

impl<K: ResourceExt> Owned<K> {
    /// Takes in what the watch tells.
    pub fn take_in(&self, event: &Event<K>)
    where
        K: Clone,
    {
        let mut state = self.state();
        match event {
            Event::Init => state.listing.clear(),
            Event::InitApply(object) => insert(&mut state.listing, object),
            Event::InitDone => {
                state.there = std::mem::take(&mut state.listing);
                // Already set when a list is read again.
                let _ = self.listed.set(());
            }
            Event::Apply(object) => insert(&mut state.there, object),
            Event::Delete(object) => remove(&mut state.there, object),
        }
    }

    /// The children of an integration.
    pub fn of(&self, integration: &Key) -> Vec<Arc<K>> {
        let state = self.state();
        let children = state.there.get(integration);
        children
            .into_iter()
            .flat_map(BTreeMap::values)
            .cloned()
            .collect()
    }

    /// Whether everything that exists has been told of once.
    #[cfg(test)]
    pub fn is_listed(&self) -> bool {
        self.listed.initialized()
    }

    /// Waits until everything that exists has been told of once.
    pub async fn listed(&self) {
        self.listed.wait().await;
    }

    fn state(&self) -> MutexGuard<'_, State<K>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K> Default for Owned<K> {
    fn default() -> Self {
        Owned {
            state: Mutex::new(State {
                there: HashMap::new(),
                listing: HashMap::new(),
            }),
            listed: SetOnce::new(),
        }
    }
}

/// The integration that a child is labelled with.
pub fn owner(child: &impl ResourceExt) -> Option<Key> {
    Some(Key {
        namespace: child.namespace()?,
        name: child.labels().get(INTEGRATION_LABEL)?.clone(),
    })
}

fn insert<K: ResourceExt + Clone>(children: &mut ByOwner<K>, child: &K) {
    if let Some(owner) = owner(child) {
        let siblings = children.entry(owner).or_default();
        siblings.insert(child.name_any(), Arc::new(child.clone()));
    }
}

fn remove<K: ResourceExt>(children: &mut ByOwner<K>, child: &K) {
    let Some(owner) = owner(child) else {
        return;
    };
    if let Some(siblings) = children.get_mut(&owner) {
        siblings.remove(&child.name_any());
        if siblings.is_empty() {
            children.remove(&owner);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::api::batch::v1::Job;
    use kube::api::ObjectMeta;

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

    fn names(owned: &Owned<Job>, integration: &str) -> Vec<String> {
        let key = Key {
            namespace: "tenant".into(),
            name: integration.into(),
        };
        owned.of(&key).iter().map(|job| job.name_any()).collect()
    }

    #[test]
    fn children_are_found_by_their_integration_while_they_are_there() {
        let owned = Owned::default();
        for name in ["a-1", "a-2"] {
            owned.take_in(&Event::Apply(job("a", name)));
        }
        owned.take_in(&Event::Apply(job("b", "b-1")));
        assert_eq!(names(&owned, "a"), ["a-1", "a-2"]);
        owned.take_in(&Event::Delete(job("a", "a-1")));
        assert_eq!(names(&owned, "a"), ["a-2"]);
        assert_eq!(names(&owned, "b"), ["b-1"]);
    }

    #[test]
    fn a_list_that_is_read_again_replaces_everything_when_it_is_complete() {
        let owned = Owned::default();
        owned.take_in(&Event::Apply(job("a", "gone-meanwhile")));
        assert!(!owned.is_listed());
        owned.take_in(&Event::Init);
        owned.take_in(&Event::InitApply(job("a", "there")));
        assert_eq!(names(&owned, "a"), ["gone-meanwhile"]);
        owned.take_in(&Event::InitDone);
        assert_eq!(names(&owned, "a"), ["there"]);
        assert!(owned.is_listed());
    }
}

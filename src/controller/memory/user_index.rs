//! The integrations by the users of their call centers. It finds those that gain or lose a user by
//! an event, at the cost of the users that the event touches.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use super::key::Key;
use crate::api::{SalesforceIntegration, canonical_user};
use crate::decide::rules::user_claim::{Standing, Users};

/// The index over the users of all integrations.
#[derive(Debug, Default)]
pub(crate) struct UserIndex {
    claimants: HashMap<Arc<Key>, Claimant>,
    by_user: HashMap<Arc<str>, Vec<Arc<Key>>>,
}

/// An integration with call centers.
#[derive(Debug)]
struct Claimant {
    standing: Standing,
    /// The spec that `users` were read from.
    generation: Option<i64>,
    /// Each user once, sorted, in canonical form. The strings are shared with the index.
    users: Vec<Arc<str>>,
}

// === impl UserIndex ===

impl UserIndex {
    /// Adds or updates an integration. Returns those whose right to a user changes: others, and
    /// the integration itself when it has moved to another org.
    pub(crate) fn apply(&mut self, key: &Key, resource: &SalesforceIntegration) -> BTreeSet<Key> {
        let standing = Standing::of(resource);
        let generation = resource.metadata.generation;
        let old = self.claimants.get(key);
        // A status that the controller wrote most often changes nothing here.
        if old.is_some_and(|old| old.standing == standing && old.generation == generation) {
            return BTreeSet::new();
        }
        let users = self.users_of(resource);
        if old.is_none() && users.is_empty() {
            return BTreeSet::new();
        }
        let new = Claimant {
            standing,
            generation,
            users,
        };
        let mut touched = self.touched(key, old, Some(&new));
        if old.is_some_and(|old| self.is_moved(key, &old.standing, &new)) {
            touched.insert(key.clone());
        }
        self.replace(key, Some(new));
        touched
    }

    /// Removes an integration. Returns those that gain a user.
    pub(crate) fn delete(&mut self, key: &Key) -> BTreeSet<Key> {
        let touched = self.touched(key, self.claimants.get(key), None);
        self.replace(key, None);
        touched
    }

    /// The users of an integration that older ones hold, as its spec spells them. `org` is the id
    /// of the org that a proof has just found.
    pub(crate) fn taken(
        &self,
        key: &Key,
        resource: &SalesforceIntegration,
        org: Option<&str>,
    ) -> Users {
        let mut standing = Standing::of(resource);
        if let Some(org) = org {
            standing = standing.proved_in(org);
        }
        let mut seen = HashSet::new();
        let centers = resource.spec.call_centers.iter();
        centers
            .flat_map(|center| &center.users)
            .filter(|user| {
                let user = canonical_user(user);
                self.is_taken(key, &standing, &user) && seen.insert(user)
            })
            .collect()
    }

    fn users_of(&self, resource: &SalesforceIntegration) -> Vec<Arc<str>> {
        let centers = resource.spec.call_centers.iter();
        let distinct: BTreeSet<String> = centers
            .flat_map(|center| &center.users)
            .map(|user| canonical_user(user))
            .collect();
        let shared = |user: String| match self.by_user.get_key_value(user.as_str()) {
            Some((known, _)) => Arc::clone(known),
            None => Arc::from(user),
        };
        distinct.into_iter().map(shared).collect()
    }

    /// The other integrations that gain or lose a user by the change of this one.
    fn touched(&self, key: &Key, old: Option<&Claimant>, new: Option<&Claimant>) -> BTreeSet<Key> {
        let mut touched = BTreeSet::new();
        let users = [old, new].into_iter().flatten();
        let users: BTreeSet<&Arc<str>> = users.flat_map(|claimant| &claimant.users).collect();
        for user in users {
            for (other, its) in self.others(key, user) {
                let excluded = |claimant: Option<&Claimant>| {
                    claimant.is_some_and(|claimant| {
                        claimant.has(user) && claimant.standing.excludes(its)
                    })
                };
                // Nothing changes for one that a third integration keeps the user from.
                let by_a_third = || {
                    self.others(other, user)
                        .any(|(third, standing)| third != key && standing.excludes(its))
                };
                if excluded(old) != excluded(new) && !by_a_third() {
                    touched.insert(other.clone());
                }
            }
        }
        touched
    }

    /// Whether the integration gains or loses a user of its own by its new standing.
    fn is_moved(&self, key: &Key, old: &Standing, new: &Claimant) -> bool {
        *old != new.standing
            && new.users.iter().any(|user| {
                self.is_taken(key, old, user) != self.is_taken(key, &new.standing, user)
            })
    }

    fn is_taken(&self, key: &Key, standing: &Standing, user: &str) -> bool {
        self.others(key, user)
            .any(|(_, other)| other.excludes(standing))
    }

    /// The other integrations with this user.
    fn others<'a>(
        &'a self,
        key: &'a Key,
        user: &str,
    ) -> impl Iterator<Item = (&'a Key, &'a Standing)> {
        self.by_user
            .get(user)
            .into_iter()
            .flatten()
            .filter(move |other| other.as_ref() != key)
            .filter_map(|other| Some((other.as_ref(), &self.claimants.get(other)?.standing)))
    }

    fn replace(&mut self, key: &Key, new: Option<Claimant>) {
        if let Some((key, old)) = self.claimants.remove_entry(key) {
            for user in old.users {
                let Some(claimants) = self.by_user.get_mut(&user) else {
                    continue;
                };
                claimants.retain(|claimant| *claimant != key);
                if claimants.is_empty() {
                    self.by_user.remove(&user);
                }
            }
        }
        let Some(new) = new.filter(|new| !new.users.is_empty()) else {
            return;
        };
        let key = Arc::new(key.clone());
        for user in &new.users {
            let claimants = self
                .by_user
                .entry(Arc::clone(user))
                .or_insert_with(|| Vec::with_capacity(1));
            claimants.push(Arc::clone(&key));
        }
        self.claimants.insert(key, new);
    }
}

// === impl Claimant ===

impl Claimant {
    fn has(&self, user: &Arc<str>) -> bool {
        self.users.binary_search(user).is_ok()
    }
}

#[cfg(test)]
mod tests;

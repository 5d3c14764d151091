//! The references between objects: a pure state machine that watch events feed. It finds the
//! integrations that an event affects without a search through all of them, and drops events that
//! cannot change a decision.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};

use kube::ResourceExt;

use super::key::Key;
use super::user_index::UserIndex;
use crate::api::SalesforceIntegration;
use crate::api::status::Connection;
use crate::decide::Neighbours;
use crate::decide::rules::user_claim::Users;

/// The index over all integrations.
#[derive(Debug, Default)]
pub(crate) struct Index {
    entries: HashMap<Key, Entry>,
    by_secret: HashMap<Key, Group>,
    by_company: HashMap<String, Group>,
    by_credential: HashMap<String, Group>,
    /// Those with refused or unanswered log-ins only.
    by_refused_user: HashMap<String, Group>,
    /// How many integrations log in as each user.
    logins: HashMap<String, usize>,
    by_org: HashMap<String, Group>,
    users: UserIndex,
    tokens: HashMap<Key, Tokens>,
    observed: HashMap<(WatchedKind, Key), Observed>,
}

/// Integrations with something in common, sorted. Most are alone, and a `BTreeSet` would allocate
/// space for eleven.
#[derive(Debug, Default)]
struct Group(Vec<Key>);

/// The kinds of objects that are watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum WatchedKind {
    /// The integrations themselves.
    Integration,
    /// Their CronJobs.
    CronJob,
    /// Their Jobs.
    Job,
    /// The pods of their Jobs.
    Pod,
    /// Secrets that integrations read, and those with their tokens.
    Secret,
}

/// A Secret with the directory's tokens.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tokens {
    /// Version of the sources that the tokens were minted from.
    pub version: String,
    /// The integration that its label names.
    pub owner: Option<Key>,
    /// UID of the integration that owns it; `None` if none does.
    pub owner_uid: Option<String>,
    /// Its resource version; `None` while our own write is under way.
    pub resource_version: Option<String>,
    /// Whether somebody else has changed it since it was last looked at.
    pub edited: bool,
}

#[derive(Debug)]
struct Observed {
    /// Hash of the parts of the object that decisions depend on.
    fingerprint: u64,
    owner: Option<Key>,
}

#[derive(Debug, Default, PartialEq)]
struct Entry {
    secret: Option<Key>,
    company: String,
    /// Distinguishes a new object from an older one of the same name.
    uid: Option<String>,
    credential: Option<String>,
    /// User as whom it logs in.
    user: Option<String>,
    /// Users as whom it was refused or not answered.
    refused_users: BTreeSet<String>,
    org: Option<String>,
    /// Share of the org's API requests that it requests, in percent.
    percent: u64,
    /// Hash of the parts of the resource whose change requires a reconcile.
    desired_hash: u64,
    /// The count of refused log-ins, and whether the credential works.
    login_state: (u32, Option<i64>),
}

// === impl Group ===

impl Group {
    fn insert(&mut self, key: Key) {
        if let Err(place) = self.0.binary_search(&key) {
            if self.0.is_empty() {
                self.0.reserve_exact(1);
            }
            self.0.insert(place, key);
        }
    }

    fn remove(&mut self, key: &Key) {
        if let Ok(place) = self.0.binary_search(key) {
            self.0.remove(place);
        }
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn iter(&self) -> impl Iterator<Item = &Key> {
        self.0.iter()
    }
}

// === impl Index ===

impl Index {
    /// Adds or updates an integration. Returns the integrations to reconcile: itself, rivals for
    /// its company ID, those that share its credential when that was refused or proved, and those
    /// that gain or lose a user of their call centers. Any other status written by the controller
    /// affects no other integration.
    pub(crate) fn apply(&mut self, resource: &SalesforceIntegration) -> BTreeSet<Key> {
        let key = Key::of(resource);
        let connection = resource
            .status
            .as_ref()
            .and_then(|status| status.connection.as_ref());
        let org = resource
            .status
            .as_ref()
            .and_then(|status| status.organization.as_ref());
        let percent = resource.spec.api_budget.daily_percent;
        let entry = Entry {
            secret: secret_of(resource),
            company: resource.spec.company_id.clone(),
            uid: resource.uid(),
            credential: connection.and_then(|connection| connection.credentials_version.clone()),
            user: connection.and_then(|connection| connection.user_version.clone()),
            refused_users: connection.map(refused_users).unwrap_or_default(),
            org: org.map(|org| org.id.clone()).filter(|id| !id.is_empty()),
            percent: if resource.spec.suspend {
                0
            } else {
                percent.into()
            },
            desired_hash: hash(&(
                resource.metadata.generation,
                &resource.metadata.uid,
                resource.annotations(),
                resource.metadata.deletion_timestamp.is_some(),
            )),
            login_state: connection.map_or((0, None), |connection| {
                (
                    connection.failed_logins,
                    connection
                        .verified_at
                        .as_ref()
                        .filter(|_| connection.failed_logins == 0)
                        .map(|_| 1),
                )
            }),
        };
        let mut concerned = self.users.apply(&key, resource);
        let old = self.entries.get(&key);
        if old.is_none_or(|old| old.desired_hash != entry.desired_hash) {
            concerned.insert(key.clone());
        }
        if old.is_some_and(|old| (&old.company, &old.uid) != (&entry.company, &entry.uid)) {
            concerned.extend(self.rivals(&key));
        }
        let became_good = old.is_some_and(|old| old.login_state.0 > 0 && entry.login_state.0 == 0);
        self.forget(&key);
        if let Some(secret) = &entry.secret {
            self.by_secret
                .entry(secret.clone())
                .or_default()
                .insert(key.clone());
        }
        self.by_company
            .entry(entry.company.clone())
            .or_default()
            .insert(key.clone());
        if let Some(org) = &entry.org {
            let users = self.by_org.entry(org.clone()).or_default();
            users.insert(key.clone());
        }
        if let Some(user) = &entry.user {
            *self.logins.entry(user.clone()).or_default() += 1;
        }
        for user in &entry.refused_users {
            let group = self.by_refused_user.entry(user.clone()).or_default();
            group.insert(key.clone());
        }
        if let Some(credential) = &entry.credential {
            let sharing = self.by_credential.entry(credential.clone()).or_default();
            if became_good {
                concerned.extend(sharing.iter().cloned());
            }
            sharing.insert(key.clone());
        }
        self.entries.insert(key, entry);
        concerned
    }

    /// Removes an integration. Returns the integrations to reconcile: rivals for its company ID or
    /// its users.
    pub(crate) fn delete(&mut self, key: &Key) -> BTreeSet<Key> {
        let mut concerned = self.rivals(key);
        concerned.extend(self.users.delete(key));
        concerned.remove(key);
        self.forget(key);
        self.observed.retain(|(_, observed), _| observed != key);
        concerned
    }

    /// Whether the integration exists.
    pub(crate) fn holds(&self, key: &Key) -> bool {
        self.entries.contains_key(key)
    }

    /// The integrations that read this Secret.
    pub(crate) fn readers(&self, secret: &Key) -> BTreeSet<Key> {
        all(self.by_secret.get(secret))
    }

    /// The integrations that claim this company ID.
    pub(crate) fn claimants(&self, company: &str) -> BTreeSet<Key> {
        all(self.by_company.get(company))
    }

    /// The integrations that last used this credential.
    pub(crate) fn sharing(&self, credential: &str) -> BTreeSet<Key> {
        all(self.by_credential.get(credential))
    }

    /// The integrations that were refused as this user, or not answered.
    pub(crate) fn refused_as(&self, user: &str) -> BTreeSet<Key> {
        all(self.by_refused_user.get(user))
    }

    /// How many integrations log in as this user.
    pub(crate) fn logging_in_as(&self, user: &str) -> usize {
        self.logins.get(user).copied().unwrap_or_default()
    }

    /// The other integrations that use this org.
    pub(crate) fn neighbours(&self, org: &str, own: &Key) -> Neighbours {
        let mut neighbours = Neighbours::default();
        let users = self.by_org.get(org).into_iter().flat_map(Group::iter);
        for key in users.filter(|key| *key != own) {
            let Some(entry) = self.entries.get(key) else {
                continue;
            };
            neighbours.count = neighbours.count.saturating_add(1);
            neighbours.percent = neighbours.percent.saturating_add(entry.percent);
            let names = neighbours.names.len();
            if key.namespace == own.namespace && names < Neighbours::MAX_NAMES {
                neighbours.names.push(key.name.clone());
            }
        }
        neighbours
    }

    /// The users of an integration's call centers that older integrations hold, in the order of its
    /// spec. `org` is the id of the org that a proof has just found.
    pub(crate) fn taken_users(&self, resource: &SalesforceIntegration, org: Option<&str>) -> Users {
        self.users.taken(&Key::of(resource), resource, org)
    }

    /// Records a Secret with tokens as the watch has it. Returns the owner when it has changed.
    pub(crate) fn note_tokens(&mut self, secret: Key, seen: Tokens) -> Option<Key> {
        let owner = seen.owner.clone();
        match self.tokens.get_mut(&secret) {
            Some(known)
                if (&known.version, &known.owner_uid) == (&seen.version, &seen.owner_uid) =>
            {
                let before = known.resource_version.clone();
                let edited = before.is_some() && before != seen.resource_version;
                *known = Tokens {
                    edited: known.edited || edited,
                    ..seen
                };
                owner.filter(|_| edited)
            }
            _ => {
                self.tokens.insert(secret, seen);
                owner
            }
        }
    }

    /// Records a Secret that is about to be written: the watch event of that is no change.
    pub(crate) fn expect_tokens(&mut self, secret: Key, expected: Tokens) {
        self.tokens.insert(secret, expected);
    }

    /// Records that a Secret of this version has good tokens.
    pub(crate) fn tokens_are(&mut self, secret: &Key, resource_version: Option<String>) {
        if let Some(tokens) = self.tokens.get_mut(secret) {
            tokens.resource_version = resource_version;
            tokens.edited = false;
        }
    }

    /// Removes the tokens of a Secret that is gone or has none. Returns the owner.
    pub(crate) fn forget_tokens(&mut self, secret: &Key) -> Option<Key> {
        self.tokens.remove(secret)?.owner
    }

    /// The sources of the tokens in a Secret of the integration with this UID. `None` when it has
    /// none, or somebody else has changed them.
    pub(crate) fn tokens(&self, secret: &Key, uid: Option<&str>) -> Option<&String> {
        let tokens = self.tokens.get(secret)?;
        let good = tokens.owner_uid.as_deref() == uid && !tokens.edited;
        good.then_some(&tokens.version)
    }

    /// Whether a Secret with tokens belongs to the integration with this UID.
    pub(crate) fn holds_tokens(&self, secret: &Key, uid: Option<&str>) -> bool {
        let tokens = self.tokens.get(secret);
        tokens.is_some_and(|tokens| tokens.owner_uid.as_deref() == uid)
    }

    /// Records an object. Returns whether the parts that decisions depend on have changed.
    pub(crate) fn changed(
        &mut self,
        kind: WatchedKind,
        key: Key,
        owner: Option<Key>,
        fingerprint: &impl Hash,
    ) -> bool {
        let fingerprint = hash(fingerprint);
        let old = self
            .observed
            .insert((kind, key), Observed { fingerprint, owner });
        old.is_none_or(|old| old.fingerprint != fingerprint)
    }

    /// Removes an object. Returns its owner when both are known.
    pub(crate) fn forget_observed(&mut self, kind: WatchedKind, key: &Key) -> Option<Key> {
        self.observed.remove(&(kind, key.clone()))?.owner
    }

    /// The objects of a kind that are known to exist, in one namespace or in all. An object that a
    /// new list does not contain is gone.
    pub(crate) fn known(&self, kind: WatchedKind, namespace: Option<&str>) -> HashSet<Key> {
        let observed = self
            .observed
            .keys()
            .filter(|(observed, _)| *observed == kind);
        let mut known: HashSet<&Key> = observed.map(|(_, key)| key).collect();
        match kind {
            WatchedKind::Integration => known.extend(self.entries.keys()),
            // A reader learns that its Secret is gone, also when the Secret is older than the
            // reader.
            WatchedKind::Secret => known.extend(self.tokens.keys().chain(self.by_secret.keys())),
            WatchedKind::CronJob | WatchedKind::Job | WatchedKind::Pod => {}
        }
        known
            .into_iter()
            .filter(|key| namespace.is_none_or(|namespace| key.namespace == namespace))
            .cloned()
            .collect()
    }

    fn rivals(&self, key: &Key) -> BTreeSet<Key> {
        self.entries
            .get(key)
            .map(|entry| self.claimants(&entry.company))
            .unwrap_or_default()
    }

    fn forget(&mut self, key: &Key) {
        let Some(old) = self.entries.remove(key) else {
            return;
        };
        if let Some(secret) = old.secret {
            remove(&mut self.by_secret, &secret, key);
        }
        remove(&mut self.by_company, &old.company, key);
        if let Some(credential) = old.credential {
            remove(&mut self.by_credential, &credential, key);
        }
        if let Some(org) = old.org {
            remove(&mut self.by_org, &org, key);
        }
        for user in &old.refused_users {
            remove(&mut self.by_refused_user, user, key);
        }
        if let Some(user) = old.user
            && let Some(count) = self.logins.get_mut(&user)
        {
            *count -= 1;
            if *count == 0 {
                self.logins.remove(&user);
            }
        }
    }
}

/// The users as whom Salesforce refused log-ins of this integration, or did not answer.
fn refused_users(connection: &Connection) -> BTreeSet<String> {
    let unanswered = connection.attempted_at.as_ref();
    let refused = connection.refusals.iter();
    refused
        .map(|refusal| refusal.user_version.clone())
        .chain(unanswered.and(connection.user_version.clone()))
        .collect()
}

/// The Secret with the credentials of an integration.
fn secret_of(resource: &SalesforceIntegration) -> Option<Key> {
    let name = resource.spec.salesforce.auth.chosen()?.secret.to_owned();
    Some(Key {
        namespace: resource.namespace()?,
        name,
    })
}

fn all(group: Option<&Group>) -> BTreeSet<Key> {
    group.into_iter().flat_map(Group::iter).cloned().collect()
}

fn remove<K: Hash + Eq>(map: &mut HashMap<K, Group>, of: &K, key: &Key) {
    if let Some(keys) = map.get_mut(of) {
        keys.remove(key);
        if keys.is_empty() {
            map.remove(of);
        }
    }
}

fn hash(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::super::key::key;
    use super::*;
    use crate::api::fixtures;

    #[test]
    fn a_secret_leads_to_its_readers_until_they_read_another() {
        let mut index = Index::default();
        let mut acme = fixtures::integration("acme");
        index.apply(&acme);
        assert_eq!(
            index.readers(&key("acme-salesforce")),
            BTreeSet::from([key("acme")])
        );
        if let Some(password) = &mut acme.spec.salesforce.auth.password {
            password.secret_ref.name = "other".into();
        }
        index.apply(&acme);
        assert_eq!(index.readers(&key("acme-salesforce")), BTreeSet::new());
        assert_eq!(index.readers(&key("other")), BTreeSet::from([key("acme")]));
        index.delete(&key("acme"));
        assert_eq!(index.readers(&key("other")), BTreeSet::new());
    }

    #[test]
    fn a_status_that_the_controller_wrote_wakes_nobody() {
        let mut index = Index::default();
        let mut acme = fixtures::integration("acme");
        assert_eq!(index.apply(&acme), BTreeSet::from([key("acme")]));
        acme.status = Some(Default::default());
        assert_eq!(index.apply(&acme), BTreeSet::new());
        acme.annotations_mut()
            .insert(crate::api::TEST_REQUESTED_AT.into(), "now".into());
        assert_eq!(index.apply(&acme), BTreeSet::from([key("acme")]));
    }

    fn rivals() -> (Index, SalesforceIntegration) {
        let mut index = Index::default();
        let [old, young] = ["old", "young"].map(|name| {
            let mut resource = fixtures::integration(name);
            resource.spec.company_id = "acme".into();
            resource
        });
        index.apply(&old);
        index.apply(&young);
        (index, old)
    }

    #[test]
    fn when_the_holder_of_a_company_id_goes_the_rival_hears_of_it() {
        let (mut index, _) = rivals();
        assert_eq!(index.delete(&key("old")), BTreeSet::from([key("young")]));
    }

    #[test]
    fn when_the_holder_of_a_company_id_was_made_anew_unseen_the_rival_is_the_older_and_hears_of_it()
    {
        let (mut index, mut old) = rivals();
        old.metadata.uid = Some("another".into());
        assert_eq!(
            index.apply(&old),
            BTreeSet::from([key("old"), key("young")])
        );
    }

    #[test]
    fn what_is_known_is_known_by_kind_and_namespace() {
        let (mut index, _) = rivals();
        let elsewhere = Key {
            namespace: "elsewhere".into(),
            name: "pod".into(),
        };
        index.changed(WatchedKind::Pod, key("pod"), Some(key("old")), &1);
        index.changed(WatchedKind::Pod, elsewhere.clone(), None, &1);
        let tokens = Tokens {
            owner: Some(key("old")),
            ..Tokens::default()
        };
        index.note_tokens(key("old-directory"), tokens);
        assert_eq!(
            index.known(WatchedKind::Integration, Some("tenant")),
            HashSet::from([key("old"), key("young")])
        );
        assert_eq!(
            index.known(WatchedKind::Pod, Some("tenant")),
            HashSet::from([key("pod")])
        );
        assert_eq!(
            index.known(WatchedKind::Pod, None),
            HashSet::from([key("pod"), elsewhere])
        );
        assert_eq!(
            index.known(WatchedKind::Secret, None),
            HashSet::from([
                key("old-directory"),
                key("old-salesforce"),
                key("young-salesforce")
            ])
        );
        assert_eq!(
            index.forget_observed(WatchedKind::Pod, &key("pod")),
            Some(key("old"))
        );
        assert_eq!(index.forget_tokens(&key("old-directory")), Some(key("old")));
    }

    #[test]
    fn tokens_are_those_of_their_owner_and_an_edit_by_others_is_noticed() {
        let mut index = Index::default();
        let secret = key("acme-directory");
        let seen = |uid: &str, version: &str| Tokens {
            version: "v1".into(),
            owner: Some(key("acme")),
            owner_uid: Some(uid.into()),
            resource_version: Some(version.into()),
            edited: false,
        };
        let pending = Tokens {
            resource_version: None,
            ..seen("u", "")
        };
        index.expect_tokens(secret.clone(), pending);
        let note = |index: &mut Index, tokens| index.note_tokens(key("acme-directory"), tokens);
        assert_eq!(note(&mut index, seen("u", "5")), None, "our own write");
        index.tokens_are(&secret, Some("5".into()));
        assert_eq!(note(&mut index, seen("u", "5")), None, "a list");
        assert!(index.tokens(&secret, Some("u")).is_some());
        assert_eq!(index.tokens(&secret, Some("another")), None);
        assert_eq!(note(&mut index, seen("u", "6")), Some(key("acme")));
        assert_eq!(index.tokens(&secret, Some("u")), None, "edited");
        assert!(index.holds_tokens(&secret, Some("u")));
        index.tokens_are(&secret, Some("6".into()));
        assert!(index.tokens(&secret, Some("u")).is_some());
        let orphan = Tokens {
            owner_uid: None,
            ..seen("u", "7")
        };
        assert_eq!(note(&mut index, orphan), Some(key("acme")));
        assert_eq!(index.tokens(&secret, Some("u")), None);
    }

    #[test]
    fn neighbours_in_an_org_add_up_whatever_their_namespace_until_they_leave() {
        let mut index = Index::default();
        for (namespace, name, percent, suspend) in [
            ("tenant", "a", 20, false),
            ("tenant", "b", 30, false),
            ("other", "c", 50, false),
            ("tenant", "d", 10, true),
        ] {
            let mut resource = fixtures::integration(name);
            resource.metadata.namespace = Some(namespace.into());
            resource.spec.api_budget.daily_percent = percent;
            resource.spec.suspend = suspend;
            let status = resource.status.get_or_insert_default();
            status.organization.get_or_insert_default().id = "00D".into();
            index.apply(&resource);
        }
        let neighbours = index.neighbours("00D", &key("a"));
        assert_eq!((neighbours.count, neighbours.percent), (3, 80));
        assert_eq!(neighbours.names, ["b", "d"]);
        index.delete(&key("b"));
        assert_eq!(index.neighbours("00D", &key("a")).percent, 50);
        assert_eq!(index.neighbours("00E", &key("a")).count, 0);
    }
}

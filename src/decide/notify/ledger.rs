//! What all integrations fail of and were told, derived from their statuses: it survives no restart
//! and needs to survive none.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::Hash;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use super::rules::CEILING_WINDOW;
use crate::api::conditions::{READY, Truth};
use crate::api::{SalesforceIntegrationStatus, conditions};
use crate::reason::{Code, Reason};
use crate::salesforce::Retry;

/// What all integrations fail of and were told. `K` names an integration.
#[derive(Debug)]
pub(crate) struct Ledger<K> {
    entries: HashMap<K, Entry>,
    failing: BTreeMap<Family, BTreeSet<(Timestamp, K)>>,
}

/// Causes that count as the same in a storm.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Family {
    /// Salesforce does not answer as it should, whatever it says.
    Salesforce,
    /// Exactly this code.
    Code(String),
}

/// A storm that the platform team was told of.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Told {
    /// When.
    pub at: Timestamp,
    /// The Message-ID of the first mail about it.
    pub thread: String,
}

/// One integration.
#[derive(Debug, Default, PartialEq)]
struct Entry {
    failing: Option<(Family, Timestamp)>,
    storms: Vec<(Family, Told)>,
    sent_at: Vec<Timestamp>,
    /// A decision about it is being written: what a watch tells meanwhile is older.
    is_pending: bool,
}

// === impl Family ===

impl Family {
    pub(super) fn of(code: &Code) -> Self {
        match code.meaning() {
            Some(meaning) if meaning.retry() == Retry::Later => Self::Salesforce,
            _ => Self::Code(code.as_str().to_owned()),
        }
    }
}

// === impl Entry ===

impl Entry {
    fn of(suspended: bool, status: Option<&SalesforceIntegrationStatus>) -> Self {
        let Some(status) = status else {
            return Self::default();
        };
        let told = status.notifications.as_ref();
        let causes = || told.iter().flat_map(|told| &told.causes);
        let failing = conditions::find(&status.conditions, READY)
            .filter(|ready| !suspended && ready.status == Truth::False.as_str())
            .map(|ready| {
                let code = cause_of(ready);
                let known = causes().find(|cause| cause.code() == code);
                let since = known.map_or(&ready.last_transition_time, |known| &known.since);
                (Family::of(&code), since.0)
            });
        let storms = causes().filter_map(|cause| {
            let told = Told {
                at: cause.sent_at.as_ref()?.0,
                thread: cause.told_platform.clone()?,
            };
            Some((Family::of(&cause.code()), told))
        });
        Self {
            failing,
            storms: storms.collect(),
            sent_at: told
                .iter()
                .flat_map(|told| &told.sent_at)
                .map(|at| at.0)
                .collect(),
            is_pending: false,
        }
    }
}

// === impl Ledger ===

impl<K> Default for Ledger<K> {
    fn default() -> Self {
        Self {
            entries: HashMap::new(),
            failing: BTreeMap::new(),
        }
    }
}

impl<K: Clone + Ord + Hash> Ledger<K> {
    /// Takes in what a watch tells of an integration, unless a decision about it is being written.
    pub(crate) fn observe(
        &mut self,
        key: &K,
        suspended: bool,
        status: Option<&SalesforceIntegrationStatus>,
    ) {
        let is_pending = self.entries.get(key).is_some_and(|entry| entry.is_pending);
        if !is_pending {
            self.replace(key, Entry::of(suspended, status));
        }
    }

    /// Takes in a decision before it is written: the next one must know of it.
    pub(super) fn reserve(
        &mut self,
        key: &K,
        suspended: bool,
        status: &SalesforceIntegrationStatus,
    ) {
        let entry = Entry::of(suspended, Some(status));
        self.replace(
            key,
            Entry {
                is_pending: true,
                ..entry
            },
        );
    }

    /// The decision was written, or could not be: this is what the server has now.
    pub(crate) fn written(
        &mut self,
        key: &K,
        suspended: bool,
        status: Option<&SalesforceIntegrationStatus>,
    ) {
        self.replace(key, Entry::of(suspended, status));
    }

    /// Forgets an integration that is gone.
    pub(crate) fn forget(&mut self, key: &K) {
        self.replace(key, Entry::default());
    }

    /// Whether nothing at all is kept.
    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.failing.is_empty()
    }

    /// The integrations that fail of this now, oldest first.
    pub(super) fn failing(&self, family: &Family) -> impl Iterator<Item = (Timestamp, &K)> {
        let failing = self.failing.get(family).into_iter().flatten();
        failing.map(|(since, key)| (*since, key))
    }

    /// How many integrations other than `but` began to fail of this at about that time.
    pub(super) fn failing_near(
        &self,
        family: &Family,
        at: Timestamp,
        window: Duration,
        but: &K,
    ) -> usize {
        let near = |since: Timestamp| since.duration_since(at).unsigned_abs() <= window;
        self.failing(family)
            .filter(|(since, key)| near(*since) && *key != but)
            .count()
    }

    /// The newest mail to the platform team about this, as far as an integration other than `but`
    /// is still in that storm.
    pub(super) fn told(&self, family: &Family, but: Option<&K>) -> Option<&Told> {
        self.entries
            .iter()
            .filter(|(key, _)| Some(*key) != but)
            .flat_map(|(_, entry)| &entry.storms)
            .filter(|(of, _)| of == family)
            .map(|(_, told)| told)
            .max()
    }

    /// When mails to tenants were sent within the hour before `now`, without those about `but`.
    pub(super) fn sent_within_the_hour(&self, but: &K, now: Timestamp) -> Vec<Timestamp> {
        self.entries
            .iter()
            .filter(|(key, _)| *key != but)
            .flat_map(|(_, entry)| &entry.sent_at)
            .filter(|at| now.duration_since(**at).unsigned_abs() < CEILING_WINDOW)
            .copied()
            .collect()
    }

    fn replace(&mut self, key: &K, entry: Entry) {
        let old = self.entries.remove(key).and_then(|old| old.failing);
        if let Some((family, since)) = old
            && let Some(failing) = self.failing.get_mut(&family)
        {
            failing.remove(&(since, key.clone()));
            if failing.is_empty() {
                self.failing.remove(&family);
            }
        }
        if let Some((family, since)) = &entry.failing {
            let failing = self.failing.entry(family.clone()).or_default();
            failing.insert((*since, key.clone()));
        }
        if entry != Entry::default() {
            self.entries.insert(key.clone(), entry);
        }
    }
}

/// Why an integration is not ready. A failed run has the code with which its message begins.
pub(super) fn cause_of(ready: &Condition) -> Code {
    let reason = conditions::reason_of(ready);
    match ready.message.split_once(": ") {
        Some((code, _)) if reason == Reason::RunFailed && is_code(code) => Code::from(code),
        _ => reason,
    }
}

/// The message of the condition without the code with which that of a failed run begins.
pub(super) fn message_of(ready: &Condition) -> &str {
    let reason = conditions::reason_of(ready);
    match ready.message.split_once(": ") {
        Some((code, message)) if reason == Reason::RunFailed && is_code(code) => message,
        _ => &ready.message,
    }
}

fn is_code(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

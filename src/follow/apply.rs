//! What changes mean for the numbers that the directory knows. Pure.
//!
//! The directory knows all records that hold a number, up to [`MAX_HOLDERS`]. The changes take some
//! of them away and bring others; among those that are left, the look-up's own rule chooses. A
//! number is looked up instead where that would not be sure: where nobody is left, where not all
//! records are known, and where a contact's account went.

use std::collections::HashMap;

use url::Url;

use super::window::Mode;
use crate::phone::E164;
use crate::resolve::{Change, Match, Object, Record, choose, why};

/// The most records of a number that are remembered. A number on more records, such as that of a
/// switchboard, is looked up when one of them changes.
pub const MAX_HOLDERS: usize = 20;

/// The changes of a page, by the Ids of the records.
#[derive(Debug, Default)]
pub struct Changes {
    there: HashMap<String, Record>,
    /// Records that are gone, with those that they were merged into.
    gone: HashMap<String, Option<String>>,
}

/// A number that the directory knows, and what it knows about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// The number.
    pub number: E164,
    /// Its contact, if it has one.
    pub contact: Option<KnownContact>,
    /// Whether Salesforce did not know the number when it was last asked: then no record held it.
    pub missed: bool,
}

/// The contact of a number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownContact {
    /// Whether it was written by hand.
    pub by_hand: bool,
    /// The records that hold the number; only their Ids, objects and accounts count where
    /// `with_values` is false.
    pub holders: Vec<Record>,
    /// Whether these are all records that hold it.
    pub is_complete: bool,
    /// Whether the holders have all their values.
    pub with_values: bool,
}

/// What is to be written.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Applied {
    /// The record of each number that a change concerns.
    pub found: HashMap<E164, Found>,
    /// Numbers that Salesforce has to be asked for.
    pub look_up: Vec<E164>,
}

/// The record that was chosen for a number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The record.
    pub chosen: Match,
    /// All records that hold the number, best first.
    pub holders: Vec<Record>,
}

/// What the changes leave of the holders of a number.
enum Left {
    /// No change concerns the number.
    AsItWas,
    /// These records hold it.
    These(Vec<Record>),
    /// The changes do not tell.
    Unknown,
}

/// Applies changes to known numbers.
pub fn apply(changes: &Changes, known: &[Known], mode: Mode, instance: Option<&Url>) -> Applied {
    let mut by_number: HashMap<&E164, Vec<&Record>> = HashMap::new();
    for record in changes.there.values() {
        for number in &record.numbers {
            by_number.entry(number).or_default().push(record);
        }
    }
    let mut applied = Applied::default();
    for known in known {
        let new = by_number.get(&known.number).map_or(&[][..], Vec::as_slice);
        let left = match &known.contact {
            // A person's word stays, and so do names where only new ones are wanted.
            Some(contact) if contact.by_hand || mode == Mode::NewOnly => Left::AsItWas,
            Some(contact) => changes.left_of(&known.number, contact, new),
            None if new.is_empty() => Left::AsItWas,
            None if known.missed => changes.these(&known.number, new),
            None => Left::Unknown,
        };
        match left {
            Left::AsItWas => {}
            Left::These(records) if !records.is_empty() => {
                let asked = std::slice::from_ref(&known.number);
                let mut chosen = choose(asked, &records, &HashMap::new(), instance);
                if let Some(chosen) = chosen.remove(&known.number) {
                    let (holders, _) = holders(&known.number, &records, &chosen);
                    let found = Found { chosen, holders };
                    applied.found.insert(known.number.clone(), found);
                }
            }
            // Another record may hold it in a spelling that nobody has asked for yet.
            Left::These(_) | Left::Unknown => applied.look_up.push(known.number.clone()),
        }
    }
    applied
}

/// The records that hold a number, best first, and whether they are all of those that were counted
/// for the chosen one.
pub fn holders(number: &E164, records: &[Record], chosen: &Match) -> (Vec<Record>, bool) {
    let (ranked, _) = why(number, records);
    let others = chosen.alternatives.as_ref();
    let counted = others.map_or(1, |others| others.count.saturating_add(1));
    let is_complete = ranked.len() as u64 >= counted && ranked.len() <= MAX_HOLDERS;
    let ranked = ranked.into_iter().take(MAX_HOLDERS).cloned();
    (ranked.collect(), is_complete)
}

// === impl Changes ===

impl Changes {
    /// Sorts changes. Of a record that comes twice the later one counts, but for a person account
    /// and its contact, which are one record in two rows: the numbers of both count.
    pub fn new(changes: impl IntoIterator<Item = Change>) -> Self {
        let mut sorted = Self::default();
        for change in changes {
            match change {
                Change::There(mut record) => {
                    sorted.gone.remove(&record.id);
                    if record.object == Object::Account
                        && let Some(other) = sorted.there.get(&record.id)
                    {
                        for number in &other.numbers {
                            if !record.numbers.contains(number) {
                                record.numbers.push(number.clone());
                            }
                        }
                    }
                    sorted.there.insert(record.id.clone(), record);
                }
                Change::Gone { id, merged_into } => {
                    sorted.there.remove(&id);
                    sorted.gone.insert(id, merged_into);
                }
            }
        }
        sorted
    }

    /// The records that are there.
    pub fn there(&self) -> impl Iterator<Item = &Record> {
        self.there.values()
    }

    /// The records that are gone, with those that they were merged into.
    pub fn gone(&self) -> impl Iterator<Item = (&str, Option<&str>)> {
        let gone = self.gone.iter();
        gone.map(|(id, winner)| (id.as_str(), winner.as_deref()))
    }

    /// The Ids of the records that changed, sorted.
    pub fn ids(&self) -> Vec<String> {
        let mut ids: Vec<String> = self.there.keys().chain(self.gone.keys()).cloned().collect();
        ids.sort_unstable();
        ids
    }

    /// The numbers of the records that are there, each once, sorted.
    pub fn numbers(&self) -> Vec<E164> {
        let numbers = self.there.values().flat_map(|record| &record.numbers);
        let mut numbers: Vec<E164> = numbers.cloned().collect();
        numbers.sort_unstable();
        numbers.dedup();
        numbers
    }

    /// The record with what the changes say of its account; `None` where they do not tell.
    fn with_account(&self, record: &Record) -> Option<Record> {
        let Some(account) = &record.account else {
            return Some(record.clone());
        };
        match (self.there.get(account), self.gone.get(account)) {
            // The stamp of a contact does not move when its account is renamed
            // (facts: Salesforce changes D1).
            (Some(account), _) => Some(Record {
                company: account.company.clone(),
                ..record.clone()
            }),
            // The contacts of a merged account go to the one that stayed, without a stamp
            // (facts: Salesforce changes B2).
            (None, Some(Some(winner))) => self.there.get(winner).map(|winner| Record {
                account: Some(winner.id.clone()),
                company: winner.company.clone(),
                ..record.clone()
            }),
            // The contacts of a deleted account are deleted with it.
            (None, Some(None)) => None,
            (None, None) => Some(record.clone()),
        }
    }

    /// Records that hold a number now, with what the changes say of their accounts.
    fn these(&self, number: &E164, records: &[&Record]) -> Left {
        let records = records.iter().map(|record| self.with_account(record));
        let Some(mut records) = records.collect::<Option<Vec<_>>>() else {
            return Left::Unknown;
        };
        // A record is a holder of this number, whatever else it holds.
        for record in &mut records {
            record.numbers = vec![number.clone()];
        }
        Left::These(records)
    }

    fn left_of(&self, number: &E164, contact: &KnownContact, new: &[&Record]) -> Left {
        let changed = |id: &String| self.there.contains_key(id) || self.gone.contains_key(id);
        let (gone, left): (Vec<&Record>, Vec<&Record>) = contact
            .holders
            .iter()
            .partition(|holder| changed(&holder.id));
        let moved = |holder: &&Record| holder.account.as_ref().is_some_and(changed);
        if new.is_empty() && gone.is_empty() && !left.iter().any(moved) {
            return Left::AsItWas;
        }
        let is_sure = contact.is_complete && (contact.with_values || left.is_empty());
        if !is_sure {
            return Left::Unknown;
        }
        self.these(number, &[left.as_slice(), new].concat())
    }
}

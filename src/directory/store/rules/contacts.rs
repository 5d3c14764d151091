//! What a worker's write of contacts means for the contacts and questions that are there.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use jiff::Timestamp;

use super::held::Held;
use crate::company_id::CompanyId;
use crate::directory::model::misses::{Miss, due_at, missed};
use crate::directory::model::{
    Contact, ContactSource, FoundContact, WriteContactsRequest, WriteOutcome, WritePolicy,
};
use crate::directory::store::database::error::StoreError;
use crate::directory::store::database::rows::{
    NumberQuestionRow, QuestionRow, micros, object_text, source_text, time,
};
use crate::directory::store::database::sets::Rows;
use crate::directory::store::database::{Arg, args};
use crate::phone::E164;
use crate::plain_text::folded;

/// What is there about the numbers of a request.
#[derive(Debug, Default)]
pub(crate) struct Before {
    /// The contacts, with the records that hold their numbers.
    pub(crate) contacts: HashMap<String, (Contact, Held)>,
    /// What Salesforce was asked: about the numbers that it does not know, and about all of them
    /// where the request comes with a claim.
    pub(crate) questions: HashMap<String, NumberQuestionRow>,
    /// The numbers about which nothing may be kept.
    pub(crate) erased: HashSet<String>,
}

/// The rows that a request changes, in the order of their numbers.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    /// Contacts to write.
    pub(crate) put: Rows,
    /// Contacts of which only the records are written: company, number, records.
    pub(crate) held: Rows,
    /// Contacts that other records hold than before: company, number.
    pub(crate) forgotten: Rows,
    /// The records that hold them: company, record, number.
    pub(crate) indexed: Rows,
    /// What Salesforce was asked.
    pub(crate) asked: Rows,
    /// Contacts that go: company, number.
    pub(crate) gone: Rows,
    /// What became of each number of a contact.
    pub(crate) outcomes: BTreeMap<E164, WriteOutcome>,
}

/// What becomes of a contact that a worker found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// It is written.
    Written,
    /// It is there already. That counts as written: a request whose response was lost comes again.
    Same,
    /// Another one is there, and stays.
    Kept,
}

/// The rows that a request changes. Whoever wrote the contact, a number that was erased stays
/// erased. What was written with a later claim than the request's stays, too: its writer asked
/// Salesforce when the claim of this one was over.
///
/// # Errors
/// When a row that is there holds what this version cannot have written.
pub(crate) fn changes(
    company: &CompanyId,
    request: &WriteContactsRequest,
    before: &Before,
    now: Timestamp,
) -> Result<Changes, StoreError> {
    let mut changes = Changes::default();
    // Sorted, so that the transactions of two workers do not deadlock.
    let found: BTreeMap<&str, &FoundContact> = request
        .contacts
        .iter()
        .map(|found| (found.number.as_str(), found))
        .collect();
    for (number, found) in found {
        let known = before.contacts.get(number);
        let known_contact = known.map(|(contact, _)| contact);
        let outcome = if before.erased.contains(number) {
            WriteOutcome::Kept
        } else if before.is_newer(number, request, now) {
            match known_contact.is_some_and(|known| same(known, found)) {
                true => WriteOutcome::Written,
                false => WriteOutcome::Kept,
            }
        } else {
            let fate = fate(known_contact, found, request.policy);
            changes.found(company, known, found, fate, now);
            let mut question = known_now(company, &found.number, &request.settings, now);
            question.extend(asked_by(request, now));
            changes.asked.push(question);
            match fate {
                Fate::Written | Fate::Same => WriteOutcome::Written,
                Fate::Kept => WriteOutcome::Kept,
            }
        };
        changes.outcomes.insert(found.number.clone(), outcome);
    }
    let not_found: BTreeSet<&E164> = request.not_found.iter().collect();
    for number in not_found {
        let text = number.as_str();
        if before.erased.contains(text) || before.is_newer(text, request, now) {
            continue;
        }
        let known = before.contacts.get(text).map(|(contact, _)| contact);
        let gone = known.filter(|known| goes(known, request));
        let question = before.questions.get(text).map(|row| row.question.clone());
        let question = question.unwrap_or_default();
        let missed = missed(miss(&question)?.as_ref(), &request.settings, now);
        let mut asked = missed_now(company, number, &missed, gone, question);
        asked.extend(asked_by(request, now));
        changes.asked.push(asked);
        if gone.is_some() {
            changes.gone.push(args![company.as_str(), text]);
        }
    }
    Ok(changes)
}

/// The claim of a request, in microseconds. No claim is made in the future: one that says so would
/// keep all others from writing.
fn claimed_at(request: &WriteContactsRequest, now: Timestamp) -> Option<i64> {
    request.claimed_at.map(|at| micros(at.min(now)))
}

/// What becomes of a contact. `OnlyMissing` leaves one that is there; `Refresh` leaves one that was
/// written by hand.
fn fate(known: Option<&Contact>, found: &FoundContact, policy: WritePolicy) -> Fate {
    match (known, policy) {
        (None, _) => Fate::Written,
        (Some(known), _) if same(known, found) => Fate::Same,
        (Some(_), WritePolicy::OnlyMissing) => Fate::Kept,
        (Some(known), WritePolicy::Refresh) if known.source == ContactSource::Manual => Fate::Kept,
        (Some(_), WritePolicy::Refresh | WritePolicy::Overwrite) => Fate::Written,
    }
}

// === impl Before ===

impl Before {
    /// Whether what is there about a number was written with a later claim than this request's.
    fn is_newer(&self, number: &str, request: &WriteContactsRequest, now: Timestamp) -> bool {
        let there = self.questions.get(number);
        let there = there.and_then(|row| row.claimed.claimed_at);
        there
            .zip(claimed_at(request, now))
            .is_some_and(|(there, of_request)| there > of_request)
    }
}

// === impl Changes ===

impl Changes {
    /// Adds a contact that was found, and which records hold its number.
    fn found(
        &mut self,
        company: &CompanyId,
        known: Option<&(Contact, Held)>,
        found: &FoundContact,
        fate: Fate,
        now: Timestamp,
    ) {
        let new = contact(found, now);
        let held = Held::new(&new, found.holders.as_deref(), found.all_holders);
        let number = found.number.as_str();
        let before = known.map(|(_, held)| held);
        match fate {
            Fate::Kept => return,
            Fate::Same if found.holders.is_none() || before == Some(&held) => return,
            Fate::Same => {
                let mut row = args![company.as_str(), number];
                row.extend(held.columns());
                self.held.push(row);
            }
            Fate::Written => self.put.push(columns(company, &new, &held)),
        }
        let ids = held.ids();
        match before.map(Held::ids) {
            Some(before) if before == ids => return,
            Some(before) if !before.is_empty() => {
                self.forgotten.push(args![company.as_str(), number]);
            }
            _ => {}
        }
        for id in ids {
            self.indexed.push(args![company.as_str(), id, number]);
        }
    }
}

/// Whether a contact goes because Salesforce does not know its number. One from a kind of record
/// that the run could not search stays, and one that was written by hand, which is from none.
fn goes(known: &Contact, request: &WriteContactsRequest) -> bool {
    let searched = known
        .object
        .is_some_and(|object| request.searched.contains(&object));
    request.policy != WritePolicy::OnlyMissing && searched
}

/// The miss that a question recorded, if there is one.
fn miss(question: &QuestionRow) -> Result<Option<Miss>, StoreError> {
    let (Some(asked_at), Some(misses), Some(settings)) =
        (question.asked_at, question.misses, &question.settings)
    else {
        return Ok(None);
    };
    Ok(Some(Miss {
        asked_at: time(asked_at)?,
        times_missed: u32::try_from(misses).unwrap_or(u32::MAX),
        settings: settings.clone(),
    }))
}

/// The columns that tell how the numbers of a request were asked.
fn asked_by(request: &WriteContactsRequest, now: Timestamp) -> Vec<Arg> {
    let by = request.asked_by.as_ref();
    args![
        by.map(|by| by.run.as_str()),
        by.map(|by| i64::from(by.api_calls)),
        claimed_at(request, now),
    ]
}

/// The columns of the question about a number that Salesforce knows.
fn known_now(company: &CompanyId, number: &E164, settings: &str, now: Timestamp) -> Vec<Arg> {
    let nothing: Option<&str> = None;
    args![
        company.as_str(),
        number.as_str(),
        micros(now),
        0,
        settings,
        None::<i64>,
        nothing,
        nothing,
        None::<i64>,
    ]
}

/// The columns of the question about a number that Salesforce does not know. What the number was
/// before stays on record.
fn missed_now(
    company: &CompanyId,
    number: &E164,
    miss: &Miss,
    gone: Option<&Contact>,
    before: QuestionRow,
) -> Vec<Arg> {
    let (was_company, was_person, gone_at) = match gone {
        Some(gone) => (
            gone.company_name.clone(),
            gone.person_name.clone(),
            Some(micros(miss.asked_at)),
        ),
        None => (before.was_company, before.was_person, before.gone_at),
    };
    args![
        company.as_str(),
        number.as_str(),
        micros(miss.asked_at),
        i64::from(miss.times_missed),
        miss.settings.as_str(),
        micros(due_at(miss.asked_at, miss.times_missed)),
        was_company,
        was_person,
        gone_at,
    ]
}

fn contact(found: &FoundContact, now: Timestamp) -> Contact {
    Contact {
        number: found.number.clone(),
        company_name: found.company_name.clone(),
        person_name: found.person_name.clone(),
        object: Some(found.object),
        record_id: Some(found.record_id.clone()),
        link: found.link.clone(),
        title: found.title.clone(),
        owner_name: found.owner_name.clone(),
        alternatives: found.alternatives.clone(),
        source: ContactSource::Salesforce,
        updated_at: now,
        asked_at: None,
        not_found: false,
    }
}

/// Whether the directory already holds what the worker found.
fn same(known: &Contact, found: &FoundContact) -> bool {
    let found = Contact {
        asked_at: known.asked_at,
        not_found: known.not_found,
        ..contact(found, known.updated_at)
    };
    *known == found
}

/// The columns of a contact.
pub(crate) fn columns(company: &CompanyId, contact: &Contact, held: &Held) -> Vec<Arg> {
    let mut columns = args![
        company.as_str(),
        contact.number.as_str(),
        contact.company_name.as_deref(),
        contact.person_name.as_deref(),
        contact.object.map(object_text),
        contact.record_id.as_deref(),
        contact.link.as_deref(),
        contact.title.as_deref(),
        contact.owner_name.as_deref(),
        // Serializing texts and numbers cannot fail.
        contact
            .alternatives
            .as_ref()
            .and_then(|alternatives| serde_json::to_string(alternatives).ok()),
        source_text(contact.source),
        micros(contact.updated_at),
    ];
    columns.extend(held.columns());
    columns.extend(args![
        contact.company_name.as_deref().map(folded),
        contact.person_name.as_deref().map(folded),
    ]);
    columns
}

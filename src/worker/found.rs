//! The form in which the directory keeps a record that was found.

use crate::directory::model::book::BookRecord;
use crate::directory::model::follow::{Holder, KnownNumber};
use crate::directory::model::{
    Alternative, Alternatives, ChosenBy, Contact, ContactSource, FoundContact, RecordObject,
};
use crate::follow::{Known, KnownContact};
use crate::phone::E164;
use crate::resolve::{Match, Object, Record, Rule};

/// Converts a match to the contact of its number, which `holders` hold; `is_complete` says whether
/// these are all that hold it.
pub(crate) fn contact(
    number: &E164,
    found: &Match,
    holders: &[Record],
    is_complete: bool,
) -> FoundContact {
    FoundContact {
        number: number.clone(),
        company_name: found.company.clone(),
        person_name: found.person.clone(),
        object: record_object(found.object),
        record_id: found.id.clone(),
        link: found.link.clone(),
        title: found.title.clone(),
        owner_name: found.owner.clone(),
        alternatives: found.alternatives.as_ref().map(|others| Alternatives {
            count: others.count,
            records: others.records.iter().map(alternative).collect(),
            rule: match others.rule {
                Rule::Newest => ChosenBy::Newest,
                Rule::LowestId => ChosenBy::LowestId,
                // A record that has others beside it was chosen by one of the three rules.
                Rule::Object | Rule::Only | Rule::None => ChosenBy::Object,
            },
        }),
        holders: Some(holders.iter().map(holder).collect()),
        all_holders: is_complete,
    }
}

/// Converts what the directory knows about a number.
pub(crate) fn known(known: &KnownNumber) -> Known {
    Known {
        number: known.number.clone(),
        contact: known.contact.as_ref().map(|contact| KnownContact {
            by_hand: contact.source == ContactSource::Manual,
            is_complete: match &known.holders {
                Some(_) => known.all_holders,
                None => contact.alternatives.as_ref().is_none_or(|others| {
                    others.count == others.records.len() as u64 && contact.record_id.is_some()
                }),
            },
            with_values: known.holders.is_some(),
            holders: match &known.holders {
                Some(holders) => holders
                    .iter()
                    .map(|holder| record(&known.number, holder))
                    .collect(),
                None => named(contact),
            },
        }),
        missed: known.missed,
    }
}

/// The records that a contact names, as far as it does: a contact of an earlier version.
fn named(contact: &Contact) -> Vec<Record> {
    let own = contact.object.zip(contact.record_id.clone());
    let others = contact
        .alternatives
        .iter()
        .flat_map(|others| &others.records);
    let others = others.map(|other| (other.object, other.record_id.clone()));
    let stub = |(of, record_id)| {
        let stub = Holder {
            object: of,
            record_id,
            account_id: None,
            company_name: None,
            person_name: None,
            title: None,
            owner_name: None,
            modified_at: None,
        };
        record(&contact.number, &stub)
    };
    own.into_iter().chain(others).map(stub).collect()
}

fn holder(record: &Record) -> Holder {
    Holder {
        object: record_object(record.object),
        record_id: record.id.clone(),
        account_id: record.account.clone(),
        company_name: record.company.clone(),
        person_name: record.person.clone(),
        title: record.title.clone(),
        owner_name: record.owner.clone(),
        modified_at: record.modified,
    }
}

/// Converts a record of the address book.
pub(crate) fn held(record: BookRecord) -> Record {
    Record {
        object: object(record.object),
        id: record.record_id,
        company: record.company_name,
        person: record.person_name,
        title: record.title,
        owner: record.owner_name,
        account: record.account_id,
        modified: record.modified_at,
        phones: Vec::new(),
        numbers: record.numbers,
    }
}

fn record(number: &E164, holder: &Holder) -> Record {
    Record {
        object: object(holder.object),
        id: holder.record_id.clone(),
        company: holder.company_name.clone(),
        person: holder.person_name.clone(),
        title: holder.title.clone(),
        owner: holder.owner_name.clone(),
        account: holder.account_id.clone(),
        modified: holder.modified_at,
        phones: Vec::new(),
        numbers: vec![number.clone()],
    }
}

/// Converts the directory's kind of record to an object.
pub(crate) fn object(object: RecordObject) -> Object {
    match object {
        RecordObject::Contact => Object::Contact,
        RecordObject::Account => Object::Account,
        RecordObject::Lead => Object::Lead,
    }
}

/// Converts an object to the directory's kind of record.
pub(crate) fn record_object(object: Object) -> RecordObject {
    match object {
        Object::Contact => RecordObject::Contact,
        Object::Account => RecordObject::Account,
        Object::Lead => RecordObject::Lead,
    }
}

fn alternative(found: &Match) -> Alternative {
    Alternative {
        object: record_object(found.object),
        record_id: found.id.clone(),
        person_name: found.person.clone(),
        company_name: found.company.clone(),
    }
}

//! What the directory says beside what the org says, shared by the tests here and by
//! `tests/worker`.

use std::collections::BTreeMap;

use salesforce_simulator::Org;
use salesforce_simulator::living::{Living, Named, truth};

use super::{Client, Contact, KnownRequest, RecordObject};

/// What the directory says about the first numbers of the pool, in the form of the truth. The link
/// and the names of the others are not compared.
pub(crate) async fn told(worker: &Client, numbers: usize) -> BTreeMap<String, Named> {
    let all: Vec<String> = (0..numbers).map(Living::number).collect();
    let mut told = BTreeMap::new();
    for numbers in all.chunks(500) {
        let request = KnownRequest {
            numbers: numbers.iter().map(|n| n.parse().unwrap()).collect(),
            limit: 1_000,
            ..KnownRequest::default()
        };
        let known = worker.known_numbers(&request).await.unwrap();
        assert!(!known.more);
        for known in known.numbers {
            let Some(contact) = known.contact else {
                continue;
            };
            told.insert(known.number.as_str().to_owned(), named(contact));
        }
    }
    told
}

/// What a contact says, in the form of the truth.
pub(crate) fn named(contact: Contact) -> Named {
    Named {
        object: match contact.object.unwrap() {
            RecordObject::Contact => "Contact",
            RecordObject::Account => "Account",
            RecordObject::Lead => "Lead",
        },
        id: contact.record_id.unwrap(),
        person: contact.person_name,
        company: contact.company_name,
        title: contact.title,
        owner: contact.owner_name,
    }
}

/// The truth as it shows now, with the owners' names for their Ids. What has been written and does
/// not show yet is not true yet.
pub(crate) fn true_names(org: &Org) -> BTreeMap<String, Named> {
    let names: BTreeMap<String, String> = org
        .all("User")
        .iter()
        .map(|user| {
            let text = |field: &str| user[field].as_str().unwrap_or_default().to_owned();
            (text("Id"), text("Name"))
        })
        .collect();
    let named = truth(org).into_iter().map(|(number, named)| {
        let owner = named.owner.and_then(|id| names.get(&id).cloned());
        (number, Named { owner, ..named })
    });
    named.collect()
}

/// The numbers of which the two do not say the same, with what they say.
pub(crate) fn differences(
    is: &BTreeMap<String, Named>,
    told: &BTreeMap<String, Named>,
) -> Vec<String> {
    let numbers: std::collections::BTreeSet<&String> = is.keys().chain(told.keys()).collect();
    let differs = |number: &&String| is.get(*number) != told.get(*number);
    let describe = |number: &String| {
        let (is, told) = (is.get(number), told.get(number));
        format!("{number}:\n  is   {is:?}\n  told {told:?}")
    };
    numbers.into_iter().filter(differs).map(describe).collect()
}

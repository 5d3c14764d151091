//! The form in which the directory keeps a record that was found.

use crate::directory::model::{Alternative, Alternatives, ChosenBy, FoundContact, RecordObject};
use crate::phone::E164;
use crate::resolve::{Match, Object, Rule};

/// Converts a match to the contact of its number.
pub(crate) fn contact(number: &E164, found: &Match) -> FoundContact {
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

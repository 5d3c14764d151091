//! Converts the rows of a query to records.

use jiff::Timestamp;
use serde::Deserialize;

use super::Object;
use crate::json;
use crate::phone::{E164, Region, numbers_in};

/// The longest text of a phone field that is looked at, in bytes: Salesforce's have 40 characters.
/// A longer one comes from elsewhere, and would hold hundreds of numbers.
const MAX_PHONE_BYTES: usize = 200;
/// The longest name, title and company, in characters: Salesforce's have 255.
const MAX_NAME_CHARS: usize = 1_000;

/// A record of Salesforce with a phone number on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The record's object. A person contact becomes the account that it belongs to.
    pub object: Object,
    /// The record's Id.
    pub id: String,
    /// The company's name; `None` if there is none or it is hidden.
    pub company: Option<String>,
    /// The person's name; `None` if there is none or it is hidden.
    pub person: Option<String>,
    /// The person's title; `None` if there is none or it is hidden. An account has none.
    pub title: Option<String>,
    /// The name of the record's owner, a user or a queue; `None` if it is hidden.
    pub owner: Option<String>,
    /// The Id of a contact's account; `None` for other records, and where there is none or it is
    /// hidden.
    pub account: Option<String>,
    /// The time of the last change; `None` where Salesforce does not show it.
    pub modified: Option<Timestamp>,
    /// The texts of its phone fields, as they are stored.
    pub phones: Vec<String>,
    /// The numbers in these fields, parsed for the tenant's region, with the other number of the
    /// same subscriber where there is one. They are parsed only here, once.
    pub numbers: Vec<E164>,
}

/// The fields of all three objects; a row has only those of its own object. A field that is longer
/// than any of Salesforce's makes the answer unreadable: it is not Salesforce's.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct Row {
    #[serde(deserialize_with = "json::short")]
    id: Option<String>,
    #[serde(deserialize_with = "json::short")]
    name: Option<String>,
    #[serde(deserialize_with = "json::short")]
    company: Option<String>,
    #[serde(deserialize_with = "json::short")]
    account_id: Option<String>,
    account: Option<ParentAccount>,
    is_person_account: Option<bool>,
    #[serde(deserialize_with = "json::short")]
    title: Option<String>,
    owner: Option<Owner>,
    #[serde(deserialize_with = "json::short")]
    last_modified_date: Option<String>,
    #[serde(deserialize_with = "json::short")]
    phone: Option<String>,
    #[serde(deserialize_with = "json::short")]
    mobile_phone: Option<String>,
    #[serde(deserialize_with = "json::short")]
    person_mobile_phone: Option<String>,
    is_deleted: Option<bool>,
    is_converted: Option<bool>,
    #[serde(deserialize_with = "json::short")]
    master_record_id: Option<String>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct ParentAccount {
    #[serde(deserialize_with = "json::short")]
    name: Option<String>,
    is_person_account: Option<bool>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Owner {
    #[serde(deserialize_with = "json::short")]
    name: Option<String>,
}

/// A row of a bulk query, whose columns are flat: a record of a parent is part of a column's name
/// (facts: Salesforce changes D2). A value that is empty is none.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct FlatRow {
    id: Option<String>,
    name: Option<String>,
    company: Option<String>,
    account_id: Option<String>,
    #[serde(rename = "Account.Name")]
    account_name: Option<String>,
    #[serde(rename = "Account.IsPersonAccount")]
    account_is_person_account: Option<bool>,
    is_person_account: Option<bool>,
    title: Option<String>,
    #[serde(rename = "Owner.Name")]
    owner_name: Option<String>,
    last_modified_date: Option<String>,
    phone: Option<String>,
    mobile_phone: Option<String>,
    person_mobile_phone: Option<String>,
}

/// A record as the changes of an org show it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// The record is there, with these values.
    There(Record),
    /// The record holds no number any more: it is deleted, or is a lead that was converted.
    Gone {
        /// The record's Id.
        id: String,
        /// The record that it was merged into.
        merged_into: Option<String>,
    },
}

// === impl FlatRow ===

impl From<FlatRow> for Row {
    fn from(flat: FlatRow) -> Self {
        Self {
            id: flat.id,
            name: flat.name,
            company: flat.company,
            account_id: flat.account_id,
            account: Some(ParentAccount {
                name: flat.account_name,
                is_person_account: flat.account_is_person_account,
            }),
            is_person_account: flat.is_person_account,
            title: flat.title,
            owner: Some(Owner {
                name: flat.owner_name,
            }),
            last_modified_date: flat.last_modified_date,
            phone: flat.phone,
            mobile_phone: flat.mobile_phone,
            person_mobile_phone: flat.person_mobile_phone,
            ..Self::default()
        }
    }
}

// === impl Row ===

impl Row {
    /// The Id of the record.
    pub(crate) fn id(&self) -> Option<&str> {
        self.id.as_deref().filter(|id| !id.is_empty())
    }

    /// Whether a phone field has a text, be it a number or not.
    pub(crate) fn has_phone(&self) -> bool {
        let phones = [&self.phone, &self.mobile_phone, &self.person_mobile_phone];
        let mut phones = phones.into_iter().flatten();
        phones.any(|text| !text.trim().is_empty())
    }

    /// The account whose person contact this row of Contact is.
    pub(crate) fn person_of(&self) -> Option<&str> {
        let parent = self.account.as_ref()?;
        parent.is_person_account.filter(|is| *is)?;
        self.account_id.as_deref()
    }

    /// The change that this row of a query over deleted records shows; `None` for a row without an
    /// Id.
    pub(crate) fn into_change(self, object: Object, home: &Region) -> Option<Change> {
        if self.is_deleted != Some(true) && self.is_converted != Some(true) {
            return self.into_record(object, home).map(Change::There);
        }
        let told = |id: &String| !id.is_empty();
        Some(Change::Gone {
            id: self.id.filter(told)?,
            merged_into: self.master_record_id.filter(told),
        })
    }

    /// The record of this row; `None` for a row without an Id.
    pub(crate) fn into_record(self, object: Object, home: &Region) -> Option<Record> {
        let own_id = self.id.filter(|id| !id.is_empty())?;
        let parent = self.account.unwrap_or_default();
        let is_person_contact = parent.is_person_account == Some(true);
        let mut account = None;
        let (object, id, company, person) = match object {
            // A person account is an account and a contact in one. The product ranks it with the
            // accounts
            // (facts: phone platform 1.1: "Contact, then Account or Person Account, then Lead"), so
            // both rows become that account.
            Object::Contact if is_person_contact => (
                Object::Account,
                self.account_id.unwrap_or(own_id),
                None,
                self.name,
            ),
            Object::Contact => {
                account = self.account_id.filter(|id| !id.is_empty());
                (object, own_id, parent.name, self.name)
            }
            Object::Account if self.is_person_account == Some(true) => {
                (object, own_id, None, self.name)
            }
            Object::Account => (object, own_id, self.name, None),
            Object::Lead => (object, own_id, self.company, self.name),
        };
        let phones: Vec<String> = [self.phone, self.mobile_phone, self.person_mobile_phone]
            .into_iter()
            .flatten()
            .filter(|text| (1..=MAX_PHONE_BYTES).contains(&text.len()))
            .collect();
        let mut numbers: Vec<E164> = Vec::new();
        for number in phones.iter().flat_map(|text| numbers_in(text, home)) {
            let both = [number.same_subscriber(), Some(number)];
            for number in both.into_iter().flatten() {
                if !numbers.contains(&number) {
                    numbers.push(number);
                }
            }
        }
        // A person account has no title in the accounts' own fields, so its person contact has none
        // either: both rows are one record.
        let title = self.title.filter(|_| object != Object::Account);
        Some(Record {
            object,
            id,
            company: told(company),
            person: told(person),
            title: told(title),
            owner: told(self.owner.and_then(|owner| owner.name)),
            account,
            modified: self.last_modified_date.as_deref().and_then(timestamp),
            numbers,
            phones,
        })
    }
}

// === impl Change ===

impl Change {
    /// The Id of the record that changed.
    pub fn id(&self) -> &str {
        match self {
            Self::There(record) => &record.id,
            Self::Gone { id, .. } => id,
        }
    }
}

// === impl Record ===

impl Record {
    /// About how much memory the record takes, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        let texts = [&self.company, &self.person, &self.title, &self.owner];
        let texts = texts.into_iter().flatten().chain(&self.phones);
        let texts: usize = texts.map(String::len).sum();
        size_of::<Self>() + self.id.len() + texts + self.numbers.len() * 2 * size_of::<E164>()
    }
}

/// A text for people: one line, and no longer than any of Salesforce's.
fn told(text: Option<String>) -> Option<String> {
    let mut text = text?;
    if text.contains(char::is_control) {
        text = text.replace(char::is_control, " ");
    }
    if let Some((end, _)) = text.char_indices().nth(MAX_NAME_CHARS) {
        text.truncate(end);
    }
    (!text.trim().is_empty()).then_some(text)
}

/// Salesforce writes `2026-11-23T01:02:03.000+0000`: the offset has no colon.
fn timestamp(text: &str) -> Option<Timestamp> {
    text.parse()
        .ok()
        .or_else(|| Timestamp::strptime("%Y-%m-%dT%H:%M:%S%.f%z", text).ok())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn record(object: Object, row: serde_json::Value) -> Record {
        serde_json::from_value::<Row>(row)
            .unwrap()
            .into_record(object, &Region::JAPAN)
            .unwrap()
    }

    #[test]
    fn a_contact_has_its_company_from_its_account() {
        let row = json!({
            "attributes": {"type": "Contact", "url": "/services/data/v50.0/sobjects/Contact/003A"},
            "Id": "003A", "Name": "Sato Hanako", "AccountId": "001A",
            "Account": {"attributes": {"type": "Account"}, "Name": "Acme"},
            "Title": "Head of Sales", "Owner": {"attributes": {"type": "Name"}, "Name": "Kato Jun"},
            "LastModifiedDate": "2026-11-23T01:02:03.000+0000",
            "Phone": "03-1234-5678", "MobilePhone": null,
        });
        let record = record(Object::Contact, row);
        assert_eq!(record.title.as_deref(), Some("Head of Sales"));
        assert_eq!(record.owner.as_deref(), Some("Kato Jun"));
        assert_eq!(record.company.as_deref(), Some("Acme"));
        assert_eq!(record.person.as_deref(), Some("Sato Hanako"));
        assert_eq!(
            record.modified,
            Some("2026-11-23T01:02:03Z".parse().unwrap())
        );
        assert_eq!(record.phones, ["03-1234-5678"]);
        assert_eq!(record.numbers, ["+81312345678".parse().unwrap()]);
    }

    #[test]
    fn a_person_account_and_its_person_contact_are_the_same_record() {
        let contact = record(
            Object::Contact,
            json!({
                "Id": "003P", "Name": "Ito Ken", "AccountId": "001P", "Title": "Dr.",
                "Account": {"Name": "Ito Ken", "IsPersonAccount": true},
            }),
        );
        let account = record(
            Object::Account,
            json!({"Id": "001P", "Name": "Ito Ken", "IsPersonAccount": true}),
        );
        assert_eq!(contact, account);
        assert_eq!(
            (account.object, account.person.as_deref()),
            (Object::Account, Some("Ito Ken"))
        );
        assert_eq!(account.company, None);
    }

    #[test]
    fn a_flat_row_of_a_bulk_query_is_the_same_record() {
        let flat = json!({
            "Id": "003A", "Name": "Sato Hanako", "AccountId": "001A", "Account.Name": "Acme",
            "Account.IsPersonAccount": false, "Title": "Head", "Owner.Name": "Kato Jun",
            "LastModifiedDate": "2026-11-23T01:02:03.000+0000",
            "Phone": "03-1234-5678", "MobilePhone": "090-1234-5678",
        });
        let nested = json!({
            "Id": "003A", "Name": "Sato Hanako", "AccountId": "001A",
            "Account": {"Name": "Acme", "IsPersonAccount": false},
            "Title": "Head", "Owner": {"Name": "Kato Jun"},
            "LastModifiedDate": "2026-11-23T01:02:03.000+0000",
            "Phone": "03-1234-5678", "MobilePhone": "090-1234-5678",
        });
        let of_flat = |object, row| {
            let row: Row = serde_json::from_value::<FlatRow>(row).unwrap().into();
            row.into_record(object, &Region::JAPAN).unwrap()
        };
        let found = of_flat(Object::Contact, flat);
        let expected = Record {
            object: Object::Contact,
            id: "003A".to_owned(),
            company: Some("Acme".to_owned()),
            person: Some("Sato Hanako".to_owned()),
            title: Some("Head".to_owned()),
            owner: Some("Kato Jun".to_owned()),
            account: Some("001A".to_owned()),
            modified: Some("2026-11-23T01:02:03Z".parse().unwrap()),
            phones: vec!["03-1234-5678".to_owned(), "090-1234-5678".to_owned()],
            numbers: vec![
                "+81312345678".parse().unwrap(),
                "+819012345678".parse().unwrap(),
            ],
        };
        assert_eq!(found, expected);
        assert_eq!(record(Object::Contact, nested), expected);

        let lead = json!({"Id": "00QA", "Name": "Ueda", "Company": "Umi", "Title": "CEO"});
        let expected = record(Object::Lead, lead.clone());
        assert_eq!(of_flat(Object::Lead, lead), expected);
        assert_eq!(expected.company.as_deref(), Some("Umi"));
        assert_eq!(expected.title.as_deref(), Some("CEO"));
        let person = json!({
            "Id": "001P", "Name": "Ito Ken", "IsPersonAccount": true,
            "PersonMobilePhone": "090-1234-5678",
        });
        let expected = record(Object::Account, person.clone());
        assert_eq!(of_flat(Object::Account, person), expected);
        assert_eq!(expected.person.as_deref(), Some("Ito Ken"));
        assert_eq!(expected.numbers.len(), 1);
        let contact = json!({
            "Id": "003P", "Name": "Ito Ken", "AccountId": "001P", "Account.IsPersonAccount": true,
        });
        let contact = of_flat(Object::Contact, contact);
        assert_eq!(
            (contact.object, contact.id.as_str()),
            (Object::Account, "001P")
        );
    }

    #[test]
    fn a_row_of_a_deleted_record_or_a_converted_lead_is_a_record_that_is_gone() {
        let change = |row: serde_json::Value| {
            let row: Row = serde_json::from_value(row).unwrap();
            row.into_change(Object::Lead, &Region::JAPAN)
        };
        let gone = |merged_into: Option<&str>| {
            let (id, merged_into) = ("00QA".to_owned(), merged_into.map(str::to_owned));
            Some(Change::Gone { id, merged_into })
        };
        for (deleted, converted, is_gone) in [
            (json!(null), json!(null), false),
            (json!(false), json!(false), false),
            (json!(true), json!(false), true),
            (json!(false), json!(true), true),
            (json!(true), json!(null), true),
            (json!(null), json!(true), true),
        ] {
            for (master, merged_into) in [
                (json!(null), None),
                (json!(""), None),
                (json!("00QB"), Some("00QB")),
            ] {
                let row = json!({
                    "Id": "00QA", "Name": "Ueda", "Phone": "0312345678",
                    "IsDeleted": deleted, "IsConverted": converted, "MasterRecordId": master,
                });
                let expected = match is_gone {
                    true => gone(merged_into),
                    false => Some(Change::There(record(Object::Lead, row.clone()))),
                };
                let found = change(row);
                assert_eq!(found, expected, "{deleted} {converted}");
                assert_eq!(found.unwrap().id(), "00QA");
            }
        }
        assert_eq!(change(json!({"IsDeleted": true})), None);
        assert_eq!(change(json!({"Id": "", "IsDeleted": true})), None);
        assert_eq!(change(json!({"Id": ""})), None);
    }

    #[test]
    fn a_row_tells_whether_it_is_a_persons_and_has_a_phone() {
        let row = |row: serde_json::Value| serde_json::from_value::<Row>(row).unwrap();
        for (account, person) in [
            (json!(null), None),
            (json!({}), None),
            (json!({"IsPersonAccount": false}), None),
            (json!({"IsPersonAccount": true}), Some("001P")),
        ] {
            let row = row(json!({"AccountId": "001P", "Account": account}));
            assert_eq!(row.person_of(), person, "{account}");
        }
        for (field, text, has_phone) in [
            ("Phone", "03", true),
            ("MobilePhone", "unknown", true),
            ("PersonMobilePhone", "03", true),
            ("Phone", " \t", false),
            ("Title", "03", false),
        ] {
            assert_eq!(
                row(json!({ field: text })).has_phone(),
                has_phone,
                "{field}"
            );
        }
        assert_eq!(row(json!({"Id": "003A"})).id(), Some("003A"));
        assert_eq!(row(json!({"Id": ""})).id(), None);
        assert_eq!(row(json!({})).id(), None);
    }

    #[test]
    fn a_record_takes_its_own_room_and_that_of_its_texts_and_numbers() {
        let bytes = |row: serde_json::Value| record(Object::Lead, row).bytes();
        let bare = bytes(json!({"Id": "00QA"}));
        assert_eq!(bare, size_of::<Record>() + 4);
        for (field, text) in [
            ("Name", "Ueda"),
            ("Company", "海"),
            ("Title", "CEO"),
            ("Phone", "unknown"),
        ] {
            let row = json!({"Id": "00QA", field: text});
            assert_eq!(bytes(row), bare + text.len(), "{field}");
        }
        let owner = json!({"Id": "00QA", "Owner": {"Name": "Kato"}});
        assert_eq!(bytes(owner), bare + 4);
        let number = json!({"Id": "00QA", "Phone": "0312345678"});
        assert_eq!(bytes(number), bare + 10 + 2 * size_of::<E164>());
        let full = json!({
            "Id": "00QA", "Name": "Ueda", "Company": "Umi", "Phone": "0312345678",
            "MobilePhone": "09012345678",
        });
        assert_eq!(bytes(full), bare + 7 + 21 + 2 * 2 * size_of::<E164>());
    }

    #[test]
    fn rows_with_hidden_fields_are_read_as_far_as_they_go() {
        let lead = record(
            Object::Lead,
            json!({"Id": "00QA", "Name": "Ueda", "Phone": "0312345678"}),
        );
        assert_eq!((lead.company, lead.modified), (None, None));
        assert!(
            Row::default()
                .into_record(Object::Lead, &Region::JAPAN)
                .is_none()
        );
    }
}

//! The objects and fields that are queried, and the SOQL of one query.

use std::collections::BTreeSet;
use std::fmt;

use jiff::Timestamp;

use super::{Finding, MAX_ROWS_PER_PAGE, Object};
use crate::salesforce::{Soql, SoqlLiteral};

/// A phone field that is searched. Custom fields are never searched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PhoneField {
    /// The object.
    pub object: Object,
    /// The field's API name.
    pub name: &'static str,
}

/// The fields that are searched. Phone and MobilePhone are Salesforce's standard fields. An account
/// has only the first, unless it is a person's: then it has `PersonMobilePhone`, which exists only
/// where person accounts are enabled.
const SEARCHED: [PhoneField; 6] = [
    PhoneField {
        object: Object::Contact,
        name: "Phone",
    },
    PhoneField {
        object: Object::Contact,
        name: "MobilePhone",
    },
    PhoneField {
        object: Object::Account,
        name: "Phone",
    },
    PhoneField {
        object: Object::Account,
        name: PERSON_MOBILE,
    },
    PhoneField {
        object: Object::Lead,
        name: "Phone",
    },
    PhoneField {
        object: Object::Lead,
        name: "MobilePhone",
    },
];
const PERSON_MOBILE: &str = "PersonMobilePhone";

/// The fields to read besides Id and the phone fields: first those that are read in every org, then
/// those that exist only where person accounts are enabled.
const fn read(object: Object) -> (&'static [&'static str], &'static [&'static str]) {
    match object {
        Object::Contact => (
            &[
                "Name",
                "Title",
                "AccountId",
                "Account.Name",
                "Owner.Name",
                "LastModifiedDate",
            ],
            &["Account.IsPersonAccount"],
        ),
        Object::Account => (
            &["Name", "Owner.Name", "LastModifiedDate"],
            &["IsPersonAccount"],
        ),
        Object::Lead => (
            &["Name", "Title", "Company", "Owner.Name", "LastModifiedDate"],
            &[],
        ),
    }
}

/// The field that marks leads which were converted to contacts.
const CONVERTED: &str = "IsConverted";

/// The field that marks deleted records.
const DELETED: &str = "IsDeleted";

/// The field in which a merged record names the one that stayed.
const MASTER: &str = "MasterRecordId";

/// The newest record comes first; the Id only makes the order reproducible.
const ORDER: &str = "ORDER BY LastModifiedDate DESC,Id";

/// The objects and fields that the user may query in this org. It begins with all of them and
/// shrinks as Salesforce names objects and fields that it does not show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shape {
    person_accounts: bool,
    missing_objects: BTreeSet<Object>,
    hidden_fields: BTreeSet<(Object, &'static str)>,
}

/// One query: an object, and the phone fields that it searches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Slot {
    pub(crate) object: Object,
    pub(crate) fields: Vec<&'static str>,
}

// === impl Slot ===

impl Slot {
    /// A query of an object that searches none of its phone fields.
    pub(crate) fn of_all(object: Object) -> Self {
        Self {
            object,
            fields: Vec::new(),
        }
    }
}

// === impl PhoneField ===

impl PhoneField {
    /// Every phone field that is searched where the org and the user have it.
    pub fn all() -> impl Iterator<Item = Self> {
        SEARCHED.into_iter()
    }
}

// === impl Shape ===

impl Shape {
    /// The shape of an org before anything else is known. If it is not known whether the org has
    /// person accounts, their fields are queried: Salesforce reports a field that does not exist.
    pub fn new(person_accounts: Option<bool>) -> Self {
        Self {
            person_accounts: person_accounts.unwrap_or(true),
            missing_objects: BTreeSet::new(),
            hidden_fields: BTreeSet::new(),
        }
    }

    /// The phone fields that are searched in this org.
    pub fn searched(&self) -> impl Iterator<Item = PhoneField> + '_ {
        SEARCHED.into_iter().filter(|field| {
            !self.missing_objects.contains(&field.object)
                && !self.hidden_fields.contains(&(field.object, field.name))
                && (self.person_accounts || field.name != PERSON_MOBILE)
        })
    }

    /// The objects that are searched in this org.
    pub(crate) fn objects(&self) -> impl Iterator<Item = Object> + '_ {
        let is_searched = |object: &Object| self.searched().any(|field| field.object == *object);
        Object::ALL.into_iter().filter(is_searched)
    }

    /// The objects whose phone fields are all searched. Only about these does a number that is not
    /// found say that the org does not know it there.
    pub fn fully_searched(&self) -> impl Iterator<Item = Object> + '_ {
        Object::ALL.into_iter().filter(|object| {
            !self.missing_objects.contains(object)
                && !SEARCHED.iter().any(|field| {
                    field.object == *object
                        && self.hidden_fields.contains(&(field.object, field.name))
                })
        })
    }

    /// The queries that look up a list of numbers, at most five.
    pub(crate) fn slots(&self) -> Vec<Slot> {
        let mut slots: Vec<Slot> = Vec::new();
        let contacts_have_mobiles = self
            .searched()
            .any(|field| (field.object, field.name) == (Object::Contact, "MobilePhone"));
        // A person account's mobile number is that of its person contact, a row of Contact
        // (facts: Salesforce 5.4). If those are searched, a second list in the account's query
        // would find the same.
        for field in self
            .searched()
            .filter(|field| field.name != PERSON_MOBILE || !contacts_have_mobiles)
        {
            match slots.last_mut() {
                // A sixth query would cost a second call, so the account's two fields share one
                // query.
                Some(slot) if slot.object == Object::Account && field.object == Object::Account => {
                    slot.fields.push(field.name);
                }
                _ => slots.push(Slot {
                    object: field.object,
                    fields: vec![field.name],
                }),
            }
        }
        slots
    }

    /// The query of a slot for a list of literals that are separated by commas.
    pub(crate) fn soql(&self, slot: &Slot, literals: &str) -> Soql {
        let fields: Vec<&str> = self.fields(slot.object).collect();
        let found = slot
            .fields
            .iter()
            .map(|field| format!("{field} IN ({literals})"))
            .collect::<Vec<_>>()
            .join(" OR ");
        let condition = match slot.object {
            // A converted lead continues to exist as a contact and an account. AND and OR at one
            // level need parentheses (facts: Salesforce 5.2a).
            Object::Lead if !self.hidden_fields.contains(&(Object::Lead, CONVERTED)) => {
                format!("{CONVERTED}=false AND ({found})")
            }
            Object::Contact | Object::Account | Object::Lead => found,
        };
        Soql::text(&format!(
            "SELECT {} FROM {} WHERE {condition} {ORDER}",
            fields.join(","),
            slot.object
        ))
    }

    /// The query of an object for the records with a phone number that changed since a time.
    pub(crate) fn soql_changed(&self, object: Object, since: Timestamp) -> Soql {
        let phones = self.searched().filter(|field| field.object == object);
        let phones: Vec<&str> = phones.map(|field| field.name).collect();
        let fields: Vec<&str> = self.fields(object).collect();
        let has_phone: Vec<String> = phones.iter().map(|name| format!("{name}!=null")).collect();
        let open = match object {
            Object::Lead if !self.hidden_fields.contains(&(Object::Lead, CONVERTED)) => {
                format!("{CONVERTED}=false AND ")
            }
            Object::Contact | Object::Account | Object::Lead => String::new(),
        };
        Soql::text(&format!(
            "SELECT {} FROM {object} WHERE {open}SystemModstamp>={} AND ({}) {ORDER}",
            fields.join(","),
            since.strftime("%Y-%m-%dT%H:%M:%SZ"),
            has_phone.join(" OR "),
        ))
    }

    /// The query of an object for everything that changed since a time, oldest first: records
    /// without a phone number, deleted ones and converted leads, too.
    pub(crate) fn soql_since(&self, object: Object, since: Timestamp) -> Soql {
        let converted = (object == Object::Lead).then_some(CONVERTED);
        let further = [Some(DELETED), Some(MASTER), converted];
        let further = further
            .into_iter()
            .flatten()
            .filter(|field| !self.hidden_fields.contains(&(object, field)));
        let fields: Vec<&str> = self.fields(object).chain(further).collect();
        Soql::text(&format!(
            "SELECT {} FROM {object} WHERE SystemModstamp>={} ORDER BY SystemModstamp,Id",
            fields.join(","),
            since.strftime("%Y-%m-%dT%H:%M:%SZ"),
        ))
    }

    /// The query of an object for all records with a phone number. Of a page it reads those behind
    /// an Id, in the order of Ids, and no more than fit; otherwise there is no order, in which
    /// bulk queries are quickest (facts: Salesforce changes E4).
    pub(crate) fn soql_all(&self, object: Object, page: Option<&str>) -> Soql {
        let fields: Vec<&str> = self.fields(object).collect();
        let page = page.map(|after| {
            let behind = match after {
                "" => String::new(),
                after => format!(" AND Id>{}", SoqlLiteral::new(after)),
            };
            format!("{behind} ORDER BY Id LIMIT {MAX_ROWS_PER_PAGE}")
        });
        Soql::text(&format!(
            "SELECT {} FROM {object} WHERE {}{}",
            fields.join(","),
            self.with_phone(object),
            page.unwrap_or_default(),
        ))
    }

    /// The query of an object for the number of its records with a phone number.
    pub(crate) fn soql_count(&self, object: Object) -> Soql {
        let condition = self.with_phone(object);
        Soql::text(&format!("SELECT COUNT() FROM {object} WHERE {condition}"))
    }

    /// The query of an object for the number of its records that changed since a time.
    pub(crate) fn soql_count_since(&self, object: Object, since: Timestamp) -> Soql {
        Soql::text(&format!(
            "SELECT COUNT() FROM {object} WHERE SystemModstamp>={}",
            since.strftime("%Y-%m-%dT%H:%M:%SZ"),
        ))
    }

    /// The condition for records with a phone number. A person account is an account and a contact
    /// in one, which hold the same (facts: Salesforce 5.4), and is one record: its account's row,
    /// unless the user does not see all of that.
    fn with_phone(&self, object: Object) -> String {
        let phones = self.searched().filter(|field| field.object == object);
        let phones: Vec<String> = phones
            .map(|field| format!("{}!=null", field.name))
            .collect();
        let is_hidden = |field| self.hidden_fields.contains(&(object, field));
        let first = match object {
            Object::Lead if !is_hidden(CONVERTED) => "IsConverted=false AND ",
            Object::Contact
                if self.person_accounts
                    && self.accounts_tell_persons()
                    && !is_hidden("AccountId") =>
            {
                "(AccountId=null OR Account.IsPersonAccount=false) AND "
            }
            Object::Account if self.person_accounts && !self.accounts_tell_persons() => {
                "IsPersonAccount=false AND "
            }
            Object::Contact | Object::Account | Object::Lead => "",
        };
        format!("{first}({})", phones.join(" OR "))
    }

    /// Whether the rows of accounts tell all numbers of person accounts; otherwise those of their
    /// person contacts do.
    pub(crate) fn accounts_tell_persons(&self) -> bool {
        self.fully_searched()
            .any(|object| object == Object::Account)
    }

    /// The query of an object for records of these Ids, which must look like Ids.
    pub(crate) fn soql_by_id(&self, object: Object, ids: &[String]) -> Soql {
        let fields: Vec<&str> = self.fields(object).collect();
        let open = match object {
            Object::Lead if !self.hidden_fields.contains(&(Object::Lead, CONVERTED)) => {
                format!("{CONVERTED}=false AND ")
            }
            Object::Contact | Object::Account | Object::Lead => String::new(),
        };
        Soql::text(&format!(
            "SELECT {} FROM {object} WHERE {open}Id IN ({}) {ORDER}",
            fields.join(","),
            literals(ids),
        ))
    }

    /// The fields that are read of the records of an object.
    pub(crate) fn fields(&self, object: Object) -> impl Iterator<Item = &'static str> + '_ {
        let phones = self.searched().filter(move |field| field.object == object);
        std::iter::once("Id")
            .chain(self.readable(object))
            .chain(phones.map(|field| field.name))
    }

    /// Every query that a look-up may send, for the number `x`.
    #[cfg(test)]
    pub(crate) fn every_query(&self) -> Vec<String> {
        let slots = self.slots();
        let by_number = slots.iter().map(|slot| self.soql(slot, "'x'"));
        let since = Timestamp::UNIX_EPOCH;
        let ids = ["x".to_owned()];
        let by_object = self.objects().flat_map(|object| {
            let changed = self.soql_changed(object, since);
            let by_id = self.soql_by_id(object, &ids);
            let all = self.soql_all(object, Some("x"));
            let count = self.soql_count(object);
            let changes = self.soql_count_since(object, since);
            [
                changed,
                by_id,
                self.soql_since(object, since),
                all,
                count,
                changes,
            ]
        });
        by_number
            .chain(by_object)
            .map(|soql| soql.to_string())
            .collect()
    }

    fn readable(&self, object: Object) -> impl Iterator<Item = &'static str> + '_ {
        let (always, with_persons) = read(object);
        let with_persons = if self.person_accounts {
            with_persons
        } else {
            &[]
        };
        always
            .iter()
            .chain(with_persons)
            .copied()
            .filter(move |field| !self.hidden_fields.contains(&(object, field)))
    }

    /// Removes an object from the shape: Salesforce reports that the user does not have it.
    pub(crate) fn drop_object(&mut self, object: Object) -> Option<Finding> {
        self.missing_objects
            .insert(object)
            .then_some(Finding::ObjectUnavailable(object))
    }

    /// Removes the field that Salesforce's message names from the shape. Returns `None` if the
    /// message names none of the queried fields, or a field without which nothing can be found.
    pub(crate) fn drop_field(&mut self, object: Object, message: &str) -> Option<Finding> {
        let (_, with_persons) = read(object);
        let about_persons = with_persons.iter().chain(
            // Only an account has this field; the searched fields of other objects never have this
            // name.
            (object == Object::Account).then_some(&PERSON_MOBILE),
        );
        if self.person_accounts
            && about_persons
                .into_iter()
                .any(|field| names(message, object, field))
        {
            // One missing field means that person accounts are disabled, so none of their fields is
            // queried again.
            self.person_accounts = false;
            return Some(Finding::NoPersonAccounts);
        }
        let searched = self
            .searched()
            .filter(|field| field.object == object)
            .map(|field| field.name);
        let hidden = searched
            .chain(self.readable(object))
            .chain((object == Object::Lead).then_some(CONVERTED))
            .chain([MASTER])
            .filter(|field| *field != "Name" && !self.hidden_fields.contains(&(object, field)))
            .find(|field| names(message, object, field))?;
        self.hidden_fields.insert((object, hidden));
        Some(Finding::FieldHidden {
            object,
            field: hidden,
        })
    }
}

/// Whether Salesforce's message reports this field of this object, in any of its wordings:
/// `No such column 'X' on entity 'Y'`, `No such column 'X' on sobject of type Y`,
/// `Didn't understand relationship 'X' in field path` (facts: Salesforce 2.9).
fn names(message: &str, object: Object, field: &str) -> bool {
    let owner = message
        .split(|c: char| !c.is_ascii_alphanumeric())
        .skip_while(|word| !matches!(*word, "entity" | "type"))
        .skip(1)
        .find(|word| !word.is_empty());
    let complains_of = |name: &str| message.contains(&format!("'{name}'"));
    match field.split_once('.') {
        Some((relationship, column)) => match owner {
            // An owner is a user or a queue, and Salesforce names the object that it is read from.
            Some("User" | "Group" | "Name") if relationship == "Owner" => complains_of(column),
            Some(owner) => owner == relationship && complains_of(column),
            None => complains_of(relationship) || complains_of(field),
        },
        None => complains_of(field) && owner.is_none_or(|owner| owner == object.as_str()),
    }
}

/// The spellings of a number as a SOQL list.
pub(crate) fn literals<'a>(spellings: impl IntoIterator<Item = &'a String>) -> String {
    let quoted: Vec<String> = spellings
        .into_iter()
        .map(|spelling| SoqlLiteral::new(spelling).to_string())
        .collect();
    quoted.join(",")
}

impl fmt::Display for PhoneField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.object, self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queries(shape: &Shape) -> Vec<String> {
        shape
            .slots()
            .iter()
            .map(|slot| shape.soql(slot, "'a','b'").to_string())
            .collect()
    }

    #[test]
    fn five_queries_search_the_five_standard_fields() {
        assert_eq!(
            queries(&Shape::new(Some(false))),
            [
                "SELECT Id,Name,Title,AccountId,Account.Name,Owner.Name,LastModifiedDate,Phone,MobilePhone FROM Contact \
                 WHERE Phone IN ('a','b') ORDER BY LastModifiedDate DESC,Id",
                "SELECT Id,Name,Title,AccountId,Account.Name,Owner.Name,LastModifiedDate,Phone,MobilePhone FROM Contact \
                 WHERE MobilePhone IN ('a','b') ORDER BY LastModifiedDate DESC,Id",
                "SELECT Id,Name,Owner.Name,LastModifiedDate,Phone FROM Account \
                 WHERE Phone IN ('a','b') ORDER BY LastModifiedDate DESC,Id",
                "SELECT Id,Name,Title,Company,Owner.Name,LastModifiedDate,Phone,MobilePhone FROM Lead \
                 WHERE IsConverted=false AND (Phone IN ('a','b')) ORDER BY LastModifiedDate DESC,Id",
                "SELECT Id,Name,Title,Company,Owner.Name,LastModifiedDate,Phone,MobilePhone FROM Lead \
                 WHERE IsConverted=false AND (MobilePhone IN ('a','b')) ORDER BY LastModifiedDate DESC,Id",
            ]
        );
    }

    #[test]
    fn person_accounts_are_asked_for_only_where_they_may_be() {
        for known in [Some(true), None] {
            let asked = queries(&Shape::new(known));
            assert_eq!(asked.len(), 5);
            assert!(asked[0].contains("Account.IsPersonAccount"));
            assert!(asked[2].contains("WHERE Phone IN ('a','b') ORDER"));
            assert!(asked[2].contains("PersonMobilePhone FROM"));
        }
        // Without the contacts' mobile numbers, the account's query searches those of person
        // accounts.
        let mut shape = Shape::new(Some(true));
        shape.drop_object(Object::Contact);
        assert!(
            queries(&shape)[0]
                .contains("WHERE Phone IN ('a','b') OR PersonMobilePhone IN ('a','b')")
        );
        assert!(
            !queries(&Shape::new(Some(false)))
                .iter()
                .any(|query| query.contains("Person"))
        );
    }

    #[test]
    fn what_salesforce_does_not_show_is_dropped_by_name() {
        let mut shape = Shape::new(Some(false));
        let finding = shape.drop_field(
            Object::Contact,
            "\nWHERE Phone IN ('+81\n^\nERROR at Row:1:Column:40\nNo such column 'MobilePhone' on entity 'Contact'. If you are attempting to use a custom field, …",
        );
        assert_eq!(
            finding,
            Some(Finding::FieldHidden {
                object: Object::Contact,
                field: "MobilePhone"
            })
        );
        assert!(
            !queries(&shape)
                .iter()
                .any(|query| query.contains("Contact") && query.contains("MobilePhone"))
        );
        assert_eq!(shape.slots().len(), 4);

        let finding = shape.drop_field(
            Object::Contact,
            "No such column 'Name' on entity 'Account'.",
        );
        assert_eq!(
            finding,
            Some(Finding::FieldHidden {
                object: Object::Contact,
                field: "Account.Name"
            })
        );
        let finding = shape.drop_field(
            Object::Lead,
            "No such column 'Company' on sobject of type Lead",
        );
        assert_eq!(
            finding,
            Some(Finding::FieldHidden {
                object: Object::Lead,
                field: "Company"
            })
        );
        let converted = "No such column 'IsConverted' on entity 'Lead'";
        assert!(shape.drop_field(Object::Lead, converted).is_some());
        assert!(
            !queries(&shape)
                .iter()
                .any(|query| query.contains("IsConverted"))
        );
        assert_eq!(shape.drop_field(Object::Lead, converted), None);
        assert_eq!(
            shape.drop_field(Object::Lead, "No such column 'Id' on entity 'Lead'"),
            None
        );
        assert_eq!(
            shape.drop_field(
                Object::Contact,
                "Didn't understand relationship 'ReportsTo' in field path."
            ),
            None
        );
        for (object, message) in [
            (
                Object::Contact,
                "Didn't understand relationship 'Owner' in field path.",
            ),
            (Object::Lead, "No such column 'Name' on entity 'User'."),
        ] {
            let finding = shape.drop_field(object, message);
            let field = "Owner.Name";
            assert_eq!(finding, Some(Finding::FieldHidden { object, field }));
        }
        assert_eq!(
            shape.drop_field(Object::Lead, "unexpected token: 'FORM'"),
            None
        );

        shape.drop_object(Object::Lead);
        assert_eq!(shape.slots().len(), 2);
    }

    /// A shape of which Salesforce has refused these fields.
    fn without(person_accounts: bool, hidden: &[(Object, &str)]) -> Shape {
        let mut shape = Shape::new(Some(person_accounts));
        for (object, field) in hidden {
            let message = format!("No such column '{field}' on entity '{object}'.");
            assert!(shape.drop_field(*object, &message).is_some(), "{message}");
        }
        shape
    }

    #[test]
    fn of_a_person_account_one_of_its_two_rows_is_a_record_with_a_phone() {
        use Object::{Account, Contact, Lead};
        let of_contacts = "(AccountId=null OR Account.IsPersonAccount=false) AND ";
        let both = "(Phone!=null OR MobilePhone!=null)";
        let persons = "(Phone!=null OR PersonMobilePhone!=null)";
        type Row<'a> = (bool, &'a [(Object, &'a str)], Object, String);
        let table: [Row<'_>; 14] = [
            (false, &[], Contact, both.to_owned()),
            (true, &[], Contact, format!("{of_contacts}{both}")),
            (true, &[(Contact, "AccountId")], Contact, both.to_owned()),
            (true, &[(Account, "Phone")], Contact, both.to_owned()),
            (
                true,
                &[(Contact, "Phone")],
                Contact,
                format!("{of_contacts}(MobilePhone!=null)"),
            ),
            (
                false,
                &[(Contact, "MobilePhone")],
                Contact,
                "(Phone!=null)".to_owned(),
            ),
            (false, &[], Account, "(Phone!=null)".to_owned()),
            (true, &[], Account, persons.to_owned()),
            (true, &[(Contact, "Phone")], Account, persons.to_owned()),
            (
                true,
                &[(Account, "Phone")],
                Account,
                "IsPersonAccount=false AND (PersonMobilePhone!=null)".to_owned(),
            ),
            (false, &[], Lead, format!("IsConverted=false AND {both}")),
            (true, &[], Lead, format!("IsConverted=false AND {both}")),
            (true, &[(Lead, "IsConverted")], Lead, both.to_owned()),
            (
                true,
                &[(Lead, "Title")],
                Lead,
                format!("IsConverted=false AND {both}"),
            ),
        ];
        for (persons, hidden, object, condition) in table {
            let shape = without(persons, hidden);
            let count = shape.soql_count(object);
            let expected = format!("SELECT COUNT() FROM {object} WHERE {condition}");
            assert_eq!(count.as_str(), expected, "{persons} {hidden:?}");
            let fields: Vec<&str> = shape.fields(object).collect();
            let all = format!(
                "SELECT {} FROM {object} WHERE {condition}",
                fields.join(",")
            );
            let page = |page| shape.soql_all(object, page).as_str().to_owned();
            assert_eq!(page(None), all);
            let first = format!("{all} ORDER BY Id LIMIT 2000");
            assert_eq!(page(Some("")), first);
            let behind = format!("{all} AND Id>'003A' ORDER BY Id LIMIT 2000");
            assert_eq!(page(Some("003A")), behind);
        }
    }

    #[test]
    fn an_object_is_fully_searched_with_all_of_its_phone_fields() {
        use Object::{Account, Contact, Lead};
        type Row<'a> = (&'a [(Object, &'a str)], &'a [Object]);
        let table: [Row<'_>; 6] = [
            (&[], &[Contact, Account, Lead]),
            (&[(Contact, "Phone")], &[Account, Lead]),
            (&[(Contact, "MobilePhone")], &[Account, Lead]),
            (&[(Account, "Phone")], &[Contact, Lead]),
            (&[(Lead, "MobilePhone"), (Contact, "Phone")], &[Account]),
            (
                &[(Contact, "Title"), (Lead, "Company")],
                &[Contact, Account, Lead],
            ),
        ];
        for persons in [false, true] {
            for (hidden, expected) in table {
                let mut shape = without(persons, hidden);
                let full = |shape: &Shape| shape.fully_searched().collect::<Vec<_>>();
                assert_eq!(full(&shape), expected, "{hidden:?}");
                let tells = expected.contains(&Account);
                assert_eq!(shape.accounts_tell_persons(), tells, "{hidden:?}");
                shape.drop_object(Lead);
                let rest: Vec<_> = expected.iter().copied().filter(|of| *of != Lead).collect();
                assert_eq!(full(&shape), rest, "without leads, {hidden:?}");
            }
        }
    }

    #[test]
    fn changes_and_records_by_their_ids_leave_converted_leads_out_where_these_can_be_told() {
        let ids = ["00QA".to_owned(), "00QB".to_owned()];
        let since: Timestamp = "2026-11-20T01:02:03Z".parse().unwrap();
        let queries = |shape: &Shape, object| {
            let changed = shape.soql_changed(object, since);
            let by_id = shape.soql_by_id(object, &ids);
            [changed, by_id].map(|soql| {
                let soql = soql.as_str();
                soql.split_once(" WHERE ").unwrap().1.to_owned()
            })
        };
        let order = "ORDER BY LastModifiedDate DESC,Id";
        let stamp = "SystemModstamp>=2026-11-20T01:02:03Z";
        let both = "(Phone!=null OR MobilePhone!=null)";
        let expected = |open: &str, phones: &str| {
            [
                format!("{open}{stamp} AND {phones} {order}"),
                format!("{open}Id IN ('00QA','00QB') {order}"),
            ]
        };
        let shape = Shape::new(Some(false));
        let open = "IsConverted=false AND ";
        assert_eq!(queries(&shape, Object::Lead), expected(open, both));
        assert_eq!(queries(&shape, Object::Contact), expected("", both));
        let account = expected("", "(Phone!=null)");
        assert_eq!(queries(&shape, Object::Account), account);
        let shape = without(false, &[(Object::Lead, CONVERTED)]);
        assert_eq!(queries(&shape, Object::Lead), expected("", both));

        // Who follows an org is told of all of them.
        let fields = |shape: &Shape, object| {
            let soql = shape.soql_since(object, since).as_str().to_owned();
            let (fields, rest) = soql.split_once(" FROM ").unwrap();
            let expected = format!("{object} WHERE {stamp} ORDER BY SystemModstamp,Id");
            assert_eq!(rest, expected);
            let told = [DELETED, MASTER, CONVERTED];
            told.map(|field| fields.split(',').any(|read| read == field))
        };
        assert_eq!(fields(&shape, Object::Lead), [true, true, false]);
        let shape = without(false, &[(Object::Contact, MASTER)]);
        assert_eq!(fields(&shape, Object::Lead), [true, true, true]);
        assert_eq!(fields(&shape, Object::Contact), [true, false, false]);
        assert_eq!(fields(&shape, Object::Account), [true, true, false]);
        let counted = shape.soql_count_since(Object::Lead, since);
        let expected = format!("SELECT COUNT() FROM Lead WHERE {stamp}");
        assert_eq!(counted.as_str(), expected);
    }

    #[test]
    fn an_org_without_person_accounts_says_so_once_for_all_their_fields() {
        for (object, message) in [
            (
                Object::Contact,
                "No such column 'IsPersonAccount' on entity 'Account'.",
            ),
            (
                Object::Account,
                "No such column 'PersonMobilePhone' on entity 'Account'.",
            ),
        ] {
            let mut shape = Shape::new(None);
            assert_eq!(
                shape.drop_field(object, message),
                Some(Finding::NoPersonAccounts)
            );
            assert_eq!(shape, Shape::new(Some(false)));
        }
    }
}

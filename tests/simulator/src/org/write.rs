//! The rules for writing records.

mod activity;
mod edit;

pub use edit::Edit;
use jiff::Timestamp;
use serde_json::{Map, Value as Json};

use super::access::Access;
use super::{Org, Record, Row, ids, system};
use crate::schema::{Field, Kind, ObjectType, Value, fold};

/// The reason why a record was not written, in Salesforce's format.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) code: &'static str,
    pub(crate) message: String,
    pub(crate) fields: Vec<String>,
}

impl Refusal {
    pub(crate) fn new(code: &'static str, message: impl Into<String>, fields: &[&str]) -> Self {
        Self {
            code,
            message: message.into(),
            fields: fields.iter().map(|f| (*f).to_owned()).collect(),
        }
    }
}

/// The author and the time of a write.
pub(crate) struct Writer<'a> {
    pub(crate) now: Timestamp,
    /// The user's rights; `None` for a write by the test itself, which may set any field.
    pub(crate) access: Option<&'a Access>,
    /// When the transaction commits, if that is later: readers do not see the row before.
    pub(crate) commits_at: Option<Timestamp>,
}

impl<'a> Writer<'a> {
    /// The test itself.
    pub(crate) fn test(now: Timestamp) -> Self {
        Self {
            now,
            access: None,
            commits_at: None,
        }
    }

    /// A user with these rights.
    pub(crate) fn user(now: Timestamp, access: &'a Access) -> Self {
        Self {
            access: Some(access),
            ..Self::test(now)
        }
    }

    /// The stamp of a write: whole seconds (facts: Salesforce changes A2).
    fn stamp(&self) -> Value {
        Value::DateTime(whole_seconds(self.now))
    }

    fn user_id(&self, org: &Org) -> String {
        self.access
            .map_or_else(|| automated_process(org), |access| access.user_id.clone())
    }
}

/// The fields of a person account and those of its contact that hold the same.
const PERSON_FIELDS: [(&str, &str); 12] = [
    ("Id", "AccountId"),
    ("FirstName", "FirstName"),
    ("LastName", "LastName"),
    ("Phone", "Phone"),
    ("PersonMobilePhone", "MobilePhone"),
    ("PersonHomePhone", "HomePhone"),
    ("PersonOtherPhone", "OtherPhone"),
    ("PersonEmail", "Email"),
    ("PersonTitle", "Title"),
    ("IsPersonAccount", "IsPersonAccount"),
    ("OwnerId", "OwnerId"),
    ("LastModifiedDate", "LastModifiedDate"),
];

/// The id of the user who owns records without another owner; nobody logs in as this user.
pub(crate) fn automated_process(org: &Org) -> String {
    ids::named_id("005", &[&org.id, "autoproc"])
}

/// Creates, changes and deletes records.
impl Org {
    /// Adds a record with the fields of the map and returns its id.
    ///
    /// # Errors Fails when the object or a field is unknown, or a value is invalid.
    pub fn insert(&mut self, object: &str, record: impl Into<Record>) -> Result<String, String> {
        self.create(object, &record.into().0, &Writer::test(Timestamp::now()))
            .map_err(|refusal| format!("{object}: {}", refusal.message))
    }

    /// Changes fields of a record.
    ///
    /// # Errors Fails when the record or a field is unknown, or a value is invalid.
    pub fn update(&mut self, id: &str, record: impl Into<Record>) -> Result<(), String> {
        self.modify(id, &record.into().0, &Writer::test(Timestamp::now()))
            .map_err(|refusal| format!("{id}: {}", refusal.message))
    }

    /// Deletes a record, which stays in the recycle bin. Returns `false` when it does not exist.
    pub fn delete(&mut self, id: &str) -> bool {
        self.at(Timestamp::now()).delete(id)
    }

    /// Number of live records of an object.
    pub fn count(&self, object: &str) -> usize {
        self.schema
            .object(object)
            .and_then(|o| self.table(o.name))
            .map_or(0, super::Table::live)
    }

    /// The live records of an object as JSON, for assertions.
    pub fn all(&self, object: &str) -> Vec<Json> {
        let Some(object) = self.schema.object(object) else {
            return Vec::new();
        };
        let rows = self.table(object.name).map_or(&[][..], super::Table::rows);
        let to_json = |row: &Row| {
            let fields = object.fields.iter().enumerate();
            fields
                .map(|(ix, field)| (field.name.clone(), row.get(ix as u16).to_json()))
                .collect::<Map<_, _>>()
        };
        rows.iter()
            .filter(|row| !row.deleted)
            .map(|row| Json::Object(to_json(row)))
            .collect()
    }

    pub(crate) fn create(
        &mut self,
        object: &str,
        map: &Map<String, Json>,
        by: &Writer<'_>,
    ) -> Result<String, Refusal> {
        let schema = self.schema.clone();
        let object = schema
            .object(object)
            .filter(|object| object.stored)
            .ok_or_else(|| {
                Refusal::new("NOT_FOUND", "The requested resource does not exist", &[])
            })?;
        let mut row = Row::default();
        self.stamp_new(&mut row, object, by);
        self.write(&mut row, object, map, by, true)?;
        self.complete(&mut row, object);
        let missing: Vec<&str> = object
            .fields
            .iter()
            .enumerate()
            .filter(|(ix, field)| field.required && row.get(*ix as u16).is_null())
            .map(|(_, field)| field.name.as_str())
            .collect();
        if !missing.is_empty() {
            let list = missing.join(", ");
            return Err(Refusal::new(
                "REQUIRED_FIELD_MISSING",
                format!("Required fields are missing: [{list}]"),
                &missing,
            ));
        }
        let id = row.id().to_owned();
        if object.name == "Account" && is_true(&row, object, "IsPersonAccount") {
            let contact = self.person_contact(&row, object, by);
            if let Some(field) = object.field("PersonContactId") {
                row.set(field, Value::text(contact));
            }
        }
        self.remember(&row, object, by);
        self.put(object.name, row, by.commits_at);
        Ok(id)
    }

    pub(crate) fn modify(
        &mut self,
        id: &str,
        map: &Map<String, Json>,
        by: &Writer<'_>,
    ) -> Result<(), Refusal> {
        let gone = || Refusal::new("NOT_FOUND", "The requested resource does not exist", &[]);
        let schema = self.schema.clone();
        let object = schema
            .object_of_id(id)
            .filter(|object| object.stored)
            .ok_or_else(gone)?;
        let table = self.tables.get(object.name).ok_or_else(gone)?;
        let mut row = table
            .by_id(id)
            .filter(|row| !row.deleted)
            .ok_or_else(gone)?
            .clone();
        row.set(system::LAST_MODIFIED_DATE, by.stamp());
        row.set(system::SYSTEM_MODSTAMP, by.stamp());
        row.set(system::LAST_MODIFIED_BY, Value::text(by.user_id(self)));
        self.write(&mut row, object, map, by, false)?;
        self.complete(&mut row, object);
        if is_true(&row, object, "IsPersonAccount") {
            self.write_twin(&row, object, by);
        }
        self.remember(&row, object, by);
        self.put(object.name, row, by.commits_at);
        Ok(())
    }

    fn stamp_new(&mut self, row: &mut Row, object: &ObjectType, by: &Writer<'_>) {
        self.serial += 1;
        let user = by.user_id(self);
        row.set(
            system::ID,
            Value::text(ids::serial_id(
                object.prefix,
                ids::stable_hash(&[&self.id]),
                self.serial,
            )),
        );
        row.set(system::IS_DELETED, Value::Bool(false));
        for date in [
            system::CREATED_DATE,
            system::LAST_MODIFIED_DATE,
            system::SYSTEM_MODSTAMP,
        ] {
            row.set(date, by.stamp());
        }
        for reference in [system::CREATED_BY, system::LAST_MODIFIED_BY, system::OWNER] {
            row.set(reference, Value::text(user.clone()));
        }
        for (ix, field) in object.fields.iter().enumerate() {
            let at_birth = match (object.name, field.name.as_str()) {
                ("Task", "Status") => Value::text("Not Started"),
                ("Task", "Priority") => Value::text("Normal"),
                ("Task", "TaskSubtype") => Value::text("Task"),
                ("Lead", "Status") => Value::text("Open - Not Contacted"),
                _ if field.kind == Kind::Boolean => Value::Bool(false),
                _ => continue,
            };
            row.set(ix as u16, at_birth);
        }
    }

    fn write(
        &self,
        row: &mut Row,
        object: &ObjectType,
        map: &Map<String, Json>,
        by: &Writer<'_>,
        creating: bool,
    ) -> Result<(), Refusal> {
        for (name, json) in map {
            if name == "attributes" {
                continue;
            }
            let found = object
                .field(name)
                .and_then(|ix| object.at(ix).map(|field| (ix, field)));
            let Some((ix, field)) = found
                .filter(|(_, field)| by.access.is_none_or(|a| a.sees_field(self, object, field)))
            else {
                if by.access.is_none() && self.write_by_name(row, object, name, json)? {
                    continue;
                }
                let message = format!("No such column '{name}' on sobject of type {}", object.name);
                return Err(Refusal::new("INVALID_FIELD", message, &[]));
            };
            if let Some(access) = by.access {
                let open = if creating {
                    field.createable
                } else {
                    field.updateable
                };
                let composed = matches!(object.name, "Contact" | "Lead") && field.name == "Name";
                if !open || composed || !access.writes_field(object, field) {
                    let message = format!(
                        "Unable to create/update fields: {}. Please check the security settings of this field and \
                         verify that it is read/write for your profile or permission set.",
                        field.name
                    );
                    return Err(Refusal::new(
                        "INVALID_FIELD_FOR_INSERT_UPDATE",
                        message,
                        &[&field.name],
                    ));
                }
            }
            row.set(ix, checked_value(field, json)?);
            if by.access.is_none() && field.name == "LastModifiedDate" {
                row.set(system::SYSTEM_MODSTAMP, row.get(ix).clone());
            }
        }
        Ok(())
    }

    /// Sets `Account` or `Owner` by name. Returns whether the field is one of the two.
    fn write_by_name(
        &self,
        row: &mut Row,
        object: &ObjectType,
        name: &str,
        json: &Json,
    ) -> Result<bool, Refusal> {
        let (field, id) = match (name, json.as_str()) {
            ("Account", Some(account)) => {
                let accounts = self.table("Account");
                let name_field = self.schema.object("Account").and_then(|o| o.field("Name"));
                let number = accounts.zip(name_field).and_then(|(table, field)| {
                    table
                        .index(field)
                        .get(&fold(account))
                        .and_then(|rows| rows.first().copied())
                });
                let id = accounts
                    .zip(number)
                    .and_then(|(table, n)| table.row(n))
                    .map(|row| row.id().to_owned());
                (object.field("AccountId"), id)
            }
            ("Owner", Some(username)) => (
                Some(system::OWNER),
                self.user_named(username).map(|user| user.id.clone()),
            ),
            _ => return Ok(false),
        };
        match (field, id) {
            (Some(field), Some(id)) => {
                row.set(field, Value::text(id));
                Ok(true)
            }
            _ => Err(Refusal::new(
                "INVALID_CROSS_REFERENCE_KEY",
                format!("no {name} {json}"),
                &[],
            )),
        }
    }

    /// Sets the fields that derive from other fields.
    fn complete(&self, row: &mut Row, object: &ObjectType) {
        let text = |row: &Row, name: &str| {
            object
                .field(name)
                .and_then(|ix| row.get(ix).as_text())
                .unwrap_or_default()
                .to_owned()
        };
        let named_by_parts = match object.name {
            "Contact" | "Lead" => true,
            "Account" => is_true(row, object, "IsPersonAccount"),
            _ => false,
        };
        if named_by_parts && let Some(name) = object.field("Name") {
            let full = format!("{} {}", text(row, "FirstName"), text(row, "LastName"))
                .trim()
                .to_owned();
            row.set(name, Value::text_or_null(full));
        }
        if object.name == "Task"
            && let Some(closed) = object.field("IsClosed")
        {
            row.set(closed, Value::Bool(text(row, "Status") == "Completed"));
        }
    }

    /// Creates the contact that belongs to a person account.
    fn person_contact(&mut self, account: &Row, accounts: &ObjectType, by: &Writer<'_>) -> String {
        let schema = self.schema.clone();
        let Some(contacts) = schema.object("Contact") else {
            return String::new();
        };
        let mut row = Row::default();
        self.stamp_new(&mut row, contacts, by);
        for (from, to) in PERSON_FIELDS {
            if let (Some(from), Some(to)) = (accounts.field(from), contacts.field(to)) {
                row.set(to, account.get(from).clone());
            }
        }
        self.complete(&mut row, contacts);
        let id = row.id().to_owned();
        self.put("Contact", row, by.commits_at);
        id
    }
}

fn whole_seconds(at: Timestamp) -> Timestamp {
    Timestamp::from_second(at.as_second()).unwrap_or(at)
}

fn is_true(row: &Row, object: &ObjectType, field: &str) -> bool {
    object
        .field(field)
        .is_some_and(|ix| *row.get(ix) == Value::Bool(true))
}

fn checked_value(field: &Field, json: &Json) -> Result<Value, Refusal> {
    let value = Value::from_json(field, json).map_err(|message| {
        Refusal::new("INVALID_TYPE_ON_FIELD_IN_RECORD", message, &[&field.name])
    })?;
    if let Some(text) = value.as_text() {
        if matches!(field.kind, Kind::Id | Kind::Reference) && !ids::is_id(text) {
            let message = format!("{}: id value of incorrect type: {text}", field.label);
            return Err(Refusal::new("MALFORMED_ID", message, &[&field.name]));
        }
        if field.length > 0 && text.chars().count() > field.length {
            let message = format!(
                "{}: data value too large: {text} (max length={})",
                field.label, field.length
            );
            return Err(Refusal::new("STRING_TOO_LONG", message, &[&field.name]));
        }
    }
    Ok(value)
}

#[cfg(test)]
mod tests;

//! Records as tests and files define them.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};

/// The fields of a record by API name.
///
/// A record that is loaded may have two names besides the object's own: `Account` takes the *name*
/// of an account and sets `AccountId`, `Owner` takes a user name and sets `OwnerId`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Record(pub Map<String, Json>);

impl From<Json> for Record {
    fn from(json: Json) -> Self {
        match json {
            Json::Object(map) => Self(map),
            _ => Self::default(),
        }
    }
}

impl Record {
    /// An empty record.
    pub fn new() -> Self {
        Self::default()
    }

    /// A contact or lead with this last name.
    pub fn person(last_name: &str) -> Self {
        Self::new().set("LastName", last_name)
    }

    /// An account of this name.
    pub fn account(name: &str) -> Self {
        Self::new().set("Name", name)
    }

    /// A person account; the org must have person accounts enabled.
    pub fn person_account(first_name: &str, last_name: &str) -> Self {
        Self::new()
            .set("FirstName", first_name)
            .set("LastName", last_name)
            .set("IsPersonAccount", true)
    }

    /// Sets a field.
    pub fn set(mut self, field: &str, value: impl Into<Json>) -> Self {
        self.0.insert(field.to_owned(), value.into());
        self
    }

    /// Sets `FirstName`.
    pub fn first(self, name: &str) -> Self {
        self.set("FirstName", name)
    }

    /// Sets `Phone`.
    pub fn phone(self, number: &str) -> Self {
        self.set("Phone", number)
    }

    /// Sets `MobilePhone`.
    pub fn mobile(self, number: &str) -> Self {
        self.set("MobilePhone", number)
    }

    /// Sets the account by its name.
    pub fn of_account(self, name: &str) -> Self {
        self.set("Account", name)
    }

    /// Sets the owner by user name.
    pub fn owned_by(self, username: &str) -> Self {
        self.set("Owner", username)
    }

    /// Sets `LastModifiedDate`, as in `2026-01-31T12:00:00Z`.
    pub fn modified(self, at: &str) -> Self {
        self.set("LastModifiedDate", at)
    }
}

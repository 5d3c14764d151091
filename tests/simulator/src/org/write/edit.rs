//! What people do to records, at a time that the test says: deletes, undeletes, merges, conversions
//! and transactions that last.

use jiff::Timestamp;
use serde_json::Map;

use super::{PERSON_FIELDS, Writer, is_true};
use crate::org::{Org, Record, Row, system};
use crate::schema::{ObjectType, Value};

/// Writes of the test itself, at one time and as one transaction.
#[derive(Debug)]
pub struct Edit<'a> {
    org: &'a mut Org,
    now: Timestamp,
    commits_at: Option<Timestamp>,
}

impl Org {
    /// Writes at this time, which becomes the stamp of what is written.
    pub fn at(&mut self, now: Timestamp) -> Edit<'_> {
        self.commit(now);
        Edit {
            org: self,
            now,
            commits_at: None,
        }
    }

    /// Writes a row, now or when its transaction commits.
    pub(super) fn put(&mut self, object: &str, row: Row, commits_at: Option<Timestamp>) {
        match commits_at {
            Some(at) => self.uncommitted.push((at, object.to_owned(), row)),
            None => self.tables.entry(object.to_owned()).or_default().put(row),
        }
    }

    /// The Ids of the live or the deleted records of an object, in the order of their creation.
    pub fn ids(&self, object: &str, deleted: bool) -> Vec<String> {
        let rows = self
            .tables
            .get(object)
            .map_or(&[][..], |table| table.rows());
        let wanted = |row: &&Row| row.deleted == deleted && !row.purged;
        let ids = rows.iter().filter(wanted).map(|row| row.id().to_owned());
        ids.collect()
    }

    /// Whether a record was merged into another one.
    pub fn is_merged(&self, id: &str) -> bool {
        let master = |(object, row): (String, Row)| {
            let ix = self.schema.object(&object)?.field("MasterRecordId")?;
            Some(!row.get(ix).is_null())
        };
        self.stored(id).and_then(master) == Some(true)
    }

    /// The Ids of the records that a transaction has written that has not ended.
    pub fn uncommitted_ids(&self) -> Vec<String> {
        let rows = self.uncommitted.iter();
        rows.map(|(_, _, row)| row.id().to_owned()).collect()
    }

    /// The Ids of the records that nobody else can write now: those of transactions that have not
    /// ended, and the accounts of contacts among them, whose deletion or merge would write these.
    pub fn locked_ids(&self) -> Vec<String> {
        let contact = self.schema.object("Contact");
        let parent = contact.and_then(|contact| contact.field("AccountId"));
        let account = |row: &Row| row.get(parent?).as_text().map(str::to_owned);
        let mut locked = self.uncommitted_ids();
        let contacts = self.uncommitted.iter();
        for (_, _, row) in contacts.filter(|(_, object, _)| object == "Contact") {
            let before = self.stored(row.id());
            locked.extend(before.and_then(|(_, row)| account(&row)));
            locked.extend(account(row));
        }
        locked
    }

    /// Makes visible what has been written by transactions that end by now.
    pub(crate) fn commit(&mut self, now: Timestamp) {
        let all = std::mem::take(&mut self.uncommitted);
        let (due, open) = all.into_iter().partition(|(at, ..)| *at <= now);
        self.uncommitted = open;
        let due: Vec<(Timestamp, String, Row)> = due;
        for (_, object, row) in due {
            self.put(&object, row, None);
        }
    }

    /// Writes what a person account and its contact have in common to the other of the two.
    pub(super) fn write_twin(&mut self, row: &Row, object: &ObjectType, by: &Writer<'_>) {
        let schema = self.schema.clone();
        let is_account = object.name == "Account";
        let (other, reference) = match is_account {
            true => ("Contact", "PersonContactId"),
            false => ("Account", "AccountId"),
        };
        let twin = object.field(reference).and_then(|ix| row.get(ix).as_text());
        let found = schema.object(other).zip(twin).and_then(|(other, id)| {
            let row = self.tables.get(other.name)?.by_id(id)?;
            Some((other, row.clone()))
        });
        let Some((other, mut twin)) = found else {
            return;
        };
        for (account, contact) in PERSON_FIELDS.into_iter().skip(1) {
            let (from, to) = match is_account {
                true => (account, contact),
                false => (contact, account),
            };
            if let (Some(from), Some(to)) = (object.field(from), other.field(to)) {
                twin.set(to, row.get(from).clone());
            }
        }
        twin.set(
            system::SYSTEM_MODSTAMP,
            row.get(system::SYSTEM_MODSTAMP).clone(),
        );
        self.complete(&mut twin, other);
        self.put(other.name, twin, by.commits_at);
    }

    /// A stored row and its object, whether it is deleted or not.
    pub(super) fn stored(&self, id: &str) -> Option<(String, Row)> {
        let object = self
            .schema
            .object_of_id(id)
            .filter(|object| object.stored)?;
        let row = self.tables.get(object.name)?.by_id(id)?;
        Some((object.name.to_owned(), row.clone()))
    }

    fn contacts_of(&self, account: &str) -> Vec<Row> {
        let parent = self
            .schema
            .object("Contact")
            .and_then(|c| c.field("AccountId"));
        let rows = self
            .tables
            .get("Contact")
            .map_or(&[][..], |table| table.rows());
        let of_account =
            |row: &&Row| parent.is_some_and(|ix| row.get(ix).as_text() == Some(account));
        rows.iter().filter(of_account).cloned().collect()
    }
}

impl Edit<'_> {
    /// Lets the transaction last until then: others see the rows later than their stamps
    /// (facts: Salesforce changes A3).
    #[must_use]
    pub fn commits_at(self, at: Timestamp) -> Self {
        Self {
            commits_at: Some(at),
            ..self
        }
    }

    fn by(&self) -> Writer<'static> {
        Writer {
            commits_at: self.commits_at,
            ..Writer::test(self.now)
        }
    }

    /// Adds a record and returns its id.
    ///
    /// # Errors Fails when the object or a field is unknown, or a value is invalid.
    pub fn insert(&mut self, object: &str, record: impl Into<Record>) -> Result<String, String> {
        let by = self.by();
        let created = self.org.create(object, &record.into().0, &by);
        created.map_err(|refusal| format!("{object}: {}", refusal.message))
    }

    /// Changes fields of a record.
    ///
    /// # Errors Fails when the record or a field is unknown, or a value is invalid.
    pub fn update(&mut self, id: &str, record: impl Into<Record>) -> Result<(), String> {
        let by = self.by();
        let modified = self.org.modify(id, &record.into().0, &by);
        modified.map_err(|refusal| format!("{id}: {}", refusal.message))
    }

    /// Moves `SystemModstamp` alone, as Salesforce's own processes do. Returns whether the record
    /// is there.
    pub fn touch(&mut self, id: &str) -> bool {
        self.change(id, false, |_| {})
    }

    /// Deletes a record, an account with its contacts; they stay in the recycle bin. Returns
    /// whether it was there.
    pub fn delete(&mut self, id: &str) -> bool {
        let deleted = self.bury(id, None);
        if deleted && id.starts_with("001") {
            for contact in self.org.contacts_of(id) {
                self.bury(contact.id(), None);
            }
        }
        deleted
    }

    /// Takes a record out of the recycle bin, an account with its contacts. A contact whose account
    /// is deleted cannot be taken out alone. Returns whether it could. The stamp moves (U).
    pub fn undelete(&mut self, id: &str) -> bool {
        let parent = |org: &Org| {
            let (object, row) = org.stored(id)?;
            let ix = org.schema.object(&object)?.field("AccountId")?;
            let (_, account) = org.stored(row.get(ix).as_text()?)?;
            Some(account.deleted)
        };
        if parent(self.org) == Some(true) || !self.raise(id) {
            return false;
        }
        if id.starts_with("001") {
            for contact in self.org.contacts_of(id) {
                self.raise(contact.id());
            }
        }
        true
    }

    fn raise(&mut self, id: &str) -> bool {
        let is_in_bin = |row: &Row| row.deleted && !row.purged;
        let Some((object, mut row)) = self.org.stored(id).filter(|(_, row)| is_in_bin(row)) else {
            return false;
        };
        row.deleted = false;
        row.set(system::IS_DELETED, Value::Bool(false));
        let fields = self.org.schema.object(&object);
        if let Some(master) = fields.and_then(|object| object.field("MasterRecordId")) {
            row.set(master, Value::Null);
        }
        self.stamp(&mut row, true);
        self.org.put(&object, row, self.commits_at);
        true
    }

    /// Removes a deleted record from the recycle bin for ever. Returns whether it was there.
    pub fn purge(&mut self, id: &str) -> bool {
        let Some((object, mut row)) = self.org.stored(id).filter(|(_, row)| row.deleted) else {
            return false;
        };
        row.purged = true;
        self.org.put(&object, row, None);
        true
    }

    /// Merges a record into another one of the same object: the loser is deleted and names the
    /// winner, whose empty fields take the loser's values and which is stamped in the same second.
    /// An account's contacts move; their stamps stay unless `stamps` says that they move, too
    /// (facts: Salesforce changes B2). Returns whether both were there.
    pub fn merge(&mut self, winner: &str, loser: &str, stamps: bool) -> bool {
        let both = self.org.stored(winner).zip(self.org.stored(loser));
        let Some(((object, mut kept), (of_loser, lost))) = both else {
            return false;
        };
        if object != of_loser || kept.deleted || lost.deleted || winner == loser {
            return false;
        }
        let schema = self.org.schema.clone();
        for field in ["Phone", "MobilePhone", "Title"] {
            if let Some(ix) = schema
                .object(&object)
                .and_then(|object| object.field(field))
                && kept.get(ix).is_null()
            {
                kept.set(ix, lost.get(ix).clone());
            }
        }
        self.stamp(&mut kept, true);
        let winner = kept.id().to_owned();
        self.org.put(&object, kept, self.commits_at);
        if object == "Account" {
            let parent = schema.object("Contact").and_then(|c| c.field("AccountId"));
            for mut contact in self.org.contacts_of(loser) {
                if let Some(parent) = parent {
                    contact.set(parent, Value::text(winner.as_str()));
                }
                if stamps {
                    self.stamp(&mut contact, false);
                }
                self.org.put("Contact", contact, self.commits_at);
            }
        }
        self.bury(loser, Some(&winner))
    }

    /// Converts a lead to a new account and a new contact, whose ids are returned. The lead stays,
    /// and `LastModifiedDate` moves only where `modifies` says so (facts: Salesforce changes C1).
    pub fn convert(&mut self, lead: &str, modifies: bool) -> Option<(String, String)> {
        let schema = self.org.schema.clone();
        let leads = schema.object("Lead")?;
        let (_, row) = self.org.stored(lead).filter(|(_, row)| !row.deleted)?;
        if is_true(&row, leads, "IsConverted") {
            return None;
        }
        let text = |name: &str| leads.field(name).and_then(|ix| row.get(ix).as_text());
        let account = Record::account(text("Company")?);
        let account = self.insert("Account", account).ok()?;
        let mut contact = Map::new();
        for name in ["FirstName", "LastName", "Phone", "MobilePhone", "Title"] {
            if let Some(value) = text(name) {
                contact.insert(name.to_owned(), value.into());
            }
        }
        contact.insert("AccountId".to_owned(), account.clone().into());
        let contact = self.insert("Contact", Record(contact)).ok()?;
        let converted = [
            ("IsConverted", Value::Bool(true)),
            ("ConvertedAccountId", Value::text(account.as_str())),
            ("ConvertedContactId", Value::text(contact.as_str())),
        ];
        let is_there = self.change(lead, modifies, |row| {
            for (name, value) in converted {
                if let Some(ix) = leads.field(name) {
                    row.set(ix, value);
                }
            }
        });
        is_there.then_some((account, contact))
    }

    fn bury(&mut self, id: &str, winner: Option<&str>) -> bool {
        let master = self
            .org
            .schema
            .object_of_id(id)
            .and_then(|object| object.field("MasterRecordId"));
        self.change(id, true, |row| {
            row.deleted = true;
            row.set(system::IS_DELETED, Value::Bool(true));
            if let (Some(ix), Some(winner)) = (master, winner) {
                row.set(ix, Value::text(winner));
            }
        })
    }

    /// Changes a row that is not deleted, and stamps it.
    fn change(&mut self, id: &str, modifies: bool, change: impl FnOnce(&mut Row)) -> bool {
        let Some((object, mut row)) = self.org.stored(id).filter(|(_, row)| !row.deleted) else {
            return false;
        };
        change(&mut row);
        self.stamp(&mut row, modifies);
        self.org.put(&object, row, self.commits_at);
        true
    }

    fn stamp(&self, row: &mut Row, modifies: bool) {
        let stamp = self.by().stamp();
        if modifies {
            row.set(system::LAST_MODIFIED_DATE, stamp.clone());
        }
        row.set(system::SYSTEM_MODSTAMP, stamp);
    }
}

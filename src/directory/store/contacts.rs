//! Contacts: the single read for a ringing phone, and the two kinds of write.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::database::{Arg, args, uncrossed};
use super::row::{ContactRow, micros, object_text, source_text};
use super::{Store, StoreError};
use crate::company_id::CompanyId;
use crate::directory::model::{
    Contact, ContactSource, FoundContact, WriteContactsReceipt, WriteOutcome, WritePolicy,
};
use crate::phone::E164;

pub(crate) const FIND: &str = "SELECT number AS contact_number, company_name, person_name, object, record_id, link, source, \
     updated_at FROM contacts WHERE company = $1 AND number = $2";

const PUT: &str = "INSERT INTO contacts (company, number, company_name, person_name, object, record_id, link, source, \
     updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (company, number) DO UPDATE SET \
     company_name = excluded.company_name, person_name = excluded.person_name, object = excluded.object, \
     record_id = excluded.record_id, link = excluded.link, source = excluded.source, updated_at = excluded.updated_at";

const PUT_IF_MISSING: &str = "INSERT INTO contacts (company, number, company_name, person_name, object, record_id, link, \
     source, updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (company, number) DO NOTHING";

const REMOVE: &str = "DELETE FROM contacts WHERE company = $1 AND number = $2";

const AFTER: &str = "SELECT number AS contact_number, company_name, person_name, object, record_id, link, source, \
     updated_at FROM contacts WHERE company = $1 AND number > $2 ORDER BY number LIMIT $3";

// === impl Store ===

impl Store {
    /// The contact of a number: one read of one index.
    pub(crate) async fn contact(
        &self,
        company: &CompanyId,
        number: &E164,
    ) -> Result<Option<Contact>, StoreError> {
        let row: Option<ContactRow> = self
            .database
            .optional(FIND, args![company.as_str(), number.as_str()])
            .await
            .map_err(|error| StoreError::sort("look a number up", error))?;
        row.map_or(Ok(None), ContactRow::into_contact)
    }

    /// Writes a contact, and replaces an existing one.
    pub(crate) async fn put_contact(
        &self,
        company: &CompanyId,
        contact: &Contact,
    ) -> Result<(), StoreError> {
        let sort = |error| StoreError::sort("write a contact", error);
        let mut transaction = self.database.begin().await.map_err(sort)?;
        transaction
            .execute(PUT, columns(company, contact))
            .await
            .map_err(sort)?;
        transaction.commit().await.map_err(sort)
    }

    /// Removes a contact. Returns whether there was one.
    pub(crate) async fn remove_contact(
        &self,
        company: &CompanyId,
        number: &E164,
    ) -> Result<bool, StoreError> {
        let sort = |error| StoreError::sort("remove a contact", error);
        let mut transaction = self.database.begin().await.map_err(sort)?;
        let rows = transaction
            .execute(REMOVE, args![company.as_str(), number.as_str()])
            .await
            .map_err(sort)?;
        transaction.commit().await.map_err(sort)?;
        Ok(rows > 0)
    }

    /// The contacts whose numbers follow this one, in order. The empty text starts with the first
    /// contact.
    pub(crate) async fn contacts_after(
        &self,
        company: &CompanyId,
        number: &str,
        limit: u32,
    ) -> Result<Vec<Contact>, StoreError> {
        let rows: Vec<ContactRow> = self
            .database
            .all(AFTER, args![company.as_str(), number, i64::from(limit)])
            .await
            .map_err(|error| StoreError::sort("read the contacts", error))?;
        rows.into_iter()
            .filter_map(|row| row.into_contact().transpose())
            .collect()
    }

    /// Writes the contacts that a worker found.
    pub(crate) async fn write_contacts(
        &self,
        company: &CompanyId,
        policy: WritePolicy,
        contacts: &[FoundContact],
        now: Timestamp,
    ) -> Result<WriteContactsReceipt, StoreError> {
        let mut contacts: Vec<_> = contacts.iter().collect();
        // Sorted, so that the transactions of two workers do not deadlock.
        contacts.sort_by(|a, b| a.number.cmp(&b.number));
        uncrossed(|| self.try_write_contacts(company, policy, &contacts, now))
            .await
            .map_err(|error| StoreError::sort("write contacts", error))?
    }

    async fn try_write_contacts(
        &self,
        company: &CompanyId,
        policy: WritePolicy,
        contacts: &[&FoundContact],
        now: Timestamp,
    ) -> Result<Result<WriteContactsReceipt, StoreError>, sqlx::Error> {
        let mut outcomes = BTreeMap::new();
        let mut transaction = self.database.begin().await?;
        for found in contacts {
            let row: Option<ContactRow> = transaction
                .optional(FIND, args![company.as_str(), found.number.as_str()])
                .await?;
            let known = match row.map_or(Ok(None), ContactRow::into_contact) {
                Ok(known) => known,
                Err(corrupt) => return Ok(Err(corrupt)),
            };
            let outcome = match (&known, policy) {
                // A repeated request whose response was lost: nothing is written, and the response
                // is the same.
                (Some(known), _) if same(known, found) => WriteOutcome::Written,
                (Some(_), WritePolicy::OnlyMissing) => WriteOutcome::Kept,
                (None, WritePolicy::OnlyMissing) => {
                    let columns = columns(company, &contact(found, now));
                    match transaction.execute(PUT_IF_MISSING, columns).await? {
                        // Another writer added the contact after the read above.
                        0 => WriteOutcome::Kept,
                        _ => WriteOutcome::Written,
                    }
                }
                (_, WritePolicy::Overwrite) => {
                    let columns = columns(company, &contact(found, now));
                    transaction.execute(PUT, columns).await?;
                    WriteOutcome::Written
                }
            };
            outcomes.insert(found.number.clone(), outcome);
        }
        transaction.commit().await?;
        Ok(Ok(WriteContactsReceipt { outcomes }))
    }
}

fn contact(found: &FoundContact, now: Timestamp) -> Contact {
    Contact {
        number: found.number.clone(),
        company_name: found.company_name.clone(),
        person_name: found.person_name.clone(),
        object: Some(found.object),
        record_id: Some(found.record_id.clone()),
        link: found.link.clone(),
        source: ContactSource::Salesforce,
        updated_at: now,
    }
}

/// Whether the directory already holds what the worker found.
fn same(known: &Contact, found: &FoundContact) -> bool {
    *known == contact(found, known.updated_at)
}

fn columns(company: &CompanyId, contact: &Contact) -> Vec<Arg> {
    args![
        company.as_str(),
        contact.number.as_str(),
        contact.company_name.as_deref(),
        contact.person_name.as_deref(),
        contact.object.map(object_text),
        contact.record_id.as_deref(),
        contact.link.as_deref(),
        source_text(contact.source),
        micros(contact.updated_at),
    ]
}

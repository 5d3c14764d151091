//! Contacts: the one read of a ringing phone, and the two ways of writing.

use std::collections::BTreeMap;

use jiff::Timestamp;
use sqlx::SqliteExecutor;

use super::Sqlite;
use crate::directory::{
    CompanyId,
    model::{
        Contact, ContactSource, FoundContact, WriteContactsReceipt, WriteOutcome, WritePolicy,
    },
    store::{
        StoreError,
        row::{ContactRow, micros, object_text, source_text},
    },
};
use crate::phone::E164;

pub(super) const FIND: &str = "SELECT number AS contact_number, company_name, person_name, object, record_id, link, source, \
     updated_at FROM contacts WHERE company = $1 AND number = $2";

const PUT: &str = "INSERT INTO contacts (company, number, company_name, person_name, object, record_id, link, source, \
     updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (company, number) DO UPDATE SET \
     company_name = excluded.company_name, person_name = excluded.person_name, object = excluded.object, \
     record_id = excluded.record_id, link = excluded.link, source = excluded.source, updated_at = excluded.updated_at";

// === impl Sqlite ===

impl Sqlite {
    pub(in crate::directory::store) async fn contact(
        &self,
        company: &CompanyId,
        number: &E164,
    ) -> Result<Option<Contact>, StoreError> {
        find(&self.readers, company, number).await
    }

    pub(in crate::directory::store) async fn put_contact(
        &self,
        company: &CompanyId,
        contact: &Contact,
    ) -> Result<(), StoreError> {
        let sort = |error| StoreError::sort("write a contact", error);
        let mut transaction = self.write().await.map_err(sort)?;
        put(&mut *transaction, company, contact)
            .await
            .map_err(sort)?;
        transaction.commit().await.map_err(sort)
    }

    pub(in crate::directory::store) async fn write_contacts(
        &self,
        company: &CompanyId,
        policy: WritePolicy,
        contacts: &[FoundContact],
        now: Timestamp,
    ) -> Result<WriteContactsReceipt, StoreError> {
        let sort = |error| StoreError::sort("write contacts", error);
        let mut outcomes = BTreeMap::new();
        let mut transaction = self.write().await.map_err(sort)?;
        for found in contacts {
            let known = find(&mut *transaction, company, &found.number).await?;
            let outcome = match &known {
                // Sent before, and the answer got lost: nothing to write, and the same answer.
                Some(known) if same(known, found) => WriteOutcome::Written,
                Some(_) if policy == WritePolicy::OnlyMissing => WriteOutcome::Kept,
                _ => {
                    put(&mut *transaction, company, &contact(found, now))
                        .await
                        .map_err(sort)?;
                    WriteOutcome::Written
                }
            };
            outcomes.insert(found.number.clone(), outcome);
        }
        transaction.commit().await.map_err(sort)?;
        Ok(WriteContactsReceipt { outcomes })
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

async fn find(
    executor: impl SqliteExecutor<'_>,
    company: &CompanyId,
    number: &E164,
) -> Result<Option<Contact>, StoreError> {
    let row: Option<ContactRow> = sqlx::query_as(FIND)
        .bind(company.as_str())
        .bind(number.as_str())
        .fetch_optional(executor)
        .await
        .map_err(|error| StoreError::sort("look a number up", error))?;
    row.map_or(Ok(None), ContactRow::into_contact)
}

async fn put(
    executor: impl SqliteExecutor<'_>,
    company: &CompanyId,
    contact: &Contact,
) -> Result<(), sqlx::Error> {
    sqlx::query(PUT)
        .bind(company.as_str())
        .bind(contact.number.as_str())
        .bind(contact.company_name.as_deref())
        .bind(contact.person_name.as_deref())
        .bind(contact.object.map(object_text))
        .bind(contact.record_id.as_deref())
        .bind(contact.link.as_deref())
        .bind(source_text(contact.source))
        .bind(micros(contact.updated_at))
        .execute(executor)
        .await
        .map(drop)
}

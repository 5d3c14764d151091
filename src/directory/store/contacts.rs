//! Contacts: the single read for a ringing phone, and the two kinds of write.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::audit::{Actor, Record};
use super::database::rows::{KnownRow, QuestionRow, micros, object_text, source_text, time};
use super::database::{Arg, Transaction, args, uncrossed};
use super::follow::{Held, forget_records, held, index_records, keep_holders};
use super::numbers::Gate;
use super::{Store, StoreError, audit};
use crate::company_id::CompanyId;
use crate::directory::model::misses::{Miss, due_at, missed};
use crate::directory::model::{
    Asked, Contact, ContactSource, FoundContact, WriteContactsReceipt, WriteContactsRequest,
    WriteOutcome, WritePolicy,
};
use crate::phone::E164;

/// The columns of a contact and of what Salesforce was asked about its number.
macro_rules! known {
    () => {
        "SELECT p.number AS contact_number, p.company_name, p.person_name, p.object, p.record_id, p.link, p.title, \
         p.owner_name, p.alternatives, p.source, p.updated_at, q.asked_at, q.misses, q.settings, q.was_company, \
         q.was_person, q.gone_at FROM contacts p LEFT JOIN questions q ON q.company = p.company AND q.number = p.number "
    };
}

pub(crate) const FIND: &str = concat!(known!(), "WHERE p.company = $1 AND p.number = $2");

const AFTER: &str = concat!(
    known!(),
    "WHERE p.company = $1 AND p.number > $2 ORDER BY p.number LIMIT $3"
);

pub(crate) const QUESTION: &str = "SELECT asked_at, misses, settings, was_company, was_person, gone_at FROM questions \
     WHERE company = $1 AND number = $2";

macro_rules! put {
    () => {
        "INSERT INTO contacts (company, number, company_name, person_name, object, record_id, link, title, owner_name, \
         alternatives, source, updated_at, holders, all_holders) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, \
         $12, $13, $14) ON CONFLICT (company, number) "
    };
}

macro_rules! put_over {
    () => {
        "DO UPDATE SET company_name = excluded.company_name, person_name = excluded.person_name, \
         object = excluded.object, record_id = excluded.record_id, link = excluded.link, title = excluded.title, \
         owner_name = excluded.owner_name, alternatives = excluded.alternatives, source = excluded.source, \
         updated_at = excluded.updated_at, holders = excluded.holders, all_holders = excluded.all_holders"
    };
}

const PUT: &str = concat!(put!(), put_over!());

/// A contact that was written by hand stays, also one that another writer added after it was read.
const PUT_UNLESS_BY_HAND: &str = concat!(put!(), put_over!(), " WHERE contacts.source <> 'Manual'");

const PUT_IF_MISSING: &str = concat!(put!(), "DO NOTHING");

/// Records a question. Parameters: $1 company, $2 number, $3 asked at, $4 misses, $5 settings, $6
/// due at, $7 former company, $8 former person, $9 gone at.
const ASKED: &str = "INSERT INTO questions (company, number, asked_at, misses, settings, due_at, was_company, \
     was_person, gone_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (company, number) DO UPDATE SET \
     asked_at = excluded.asked_at, misses = excluded.misses, settings = excluded.settings, due_at = excluded.due_at, \
     was_company = excluded.was_company, was_person = excluded.was_person, gone_at = excluded.gone_at";

const REMOVE: &str = "DELETE FROM contacts WHERE company = $1 AND number = $2";

// === impl Store ===

impl Store {
    /// The contact of a number: one read of one index.
    pub(crate) async fn contact(
        &self,
        company: &CompanyId,
        number: &E164,
    ) -> Result<Option<Contact>, StoreError> {
        let row: Option<KnownRow> = self
            .database
            .optional(FIND, args![company.as_str(), number.as_str()])
            .await
            .map_err(|error| StoreError::sort("look a number up", error))?;
        row.map_or(Ok(None), KnownRow::into_contact)
    }

    /// What Salesforce was last asked about a number.
    pub(crate) async fn asked(
        &self,
        company: &CompanyId,
        number: &E164,
    ) -> Result<Asked, StoreError> {
        let row: Option<QuestionRow> = self
            .database
            .optional(QUESTION, args![company.as_str(), number.as_str()])
            .await
            .map_err(|error| StoreError::sort("look a number up", error))?;
        row.map_or(Ok(Asked::default()), QuestionRow::into_asked)
    }

    /// Writes a contact, and replaces an existing one. Returns whether it was written: nothing is
    /// kept about a number that was erased.
    pub(crate) async fn put_contact(
        &self,
        company: &CompanyId,
        contact: &Contact,
        actor: &Actor,
    ) -> Result<bool, StoreError> {
        uncrossed(|| self.try_put_contact(company, contact, actor))
            .await
            .map_err(|error| StoreError::sort("write a contact", error))
    }

    async fn try_put_contact(
        &self,
        company: &CompanyId,
        contact: &Contact,
        actor: &Actor,
    ) -> Result<bool, sqlx::Error> {
        let keys = self.number_keys();
        let number = contact.number.as_str();
        let mut transaction = self.database.begin().await?;
        let gate = Gate::open(&mut transaction, company).await?;
        let gone = gate.erased(&mut transaction, &keys, [number]).await?;
        if !gone.is_empty() {
            return Ok(false);
        }
        transaction
            .execute(PUT, columns(company, contact, &Held::default()))
            .await?;
        forget_records(&mut transaction, company, &contact.number).await?;
        let record = Record::about(audit::CONTACT_EDITED, keys.hash(company, number));
        audit::write(
            &mut transaction,
            company,
            actor,
            &record,
            contact.updated_at,
        )
        .await?;
        transaction.commit().await?;
        Ok(true)
    }

    /// Removes a contact. Returns whether there was one.
    pub(crate) async fn remove_contact(
        &self,
        company: &CompanyId,
        number: &E164,
        actor: &Actor,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        uncrossed(|| self.try_remove_contact(company, number, actor, now))
            .await
            .map_err(|error| StoreError::sort("remove a contact", error))
    }

    async fn try_remove_contact(
        &self,
        company: &CompanyId,
        number: &E164,
        actor: &Actor,
        now: Timestamp,
    ) -> Result<bool, sqlx::Error> {
        let mut transaction = self.database.begin().await?;
        let key = args![company.as_str(), number.as_str()];
        let rows = transaction.execute(REMOVE, key).await?;
        if rows > 0 {
            let hash = self.number_hash(company, number.as_str());
            let record = Record::about(audit::CONTACT_REMOVED, hash);
            audit::write(&mut transaction, company, actor, &record, now).await?;
        }
        transaction.commit().await?;
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
        let rows: Vec<KnownRow> = self
            .database
            .all(AFTER, args![company.as_str(), number, i64::from(limit)])
            .await
            .map_err(|error| StoreError::sort("read the contacts", error))?;
        rows.into_iter()
            .filter_map(|row| row.into_contact().transpose())
            .collect()
    }

    /// Writes what a worker learned from Salesforce: contacts, and numbers that it does not know.
    pub(crate) async fn write_contacts(
        &self,
        company: &CompanyId,
        request: &WriteContactsRequest,
        now: Timestamp,
    ) -> Result<WriteContactsReceipt, StoreError> {
        uncrossed(|| self.try_write_contacts(company, request, now))
            .await
            .map_err(|error| StoreError::sort("write contacts", error))?
    }

    async fn try_write_contacts(
        &self,
        company: &CompanyId,
        request: &WriteContactsRequest,
        now: Timestamp,
    ) -> Result<Result<WriteContactsReceipt, StoreError>, sqlx::Error> {
        // Sorted, so that the transactions of two workers do not deadlock.
        let mut contacts: Vec<_> = request.contacts.iter().collect();
        contacts.sort_by(|a, b| a.number.cmp(&b.number));
        let mut not_found: Vec<_> = request.not_found.iter().collect();
        not_found.sort();
        let mut receipt = WriteContactsReceipt {
            outcomes: BTreeMap::new(),
            gone: 0,
        };
        let keys = self.number_keys();
        let mut transaction = self.database.begin().await?;
        let gate = Gate::open(&mut transaction, company).await?;
        let found = request.contacts.iter().map(|found| &found.number);
        let numbers = found.chain(&request.not_found).map(E164::as_str);
        let gone = gate.erased(&mut transaction, &keys, numbers).await?;
        for found in contacts {
            if gone.contains(found.number.as_str()) {
                let number = found.number.clone();
                receipt.outcomes.insert(number, WriteOutcome::Kept);
                continue;
            }
            let key = args![company.as_str(), found.number.as_str()];
            let row: Option<KnownRow> = transaction.optional(FIND, key).await?;
            let known = match row.map_or(Ok(None), KnownRow::into_contact) {
                Ok(known) => known,
                Err(corrupt) => return Ok(Err(corrupt)),
            };
            let outcome = write_found(
                &mut transaction,
                company,
                known.as_ref(),
                found,
                request,
                now,
            )
            .await?;
            let question = known_now(company, &found.number, &request.settings, now);
            transaction.execute(ASKED, question).await?;
            receipt.outcomes.insert(found.number.clone(), outcome);
        }
        not_found.retain(|number| !gone.contains(number.as_str()));
        for number in not_found {
            let key = || args![company.as_str(), number.as_str()];
            let row: Option<KnownRow> = transaction.optional(FIND, key()).await?;
            let question: Option<QuestionRow> = transaction.optional(QUESTION, key()).await?;
            let question = question.unwrap_or_default();
            let (known, before) = match (
                row.map_or(Ok(None), KnownRow::into_contact),
                miss(&question),
            ) {
                (Ok(known), Ok(before)) => (known, before),
                (Err(corrupt), _) | (_, Err(corrupt)) => return Ok(Err(corrupt)),
            };
            let gone = known.filter(|known| goes(known, request));
            let missed = missed(before.as_ref(), &request.settings, now);
            let columns = missed_now(company, number, &missed, gone.as_ref(), question);
            transaction.execute(ASKED, columns).await?;
            if gone.is_some() {
                transaction.execute(REMOVE, key()).await?;
                receipt.gone += 1;
            }
        }
        transaction.commit().await?;
        Ok(Ok(receipt))
    }
}

/// Writes one contact that was found, and which records hold its number.
async fn write_found(
    transaction: &mut Transaction,
    company: &CompanyId,
    known: Option<&Contact>,
    found: &FoundContact,
    request: &WriteContactsRequest,
    now: Timestamp,
) -> Result<WriteOutcome, sqlx::Error> {
    let new = contact(found, now);
    let holders = Held::new(&new, found.holders.as_deref(), found.all_holders);
    let is_same = known.is_some_and(|known| same(known, found));
    let statement = match (known, request.policy) {
        // A repeated request whose response was lost: nothing is written but news of the records,
        // and the response is the same.
        (Some(_), _) if is_same => {
            if found.holders.is_some() {
                let before = held(transaction, company, &found.number).await?;
                keep_holders(
                    transaction,
                    company,
                    &found.number,
                    &before,
                    &holders,
                    false,
                )
                .await?;
            }
            return Ok(WriteOutcome::Written);
        }
        (Some(_), WritePolicy::OnlyMissing) => return Ok(WriteOutcome::Kept),
        (None, WritePolicy::OnlyMissing) => PUT_IF_MISSING,
        (_, WritePolicy::Refresh) => PUT_UNLESS_BY_HAND,
        (_, WritePolicy::Overwrite) => PUT,
    };
    let before = match known {
        Some(_) => Some(held(transaction, company, &found.number).await?),
        None => None,
    };
    let columns = columns(company, &new, &holders);
    if transaction.execute(statement, columns).await? == 0 {
        // Another writer added the contact after the read above, or it was written by hand.
        return Ok(WriteOutcome::Kept);
    }
    match before {
        Some(before) => {
            keep_holders(transaction, company, &found.number, &before, &holders, true).await?;
        }
        None => index_records(transaction, company, &found.number, &holders).await?,
    }
    Ok(WriteOutcome::Written)
}

/// Whether a contact goes because Salesforce does not know its number. One from a kind of record
/// that the run could not search stays, and one that was written by hand, which is from none.
fn goes(known: &Contact, request: &WriteContactsRequest) -> bool {
    let searched = known
        .object
        .is_some_and(|object| request.searched.contains(&object));
    request.policy != WritePolicy::OnlyMissing && searched
}

/// The miss that a question recorded, if there is one.
fn miss(question: &QuestionRow) -> Result<Option<Miss>, StoreError> {
    let (Some(asked_at), Some(misses), Some(settings)) =
        (question.asked_at, question.misses, &question.settings)
    else {
        return Ok(None);
    };
    Ok(Some(Miss {
        asked_at: time(asked_at)?,
        times_missed: u32::try_from(misses).unwrap_or(u32::MAX),
        settings: settings.clone(),
    }))
}

/// The columns of the question about a number that Salesforce knows.
fn known_now(company: &CompanyId, number: &E164, settings: &str, now: Timestamp) -> Vec<Arg> {
    let nothing: Option<&str> = None;
    args![
        company.as_str(),
        number.as_str(),
        micros(now),
        0,
        settings,
        None::<i64>,
        nothing,
        nothing,
        None::<i64>,
    ]
}

/// The columns of the question about a number that Salesforce does not know. What the number was
/// before stays on record.
fn missed_now(
    company: &CompanyId,
    number: &E164,
    miss: &Miss,
    gone: Option<&Contact>,
    before: QuestionRow,
) -> Vec<Arg> {
    let (was_company, was_person, gone_at) = match gone {
        Some(gone) => (
            gone.company_name.clone(),
            gone.person_name.clone(),
            Some(micros(miss.asked_at)),
        ),
        None => (before.was_company, before.was_person, before.gone_at),
    };
    args![
        company.as_str(),
        number.as_str(),
        micros(miss.asked_at),
        i64::from(miss.times_missed),
        miss.settings.as_str(),
        micros(due_at(miss.asked_at, miss.times_missed)),
        was_company,
        was_person,
        gone_at,
    ]
}

fn contact(found: &FoundContact, now: Timestamp) -> Contact {
    Contact {
        number: found.number.clone(),
        company_name: found.company_name.clone(),
        person_name: found.person_name.clone(),
        object: Some(found.object),
        record_id: Some(found.record_id.clone()),
        link: found.link.clone(),
        title: found.title.clone(),
        owner_name: found.owner_name.clone(),
        alternatives: found.alternatives.clone(),
        source: ContactSource::Salesforce,
        updated_at: now,
        asked_at: None,
        not_found: false,
    }
}

/// Whether the directory already holds what the worker found.
fn same(known: &Contact, found: &FoundContact) -> bool {
    let found = Contact {
        asked_at: known.asked_at,
        not_found: known.not_found,
        ..contact(found, known.updated_at)
    };
    *known == found
}

fn columns(company: &CompanyId, contact: &Contact, held: &Held) -> Vec<Arg> {
    let mut columns = args![
        company.as_str(),
        contact.number.as_str(),
        contact.company_name.as_deref(),
        contact.person_name.as_deref(),
        contact.object.map(object_text),
        contact.record_id.as_deref(),
        contact.link.as_deref(),
        contact.title.as_deref(),
        contact.owner_name.as_deref(),
        // Serializing texts and numbers cannot fail.
        contact
            .alternatives
            .as_ref()
            .and_then(|alternatives| serde_json::to_string(alternatives).ok()),
        source_text(contact.source),
        micros(contact.updated_at),
    ];
    columns.extend(held.columns());
    columns
}

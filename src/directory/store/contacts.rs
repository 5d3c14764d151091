//! Contacts: the single read for a ringing phone, and the two kinds of write.

use jiff::Timestamp;

use super::audit::{Actor, Record};
use super::database::rows::{HeldContactRow, KnownRow, NumberQuestionRow, QuestionRow};
use super::database::sets::Kind::{self, Number, Text};
use super::database::sets::{Rows, Rowwise};
use super::database::{args, uncrossed};
use super::numbers::Gate;
use super::rules::contacts::{Before, changes, columns};
use super::rules::held::Held;
use super::{Store, StoreError, audit, rings};
use crate::company_id::CompanyId;
use crate::directory::model::{
    Asked, Contact, WriteContactsReceipt, WriteContactsRequest, WritePolicy,
};
use crate::phone::E164;

/// How often a write begins anew because others wrote the same numbers meanwhile. Each time another
/// write went through, so more than a few are a mistake.
const MOST_TRIES: u32 = 50;

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

macro_rules! columns {
    () => {
        "company, number, company_name, person_name, object, record_id, link, title, owner_name, alternatives, source, \
         updated_at, holders, all_holders, company_folded, person_folded"
    };
}

macro_rules! put_over {
    () => {
        " ON CONFLICT (company, number) DO UPDATE SET company_name = excluded.company_name, \
         person_name = excluded.person_name, object = excluded.object, record_id = excluded.record_id, \
         link = excluded.link, title = excluded.title, owner_name = excluded.owner_name, \
         alternatives = excluded.alternatives, source = excluded.source, updated_at = excluded.updated_at, \
         holders = excluded.holders, all_holders = excluded.all_holders, \
         company_folded = excluded.company_folded, person_folded = excluded.person_folded"
    };
}

const PUT: &str = concat!(
    "INSERT INTO contacts (",
    columns!(),
    ") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)",
    put_over!()
);

/// Writes contacts; what follows says what becomes of those that are there.
macro_rules! put_all {
    ($($conflict:expr),+) => {
        Rowwise {
            columns: &[
                ("company", Text),
                ("number", Text),
                ("company_name", Text),
                ("person_name", Text),
                ("object", Text),
                ("record_id", Text),
                ("link", Text),
                ("title", Text),
                ("owner_name", Text),
                ("alternatives", Text),
                ("source", Text),
                ("updated_at", Number),
                ("holders", Text),
                ("all_holders", Number),
                ("company_folded", Text),
                ("person_folded", Text),
            ],
            sql: concat!(
                "INSERT INTO contacts (", columns!(), ") SELECT ", columns!(), " FROM n WHERE true",
                $($conflict),+
            ),
        }
    };
}

const PUT_ALL: Rowwise = put_all!(put_over!());

/// A contact that was written by hand stays, also one that another writer added after it was read.
const PUT_ALL_UNLESS_BY_HAND: Rowwise = put_all!(put_over!(), " WHERE contacts.source <> 'Manual'");

const PUT_ALL_IF_MISSING: Rowwise = put_all!(" ON CONFLICT (company, number) DO NOTHING");

/// Records questions.
const ASKED_ALL: Rowwise = Rowwise {
    columns: &[
        ("company", Text),
        ("number", Text),
        ("asked_at", Number),
        ("misses", Number),
        ("settings", Text),
        ("due_at", Number),
        ("was_company", Text),
        ("was_person", Text),
        ("gone_at", Number),
        ("run", Text),
        ("api_calls", Number),
        ("claimed_at", Number),
    ],
    sql: "INSERT INTO questions (company, number, asked_at, misses, settings, due_at, was_company, was_person, gone_at, run, api_calls, claimed_at) \
         SELECT company, number, asked_at, misses, settings, due_at, was_company, was_person, gone_at, run, api_calls, claimed_at FROM n WHERE true \
         ON CONFLICT (company, number) DO UPDATE SET asked_at = excluded.asked_at, misses = excluded.misses, \
         settings = excluded.settings, due_at = excluded.due_at, was_company = excluded.was_company, \
         was_person = excluded.was_person, gone_at = excluded.gone_at, run = excluded.run, api_calls = excluded.api_calls, \
         claimed_at = COALESCE(excluded.claimed_at, questions.claimed_at)",
};

const NUMBERS: &[(&str, Kind)] = &[("company", Text), ("number", Text)];

pub(crate) const CONTACTS_OF: Rowwise = Rowwise {
    columns: NUMBERS,
    sql: "SELECT p.number AS contact_number, p.company_name, p.person_name, p.object, p.record_id, p.link, p.title, \
         p.owner_name, p.alternatives, p.source, p.updated_at, p.holders, p.all_holders \
         FROM n JOIN contacts p ON p.company = n.company AND p.number = n.number",
};

pub(crate) const QUESTIONS_OF: Rowwise = Rowwise {
    columns: NUMBERS,
    sql: "SELECT q.number, q.asked_at, q.misses, q.settings, q.was_company, q.was_person, q.gone_at, q.claimed_at \
         FROM n JOIN questions q ON q.company = n.company AND q.number = n.number",
};

pub(crate) const REMOVE_ALL: Rowwise = Rowwise {
    columns: NUMBERS,
    sql: "DELETE FROM contacts WHERE (company, number) IN (SELECT company, number FROM n)",
};

pub(crate) const KEEP_HOLDERS: Rowwise = Rowwise {
    columns: &[
        ("company", Text),
        ("number", Text),
        ("holders", Text),
        ("all_holders", Number),
    ],
    sql: "UPDATE contacts SET holders = n.holders, all_holders = n.all_holders FROM n \
         WHERE contacts.company = n.company AND contacts.number = n.number AND contacts.source = 'Salesforce'",
};

pub(crate) const FORGET_RECORDS: Rowwise = Rowwise {
    columns: NUMBERS,
    sql: "DELETE FROM contact_records WHERE (company, number) IN (SELECT company, number FROM n)",
};

const INDEX_RECORDS: Rowwise = Rowwise {
    columns: &[("company", Text), ("record_id", Text), ("number", Text)],
    sql: "INSERT INTO contact_records (company, record_id, number) SELECT company, record_id, number FROM n WHERE true \
         ON CONFLICT DO NOTHING",
};

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
        let answered = uncrossed(|| self.try_put_contact(company, contact, actor))
            .await
            .map_err(|error| StoreError::sort("write a contact", error))?;
        let Some(answered) = answered else {
            return Ok(false);
        };
        let changes = self.ring_changes(company, answered);
        self.changes
            .tell(changes.chain([Self::history_changed(company)]));
        Ok(true)
    }

    /// Returns the numbers of rings that this answers; `None` if nothing was written.
    async fn try_put_contact(
        &self,
        company: &CompanyId,
        contact: &Contact,
        actor: &Actor,
    ) -> Result<Option<Vec<String>>, sqlx::Error> {
        let keys = self.number_keys();
        let number = contact.number.as_str();
        let mut transaction = self.database.begin().await?;
        let gate = Gate::open(&mut transaction, company).await?;
        let gone = gate.erased(&mut transaction, &keys, [number]).await?;
        if !gone.is_empty() {
            return Ok(None);
        }
        transaction
            .execute(PUT, columns(company, contact, &Held::default()))
            .await?;
        let key = Rows::from_iter([args![company.as_str(), number]]);
        transaction.execute_rows(&FORGET_RECORDS, key).await?;
        let record = Record::about(audit::CONTACT_EDITED, keys.hash(company, number));
        audit::write(
            &mut transaction,
            company,
            actor,
            &record,
            contact.updated_at,
        )
        .await?;
        let answered =
            rings::answer(&mut transaction, company, [number], contact.updated_at).await?;
        transaction.commit().await?;
        Ok(Some(answered))
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
            .inspect(|_| self.changes.tell([Self::history_changed(company)]))
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
    /// Claims are compared by `now`, so that is the [time that replicas share](Self::shared_time).
    pub(crate) async fn write_contacts(
        &self,
        company: &CompanyId,
        request: &WriteContactsRequest,
        now: Timestamp,
    ) -> Result<WriteContactsReceipt, StoreError> {
        for _ in 0..MOST_TRIES {
            let written = uncrossed(|| self.try_write_contacts(company, request, now)).await;
            let written = written.map_err(|error| StoreError::sort("write contacts", error))?;
            if let Some((receipt, answered)) = written? {
                let changes = self.ring_changes(company, answered);
                self.changes
                    .tell(changes.chain([Self::history_changed(company)]));
                return Ok(receipt);
            }
        }
        Err(StoreError::Overtaken("write contacts"))
    }

    /// Returns also the numbers of rings that this answers.
    ///
    /// Nothing is written where another writer added a contact, or took one away, after this one
    /// had read; it has to read again then.
    async fn try_write_contacts(
        &self,
        company: &CompanyId,
        request: &WriteContactsRequest,
        now: Timestamp,
    ) -> Result<Result<Option<(WriteContactsReceipt, Vec<String>)>, StoreError>, sqlx::Error> {
        let keys = self.number_keys();
        let found = || request.contacts.iter().map(|found| found.number.as_str());
        let missed = || request.not_found.iter().map(E164::as_str);
        let key = |number| args![company.as_str(), number];
        let claimed = request.claimed_at.is_some();
        let mut transaction = self.database.begin().await?;
        if claimed {
            // Without the lock a writer that is late reads before a newer one has written, and
            // writes after it.
            let names = format!("names/{company}");
            transaction.lock(&names, found().chain(missed())).await?;
        }
        let gate = Gate::open(&mut transaction, company).await?;
        let erased = gate
            .erased(&mut transaction, &keys, found().chain(missed()))
            .await?;
        let contacts: Vec<HeldContactRow> = transaction
            .all_rows(&CONTACTS_OF, found().chain(missed()).map(key).collect())
            .await?;
        let questions: Vec<NumberQuestionRow> = transaction
            .all_rows(
                &QUESTIONS_OF,
                found()
                    .filter(|_| claimed)
                    .chain(missed())
                    .map(key)
                    .collect(),
            )
            .await?;
        let changed = contacts
            .into_iter()
            .filter_map(|row| row.into_contact().transpose())
            .collect::<Result<_, _>>()
            .and_then(|contacts| {
                let before = Before {
                    contacts,
                    questions: questions
                        .into_iter()
                        .map(|row| (row.number.number.clone(), row))
                        .collect(),
                    erased,
                };
                changes(company, request, &before, now)
            });
        let changes = match changed {
            Ok(changes) => changes,
            Err(corrupt) => return Ok(Err(corrupt)),
        };
        let receipt = WriteContactsReceipt {
            outcomes: changes.outcomes,
            gone: u32::try_from(changes.gone.len()).unwrap_or(u32::MAX),
        };
        let put = match request.policy {
            WritePolicy::OnlyMissing => &PUT_ALL_IF_MISSING,
            WritePolicy::Refresh => &PUT_ALL_UNLESS_BY_HAND,
            WritePolicy::Overwrite => &PUT_ALL,
        };
        for (statement, rows) in [(put, changes.put), (&KEEP_HOLDERS, changes.held)] {
            let count = rows.len() as u64;
            if transaction.execute_rows(statement, rows).await? < count {
                return Ok(Ok(None));
            }
        }
        for (statement, rows) in [
            (&FORGET_RECORDS, changes.forgotten),
            (&INDEX_RECORDS, changes.indexed),
            (&ASKED_ALL, changes.asked),
            (&REMOVE_ALL, changes.gone),
        ] {
            transaction.execute_rows(statement, rows).await?;
        }
        let answered =
            rings::answer(&mut transaction, company, found().chain(missed()), now).await?;
        transaction.commit().await?;
        Ok(Ok(Some((receipt, answered))))
    }
}

/// A contact by its number, with the records that hold it.
type HeldContact = (String, (Contact, Held));

// === impl HeldContactRow ===

impl HeldContactRow {
    fn into_contact(self) -> Result<Option<HeldContact>, StoreError> {
        let held = Held {
            json: self.held.holders,
            all: self.held.all_holders,
        };
        let contact = self.contact.into_contact(&Asked::default())?;
        Ok(contact.map(|contact| (contact.number.as_str().to_owned(), (contact, held))))
    }
}

//! What contacts need to follow Salesforce: the records that hold their numbers, and how far a
//! company has followed its org.

use std::collections::BTreeSet;

use jiff::Timestamp;
use sqlx::AssertSqlSafe;

use super::database::rows::{
    ContactRow, HeldRow, NumberRow, QuestionRow, e164, micros, object, time,
};
use super::database::{Arg, args, row, uncrossed};
use super::rules::held::stored;
use super::{Store, StoreError};
use crate::company_id::CompanyId;
use crate::directory::model::Alternatives;
use crate::directory::model::follow::{
    FollowMode, FollowReceipt, FollowState, KnownNumber, KnownNumbers, KnownRecord, KnownRequest,
    PutFollow, RecordsPage, RecordsRequest,
};
use crate::phone::E164;

/// The columns of a number that is known, from `n` (the number), `p` (contact) and `q` (question).
const KNOWN: &str = "SELECT n.number AS number, p.number AS contact_number, p.company_name, p.person_name, p.object, \
     p.record_id, p.link, p.title, p.owner_name, p.alternatives, p.source, p.updated_at, q.asked_at, q.misses, \
     q.settings, q.was_company, q.was_person, q.gone_at, p.holders, p.all_holders FROM (";

const KNOWN_END: &str = ") n LEFT JOIN contacts p ON p.company = $1 AND p.number = n.number \
     LEFT JOIN questions q ON q.company = $1 AND q.number = n.number WHERE n.number > $2 ORDER BY n.number LIMIT $3";

/// Parameters: $1 company, $2 behind this number, $3 most contacts.
pub(crate) const RECORDS: &str = "SELECT number, object, record_id, alternatives, holders FROM contacts \
     WHERE company = $1 AND number > $2 AND source = 'Salesforce' ORDER BY number LIMIT $3";

const STATE: &str = "SELECT revision, watermark, followed_at, mode, reconciled_up_to FROM follows WHERE company = $1";

const ANY_CONTACT: &str = "SELECT number FROM contacts WHERE company = $1 LIMIT 1";

const ANY_QUESTION: &str = "SELECT number FROM questions WHERE company = $1 LIMIT 1";

const KEEP: &str = "INSERT INTO follows (company, revision, watermark, followed_at, mode, reconciled_up_to) \
     VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (company) DO UPDATE SET revision = excluded.revision, \
     watermark = excluded.watermark, followed_at = excluded.followed_at, mode = excluded.mode, \
     reconciled_up_to = excluded.reconciled_up_to";

/// Parameters: $1 company, $2 now.
const ASK_MISSES: &str = "UPDATE questions SET due_at = $2 WHERE company = $1 AND due_at > $2";

row! {
    struct RecordRow {
        number: String,
        object: Option<String>,
        record_id: Option<String>,
        alternatives: Option<String>,
        holders: Option<String>,
    }
}

row! {
    struct StateRow {
        revision: i64,
        watermark: Option<i64>,
        followed_at: Option<i64>,
        mode: Option<String>,
        reconciled_up_to: Option<String>,
    }
}

/// A number that is known, with all that is known about it.
struct KnownNumberRow {
    number: NumberRow,
    contact: ContactRow,
    question: QuestionRow,
    held: HeldRow,
}

// === impl Store ===

impl Store {
    /// The numbers that records are about, and those of a list that are known.
    pub(crate) async fn known_numbers(
        &self,
        company: &CompanyId,
        request: &KnownRequest,
    ) -> Result<KnownNumbers, StoreError> {
        let limit = request.limit as usize;
        let Some((sql, args)) = known(company, request) else {
            return Ok(KnownNumbers {
                numbers: Vec::new(),
                more: false,
            });
        };
        let rows: Vec<KnownNumberRow> = self
            .database
            .all(AssertSqlSafe(sql), args)
            .await
            .map_err(|error| StoreError::sort("find the numbers of records", error))?;
        let more = rows.len() > limit;
        let numbers = rows.into_iter().take(limit);
        let numbers = numbers.filter_map(|row| row.into_known().transpose());
        Ok(KnownNumbers {
            numbers: numbers.collect::<Result<_, _>>()?,
            more,
        })
    }

    /// The records of the contacts behind a number.
    pub(crate) async fn records_of_contacts(
        &self,
        company: &CompanyId,
        request: &RecordsRequest,
    ) -> Result<RecordsPage, StoreError> {
        let args = args![
            company.as_str(),
            request.after.as_str(),
            i64::from(request.limit)
        ];
        let rows: Vec<RecordRow> = self
            .database
            .all(RECORDS, args)
            .await
            .map_err(|error| StoreError::sort("find the records of contacts", error))?;
        let last = rows.last().and_then(|row| e164(&row.number));
        let mut records = BTreeSet::new();
        for row in rows {
            records.extend(row.records()?);
        }
        Ok(RecordsPage {
            records: records.into_iter().collect(),
            last,
        })
    }

    /// How far the company has followed its org.
    pub(crate) async fn follow_state(
        &self,
        company: &CompanyId,
    ) -> Result<FollowState, StoreError> {
        let row: Option<StateRow> = self
            .database
            .optional(STATE, args![company.as_str()])
            .await
            .map_err(|error| StoreError::sort("find out how far changes are followed", error))?;
        let state = row.map_or(Ok(FollowState::default()), StateRow::into_state)?;
        let mut knows_numbers = false;
        for any in [ANY_CONTACT, ANY_QUESTION] {
            let args = args![company.as_str()];
            let row: Option<NumberRow> =
                self.database.optional(any, args).await.map_err(|error| {
                    StoreError::sort("find out whether a number is known", error)
                })?;
            knows_numbers |= row.is_some();
        }
        Ok(FollowState {
            knows_numbers,
            ..state
        })
    }

    /// Keeps how far the company has followed its org, unless another worker was faster.
    pub(crate) async fn put_follow(
        &self,
        company: &CompanyId,
        request: &PutFollow,
        now: Timestamp,
    ) -> Result<FollowReceipt, StoreError> {
        uncrossed(|| self.try_put_follow(company, request, now))
            .await
            .map_err(|error| StoreError::sort("keep how far changes are followed", error))?
    }

    async fn try_put_follow(
        &self,
        company: &CompanyId,
        request: &PutFollow,
        now: Timestamp,
    ) -> Result<Result<FollowReceipt, StoreError>, sqlx::Error> {
        let mut transaction = self.database.begin().await?;
        transaction.lock("follow", [company.as_str()]).await?;
        let row: Option<StateRow> = transaction.optional(STATE, args![company.as_str()]).await?;
        let known = match row.map_or(Ok(FollowState::default()), StateRow::into_state) {
            Ok(known) => known,
            Err(corrupt) => return Ok(Err(corrupt)),
        };
        if known.revision != request.state.revision {
            let stored = false;
            let state = known;
            return Ok(Ok(FollowReceipt { stored, state }));
        }
        let state = FollowState {
            revision: known.revision.saturating_add(1),
            ..request.state.clone()
        };
        let columns = args![
            company.as_str(),
            i64::try_from(state.revision).unwrap_or(i64::MAX),
            state.watermark.map(micros),
            state.followed_at.map(micros),
            state.mode.map(mode_text),
            state.reconciled_up_to.as_deref(),
        ];
        transaction.execute(KEEP, columns).await?;
        if request.ask_misses {
            let args = args![company.as_str(), micros(now)];
            transaction.execute(ASK_MISSES, args).await?;
        }
        transaction.commit().await?;
        let stored = true;
        Ok(Ok(FollowReceipt { stored, state }))
    }
}

/// The statement that finds known numbers; `None` where nothing is asked for. The SQL consists of
/// literals only; every value is a parameter.
pub(crate) fn known(company: &CompanyId, request: &KnownRequest) -> Option<(String, Vec<Arg>)> {
    let after = request.after.as_ref().map_or("", E164::as_str);
    // One number more than requested shows whether there are more.
    let mut args = args![company.as_str(), after, i64::from(request.limit) + 1];
    let mut places = |values: &mut dyn Iterator<Item = String>| {
        let mut list = String::new();
        for value in values {
            args.push(value.into());
            let comma = if list.is_empty() { "" } else { ", " };
            list.push_str(&format!("{comma}${}", args.len()));
        }
        list
    };
    let mut parts = Vec::new();
    if !request.record_ids.is_empty() {
        let ids = places(&mut request.record_ids.iter().cloned());
        parts.push(format!(
            "SELECT number FROM contact_records WHERE company = $1 AND record_id IN ({ids})"
        ));
    }
    if !request.numbers.is_empty() {
        let numbers = places(&mut request.numbers.iter().map(|n| n.as_str().to_owned()));
        parts.push(format!(
            "SELECT number FROM contacts WHERE company = $1 AND number IN ({numbers})"
        ));
        parts.push(format!(
            "SELECT number FROM questions WHERE company = $1 AND number IN ({numbers})"
        ));
    }
    let any = !parts.is_empty();
    any.then(|| (format!("{KNOWN}{}{KNOWN_END}", parts.join(" UNION ")), args))
}

fn mode_text(mode: FollowMode) -> &'static str {
    match mode {
        FollowMode::All => "All",
        FollowMode::NewOnly => "NewOnly",
    }
}

// === impl KnownNumberRow ===

impl<'r, R: sqlx::Row> sqlx::FromRow<'r, R> for KnownNumberRow
where
    NumberRow: sqlx::FromRow<'r, R>,
    ContactRow: sqlx::FromRow<'r, R>,
    QuestionRow: sqlx::FromRow<'r, R>,
    HeldRow: sqlx::FromRow<'r, R>,
{
    fn from_row(row: &'r R) -> Result<Self, sqlx::Error> {
        Ok(Self {
            number: NumberRow::from_row(row)?,
            contact: ContactRow::from_row(row)?,
            question: QuestionRow::from_row(row)?,
            held: HeldRow::from_row(row)?,
        })
    }
}

impl KnownNumberRow {
    /// The number with what is known about it; `None` if this version does not take it for one.
    fn into_known(self) -> Result<Option<KnownNumber>, StoreError> {
        let Some(number) = e164(&self.number.number) else {
            return Ok(None);
        };
        let asked = self.question.into_asked()?;
        let contact = self.contact.into_contact(&asked)?;
        let stored = stored(self.held.holders.as_deref())?;
        let holders = match (stored, &contact) {
            (Some(stored), Some(contact)) => {
                let each = stored.into_iter().map(|holder| holder.into_holder(contact));
                Some(
                    each.filter_map(Result::transpose)
                        .collect::<Result<_, _>>()?,
                )
            }
            _ => None,
        };
        Ok(Some(KnownNumber {
            number,
            contact,
            holders,
            all_holders: self.held.all_holders == Some(1),
            missed: asked.not_found,
        }))
    }
}

// === impl RecordRow ===

impl RecordRow {
    /// The records that hold the contact's number.
    fn records(self) -> Result<Vec<KnownRecord>, StoreError> {
        let own = self.object.as_deref().map(object).transpose()?;
        let own = own.zip(self.record_id);
        let others: Option<Alternatives> = self
            .alternatives
            .map(|json| serde_json::from_str(&json))
            .transpose()
            .map_err(|_| StoreError::Corrupt("a contact's alternatives"))?;
        let others = others.into_iter().flat_map(|others| others.records);
        let held = stored(self.holders.as_deref())?.into_iter().flatten();
        let held = held.filter_map(|holder| Some((holder.object?, holder.record_id)));
        let all = own
            .into_iter()
            .chain(others.map(|other| (other.object, other.record_id)))
            .chain(held);
        Ok(all
            .map(|(object, record_id)| KnownRecord { object, record_id })
            .collect())
    }
}

// === impl StateRow ===

impl StateRow {
    fn into_state(self) -> Result<FollowState, StoreError> {
        Ok(FollowState {
            revision: u64::try_from(self.revision).unwrap_or(0),
            watermark: self.watermark.map(time).transpose()?,
            followed_at: self.followed_at.map(time).transpose()?,
            mode: match self.mode.as_deref() {
                None => None,
                Some("All") => Some(FollowMode::All),
                Some("NewOnly") => Some(FollowMode::NewOnly),
                Some(_) => return Err(StoreError::Corrupt("a mode of following")),
            },
            reconciled_up_to: self.reconciled_up_to,
            knows_numbers: false,
        })
    }
}

//! Whose a company's data is, how long it is kept, its erasure as a whole, and since when its
//! tokens have to be issued.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::audit::{Actor, Record};
use super::database::rows::{micros, time};
use super::database::{Transaction, args, row, uncrossed};
use super::rules::ownership::{Known, belongs, shorter};
use super::{Store, StoreError, audit};
use crate::company_id::CompanyId;
use crate::directory::model::company::{
    Belonging, CompanySettings, CompanyState, EraseCompanyRequest, ErasedCompany, LinkHealth, Owner,
};
use crate::directory::model::revoked::{EndedSession, SESSIONS_LAST};

/// The most rows that one transaction of an erasure deletes. On SQLite the webhooks of all tenants
/// wait for it.
const BATCH: i64 = 1_000;

const FIND: &str =
    "SELECT uid, namespace, name, retain_days, erased_at FROM companies WHERE company = $1";

/// Parameters: $1 company, $2 UID, $3 namespace, $4 name, $5 now, $6 days.
const KEEP: &str = "INSERT INTO companies (company, uid, namespace, name, since, retain_days) \
     VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (company) DO UPDATE SET since = \
     CASE WHEN companies.uid IS NOT DISTINCT FROM excluded.uid THEN companies.since ELSE excluded.since END, \
     uid = excluded.uid, namespace = excluded.namespace, name = excluded.name, \
     retain_days = excluded.retain_days, erased_at = NULL";

/// Parameters: $1 company, $2 now. From now on nothing is taken in.
const CLOSE: &str = "INSERT INTO companies (company, since, erased_at) VALUES ($1, $2, $2) \
     ON CONFLICT (company) DO UPDATE SET erased_at = excluded.erased_at";

/// Parameters: $1 company. The data is nobody's any more.
const LEAVE: &str = "UPDATE companies SET uid = NULL, namespace = NULL, name = NULL, retain_days = NULL \
     WHERE company = $1";

/// Parameters: $1 company, $2 JSON, $3 now.
const TELL: &str = "INSERT INTO links (company, health, told_at) VALUES ($1, $2, $3) \
     ON CONFLICT (company) DO UPDATE SET health = excluded.health, told_at = excluded.told_at";

const TOLD: &str = "SELECT health FROM links WHERE company = $1";

const RETENTIONS: &str = "SELECT company, retain_days FROM companies WHERE retain_days IS NOT NULL";

/// Parameters: $1 company. Whether anything is held about it that a stranger must not see.
const HOLDS_DATA: &str = "SELECT (SELECT company FROM calls WHERE company = $1 LIMIT 1) AS calls, \
     (SELECT company FROM contacts WHERE company = $1 LIMIT 1) AS contacts, \
     (SELECT company FROM questions WHERE company = $1 LIMIT 1) AS questions, \
     (SELECT company FROM records WHERE company = $1 LIMIT 1) AS records";

/// Parameters: $1 company. What a writer has to know first.
const GUARD: &str = "SELECT (SELECT erased_at FROM companies WHERE company = $1) AS closed_at, \
     (SELECT company FROM erased_numbers WHERE company = $1 LIMIT 1) AS erased";

/// Parameters: $1 company, $2 time. A time only goes forward.
const RAISE: &str = "INSERT INTO revocations (company, not_before) VALUES ($1, $2) \
     ON CONFLICT (company) DO UPDATE SET not_before = \
     CASE WHEN excluded.not_before > revocations.not_before THEN excluded.not_before ELSE revocations.not_before END \
     RETURNING company, not_before";

const REVOCATIONS: &str = "SELECT company, not_before FROM revocations";

/// The most ends of sessions that are remembered for a company one by one.
const MOST_ENDED: i64 = 1_000;

/// Parameters: $1 company, $2 session, $3 now, $4 when it would have ended by itself.
const END: &str = "INSERT INTO ended_sessions (company, session, ended_at, until) VALUES ($1, $2, $3, $4) \
     ON CONFLICT (company, session) DO UPDATE SET ended_at = excluded.ended_at, until = excluded.until";

const COUNT_ENDED: &str = "SELECT COUNT(*) AS sessions FROM ended_sessions WHERE company = $1";

const FORGET_ENDED: &str = "DELETE FROM ended_sessions WHERE company = $1";

/// Parameters: $1 now.
const ENDED: &str = "SELECT company, session, ended_at, until FROM ended_sessions WHERE until > $1 ORDER BY company, session";

const PURGE_ENDED: &str = "DELETE FROM ended_sessions WHERE until <= $1";

/// Everything that is held about a company, and how a batch of it is deleted. Parameters: $1
/// company, $2 most rows. The tables that are not here stay: `companies`, which says that nothing
/// is taken in, and `revocations`, by which the tokens are refused.
pub(crate) const EVERYTHING: [(&str, &str); 14] = [
    (
        "calls",
        "DELETE FROM calls WHERE company = $1 AND id IN (SELECT id FROM calls WHERE company = $1 LIMIT $2)",
    ),
    (
        "contact_records",
        "DELETE FROM contact_records WHERE company = $1 AND number IN \
         (SELECT number FROM contact_records WHERE company = $1 LIMIT $2)",
    ),
    (
        "follows",
        "DELETE FROM follows WHERE company = $1 AND company IN \
         (SELECT company FROM follows WHERE company = $1 LIMIT $2)",
    ),
    (
        "contacts",
        "DELETE FROM contacts WHERE company = $1 AND number IN \
         (SELECT number FROM contacts WHERE company = $1 LIMIT $2)",
    ),
    (
        "books",
        "DELETE FROM books WHERE company = $1 AND company IN \
         (SELECT company FROM books WHERE company = $1 LIMIT $2)",
    ),
    (
        "record_numbers",
        "DELETE FROM record_numbers WHERE company = $1 AND (number, record_id) IN \
         (SELECT number, record_id FROM record_numbers WHERE company = $1 LIMIT $2)",
    ),
    (
        "records",
        "DELETE FROM records WHERE company = $1 AND record_id IN \
         (SELECT record_id FROM records WHERE company = $1 LIMIT $2)",
    ),
    (
        "questions",
        "DELETE FROM questions WHERE company = $1 AND number IN \
         (SELECT number FROM questions WHERE company = $1 LIMIT $2)",
    ),
    (
        "rings",
        "DELETE FROM rings WHERE company = $1 AND number IN \
         (SELECT number FROM rings WHERE company = $1 LIMIT $2)",
    ),
    (
        "retrievals",
        "DELETE FROM retrievals WHERE company = $1 AND company IN \
         (SELECT company FROM retrievals WHERE company = $1 LIMIT $2)",
    ),
    (
        "erased_numbers",
        "DELETE FROM erased_numbers WHERE company = $1 AND number_hash IN \
         (SELECT number_hash FROM erased_numbers WHERE company = $1 LIMIT $2)",
    ),
    (
        "links",
        "DELETE FROM links WHERE company = $1 AND company IN \
         (SELECT company FROM links WHERE company = $1 LIMIT $2)",
    ),
    (
        "ended_sessions",
        "DELETE FROM ended_sessions WHERE company = $1 AND session IN \
         (SELECT session FROM ended_sessions WHERE company = $1 LIMIT $2)",
    ),
    (
        "audit",
        "DELETE FROM audit WHERE company = $1 AND (at, id) IN \
         (SELECT at, id FROM audit WHERE company = $1 LIMIT $2)",
    ),
];

row! {
    struct CompanyRow {
        uid: Option<String>,
        namespace: Option<String>,
        name: Option<String>,
        retain_days: Option<i64>,
        erased_at: Option<i64>,
    }
}

row! {
    struct LinkRow {
        health: String,
    }
}

row! {
    struct RetentionRow {
        company: String,
        retain_days: i64,
    }
}

row! {
    struct RevocationRow {
        company: String,
        not_before: i64,
    }
}

row! {
    struct EndedRow {
        company: String,
        session: String,
        ended_at: i64,
        until: i64,
    }
}

row! {
    struct SessionsRow {
        sessions: i64,
    }
}

row! {
    struct HeldRow {
        calls: Option<String>,
        contacts: Option<String>,
        questions: Option<String>,
        records: Option<String>,
    }
}

row! {
    struct GuardRow {
        closed_at: Option<i64>,
        erased: Option<String>,
    }
}

/// What a writer may take in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Admission {
    /// Everything.
    All,
    /// Everything but numbers that were erased.
    NotErased,
    /// Nothing: all that was held about the company was erased.
    Nothing,
}

// === impl Store ===

impl Store {
    /// Claims a company's data for an integration. `most` is the operator's maximum of days.
    pub(crate) async fn claim_company(
        &self,
        company: &CompanyId,
        settings: &CompanySettings,
        most: Option<u32>,
        actor: &Actor,
        now: Timestamp,
    ) -> Result<CompanyState, StoreError> {
        uncrossed(|| self.try_claim_company(company, settings, most, actor, now))
            .await
            .map_err(|error| StoreError::sort("find out whose the data is", error))
    }

    async fn try_claim_company(
        &self,
        company: &CompanyId,
        settings: &CompanySettings,
        most: Option<u32>,
        actor: &Actor,
        now: Timestamp,
    ) -> Result<CompanyState, sqlx::Error> {
        let mut transaction = self.database.begin().await?;
        transaction.lock("company", [company.as_str()]).await?;
        let row: Option<CompanyRow> = transaction.optional(FIND, args![company.as_str()]).await?;
        let holds_data = holds_data(&mut transaction, company).await?;
        let before = row.as_ref().and_then(CompanyRow::owner);
        let known = Known {
            owner: before.as_ref(),
            holds_data,
        };
        let (adopt, had_tokens) = (settings.adopt.as_deref(), settings.had_tokens);
        let belongs = belongs(&known, &settings.owner, adopt, had_tokens, company);
        let other = before.clone().filter(|before| *before != settings.owner);
        let retain_days = shorter(settings.retain_days, most);
        let state = CompanyState {
            belongs,
            other: other.filter(|_| holds_data),
            retain_days,
        };
        if belongs != Belonging::Ours {
            return Ok(state);
        }
        let same = row.is_some_and(|row| {
            row.erased_at.is_none()
                && row.retain_days == settings.retain_days.map(i64::from)
                && before.as_ref() == Some(&settings.owner)
        });
        if same {
            return Ok(state);
        }
        let owner = &settings.owner;
        let columns = args![
            company.as_str(),
            owner.uid.as_str(),
            owner.namespace.as_str(),
            owner.name.as_str(),
            micros(now),
            settings.retain_days.map(i64::from),
        ];
        transaction.execute(KEEP, columns).await?;
        if before.as_ref() != Some(owner) {
            let action = match &state.other {
                Some(_) => audit::DATA_TAKEN_OVER,
                None => audit::DATA_CLAIMED,
            };
            let detail = format!("{}/{} {}", owner.namespace, owner.name, owner.uid);
            let record = Record {
                detail: Some(detail),
                ..Record::new(action)
            };
            audit::write(&mut transaction, company, actor, &record, now).await?;
        }
        transaction.commit().await?;
        Ok(state)
    }

    /// Keeps what the controller says of the link to Salesforce, unless nothing is taken in about
    /// the company.
    pub(crate) async fn tell_link(
        &self,
        company: &CompanyId,
        health: &LinkHealth,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let sort = |error| StoreError::sort("keep what is said of the link", error);
        let json = serde_json::to_string(health).map_err(|_| StoreError::Corrupt("a link"))?;
        let mut transaction = self.database.begin().await.map_err(sort)?;
        let admitted = admission(&mut transaction, company).await.map_err(sort)?;
        if admitted == Admission::Nothing {
            return Ok(());
        }
        let columns = args![company.as_str(), json, micros(now)];
        transaction.execute(TELL, columns).await.map_err(sort)?;
        transaction.commit().await.map_err(sort)?;
        // Calls without a name tell of the link.
        self.changes.tell([Self::history_changed(company)]);
        Ok(())
    }

    /// What the controller last said of the link to Salesforce. What a controller of another
    /// version said that cannot be read counts as nothing.
    pub(crate) async fn link(&self, company: &CompanyId) -> Result<Option<LinkHealth>, StoreError> {
        let row: Option<LinkRow> = self
            .database
            .optional(TOLD, args![company.as_str()])
            .await
            .map_err(|error| StoreError::sort("read what is said of the link", error))?;
        Ok(row.and_then(|row| serde_json::from_str(&row.health).ok()))
    }

    /// For how many days each company wants its calls kept that says so.
    pub(crate) async fn retentions(&self) -> Result<HashMap<String, u32>, sqlx::Error> {
        let rows: Vec<RetentionRow> = self.database.all(RETENTIONS, vec![]).await?;
        let days = |row: RetentionRow| Some((row.company, u32::try_from(row.retain_days).ok()?));
        Ok(rows.into_iter().filter_map(days).collect())
    }

    /// Erases what is held about a company, batch by batch for about as long as `budget`. Its older
    /// tokens are refused first, and nothing is taken in until somebody claims the company again.
    pub(crate) async fn erase_company(
        &self,
        company: &CompanyId,
        request: &EraseCompanyRequest,
        actor: &Actor,
        now: Timestamp,
        budget: Duration,
    ) -> Result<ErasedCompany, StoreError> {
        let sort = |error| StoreError::sort("erase a company", error);
        let began = Instant::now();
        let belongs = uncrossed(|| self.close_company(company, request, now))
            .await
            .map_err(sort)?;
        let mut erased = ErasedCompany {
            done: belongs != Belonging::Ours,
            belongs,
            rows: 0,
        };
        if erased.done {
            return Ok(erased);
        }
        for (_, statement) in EVERYTHING {
            loop {
                let rows = self.take_away(statement, args![company.as_str(), BATCH]);
                let rows = rows.await.map_err(sort)?;
                erased.rows += rows;
                if rows < BATCH as u64 {
                    break;
                }
                if began.elapsed() >= budget {
                    return Ok(erased);
                }
            }
        }
        uncrossed(|| self.leave_company(company, actor, now))
            .await
            .map_err(sort)?;
        self.has_deleted();
        erased.done = true;
        Ok(erased)
    }

    async fn close_company(
        &self,
        company: &CompanyId,
        request: &EraseCompanyRequest,
        now: Timestamp,
    ) -> Result<Belonging, sqlx::Error> {
        let mut transaction = self.database.begin().await?;
        transaction.lock("company", [company.as_str()]).await?;
        let row: Option<CompanyRow> = transaction.optional(FIND, args![company.as_str()]).await?;
        let owner = row.as_ref().and_then(CompanyRow::owner);
        let known = Known {
            owner: owner.as_ref(),
            holds_data: holds_data(&mut transaction, company).await?,
        };
        // Nothing is inherited to be erased: the very integration must be on record.
        let is_own = owner
            .as_ref()
            .is_none_or(|known| known.uid == request.owner.uid);
        let belongs = match belongs(&known, &request.owner, None, request.had_tokens, company) {
            Belonging::Ours if !is_own => Belonging::Another,
            belongs => belongs,
        };
        if belongs == Belonging::Ours {
            let key = args![company.as_str(), micros(now)];
            transaction.execute(CLOSE, key).await?;
            let key = args![company.as_str(), micros(request.not_before)];
            transaction.execute(RAISE, key).await?;
            transaction.commit().await?;
        }
        Ok(belongs)
    }

    async fn leave_company(
        &self,
        company: &CompanyId,
        actor: &Actor,
        now: Timestamp,
    ) -> Result<(), sqlx::Error> {
        let mut transaction = self.database.begin().await?;
        transaction.lock("company", [company.as_str()]).await?;
        transaction.execute(LEAVE, args![company.as_str()]).await?;
        let record = Record::new(audit::COMPANY_ERASED);
        audit::write(&mut transaction, company, actor, &record, now).await?;
        transaction.commit().await
    }

    /// Erases what is held about a company, whosever it is: for who runs the directory. Returns the
    /// number of rows.
    pub(crate) async fn erase_any(
        &self,
        company: &CompanyId,
        now: Timestamp,
    ) -> Result<u64, StoreError> {
        let sort = |error| StoreError::sort("erase a company", error);
        let owner: Option<CompanyRow> = self
            .database
            .optional(FIND, args![company.as_str()])
            .await
            .map_err(sort)?;
        let nobody = Owner {
            uid: String::new(),
            namespace: String::new(),
            name: String::new(),
        };
        let request = EraseCompanyRequest {
            owner: owner.as_ref().and_then(CompanyRow::owner).unwrap_or(nobody),
            had_tokens: true,
            not_before: now,
        };
        let actor = Actor::operator();
        let erased = self.erase_company(company, &request, &actor, now, Duration::MAX);
        erased.await.map(|erased| erased.rows)
    }

    /// From now on refuses tokens of the company that were issued before this time. Returns the
    /// time that holds, which may be a later one of before.
    pub(crate) async fn refuse_tokens_before(
        &self,
        company: &CompanyId,
        at: Timestamp,
    ) -> Result<Timestamp, StoreError> {
        let row = uncrossed(|| self.try_raise(company, at)).await;
        let row = row.map_err(|error| StoreError::sort("revoke tokens", error))?;
        row.map_or(Ok(at), |row| time(row.not_before))
    }

    async fn try_raise(
        &self,
        company: &CompanyId,
        at: Timestamp,
    ) -> Result<Option<RevocationRow>, sqlx::Error> {
        let mut transaction = self.database.begin().await?;
        let key = args![company.as_str(), micros(at)];
        let row = transaction.optional(RAISE, key).await?;
        transaction.commit().await?;
        Ok(row)
    }

    /// All companies with revoked tokens, and since when theirs have to be issued.
    pub(crate) async fn revocations(&self) -> Result<Vec<(CompanyId, Timestamp)>, StoreError> {
        let rows: Vec<RevocationRow> = self
            .database
            .all(REVOCATIONS, vec![])
            .await
            .map_err(|error| StoreError::sort("read which tokens are revoked", error))?;
        rows.into_iter()
            .map(|row| {
                let company = row.company.parse();
                let company = company.map_err(|_| StoreError::Corrupt("a company ID"))?;
                Ok((company, time(row.not_before)?))
            })
            .collect()
    }
}

// === impl Store ===

impl Store {
    /// Remembers that somebody signed out of a session of the pages. Returns what is remembered:
    /// who signs out of a thousand within hours ends all sessions of the company, so that nobody
    /// fills the table.
    pub(crate) async fn end_session(
        &self,
        ended: &EndedSession,
    ) -> Result<EndedSession, StoreError> {
        uncrossed(|| self.try_end_session(ended))
            .await
            .map_err(|error| StoreError::sort("end a session", error))
    }

    async fn try_end_session(&self, ended: &EndedSession) -> Result<EndedSession, sqlx::Error> {
        let company = ended.company.as_str();
        let mut transaction = self.database.begin().await?;
        transaction.lock("sessions", [company]).await?;
        let known: Option<SessionsRow> = transaction.optional(COUNT_ENDED, args![company]).await?;
        let ended = if known.is_some_and(|known| known.sessions >= MOST_ENDED) {
            transaction.execute(FORGET_ENDED, args![company]).await?;
            EndedSession {
                session: String::new(),
                until: ended
                    .ended_at
                    .checked_add(SESSIONS_LAST)
                    .unwrap_or(ended.until),
                ..ended.clone()
            }
        } else {
            ended.clone()
        };
        let row = args![
            company,
            ended.session.as_str(),
            micros(ended.ended_at),
            micros(ended.until),
        ];
        transaction.execute(END, row).await?;
        transaction.commit().await?;
        Ok(ended)
    }

    /// The sessions that ended before their time and would not have ended by now.
    pub(crate) async fn ended_sessions(
        &self,
        now: Timestamp,
    ) -> Result<Vec<EndedSession>, StoreError> {
        let rows: Vec<EndedRow> = self
            .database
            .all(ENDED, args![micros(now)])
            .await
            .map_err(|error| StoreError::sort("read which sessions have ended", error))?;
        let ended = rows.into_iter().map(|row| {
            let company = row.company.parse();
            Ok(EndedSession {
                company: company.map_err(|_| StoreError::Corrupt("a company ID"))?,
                session: row.session,
                ended_at: time(row.ended_at)?,
                until: time(row.until)?,
            })
        });
        ended.collect()
    }

    /// Forgets the sessions that would have ended by now.
    pub(crate) async fn purge_sessions(&self, now: Timestamp) -> Result<u64, StoreError> {
        self.take_away(PURGE_ENDED, args![micros(now)])
            .await
            .map_err(|error| StoreError::sort("forget sessions that have ended", error))
    }
}

/// Locks a company against its erasure for the rest of the transaction, and tells what may be taken
/// in.
pub(crate) async fn admission(
    transaction: &mut Transaction,
    company: &CompanyId,
) -> Result<Admission, sqlx::Error> {
    transaction.share("company", company.as_str()).await?;
    // A statement of its own: it has to see what was committed while the lock was waited for.
    let row: Option<GuardRow> = transaction.optional(GUARD, args![company.as_str()]).await?;
    Ok(match row {
        Some(GuardRow {
            closed_at: Some(_), ..
        }) => Admission::Nothing,
        Some(GuardRow {
            erased: Some(_), ..
        }) => Admission::NotErased,
        _ => Admission::All,
    })
}

async fn holds_data(
    transaction: &mut Transaction,
    company: &CompanyId,
) -> Result<bool, sqlx::Error> {
    let row: Option<HeldRow> = transaction
        .optional(HOLDS_DATA, args![company.as_str()])
        .await?;
    Ok(row.is_some_and(|row| {
        let held = [row.calls, row.contacts, row.questions, row.records];
        held.iter().any(Option::is_some)
    }))
}

// === impl CompanyRow ===

impl CompanyRow {
    fn owner(&self) -> Option<Owner> {
        Some(Owner {
            uid: self.uid.clone()?,
            namespace: self.namespace.clone()?,
            name: self.name.clone()?,
        })
    }
}

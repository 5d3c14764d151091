//! Rings, and which companies have something that waits.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};

use super::changes::{Change, Kind};
use super::database::rows::{e164, micros, time};
use super::database::sets::Kind::{Number, Text};
use super::database::sets::{Rows, Rowwise};
use super::database::{Transaction, args, row, uncrossed};
use super::numbers::Gate;
use super::rules::rings::{COUNTED_OVER, OnRecord, Ring, RingLimits};
use super::work::SURELY_OVER;
use super::{Store, StoreError};
use crate::company_id::CompanyId;
use crate::directory::model::privacy::HeldRing;
use crate::directory::model::rings::{
    ClaimRingsRequest, ClaimedRing, ClaimedRings, LASTS, NotAsked, SettleRingsRequest,
};
use crate::phone::E164;

/// When a ring that could not be asked is handed out again.
const AGAIN_AFTER: Duration = Duration::from_secs(60);

/// The most rows that one transaction deletes.
const BATCH: i64 = 1_000;

/// Parameters: $1 company, $2 number, $3 since when rings are counted.
pub(crate) const ON_RECORD: &str = "SELECT \
     (SELECT p.number FROM contacts p WHERE p.company = $1 AND p.number = $2) AS contact, \
     (SELECT q.asked_at FROM questions q WHERE q.company = $1 AND q.number = $2) AS asked_at, \
     r.rang_at, r.next_at, r.claimed_until, r.not_asked, r.answered_at, \
     (SELECT COUNT(*) FROM rings m WHERE m.company = $1 AND m.recorded_at > $3 \
     AND m.answered_at IS DISTINCT FROM m.recorded_at) AS in_a_minute \
     FROM (SELECT 1 AS one) o LEFT JOIN rings r ON r.company = $1 AND r.number = $2";

/// Parameters: $1 company, $2 number, $3 when it rang, $4 now.
const PUT: &str = "INSERT INTO rings (company, number, rang_at, recorded_at, next_at) VALUES ($1, $2, $3, $4, $4) \
     ON CONFLICT (company, number) DO UPDATE SET rang_at = excluded.rang_at, recorded_at = excluded.recorded_at, \
     next_at = excluded.next_at, holder = NULL, claimed_until = NULL, not_asked = NULL, answered_at = NULL";

/// Parameters: $1 company, $2 number, $3 when it rang. It goes on ringing.
const REPEAT: &str =
    "UPDATE rings SET rang_at = $3 WHERE company = $1 AND number = $2 AND rang_at < $3";

/// What of a company's rings can be taken. Parameters: $1 company, $2 holder, $3 now, $4 later than
/// this they rang.
macro_rules! free {
    () => {
        "company = $1 AND answered_at IS NULL AND rang_at > $4 AND next_at <= $3 \
         AND (holder IS NULL OR holder = $2 OR claimed_until <= $3)"
    };
}

const ANY_FREE: &str = concat!("SELECT number FROM rings WHERE ", free!(), " LIMIT 1");

/// Parameters: those of [`free`], $5 most, $6 end of the lease.
pub(crate) const CLAIM: &str = concat!(
    "UPDATE rings SET holder = $2, claimed_until = $6 WHERE company = $1 AND number IN (\
       SELECT number FROM rings WHERE ",
    free!(),
    " ORDER BY CASE WHEN holder = $2 THEN 0 ELSE 1 END, rang_at DESC, number LIMIT $5) \
     RETURNING number, rang_at, \
       (SELECT q.due_at FROM questions q WHERE q.company = rings.company AND q.number = rings.number) AS due_at"
);

/// Parameters: $1 company.
pub(crate) const ANY_OPEN: &str =
    "SELECT number FROM rings WHERE company = $1 AND answered_at IS NULL LIMIT 1";

const ANSWER: Rowwise = Rowwise {
    columns: &[("company", Text), ("number", Text), ("answered_at", Number)],
    sql: "UPDATE rings SET answered_at = (SELECT MAX(n.answered_at) FROM n), holder = NULL, claimed_until = NULL, \
         not_asked = NULL WHERE answered_at IS NULL AND (company, number) IN (SELECT company, number FROM n) \
         RETURNING number",
};

const SETTLE: Rowwise = Rowwise {
    columns: &[
        ("company", Text),
        ("number", Text),
        ("holder", Text),
        ("not_asked", Text),
        ("next_at", Number),
    ],
    sql: "UPDATE rings SET not_asked = (SELECT MAX(n.not_asked) FROM n), next_at = (SELECT MAX(n.next_at) FROM n), \
         holder = NULL, claimed_until = NULL WHERE answered_at IS NULL \
         AND (company, number, holder) IN (SELECT company, number, holder FROM n) RETURNING number",
};

/// Parameters: $1 company, $2 number.
const HELD: &str =
    "SELECT rang_at, answered_at, not_asked FROM rings WHERE company = $1 AND number = $2";

/// A ring of a number about which Salesforce need not be asked, for call screens alone. It counts
/// as answered at once, and not for the rate. Parameters: $1 company, $2 number, $3 when it rang,
/// $4 now.
const SHOW: &str = "INSERT INTO rings (company, number, rang_at, recorded_at, next_at, answered_at) \
     VALUES ($1, $2, $3, $4, $4, $4) ON CONFLICT (company, number) DO UPDATE SET rang_at = excluded.rang_at, \
     recorded_at = excluded.recorded_at, next_at = excluded.next_at, answered_at = excluded.answered_at \
     WHERE rings.answered_at IS NOT NULL AND rings.rang_at < excluded.rang_at";

/// What rings of a company. Parameters: $1 company, $2 since when it was put on record, $3 most.
const RINGING: &str = "SELECT number, rang_at, answered_at, not_asked FROM rings \
     WHERE company = $1 AND recorded_at > $2 ORDER BY recorded_at DESC LIMIT $3";

/// Parameters: $1 company, $2 number, $3 now.
const WHY: &str = "SELECT not_asked FROM rings WHERE company = $1 AND number = $2 AND next_at > $3 \
     AND answered_at IS NULL AND not_asked IS NOT NULL";

/// Parameters: $1 before, $2 most rows.
const PURGE: &str = "DELETE FROM rings WHERE (company, number) IN \
     (SELECT company, number FROM rings WHERE rang_at < $1 LIMIT $2)";

/// The companies with calls that can be taken, and when about the oldest of these began: of the
/// first twenty that are found, so that a company with many costs no more than others. It steps
/// from company to company in the index of the open calls. Parameters: $1 now, $2 a call that
/// started before this time has ended. Of a company whose calls are all held, the time is null: it
/// is left out by the reader, since SQLite would look twice to filter by it.
pub(crate) const WITH_CALLS: &str = "WITH RECURSIVE steps (company) AS (\
       SELECT MIN(company) FROM calls WHERE lookup = 'Pending' \
       UNION ALL SELECT (SELECT MIN(n.company) FROM calls n WHERE n.lookup = 'Pending' AND n.company > steps.company) \
       FROM steps WHERE steps.company IS NOT NULL) \
     SELECT found.company, found.oldest, o.namespace FROM (\
       SELECT steps.company, (SELECT MIN(sample.started_at) FROM (\
         SELECT w.started_at FROM calls w WHERE w.company = steps.company AND w.lookup = 'Pending' \
         AND (w.ended_at IS NOT NULL OR w.started_at < $2) AND (w.holder IS NULL OR w.claimed_until <= $1) \
         ORDER BY w.lookup_key LIMIT 20) sample) AS oldest \
       FROM steps WHERE steps.company IS NOT NULL) found \
     LEFT JOIN companies o ON o.company = found.company";

/// The companies with rings that can be taken. Parameters: $1 now, $2 later than this they rang.
pub(crate) const WITH_RINGS: &str = "SELECT found.company, found.oldest, o.namespace FROM (\
       SELECT company, MIN(rang_at) AS oldest FROM rings WHERE answered_at IS NULL AND rang_at > $2 AND next_at <= $1 \
       AND (holder IS NULL OR claimed_until <= $1) GROUP BY company) found \
     LEFT JOIN companies o ON o.company = found.company";

const NAMESPACE: &str = "SELECT company, namespace FROM companies WHERE company = $1";

row! {
    struct NumberRow {
        number: String,
    }
}

row! {
    struct ClaimedRow {
        number: String,
        rang_at: i64,
        due_at: Option<i64>,
    }
}

row! {
    struct RingingRow {
        number: String,
        rang_at: i64,
        answered_at: Option<i64>,
        not_asked: Option<String>,
    }
}

/// A number that rings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ringing {
    pub(crate) number: E164,
    pub(crate) rang_at: Timestamp,
    /// Whether Salesforce has said what it knows.
    pub(crate) answered: bool,
    /// Why it could not be asked when that was last tried.
    pub(crate) not_asked: Option<NotAsked>,
}

row! {
    struct HeldRow {
        rang_at: i64,
        answered_at: Option<i64>,
        not_asked: Option<String>,
    }
}

row! {
    struct WhyRow {
        not_asked: String,
    }
}

row! {
    struct WaitingRow {
        company: String,
        oldest: Option<i64>,
        namespace: Option<String>,
    }
}

row! {
    struct NamespaceRow {
        company: String,
        namespace: Option<String>,
    }
}

/// A company of which something waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Listed {
    pub(crate) company: CompanyId,
    pub(crate) calls: bool,
    pub(crate) rings: bool,
    /// The namespace of the integration that the data is of.
    pub(crate) namespace: Option<String>,
    oldest: i64,
}

/// All that waits.
#[derive(Debug, Clone)]
pub(crate) struct List {
    /// What is told behind this position may not be in it.
    pub(crate) position: u64,
    /// The companies with rings first, then about the oldest first.
    pub(crate) companies: Arc<Vec<Listed>>,
    read_at: Instant,
}

// === impl Store ===

impl Store {
    /// A number rings: puts it on record, as far as Salesforce is to be asked about it.
    pub(crate) async fn ring(
        &self,
        company: &CompanyId,
        number: &E164,
        rang_at: Timestamp,
        limits: &RingLimits,
        now: Timestamp,
    ) -> Result<Ring, StoreError> {
        let sort = |error| StoreError::sort("put a ring on record", error);
        // Most rings change nothing, and need not wait for a writer.
        let args = on_record_args(company, number, now);
        let record: Option<OnRecord> = self
            .database
            .optional(ON_RECORD, args)
            .await
            .map_err(sort)?;
        let ring = record.unwrap_or_default().rings(limits, now);
        let ring = match ring {
            Ring::Waits { write: true, .. } => {
                uncrossed(|| self.try_ring(company, number, rang_at, limits, now))
                    .await
                    .map_err(sort)?
            }
            other => other,
        };
        if let Ring::Waits { wake: true, .. } = ring {
            let company = company.clone();
            let kind = Kind::RingsWait;
            self.changes.tell([Change { company, kind }]);
        }
        Ok(ring)
    }

    async fn try_ring(
        &self,
        company: &CompanyId,
        number: &E164,
        rang_at: Timestamp,
        limits: &RingLimits,
        now: Timestamp,
    ) -> Result<Ring, sqlx::Error> {
        let keys = self.number_keys();
        let mut transaction = self.database.begin_fleeting().await?;
        // One at a time, so that no two exceed the rate together.
        transaction.lock("rings", [company.as_str()]).await?;
        let gate = Gate::open(&mut transaction, company).await?;
        if gate.refuses(&mut transaction, &keys, number).await? {
            return Ok(Ring::Erased);
        }
        let args = on_record_args(company, number, now);
        let record: Option<OnRecord> = transaction.optional(ON_RECORD, args).await?;
        let record = record.unwrap_or_default();
        let ring = record.rings(limits, now);
        if let Ring::Waits { write: true, .. } = ring {
            let mut args = args![company.as_str(), number.as_str(), micros(rang_at)];
            let statement = match record.is_open(now) {
                true => REPEAT,
                false => {
                    args.extend(args![micros(now)]);
                    PUT
                }
            };
            transaction.execute(statement, args).await?;
            transaction.commit().await?;
        }
        Ok(ring)
    }

    /// Why Salesforce could not be asked about a number that rings, until that is tried again.
    pub(crate) async fn why_not_asked(
        &self,
        company: &CompanyId,
        number: &E164,
        now: Timestamp,
    ) -> Result<Option<NotAsked>, StoreError> {
        let args = args![company.as_str(), number.as_str(), micros(now)];
        let row: Option<WhyRow> = self
            .database
            .optional(WHY, args)
            .await
            .map_err(|error| StoreError::sort("look a number up", error))?;
        Ok(row.map(|row| NotAsked::read(&row.not_asked)))
    }

    /// Puts a ring on record for call screens alone: Salesforce need not be asked about the number.
    pub(crate) async fn show_ring(
        &self,
        company: &CompanyId,
        number: &E164,
        rang_at: Timestamp,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        uncrossed(|| self.try_show_ring(company, number, rang_at, now))
            .await
            .map_err(|error| StoreError::sort("put a ring on record", error))?;
        self.changes.tell([Self::history_changed(company)]);
        Ok(())
    }

    async fn try_show_ring(
        &self,
        company: &CompanyId,
        number: &E164,
        rang_at: Timestamp,
        now: Timestamp,
    ) -> Result<(), sqlx::Error> {
        let keys = self.number_keys();
        let mut transaction = self.database.begin_fleeting().await?;
        let gate = Gate::open(&mut transaction, company).await?;
        if gate.refuses(&mut transaction, &keys, number).await? {
            return Ok(());
        }
        let args = args![
            company.as_str(),
            number.as_str(),
            micros(rang_at),
            micros(now)
        ];
        transaction.execute(SHOW, args).await?;
        transaction.commit().await
    }

    /// What rings, or did since this time, the newest first.
    pub(crate) async fn ringing(
        &self,
        company: &CompanyId,
        since: Timestamp,
        most: u32,
    ) -> Result<Vec<Ringing>, StoreError> {
        let rows: Vec<RingingRow> = self
            .database
            .all(
                RINGING,
                args![company.as_str(), micros(since), i64::from(most)],
            )
            .await
            .map_err(|error| StoreError::sort("read what rings", error))?;
        rows.into_iter()
            .map(|row| {
                Ok(Ringing {
                    number: e164(&row.number).ok_or(StoreError::Corrupt("a ring"))?,
                    rang_at: time(row.rang_at)?,
                    answered: row.answered_at.is_some(),
                    not_asked: row.not_asked.as_deref().map(NotAsked::read),
                })
            })
            .collect()
    }

    /// What is held about a ring of the number.
    pub(crate) async fn held_ring(
        &self,
        company: &CompanyId,
        number: &E164,
    ) -> Result<Option<HeldRing>, StoreError> {
        let row: Option<HeldRow> = self
            .database
            .optional(HELD, args![company.as_str(), number.as_str()])
            .await
            .map_err(|error| StoreError::sort("look a number up", error))?;
        row.map(|row| {
            Ok(HeldRing {
                rang_at: time(row.rang_at)?,
                answered_at: row.answered_at.map(time).transpose()?,
                not_asked: row.not_asked.as_deref().map(NotAsked::read),
            })
        })
        .transpose()
    }

    /// Leases rings, see [`ClaimRingsRequest`].
    pub(crate) async fn claim_rings(
        &self,
        company: &CompanyId,
        request: &ClaimRingsRequest,
        now: Timestamp,
    ) -> Result<ClaimedRings, StoreError> {
        let claimed_until = now
            .checked_add(SignedDuration::from_secs(i64::from(request.claim_for)))
            .map_err(|_| StoreError::Corrupt("a time"))?;
        let rows = uncrossed(|| self.try_claim_rings(company, request, now, claimed_until))
            .await
            .map_err(|error| StoreError::sort("hand out rings", error))?;
        let mut rings: Vec<ClaimedRing> = rows
            .into_iter()
            .map(|row| {
                Ok(ClaimedRing {
                    number: e164(&row.number).ok_or(StoreError::Corrupt("a ring"))?,
                    rang_at: time(row.rang_at)?,
                    missed: row.due_at.is_some_and(|due_at| due_at > micros(now)),
                })
            })
            .collect::<Result<_, StoreError>>()?;
        rings.sort_by(|a, b| (b.rang_at, &a.number).cmp(&(a.rang_at, &b.number)));
        Ok(ClaimedRings {
            rings,
            claimed_until,
        })
    }

    async fn try_claim_rings(
        &self,
        company: &CompanyId,
        request: &ClaimRingsRequest,
        now: Timestamp,
        claimed_until: Timestamp,
    ) -> Result<Vec<ClaimedRow>, sqlx::Error> {
        let mut args = args![
            company.as_str(),
            request.holder.as_str(),
            micros(now),
            micros(oldest_ring(now)),
        ];
        let any: Option<NumberRow> = self.database.optional(ANY_FREE, args.clone()).await?;
        if any.is_none() {
            return Ok(Vec::new());
        }
        args.extend(args![i64::from(request.limit), micros(claimed_until)]);
        let mut transaction = self.database.begin_fleeting().await?;
        transaction.lock("rings", [company.as_str()]).await?;
        let rows = transaction.all(CLAIM, args).await?;
        transaction.commit().await?;
        Ok(rows)
    }

    /// Says why rings could not be asked, see [`SettleRingsRequest`]. Returns how many.
    pub(crate) async fn settle_rings(
        &self,
        company: &CompanyId,
        request: &SettleRingsRequest,
        now: Timestamp,
    ) -> Result<u32, StoreError> {
        let settled = uncrossed(|| self.try_settle_rings(company, request, now))
            .await
            .map_err(|error| StoreError::sort("settle rings", error))?;
        let count = u32::try_from(settled.len()).unwrap_or(u32::MAX);
        self.changes.tell(self.ring_changes(company, settled));
        Ok(count)
    }

    async fn try_settle_rings(
        &self,
        company: &CompanyId,
        request: &SettleRingsRequest,
        now: Timestamp,
    ) -> Result<Vec<String>, sqlx::Error> {
        let next_at = now.checked_add(AGAIN_AFTER).unwrap_or(now);
        let rows = request.numbers.iter().map(|number| {
            args![
                company.as_str(),
                number.as_str(),
                request.holder.as_str(),
                request.why.word(),
                micros(next_at)
            ]
        });
        let rows: Rows = rows.collect();
        let mut transaction = self.database.begin_fleeting().await?;
        transaction.lock("rings", [company.as_str()]).await?;
        let settled: Vec<NumberRow> = transaction.all_rows(&SETTLE, rows).await?;
        transaction.commit().await?;
        Ok(settled.into_iter().map(|row| row.number).collect())
    }

    /// What is told of rings about which something was said.
    pub(super) fn ring_changes(
        &self,
        company: &CompanyId,
        numbers: Vec<String>,
    ) -> impl Iterator<Item = Change> + use<> {
        let (keys, company) = (self.number_keys(), company.clone());
        numbers.into_iter().map(move |number| Change {
            kind: Kind::Ring(keys.hash(&company, &number)),
            company: company.clone(),
        })
    }

    /// Deletes rings of before this time.
    pub(crate) async fn purge_rings(&self, before: Timestamp) -> Result<(), StoreError> {
        loop {
            let rows = self.take_away(PURGE, args![micros(before), BATCH]).await;
            let rows = rows.map_err(|error| StoreError::sort("take old rings away", error))?;
            if rows < BATCH as u64 {
                return Ok(());
            }
        }
    }

    /// All that waits and can be taken now. It is read once for all who ask while another one is
    /// read: it costs a look at each company.
    pub(crate) async fn list_who_waits(&self, now: Timestamp) -> Result<List, StoreError> {
        let asked_at = Instant::now();
        let mut last = self.last_list.lock().await;
        if let Some(list) = &*last
            && list.read_at > asked_at
        {
            return Ok(list.clone());
        }
        let read_at = Instant::now();
        // Before the read: what is committed later is told behind this position.
        let (position, _) = self.changes.position();
        let list = List {
            position,
            companies: Arc::new(self.who_waits(now).await?),
            read_at,
        };
        *last = Some(list.clone());
        Ok(list)
    }

    /// The companies of which something waits that can be taken now: those with rings first, then
    /// about the oldest first.
    pub(crate) async fn who_waits(&self, now: Timestamp) -> Result<Vec<Listed>, StoreError> {
        let sort = |error| StoreError::sort("find out who waits", error);
        let over = micros(now).saturating_sub(SURELY_OVER.as_micros() as i64);
        let calls = self.database.all(WITH_CALLS, args![micros(now), over]);
        let calls: Vec<WaitingRow> = calls.await.map_err(sort)?;
        let args = args![micros(now), micros(oldest_ring(now))];
        let rings: Vec<WaitingRow> = self.database.all(WITH_RINGS, args).await.map_err(sort)?;
        Ok(listed(calls, rings))
    }

    /// The namespace of the integration that the company's data is of.
    pub(crate) async fn namespace(
        &self,
        company: &CompanyId,
    ) -> Result<Option<String>, StoreError> {
        let row: Option<NamespaceRow> = self
            .database
            .optional(NAMESPACE, args![company.as_str()])
            .await
            .map_err(|error| StoreError::sort("find out whose the data is", error))?;
        Ok(row
            .filter(|row| row.company == company.as_str())
            .and_then(|row| row.namespace))
    }
}

/// Marks rings of these numbers as answered, and returns those that were.
pub(super) async fn answer<'n>(
    transaction: &mut Transaction,
    company: &CompanyId,
    numbers: impl IntoIterator<Item = &'n str>,
    now: Timestamp,
) -> Result<Vec<String>, sqlx::Error> {
    // A run writes thousands of numbers, of which hardly any rings.
    let any: Option<NumberRow> = transaction
        .optional(ANY_OPEN, args![company.as_str()])
        .await?;
    if any.is_none() {
        return Ok(Vec::new());
    }
    let rows: Rows = numbers
        .into_iter()
        .map(|number| args![company.as_str(), number, micros(now)])
        .collect();
    let answered: Vec<NumberRow> = transaction.all_rows(&ANSWER, rows).await?;
    Ok(answered.into_iter().map(|row| row.number).collect())
}

fn on_record_args(company: &CompanyId, number: &E164, now: Timestamp) -> Vec<super::database::Arg> {
    let counted = now.checked_sub(COUNTED_OVER).unwrap_or(Timestamp::MIN);
    args![company.as_str(), number.as_str(), micros(counted)]
}

/// A ring of before this time is none any more.
fn oldest_ring(now: Timestamp) -> Timestamp {
    now.checked_sub(LASTS).unwrap_or(Timestamp::MIN)
}

fn listed(calls: Vec<WaitingRow>, rings: Vec<WaitingRow>) -> Vec<Listed> {
    let mut found: HashMap<String, Listed> = HashMap::new();
    let calls = calls.into_iter().map(|row| (row, false));
    for (row, is_ring) in calls.chain(rings.into_iter().map(|row| (row, true))) {
        // A company that this version cannot have written is nobody's.
        let (Ok(company), Some(oldest)) = (row.company.parse(), row.oldest) else {
            continue;
        };
        let listed = found.entry(row.company).or_insert_with(|| Listed {
            company,
            calls: false,
            rings: false,
            namespace: row.namespace,
            oldest,
        });
        listed.oldest = listed.oldest.min(oldest);
        match is_ring {
            true => listed.rings = true,
            false => listed.calls = true,
        }
    }
    let mut all: Vec<Listed> = found.into_values().collect();
    all.sort_by(|a, b| (!a.rings, a.oldest, &a.company).cmp(&(!b.rings, b.oldest, &b.company)));
    all
}

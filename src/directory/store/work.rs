//! The workers' side: the calls to resolve, their holders, and the calls that are done.

use std::collections::HashMap;

use jiff::{SignedDuration, Timestamp};

use super::calls::{REMOVE, calls_of};
use super::database::rows::{e164, micros, time};
use super::database::{args, row, uncrossed};
use super::numbers::Gate;
use super::{Store, StoreError};
use crate::company_id::CompanyId;
use crate::directory::model::{
    ClaimRequest, ClaimedCall, ClaimedCalls, DoneCall, DoneReceipt, MAX_CLAIMED, Reading,
};

/// A call whose end was never reported counts as ended this long after its start, so that no call
/// is lost.
pub(super) const SURELY_OVER: SignedDuration = SignedDuration::from_hours(4);

/// Parameters: $1 company, $2 holder, $3 since, $4 until, $5 a call that started before this time
/// has ended, $6 now.
const SETTLE: &str = "UPDATE calls SET lookup = 'Done', done_at = $6, holder = NULL, claimed_until = NULL \
     WHERE company = $1 AND lookup = 'Pending' AND started_at >= $3 AND started_at < $4 \
     AND (ended_at IS NOT NULL OR started_at < $5) AND (holder IS NULL OR holder = $2 OR claimed_until <= $6) \
     AND EXISTS (SELECT 1 FROM contacts p WHERE p.company = calls.company AND p.number = calls.e164)";

/// Parameters: those of [`SETTLE`], $7 most numbers, $8 end of the lease, $9 most calls. If another
/// holder has a call of a number, that number is left to that holder, so that no number is looked
/// up twice.
pub(crate) const CLAIM: &str = "WITH keys AS (\
       SELECT lookup_key, MIN(started_at) AS oldest, MAX(CASE WHEN holder = $2 THEN 1 ELSE 0 END) AS held \
       FROM calls WHERE company = $1 AND lookup = 'Pending' AND started_at >= $3 AND started_at < $4 \
       AND (ended_at IS NOT NULL OR started_at < $5) GROUP BY lookup_key \
       HAVING SUM(CASE WHEN holder <> $2 AND claimed_until > $6 THEN 1 ELSE 0 END) = 0 \
       ORDER BY held DESC, oldest, lookup_key LIMIT $7) \
     UPDATE calls SET holder = $2, claimed_until = $8 WHERE company = $1 AND lookup = 'Pending' AND id IN (\
       SELECT c.id FROM calls c JOIN keys k ON k.lookup_key = c.lookup_key \
       WHERE c.company = $1 AND c.lookup = 'Pending' AND c.started_at >= $3 AND c.started_at < $4 \
       AND (c.ended_at IS NOT NULL OR c.started_at < $5) \
       ORDER BY k.held DESC, k.oldest, k.lookup_key, c.started_at LIMIT $9) \
     RETURNING id, number, e164, started_at, ended_at, lookup_key, \
       (SELECT q.due_at FROM questions q WHERE q.company = calls.company AND q.number = calls.e164) AS due_at";

/// Parameters: $1 company, $2 ID, $3 number or null, $4 reason or null, $5 now. An internal call
/// does not change.
const DONE: &str = "UPDATE calls SET e164 = $3, not_looked_up = $4, holder = NULL, claimed_until = NULL, \
     done_at = CASE WHEN lookup = 'Done' THEN done_at ELSE $5 END, lookup = 'Done' \
     WHERE company = $1 AND id = $2 AND lookup <> 'None'";

const RELEASE: &str =
    "UPDATE calls SET holder = NULL, claimed_until = NULL WHERE company = $1 AND holder = $2";

row! {
    struct ClaimedRow {
        id: String,
        number: Option<String>,
        e164: Option<String>,
        started_at: i64,
        ended_at: Option<i64>,
        lookup_key: Option<String>,
        due_at: Option<i64>,
    }
}

// === impl Store ===

impl Store {
    /// Leases calls to resolve, see [`ClaimRequest`]. Leases are compared by `now`, so that is the
    /// [time that replicas share](Self::shared_time).
    pub(crate) async fn claim(
        &self,
        company: &CompanyId,
        request: &ClaimRequest,
        now: Timestamp,
    ) -> Result<ClaimedCalls, StoreError> {
        let claimed_until = now
            .checked_add(SignedDuration::from_secs(i64::from(request.claim_for)))
            .map_err(|_| StoreError::Corrupt("a time"))?;
        let (settled, rows) = uncrossed(|| self.try_claim(company, request, now, claimed_until))
            .await
            .map_err(|error| StoreError::sort("hand out calls", error))?;
        Ok(ClaimedCalls {
            calls: in_order(rows, now)?,
            claimed_at: Some(now),
            claimed_until,
            settled,
        })
    }

    async fn try_claim(
        &self,
        company: &CompanyId,
        request: &ClaimRequest,
        now: Timestamp,
        claimed_until: Timestamp,
    ) -> Result<(u32, Vec<ClaimedRow>), sqlx::Error> {
        let since = request.since.map_or(i64::MIN, micros);
        let until = request.until.map_or(i64::MAX, micros);
        let over = micros(now).saturating_sub(SURELY_OVER.as_micros() as i64);
        let mut args = args![
            company.as_str(),
            request.holder.as_str(),
            since,
            until,
            over,
            micros(now),
        ];
        let mut transaction = self.database.begin().await?;
        // One lease request per company at a time. `SKIP LOCKED` would skip rows, but it is numbers
        // that must not be shared.
        transaction.lock("claim", [company.as_str()]).await?;
        let mut settled = 0;
        if request.only_missing {
            settled = transaction.execute(SETTLE, args.clone()).await? as u32;
        }
        args.extend(args![
            i64::from(request.limit),
            micros(claimed_until),
            MAX_CLAIMED as i64
        ]);
        transaction.expect_many_rows().await?;
        let rows = transaction.all(CLAIM, args).await?;
        transaction.commit().await?;
        Ok((settled, rows))
    }

    pub(crate) async fn done(
        &self,
        company: &CompanyId,
        calls: &[DoneCall],
        now: Timestamp,
    ) -> Result<DoneReceipt, StoreError> {
        let receipt = uncrossed(|| self.try_done(company, calls, now))
            .await
            .map_err(|error| StoreError::sort("mark calls done", error))?;
        self.changes.tell([Self::history_changed(company)]);
        Ok(receipt)
    }

    async fn try_done(
        &self,
        company: &CompanyId,
        calls: &[DoneCall],
        now: Timestamp,
    ) -> Result<DoneReceipt, sqlx::Error> {
        let mut receipt = DoneReceipt {
            done: 0,
            unknown: 0,
        };
        let keys = self.number_keys();
        let mut transaction = self.database.begin().await?;
        // The lock keeps a webhook that completes the call at this moment from undoing the change.
        let ids = calls.iter().map(|call| call.id.as_str());
        transaction.lock(&calls_of(company), ids).await?;
        let gate = Gate::open(&mut transaction, company).await?;
        let numbers = calls.iter().filter_map(|call| match &call.reading {
            Reading::E164(number) => Some(number.as_str()),
            Reading::NotLookedUp(_) => None,
        });
        let gone = gate.erased(&mut transaction, &keys, numbers).await?;
        for call in calls {
            let (number, reason) = match &call.reading {
                Reading::E164(number) => (Some(number.as_str()), None),
                Reading::NotLookedUp(reason) => (None, Some(reason.as_str())),
            };
            if number.is_some_and(|number| gone.contains(number)) {
                // The worker read it otherwise than the directory.
                let key = args![company.as_str(), call.id.as_str()];
                transaction.execute(REMOVE, key).await?;
                receipt.unknown += 1;
                continue;
            }
            let args = args![
                company.as_str(),
                call.id.as_str(),
                number,
                reason,
                micros(now)
            ];
            let counted = match transaction.execute(DONE, args).await? {
                0 => &mut receipt.unknown,
                _ => &mut receipt.done,
            };
            *counted += 1;
        }
        transaction.commit().await?;
        Ok(receipt)
    }

    /// Releases the calls that a holder has not finished. Returns their number.
    pub(crate) async fn release(
        &self,
        company: &CompanyId,
        holder: &str,
    ) -> Result<u32, StoreError> {
        uncrossed(|| self.try_release(company, holder))
            .await
            .map_err(|error| StoreError::sort("take calls back", error))
    }

    async fn try_release(&self, company: &CompanyId, holder: &str) -> Result<u32, sqlx::Error> {
        let mut transaction = self.database.begin().await?;
        let rows = transaction
            .execute(RELEASE, args![company.as_str(), holder])
            .await?;
        transaction.commit().await?;
        Ok(rows as u32)
    }
}

/// Sorts the oldest number first and keeps its calls together. A database returns updated rows in
/// any order.
fn in_order(mut rows: Vec<ClaimedRow>, now: Timestamp) -> Result<Vec<ClaimedCall>, StoreError> {
    let mut oldest: HashMap<Option<String>, i64> = HashMap::new();
    for row in &rows {
        let first = oldest
            .entry(row.lookup_key.clone())
            .or_insert(row.started_at);
        *first = row.started_at.min(*first);
    }
    rows.sort_by(|a, b| {
        let key = |row: &ClaimedRow| oldest.get(&row.lookup_key).copied();
        (key(a), &a.lookup_key, a.started_at, &a.id).cmp(&(
            key(b),
            &b.lookup_key,
            b.started_at,
            &b.id,
        ))
    });
    rows.into_iter()
        .map(|row| {
            Ok(ClaimedCall {
                number: row
                    .number
                    .ok_or(StoreError::Corrupt("a call to resolve without a number"))?,
                e164: row.e164.as_deref().and_then(e164),
                started_at: time(row.started_at)?,
                ended_at: row.ended_at.map(time).transpose()?,
                missed: row.due_at.is_some_and(|due_at| due_at > micros(now)),
                id: row.id,
            })
        })
        .collect()
}

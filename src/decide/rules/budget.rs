//! The arithmetic of an org's API requests: whose share is how large, what of it is free, what a run may make of it.
//!
//! Salesforce counts requests over a rolling day (facts: Salesforce 2.2: 14,500 at 05:00 and 499 at 23:00 leave one until 05:00), and so is counted
//! here: by the hour, each hour's requests until a day after the last of them, which errs on the safe side.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use crate::api::status::{QueryUrlLength, Spending};

/// How long a request counts.
pub const WINDOW: Duration = Duration::from_secs(24 * 3600);
/// A run's allowance is rounded down to whole sixteenths of the share: what stands in a CronJob then changes rarely.
const STEPS: u64 = 16;
/// From this part of its share on an integration is warned, in per cent.
const WARNING_PERCENT: u64 = 80;
/// Requests of one proof of the connection; a fourth where a session had expired.
const CALLS_OF_A_PROOF: u64 = 3;
/// Requests a second that a run may have made which left no report. It makes one at a time, and none takes less than a tenth of a
/// second over the Internet.
const UNREPORTED_CALLS_A_SECOND: u64 = 10;
/// How long longer URLs are not tried after an org refused them: what was in the way then may be gone.
const URL_REFUSAL_KEPT: Duration = Duration::from_secs(7 * 24 * 3600);

/// Who made a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spender {
    /// A proof of the connection.
    Proof,
    /// A run.
    Run,
}

/// What one integration may use within a day, and has used.
#[derive(Clone, Debug, PartialEq)]
pub struct Budget {
    /// Requests that it may make within a day.
    pub share: u64,
    /// Requests that its proofs make within a day: no run may use those.
    pub proofs_a_day: u64,
    /// Requests that it made, newest first.
    pub spent: Vec<Spending>,
    /// How many runs the free requests must suffice for. Two where the next run may start before it is known what the last one used.
    pub runs_at_once: u64,
}

/// An integration's share of an org's `limit`, where it asks for `percent` and its neighbours in the org for `others` together. They
/// share what there is: beyond 100 per cent each gets that much less. At least one request, so that it does not stand still for ever.
pub fn share(limit: u64, percent: u64, others: u64) -> u64 {
    let asked = percent.saturating_add(others).max(100);
    let share = u128::from(limit) * u128::from(percent) / u128::from(asked);
    u64::try_from(share).unwrap_or(u64::MAX).max(1)
}

/// Whether the integrations of an org ask for more than there is.
pub fn is_overbooked(percent: u64, others: u64) -> bool {
    percent.saturating_add(others) > 100
}

/// Requests that proofs make within a day at that interval.
pub fn proofs_a_day(interval: Duration) -> u64 {
    CALLS_OF_A_PROOF * WINDOW.as_secs().div_ceil(interval.as_secs().max(1))
}

/// What a run that left no report counts for, when it lasted so long and was allowed so much.
pub fn unreported(lasted: Duration, allowance: Option<u64>) -> u64 {
    let most = (lasted.as_secs() + 1).saturating_mul(UNREPORTED_CALLS_A_SECOND);
    allowance.map_or(most, |allowance| allowance.min(most))
}

/// Notes requests that were made; those of one hour together.
pub fn spend(spent: &mut Vec<Spending>, at: Timestamp, calls: u64, by: Spender) {
    if calls == 0 {
        return;
    }
    let hour = |at: Timestamp| at.as_second().div_euclid(3600);
    let place = spent.partition_point(|entry| hour(entry.at.0) > hour(at));
    let proofs = if by == Spender::Proof { calls } else { 0 };
    match spent.get_mut(place) {
        Some(entry) if hour(entry.at.0) == hour(at) => {
            entry.at = Time(entry.at.0.max(at));
            entry.calls = entry.calls.saturating_add(calls);
            entry.proofs = entry.proofs.saturating_add(proofs);
        }
        _ => spent.insert(
            place,
            Spending {
                at: Time(at),
                calls,
                proofs,
            },
        ),
    }
}

/// Lets go of what counts no more.
pub fn forget(spent: &mut Vec<Spending>, now: Timestamp) {
    spent.retain(|entry| counts_until(entry) > now);
}

/// Requests that still count at `at`.
pub fn total(spent: &[Spending], at: Timestamp) -> u64 {
    counted(spent, at).map(|entry| entry.calls).sum()
}

fn counted(spent: &[Spending], at: Timestamp) -> impl Iterator<Item = &Spending> {
    spent.iter().filter(move |entry| counts_until(entry) > at)
}

fn counts_until(entry: &Spending) -> Timestamp {
    entry.at.0.saturating_add(WINDOW).unwrap_or(Timestamp::MAX)
}

// === impl Budget ===

impl Budget {
    /// Requests that runs may still make at `at`.
    pub fn free(&self, at: Timestamp) -> u64 {
        let proofs: u64 = counted(&self.spent, at).map(|entry| entry.proofs).sum();
        let to_come = self.proofs_a_day.saturating_sub(proofs);
        self.share
            .saturating_sub(total(&self.spent, at))
            .saturating_sub(to_come.min(self.share / 2))
    }

    /// What a run may use that starts at `at`, while others that go on may use `reserved`: whole steps.
    pub fn allowance(&self, at: Timestamp, reserved: u64) -> u64 {
        let free = self.free(at).saturating_sub(reserved) / self.runs_at_once.max(1);
        free / self.step() * self.step()
    }

    /// From `from` on: when a run may start that has something to use. None where that is not foreseeable, as when the proofs alone
    /// use more than the share.
    pub fn room_from(&self, from: Timestamp) -> Option<Timestamp> {
        let ends = self.spent.iter().rev().map(counts_until);
        std::iter::once(from)
            .chain(ends.filter(|end| *end > from))
            .find(|at| self.allowance(*at, 0) > 0)
    }

    /// Whether it is time to warn.
    pub fn is_nearly_used(&self, now: Timestamp) -> bool {
        let used = u128::from(total(&self.spent, now)) * 100;
        used >= u128::from(self.share) * u128::from(WARNING_PERCENT)
    }

    fn step(&self) -> u64 {
        (self.share / STEPS).max(1)
    }
}

/// What the runs of an org have found out about its URLs, put together: nothing as long as what one of them saw refused, and of the
/// rest the longest.
pub fn url_length<'a>(
    known: impl Iterator<Item = &'a QueryUrlLength> + Clone,
    now: Timestamp,
) -> Option<QueryUrlLength> {
    let refusal = known
        .clone()
        .filter_map(|known| Some((known.refused?, known.refused_at.as_ref()?.0)))
        .filter(|(_, at)| {
            at.saturating_add(URL_REFUSAL_KEPT)
                .is_ok_and(|end| end > now)
        })
        .min();
    let lengths = known.map(|known| known.bytes);
    let taken = lengths
        .clone()
        .filter(|bytes| refusal.is_none_or(|(refused, _)| *bytes < refused))
        .max();
    Some(QueryUrlLength {
        bytes: taken.or_else(|| lengths.min())?,
        refused: refusal.map(|(refused, _)| refused),
        refused_at: refusal.map(|(_, at)| Time(at)),
    })
}

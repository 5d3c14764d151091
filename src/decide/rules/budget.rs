//! The arithmetic of an org's API requests: the size of each share, the free part of it, and the
//! part that a run may use.
//!
//! Salesforce counts requests over a rolling day
//! (facts: Salesforce 2.2: 14,500 at 05:00 and 499 at 23:00 leave one until 05:00). The count here
//! does the same by the hour: the requests of an hour count until a day after the last of them,
//! which errs on the safe side.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use crate::api::status::{QueryUrlLength, Spending};

/// Time for which a request counts.
pub const WINDOW: Duration = Duration::from_secs(24 * 3600);
/// A run's allowance is rounded down to whole sixteenths of the share, so that the value in the
/// CronJob changes rarely.
const STEPS: u64 = 16;
/// Part of its share, in per cent, at which an integration is warned.
const WARNING_PERCENT: u64 = 80;
/// API requests of one proof of the connection. A fourth is needed if a session has expired.
const CALLS_OF_A_PROOF: u64 = 3;
/// Assumed requests per second of a run that left no report. A run makes one request at a time, and
/// none takes less than a tenth of a second over the Internet.
const UNREPORTED_CALLS_A_SECOND: u64 = 10;
/// Time for which longer URLs are not tried after an org refused them. After that, the obstacle may
/// be gone.
const URL_REFUSAL_KEPT: Duration = Duration::from_secs(7 * 24 * 3600);

/// The source of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spender {
    /// A proof of the connection.
    Proof,
    /// A run.
    Run,
}

/// The API requests that one integration may make within a day, and has made.
#[derive(Clone, Debug, PartialEq)]
pub struct Budget {
    /// Requests that it may make within a day.
    pub share: u64,
    /// Requests that its proofs make within a day. No run may use them.
    pub proofs_a_day: u64,
    /// Requests that are kept for ringing calls. No run after calls may use them.
    pub for_rings: u64,
    /// Requests that it made, newest first.
    pub spent: Vec<Spending>,
    /// Number of runs for which the free requests must suffice. It is two if the next run may
    /// start before the usage of the last one is known.
    pub runs_at_once: u64,
}

/// Returns an integration's share of an org's `limit`, if it asks for `percent` and its neighbours
/// in the org ask for `others` together. If they ask for more than 100 per cent, each share is
/// reduced in proportion. The share is at least one request, so that the integration does not stop
/// for ever.
pub fn share(limit: u64, percent: u64, others: u64) -> u64 {
    let total_percent = percent.saturating_add(others).max(100);
    let share = u128::from(limit) * u128::from(percent) / u128::from(total_percent);
    u64::try_from(share).unwrap_or(u64::MAX).max(1)
}

/// Whether the integrations of an org ask for more than 100 per cent together.
pub fn is_overbooked(percent: u64, others: u64) -> bool {
    percent.saturating_add(others) > 100
}

/// Returns the number of requests that proofs make within a day at that interval.
pub fn proofs_a_day(interval: Duration) -> u64 {
    CALLS_OF_A_PROOF * WINDOW.as_secs().div_ceil(interval.as_secs().max(1))
}

/// Returns the number of requests to count for a run that left no report, from its duration and its
/// allowance.
pub fn unreported(lasted: Duration, allowance: Option<u64>) -> u64 {
    let most = (lasted.as_secs() + 1).saturating_mul(UNREPORTED_CALLS_A_SECOND);
    allowance.map_or(most, |allowance| allowance.min(most))
}

/// Records requests. Requests of one hour share one entry.
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

/// Drops the entries that no longer count.
pub fn forget(spent: &mut Vec<Spending>, now: Timestamp) {
    spent.retain(|entry| counts_until(entry) > now);
}

/// Returns the number of requests that still count at `at`.
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
    /// Returns the number of requests that runs may still make at `at`.
    pub fn free(&self, at: Timestamp) -> u64 {
        self.free_for_rings(at).saturating_sub(self.for_rings)
    }

    /// Returns the number of requests that ringing calls may still cause at `at`.
    pub fn free_for_rings(&self, at: Timestamp) -> u64 {
        let proofs: u64 = counted(&self.spent, at).map(|entry| entry.proofs).sum();
        let to_come = self.proofs_a_day.saturating_sub(proofs);
        self.share
            .saturating_sub(total(&self.spent, at))
            .saturating_sub(to_come.min(self.share / 2))
    }

    /// Returns the number of requests that a run may make if it starts at `at`, in whole steps.
    /// Other active runs may use `reserved` requests.
    pub fn allowance(&self, at: Timestamp, reserved: u64) -> u64 {
        let free = self.free(at).saturating_sub(reserved) / self.runs_at_once.max(1);
        free / self.step() * self.step()
    }

    /// Returns the first time, not before `from`, at which a run may start that has requests to
    /// use. `None` if that time cannot be predicted, for example if the proofs alone use more than
    /// the share.
    pub fn room_from(&self, from: Timestamp) -> Option<Timestamp> {
        let ends = self.spent.iter().rev().map(counts_until);
        std::iter::once(from)
            .chain(ends.filter(|end| *end > from))
            .find(|at| self.allowance(*at, 0) > 0)
    }

    /// Whether so much of the share is used that the tenant is warned.
    pub fn is_nearly_used(&self, now: Timestamp) -> bool {
        let used = u128::from(total(&self.spent, now)) * 100;
        used >= u128::from(self.share) * u128::from(WARNING_PERCENT)
    }

    fn step(&self) -> u64 {
        (self.share / STEPS).max(1)
    }
}

/// Drops the record of a refused URL length after a week. What stood in the way may be gone.
pub fn forget_url_refusal(known: &mut QueryUrlLength, now: Timestamp) {
    let kept = known.refused_at.as_ref().is_some_and(|at| {
        at.0.saturating_add(URL_REFUSAL_KEPT)
            .is_ok_and(|end| end > now)
    });
    if !kept {
        known.refused = None;
        known.refused_at = None;
    }
}

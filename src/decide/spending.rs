//! The org's API requests: how many an integration has used, how many its next run may use, and the
//! messages about them.

use jiff::Timestamp;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt;

use super::rules::budget::{Budget, Spender};
use super::rules::schedule::Cadence;
use super::rules::warnings::Origin;
use super::rules::{budget, error_log, warnings};
use super::runs::EndedRun;
use super::{Decision, runs};
use crate::api::conditions::{SYNCED, Verdict};
use crate::api::status::{ApiUsage, QueryUrlLength, SharedWith};
use crate::api::{API_CALLS, Settings};
use crate::reason::Reason;
use crate::run::Note;
use crate::salesforce::Usage;

impl Decision<'_> {
    /// Records the usage of the org's requests that Salesforce reported.
    pub(crate) fn usage(&mut self, usage: &Usage) {
        let old = self.status.api_usage.as_ref();
        if old.is_none_or(|old| old.observed_at.0 <= usage.observed_at) {
            self.status.api_usage = Some(ApiUsage {
                used: usage.used,
                limit: usage.limit,
                percent: usage
                    .used
                    .saturating_mul(100)
                    .checked_div(usage.limit)
                    .unwrap_or(0),
                by_this_integration: old.map_or(0, |old| old.by_this_integration),
                observed_at: Time(usage.observed_at),
            });
        }
    }

    /// Counts requests that this integration caused.
    pub(crate) fn spend(&mut self, at: Timestamp, calls: u64, by: Spender) {
        let budget = self.status.api_budget.get_or_insert_default();
        budget::spend(&mut budget.spent, at.min(self.now), calls, by);
    }

    /// Records the requests that a run used, and its findings about the org.
    pub(crate) fn record_run_usage(&mut self, run: &EndedRun) {
        self.spend(run.finished_at, run.api_calls(), Spender::Run);
        let now = self.now;
        if let Some(budget) = &mut self.status.api_budget {
            budget.resumes_at.take_if(|resumes| resumes.0 <= now);
        }
        let Some(report) = &run.report else {
            return;
        };
        // The org's limit is what the controller itself was told: a pod may claim any.
        let limit = self.status.api_usage.as_ref().map(|usage| usage.limit);
        if let Some(usage) = &report.usage
            && limit.is_none_or(|limit| limit == usage.limit)
        {
            self.usage(usage);
        }
        let doubts = |note: &Note| note.code == Reason::ReportValueRefused;
        if report.api_calls > 0 || report.warnings.iter().any(doubts) {
            let found = report.warnings.iter().map(warnings::of_run).collect();
            warnings::replace(&mut self.status.warnings, Origin::Run, found);
        }
        if let (Some(found), Some(organization)) =
            (report.url_length, &mut self.status.organization)
        {
            let known = organization.query_url_length.take();
            // A refusal that was known before the run keeps its time.
            let known_since = known
                .filter(|known| known.refused == found.refused)
                .and_then(|known| known.refused_at);
            organization.query_url_length = Some(QueryUrlLength {
                bytes: found.bytes,
                refused: found.refused,
                refused_at: found
                    .refused
                    .and(known_since.or(Some(Time(run.finished_at)))),
            });
        }
    }

    /// Drops the data of the previous org after the org has changed.
    pub(crate) fn forget_org(&mut self) {
        self.status.api_usage = None;
        self.status.api_budget = None;
        self.forget_address_book();
        warnings::replace(&mut self.status.warnings, Origin::Run, vec![]);
    }

    /// Updates the data that is shared with the neighbours in the org: its requests, and the
    /// findings about its URLs.
    pub(crate) fn update_share(&mut self, settings: &Settings) {
        let neighbours = &self.observed.neighbours;
        if let Some(organization) = &mut self.status.organization {
            organization.shared_with = (neighbours.count > 0).then(|| SharedWith {
                names: neighbours.names.clone(),
                integrations: neighbours.count,
            });
            // A run learned it in the tenant's own pod, so it is for this integration alone.
            if let Some(known) = &mut organization.query_url_length {
                budget::forget_url_refusal(known, self.now);
            }
        }
        let limit = self.status.api_usage.as_ref().map(|usage| usage.limit);
        let share = limit
            .filter(|limit| *limit > 0)
            .map(|limit| budget::share(limit, settings.daily_percent, neighbours.percent));
        if share.is_none() && self.status.api_budget.is_none() {
            return;
        }
        let kept = self.status.api_budget.get_or_insert_default();
        budget::forget(&mut kept.spent, self.now);
        kept.share = share;
        let spent = kept.spent.clone();
        if let Some(usage) = &mut self.status.api_usage {
            usage.by_this_integration = budget::total(&spent, self.now);
        }
        self.budget = share.map(|share| Budget {
            share,
            proofs_a_day: budget::proofs_a_day(settings.interval),
            for_rings: self.observed.config.for_rings(settings, share),
            spent,
            runs_at_once: self.cadence(settings).map_or(1, Cadence::runs_at_once),
        });
        self.warn_of_budget(settings);
    }

    fn warn_of_budget(&mut self, settings: &Settings) {
        let Some(budget) = &self.budget else {
            return;
        };
        let percent = settings.daily_percent;
        let others = self.observed.neighbours.percent;
        let mut found = vec![];
        if budget.is_nearly_used(self.now) {
            found.push((
                Reason::ApiBudgetNearlyUsed,
                format!(
                    "More than 80 % of the {} API requests that this integration may make in 24 hours are used.",
                    budget.share
                ),
            ));
        }
        if budget::is_overbooked(percent, others) {
            found.push((
                Reason::ApiBudgetsOverbooked,
                format!(
                    "The integrations of this org ask for {} % of its API requests together; each gets that much less, this one {} requests in 24 hours.",
                    percent.saturating_add(others),
                    budget.share
                ),
            ));
        }
        for (reason, message) in &found {
            let mut known = self.status.warnings.iter();
            if !known.any(|old| old.code() == *reason) {
                let note = format!("{message} {}", reason.remedy());
                self.notice(true, *reason, note, "Reconcile");
            }
        }
        let found = found
            .into_iter()
            .map(|(reason, message)| warnings::of(reason, message));
        warnings::replace(&mut self.status.warnings, Origin::Budget, found.collect());
    }

    /// Decides whether runs must wait for free requests, and until when. A run that would start
    /// before then is held back and made up for.
    pub(crate) fn hold_runs(&mut self, cadence: Option<Cadence>, settings: &Settings) {
        let (Some(cadence), Some(budget)) = (cadence, &self.budget) else {
            return;
        };
        let start = match self.is_resident_after_calls(settings) {
            true => Some(self.now),
            false => cadence.next(self.now, &settings.time_zone),
        };
        let Some(start) = start else {
            return;
        };
        let resumes = self
            .status
            .api_budget
            .as_ref()
            .and_then(|kept| kept.resumes_at.clone());
        let waits = resumes.is_some_and(|resumes| resumes.0 > self.now);
        // A missed start is made up for at once when runs are no longer held back. So requests must
        // be free now, not only at the next start.
        let from = if waits { self.now } else { start };
        // If no end can be predicted, the check is repeated after a day.
        let room = budget
            .room_from(from)
            .or_else(|| from.checked_add(budget::WINDOW).ok());
        self.held = room.filter(|room| *room > from);
        let Some(kept) = &mut self.status.api_budget else {
            return;
        };
        match self.held {
            Some(until) => {
                kept.resumes_at = Some(Time(until));
                self.wake.push(until);
            }
            None if waits => kept.resumes_at = Some(Time(self.now)),
            None => {}
        }
    }

    /// Returns the time since which runs are no longer held back, if the last one was and none has
    /// ended since.
    pub(crate) fn held_until(&self) -> Option<Timestamp> {
        let budget = self.status.api_budget.as_ref()?;
        budget.resumes_at.as_ref().map(|resumes| resumes.0)
    }

    /// Whether a verdict states that runs wait for free requests although none has stopped for lack
    /// of them.
    pub(crate) fn was_only_held(&self, verdict: &Verdict) -> bool {
        let last = self.status.last_run.as_ref();
        verdict.reason == Reason::BudgetExhausted
            && last.is_none_or(|last| last.code() != Reason::BudgetExhausted)
    }

    /// Returns the number of requests that the next scheduled run may use; `None` if the org's
    /// limit is unknown.
    pub(crate) fn allowance_by_clock(&self, cadence: Cadence, settings: &Settings) -> Option<u64> {
        let start = cadence.next(self.now, &settings.time_zone)?;
        let requested = self
            .observed
            .active_jobs
            .iter()
            .any(|job| is_on_request(job));
        // Only one scheduled run is active at a time, and the budget already includes the next one.
        let reserved = if requested { self.reserved() } else { 0 };
        Some(self.budget.as_ref()?.allowance(start, reserved))
    }

    /// Returns the number of requests that a run may use if it starts now, beside the active runs.
    pub(crate) fn allowance_now(&self) -> Option<u64> {
        let budget = self.budget.as_ref()?;
        Some(budget.allowance(self.now, self.reserved()))
    }

    /// Whether a run could start now if no other run were active.
    pub(crate) fn waits_for_others(&self) -> bool {
        let budget = self.budget.as_ref();
        budget.is_some_and(|budget| budget.allowance(self.now, 0) > 0)
    }

    fn reserved(&self) -> u64 {
        let allowances = self.observed.active_jobs.iter().filter_map(|job| {
            job.annotations()
                .get(API_CALLS)
                .and_then(|text| text.parse::<u64>().ok())
        });
        allowances.fold(0, u64::saturating_add)
    }

    /// Returns the start of the next run, as far as it depends on the budget.
    pub(crate) fn next_start(&self, cadence: Cadence, settings: &Settings) -> Option<Timestamp> {
        let Some(until) = self.held else {
            return cadence.next(self.now, &settings.time_zone);
        };
        // A missed start is made up for at once if it is not older than the CronJob's deadline.
        let earliest = until.checked_sub(cadence.starting_deadline()).ok()?;
        Some(cadence.next(earliest, &settings.time_zone)?.max(until))
    }

    /// Returns the verdict with the reason why no run may start before `until`.
    pub(crate) fn budget_verdict(&mut self, until: Timestamp, settings: &Settings) -> Verdict {
        let share = self.budget.as_ref().map_or(0, |budget| budget.share);
        let next = self.status.next_run.as_ref().map_or(until, |next| next.0);
        let message = format!(
            "The integration has used its share of the org's API requests ({share} in 24 hours); the runs go on at {next}."
        );
        let changed = self
            .verdict(SYNCED)
            .is_none_or(|old| old.reason != Reason::BudgetExhausted);
        let reported_by_run = self
            .new_runs
            .iter()
            .any(|run| run.outcome == Reason::BudgetExhausted);
        if changed && !reported_by_run {
            let source = runs::source(super::children::kind_of_run(settings));
            error_log::record(
                &mut self.status.errors,
                source,
                &Reason::BudgetExhausted.into(),
                &message,
                self.now,
            );
        }
        Verdict::fails(Reason::BudgetExhausted, message)
    }
}

/// Whether a tenant requested the run, and no CronJob started it.
fn is_on_request(job: &Job) -> bool {
    !job.owner_references()
        .iter()
        .any(|owner| owner.kind == "CronJob")
}

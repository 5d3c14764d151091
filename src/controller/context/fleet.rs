//! What the statuses of all integrations say together, as metrics. They are made anew at each
//! scrape, so that a series is gone with the last resource that it describes.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::labels::{CodeLabel, CodeValue, ConditionLabel, KindLabel, OrgLabel, ReasonLabel};
use super::{books, series};
use crate::api::conditions::{CONNECTED, READY};
use crate::api::status::{ApiUsage, SalesforceIntegrationStatus};
use crate::api::{SalesforceIntegration, conditions};
use crate::reason::{Code, Reason};
use crate::salesforce::WarningCode;
use crate::shard::Shard;

/// The most orgs that have series of their own. Those that used most of their requests are among
/// them.
const MAX_ORGS: usize = 1_000;

/// What the series describe besides the statuses.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Scrape {
    /// The most integrations that have series of their own; 0 for none.
    pub per_integration: usize,
    /// How long the first of the integrations that wait for a reconcile has waited.
    pub oldest_wait: Duration,
    /// The time of the scrape.
    pub now: Timestamp,
    /// Whether the directory says who waits; `None` where the controller looks up nothing itself.
    pub waiting_followed: Option<bool>,
    /// The shard that the integrations are of: a label of all series, where there are several.
    pub shard: Shard,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ReadyLabel {
    ready: String,
    reason: CodeValue,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct LeftOutLabel {
    of: &'static str,
}

/// What the integrations of one org say together.
#[derive(Default)]
struct Org<'a> {
    usage: Option<&'a ApiUsage>,
    integrations: i64,
    not_ready: i64,
    share: u64,
    spent: u64,
}

/// The metrics of these integrations.
pub(crate) fn registry(
    mut integrations: Vec<Arc<SalesforceIntegration>>,
    scrape: Scrape,
) -> Registry {
    let shard = (!scrape.shard.is_whole()).then(|| scrape.shard.index().to_string());
    let labels = shard.map(|shard| ("shard".into(), shard.into()));
    let mut registry = Registry::with_prefix_and_labels("switchboard", labels.into_iter());
    conditions_stand(&mut registry, &integrations);
    warnings_stand(&mut registry, &integrations);
    runs_stand(&mut registry, &integrations);
    books::stand(&mut registry, &integrations, scrape.now);
    let orgs_left_out = orgs_stand(&mut registry, &integrations);
    let queue = gauge(
        &mut registry,
        "queue_oldest_seconds",
        "How long the first of the integrations that wait for a reconcile has waited",
    );
    queue.set(whole_seconds(scrape.oldest_wait));
    if let Some(followed) = scrape.waiting_followed {
        let gauge = gauge(
            &mut registry,
            "waiting_followed",
            "1 while the directory says who waits, 0 while it is asked in vain",
        );
        gauge.set(followed.into());
    }
    // The older keep their series, whoever comes after them.
    integrations.sort_by_cached_key(|one| {
        let metadata = &one.metadata;
        let created = metadata.creation_timestamp.as_ref().map(|time| time.0);
        (created, metadata.uid.clone())
    });
    let shown = integrations.len().min(scrape.per_integration);
    let left_out = Family::<LeftOutLabel, Gauge>::default();
    registry.register(
        "series_left_out",
        "Orgs and integrations that have no series of their own because there are too many",
        left_out.clone(),
    );
    let left = |of, count: usize| {
        let label = LeftOutLabel { of };
        left_out.get_or_create(&label).set(clamped(count as u64));
    };
    left("organization", orgs_left_out);
    if scrape.per_integration > 0 {
        left("integration", integrations.len() - shown);
        series::register(&mut registry, &integrations[..shown], scrape.now);
    }
    registry
}

fn conditions_stand(registry: &mut Registry, integrations: &[Arc<SalesforceIntegration>]) {
    let by_ready = Family::<ReadyLabel, Gauge>::default();
    registry.register(
        "integrations",
        "Integrations by their condition Ready and its reason",
        by_ready.clone(),
    );
    let count = Family::<ConditionLabel, Gauge>::default();
    registry.register(
        "conditions",
        "Integrations that are not suspended, by condition, its status and its reason",
        count.clone(),
    );
    let queued = gauge(
        registry,
        "queued",
        "Integrations whose newest spec was not looked at yet",
    );
    let mut oldest = BTreeMap::new();
    for one in integrations {
        let status = one.status.as_ref();
        let ready = status.and_then(|status| conditions::find(&status.conditions, READY));
        let label = ReadyLabel {
            ready: ready.map_or("Unknown", |ready| &ready.status).to_owned(),
            reason: ready
                .map_or(Reason::Pending.into(), conditions::reason_of)
                .into(),
        };
        by_ready.get_or_create(&label).inc();
        if status.and_then(|status| status.observed_generation) != one.metadata.generation {
            queued.inc();
        }
        let wanted = status.filter(|_| !one.spec.suspend);
        for condition in wanted.into_iter().flat_map(|status| &status.conditions) {
            let label = ConditionLabel {
                condition: condition.type_.clone(),
                status: condition.status.clone(),
                reason: conditions::reason_of(condition).into(),
            };
            count.get_or_create(&label).inc();
            let since = condition.last_transition_time.0.as_second();
            let key = (label.condition, label.status, label.reason);
            let kept = oldest.entry(key).or_insert(since);
            *kept = since.min(*kept);
        }
    }
    let since = Family::<ConditionLabel, Gauge>::default();
    registry.register(
        "conditions_oldest_transition_timestamp_seconds",
        "Since when the first integration with this condition, status and reason has this status",
        since.clone(),
    );
    for ((condition, status, reason), at) in oldest {
        let label = ConditionLabel {
            condition,
            status,
            reason,
        };
        since.get_or_create(&label).set(at);
    }
}

fn warnings_stand(registry: &mut Registry, integrations: &[Arc<SalesforceIntegration>]) {
    let count = Family::<CodeLabel, Gauge>::default();
    registry.register(
        "warnings",
        "Integrations that have this warning and are not suspended",
        count.clone(),
    );
    let ends = Family::<CodeLabel, Gauge>::default();
    registry.register(
        "warning_end_timestamp_seconds",
        "When that ends which the warning is about, where Salesforce has named a time",
        ends.clone(),
    );
    for code in WarningCode::ALL {
        if let Some(at) = code.ends() {
            let code = Code::from(Reason::Warning(*code)).into();
            ends.get_or_create(&CodeLabel { code }).set(at.as_second());
        }
    }
    let withheld = Family::<ReasonLabel, Gauge>::default();
    registry.register(
        "logins_withheld",
        "Integrations whose log-in is not tried again by itself, by the reason of Connected",
        withheld.clone(),
    );
    for status in wanted(integrations) {
        let codes: BTreeSet<CodeValue> = status
            .warnings
            .iter()
            .map(|warning| warning.code().into())
            .collect();
        for code in codes {
            count.get_or_create(&CodeLabel { code }).inc();
        }
        let connected = conditions::find(&status.conditions, CONNECTED);
        if let Some(connected) = connected.filter(|_| status.is_login_withheld()) {
            let reason = conditions::reason_of(connected).into();
            withheld.get_or_create(&ReasonLabel { reason }).inc();
        }
    }
}

fn runs_stand(registry: &mut Registry, integrations: &[Arc<SalesforceIntegration>]) {
    let oldest = Family::<KindLabel, Gauge>::default();
    registry.register(
        "oldest_success_timestamp_seconds",
        "When the last run that succeeded ended, of the integration for which that is longest ago",
        oldest.clone(),
    );
    let waiting = gauge(
        registry,
        "misses_waiting",
        "Numbers that requested re-retrievals have still to ask for",
    );
    let mut misses = 0_u64;
    let mut times = BTreeMap::new();
    for status in wanted(integrations) {
        let Some(run) = &status.last_run else {
            continue;
        };
        misses = misses.saturating_add(run.remaining);
        if let Some(succeeded) = &status.last_successful_time {
            let at = succeeded.0.as_second();
            let kept = times.entry(run.kind.clone()).or_insert(at);
            *kept = at.min(*kept);
        }
    }
    waiting.set(clamped(misses));
    for (kind, at) in times {
        oldest.get_or_create(&KindLabel { kind }).set(at);
    }
}

/// Returns how many orgs have no series.
fn orgs_stand(registry: &mut Registry, integrations: &[Arc<SalesforceIntegration>]) -> usize {
    let mut family = |name: &'static str, help: &'static str| {
        let family = Family::<OrgLabel, Gauge>::default();
        registry.register(name, help, family.clone());
        family
    };
    let used = family(
        "salesforce_api_requests_used",
        "API requests that an org has used in 24 hours, by anyone",
    );
    let limit = family(
        "salesforce_api_requests_limit",
        "API requests that an org may use in 24 hours",
    );
    let count = family("organization_integrations", "Integrations of an org");
    let not_ready = family(
        "organization_integrations_not_ready",
        "Integrations of an org whose condition Ready is False",
    );
    let share = family(
        "organization_budget_requests",
        "API requests that the integrations of an org may make in 24 hours",
    );
    let spent = family(
        "organization_budget_requests_used",
        "API requests that the integrations of an org have made in 24 hours",
    );
    let mut orgs = BTreeMap::<&str, Org<'_>>::new();
    for status in statuses(integrations) {
        let Some(organization) = &status.organization else {
            continue;
        };
        let org = orgs.entry(&organization.id).or_default();
        org.integrations += 1;
        let ready = conditions::find(&status.conditions, READY);
        org.not_ready += i64::from(ready.is_some_and(|ready| ready.status == "False"));
        let budget = status.api_budget.as_ref();
        let share = budget.and_then(|budget| budget.share).unwrap_or_default();
        org.share = org.share.saturating_add(share);
        let Some(usage) = &status.api_usage else {
            continue;
        };
        org.spent = org.spent.saturating_add(usage.by_this_integration);
        // All of them were told of the same requests; the newest answer counts.
        if org
            .usage
            .is_none_or(|known| known.observed_at.0 < usage.observed_at.0)
        {
            org.usage = Some(usage);
        }
    }
    let mut orgs: Vec<_> = orgs.into_iter().collect();
    let left_out = orgs.len().saturating_sub(MAX_ORGS);
    if left_out > 0 {
        orgs.sort_by_key(|(_, org)| Reverse(org.usage.map(|usage| usage.percent)));
        orgs.truncate(MAX_ORGS);
    }
    for (id, org) in orgs {
        let label = OrgLabel {
            organization: id.to_owned(),
        };
        count.get_or_create(&label).set(org.integrations);
        not_ready.get_or_create(&label).set(org.not_ready);
        share.get_or_create(&label).set(clamped(org.share));
        spent.get_or_create(&label).set(clamped(org.spent));
        if let Some(usage) = org.usage {
            used.get_or_create(&label).set(clamped(usage.used));
            limit.get_or_create(&label).set(clamped(usage.limit));
        }
    }
    left_out
}

fn statuses(
    integrations: &[Arc<SalesforceIntegration>],
) -> impl Iterator<Item = &SalesforceIntegrationStatus> {
    integrations.iter().filter_map(|one| one.status.as_ref())
}

/// The statuses of integrations that are not suspended. What the others lack is nobody's concern
/// until they go on.
fn wanted(
    integrations: &[Arc<SalesforceIntegration>],
) -> impl Iterator<Item = &SalesforceIntegrationStatus> {
    let wanted = integrations.iter().filter(|one| !one.spec.suspend);
    wanted.filter_map(|one| one.status.as_ref())
}

pub(crate) fn gauge(registry: &mut Registry, name: &'static str, help: &'static str) -> Gauge {
    let gauge = Gauge::default();
    registry.register(name, help, gauge.clone());
    gauge
}

fn whole_seconds(duration: Duration) -> i64 {
    clamped(duration.as_secs())
}

/// The number as a gauge holds it.
pub(crate) fn clamped(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;

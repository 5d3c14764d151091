//! The series of each integration by namespace and name. They are optional and bounded, because
//! there are as many as tenants.

use std::sync::Arc;

use jiff::Timestamp;
use kube::ResourceExt;
use prometheus_client::encoding::{EncodeLabelSet, LabelSetEncoder};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::books::{ModeLabel, label, lag_seconds};
use super::fleet::clamped;
use super::labels::{CodeLabel, ConditionLabel, OrgLabel, ReasonLabel, RunLabel};
use crate::api::conditions::CONNECTED;
use crate::api::status::{BookMode, SalesforceIntegrationStatus};
use crate::api::{SalesforceIntegration, conditions};

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Name {
    namespace: String,
    name: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq)]
struct Labelled<L> {
    of: Name,
    by: L,
}

impl<L: EncodeLabelSet> EncodeLabelSet for Labelled<L> {
    fn encode(&self, encoder: &mut LabelSetEncoder<'_>) -> std::fmt::Result {
        self.of.encode(encoder)?;
        self.by.encode(encoder)
    }
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ByResult {
    result: &'static str,
}

type Plain = Family<Name, Gauge>;
type Of<L> = Family<Labelled<L>, Gauge>;

/// The families of all integrations.
#[derive(Default)]
struct Series {
    info: Of<OrgLabel>,
    transitions: Of<ConditionLabel>,
    warnings: Of<CodeLabel>,
    withheld: Of<ReasonLabel>,
    last_run: Of<RunLabel>,
    last_run_seconds: Plain,
    last_run_numbers: Of<ByResult>,
    last_run_ambiguous: Plain,
    last_run_api_requests: Plain,
    misses_waiting: Plain,
    last_success: Plain,
    budget: Plain,
    budget_used: Plain,
    book_records: Plain,
    book_numbers: Plain,
    book_bytes: Plain,
    book_lag: Plain,
    book_filled: Plain,
    book_to_fill: Plain,
    forecast: Of<ModeLabel>,
}

/// Registers the series of these integrations.
pub(crate) fn register(
    registry: &mut Registry,
    integrations: &[Arc<SalesforceIntegration>],
    now: Timestamp,
) {
    let series = Series::default();
    for one in integrations {
        if let Some(status) = &one.status {
            let name = Name {
                namespace: one.namespace().unwrap_or_default(),
                name: one.name_any(),
            };
            series.add(&name, status);
            // What a suspended one lacks is nobody's concern until it goes on.
            if !one.spec.suspend {
                series.add_concerns(&name, status);
                series.add_book(&name, status, now);
            }
        }
    }
    series.registered(registry);
}

// === impl Series ===

impl Series {
    fn add(&self, name: &Name, status: &SalesforceIntegrationStatus) {
        let organization = status.organization.as_ref();
        let by = OrgLabel {
            organization: organization.map_or(String::new(), |org| org.id.clone()),
        };
        set(&self.info, name, by, 1);
        if let Some(succeeded) = &status.last_successful_time {
            plain(&self.last_success, name, succeeded.0.as_second());
        }
        if let Some(share) = status.api_budget.as_ref().and_then(|budget| budget.share) {
            plain(&self.budget, name, clamped(share));
        }
        if let Some(usage) = &status.api_usage {
            let used = clamped(usage.by_this_integration);
            plain(&self.budget_used, name, used);
        }
        self.add_last_run(name, status);
    }

    fn add_concerns(&self, name: &Name, status: &SalesforceIntegrationStatus) {
        for condition in &status.conditions {
            let by = ConditionLabel {
                condition: condition.type_.clone(),
                status: condition.status.clone(),
                reason: conditions::reason_of(condition).into(),
            };
            let since = condition.last_transition_time.0.as_second();
            set(&self.transitions, name, by, since);
        }
        for warning in &status.warnings {
            let by = CodeLabel {
                code: warning.code().into(),
            };
            set(&self.warnings, name, by, 1);
        }
        let connected = conditions::find(&status.conditions, CONNECTED);
        if let Some(connected) = connected.filter(|_| status.is_login_withheld()) {
            let by = ReasonLabel {
                reason: conditions::reason_of(connected).into(),
            };
            set(&self.withheld, name, by, 1);
        }
    }

    fn add_book(&self, name: &Name, status: &SalesforceIntegrationStatus, now: Timestamp) {
        let Some(book) = &status.address_book else {
            return;
        };
        let filling = book.filling.filter(|_| !book.over_limit);
        for (family, count) in [
            (&self.book_records, book.records),
            (&self.book_numbers, book.numbers),
            (&self.book_bytes, book.bytes),
            (&self.book_filled, filling.map(|filling| filling.rows)),
            (&self.book_to_fill, filling.and_then(|filling| filling.of)),
        ] {
            if let Some(count) = count {
                plain(family, name, clamped(count));
            }
        }
        if let Some(lag) = lag_seconds(book, now) {
            plain(&self.book_lag, name, lag);
        }
        if let Some(forecast) = &book.forecast {
            for (mode, requests) in [
                (BookMode::OnDemand, forecast.on_demand),
                (BookMode::Full, forecast.full),
            ] {
                set(&self.forecast, name, label(mode), clamped(requests));
            }
        }
    }

    fn add_last_run(&self, name: &Name, status: &SalesforceIntegrationStatus) {
        let Some(run) = &status.last_run else {
            return;
        };
        let by = RunLabel {
            kind: run.kind.clone(),
            outcome: run.code().into(),
        };
        let finished = run.finished_at.as_ref();
        let finished = finished.map_or(0, |time| time.0.as_second());
        set(&self.last_run, name, by, finished);
        if let Some(took) = run.duration() {
            plain(&self.last_run_seconds, name, clamped(took.as_secs()));
        }
        let numbers = [
            ("contact", run.matched.contact),
            ("account", run.matched.account),
            ("lead", run.matched.lead),
            ("none", run.unmatched),
        ];
        for (result, count) in numbers {
            let by = ByResult { result };
            set(&self.last_run_numbers, name, by, clamped(count));
        }
        plain(&self.last_run_ambiguous, name, clamped(run.ambiguous));
        plain(&self.last_run_api_requests, name, clamped(run.api_calls));
        plain(&self.misses_waiting, name, clamped(run.remaining));
    }

    fn registered(self, registry: &mut Registry) {
        registry.register("integration_info", "An integration and its org", self.info);
        registry.register(
            "integration_condition_transition_timestamp_seconds",
            "Since when a condition of an integration has its status",
            self.transitions,
        );
        registry.register(
            "integration_warning",
            "1 for each warning of an integration",
            self.warnings,
        );
        registry.register(
            "integration_login_withheld",
            "1 where the log-in of an integration is not tried again by itself",
            self.withheld,
        );
        registry.register(
            "integration_last_run_timestamp_seconds",
            "When the last run of an integration ended, by kind and outcome",
            self.last_run,
        );
        registry.register(
            "integration_last_run_numbers",
            "Numbers that the last run asked for, by what they were found as",
            self.last_run_numbers,
        );
        registry.register(
            "integration_forecast_api_requests",
            "API requests that a day costs by where names come from, as forecast",
            self.forecast,
        );
        let plain = [
            (
                "integration_address_book_records",
                "Records of the address book of an integration",
                self.book_records,
            ),
            (
                "integration_address_book_numbers",
                "Numbers of the records of its address book",
                self.book_numbers,
            ),
            (
                "integration_address_book_bytes",
                "About how many bytes its address book takes up in the directory's database",
                self.book_bytes,
            ),
            (
                "integration_address_book_lag_seconds",
                "How far its address book is behind Salesforce",
                self.book_lag,
            ),
            (
                "integration_address_book_fill_records",
                "Records that the fill of its address book has read which is under way",
                self.book_filled,
            ),
            (
                "integration_address_book_fill_records_expected",
                "Records that this fill has to read in all",
                self.book_to_fill,
            ),
            (
                "integration_last_run_duration_seconds",
                "How long the last run took",
                self.last_run_seconds,
            ),
            (
                "integration_last_run_ambiguous_numbers",
                "Numbers of the last run for which more than one record had the number",
                self.last_run_ambiguous,
            ),
            (
                "integration_last_run_api_requests",
                "API requests to Salesforce that the last run cost",
                self.last_run_api_requests,
            ),
            (
                "integration_misses_waiting",
                "Numbers that a requested re-retrieval has still to ask for",
                self.misses_waiting,
            ),
            (
                "integration_last_success_timestamp_seconds",
                "When the last run that succeeded ended",
                self.last_success,
            ),
            (
                "integration_budget_requests",
                "API requests that an integration may make in 24 hours",
                self.budget,
            ),
            (
                "integration_budget_requests_used",
                "API requests that an integration has made in 24 hours",
                self.budget_used,
            ),
        ];
        for (name, help, family) in plain {
            registry.register(name, help, family);
        }
    }
}

fn set<L>(family: &Of<L>, name: &Name, by: L, value: i64)
where
    L: EncodeLabelSet + Clone + std::fmt::Debug + std::hash::Hash + Eq,
{
    let label = Labelled {
        of: name.clone(),
        by,
    };
    family.get_or_create(&label).set(value);
}

fn plain(family: &Plain, name: &Name, value: i64) {
    family.get_or_create(name).set(value);
}

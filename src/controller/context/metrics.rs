//! The controller's metrics in the Prometheus text format. Labels are bounded: an outcome is one of
//! our codes, an org is its ID.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

use crate::api::conditions::READY;
use crate::api::{SalesforceIntegration, conditions};
use crate::decide::Proof;
use crate::reason::{Code, Reason};

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct OutcomeLabel {
    outcome: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct OrgLabel {
    organization: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct NamespaceLabel {
    namespace: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ReadyLabel {
    ready: String,
    reason: Code,
}

impl EncodeLabelValue for Code {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> std::fmt::Result {
        self.as_str().encode(encoder)
    }
}

/// The controller's metrics.
pub(crate) struct Metrics {
    registry: Registry,
    integrations: Family<ReadyLabel, Gauge>,
    queued: Gauge,
    reconciles: Family<OutcomeLabel, Counter>,
    reconcile_seconds: Histogram,
    reconciling: Gauge,
    proofs: Family<OutcomeLabel, Counter>,
    logins: Family<OutcomeLabel, Counter>,
    proof_seconds: Histogram,
    api_requests_used: Family<OrgLabel, Gauge>,
    api_requests_limit: Family<OrgLabel, Gauge>,
    namespaces_watched: Family<NamespaceLabel, Gauge>,
    mails: Family<OutcomeLabel, Counter>,
    mails_queued: Gauge,
}

// === impl Metrics ===

impl Default for Metrics {
    fn default() -> Self {
        let seconds = || Histogram::new(exponential_buckets(0.005, 2.0, 14));
        let mut metrics = Self {
            registry: Registry::with_prefix("switchboard"),
            integrations: Family::default(),
            queued: Gauge::default(),
            reconciles: Family::default(),
            reconcile_seconds: seconds(),
            reconciling: Gauge::default(),
            proofs: Family::default(),
            logins: Family::default(),
            proof_seconds: seconds(),
            api_requests_used: Family::default(),
            api_requests_limit: Family::default(),
            namespaces_watched: Family::default(),
            mails: Family::default(),
            mails_queued: Gauge::default(),
        };
        let registry = &mut metrics.registry;
        registry.register(
            "integrations",
            "Integrations by their condition Ready and its reason",
            metrics.integrations.clone(),
        );
        registry.register(
            "queued",
            "Integrations whose newest spec was not looked at yet",
            metrics.queued.clone(),
        );
        let counters = [
            (
                "reconciles",
                "Reconciles that ended, by outcome",
                &metrics.reconciles,
            ),
            (
                "proofs",
                "Proofs of connections, by outcome",
                &metrics.proofs,
            ),
            (
                "mails",
                "E-mails: sent, failed attempts, dropped for good, held back by a ceiling",
                &metrics.mails,
            ),
            (
                "logins",
                "Log-ins to Salesforce that were sent, by the outcome of their proof",
                &metrics.logins,
            ),
        ];
        for (name, help, counter) in counters {
            registry.register(name, help, counter.clone());
        }
        let durations = [
            (
                "reconcile_duration",
                "How long a reconcile took",
                &metrics.reconcile_seconds,
            ),
            (
                "proof_duration",
                "How long a proof took",
                &metrics.proof_seconds,
            ),
        ];
        for (name, help, duration) in durations {
            registry.register_with_unit(name, help, Unit::Seconds, duration.clone());
        }
        let of_orgs = [
            (
                "salesforce_api_requests_used",
                "API requests that an org has used in 24 hours, by anyone",
                &metrics.api_requests_used,
            ),
            (
                "salesforce_api_requests_limit",
                "API requests that an org may use in 24 hours",
                &metrics.api_requests_limit,
            ),
        ];
        for (name, help, gauge) in of_orgs {
            registry.register(name, help, gauge.clone());
        }
        registry.register(
            "mails_queued",
            "E-mails that wait for the mail server",
            metrics.mails_queued.clone(),
        );
        registry.register(
            "reconciling",
            "Reconciles that go on",
            metrics.reconciling.clone(),
        );
        registry.register(
            "namespace_watched",
            "1 where a namespace that the operator is limited to can be watched, else 0",
            metrics.namespaces_watched.clone(),
        );
        metrics
    }
}

impl Metrics {
    /// Counts the integrations by the reason of their condition Ready.
    pub(crate) fn integrations_stand(
        &self,
        integrations: impl Iterator<Item = Arc<SalesforceIntegration>>,
    ) {
        let mut counts: HashMap<ReadyLabel, i64> = HashMap::new();
        let mut queued = 0;
        for integration in integrations {
            let status = integration.status.as_ref();
            let ready = status.and_then(|status| conditions::find(&status.conditions, READY));
            let label = ReadyLabel {
                ready: ready.map_or("Unknown", |ready| &ready.status).to_owned(),
                reason: ready.map_or(Reason::Pending.into(), conditions::reason_of),
            };
            *counts.entry(label).or_default() += 1;
            let seen = status.and_then(|status| status.observed_generation);
            queued += i64::from(seen != integration.metadata.generation);
        }
        self.integrations.clear();
        for (label, count) in counts {
            self.integrations.get_or_create(&label).set(count);
        }
        self.queued.set(queued);
    }

    /// Counts a reconcile that begins.
    pub(crate) fn reconcile_begins(&self) {
        self.reconciling.inc();
    }

    /// Records a reconcile that ended, with its outcome and its duration.
    pub(crate) fn reconcile_ended(&self, succeeded: bool, took: Duration) {
        self.reconciling.dec();
        self.reconcile_seconds.observe(took.as_secs_f64());
        self.reconciles
            .get_or_create(&OutcomeLabel {
                outcome: if succeeded { "success" } else { "error" },
            })
            .inc();
    }

    /// Records a proof that ended: its outcome, its log-ins, its duration and the org's API usage.
    pub(crate) fn proof_ended(&self, proof: &Proof, logins: u64, took: Duration) {
        let outcome = match &proof.outcome {
            Ok(findings) => {
                if let Some(usage) = &findings.usage {
                    let org = OrgLabel {
                        organization: findings.organization.id.clone(),
                    };
                    self.api_requests_used
                        .get_or_create(&org)
                        .set(usage.used as i64);
                    self.api_requests_limit
                        .get_or_create(&org)
                        .set(usage.limit as i64);
                }
                "success"
            }
            Err(failure) => failure.meaning.code(),
        };
        self.proof_seconds.observe(took.as_secs_f64());
        self.proofs.get_or_create(&OutcomeLabel { outcome }).inc();
        self.logins
            .get_or_create(&OutcomeLabel { outcome })
            .inc_by(logins);
    }

    /// Whether a namespace of the operator's configuration can be watched.
    pub(crate) fn namespace_watched(&self, namespace: &str, watched: bool) {
        let label = NamespaceLabel {
            namespace: namespace.to_owned(),
        };
        self.namespaces_watched
            .get_or_create(&label)
            .set(watched.into());
    }

    /// Counts a mail, or an attempt to send it, by what became of it.
    pub(crate) fn mail_ended(&self, outcome: &'static str) {
        self.mails.get_or_create(&OutcomeLabel { outcome }).inc();
    }

    /// Counts a decision that a mail is due and has to wait for a ceiling.
    pub(crate) fn mail_held(&self) {
        self.mail_ended("held");
    }

    /// How many mails wait for the mail server.
    pub(crate) fn mails_queued(&self, mails: usize) {
        self.mails_queued
            .set(i64::try_from(mails).unwrap_or(i64::MAX));
    }

    /// The metrics as text.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a String cannot fail.
        let _ = encode(&mut text, &self.registry);
        text
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::api::{SalesforceIntegrationStatus, fixtures};

    #[test]
    fn how_many_integrations_are_not_ready_and_why_is_counted() {
        let one = |reason: &str, seen: i64| {
            let mut resource = fixtures::integration("acme");
            resource.metadata.generation = Some(2);
            let mut status = SalesforceIntegrationStatus {
                observed_generation: Some(seen),
                ..SalesforceIntegrationStatus::default()
            };
            let verdict = conditions::Verdict::fails(reason, "");
            let now = Timestamp::UNIX_EPOCH;
            conditions::set(&mut status.conditions, READY, verdict, Some(seen), now);
            resource.status = Some(status);
            Arc::new(resource)
        };
        let metrics = Metrics::default();
        metrics.integrations_stand([one("Gone", 2)].into_iter());
        metrics.integrations_stand([one("InvalidLogin", 2), one("InvalidLogin", 1)].into_iter());
        let text = metrics.text();
        assert!(
            text.contains(r#"switchboard_integrations{ready="False",reason="InvalidLogin"} 2"#),
            "{text}"
        );
        assert!(text.contains("switchboard_queued 1"), "{text}");
        assert!(!text.contains("Gone"), "{text}");
    }
}

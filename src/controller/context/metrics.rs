//! What the controller counts while it works, in the Prometheus text format. What the statuses say
//! is not counted but read at each scrape, see [`super::fleet`]. Labels are bounded: an outcome is
//! one of our codes.

use std::time::Duration;

use jiff::Timestamp;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::{encode_eof, encode_registry};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};

use super::fleet::clamped;
use super::labels::{KindLabel, RunLabel};
use crate::api::status::LastRun;
use crate::decide::Proof;
use crate::shard::Shard;

/// The most that one run adds to a counter. A worker's report may hold any numbers that add up, and
/// a counter of the whole fleet must not overflow by those of one tenant.
const MOST_OF_A_RUN: u64 = 10_000_000;

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct OutcomeLabel {
    outcome: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ResultLabel {
    kind: String,
    result: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ShardLabel {
    shard: u32,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct NamespaceLabel {
    namespace: String,
}

/// The controller's metrics.
pub(crate) struct Metrics {
    registry: Registry,
    leader: Gauge,
    /// The same by shard, where there are several.
    shard_leader: Option<Gauge>,
    runs: Family<RunLabel, Counter>,
    run_seconds: Family<KindLabel, Histogram, fn() -> Histogram>,
    run_calls: Family<KindLabel, Counter>,
    run_numbers: Family<ResultLabel, Counter>,
    run_ambiguous: Family<KindLabel, Counter>,
    run_asked_again: Family<KindLabel, Counter>,
    run_followed: Family<ResultLabel, Counter>,
    run_contacts: Family<KindLabel, Counter>,
    run_api_requests: Family<KindLabel, Counter>,
    reconciles: Family<OutcomeLabel, Counter>,
    reconcile_seconds: Histogram,
    reconciling: Gauge,
    proofs: Family<OutcomeLabel, Counter>,
    logins: Family<OutcomeLabel, Counter>,
    proof_seconds: Histogram,
    namespaces_watched: Family<NamespaceLabel, Gauge>,
    mails: Family<OutcomeLabel, Counter>,
    mails_queued: Gauge,
}

// === impl Metrics ===

impl Default for Metrics {
    fn default() -> Self {
        let seconds = || Histogram::new(exponential_buckets(0.005, 2.0, 14));
        // From half a second to more than an hour.
        let of_runs: fn() -> Histogram = || Histogram::new(exponential_buckets(0.5, 2.0, 14));
        let mut metrics = Self {
            registry: Registry::with_prefix("switchboard"),
            leader: Gauge::default(),
            runs: Family::default(),
            run_seconds: Family::new_with_constructor(of_runs),
            run_calls: Family::default(),
            run_numbers: Family::default(),
            run_ambiguous: Family::default(),
            run_asked_again: Family::default(),
            run_followed: Family::default(),
            run_contacts: Family::default(),
            run_api_requests: Family::default(),
            reconciles: Family::default(),
            reconcile_seconds: seconds(),
            reconciling: Gauge::default(),
            proofs: Family::default(),
            logins: Family::default(),
            proof_seconds: seconds(),
            namespaces_watched: Family::default(),
            mails: Family::default(),
            mails_queued: Gauge::default(),
            shard_leader: None,
        };
        let registry = &mut metrics.registry;
        registry.register(
            "build",
            "The version that runs",
            Info::new([("version", env!("CARGO_PKG_VERSION"))]),
        );
        registry.register(
            "leader",
            "1 where this replica leads, 0 where it stands by",
            metrics.leader.clone(),
        );
        registry.register(
            "runs",
            "Runs that ended, by kind and outcome",
            metrics.runs.clone(),
        );
        registry.register(
            "run_numbers",
            "Numbers that runs asked Salesforce for, by what they were found as",
            metrics.run_numbers.clone(),
        );
        registry.register(
            "run_contacts_followed",
            "Contacts that followed a change in Salesforce, by what became of them",
            metrics.run_followed.clone(),
        );
        registry.register_with_unit(
            "run_duration",
            "How long runs took",
            Unit::Seconds,
            metrics.run_seconds.clone(),
        );
        let of_runs = [
            (
                "run_calls",
                "Calls of the directory that runs took up",
                &metrics.run_calls,
            ),
            (
                "run_ambiguous_numbers",
                "Numbers found for which more than one record had the number",
                &metrics.run_ambiguous,
            ),
            (
                "run_numbers_asked_again",
                "Numbers that runs asked for again",
                &metrics.run_asked_again,
            ),
            (
                "run_contacts_written",
                "Contacts that runs wrote to the directory",
                &metrics.run_contacts,
            ),
            (
                "run_api_requests",
                "API requests to Salesforce that runs cost",
                &metrics.run_api_requests,
            ),
        ];
        for (name, help, counter) in of_runs {
            registry.register(name, help, counter.clone());
        }
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
    /// This replica leads from now on.
    pub(crate) fn leads(&self) {
        self.leader.set(1);
        if let Some(leader) = &self.shard_leader {
            leader.set(1);
        }
    }

    /// This replica is of one of several shards. Where there is one only, no series says so.
    pub(crate) fn of_shard(&mut self, shard: Shard) {
        if shard.is_whole() {
            return;
        }
        let shards = Gauge::<i64>::default();
        shards.set(shard.count().into());
        self.registry.register(
            "shards",
            "Into how many shards the namespaces are divided",
            shards,
        );
        let leader = Family::<ShardLabel, Gauge>::default();
        let label = ShardLabel {
            shard: shard.index(),
        };
        self.registry.register(
            "shard_leader",
            "1 where this replica leads in its shard, 0 where it stands by",
            leader.clone(),
        );
        self.shard_leader = Some(leader.get_or_create_owned(&label));
    }

    /// The first certificate of the authorities for Salesforce expires then.
    pub(crate) fn ca_expires(&mut self, at: Timestamp) {
        let expiry = Gauge::<i64>::default();
        expiry.set(at.as_second());
        self.registry.register(
            "ca_certificate_expiry_timestamp_seconds",
            "When the first certificate of the authorities for Salesforce (--ca-bundle) expires",
            expiry,
        );
    }

    /// Counts a run that ended, once its status is written.
    pub(crate) fn run_ended(&self, run: &LastRun) {
        let kind = KindLabel {
            kind: run.kind.clone(),
        };
        let label = RunLabel {
            kind: run.kind.clone(),
            outcome: run.code().into(),
        };
        self.runs.get_or_create(&label).inc();
        if let Some(took) = run.duration() {
            self.run_seconds
                .get_or_create(&kind)
                .observe(took.as_secs_f64());
        }
        let numbers = [
            ("contact", run.matched.contact),
            ("account", run.matched.account),
            ("lead", run.matched.lead),
            ("none", run.unmatched),
        ];
        for (result, count) in numbers {
            let label = ResultLabel {
                kind: run.kind.clone(),
                result,
            };
            let counter = self.run_numbers.get_or_create(&label);
            counter.inc_by(count.min(MOST_OF_A_RUN));
        }
        let followed = run.followed.iter().flat_map(|followed| {
            let named = [
                ("renamed", followed.renamed),
                ("removed", followed.removed),
                ("newlyNamed", followed.newly_named),
            ];
            let counted = named.iter().map(|(_, count)| *count);
            let rest = counted.fold(followed.changed, u64::saturating_sub);
            named.into_iter().chain([("other", rest)])
        });
        for (result, count) in followed {
            let label = ResultLabel {
                kind: run.kind.clone(),
                result,
            };
            let counter = self.run_followed.get_or_create(&label);
            counter.inc_by(count.min(MOST_OF_A_RUN));
        }
        let counts = [
            (&self.run_calls, run.calls),
            (&self.run_ambiguous, run.ambiguous),
            (&self.run_asked_again, run.asked_again),
            (&self.run_contacts, run.written),
            (&self.run_api_requests, run.api_calls),
        ];
        for (counter, count) in counts {
            let counter = counter.get_or_create(&kind);
            counter.inc_by(count.min(MOST_OF_A_RUN));
        }
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

    /// Records a proof that ended: its outcome, its log-ins and its duration.
    pub(crate) fn proof_ended(&self, proof: &Proof, logins: u64, took: Duration) {
        let outcome = match &proof.outcome {
            Ok(_) => "success",
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
        self.mails_queued.set(clamped(mails as u64));
    }

    /// The metrics as text, with those of another registry behind them.
    pub(crate) fn text(&self, fleet: Option<&Registry>) -> String {
        let mut text = String::new();
        // Writing to a String cannot fail.
        for registry in std::iter::once(&self.registry).chain(fleet) {
            let _ = encode_registry(&mut text, registry);
        }
        let _ = encode_eof(&mut text);
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_counted_by_kind_outcome_and_what_was_found() {
        let metrics = Metrics::default();
        let time = |second| {
            let at = Timestamp::from_second(second).unwrap();
            Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(at))
        };
        let mut run = LastRun {
            kind: "Sync".into(),
            outcome: "Succeeded".into(),
            started_at: time(10),
            finished_at: time(13),
            calls: 9,
            unmatched: 4,
            ambiguous: 1,
            asked_again: 2,
            written: 3,
            api_calls: 5,
            ..LastRun::default()
        };
        run.matched.lead = 3;
        metrics.run_ended(&run);
        run.outcome = "A word of a hostile worker".into();
        run.api_calls = u64::MAX;
        metrics.run_ended(&run);
        let text = metrics.text(None);
        for line in [
            r#"switchboard_runs_total{kind="Sync",outcome="Succeeded"} 1"#,
            r#"switchboard_runs_total{kind="Sync",outcome="Unknown"} 1"#,
            r#"switchboard_run_numbers_total{kind="Sync",result="lead"} 6"#,
            r#"switchboard_run_numbers_total{kind="Sync",result="none"} 8"#,
            r#"switchboard_run_calls_total{kind="Sync"} 18"#,
            r#"switchboard_run_ambiguous_numbers_total{kind="Sync"} 2"#,
            r#"switchboard_run_numbers_asked_again_total{kind="Sync"} 4"#,
            r#"switchboard_run_contacts_written_total{kind="Sync"} 6"#,
            r#"switchboard_run_api_requests_total{kind="Sync"} 10000005"#,
            r#"switchboard_run_duration_seconds_sum{kind="Sync"} 6.0"#,
        ] {
            assert!(text.contains(line), "{line}: {text}");
        }
        assert!(!text.contains("hostile"), "{text}");
    }

    #[test]
    fn a_replica_says_whether_it_leads_and_which_version_it_is() {
        let mut metrics = Metrics::default();
        assert!(metrics.text(None).contains("switchboard_leader 0\n"));
        assert!(!metrics.text(None).contains("switchboard_ca_certificate"));
        metrics.leads();
        metrics.ca_expires(Timestamp::from_second(77).unwrap());
        let text = metrics.text(None);
        for line in [
            "switchboard_leader 1\n",
            "switchboard_ca_certificate_expiry_timestamp_seconds 77\n",
            concat!(
                "switchboard_build_info{version=\"",
                env!("CARGO_PKG_VERSION"),
                "\"} 1\n"
            ),
        ] {
            assert!(text.contains(line), "{line}: {text}");
        }
        assert!(text.ends_with("# EOF\n"), "{text}");
    }
}

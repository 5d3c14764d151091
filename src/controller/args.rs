//! The flags of the controller and the files that they name.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use http::HeaderValue;
use http::header::USER_AGENT;
use jiff::Timestamp;
use kube::Client;
use kube::client::ClientBuilder;
use tower::limit::ConcurrencyLimitLayer;
use tower::timeout::TimeoutLayer;
use url::Url;

use super::Error;
use super::authorities::read_authorities;
use super::cluster::leader::Times;
use super::mail_args::{MailArgs, MailSetup};
use crate::api::now;
use crate::cli::{ClusterError, SalesforceArgs, cluster_config, duration, quantity, read};
use crate::decide::rules::config::{CallCenterConflicts, Config, RunsWhere, proxy_variables};
use crate::decide::rules::pods::PodRules;
use crate::directory::{Authorities, TokenKeys};
use crate::http_server;
use crate::salesforce::{DialPolicy, FingerprintKey, first_expiry};
use crate::shard::Shard;

/// Label under which the fingerprint key is derived when no file is given.
const FINGERPRINT_LABEL: &str = "credential fingerprints";

/// User agent in requests to the API server.
const AGENT: &str = concat!("switchboard/", env!("CARGO_PKG_VERSION"));

/// Concurrent requests to the API server; a watch counts until its response begins. Each takes a
/// connection, which costs both sides memory, and more of them made nothing faster.
const MAX_REQUESTS: usize = 16;

/// The longest silence on a connection that owes a response. It is longer than a watch lasts and
/// than the API server works on a request. Without it a connection whose peer vanished, as behind a
/// load balancer that lost a node, would block until the kernel gives up.
const SILENT_FOR: Duration = Duration::from_secs(75);

/// Flags of `switchboard controller`.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Image of the worker pods; usually the controller's own.
    #[arg(long, env = "SWITCHBOARD_WORKER_IMAGE")]
    pub worker_image: String,
    /// When nodes pull the worker image: Always, IfNotPresent or Never.
    #[arg(
        long,
        env = "SWITCHBOARD_WORKER_IMAGE_PULL_POLICY",
        default_value = "IfNotPresent"
    )]
    pub worker_image_pull_policy: String,
    /// Memory limit of worker pods, at least 32Mi, which they ask for.
    #[arg(long, env = "SWITCHBOARD_WORKER_MEMORY", default_value = "128Mi", value_parser = worker_memory)]
    pub worker_memory: String,
    /// File with what the pods of runs have (podTemplate: nodes, tolerations, resources and the
    /// like) and what tenants may set of it (tenantsMay).
    #[arg(long, env = "SWITCHBOARD_WORKER_PODS", value_name = "FILE")]
    pub worker_pods: Option<PathBuf>,
    /// RUST_LOG of worker pods.
    #[arg(long, env = "SWITCHBOARD_WORKER_LOG", default_value = "info")]
    pub worker_log: String,
    /// Where worker pods reach the directory, such as `http://switchboard-directory.switchboard.svc`.
    #[arg(long, env = "SWITCHBOARD_DIRECTORY_URL")]
    pub directory_url: Url,
    /// File with the authorities that workers trust for the directory, and no others, PEM: a copy
    /// goes into each tenant's Secret with the tokens. Those of the system when not given. Read
    /// again when it changes.
    #[arg(long, env = "SWITCHBOARD_DIRECTORY_CA_BUNDLE", value_name = "FILE")]
    pub directory_ca_bundle: Option<PathBuf>,
    /// File with the keys that sign the directory's tokens: base64 of 32 bytes or more, one a
    /// line, the signing key first.
    #[arg(
        long,
        env = "SWITCHBOARD_TOKEN_KEYS",
        value_name = "FILE",
        alias = "token-key-file"
    )]
    pub token_keys: PathBuf,
    /// File with the key (32 bytes or more) for the fingerprints of credentials; derived from the
    /// token key when not given. When it changes, each credential is proved once more.
    #[arg(long, env = "SWITCHBOARD_FINGERPRINT_KEY_FILE")]
    pub fingerprint_key_file: Option<PathBuf>,
    #[command(flatten)]
    #[allow(
        missing_docs,
        reason = "a doc comment here would become a heading of the help"
    )]
    pub salesforce: SalesforceArgs,
    #[command(flatten)]
    #[allow(
        missing_docs,
        reason = "a doc comment here would become a heading of the help"
    )]
    pub mail: MailArgs,
    /// How long a run may take before its pod is ended, such as 30m.
    #[arg(long, env = "SWITCHBOARD_RUN_DEADLINE", default_value = "30m", value_parser = duration)]
    pub run_deadline: Duration,
    /// Daily runs are spread over this time before their dailyAt, in whole minutes, such as 30m;
    /// at most 12h.
    #[arg(long, env = "SWITCHBOARD_DAILY_WINDOW", default_value = "30m", value_parser = duration)]
    pub daily_window: Duration,
    /// Where calls are looked up that no schedule looks up: in the controller as they end
    /// (Resident), or nowhere: then all runs are pods, every lookupEvery (Pods).
    #[arg(
        long,
        env = "SWITCHBOARD_RUNS_WHERE",
        value_enum,
        default_value_t = RunsWhere::Resident
    )]
    pub runs_where: RunsWhere,
    /// The most numbers that the controller looks up in one go. When more wait, a pod does it.
    #[arg(long, env = "SWITCHBOARD_RESIDENT_NUMBERS", default_value_t = 2_000)]
    pub resident_numbers: u32,
    /// Part of each integration's share of API requests that is kept for calls that ring, in per
    /// cent.
    #[arg(
        long,
        env = "SWITCHBOARD_RINGS_PERCENT",
        default_value_t = 20,
        value_parser = clap::value_parser!(u8).range(..=90)
    )]
    pub rings_percent: u8,
    /// The most records of an address book, whatever a tenant asks for; 0 allows none. A record
    /// takes some 300 bytes of the directory's database.
    #[arg(
        long,
        env = "SWITCHBOARD_MAX_BOOK_RECORDS",
        default_value_t = 10_000_000
    )]
    pub max_book_records: u64,
    /// Whether an integration's runs are suspended (Block) or go on (Warn) while a user of its
    /// call centers belongs to an older integration of the same org.
    #[arg(
        long,
        env = "SWITCHBOARD_CALL_CENTER_CONFLICTS",
        value_enum,
        default_value_t = CallCenterConflicts::Block
    )]
    pub call_center_conflicts: CallCenterConflicts,
    /// Watch only these namespaces, separated by commas; all when not given.
    #[arg(long, env = "SWITCHBOARD_WATCH_NAMESPACES", value_delimiter = ',')]
    pub watch_namespaces: Vec<String>,
    /// Work only while this replica holds the Lease, so that several may run.
    #[arg(long, env = "SWITCHBOARD_LEADER_ELECT")]
    pub leader_elect: bool,
    /// Work only on the namespaces of one of several shards, INDEX/COUNT with the index from 0,
    /// such as 0/4: each has a Lease of its own. All have the same COUNT; while it changes none
    /// works.
    #[arg(
        long,
        env = "SWITCHBOARD_SHARD",
        value_name = "INDEX/COUNT",
        default_value_t = Shard::WHOLE
    )]
    pub shard: Shard,
    /// How long the Lease lasts without a renewal: so long nobody works when the node of the
    /// leader is lost. At least twice --lease-renew, and three seconds more than it.
    #[arg(long, env = "SWITCHBOARD_LEASE_DURATION", default_value = "15s", value_parser = duration)]
    pub lease_duration: Duration,
    /// How often the leader renews the Lease.
    #[arg(long, env = "SWITCHBOARD_LEASE_RENEW", default_value = "7s", value_parser = duration)]
    pub lease_renew: Duration,
    /// Namespace of the Lease; the pod's own when not given.
    #[arg(long, env = "POD_NAMESPACE")]
    pub lease_namespace: Option<String>,
    /// Where /healthz, /readyz and /metrics answer; `[::]` takes IPv6 and IPv4, and IPv4 alone
    /// where there is no IPv6.
    #[arg(long, env = "SWITCHBOARD_LISTEN", default_value = "[::]:8080", value_parser = http_server::address)]
    pub listen: SocketAddr,
    /// Give each integration series of its own in /metrics, by namespace and name: of the oldest
    /// so many, 1000 without a number. Without the flag there are series of the whole fleet
    /// only.
    #[arg(
        long,
        env = "SWITCHBOARD_METRICS_PER_INTEGRATION",
        default_value_t = 0,
        default_missing_value = "1000",
        num_args = 0..=1,
        require_equals = true,
        value_parser = clap::value_parser!(u32).range(..=100_000),
        value_name = "MOST"
    )]
    pub metrics_per_integration: u32,
    /// How many integrations are worked on at once.
    #[arg(long, env = "SWITCHBOARD_CONCURRENCY", default_value_t = 64)]
    pub concurrency: u16,
    /// Name of this replica in Events and in the Lease; made up when not given.
    #[arg(long, env = "POD_NAME")]
    pub identity: Option<String>,
}

/// The values of the flags and their files.
pub(crate) struct Setup {
    pub config: Config,
    pub dial: DialPolicy,
    pub token_keys: TokenKeys,
    /// Whom workers trust to be the directory; `None` for the system's authorities.
    pub directory_authorities: Option<Authorities>,
    pub fingerprint_key: FingerprintKey,
    /// `None` when no mail is sent.
    pub mail: Option<MailSetup>,
    /// When the first certificate of the authorities for Salesforce expires.
    pub ca_expiry: Option<Timestamp>,
}

// === impl Args ===

impl Args {
    pub(crate) fn read(&self) -> Result<Setup, Error> {
        let keys = read(&self.token_keys, "--token-keys")?;
        let token_keys = TokenKeys::parse(&keys)
            .map_err(|error| Error::TokenKeys(self.token_keys.clone(), error))?;
        let fingerprint_key = match &self.fingerprint_key_file {
            None => FingerprintKey::new(token_keys.derive(FINGERPRINT_LABEL).to_vec()),
            Some(path) => {
                let key = read(path, "--fingerprint-key-file")?;
                if key.trim().len() < 32 {
                    return Err(Error::FingerprintKey(path.clone()));
                }
                FingerprintKey::new(key.trim().as_bytes().to_vec())
            }
        };
        let directory_authorities = self.directory_authorities()?;
        let ca_bundle = self.salesforce.ca_bundle()?;
        let pods = match &self.worker_pods {
            None => PodRules::default(),
            Some(path) => {
                let text = read(path, "--worker-pods")?;
                PodRules::read(&text, &self.worker_memory)
                    .map_err(|problem| Error::WorkerPods(path.clone(), problem))?
            }
        };
        let (worker_proxy, left_out) = proxy_variables(|name| std::env::var(name).ok());
        if !left_out.is_empty() {
            tracing::warn!(variables = ?left_out, "worker pods do not get these: they hold a user or a password, which tenants could read; let the proxy know the pods by their address");
        }
        Ok(Setup {
            dial: self.salesforce.policy(ca_bundle.as_deref())?,
            ca_expiry: ca_bundle
                .as_deref()
                .and_then(|pem| first_expiry(pem, now())),
            config: Config {
                worker_image: self.worker_image.clone(),
                image_pull_policy: self.worker_image_pull_policy.clone(),
                directory_url: self.directory_url.clone(),
                directory_ca: directory_authorities.is_some(),
                salesforce_hosts: self.salesforce.salesforce_hosts.clone(),
                allow_private_networks: self.salesforce.allow_private_networks,
                ca_bundle,
                run_deadline: self.run_deadline,
                daily_window: self.daily_window,
                max_book_records: self.max_book_records,
                runs_where: self.runs_where,
                resident_numbers: self.resident_numbers as usize,
                rings_percent: self.rings_percent.into(),
                worker_memory: self.worker_memory.clone(),
                pod_template: pods.pod_template,
                tenants_may: Some(pods.tenants_may),
                worker_log: self.worker_log.clone(),
                call_center_conflicts: self.call_center_conflicts,
                worker_proxy,
            },
            token_keys,
            directory_authorities,
            fingerprint_key,
            mail: self.mail.read(self.shard.count())?,
        })
    }

    /// How long the Lease lasts.
    pub(crate) fn lease_times(&self) -> Result<Times, Error> {
        Times::new(self.lease_duration, self.lease_renew).ok_or(Error::LeaseTimes)
    }

    fn directory_authorities(&self) -> Result<Option<Authorities>, Error> {
        let Some(path) = &self.directory_ca_bundle else {
            return Ok(None);
        };
        if self.directory_url.scheme() != "https" {
            return Err(Error::AuthoritiesWithoutTls(self.directory_url.clone()));
        }
        read_authorities(path).map(Some).map_err(Error::Authorities)
    }

    /// The name of this replica.
    pub(crate) fn identity(&self) -> String {
        self.identity
            .clone()
            .unwrap_or_else(|| format!("switchboard-{:08x}", rand::random::<u32>()))
    }

    /// The namespace of the Lease: that of the flag, or the client's own.
    pub(crate) fn lease_namespace(&self, client: &Client) -> String {
        self.lease_namespace
            .clone()
            .unwrap_or_else(|| client.default_namespace().to_owned())
    }

    /// A client for the controller's work.
    pub(crate) async fn client(&self) -> Result<Client, Error> {
        self.client_that_waits(SILENT_FOR).await
    }

    /// A client with its own connections and this time-out for each request.
    pub(crate) async fn client_that_waits(&self, patience: Duration) -> Result<Client, Error> {
        let mut config = cluster_config().await?;
        // A watch receives something at least every minute: a connection that is silent for longer
        // is dead, also in the middle of a response.
        config.read_timeout = Some(SILENT_FOR);
        config.reset_reader_on_write = true;
        // Without it requests carry no user agent, and the audit log cannot attribute them.
        config
            .headers
            .push((USER_AGENT, HeaderValue::from_static(AGENT)));
        let builder = ClientBuilder::try_from(config).map_err(ClusterError::Client)?;
        Ok(builder
            .with_layer(&TimeoutLayer::new(patience))
            .with_layer(&ConcurrencyLimitLayer::new(MAX_REQUESTS))
            .build())
    }
}

/// The memory request of a worker pod; no limit may be below it.
const MIN_WORKER_MEMORY: f64 = 32.0 * 1024.0 * 1024.0;

/// Parses a memory quantity of Kubernetes. The API server must accept it as the limit of a pod that
/// requests 32Mi.
fn worker_memory(text: &str) -> Result<String, String> {
    match quantity(text) {
        None => Err(format!(
            "{text:?} is no quantity of memory; write one such as 128Mi"
        )),
        Some(bytes) if bytes >= MIN_WORKER_MEMORY => Ok(text.to_owned()),
        Some(_) => Err(format!(
            "{text} is less than the 32Mi that a worker's pod asks for; write 32Mi or more"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_gets_the_memory_that_it_asks_for_or_more() {
        for enough in ["128Mi", "32Mi", "0.5Gi", "64M", "33554432"] {
            assert_eq!(worker_memory(enough).as_deref(), Ok(enough));
        }
        for (wrong, why) in [
            ("16Mi", "less than the 32Mi"),
            ("32M", "less than the 32Mi"),
            ("lots", "no quantity"),
            ("", "no quantity"),
            ("-1Gi", "less than the 32Mi"),
            ("128mi", "no quantity"),
        ] {
            let said = worker_memory(wrong).unwrap_err();
            assert!(said.contains(why), "{wrong}: {said}");
        }
    }
}

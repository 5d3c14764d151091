//! The operator's own configuration, as values.

use std::time::Duration;

use url::Url;

use super::pods::{PodTemplate, TenantsMay};
use super::schedule::Cadence;
use crate::api::{Retrieval, RunWhere, Settings};

/// What becomes of an integration's runs while another integration holds one of its users.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum CallCenterConflicts {
    /// Its CronJob is suspended, and it is not Ready.
    #[default]
    #[value(name = "Block")]
    Block,
    /// Its runs go on. The condition Exclusive and the message of Ready tell of the clash.
    #[value(name = "Warn")]
    Warn,
}

/// Where runs happen that no schedule starts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum RunsWhere {
    /// In the controller: calls are looked up as they end.
    #[value(name = "Resident")]
    Resident,
    /// Nowhere: all runs are pods, every `lookupEvery`. So it is where there is no controller.
    #[default]
    #[value(name = "Pods")]
    Pods,
}

/// The operator's configuration, as far as decisions and children need it.
#[derive(Clone, Debug)]
pub struct Config {
    /// Image of the worker pods, usually the controller's own image.
    pub worker_image: String,
    /// `imagePullPolicy` of the worker pods.
    pub image_pull_policy: String,
    /// URL at which worker pods reach the directory.
    pub directory_url: Url,
    /// Whether worker pods get authorities of their own for the directory.
    pub directory_ca: bool,
    /// Hosts that credentials may be sent to, as patterns; see `salesforce::DialPolicy`.
    pub salesforce_hosts: Vec<String>,
    /// Whether Salesforce may be at private addresses (tests, gateways).
    pub allow_private_networks: bool,
    /// Additional certificate authorities for Salesforce, as PEM. They are passed to the workers.
    pub ca_bundle: Option<String>,
    /// Maximum duration of a run, after which its pod is ended.
    pub run_deadline: Duration,
    /// Daily runs are spread over this time before `dailyAt`.
    pub daily_window: Duration,
    /// The most records of an address book, whatever a tenant asks for.
    pub max_book_records: u64,
    /// Where runs happen that no schedule starts.
    pub runs_where: RunsWhere,
    /// The most numbers of one run of the controller; more are the work of a pod.
    pub resident_numbers: usize,
    /// Part of each share of API requests that is kept for ringing calls, in per cent.
    pub rings_percent: u64,
    /// Memory limit of worker pods, as a Kubernetes quantity.
    pub worker_memory: String,
    /// What the pods of all runs have.
    pub pod_template: PodTemplate,
    /// What tenants may set of it; `None` if that is not known, as on a laptop.
    pub tenants_may: Option<TenantsMay>,
    /// Value of `RUST_LOG` in worker pods.
    pub worker_log: String,
    /// What becomes of runs while a user of the call centers belongs to another integration.
    pub call_center_conflicts: CallCenterConflicts,
    /// Proxy settings, as environment variables of worker pods.
    pub worker_proxy: Vec<(String, String)>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            worker_image: "ghcr.io/switchboard/switchboard:latest".into(),
            image_pull_policy: "IfNotPresent".into(),
            directory_url: Url::parse("http://switchboard-directory")
                .unwrap_or_else(|_| unreachable!("a constant URL parses")),
            directory_ca: false,
            salesforce_hosts: vec![],
            allow_private_networks: false,
            ca_bundle: None,
            run_deadline: Duration::from_secs(30 * 60),
            daily_window: Duration::from_secs(30 * 60),
            max_book_records: 10_000_000,
            runs_where: RunsWhere::default(),
            resident_numbers: 2_000,
            rings_percent: 20,
            worker_memory: "128Mi".into(),
            pod_template: PodTemplate::default(),
            tenants_may: None,
            worker_log: "info".into(),
            call_center_conflicts: CallCenterConflicts::default(),
            worker_proxy: vec![],
        }
    }
}

// === impl Config ===

impl Config {
    /// Whether the controller looks up this integration's calls itself.
    pub fn is_resident(&self, settings: &Settings) -> bool {
        self.runs_where == RunsWhere::Resident
            && settings.run.where_ != Some(RunWhere::Pod)
            && settings.retrieval != Retrieval::Disabled
    }

    /// The cadence of an integration's runs; `None` if retrieval is disabled.
    pub(crate) fn cadence(&self, settings: &Settings, uid: &str) -> Option<Cadence> {
        let resident = self.is_resident(settings);
        Cadence::of(settings, uid, self.daily_window, resident)
    }

    /// The part of a share of API requests that is kept for ringing calls, which only the
    /// controller looks up.
    pub fn for_rings(&self, settings: &Settings, share: u64) -> u64 {
        match self.is_resident(settings) {
            true => share.saturating_mul(self.rings_percent.min(100)) / 100,
            false => 0,
        }
    }
}

const PROXY_VARIABLES: [&str; 6] = [
    "HTTPS_PROXY",
    "https_proxy",
    "ALL_PROXY",
    "all_proxy",
    "NO_PROXY",
    "no_proxy",
];

/// Returns the proxy variables of the controller's own environment, for the pods that connect to
/// Salesforce in the same way. The second list names the variables that are left out because they
/// contain a user or a password: everybody who may read pods in a tenant's namespace could read it.
pub(crate) fn proxy_variables(
    variable: impl Fn(&str) -> Option<String>,
) -> (Vec<(String, String)>, Vec<&'static str>) {
    let mut passed = vec![];
    let mut left_out = vec![];
    for name in PROXY_VARIABLES {
        match variable(name).filter(|value| !value.is_empty()) {
            Some(value) if value.contains('@') => left_out.push(name),
            Some(value) => passed.push((name.to_owned(), value)),
            None => {}
        }
    }
    (passed, left_out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workers_get_the_proxy_and_never_its_password() {
        let set = |name: &str| match name {
            "HTTPS_PROXY" => Some("http://proxy.example:3128".to_owned()),
            "all_proxy" => Some("http://user:secret@proxy.example:3128".to_owned()),
            "no_proxy" => Some(String::new()),
            _ => None,
        };
        assert_eq!(
            proxy_variables(set),
            (
                vec![(
                    "HTTPS_PROXY".to_owned(),
                    "http://proxy.example:3128".to_owned()
                )],
                vec!["all_proxy"]
            )
        );
    }
}

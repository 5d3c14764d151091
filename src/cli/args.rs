//! Flags that several roles share, and the files that flags name.

use std::path::{Path, PathBuf};
use std::time::Duration;

use zeroize::Zeroizing;

use crate::salesforce::{DEFAULT_HOSTS, DialError, DialPolicy};

/// An error in a flag or in the file that it names.
#[derive(Debug, thiserror::Error)]
pub enum FlagError {
    /// The file that the flag names cannot be read.
    #[error(
        "{flag} {}: the file cannot be read; check that it is there and that this process may read it",
        path.display()
    )]
    File {
        /// Name of the flag, such as `--ca-bundle`.
        flag: String,
        /// Path of the file.
        path: PathBuf,
        /// Error of the operating system.
        #[source]
        source: std::io::Error,
    },
    /// The Salesforce hosts or the certificate authorities are unusable.
    #[error("the way to Salesforce cannot be set up; check --salesforce-hosts and --ca-bundle")]
    Dial(#[from] DialError),
}

/// Where Salesforce may be; shared with `check` and the workers.
#[derive(Clone, Debug, clap::Args)]
pub struct SalesforceArgs {
    /// Hosts that credentials may be sent to, separated by commas; `*.` in front stands for any
    /// sub-domain, `:443` behind it for that port only.
    #[arg(long, env = "SWITCHBOARD_SALESFORCE_HOSTS", value_delimiter = ',', default_values_t = DEFAULT_HOSTS.iter().map(|host| format!("{host}:443")))]
    pub salesforce_hosts: Vec<String>,
    /// Let Salesforce be at private, loopback and link-local addresses (tests, gateways). Behind a
    /// proxy (HTTPS_PROXY) addresses are never seen here: only host names are checked, and
    /// refusing private addresses is the proxy's part.
    #[arg(long, env = "SWITCHBOARD_ALLOW_PRIVATE_NETWORKS")]
    pub allow_private_networks: bool,
    /// File with further certificate authorities for Salesforce, PEM.
    #[arg(long, env = "SWITCHBOARD_CA_BUNDLE")]
    pub ca_bundle: Option<PathBuf>,
}

// === impl SalesforceArgs ===

impl SalesforceArgs {
    /// The text of the file that `--ca-bundle` names. `None` without the flag.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn ca_bundle(&self) -> Result<Option<String>, FlagError> {
        self.ca_bundle
            .as_deref()
            .map(|path| read(path, "--ca-bundle").map(|text| text.to_string()))
            .transpose()
    }

    /// The policy that these flags describe.
    ///
    /// # Errors
    /// When a host pattern or the bundle is unusable.
    pub fn policy(&self, ca_bundle: Option<&str>) -> Result<DialPolicy, FlagError> {
        let pem = ca_bundle
            .filter(|pem| !pem.trim().is_empty())
            .map(|pem| pem.as_bytes().to_vec());
        DialPolicy::new(&self.salesforce_hosts, self.allow_private_networks, pem)
            .map_err(FlagError::from)
    }
}

/// The text of a file that a flag names.
///
/// # Errors
/// When the file cannot be read.
pub(crate) fn read(path: &Path, flag: &str) -> Result<Zeroizing<String>, FlagError> {
    std::fs::read_to_string(path)
        .map(Zeroizing::new)
        .map_err(|source| FlagError::File {
            flag: flag.to_owned(),
            path: path.to_owned(),
            source,
        })
}

/// Parses the duration of a flag. Zero is refused.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    text.parse::<jiff::SignedDuration>()
        .ok()
        .and_then(|duration| Duration::try_from(duration).ok())
        .filter(|duration| !duration.is_zero())
        .ok_or_else(|| format!("{text:?} is no duration; write one such as 30m"))
}

/// The bytes of a Kubernetes quantity such as `512Mi`. `None` if it is none.
pub(crate) fn quantity(text: &str) -> Option<f64> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let factor = match &text[digits.len()..] {
        "" => 1.0,
        "k" => 1e3,
        "M" => 1e6,
        "G" => 1e9,
        "T" => 1e12,
        "Ki" => 1024.0,
        "Mi" => 1024.0_f64.powi(2),
        "Gi" => 1024.0_f64.powi(3),
        "Ti" => 1024.0_f64.powi(4),
        _ => return None,
    };
    Some(factor * digits.parse::<f64>().ok()?)
}

/// Parses the size of a flag, in bytes. Zero is refused.
pub(crate) fn bytes(text: &str) -> Result<u64, String> {
    quantity(text)
        .map(|bytes| bytes as u64)
        .filter(|bytes| *bytes > 0)
        .ok_or_else(|| format!("{text:?} is no size; write one such as 20Gi"))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        salesforce: SalesforceArgs,
    }

    #[test]
    fn without_flags_only_the_https_port_of_salesforces_own_hosts_may_be_dialled() {
        let line = Line::try_parse_from(["check"]).unwrap();
        let policy = line.salesforce.policy(None).unwrap();
        let allowed = |url: &str| policy.check(&url.parse().unwrap()).is_ok();
        assert!(allowed("https://acme.my.salesforce.com"));
        assert!(allowed("https://acme.my.salesforce.com:443/"));
        assert!(!allowed("https://acme.my.salesforce.com:8443"));
        assert!(!allowed("https://salesforce.example"));
    }

    #[test]
    fn a_size_is_a_quantity_of_kubernetes_and_not_nothing() {
        for (text, wanted) in [
            ("20Gi", 20 << 30),
            ("1.5k", 1500),
            ("7", 7),
            ("2Ti", 2 << 40),
        ] {
            assert_eq!(bytes(text), Ok(wanted));
        }
        for wrong in ["", "0", "-1Gi", "lots", "20gb", "NaN"] {
            assert!(bytes(wrong).unwrap_err().contains("no size"), "{wrong}");
        }
    }
}

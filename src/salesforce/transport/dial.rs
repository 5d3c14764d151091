//! The dial guard: the hosts that a tenant may make the operator connect to.
//!
//! A tenant writes `loginUrl`, and Salesforce's response names the host of all further calls. The
//! guard checks the names of both before anything is sent. The resolver of the HTTP client itself
//! checks every address of a name again, so that there is no window between check and use.

use std::collections::BTreeSet;
use std::fmt;
use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::{Host, Url};

use super::address;
use super::address::Refusal;
use crate::error::CauseText;

/// The hosts of Salesforce: log-in, My Domain and instance hosts, sandboxes, in each of its clouds
/// (facts: Salesforce 1.4).
pub const DEFAULT_HOSTS: &[&str] = &[
    "*.salesforce.com",
    "*.force.com",
    "*.cloudforce.com",
    "*.salesforce.mil",
    "*.crmforce.mil",
    "*.sfcrmproducts.cn",
];

/// The hosts that may be dialled, and the addresses behind them.
#[derive(Clone)]
pub struct DialPolicy {
    hosts: Vec<HostPattern>,
    allow_private_networks: bool,
    ca_bundle_pem: Option<Vec<u8>>,
}

/// The reason why a URL, a host or an address is refused, or why the guard could not be set up.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DialError {
    /// A pattern in the operator's list cannot be read.
    #[error(
        "{0:?} is no host pattern: write a host such as login.example.com or *.example.com, with an optional :port"
    )]
    Pattern(String),
    /// The CA bundle cannot be read.
    #[error("the CA bundle cannot be used; write the authorities' certificates in PEM")]
    CaBundle(#[source] CauseText),
    /// The HTTP client could not be built.
    #[error("the HTTP client cannot be set up")]
    Client(#[source] CauseText),
    /// The URL does not use https.
    #[error("{0} is not https")]
    NotHttps(String),
    /// The URL contains a user name or password.
    #[error("the URL carries a user name or password")]
    UserInfo,
    /// The host is not on the list.
    #[error("the host {0} is not on the list of allowed hosts")]
    Host(String),
    /// The address is not public.
    #[error("{host} leads to {address}, which is a private address")]
    PrivateAddress {
        /// The host name, or the address itself.
        host: String,
        /// The address that the host leads to.
        address: IpAddr,
    },
    /// The address is never dialled.
    #[error("{host} leads to {address}, which is never dialled")]
    ForbiddenAddress {
        /// The host name, or the address itself.
        host: String,
        /// The address that the host leads to.
        address: IpAddr,
    },
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct HostPattern {
    /// The host name in lower case, without the leading `*.`.
    name: String,
    subdomains: bool,
    port: PortRule,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum PortRule {
    Any,
    Only(u16),
}

// === impl DialPolicy ===

impl DialPolicy {
    /// Creates a policy. Without `hosts`, it permits [`DEFAULT_HOSTS`] on port 443. A pattern given
    /// here permits any port unless it names one.
    pub fn new(
        hosts: &[String],
        allow_private_networks: bool,
        ca_bundle_pem: Option<Vec<u8>>,
    ) -> Result<Self, DialError> {
        let hosts = if hosts.is_empty() {
            let default = |host: &&str| HostPattern::parse(&format!("{host}:443"));
            DEFAULT_HOSTS
                .iter()
                .map(default)
                .collect::<Result<_, _>>()?
        } else {
            hosts
                .iter()
                .map(|host| HostPattern::parse(host))
                .collect::<Result<_, _>>()?
        };
        Ok(Self {
            hosts,
            allow_private_networks,
            ca_bundle_pem,
        })
    }

    /// Checks whether this URL may be dialled, as far as its text shows.
    pub fn check(&self, url: &Url) -> Result<(), DialError> {
        // The unit tests run servers without TLS; the real program does not permit http.
        let plain = cfg!(test) && url.scheme() == "http" && url.host_str() == Some("127.0.0.1");
        if url.scheme() != "https" && !plain {
            return Err(DialError::NotHttps(format!("{}:", url.scheme())));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(DialError::UserInfo);
        }
        let Some(host) = url.host() else {
            return Err(DialError::Host(String::new()));
        };
        let name = match host {
            Host::Domain(name) => name.to_ascii_lowercase(),
            Host::Ipv4(address) => address.to_string(),
            Host::Ipv6(address) => address.to_string(),
        };
        let port = url.port_or_known_default().unwrap_or(0);
        let is_name = matches!(host, Host::Domain(_));
        if port == 0
            || !self
                .hosts
                .iter()
                .any(|pattern| pattern.matches(&name, is_name, port))
        {
            return Err(DialError::Host(
                url.host_str().unwrap_or_default().to_owned(),
            ));
        }
        match host {
            Host::Domain(_) => Ok(()),
            Host::Ipv4(address) => self.check_address(&name, IpAddr::V4(address)),
            Host::Ipv6(address) => self.check_address(&name, IpAddr::V6(address)),
        }
    }

    /// Checks whether this address may be dialled for this host.
    pub(crate) fn check_address(&self, host: &str, address: IpAddr) -> Result<(), DialError> {
        match address::refusal(address) {
            None => Ok(()),
            Some(Refusal::Private) if self.allow_private_networks => Ok(()),
            Some(Refusal::Private) => Err(DialError::PrivateAddress {
                host: host.to_owned(),
                address,
            }),
            Some(Refusal::Always) => Err(DialError::ForbiddenAddress {
                host: host.to_owned(),
                address,
            }),
        }
    }

    /// The additional certificate authorities.
    pub(crate) fn ca_bundle(&self) -> Option<&[u8]> {
        self.ca_bundle_pem.as_deref()
    }
}

impl fmt::Debug for DialPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DialPolicy")
            .field("hosts", &self.hosts)
            .field("allow_private_networks", &self.allow_private_networks)
            .finish_non_exhaustive()
    }
}

// === impl HostPattern ===

impl HostPattern {
    fn parse(text: &str) -> Result<Self, DialError> {
        let invalid = || DialError::Pattern(text.to_owned());
        let text = text.trim();
        let (subdomains, rest) = match text.strip_prefix("*.") {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        // Host::parse accepts names, IPv4 and bracketed IPv6; a bare IPv6 address gets its
        // brackets.
        let (host, port) = match rest.parse::<IpAddr>() {
            Ok(address) => (address.to_string(), PortRule::Any),
            Err(_) => {
                let (host, port) = split_port(rest).ok_or_else(invalid)?;
                let host = match Host::parse(host).map_err(|_| invalid())? {
                    Host::Domain(name) => name.to_ascii_lowercase(),
                    Host::Ipv4(address) => address.to_string(),
                    Host::Ipv6(address) => address.to_string(),
                };
                (host, port)
            }
        };
        if host.is_empty() || host.contains('*') || host.ends_with('.') {
            return Err(invalid());
        }
        Ok(Self {
            name: host,
            subdomains,
            port,
        })
    }

    fn matches(&self, host: &str, is_name: bool, port: u16) -> bool {
        let port_fits = match self.port {
            PortRule::Any => true,
            PortRule::Only(only) => only == port,
        };
        let host_fits = if self.subdomains {
            is_name
                && host
                    .strip_suffix(&self.name)
                    .is_some_and(|front| front.len() > 1 && front.ends_with('.'))
        } else {
            host == self.name
        };
        port_fits && host_fits
    }
}

fn split_port(text: &str) -> Option<(&str, PortRule)> {
    match text.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => {
            let port: u16 = port.parse().ok().filter(|port| *port != 0)?;
            Some((host, PortRule::Only(port)))
        }
        _ => Some((text, PortRule::Any)),
    }
}

// === Resolution ===

/// The source of addresses for the guard.
pub(crate) trait Lookup: Send + Sync + 'static {
    /// Resolves a name to its addresses.
    fn lookup(
        &self,
        host: String,
    ) -> Pin<Box<dyn Future<Output = std::io::Result<Vec<IpAddr>>> + Send>>;
}

/// The resolver of the operating system.
pub(crate) struct SystemLookup;

impl Lookup for SystemLookup {
    fn lookup(
        &self,
        host: String,
    ) -> Pin<Box<dyn Future<Output = std::io::Result<Vec<IpAddr>>> + Send>> {
        Box::pin(async move {
            Ok(tokio::net::lookup_host((host, 0))
                .await?
                .map(|address| address.ip())
                .collect())
        })
    }
}

/// The resolver of the HTTP client. The client connects only to addresses that it returns.
pub(crate) struct GuardedResolver {
    policy: Arc<DialPolicy>,
    lookup: Arc<dyn Lookup>,
    /// The names of proxies from the operator's own environment. They may have private addresses.
    proxies: Arc<BTreeSet<String>>,
}

impl GuardedResolver {
    pub(crate) fn new(
        policy: Arc<DialPolicy>,
        lookup: Arc<dyn Lookup>,
        proxies: BTreeSet<String>,
    ) -> Self {
        Self {
            policy,
            lookup,
            proxies: Arc::new(proxies),
        }
    }
}

impl Resolve for GuardedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let host = name.as_str().to_ascii_lowercase();
        let policy = Arc::clone(&self.policy);
        let is_proxy = self.proxies.contains(&host);
        let lookup = self.lookup.lookup(host.clone());
        Box::pin(async move {
            let mut refused = None;
            let mut allowed = Vec::new();
            for address in lookup.await? {
                match policy.check_address(&host, address) {
                    Err(refusal) if !is_proxy => refused = Some(refusal),
                    _ => allowed.push(SocketAddr::new(address, 0)),
                }
            }
            match refused {
                Some(refusal) if allowed.is_empty() => Err(refusal.into()),
                _ => Ok(Box::new(allowed.into_iter()) as Addrs),
            }
        })
    }
}

/// The hosts of the proxies that the environment names, in the variables that the HTTP client
/// reads.
pub(crate) fn proxy_hosts(variable: impl Fn(&str) -> Option<String>) -> BTreeSet<String> {
    ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"]
        .into_iter()
        .filter_map(variable)
        .filter_map(|value| {
            let text = if value.contains("://") {
                value
            } else {
                format!("http://{value}")
            };
            Some(Url::parse(&text).ok()?.host_str()?.to_ascii_lowercase())
        })
        .collect()
}

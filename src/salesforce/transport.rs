//! HTTP behind the dial guard.

use std::sync::Arc;

use super::dial::{DialError, DialPolicy, GuardedResolver, SystemLookup, proxy_hosts};

/// The HTTP client behind the policy; cheap to clone, shared by all connections.
#[derive(Clone)]
pub struct Transport {
    client: reqwest::Client,
    policy: Arc<DialPolicy>,
}

impl Transport {
    /// A client that dials by this policy only.
    pub fn new(policy: DialPolicy) -> Result<Transport, DialError> {
        let policy = Arc::new(policy);
        let proxies = proxy_hosts(|name| std::env::var(name).ok());
        let resolver = GuardedResolver::new(Arc::clone(&policy), Arc::new(SystemLookup), proxies);
        let client = reqwest::Client::builder()
            .dns_resolver(resolver)
            .build()
            .map_err(|error| DialError::Client(error.to_string()))?;
        Ok(Transport { client, policy })
    }

    /// The policy.
    pub fn policy(&self) -> &DialPolicy {
        &self.policy
    }
}

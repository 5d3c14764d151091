//! The Secret with the tenant's tokens for the directory, in the tenant's own namespace.

use std::collections::BTreeMap;

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt;
use sha2::{Digest, Sha256};

use super::metadata;
use crate::api::{SalesforceIntegration, Settings, TOKENS_VERSION, token_secret_name};
use crate::decide::rules::schedule;

/// Key of the Secret with additional certificate authorities.
pub(super) const CA_KEY: &str = "ca.crt";

/// The inputs from which tokens are minted. When they change, new tokens are minted.
#[derive(Clone, Debug)]
pub(crate) struct TokenSources<'a> {
    /// ID of the signing key.
    pub key_id: &'a str,
    /// Additional certificate authorities that are stored in the Secret with the tokens.
    pub ca_bundle: Option<&'a str>,
}

// === impl TokenSources ===

impl TokenSources<'_> {
    /// Returns a digest of everything that the Secret's content depends on. It does not reveal the
    /// key itself.
    pub(crate) fn version(&self, company_id: &str, region: &str) -> String {
        let digest = Sha256::new()
            .chain_update(format!("v1\0{company_id}\0{region}\0{}\0", self.key_id))
            .chain_update(self.ca_bundle.unwrap_or_default())
            .finalize();
        digest
            .iter()
            .take(8)
            .map(|byte| format!("{byte:02x}"))
            .collect()
    }
}

/// Builds the Secret: `ingest` for the platform's webhook, `lookup` for the call screen, `worker`
/// for the runs, and `ca.crt`.
pub(crate) fn token_secret(
    resource: &SalesforceIntegration,
    settings: &Settings,
    sources: &TokenSources<'_>,
    tokens: BTreeMap<&'static str, String>,
) -> Secret {
    let mut metadata = metadata(resource, token_secret_name(&resource.name_any()), None);
    metadata.annotations = Some(BTreeMap::from([(
        TOKENS_VERSION.to_owned(),
        sources.version(settings.company_id.as_str(), &settings.region.to_string()),
    )]));
    let mut data: BTreeMap<String, ByteString> = tokens
        .into_iter()
        .map(|(purpose, token)| (purpose.to_owned(), ByteString(token.into_bytes())))
        .collect();
    if let Some(bundle) = sources.ca_bundle {
        data.insert(CA_KEY.into(), ByteString(bundle.as_bytes().to_vec()));
    }
    Secret {
        metadata,
        type_: Some("Opaque".into()),
        data: Some(data),
        ..Secret::default()
    }
}

/// Returns a short hash that is unique to a resource and a request.
pub(crate) fn short_hash(uid: &str, request_id: &str) -> String {
    format!("{:08x}", schedule::stable_hash(uid, request_id) as u32)
}

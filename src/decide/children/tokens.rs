//! The Secret with the tenant's tokens for the directory, in the tenant's own namespace.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt;
use sha2::{Digest, Sha256};

use super::metadata;
use crate::api::{SalesforceIntegration, Settings, TOKENS_VERSION, token_secret_name};
use crate::decide::rules::schedule;

/// Key of the Secret with additional certificate authorities for Salesforce.
pub(super) const CA_KEY: &str = "ca.crt";
/// Key of the Secret with the certificate authorities for the directory.
pub(super) const DIRECTORY_CA_KEY: &str = "directory-ca.crt";

/// Counts the sets of purposes that there are tokens for: a Secret of before gets those that it
/// lacks, and keeps the others.
const WITH_TOKENS_FOR: &str = "privacy";

/// The inputs from which tokens are minted. When they change, new tokens are minted.
#[derive(Clone, Debug)]
pub(crate) struct TokenSources<'a> {
    /// ID of the signing key.
    pub key_id: &'a str,
    /// Additional certificate authorities for Salesforce, which are stored in the Secret with the
    /// tokens.
    pub ca_bundle: Option<&'a str>,
    /// Certificate authorities for the directory, which are stored beside them.
    pub directory_ca: Option<Arc<str>>,
    /// Time since when the tokens have to be issued.
    pub not_before: Option<Timestamp>,
}

// === impl TokenSources ===

impl TokenSources<'_> {
    /// Returns a digest of everything that the Secret's content depends on: of the tokens, and
    /// behind a hyphen of what may differ beside the same tokens. It does not reveal the key
    /// itself.
    pub(crate) fn version(&self, company_id: &str, region: &str) -> String {
        let tokens = format!("v1\0{company_id}\0{region}\0{}\0", self.key_id);
        let authorities = [self.ca_bundle, self.directory_ca.as_deref()];
        let tokens = short_digest(&[&tokens]);
        let not_before = self.not_before.map(|at| at.to_string());
        let [salesforce, directory] = authorities.map(Option::unwrap_or_default);
        let not_before = not_before.unwrap_or_default();
        let beside = [salesforce, directory, &not_before, WITH_TOKENS_FOR];
        format!("{tokens}-{}", short_digest(&beside))
    }
}

/// Whether tokens of these versions were minted from the same sources; the authorities beside them,
/// and since when they have to be issued, may differ.
pub(crate) fn are_same_tokens(version: &str, other: &str) -> bool {
    version.split('-').next() == other.split('-').next()
}

fn short_digest(parts: &[&str]) -> String {
    let digest = parts.iter().fold(Sha256::new(), |digest, part| {
        digest
            .chain_update((part.len() as u64).to_be_bytes())
            .chain_update(part)
    });
    let digest = digest.finalize();
    let bytes = digest.iter().take(8);
    bytes.map(|byte| format!("{byte:02x}")).collect()
}

/// Builds the Secret: `ingest` for the platform's webhook, `lookup` for the call screen, `worker`
/// for the runs, `admin` for edits, `privacy` for erasures and exports, and the certificate
/// authorities.
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
    let authorities = [
        (CA_KEY, sources.ca_bundle),
        (DIRECTORY_CA_KEY, sources.directory_ca.as_deref()),
    ];
    for (key, bundle) in authorities {
        if let Some(bundle) = bundle {
            data.insert(key.into(), ByteString(bundle.as_bytes().to_vec()));
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_authorities_are_another_version_of_the_same_tokens() {
        let version = |key_id, ca_bundle, directory_ca: Option<&str>| {
            let sources = TokenSources {
                key_id,
                ca_bundle,
                directory_ca: directory_ca.map(Arc::from),
                not_before: None,
            };
            sources.version("acme", "JP")
        };
        let none = version("k", None, None);
        let all = [
            none.clone(),
            version("k", Some("a"), None),
            version("k", None, Some("a")),
            version("k", Some("a"), Some("b")),
            version("k", Some("b"), Some("a")),
        ];
        let different: std::collections::BTreeSet<_> = all.iter().collect();
        assert_eq!(different.len(), all.len(), "{all:?}");
        assert!(all.iter().all(|other| are_same_tokens(&none, other)));
        for other in [None, Some("a")] {
            assert!(!are_same_tokens(&none, &version("other", None, other)));
        }
    }
}

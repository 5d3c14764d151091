//! The simulator's own certificate authority, and the certificate that it signs for the server.

use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose,
};
use rustls::ServerConfig;
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

/// The authority's certificate in PEM, and the server's TLS configuration.
pub(crate) struct Identity {
    pub(crate) ca_pem: String,
    pub(super) config: Arc<ServerConfig>,
}

/// Creates an authority, and a certificate for localhost, the loopback addresses and these names.
pub(crate) fn identity(names: impl IntoIterator<Item = String>) -> Result<Identity, String> {
    let text = |error: rcgen::Error| format!("certificate: {error}");
    let mut authority = CertificateParams::new(Vec::new()).map_err(text)?;
    authority.distinguished_name = named("Salesforce simulator authority");
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    authority.key_usages = vec![
        KeyUsagePurpose::KeyCertSign,
        KeyUsagePurpose::CrlSign,
        KeyUsagePurpose::DigitalSignature,
    ];
    let issuer = CertifiedIssuer::self_signed(authority, KeyPair::generate().map_err(text)?)
        .map_err(text)?;

    let mut all: Vec<String> = ["localhost", "127.0.0.1", "::1"].map(str::to_owned).into();
    all.extend(names);
    all.sort();
    all.dedup();
    let mut server = CertificateParams::new(all).map_err(text)?;
    server.distinguished_name = named("Salesforce simulator");
    server.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    server.use_authority_key_identifier_extension = true;
    let key = KeyPair::generate().map_err(text)?;
    let certificate = server.signed_by(&key, &issuer).map_err(text)?;

    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| format!("TLS: {error}"))?
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone(), issuer.der().clone()], key)
        .map_err(|error| format!("TLS: {error}"))?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Identity {
        ca_pem: issuer.pem(),
        config: Arc::new(config),
    })
}

fn named(common_name: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, common_name);
    name
}

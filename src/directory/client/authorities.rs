//! The authorities whose certificates a client of the directory trusts.

use std::sync::Arc;

use reqwest::ClientBuilder;
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

/// The largest bundle, in bytes. A copy of it stands in the namespace of every tenant.
const MAX_BYTES: usize = 64 * 1024;

/// The authorities that a client trusts for the directory, and no others.
#[derive(Clone, Debug)]
pub struct Authorities {
    pem: Arc<str>,
    certificates: Vec<reqwest::Certificate>,
}

/// Why a bundle of authorities cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuthoritiesError {
    /// It is too large.
    #[error(
        "it has more than 64 KiB; write only the authority of the directory's certificate, since every tenant's namespace gets a copy"
    )]
    TooLarge,
    /// It holds no certificate.
    #[error("it holds no certificate; write the authority of the directory's certificate in PEM")]
    Empty,
    /// A certificate cannot be read.
    #[error("certificate {0} in it cannot be read; write certificates in PEM")]
    Certificate(usize),
    /// It holds a private key.
    #[error(
        "it holds a private key, which nobody but its owner may have, and every tenant would get a copy; write certificates only"
    )]
    PrivateKey,
}

// === impl Authorities ===

impl Authorities {
    /// Reads a bundle in PEM.
    ///
    /// # Errors
    /// When it is too large, or holds anything else than certificates.
    pub fn parse(pem: &str) -> Result<Self, AuthoritiesError> {
        if pem.len() > MAX_BYTES {
            return Err(AuthoritiesError::TooLarge);
        }
        if pem.contains("PRIVATE KEY-----") {
            return Err(AuthoritiesError::PrivateKey);
        }
        let mut roots = RootCertStore::empty();
        let mut certificates = vec![];
        for (index, der) in CertificateDer::pem_slice_iter(pem.as_bytes()).enumerate() {
            let wrong = AuthoritiesError::Certificate(index + 1);
            let der = der.map_err(|_| wrong.clone())?;
            certificates.push(reqwest::Certificate::from_der(&der).map_err(|_| wrong.clone())?);
            roots.add(der).map_err(|_| wrong)?;
        }
        if certificates.is_empty() {
            return Err(AuthoritiesError::Empty);
        }
        Ok(Self {
            pem: pem.into(),
            certificates,
        })
    }

    /// The bundle as it was read.
    pub fn pem(&self) -> Arc<str> {
        Arc::clone(&self.pem)
    }

    /// Makes a client trust these authorities and no others.
    pub(crate) fn for_client(&self, builder: ClientBuilder) -> ClientBuilder {
        builder.tls_certs_only(self.certificates.iter().cloned())
    }
}

impl PartialEq for Authorities {
    fn eq(&self, other: &Self) -> bool {
        self.pem == other.pem
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair};

    use super::*;

    #[test]
    fn a_bundle_is_certificates_and_nothing_else() {
        let key = KeyPair::generate().unwrap();
        let authority = CertificateParams::new(vec![]).unwrap();
        let pem = authority.self_signed(&key).unwrap().pem();
        let both = format!("# two of them\n{pem}\n{pem}");
        assert_eq!(Authorities::parse(&both).unwrap().certificates.len(), 2);
        let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        for (wrong, why) in [
            (String::new(), AuthoritiesError::Empty),
            ("no PEM".into(), AuthoritiesError::Empty),
            (format!("{pem}{broken}"), AuthoritiesError::Certificate(2)),
            (
                format!("{pem}{}", key.serialize_pem()),
                AuthoritiesError::PrivateKey,
            ),
            (pem.repeat(200), AuthoritiesError::TooLarge),
        ] {
            assert_eq!(Authorities::parse(&wrong), Err(why));
        }
    }
}

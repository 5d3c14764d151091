//! TLS of the server: one certificate at a time, and another one for the connections that come
//! after a change.

use std::sync::Arc;

use jiff::Timestamp;
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::sync::watch;
use x509_parser::prelude::{FromDer, X509Certificate};

/// The TLS configuration for the next connection.
pub(crate) type CurrentTls = watch::Receiver<Arc<ServerConfig>>;

/// A certificate with its key, ready to serve.
#[derive(Clone, Debug)]
pub(crate) struct Pair {
    pub(crate) config: Arc<ServerConfig>,
    pub(crate) validity: Validity,
}

/// The time for which a certificate is good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Validity {
    /// The first second of it.
    pub(crate) from: Timestamp,
    /// The last second of it.
    pub(crate) until: Timestamp,
}

/// Why a certificate and a key cannot be used. Never holds any of the key.
#[derive(Debug, thiserror::Error, PartialEq)]
pub enum PairError {
    /// The first file holds no certificate.
    #[error(
        "the certificate file holds no certificate; write the server's certificate in PEM, then those of the authorities in between"
    )]
    NoCertificate,
    /// A certificate cannot be read.
    #[error("certificate {0} in the certificate file cannot be read; write certificates in PEM")]
    Certificate(usize),
    /// The second file holds no private key.
    #[error("the key file holds no private key; write the certificate's own in PEM, not encrypted")]
    NoKey,
    /// The key is not the one of the certificate.
    #[error(
        "the key does not belong to the certificate; write both files anew from the same issue"
    )]
    Mismatch,
    /// The TLS library refuses the pair.
    #[error(
        "the certificate or the key cannot be used; an ECDSA or RSA certificate of X.509 version 3 can"
    )]
    Unusable(#[source] rustls::Error),
    /// The certificate has ended.
    #[error("the certificate ended at {0}; have a new one issued")]
    Ended(Timestamp),
    /// The certificate is not good yet.
    #[error("the certificate is not good before {0}; it is used from then on")]
    NotYet(Timestamp),
}

// === impl Pair ===

impl Pair {
    /// Reads a pair in PEM: the server's certificate with those of the authorities in between, and
    /// its private key.
    pub(crate) fn read(certificates: &[u8], key: &[u8]) -> Result<Self, PairError> {
        let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(certificates)
            .enumerate()
            .map(|(index, certificate)| certificate.map_err(|_| PairError::Certificate(index + 1)))
            .collect::<Result<_, _>>()?;
        let own = chain.first().ok_or(PairError::NoCertificate)?;
        let validity = Validity::of(own).ok_or(PairError::Certificate(1))?;
        // The parser's error may quote a line of the file.
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| PairError::NoKey)?;
        let provider = Arc::new(aws_lc_rs::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(PairError::Unusable)?
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .map_err(|error| match error {
                rustls::Error::InconsistentKeys(_) => PairError::Mismatch,
                other => PairError::Unusable(other),
            })?;
        // The server speaks nothing else (docs/adr/0017).
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self {
            config: Arc::new(config),
            validity,
        })
    }
}

// === impl Validity ===

impl Validity {
    fn of(certificate: &CertificateDer<'_>) -> Option<Self> {
        let (_, certificate) = X509Certificate::from_der(certificate).ok()?;
        let validity = certificate.validity();
        let time = |seconds| Timestamp::from_second(seconds).ok();
        Some(Self {
            from: time(validity.not_before.timestamp())?,
            until: time(validity.not_after.timestamp())?,
        })
    }

    /// Whether the certificate is good at this time.
    pub(crate) fn check(self, now: Timestamp) -> Result<(), PairError> {
        if now > self.until {
            Err(PairError::Ended(self.until))
        } else if now < self.from {
            Err(PairError::NotYet(self.from))
        } else {
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair, date_time_ymd};

    use super::*;

    fn pair() -> (String, String) {
        let mut params = CertificateParams::new(vec!["directory".into()]).unwrap();
        params.not_before = date_time_ymd(2026, 1, 2);
        params.not_after = date_time_ymd(2026, 3, 4);
        let key = KeyPair::generate().unwrap();
        (params.self_signed(&key).unwrap().pem(), key.serialize_pem())
    }

    fn read(certificate: &str, key: &str) -> Result<Validity, PairError> {
        Pair::read(certificate.as_bytes(), key.as_bytes()).map(|pair| pair.validity)
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn a_pair_says_how_long_it_is_good() {
        let (certificate, key) = pair();
        let validity = read(&certificate, &key).unwrap();
        let (from, until) = (at("2026-01-02T00:00:00Z"), at("2026-03-04T00:00:00Z"));
        assert_eq!(validity, Validity { from, until });
        assert_eq!(validity.check(from), Ok(()));
        assert_eq!(validity.check(until), Ok(()));
        let early = at("2026-01-01T23:59:59Z");
        assert_eq!(validity.check(early), Err(PairError::NotYet(from)));
        let late = at("2026-03-04T00:00:01Z");
        assert_eq!(validity.check(late), Err(PairError::Ended(until)));
    }

    #[test]
    fn what_an_authority_in_between_says_does_not_count() {
        let (certificate, key) = pair();
        let mut older = CertificateParams::new(vec![]).unwrap();
        older.not_before = date_time_ymd(2001, 1, 1);
        older.not_after = date_time_ymd(2002, 1, 1);
        let older = older.self_signed(&KeyPair::generate().unwrap()).unwrap();
        let chain = certificate + &older.pem();
        assert_eq!(
            read(&chain, &key).unwrap().until,
            at("2026-03-04T00:00:00Z")
        );
    }

    #[test]
    fn a_pair_that_cannot_be_used_is_refused_with_what_is_wrong() {
        let (certificate, key) = pair();
        let (_, another) = pair();
        let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        let encrypted =
            "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
        for (certificate, key, wrong) in [
            ("", &*key, PairError::NoCertificate),
            (&*key, &*key, PairError::NoCertificate),
            (broken, &*key, PairError::Certificate(1)),
            (&*certificate, "", PairError::NoKey),
            (&*certificate, &*certificate, PairError::NoKey),
            (&*certificate, encrypted, PairError::NoKey),
            (&*certificate, &*another, PairError::Mismatch),
        ] {
            assert_eq!(read(certificate, key), Err(wrong));
        }
    }
}

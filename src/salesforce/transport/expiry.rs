//! When the certificates of a bundle expire.

use jiff::Timestamp;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use x509_parser::prelude::{FromDer, X509Certificate};

/// When the first certificate of a PEM bundle expires that is good at `now`, or the last one did if
/// none is. A bundle often keeps what it replaced. `None` if it has no certificate that can be
/// read.
pub fn first_expiry(pem: &str, now: Timestamp) -> Option<Timestamp> {
    let ends: Vec<Timestamp> = CertificateDer::pem_slice_iter(pem.as_bytes())
        .filter_map(Result::ok)
        .filter_map(|der| {
            let (_, certificate) = X509Certificate::from_der(&der).ok()?;
            let seconds = certificate.validity().not_after.timestamp();
            Timestamp::from_second(seconds).ok()
        })
        .collect();
    let good = ends.iter().filter(|end| **end > now).min();
    good.or(ends.iter().max()).copied()
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair, date_time_ymd};

    use super::*;

    fn until(year: i32) -> String {
        let mut params = CertificateParams::new(vec![]).unwrap();
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(year, 3, 4);
        let key = KeyPair::generate().unwrap();
        params.self_signed(&key).unwrap().pem()
    }

    #[test]
    fn the_first_that_still_holds_counts_and_what_it_replaced_does_not() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let now = at("2026-11-29T00:00:00Z");
        let bundle = [until(2031), until(2024), until(2028)].concat();
        assert_eq!(first_expiry(&bundle, now), Some(at("2028-03-04T00:00:00Z")));
        let over = [until(2022), until(2024)].concat();
        assert_eq!(first_expiry(&over, now), Some(at("2024-03-04T00:00:00Z")));
        for nothing in [
            "",
            "no certificate",
            "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        ] {
            assert_eq!(first_expiry(nothing, now), None, "{nothing:?}");
        }
    }
}

//! The files with the directory's certificate and its key, read again when they change.
//!
//! The files are polled and their content compared: a kubelet changes a mounted Secret by swapping
//! a symbolic link. A pair that cannot be used leaves the previous one in use, and is looked at
//! again with each poll.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use rustls::ServerConfig;
use sha2::{Digest as _, Sha256};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};
use zeroize::Zeroizing;

use super::Error;
use super::http::Metrics;
use crate::error::Chain;
use crate::http_server::{CurrentTls, Pair, Validity};

/// The poll interval, and so the delay until a new certificate is in use.
const POLL: Duration = Duration::from_secs(2);

/// How often two files are read that change while they are read.
const MOST_READS: u32 = 5;

/// The files, and the pair in use.
#[derive(Debug)]
pub(crate) struct CertificateFiles {
    certificate: PathBuf,
    key: PathBuf,
    /// Digest of the files' content that is in use.
    used: [u8; 32],
    /// Digest of the content that was last refused, so that it is told once.
    refused: Option<[u8; 32]>,
    /// Whether the files could not be read, so that it is told once.
    missing: bool,
    validity: Validity,
    current: watch::Sender<Arc<ServerConfig>>,
}

/// The content of both files.
struct Content {
    certificate: Vec<u8>,
    key: Zeroizing<Vec<u8>>,
    digest: [u8; 32],
}

// === impl CertificateFiles ===

impl CertificateFiles {
    /// Reads the files for the first time. A certificate that has ended is used all the same, and
    /// warned of: a directory that does not start tells nobody why.
    pub(crate) async fn open(certificate: PathBuf, key: PathBuf) -> Result<Self, Error> {
        let content = Content::read(&certificate, &key).await?;
        let pair = Pair::read(&content.certificate, &content.key)
            .map_err(|error| Error::Pair(certificate.clone(), key.clone(), error))?;
        if let Err(error) = pair.validity.check(Timestamp::now()) {
            warn!(error = %Chain(&error), "the certificate is used all the same, there is no other");
        }
        Ok(Self {
            certificate,
            key,
            used: content.digest,
            refused: None,
            missing: false,
            validity: pair.validity,
            current: watch::Sender::new(pair.config),
        })
    }

    /// A receiver of the current pair.
    pub(crate) fn current(&self) -> CurrentTls {
        self.current.subscribe()
    }

    /// Polls the files until shutdown.
    pub(crate) async fn watch(mut self, metrics: Metrics, shutdown: CancellationToken) {
        metrics.certificate_in_use(self.validity);
        while shutdown
            .run_until_cancelled(tokio::time::sleep(POLL))
            .await
            .is_some()
        {
            match Content::read(&self.certificate, &self.key).await {
                Err(error) => {
                    if !self.missing {
                        warn!(error = %Chain(&error), "the certificate stays as it was");
                        metrics.certificate_changed(false);
                    }
                    self.missing = true;
                }
                Ok(content) => {
                    self.missing = false;
                    self.look(content, &metrics, Timestamp::now());
                }
            }
        }
    }

    /// Puts the pair in use if it is another one, and good.
    fn look(&mut self, content: Content, metrics: &Metrics, now: Timestamp) {
        if content.digest == self.used {
            self.refused = None;
            return;
        }
        let good = Pair::read(&content.certificate, &content.key)
            .and_then(|pair| pair.validity.check(now).map(|()| pair));
        match good {
            Ok(pair) => {
                info!(until = %pair.validity.until, "the certificate changed, the new one is in use");
                self.used = content.digest;
                self.refused = None;
                self.validity = pair.validity;
                self.current.send_replace(pair.config);
                metrics.certificate_in_use(self.validity);
                metrics.certificate_changed(true);
            }
            Err(error) => {
                if self.refused != Some(content.digest) {
                    let until = self.validity.until;
                    warn!(error = %Chain(&error), %until, "the certificate changed, the old one stays in use");
                    metrics.certificate_changed(false);
                }
                self.refused = Some(content.digest);
            }
        }
    }
}

// === impl Content ===

impl Content {
    /// Reads both files until none has changed meanwhile: they are swapped together, and read one
    /// after the other.
    async fn read(certificate: &PathBuf, key: &PathBuf) -> Result<Self, Error> {
        let mut before = read(certificate).await?;
        let mut reads = 1;
        loop {
            let secret = read(key).await?;
            let after = read(certificate).await?;
            reads += 1;
            if before == after || reads > MOST_READS {
                let digest = Sha256::new()
                    .chain_update((after.len() as u64).to_be_bytes())
                    .chain_update(&*after)
                    .chain_update(&*secret)
                    .finalize()
                    .into();
                return Ok(Self {
                    certificate: after.to_vec(),
                    key: secret,
                    digest,
                });
            }
            before = after;
        }
    }
}

async fn read(path: &PathBuf) -> Result<Zeroizing<Vec<u8>>, Error> {
    let read: io::Result<Vec<u8>> = tokio::fs::read(path).await;
    read.map(Zeroizing::new)
        .map_err(|error| Error::PairFile(path.clone(), error))
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair, date_time_ymd};
    use tempfile::TempDir;

    use super::*;

    /// A pair that is good in these years.
    fn pair(from: i32, until: i32) -> (String, String) {
        let mut params = CertificateParams::new(vec!["directory".into()]).unwrap();
        params.not_before = date_time_ymd(from, 1, 1);
        params.not_after = date_time_ymd(until, 1, 1);
        let key = KeyPair::generate().unwrap();
        (params.self_signed(&key).unwrap().pem(), key.serialize_pem())
    }

    fn content((certificate, key): &(String, String)) -> Content {
        let text = format!("{certificate}{key}");
        Content {
            certificate: certificate.clone().into_bytes(),
            key: Zeroizing::new(key.clone().into_bytes()),
            digest: Sha256::digest(text.as_bytes()).into(),
        }
    }

    fn at(year: i32) -> Timestamp {
        format!("{year}-06-01T00:00:00Z").parse().unwrap()
    }

    #[tokio::test]
    async fn a_pair_that_is_not_good_leaves_the_old_one_until_it_is() {
        let folder = TempDir::new().unwrap();
        let write = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        let first = pair(2025, 2050);
        let paths = (write("tls.crt", &first.0), write("tls.key", &first.1));
        let mut files = CertificateFiles::open(paths.0, paths.1).await.unwrap();
        let metrics = Metrics::default();
        let current = files.current();
        let stands = Arc::clone(&current.borrow());
        let other = pair(2025, 2050);
        let future = pair(2030, 2060);
        for (bad, why) in [
            ((other.0.clone(), first.1.clone()), "another key"),
            ((String::new(), other.1.clone()), "no certificate"),
            (pair(2020, 2026), "it has ended"),
            (future.clone(), "it is not good yet"),
        ] {
            for _ in 0..2 {
                files.look(content(&bad), &metrics, at(2027));
                assert!(Arc::ptr_eq(&stands, &current.borrow()), "{why}");
            }
        }
        let counted = |outcome: &str| {
            let line = format!("tls_certificate_changes_total{{outcome=\"{outcome}\"}} ");
            let text = metrics.text().unwrap();
            let found = text
                .lines()
                .find_map(|l| l.split(&line).nth(1).map(str::to_owned));
            found.unwrap_or_default()
        };
        assert_eq!(counted("refused"), "4", "each is told once");
        // Its time has come, and the files are the same.
        files.look(content(&future), &metrics, at(2031));
        assert!(!Arc::ptr_eq(&stands, &current.borrow()));
        assert_eq!(counted("used"), "1");
        let until = "tls_certificate_expiry_timestamp_seconds{} 2840140800\n";
        assert!(metrics.text().unwrap().contains(until));
    }
}

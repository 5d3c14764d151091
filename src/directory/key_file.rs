//! The file with the token keys, reloaded when it changes.
//!
//! The file is polled and its content compared. A kubelet changes a mounted Secret by swapping a
//! symbolic link, and no watch of the file sees that. If the file cannot be used, the previous keys
//! stay in use, so that a mistake during key rotation locks nobody out.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use sha2::{Digest as _, Sha256};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};
use zeroize::Zeroizing;

use super::http::Metrics;
use super::{Error, TokenKeys};
use crate::error::Chain;

/// The poll interval, and so the delay until a new key is in use. A controller cannot sign with the
/// key before its own copy of the Secret has arrived.
const POLL: Duration = Duration::from_secs(2);

/// The key file, the digest of its last content, and the keys in use.
#[derive(Debug)]
pub(crate) struct KeyFile {
    path: PathBuf,
    seen: [u8; 32],
    keys: watch::Sender<Arc<TokenKeys>>,
}

// === impl KeyFile ===

impl KeyFile {
    /// Reads the file for the first time.
    pub(crate) async fn open(path: PathBuf) -> Result<Self, Error> {
        let (seen, keys) = read(&path).await?;
        let keys = keys.map_err(|error| Error::Keys(path.clone(), error))?;
        Ok(Self {
            path,
            seen,
            keys: watch::Sender::new(Arc::new(keys)),
        })
    }

    /// A receiver of the current keys.
    pub(crate) fn current(&self) -> watch::Receiver<Arc<TokenKeys>> {
        self.keys.subscribe()
    }

    /// Polls the file until shutdown.
    pub(crate) async fn watch(mut self, metrics: Metrics, shutdown: CancellationToken) {
        let mut missing = false;
        while shutdown
            .run_until_cancelled(tokio::time::sleep(POLL))
            .await
            .is_some()
        {
            match read(&self.path).await {
                Err(error) => {
                    if !missing {
                        warn!(error = %Chain(&error), "the keys stay as they were");
                    }
                    missing = true;
                }
                Ok((seen, keys)) => {
                    missing = false;
                    if seen != self.seen {
                        self.seen = seen;
                        metrics.key_file_changed(self.replace(keys));
                    }
                }
            }
        }
    }

    /// Puts the new keys in use if they are valid. Returns whether it did.
    fn replace(&self, keys: Result<TokenKeys, super::TokenError>) -> bool {
        match &keys {
            Ok(keys) => {
                info!(?keys, "the key file changed, its keys are in use");
                self.keys.send_replace(Arc::new(keys.clone()));
            }
            Err(error) => {
                warn!(error = %Chain(error), "the key file changed, the keys stay as they were")
            }
        }
        keys.is_ok()
    }
}

/// Reads the file. Returns the digest of its content, and its keys.
async fn read(path: &PathBuf) -> Result<([u8; 32], Result<TokenKeys, super::TokenError>), Error> {
    let text = tokio::fs::read_to_string(path)
        .await
        .map(Zeroizing::new)
        .map_err(|error| Error::KeyFile(path.clone(), error))?;
    let digest = Sha256::digest(text.as_bytes()).into();
    Ok((digest, TokenKeys::parse(&text)))
}

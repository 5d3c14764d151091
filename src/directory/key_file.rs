//! The file with the keys of the tokens, read again when it changes.
//!
//! It is polled, and its content compared: a Secret that a kubelet mounts changes by a link that is swapped, which no
//! watch of the file sees. A file that cannot be used keeps the keys that were, so that a slip while keys rotate
//! refuses nobody.

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

/// How soon a new key is known. A controller signs with it at the earliest when its own copy of the Secret has come.
const POLL: Duration = Duration::from_secs(2);

/// The key file and what it said last.
#[derive(Debug)]
pub(crate) struct KeyFile {
    path: PathBuf,
    seen: [u8; 32],
    keys: watch::Sender<Arc<TokenKeys>>,
}

// === impl KeyFile ===

impl KeyFile {
    /// Reads it for the first time.
    pub(crate) async fn open(path: PathBuf) -> Result<Self, Error> {
        let (seen, keys) = read(&path).await?;
        let keys = keys.map_err(|error| Error::Keys(path.clone(), error))?;
        Ok(Self {
            path,
            seen,
            keys: watch::Sender::new(Arc::new(keys)),
        })
    }

    /// The keys as they are at each moment.
    pub(crate) fn current(&self) -> watch::Receiver<Arc<TokenKeys>> {
        self.keys.subscribe()
    }

    /// Follows the file until the shutdown.
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

    /// Says whether the keys are in use.
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

/// A digest of what the file holds, and the keys.
async fn read(path: &PathBuf) -> Result<([u8; 32], Result<TokenKeys, super::TokenError>), Error> {
    let text = tokio::fs::read_to_string(path)
        .await
        .map(Zeroizing::new)
        .map_err(|error| Error::KeyFile(path.clone(), error))?;
    let digest = Sha256::digest(text.as_bytes()).into();
    Ok((digest, TokenKeys::parse(&text)))
}

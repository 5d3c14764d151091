//! The file with the authorities for the directory, read again when it changes. Each tenant's
//! namespace has a copy, so that a restart of the controller must not be what a renewal waits for.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::context::Context;
use crate::cli::{FlagError, read};
use crate::directory::{Authorities, AuthoritiesError};
use crate::error::{CauseText, Chain};

/// The flag that names the file.
const FLAG: &str = "--directory-ca-bundle";

/// The pause between two looks at the file. The kubelet itself takes a minute to bring a change.
const POLL: Duration = Duration::from_secs(5);

/// Why the file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum AuthoritiesFileError {
    /// It cannot be read.
    #[error(transparent)]
    File(#[from] FlagError),
    /// Its content cannot be used.
    #[error("{FLAG} {}: the file cannot be used", .0.display())]
    Content(PathBuf, #[source] AuthoritiesError),
}

/// Reads the file.
pub(crate) fn read_authorities(path: &Path) -> Result<Authorities, AuthoritiesFileError> {
    let text = read(path, FLAG)?;
    Authorities::parse(&text).map_err(|error| AuthoritiesFileError::Content(path.to_owned(), error))
}

/// Looks at the file until `stop` is cancelled, and first at once: a replica may have waited for
/// long since it read the file. One that cannot be used leaves the authorities as they are.
pub(crate) async fn watch(path: PathBuf, context: Arc<Context>, stop: CancellationToken) {
    let mut told = None;
    loop {
        match read_authorities(&path) {
            Ok(read) => {
                told = None;
                if context.directory_trust.pem() != Some(read.pem()) {
                    info!("the authorities for the directory changed; every integration gets them");
                    context.directory_trust.replace(read);
                }
            }
            Err(error) => {
                let words = CauseText::of(&error);
                if told.as_ref() != Some(&words) {
                    warn!(error = %Chain(&error), "the authorities for the directory stay as they were");
                }
                told = Some(words);
            }
        }
        let pause = tokio::time::sleep(POLL);
        if stop.run_until_cancelled(pause).await.is_none() {
            return;
        }
    }
}

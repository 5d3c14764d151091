//! What the controller knows of the way to the directory.

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::watch;

use crate::directory;
use crate::directory::{Authorities, ClientError};

/// The authorities that worker pods trust for the directory; `None` for those of the system.
#[derive(Debug)]
pub(crate) struct DirectoryTrust {
    authorities: watch::Sender<Option<Authorities>>,
    /// The HTTP client of the controller itself, which shares connections: that for the
    /// authorities of this text.
    http: Mutex<Option<(Option<Arc<str>>, reqwest::Client)>>,
}

// === impl DirectoryTrust ===

impl DirectoryTrust {
    pub(crate) fn new(authorities: Option<Authorities>) -> Self {
        Self {
            authorities: watch::Sender::new(authorities),
            http: Mutex::default(),
        }
    }

    /// The client for requests of the controller itself.
    ///
    /// # Errors
    /// When it cannot be set up.
    pub(crate) fn http(&self) -> Result<reqwest::Client, ClientError> {
        let pem = self.pem();
        let mut kept = self.http.lock();
        if let Some((of, client)) = &*kept
            && *of == pem
        {
            return Ok(client.clone());
        }
        let client = directory::client::http(self.authorities().as_ref())?;
        *kept = Some((pem, client.clone()));
        Ok(client)
    }

    /// The current authorities, in PEM.
    pub(crate) fn pem(&self) -> Option<Arc<str>> {
        self.authorities.borrow().as_ref().map(Authorities::pem)
    }

    /// The current authorities.
    pub(crate) fn authorities(&self) -> Option<Authorities> {
        self.authorities.borrow().clone()
    }

    /// Replaces the authorities. Every integration then gets them.
    pub(crate) fn replace(&self, authorities: Authorities) {
        self.authorities.send_replace(Some(authorities));
    }

    /// A receiver that tells of each replacement.
    pub(crate) fn changes(&self) -> watch::Receiver<Option<Authorities>> {
        self.authorities.subscribe()
    }
}

//! What the controller knows of the way to the directory.

use std::sync::Arc;

use tokio::sync::watch;

use crate::directory::Authorities;

/// The authorities that worker pods trust for the directory; `None` for those of the system.
#[derive(Debug)]
pub(crate) struct DirectoryTrust(watch::Sender<Option<Authorities>>);

// === impl DirectoryTrust ===

impl DirectoryTrust {
    pub(crate) fn new(authorities: Option<Authorities>) -> Self {
        Self(watch::Sender::new(authorities))
    }

    /// The current authorities, in PEM.
    pub(crate) fn pem(&self) -> Option<Arc<str>> {
        self.0.borrow().as_ref().map(Authorities::pem)
    }

    /// The current authorities.
    pub(crate) fn authorities(&self) -> Option<Authorities> {
        self.0.borrow().clone()
    }

    /// Replaces the authorities. Every integration then gets them.
    pub(crate) fn replace(&self, authorities: Authorities) {
        self.0.send_replace(Some(authorities));
    }

    /// A receiver that tells of each replacement.
    pub(crate) fn changes(&self) -> watch::Receiver<Option<Authorities>> {
        self.0.subscribe()
    }
}

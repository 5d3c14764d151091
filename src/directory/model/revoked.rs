//! Since when the tokens of each company have to be issued. Every request asks, so that it is kept
//! in memory; the database is read now and then (docs/adr/0033).

use std::collections::HashMap;
use std::sync::Arc;

use jiff::Timestamp;
use parking_lot::RwLock;

use super::tokens::{Claims, TokenError};
use crate::company_id::CompanyId;

/// The companies with revoked tokens. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct Revoked(Arc<RwLock<HashMap<CompanyId, Timestamp>>>);

// === impl Revoked ===

impl Revoked {
    /// Takes in what is revoked. A time only goes forward.
    pub(crate) fn learn(&self, all: impl IntoIterator<Item = (CompanyId, Timestamp)>) {
        let mut known = self.0.write();
        for (company, at) in all {
            let not_before = known.entry(company).or_insert(at);
            *not_before = at.max(*not_before);
        }
    }

    /// Whether a token is good that is of this company and was issued at this time.
    pub(crate) fn check(&self, claims: &Claims) -> Result<(), TokenError> {
        match self.0.read().get(&claims.company) {
            Some(not_before) if claims.issued_at < *not_before => Err(TokenError::Revoked),
            _ => Ok(()),
        }
    }
}

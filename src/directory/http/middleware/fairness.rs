//! The share of each tenant: requests per second, and concurrent requests.
//!
//! Requests are counted per company and purpose, after the token is checked and before a body is
//! read. A flood of webhooks from one tenant therefore starves neither another tenant nor its own
//! ringing phones. A request over the concurrency limit waits a moment for its turn. A refused
//! request gets `Retry-After`, so that no queue grows without end.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::error::ApiError;
use crate::company_id::CompanyId;
use crate::directory::model::tokens::Purpose;

/// How long a request waits for an earlier one to end.
const TURN: Duration = Duration::from_secs(2);

/// Above this number of entries, the idle ones are removed.
const MANY: usize = 10_000;

/// The limits of one company for one purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Share {
    /// Average number of requests per second. A burst may be twice as large.
    pub(crate) per_second: u32,
    /// Number of concurrent requests.
    pub(crate) at_once: u32,
}

/// The shares of all tenants.
#[derive(Debug, Clone)]
pub(crate) struct Shares {
    share: Share,
    tenants: Arc<Mutex<HashMap<(CompanyId, Purpose), Tenant>>>,
}

#[derive(Debug)]
struct Tenant {
    /// Number of requests that are allowed at this moment.
    credit: f64,
    counted_at: Instant,
    at_once: Arc<Semaphore>,
}

// === impl Shares ===

impl Shares {
    pub(crate) fn new(share: Share) -> Self {
        Self {
            share,
            tenants: Arc::default(),
        }
    }

    /// Admits a request. Its turn ends when the permit is dropped.
    pub(crate) async fn enter(
        &self,
        company: &CompanyId,
        purpose: Purpose,
    ) -> Result<OwnedSemaphorePermit, ApiError> {
        let at_once = self.count(company, purpose, Instant::now())?;
        match tokio::time::timeout(TURN, at_once.acquire_owned()).await {
            Ok(Ok(permit)) => Ok(permit),
            _ => Err(ApiError::TooMany),
        }
    }

    fn count(
        &self,
        company: &CompanyId,
        purpose: Purpose,
        now: Instant,
    ) -> Result<Arc<Semaphore>, ApiError> {
        let (rate, at_once) = (
            f64::from(self.share.per_second),
            self.share.at_once as usize,
        );
        let burst = 2.0 * rate;
        let mut tenants = self.tenants.lock();
        if tenants.len() > MANY {
            tenants.retain(|_, tenant| {
                tenant.at_once.available_permits() < at_once
                    || now.duration_since(tenant.counted_at) < Duration::from_secs(60)
            });
        }
        let tenant = tenants
            .entry((company.clone(), purpose))
            .or_insert_with(|| Tenant {
                credit: burst,
                counted_at: now,
                at_once: Arc::new(Semaphore::new(at_once)),
            });
        let passed = now.saturating_duration_since(tenant.counted_at);
        tenant.credit = (tenant.credit + rate * passed.as_secs_f64()).min(burst);
        tenant.counted_at = now;
        if tenant.credit < 1.0 {
            return Err(ApiError::TooMany);
        }
        tenant.credit -= 1.0;
        Ok(tenant.at_once.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn company(id: &str) -> CompanyId {
        id.parse().unwrap()
    }

    #[test]
    fn a_flood_uses_up_its_own_share_only() {
        let shares = Shares::new(Share {
            per_second: 10,
            at_once: 1,
        });
        let now = Instant::now();
        let let_in = |id: &str, purpose, at| {
            (0..100)
                .filter(|_| shares.count(&company(id), purpose, at).is_ok())
                .count()
        };
        assert_eq!(let_in("flood", Purpose::Ingest, now), 20);
        assert_eq!(let_in("calm", Purpose::Ingest, now), 20);
        assert_eq!(let_in("flood", Purpose::Lookup, now), 20);
        let later = now + Duration::from_secs(1);
        assert_eq!(let_in("flood", Purpose::Ingest, later), 10);
    }

    #[tokio::test]
    async fn a_turn_that_does_not_come_is_refused_in_time() {
        let shares = Shares::new(Share {
            per_second: 100,
            at_once: 1,
        });
        let enter = |id: &str| {
            let id = company(id);
            let shares = shares.clone();
            async move { shares.enter(&id, Purpose::Ingest).await }
        };
        let first = enter("flood").await.unwrap();
        assert!(matches!(enter("flood").await, Err(ApiError::TooMany)));
        assert!(enter("calm").await.is_ok());
        drop(first);
        assert!(enter("flood").await.is_ok());
    }
}

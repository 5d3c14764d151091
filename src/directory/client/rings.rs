//! A phone that rings: what the platform, screens and who asks Salesforce say.

use std::time::Duration;

use reqwest::{Method, StatusCode};

use super::{Client, ClientError};
use crate::directory::model::rings::{
    ClaimRingsRequest, ClaimedRings, RingReceipt, RingRequest, SettleRingsReceipt,
    SettleRingsRequest,
};
use crate::directory::model::{Contact, Problem};

/// Who is calling, or why nobody is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Caller {
    /// The contact of the number.
    Known(Box<Contact>),
    /// Nobody; `code` and `detail` say why, `asked_at` when Salesforce was asked.
    Nobody(Box<Problem>),
}

impl Client {
    /// Says that a phone rings, for platforms that can push it.
    pub async fn ring(&self, ring: &RingRequest) -> Result<RingReceipt, ClientError> {
        self.post("say that a phone rings", "v1/rings", ring).await
    }

    /// Who is calling. A number that Salesforce was not asked about is asked at once, and the
    /// answer waits for it for `wait`, at most
    /// [`MAX_WAIT`](crate::directory::model::rings::MAX_WAIT).
    pub async fn caller(&self, number: &str, wait: Duration) -> Result<Caller, ClientError> {
        let mut url = self.contact_url(number)?;
        let wait = format!("{}ms", wait.as_millis());
        url.query_pairs_mut().append_pair("wait", &wait);
        let action = "find out who is calling";
        match self.send::<Contact>(action, Method::GET, url, None).await {
            Ok(contact) => Ok(Caller::Known(Box::new(contact))),
            Err(ClientError::Refused { problem, .. })
                if problem.status == StatusCode::NOT_FOUND.as_u16() =>
            {
                Ok(Caller::Nobody(problem))
            }
            Err(error) => Err(error),
        }
    }

    /// Leases numbers that ring and that Salesforce is to be asked about. What it says goes to
    /// [`write_contacts`](Self::write_contacts), found or not; what could not be asked to
    /// [`settle_rings`](Self::settle_rings).
    pub async fn claim_rings(
        &self,
        request: &ClaimRingsRequest,
    ) -> Result<ClaimedRings, ClientError> {
        let action = "take rings to answer";
        self.post(action, "v1/worker/rings/claim", request).await
    }

    /// Says why leased rings could not be asked. Whoever waits for them is told at once.
    pub async fn settle_rings(
        &self,
        request: &SettleRingsRequest,
    ) -> Result<SettleRingsReceipt, ClientError> {
        let action = "say why rings were not asked";
        self.post(action, "v1/worker/rings/settle", request).await
    }
}

//! What screens, those who answer for the protection of data, and the phone platform ask.

use reqwest::{Method, StatusCode};

use super::{Client, ClientError, encode};
use crate::directory::model::privacy::{
    AuditPage, AuditQuery, ErasedNumber, NumberExport, NumberRequest, RestoredNumber,
};
use crate::directory::model::{CallsPage, CallsQuery, Contact, ContactEdit, Receipt};
use crate::directory::why::Why;

impl Client {
    /// Erases what is held about a number.
    pub async fn erase_number(&self, number: &NumberRequest) -> Result<ErasedNumber, ClientError> {
        self.post("erase a number", "v1/numbers/erase", number)
            .await
    }

    /// Lets an erased number be kept again.
    pub async fn restore_number(
        &self,
        number: &NumberRequest,
    ) -> Result<RestoredNumber, ClientError> {
        self.post("restore a number", "v1/numbers/restore", number)
            .await
    }

    /// Everything that is held about a number.
    pub async fn export_number(&self, number: &NumberRequest) -> Result<NumberExport, ClientError> {
        self.post("export a number", "v1/numbers/export", number)
            .await
    }

    /// One page of the audit.
    pub async fn audit(&self, query: &AuditQuery) -> Result<AuditPage, ClientError> {
        let action = "read the audit";
        let url = self.url_with("v1/audit", action, query)?;
        self.send(action, Method::GET, url, None).await
    }

    /// The contact of a number in any spelling; `None` when the number has no contact.
    pub async fn contact(&self, number: &str) -> Result<Option<Contact>, ClientError> {
        let url = self.contact_url(number)?;
        match self
            .send::<Contact>("look a number up", Method::GET, url, None)
            .await
        {
            Err(ClientError::Refused { problem, .. })
                if problem.status == StatusCode::NOT_FOUND.as_u16() =>
            {
                Ok(None)
            }
            other => other.map(Some),
        }
    }

    /// Writes a contact by hand.
    pub async fn put_contact(
        &self,
        number: &str,
        edit: &ContactEdit,
    ) -> Result<Contact, ClientError> {
        let action = "edit a contact";
        let body = encode(action, edit)?;
        self.send(action, Method::PUT, self.contact_url(number)?, Some(body))
            .await
    }

    /// One page of the call history.
    pub async fn calls(&self, query: &CallsQuery) -> Result<CallsPage, ClientError> {
        let action = "read the call history";
        let url = self.url_with("v1/calls", action, query)?;
        self.send(action, Method::GET, url, None).await
    }

    /// Why a call has its name, or none.
    pub async fn why(&self, call: &str) -> Result<Why, ClientError> {
        self.why_at("v1/calls", call).await
    }

    /// Why a number has its name, or none.
    pub async fn why_of_number(&self, number: &str) -> Result<Why, ClientError> {
        self.why_at("v1/contacts", number).await
    }

    async fn why_at(&self, list: &str, of: &str) -> Result<Why, ClientError> {
        let mut url = self.url(list)?;
        // The address of a list is one that can be continued.
        if let Ok(mut path) = url.path_segments_mut() {
            path.push(of).push("why");
        }
        self.send("find out why", Method::GET, url, None).await
    }

    /// Posts calls in the format of the platform's webhook.
    pub async fn ingest(&self, payload: &serde_json::Value) -> Result<Receipt, ClientError> {
        self.post("bring calls in", "v1/webhooks/calls", payload)
            .await
    }
}

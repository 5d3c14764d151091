//! What the controller asks.

use jiff::Timestamp;
use reqwest::Method;

use super::{Client, ClientError, encode};
use crate::directory::model::TokensNotBefore;
use crate::directory::model::company::{
    BookState, CompanySettings, CompanyState, EraseCompanyRequest, ErasedCompany, LinkHealth,
};

impl Client {
    /// Has tokens of the company refused that were issued before this time. Returns the time that
    /// holds.
    pub async fn revoke_tokens_before(&self, at: Timestamp) -> Result<Timestamp, ClientError> {
        let action = "revoke tokens";
        let body = encode(action, &TokensNotBefore { not_before: at })?;
        let url = self.url("v1/tokens/not-before")?;
        let answer = self.send(action, Method::PUT, url, Some(body)).await;
        answer.map(|holds: TokensNotBefore| holds.not_before)
    }

    /// Claims the company's data for an integration, and says for how long it is kept.
    pub async fn claim_company(
        &self,
        settings: &CompanySettings,
    ) -> Result<CompanyState, ClientError> {
        let action = "find out whose the company's data is";
        let body = encode(action, settings)?;
        let url = self.url("v1/company")?;
        self.send(action, Method::PUT, url, Some(body)).await
    }

    /// Says how the company's link to Salesforce is.
    pub async fn tell_link(&self, health: &LinkHealth) -> Result<(), ClientError> {
        let action = "say how the link is";
        let body = encode(action, health)?;
        let url = self.url("v1/company/health")?;
        let told = self.send::<LinkHealth>(action, Method::PUT, url, Some(body));
        told.await.map(drop)
    }

    /// How far the company's address book is.
    pub async fn company_book(&self) -> Result<BookState, ClientError> {
        let action = "find out how far the address book is";
        let url = self.url("v1/company/book")?;
        self.send(action, Method::GET, url, None).await
    }

    /// Erases what is held about the company, or a part of it; repeat it until it is done.
    pub async fn erase_company(
        &self,
        request: &EraseCompanyRequest,
    ) -> Result<ErasedCompany, ClientError> {
        self.post("erase the company's data", "v1/company/erase", request)
            .await
    }
}

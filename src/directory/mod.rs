//! The directory: call history and contacts of every tenant, over HTTP.
//!
//! The phone platform posts its call-history webhook here, a softphone asks "who is calling?", a call-history page
//! pages through the calls with names, and the workers take the calls still to resolve and bring contacts back.
//! Tenants are kept apart by their company ID, which every token carries and every query is bound to.
//!
//! A call goes three ways: *pending* until a worker has looked its number up, *done* after that, whether somebody was
//! found or not, or *none* when there is nothing to look up. A call is *matched* as soon as, and as long as, its number
//! has a contact: names are joined when they are read. A number that nobody was found under is asked again when it
//! calls again.

pub mod client;
mod http;
mod key_file;
pub mod model;
mod server;
mod store;
#[cfg(test)]
mod testing;
mod upkeep;

pub use self::client::{Client, ClientError};
pub use self::model::tokens::{Claims, Purpose, TokenError, TokenKeys};
pub use self::server::{Args, Command, Error, Server, run};
pub use self::store::StoreError;
pub use crate::company_id::{CompanyId, InvalidCompanyId};

/// The OpenAPI document, as `docs/directory-openapi.json` holds it.
pub fn openapi_json() -> Result<String, serde_json::Error> {
    http::openapi::document()
}

//! The directory: call history and contacts of every tenant, over HTTP.
//!
//! The phone platform posts its call-history webhook here. A softphone asks "who is calling?", and
//! a call-history page reads the calls with names, page by page. The workers lease the calls that
//! are still to be resolved and write contacts back. Every token carries a company ID and every
//! query is bound to it, which keeps the tenants apart.
//!
//! A call is in one of three lookup states. It is *pending* until a worker has looked its number
//! up, and *done* after that, whether or not a contact was found. It is *none* when there is
//! nothing to look up. A call is *matched* as long as its number has a contact, because names are
//! joined on read. A number without a contact is looked up again when it calls again.

mod certificate;
pub mod client;
mod http;
mod key_file;
pub mod model;
mod pages;
mod server;
mod store;
#[cfg(test)]
pub(crate) mod testing;
mod upkeep;
pub mod why;

pub use self::client::{Authorities, AuthoritiesError, Client, ClientError};
#[cfg(any(test, fuzzing))]
pub(crate) use self::http::fuzz;
pub use self::model::tokens::{Claims, OperatorClaims, Purpose, TokenError, TokenKeys};
pub use self::pages::{FrameAncestor, PagesArgs};
pub use self::server::{Args, Command, Error, Server, run};
pub use self::store::StoreError;
pub use crate::company_id::{CompanyId, InvalidCompanyId};

/// The OpenAPI document, identical to `docs/directory-openapi.json`.
pub fn openapi_json() -> Result<String, serde_json::Error> {
    http::openapi::document()
}

//! The directory: call history and contacts of every tenant, over HTTP.
//!
//! The phone platform posts its call-history webhook here, a softphone asks "who is calling?", a call-history page
//! pages through the calls with names, and the workers take the calls still to resolve and bring contacts back.
//! Tenants are kept apart by their company ID, which every token carries and every query is bound to.

pub mod client;
mod company;
pub mod model;
pub mod store;
pub mod tokens;
pub mod webhook;

pub use client::{Client, ClientError};
pub use company::{CompanyId, InvalidCompanyId};
pub use tokens::{Claims, Purpose, TokenError, TokenKeys};

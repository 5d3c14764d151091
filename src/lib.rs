//! Switchboard links the tenants of a phone platform to Salesforce.

pub mod directory;
pub mod phone;
pub mod resolve;
pub mod salesforce;
pub mod worker;

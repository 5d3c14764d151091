//! Switchboard links the tenants of a phone platform to Salesforce.

pub mod directory;
pub mod phone;
pub mod salesforce;
pub mod worker;

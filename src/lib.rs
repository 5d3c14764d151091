//! Switchboard links the tenants of a phone platform to Salesforce.

pub mod api;
pub mod check;
mod connections;
pub mod controller;
pub mod directory;
pub mod lookup;
pub mod phone;
pub mod resolve;
pub mod salesforce;
pub mod selftest;
pub mod telemetry;
pub mod worker;

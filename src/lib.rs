//! Switchboard links the tenants of a phone platform to Salesforce.

pub mod api;
pub mod book;
pub mod check;
pub mod cli;
pub mod company_id;
pub mod controller;
pub mod decide;
pub mod directory;
pub mod error;
pub mod exit;
pub mod explain;
pub mod follow;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
mod http_server;
mod json;
pub mod lookup;
mod mail;
pub mod phone;
mod plain_text;
mod prove;
pub mod reason;
pub mod resolve;
pub mod run;
pub mod salesforce;
pub mod selftest;
pub mod shard;
pub mod shutdown;
pub mod status;
pub mod telemetry;
mod url_text;
pub mod why;
pub mod worker;

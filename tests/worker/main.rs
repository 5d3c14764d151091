//! Worker and directory as programs, on real databases, with Salesforce played: killed, stopped,
//! and let down, they lose nothing and double nothing.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot be set up has failed"
)]

mod bed;
mod disks;
mod endings;
mod kills;
mod outages;
mod replica;
mod replicas;
mod tenants;

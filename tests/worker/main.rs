//! The worker as a program, with a real directory on SQLite and Salesforce played: killed, stopped,
//! and let down, it loses nothing and doubles nothing.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot be set up has failed"
)]

mod bed;
mod endings;
mod kills;
mod tenants;

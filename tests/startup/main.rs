//! Broken starts and signals, with the real program. Every role names what is broken, the system's
//! error text and the remedy, and ends with the documented code.
//!
//! | broken | controller | directory | worker | check, lookup | status | selftest |
//! |---|---|---|---|---|---|---|
//! | key file | x | x | | | | |
//! | port | x | x | | | | |
//! | database | | x | | | | |
//! | CA bundle | x | | x | x | | |
//! | kubeconfig | x | | | | x | x |
//! | unknown host | x | x | x | x | x | x |
//! | closed port | x | x | x | x | x | x |
//! | TLS | x | x | x | x | x | x |
//! | unreadable file | x | x | x | x | x | x |
//! | full disk | | x | x | x | | x |

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "this is how a test fails"
)]

mod command_line;
mod controller;
mod directory;
mod disk;
mod laptop;
mod manifests;
mod program;
mod selftest;
mod signals;
mod status;
mod worker;

//! Broken starts and signals, of the real program: every role names what is broken, the cause in the system's words and what to do,
//! and ends with the documented code.

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
mod program;
mod selftest;
mod signals;
mod worker;

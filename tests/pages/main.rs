//! The pages in a real browser: what a person sees and does, with a keyboard alone, in both
//! languages, and what axe-core and the console say to it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that panics has failed"
)]

mod bed;
mod history;
mod looks;
mod screen;
mod sign_in;
mod why;

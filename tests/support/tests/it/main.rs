//! Tests of the test bed on the real control plane. They are one program, so that it starts once.

#![expect(clippy::unwrap_used, reason = "this is how a test fails")]

mod control_plane;
mod pods;
mod process;

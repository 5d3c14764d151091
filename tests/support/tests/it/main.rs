//! The test bed, tested on the real control plane. One program, so that it starts once.

#![expect(clippy::unwrap_used, reason = "this is how a test fails")]

mod control_plane;
mod pods;
mod process;

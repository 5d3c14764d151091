//! The test bed, tested on the real control plane. One program, so that it starts once.

mod control_plane;
mod pods;

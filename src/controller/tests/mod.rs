//! The whole controller in worlds that are played, and its rules with fleets that no machine holds.

mod scale;
mod year;

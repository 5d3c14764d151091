//! The whole controller in worlds that are played.

mod year;

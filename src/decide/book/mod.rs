//! What each way to names costs, and the days from which that is told. Pure.

pub(crate) mod days;
pub mod forecast;

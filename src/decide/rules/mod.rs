//! Rules that stand for themselves: schedules, budgets, claims, remedies, the log of errors.

pub mod budget;
pub mod claims;
pub mod config;
pub mod errors;
pub mod remedies;
pub mod schedule;
pub(crate) mod warnings;

//! Rules that stand for themselves: schedules, budgets, claims, the log of errors.

pub mod budget;
pub mod company_claim;
pub mod config;
pub mod error_log;
pub mod schedule;
pub(crate) mod warnings;

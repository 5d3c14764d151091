//! Independent rules: schedules, budgets, claims, the error log.

pub mod budget;
pub(crate) mod call_centers;
pub(crate) mod clock_changes;
pub mod company_claim;
pub mod config;
pub mod error_log;
pub(crate) mod match_settings;
pub mod pods;
pub(crate) mod requests;
pub mod schedule;
pub(crate) mod user_claim;
pub(crate) mod warnings;

//! Independent rules: schedules, budgets, claims, the error log.

pub mod budget;
pub mod company_claim;
pub mod config;
pub mod error_log;
pub(crate) mod match_settings;
pub mod schedule;
pub(crate) mod warnings;

//! Workers from their settings to their report, with the real directory over HTTP.

mod bed;
mod book;
mod fake_salesforce;
mod follow;
mod living;
mod log;
mod parts;
mod with_salesforce;
mod without_salesforce;

//! Workers from their settings to their report, with the real directory over HTTP.

mod bed;
mod without_salesforce;

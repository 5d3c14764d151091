//! Workers from their settings to their report, with the real directory over HTTP.

mod bed;
mod book;
mod day;
mod fake_salesforce;
mod follow;
mod living;
mod log;
mod parts;
mod truth;
mod with_salesforce;
mod without_salesforce;

use crate::directory::Client;
use crate::directory::model::follow::KnownRequest;
use crate::directory::model::{Contact, RecordObject};

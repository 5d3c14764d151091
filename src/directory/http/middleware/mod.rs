//! What stands between a request and its route: who asks, how much, in what form, and what an error looks like.

pub(crate) mod app;
pub(crate) mod auth;
pub(crate) mod cursor;
pub(crate) mod error;
pub(crate) mod fairness;
pub(crate) mod health;
pub(crate) mod input;
pub(crate) mod metrics;
pub(crate) mod responses;
pub(crate) mod span;

//! The layers between a request and its handler: authentication, limits, input and errors.

pub(crate) mod app;
pub(crate) mod auth;
pub(crate) mod body;
pub(crate) mod cursor;
pub(crate) mod error;
pub(crate) mod fairness;
pub(crate) mod health;
pub(crate) mod input;
pub(crate) mod metrics;
pub(crate) mod responses;
pub(crate) mod span;

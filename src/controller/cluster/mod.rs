//! The API server: what is read of its answers, Secrets, Events, the Lease.

pub(crate) mod api_server;
pub(crate) mod events;
pub(crate) mod leader;
pub(crate) mod secret;

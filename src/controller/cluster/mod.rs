//! The API server: its responses, Secrets, Events, the Lease.

pub(crate) mod api_server;
pub(crate) mod events;
pub(crate) mod layout;
pub(crate) mod leader;
pub(crate) mod login_store;
pub(crate) mod secret;
mod sight;

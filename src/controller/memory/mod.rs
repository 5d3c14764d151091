//! What the controller keeps in memory between two events, as values without I/O.

pub(crate) mod applied_cron_jobs;
pub(crate) mod backoff;
pub(crate) mod child_store;
pub(crate) mod first_pass;
pub mod index;
pub(crate) mod lost_pod_results;

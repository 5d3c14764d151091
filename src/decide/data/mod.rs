//! Whose a company's data is, and what becomes of it when the integration goes.

pub(crate) mod claim;
pub(crate) mod erasure;

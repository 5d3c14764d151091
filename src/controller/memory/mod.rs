//! What the controller keeps in memory between two events, as values without I/O.

pub mod index;
pub(crate) mod last_words;
pub(crate) mod owned;
pub(crate) mod retries;
pub(crate) mod standing;
pub(crate) mod turns;

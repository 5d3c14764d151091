//! What a write means for the rows that are there. Pure: rows in, rows out, time is an argument.

pub(crate) mod contacts;
pub(crate) mod held;
pub(crate) mod history;
pub(crate) mod merge;
pub(crate) mod ownership;
pub(crate) mod records;
pub(crate) mod rings;

//! Reads all records of an org that have a phone number, for an address book.
//!
//! [`next()`] decides what a run does for the book; it is pure. [`Reading`] hands on the records of
//! one kind while they arrive, from a bulk query or page by page, and says where to go on after
//! each portion, so that a process that is killed loses no more than a portion.

mod count;
mod plan;
mod reading;

pub use self::count::{Counts, count};
pub use self::plan::{Next, PAGES_UP_TO, Shelf, differ, next};
pub use self::reading::{At, Part, Reading};

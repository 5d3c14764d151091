//! Phone numbers: parsing, the E.164 form, and the spellings that people use. No I/O.
//!
//! [`parse()`] turns the text of a call into an [`E164`], or returns a [`NotLookedUp`] with the
//! reason why there is nothing to look up; [`numbers_in()`] reads a field, which may hold several
//! numbers. [`spellings()`] does the reverse. Salesforce keeps phone text as it was typed and
//! compares it literally, so a query lists the forms that people store, the likeliest first. All
//! use libphonenumber's data.

mod address;
mod clean;
mod e164;
mod field;
mod habits;
mod parse;
mod region;
mod special;
mod spellings;

#[cfg(test)]
mod tests;

pub use self::e164::{E164, InvalidE164};
pub use self::parse::{NotLookedUp, numbers_in, parse};
pub use self::region::{Region, UnknownRegion};
pub use self::spellings::{MAX_SPELLING_CHARS, spellings};
pub(crate) use self::spellings::{likely, rare, search_phrases};

//! Phone numbers: parsing, the E.164 form, and the spellings that people use. No I/O.
//!
//! [`parse()`] turns the text of a call or a record into an [`E164`], or returns a [`NotLookedUp`]
//! with the reason why there is nothing to look up. [`spellings()`] does the reverse. Salesforce
//! keeps phone text as it was typed and compares it literally, so a query must contain every form
//! that people store. Both use libphonenumber's data.

mod clean;
mod e164;
mod parse;
mod region;
mod special;
mod spellings;

#[cfg(test)]
mod tests;

pub use self::e164::{E164, InvalidE164};
pub use self::parse::{NotLookedUp, parse};
pub use self::region::{Region, UnknownRegion};
pub use self::spellings::{MAX_SPELLING_CHARS, spellings};

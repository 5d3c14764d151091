//! Phone numbers: reading them, one form for each, and every way people write them. No I/O.
//!
//! [`parse`] turns the text of a call or of a record into an [`E164`], or says by [`NotLookedUp`]
//! why there is nothing to look up. [`spellings`] goes the other way: Salesforce keeps phone text as
//! it was typed and compares it literally, so a query has to ask for every form that people store.
//! Both stand on libphonenumber's data.

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

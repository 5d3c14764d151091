//! Names that stay true: what changed in Salesforce is applied to the numbers that are known. No
//! I/O and no clock: rows, known numbers and times in, what is to be written out.
//!
//! [`window`] says since when changes are asked for and how far they are settled; [`apply()`] says
//! what they mean for the numbers that the directory knows, by the rule of the look-up itself
//! ([`choose`](crate::resolve::choose)).

mod apply;
mod window;

#[cfg(test)]
mod tests;

pub use self::apply::{Applied, Changes, Found, Known, KnownContact, MAX_HOLDERS, apply, holders};
pub use self::window::{Mode, OVERLAP, Plan, RECYCLE_BIN, State, plan, settled_until, tells_all};

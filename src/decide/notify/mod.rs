//! E-mail: what is told to whom, and when. Pure rules over a status, the time, and a ledger of what
//! all integrations were told.
//!
//! A cause is told once it has lasted, again once a day, and its end once that has lasted, too.
//! What many integrations have at once is told to the platform team, in one mail, instead of to
//! each of them. What is told stands in the status before it is sent.

mod ledger;
mod rules;
mod settle;
#[cfg(test)]
mod tests;

pub(crate) use self::ledger::Ledger;
pub(crate) use self::rules::Rules;
pub(crate) use self::settle::{Tenant, switched_off};

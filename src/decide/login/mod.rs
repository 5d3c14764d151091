//! The log-in: the credential, the result of a proof, the time of the next proof, and the record of
//! refused log-ins.

pub mod credentials;
pub(crate) mod ledger;
pub mod next_attempt;
pub mod proof;

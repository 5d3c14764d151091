//! The log-in: the credential, how a proof ended, when it is proved again, and the account of refused log-ins.

pub mod credentials;
pub(crate) mod ledger;
pub mod next_attempt;
pub mod proof;

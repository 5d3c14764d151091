//! The log-in: the credential, how a proof ended, when it is proved again, and the account of refused log-ins.

pub(crate) mod attempts;
pub mod credentials;
pub mod outcome;
pub mod proof;

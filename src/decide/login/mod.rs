//! The log-in: the credential, the result of a proof, the time of the next proof, and the record of
//! refused log-ins.

pub(crate) mod credentials;
pub(crate) mod ledger;
pub(crate) mod logbook;
pub(crate) mod next_attempt;
pub(crate) mod proof;
pub(crate) mod recovery;
pub(crate) mod user_limit;

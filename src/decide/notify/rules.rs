//! The operator's rules for mails, as values.

use std::time::Duration;

use crate::api::Language;
use crate::mail::{Address, Domains};

/// A cause that lasts is told again after this time.
pub(super) const REMIND_AFTER: Duration = Duration::from_secs(24 * 3600);
/// The ceilings count the mails of this time.
pub(super) const CEILING_WINDOW: Duration = Duration::from_secs(3600);

/// The operator's rules for mails.
#[derive(Clone, Debug)]
pub(crate) struct Rules {
    /// How long a cause, or its end, lasts before it is told.
    pub after: Duration,
    /// Mails an hour about one integration.
    pub per_integration: usize,
    /// Mails an hour to tenants altogether.
    pub altogether: usize,
    /// So many integrations with the same cause at once are one storm.
    pub storm_from: usize,
    /// The domains that tenants may name.
    pub domains: Domains,
    /// The language where a tenant names none, and that of the platform team.
    pub language: Language,
    /// The platform team's own addresses.
    pub platform: Vec<Address>,
    /// The sender, whose domain is that of the Message-IDs.
    pub sender: Address,
}

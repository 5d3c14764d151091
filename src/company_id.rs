//! The company ID: the tenant of the phone platform that a row, a token or a query belongs to.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The ID of a tenant on the phone platform. It is a DNS label, because the platform uses it as a
/// sub-domain.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CompanyId(String);

/// The text is not a company ID.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error(
    "a company ID is 1 to 63 lower-case letters, digits and hyphens, with no hyphen at either end"
)]
pub struct InvalidCompanyId;

// === impl CompanyId ===

impl CompanyId {
    /// The ID as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for CompanyId {
    type Err = InvalidCompanyId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let letter = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
        let ends =
            text.bytes().next().is_some_and(letter) && text.bytes().next_back().is_some_and(letter);
        if ends && text.len() <= 63 && text.bytes().all(|b| letter(b) || b == b'-') {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidCompanyId)
        }
    }
}

impl TryFrom<String> for CompanyId {
    type Error = InvalidCompanyId;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<CompanyId> for String {
    fn from(id: CompanyId) -> Self {
        id.0
    }
}

impl fmt::Display for CompanyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_company_id_is_a_dns_label() {
        for good in ["a", "acme", "acme-tokyo", "7eleven", &"x".repeat(63)] {
            assert_eq!(good.parse::<CompanyId>().unwrap().as_str(), good);
        }
        for bad in [
            "",
            "-a",
            "a-",
            "Acme",
            "acme_tokyo",
            "acme.tokyo",
            "アクメ",
            &"x".repeat(64),
        ] {
            assert_eq!(bad.parse::<CompanyId>(), Err(InvalidCompanyId), "{bad}");
        }
    }
}

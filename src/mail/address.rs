//! Addresses, and the domains that an operator sends to.

use std::fmt;
use std::str::FromStr;

/// The longest address, in bytes (RFC 5321, 4.5.3.1.3, without the angle brackets).
const MAX_BYTES: usize = 254;

/// An e-mail address that is safe in any header: ASCII, no quotes, no spaces, no line breaks.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Address(lettre::Address);

/// A text is no e-mail address that this program writes to.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no e-mail address; write one such as it@acme.example: ASCII only, without a name, spaces or quotes"
)]
pub(crate) struct InvalidAddress(String);

/// The domains that may get mail.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Domains(Vec<Domain>);

/// A domain, all its sub-domains, or any domain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Domain {
    /// `*`
    Any,
    /// `acme.example`
    Only(String),
    /// `*.acme.example`
    Below(String),
}

// === impl Address ===

impl Address {
    /// The domain.
    pub(crate) fn domain(&self) -> &str {
        self.0.domain()
    }

    /// The address in the form of the mail library.
    pub(super) fn inner(&self) -> &lettre::Address {
        &self.0
    }
}

impl FromStr for Address {
    type Err = InvalidAddress;

    fn from_str(text: &str) -> Result<Self, InvalidAddress> {
        let plain =
            |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&*+/=?^_{|}~.-".contains(&byte);
        let invalid = || InvalidAddress(text.chars().take(MAX_BYTES).collect());
        let (user, domain) = text.rsplit_once('@').ok_or_else(invalid)?;
        if text.len() > MAX_BYTES || !user.bytes().all(plain) || !is_domain(domain) {
            return Err(invalid());
        }
        text.parse().map(Self).map_err(|_| invalid())
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

// === impl Domains ===

impl Domains {
    /// Whether this address may get mail.
    pub(crate) fn allow(&self, address: &Address) -> bool {
        let domain = address.domain().to_ascii_lowercase();
        self.0.iter().any(|allowed| match allowed {
            Domain::Any => true,
            Domain::Only(only) => domain == *only,
            Domain::Below(above) => domain
                .strip_suffix(above.as_str())
                .is_some_and(|rest| rest.len() > 1 && rest.ends_with('.')),
        })
    }
}

impl FromIterator<Domain> for Domains {
    fn from_iter<I: IntoIterator<Item = Domain>>(domains: I) -> Self {
        Self(domains.into_iter().collect())
    }
}

impl FromStr for Domain {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let lower = text.to_ascii_lowercase();
        match lower.strip_prefix("*.") {
            _ if text == "*" => Ok(Self::Any),
            Some(above) if is_domain(above) => Ok(Self::Below(above.to_owned())),
            None if is_domain(&lower) => Ok(Self::Only(lower)),
            _ => Err(format!(
                "{text:?} is no domain; write one such as acme.example, *.acme.example for all below it, or * for any"
            )),
        }
    }
}

/// Whether a text is a domain of two labels or more, in ASCII.
fn is_domain(text: &str) -> bool {
    let labels: Vec<&str> = text.split('.').collect();
    labels.len() > 1
        && labels.iter().all(|label| {
            !label.is_empty()
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_addresses_are_written_to() {
        for good in [
            "it@acme.example",
            "a.b+c@mail.acme.co.jp",
            "x_1@a-b.example",
        ] {
            assert_eq!(good.parse::<Address>().unwrap().to_string(), good);
        }
        for bad in [
            "",
            "it",
            "it@acme",
            "@acme.example",
            "it@acme.example\r\nBcc: other@acme.example",
            "it@acme.example,other@acme.example",
            "\"it it\"@acme.example",
            "It <it@acme.example>",
            "it@[127.0.0.1]",
            "情報@acme.example",
            "it@アクメ.example",
            "it@-acme.example",
            "it@acme..example",
        ] {
            let refused = bad.parse::<Address>().unwrap_err();
            assert!(refused.to_string().contains("is no e-mail address"));
        }
    }

    #[test]
    fn a_domain_is_matched_as_a_whole() {
        let domains: Domains = ["acme.example", "*.birch.example"]
            .map(|domain| domain.parse().unwrap())
            .into_iter()
            .collect();
        let allowed = |address: &str| domains.allow(&address.parse().unwrap());
        assert!(allowed("it@acme.example"));
        assert!(allowed("it@ACME.example"));
        assert!(allowed("it@mail.birch.example"));
        for other in [
            "it@notacme.example",
            "it@mail.acme.example",
            "it@birch.example",
            "it@notbirch.example",
            "it@acme.example.evil.example",
        ] {
            assert!(!allowed(other), "{other}");
        }
        let any: Domains = ["*".parse().unwrap()].into_iter().collect();
        assert!(any.allow(&"it@anywhere.example".parse().unwrap()));
        for wrong in ["", "acme", "*.", "*acme.example", "a@b.example"] {
            assert!(wrong.parse::<Domain>().unwrap_err().contains("no domain"));
        }
    }
}

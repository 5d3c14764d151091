//! The Salesforce environment (production or sandbox) and the version of its API.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use url::Url;

use super::hosts;

/// Production (and Developer Edition) or a sandbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Environment {
    /// `login.salesforce.com`; Developer Edition belongs here too.
    Production,
    /// `test.salesforce.com`.
    Sandbox,
}

/// A version of the API, such as `50.0`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ApiVersion {
    /// The number that Salesforce raises three times a year.
    pub major: u16,
    /// Zero, in every version so far.
    pub minor: u16,
}

/// The error for a text that is not an API version.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("an API version is a number such as 50.0")]
pub struct InvalidApiVersion;

// === impl Environment ===

impl Environment {
    /// The default log-in URL of this environment.
    pub fn login_url(self) -> Url {
        let text = match self {
            Self::Production => "https://login.salesforce.com/",
            Self::Sandbox => "https://test.salesforce.com/",
        };
        #[allow(clippy::expect_used, reason = "two constants, tested")]
        Url::parse(text).expect("a constant URL")
    }

    /// The environment that a login URL belongs to: `test.salesforce.com` and the My Domain of a
    /// sandbox (`acme--uat.sandbox.my.salesforce.com`, `acme--uat.my.salesforce.com`) are
    /// sandboxes, in each of Salesforce's clouds, all others count as production.
    pub fn of_login_url(login_url: &Url) -> Self {
        let host = login_url.host_str().unwrap_or_default();
        if hosts::shared_by_all(host) == Some(Self::Sandbox) || hosts::is_of_a_sandbox(host) {
            Self::Sandbox
        } else {
            Self::Production
        }
    }
}

impl fmt::Display for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Production => "Production",
            Self::Sandbox => "Sandbox",
        })
    }
}

// === impl ApiVersion ===

impl ApiVersion {
    /// The first version with composite requests (facts: Salesforce 2.7).
    pub const WITH_COMPOSITE: Self = Self {
        major: 38,
        minor: 0,
    };

    /// The first version with bulk queries (facts: Salesforce changes E1).
    pub const WITH_BULK_QUERIES: Self = Self {
        major: 47,
        minor: 0,
    };

    /// The version for manifests that name none.
    pub const DEFAULT: Self = Self {
        major: 50,
        minor: 0,
    };
}

impl Default for ApiVersion {
    fn default() -> Self {
        Self::DEFAULT
    }
}

impl fmt::Display for ApiVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

impl FromStr for ApiVersion {
    type Err = InvalidApiVersion;

    fn from_str(text: &str) -> Result<Self, InvalidApiVersion> {
        let number = |part: &str| {
            let digits = !part.is_empty()
                && part.len() <= 3
                && part.bytes().all(|byte| byte.is_ascii_digit());
            digits
                .then(|| part.parse().ok())
                .flatten()
                .ok_or(InvalidApiVersion)
        };
        let (major, minor) = text.split_once('.').ok_or(InvalidApiVersion)?;
        Ok(Self {
            major: number(major)?,
            minor: number(minor)?,
        })
    }
}

impl TryFrom<String> for ApiVersion {
    type Error = InvalidApiVersion;

    fn try_from(text: String) -> Result<Self, InvalidApiVersion> {
        text.parse()
    }
}

impl From<ApiVersion> for String {
    fn from(version: ApiVersion) -> Self {
        version.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_login_urls_are_urls() {
        assert_eq!(
            Environment::Production.login_url().as_str(),
            "https://login.salesforce.com/"
        );
        assert_eq!(
            Environment::Sandbox.login_url().as_str(),
            "https://test.salesforce.com/"
        );
    }

    #[test]
    fn the_my_domain_of_a_sandbox_tells_that_it_is_one() {
        for (host, is) in [
            ("acme--uat.sandbox.my.salesforce.com", Environment::Sandbox),
            ("ACME--UAT.my.salesforce.com", Environment::Sandbox),
            ("acme--uat.cs5.my.salesforce.com", Environment::Sandbox),
            ("acme--uat.my.salesforce.mil", Environment::Sandbox),
            ("test.salesforce.com", Environment::Sandbox),
            ("acme.my.salesforce.com", Environment::Production),
            (
                "acme-dev-ed.develop.my.salesforce.com",
                Environment::Production,
            ),
            ("acme--uat.example", Environment::Production),
        ] {
            let url = format!("https://{host}").parse().unwrap();
            assert_eq!(Environment::of_login_url(&url), is, "{host}");
        }
    }

    #[test]
    fn a_version_is_read_and_written_as_salesforce_does() {
        for text in ["50.0", "66.0", "9.1"] {
            assert_eq!(text.parse::<ApiVersion>().unwrap().to_string(), text);
        }
        for text in [
            "", "50", "v50.0", "50.", ".0", "50.0.1", "-5.0", "+5.0", "1234.0", "５０.0",
        ] {
            assert_eq!(text.parse::<ApiVersion>(), Err(InvalidApiVersion), "{text}");
        }
        assert!("9.0".parse::<ApiVersion>().unwrap() < "50.0".parse::<ApiVersion>().unwrap());
    }
}

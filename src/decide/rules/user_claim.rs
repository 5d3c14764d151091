//! The rule for users of call centers: a user stands in one call center over all integrations of
//! an org. The older integration holds the user, by creation time, then by UID.
//!
//! Until a proof has found the org, an integration stands at its log-in host, where a user name is
//! of one user (facts: Salesforce changes G2). Once both orgs are known, only they count. An
//! integration hears of a clash only after it has proved that it may log in, so that nobody finds
//! out by guesses whom another tenant employs (docs/adr/0020).

use std::collections::BTreeSet;

use super::company_claim::{Age, age};
use crate::api::conditions::{CONNECTED, CREDENTIALS_AVAILABLE, EXCLUSIVE, READY, Truth};
use crate::api::{
    CallCenter, Environment, SalesforceIntegration, SalesforceIntegrationStatus, canonical_user,
    conditions,
};
use crate::reason::Reason;
use crate::salesforce;
use crate::salesforce::Retry;

/// Some user names and the number of all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Users {
    /// The first of them, at most [`Self::MAX_NAMES`], as the spec spells them.
    pub names: Vec<String>,
    /// The number of all.
    pub count: usize,
}

/// The part of an integration that decides whether it holds its users or another one does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Standing {
    age: Age,
    login_host: String,
    /// The id of the org, once a proof has found it.
    org: Option<String>,
    /// Whether a proof has ever succeeded.
    is_proved: bool,
    is_entitled: bool,
}

// === impl Users ===

impl Users {
    /// Maximum number of names in `names`.
    pub(crate) const MAX_NAMES: usize = 10;

    /// The names and their number as a part of a sentence: `a, b and 3 more`.
    pub(crate) fn listed(&self) -> String {
        let names = self.names.join(", ");
        match self.count.saturating_sub(self.names.len()) {
            0 => names,
            more => format!("{names} and {more} more"),
        }
    }
}

impl<T: Into<String>> FromIterator<T> for Users {
    fn from_iter<I: IntoIterator<Item = T>>(users: I) -> Self {
        let mut found = Self::default();
        for user in users {
            if found.names.len() < Self::MAX_NAMES {
                found.names.push(user.into());
            }
            found.count = found.count.saturating_add(1);
        }
        found
    }
}

// === impl Standing ===

impl Standing {
    /// The standing of a resource, from its spec and its status.
    pub(crate) fn of(resource: &SalesforceIntegration) -> Self {
        let status = resource.status.as_ref();
        let organization = status.and_then(|status| status.organization.as_ref());
        let is_proved = organization.is_some();
        Self {
            age: age(resource),
            login_host: login_host(resource),
            org: organization
                .map(|organization| organization.id.clone())
                .filter(|id| !id.is_empty()),
            is_proved,
            is_entitled: !resource.spec.suspend
                && status.is_none_or(|status| !is_out(status, is_proved)),
        }
    }

    /// The standing after a proof that has just found this org.
    pub(crate) fn proved_in(self, org: &str) -> Self {
        Self {
            org: Some(org.to_owned()).filter(|id| !id.is_empty()),
            is_proved: true,
            ..self
        }
    }

    /// Whether this integration keeps the users that both claim from the other one.
    pub(crate) fn excludes(&self, other: &Self) -> bool {
        let same_place = match (&self.org, &other.org) {
            (Some(own), Some(its)) => own == its,
            _ => self.login_host == other.login_host,
        };
        self.is_entitled && other.is_proved && same_place && self.age < other.age
    }
}

/// Whether an integration holds no user, although it is not suspended: it lost its company ID, or
/// it was never connected and nothing but a change by its tenant will connect it.
fn is_out(status: &SalesforceIntegrationStatus, is_proved: bool) -> bool {
    let fails = |type_: &str| {
        conditions::verdict(&status.conditions, type_)
            .filter(|verdict| verdict.truth == Truth::False)
            .map(|verdict| verdict.reason)
    };
    if fails(EXCLUSIVE).is_some_and(|reason| reason == Reason::CompanyIdTaken) {
        return true;
    }
    let never_connects = || {
        fails(READY).is_some_and(|reason| reason == Reason::InvalidSpec)
            || fails(CREDENTIALS_AVAILABLE).is_some()
            || fails(CONNECTED).is_some_and(|reason| {
                reason
                    .meaning()
                    .is_none_or(|meaning| meaning.retry() == Retry::Never)
            })
    };
    !is_proved && never_connects()
}

fn login_host(resource: &SalesforceIntegration) -> String {
    let spec = &resource.spec.salesforce;
    let url = match (&spec.login_url, spec.environment) {
        (Some(url), _) => url.parse().ok(),
        (None, Environment::Production) => Some(salesforce::Environment::Production.login_url()),
        (None, Environment::Sandbox) => Some(salesforce::Environment::Sandbox.login_url()),
    };
    // The parser writes hosts in small letters.
    url.and_then(|url: url::Url| url.host_str().map(str::to_owned))
        .unwrap_or_default()
}

/// The users of one spec that stand in it more than once, whatever their spelling.
pub(crate) fn own_duplicates(call_centers: &[CallCenter]) -> Users {
    let mut seen = BTreeSet::new();
    let mut doubled = BTreeSet::new();
    let users = call_centers.iter().flat_map(|center| &center.users);
    users
        .filter(|user| {
            let user = canonical_user(user);
            !seen.insert(user.clone()) && doubled.insert(user)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::fixtures;

    fn standing(second: i64) -> Standing {
        let mut resource = fixtures::integration("acme");
        resource.metadata.creation_timestamp =
            Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(
                jiff::Timestamp::from_second(second).unwrap(),
            ));
        Standing::of(&resource)
    }

    #[test]
    fn the_older_one_keeps_its_users_in_its_org_and_nowhere_else() {
        let [old, young] = [standing(1), standing(2)].map(|one| one.proved_in("00D1"));
        assert!(old.excludes(&young));
        assert!(!young.excludes(&old));
        assert!(!old.excludes(&standing(2).proved_in("00D2")));
    }

    #[test]
    fn before_the_org_is_known_the_log_in_host_counts_and_only_who_may_log_in_hears_of_it() {
        let young = standing(2).proved_in("00D1");
        assert!(
            standing(1).excludes(&young),
            "the older one is about to log in"
        );
        assert!(!standing(1).excludes(&standing(2)));
        assert!(!young.excludes(&standing(1)));
        let elsewhere = Standing {
            login_host: "test.salesforce.com".into(),
            ..standing(1)
        };
        assert!(!elsewhere.excludes(&young));
    }

    #[test]
    fn a_user_of_two_call_centers_is_named_once_whatever_its_spelling() {
        let center = |name: &str, users: &[&str]| CallCenter {
            name: name.into(),
            users: users.iter().map(|user| (*user).to_owned()).collect(),
        };
        let doubled = own_duplicates(&[
            center("support", &["sato@acme.example", "ito@acme.example"]),
            center("sales", &["Sato@acme.example", "SATO@ACME.example"]),
        ]);
        assert_eq!(doubled.listed(), "Sato@acme.example");
        let many: Users = (0..13).map(|at| format!("u{at}")).collect();
        assert!(many.listed().ends_with("u8, u9 and 3 more"));
    }
}

//! Orgs: their settings, users, permissions and records.

pub(crate) mod access;
pub(crate) mod derived;
pub(crate) mod ids;
mod permissions;
pub(crate) mod quota;
mod record;
pub(crate) mod sessions;
pub(crate) mod table;
mod user;
pub(crate) mod world;
pub(crate) mod write;

use std::collections::BTreeMap;
use std::sync::OnceLock;

use jiff::{SignedDuration, Timestamp};
pub use permissions::{Grants, ObjectAccess, PermissionSet, Profile};
pub use record::Record;
use serde::{Deserialize, Serialize};
pub(crate) use table::{Row, Table, system};
pub use user::{ConnectedApp, LoginHours, User};
pub use world::{HostRole, NotThere, World};
pub use write::Edit;
pub(crate) use write::{Refusal, Writer};

use crate::schema::{CustomField, Schema};

/// Default access to other users' records of an object, for users without View All on it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Sharing {
    /// Only owners have access.
    #[default]
    Private,
    /// Every user can read.
    Read,
    /// Every user can read and write.
    ReadWrite,
    /// The same access as to the account (contacts only).
    ControlledByParent,
}

impl Sharing {
    /// The value in the `Default...Access` fields of Organization.
    pub(crate) fn picklist_value(self) -> &'static str {
        match self {
            Self::Private => "None",
            Self::Read => "Read",
            Self::ReadWrite => "Edit",
            Self::ControlledByParent => "ControlledByParent",
        }
    }
}

/// A kind of user licence that the org has bought.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct UserLicense {
    /// Licence key: `SFDC`, `PID_...`.
    pub key: String,
    /// Licence name: `Salesforce`, `Lightning Platform Starter`, ...
    pub name: String,
    /// Number of licences.
    pub total: i64,
}

impl Default for UserLicense {
    fn default() -> Self {
        Self {
            key: "SFDC".to_owned(),
            name: "Salesforce".to_owned(),
            total: 10,
        }
    }
}

/// One Salesforce org.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Org {
    /// The org id; derived from the name when empty.
    pub id: String,
    /// Name of the org; tests and hosts refer to it.
    pub name: String,
    /// `OrganizationType`: `Enterprise Edition`, `Developer Edition`, ...
    pub edition: String,
    /// Whether the org is a sandbox: its users log in at test hosts.
    pub sandbox: bool,
    /// `InstanceName` of the org.
    pub instance: String,
    /// End of the trial; a sandbox with a trial is a scratch org.
    pub trial_expires: Option<Timestamp>,
    /// Namespace of a packaging org; `None` for other orgs.
    pub namespace_prefix: Option<String>,
    /// Whether person accounts are enabled.
    pub person_accounts: bool,
    /// Whether the edition has API access; without it, calls fail with `API_DISABLED_FOR_ORG`.
    pub api: bool,
    /// Whether the edition has bulk queries; without them, jobs are refused with
    /// `FEATURENOTENABLED`.
    pub bulk: bool,
    /// Whether SOAP `login()` is enabled.
    pub soap_login: bool,
    /// Whether SOAP `login()` also needs the user permission Use Any API Auth.
    pub soap_login_needs_any_api_auth: bool,
    /// Whether the OAuth username-password flow is enabled.
    pub oauth_password: bool,
    /// Whether the org is in maintenance: every request gets a 503.
    pub maintenance: bool,
    /// Failed log-ins before a user is locked; `null` for no limit.
    pub max_login_attempts: Option<u32>,
    /// Duration of a lock; `null` for no end.
    pub lockout_interval: Option<SignedDuration>,
    /// Network ranges from which log-ins need no security token.
    pub trusted_ip_ranges: Vec<String>,
    /// Calls in 24 hours; derived from edition and licences when `null`.
    pub daily_limit: Option<u64>,
    /// Calls beyond the limit that are still served (paid orgs may exceed it).
    pub overrun: u64,
    /// Base URL that a log-in returns; `None` for the host that the client used.
    pub instance_url: Option<String>,
    /// Delay of each answer in milliseconds.
    pub latency_ms: u64,
    /// Sharing defaults; key: the object. An absent object is Private.
    pub sharing: BTreeMap<String, Sharing>,
    /// Objects that do not exist in the org.
    pub missing_objects: Vec<String>,
    /// The licences that the org has bought.
    pub licenses: Vec<UserLicense>,
    /// Profiles; users refer to them by name.
    pub profiles: Vec<Profile>,
    /// Permission sets; users refer to them by name.
    pub permission_sets: Vec<PermissionSet>,
    /// Users of the org.
    pub users: Vec<User>,
    /// Connected apps, which OAuth flows use.
    pub apps: Vec<ConnectedApp>,
    /// Custom fields; key: the object.
    pub custom_fields: BTreeMap<String, Vec<CustomField>>,
    /// Records to load; key: the object.
    #[serde(skip_serializing)]
    pub records: BTreeMap<String, Vec<Record>>,

    #[serde(skip)]
    pub(crate) schema: Schema,
    #[serde(skip)]
    pub(crate) tables: BTreeMap<String, Table>,
    #[serde(skip)]
    pub(crate) derived: OnceLock<BTreeMap<&'static str, Table>>,
    /// Rows of transactions that have not ended: when they commit, the object and the row.
    #[serde(skip)]
    pub(crate) uncommitted: Vec<(Timestamp, String, Row)>,
    #[serde(skip)]
    pub(crate) serial: u64,
}

impl Default for Org {
    fn default() -> Self {
        Self {
            id: String::new(),
            name: String::new(),
            edition: "Enterprise Edition".to_owned(),
            sandbox: false,
            instance: "AP0".to_owned(),
            trial_expires: None,
            namespace_prefix: None,
            person_accounts: false,
            api: true,
            bulk: true,
            soap_login: true,
            soap_login_needs_any_api_auth: false,
            oauth_password: true,
            maintenance: false,
            max_login_attempts: Some(10),
            lockout_interval: Some(SignedDuration::from_mins(15)),
            trusted_ip_ranges: Vec::new(),
            daily_limit: None,
            overrun: 0,
            instance_url: None,
            latency_ms: 0,
            sharing: BTreeMap::new(),
            missing_objects: Vec::new(),
            licenses: vec![UserLicense::default()],
            profiles: Profile::stock(),
            permission_sets: Vec::new(),
            users: Vec::new(),
            apps: Vec::new(),
            custom_fields: BTreeMap::new(),
            records: BTreeMap::new(),
            schema: Schema::default(),
            tables: BTreeMap::new(),
            derived: OnceLock::new(),
            uncommitted: Vec::new(),
            serial: 0,
        }
    }
}

/// Builds an org.
impl Org {
    /// An Enterprise Edition org.
    pub fn enterprise(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            ..Self::default()
        }
    }

    /// A Developer Edition org: 15,000 calls a day.
    pub fn developer(name: &str) -> Self {
        Self {
            edition: "Developer Edition".to_owned(),
            ..Self::enterprise(name)
        }
    }

    /// An Unlimited Edition org.
    pub fn unlimited(name: &str) -> Self {
        Self {
            edition: "Unlimited Edition".to_owned(),
            ..Self::enterprise(name)
        }
    }

    /// A Professional Edition org without the API.
    pub fn professional(name: &str) -> Self {
        Self {
            edition: "Professional Edition".to_owned(),
            api: false,
            ..Self::enterprise(name)
        }
    }

    /// A sandbox of an Enterprise Edition org.
    pub fn sandbox(name: &str) -> Self {
        Self {
            sandbox: true,
            instance: "CS1".to_owned(),
            ..Self::enterprise(name)
        }
    }

    /// An Enterprise org whose users have Lightning Platform Starter licences: no Lead object.
    pub fn platform_starter(name: &str) -> Self {
        let licence = UserLicense {
            key: "PID_STARTER".into(),
            name: "Lightning Platform Starter".into(),
            total: 10,
        };
        Self {
            licenses: vec![licence],
            missing_objects: vec!["Lead".to_owned()],
            ..Self::enterprise(name)
        }
    }

    /// Adds a user.
    pub fn user(mut self, user: User) -> Self {
        self.users.push(user);
        self
    }

    /// Adds a connected app.
    pub fn app(mut self, app: ConnectedApp) -> Self {
        self.apps.push(app);
        self
    }

    /// Adds a profile, or replaces the one of that name.
    pub fn profile(mut self, profile: Profile) -> Self {
        self.profiles.retain(|p| p.name != profile.name);
        self.profiles.push(profile);
        self
    }

    /// Changes the rights that a profile grants; does nothing for an unknown profile.
    pub fn grants(mut self, profile: &str, change: impl FnOnce(Grants) -> Grants) -> Self {
        if let Some(profile) = self.profiles.iter_mut().find(|p| p.name == profile) {
            profile.grants = change(std::mem::take(&mut profile.grants));
        }
        self
    }

    /// Adds a permission set.
    pub fn permission_set(mut self, set: PermissionSet) -> Self {
        self.permission_sets.push(set);
        self
    }

    /// Sets the sharing default of an object.
    pub fn share(mut self, object: &str, sharing: Sharing) -> Self {
        self.sharing.insert(object.to_owned(), sharing);
        self
    }

    /// Adds a record to load at the start.
    pub fn record(mut self, object: &str, record: impl Into<Record>) -> Self {
        self.records
            .entry(object.to_owned())
            .or_default()
            .push(record.into());
        self
    }

    /// Adds records to load at the start.
    pub fn records(mut self, object: &str, records: impl IntoIterator<Item = Record>) -> Self {
        self.records
            .entry(object.to_owned())
            .or_default()
            .extend(records);
        self
    }

    /// Adds a contact.
    pub fn contact(self, record: impl Into<Record>) -> Self {
        self.record("Contact", record)
    }

    /// Adds an account.
    pub fn account(self, record: impl Into<Record>) -> Self {
        self.record("Account", record)
    }

    /// Adds a lead.
    pub fn lead(self, record: impl Into<Record>) -> Self {
        self.record("Lead", record)
    }

    /// Changes any other setting.
    pub fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }
}

/// Reads and changes an org.
impl Org {
    /// Finds a user by name, without regard to case.
    pub fn user_named(&self, username: &str) -> Option<&User> {
        self.users
            .iter()
            .find(|user| user.username.eq_ignore_ascii_case(username))
    }

    /// Finds a user by name, for a change.
    pub fn user_mut(&mut self, username: &str) -> Option<&mut User> {
        self.users
            .iter_mut()
            .find(|user| user.username.eq_ignore_ascii_case(username))
    }

    /// Finds a profile by name, for a change.
    pub fn profile_mut(&mut self, name: &str) -> Option<&mut Profile> {
        self.profiles
            .iter_mut()
            .find(|profile| profile.name == name)
    }

    /// Finds a permission set by name, for a change.
    pub fn permission_set_mut(&mut self, name: &str) -> Option<&mut PermissionSet> {
        self.permission_sets.iter_mut().find(|set| set.name == name)
    }

    /// Calls in 24 hours: the set limit, or the limit of edition and licences
    /// (facts: Salesforce 2.3).
    pub fn allocation(&self) -> u64 {
        if let Some(limit) = self.daily_limit {
            return limit;
        }
        if self.sandbox && self.trial_expires.is_none() {
            return 5_000_000;
        }
        let generous = match self.edition.as_str() {
            "Developer Edition" => return 15_000,
            "Unlimited Edition" | "Performance Edition" => true,
            _ => false,
        };
        let per_licence = |name: &str| match (name, generous) {
            ("Lightning Platform Starter" | "Lightning Platform One App", _) => 200,
            (_, true) => 5_000,
            (_, false) => 1_000,
        };
        let licences = self
            .licenses
            .iter()
            .map(|l| per_licence(&l.name) * u64::try_from(l.total).unwrap_or(0));
        100_000 + licences.sum::<u64>()
    }

    pub(crate) fn sharing_of(&self, object: &str) -> Sharing {
        self.sharing.get(object).copied().unwrap_or_default()
    }

    /// The rows of an object, stored or derived; `None` when the org does not have the object.
    pub(crate) fn table(&self, object: &str) -> Option<&Table> {
        self.tables.get(object).or_else(|| {
            self.derived
                .get_or_init(|| derived::tables(self))
                .get(object)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn allocations_are_those_of_the_cheat_sheet() {
        assert_eq!(Org::developer("d").allocation(), 15_000);
        assert_eq!(Org::enterprise("e").allocation(), 110_000);
        assert_eq!(Org::unlimited("u").allocation(), 150_000);
        assert_eq!(Org::platform_starter("s").allocation(), 102_000);
        assert_eq!(Org::sandbox("x").allocation(), 5_000_000);
        assert_eq!(
            Org::enterprise("e")
                .with(|o| o.daily_limit = Some(7))
                .allocation(),
            7
        );
    }
}

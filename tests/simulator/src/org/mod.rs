//! Orgs: their settings, users, permissions and records.

pub(crate) mod access;
pub(crate) mod derived;
pub(crate) mod ids;
mod permissions;
pub(crate) mod quota;
mod record;
pub(crate) mod sessions;
mod table;
mod user;
mod world;
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
pub(crate) use write::{Refusal, Writer};

use crate::schema::{CustomField, Schema};

/// How records of an object are shared with users who lack View All on it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Sharing {
    /// Owners only.
    #[default]
    Private,
    /// Everyone reads.
    Read,
    /// Everyone reads and writes.
    ReadWrite,
    /// As the account (for contacts).
    ControlledByParent,
}

impl Sharing {
    /// The value in Organization's `Default...Access`.
    pub(crate) fn picklist_value(self) -> &'static str {
        match self {
            Sharing::Private => "None",
            Sharing::Read => "Read",
            Sharing::ReadWrite => "Edit",
            Sharing::ControlledByParent => "ControlledByParent",
        }
    }
}

/// A kind of user licence that the org bought.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct UserLicense {
    /// `SFDC`, `PID_...`.
    pub key: String,
    /// `Salesforce`, `Lightning Platform Starter`, ...
    pub name: String,
    /// How many.
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
    /// Made from the name when empty.
    pub id: String,
    /// The org's name.
    pub name: String,
    /// `OrganizationType`: `Enterprise Edition`, `Developer Edition`, ...
    pub edition: String,
    /// A sandbox: its users log in at test hosts.
    pub sandbox: bool,
    /// `InstanceName`.
    pub instance: String,
    /// When the trial ends; a sandbox with one is a scratch org.
    pub trial_expires: Option<Timestamp>,
    /// Namespace of a packaging org.
    pub namespace_prefix: Option<String>,
    /// Person accounts are on.
    pub person_accounts: bool,
    /// The edition has API access; without it `API_DISABLED_FOR_ORG`.
    pub api: bool,
    /// SOAP `login()` is on.
    pub soap_login: bool,
    /// SOAP `login()` also needs the user permission Use Any API Auth.
    pub soap_login_needs_any_api_auth: bool,
    /// The OAuth username-password flow is on.
    pub oauth_password: bool,
    /// In maintenance: everything answers 503.
    pub maintenance: bool,
    /// Failed log-ins before a user is locked; `null` for no limit.
    pub max_login_attempts: Option<u32>,
    /// For how long; `null` for ever.
    pub lockout_interval: Option<SignedDuration>,
    /// Network ranges from which no token is needed.
    pub trusted_ip_ranges: Vec<String>,
    /// Calls in 24 hours; worked out from edition and licences when `null`.
    pub daily_limit: Option<u64>,
    /// Calls beyond the limit that are still served (paid orgs may run over).
    pub overrun: u64,
    /// Base URL that log-ins return instead of the host that the client used.
    pub instance_url: Option<String>,
    /// Milliseconds that each answer takes.
    pub latency_ms: u64,
    /// Sharing defaults by object; Private where none is named.
    pub sharing: BTreeMap<String, Sharing>,
    /// Objects that the org does not have.
    pub missing_objects: Vec<String>,
    /// User licences.
    pub licenses: Vec<UserLicense>,
    /// Profiles.
    pub profiles: Vec<Profile>,
    /// Permission sets.
    pub permission_sets: Vec<PermissionSet>,
    /// Users.
    pub users: Vec<User>,
    /// Connected apps.
    pub apps: Vec<ConnectedApp>,
    /// Fields that the org added.
    pub custom_fields: BTreeMap<String, Vec<CustomField>>,
    /// Records to load, by object.
    #[serde(skip_serializing)]
    pub records: BTreeMap<String, Vec<Record>>,

    #[serde(skip)]
    pub(crate) schema: Schema,
    #[serde(skip)]
    pub(crate) tables: BTreeMap<String, Table>,
    #[serde(skip)]
    pub(crate) derived: OnceLock<BTreeMap<&'static str, Table>>,
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
            serial: 0,
        }
    }
}

/// Building an org.
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

    /// Changes the rights of a profile.
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

    /// Changes anything else.
    pub fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }
}

/// Reading and changing an org.
impl Org {
    /// The user of this name, in any case.
    pub fn user_named(&self, username: &str) -> Option<&User> {
        self.users
            .iter()
            .find(|user| user.username.eq_ignore_ascii_case(username))
    }

    /// The user of this name, to be changed.
    pub fn user_mut(&mut self, username: &str) -> Option<&mut User> {
        self.users
            .iter_mut()
            .find(|user| user.username.eq_ignore_ascii_case(username))
    }

    /// The profile of this name, to be changed.
    pub fn profile_mut(&mut self, name: &str) -> Option<&mut Profile> {
        self.profiles
            .iter_mut()
            .find(|profile| profile.name == name)
    }

    /// The permission set of this name, to be changed.
    pub fn permission_set_mut(&mut self, name: &str) -> Option<&mut PermissionSet> {
        self.permission_sets.iter_mut().find(|set| set.name == name)
    }

    /// Calls in 24 hours: as set, or by edition and licences (facts: Salesforce 2.3).
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

    /// The rows of an object, kept or derived; `None` for an object that the org does not have.
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

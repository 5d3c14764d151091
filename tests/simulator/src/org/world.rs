//! All orgs of one simulator, its host names, and the switches.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::OnceLock;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Org, User, Writer, ids};
use crate::schema::Schema;
use crate::switches::Switches;

/// The Salesforce host that a host name represents.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum HostRole {
    /// All hosts at once: every user can log in, and every session is served.
    #[default]
    Any,
    /// `login.salesforce.com`: log-ins of users of production orgs.
    Production,
    /// `test.salesforce.com`: log-ins of users of sandboxes.
    Sandbox,
    /// The My Domain of the org with this name.
    MyDomain(String),
    /// A My Domain that was renamed, or a host of pages for browsers: every request is redirected
    /// to the same path of this host.
    Moved(String),
}

/// Error: an item that was requested by name does not exist.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no {kind} {name:?} in this simulator")]
pub struct NotThere {
    /// Kind of the item: `org`, `user`, ...
    pub kind: &'static str,
    /// The requested name.
    pub name: String,
}

/// The complete configuration of a simulator.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct World {
    /// The orgs of the simulator.
    pub orgs: Vec<Org>,
    /// Undocumented behaviour, and limits.
    pub switches: Switches,
    /// Roles of host names (without port); an absent host is [`HostRole::Any`].
    pub hosts: BTreeMap<String, HostRole>,
    /// Names in the certificate besides localhost, 127.0.0.1, ::1 and the keys of `hosts`.
    pub certificate_names: Vec<String>,
    /// The client address that IP ranges are checked against; `None` for the real one.
    pub client_ip: Option<IpAddr>,

    /// Positions of org and user; key: the folded user name.
    #[serde(skip)]
    by_username: OnceLock<HashMap<String, (usize, usize)>>,
    /// Time of the last change from outside.
    #[serde(skip)]
    changed: Option<Timestamp>,
}

impl World {
    /// A world without orgs.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an org.
    pub fn org(mut self, org: Org) -> Self {
        self.orgs.push(org);
        self
    }

    /// Assigns a role to a host name and adds the name to the certificate.
    pub fn host(mut self, name: &str, role: HostRole) -> Self {
        self.hosts.insert(name.to_ascii_lowercase(), role);
        self
    }

    /// Changes the switches.
    pub fn switches(mut self, change: impl FnOnce(&mut Switches)) -> Self {
        change(&mut self.switches);
        self
    }

    /// Finds an org by name or id, for a change.
    ///
    /// # Errors Fails when the org does not exist.
    pub fn org_mut(&mut self, name: &str) -> Result<&mut Org, NotThere> {
        let found = self
            .orgs
            .iter_mut()
            .find(|org| org.name == name || same_id(&org.id, name));
        found.ok_or_else(|| NotThere {
            kind: "org",
            name: name.to_owned(),
        })
    }

    /// Finds a user by name in any org, for a change.
    ///
    /// # Errors Fails when the user does not exist.
    pub fn user_mut(&mut self, username: &str) -> Result<&mut User, NotThere> {
        let found = self.orgs.iter_mut().find_map(|org| org.user_mut(username));
        found.ok_or_else(|| NotThere {
            kind: "user",
            name: username.to_owned(),
        })
    }

    /// Finds an org by name or id.
    pub fn org_named(&self, name: &str) -> Option<&Org> {
        self.orgs
            .iter()
            .find(|org| org.name == name || same_id(&org.id, name))
    }

    /// Finds a user by name, with its org.
    pub(crate) fn user(&self, username: &str) -> Option<(&Org, &User)> {
        let positions = self.by_username.get_or_init(|| {
            let users = self.orgs.iter().enumerate().flat_map(|(o, org)| {
                org.users
                    .iter()
                    .enumerate()
                    .map(move |(u, user)| (user.username.to_lowercase(), (o, u)))
            });
            users.collect()
        });
        let (org, user) = *positions.get(&username.to_lowercase())?;
        let org = self.orgs.get(org)?;
        Some((org, org.users.get(user)?))
    }

    /// The role of the host that received a request.
    pub(crate) fn role(&self, host: &str) -> &HostRole {
        static ANY: HostRole = HostRole::Any;
        self.hosts
            .get(&host_name(host).to_ascii_lowercase())
            .unwrap_or(&ANY)
    }

    /// Time of the last change of settings, users or permissions.
    pub(crate) fn changed(&self) -> Timestamp {
        self.changed.unwrap_or(Timestamp::UNIX_EPOCH)
    }

    /// Whether a transaction of an org is to commit.
    pub(crate) fn has_commits(&self, now: Timestamp) -> bool {
        let due = |org: &Org| org.uncommitted.iter().any(|(at, ..)| *at <= now);
        self.orgs.iter().any(due)
    }

    /// Lets transactions commit whose time has come.
    pub(crate) fn commit(&mut self, now: Timestamp) {
        for org in &mut self.orgs {
            org.commit(now);
        }
    }

    /// Updates ids, schemas and records after every change from outside.
    ///
    /// # Errors Fails when a record to load is invalid, or two users have the same name.
    pub(crate) fn prepare(&mut self, now: Timestamp) -> Result<(), String> {
        self.by_username = OnceLock::new();
        self.changed = Some(now);
        for org in &mut self.orgs {
            prepare_org(org, now)?;
        }
        Ok(())
    }
}

/// The name in a `Host` header, without the port.
pub(crate) fn host_name(host: &str) -> &str {
    if let Some(rest) = host.strip_prefix('[') {
        return rest.split(']').next().unwrap_or(rest);
    }
    host.split(':').next().unwrap_or(host)
}

fn same_id(id: &str, other: &str) -> bool {
    other.len() >= 15 && ids::shorten(id) == ids::shorten(other)
}

fn prepare_org(org: &mut Org, now: Timestamp) -> Result<(), String> {
    if org.id.is_empty() {
        org.id = ids::named_id("00D", &[&org.name]);
    }
    org.id = ids::lengthen(&org.id);
    for user in &mut org.users {
        if user.id.is_empty() {
            user.id = ids::named_id("005", &[&org.id, &user.username]);
        }
        user.id = ids::lengthen(&user.id);
    }
    org.derived = OnceLock::new();
    org.schema = Schema::with_custom_fields(&org.custom_fields);
    for object in org.schema.objects().filter(|object| object.stored) {
        org.tables.entry(object.name.to_owned()).or_default();
    }
    let mut records = std::mem::take(&mut org.records);
    // Accounts are loaded first, because contacts refer to them by name.
    if let Some(accounts) = records.remove("Account") {
        load(org, "Account", &accounts, now)?;
    }
    for (object, records) in records {
        load(org, &object, &records, now)?;
    }
    Ok(())
}

fn load(
    org: &mut Org,
    object: &str,
    records: &[super::Record],
    now: Timestamp,
) -> Result<(), String> {
    let by = Writer::test(now);
    for (number, record) in records.iter().enumerate() {
        org.create(object, &record.0, &by).map_err(|refusal| {
            format!(
                "org {:?}: {object} number {}: {}",
                org.name,
                number + 1,
                refusal.message
            )
        })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_lose_their_port() {
        assert_eq!(host_name("login.example:443"), "login.example");
        assert_eq!(host_name("[::1]:8443"), "::1");
        assert_eq!(host_name("127.0.0.1"), "127.0.0.1");
    }

    #[test]
    fn users_are_found_in_any_case_and_in_any_org() {
        let mut world = World::new()
            .org(Org::enterprise("A").user(User::integration("a@x")))
            .org(Org::sandbox("B").user(User::integration("b@x")));
        world.prepare(Timestamp::now()).unwrap();
        let (org, user) = world.user("B@X").unwrap();
        assert_eq!((org.name.as_str(), user.username.as_str()), ("B", "b@x"));
        assert!(user.id.starts_with("005") && user.id.len() == 18);
        assert!(world.user("c@x").is_none());
        assert!(world.org_mut("C").is_err());
    }
}

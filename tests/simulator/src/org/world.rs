//! All orgs of one simulator, the hosts under which it is reached, and the switches.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::OnceLock;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Org, User, Writer, ids};
use crate::schema::Schema;
use crate::switches::Switches;

/// Which part of Salesforce a host name plays.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum HostRole {
    /// Everything at once: every user logs in, every session is served.
    #[default]
    Any,
    /// `login.salesforce.com`: users of production orgs.
    Production,
    /// `test.salesforce.com`: users of sandboxes.
    Sandbox,
    /// The My Domain of the org of this name.
    MyDomain(String),
}

/// Something that was asked for by name and is not there.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no {kind} {name:?} in this simulator")]
pub struct NotThere {
    /// `org`, `user`, ...
    pub kind: &'static str,
    /// The name.
    pub name: String,
}

/// Everything that the simulator knows.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct World {
    /// The orgs.
    pub orgs: Vec<Org>,
    /// Behaviour that is not documented, and limits.
    pub switches: Switches,
    /// Roles of host names (without port); a host that is not named is [`HostRole::Any`].
    pub hosts: BTreeMap<String, HostRole>,
    /// Names for the certificate beside localhost, 127.0.0.1, ::1 and the keys of `hosts`.
    pub certificate_names: Vec<String>,
    /// The address from which clients seem to come, for IP ranges.
    pub client_ip: Option<IpAddr>,

    /// Positions by folded user name.
    #[serde(skip)]
    by_username: OnceLock<HashMap<String, (usize, usize)>>,
    /// When anything was last changed from outside.
    #[serde(skip)]
    changed: Option<Timestamp>,
}

impl World {
    /// No orgs.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an org.
    pub fn org(mut self, org: Org) -> Self {
        self.orgs.push(org);
        self
    }

    /// Gives a host name a role, and the certificate its name.
    pub fn host(mut self, name: &str, role: HostRole) -> Self {
        self.hosts.insert(name.to_ascii_lowercase(), role);
        self
    }

    /// Changes the switches.
    pub fn switches(mut self, change: impl FnOnce(&mut Switches)) -> Self {
        change(&mut self.switches);
        self
    }

    /// The org of this name or id, to be changed.
    ///
    /// # Errors
    /// When there is none.
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

    /// The user of this name in whichever org, to be changed.
    ///
    /// # Errors
    /// When there is none.
    pub fn user_mut(&mut self, username: &str) -> Result<&mut User, NotThere> {
        let found = self.orgs.iter_mut().find_map(|org| org.user_mut(username));
        found.ok_or_else(|| NotThere {
            kind: "user",
            name: username.to_owned(),
        })
    }

    /// The org of this name or id.
    pub fn org_named(&self, name: &str) -> Option<&Org> {
        self.orgs
            .iter()
            .find(|org| org.name == name || same_id(&org.id, name))
    }

    /// The user of this name, and its org.
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

    /// The role of the host that a request was made to.
    pub(crate) fn role(&self, host: &str) -> &HostRole {
        static ANY: HostRole = HostRole::Any;
        self.hosts
            .get(&host_name(host).to_ascii_lowercase())
            .unwrap_or(&ANY)
    }

    /// When settings, users or permissions were last changed.
    pub(crate) fn changed(&self) -> Timestamp {
        self.changed.unwrap_or(Timestamp::UNIX_EPOCH)
    }

    /// Brings ids, schemas and records in line with what was set, after every change from outside.
    ///
    /// # Errors
    /// When a record to load does not fit, or two users have one name.
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
    // Accounts first, so that contacts can name theirs.
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
    let by = Writer { now, access: None };
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

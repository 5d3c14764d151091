//! Reads worlds from YAML.

use serde::de::DeserializeOwned;
use serde_json::Value as Json;

use crate::faults::Fault;
use crate::org::World;

/// The content of a configuration file: the world and the initial faults.
#[derive(Debug, Default)]
pub struct Config {
    /// The orgs, switches and hosts.
    pub world: World,
    /// Faults that are set at the start.
    pub faults: Vec<Fault>,
}

impl Config {
    /// Reads the configuration from YAML.
    ///
    /// # Errors Fails when the text is not YAML or names an unknown field.
    pub fn from_yaml(text: &str) -> Result<Self, String> {
        // The YAML goes through JSON, in which `effect: {error: ...}` has its usual form; YAML
        // would need a tag.
        let mut tree: Json = serde_yaml::from_str(text).map_err(|error| error.to_string())?;
        let faults = tree.as_object_mut().and_then(|map| map.remove("faults"));
        let world = if tree.is_null() {
            World::default()
        } else {
            read(tree)?
        };
        let faults = faults.map_or_else(|| Ok(Vec::new()), read)?;
        Ok(Self { world, faults })
    }
}

fn read<T: DeserializeOwned>(json: Json) -> Result<T, String> {
    serde_json::from_value(json).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_world_is_read() {
        let text = "
orgs:
- name: Acme
  edition: Developer Edition
  maxLoginAttempts: 3
  lockoutInterval: 30m
  sharing: {Contact: read}
  users:
  - {username: i@acme, password: p, securityToken: t, profile: Integration}
  records:
    Contact:
    - {LastName: Sato, Phone: 03-1234-5678, Account: Acme KK}
    Account:
    - {Name: Acme KK}
switches: {sessionTtl: 1h, subrequestUriLimit: null}
hosts: {login.test: production, acme.test: {myDomain: Acme}}
faults:
- {match: {path: '*/query'}, effect: {error: UNABLE_TO_LOCK_ROW}, times: 2, for: 10m}
- {effect: garbage, times: 1}
";
        let mut config = Config::from_yaml(text).unwrap();
        config.world.prepare(jiff::Timestamp::now()).unwrap();
        let org = config.world.org_named("Acme").unwrap();
        assert_eq!(org.max_login_attempts, Some(3));
        assert_eq!(
            org.lockout_interval,
            Some(jiff::SignedDuration::from_mins(30))
        );
        assert_eq!(org.count("Contact"), 1);
        assert!(org.all("Contact")[0]["AccountId"].is_string());
        assert_eq!(config.world.switches.subrequest_uri_limit, None);
        assert_eq!(config.faults.len(), 2);
    }

    #[test]
    fn misspelled_fields_are_named() {
        assert!(
            Config::from_yaml("orgs: [{nme: x}]")
                .unwrap_err()
                .contains("nme")
        );
        assert!(
            Config::from_yaml("switches: {sessionTTL: 1h}")
                .unwrap_err()
                .contains("sessionTTL")
        );
        assert!(Config::from_yaml("").unwrap().world.orgs.is_empty());
    }
}

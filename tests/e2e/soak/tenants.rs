//! The tenants, their orgs, and who is behind which number.

use serde_json::{Value, json};

use crate::salesforce;

/// How many tenants there are.
pub(super) const TENANTS: usize = 20;
/// Tenants of one namespace.
const NEIGHBOURS: usize = 4;
/// Numbers of an org that Salesforce knows.
const KNOWN: usize = 80;
/// Further numbers of an org, which nobody knows.
const STRANGERS: usize = 8;
/// All numbers of an org.
pub(super) const NUMBERS: usize = KNOWN + STRANGERS;

/// How an integration gets its names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// The controller looks calls up as they end.
    Resident,
    /// The same, with an address book.
    Book,
    /// A CronJob's pod looks calls up every minute.
    Pods,
    /// Once a day; the soak asks for runs.
    Daily,
}

/// A tenant.
#[derive(Clone, Debug)]
pub(super) struct Tenant {
    /// Name of the integration, and its company ID.
    pub name: String,
    /// Its namespace.
    pub namespace: String,
    /// How it gets its names.
    pub mode: Mode,
    /// Whose org it uses: the number of a tenant.
    pub org: usize,
    /// Whose user and Secret it uses: the number of a tenant.
    pub login: usize,
}

/// Who was ever behind each number, by org. The last name is the one that Salesforce has.
#[derive(Debug)]
pub(super) struct Truth {
    names: Vec<Vec<Vec<String>>>,
    /// The generation of each user's password.
    passwords: Vec<u32>,
}

// === impl Tenant ===

impl Tenant {
    /// All tenants. Of every ten, the second shares the org of the first with a user of its own,
    /// and the fourth logs in with the Secret of the third.
    pub(super) fn all() -> Vec<Self> {
        let tenant = |at: usize| {
            let mode = match at % 10 {
                5 => Mode::Pods,
                6 | 7 => Mode::Daily,
                8 => Mode::Book,
                _ => Mode::Resident,
            };
            Self {
                name: format!("tenant-{at:02}"),
                namespace: format!("soak-{}", at / NEIGHBOURS),
                mode,
                org: if matches!(at % 10, 1 | 3) { at - 1 } else { at },
                login: if at % 10 == 3 { at - 1 } else { at },
            }
        };
        (0..TENANTS).map(tenant).collect()
    }

    /// Whether the controller itself looks its calls up.
    pub(super) fn is_resident(&self) -> bool {
        matches!(self.mode, Mode::Resident | Mode::Book)
    }

    /// The integration, as its tenant applies it.
    pub(super) fn integration(&self) -> Value {
        let mut spec = json!({
            "companyId": self.name,
            "interval": "2m",
            "apiBudget": {"dailyPercent": 40},
            "salesforce": {"auth": {"password": {
                "username": user(self.login), "secretRef": {"name": secret(self.login)}
            }}},
            "contacts": {"retrieval": "AfterCall", "region": "JP", "follow": "All", "followEvery": "5m"},
        });
        match self.mode {
            Mode::Resident => {}
            Mode::Book => spec["contacts"]["addressBook"] = json!("Full"),
            Mode::Pods => {
                spec["contacts"]["lookupEvery"] = json!("1m");
                spec["run"] = json!({"where": "Pod"});
            }
            Mode::Daily => spec["contacts"]["retrieval"] = json!("Daily"),
        }
        json!({
            "apiVersion": "switchboard.dev/v1alpha1", "kind": "SalesforceIntegration",
            "metadata": {"name": self.name, "namespace": self.namespace}, "spec": spec
        })
    }

    /// Namespaces, Secrets and integrations of all, as one list.
    pub(super) fn manifests(tenants: &[Self], truth: &Truth) -> Value {
        let mut items: Vec<Value> = (0..TENANTS.div_ceil(NEIGHBOURS))
            .map(|at| salesforce::restricted(&format!("soak-{at}")))
            .collect();
        for (at, tenant) in tenants.iter().enumerate() {
            if tenant.login == at {
                items.push(json!({
                    "apiVersion": "v1", "kind": "Secret",
                    "metadata": {"name": secret(at), "namespace": tenant.namespace},
                    "stringData": {"password": truth.password(at), "securityToken": security_token(at)}
                }));
            }
            items.push(tenant.integration());
        }
        json!({"apiVersion": "v1", "kind": "List", "items": items})
    }
}

// === impl Truth ===

impl Truth {
    /// Who is behind each number at first.
    pub(super) fn new() -> Self {
        let person = |org: usize, number: usize| match number {
            0..KNOWN => vec![format!("Aoi P{org:02}N{number:02}")],
            _ => Vec::new(),
        };
        let org = |org| (0..NUMBERS).map(|number| person(org, number)).collect();
        Self {
            names: (0..TENANTS).map(org).collect(),
            passwords: vec![0; TENANTS],
        }
    }

    /// Who is behind the number now; `None` for one whom Salesforce does not know.
    pub(super) fn name(&self, org: usize, number: usize) -> Option<&str> {
        self.names[org][number].last().map(String::as_str)
    }

    /// Whether the number ever had this name.
    pub(super) fn had(&self, org: usize, number: usize, name: &str) -> bool {
        self.names[org][number].iter().any(|had| had == name)
    }

    /// The number that is renamed next, and its new last name.
    pub(super) fn rename(&mut self, org: usize, whom: usize) -> (usize, String) {
        let number = whom % KNOWN;
        let names = &mut self.names[org][number];
        let last = format!("P{org:02}N{number:02}R{}", names.len());
        names.push(format!("Aoi {last}"));
        (number, last)
    }

    /// The password of a user.
    pub(super) fn password(&self, user: usize) -> String {
        format!("horse-{user:02}-{}-battery", self.passwords[user])
    }

    /// The next password of a user, from now on.
    pub(super) fn change_password(&mut self, user: usize) -> String {
        self.passwords[user] += 1;
        self.password(user)
    }

    /// All that no log may have: what was ever a password, and security tokens.
    pub(super) fn secrets(&self) -> Vec<String> {
        let password = |user| format!("horse-{user:02}-");
        (0..TENANTS)
            .flat_map(|user| [password(user), security_token(user)])
            .collect()
    }

    /// The orgs, as the simulator's file says them.
    pub(super) fn orgs(&self, tenants: &[Tenant]) -> Value {
        let is_own = |at: &usize| tenants[*at].org == *at;
        let orgs = (0..tenants.len()).filter(is_own).map(|org| {
            let users = (0..tenants.len())
                .filter(|at| tenants[*at].org == org && tenants[*at].login == *at)
                .map(|at| {
                    json!({
                        "username": user(at), "password": self.password(at),
                        "securityToken": security_token(at), "profile": "Integration"
                    })
                });
            let contacts = (0..KNOWN).map(|number| {
                let last = format!("P{org:02}N{number:02}");
                let phone = number_text(org, number);
                json!({"FirstName": "Aoi", "LastName": last, "Account": "Soak KK", "Phone": phone})
            });
            json!({
                "name": org_name(org), "edition": "Enterprise Edition", "instance": format!("AP{org}"),
                "users": users.collect::<Vec<_>>(),
                "records": {"Account": [{"Name": "Soak KK"}], "Contact": contacts.collect::<Vec<_>>()}
            })
        });
        json!({"orgs": orgs.collect::<Vec<_>>()})
    }
}

/// Name of a tenant's org.
pub(super) fn org_name(org: usize) -> String {
    format!("Soak-{org:02}")
}

/// A tenant's user.
pub(super) fn user(of: usize) -> String {
    format!("integration-{of:02}@soak.example")
}

/// A tenant's Secret.
pub(super) fn secret(of: usize) -> String {
    format!("salesforce-{of:02}")
}

fn security_token(of: usize) -> String {
    format!("soakToken{of:02}x")
}

/// A number as it is dialled.
pub(super) fn number_text(org: usize, number: usize) -> String {
    format!("0{}", significant(org, number))
}

/// The digits that every spelling of the number has.
pub(super) fn significant(org: usize, number: usize) -> String {
    format!("340{org:02}{number:04}")
}

/// Org and number of a number in E.164.
pub(super) fn parse_number(e164: &str) -> Option<(usize, usize)> {
    let rest = e164.strip_prefix("+81340")?;
    Some((rest.get(..2)?.parse().ok()?, rest.get(2..)?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_shares_is_in_one_namespace() {
        let tenants = Tenant::all();
        for tenant in &tenants {
            assert_eq!(tenants[tenant.org].namespace, tenant.namespace);
            assert_eq!(tenants[tenant.login].org, tenant.org);
        }
        let shares = |mode| tenants.iter().filter(|tenant| tenant.mode == mode).count();
        assert_eq!(
            [Mode::Resident, Mode::Book, Mode::Pods, Mode::Daily].map(shares),
            [12, 2, 2, 4]
        );
    }

    #[test]
    fn a_number_is_found_in_its_spelling() {
        assert_eq!(number_text(7, 12), "0340070012");
        assert_eq!(parse_number("+81340070012"), Some((7, 12)));
        assert_eq!(parse_number("+81312345678"), None);
    }

    #[test]
    fn a_renamed_contact_has_its_new_name_and_had_the_old_one() {
        let mut truth = Truth::new();
        let (number, last) = truth.rename(3, 5);
        assert_eq!(truth.name(3, number), Some(&*format!("Aoi {last}")));
        assert!(truth.had(3, number, "Aoi P03N05") && !truth.had(3, 6, "Aoi P03N05"));
        assert_eq!(truth.name(3, KNOWN), None);
    }
}

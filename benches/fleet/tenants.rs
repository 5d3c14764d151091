//! The tenants: their users at Salesforce, their Secrets, their integrations.

use std::collections::BTreeMap;

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::api::ObjectMeta;
use rand::RngCore;
use salesforce_simulator::{Org, Record, User, World};
use serde_json::{Value, json};

use crate::{Args, Credentials, Result};

/// Namespace of the fleet.
pub(crate) const FLEET: &str = "fleet";
/// Namespace of Secrets that no integration uses.
pub(crate) const FOREIGN: &str = "foreign";

pub(crate) fn world(args: &Args) -> World {
    let numbers: Vec<usize> = (0..secrets_of(args)).collect();
    numbers
        .chunks(args.users_in_an_org.max(1))
        .enumerate()
        .fold(World::new(), |world, (org, users)| {
            let org =
                Org::enterprise(&format!("Org {org}")).with(|org| org.latency_ms = args.latency_ms);
            world.org(users.iter().fold(org, |org, number| {
                let user = user_of(*number);
                let org = org.user(User::integration(&user).password(&password(&user, 0)));
                let org = (0..callers(args)).fold(org, |org, caller| {
                    let phone = caller_number(*number, caller);
                    org.contact(Record::person(&format!("Caller {caller}")).phone(&phone))
                });
                // One credential for all is one org for all.
                let tenants = match args.credentials {
                    Credentials::Own => *number..number + 1,
                    Credentials::Shared => 0..args.count,
                };
                tenants.fold(org, |org, tenant| {
                    agents(args, tenant).iter().fold(org, |org, agent| {
                        org.user(User::standard(agent).call_center(&name_of(tenant)))
                    })
                })
            }))
        })
}

/// How many people of each tenant will call: so many that nobody calls twice.
fn callers(args: &Args) -> usize {
    let each = |a_second: u64, tenants: usize| {
        (a_second * args.traffic_seconds) as usize / tenants.max(1) + 1
    };
    match args.calls_a_second + args.rings_a_second {
        0 => 0,
        _ => {
            each(args.calls_a_second, args.count)
                + each(args.rings_a_second, args.count.min(100))
                + 1
        }
    }
}

/// The number of one of the people who call a tenant.
pub(crate) fn caller_number(tenant: usize, caller: usize) -> String {
    format!("03{:08}", 20_000_000 + tenant * 1_000 + caller)
}

/// Number of credentials.
pub(crate) fn secrets_of(args: &Args) -> usize {
    match args.credentials {
        Credentials::Own => args.count,
        Credentials::Shared => 1,
    }
}

fn secret_number(args: &Args, number: usize) -> usize {
    match args.credentials {
        Credentials::Own => number,
        Credentials::Shared => 0,
    }
}

pub(crate) fn name_of(number: usize) -> String {
    format!("tenant-{number:05}")
}

pub(crate) fn secret_name(name: &str) -> String {
    format!("{name}-salesforce")
}

pub(crate) fn user_of(number: usize) -> String {
    format!("integration@{}.example", name_of(number))
}

/// The users in the call center of a tenant.
fn agents(args: &Args, number: usize) -> Vec<String> {
    (0..args.call_center_users)
        .map(|agent| format!("agent-{agent:03}@{}.example", name_of(number)))
        .collect()
}

pub(crate) fn password(user: &str, change: usize) -> String {
    format!("{user}/{change}")
}

pub(crate) fn tenant_secret(name: &str, password: &str) -> Secret {
    Secret {
        metadata: ObjectMeta {
            name: Some(secret_name(name)),
            ..ObjectMeta::default()
        },
        string_data: Some(BTreeMap::from([("password".into(), password.into())])),
        ..Secret::default()
    }
}

pub(crate) fn foreign_secret(args: &Args, number: usize) -> Result<Secret> {
    let mut bytes = vec![0; args.foreign_bytes];
    rand::rng().fill_bytes(&mut bytes);
    Ok(Secret {
        metadata: ObjectMeta {
            name: Some(format!("foreign-{number:05}")),
            ..ObjectMeta::default()
        },
        data: Some(BTreeMap::from([("blob".into(), ByteString(bytes))])),
        ..Secret::default()
    })
}

/// The daily run is far in the future, so that none of its Jobs affects the measurement.
pub(crate) fn integration(args: &Args, number: usize, login_url: &str) -> Value {
    let (name, secret) = (name_of(number), secret_number(args, number));
    let far = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(12);
    let contacts = if args.connections_only {
        json!({"retrieval": "Disabled"})
    } else if args.after_call {
        json!({"retrieval": "AfterCall"})
    } else {
        json!({"timeZone": "Etc/UTC", "dailyAt": far.strftime("%H:%M").to_string()})
    };
    let mut manifest = json!({
        "apiVersion": "switchboard.dev/v1alpha1",
        "kind": "SalesforceIntegration",
        "metadata": {"name": name, "namespace": FLEET},
        "spec": {
            "companyId": name,
            "salesforce": {
                "loginUrl": login_url,
                "auth": {"password": {"username": user_of(secret), "secretRef": {"name": secret_name(&name_of(secret))}}}
            },
            "contacts": contacts
        }
    });
    let agents = agents(args, number);
    if !agents.is_empty() {
        manifest["spec"]["callCenters"] = json!([{"name": "support", "users": agents}]);
    }
    manifest
}

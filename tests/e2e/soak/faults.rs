//! What is done to the installation, and what shows that it is whole again.

use std::cell::RefCell;
use std::process::Command;
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use super::plan::{Kind, Planned};
use super::tenants::{self, Tenant, Truth};
use crate::bed::{Bed, OPERATOR, SOON};
use crate::node::Inmate;
use crate::upheaval::{kill_pod, leader, next_leader};
use crate::{Failure, salesforce};

/// Plays a fault from its beginning to its end, and returns what happened.
pub(super) async fn play(
    bed: &Bed,
    tenants: &[Tenant],
    truth: &RefCell<Truth>,
    fault: &Planned,
) -> Result<String, Failure> {
    let whom = fault.whom % tenants.len();
    let tenant = &tenants[whom];
    match fault.kind {
        Kind::LeaderKilled => {
            let leader = leader(bed).await?;
            kill_pod(bed, &leader).await?;
            let next = next_leader(bed, &leader).await?;
            Ok(format!("{leader}; then {next} led"))
        }
        Kind::LeaderFrozen => {
            let leader = leader(bed).await?;
            frozen(&leader, fault.lasts).await?;
            Ok(leader)
        }
        Kind::DirectoryKilled => {
            let pods = bed.pods("directory").await?;
            let pod = pods.first().ok_or("no pod of the directory")?;
            let name = pod["metadata"]["name"].as_str().unwrap_or_default();
            kill_pod(bed, name).await?;
            bed.until("a directory that is ready", SOON, async || {
                let pods = bed.pods("directory").await?;
                let is_ready = |pod: &Value| {
                    pod["metadata"]["name"] != name
                        && pod["status"]["containerStatuses"][0]["ready"] == true
                };
                match pods.iter().any(is_ready) {
                    true => Ok(()),
                    false => Err(format!("{} pods", pods.len()).into()),
                }
            })
            .await?;
            Ok(name.to_owned())
        }
        Kind::SalesforceAway => in_salesforce(bed, fault, json!({}), json!("reset")).await,
        Kind::SalesforceSlow => {
            let look_ups = json!({"path": "*/composite*"});
            in_salesforce(bed, fault, look_ups, json!({"delay": {"ms": 3000}})).await
        }
        Kind::SalesforceUnavailable => {
            in_salesforce(bed, fault, json!({}), json!({"html": {"status": 503}})).await
        }
        Kind::SalesforceTooMany => {
            in_salesforce(bed, fault, json!({}), json!({"html": {"status": 429}})).await
        }
        Kind::SalesforceLimit => {
            let org = tenants::org_name(tenant.org);
            let limit = json!({"error": "REQUEST_LIMIT_EXCEEDED"});
            in_salesforce(bed, fault, json!({"org": org}), limit).await?;
            Ok(format!("org of {}", tenant.name))
        }
        Kind::SessionsEnded => {
            let all = Some(json!({}));
            let ended = salesforce::admin(bed, Method::POST, "sessions/revoke", all).await?;
            Ok(format!("{} sessions", ended["revoked"]))
        }
        Kind::PasswordMistyped => {
            let wrong = format!("{} ", truth.borrow().password(tenant.login));
            write_password(bed, tenants, tenant.login, &wrong).await?;
            tokio::time::sleep(fault.lasts).await;
            let right = truth.borrow().password(tenant.login);
            write_password(bed, tenants, tenant.login, &right).await?;
            Ok(format!("user of {}", tenant.name))
        }
        Kind::PasswordChanged => {
            let password = truth.borrow_mut().change_password(tenant.login);
            let user = tenants::user(tenant.login);
            let change = json!({"password": password});
            let path = format!("users/{user}");
            salesforce::admin(bed, Method::PATCH, &path, Some(change)).await?;
            let sessions = json!({"username": user});
            salesforce::admin(bed, Method::POST, "sessions/revoke", Some(sessions)).await?;
            tokio::time::sleep(fault.lasts).await;
            write_password(bed, tenants, tenant.login, &password).await?;
            Ok(format!("user of {}", tenant.name))
        }
        Kind::ApiServerAway => {
            bed.control_plane.kill_apiserver().await?;
            tokio::time::sleep(fault.lasts).await;
            bed.control_plane.start_apiserver().await?;
            Ok(String::new())
        }
        Kind::KubeletRestarted => {
            bed.control_plane.restart_kubelet().await?;
            Ok(String::new())
        }
        Kind::ChartUpgraded => {
            let mark = fault.begins.as_secs();
            let settings = [
                format!("controller.podAnnotations.soak=at-{mark}"),
                format!("directory.podAnnotations.soak=at-{mark}"),
                format!("runs.residentNumbers={}", 1500 + fault.whom % 500),
            ];
            let settings: Vec<&str> = settings.iter().map(String::as_str).collect();
            bed.release(&settings).await?;
            Ok(settings.last().copied().unwrap_or_default().to_owned())
        }
        Kind::TenantMadeAgain => {
            let (name, namespace) = (&tenant.name, &tenant.namespace);
            bed.kubectl(&["delete", "sfi", name, "-n", namespace, "--timeout=90s"])
                .await?;
            tokio::time::sleep(fault.lasts).await;
            bed.apply(&tenant.integration().to_string()).await?;
            Ok(name.clone())
        }
        Kind::SpecEdited => {
            let edit = json!({"spec": {"apiBudget": {"dailyPercent": 30}, "interval": "3m"}});
            patch(bed, tenant, &edit).await?;
            tokio::time::sleep(fault.lasts).await;
            bed.apply(&tenant.integration().to_string()).await?;
            Ok(tenant.name.clone())
        }
        Kind::ContactRenamed => {
            let org = tenant.org;
            let (number, last) = truth.borrow_mut().rename(org, fault.whom);
            let records = format!("orgs/{}/records/Contact", tenants::org_name(org));
            let all = salesforce::admin(bed, Method::GET, &records, None).await?;
            let phone = tenants::number_text(org, number);
            let found = all
                .as_array()
                .and_then(|all| all.iter().find(|one| one["Phone"] == *phone))
                .and_then(|one| one["Id"].as_str())
                .ok_or("no contact of that number")?;
            let change = json!({"LastName": last});
            let path = format!("{records}/{found}");
            salesforce::admin(bed, Method::PATCH, &path, Some(change)).await?;
            Ok(format!("number {number} of the org of {}", tenant.name))
        }
    }
}

/// Has Salesforce misbehave for a time.
async fn in_salesforce(
    bed: &Bed,
    fault: &Planned,
    on: Value,
    effect: Value,
) -> Result<String, Failure> {
    let faults = json!({"match": on, "effect": effect});
    salesforce::admin(bed, Method::POST, "faults", Some(faults)).await?;
    tokio::time::sleep(fault.lasts).await;
    salesforce::well(bed).await?;
    Ok(String::new())
}

async fn write_password(
    bed: &Bed,
    tenants: &[Tenant],
    user: usize,
    password: &str,
) -> Result<(), Failure> {
    let secret = tenants::secret(user);
    let change = json!({"stringData": {"password": password}}).to_string();
    let namespace = &tenants[user].namespace;
    bed.kubectl(&["patch", "secret", &secret, "-n", namespace, "-p", &change])
        .await
        .map(drop)
}

/// Changes an integration.
pub(super) async fn patch(bed: &Bed, tenant: &Tenant, change: &Value) -> Result<(), Failure> {
    let (name, namespace, change) = (&tenant.name, &tenant.namespace, change.to_string());
    let merge = "--type=merge";
    bed.kubectl(&["patch", "sfi", name, "-n", namespace, merge, "-p", &change])
        .await
        .map(drop)
}

/// Stops the process of a pod for a time.
async fn frozen(pod: &str, lasts: Duration) -> Result<(), Failure> {
    let all = Inmate::all("controller")?;
    let inmate = all
        .iter()
        .find(|inmate| inmate.pod().is_ok_and(|name| name == pod))
        .ok_or_else(|| format!("no process of {pod} in {OPERATOR}"))?;
    let pid = inmate.pid()?.to_string();
    let signal = |name: &str| Command::new("kill").args([name, &pid]).status();
    signal("-STOP")?;
    tokio::time::sleep(lasts).await;
    // It may be gone: who stands still is not alive to a kubelet.
    signal("-CONT").map(drop)?;
    Ok(())
}

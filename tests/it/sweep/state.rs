//! What is in a namespace, without what differs from run to run.

use std::collections::BTreeSet;
use std::fmt::Debug;

use k8s_openapi::api::batch::v1::{CronJob, Job};
use k8s_openapi::api::core::v1::{ConfigMap, Pod, Secret};
use kube::api::ListParams;
use kube::core::NamespaceResourceScope;
use kube::{Api, Client, Resource};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};
use switchboard::api::{INTEGRATION_LABEL, SalesforceIntegration};

use crate::stage::Stage;

/// Label of what the controller makes.
const OURS: &str = "app.kubernetes.io/managed-by=switchboard";

/// All objects of one kind.
pub(crate) async fn all<K>(client: &Client, ns: &str, only: &str) -> Result<Vec<Value>, String>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
        + Clone
        + Debug
        + DeserializeOwned
        + Serialize,
{
    let api = Api::<K>::namespaced(client.clone(), ns);
    let list = api.list(&ListParams::default().labels(only)).await;
    let list = list.map_err(|error| error.to_string())?;
    let values = list.items.iter().map(serde_json::to_value);
    values
        .collect::<Result<_, _>>()
        .map_err(|error| error.to_string())
}

/// What the tenant and the controller have in the namespace.
///
/// # Errors
/// When the API server does not tell.
pub(crate) async fn of(stage: &Stage, company: &str) -> Result<Value, String> {
    of_those(stage, company, None).await
}

/// What there is of one of several integrations in the namespace.
///
/// # Errors
/// When the API server does not tell.
pub(crate) async fn of_one(stage: &Stage, company: &str, only: &str) -> Result<Value, String> {
    of_those(stage, company, Some(only)).await
}

async fn of_those(stage: &Stage, company: &str, only: Option<&str>) -> Result<Value, String> {
    let (client, ns) = (&stage.client, stage.ns());
    let ours = match only {
        Some(only) => format!("{OURS},{INTEGRATION_LABEL}={only}"),
        None => OURS.to_owned(),
    };
    let mut integrations = Map::new();
    for object in all::<SalesforceIntegration>(client, ns, "").await? {
        if only.is_none_or(|only| name(&object) == only) {
            integrations.insert(name(&object), integration(&object));
        }
    }
    let mut cron_jobs = Map::new();
    for object in all::<CronJob>(client, ns, &ours).await? {
        cron_jobs.insert(name(&object), cron_job(&object));
    }
    let mut secrets = Map::new();
    for object in all::<Secret>(client, ns, &ours).await? {
        let keys: Vec<&String> = object["data"]
            .as_object()
            .into_iter()
            .flatten()
            .map(|(key, _)| key)
            .collect();
        secrets.insert(
            name(&object),
            json!({"owner": owner(&object), "keys": keys}),
        );
    }
    // Whether a second request was answered by the run that was under way depends on the moment.
    let jobs: BTreeSet<String> = all::<Job>(client, ns, &ours)
        .await?
        .iter()
        .map(|job| without_hash(&name(job)))
        .collect();
    let config_maps: BTreeSet<String> = all::<ConfigMap>(client, ns, &ours)
        .await?
        .iter()
        .map(name)
        .collect();
    let state = json!({
        "integrations": integrations, "cronJobs": cron_jobs, "secrets": secrets, "jobs": jobs,
        "configMaps": config_maps,
    });
    let mut text = state.to_string();
    let of_the_run = [
        (company, "COMPANY"),
        (ns, "NAMESPACE"),
        (&stage.login_url(), "SALESFORCE"),
    ];
    for (own, word) in of_the_run {
        text = text.replace(own, word);
    }
    serde_json::from_str(&text).map_err(|error| error.to_string())
}

/// Whether a Job is under way.
pub(super) async fn runs(stage: &Stage) -> Result<bool, String> {
    let jobs = all::<Job>(&stage.client, stage.ns(), "").await?;
    let is_over = |job: &Value| {
        let conditions = job["status"]["conditions"].as_array();
        conditions.is_some_and(|conditions| !conditions.is_empty())
    };
    Ok(jobs.iter().any(|job| !is_over(job)))
}

/// Of an integration whose status has forgotten its last run, as if it had run: no other run comes.
pub(super) fn with_the_run_before(mut state: Value, without: &Value) -> Value {
    let synced = state.pointer("/integrations/acme/conditions/Synced");
    if synced.is_some_and(|synced| synced[1] == "NoRunYet") {
        for place in [
            "conditions/Synced",
            "addressBook",
            "lastRun",
            "requestedRunIsOver",
        ] {
            let place = format!("/integrations/acme/{place}");
            if let (Some(here), Some(there)) = (state.pointer_mut(&place), without.pointer(&place))
            {
                *here = there.clone();
            }
        }
    }
    state
}

/// Names of all objects that the controller has made and that are still there, with their pods.
pub(crate) async fn left_over(client: &Client, ns: &str) -> Result<Vec<String>, String> {
    let mut left = Vec::new();
    let mut note = |kind: &str, objects: Vec<Value>| {
        left.extend(
            objects
                .iter()
                .map(|object| format!("{kind}/{}", name(object))),
        );
    };
    note("sfi", all::<SalesforceIntegration>(client, ns, "").await?);
    note("cronjob", all::<CronJob>(client, ns, OURS).await?);
    note("job", all::<Job>(client, ns, "").await?);
    note("pod", all::<Pod>(client, ns, "").await?);
    note("secret", all::<Secret>(client, ns, OURS).await?);
    Ok(left)
}

fn name(object: &Value) -> String {
    let name = object["metadata"]["name"].as_str();
    name.unwrap_or_default().to_owned()
}

fn owner(object: &Value) -> Value {
    let owners = object["metadata"]["ownerReferences"].as_array();
    let names = owners.into_iter().flatten().map(|owner| &owner["name"]);
    json!(names.collect::<Vec<_>>())
}

fn without_hash(job: &str) -> String {
    let (name, _) = job.rsplit_once('-').unwrap_or((job, ""));
    name.to_owned()
}

fn integration(object: &Value) -> Value {
    let (metadata, status) = (&object["metadata"], &object["status"]);
    let conditions = status["conditions"].as_array().into_iter().flatten();
    let conditions: Map<String, Value> = conditions
        .map(|condition| {
            let kind = condition["type"].as_str().unwrap_or_default().to_owned();
            let said = masked(condition["message"].as_str().unwrap_or_default());
            let told = json!([condition["status"], condition["reason"], said]);
            (kind, told)
        })
        .collect();
    let warnings = status["warnings"].as_array().into_iter().flatten();
    let warnings: Vec<&Value> = warnings.map(|warning| &warning["code"]).collect();
    let run = &status["lastRun"];
    // What the controller counted in a run of its own is gone when it is killed before a minute is
    // over; the calls themselves are judged at the directory.
    let run = match run["where"] == "Resident" {
        true => Value::Null,
        false => json!([run["kind"], run["outcome"]]),
    };
    json!({
        "spec": object["spec"],
        "finalizers": metadata["finalizers"],
        "isObserved": status["observedGeneration"] == metadata["generation"],
        "conditions": conditions,
        "warnings": warnings,
        "organization": status["organization"]["name"],
        "failedLogins": status["connection"]["failedLogins"],
        "isAttempting": !status["connection"]["attemptedAt"].is_null(),
        "handled": [status["lastHandledRunAt"], status["lastHandledTestAt"]],
        "requestedRunIsOver": status["requestedRun"]["job"] == status["lastRun"]["job"],
        "lastRun": run,
        "hasNextRun": !status["nextRun"].is_null(),
        "data": status["data"]["companyId"],
        "addressBook": status["addressBook"]["mode"],
    })
}

/// What a CronJob does and when. The minute of a sweep depends on the UID.
fn cron_job(object: &Value) -> Value {
    let spec = &object["spec"];
    let schedule = spec["schedule"].as_str().unwrap_or_default();
    let is_sweep = name(object).ends_with("-lookup");
    let environment = spec.pointer("/jobTemplate/spec/template/spec/containers/0/env");
    let environment = environment.and_then(Value::as_array).into_iter().flatten();
    let settings = environment
        .filter_map(|variable| serde_json::from_str::<Value>(variable["value"].as_str()?).ok())
        .find(|value| value.get("companyId").is_some());
    let settings = settings.map(|settings| {
        let kept = [
            "companyId",
            "region",
            "timeZone",
            "secondQuestion",
            "follow",
            "addressBook",
        ];
        let kept = kept.map(|key| (key.to_owned(), settings[key].clone()));
        Value::Object(kept.into_iter().collect())
    });
    json!({
        "owner": owner(object), "suspend": spec["suspend"], "timeZone": spec["timeZone"],
        "schedule": if is_sweep { masked(schedule) } else { schedule.to_owned() },
        "concurrencyPolicy": spec["concurrencyPolicy"], "settings": settings,
    })
}

/// The text with each number as one mark: times and counts differ.
fn masked(text: &str) -> String {
    let mut masked = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '0'..='9' if masked.ends_with('#') => {}
            '0'..='9' => masked.push('#'),
            other => masked.push(other),
        }
    }
    masked
}

/// Where two states differ.
pub(crate) fn difference(expected: &Value, found: &Value) -> String {
    let mut differences = Vec::new();
    differ("", expected, found, &mut differences);
    differences.join("\n    ")
}

fn differ(path: &str, expected: &Value, found: &Value, differences: &mut Vec<String>) {
    match (expected, found) {
        (Value::Object(one), Value::Object(other)) => {
            let keys: BTreeSet<&String> = one.keys().chain(other.keys()).collect();
            for key in keys {
                differ(
                    &format!("{path}/{key}"),
                    &expected[key],
                    &found[key],
                    differences,
                );
            }
        }
        _ if expected != found => {
            differences.push(format!("{path} is {found} instead of {expected}"))
        }
        _ => {}
    }
}

//! Sequences of changes out of the schema: A, another spec B, and A again. Each field of the
//! definition has values that are valid, at a boundary or invalid; B differs from A in one field or
//! in two. What stands at the end is what a fresh A has, whatever B was, and whenever it came.

use std::sync::Arc;

use kube::{CustomResourceExt, ResourceExt};
use serde_json::{Value, json};
use switchboard_testbed::sequences::{self, Change, Field};

use super::cluster::{Kind, Place, now, owner_uid, seconds, text};
use super::dice::Dice;
use super::world::{Task, Tenant, World, in_time, tenant};
use crate::api::conditions::READY;
use crate::api::{API_CALLS, CREDENTIALS_VERSION, Retrieval, SalesforceIntegration, Settings};
use crate::cli;
use crate::decide::rules::config::Config;
use crate::decide::rules::match_settings;
use crate::decide::rules::schedule::Cadence;

/// Seconds that a state gets to show before it is looked at.
const SHOWN_WITHIN: u64 = 600;
/// Sequences in one world, beside the tenant who applies A and nothing else.
const IN_A_WORLD: usize = 20;

/// The fields of the definition that may change. The company ID may not; each tenant's own user and
/// Secret stay, or every A would be another one.
fn fields() -> Vec<Field> {
    let definition = serde_json::to_value(SalesforceIntegration::crd()).unwrap();
    sequences::fields(&definition, &["/companyId"])
}

/// One sequence.
#[derive(Clone, Debug)]
struct Sequence {
    /// What B changes.
    changes: Vec<Change>,
    /// Seconds from A to B, and from B to A.
    waits: [u64; 2],
}

fn drawn(dice: &mut Dice, fields: &[Field], number: usize) -> Sequence {
    // All fields one after the other, and all pairs of them, before any comes again.
    let (one, rest) = (number % fields.len(), number / fields.len() % fields.len());
    let mut change = |at: usize| {
        let field = &fields[at];
        Change {
            path: field.path.clone(),
            value: dice.of(&field.values).clone(),
        }
    };
    let mut changes = vec![change(one)];
    if rest > 0 {
        changes.push(change((one + rest) % fields.len()));
    }
    let in_flight = dice.below(2) == 0;
    let waits = match in_flight {
        true => [dice.below(6), dice.below(6)],
        false => [SHOWN_WITHIN, SHOWN_WITHIN],
    };
    Sequence { changes, waits }
}

/// What the API server makes of B, if it takes it.
fn accepted(tenant: &Tenant, sequence: &Sequence) -> Option<SalesforceIntegration> {
    let mut object = serde_json::to_value(&tenant.wanted).unwrap();
    object["metadata"]["name"] = tenant.name.clone().into();
    for change in &sequence.changes {
        change.make(&mut object["spec"]);
    }
    let taken = cli::accept(&object, "").ok()?;
    (taken.spec.company_id == tenant.company).then_some(taken)
}

/// The conditions, the children and the warnings, without what is each tenant's own.
fn seen(world: &World, at: usize) -> Value {
    let tenant = &world.tenants[at];
    let Some(object) = world.integration(at) else {
        return Value::Null;
    };
    let resource: SalesforceIntegration = serde_json::from_value(object.as_ref().clone()).unwrap();
    let uid = text(&object, "/metadata/uid");
    let conditions = object
        .pointer("/status/conditions")
        .and_then(Value::as_array);
    let mut conditions: Vec<String> = conditions
        .into_iter()
        .flatten()
        // Whether a run has been by then is each one's own.
        .map(|one| format!("{} {} {}", one["type"], one["status"], one["reason"]).replace("NoRunYet", "RunSucceeded"))
        .collect();
    conditions.sort();
    let warnings = object.pointer("/status/warnings").and_then(Value::as_array);
    let warnings: Vec<Value> = warnings
        .into_iter()
        .flatten()
        .map(|one| one["code"].clone())
        .collect();
    let owned = |kind: Kind| -> Vec<Value> {
        let all = world.cluster.all(kind);
        let own = all.iter().filter(|one| owner_uid(one) == Some(uid));
        own.map(|one| one.as_ref().clone()).collect()
    };
    let cron_jobs: Vec<Value> = owned(Kind::CronJob)
        .into_iter()
        .map(|one| {
            let mut spec = one["spec"].clone();
            // It depends on the UID, and is looked at by itself.
            spec["schedule"] = Value::Null;
            let job = &mut spec["jobTemplate"];
            job["metadata"]["annotations"][API_CALLS] = Value::Null;
            let annotations = &mut job["spec"]["template"]["metadata"]["annotations"];
            annotations[API_CALLS] = Value::Null;
            annotations[CREDENTIALS_VERSION] = Value::Null;
            let environment = &mut job["spec"]["template"]["spec"]["containers"][0]["env"];
            let settings = environment[0]["value"].as_str().unwrap_or_default();
            let mut settings: Value = serde_json::from_str(settings).unwrap_or_default();
            settings["maxApiCalls"] = Value::Null;
            // It depends on the user.
            let wanted = Settings::of(&resource).ok();
            let wanted = wanted.map(|wanted| {
                let status = resource.status.clone().unwrap_or_default();
                match_settings::fingerprint(&wanted, &status)
            });
            let stands = settings["matchSettings"].as_str().map(str::to_owned);
            settings["matchSettings"] = (wanted == stands).into();
            environment[0]["value"] = settings;
            json!([one["metadata"]["name"], spec])
        })
        .collect();
    let secrets: Vec<Value> = owned(Kind::Secret)
        .into_iter()
        .map(|one| {
            let keys = one["data"].as_object().or(one["stringData"].as_object());
            json!([
                one["metadata"]["name"],
                keys.map(|data| data.keys().cloned().collect::<Vec<_>>())
            ])
        })
        .collect();
    let all = json!({
        "conditions": conditions, "warnings": warnings, "cronJobs": cron_jobs, "secrets": secrets,
        "finalizers": object["metadata"]["finalizers"],
        "nextRun": object["status"]["nextRun"].is_string(),
        "observed": object["status"]["observedGeneration"] == object["metadata"]["generation"],
    });
    let own = all.to_string().replace(&tenant.name, "TENANT");
    serde_json::from_str(&own).unwrap()
}

/// Where two values differ first.
fn difference(path: &str, stands: &Value, fresh: &Value) -> Option<String> {
    match (stands, fresh) {
        (Value::Object(a), Value::Object(b)) if a.keys().eq(b.keys()) => a
            .iter()
            .find_map(|(key, value)| difference(&format!("{path}/{key}"), value, &b[key])),
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => a
            .iter()
            .zip(b)
            .enumerate()
            .find_map(|(at, (a, b))| difference(&format!("{path}/{at}"), a, b)),
        (a, b) if a == b => None,
        (a, b) => Some(format!("{path} is {a} instead of {b}")),
    }
}

/// What is wrong with what stands while a spec is declared.
fn wrong(world: &World, at: usize) -> Option<String> {
    let object = world.integration(at)?;
    let resource: SalesforceIntegration = serde_json::from_value(object.as_ref().clone()).unwrap();
    if object["status"]["observedGeneration"] != object["metadata"]["generation"] {
        return Some("the status is about an older spec".into());
    }
    let conditions = object
        .pointer("/status/conditions")
        .and_then(Value::as_array);
    let ready = conditions
        .and_then(|all| all.iter().find(|one| one["type"] == READY))
        .cloned()
        .unwrap_or_default();
    let said = (text(&ready, "/status"), text(&ready, "/reason"));
    let uid = resource.uid().unwrap_or_default();
    let place = Place::new(Kind::CronJob, &world.tenants[at].namespace, "");
    let all = world.cluster.all(place.kind);
    let own: Vec<&Arc<Value>> = all
        .iter()
        .filter(|one| owner_uid(one) == Some(uid.as_str()))
        .collect();
    match Settings::of(&resource) {
        Err(invalid) => (said != ("False", "InvalidSpec"))
            .then(|| format!("Ready is {said:?}, and the spec is invalid: {invalid}")),
        Ok(settings) => {
            let wanted = Config::default().cadence(&settings, &uid);
            let wanted: Vec<String> = wanted.map(Cadence::cron).into_iter().collect();
            let stands: Vec<&str> = own.iter().map(|one| text(one, "/spec/schedule")).collect();
            if wanted != stands {
                return Some(format!("CronJobs run at {stands:?} instead of {wanted:?}"));
            }
            let suspended = own.iter().any(|one| one["spec"]["suspend"] == true);
            if said.0 == "True" && suspended {
                return Some("Ready is True, and the CronJob is suspended".into());
            }
            if said.1 == "Pending" || said.1.is_empty() {
                return Some(format!("Ready is still {said:?}"));
            }
            None
        }
    }
}

/// Plays so many sequences in one world. Returns what is wrong, and how many B were accepted.
async fn play(seed: u64, first: usize, all: &[Field]) -> (Vec<String>, usize) {
    let mut dice = Dice::new(seed, 11 + first as u64);
    let mut tenants: Vec<Tenant> = (0..=IN_A_WORLD)
        .map(|at| {
            let mut tenant = tenant(at, &mut Dice::new(seed, 9));
            let name = format!("tenant-{at:03}");
            let spec = &mut tenant.wanted.spec;
            spec.company_id = name.clone();
            spec.contacts.retrieval =
                *Dice::new(seed, first as u64).of(&[Retrieval::Daily, Retrieval::AfterCall]);
            spec.interval = "30m".into();
            if let Some(auth) = &mut spec.salesforce.auth.password {
                auth.username = format!("integration@{name}.example");
                auth.secret_ref.name = format!("{name}-salesforce");
            }
            tenant.user = format!("integration@{name}.example");
            tenant.secret = format!("{name}-salesforce");
            tenant.namespace = name.clone();
            tenant.company = name.clone();
            tenant.name = name;
            tenant
        })
        .collect();
    let sequences: Vec<Sequence> = (0..IN_A_WORLD)
        .map(|at| drawn(&mut dice, all, first + at))
        .collect();
    let mut agenda: Vec<(u64, usize, Option<SalesforceIntegration>)> = vec![];
    let mut looks: Vec<(u64, usize)> = vec![];
    let mut taken = 0;
    for (at, sequence) in sequences.iter().enumerate() {
        if let Some(b) = accepted(&tenants[at], sequence) {
            taken += 1;
            let [first, second] = sequence.waits;
            agenda.push((first, at, Some(b)));
            agenda.push((first + second, at, None));
            if second == SHOWN_WITHIN {
                looks.push((first + second - 1, at));
            }
        }
    }
    let ends = 3 * SHOWN_WITHIN + 5;
    let times = agenda
        .iter()
        .map(|(at, ..)| *at)
        .chain(looks.iter().map(|(at, _)| *at));
    let mut times: Vec<u64> = times.chain([ends]).collect();
    times.sort_unstable();
    times.dedup();
    let wanted: Vec<SalesforceIntegration> =
        tenants.iter().map(|tenant| tenant.wanted.clone()).collect();
    tenants
        .iter_mut()
        .for_each(|tenant| tenant.wanted.metadata = Default::default());
    let mut world = World::of(seed, tenants);
    world.work = 1;
    let began = now();
    for at in 0..=IN_A_WORLD {
        world.create(at, None);
    }
    let mut found = vec![];
    for time in times {
        world.at(began + seconds(time), Task::End);
        world.live().await;
        for (_, at) in looks.iter().filter(|(due, _)| *due == time) {
            if let Some(wrong) = wrong(&world, *at) {
                found.push(format!("B {:?}: {wrong}", sequences[*at]));
            }
        }
        for (_, at, b) in agenda.iter().filter(|(due, ..)| *due == time) {
            let spec = b.as_ref().unwrap_or(&wanted[*at]).spec.clone();
            world.want(*at, |wanted| wanted.spec = spec);
        }
    }
    let fresh = seen(&world, IN_A_WORLD);
    for (at, sequence) in sequences.iter().enumerate() {
        let stands = seen(&world, at);
        if let Some(differs) = difference("", &stands, &fresh) {
            found.push(format!("A again after {sequence:?}: {differs}"));
        }
        if let Some(wrong) = wrong(&world, at) {
            found.push(format!("A again after {sequence:?}: {wrong}"));
        }
    }
    (found, taken)
}

#[test]
fn whatever_a_spec_was_between_it_is_what_a_fresh_one_is() {
    let seed = super::number("SEED", super::SEED);
    let many = super::number("SEQUENCES", 60) as usize;
    let all = fields();
    println!("seed {seed}, {} fields", all.len());
    let next = std::sync::atomic::AtomicUsize::new(0);
    let found = parking_lot::Mutex::new(vec![]);
    let accepted = std::sync::atomic::AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..super::number("THREADS", 2) {
            scope.spawn(|| {
                loop {
                    let first = next.fetch_add(IN_A_WORLD, std::sync::atomic::Ordering::Relaxed);
                    if first >= many {
                        return;
                    }
                    let offset = seed as usize % 10_000 + first;
                    let (wrong, taken) = in_time(async || play(seed, offset, &all).await);
                    accepted.fetch_add(taken, std::sync::atomic::Ordering::Relaxed);
                    found.lock().extend(wrong);
                }
            });
        }
    });
    let accepted = accepted.into_inner();
    println!("{accepted} of {many} were accepted by the schema");
    assert!(
        accepted * 10 > many,
        "hardly any value is one that the API server takes"
    );
    let found = found.into_inner();
    assert!(
        found.is_empty(),
        "{} of them:\n{}",
        found.len(),
        found[..found.len().min(20)].join("\n")
    );
}

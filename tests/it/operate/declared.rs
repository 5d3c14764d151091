//! What a spec declares beside what there is, by rules of this test alone: nothing here asks the
//! product what it wants.

use jiff::civil::{DateTime, Time};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use serde_json::{Value, json};
use switchboard::api::{API_CALLS, CREDENTIALS_VERSION, SalesforceIntegration, Settings};

use crate::stage::condition;

/// Keys of the Secret with tokens.
const TOKENS: [&str; 5] = ["admin", "ingest", "lookup", "privacy", "worker"];

/// What there is of a tenant.
pub(super) struct Seen {
    pub integration: SalesforceIntegration,
    pub cron_jobs: Vec<Value>,
    pub secrets: Vec<Value>,
    /// The user whose password is in the Secret.
    pub user: String,
    /// The Salesforce that there is.
    pub login_url: String,
}

/// Whether all is as the spec declares.
///
/// # Errors
/// What is not.
pub(super) fn holds(seen: &Seen) -> Result<(), String> {
    let object = serde_json::to_value(&seen.integration).map_err(|error| error.to_string())?;
    let (spec, status) = (&object["spec"], &object["status"]);
    is_about_this_spec(&object)?;
    let ready = condition(&object, "Ready").ok_or("there is no Ready")?;
    let said = (text(&ready["status"]), text(&ready["reason"]));
    if said.1 == "Pending" {
        return Err(format!("Ready is still {ready}"));
    }
    let is_suspended = |job: &Value| job["spec"]["suspend"] == true;
    if said.1 == "InvalidSpec" {
        return is_invalid(seen, text(&ready["message"]));
    }
    if let Err(invalid) = Settings::of(&seen.integration) {
        return Err(format!(
            "Ready is {said:?}, and the spec is invalid: {invalid}"
        ));
    }
    if said.0 == "True" && !may_be_ready(spec, seen) {
        return Err(format!(
            "Ready is True, and the spec asks for what there is not: {spec}"
        ));
    }
    if !seen.secrets.iter().any(has_tokens) {
        return Err("there is no Secret with tokens".to_owned());
    }
    let suffix = match text(&spec["contacts"]["retrieval"]) {
        "Daily" => "sync",
        "AfterCall" => "lookup",
        _ => {
            return match seen.cron_jobs.is_empty() && status["nextRun"].is_null() {
                true => Ok(()),
                false => Err(format!("retrieval is Disabled: {:?}", seen.cron_jobs)),
            };
        }
    };
    let [job] = seen.cron_jobs.as_slice() else {
        return Err(format!("{} CronJobs", seen.cron_jobs.len()));
    };
    let name = text(&job["metadata"]["name"]);
    if name != format!("{}-{suffix}", text(&object["metadata"]["name"])) {
        return Err(format!("the CronJob is {name}"));
    }
    let works = condition(&object, "Connected").is_some_and(|known| known["status"] == "True");
    if said.0 == "True" && is_suspended(job)
        || !is_suspended(job) && (!works || spec["suspend"] == true)
    {
        return Err(format!(
            "suspend is {}, and Ready {said:?}",
            job["spec"]["suspend"]
        ));
    }
    runs_when(spec, &job["spec"])?;
    if !is_suspended(job) && said.0 == "True" {
        is_next(&status["nextRun"], &job["spec"])?;
    }
    runs_so(spec, &job["spec"]["jobTemplate"]["spec"]["template"])
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn is_about_this_spec(object: &Value) -> Result<(), String> {
    let (generation, status) = (&object["metadata"]["generation"], &object["status"]);
    let conditions = status["conditions"].as_array().into_iter().flatten();
    // While it is suspended nobody tries whether it still works.
    let is_tried = |kind: &Value| kind != "Connected" && kind != "Authorized";
    let is_suspended = object["spec"]["suspend"] == true;
    let conditions = conditions.filter(|one| !is_suspended || is_tried(&one["type"]));
    let all = conditions.chain([status]);
    for told in all {
        if told["observedGeneration"] != *generation {
            return Err(format!(
                "it is about an older spec than {generation}: {told}"
            ));
        }
    }
    Ok(())
}

/// Only what cannot be used is called so, and nothing runs for it.
fn is_invalid(seen: &Seen, message: &str) -> Result<(), String> {
    // What tenants may set for pods only the platform team knows.
    let expected = match Settings::of(&seen.integration) {
        Err(invalid) => invalid.field,
        Ok(_) => "spec.run.",
    };
    if !message.contains(expected) {
        return Err(format!(
            "the spec is invalid, and not because of {expected}: {message}"
        ));
    }
    match seen
        .cron_jobs
        .iter()
        .find(|job| job["spec"]["suspend"] != true)
    {
        None => Ok(()),
        Some(job) => Err(format!(
            "the spec is invalid, and {} runs",
            job["metadata"]["name"]
        )),
    }
}

/// Whether the log-in that the spec describes is that of the tenant.
fn may_be_ready(spec: &Value, seen: &Seen) -> bool {
    let (salesforce, password) = (&spec["salesforce"], &spec["salesforce"]["auth"]["password"]);
    let secret = format!(
        "{}-salesforce",
        seen.integration
            .metadata
            .name
            .as_deref()
            .unwrap_or_default()
    );
    spec["suspend"] != true
        && salesforce["loginUrl"] == seen.login_url
        && text(&password["username"]).eq_ignore_ascii_case(&seen.user)
        && password["secretRef"]["name"] == secret
}

fn has_tokens(secret: &Value) -> bool {
    TOKENS.iter().all(|key| secret["data"][*key].is_string())
}

/// The schedule, in the tenant's time zone.
fn runs_when(spec: &Value, job: &Value) -> Result<(), String> {
    let contacts = &spec["contacts"];
    let zone = text(&contacts["timeZone"]);
    if !text(&job["timeZone"]).eq_ignore_ascii_case(zone) {
        return Err(format!(
            "the CronJob's zone is {} instead of {zone}",
            job["timeZone"]
        ));
    }
    let zone = TimeZone::get(zone).map_err(|error| error.to_string())?;
    let schedule = text(&job["schedule"]);
    let wrong = |why: &str| {
        Err(format!(
            "it runs at {schedule:?}, which is {why}: {contacts}"
        ))
    };
    let is_sweep = contacts["retrieval"] == "AfterCall";
    if is_sweep && spec["run"]["where"] == "Pod" {
        let period = match text(&contacts["lookupEvery"]) {
            "1h" => 60,
            text => text.trim_end_matches('m').parse().unwrap_or(0),
        };
        return match minutes_of(schedule) {
            Some(minutes) if minutes.len() * period == 60 && is_even(&minutes, period) => Ok(()),
            _ => wrong("not as often as lookupEvery says"),
        };
    }
    let Some(time) = time_of(schedule) else {
        return wrong("no time of day");
    };
    if !comes_once_a_day(time, &zone) {
        return wrong("lost or doubled when the clock changes");
    }
    let wanted = Time::strptime("%H:%M", text(&contacts["dailyAt"]));
    let wanted = wanted.map_err(|error| error.to_string())?;
    let early = (minute_of_day(wanted) - minute_of_day(time)).rem_euclid(1440);
    let hour_is_whole = (0..60).all(|minute| {
        Time::new(wanted.hour(), minute, 0, 0).is_ok_and(|time| comes_once_a_day(time, &zone))
    });
    match is_sweep || early == 0 || !hour_is_whole && early < 240 {
        true => Ok(()),
        false => wrong("not dailyAt"),
    }
}

/// The minutes of an hour at which a schedule of every hour starts.
fn minutes_of(schedule: &str) -> Option<Vec<usize>> {
    let field = schedule.strip_suffix(" * * * *")?;
    if field == "*" {
        return Some((0..60).collect());
    }
    match field.split_once("-59/") {
        None => Some(vec![field.parse().ok()?]),
        Some((first, step)) => {
            let (first, step) = (first.parse().ok()?, step.parse().ok()?);
            Some((first..60).step_by(step).collect())
        }
    }
}

fn is_even(minutes: &[usize], period: usize) -> bool {
    minutes.windows(2).all(|two| two[1] - two[0] == period) && minutes[0] < period
}

/// The time of day of a schedule of every day.
fn time_of(schedule: &str) -> Option<Time> {
    let fields: Vec<&str> = schedule.strip_suffix(" * * *")?.split(' ').collect();
    let [minute, hour] = fields.as_slice() else {
        return None;
    };
    Time::new(hour.parse().ok()?, minute.parse().ok()?, 0, 0).ok()
}

fn minute_of_day(time: Time) -> i32 {
    i32::from(time.hour()) * 60 + i32::from(time.minute())
}

/// Whether each day of the next year has this time once.
fn comes_once_a_day(time: Time, zone: &TimeZone) -> bool {
    let today = Timestamp::now().to_zoned(zone.clone()).date();
    (0..366).all(|days| {
        let day = today.checked_add(days.days());
        day.is_ok_and(|day| {
            let at = DateTime::from_parts(day, time);
            zone.to_ambiguous_timestamp(at).unambiguous().is_ok()
        })
    })
}

/// The status tells the next start of the schedule.
fn is_next(next: &Value, job: &Value) -> Result<(), String> {
    let wrong = || format!("nextRun is {next}, and the CronJob {}", job["schedule"]);
    let next: Timestamp = text(next).parse().map_err(|_| wrong())?;
    let zone = TimeZone::get(text(&job["timeZone"])).map_err(|error| error.to_string())?;
    let (now, local) = (Timestamp::now(), next.to_zoned(zone));
    let fits = match time_of(text(&job["schedule"])) {
        Some(time) => local.time() == time,
        None => minutes_of(text(&job["schedule"]))
            .is_some_and(|minutes| minutes.contains(&(local.minute() as usize))),
    };
    // The status is written when something happens; the start before may just have been.
    let away = next.duration_since(now).as_mins();
    let is_soon = (-2..=25 * 60).contains(&away);
    match fits && is_soon {
        true => Ok(()),
        false => Err(wrong()),
    }
}

/// What the pods of runs are given.
fn runs_so(spec: &Value, pod: &Value) -> Result<(), String> {
    let (contacts, salesforce) = (&spec["contacts"], &spec["salesforce"]);
    let settings = worker_settings(&pod["spec"]["containers"][0]);
    let wanted = json!({
        "companyId": spec["companyId"], "region": contacts["region"],
        "apiVersion": salesforce["apiVersion"], "environment": salesforce["environment"],
    });
    let given = json!({
        "companyId": settings["companyId"], "region": settings["region"],
        "apiVersion": settings["salesforce"]["apiVersion"],
        "environment": settings["salesforce"]["environment"],
    });
    if wanted != given {
        return Err(format!("a run is given {given} instead of {wanted}"));
    }
    let run = &spec["run"];
    let metadata = &pod["metadata"];
    let maps = [
        ("labels", &metadata["labels"]),
        ("annotations", &metadata["annotations"]),
        ("nodeSelector", &pod["spec"]["nodeSelector"]),
    ];
    for (field, given) in maps {
        for (key, value) in run[field].as_object().into_iter().flatten() {
            if given[key] != *value {
                return Err(format!("a run has not {field} {key}: {given}"));
            }
        }
    }
    for toleration in run["tolerations"].as_array().into_iter().flatten() {
        let all = pod["spec"]["tolerations"].as_array();
        let has = |key: &Value| all.is_some_and(|all| all.iter().any(|one| one["key"] == *key));
        if !has(&toleration["key"]) {
            return Err(format!("a run does not tolerate {toleration}"));
        }
    }
    for group in ["requests", "limits"] {
        for (name, amount) in run["resources"][group].as_object().into_iter().flatten() {
            let given = &pod["spec"]["containers"][0]["resources"][group][name];
            if !amount.is_null() && given != amount {
                return Err(format!(
                    "{group}.{name} of a run is {given} instead of {amount}"
                ));
            }
        }
    }
    Ok(())
}

/// The document with the settings of a run.
fn worker_settings(container: &Value) -> Value {
    let variables = container["env"].as_array().into_iter().flatten();
    let mut documents = variables
        .filter_map(|variable| serde_json::from_str::<Value>(text(&variable["value"])).ok());
    documents
        .find(|document| document.get("companyId").is_some())
        .unwrap_or_default()
}

/// The whole of a CronJob, without what is each tenant's own.
pub(super) fn whole(job: &Value) -> Value {
    let mut spec = job["spec"].clone();
    if text(&job["metadata"]["name"]).ends_with("-lookup") {
        // It depends on the UID, and is looked at by itself.
        spec["schedule"] = Value::Null;
    }
    let template = &mut spec["jobTemplate"];
    template["metadata"]["annotations"][API_CALLS] = Value::Null;
    let pod = &mut template["spec"]["template"];
    let annotations = &mut pod["metadata"]["annotations"];
    annotations[API_CALLS] = Value::Null;
    annotations[CREDENTIALS_VERSION] = Value::Null;
    let container = &mut pod["spec"]["containers"][0];
    let mut settings = worker_settings(container);
    // They depend on the org, and on the user.
    for own in ["maxApiCalls", "matchSettings", "instanceUrl"] {
        settings[own] = Value::Null;
    }
    container["env"] = settings;
    spec
}

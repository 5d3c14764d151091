//! `/jobs/query`: Bulk API 2.0 queries (facts: Salesforce changes E).

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use http::HeaderName;
use serde_json::{Value as Json, json};

use super::{Call, Outcome, RestError, json_object};
use crate::bulk::csv::Form;
use crate::bulk::results::{Body, Results, Writer};
use crate::bulk::{BulkOutcome, Job, State};
use crate::clock::json_datetime;
use crate::message::{Answer, Request};
use crate::org::ids;
use crate::soql::ast::{Item, Query};
use crate::soql::path::{self, Path};
use crate::soql::project::{self, Answer as Found};
use crate::soql::{self, Scope};

/// The first version with query jobs.
const FIRST_VERSION: f64 = 47.0;
/// The first version whose columns are in the query's order.
const ORDERED_VERSION: f64 = 50.0;
/// The first version whose locators are no numbers.
const OPAQUE_VERSION: f64 = 49.0;
/// The rows that are written while the world is locked.
const PORTION: usize = 1_000;

const NUMBER_OF_RECORDS: HeaderName = HeaderName::from_static("sforce-numberofrecords");
const LOCATOR: HeaderName = HeaderName::from_static("sforce-locator");

/// Dispatches a path below `/jobs/query`.
pub(super) fn route(call: &Call<'_>, request: &Request, rest: &[&str]) -> (&'static str, Outcome) {
    if number(&call.version) < FIRST_VERSION {
        return ("unknown", Err(RestError::not_found()));
    }
    let kept = call.core.world().switches.bulk.kept;
    call.core.runtime().bulk.expire(call.now, kept);
    match (request.method.as_str(), rest) {
        ("POST", []) => ("bulkCreate", create(call, request)),
        ("GET" | "HEAD", []) => ("bulkList", list(call)),
        ("GET" | "HEAD", [id]) => ("bulkJob", poll(call, id)),
        ("GET" | "HEAD", [id, "results"]) => ("bulkResults", results(call, request, id)),
        ("PATCH", [id]) => ("bulkAbort", abort(call, request, id)),
        ("DELETE", [id]) => ("bulkDelete", delete(call, id)),
        (_, [] | [_] | [_, "results"]) => (
            "refusedMethod",
            Err(RestError::method_not_allowed(&request.method)),
        ),
        _ => ("unknown", Err(RestError::not_found())),
    }
}

fn number(version: &str) -> f64 {
    version.parse().unwrap_or_default()
}

fn create(call: &Call<'_>, request: &Request) -> Outcome {
    let body = json_object(request)?;
    let text = |name: &str, default: &str| match body.get(name) {
        None => Ok(default.to_owned()),
        Some(Json::String(text)) => Ok(text.clone()),
        Some(_) => Err(invalid_job(&format!("{name} must be a text"))),
    };
    let all = match text("operation", "")?.as_str() {
        "query" => false,
        "queryAll" => true,
        other => return Err(invalid_job(&format!("Unsupported operation: {other}"))),
    };
    if text("contentType", "CSV")? != "CSV" {
        return Err(invalid_job("Unsupported content type"));
    }
    let query = text("query", "")?;
    let (delimiter, ending) = (text("columnDelimiter", "COMMA")?, text("lineEnding", "LF")?);
    let zulu = call.core.world().switches.bulk.zulu;
    let form = Form::named(&delimiter, &ending, zulu)
        .ok_or_else(|| invalid_job("Unsupported column delimiter or line ending"))?;
    let object = call.read(all, |scope| check(&query, scope))??;
    charge_job(call)?;
    let user_id = {
        let world = call.core.world();
        let (_, user) = world
            .user(&call.username)
            .ok_or_else(RestError::invalid_session)?;
        user.id.clone()
    };
    let job = Job {
        id: ids::named_id("750", &[&call.org_id, &rand::random::<u64>().to_string()]),
        username: call.username.clone(),
        user_id,
        all,
        object,
        query,
        version: call.version.clone(),
        form,
        created: call.now,
        changed: call.now,
        state: State::UploadComplete,
        polls: 0,
        results: None,
        error: None,
    };
    let answer = Answer::json(200, shown(&job));
    call.core.runtime().bulk.add(job);
    Ok(answer)
}

/// Refuses what the Bulk API cannot do; returns the object of the query.
fn check(query: &str, scope: &Scope<'_>) -> Result<String, RestError> {
    if !scope.org.bulk {
        let message =
            "Feature Not Enabled: query operation requires the org permission BulkApiQuery";
        return Err(RestError::new(400, "FEATURENOTENABLED", message));
    }
    let refused = |error| RestError::query(error, query, scope.switches);
    let tree = soql::parse(query, scope.switches).map_err(refused)?;
    let unsupported = &scope.switches.bulk.unsupported;
    if unsupported
        .iter()
        .any(|object| tree.from.eq_ignore_ascii_case(object))
    {
        let message = format!("Entity '{}' is not supported by the Bulk API.", tree.from);
        return Err(RestError::new(400, "INVALIDENTITY", message));
    }
    if let Some(what) = unable(&tree) {
        let message = format!("{what} not supported in Bulk Query");
        return Err(RestError::new(400, "FUNCTIONALITY_NOT_ENABLED", message));
    }
    let plan = soql::prepare(query, scope).map_err(refused)?;
    Ok(plan.object)
}

/// What a query has that no bulk query may have (facts: Salesforce changes E4).
fn unable(query: &Query) -> Option<&'static str> {
    if query.offset.is_some() {
        return Some("Offset");
    }
    if !query.group.is_empty() {
        return Some("Group By");
    }
    query.select.iter().find_map(|item| match item {
        Item::Field(name, _) | Item::Shown(_, name, _) => {
            let is_compound = |name: &String| name.to_ascii_lowercase().ends_with("address");
            name.parts
                .last()
                .is_some_and(is_compound)
                .then_some("Selecting compound data")
        }
        Item::TypeOf(_) => Some("TYPEOF"),
        Item::Count | Item::Aggregate(..) => Some("Aggregate Relationships"),
        Item::Fields(_) => Some("FIELDS function"),
        Item::Children(_) => Some("Nested Query"),
    })
}

fn charge_job(call: &Call<'_>) -> Result<(), RestError> {
    let world = call.core.world();
    let limits = &world.switches.bulk;
    let mut runtime = call.core.runtime();
    let made = runtime.bulk.made.entry(call.org_id.clone()).or_default();
    let used = made.used(call.now);
    if used >= limits.jobs_a_day {
        let message = format!(
            "Max bulk v2 query jobs ({}) per 24 hrs has been reached ({used})",
            limits.jobs_a_day
        );
        return Err(RestError::new(400, "LIMIT_EXCEEDED", message));
    }
    made.add(call.now, 1);
    let stored = runtime
        .bulk
        .kilobytes
        .entry(call.org_id.clone())
        .or_default();
    if stored.used(call.now) >= limits.kilobytes_a_day {
        let message = format!(
            "Max bulk v2 query result size stored ({}) kb per 24 hrs has been exceeded",
            limits.kilobytes_a_day
        );
        return Err(RestError::new(400, "LIMIT_EXCEEDED", message));
    }
    Ok(())
}

fn list(call: &Call<'_>) -> Outcome {
    let runtime = call.core.runtime();
    let records: Vec<Json> = runtime.bulk.all_of(&call.username).map(detailed).collect();
    let body = json!({"done": true, "records": records, "nextRecordsUrl": null});
    Ok(Answer::json(200, body))
}

/// Answers with the state of a job, which moves on with each question. The query runs at the first.
fn poll(call: &Call<'_>, id: &str) -> Outcome {
    let switches = call.core.world().switches.bulk.clone();
    let mut job = find(call, id)?;
    if job.state.is_open() {
        job.polls += 1;
        job.changed = call.now;
        job.state = State::InProgress;
        if job.results.is_none() && switches.outcome == BulkOutcome::Complete {
            match run(call, &job)? {
                Ok(results) => job.results = Some(Arc::new(results)),
                Err(refused) => {
                    job.state = State::Failed;
                    job.error = Some(format!("{}: {}", refused.code, refused.message));
                }
            }
        }
        if job.state == State::InProgress && job.polls >= switches.polls {
            (job.state, job.error) = match switches.outcome {
                BulkOutcome::Complete => (State::JobComplete, None),
                BulkOutcome::Failed(text) => (State::Failed, Some(text)),
                BulkOutcome::FailedSilently => (State::Failed, None),
                BulkOutcome::Aborted => (State::Aborted, None),
                BulkOutcome::Endless => (State::InProgress, None),
            };
        }
        let mut runtime = call.core.runtime();
        if job.state == State::JobComplete {
            let kilobytes = job
                .results
                .as_ref()
                .map_or(0, |results| results.bytes() >> 10);
            let stored = runtime
                .bulk
                .kilobytes
                .entry(call.org_id.clone())
                .or_default();
            stored.add(call.now, kilobytes);
        }
        // It may be gone by now, or aborted.
        if let Some(kept) = runtime.bulk.of(&call.username, id)
            && kept.state.is_open()
        {
            *kept = job.clone();
        }
    }
    let mut body = detailed(&job);
    if !switches.counts_records
        && let Some(body) = body.as_object_mut()
    {
        body.remove("numberRecordsProcessed");
    }
    Ok(Answer::json(200, body))
}

fn find(call: &Call<'_>, id: &str) -> Result<Job, RestError> {
    let mut runtime = call.core.runtime();
    let job = runtime.bulk.of(&call.username, id).cloned();
    job.ok_or_else(RestError::not_found)
}

/// Runs the query and writes its rows down, in portions between which the org may change.
fn run(call: &Call<'_>, job: &Job) -> Result<Result<Results, RestError>, RestError> {
    let internal = |_| RestError::new(500, "UNKNOWN_EXCEPTION", "An unexpected error occurred.");
    let planned = call.read(job.all, |scope| {
        let refused = |error| RestError::query(error, &job.query, scope.switches);
        let plan = soql::prepare(&job.query, scope).map_err(refused)?;
        let columns = columns(&job.query, scope).map_err(refused)?;
        match project::run(&plan, scope) {
            Found::Rows(rows) => Ok((columns, rows)),
            _ => Err(RestError::not_found()),
        }
    })?;
    let (mut columns, rows) = match planned {
        Ok(planned) => planned,
        Err(refused) => return Ok(Err(refused)),
    };
    if number(&job.version) < ORDERED_VERSION {
        columns.sort_by(|(a, _), (b, _)| a.cmp(b));
    }
    let names: Vec<String> = columns.iter().map(|(name, _)| name.clone()).collect();
    let mut writer = Writer::new(job.form, &names).map_err(internal)?;
    for portion in rows.chunks(PORTION) {
        let written = call.read(job.all, |scope| {
            let table = scope.org.table(&job.object);
            let mut rows = portion
                .iter()
                .filter_map(|number| table.and_then(|table| table.row(*number)));
            rows.try_for_each(|row| {
                writer.row(columns.iter().map(|(_, path)| path.value(scope, row)))
            })
        })?;
        written.map_err(internal)?;
    }
    writer.finish().map(Ok).map_err(internal)
}

/// The columns of a query with their names, in its order.
fn columns(text: &str, scope: &Scope<'_>) -> Result<Vec<(String, Path)>, soql::QueryError> {
    let tree = soql::parse(text, scope.switches)?;
    let mut columns = Vec::new();
    let Some(object) = scope.org.schema.object(&tree.from) else {
        return Ok(columns);
    };
    let alias = tree.alias.as_deref();
    for item in &tree.select {
        let (Item::Field(name, _) | Item::Shown(_, name, _)) = item else {
            continue;
        };
        let found = path::resolve(name, alias, object, scope)?;
        let parts = path::strip(&name.parts, alias, object);
        let (_, parents) = parts.split_last().unwrap_or((&found.name, &[]));
        let mut label: String = parents.iter().flat_map(|part| [part, "."]).collect();
        label.push_str(&found.name);
        columns.push((label, found.path));
    }
    Ok(columns)
}

fn results(call: &Call<'_>, request: &Request, id: &str) -> Outcome {
    let job = find(call, id)?;
    let world = call.core.world();
    let switches = &world.switches.bulk;
    if job.version != call.version {
        let message = format!("The job was created with API version {}", job.version);
        return Err(RestError::new(409, "INVALIDVERSION", message));
    }
    let Some(results) = job.results.filter(|_| job.state == State::JobComplete) else {
        return match switches.not_ready_status {
            204 => Ok(Answer::empty(204)),
            status => {
                let message = format!("The job is {}: it has no results", job.state.name());
                Err(RestError::new(status, "INVALIDJOBSTATE", message))
            }
        };
    };
    let unknown = || RestError::new(400, switches.locator_code.as_str(), "invalid query locator");
    let opaque = number(&job.version) >= OPAQUE_VERSION;
    let from = match request.parameter("locator").filter(|text| !text.is_empty()) {
        None => 0,
        Some(text) => position(&text, opaque).ok_or_else(unknown)?,
    };
    let is_old = |life| call.now.duration_since(job.changed) >= life;
    if from > results.rows() || (from > 0 && switches.locator_life.is_some_and(is_old)) {
        return Err(unknown());
    }
    let wanted = match request.parameter("maxRecords") {
        None => switches.page_rows,
        Some(text) => {
            let most = text.parse::<usize>().ok().filter(|most| *most > 0);
            most.ok_or_else(|| invalid_job("maxRecords must be a positive number"))?
                .min(switches.page_rows)
        }
    };
    let to = from.saturating_add(wanted).min(results.rows());
    let locator = match to < results.rows() {
        true if opaque => STANDARD_NO_PAD.encode(to.to_string()),
        true => to.to_string(),
        false => "null".to_owned(),
    };
    let with_header = switches.empty_header || results.rows() > 0;
    let mut answer = Answer::text(200, "text/csv", bytes::Bytes::new()).with(LOCATOR, &locator);
    if switches.counts_rows {
        answer = answer.with(NUMBER_OF_RECORDS, &(to - from).to_string());
    }
    answer.rows = Some(Body::new(results, from, to, with_header));
    call.core.runtime().counters.rows_returned += (to - from) as u64;
    Ok(answer)
}

fn position(locator: &str, opaque: bool) -> Option<usize> {
    if !opaque {
        return locator.parse().ok();
    }
    let bytes = STANDARD_NO_PAD.decode(locator).ok()?;
    String::from_utf8(bytes).ok()?.parse().ok()
}

fn abort(call: &Call<'_>, request: &Request, id: &str) -> Outcome {
    let body = json_object(request)?;
    if body.get("state") != Some(&Json::from("Aborted")) {
        return Err(invalid_job("Only the state Aborted can be set"));
    }
    let mut runtime = call.core.runtime();
    let job = runtime.bulk.of(&call.username, id);
    let job = job.ok_or_else(RestError::not_found)?;
    if !job.state.is_open() {
        return Err(wrong_state(job));
    }
    job.state = State::Aborted;
    job.changed = call.now;
    Ok(Answer::json(200, detailed(job)))
}

fn delete(call: &Call<'_>, id: &str) -> Outcome {
    let job = find(call, id)?;
    if job.state == State::InProgress {
        return Err(wrong_state(&job));
    }
    call.core.runtime().bulk.remove(id);
    Ok(Answer::empty(204))
}

fn wrong_state(job: &Job) -> RestError {
    let message = format!("The job is in the state {}", job.state.name());
    RestError::new(400, "INVALIDJOBSTATE", message)
}

fn invalid_job(message: &str) -> RestError {
    RestError::new(400, "INVALIDJOB", message)
}

/// A job as its creation shows it.
fn shown(job: &Job) -> Json {
    json!({
        "id": job.id,
        "operation": if job.all { "queryAll" } else { "query" },
        "object": job.object,
        "createdById": job.user_id,
        "createdDate": json_datetime(job.created),
        "systemModstamp": json_datetime(job.changed),
        "state": job.state.name(),
        "concurrencyMode": "Parallel",
        "contentType": "CSV",
        "apiVersion": number(&job.version),
        "lineEnding": job.form.line_ending.0,
        "columnDelimiter": job.form.delimiter.0,
    })
}

/// A job as a question for it shows it.
fn detailed(job: &Job) -> Json {
    let mut body = shown(job);
    if let Some(map) = body.as_object_mut() {
        map.insert("jobType".into(), "V2Query".into());
        map.insert("retries".into(), 0.into());
        map.insert("isPkChunkingSupported".into(), true.into());
        if let (State::JobComplete, Some(results)) = (job.state, &job.results) {
            map.insert("numberRecordsProcessed".into(), results.rows().into());
            let took = job.changed.duration_since(job.created).as_millis();
            map.insert("totalProcessingTime".into(), json!(took as u64));
        }
        if let Some(error) = &job.error {
            map.insert("errorMessage".into(), error.as_str().into());
        }
    }
    body
}

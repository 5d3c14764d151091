//! `/query`, `/queryAll` and their further pages.

use std::sync::Arc;

use jiff::SignedDuration;
use serde_json::{Value as Json, json};

use super::{Call, Outcome, RestError};
use crate::core::Cursor;
use crate::message::{Answer, Request};
use crate::org::ids;
use crate::soql::project::{self, Answer as Found};
use crate::soql::{self, Plan, Scope};
use crate::switches::Switches;

/// Lifetime of a cursor (facts: Salesforce 1.3).
const CURSOR_LIFE: SignedDuration = SignedDuration::from_hours(48);

/// Runs a statement and answers with its first page.
pub(super) fn query(call: &Call<'_>, request: &Request, all: bool) -> Outcome {
    let text = request
        .parameter("q")
        .ok_or_else(|| RestError::new(400, "MALFORMED_QUERY", "SOQL statement is missing"))?;
    call.read(all, |scope| {
        let plan = soql::prepare(&text, scope)
            .map_err(|error| RestError::query(error, &text, scope.switches))?;
        let body = match project::run(&plan, scope) {
            Found::Count(count) => json!({"totalSize": count, "done": true, "records": []}),
            Found::Aggregate(rows) if rows.len() > scope.switches.batch_size => {
                let message = "Aggregate query does not support queryMore(), use LIMIT to restrict the results to a single batch";
                return Err(RestError::new(400, "EXCEEDED_ID_LIMIT", message));
            }
            Found::Aggregate(rows) => {
                json!({"totalSize": rows.len(), "done": true, "records": rows})
            }
            Found::Rows(rows) => {
                let size = batch_size(request, scope.switches);
                page(call, scope, Arc::new(plan), Arc::new(rows), 0, size, None)
            }
        };
        Ok(Answer::json(200, body))
    })?
}

/// Returns the page that a `nextRecordsUrl` names.
pub(super) fn more(call: &Call<'_>, request: &Request, locator: &str) -> Outcome {
    let unknown = || RestError::new(400, "INVALID_QUERY_LOCATOR", "invalid query locator");
    let (id, start) = locator.rsplit_once('-').ok_or_else(unknown)?;
    let start: usize = start.parse().map_err(|_| unknown())?;
    let cursor = {
        let runtime = call.core.runtime();
        let mine = |cursor: &&Cursor| cursor.id == id && cursor.username == call.username;
        runtime
            .cursors
            .iter()
            .find(mine)
            .cloned()
            .ok_or_else(unknown)?
    };
    if call.now.duration_since(cursor.opened) >= CURSOR_LIFE || start > cursor.rows.len() {
        return Err(unknown());
    }
    call.read(cursor.all, |scope| {
        let size = batch_size(request, scope.switches);
        let body = page(
            call,
            scope,
            cursor.plan,
            cursor.rows,
            start,
            size,
            Some(cursor.id),
        );
        Ok(Answer::json(200, body))
    })?
}

/// Builds one page. It opens a cursor when more rows remain, or keeps the existing one.
fn page(
    call: &Call<'_>,
    scope: &Scope<'_>,
    plan: Arc<Plan>,
    rows: Arc<Vec<u32>>,
    start: usize,
    size: usize,
    cursor: Option<String>,
) -> Json {
    let mut end = start.saturating_add(size).min(rows.len());
    let mut records = project::records(&plan, &rows[start..end], scope, &call.version);
    // Child rows count, too (facts: Salesforce 2.5). A record with more than a page of them still
    // comes whole.
    let mut room = size;
    let fitting = records.iter().take_while(|record| {
        let wanted = 1 + child_rows(record);
        let fits = wanted <= room || room == size;
        room = room.saturating_sub(wanted);
        fits
    });
    let fitting = fitting.count();
    records.truncate(fitting);
    end = end.min(start + fitting);
    let mut body = json!({"totalSize": rows.len(), "done": end == rows.len()});
    call.core.runtime().counters.rows_returned += records.len() as u64;
    if let Some(map) = body.as_object_mut() {
        if end < rows.len() {
            let id = cursor.unwrap_or_else(|| open(call, scope, &plan, &rows));
            map.insert(
                "nextRecordsUrl".into(),
                Json::from(format!("/services/data/v{}/query/{id}-{end}", call.version)),
            );
        }
        map.insert("records".into(), Json::from(records));
    }
    body
}

/// The number of rows of the sub-queries of a record.
fn child_rows(record: &Json) -> usize {
    let members = record
        .as_object()
        .into_iter()
        .flat_map(|record| record.values());
    let children = members.filter_map(|member| member.get("records")?.as_array());
    children.map(Vec::len).sum()
}

fn open(call: &Call<'_>, scope: &Scope<'_>, plan: &Arc<Plan>, rows: &Arc<Vec<u32>>) -> String {
    let mut runtime = call.core.runtime();
    let mine = |cursor: &Cursor| cursor.username == call.username;
    if runtime.cursors.iter().filter(|cursor| mine(cursor)).count() >= scope.switches.max_cursors
        && let Some(oldest) = runtime.cursors.iter().position(mine)
    {
        runtime.cursors.remove(oldest);
    }
    let id = ids::named_id("01g", &[&call.org_id, &rand::random::<u64>().to_string()]);
    runtime.cursors.push_back(Cursor {
        id: id.clone(),
        username: call.username.clone(),
        plan: Arc::clone(plan),
        rows: Arc::clone(rows),
        all: scope.all,
        opened: call.now,
    });
    id
}

/// The page size from `Sforce-Query-Options: batchSize=200`, within the limits.
fn batch_size(request: &Request, switches: &Switches) -> usize {
    let options = request.header("sforce-query-options").unwrap_or_default();
    let wanted = options
        .split([',', ';'])
        .filter_map(|option| option.split_once('='))
        .find_map(|(key, value)| {
            key.trim()
                .eq_ignore_ascii_case("batchSize")
                .then(|| value.trim().parse::<usize>().ok())
                .flatten()
        });
    let most = switches.batch_size.max(1);
    wanted.map_or(most, |size| {
        size.clamp(switches.min_batch_size.clamp(1, most), most)
    })
}

//! `/search` and `/parameterizedSearch`: the search index over phone fields.

use serde_json::{Value as Json, json};

use super::{Call, Outcome, RestError, json_object};
use crate::message::{Answer, Request};
use crate::org::Row;
use crate::org::table::system;
use crate::schema::{FieldIx, Kind, ObjectType, Value};
use crate::soql::project::{self, Answer as Found};
use crate::soql::{self, Scope};
use crate::sosl::{self, Term};

/// The most rows of a search (facts: Salesforce 2.6).
const MOST_ROWS: usize = 2_000;
/// The most rows of an object that has no LIMIT.
const MOST_OF_OBJECT: usize = 250;
/// From this length on a search text finds nothing.
const NOTHING_FROM: usize = 10_000;

/// `GET /search?q=FIND+{…}`.
pub(super) fn search(call: &Call<'_>, request: &Request) -> Outcome {
    let text = request.parameter("q").unwrap_or_default();
    call.read(false, |scope| {
        available(scope)?;
        let error = |error| RestError::query(error, &text, scope.switches);
        let search = sosl::parse(&text).map_err(error)?;
        let terms = sosl::alternatives(&search.text, scope.switches.search_text_limit);
        let terms = terms.map_err(error)?;
        let count = search.text.chars().count();
        let mut records = Vec::new();
        for (object, clauses) in &search.returning {
            // Fields and clauses are those of SOQL.
            let end = ["WHERE ", "ORDER BY ", "LIMIT "]
                .iter()
                .filter_map(|word| clauses.to_uppercase().find(word))
                .min()
                .unwrap_or(clauses.len());
            let (fields, clauses) = clauses.split_at(end);
            let soql = format!("SELECT {fields} FROM {object} {clauses}");
            let most = match clauses.to_uppercase().contains("LIMIT ") {
                true => MOST_ROWS,
                false => MOST_OF_OBJECT.min(MOST_ROWS / search.returning.len()),
            };
            if count <= NOTHING_FROM {
                records.extend(hits(
                    call,
                    scope,
                    &soql,
                    object,
                    &terms,
                    most,
                    &search.fields,
                )?);
            }
        }
        records.truncate(MOST_ROWS);
        answer(call, records)
    })?
}

/// `POST /parameterizedSearch`: no operators in `q`, so all its words must be there.
pub(super) fn parameterized(call: &Call<'_>, request: &Request) -> Outcome {
    let body = json_object(request)?;
    let text = |key: &str| body.get(key).and_then(Json::as_str).unwrap_or_default();
    let names = |value: Option<&Json>| -> Option<String> {
        let names = value?.as_array()?.iter().filter_map(Json::as_str);
        Some(names.collect::<Vec<_>>().join(","))
    };
    call.read(false, |scope| {
        available(scope)?;
        let words = text("q").split_whitespace().map(|word| {
            let plain: String = word
                .chars()
                .map(|c| {
                    if c.is_alphanumeric() || "*?".contains(c) {
                        c
                    } else {
                        ' '
                    }
                })
                .collect();
            Term::read(plain.trim())
        });
        let terms: Vec<Term> = words
            .collect::<Result<_, _>>()
            .map_err(|message| RestError::new(400, "MALFORMED_SEARCH", message))?;
        let terms = vec![terms];
        let objects = body
            .get("sobjects")
            .and_then(Json::as_array)
            .cloned()
            .unwrap_or_default();
        let number = |value: Option<&Json>| {
            value
                .and_then(Json::as_u64)
                .and_then(|n| usize::try_from(n).ok())
        };
        let mut records = Vec::new();
        for object in &objects {
            let name = object
                .get("name")
                .and_then(Json::as_str)
                .unwrap_or_default();
            let fields = names(object.get("fields")).or_else(|| names(body.get("fields")));
            let condition = object.get("where").and_then(Json::as_str);
            let condition = condition.map_or_else(String::new, |text| format!(" WHERE {text}"));
            let soql = format!(
                "SELECT {} FROM {name}{condition}",
                fields.as_deref().unwrap_or("Id")
            );
            let most = number(object.get("limit")).or_else(|| number(body.get("defaultLimit")));
            let most = most.unwrap_or(MOST_OF_OBJECT.min(MOST_ROWS / objects.len().max(1)));
            records.extend(hits(
                call,
                scope,
                &soql,
                name,
                &terms,
                most,
                &text("in").to_uppercase(),
            )?);
        }
        records.truncate(number(body.get("overallLimit")).unwrap_or(MOST_ROWS));
        answer(call, records)
    })?
}

fn available(scope: &Scope<'_>) -> Result<(), RestError> {
    match scope.switches.search_available {
        true => Ok(()),
        false => Err(RestError::not_found()),
    }
}

/// Before version 37.0 the records come without a wrapper.
fn answer(call: &Call<'_>, records: Vec<Json>) -> Outcome {
    call.core.runtime().counters.rows_returned += records.len() as u64;
    let version: f64 = call.version.parse().unwrap_or_default();
    let bare = version < 37.0;
    Ok(Answer::json(
        200,
        if bare {
            Json::from(records)
        } else {
            json!({"searchRecords": records})
        },
    ))
}

/// The records of an object that have one of the alternatives in a field.
fn hits(
    call: &Call<'_>,
    scope: &Scope<'_>,
    soql: &str,
    object: &str,
    alternatives: &[Vec<Term>],
    most: usize,
    fields: &str,
) -> Result<Vec<Json>, RestError> {
    let error = |error| RestError::query(error, soql, scope.switches);
    let plan = soql::prepare(soql, scope).map_err(error)?;
    let (Some(table), Some(kind)) = (
        scope.org.table(&plan.object),
        scope.org.schema.object(object),
    ) else {
        return Ok(Vec::new());
    };
    let searched = searched(scope, kind, fields);
    let Found::Rows(rows) = project::run(&plan, scope) else {
        return Ok(Vec::new());
    };
    let is_hit = |row: &Row| {
        is_indexed(scope, kind, row)
            && searched
                .iter()
                .filter_map(|ix| row.get(*ix).as_text())
                .any(|text| {
                    let has = |term: &Term| {
                        term.is_in(
                            text,
                            scope.switches.search_index,
                            scope.switches.search_folds_width,
                        )
                    };
                    alternatives.iter().any(|terms| terms.iter().all(has))
                })
    };
    let found = rows
        .into_iter()
        .filter(|number| table.row(*number).is_some_and(is_hit));
    let found: Vec<u32> = found.take(most).collect();
    Ok(project::records(&plan, &found, scope, &call.version))
}

/// The fields that a search looks into. Of a person account the contact's fields are not searched
/// (facts: Salesforce 5.4).
fn searched(scope: &Scope<'_>, object: &ObjectType, fields: &str) -> Vec<FieldIx> {
    let numbered = object.fields.iter().enumerate();
    numbered
        .filter(|(_, field)| {
            let wanted = match fields {
                "PHONE" => field.kind == Kind::Phone,
                "ALL" => field.kind.is_text(),
                _ => false,
            };
            wanted
                && !(object.name == "Account" && field.person)
                && scope.access.sees_field(scope.org, object, field)
        })
        .map(|(ix, _)| ix as FieldIx)
        .collect()
}

/// Whether the index has a row: it lags, and it never takes a converted lead (facts: Salesforce
/// changes D).
fn is_indexed(scope: &Scope<'_>, object: &ObjectType, row: &Row) -> bool {
    let converted = object
        .field("IsConverted")
        .is_some_and(|ix| *row.get(ix) == Value::Bool(true));
    let changed = match row.get(system::SYSTEM_MODSTAMP) {
        Value::DateTime(at) => *at,
        _ => return !converted,
    };
    !converted && scope.now.duration_since(changed) >= scope.switches.search_lag
}

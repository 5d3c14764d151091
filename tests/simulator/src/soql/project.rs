//! Converts rows to the JSON of the REST API.

use serde_json::{Map, Value as Json, json};

use super::plan::{Column, Plan, Shape};
use super::shown::shown;
use super::{Scope, eval};
use crate::org::Row;
use crate::schema::ObjectType;

/// The result of a query.
pub(crate) enum Answer {
    /// `COUNT()`.
    Count(usize),
    /// Aggregate rows.
    Aggregate(Vec<Json>),
    /// The numbers of the selected records.
    Rows(Vec<u32>),
}

/// Runs a plan.
pub(crate) fn run(plan: &Plan, scope: &Scope<'_>) -> Answer {
    let rows = eval::rows(plan, scope);
    match &plan.shape {
        Shape::Records(_) => Answer::Rows(rows),
        Shape::Count => Answer::Count(rows.len()),
        Shape::Aggregate(groups) => {
            let table = scope.org.table(&plan.object);
            let rows = rows.iter().filter_map(|number| table?.row(*number));
            Answer::Aggregate(groups.run(&rows.collect::<Vec<_>>(), scope))
        }
    }
}

/// Converts these rows to records; `version` is the version in the URL.
pub(crate) fn records(plan: &Plan, rows: &[u32], scope: &Scope<'_>, version: &str) -> Vec<Json> {
    let (Shape::Records(columns), Some(object)) =
        (&plan.shape, scope.org.schema.object(&plan.object))
    else {
        return Vec::new();
    };
    let table = scope.org.table(&plan.object);
    let rows = rows
        .iter()
        .filter_map(|number| table.and_then(|table| table.row(*number)));
    rows.map(|row| record(object, row, columns, scope, version))
        .collect()
}

/// The `attributes` of a record:
/// `{"type": "Contact", "url": "/services/data/v50.0/sobjects/Contact/003..."}`.
pub(crate) fn attributes(object: &ObjectType, id: &str, version: &str) -> Json {
    json!({"type": object.name, "url": format!("/services/data/v{version}/sobjects/{}/{id}", object.name)})
}

fn record(
    object: &ObjectType,
    row: &Row,
    columns: &[Column],
    scope: &Scope<'_>,
    version: &str,
) -> Json {
    let mut out = Map::with_capacity(columns.len() + 1);
    out.insert("attributes".into(), attributes(object, row.id(), version));
    for column in columns {
        match column {
            Column::Field(ix, name) => out.insert(name.clone(), row.get(*ix).to_json()),
            Column::Shown(how, ix, name) => {
                let value = shown(*how, row.get(*ix), scope);
                out.insert(name.clone(), value.to_json())
            }
            Column::Type => out.insert("Type".into(), Json::from(object.name)),
            Column::Parent(reference, name, targets) => {
                let id = row.get(*reference).as_text().unwrap_or_default();
                let parent = targets.iter().find_map(|(target, columns)| {
                    let found = scope.org.table(target)?.by_id(id)?;
                    let target = scope.org.schema.object(target)?;
                    Some(record(target, found, columns, scope, version))
                });
                out.insert(name.clone(), parent.unwrap_or(Json::Null))
            }
            Column::Children(name, through, plan) => {
                out.insert(name.clone(), children(row, *through, plan, scope, version))
            }
        };
    }
    Json::Object(out)
}

fn children(parent: &Row, through: u16, plan: &Plan, scope: &Scope<'_>, version: &str) -> Json {
    let Some(table) = scope.org.table(&plan.object) else {
        return Json::Null;
    };
    let points_here = |number: &u32| {
        table
            .row(*number)
            .is_some_and(|row| row.get(through).as_text() == Some(parent.id()))
    };
    let unlimited = Plan {
        limit: None,
        offset: 0,
        ..plan.clone()
    };
    let found = eval::rows(&unlimited, scope)
        .into_iter()
        .filter(points_here);
    let rows: Vec<u32> = found
        .skip(plan.offset as usize)
        .take(plan.limit.map_or(usize::MAX, |limit| limit as usize))
        .collect();
    if rows.is_empty() {
        return Json::Null;
    }
    let records = records(plan, &rows, scope, version);
    json!({"totalSize": records.len(), "done": true, "records": records})
}

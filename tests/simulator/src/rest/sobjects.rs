//! `/sobjects`: describe, and records, single or as collections.

use http::{HeaderName, Method, header};
use jiff::Timestamp;
use jiff::fmt::rfc2822;
use serde_json::{Map, Value as Json, json};

use super::{Call, Outcome, RestError, json_object};
use crate::message::{Answer, Request};
use crate::org::access::Access;
use crate::org::{Org, Row, Writer, ids};
use crate::schema::{ObjectType, Value, describe as schema_describe};
use crate::soql::Scope;
use crate::soql::project::attributes;

const MAX_COLLECTION: usize = 200;
/// The first version with collections (facts: Salesforce 2.7).
const FIRST_COLLECTIONS: f64 = 42.0;

/// `GET /sobjects`.
pub(super) fn describe_global(call: &Call<'_>) -> Outcome {
    call.read(false, |scope| {
        let visible = scope
            .org
            .schema
            .objects()
            .filter(|object| scope.access.sees_object(scope.org, object));
        let list: Vec<Json> = visible
            .map(|object| schema_describe::brief(object, scope.access, &call.version))
            .collect();
        Answer::json(
            200,
            json!({"encoding": "UTF-8", "maxBatchSize": 200, "sobjects": list}),
        )
    })
}

/// `GET /sobjects/Contact`.
pub(super) fn basic(call: &Call<'_>, object: &str) -> Outcome {
    call.read(false, |scope| {
        let object = visible(scope, object)?;
        let brief = schema_describe::brief(object, scope.access, &call.version);
        Ok(Answer::json(
            200,
            json!({"objectDescribe": brief, "recentItems": []}),
        ))
    })?
}

/// `GET /sobjects/Contact/describe`; 304 when nothing has changed since the client's date.
pub(super) fn describe(call: &Call<'_>, request: &Request, object: &str) -> Outcome {
    let changed = call.core.world().changed();
    let last_modified = http_date(changed);
    let since = request
        .header("if-modified-since")
        .and_then(parse_http_date);
    call.read(false, |scope| {
        let object = visible(scope, object)?;
        if since.is_some_and(|since| changed.as_second() <= since.as_second()) {
            return Ok(Answer::empty(304).with(header::LAST_MODIFIED, &last_modified));
        }
        let full = schema_describe::full(scope.org, object, scope.access, &call.version);
        Ok(Answer::json(200, full).with(header::LAST_MODIFIED, &last_modified))
    })?
}

fn http_date(at: Timestamp) -> String {
    at.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

fn parse_http_date(text: &str) -> Option<Timestamp> {
    rfc2822::parse(text).ok().map(|zoned| zoned.timestamp())
}

pub(super) fn visible<'a>(scope: &Scope<'a>, name: &str) -> Result<&'a ObjectType, RestError> {
    let object = scope
        .org
        .schema
        .object(name)
        .filter(|object| scope.access.sees_object(scope.org, object));
    object.ok_or_else(RestError::not_found)
}

/// `POST /sobjects/Task`.
pub(super) fn create(call: &Call<'_>, request: &Request, object: &str) -> Outcome {
    let map = json_object(request)?;
    let id = call.write(|org, access| insert(org, access, object, &map, call.now))??;
    let location = format!("/services/data/v{}/sobjects/{object}/{id}", call.version);
    Ok(
        Answer::json(201, json!({"id": id, "success": true, "errors": []}))
            .with(header::LOCATION, &location),
    )
}

fn insert(
    org: &mut Org,
    access: &Access,
    object: &str,
    map: &Map<String, Json>,
    now: Timestamp,
) -> Result<String, RestError> {
    let schema = org.schema.clone();
    let object = schema
        .object(object)
        .filter(|object| access.sees_object(org, object))
        .ok_or_else(RestError::not_found)?;
    if !access.on(object.name).create || !object.stored {
        return Err(RestError::new(
            403,
            "INSUFFICIENT_ACCESS",
            "insufficient access rights on object id",
        ));
    }
    if object.name == "Task" {
        check_relations(org, access, map)?;
    }
    org.create(object.name, map, &Writer::user(now, access))
        .map_err(RestError::refusal)
}

/// Checks to whom and to what a task belongs. The codes are those that clients know; which of them
/// comes when is not known.
fn check_relations(org: &Org, access: &Access, map: &Map<String, Json>) -> Result<(), RestError> {
    let refuse = |code: &str, message: &str, field: &str| {
        Err(RestError {
            fields: Some(vec![field.to_owned()]),
            ..RestError::new(400, code, message)
        })
    };
    let given = |name: &str| {
        map.get(name)
            .and_then(Json::as_str)
            .filter(|id| ids::is_id(id))
    };
    for (field, label, objects) in [
        ("WhoId", "Name", ["Contact", "Lead"].as_slice()),
        ("WhatId", "Related To", &["Account"]),
    ] {
        let Some(id) = given(field) else { continue };
        let object = org.schema.object_of_id(id);
        let Some(object) = object.filter(|object| objects.contains(&object.name)) else {
            let message = format!("{label} ID: id value of incorrect type: {id}");
            return refuse("FIELD_INTEGRITY_EXCEPTION", &message, field);
        };
        let row = org.table(object.name).and_then(|table| table.by_id(id));
        match row {
            None => {
                let message = "invalid cross reference id";
                return refuse("INVALID_CROSS_REFERENCE_KEY", message, field);
            }
            Some(row) if row.deleted => {
                return refuse("ENTITY_IS_DELETED", "entity is deleted", field);
            }
            Some(row) if !access.sees_row(org, object, row) => {
                let message = "insufficient access rights on cross-reference id";
                return refuse(
                    "INSUFFICIENT_ACCESS_ON_CROSS_REFERENCE_ENTITY",
                    message,
                    field,
                );
            }
            Some(row) => {
                let converted = object.field("IsConverted").map(|ix| row.get(ix));
                if converted == Some(&Value::Bool(true)) {
                    let message = "cannot reference converted lead";
                    return refuse("CANNOT_UPDATE_CONVERTED_LEAD", message, field);
                }
                if object.name == "Lead" && given("WhatId").is_some() {
                    let message = "Related To must be empty for a task of a lead";
                    return refuse("FIELD_INTEGRITY_EXCEPTION", message, "WhatId");
                }
            }
        }
    }
    Ok(())
}

/// Handles GET, PATCH and DELETE of one record.
pub(super) fn record(
    call: &Call<'_>,
    request: &Request,
    object: &str,
    id: &str,
) -> (&'static str, Outcome) {
    if request.method == Method::GET || request.method == Method::HEAD {
        return ("retrieve", retrieve(call, request, object, id));
    }
    if request.method == Method::PATCH {
        let outcome = json_object(request).and_then(|map| {
            call.write(|org, access| update(org, access, object, id, &map, call.now))?
                .map(|()| Answer::empty(204))
        });
        return ("update", outcome);
    }
    if request.method == Method::DELETE {
        let outcome = call.write(|org, access| delete(org, access, object, id, call.now));
        return (
            "delete",
            outcome.and_then(|done| done.map(|()| Answer::empty(204))),
        );
    }
    (
        "refusedMethod",
        Err(RestError::method_not_allowed(&request.method)),
    )
}

fn malformed_id(object: &ObjectType, id: &str) -> RestError {
    let message = format!("{} ID: id value of incorrect type: {id}", object.label);
    RestError {
        fields: Some(vec!["Id".into()]),
        ..RestError::new(400, "MALFORMED_ID", message)
    }
}

/// Finds the row with this id, if the user can see it.
fn find<'a>(
    org: &'a Org,
    access: &Access,
    object: &ObjectType,
    id: &str,
) -> Result<&'a Row, RestError> {
    if !ids::is_id(id) || (object.stored && !id.starts_with(object.prefix)) {
        return Err(malformed_id(object, id));
    }
    let row = org.table(object.name).and_then(|table| table.by_id(id));
    row.filter(|row| !row.deleted && access.sees_row(org, object, row))
        .ok_or_else(RestError::not_found)
}

fn retrieve(call: &Call<'_>, request: &Request, object: &str, id: &str) -> Outcome {
    call.read(false, |scope| {
        let object = visible(scope, object)?;
        let row = find(scope.org, scope.access, object, id)?;
        let mut out = Map::new();
        out.insert(
            "attributes".into(),
            attributes(object, row.id(), &call.version),
        );
        let seen = |name: &str| {
            let field = object
                .field(name)
                .and_then(|ix| object.at(ix).map(|field| (ix, field)));
            field.filter(|(_, field)| scope.access.sees_field(scope.org, object, field))
        };
        let names: Vec<String> = match request.parameter("fields") {
            Some(list) => list.split(',').map(|name| name.trim().to_owned()).collect(),
            None => object
                .fields
                .iter()
                .map(|field| field.name.clone())
                .filter(|name| seen(name).is_some())
                .collect(),
        };
        for name in names {
            let Some((ix, field)) = seen(&name) else {
                let message = format!("No such column '{name}' on sobject of type {}", object.name);
                return Err(RestError::new(400, "INVALID_FIELD", message));
            };
            out.insert(field.name.clone(), row.get(ix).to_json());
        }
        Ok(Answer::json(200, Json::Object(out)))
    })?
}

fn changeable<'a>(
    org: &Org,
    access: &Access,
    object: &'a ObjectType,
    id: &str,
) -> Result<&'a ObjectType, RestError> {
    let deleted = org.table(object.name).and_then(|table| table.by_id(id));
    if deleted.is_some_and(|row| row.deleted && !row.purged) {
        return Err(RestError {
            fields: Some(Vec::new()),
            ..RestError::new(404, "ENTITY_IS_DELETED", "entity is deleted")
        });
    }
    let row = find(org, access, object, id)?;
    let converted = object.field("IsConverted").map(|ix| row.get(ix));
    if converted == Some(&Value::Bool(true)) {
        return Err(RestError {
            fields: Some(Vec::new()),
            ..RestError::new(
                400,
                "CANNOT_UPDATE_CONVERTED_LEAD",
                "cannot reference converted lead",
            )
        });
    }
    if !access.edits_row(org, object, row) {
        let message = "insufficient access rights on object id";
        return Err(RestError::new(
            400,
            "INSUFFICIENT_ACCESS_OR_READONLY",
            message,
        ));
    }
    Ok(object)
}

fn update(
    org: &mut Org,
    access: &Access,
    object: &str,
    id: &str,
    map: &Map<String, Json>,
    now: Timestamp,
) -> Result<(), RestError> {
    let schema = org.schema.clone();
    let object = schema
        .object(object)
        .filter(|o| access.sees_object(org, o))
        .ok_or_else(RestError::not_found)?;
    changeable(org, access, object, id)?;
    org.modify(id, map, &Writer::user(now, access))
        .map_err(RestError::refusal)
}

fn delete(
    org: &mut Org,
    access: &Access,
    object: &str,
    id: &str,
    now: Timestamp,
) -> Result<(), RestError> {
    let schema = org.schema.clone();
    let object = schema
        .object(object)
        .filter(|o| access.sees_object(org, o))
        .ok_or_else(RestError::not_found)?;
    changeable(org, access, object, id)?;
    let row = org.table(object.name).and_then(|table| table.by_id(id));
    let is_person = object.field("IsPersonAccount").zip(row);
    let is_person = is_person.map(|(ix, row)| row.get(ix)) == Some(&Value::Bool(true));
    if object.name == "Contact" && is_person {
        // It goes with its account (facts: Salesforce 5.4); code and words are not known.
        let message = "a person contact cannot be deleted";
        return Err(RestError {
            fields: Some(Vec::new()),
            ..RestError::new(400, "DELETE_FAILED", message)
        });
    }
    if org.at(now).delete(id) {
        Ok(())
    } else {
        Err(RestError::not_found())
    }
}

/// `POST`, `PATCH` and `DELETE /composite/sobjects`: up to 200 records for one call.
pub(super) fn collections(call: &Call<'_>, request: &Request, rest: &[&str]) -> Outcome {
    let version: f64 = call.version.parse().unwrap_or_default();
    if !rest.is_empty() || version < FIRST_COLLECTIONS {
        return Err(RestError::not_found());
    }
    let now = call.now;
    if request.method == Method::DELETE {
        let list = request.parameter("ids").unwrap_or_default();
        let list: Vec<&str> = list.split(',').filter(|id| !id.is_empty()).collect();
        return several(
            call,
            &list,
            request.parameter("allOrNone").as_deref() == Some("true"),
            |org, access, id| {
                let name = org
                    .schema
                    .object_of_id(id)
                    .map(|object| object.name)
                    .ok_or_else(RestError::not_found)?;
                delete(org, access, name, id, now).map(|()| (*id).to_owned())
            },
        );
    }
    let body = json_object(request)?;
    let records = body
        .get("records")
        .and_then(Json::as_array)
        .cloned()
        .unwrap_or_default();
    let all_or_none = body.get("allOrNone") == Some(&Json::Bool(true));
    let patch = request.method == Method::PATCH;
    if !patch && request.method != Method::POST {
        return Err(RestError::method_not_allowed(&request.method));
    }
    several(call, &records, all_or_none, |org, access, record| {
        let kind = record
            .pointer("/attributes/type")
            .and_then(Json::as_str)
            .unwrap_or_default();
        let mut map = record.as_object().cloned().unwrap_or_default();
        if !patch {
            return insert(org, access, kind, &map, now);
        }
        let id = map.remove("Id").or_else(|| map.remove("id"));
        let id = id.as_ref().and_then(Json::as_str).unwrap_or_default();
        update(org, access, kind, id, &map, now).map(|()| id.to_owned())
    })
}

fn several<T>(
    call: &Call<'_>,
    items: &[T],
    all_or_none: bool,
    each: impl Fn(&mut Org, &Access, &T) -> Result<String, RestError>,
) -> Outcome {
    if items.len() > MAX_COLLECTION {
        let message = format!(
            "record limit reached. cannot submit more than {MAX_COLLECTION} records in this operation"
        );
        return Err(RestError::new(400, "LIMIT_EXCEEDED", message));
    }
    let results = call.write(|org, access| {
        let before = all_or_none.then(|| org.tables.clone());
        let results: Vec<_> = items.iter().map(|item| each(org, access, item)).collect();
        match before {
            Some(before) if results.iter().any(Result::is_err) => {
                org.tables = before;
                let undone = |_| {
                    let message = "Record rolled back because not all records were valid and the request was using AllOrNone header";
                    Err(RestError::new(400, "ALL_OR_NONE_OPERATION_ROLLED_BACK", message))
                };
                results.into_iter().map(|result| result.and_then(undone)).collect()
            }
            _ => results,
        }
    })?;
    let results: Vec<Json> = results
        .into_iter()
        .map(|result| match result {
            Ok(id) => json!({"id": id, "success": true, "errors": []}),
            Err(error) => json!({
                "success": false,
                "errors": [{"statusCode": error.code, "message": error.message, "fields": error.fields.unwrap_or_default()}],
            }),
        })
        .collect();
    Ok(Answer::json(200, Json::from(results))
        .with(HeaderName::from_static("vary"), "Accept-Encoding"))
}

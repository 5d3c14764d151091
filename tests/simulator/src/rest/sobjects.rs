//! `/sobjects`: describe, and single records.

use http::{Method, header};
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

pub(super) fn insert(
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
pub(super) fn find<'a>(
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
    let fields = request.parameter("fields");
    let fields = fields.as_deref().map(listed);
    call.read(false, |scope| {
        let object = visible(scope, object)?;
        let row = find(scope.org, scope.access, object, id)?;
        let out = fields_of(call, scope, object, row, fields.as_deref())?;
        Ok(Answer::json(200, out))
    })?
}

pub(super) fn listed(list: &str) -> Vec<String> {
    let names = list
        .split(',')
        .map(str::trim)
        .filter(|name| !name.is_empty());
    names.map(str::to_owned).collect()
}

/// The fields of a row with these names; all that the user sees where none are named.
pub(super) fn fields_of(
    call: &Call<'_>,
    scope: &Scope<'_>,
    object: &ObjectType,
    row: &Row,
    fields: Option<&[String]>,
) -> Result<Json, RestError> {
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
    let all = || {
        let names = object.fields.iter().map(|field| field.name.clone());
        names.filter(|name| seen(name).is_some()).collect()
    };
    for name in fields.map_or_else(all, <[String]>::to_vec) {
        let Some((ix, field)) = seen(&name) else {
            let message = format!("No such column '{name}' on sobject of type {}", object.name);
            return Err(RestError::new(400, "INVALID_FIELD", message));
        };
        out.insert(field.name.clone(), row.get(ix).to_json());
    }
    Ok(Json::Object(out))
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

pub(super) fn update(
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

pub(super) fn delete(
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

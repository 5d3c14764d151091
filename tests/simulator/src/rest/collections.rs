//! `/composite/sobjects`: many records for one call.

use http::{HeaderName, Method};
use serde_json::{Value as Json, json};

use super::sobjects::{delete, fields_of, find, insert, listed, update, visible};
use super::{Call, Outcome, RestError, json_object};
use crate::message::{Answer, Request};
use crate::org::Org;
use crate::org::access::Access;

const MAX_COLLECTION: usize = 200;
/// How many records a collection reads at most (D: 2,000 by POST; a URL ends at some 800).
const MAX_RETRIEVED: usize = 2_000;
/// The first version with collections (facts: Salesforce 2.7).
const FIRST_COLLECTIONS: f64 = 42.0;

/// `POST`, `PATCH` and `DELETE /composite/sobjects`: up to 200 records for one call; `GET` and
/// `POST /composite/sobjects/Contact` read records.
pub(super) fn collections(call: &Call<'_>, request: &Request, rest: &[&str]) -> Outcome {
    let version: f64 = call.version.parse().unwrap_or_default();
    if version < FIRST_COLLECTIONS {
        return Err(RestError::not_found());
    }
    match rest {
        [] => {}
        [object] => return retrieve_several(call, request, object),
        _ => return Err(RestError::not_found()),
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

/// Reads records by their Ids, in their order; null for one that is not there (U: what comes for
/// one of another object).
fn retrieve_several(call: &Call<'_>, request: &Request, object: &str) -> Outcome {
    let (ids, fields) = if request.method == Method::POST {
        let body = json_object(request)?;
        let texts = |name: &str| -> Vec<String> {
            let all = body
                .get(name)
                .and_then(Json::as_array)
                .into_iter()
                .flatten();
            all.filter_map(|text| text.as_str().map(str::to_owned))
                .collect()
        };
        (texts("ids"), texts("fields"))
    } else if request.method == Method::GET || request.method == Method::HEAD {
        let list = |name: &str| request.parameter(name).as_deref().map(listed);
        (
            list("ids").unwrap_or_default(),
            list("fields").unwrap_or_default(),
        )
    } else {
        return Err(RestError::method_not_allowed(&request.method));
    };
    for (name, list) in [("ids", &ids), ("fields", &fields)] {
        if list.is_empty() {
            let message = format!("The required {name} parameter is missing");
            return Err(RestError::new(400, "MISSING_ARGUMENT", message));
        }
    }
    if ids.len() > MAX_RETRIEVED {
        let message = format!(
            "record limit reached. cannot submit more than {MAX_RETRIEVED} records in this operation"
        );
        return Err(RestError::new(400, "LIMIT_EXCEEDED", message));
    }
    call.read(false, |scope| {
        let object = visible(scope, object)?;
        let read = |id: &String| match find(scope.org, scope.access, object, id) {
            Ok(row) => fields_of(call, scope, object, row, Some(&fields)),
            Err(error) if error.code == "NOT_FOUND" => Ok(Json::Null),
            Err(error) => Err(error),
        };
        let records: Vec<Json> = ids.iter().map(read).collect::<Result<_, _>>()?;
        Ok(Answer::json(200, Json::from(records)))
    })?
}

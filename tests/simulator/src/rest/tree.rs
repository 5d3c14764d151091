//! `/composite/tree/Contact`: records that are created together or not at all, for one call
//! (facts: Salesforce 2.7). Children of records are not played.

use std::collections::BTreeSet;

use serde_json::{Value as Json, json};

use super::sobjects::insert;
use super::{Call, Outcome, RestError, json_object};
use crate::message::{Answer, Request};

const MAX_RECORDS: usize = 200;

pub(super) fn tree(call: &Call<'_>, request: &Request, object: &str) -> Outcome {
    let body = json_object(request)?;
    let records = body.get("records").and_then(Json::as_array);
    let records = records
        .filter(|records| !records.is_empty())
        .ok_or_else(|| {
            RestError::new(
                400,
                "INVALID_INPUT",
                "Must specify at least one record in the records list.",
            )
        })?;
    if records.len() > MAX_RECORDS {
        let message = format!("Cannot create more than {MAX_RECORDS} records in one request.");
        return Err(RestError::new(400, "INVALID_INPUT", message));
    }
    let reference = |record: &Json| {
        let id = record.pointer("/attributes/referenceId");
        id.and_then(Json::as_str).map(str::to_owned)
    };
    let mut references = BTreeSet::new();
    for record in records {
        let is_new = reference(record).is_some_and(|id| references.insert(id));
        let is_of_object = record.pointer("/attributes/type") == Some(&Json::from(object));
        let has_children = record.as_object().into_iter().flatten();
        let has_children = has_children
            .filter(|(name, _)| *name != "attributes")
            .any(|(_, value)| value.is_object());
        if !is_new || !is_of_object || has_children {
            let message = "Each record needs attributes with its type and a referenceId of its own; children are not played.";
            return Err(RestError::new(400, "INVALID_INPUT", message));
        }
    }
    let (results, refused) = call.write(|org, access| {
        let before = org.tables.clone();
        let mut results = Vec::new();
        let mut refused = Vec::new();
        for record in records {
            let reference = reference(record);
            let mut map = record.as_object().cloned().unwrap_or_default();
            map.remove("attributes");
            match insert(org, access, object, &map, call.now) {
                Ok(id) => results.push(json!({"referenceId": reference, "id": id})),
                Err(error) => refused.push(json!({
                    "referenceId": reference,
                    "errors": [{
                        "statusCode": error.code,
                        "message": error.message,
                        "fields": error.fields.unwrap_or_default(),
                    }],
                })),
            }
        }
        if !refused.is_empty() {
            org.tables = before;
        }
        (results, refused)
    })?;
    Ok(match refused.is_empty() {
        true => Answer::json(201, json!({"hasErrors": false, "results": results})),
        false => Answer::json(400, json!({"hasErrors": true, "results": refused})),
    })
}

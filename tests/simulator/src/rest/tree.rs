//! `/composite/tree/Account`: records with their children that are created together or not at all,
//! for one call (facts: Salesforce 2.7).

use std::collections::{BTreeSet, VecDeque};

use serde_json::{Map, Value as Json, json};

use super::sobjects::insert;
use super::{Call, Outcome, RestError, json_object};
use crate::message::{Answer, Request};
use crate::schema::Schema;

const MAX_RECORDS: usize = 200;
const MAX_OBJECTS: usize = 5;
const MAX_LEVELS: usize = 5;

/// A record that is to be created.
struct Node {
    object: String,
    reference: String,
    fields: Map<String, Json>,
    /// The position of its parent, and the field that refers to it.
    parent: Option<(usize, String)>,
}

pub(super) fn tree(call: &Call<'_>, request: &Request, object: &str) -> Outcome {
    let body = json_object(request)?;
    let schema = call.read(false, |scope| scope.org.schema.clone())?;
    let nodes = nodes(&schema, object, &body)?;
    let (results, refused) = call.write(|org, access| {
        let before = org.tables.clone();
        let mut ids: Vec<Option<String>> = Vec::with_capacity(nodes.len());
        let mut refused = Vec::new();
        for node in &nodes {
            let mut fields = node.fields.clone();
            if let Some((parent, field)) = &node.parent {
                // Without its parent it is not tried: the parent's refusal says it all.
                let Some(Some(id)) = ids.get(*parent) else {
                    ids.push(None);
                    continue;
                };
                fields.insert(field.clone(), Json::from(id.as_str()));
            }
            let created = insert(org, access, &node.object, &fields, call.now);
            ids.push(created.as_ref().ok().cloned());
            if let Err(error) = created {
                refused.push(json!({
                    "referenceId": node.reference,
                    "errors": [{
                        "statusCode": error.code,
                        "message": error.message,
                        "fields": error.fields.unwrap_or_default(),
                    }],
                }));
            }
        }
        if !refused.is_empty() {
            org.tables = before;
        }
        let results = nodes.iter().zip(ids);
        let results = results.map(|(node, id)| json!({"referenceId": node.reference, "id": id}));
        (results.collect::<Vec<_>>(), refused)
    })?;
    Ok(match refused.is_empty() {
        true => Answer::json(201, json!({"hasErrors": false, "results": results})),
        false => Answer::json(400, json!({"hasErrors": true, "results": refused})),
    })
}

/// The records level by level, as their results are told.
fn nodes(schema: &Schema, object: &str, body: &Map<String, Json>) -> Result<Vec<Node>, RestError> {
    let refuse = |message: String| Err(RestError::new(400, "INVALID_INPUT", message));
    let mut waiting = VecDeque::from([(object.to_owned(), body.get("records"), None, 1)]);
    let mut nodes: Vec<Node> = Vec::new();
    let (mut references, mut objects) = (BTreeSet::new(), BTreeSet::new());
    while let Some((object, records, parent, level)) = waiting.pop_front() {
        let records = records.and_then(Json::as_array);
        let Some(records) = records.filter(|records| !records.is_empty()) else {
            return refuse("Must specify at least one record in the records list.".to_owned());
        };
        objects.insert(object.to_ascii_lowercase());
        if level > MAX_LEVELS || objects.len() > MAX_OBJECTS {
            return refuse(format!(
                "A tree has at most {MAX_LEVELS} levels and records of at most {MAX_OBJECTS} objects."
            ));
        }
        for record in records {
            let text = |at: &str| record.pointer(at).and_then(Json::as_str);
            let reference = text("/attributes/referenceId").unwrap_or_default();
            let kind = text("/attributes/type").unwrap_or_default();
            let is_new = !reference.is_empty() && references.insert(reference.to_owned());
            if !is_new || !kind.eq_ignore_ascii_case(&object) {
                return refuse(format!(
                    "Each record needs attributes with its type, {object}, and a referenceId of its own."
                ));
            }
            let mut fields = Map::new();
            let members = record.as_object().into_iter().flatten();
            for (name, value) in members.filter(|(name, _)| *name != "attributes") {
                if !value.is_object() {
                    fields.insert(name.clone(), value.clone());
                    continue;
                }
                let child = schema.children(&object, name);
                let child = child.and_then(|(child, ix)| Some((child.name, child.at(ix)?)));
                let Some((child, field)) = child else {
                    return refuse(format!("{object} has no children {name}."));
                };
                let through = Some((nodes.len(), field.name.clone()));
                waiting.push_back((child.to_owned(), value.get("records"), through, level + 1));
            }
            nodes.push(Node {
                object: object.clone(),
                reference: reference.to_owned(),
                fields,
                parent: parent.clone(),
            });
            if nodes.len() > MAX_RECORDS {
                return refuse(format!(
                    "Cannot create more than {MAX_RECORDS} records in one request."
                ));
            }
        }
    }
    Ok(nodes)
}

//! `/composite`: up to 25 sub-requests, of which five may be queries, for one call; and
//! `/composite/graph`, whose graphs succeed whole or not at all.

use std::collections::{HashMap, HashSet};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use serde::Deserialize;
use serde_json::{Map, Value as Json, json};

use super::{Call, Outcome, RestError, check_version, route};
use crate::message::{Answer, Request, object, percent_decode};

/// Maximum number of sub-requests in one composite request (facts: Salesforce 2.7).
const MAX_REQUESTS: usize = 25;
/// Maximum number of queries and collections among them.
const MAX_QUERIES: usize = 5;
/// Maximum number of graphs, and of their nodes together (facts: Salesforce 2.7).
const MAX_GRAPHS: usize = 75;
const MAX_NODES: usize = 500;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Composite {
    #[serde(default)]
    all_or_none: bool,
    composite_request: Vec<SubRequest>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SubRequest {
    method: String,
    url: String,
    reference_id: String,
    #[serde(default)]
    http_headers: Map<String, Json>,
    #[serde(default)]
    body: Option<Json>,
}

impl SubRequest {
    /// Whether the sub-request refers to the answer of an earlier one.
    fn refers(&self) -> bool {
        self.url.contains("@{")
            || self
                .body
                .as_ref()
                .is_some_and(|body| body.to_string().contains("@{"))
    }
}

/// Runs the sub-requests in order.
pub(super) fn composite(call: &Call<'_>, request: &Request) -> Outcome {
    if call
        .version
        .parse::<f64>()
        .is_ok_and(|version| version < 38.0)
    {
        return Err(RestError::not_found());
    }
    let composite: Composite = serde_json::from_slice(&request.body)
        .map_err(|error| RestError::new(400, "JSON_PARSER_ERROR", error.to_string()))?;
    let subs = composite.composite_request;
    check(&subs)?;
    let counted = subs
        .iter()
        .filter(|sub| is_query(&sub.url) || sub.url.contains("/composite/sobjects"))
        .count();
    if counted > MAX_QUERIES {
        return Err(refused(format!(
            "Composite requests can have at most {MAX_QUERIES} query or collection subrequests"
        )));
    }
    if subs.len() > MAX_REQUESTS {
        return Err(refused(format!(
            "Composite requests can have at most {MAX_REQUESTS} subrequests, not {}",
            subs.len()
        )));
    }
    let queries = subs.iter().filter(|sub| is_query(&sub.url)).count() as u64;
    call.core.runtime().counters.composite_queries.push(queries);
    let (responses, _) = carry_out(call, request, subs, composite.all_or_none)?;
    Ok(Answer::json(
        200,
        object([("compositeResponse", Json::from(responses))]),
    ))
}

#[derive(Deserialize)]
struct Graphs {
    graphs: Vec<Graph>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Graph {
    graph_id: String,
    composite_request: Vec<SubRequest>,
}

/// Carries out graphs of sub-requests (facts: Salesforce 2.7). One that fails leaves the others.
pub(super) fn graph(call: &Call<'_>, request: &Request) -> Outcome {
    if call
        .version
        .parse::<f64>()
        .is_ok_and(|version| version < 50.0)
    {
        return Err(RestError::not_found());
    }
    let Graphs { graphs } = serde_json::from_slice(&request.body)
        .map_err(|error| RestError::new(400, "JSON_PARSER_ERROR", error.to_string()))?;
    let nodes: usize = graphs
        .iter()
        .map(|graph| graph.composite_request.len())
        .sum();
    if graphs.is_empty() || graphs.len() > MAX_GRAPHS || nodes > MAX_NODES {
        return Err(refused(format!(
            "A request has 1 to {MAX_GRAPHS} graphs and at most {MAX_NODES} nodes, not {} and {nodes}",
            graphs.len()
        )));
    }
    let mut known = HashSet::new();
    for graph in &graphs {
        if !known.insert(&graph.graph_id) {
            return Err(refused(format!("Duplicate graph id: {}", graph.graph_id)));
        }
        check(&graph.composite_request)?;
        let only_records = |sub: &SubRequest| sub.url.contains("/sobjects/");
        if !graph.composite_request.iter().all(only_records) {
            return Err(refused("Nodes of a graph are of sobjects".to_owned()));
        }
    }
    let mut answers = Vec::with_capacity(graphs.len());
    for graph in graphs {
        let (responses, failed) = carry_out(call, request, graph.composite_request, true)?;
        answers.push(json!({
            "graphId": graph.graph_id,
            "graphResponse": {"compositeResponse": responses},
            "isSuccessful": !failed,
        }));
    }
    Ok(Answer::json(200, json!({"graphs": answers})))
}

/// Runs sub-requests in order. Returns their responses, and whether one has failed.
fn carry_out(
    call: &Call<'_>,
    request: &Request,
    subs: Vec<SubRequest>,
    all_or_none: bool,
) -> Result<(Vec<Json>, bool), RestError> {
    let before = if all_or_none {
        Some(call.write(|org, _| org.tables.clone())?)
    } else {
        None
    };
    let mut answers: HashMap<String, Json> = HashMap::new();
    let mut responses = Vec::with_capacity(subs.len());
    let mut failed = false;
    // Answers are long, so a second copy is kept only when a later sub-request refers to one.
    let refers = subs.iter().any(SubRequest::refers);
    for sub in subs {
        let mut answer = run(call, request, &sub, &answers);
        failed |= answer.status.as_u16() >= 400;
        let body = embedded(&mut answer);
        if refers {
            answers.insert(sub.reference_id.clone(), body.clone());
        }
        responses.push(response(&answer, body, sub.reference_id));
    }
    if let Some(tables) = before.filter(|_| failed) {
        call.write(|org, _| org.tables = tables)?;
        roll_back(&mut responses);
    }
    Ok((responses, failed))
}

fn refused(message: String) -> RestError {
    RestError::new(400, "INVALID_INPUT", message)
}

fn check(subs: &[SubRequest]) -> Result<(), RestError> {
    let refuse = |message: String| Err(refused(message));
    if subs.is_empty() {
        return refuse("The composite request must have at least one subrequest".into());
    }
    for (position, sub) in subs.iter().enumerate() {
        let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
        if sub.reference_id.is_empty() || !sub.reference_id.chars().all(word) {
            return refuse(format!("Invalid reference id: {:?}", sub.reference_id));
        }
        if subs[..position]
            .iter()
            .any(|other| other.reference_id == sub.reference_id)
        {
            return refuse(format!("Duplicate reference id: {}", sub.reference_id));
        }
    }
    Ok(())
}

fn is_query(url: &str) -> bool {
    let path = url.split('?').next().unwrap_or(url);
    path.split('/').any(|segment| {
        segment.eq_ignore_ascii_case("query") || segment.eq_ignore_ascii_case("queryAll")
    })
}

fn run(
    call: &Call<'_>,
    outer: &Request,
    sub: &SubRequest,
    answers: &HashMap<String, Json>,
) -> Answer {
    match try_run(call, outer, sub, answers) {
        Ok(answer) => answer,
        Err(error) => error.answer(None),
    }
}

fn try_run(
    call: &Call<'_>,
    outer: &Request,
    sub: &SubRequest,
    answers: &HashMap<String, Json>,
) -> Outcome {
    let limit = call.core.world().switches.subrequest_uri_limit;
    if limit.is_some_and(|limit| sub.url.len() > limit) {
        return Ok(uri_too_long());
    }
    let url = substitute(&sub.url, answers, true)?;
    let (path, query) = url.split_once('?').unwrap_or((&url, ""));
    let segments: Vec<String> = path
        .split('/')
        .filter(|s| !s.is_empty())
        .map(percent_decode)
        .collect();
    let rest = match segments.as_slice() {
        [services, data, version, rest @ ..] if services == "services" && data == "data" => {
            check_version(version, &call.core.world())?;
            rest
        }
        _ => return Err(RestError::not_found()),
    };
    if rest.first().is_some_and(|first| {
        matches!(
            first.as_str(),
            "composite" | "search" | "parameterizedSearch" | "limits" | "jobs"
        )
    }) && rest.get(1).is_none_or(|second| second != "sobjects")
    {
        return Err(RestError::new(
            400,
            "INVALID_INPUT",
            format!("{path} is not supported in a composite request"),
        ));
    }
    let body = match &sub.body {
        Some(body) => Bytes::from(substitute(&body.to_string(), answers, false)?),
        None => Bytes::new(),
    };
    let method = Method::from_bytes(sub.method.as_bytes()).map_err(|_| RestError::not_found())?;
    let inner = Request {
        method,
        path: path.to_owned(),
        query: query.to_owned(),
        headers: headers(&sub.http_headers),
        body,
        host: outer.host.clone(),
        peer: outer.peer,
        in_flight: outer.in_flight,
    };
    route(call, &inner, rest).1
}

/// The answer with status 414, which is HTML (facts: Salesforce 2.5).
pub(crate) fn uri_too_long() -> Answer {
    Answer::text(
        414,
        "text/html;charset=iso-8859-1",
        "<h1>Bad Message 414</h1><pre>reason: URI Too Long</pre>",
    )
}

fn headers(map: &Map<String, Json>) -> HeaderMap {
    let pairs = map.iter().filter_map(|(name, value)| {
        let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
        Some((name, HeaderValue::from_str(value.as_str()?).ok()?))
    });
    pairs.collect()
}

/// Replaces `@{reference.path[0].field}` with values from the answers of earlier sub-requests.
fn substitute(
    text: &str,
    answers: &HashMap<String, Json>,
    in_url: bool,
) -> Result<String, RestError> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find("@{") {
        let Some(length) = rest[start..].find('}') else {
            break;
        };
        let expression = &rest[start + 2..start + length];
        let unknown = || {
            let message = format!("Invalid reference specified. No value for {expression} found");
            RestError::new(400, "PROCESSING_HALTED", message)
        };
        let pointer = format!(
            "/{}",
            expression
                .replace('[', ".")
                .replace(']', "")
                .replace('.', "/")
        );
        let (reference, path) = pointer[1..].split_once('/').ok_or_else(unknown)?;
        let value = answers
            .get(reference)
            .and_then(|body| body.pointer(&format!("/{path}")))
            .ok_or_else(unknown)?;
        out.push_str(&rest[..start]);
        let value = value
            .as_str()
            .map_or_else(|| value.to_string(), str::to_owned);
        if in_url {
            out.extend(url::form_urlencoded::byte_serialize(value.as_bytes()));
        } else {
            let quoted = Json::from(value).to_string();
            out.push_str(&quoted[1..quoted.len() - 1]);
        }
        rest = &rest[start + length + 1..];
    }
    out.push_str(rest);
    Ok(out)
}

fn embedded(answer: &mut Answer) -> Json {
    match answer.json.take() {
        Some(json) => json,
        None if answer.body.is_empty() => Json::Null,
        None => Json::from(String::from_utf8_lossy(&answer.body).into_owned()),
    }
}

fn response(answer: &Answer, body: Json, reference: String) -> Json {
    let headers = answer
        .headers
        .iter()
        .filter(|(name, _)| *name == http::header::LOCATION);
    let headers: Map<String, Json> = headers
        .filter_map(|(_, value)| Some(("Location".to_owned(), Json::from(value.to_str().ok()?))))
        .collect();
    object([
        ("body", body),
        ("httpHeaders", Json::Object(headers)),
        ("httpStatusCode", Json::from(answer.status.as_u16())),
        ("referenceId", Json::from(reference)),
    ])
}

fn roll_back(responses: &mut [Json]) {
    for response in responses {
        if response["httpStatusCode"]
            .as_u64()
            .is_some_and(|status| status < 400)
        {
            response["httpStatusCode"] = json!(400);
            response["httpHeaders"] = json!({});
            response["body"] = json!([{
                "errorCode": "PROCESSING_HALTED",
                "message": "The transaction was rolled back since another operation in the same transaction failed.",
            }]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_replaced() {
        let answers = HashMap::from([(
            "q".to_owned(),
            json!({"records": [{"Id": "003", "Name": "a \"b\""}]}),
        )]);
        assert_eq!(
            substitute("/x/@{q.records[0].Id}/y", &answers, true).unwrap(),
            "/x/003/y"
        );
        assert_eq!(
            substitute(r#"{"n":"@{q.records[0].Name}"}"#, &answers, false).unwrap(),
            r#"{"n":"a \"b\""}"#
        );
        assert_eq!(
            substitute("@{q.nope}", &answers, true).unwrap_err().code,
            "PROCESSING_HALTED"
        );
        assert_eq!(
            substitute("plain @ text", &answers, true).unwrap(),
            "plain @ text"
        );
    }
}

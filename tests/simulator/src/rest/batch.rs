//! `/composite/batch`: up to 25 sub-requests, each of which counts as a call.

use bytes::Bytes;
use http::Method;
use serde::Deserialize;
use serde_json::{Value as Json, json};

use super::{Call, Outcome, RestError, check_version, route};
use crate::message::{Answer, Request, object, percent_decode};

const MAX_REQUESTS: usize = 25;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Batch {
    #[serde(default)]
    halt_on_error: bool,
    batch_requests: Vec<SubRequest>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SubRequest {
    method: String,
    url: String,
    #[serde(default)]
    rich_input: Option<Json>,
}

/// Number of calls that the batch counts as.
pub(super) fn cost(body: &[u8]) -> u64 {
    serde_json::from_slice::<Batch>(body)
        .map_or(1, |batch| batch.batch_requests.len().max(1) as u64)
}

/// Runs the sub-requests in order.
pub(super) fn batch(call: &Call<'_>, request: &Request) -> Outcome {
    if call
        .version
        .parse::<f64>()
        .is_ok_and(|version| version < 34.0)
    {
        return Err(RestError::not_found());
    }
    let batch: Batch = serde_json::from_slice(&request.body)
        .map_err(|error| RestError::new(400, "JSON_PARSER_ERROR", error.to_string()))?;
    if batch.batch_requests.len() > MAX_REQUESTS {
        let message = format!("A batch can have at most {MAX_REQUESTS} requests");
        return Err(RestError::new(400, "LIMIT_EXCEEDED", message));
    }
    let mut results = Vec::with_capacity(batch.batch_requests.len());
    let mut failed = false;
    for sub in &batch.batch_requests {
        if failed && batch.halt_on_error {
            let skipped = RestError::new(
                412,
                "BATCH_PROCESSING_HALTED",
                "Batch processing halted per request",
            );
            results.push(json!({"statusCode": 412, "result": skipped.body()}));
            continue;
        }
        let answer = run(call, request, sub).unwrap_or_else(|error| error.answer(None));
        failed |= answer.status.as_u16() >= 400;
        results.push(object([
            ("statusCode", Json::from(answer.status.as_u16())),
            ("result", answer.json.unwrap_or_default()),
        ]));
    }
    Ok(Answer::json(
        200,
        object([
            ("hasErrors", Json::from(failed)),
            ("results", Json::from(results)),
        ]),
    ))
}

fn run(call: &Call<'_>, outer: &Request, sub: &SubRequest) -> Outcome {
    let (path, query) = sub.url.split_once('?').unwrap_or((&sub.url, ""));
    let segments: Vec<String> = path
        .split('/')
        .filter(|s| !s.is_empty())
        .map(percent_decode)
        .collect();
    // Accepts both `v50.0/limits` and `/services/data/v50.0/limits`.
    let below = match segments.as_slice() {
        [services, data, below @ ..] if services == "services" && data == "data" => below,
        below => below,
    };
    let [version, rest @ ..] = below else {
        return Err(RestError::not_found());
    };
    check_version(version, &call.core.world())?;
    if rest.first().is_some_and(|first| first == "composite") {
        return Err(RestError::not_found());
    }
    let inner = Request {
        method: Method::from_bytes(sub.method.as_bytes()).map_err(|_| RestError::not_found())?,
        path: path.to_owned(),
        query: query.to_owned(),
        headers: http::HeaderMap::new(),
        body: sub
            .rich_input
            .as_ref()
            .map_or_else(Bytes::new, |body| Bytes::from(body.to_string())),
        host: outer.host.clone(),
        peer: outer.peer,
        in_flight: outer.in_flight,
    };
    route(call, &inner, rest).1
}

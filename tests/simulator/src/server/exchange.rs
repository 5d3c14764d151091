//! One request and its answer, with latency, faults, limits and the log.

use std::convert::Infallible;
use std::io::{self, Read, Write};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use futures::stream::{self, StreamExt};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, header};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, Limited, StreamBody};
use hyper::body::{Frame, Incoming};

use super::flood;
use super::wire::Knife;
use crate::bulk::results::Body as Rows;
use crate::core::Core;
use crate::counters::LoggedRequest;
use crate::faults::{Effect, Fault, Traits, salesforce_error};
use crate::message::{Answer, Request};
use crate::rest::{self, Handled};
use crate::router::{self, ADMIN};

/// The largest body that is read, in bytes, compressed or not.
const BODY_LIMIT: usize = 64 << 20;
/// Bodies of at least this many bytes are compressed for clients that accept it.
const GZIP_FROM: usize = 1_024;

type Body = UnsyncBoxBody<Bytes, io::Error>;

/// Answers a request, or cuts the client connection.
pub(super) async fn answer(
    core: Arc<Core>,
    knife: Knife,
    peer: IpAddr,
    request: hyper::Request<Incoming>,
) -> Result<Response<Body>, io::Error> {
    let in_flight = core.enter();
    let (parts, incoming) = request.into_parts();
    let host = parts.uri.authority().map(ToString::to_string).or_else(|| {
        parts
            .headers
            .get(header::HOST)
            .and_then(|value| value.to_str().ok())
            .map(str::to_owned)
    });
    let mut request = Request {
        method: parts.method,
        path: parts.uri.path().to_owned(),
        query: parts.uri.query().unwrap_or_default().to_owned(),
        headers: parts.headers,
        body: Bytes::new(),
        host: host.unwrap_or_else(|| "localhost".to_owned()),
        peer,
        in_flight: in_flight.count(),
    };
    let uri_length = parts
        .uri
        .path_and_query()
        .map_or(0, |uri| uri.as_str().len());
    if let Some(refused) = too_long(&core, &request, uri_length) {
        return Ok(finish(&core, &request, Handled::new("tooLong", refused)));
    }
    match Limited::new(incoming, BODY_LIMIT).collect().await {
        Ok(collected) => request.body = unpack(&request, collected.to_bytes()),
        Err(error) => {
            let refused = Answer::text(413, "text/plain", error.to_string());
            return Ok(finish(&core, &request, Handled::new("tooLong", refused)));
        }
    }
    if request.path.split('/').nth(1) == Some(ADMIN) {
        // Tests control the simulator with this endpoint, so faults and latency do not apply to it.
        return Ok(finish(&core, &request, router::dispatch(&core, &request)));
    }
    let (user, org, latency) = known(&core, &request);
    let fault = {
        let traits = Traits {
            method: request.method.as_str(),
            path: &request.path,
            org: org.as_deref(),
            user: user.as_deref(),
            body: &request.body,
        };
        let mut runtime = core.runtime();
        let fault = runtime.faults.strike(&traits, core.clock.now());
        runtime.counters.faults += u64::from(fault.is_some());
        fault
    };
    pause(latency).await;
    match fault {
        None => Ok(finish(&core, &request, router::dispatch(&core, &request))),
        Some(fault) => struck(&core, &knife, &request, fault).await,
    }
}

async fn pause(ms: u64) {
    if ms > 0 {
        tokio::time::sleep(Duration::from_millis(ms)).await;
    }
}

/// The answers 414 and 431, by the sizes of URI and headers.
fn too_long(core: &Core, request: &Request, uri_length: usize) -> Option<Answer> {
    let world = core.world();
    if uri_length > world.switches.uri_limit {
        return Some(rest::uri_too_long());
    }
    let headers: usize = request
        .headers
        .iter()
        .map(|(name, value)| name.as_str().len() + value.len() + 4)
        .sum();
    (uri_length + headers > world.switches.header_limit).then(|| {
        Answer::text(
            431,
            "text/html;charset=iso-8859-1",
            "<h1>Bad Message 431</h1><pre>reason: Request Header Fields Too Large</pre>",
        )
    })
}

fn unpack(request: &Request, body: Bytes) -> Bytes {
    if request.header("content-encoding") != Some("gzip") {
        return body;
    }
    let mut out = Vec::new();
    match GzDecoder::new(body.as_ref())
        .take(BODY_LIMIT as u64)
        .read_to_end(&mut out)
    {
        Ok(_) => Bytes::from(out),
        // A body with an invalid encoding stays as it is; the endpoint refuses it.
        Err(_) => body,
    }
}

/// The user and org of the token, and the org's latency.
fn known(core: &Core, request: &Request) -> (Option<String>, Option<String>, u64) {
    let world = core.world();
    let session = rest::bearer(request).and_then(|token| {
        let runtime = core.runtime();
        let session = runtime
            .sessions
            .peek(token, core.clock.now(), world.switches.session_ttl);
        session.map(|session| session.username.clone())
    });
    let org = session
        .as_deref()
        .and_then(|username| world.user(username))
        .map(|(org, _)| org);
    // Without a known session, the latency of the first org applies.
    let latency = org
        .or_else(|| world.orgs.first())
        .map_or(0, |org| org.latency_ms);
    (session, org.map(|org| org.name.clone()), latency)
}

async fn struck(
    core: &Core,
    knife: &Knife,
    request: &Request,
    fault: Fault,
) -> Result<Response<Body>, io::Error> {
    let html = "<html><head><title>Service</title></head><body><h1>Please sign in to the network</h1></body></html>";
    let made = match &fault.effect {
        Effect::Status {
            status,
            body,
            content_type,
        } => {
            let mut answer = Answer::empty(*status);
            answer.body = Bytes::from(body.clone());
            Some(answer.with(header::CONTENT_TYPE, content_type))
        }
        Effect::Error(code) => Some(salesforce_error(code, request, &core.world().switches)),
        Effect::Html { status } => Some(Answer::text(*status, "text/html;charset=UTF-8", html)),
        Effect::Empty { status } => Some(Answer::empty(*status)),
        Effect::Json { status, body } => Some(Answer::json(*status, body.clone())),
        Effect::Garbage => Some(Answer::text(
            200,
            "application/json",
            vec![0xff, 0xfe, 0x00, 0x7b, 0x9d, 0x22, 0x0a],
        )),
        Effect::Redirect(to) => Some(Answer::empty(302).with(header::LOCATION, to)),
        Effect::GzipBomb { megabytes } => Some(bomb(*megabytes)),
        _ => None,
    };
    if let Some(answer) = made {
        let kind = if fault.after {
            router::dispatch(core, request).kind
        } else {
            "fault"
        };
        return Ok(finish(core, request, Handled::new(kind, answer)));
    }
    if let Effect::Flood {
        of,
        megabytes,
        status,
        gzip,
    } = fault.effect
    {
        log(core, request, "fault", None, status);
        let mut answer = Answer::empty(status).with(header::CONTENT_TYPE, flood::content_type(of));
        if gzip {
            answer = answer.with(header::CONTENT_ENCODING, "gzip");
        }
        let chunks = flood::chunks(of, megabytes << 20, &request.body);
        let chunks: flood::Chunks = match gzip {
            true => Box::new(flood::packed(chunks)),
            false => chunks,
        };
        let mut response = head(&answer, None);
        let frames = stream::iter(chunks.map(|chunk| Ok(Frame::data(chunk))));
        *response.body_mut() = BodyExt::boxed_unsync(StreamBody::new(frames));
        return Ok(response);
    }
    if fault.effect == Effect::Reset {
        let kind = if fault.after {
            router::dispatch(core, request).kind
        } else {
            "fault"
        };
        log(core, request, kind, None, 0);
        knife.cut();
        return Err(io::ErrorKind::ConnectionReset.into());
    }
    if let Effect::Delay { ms } = fault.effect
        && !fault.after
    {
        pause(ms).await;
    }
    let mut handled = router::dispatch(core, request);
    if let Effect::Delay { ms } = fault.effect
        && fault.after
    {
        pause(ms).await;
    }
    match &fault.effect {
        Effect::Part { at, status, body } => {
            let part = handled
                .answer
                .json
                .as_mut()
                .and_then(|answer| answer.get_mut("compositeResponse")?.get_mut(*at));
            if let Some(part) = part {
                part["httpStatusCode"] = (*status).into();
                part["body"] = body.clone();
            }
            Ok(finish(core, request, handled))
        }
        Effect::FewerRows { rows } => {
            let body = handled.answer.rows.take();
            handled.answer.rows = body.map(|body| body.without_last(*rows));
            Ok(finish(core, request, handled))
        }
        Effect::MissingHeader(name) => {
            let mut response = finish(core, request, handled);
            response.headers_mut().remove(name.as_str());
            Ok(response)
        }
        Effect::Truncated => {
            let bytes = handled.answer.bytes();
            log(
                core,
                request,
                handled.kind,
                handled.user.take(),
                handled.answer.status.as_u16(),
            );
            let half = bytes.slice(..bytes.len() / 2);
            let knife = knife.clone();
            let broken = stream::once(async move { Ok(Frame::data(half)) }).chain(stream::once(
                async move {
                    // The first half must be sent before the connection is cut.
                    tokio::time::sleep(Duration::from_millis(20)).await;
                    knife.cut();
                    Err(io::Error::from(io::ErrorKind::ConnectionReset))
                },
            ));
            let mut response = head(&handled.answer, Some(bytes.len()));
            *response.body_mut() = BodyExt::boxed_unsync(StreamBody::new(broken));
            Ok(response)
        }
        Effect::Drip {
            bytes: size,
            every_ms,
        } => {
            let bytes = handled.answer.bytes();
            log(
                core,
                request,
                handled.kind,
                handled.user.take(),
                handled.answer.status.as_u16(),
            );
            let every = Duration::from_millis(*every_ms);
            let drops: Vec<Bytes> = bytes
                .chunks((*size).max(1))
                .map(Bytes::copy_from_slice)
                .collect();
            let dripping = stream::iter(drops).then(move |drop| async move {
                tokio::time::sleep(every).await;
                Ok(Frame::data(drop))
            });
            let mut response = head(&handled.answer, Some(bytes.len()));
            *response.body_mut() = BodyExt::boxed_unsync(StreamBody::new(dripping));
            Ok(response)
        }
        _ => Ok(finish(core, request, handled)),
    }
}

/// Compressed filler that unpacks to about a thousand times its size.
fn bomb(megabytes: usize) -> Answer {
    let mut packer = GzEncoder::new(Vec::new(), Compression::best());
    let zeros = vec![b' '; 1 << 20];
    for _ in 0..megabytes {
        if packer.write_all(&zeros).is_err() {
            break;
        }
    }
    let packed = packer.finish().unwrap_or_default();
    Answer::text(200, "application/json;charset=UTF-8", packed)
        .with(header::CONTENT_ENCODING, "gzip")
}

/// Counts, logs and sends an answer.
fn finish(core: &Core, request: &Request, handled: Handled) -> Response<Body> {
    let answer = handled.answer;
    log(
        core,
        request,
        handled.kind,
        handled.user,
        answer.status.as_u16(),
    );
    let mut response = head(&answer, None);
    let accepts = request
        .header("accept-encoding")
        .is_some_and(|accepted| accepted.contains("gzip"));
    if request.method == Method::HEAD {
        // HTTP/2 takes a body after it for a fault of the protocol.
        return response;
    }
    if let Some(rows) = &answer.rows {
        *response.body_mut() = flowing(rows, accepts, response.headers_mut());
        return response;
    }
    let mut bytes = answer.bytes();
    if accepts && bytes.len() >= GZIP_FROM && !answer.headers.contains_key(header::CONTENT_ENCODING)
    {
        let mut packer = GzEncoder::new(Vec::with_capacity(bytes.len() / 8), Compression::fast());
        if let Ok(packed) = packer.write_all(&bytes).and_then(|()| packer.finish()) {
            bytes = Bytes::from(packed);
            response
                .headers_mut()
                .insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
    }
    *response.body_mut() = full(bytes);
    response
}

/// Rows that are sent while they are read, packed if the client takes that.
fn flowing(rows: &Rows, packed: bool, headers: &mut HeaderMap) -> Body {
    // What cannot be read ends the body early, which its row count gives away.
    let chunks: flood::Chunks = Box::new(rows.chunks().map_while(Result::ok));
    let chunks: flood::Chunks = match packed {
        true => {
            headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
            Box::new(flood::packed(chunks))
        }
        false => chunks,
    };
    let frames = stream::iter(chunks.map(|chunk| Ok(Frame::data(chunk))));
    BodyExt::boxed_unsync(StreamBody::new(frames))
}

fn full(bytes: Bytes) -> Body {
    BodyExt::boxed_unsync(Full::new(bytes).map_err(|never: Infallible| match never {}))
}

fn head(answer: &Answer, length: Option<usize>) -> Response<Body> {
    let mut response = Response::new(full(Bytes::new()));
    *response.status_mut() = answer.status;
    *response.headers_mut() = answer.headers.clone();
    if let Some(length) = length {
        response
            .headers_mut()
            .insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    }
    if answer.status != StatusCode::NOT_MODIFIED {
        response
            .headers_mut()
            .entry(header::VARY)
            .or_insert(HeaderValue::from_static("Accept-Encoding"));
    }
    response.headers_mut().insert(
        HeaderName::from_static("x-simulated"),
        HeaderValue::from_static("salesforce"),
    );
    response
}

fn log(core: &Core, request: &Request, kind: &str, user: Option<String>, status: u16) {
    if kind == "admin" {
        core.runtime().counters.requests -= 1;
        return;
    }
    let org = {
        let world = core.world();
        user.as_deref()
            .and_then(|name| world.user(name))
            .map(|(org, _)| org.name.clone())
    };
    let mut runtime = core.runtime();
    *runtime.counters.by_kind.entry(kind.to_owned()).or_default() += 1;
    *runtime.counters.by_status.entry(status).or_default() += 1;
    runtime.log.push(LoggedRequest {
        since_start: core.started.elapsed(),
        at: core.clock.now(),
        in_flight: request.in_flight,
        method: request.method.to_string(),
        path: request.path.clone(),
        status,
        user_agent: request.header("user-agent").map(str::to_owned),
        call_options: request.header("sforce-call-options").map(str::to_owned),
        org,
        user,
        kind: kind.to_owned(),
    });
}

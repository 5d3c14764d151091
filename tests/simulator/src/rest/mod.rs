//! The REST API: access checks, cost of calls, and routes.

mod batch;
mod bulk;
mod changes;
mod collections;
mod composite;
pub(crate) mod error;
mod info;
mod query;
mod search;
mod sobjects;
mod tree;

pub(crate) use composite::uri_too_long;
pub(crate) use error::RestError;
use http::{HeaderName, Method, header};
pub(crate) use info::versions;
use jiff::Timestamp;
use serde_json::Value as Json;

use crate::core::{Core, Runtime};
use crate::message::{Answer, Request};
use crate::org::access::Access;
use crate::org::sessions::Session;
use crate::org::{HostRole, Org, User, World};
use crate::soql::Scope;

/// The result of a request, for counters and log.
#[derive(Debug)]
pub(crate) struct Handled {
    pub(crate) answer: Answer,
    pub(crate) kind: &'static str,
    /// User name; `None` when it is unknown.
    pub(crate) user: Option<String>,
}

impl Handled {
    pub(crate) fn new(kind: &'static str, answer: Answer) -> Self {
        Self {
            answer,
            kind,
            user: None,
        }
    }
}

/// A call by a user who has permission to make it.
pub(crate) struct Call<'a> {
    pub(crate) core: &'a Core,
    pub(crate) username: String,
    pub(crate) org_id: String,
    /// API version without the `v`, such as `50.0`.
    pub(crate) version: String,
    pub(crate) now: Timestamp,
}

/// The answer of a resource.
pub(crate) type Outcome = Result<Answer, RestError>;

impl Call<'_> {
    /// Runs a function on the org with the user's rights.
    pub(crate) fn read<R>(
        &self,
        all: bool,
        run: impl FnOnce(&Scope<'_>) -> R,
    ) -> Result<R, RestError> {
        let world = self.core.world();
        let (org, user) = world
            .user(&self.username)
            .ok_or_else(RestError::invalid_session)?;
        let access = Access::of(org, user, &world.switches);
        Ok(run(&Scope {
            org,
            access: &access,
            switches: &world.switches,
            now: self.now,
            all,
        }))
    }

    /// Runs a function that may change the org.
    pub(crate) fn write<R>(
        &self,
        run: impl FnOnce(&mut Org, &Access) -> R,
    ) -> Result<R, RestError> {
        let mut world = self.core.world_mut();
        let access = match world.user(&self.username) {
            Some((org, user)) => Access::of(org, user, &world.switches),
            None => return Err(RestError::invalid_session()),
        };
        let org = world
            .org_mut(&self.org_id)
            .map_err(|_| RestError::invalid_session())?;
        Ok(run(org, &access))
    }
}

/// The token from `Authorization: Bearer ...` or `OAuth ...`.
pub(crate) fn bearer(request: &Request) -> Option<&str> {
    let (scheme, token) = request.header("authorization")?.split_once(' ')?;
    (scheme.eq_ignore_ascii_case("bearer") || scheme.eq_ignore_ascii_case("oauth"))
        .then(|| token.trim())
}

/// Checks that a version is served; it may be too new or retired.
pub(crate) fn check_version(segment: &str, world: &World) -> Result<String, RestError> {
    let version = segment.strip_prefix('v').ok_or_else(RestError::not_found)?;
    let number: f64 = version.parse().map_err(|_| RestError::not_found())?;
    let is_written = version.ends_with(".0") && !version.starts_with(['0', '+', '-']);
    if !is_written || number > world.switches.latest_version || number.fract() != 0.0 {
        return Err(RestError::not_found());
    }
    if number < world.switches.oldest_version {
        let message = "The requested resource is no longer available";
        return Err(RestError::new(
            410,
            world.switches.retired_code.as_str(),
            message,
        ));
    }
    Ok(version.to_owned())
}

/// Handles every request under `/services/data/vXX.X`.
pub(crate) fn handle(core: &Core, request: &Request, segments: &[String]) -> Handled {
    core.commit();
    let now = core.clock.now();
    let retry_after = core.world().switches.retry_after;
    let version = match check_version(segments.first().map_or("", String::as_str), &core.world()) {
        Ok(version) => version,
        Err(error) => {
            let answer = error.answer(retry_after);
            return Handled::new("version", with_usage(core, request, answer, now));
        }
    };
    let (call, refused) = match admit(core, request, version, now) {
        Ok(call) => (call, None),
        Err(refused) => match *refused {
            (Some(call), error) => (call, Some(error)),
            (None, error) => {
                let answer = error.answer(retry_after);
                return Handled::new("unauthorized", with_usage(core, request, answer, now));
            }
        },
    };
    let rest = &segments[1..];
    let (kind, cost, answer) = match refused {
        Some(error) => {
            let cost = u64::from(core.world().switches.count_refused_calls);
            ("refused", cost, error.answer(retry_after))
        }
        None => {
            let (kind, outcome) = match wrong_media(request) {
                Some(error) => ("refusedMedia", Err(error)),
                None => route(&call, request, rest),
            };
            let cost = if kind == "batch" {
                batch::cost(&request.body)
            } else {
                1
            };
            let answer = outcome.unwrap_or_else(|error| error.answer(retry_after));
            let free = answer.status.as_u16() >= 400 && !core.world().switches.count_failed_calls;
            (kind, if free { 0 } else { cost }, answer)
        }
    };
    let answer = settle(&call, kind, cost, answer);
    Handled {
        answer,
        kind,
        user: Some(call.username),
    }
}

/// Counts the call and reports the number of used calls to the client.
fn settle(call: &Call<'_>, kind: &'static str, cost: u64, answer: Answer) -> Answer {
    let world = call.core.world();
    let Some((org, user)) = world.user(&call.username) else {
        return answer;
    };
    let mut runtime = call.core.runtime();
    let used = charge(&mut runtime, org, user, kind, cost, call.now);
    let date = call.now.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
    with_limit_info(answer, &world, org, used).with(header::DATE, &date)
}

fn with_limit_info(answer: Answer, world: &World, org: &Org, used: u64) -> Answer {
    let allocation = org.allocation();
    let mut info = format!("api-usage={used}/{allocation}");
    if world.switches.long_limit_info {
        info.push_str(&format!(
            "; api-bursts=1/750; per-app-api-usage={used}/{allocation}(appName=Switchboard)"
        ));
    }
    answer.with(HeaderName::from_static("sforce-limit-info"), &info)
}

/// Tells what is used of the org of the host, or of the only one, to a client that is nobody there
/// (facts: Salesforce 2.2).
fn with_usage(core: &Core, request: &Request, answer: Answer, now: Timestamp) -> Answer {
    let world = core.world();
    let org = match (world.role(&request.host), world.orgs.as_slice()) {
        (HostRole::MyDomain(name), orgs) => orgs.iter().find(|org| org.name == *name),
        (_, [org]) => Some(org),
        _ => None,
    };
    let Some(org) = org else {
        return answer;
    };
    let mut runtime = core.runtime();
    let used = runtime.quotas.get_mut(&org.id).map(|quota| quota.used(now));
    with_limit_info(answer, &world, org, used.unwrap_or_default())
}

/// Adds the cost to quota and counters. Returns the number of used calls.
pub(crate) fn charge(
    runtime: &mut Runtime,
    org: &Org,
    user: &User,
    kind: &str,
    cost: u64,
    now: Timestamp,
) -> u64 {
    let quota = runtime.quotas.entry(org.id.clone()).or_default();
    if cost > 0 {
        quota.add(now, cost);
    }
    let used = quota.used(now);
    if cost > 0 {
        let counters = &mut runtime.counters;
        *counters
            .api_calls_by_org
            .entry(org.name.clone())
            .or_default() += cost;
        *counters
            .api_calls_by_user
            .entry(user.username.clone())
            .or_default() += cost;
        *counters
            .api_calls_by_kind
            .entry(kind.to_owned())
            .or_default() += cost;
    }
    used
}

/// Identifies the caller and checks its access. The refusal of a known user includes the call, for
/// the limit header.
fn admit<'a>(
    core: &'a Core,
    request: &Request,
    version: String,
    now: Timestamp,
) -> Result<Call<'a>, Box<(Option<Call<'a>>, RestError)>> {
    let world = core.world();
    let unknown = || Box::new((None, RestError::invalid_session()));
    let token = bearer(request).ok_or_else(unknown)?;
    let session = core
        .runtime()
        .sessions
        .touch(token, now, world.switches.session_ttl);
    let session = session.ok_or_else(unknown)?;
    let found = world
        .user(&session.username)
        .filter(|(_, user)| user.active && !user.frozen);
    let (org, user) = found.ok_or_else(unknown)?;
    let call = Call {
        core,
        username: user.username.clone(),
        org_id: org.id.clone(),
        version,
        now,
    };
    match refuse(core, &world, org, user, &session, now) {
        Some(error) => Err(Box::new((Some(call), error))),
        None => Ok(call),
    }
}

fn refuse(
    core: &Core,
    world: &World,
    org: &Org,
    user: &User,
    session: &Session,
    now: Timestamp,
) -> Option<RestError> {
    let access = Access::of(org, user, &world.switches);
    if org.maintenance {
        return Some(RestError::new(
            503,
            "SERVER_UNAVAILABLE",
            "We are performing maintenance. Try again later.",
        ));
    }
    if user.rest_session_refused || !session.for_rest {
        let message = "This session is not valid for use with the REST API";
        return Some(RestError::new(401, "INVALID_SESSION_ID", message));
    }
    if session.password_expired {
        let message = "The users password has expired, you must call SetPassword before attempting any other API operations";
        return Some(RestError::new(
            403,
            "INVALID_OPERATION_WITH_EXPIRED_PASSWORD",
            message,
        ));
    }
    if !org.api {
        let message = "The REST API is not enabled for this Organization.";
        return Some(RestError::new(403, "API_DISABLED_FOR_ORG", message));
    }
    if !access.may("ApiEnabled") {
        let status = world.switches.api_currently_disabled_status;
        return Some(RestError::new(
            status,
            "API_CURRENTLY_DISABLED",
            "API is disabled for this User",
        ));
    }
    let used = core
        .runtime()
        .quotas
        .entry(org.id.clone())
        .or_default()
        .used(now);
    if used >= org.allocation().saturating_add(org.overrun) {
        return Some(RestError::new(
            403,
            "REQUEST_LIMIT_EXCEEDED",
            world.switches.request_limit_message.as_str(),
        ));
    }
    None
}

/// Dispatches a path below the version to its resource.
pub(crate) fn route(
    call: &Call<'_>,
    request: &Request,
    rest: &[String],
) -> (&'static str, Outcome) {
    let path: Vec<&str> = rest.iter().map(String::as_str).collect();
    let get = request.method == Method::GET || request.method == Method::HEAD;
    match path.as_slice() {
        [] if get => ("resources", info::resources(call)),
        ["query"] if get => ("query", query::query(call, request, false)),
        ["queryAll" | "queryall"] if get => ("queryAll", query::query(call, request, true)),
        ["query" | "queryAll" | "queryall", locator] if get => {
            ("queryMore", query::more(call, request, locator))
        }
        ["search"] if get => ("search", search::search(call, request)),
        ["parameterizedSearch"] if request.method == Method::POST => {
            ("search", search::parameterized(call, request))
        }
        ["limits"] if get => ("limits", info::limits(call)),
        ["composite"] if request.method == Method::POST => {
            ("composite", composite::composite(call, request))
        }
        ["composite", "batch"] if request.method == Method::POST => {
            ("batch", batch::batch(call, request))
        }
        ["composite", "sobjects", rest @ ..] => {
            ("collections", collections::collections(call, request, rest))
        }
        ["composite", "tree", object] if request.method == Method::POST => {
            ("tree", tree::tree(call, request, object))
        }
        ["composite", "graph"] if request.method == Method::POST => {
            ("graph", composite::graph(call, request))
        }
        ["composite", "tree" | "graph", ..] => ("unknown", Err(RestError::not_found())),
        ["jobs", "query", rest @ ..] => bulk::route(call, request, rest),
        ["sobjects"] if get => ("describeGlobal", sobjects::describe_global(call)),
        ["sobjects", object] if get => ("sobject", sobjects::basic(call, object)),
        ["sobjects", object, "describe"] if get => {
            ("describe", sobjects::describe(call, request, object))
        }
        ["sobjects", object] if request.method == Method::POST => {
            ("create", sobjects::create(call, request, object))
        }
        ["sobjects", object, kind @ ("updated" | "deleted")] if get => (
            "replication",
            changes::changes(call, request, object, *kind == "deleted"),
        ),
        ["sobjects", object, id] => sobjects::record(call, request, object, id),
        ["sobjects", _, field, _] => {
            let message =
                format!("Provided external ID field does not exist or is not accessible: {field}");
            ("externalId", Err(RestError::new(404, "NOT_FOUND", message)))
        }
        [
            "query" | "queryAll" | "limits" | "composite" | "sobjects",
            ..,
        ] => (
            "refusedMethod",
            Err(RestError::method_not_allowed(&request.method)),
        ),
        _ => ("unknown", Err(RestError::not_found())),
    }
}

/// Refuses a body that says to be no JSON (facts: Salesforce 2.9). A body that says nothing is
/// taken for it; how Salesforce does that is not known.
fn wrong_media(request: &Request) -> Option<RestError> {
    let kind = request.header("content-type")?;
    let kind = kind.split(';').next().unwrap_or(kind).trim();
    if request.body.is_empty() || kind.eq_ignore_ascii_case("application/json") {
        return None;
    }
    let message = format!("Content-Type header '{kind}' not supported");
    Some(RestError::new(415, "UNSUPPORTED_MEDIA_TYPE", message))
}

/// Parses the body as a JSON object.
pub(crate) fn json_object(request: &Request) -> Result<serde_json::Map<String, Json>, RestError> {
    match serde_json::from_slice(&request.body) {
        Ok(Json::Object(map)) => Ok(map),
        Ok(_) => Err(RestError::new(
            400,
            "JSON_PARSER_ERROR",
            "The HTTP entity body must be a JSON object.",
        )),
        Err(error) => Err(RestError::new(
            400,
            "JSON_PARSER_ERROR",
            format!("Unexpected character at {error}"),
        )),
    }
}

//! Dispatches requests to the endpoints.

use http::{Method, header};

use crate::admin;
use crate::core::Core;
use crate::login::soap::Dialect;
use crate::login::{identity, oauth, soap, userinfo};
use crate::message::{Answer, Request};
use crate::org::HostRole;
use crate::rest::{self, Handled, RestError};

/// First path segment of the admin endpoint.
pub(crate) const ADMIN: &str = "__admin";

/// Handles a request.
pub(crate) fn dispatch(core: &Core, request: &Request) -> Handled {
    let segments = request.segments();
    let path: Vec<&str> = segments.iter().map(String::as_str).collect();
    if let HostRole::Moved(to) = core.world().role(&request.host)
        && path.first() != Some(&ADMIN)
    {
        let query = if request.query.is_empty() { "" } else { "?" };
        let target = format!("https://{to}{}{query}{}", request.path, request.query);
        let answer = Answer::empty(301).with(header::LOCATION, &target);
        return Handled::new("moved", answer);
    }
    if request.path.starts_with("//") {
        return Handled::new("unknown", gone());
    }
    match path.as_slice() {
        [ADMIN, rest @ ..] => Handled::new("admin", admin::handle(core, request, rest)),
        ["services", "Soap", "u", version, ..] => {
            soap::handle(core, request, Dialect::Partner, version)
        }
        ["services", "Soap", "c", version, ..] => {
            soap::handle(core, request, Dialect::Enterprise, version)
        }
        ["services", "oauth2", "token"] => oauth::token(core, request),
        ["services", "oauth2", "revoke"] => oauth::revoke(core, request),
        ["services", "oauth2", "introspect"] => oauth::introspect(core, request),
        ["services", "oauth2", "userinfo"] => userinfo(core, request),
        ["id", _org, user] => identity(core, request, user),
        ["services", "data"] if matches!(request.method, Method::GET | Method::HEAD) => {
            Handled::new("versions", rest::versions(&core.world().switches))
        }
        ["services", "data", ..] if only_logs_in(core, request) => {
            Handled::new("loginHost", gone())
        }
        ["services", "data", ..] => rest::handle(core, request, &segments[2..]),
        ["services", ..] => Handled::new("unknown", RestError::not_found().answer(None)),
        _ => Handled::new("unknown", gone()),
    }
}

/// Whether a host is there for log-ins only (facts: Salesforce 1.1; U: what else gets there). Where
/// an org has no URL of its own, the log-in host is that, too.
fn only_logs_in(core: &Core, request: &Request) -> bool {
    let world = core.world();
    let is_for_logins = matches!(
        world.role(&request.host),
        HostRole::Production | HostRole::Sandbox
    );
    is_for_logins && world.orgs.iter().all(|org| org.instance_url.is_some())
}

fn gone() -> Answer {
    Answer::text(
        404,
        "text/html;charset=UTF-8",
        "<html><body><h1>URL No Longer Exists</h1></body></html>",
    )
}

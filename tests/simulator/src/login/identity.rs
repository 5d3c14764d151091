//! The identity URL and `userinfo`: the user that a token belongs to.

use serde_json::{Value as Json, json};

use crate::core::Core;
use crate::message::{Answer, Request};
use crate::org::{Org, User};
use crate::rest::{Handled, bearer};

/// `GET /services/oauth2/userinfo`.
pub(crate) fn userinfo(core: &Core, request: &Request) -> Handled {
    answer(core, request, None)
}

/// `GET /id/{org}/{user}`.
pub(crate) fn identity(core: &Core, request: &Request, user_id: &str) -> Handled {
    answer(core, request, Some(user_id))
}

fn answer(core: &Core, request: &Request, user_id: Option<&str>) -> Handled {
    let refuse = |text: &'static str| {
        Handled::new(
            "identity",
            Answer::text(403, "text/html;charset=UTF-8", text),
        )
    };
    let token = bearer(request)
        .map(str::to_owned)
        .or_else(|| request.parameter("oauth_token"));
    let Some(token) = token else {
        return refuse("Missing_OAuth_Token");
    };
    let world = core.world();
    let session =
        core.runtime()
            .sessions
            .touch(&token, core.clock.now(), world.switches.session_ttl);
    let found = session
        .as_ref()
        .and_then(|session| world.user(&session.username))
        .filter(|(_, user)| user.active);
    let Some((org, user)) = found else {
        return refuse("Bad_OAuth_Token");
    };
    if user_id.is_some_and(|id| crate::org::ids::lengthen(id) != user.id) {
        return refuse("Wrong_Id");
    }
    let body = describe(org, user, request);
    Handled {
        user: Some(user.username.clone()),
        ..Handled::new("identity", Answer::json(200, body))
    }
}

fn describe(org: &Org, user: &User, request: &Request) -> Json {
    let base = super::instance_url(org, request);
    json!({
        "id": format!("{}/id/{}/{}", request.base_url(), org.id, user.id),
        "sub": format!("{}/id/{}/{}", request.base_url(), org.id, user.id),
        "asserted_user": true,
        "user_id": user.id,
        "organization_id": org.id,
        "username": user.username,
        "preferred_username": user.username,
        "nick_name": user.username,
        "display_name": user.full_name(),
        "name": user.full_name(),
        "email": user.email(),
        "email_verified": true,
        "first_name": user.first_name,
        "last_name": user.last_name,
        "given_name": user.first_name,
        "family_name": user.last_name,
        "timezone": user.time_zone,
        "zoneinfo": user.time_zone,
        "active": user.active,
        "user_type": "STANDARD",
        "language": user.language,
        "locale": user.locale,
        "urls": {
            "partner": format!("{base}/services/Soap/u/{{version}}/{}", crate::org::ids::shorten(&org.id)),
            "rest": format!("{base}/services/data/v{{version}}/"),
            "sobjects": format!("{base}/services/data/v{{version}}/sobjects/"),
            "query": format!("{base}/services/data/v{{version}}/query/"),
        },
    })
}

//! OAuth 2.0: the token endpoint, revocation and introspection.

use std::collections::HashMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header;
use serde_json::json;

use super::{Denial, admit, authenticate, instance_url, jwt, open_session, remember, serves};
use crate::core::Core;
use crate::message::{Answer, Request};
use crate::org::sessions::LoginMethod;
use crate::org::{ConnectedApp, HostRole, Org, User, World};
use crate::rest::Handled;

const JWT_BEARER: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";

/// An OAuth error: `{"error": ..., "error_description": ...}` with status 400.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct OauthError {
    pub(super) error: String,
    pub(super) description: String,
    /// The cause in the Login History.
    pub(super) cause: String,
}

impl OauthError {
    pub(super) fn new(error: &str, description: &str) -> Self {
        Self {
            error: error.to_owned(),
            description: description.to_owned(),
            cause: description.to_owned(),
        }
    }

    pub(super) fn grant(description: &str) -> Self {
        Self::new("invalid_grant", description)
    }

    pub(super) fn because(self, cause: &str) -> Self {
        Self {
            cause: cause.to_owned(),
            ..self
        }
    }

    fn answer(&self) -> Answer {
        no_store(Answer::json(
            400,
            json!({"error": self.error, "error_description": self.description}),
        ))
    }
}

fn no_store(answer: Answer) -> Answer {
    answer
        .with(header::CACHE_CONTROL, "no-cache, no-store")
        .with(header::PRAGMA, "no-cache")
}

type Form = HashMap<String, String>;

fn form(request: &Request) -> Form {
    let body = url::form_urlencoded::parse(&request.body).into_owned();
    let query = url::form_urlencoded::parse(request.query.as_bytes()).into_owned();
    let mut form: Form = query.chain(body).collect();
    let basic = request
        .header("authorization")
        .and_then(|value| value.split_once(' '));
    if let Some((_, encoded)) = basic.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("basic"))
        && let Some(pair) = STANDARD
            .decode(encoded.trim())
            .ok()
            .and_then(|bytes| String::from_utf8(bytes).ok())
        && let Some((id, secret)) = pair.split_once(':')
    {
        form.insert("client_id".into(), id.to_owned());
        form.insert("client_secret".into(), secret.to_owned());
    }
    form
}

fn get<'f>(form: &'f Form, name: &str) -> &'f str {
    form.get(name).map_or("", String::as_str)
}

/// `POST /services/oauth2/token`.
pub(crate) fn token(core: &Core, request: &Request) -> Handled {
    let form = form(request);
    let world = core.world();
    let (method, username, outcome) = match get(&form, "grant_type") {
        _ if request.method != http::Method::POST => {
            let error = OauthError::new("invalid_request", "must use HTTP POST");
            return Handled::new("token", error.answer());
        }
        "password" => (
            LoginMethod::OauthPassword,
            get(&form, "username").to_owned(),
            password(core, &world, request, &form),
        ),
        JWT_BEARER => {
            let (username, outcome) = jwt_bearer(core, &world, request, &form);
            (LoginMethod::JwtBearer, username, outcome)
        }
        "client_credentials" => {
            let (username, outcome) = client_credentials(core, &world, request, &form);
            (LoginMethod::ClientCredentials, username, outcome)
        }
        "refresh_token" => {
            let error = OauthError::grant("expired access/refresh token");
            return Handled::new("token", error.answer());
        }
        _ => {
            let error = OauthError::new("unsupported_grant_type", "grant type not supported");
            return Handled::new("token", error.answer());
        }
    };
    match outcome {
        Ok((org, user)) => {
            remember(core, &username, method, "OK", "");
            let scopes = scopes(&world, method, &form);
            let answer = grant(core, org, user, method, request, &scopes);
            Handled {
                user: Some(user.username.clone()),
                ..Handled::new("token", answer)
            }
        }
        Err(error) => {
            remember(core, &username, method, &error.error, &error.cause);
            let user = world.user(&username).map(|(_, user)| user.username.clone());
            Handled {
                user,
                ..Handled::new("token", error.answer())
            }
        }
    }
}

/// The scopes of the app that logs in. The password flow has none, and its sessions may do all.
fn scopes(world: &World, method: LoginMethod, form: &Form) -> Vec<String> {
    let issuer = jwt::unverified(get(form, "assertion")).map(|claims| claims.iss);
    let client = issuer.unwrap_or_else(|_| get(form, "client_id").to_owned());
    match app(world, &client) {
        Ok((_, app)) if method != LoginMethod::OauthPassword => app.scopes.clone(),
        _ => vec!["full".to_owned()],
    }
}

fn grant(
    core: &Core,
    org: &Org,
    user: &User,
    method: LoginMethod,
    request: &Request,
    scopes: &[String],
) -> Answer {
    let for_rest = scopes.iter().any(|scope| scope == "api" || scope == "full");
    let token = open_session(core, org, user, method, for_rest);
    let issued = core.clock.now().as_millisecond().to_string();
    let signature = STANDARD.encode(rand::random::<[u8; 32]>());
    let mut body = json!({
        "access_token": token,
        "instance_url": instance_url(org, request),
        "id": format!("{}/id/{}/{}", request.base_url(), org.id, user.id),
        "token_type": "Bearer",
        "issued_at": issued,
        "signature": signature,
    });
    // The password flow has no scopes.
    if method != LoginMethod::OauthPassword
        && let Some(map) = body.as_object_mut()
    {
        map.insert("scope".into(), json!(scopes.join(" ")));
    }
    no_store(Answer::json(200, body))
}

/// Finds an app by its consumer key, in any org.
pub(super) fn app<'w>(
    world: &'w World,
    client_id: &str,
) -> Result<(&'w Org, &'w ConnectedApp), OauthError> {
    let mut apps = world
        .orgs
        .iter()
        .flat_map(|org| org.apps.iter().map(move |app| (org, app)));
    let found = apps.find(|(_, app)| app.client_id == client_id && !client_id.is_empty());
    let (org, app) =
        found.ok_or_else(|| OauthError::new("invalid_client_id", "client identifier invalid"))?;
    if app.blocked {
        return Err(OauthError::new(
            "OAUTH_APP_BLOCKED",
            "this app is blocked by admin",
        ));
    }
    if !app.installed {
        return Err(OauthError::new(
            &world.switches.app_not_found_error,
            &world.switches.app_not_found_description,
        ));
    }
    Ok((org, app))
}

fn app_with_secret<'w>(
    world: &'w World,
    form: &Form,
) -> Result<(&'w Org, &'w ConnectedApp), OauthError> {
    let (org, app) = app(world, get(form, "client_id"))?;
    if app.client_secret != get(form, "client_secret") {
        return Err(OauthError::new(
            "invalid_client",
            "invalid client credentials",
        ));
    }
    Ok((org, app))
}

fn password<'w>(
    core: &Core,
    world: &'w World,
    request: &Request,
    form: &Form,
) -> Result<(&'w Org, &'w User), OauthError> {
    app_with_secret(world, form)?;
    let secret = get(form, "password");
    authenticate(
        core,
        world,
        request,
        get(form, "username"),
        secret,
        LoginMethod::OauthPassword,
    )
    .map_err(|denial| {
        OauthError::grant(&world.switches.oauth_failure_description).because(denial.cause())
    })
}

fn jwt_bearer<'w>(
    core: &Core,
    world: &'w World,
    request: &Request,
    form: &Form,
) -> (String, Result<(&'w Org, &'w User), OauthError>) {
    let assertion = get(form, "assertion");
    let claims = match jwt::unverified(assertion) {
        Ok(claims) => claims,
        Err(error) => return (String::new(), Err(error)),
    };
    let username = claims.sub.clone();
    let outcome = jwt::verify(core, world, request, assertion, &claims).and_then(|(org, user)| {
        let role = world.role(&request.host);
        let unapproved = || OauthError::grant(&world.switches.jwt_unapproved_description);
        if !serves(role, org) {
            return Err(unapproved().because(Denial::WrongHost.cause()));
        }
        enter(core, world, org, user, request)
    });
    (username, outcome)
}

/// Applies the rules for a user who logs in without a password.
fn enter<'w>(
    core: &Core,
    world: &World,
    org: &'w Org,
    user: &'w User,
    request: &Request,
) -> Result<(&'w Org, &'w User), OauthError> {
    if !user.active || user.frozen {
        return Err(OauthError::grant("inactive user"));
    }
    let now = core.clock.now();
    let within = {
        let mut runtime = core.runtime();
        let attempts = runtime
            .attempts
            .entry(user.username.to_lowercase())
            .or_default();
        attempts.within_rate(now, world.switches.logins_per_hour)
    };
    if !within {
        return Err(OauthError::grant("login rate exceeded").because(Denial::RateExceeded.cause()));
    }
    admit(world, org, user, request, now).map_err(|denial| {
        let description = match denial {
            Denial::RestrictedDomain => "ip restricted",
            _ => "authentication failure",
        };
        OauthError::grant(description).because(denial.cause())
    })?;
    Ok((org, user))
}

fn client_credentials<'w>(
    core: &Core,
    world: &'w World,
    request: &Request,
    form: &Form,
) -> (String, Result<(&'w Org, &'w User), OauthError>) {
    let client_id = get(form, "client_id").to_owned();
    let role = world.role(&request.host);
    if matches!(role, HostRole::Production | HostRole::Sandbox) {
        return (
            client_id,
            Err(OauthError::grant("request not supported on this domain")),
        );
    }
    let (org, app) = match app_with_secret(world, form) {
        Ok(found) => found,
        Err(error) => return (client_id, Err(error)),
    };
    if !serves(role, org) {
        return (
            client_id,
            Err(OauthError::new(
                "invalid_client_id",
                "client identifier invalid",
            )),
        );
    }
    if !app.client_credentials {
        return (
            client_id,
            Err(OauthError::new(
                "unsupported_grant_type",
                "client credentials flow not enabled",
            )),
        );
    }
    let user = app.run_as.as_deref().and_then(|name| org.user_named(name));
    let Some(user) = user else {
        return (
            client_id,
            Err(OauthError::grant("no client credentials user enabled")),
        );
    };
    (
        user.username.clone(),
        enter(core, world, org, user, request),
    )
}

/// `POST /services/oauth2/revoke`.
pub(crate) fn revoke(core: &Core, request: &Request) -> Handled {
    let form = form(request);
    let closed = core.runtime().sessions.close(get(&form, "token"));
    let answer = if closed {
        Answer::empty(200)
    } else {
        OauthError::new("invalid_token", "invalid token").answer()
    };
    Handled::new("revoke", answer)
}

/// `POST /services/oauth2/introspect`.
pub(crate) fn introspect(core: &Core, request: &Request) -> Handled {
    let form = form(request);
    let world = core.world();
    if let Err(error) = app_with_secret(&world, &form) {
        return Handled::new("introspect", error.answer());
    }
    let now = core.clock.now();
    let ttl = world.switches.session_ttl;
    let runtime = core.runtime();
    let session = runtime.sessions.peek(get(&form, "token"), now, ttl);
    // Tokens of the password flow cannot be introspected.
    let session = session.filter(|session| {
        matches!(
            session.method,
            LoginMethod::JwtBearer | LoginMethod::ClientCredentials
        )
    });
    let found = session.and_then(|session| Some((session, world.user(&session.username)?)));
    let body = match found {
        Some((session, (org, user))) => json!({
            "active": true,
            "scope": "api",
            "client_id": get(&form, "client_id"),
            "username": user.username,
            "sub": format!("{}/id/{}/{}", request.base_url(), org.id, user.id),
            "token_type": "access_token",
            "exp": (session.last_used + ttl).as_second(),
            "iat": session.last_used.as_second(),
            "nbf": session.last_used.as_second(),
        }),
        None => json!({"active": false}),
    };
    Handled::new("introspect", no_store(Answer::json(200, body)))
}

//! Log-in: one set of rules ([`authenticate`]), which [`soap`] and [`oauth`] translate to their
//! formats.

mod address;
mod envelope;
mod identity;
mod jwt;
pub(crate) mod oauth;
pub(crate) mod soap;

use std::net::IpAddr;

pub(crate) use identity::{identity, userinfo};
use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::core::Core;
use crate::counters::Login;
use crate::message::Request;
use crate::org::access::Access;
use crate::org::sessions::{LoginMethod, Session};
use crate::org::{HostRole, Org, User, World};

/// The reason why a log-in was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Denial {
    UnknownUser,
    WrongHost,
    WrongPassword,
    Inactive,
    Frozen,
    Locked,
    TokenNeeded,
    RateExceeded,
    RestrictedTime,
    RestrictedDomain,
    ApiDisabledForOrg,
    ApiDisabledForUser,
    SoapLoginOff,
    AnyApiAuthNeeded,
    OauthPasswordOff,
    Maintenance,
}

impl Denial {
    /// The cause as the Login History shows it.
    pub(crate) fn cause(self) -> &'static str {
        match self {
            Self::UnknownUser => "unknown user",
            Self::WrongHost => "wrong host",
            Self::WrongPassword => "wrong password or token",
            Self::Inactive => "user inactive",
            Self::Frozen => "user frozen",
            Self::Locked => "user locked",
            Self::TokenNeeded => "token needed",
            Self::RateExceeded => "LOGIN_RATE_EXCEEDED",
            Self::RestrictedTime => "outside login hours",
            Self::RestrictedDomain => "outside IP ranges",
            Self::ApiDisabledForOrg => "API disabled for org",
            Self::ApiDisabledForUser => "API disabled for user",
            Self::SoapLoginOff => "SOAP login() disabled",
            Self::AnyApiAuthNeeded => "Use Any API Auth missing",
            Self::OauthPasswordOff => "Username-Password Flow Disabled",
            Self::Maintenance => "org in maintenance",
        }
    }
}

/// Whether users of the org can log in at this host.
fn serves(role: &HostRole, org: &Org) -> bool {
    match role {
        HostRole::Any => true,
        HostRole::Production => !org.sandbox,
        HostRole::Sandbox => org.sandbox,
        HostRole::MyDomain(name) => *name == org.name,
        HostRole::Moved(_) => false,
    }
}

fn client_ip(world: &World, request: &Request) -> IpAddr {
    world.client_ip.unwrap_or(request.peer)
}

/// Rules that apply to every method of authentication.
fn admit(
    world: &World,
    org: &Org,
    user: &User,
    request: &Request,
    now: Timestamp,
) -> Result<(), Denial> {
    if org.maintenance {
        return Err(Denial::Maintenance);
    }
    let ranges = &user.login_ip_ranges;
    if !ranges.is_empty() && !address::within(client_ip(world, request), ranges) {
        return Err(Denial::RestrictedDomain);
    }
    if let Some(hours) = user.login_hours {
        let time = now.to_zoned(TimeZone::UTC).time();
        let inside = if hours.from <= hours.to {
            time >= hours.from && time < hours.to
        } else {
            time >= hours.from || time < hours.to
        };
        if !inside {
            return Err(Denial::RestrictedTime);
        }
    }
    Ok(())
}

/// Checks user name and password (followed by the token), the lockout and the rate for this method.
pub(crate) fn authenticate<'w>(
    core: &Core,
    world: &'w World,
    request: &Request,
    username: &str,
    secret: &str,
    method: LoginMethod,
) -> Result<(&'w Org, &'w User), Denial> {
    let now = core.clock.now();
    let (org, user) = world.user(username).ok_or(Denial::UnknownUser)?;
    if !serves(world.role(&request.host), org) {
        return Err(Denial::WrongHost);
    }
    let mut runtime = core.runtime();
    let attempts = runtime
        .attempts
        .entry(user.username.to_lowercase())
        .or_default();
    if !attempts.within_rate(now, world.switches.logins_per_hour) {
        return Err(Denial::RateExceeded);
    }
    if user.locked || attempts.locked(now, org.lockout_interval) {
        return Err(Denial::Locked);
    }
    if !user.active {
        return Err(Denial::Inactive);
    }
    if user.frozen {
        return Err(Denial::Frozen);
    }
    let ip = client_ip(world, request);
    let trusted = address::within(ip, &org.trusted_ip_ranges) || !user.login_ip_ranges.is_empty();
    let token = user
        .security_token
        .as_deref()
        .filter(|token| !token.is_empty());
    let with_token = secret == format!("{}{}", user.password, token.unwrap_or_default());
    if user.password.is_empty() || !(with_token || secret == user.password) {
        attempts.fail(now, org.max_login_attempts);
        return Err(Denial::WrongPassword);
    }
    if !with_token && !trusted {
        if world.switches.missing_token_counts {
            attempts.fail(now, org.max_login_attempts);
        }
        return Err(Denial::TokenNeeded);
    }
    admit(world, org, user, request, now)?;
    match method {
        LoginMethod::Soap => {
            let access = Access::of(org, user, &world.switches);
            if !org.api {
                return Err(Denial::ApiDisabledForOrg);
            }
            if !access.may("ApiEnabled") {
                return Err(Denial::ApiDisabledForUser);
            }
            if !org.soap_login {
                return Err(Denial::SoapLoginOff);
            }
            if org.soap_login_needs_any_api_auth && !access.may("UseAnyApiAuth") {
                return Err(Denial::AnyApiAuthNeeded);
            }
        }
        _ if !org.oauth_password => return Err(Denial::OauthPasswordOff),
        _ => {}
    }
    attempts.succeed();
    Ok((org, user))
}

/// Opens a session and returns its token.
pub(crate) fn open_session(
    core: &Core,
    org: &Org,
    user: &User,
    method: LoginMethod,
    for_rest: bool,
) -> String {
    let session = Session {
        org_id: org.id.clone(),
        username: user.username.clone(),
        method,
        last_used: core.clock.now(),
        password_expired: user.password_expired,
        for_rest,
    };
    core.runtime().sessions.open(session)
}

/// Records a log-in attempt in the history.
pub(crate) fn remember(
    core: &Core,
    username: &str,
    method: LoginMethod,
    outcome: &str,
    cause: &str,
) {
    let at = core.clock.now();
    core.runtime().login(Login {
        at,
        username: username.to_owned(),
        method,
        outcome: outcome.to_owned(),
        cause: cause.to_owned(),
    });
}

/// The base URL that a log-in returns to the client.
pub(crate) fn instance_url(org: &Org, request: &Request) -> String {
    org.instance_url
        .clone()
        .unwrap_or_else(|| request.base_url())
}

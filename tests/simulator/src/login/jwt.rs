//! The JWT bearer flow. It verifies the signature.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde::Deserialize;
use serde_json::Value as Json;

use super::oauth::{OauthError, app};
use crate::core::Core;
use crate::message::Request;
use crate::org::world::host_name;
use crate::org::{HostRole, Org, User, World};

/// The JWT claims that the flow uses.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Claims {
    pub(super) iss: String,
    pub(super) sub: String,
    pub(super) aud: Json,
    pub(super) exp: Json,
}

impl Claims {
    /// Seconds since the epoch: a number, or a number in a string as one real client sends it.
    fn exp(&self) -> Option<i64> {
        match &self.exp {
            Json::Number(number) => number
                .as_i64()
                .or_else(|| number.as_f64().map(|n| n as i64)),
            Json::String(text) => text.parse().ok(),
            _ => None,
        }
    }
}

fn invalid() -> OauthError {
    OauthError::grant("invalid assertion")
}

/// Decodes the JWT claims without a check of the signature.
pub(super) fn unverified(assertion: &str) -> Result<Claims, OauthError> {
    let payload = assertion.split('.').nth(1).ok_or_else(invalid)?;
    let bytes = URL_SAFE_NO_PAD
        .decode(payload.trim_end_matches('='))
        .map_err(|_| invalid())?;
    serde_json::from_slice(&bytes).map_err(|_| invalid())
}

/// Checks the signature, audience, expiry and approval.
pub(super) fn verify<'w>(
    core: &Core,
    world: &'w World,
    request: &Request,
    assertion: &str,
    claims: &Claims,
) -> Result<(&'w Org, &'w User), OauthError> {
    let (_, app) = app(world, &claims.iss)?;
    let pem = app
        .certificate
        .as_deref()
        .ok_or_else(|| invalid().because("the app has no certificate"))?;
    let key = DecodingKey::from_rsa_pem(pem.as_bytes())
        .map_err(|_| invalid().because("the app's certificate is unreadable"))?;
    let mut validation = Validation::new(Algorithm::RS256);
    validation.required_spec_claims.clear();
    validation.validate_exp = false;
    validation.validate_aud = false;
    jsonwebtoken::decode::<Json>(assertion, &key, &validation)
        .map_err(|_| invalid().because("wrong signature"))?;

    let unapproved = || OauthError::grant(&world.switches.jwt_unapproved_description);
    let (org, user) = world
        .user(&claims.sub)
        .ok_or_else(|| unapproved().because("unknown user"))?;
    if !audience_fits(world, org, request, claims.aud.as_str().unwrap_or_default()) {
        return Err(OauthError::grant(&world.switches.jwt_audience_description));
    }
    let now = core.clock.now().as_second();
    let exp = claims.exp().ok_or_else(invalid)?;
    let too_far = world
        .switches
        .jwt_max_ahead
        .is_some_and(|ahead| exp > now.saturating_add(ahead.as_secs()));
    if exp.saturating_add(world.switches.jwt_leeway.as_secs()) <= now || too_far {
        return Err(OauthError::grant("expired authorization code"));
    }
    if !app.approves(&user.username) {
        return Err(unapproved());
    }
    Ok((org, user))
}

/// The domain of the log-in hosts of the cloud that a host belongs to (U for all but the first).
fn cloud(host: &str) -> &'static str {
    let within = |domains: &[&str]| domains.iter().any(|domain| host.ends_with(domain));
    if within(&[".salesforce.mil", ".crmforce.mil"]) {
        "salesforce.mil"
    } else if within(&[".sfcrmproducts.cn"]) {
        "sfcrmproducts.cn"
    } else {
        "salesforce.com"
    }
}

fn audience_fits(world: &World, org: &Org, request: &Request, audience: &str) -> bool {
    let audience = audience.trim_end_matches('/');
    let name = if org.sandbox { "test" } else { "login" };
    let documented = format!("https://{name}.{}", cloud(host_name(&request.host)));
    let my_domain = matches!(world.role(&request.host), HostRole::MyDomain(_))
        && audience == request.base_url();
    audience == documented
        || my_domain
        || world
            .switches
            .jwt_extra_audiences
            .iter()
            .any(|extra| extra == audience)
}

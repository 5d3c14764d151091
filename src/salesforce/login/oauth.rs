//! The three OAuth 2.0 flows at `/services/oauth2/token` (facts: Salesforce 1.2).

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Deserializer};
use zeroize::Zeroizing;

use super::session::SessionInfo;
use super::{Granted, Request, assertion, endpoint, id18, instance_url, organization_of_token};
use crate::json;
use crate::salesforce::answers::error::{Error, Phase};
use crate::salesforce::answers::{Incoming, oauth_failure, unexpected};
use crate::salesforce::credentials::Credentials;
use crate::salesforce::credentials::hosts::jwt_audience;
use crate::salesforce::text::encode::percent_encode;
use crate::salesforce::transport::Outgoing;

/// The fields of a token response. Only the token is required.
#[derive(Deserialize)]
struct TokenAnswer {
    #[serde(deserialize_with = "secret")]
    access_token: SecretString,
    #[serde(default)]
    instance_url: Option<String>,
    /// `https://login.salesforce.com/id/{organization}/{user}`.
    #[serde(default)]
    id: Option<String>,
}

fn secret<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SecretString, D::Error> {
    Ok(String::deserialize(deserializer)?.into())
}

pub(crate) async fn log_in(request: &Request<'_>) -> Result<Granted, Error> {
    let form = form(request)?;
    let url = endpoint(request.login_url, "/services/oauth2/token")?;
    let outgoing = Outgoing::post_secret(url, "application/x-www-form-urlencoded", form);
    let incoming = request.send(outgoing).await?;
    read(request, &incoming)
}

fn form(request: &Request<'_>) -> Result<Zeroizing<String>, Error> {
    let joined;
    let signed;
    let fields: Vec<(&str, &str)> = match request.credentials {
        Credentials::Password { .. } => Vec::new(),
        Credentials::OauthPassword {
            username,
            password,
            security_token,
            client_id,
            client_secret,
        } => {
            let token = security_token
                .as_ref()
                .map_or("", ExposeSecret::expose_secret);
            joined = Zeroizing::new([password.expose_secret(), token].concat());
            vec![
                ("grant_type", "password"),
                ("client_id", client_id),
                ("client_secret", client_secret.expose_secret()),
                ("username", username),
                ("password", &joined),
            ]
        }
        Credentials::JwtBearer {
            username,
            client_id,
            private_key,
        } => {
            let audience = jwt_audience(request.login_url, request.environment);
            signed = assertion::sign(client_id, username, audience, private_key, request.now)?;
            vec![
                ("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer"),
                ("assertion", &signed),
            ]
        }
        Credentials::ClientCredentials {
            client_id,
            client_secret,
        } => vec![
            ("grant_type", "client_credentials"),
            ("client_id", client_id),
            ("client_secret", client_secret.expose_secret()),
        ],
    };
    let size = fields
        .iter()
        .map(|(name, value)| name.len() + 3 * value.len() + 2)
        .sum();
    let mut form = Zeroizing::new(String::with_capacity(size));
    for (name, value) in fields {
        if !form.is_empty() {
            form.push('&');
        }
        form.push_str(name);
        form.push('=');
        form.push_str(&Zeroizing::new(percent_encode(value)));
    }
    Ok(form)
}

pub(super) fn read(request: &Request<'_>, incoming: &Incoming) -> Result<Granted, Error> {
    let method = request.credentials.method();
    let answer = match json::read::<TokenAnswer>(incoming.text.trim()) {
        Ok(answer) if incoming.status < 300 => answer,
        _ => return Err(oauth_failure(incoming, method, request.redactor)),
    };
    if answer.access_token.expose_secret().is_empty() {
        return Err(unexpected(incoming, Phase::Login, request.redactor));
    }
    let named = answer
        .instance_url
        .as_deref()
        .unwrap_or(request.login_url.as_str());
    // The ids in …/id/{organization}/{user} need no additional call.
    let mut ids = answer
        .id
        .as_deref()
        .unwrap_or_default()
        .trim_end_matches('/')
        .rsplit('/');
    let clean = |id: &str| id18(&request.redactor.scrub(id));
    let user = ids.next().filter(|id| id.starts_with("005")).map(clean);
    let organization = ids.next().filter(|id| id.starts_with("00D")).map(clean);
    let info = SessionInfo {
        organization_id: organization
            .or_else(|| organization_of_token(&answer.access_token))
            .unwrap_or_default(),
        user_id: user.unwrap_or_default(),
        username: request.credentials.username().map(str::to_owned),
        instance_url: instance_url(named, request.transport.policy(), request.redactor)?,
        organization_name: None,
        sandbox: None,
        person_accounts: None,
        seconds_valid: None,
    };
    Ok(Granted {
        token: answer.access_token,
        info,
    })
}

//! SOAP `login()` (facts: Salesforce 1.1), the only SOAP call of this client.

use http::{HeaderName, HeaderValue};
use secrecy::{ExposeSecret, SecretString};
use zeroize::Zeroizing;

use super::session::SessionInfo;
use super::{Granted, Request, endpoint, id18, instance_url, organization_of_token};
use crate::salesforce::answers::error::{Error, Phase};
use crate::salesforce::answers::meaning::Meaning;
use crate::salesforce::answers::{Incoming, failure, soap_fault, unexpected};
use crate::salesforce::credentials::environment::ApiVersion;
use crate::salesforce::text::xml::{Element, push_escaped};
use crate::salesforce::transport::Outgoing;

/// `login()` does not exist from 65.0 on
/// (<https://help.salesforce.com/s/articleView?id=005132110&type=1>). The session that an older
/// version grants is valid for all versions of REST.
const LAST_WITH_LOGIN: ApiVersion = ApiVersion {
    major: 64,
    minor: 0,
};

pub(crate) async fn log_in(
    request: &Request<'_>,
    username: &str,
    password: &SecretString,
    security_token: Option<&SecretString>,
) -> Result<Granted, Error> {
    let version = request.api_version.min(LAST_WITH_LOGIN);
    let url = endpoint(request.login_url, &format!("/services/Soap/u/{version}"))?;
    let body = envelope(username, password, security_token);
    // SOAPAction must be present; the WSDL leaves it empty, most clients send "login".
    let outgoing = Outgoing::post_secret(url, "text/xml; charset=UTF-8", body).header(
        HeaderName::from_static("soapaction"),
        HeaderValue::from_static("login"),
    );
    let incoming = request.send(outgoing).await?;
    read(request, username, &incoming)
}

/// The request. Password and token form one value, as Salesforce requires.
fn envelope(
    username: &str,
    password: &SecretString,
    token: Option<&SecretString>,
) -> Zeroizing<String> {
    let password = password.expose_secret();
    let token = token.map_or("", ExposeSecret::expose_secret);
    // The capacity suffices for every character as a reference, so the text is never reallocated
    // and leaves no copy behind.
    let mut text = Zeroizing::new(String::with_capacity(
        600 + 6 * (username.len() + password.len() + token.len()),
    ));
    text.push_str(concat!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>",
        "<soapenv:Envelope xmlns:soapenv=\"http://schemas.xmlsoap.org/soap/envelope/\" xmlns:urn=\"urn:partner.soap.sforce.com\">",
        "<soapenv:Header><urn:CallOptions><urn:client>switchboard</urn:client></urn:CallOptions></soapenv:Header>",
        "<soapenv:Body><urn:login><urn:username>",
    ));
    push_escaped(&mut text, username);
    text.push_str("</urn:username><urn:password>");
    push_escaped(&mut text, password);
    push_escaped(&mut text, token);
    text.push_str("</urn:password></urn:login></soapenv:Body></soapenv:Envelope>");
    text
}

pub(super) fn read(
    request: &Request<'_>,
    username: &str,
    incoming: &Incoming,
) -> Result<Granted, Error> {
    let text = incoming.text.as_str();
    let root = Element::parse(text).ok();
    let result = root
        .as_ref()
        .and_then(|root| root.find("loginResponse")?.child("result"));
    let Some(result) = result.filter(|_| incoming.status < 300 && soap_fault(text).is_none())
    else {
        return Err(failure(incoming, Phase::Login, request.redactor));
    };
    // login() has a trap: it may return 200 and a session that permits only setPassword().
    if result.text_of("passwordExpired").is_some_and(is_true) {
        let detail = "the log-in was answered with passwordExpired=true; the session may only set a new password.";
        return Err(
            Error::new(Meaning::PasswordExpired, Phase::Login, detail).with_status(incoming.status)
        );
    }
    let Some(token) = result.text_of("sessionId").map(SecretString::from) else {
        return Err(unexpected(incoming, Phase::Login, request.redactor));
    };
    let server = result
        .text_of("serverUrl")
        .unwrap_or(request.login_url.as_str());
    let user = result.child("userInfo");
    let of_user = |name: &str| user.and_then(|user| user.text_of(name));
    // What is printed later is searched for the secrets that were sent, as every answer is.
    let clean = |text: &str| request.redactor.scrub(text);
    let organization_id = of_user("organizationId")
        .map(|id| id18(&clean(id)))
        .or_else(|| organization_of_token(&token))
        .or_else(|| {
            server
                .rsplit('/')
                .next()
                .filter(|id| id.starts_with("00D"))
                .map(|id| id18(&clean(id)))
        })
        .unwrap_or_default();
    let info = SessionInfo {
        organization_id,
        user_id: result
            .text_of("userId")
            .or_else(|| of_user("userId"))
            .map(|id| id18(&clean(id)))
            .unwrap_or_default(),
        username: Some(of_user("userName").map_or_else(|| username.to_owned(), clean)),
        instance_url: instance_url(server, request.transport.policy(), request.redactor)?,
        organization_name: of_user("organizationName").map(clean),
        sandbox: result.text_of("sandbox").map(is_true),
        person_accounts: of_user("orgHasPersonAccounts").map(is_true),
        seconds_valid: of_user("sessionSecondsValid").and_then(|seconds| seconds.parse().ok()),
    };
    Ok(Granted { token, info })
}

/// XML Schema's boolean has two spellings of true.
fn is_true(text: &str) -> bool {
    text.eq_ignore_ascii_case("true") || text == "1"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_character_of_a_password_arrives() {
        let body = envelope("a&b@c", &"p<w>&\"'\r\n\t é".into(), Some(&"T]]>".into()));
        let root = Element::parse(&body).unwrap();
        let login = root.find("login").unwrap();
        assert_eq!(login.text_of("username"), Some("a&b@c"));
        assert_eq!(login.text_of("password"), Some("p<w>&\"'\r\n\t éT]]>"));
        assert_eq!(root.find("client").map(Element::text), Some("switchboard"));
    }
}
